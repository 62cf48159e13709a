"""Runs the built functions in containers of `sam local`, with their own local world: `make sam-local`.

It needs a container engine with Docker's API, such as Docker or podman, at `DOCKER_HOST` or in the
usual place. If the engine does not have Lambda's base image, SAM pulls it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import docker
import httpx
from docker.errors import DockerException, ImageNotFound, NotFound

from local.fake_finch.seed_world import HARBOR_LANE, MAYA
from local.sam_local.template import architecture
from local.world import PASSED_ON, ROOT, Ports, World, WorldError

# A distinctive part of the answer to each example event in a world without connections.
ANSWERS: Mapping[str, str] = {
    "start_connect": '"statusCode": 201',
    "finish_connect": "error=session_not_found",
    "list_connections": '"statusCode": 200',
    "disconnect": "connection_not_found",
    "receive_webhook": "signature_invalid",
    "process_work": '"batchItemFailures": []',
    "publish_events": '"batchItemFailures": []',
    "schedule_checks": "null",
    "resolve_unfinished": '"sessions": []',
    "vend_token": "not_found",
    "call_finch": "not_found",
    "list_employees": '"people": []',
    "read_directory": "not_found",
    "reencrypt_tokens": '"cursor": null',
    "erase_customer": '"cursor": null',
    # The world has no restored table.
    "restore_backup": "ResourceNotFoundException",
}
API_PORT = 3000
_INVOKE_SECONDS = 180
_START_SECONDS = 300


class NoEngine(Exception):
    """No container engine is available. The message says what to do."""


def bridge() -> str:
    """The address of this machine that containers reach; raises `NoEngine`."""
    try:
        engine = docker.from_env()
        engine.ping()
        for name in ("bridge", "podman"):
            try:
                [config] = engine.networks.get(name).attrs["IPAM"]["Config"][:1]
            except NotFound:
                continue
            address: str = config["Gateway"]
            return address
    except DockerException as error:
        raise NoEngine(
            "No container engine answers. Start Docker or podman's service. If it does not listen in the "
            f"usual place, set DOCKER_HOST ({error})."
        ) from error
    raise NoEngine("The container engine has no network with the name bridge or podman.")


def has_image() -> bool:
    """Whether the engine has Lambda's base image, so SAM does not need to pull it."""
    machine = "arm64" if architecture() == "arm64" else "x86_64"
    try:
        docker.from_env().images.get(f"public.ecr.aws/lambda/python:3.13-{machine}")
    except ImageNotFound:
        return False
    return True


def remove_containers(build_dir: Path) -> None:
    """Removes every container that runs code of this build."""
    for container in docker.from_env().containers.list(all=True):
        sources = [Path(mount.get("Source", "")) for mount in container.attrs["Mounts"]]
        if any(source.is_relative_to(build_dir) for source in sources):
            container.remove(force=True)


def sam(world: World, *words: str) -> list[str]:
    """A command of `sam local` on the template of a world."""
    template = world.state_dir / "sam-local" / "template.yaml"
    pulled = ["--skip-pull-image"] if has_image() else []
    return [sys.executable, "-m", "samcli", "local", *words, "-t", str(template), *pulled]


def environment(world: World) -> dict[str, str]:
    """The environment of a `sam local` command. From this machine, it has only the engine's settings."""
    names = (*PASSED_ON, "DOCKER_HOST", "DOCKER_CONFIG")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return kept | world.sam_environment()


def invoke_each(world: World) -> Iterator[str]:
    """Invokes each function with its event; yields the functions with an unexpected answer."""
    for name, expected in ANSWERS.items():
        function = name.title().replace("_", "")
        command = sam(world, "invoke", function, "-e", str(ROOT / "events" / f"{name}.json"))
        began = time.monotonic()
        done = subprocess.run(
            command,
            env=environment(world),
            capture_output=True,
            text=True,
            timeout=_INVOKE_SECONDS,
            check=False,
        )
        answer = (done.stdout.strip().splitlines() or [""])[-1]
        correct = expected in answer
        seconds = time.monotonic() - began
        say(f"{'ok   ' if correct else 'WRONG'}  {function} ({seconds:.1f} s): {answer[:150]}")
        if not correct:
            print(done.stderr[-2000:], file=sys.stderr)
            yield function


@contextmanager
def api(world: World) -> Iterator[str]:
    """Runs the API in containers; yields its URL."""
    words = ["start-api", "--warm-containers", "EAGER", "--port", str(API_PORT)]
    log = world.log_dir / "sam-local.log"
    with (
        log.open("w") as written,
        subprocess.Popen(
            sam(world, *words), env=environment(world), stdout=written, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            deadline = time.monotonic() + _START_SECONDS
            while "Running on" not in log.read_text():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise WorldError(
                        f"sam local start-api did not start.\n{log.read_text()[-3000:]}"
                    )
                time.sleep(0.5)
            yield f"http://localhost:{API_PORT}"
        finally:
            process.terminate()
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
            # SAM does not always remove all of its containers.
            remove_containers(world.build_dir)


def connect_through(world: World, url: str) -> Iterator[str]:
    """Connects through the containers, from the link to the connection; yields failed requests."""
    token = world.issuer.token("acme")
    bearer = {"authorization": f"Bearer {token}"}
    body = {"products": ["company"], "return_to": world.page_url}
    with httpx.Client(timeout=120, follow_redirects=False) as client:
        started = client.post(f"{world.api_url}/connect-sessions", json=body, headers=bearer)
        handle = started.json()["connect_url"].rpartition("/")[2]
        # Cookies of localhost are valid for all its ports. They are Secure and httpx would not send
        # them over plain HTTP.
        cookies = [cookie.partition(";")[0] for cookie in started.headers.get_list("set-cookie")]
        hop = client.get(f"{url}/connect/{handle}")
        yield from _expected("GET /connect/{handle}", hop, 302, "/authorize?")
        query = parse_qs(urlsplit(hop.headers.get("location", "")).query)
        redirect = world.finch.authorize(
            query["session"][0],
            provider_id="gusto",
            login=MAYA,
            company_id=HARBOR_LANE.id,
            state=query["state"][0],
        ).redirect_to
        back = urlsplit(redirect or "")
        landed = client.get(f"{url}/callback?{back.query}", headers={"cookie": "; ".join(cookies)})
        yield from _expected("GET /callback", landed, 302, "status=connected")
        refused = client.get(f"{url}/connections", headers=bearer)
        yield from _expected("GET /connections", refused, 403, "customer_unknown")
        shown = client.get(f"{world.api_url}/connections", headers=bearer).json()["connections"]
        statuses = [connection["status"] for connection in shown]
        say(f"ok     the world's own API shows {statuses}")
        if statuses != ["connected"]:
            yield "GET /connections of the world"


def _expected(request: str, reply: httpx.Response, status: int, part: str) -> Iterator[str]:
    answer = reply.headers.get("location", "") or reply.text
    correct = reply.status_code == status and part in answer
    # The answer contains handles and codes, so only the expected part is shown.
    shown = part if correct else answer[:200]
    say(f"{'ok   ' if correct else 'WRONG'}  {request}: {reply.status_code} {shown}")
    if not correct:
        yield request


def show(arguments: Sequence[str]) -> int:
    """Runs everything; returns 1 if an answer was wrong."""
    parser = argparse.ArgumentParser(prog="make sam-local", description=__doc__)
    parser.add_argument("--build-dir", type=Path, help="folder that `sam build` wrote")
    options: Any = parser.parse_args(arguments)
    try:
        address = bridge()
    except NoEngine as error:
        print(error, file=sys.stderr)
        return 1
    build = {"build_dir": options.build_dir} if options.build_dir else {}
    # The example events contain the default ports.
    with (
        tempfile.TemporaryDirectory(prefix="finch-sam-local-") as state_dir,
        World(Path(state_dir), Ports(), say=say_more, bridge=address, **build) as world,
    ):
        say("\nsam local invoke, each function with its event:")
        wrong = list(invoke_each(world))
        say("\nsam local start-api, what a browser opens:")
        with api(world) as url:
            wrong += connect_through(world, url)
        say(json.dumps({"wrong": wrong}))
    return 1 if wrong else 0


def say(text: str) -> None:
    print(text, flush=True)


def say_more(text: str) -> None:
    print(text, end="", flush=True)


if __name__ == "__main__":
    sys.exit(show(sys.argv[1:]))
