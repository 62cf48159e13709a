"""Clients of the API that generators make, as docs/api.md shows them, and the collection for Postman."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.world import World
from packages.__main__ import FRONTEND, NODE
from tests.support.deployed import ROOT, Deployed
from tests.support.documents import PAGES
from tests.support.person import Person

DESCRIPTION = ROOT / "functions" / "openapi.json"
RETURN_TO = "https://app.example.com/payroll"


def run(*command: str | Path, folder: Path, **environment: str) -> list[str]:
    """The lines that a program prints; fails if it fails."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def example(language: str) -> str:
    """The example of docs/api.md in this language."""
    [found] = re.findall(
        rf"```{language}\n(.*?)```", PAGES["api"].partition("## Clients")[2], re.DOTALL
    )
    return str(found)


def generate(tool: str) -> list[str | Path]:
    """The arguments of the command in docs/api.md that generates a client by this tool."""
    [command] = re.findall(
        rf"^(?:npx )?{tool} (.*functions/openapi.json.*)$", PAGES["api"], re.MULTILINE
    )
    return [DESCRIPTION if word == "functions/openapi.json" else word for word in command.split()]


def tries(world: World, code: str) -> Iterator[str]:
    """The example for this world, with an address of the return that is refused and an allowed address."""
    here = code.replace("https://api.example.com", world.api_url)
    yield here
    yield here.replace(RETURN_TO, world.page_url)


def check_lines(world: World, refused: list[str], started: list[str]) -> None:
    """Fails if an example has not listed the connection, or not started the session."""
    assert refused == ["gusto connected", "return_to_not_allowed"]
    assert started[0] == "gusto connected"
    assert started[1].startswith(f"{world.api_url}/connect/")


def test_typescript_client_of_the_document_lists_and_starts(
    world: World, deployed: Deployed, tmp_path: Path
) -> None:
    Person(deployed, "acme").connect()
    (tmp_path / "node_modules").symlink_to(Path(__file__).parent / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    generator = FRONTEND / "node_modules" / "openapi-typescript" / "bin" / "cli.js"
    run(NODE, generator, *generate("openapi-typescript"), folder=tmp_path)
    token = world.issuer.token("acme")
    lines = []
    for number, code in enumerate(tries(world, example("ts"))):
        (tmp_path / f"{number}.ts").write_text(code)
        lines.append(run(NODE, f"{number}.ts", folder=tmp_path, TOKEN=token))
    check_lines(world, *lines)
    wrong = "\n// @ts-expect-error No such code exists.\nexport const wrong = {}.code === 'gone';"
    (tmp_path / "typed.ts").write_text(
        "declare const process: { env: { TOKEN: string } };\n"
        + example("ts")
        + wrong.replace("{}", "started.error?")
    )
    options = ("--noEmit", "--strict", "--allowImportingTsExtensions", "--target", "es2022")
    modules = ("--module", "esnext", "--moduleResolution", "bundler")
    compiler = tmp_path / "node_modules" / "typescript" / "bin" / "tsc"
    run(NODE, compiler, *options, *modules, "typed.ts", folder=tmp_path)


def test_python_client_of_the_document_lists_and_starts(
    world: World, deployed: Deployed, tmp_path: Path
) -> None:
    Person(deployed, "acme").connect()
    options = generate("openapi-python-client")
    run(
        sys.executable,
        "-m",
        "openapi_python_client",
        *options,
        "--fail-on-warning",
        folder=tmp_path,
    )
    token = world.issuer.token("acme")
    lines = [
        run(sys.executable, "-c", code, folder=tmp_path, TOKEN=token)
        for code in tries(world, example("python"))
    ]
    check_lines(world, *lines)
    wrong = "print(started.gone)  # type: ignore[union-attr]"
    (tmp_path / "typed.py").write_text(f"{example('python')}{wrong}\n")
    mypy = (sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull)
    run(*mypy, "--follow-imports", "silent", "typed.py", folder=tmp_path)


def requests(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The requests in the folders of the collection."""
    for entry in entries:
        if "request" in entry:
            yield entry["request"]
        yield from requests(entry.get("item", []))


@pytest.fixture(scope="session")
def collection(built: Path) -> dict[str, Any]:
    """The collection."""
    found: dict[str, Any] = json.loads(
        (built / "finch-connections.postman_collection.json").read_text()
    )
    return found


def test_collection_has_each_route_of_the_description(collection: dict[str, Any]) -> None:
    described = json.loads(DESCRIPTION.read_text())["paths"]
    routes = {(way.upper(), path) for path, ways in described.items() for way in ways}
    found = [
        (
            one["method"],
            "/" + "/".join(re.sub("^:(.+)", r"{\1}", part) for part in one["url"]["path"]),
        )
        for one in requests(collection["item"])
    ]
    assert sorted(found) == sorted(routes)


def test_collection_needs_only_its_two_variables_to_reach_the_api(
    world: World, deployed: Deployed, collection: dict[str, Any]
) -> None:
    variables = {one["key"] for one in collection["variable"]}
    assert variables == {"baseUrl", "bearerToken"}
    assert set(re.findall(r"{{(\w+)}}", json.dumps(collection["item"]))) == variables
    token = world.issuer.token("acme")
    statuses = set()
    for request in requests(collection["item"]):
        url = request["url"]
        ids = {one["key"]: one["value"] for one in url.get("variable", [])}
        path = "/".join(ids.get(part.removeprefix(":"), part) for part in url["path"])
        assert url["host"] == ["{{baseUrl}}"]
        signed = {"Authorization": f"Bearer {token}"} if request.get("auth") else {}
        body = request.get("body") or {}
        answer = httpx.request(
            request["method"],
            f"{world.api_url}/{path}",
            headers=signed | {"Content-Type": "application/json"},
            content=body.get("raw", ""),
            timeout=60,
        )
        if request.get("auth"):
            statuses.add(answer.status_code)
    # The example's address of the return is of another world.
    assert statuses == {200, 400, 404}
