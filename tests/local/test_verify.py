"""`finch-connections verify` against the local world: the whole path, and what it says of each fault.

A program opens the link to Finch Connect in place of a person: `python -m local.visitor`.
"""

import json
import re
import shlex
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.fake_finch.seed_world import IRIS, JUNIPER_VALE, MAYA
from local.world import World
from operations import __main__ as operations
from operations import verify
from tests.local.conftest import until
from tests.local.test_recovery import Queue, phases
from tests.support.deployed import ROOT, Deployed
from tests.support.person import Person

PASSED, FAILED, CANNOT_BEGIN = 0, 1, 2
VISITOR = f"{sys.executable} -m local.visitor"


@pytest.fixture(autouse=True)
def tokens(
    world: World, deployed: Deployed, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> Iterator[None]:
    """The access tokens of two customers, and short waits. The application at Finch is restored."""
    application = world.finch.application
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv(verify.TOKEN, world.issuer.token("acme"))
    monkeypatch.setenv(verify.OTHER_TOKEN, world.issuer.token("globex"))
    monkeypatch.setattr(verify, "_PAUSE_SECONDS", 0.2)
    yield
    world.finch.replace_application(
        client_secret=application.client_secret,
        redirect_uris=application.redirect_uris,
        webhook_url=application.webhook_url,
    )


@pytest.fixture
def passing_time(world: World, deployed: Deployed) -> Iterator[None]:
    """Makes rows due each second, so that a health check does not wait for its minute."""
    ended, queue = threading.Event(), Queue(world, deployed)

    def hurry() -> None:
        while not ended.wait(1):
            queue.fall_due()

    thread = threading.Thread(target=hurry)
    thread.start()
    yield
    ended.set()
    thread.join()


def run(world: World, *words: str) -> int:
    """Runs the command as an operator does; returns its exit code."""
    where = ["--local", "--aws-port", str(world.ports.aws)]
    return operations.main(["verify", *where, "--open-with", VISITOR, *words])


def outcomes(screen: str) -> dict[str, str]:
    """The outcome of each check, by its name."""
    found = re.findall(r"^(ok|FAILED|left out) +(.+?): .* \(\d+\.\d s\)$", screen, re.MULTILINE)
    return {check: outcome for outcome, check in found}


def sentence(screen: str) -> str:
    """What the only failed check says."""
    [line] = [line for line in screen.splitlines() if line.startswith("FAILED")]
    return line


@pytest.mark.usefixtures("passing_time")
def test_whole_path_passes_and_leaves_nothing(
    world: World, deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(world)
    screen = capsys.readouterr().out
    assert code == PASSED, screen
    assert set(outcomes(screen).values()) == {"ok"}, screen
    print(screen)
