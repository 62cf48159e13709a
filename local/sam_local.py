"""What `sam local` needs to run the built functions in containers beside the running world."""

import contextlib
import json
import platform
import socket
import socketserver
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

type Environments = Mapping[str, Mapping[str, str]]


def architecture() -> str:
    """This machine's in Lambda's words, for which `make` builds the layer."""
    return "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"


def template(built: Path, parameters: Mapping[str, str], environments: Environments) -> str:
    """The built template with each function's environment and no path that depends on its place."""
    content: dict[str, Any] = yaml.safe_load(built.read_text())
    for name, value in parameters.items():
        content["Parameters"][name]["Default"] = value
    for name, resource in content["Resources"].items():
        properties = resource.get("Properties", {})
        for folder in properties.keys() & {"CodeUri", "ContentUri"}:
            properties[folder] = str(built.parent / properties[folder])
        if name in environments:
            properties["Environment"] = {"Variables": dict(environments[name])}
    return yaml.safe_dump(content, sort_keys=False)


def write(
    folder: Path, built: Path, parameters: Mapping[str, str], environments: Environments
) -> None:
    """Writes the template, and the settings that SAM looks for beside it."""
    folder.mkdir(exist_ok=True)
    (folder / "template.yaml").write_text(template(built, parameters, environments))
    # The environments once more: SAM prefers the shell's variables, such as its owner's AWS_REGION,
    # to the template's, but not to --env-vars, of which it drops what the template does not name.
    variables = folder / "environment.json"
    variables.write_text(json.dumps(environments, indent=2))
    settings = (
        f"version = 0.1\n\n[default.global.parameters]\nenv_vars = {json.dumps(str(variables))}\n"
    )
    (folder / "samconfig.toml").write_text(settings)


class Relay(socketserver.ThreadingTCPServer):
    """Hands what comes to an address of this machine on to the same port on loopback."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: str, port: int) -> None:
        self.port = port
        super().__init__((address, port), Connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A container that went away is no news."""


class Connection(socketserver.BaseRequestHandler):
    server: Relay

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.port)) as inner:
            answers = threading.Thread(target=copy, args=(inner, self.request), daemon=True)
            answers.start()
            copy(self.request, inner)
            answers.join()


def copy(source: socket.socket, target: socket.socket) -> None:
    """Hands on what comes until it ends, or one of the two is gone; then ends the other."""
    with contextlib.suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
