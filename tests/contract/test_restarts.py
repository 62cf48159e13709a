"""The fake Finch's file after a restart, and the fake Finch as a separate program."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from local.fake_finch import Customer, FinchState
from local.fake_finch.refusals import InvalidGrant, InvalidToken
from local.fake_finch.seed_world import DANA, MAYA, NORTHFOLD
from tests.contract.conftest import CALLBACK, CLIENT_ID, CLIENT_SECRET, Clock

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "finch.json"


def started(path: Path, clock: Clock) -> FinchState:
    return FinchState.load(path, CLIENT_ID, CLIENT_SECRET, [CALLBACK], clock=clock)


def exchanged(finch: FinchState, code: str) -> str:
    token, _ = finch.exchange(
        code, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, redirect_uri=CALLBACK
    )
    return token.access_token


def test_restart_keeps_everything_except_faults_and_requests(path: Path, clock: Clock) -> None:
    before = started(path, clock)
    session = before.new_session(
        Customer("c-1", "Acme", "a@acme.example"), ["company"], redirect_uri=CALLBACK
    )
    used = before.authorize(session.id, login=DANA, provider_id="gusto")
    unused = before.authorize(session.id, login=MAYA, provider_id="gusto")
    access_token = exchanged(before, used.code)
    company_id = before.add_company("Made Up LLC", ["One", "Two"])
    before.add_login("rippling", "user@example.com", [company_id])
    before.change_switches(echo_state=False, disconnect_scope="employer_provider")
    connection_id = before.look_up(access_token)[1].id
    before.set_connection_status(connection_id, "reauth", "log in again")

    after = started(path, clock)
    assert after.truth() == before.truth()
    assert after.switches == before.switches
    assert after.company(company_id) == before.company(company_id)
    token, connection = after.look_up(access_token)
    assert (connection.company_id, connection.status) == (NORTHFOLD.id, "reauth")
    assert token.customer == Customer("c-1", "Acme", "a@acme.example")
    with pytest.raises(InvalidGrant):
        exchanged(after, used.code)
    assert exchanged(after, unused.code)
    assert after.authorize(session.id, login="user@example.com", provider_id="rippling")


def test_restart_keeps_a_disconnect(path: Path, clock: Clock) -> None:
    before = started(path, clock)
    token, connection = before.new_sandbox_connection("gusto")
    before.disconnect(token.access_token)
    after = started(path, clock)
    with pytest.raises(InvalidToken):
        after.look_up(token.access_token)
    assert after.connection(connection.id).disconnected_at == clock()


def test_restart_keeps_a_reset(path: Path, clock: Clock) -> None:
    before = started(path, clock)
    before.new_sandbox_connection("gusto")
    before.reset()
    assert started(path, clock).connections() == []


def test_only_the_owner_may_read_the_file_and_no_other_file_is_left(
    path: Path, clock: Clock
) -> None:
    started(path, clock).new_sandbox_connection("gusto")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_refused_request_does_not_change_the_file(path: Path, clock: Clock) -> None:
    finch = started(path, clock)
    finch.new_sandbox_connection("gusto")
    before = path.read_bytes()
    with pytest.raises(InvalidToken):
        finch.disconnect("no such token")
    assert path.read_bytes() == before


def test_invalid_file_is_refused_and_not_changed(path: Path, clock: Clock) -> None:
    path.write_text('{"companies": 17}')
    with pytest.raises(ValueError, match="companies"):
        started(path, clock)
    assert path.read_text() == '{"companies": 17}'


def test_no_file_is_written_without_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    FinchState(CLIENT_ID, CLIENT_SECRET, [CALLBACK]).new_sandbox_connection("gusto")
    assert list(tmp_path.iterdir()) == []


@contextmanager
def program(*arguments: str) -> "Iterator[subprocess.Popen[str]]":
    """Runs the program until the end of the test."""
    with subprocess.Popen(
        [sys.executable, "-m", "local.fake_finch", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as running:
        try:
            yield running
        finally:
            running.kill()


CREDENTIALS = ("--client-id", CLIENT_ID, "--client-secret", CLIENT_SECRET)


@pytest.mark.parametrize("stopped_by", [signal.SIGINT, signal.SIGTERM])
def test_program_serves_until_a_signal_stops_it(path: Path, stopped_by: signal.Signals) -> None:
    arguments = ("--port", "0", "--state", str(path), "--redirect-uri", CALLBACK)
    with program(*arguments, *CREDENTIALS) as running:
        assert running.stdout is not None
        address = re.fullmatch(
            r"Fake Finch at (http://127\.0\.0\.1:\d+)\n", running.stdout.readline()
        )
        assert address is not None
        answer = httpx.post(
            f"{address.group(1)}/connect/sessions",
            auth=(CLIENT_ID, CLIENT_SECRET),
            headers={"Finch-API-Version": "2020-09-17"},
            json={
                "customer_id": "c-1",
                "customer_name": "Acme",
                "products": ["company"],
                "redirect_uri": CALLBACK,
            },
        )
        assert httpx.get(answer.json()["connect_url"]).status_code == 200
        running.send_signal(stopped_by)
        output, errors = running.communicate(timeout=10)
    assert running.returncode == 0
    # A logged request line would contain the session.
    assert (output, errors) == ("", "")
    assert answer.json()["session_id"] in path.read_text()


def test_port_in_use_is_reported_in_a_single_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with program("--port", port, *CREDENTIALS) as running:
            output, errors = running.communicate(timeout=10)
    assert running.returncode == 1
    assert output == ""
    assert re.fullmatch(rf"Port {port} cannot be used: .+\n", errors)
