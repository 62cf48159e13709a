"""Drives the Firefox of this machine through Marionette, because Playwright needs a Firefox of its own."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

PATIENCE = 60
_PREFERENCES = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "intl.accept_languages": "en-US",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "http://localhost:9",
    "toolkit.telemetry.enabled": False,
}


def of_this_machine() -> str | None:
    """The path of Firefox, or None."""
    return shutil.which("firefox-esr") or shutil.which("firefox")


@dataclass
class Firefox:
    """One window. A message is its length, a colon and JSON: `[0, id, command, parameters]`."""

    connection: socket.socket
    ids: Iterator[int] = field(default_factory=count)

    def command(self, name: str, **parameters: Any) -> Any:
        """Sends a command of WebDriver and returns its result."""
        message = json.dumps([0, next(self.ids), f"WebDriver:{name}", parameters]).encode()
        self.connection.sendall(b"%d:%s" % (len(message), message))
        _, _, error, result = self.receive()
        assert error is None, error
        return result

    def receive(self) -> Any:
        """The next message."""
        length = b""
        while (digit := self.connection.recv(1)) != b":":
            assert digit, "Firefox has closed the connection."
            length += digit
        message = b""
        while len(message) < int(length):
            message += self.connection.recv(int(length) - len(message))
        return json.loads(message)

    def open(self, url: str) -> None:
        """Opens this address."""
        self.command("Navigate", url=url)

    def run(self, script: str, *arguments: Any) -> Any:
        """Runs the body of a function in the page and returns its value."""
        return self.command("ExecuteScript", script=script, args=arguments)["value"]

    def until(self, script: str, *arguments: Any) -> Any:
        """Runs the script until its value is true, also while another page is loading."""
        deadline = time.monotonic() + PATIENCE
        last: object = None
        while time.monotonic() < deadline:
            try:
                if value := self.run(script, *arguments):
                    return value
                last = self.run("return document.documentElement.outerHTML.slice(0, 2000)")
            except AssertionError as error:
                last = error
            time.sleep(0.2)
        raise AssertionError(script, last)


@contextmanager
def started(profile: Path, **preferences: Any) -> Iterator[Firefox]:
    """A Firefox with a new profile in this folder. A preference replaces `.` by `__`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    own = {name.replace("__", "."): value for name, value in preferences.items()}
    wanted = _PREFERENCES | {"marionette.port": port} | own
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(wanted[name])});" for name in wanted]
    (profile / "user.js").write_text("\n".join(lines))
    path = of_this_machine()
    assert path
    command = [path, "--headless", "--marionette", "--no-remote", "--profile", str(profile)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with _connected(port) as connection:
            firefox = Firefox(connection)
            firefox.receive()
            firefox.command("NewSession")
            yield firefox
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def _connected(port: int) -> socket.socket:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
