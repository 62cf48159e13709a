"""`finch-connections verify` against the local world: the whole path, and what it says of each fault.

A program opens the link to Finch Connect in place of a person: `python -m local.visitor`.
"""

import json
import os
import pty
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from local.fake_finch.seed_world import HARBOR_LANE, MAYA
from local.visitor import visit
from local.world import REGION, World
from operations import __main__ as operations
from operations import verify
from tests.local.test_recovery import Queue, pass_time, phases
from tests.support.deployed import ROOT, Deployed
from tests.support.person import Person

PASSED, FAILED, CANNOT_BEGIN = 0, 1, 2
VISITOR = f"{sys.executable} -m local.visitor"


@pytest.fixture(autouse=True)
def tokens(world: World, deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The access tokens of two customers, and short waits. The application at Finch is restored."""
    application = world.finch.application
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv(verify.TOKEN, world.issuer.token("acme"))
    monkeypatch.setenv(verify.OTHER_TOKEN, world.issuer.token("globex"))
    monkeypatch.setattr(verify, "_PAUSE_SECONDS", 0.2)
    # All clocks are one here, and the log has the refused webhooks of the test before.
    monkeypatch.setattr(verify, "_CLOCKS_DIFFER", timedelta())
    yield
    world.finch.replace_application(
        client_secret=application.client_secret,
        redirect_uris=application.redirect_uris,
        webhook_url=application.webhook_url,
        webhook_secrets=application.webhook_secrets,
    )


@pytest.fixture
def quick_health(world: World, deployed: Deployed) -> Iterator[None]:
    """Passes the minute after which Finch must repeat that a connection has become worse."""
    ended, queue, tables = threading.Event(), Queue(world, deployed), deployed.tables

    def suspected() -> bool:
        rows = tables.items(tables.connections)
        tokens = [token["M"] for row in rows for token in row["tokens"]["M"].values()]
        return any("suspected_since" in token for token in tokens)

    def hurry() -> None:
        while not ended.wait(0.5):
            if suspected():
                pass_time(deployed, timedelta(minutes=2))
                queue.fall_due()
                return

    thread = threading.Thread(target=hurry)
    thread.start()
    yield
    ended.set()
    thread.join()


def run(world: World, *words: str, visitor: str = VISITOR) -> int:
    """Runs the command as an operator does; returns its exit code."""
    where = ["--local", "--aws-port", str(world.ports.aws)]
    return operations.main(["verify", *where, "--open-with", visitor, *words])


def outcomes(screen: str) -> dict[str, str]:
    """The outcome of each check, by its name."""
    found = re.findall(r"^(ok|FAILED|left out) +(.+?): .* \(\d+\.\d s\)$", screen, re.MULTILINE)
    return {check: outcome for outcome, check in found}


def sentence(screen: str) -> str:
    """The line of the only failed check."""
    [line] = [line for line in screen.splitlines() if line.startswith("FAILED")]
    return line


@pytest.mark.usefixtures("quick_health")
def test_whole_path_passes_and_leaves_nothing(
    world: World, deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(world)
    screen = capsys.readouterr().out
    assert code == PASSED, screen
    seen = outcomes(screen)
    assert set(seen.values()) == {"ok"}, screen
    assert seen.keys() >= {"vend", "webhook of Finch", "health", "vend again", "disconnect"}
    assert seen["call of Finch"] == "ok"
    assert seen.keys() >= {"forged access token", "connection of another customer"}
    assert deployed.finch.live_tokens() == []
    assert phases(deployed) == {"complete": 2}
    secrets = [*(token.access_token for token in deployed.finch.tokens()), os.environ[verify.TOKEN]]
    assert not [secret for secret in secrets if secret in screen]


def test_wrong_client_secret_is_said_before_anything_is_done(
    world: World, deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    world.finch.replace_application(client_secret="another")
    assert run(world, "--json") == FAILED
    seen = json.loads(capsys.readouterr().out)
    [failed] = [one for one in seen if one["passed"] is False]
    assert failed["check"] == "Finch"
    assert failed["saw"] == (
        "invalid_client; copy client_id and client_secret from Finch's dashboard into the secret"
    )
    assert deployed.tables.all_sessions() == []


def test_wrong_redirect_uri_is_said_before_anything_is_done(
    world: World, deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    world.finch.replace_application(redirect_uris=["https://elsewhere.example.com/callback"])
    assert run(world) == FAILED
    line = sentence(capsys.readouterr().out)
    assert f"register {world.api_url}/callback as a redirect URI in Finch's dashboard" in line
    assert deployed.tables.all_sessions() == []


def test_wrong_issuer_is_said_before_anything_is_done(
    world: World,
    deployed: Deployed,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = world.issuer.token("acme", iss="https://elsewhere.example.com")
    monkeypatch.setenv(verify.TOKEN, token)
    assert run(world) == FAILED
    assert (
        "the access token is of the issuer https://elsewhere.example.com, but the stack accepts "
        f"{world.issuer.url}; correct the parameter JwtIssuer"
    ) in sentence(capsys.readouterr().out)
    assert deployed.tables.all_sessions() == []


@pytest.mark.usefixtures("quick_health")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"webhook_url": None}, "no webhook arrived within 0.1 minutes; register "),
        (
            {"webhook_secrets": ["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"]},
            "webhooks are refused (This webhook has no valid signature of Finch.); copy the webhook",
        ),
    ],
    ids=["no webhook", "wrong webhook secret"],
)
def test_missing_webhook_is_said_and_the_rest_is_checked(
    world: World,
    deployed: Deployed,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    said: str,
) -> None:
    monkeypatch.setattr(verify, "WEBHOOK_WITHIN", timedelta(seconds=6))
    world.finch.replace_application(**change)
    code = run(world)
    screen = capsys.readouterr().out
    assert code == FAILED, screen
    assert sentence(screen).startswith("FAILED    webhook of Finch: " + said), screen
    seen = outcomes(screen)
    assert (seen["health"], seen["vend again"], seen["disconnect"]) == ("ok", "ok", "ok")
    assert deployed.finch.live_tokens() == []


def test_connection_is_disconnected_after_a_failed_check(
    world: World,
    deployed: Deployed,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verify, "API_VERSION", "no version")
    monkeypatch.delenv(verify.OTHER_TOKEN)
    assert run(world) == FAILED
    screen = capsys.readouterr().out
    assert "vend: Finch answers 400 to the vended token" in sentence(screen)
    seen = outcomes(screen)
    assert (seen["connection of another customer"], seen["clean up"]) == ("left out", "ok")
    assert deployed.finch.live_tokens() == []


def test_unconfirmed_token_is_ended_at_finch_after_a_failed_check(
    world: World, deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    returned = "http://localhost/?finch=return&error=finch_unavailable"
    lost = shlex.join(["sh", "-c", f"{VISITOR} $0 > /dev/null; echo '{returned}'"])
    assert run(world, visitor=lost) == FAILED
    screen = capsys.readouterr().out
    assert "the browser came back with the error finch_unavailable" in sentence(screen)
    assert "its token is ended at Finch" in screen
    assert deployed.finch.live_tokens() == []
    assert phases(deployed) == {"ended": 1}


def test_login_that_takes_too_long_is_said(
    world: World, deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    # The page removes the completion code from its address, so a person would have to confirm there.
    returned = "http://localhost/?finch=return&status=confirm&provider_id=gusto&company_id=1"
    visitor = shlex.join(["sh", "-c", f"echo '{returned}'"])
    assert run(world, "--minutes", "0.01", visitor=visitor) == FAILED
    screen = capsys.readouterr().out
    assert "no login at Finch was finished within 0.01 minutes" in sentence(screen)
    assert "disconnected connection" not in screen


@pytest.mark.usefixtures("quick_health")
def test_person_at_a_terminal_opens_the_links_and_pastes_the_addresses(
    world: World, deployed: Deployed
) -> None:
    keyboard, terminal = pty.openpty()
    program = [sys.executable, "-m", "operations", "--local", "--aws-port", str(world.ports.aws)]
    with subprocess.Popen(
        [*program, "verify"],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as verifying:
        assert verifying.stdout
        assert verifying.stderr
        said = []
        for line in verifying.stderr:
            said.append(line)
            if line.startswith("  http"):
                os.write(keyboard, b"http://localhost/not-the-address\n")
                address = visit(line.strip(), "gusto", MAYA, HARBOR_LANE.id)
                os.write(keyboard, f"{address}\n".encode())
        screen = verifying.stdout.read()
    os.close(keyboard)
    os.close(terminal)
    assert verifying.returncode == PASSED, screen + "".join(said)
    assert sum("not an address with finch=return" in line for line in said) == 2
    assert set(outcomes(screen).values()) == {"ok"}
    assert deployed.finch.live_tokens() == []


def test_customer_with_a_connection_is_refused_and_keeps_it(
    world: World, deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    assert run(world) == CANNOT_BEGIN
    assert capsys.readouterr().err.startswith("The customer has 1 connections")
    assert acme.connection()["status"] == "connected"


def test_missing_stack_token_and_permission_are_one_sentence_each(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(*words: str) -> str:
        assert operations.main(["verify", *words]) == CANNOT_BEGIN
        [line] = capsys.readouterr().err.splitlines()
        return line

    where = ("--local", "--aws-port", str(world.ports.aws))
    assert said("--stack", "elsewhere", *where).startswith(
        "There is no stack elsewhere in eu-west-1."
    )
    monkeypatch.delenv(verify.TOKEN)
    assert said(*where).startswith(f"Set {verify.TOKEN} to an access token of your application")
    role = world.as_role("ListConnectionsRole")
    monkeypatch.setenv("AWS_ENDPOINT_URL", role.endpoint_url)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", role.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", role.secret_access_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", role.session_token or "")
    assert said() == (
        "Your AWS role may not cloudformation:DescribeStacks. "
        "Use a role that may, or add the permission."
    )
