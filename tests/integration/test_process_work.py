"""The queue finishes all interrupted work, or reports it to the operator."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.session_table import SessionTable
from finch_connections.aws.token_vault import TokenVault
from finch_connections.finch.client import FinchClient
from finch_connections.finch.errors import NotReached
from finch_connections.use_cases.process_work import Report
from local.fake_finch.seed_world import HARBOR_LANE, JUNIPER_VALE, MAYA, OWEN, TALLY
from tests.support.in_process import Call, InProcess
from tests.support.metrics import outcomes
from tests.support.person import Person

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DISCONNECT = "/disconnect"


class Killed(BaseException):
    """The process ends at this call."""


def kill(*_: Any, **__: Any) -> Any:
    raise Killed


def operate(deployed: InProcess, **command: Any) -> Any:
    assert deployed.invoke is not None
    return deployed.invoke("resolve_unfinished", command)


def phases(deployed: InProcess) -> list[str]:
    return sorted(one["phase"]["S"] for one in deployed.tables.all_sessions())


def live_token_ids(deployed: InProcess) -> set[str]:
    return {token.id for token in deployed.finch.live_tokens()}


def reports(capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The reports since the last call."""
    return set(outcomes(capsys.readouterr().out, "process_work")) & set(Report)


def connect_with_lost_response(deployed: InProcess, person: Person, **choices: Any) -> str:
    """Connects, but Finch's response to the code is lost after the exchange."""
    url = person.log_in(person.click(person.link()), **choices)
    deployed.finch.faults.add("POST", "/auth/token", drop="after_effect")
    assert person.come_back(url).outcome == {"error": "exchange_uncertain"}
    return url


# Interrupted connects


@pytest.mark.parametrize("step", ["complete", "escrow"])
def test_interrupted_callback_is_finished_or_reported_uncertain(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    with monkeypatch.context() as crash:
        crash.setattr(SessionTable, step, kill)
        with pytest.raises(Killed):
            acme.come_back(url)
    deployed.queue.drain()
    if step == "complete":
        assert acme.connection()["status"] == "connected"
        assert phases(deployed) == ["complete"]
    else:
        assert acme.connections() == []
        assert acme.come_back(url).outcome == {"error": "exchange_uncertain"}
    assert deployed.finch.requests.count("POST", "/auth/token") == 1


def test_callback_during_finch_failure_is_pending_and_finished_later(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.finch.faults.add("GET", "/introspect", status=500, times=3)
    landing = acme.come_back(url)
    assert landing.outcome["status"] == "pending"
    assert acme.connections() == []
    deployed.queue.drain(10 * MINUTE)
    assert acme.connection()["status"] == "connected"
    assert acme.come_back(url).outcome["status"] == "connected"


def test_callback_with_aws_failure_after_escrow_is_finished_later(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    with monkeypatch.context() as failing:
        failing.setattr(TokenVault, "encrypt_stored", lambda *_: 1 / 0)
        assert acme.come_back(url).outcome == {"status": "pending"}
    deployed.queue.drain(5 * MINUTE)
    assert acme.connection()["status"] == "connected"


@pytest.mark.parametrize(
    ("owner", "step"), [(TokenVault, "encrypt_escrow"), (SessionTable, "escrow")]
)
def test_escrow_is_retried_until_aws_accepts_it(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch, owner: type, step: str
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    real, failures = getattr(owner, step), [OSError(), OSError(), OSError()]

    def failing(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return real(*arguments)

    monkeypatch.setattr(time, "sleep", deployed.clock.sleep)
    monkeypatch.setattr(owner, step, failing)
    assert acme.come_back(url).outcome["status"] == "connected"
    assert failures == []
    assert phases(deployed) == ["complete"]


@pytest.mark.parametrize(
    ("owner", "step"), [(TokenVault, "encrypt_escrow"), (SessionTable, "escrow")]
)
def test_token_that_aws_never_accepts_is_reported_uncertain(
    deployed: InProcess,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    owner: type,
    step: str,
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    began = deployed.clock.now
    monkeypatch.setattr(time, "sleep", deployed.clock.sleep)
    with monkeypatch.context() as failing:
        failing.setattr(owner, step, lambda *_: 1 / 0)
        assert acme.come_back(url).outcome == {"error": "exchange_uncertain"}
    assert deployed.clock.now - began > 5 * SECOND
    assert phases(deployed) == ["uncertain"]
    deployed.queue.drain(HOUR)
    assert reports(capsys) == {"exchange_uncertain"}
    assert acme.come_back(url).outcome == {"error": "exchange_uncertain"}
    assert acme.connect().outcome["status"] == "connected"


def test_late_exchange_still_stores_its_token(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exchange takes longer than its limit, so the session becomes uncertain before its end."""
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    real, once = TokenVault.encrypt_escrow, [True]

    def late(*arguments: Any) -> bytes:
        if once:
            once.pop()
            deployed.queue.pass_time(10 * MINUTE)
            assert phases(deployed) == ["uncertain"]
        return real(*arguments)

    monkeypatch.setattr(TokenVault, "encrypt_escrow", late)
    # API Gateway no longer waits for the response.
    assert acme.browser.navigate(url).status == 503
    assert phases(deployed) == ["complete"]


def test_unfinished_session_is_reported_until_it_finishes(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    acme = Person(deployed, "acme")
    deployed.finch.faults.add("GET", "/introspect", status=500, times=None)
    assert acme.connect().outcome["status"] == "pending"
    deployed.queue.pass_time(50 * MINUTE)
    assert reports(capsys) == set()
    deployed.queue.pass_time(20 * MINUTE)
    assert reports(capsys) == {"unfinished"}
    for _ in range(2):
        deployed.queue.pass_time(DAY)
        assert reports(capsys) == {"unfinished"}
    [listed] = operate(deployed, action="list")["result"]["sessions"]
    assert (listed["phase"], listed["customer_id"]) == ("escrowed", "acme")
    deployed.finch.faults.clear()
    deployed.queue.pass_time(7 * HOUR)
    assert acme.connection()["status"] == "connected"
    assert operate(deployed, action="list")["result"]["sessions"] == []


# Exchanges with a lost response


@pytest.mark.parametrize("embedded", [False, True])
def test_next_attempt_recovers_a_connection_with_a_lost_response(
    deployed: InProcess, capsys: pytest.CaptureFixture[str], embedded: bool
) -> None:
    acme = Person(deployed, "acme")
    connect_with_lost_response(deployed, acme)
    [lost] = deployed.finch.connections()
    deployed.queue.drain(HOUR)
    assert reports(capsys) == {"exchange_uncertain"}
    if embedded:
        started = acme.start(mode="embedded").json
        authorized = deployed.finch.authorize(
            started["session_id"], provider_id="gusto", login=MAYA, company_id=HARBOR_LANE.id
        )
        body = {"code": authorized.code, "state": started["state"]}
        assert acme.call("POST", "/callback", body).status == 200
    else:
        assert acme.connect().outcome["status"] == "connected"
    assert deployed.finch.requests.count("POST", "/connect/sessions/reauthenticate") == 1
    assert acme.connection()["logins"][0]["connection_id"] == lost.id
    assert len(deployed.finch.connections()) == 1
    deployed.queue.pass_time(2 * HOUR)
    # The next attempt probably recovered this connection. An operator decides.
    [listed] = operate(deployed, action="list")["result"]["sessions"]
    assert (listed["phase"], listed["seems_recovered"]) == ("uncertain", True)
    assert operate(deployed, action="dismiss", session=listed["session"])["result"]
    assert acme.disconnect().status == 200
    assert live_token_ids(deployed) == set()
    deployed.queue.drain()
    assert deployed.queue.waiting() == []
    assert operate(deployed, action="list")["result"] == {"sessions": [], "connections": []}


def test_uncertain_exchange_is_reported_hourly_until_it_is_dismissed(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    acme = Person(deployed, "acme")
    connect_with_lost_response(deployed, acme)
    for hour in range(30):
        deployed.queue.pass_time(HOUR + MINUTE)
        assert reports(capsys) == {Report.EXCHANGE_UNCERTAIN}, hour
        if hour == 5:
            assert acme.connect().outcome["status"] == "connected"
    [listed] = operate(deployed, action="list")["result"]["sessions"]
    assert operate(deployed, action="dismiss", session=listed["session"])["result"]
    deployed.queue.pass_time(DAY)
    assert reports(capsys) == set()


def test_one_recovery_does_not_resolve_two_lost_responses(deployed: InProcess) -> None:
    """All links that are clicked before the first connection use the same customer name at Finch."""
    acme = Person(deployed, "acme")
    pages = [acme.click(acme.link()) for _ in range(3)]
    for page, provider in zip(pages, ("gusto", "justworks"), strict=False):
        url = acme.log_in(page, provider_id=provider)
        deployed.finch.faults.add("POST", "/auth/token", drop="after_effect")
        assert acme.come_back(url).outcome == {"error": "exchange_uncertain"}
    assert acme.come_back(acme.log_in(pages[2])).outcome["status"] == "connected"
    deployed.queue.pass_time(DAY)
    listed = operate(deployed, action="list")["result"]["sessions"]
    assert [one["phase"] for one in listed] == ["uncertain", "uncertain"]


def test_recovery_is_offered_once_and_another_provider_can_connect(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    connect_with_lost_response(deployed, acme)
    left_alone = acme.link()
    acme.click(left_alone)
    acme.click(left_alone)
    assert deployed.finch.requests.count("POST", "/connect/sessions/reauthenticate") == 1
    assert acme.connect(provider_id="justworks").outcome["provider_id"] == "justworks"
    assert deployed.finch.requests.count("POST", "/connect/sessions/reauthenticate") == 1
    # The same login again, without the repair: Finch keeps one connection for it.
    assert acme.connect().outcome["provider_id"] == "gusto"
    assert len(deployed.finch.connections()) == 2


def test_existing_connection_is_never_offered_for_recovery(
    deployed: InProcess,
) -> None:
    acme, other_site = Person(deployed, "acme"), Person(deployed, "acme", same_site=False)
    acme.connect()
    other_site.connect(provider_id="justworks")
    for _ in range(3):
        acme.click(acme.link())
    assert deployed.finch.requests.count("POST", "/connect/sessions/reauthenticate") == 0


def test_refused_recovery_continues_with_another_customer_name(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    connect_with_lost_response(deployed, acme)
    deployed.finch.faults.add("POST", "/connect/sessions/reauthenticate", status=404)
    before = deployed.finch.requests.count("POST", "/connect/sessions")
    assert acme.connect().outcome["status"] == "connected"
    assert deployed.finch.requests.count("POST", "/connect/sessions") - before == 2


def test_operator_can_dismiss_an_uncertain_exchange(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    url = connect_with_lost_response(deployed, acme)
    deployed.queue.pass_time(2 * HOUR)
    [listed] = operate(deployed, action="list")["result"]["sessions"]
    assert (listed["phase"], listed["seems_recovered"]) == ("uncertain", False)
    assert operate(deployed, action="dismiss", session=listed["session"])["result"]
    assert operate(deployed, action="list")["result"]["sessions"] == []
    assert operate(deployed, action="dismiss", session=listed["session"])["error"]
    deployed.queue.drain()
    assert deployed.queue.waiting() == []
    assert acme.come_back(url).outcome == {"error": "exchange_uncertain"}


# Unconfirmed tokens


def test_unconfirmed_token_is_disconnected_after_a_day(deployed: InProcess) -> None:
    acme = Person(deployed, "acme", same_site=False)
    url = acme.log_in(acme.click(acme.link()))
    landing = acme.come_back(url)
    assert landing.completion
    deployed.queue.pass_time(23 * HOUR)
    assert len(live_token_ids(deployed)) == 1
    deployed.queue.drain()
    assert live_token_ids(deployed) == set()
    assert phases(deployed) == ["ended"]
    assert deployed.tables.items(deployed.tables.ownerships) == []
    assert acme.confirm(landing.completion).code == "session_expired"
    assert acme.come_back(url).outcome == {"error": "session_expired"}
    assert acme.connect().outcome["status"] == "confirm"


def test_confirmation_in_the_last_minute_prevents_the_discard(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme", same_site=False)
    landing = acme.connect()
    assert landing.completion
    deployed.queue.pass_time(DAY - MINUTE)
    assert acme.confirm(landing.completion).status == 200
    deployed.queue.drain()
    assert deployed.finch.requests.count("POST", DISCONNECT) == 0
    assert acme.connection()["status"] == "connected"


@pytest.mark.parametrize("holder", ["connection", "session"])
def test_unconfirmed_token_of_a_kept_connection_is_dropped_not_revoked(
    deployed: InProcess, holder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    same_site, other_site = Person(deployed, "acme"), Person(deployed, "acme", same_site=False)
    other_site.connect()
    if holder == "connection":
        same_site.connect()
        deployed.queue.drain()
        assert same_site.connection()["status"] == "connected"
        assert deployed.finch.requests.count("POST", DISCONNECT) == 0
        assert phases(deployed) == ["complete", "ended"]
    else:
        deployed.queue.pass_time(HOUR)
        landing = other_site.connect()
        deployed.queue.pass_time(DAY - HOUR / 2)
        assert phases(deployed) == ["ended", "escrowed"]
        assert len(live_token_ids(deployed)) == 2
        assert landing.completion
        assert other_site.confirm(landing.completion).status == 200
        assert same_site.connection()["status"] == "connected"
    assert Report.TOKEN_HELD not in reports(capsys)


@pytest.mark.parametrize("owner", ["globex", "acme"])
def test_unconfirmed_token_of_an_owned_company_is_held(
    deployed: InProcess, capsys: pytest.CaptureFixture[str], owner: str
) -> None:
    """An older page of Finch's reference says that ending this connection also ends the owner's."""
    same_site, other_site = Person(deployed, owner), Person(deployed, "acme", same_site=False)
    other_site.connect(login=OWEN)
    same_site.connect(login=MAYA)
    deployed.queue.drain()
    assert deployed.finch.requests.count("POST", DISCONNECT) == 0
    assert phases(deployed) == ["complete", "held"]
    assert len(live_token_ids(deployed)) == 2
    assert "token_held" in reports(capsys)


def test_connect_during_a_discard_waits_and_ends_with_it(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_site, same_site = Person(deployed, "acme", same_site=False), Person(deployed, "acme")
    other_site.connect()
    landings = []
    real = FinchClient.disconnect

    def connect_first(finch: FinchClient, token: Any) -> None:
        landings.append(same_site.connect())
        real(finch, token)

    monkeypatch.setattr(FinchClient, "disconnect", connect_first)
    deployed.queue.pass_time(DAY + MINUTE)
    assert landings[0].outcome["status"] == "pending"
    deployed.queue.drain()
    assert same_site.connections() == []
    assert live_token_ids(deployed) == set()
    assert phases(deployed) == ["ended", "ended"]
    assert deployed.tables.items(deployed.tables.ownerships) == []


def pass_time_until_the_discard(deployed: InProcess, at_least: timedelta) -> None:
    """Lets time pass until the first try to discard an unconfirmed token, and not until the second.

    The scheduled check runs each minute, and the second try comes a minute later.
    """
    deployed.queue.pass_time(at_least)
    for _ in range(12):
        if phases(deployed) == ["escrowed"]:
            deployed.queue.pass_time(MINUTE / 6)
    assert phases(deployed) == ["discarding"]


def test_connect_after_a_failed_discard_is_not_ended_by_its_retry(deployed: InProcess) -> None:
    elsewhere, here = Person(deployed, "acme", same_site=False), Person(deployed, "globex")
    elsewhere.connect()
    deployed.finch.faults.add("POST", DISCONNECT, status=500)
    pass_time_until_the_discard(deployed, DAY)
    # The disconnect may still have its effect, so the next customer waits for the next try.
    assert here.connect().outcome["status"] == "pending"
    deployed.queue.pass_time(10 * MINUTE)
    assert here.connection()["status"] == "connected"
    assert phases(deployed) == ["complete", "ended"]
    [login] = here.connection()["logins"]
    assert login["id"] in live_token_ids(deployed)
    assert deployed.finch.requests.count("POST", DISCONNECT) == 1
    assert here.disconnect().json["status"] == "disconnected"
    assert deployed.tables.items(deployed.tables.ownerships) == []


@pytest.mark.parametrize("login", [MAYA, OWEN], ids=["same login", "same company"])
def test_connect_between_refused_discards_completes_at_once_and_stays(
    deployed: InProcess, login: str
) -> None:
    elsewhere, here = Person(deployed, "acme", same_site=False), Person(deployed, "globex")
    elsewhere.connect(login=MAYA)
    deployed.finch.faults.add("POST", DISCONNECT, error="insufficient_scope_error", times=5)
    deployed.queue.pass_time(DAY + 10 * MINUTE)
    assert phases(deployed) == ["discarding"]
    assert here.connect(login=login).outcome["status"] == "connected"
    deployed.finch.faults.clear()
    tries = deployed.finch.requests.count("POST", DISCONNECT)
    deployed.queue.pass_time(4 * DAY)
    assert here.connection()["status"] == "connected"
    assert deployed.finch.requests.count("POST", DISCONNECT) == tries
    assert phases(deployed) == ["complete", "ended" if login == MAYA else "held"]
    assert not [
        one for one in deployed.tables.items(deployed.tables.ownerships) if "discarding" in one
    ]


def test_operators_disconnect_ends_no_connection_that_the_operator_did_not_see(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere, here = Person(deployed, "acme", same_site=False), Person(deployed, "acme")
    elsewhere.connect(login=MAYA)
    here.connect(login=OWEN)
    deployed.queue.pass_time(DAY + HOUR)
    [held] = [one for one in deployed.tables.all_sessions() if "escrow" in one]
    command = {"action": "disconnect", "session": held["handle_hash"]["S"]}
    seen = operate(deployed, **command)["result"]
    deployed.finch.faults.add("POST", DISCONNECT, error="insufficient_scope_error")
    tried = operate(deployed, **command, decision=seen["decision"])
    assert tried["error"] == "finch_refused"
    # Another login of the Finch connection is connected before the next try.
    assert here.connect(login=MAYA).outcome["status"] == "connected"
    reports(capsys)
    tries = deployed.finch.requests.count("POST", DISCONNECT)
    deployed.queue.pass_time(DAY)
    assert deployed.finch.requests.count("POST", DISCONNECT) == tries
    assert phases(deployed) == ["complete", "complete", "held"]
    assert "token_held" in reports(capsys)


def test_discard_that_finch_refuses_for_days_is_held(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    acme = Person(deployed, "acme", same_site=False)
    acme.connect()
    deployed.finch.faults.add("POST", DISCONNECT, error="insufficient_scope_error", times=None)
    # The discard began after a day.
    deployed.queue.pass_time(4 * DAY - HOUR)
    assert phases(deployed) == ["discarding"]
    deployed.queue.pass_time(8 * HOUR)
    assert phases(deployed) == ["held"]
    assert reports(capsys) == {"unfinished", "token_held"}
    [record] = deployed.tables.items(deployed.tables.ownerships)
    assert "discarding" not in record
    assert len(record["holders"]["SS"]) == 1


def test_dead_token_is_forgotten_when_finch_repeats_it(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme", same_site=False)
    acme.connect()
    [token] = deployed.finch.live_tokens()
    deployed.finch.disconnect(token.access_token)
    deployed.queue.pass_time(HOUR)
    [session] = deployed.tables.all_sessions()
    assert "escrow" in session
    deployed.queue.pass_time(5 * MINUTE)
    assert phases(deployed) == ["ended"]
    assert deployed.tables.items(deployed.tables.ownerships) == []


def test_one_wrong_invalid_token_response_does_not_end_a_token(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.finch.faults.add("GET", "/introspect", error="invalid_token_error")
    assert acme.come_back(url).outcome == {"error": "connection_ended"}
    deployed.queue.drain()
    assert acme.connection()["status"] == "connected"


def test_two_separate_wrong_responses_do_not_end_a_token(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme", same_site=False)
    url = acme.log_in(acme.click(acme.link()))
    for _ in range(2):
        deployed.finch.faults.add("GET", "/introspect", error="invalid_token_error")
        assert acme.come_back(url).outcome == {"error": "connection_ended"}
        deployed.queue.pass_time(3 * HOUR)
        assert acme.come_back(url).outcome["status"] == "confirm"
    assert len(live_token_ids(deployed)) == 1


def test_confirmation_while_finch_is_down_is_finished_and_not_discarded(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme", same_site=False)
    landing = acme.connect()
    assert landing.completion
    deployed.finch.faults.add("GET", "/introspect", status=500)
    reply = acme.confirm(landing.completion)
    assert (reply.status, reply.json["status"]) == (202, "pending")
    deployed.queue.pass_time(10 * MINUTE)
    assert acme.connection()["status"] == "connected"
    deployed.queue.pass_time(2 * DAY)
    assert acme.connection()["status"] == "connected"
    assert len(live_token_ids(deployed)) == 1


def test_one_wrong_invalid_token_response_does_not_end_a_disconnect(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    deployed.finch.faults.add("POST", DISCONNECT, error="invalid_token_error")
    reply = acme.disconnect()
    assert (reply.status, reply.json["status"]) == (202, "disconnecting")
    assert live_token_ids(deployed)
    deployed.queue.drain()
    assert acme.connection()["status"] == "disconnected"
    assert not live_token_ids(deployed)


def test_one_wrong_invalid_token_response_does_not_end_a_discard(deployed: InProcess) -> None:
    Person(deployed, "acme", same_site=False).connect()
    deployed.finch.faults.add("POST", DISCONNECT, error="invalid_token_error")
    deployed.queue.pass_time(DAY)
    # The scheduled check runs each minute, and the retry comes a minute later.
    for _ in range(12):
        if phases(deployed) == ["escrowed"]:
            deployed.queue.pass_time(MINUTE / 6)
    assert phases(deployed) == ["discarding"]
    assert live_token_ids(deployed)
    deployed.queue.pass_time(HOUR)
    assert phases(deployed) == ["ended"]
    assert not live_token_ids(deployed)


@pytest.mark.parametrize("lies", [1, 2], ids=["once", "again within the hour"])
def test_wrong_disconnect_and_introspect_together_do_not_end_a_disconnect(
    deployed: InProcess, lies: int
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    for _ in range(lies):
        deployed.finch.faults.add("POST", DISCONNECT, error="invalid_token_error")
        deployed.finch.faults.add("GET", "/introspect", error="invalid_token_error")
        reply = acme.disconnect()
        assert (reply.status, reply.json["status"]) == (202, "disconnecting")
    assert live_token_ids(deployed)
    deployed.queue.pass_time(10 * MINUTE)
    assert acme.connection()["status"] == "disconnected"
    assert not live_token_ids(deployed)


def test_live_answer_between_two_wrong_answers_resets_a_disconnect(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    for answer in ("dead", "alive", "dead"):
        deployed.finch.faults.add("POST", DISCONNECT, error="invalid_token_error")
        if answer == "dead":
            deployed.finch.faults.add("GET", "/introspect", error="invalid_token_error")
        assert acme.disconnect().json["status"] == "disconnecting"
        # The work item of the disconnect does not run meanwhile.
        deployed.clock.advance(HOUR)
    deployed.queue.drain()
    assert acme.connection()["status"] == "disconnected"
    assert not live_token_ids(deployed)


def test_disconnect_with_a_lost_response_is_finished_after_an_hour(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    acme = Person(deployed, "acme")
    acme.connect(products=["company"])
    acme.connect(products=["directory"])
    deployed.queue.drain()
    deployed.finch.faults.add("POST", DISCONNECT, drop="after_effect")
    assert acme.disconnect().status == 202
    deployed.queue.pass_time(2 * HOUR)
    assert acme.connection()["status"] == "disconnected"
    assert live_token_ids(deployed) == set()
    assert reports(capsys) == set()


def test_connection_that_finch_calls_dead_for_an_hour_is_disconnected(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    [token] = deployed.finch.live_tokens()
    deployed.finch.disconnect(token.access_token)
    assert acme.disconnect().json["status"] == "disconnecting"
    deployed.queue.pass_time(HOUR - MINUTE)
    assert acme.connection()["status"] == "disconnecting"
    deployed.queue.pass_time(HOUR + 10 * MINUTE)
    assert acme.connection()["status"] == "disconnected"
    assert deployed.tables.items(deployed.tables.ownerships) == []


def test_wrong_disconnect_and_introspect_together_do_not_end_a_discard(
    deployed: InProcess,
) -> None:
    Person(deployed, "acme", same_site=False).connect()
    deployed.queue.pass_time(DAY)
    deployed.finch.faults.add("POST", DISCONNECT, error="invalid_token_error")
    # The first introspection is the check before the discard.
    deployed.finch.faults.add("GET", "/introspect", when="before", delay_seconds=0)
    deployed.finch.faults.add("GET", "/introspect", error="invalid_token_error")
    pass_time_until_the_discard(deployed, timedelta())
    assert deployed.finch.faults.waiting() == []
    assert live_token_ids(deployed)
    deployed.queue.pass_time(10 * MINUTE)
    assert phases(deployed) == ["ended"]
    assert not live_token_ids(deployed)


def test_token_held_at_its_confirmation_is_reported_within_minutes(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    acme, globex = Person(deployed, "acme", same_site=False), Person(deployed, "globex")
    landing = acme.connect(login=MAYA)
    deployed.queue.pass_time(10 * MINUTE)
    globex.connect(login=OWEN)
    assert landing.completion
    assert acme.confirm(landing.completion).code == "cannot_connect"
    reports(capsys)
    deployed.queue.pass_time(5 * MINUTE)
    assert Report.TOKEN_HELD in reports(capsys)


# The operator


def held_session_id(deployed: InProcess) -> str:
    deployed.queue.pass_time(2 * HOUR)
    [listed] = operate(deployed, action="list")["result"]["sessions"]
    assert listed["phase"] == "held"
    return str(listed["session"])


def test_operator_attaches_a_held_token_with_the_shown_decision(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    edit = {"set": {"customer_id": "another-customer"}}
    deployed.finch.faults.add("POST", "/auth/token", edit=edit)
    assert acme.come_back(url).outcome == {"error": "cannot_connect"}
    deployed.queue.pass_time(DAY)
    assert acme.connections() == []
    session = held_session_id(deployed)
    assert Report.TOKEN_HELD in reports(capsys)
    seen = operate(deployed, action="attach", session=session)["result"]
    assert (seen["customer_id"], seen["company_id"]) == ("acme", HARBOR_LANE.id)
    assert seen["finch_says"]["status"] == "connected"
    assert acme.connections() == []
    wrong = operate(deployed, action="attach", session=session, decision="0123456789abcdef")
    assert wrong["error"] == "changed"
    done = operate(deployed, action="attach", session=session, decision=seen["decision"])
    assert done["result"]["status"] == "connected"
    assert acme.connection()["status"] == "connected"
    assert deployed.queue.drain()
    assert deployed.queue.waiting() == []
    again = operate(deployed, action="attach", session=session, decision=seen["decision"])
    assert again["error"] == "session_used"


def test_operator_cannot_attach_a_company_of_another_customer(deployed: InProcess) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect(login=MAYA)
    assert globex.connect(login=OWEN).outcome == {"error": "cannot_connect"}
    session = held_session_id(deployed)
    seen = operate(deployed, action="attach", session=session)["result"]
    tried = operate(deployed, action="attach", session=session, decision=seen["decision"])
    assert tried["error"] == "cannot_connect"
    assert globex.connections() == []
    acme.disconnect()
    seen = operate(deployed, action="attach", session=session)["result"]
    done = operate(deployed, action="attach", session=session, decision=seen["decision"])
    assert done["result"]["status"] == "connected"
    assert globex.connection()["status"] == "connected"


def test_operator_sees_affected_customers_before_a_disconnect(
    deployed: InProcess,
) -> None:
    deployed.finch.change_switches(other_login_same_connection=True)
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect(login=MAYA)
    assert globex.connect(login=OWEN).outcome == {"error": "cannot_connect"}
    session = held_session_id(deployed)
    seen = operate(deployed, action="disconnect", session=session)["result"]
    [cut_off] = {str(one) for one in seen["would_be_cut_off"]["connections"]}
    assert "acme" in cut_off
    assert len(live_token_ids(deployed)) == 2
    done = operate(deployed, action="disconnect", session=session, decision=seen["decision"])
    assert done == {"result": {"status": "disconnected"}}
    assert live_token_ids(deployed) == set()
    assert sorted(phases(deployed)) == ["complete", "ended"]
    [record] = [
        row for row in deployed.tables.items(deployed.tables.ownerships) if "holders" in row
    ] or [{}]
    assert record == {}


def test_operator_disconnects_a_token_that_no_other_customer_uses(deployed: InProcess) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect(login=MAYA)
    globex.connect(login=OWEN)
    session = held_session_id(deployed)
    acme.disconnect()
    seen = operate(deployed, action="disconnect", session=session)["result"]
    assert seen["would_be_cut_off"] == {"connections": [], "sessions": []}
    deployed.finch.faults.add("POST", DISCONNECT, status=500)
    tried = operate(deployed, action="disconnect", session=session, decision=seen["decision"])
    assert tried["error"] == "finch_unavailable"
    assert deployed.queue.drain()
    assert live_token_ids(deployed) == set()
    assert deployed.tables.items(deployed.tables.ownerships) == []


@pytest.mark.parametrize(
    "command",
    [
        {},
        {"action": "delete everything"},
        {"action": "list", "limit": 0},
        {"action": "attach"},
        {"action": "retry", "session": "x", "customer_id": "acme"},
    ],
)
def test_invalid_operator_command_is_refused_with_an_example(
    deployed: InProcess, command: Any
) -> None:
    answer = operate(deployed, **command)
    assert answer["error"] == "invalid_request"
    sentence, example = answer["detail"].split("; a valid one is ")
    assert sentence == "This is not a valid command"
    named = command.get("action")
    action = named if named in ("list", "attach", "retry") else "list"
    assert json.loads(example.removesuffix("."))["action"] == action


@pytest.mark.parametrize(
    "command",
    [
        {"action": "end", "customer_id": "CANARY", "provider_id": "gusto", "company_id": "x"},
        {"action": "end", "customer_id": "acme", "provider_id": "CANARY", "company_id": "x"},
        {"action": "end", "customer_id": "acme", "provider_id": "gusto", "company_id": "CANARY"},
        {"action": "end", "customer_id": "CANARY\n", "provider_id": "gusto", "company_id": "x"},
        {"action": "retry", "customer_id": "acme", "provider_id": "gusto", "company_id": "CANARY"},
        {"action": "retry", "session": "CANARY"},
        {"action": "attach", "session": "0" * 64, "decision": "CANARY"},
        {"action": "audit", "customer_id": "CANARY"},
        {"action": "CANARY"},
        {"action": ["CANARY"]},
        {"action": "list", "CANARY": 1},
    ],
)
def test_text_pasted_into_an_operator_command_reaches_no_log(
    deployed: InProcess, command: Any, log: StringIO
) -> None:
    answer = operate(deployed, **command)
    assert "CANARY" not in log.getvalue()
    assert "CANARY" not in json.dumps(answer)


def test_operator_command_for_an_unknown_subject_is_not_found(deployed: InProcess) -> None:
    for action in ("attach", "disconnect", "dismiss", "retry"):
        assert operate(deployed, action=action, session="0" * 64)["error"] == "session_not_found"
    unknown = {"customer_id": "acme", "provider_id": "gusto", "company_id": "x"}
    assert operate(deployed, action="retry", **unknown)["error"] == "connection_not_found"


def test_operator_can_retry_without_waiting_for_the_next_attempt(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    deployed.finch.faults.add("GET", "/introspect", status=500, times=None)
    acme.connect()
    deployed.queue.pass_time(2 * HOUR)
    deployed.finch.faults.clear()
    [listed] = operate(deployed, action="list")["result"]["sessions"]
    operate(deployed, action="retry", session=listed["session"])
    deployed.queue.pass_time(SECOND)
    assert acme.connection()["status"] == "connected"
    deployed.finch.faults.add("POST", DISCONNECT, status=500, times=None)
    assert acme.disconnect().status == 202
    deployed.queue.pass_time(2 * HOUR)
    deployed.finch.faults.clear()
    [listed] = operate(deployed, action="list")["result"]["connections"]
    where = {name: listed[name] for name in ("customer_id", "provider_id", "company_id")}
    operate(deployed, action="retry", **where)
    deployed.queue.pass_time(SECOND)
    assert acme.connection()["status"] == "disconnected"


# Interrupted disconnects


@pytest.mark.parametrize("crash", ["before", "after"])
def test_interrupted_disconnect_is_finished_by_the_queue(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch, crash: str
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    real = FinchClient.disconnect

    def dying(finch: FinchClient, token: Any) -> None:
        if crash == "after":
            real(finch, token)
        raise Killed

    with monkeypatch.context() as killing:
        killing.setattr(FinchClient, "disconnect", dying)
        with pytest.raises(Killed):
            acme.disconnect()
    assert acme.connection()["status"] == "disconnecting"
    deployed.queue.drain()
    assert acme.connection()["status"] == "disconnected"
    assert live_token_ids(deployed) == set()


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "ThrottlingException"}}, "Decrypt"),
        EndpointConnectionError(endpoint_url="https://kms.eu-west-1.amazonaws.com"),
    ],
    ids=["refused", "not reached"],
)
@pytest.mark.parametrize(
    ("owner", "step", "nth"),
    [(TokenVault, "decrypt_stored", 1), (ConnectionTable, "write", 2)],
    ids=["decrypt", "write"],
)
def test_disconnect_during_an_aws_failure_is_accepted_and_finished_later(
    deployed: InProcess,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    step: str,
    nth: int,
    error: Exception,
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    calls, real = [], getattr(owner, step)

    def failing(*arguments: Any, **named: Any) -> Any:
        calls.append(arguments)
        if len(calls) == nth:
            raise error
        return real(*arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(owner, step, failing)
        reply = acme.disconnect()
    assert (reply.status, reply.json["status"]) == (202, "disconnecting")
    # On a slow machine, the look after an hour can come seconds too early to confirm a dead token.
    deployed.queue.pass_time(3 * HOUR)
    assert acme.connection()["status"] == "disconnected"
    assert live_token_ids(deployed) == set()


def test_disconnect_while_finch_is_down_ends_when_finch_is_back(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=TALLY, company_id=HARBOR_LANE.id)
    acme.connect(login=TALLY, company_id=JUNIPER_VALE.id)
    deployed.finch.faults.add("POST", DISCONNECT, status=502, times=None)
    for _ in range(3):
        assert acme.disconnect().status == 202
    deployed.queue.pass_time(10 * DAY)
    assert "unfinished" in reports(capsys)
    assert acme.connection()["status"] == "disconnecting"
    assert len(live_token_ids(deployed)) == 2
    deployed.finch.faults.clear()
    deployed.queue.drain()
    assert acme.connection()["status"] == "disconnected"
    assert acme.connection(company_id=JUNIPER_VALE.id)["status"] == "connected"


def test_disconnect_refused_for_days_gives_the_connection_back(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=MAYA)
    acme.connect(login=OWEN)
    first, second = acme.connection()["logins"]
    deployed.finch.faults.add("POST", DISCONNECT, error="error_permissions", times=None)
    assert acme.disconnect().status == 202
    deployed.finch.faults.clear()
    refusing = deployed.finch.faults

    def refuse_the_second() -> None:
        refusing.add("POST", DISCONNECT, when="before", delay_seconds=0)
        refusing.add("POST", DISCONNECT, error="error_permissions", times=None)

    refuse_the_second()
    deployed.queue.pass_time(3 * DAY - HOUR)
    assert acme.connection()["status"] == "disconnecting"
    deployed.queue.pass_time(8 * HOUR)
    shown = acme.connection()
    assert (shown["status"], shown["problem"]) == ("reauth", "disconnect_refused")
    assert [login["id"] for login in shown["logins"]] == [second["id"]]
    assert first["connection_id"] != second["connection_id"]
    owned = {row["owned_id"]["S"] for row in deployed.tables.items(deployed.tables.ownerships)}
    assert f"connection#{second['connection_id']}" in owned
    assert f"connection#{first['connection_id']}" not in owned
    assert "disconnect_refused" in reports(capsys)
    [listed] = operate(deployed, action="list")["result"]["connections"]
    assert listed["problem"] == "disconnect_refused"
    # The customer connects again, and then Finch allows the disconnect.
    refusing.clear()
    acme.connect(login=OWEN)
    assert acme.connection()["problem"] is None
    assert acme.disconnect().status == 200
    assert live_token_ids(deployed) == set()


def test_unfinished_disconnect_is_tried_once_an_hour_despite_earlier_webhooks(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    deployed.finch.faults.add("POST", DISCONNECT, status=500, times=None)
    assert acme.disconnect().status == 202
    [token] = deployed.finch.live_tokens()
    for _ in range(6):
        deployed.finch.set_connection_status(token.connection_id, "connected")
        deployed.deliver_webhooks()
        deployed.queue.pass_time(7 * MINUTE)
    deployed.queue.pass_time(2 * HOUR)
    before = deployed.finch.requests.count("POST", DISCONNECT)
    deployed.queue.pass_time(10 * HOUR)
    assert 9 <= deployed.finch.requests.count("POST", DISCONNECT) - before <= 10
    assert deployed.queue.waiting() == []
    deployed.finch.faults.clear()
    deployed.queue.pass_time(HOUR + MINUTE)
    assert acme.connection()["status"] == "disconnected"
    assert deployed.queue.waiting() == []


def test_late_work_item_does_not_change_a_newer_connection(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add("POST", DISCONNECT, status=500)
    acme.disconnect()
    deployed.clock.advance(2 * MINUTE)
    assert deployed.invoke
    deployed.invoke("schedule_checks", {})
    assert len(deployed.queue.waiting()) == 1
    assert acme.disconnect().status == 200
    assert acme.connect().outcome["status"] == "connected"
    [login] = acme.connection()["logins"]
    while deployed.queue.deliver(twice=True) or deployed.queue.waiting():
        deployed.queue.drain()
    assert acme.connection()["status"] == "connected"
    assert live_token_ids(deployed) == {login["id"]}


# The queue


def test_invalid_message_goes_to_the_dead_letter_queue(deployed: InProcess, log: StringIO) -> None:
    sqs = boto3.client("sqs")
    for body in ("{}", '{"session": 1}', '{"customer_id": "acme"}'):
        sqs.send_message(QueueUrl=deployed.queue.url, MessageBody=body)
    acme = Person(deployed, "acme")
    deployed.finch.faults.add("GET", "/introspect", status=500)
    acme.connect()
    deployed.queue.pass_time(2 * HOUR)
    assert len(deployed.queue.dead()) == 3
    assert log.getvalue().count("message failed") == 3 * 5
    assert deployed.queue.waiting() == []
    assert acme.connection()["status"] == "connected"


def test_interrupted_callback_and_disconnect_finish_after_the_queue_was_unreachable(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=TALLY, company_id=JUNIPER_VALE.id)
    url = acme.log_in(acme.click(acme.link()), login=MAYA)

    def without_queue(call: Call, send: Callable[[], Any]) -> Any:
        if call.service == "sqs":
            raise EndpointConnectionError(endpoint_url="https://sqs.example.com")
        return send()

    deployed.border.guard = without_queue
    deployed.finch.faults.add("GET", "/introspect", status=500)
    assert acme.come_back(url).outcome["status"] == "pending"
    deployed.finch.faults.add("POST", DISCONNECT, status=500)
    assert acme.disconnect(company_id=JUNIPER_VALE.id).status == 202
    deployed.queue.pass_time(HOUR)
    assert acme.connection(company_id=JUNIPER_VALE.id)["status"] == "disconnecting"
    deployed.border.open()
    deployed.queue.drain()
    assert acme.connection()["status"] == "connected"
    assert acme.connection(company_id=JUNIPER_VALE.id)["status"] == "disconnected"


def test_unreachable_finch_leaves_no_work_item(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    with monkeypatch.context() as down:

        def unreachable(*_: Any, **__: Any) -> Any:
            raise NotReached

        down.setattr(FinchClient, "call", unreachable)
        assert acme.come_back(url).outcome == {"error": "finch_unavailable"}
        assert deployed.queue.drain()
        assert deployed.queue.waiting() == []
    assert acme.come_back(url).outcome["status"] == "connected"
