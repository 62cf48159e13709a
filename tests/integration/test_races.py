"""Concurrent requests: a write condition decides each race, and the loser reads again."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from finch_connections.aws import connection_table, ownership_table, session_table
from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.dynamodb import Conflict, write_together
from finch_connections.aws.ownership_table import OwnershipTable
from finch_connections.aws.session_table import SessionTable
from finch_connections.aws.token_vault import TokenVault
from finch_connections.aws.work_queue import WorkQueue
from finch_connections.domain import connect_session
from finch_connections.domain.connect_session import (
    Complete,
    ConnectSession,
    Escrow,
    Escrowed,
    Exchanging,
    Started,
)
from finch_connections.domain.connection import CompanyKey, disconnecting
from finch_connections.domain.ownership import Ownership
from finch_connections.domain.secret import SecretText
from finch_connections.domain.token_response import TokenResponse
from finch_connections.domain.work_item import SessionSubject, WorkItem
from finch_connections.finch.client import FinchClient
from finch_connections.use_cases import disconnect as disconnecting_flow
from finch_connections.use_cases import finish_connect, process_work
from finch_connections.use_cases.process_work import Report
from functions.process_work.handler import _services as process_work_services
from local.fake_finch.seed_world import HARBOR_LANE, MAYA, OWEN
from tests.integration.test_operating import erase, kept
from tests.support.deployed import Deployed
from tests.support.in_process import InProcess
from tests.support.invariants import ConnectionHistory, broken
from tests.support.metrics import outcomes
from tests.support.person import Landing, Person, without_state
from tests.unit.test_session_table import ENTRY

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def before_once(
    monkeypatch: pytest.MonkeyPatch, owner: object, method: str, act: Callable[[], Any]
) -> None:
    """Calls `act` right before the next call of a method, like a concurrent request."""
    real = getattr(owner, method)
    acts = [act]

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        if acts:
            acts.pop()()
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, method, interrupted)


def only_session(deployed: Deployed) -> ConnectSession:
    [item] = deployed.tables.all_sessions()
    session = session_table.from_settings().get(item["handle_hash"]["S"])
    assert session is not None
    return session


def test_many_identical_callbacks_exchange_once_and_get_one_outcome(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finish_connect, "WAIT_SECONDS", 0.01)
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    landings = acme.come_back_in_tabs(url, 24)
    assert landings[0].outcome["status"] == "connected"
    assert len({str(landing) for landing in landings}) == 1
    assert deployed.finch.requests.count("POST", "/auth/token") == 1
    assert len(acme.connection()["logins"]) == 1


def test_second_callback_waits_and_is_pending_while_the_first_runs(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    second: list[Landing] = []
    waits: list[float] = []

    def reload_in_the_middle() -> None:
        # The first callback has consumed the code, but has no response yet. The reload waits in vain.
        monkeypatch.setattr("time.sleep", waits.append)
        second.append(acme.come_back(url))

    before_once(monkeypatch, SessionTable, "escrow", reload_in_the_middle)
    assert acme.come_back(url).outcome["status"] == "connected"
    assert second[0].outcome == {"status": "pending"}
    assert 10 < sum(waits) < 25
    assert deployed.finch.requests.count("POST", "/auth/token") == 1


def test_interrupted_exchange_becomes_uncertain_and_is_not_waited_for(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    waits: list[float] = []

    def killed(*_: Any) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as crash:
        crash.setattr(TokenVault, "encrypt_escrow", killed)
        crash.setattr("time.sleep", waits.append)
        with pytest.raises(KeyboardInterrupt):
            acme.browser.navigate(url)
        assert acme.come_back(url).outcome == {"status": "pending"}
        assert waits
        waits.clear()
        deployed.tables.age_sessions(connect_session.EXCHANGE_LIMIT)
        assert acme.come_back(url).outcome == {"error": "exchange_uncertain"}
        another = url.replace("code=", "code=x")
        assert acme.come_back(another).outcome == {"error": "session_used"}
    assert waits == []
    assert deployed.finch.requests.count("POST", "/auth/token") == 1


def test_right_code_that_waited_too_long_is_pending_and_succeeds_later(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = Person(deployed, "acme")
    page = acme.click(acme.link())
    true = acme.log_in(page)
    landings: list[Landing] = []
    monkeypatch.setattr("time.sleep", lambda _: None)
    before_once(monkeypatch, SessionTable, "reject", lambda: landings.append(acme.come_back(true)))
    acme.come_back(f"/callback?code=made-up&state={page.state}")
    assert landings[0].outcome == {"status": "pending"}
    assert acme.come_back(true).outcome["status"] == "connected"


def test_two_logins_attached_at_the_same_moment_are_both_stored(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = Person(deployed, "acme")
    first = acme.log_in(acme.click(acme.link()), login=MAYA)
    second = acme.log_in(acme.click(acme.link()), login=OWEN)
    before_once(monkeypatch, SessionTable, "complete", lambda: acme.come_back(second))
    assert acme.come_back(first).outcome["status"] == "connected"
    assert len(acme.connection()["logins"]) == 2
    assert len(deployed.finch.live_tokens()) == 2


def test_two_customers_connecting_one_company_at_once_do_not_share_it(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme_callback = acme.log_in(acme.click(acme.link()), login=MAYA)
    globex_callback = globex.log_in(globex.click(globex.link()), login=OWEN)
    before_once(monkeypatch, SessionTable, "complete", lambda: globex.come_back(globex_callback))
    assert acme.come_back(acme_callback).outcome == {"error": "cannot_connect"}
    assert acme.connections() == []
    assert len(globex.connections()) == 1


def test_disconnect_that_begins_during_an_attach_makes_it_wait(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=MAYA)
    url = acme.log_in(acme.click(acme.link()), login=OWEN)
    deployed.finch.faults.add("POST", "/disconnect", status=500)
    before_once(monkeypatch, SessionTable, "complete", acme.disconnect)
    assert acme.come_back(url).outcome["status"] == "pending"
    assert acme.disconnect().status == 200
    assert acme.come_back(url).outcome["status"] == "connected"
    assert len(deployed.finch.live_tokens()) == 1


def test_disconnect_between_introspection_and_write_is_detected(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = Person(deployed, "acme")
    acme.connect(products=["company"])
    url = acme.log_in(acme.click(acme.link()), products=["directory"])
    before_once(monkeypatch, TokenVault, "encrypt_stored", acme.disconnect)
    assert acme.come_back(url).outcome == {"error": "connection_ended"}
    assert acme.connection()["status"] == "disconnected"
    [session] = [one for one in deployed.tables.all_sessions() if "escrow" in one]
    [record] = deployed.tables.items(deployed.tables.ownerships)
    assert record["holders"]["SS"] == [session["handle_hash"]["S"]]


def test_overtaken_disconnect_does_not_end_the_next_connection(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()

    def ended_and_connected_again() -> None:
        assert acme.disconnect().status == 200
        assert acme.connect().outcome["status"] == "connected"

    before_once(monkeypatch, FinchClient, "disconnect", ended_and_connected_again)
    overtaken = acme.disconnect()
    assert (overtaken.status, overtaken.json["status"]) == (200, "connected")
    [login] = acme.connection()["logins"]
    assert [token.id for token in deployed.finch.live_tokens()] == [login["id"]]


def test_right_code_waits_while_a_wrong_code_is_exchanged(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = Person(deployed, "acme")
    page = acme.click(acme.link())
    true = acme.log_in(page)
    landings: list[Landing] = []
    real = SessionTable.reject

    def interrupted(*rejected: Any) -> None:
        # While the real code waits, the wrong code is rejected.
        monkeypatch.setattr("time.sleep", lambda _: real(*rejected))
        landings.append(acme.come_back(true))

    monkeypatch.setattr(SessionTable, "reject", interrupted)
    wrong = acme.come_back(f"/callback?code=made-up&state={page.state}")
    assert wrong.outcome == {"error": "code_rejected"}
    assert landings[0].outcome["status"] == "connected"


@pytest.mark.parametrize("bound", [True, False], ids=["bound", "unbound"])
def test_second_code_that_arrives_during_the_exchange_ends_with_the_first(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, bound: bool
) -> None:
    """The completion code is only for the browser that returned with the first code."""
    acme = Person(deployed, "acme", same_site=bound)
    page = acme.click(acme.link())
    first, second = acme.log_in(page), acme.log_in(page, login=OWEN)
    landings: list[Landing] = []
    kept: list[Escrowed] = []
    real = SessionTable.escrow

    def interrupted(*escrow: Any) -> Escrowed:
        # While the second code waits, the token of the first is kept.
        monkeypatch.setattr("time.sleep", lambda _: kept.append(real(*escrow)))
        landings.append(acme.come_back(second))
        return kept[0]

    monkeypatch.setattr(SessionTable, "escrow", interrupted)
    outcome = acme.come_back(first).outcome
    assert outcome["status"] == ("connected" if bound else "confirm")
    assert landings[0].outcome == (outcome if bound else {"error": "session_used"})
    assert landings[0].completion is None
    assert deployed.finch.requests.count("POST", "/auth/token") == 1


def test_repeated_write_is_recognized_as_our_own(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """botocore repeats a request when its response was lost."""
    client = session_table.from_settings().client
    once = client.update_item

    def twice(**arguments: Any) -> Any:
        once(**arguments)
        return once(**arguments)

    monkeypatch.setattr(client, "update_item", twice)
    acme = Person(deployed, "acme", same_site=False)
    landing = acme.connect()
    assert landing.outcome["status"] == "confirm"
    assert landing.completion
    assert acme.confirm(landing.completion).json["status"] == "connected"
    url = acme.log_in(acme.click(acme.link()), provider_id="justworks")
    deployed.finch.faults.add("POST", "/auth/token", error="rate_limit_exceeded_error")
    assert acme.come_back(url).outcome == {"error": "finch_unavailable"}
    assert acme.come_back(url).outcome["status"] == "confirm"


def test_late_repetition_of_a_write_does_not_undo_another_request(deployed: Deployed) -> None:
    """Another request has consumed the session before the first request's write is repeated."""
    acme = Person(deployed, "acme")
    acme.link()
    sessions, session = session_table.from_settings(), only_session(deployed)
    assert isinstance(session, Started)
    code, now = SecretText("code"), session.attempt.created_at
    first = sessions.consume(session, code, now, browser_bound=True)
    sessions.give_back(first, ENTRY)
    sessions.consume(session, code, now, browser_bound=True)
    with pytest.raises(Conflict):
        sessions.give_back(first, ENTRY)


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        ("update_item", "TransactionConflictException"),
        ("transact_write_items", "TransactionConflict"),
        # botocore retries throttled calls, but not a transaction that was cancelled for its throttled items.
        ("transact_write_items", "ThrottlingError"),
        ("transact_write_items", "ProvisionedThroughputExceeded"),
    ],
)
def test_write_is_retried_during_a_conflicting_transaction_or_a_throttle(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, operation: str, reason: str
) -> None:
    """Otherwise a conflict or a throttle could make us lose a new token."""
    client = session_table.from_settings().client
    response: Any = {"Error": {"Code": reason}}
    if operation == "transact_write_items":
        response = {
            "Error": {"Code": "TransactionCanceledException"},
            "CancellationReasons": [{"Code": "None"}, {"Code": reason}],
        }
    real = getattr(client, operation)
    refusals = [ClientError(response, operation) for _ in range(3)]
    pauses: list[float] = []

    def write(**arguments: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return real(**arguments)

    acme = Person(deployed, "acme")
    monkeypatch.setattr(client, operation, write)
    monkeypatch.setattr("time.sleep", pauses.append)
    assert acme.connect().outcome["status"] == "connected"
    assert len(pauses) == 3


def test_login_attached_just_before_a_disconnect_is_ended_with_it(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=MAYA)
    url = acme.log_in(acme.click(acme.link()), login=OWEN)
    before_once(monkeypatch, ConnectionTable, "write", lambda: acme.come_back(url))
    assert acme.disconnect().status == 200
    assert deployed.finch.live_tokens() == []
    assert acme.connection()["logins"] == []


def test_confirmation_during_the_look_is_continued_although_its_work_item_is_lost(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = Person(deployed, "acme", same_site=False)
    landing = acme.connect()

    def confirm() -> None:
        deployed.finch.faults.add("GET", "/introspect", status=500)
        assert landing.completion
        with monkeypatch.context() as lost:
            lost.setattr(WorkQueue, "send", lambda *_: None)
            assert acme.confirm(landing.completion).status == 202

    before_once(monkeypatch, SessionTable, "await_confirmation", confirm)
    deployed.queue.pass_time(17 * MINUTE)
    assert acme.connection()["status"] == "connected"


def test_two_disconnects_at_the_same_moment_both_succeed(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    before_once(monkeypatch, ConnectionTable, "write", acme.disconnect)
    assert acme.disconnect().json["status"] == "disconnected"
    assert deployed.finch.live_tokens() == []


def test_stale_write_changes_nothing(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    table = connection_table.from_settings()
    stale = table.get("acme", CompanyKey("gusto", HARBOR_LANE.id))
    assert stale is not None
    acme.connect(login=OWEN)
    before = acme.connection()
    with pytest.raises(Conflict):
        table.write(disconnecting(stale, stale.updated_at))
    assert acme.connection() == before


def test_session_changes_only_from_the_phase_that_was_read(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    sessions, session = session_table.from_settings(), only_session(deployed)
    before = deployed.tables.all_sessions()
    assert isinstance(session, Complete)
    escrow = Escrow(b"", TokenResponse(), state_echoed=True, browser_bound=True)
    exchanging = Exchanging(session.attempt, session.consumption)
    escrowed = Escrowed(session.attempt, session.consumption, escrow)
    moves: list[Callable[[], None]] = [
        lambda: sessions.give_back(exchanging, ENTRY),
        lambda: sessions.hold(escrowed, "cannot_connect", deployed.clock.now),
        lambda: sessions.uncertain(exchanging, deployed.clock.now),
        # The types allow no move from a final phase. The table refuses the move too.
        lambda: sessions.bind(session, deployed.clock.now),  # type: ignore[arg-type]
    ]
    for move in moves:
        with pytest.raises(Conflict):
            move()
    assert deployed.tables.all_sessions() == before


# Unconfirmed repairs at a Finch that revokes the earlier tokens


@pytest.fixture
def revoking(deployed: InProcess) -> InProcess:
    """Finch revokes a connection's tokens when its user logs in again."""
    deployed.finch.change_switches(reauth_kills_old_tokens=True)
    return deployed


def repair_without_confirmation(deployed: InProcess) -> Person:
    """Makes a connection whose only live token is in an unconfirmed repair."""
    same_site, other_site = Person(deployed, "acme"), Person(deployed, "acme", same_site=False)
    same_site.connect()
    deployed.queue.drain()
    assert other_site.repair().outcome["status"] == "confirm"
    assert len(deployed.finch.live_tokens()) == 1
    return same_site


def test_unconfirmed_repair_with_the_only_live_token_is_held(
    revoking: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    same_site = repair_without_confirmation(revoking)
    assert revoking.invoke is not None
    shown = []
    for _ in range(30):
        revoking.queue.pass_time(HOUR)
        revoking.invoke("schedule_checks", {})
        shown.append(same_site.connection()["status"])
    # The customer can repair the connection. It is not disconnected.
    assert set(shown) == {"connected", "reauth"}
    assert set(shown[24:]) == {"reauth"}
    assert [one["phase"]["S"] for one in revoking.tables.all_sessions() if "escrow" in one] == [
        "held"
    ]
    assert Report.TOKEN_HELD in outcomes(capsys.readouterr().out, "process_work")
    assert len(revoking.finch.live_tokens()) == 1


def test_disconnect_ends_the_token_of_an_unconfirmed_repair(
    revoking: InProcess,
) -> None:
    same_site = repair_without_confirmation(revoking)
    reply = same_site.disconnect()
    assert (reply.status, reply.json["status"]) == (202, "disconnecting")
    revoking.queue.pass_time(10 * MINUTE)
    assert same_site.connection()["status"] == "disconnected"
    assert revoking.finch.live_tokens() == []
    revoking.queue.pass_time(2 * DAY)
    assert same_site.connection()["status"] == "disconnected"
    assert not [one for one in revoking.tables.all_sessions() if "escrow" in one]


def test_disconnect_ends_a_pending_repair(revoking: InProcess) -> None:
    same_site = Person(revoking, "acme")
    same_site.connect()
    revoking.queue.drain()
    revoking.finch.faults.add("GET", "/introspect", status=500)
    assert same_site.repair().outcome["status"] == "pending"
    assert same_site.disconnect().status == 202
    revoking.queue.pass_time(DAY)
    assert same_site.connection()["status"] == "disconnected"
    assert revoking.finch.live_tokens() == []


@pytest.mark.parametrize("tab", [False, True], ids=["alone", "connect in another tab, no state"])
def test_disconnect_after_a_repair_with_a_lost_response_is_not_finished(
    revoking: InProcess, tab: bool
) -> None:
    same_site = Person(revoking, "acme")
    same_site.connect()
    revoking.queue.drain()
    revoking.finch.faults.add("POST", "/auth/token", drop="after_effect")
    url = same_site.log_in(same_site.click(same_site.repair_link()))
    if tab:
        # Without a state, the code could also belong to this tab.
        same_site.click(same_site.link())
        url = without_state(url)
    assert same_site.come_back(url).outcome == {"error": "exchange_uncertain"}
    assert same_site.disconnect().json["status"] == "disconnecting"
    revoking.queue.pass_time(4 * DAY)
    assert (same_site.connection()["status"], same_site.connection()["problem"]) == (
        "reauth",
        "disconnect_refused",
    )
    # The customer follows the instruction: log in again, then disconnect again.
    assert same_site.repair().outcome["status"] == "connected"
    assert same_site.disconnect().json["status"] == "disconnected"
    assert revoking.finch.live_tokens() == []


def test_dismissed_uncertain_repair_no_longer_blocks_the_disconnect(revoking: InProcess) -> None:
    same_site = Person(revoking, "acme")
    same_site.connect()
    revoking.queue.drain()
    revoking.finch.faults.add("POST", "/auth/token", drop="after_effect")
    assert same_site.repair().outcome == {"error": "exchange_uncertain"}
    [session] = [one for one in revoking.tables.all_sessions() if one["phase"]["S"] == "uncertain"]
    assert revoking.invoke is not None
    dismissed = {"action": "dismiss", "session": session["handle_hash"]["S"]}
    assert "result" in revoking.invoke("resolve_unfinished", dismissed)
    # Finch revoked the only token that is kept, and must repeat that it is dead.
    assert same_site.disconnect().json["status"] == "disconnecting"
    revoking.queue.pass_time(2 * HOUR)
    assert same_site.connection()["status"] == "disconnected"
    assert not revoking.tables.items(revoking.tables.ownerships)


def test_erasure_ends_a_connection_with_an_unconfirmed_token(
    revoking: InProcess,
) -> None:
    repair_without_confirmation(revoking)
    assert erase(revoking) == []
    assert revoking.finch.live_tokens() == []
    assert not any(kept(revoking).values())


def test_two_tokens_with_the_same_id_are_both_kept(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.finch.change_switches(one_connection_per_customer_id=False)
    acme = Person(deployed, "acme")
    acme.connect(login=MAYA)
    [login] = acme.connection()["logins"]
    deployed.finch.faults.add("GET", "/introspect", edit={"set": {"id": login["id"]}})
    assert acme.connect(login=OWEN).outcome == {"error": "cannot_connect"}
    deployed.queue.drain()
    assert [one["id"] for one in acme.connection()["logins"]] == [login["id"]]
    assert [one["phase"]["S"] for one in deployed.tables.all_sessions() if "escrow" in one] == [
        "held"
    ]


# Two processes decide at the same moment


def process_concurrently(deployed: InProcess, handle_hash: str) -> None:
    """Processes a session's work item as another process does at the same moment."""
    now = deployed.clock.now
    process_work.process(
        WorkItem(SessionSubject(handle_hash), now),
        now=now,
        services=process_work_services(),
    )


def test_last_of_several_unconfirmed_tokens_ends_their_connection(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_site = Person(deployed, "acme", same_site=False)
    for _ in range(3):
        other_site.connect()
    waiting = [one["handle_hash"]["S"] for one in deployed.tables.all_sessions()]
    real = OwnershipTable.leaving

    def leaving(ownerships: OwnershipTable, connection_ids: Any, handle_hash: str) -> Any:
        # Each process sees another live token before any token is dropped.
        if waiting:
            process_concurrently(deployed, waiting.pop())
        return real(ownerships, connection_ids, handle_hash)

    monkeypatch.setattr(OwnershipTable, "leaving", leaving)
    deployed.clock.advance(DAY)
    process_concurrently(deployed, waiting.pop())
    monkeypatch.undo()
    assert broken(deployed, ConnectionHistory(), at_rest=False) == []
    deployed.queue.pass_time(2 * DAY)
    assert deployed.finch.live_tokens() == []
    assert deployed.tables.items(deployed.tables.ownerships) == []


def test_confirmation_just_before_the_discard_prevents_it(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_site = Person(deployed, "acme", same_site=False)
    landing = other_site.connect()
    assert landing.completion

    def confirm() -> None:
        deployed.finch.faults.add("GET", "/introspect", status=500)
        assert other_site.confirm(str(landing.completion)).json["status"] == "pending"

    before_once(monkeypatch, SessionTable, "discard", confirm)
    deployed.queue.pass_time(DAY + HOUR)
    assert other_site.connection()["status"] == "connected"
    assert len(deployed.finch.live_tokens()) == 1


def test_token_whose_company_another_discard_locks_is_tried_a_few_times_an_hour(
    deployed: InProcess,
) -> None:
    Person(deployed, "acme", same_site=False).connect(login=MAYA)
    Person(deployed, "globex", same_site=False).connect(login=OWEN)
    # The lock stays, because Finch may have ended the connection.
    deployed.finch.faults.add("POST", "/disconnect", drop="before_effect", times=None)
    deployed.queue.pass_time(DAY + 2 * HOUR)
    looked = deployed.finch.requests.count("GET", "/introspect")
    deployed.queue.pass_time(HOUR)
    assert deployed.finch.requests.count("GET", "/introspect") - looked <= 4
    deployed.finch.faults.clear()
    deployed.queue.drain()
    assert deployed.finch.live_tokens() == []


def test_disconnect_while_a_token_is_stored_ends_only_the_earlier_login(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    url = acme.log_in(acme.click(acme.link()), login=OWEN)
    # The callback reads the connection before it stores the token in escrow.
    monkeypatch.setattr(deployed.border.background, "at_once", True)
    before_once(monkeypatch, TokenVault, "encrypt_escrow", acme.disconnect)
    assert acme.come_back(url).outcome["status"] == "connected"
    [token] = deployed.finch.live_tokens()
    assert [login["id"] for login in acme.connection()["logins"]] == [token.id]


def test_company_and_connection_under_discard_cannot_be_taken(deployed: InProcess) -> None:
    Person(deployed, "acme", same_site=False).connect()
    deployed.finch.faults.add("POST", "/disconnect", status=500, times=None)
    deployed.queue.pass_time(DAY + MINUTE)
    ownerships, key = ownership_table.from_settings(), CompanyKey("gusto", HARBOR_LANE.id)
    [session] = deployed.tables.all_sessions()
    connection_id = session["escrow"]["M"]["connection_id"]["S"]
    before = deployed.tables.items(deployed.tables.ownerships)
    assert [one["discarding"] for one in before] == [session["handle_hash"]] * 2
    for wanted in (
        Ownership.of_company("globex", key),
        Ownership.of_connection_id(connection_id, "globex", key),
    ):
        with pytest.raises(Conflict):
            write_together(ownerships.client, [ownerships.taking(wanted)])
    assert deployed.tables.items(deployed.tables.ownerships) == before


def test_discard_cannot_lock_a_connection_that_another_session_holds(deployed: InProcess) -> None:
    for _ in range(2):
        Person(deployed, "acme", same_site=False).connect()
    ownerships, key = ownership_table.from_settings(), CompanyKey("gusto", HARBOR_LANE.id)
    sessions = deployed.tables.all_sessions()
    [connection_id] = {one["escrow"]["M"]["connection_id"]["S"] for one in sessions}
    for session in sessions:
        locks = ownerships.discarding(connection_id, key, session["handle_hash"]["S"])
        with pytest.raises(Conflict):
            write_together(ownerships.client, locks)
    [record] = deployed.tables.items(deployed.tables.ownerships)
    assert "discarding" not in record


def test_disconnect_also_ends_a_token_stored_during_it(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Applies to a Finch that revokes older tokens at each login. The new token is stored a moment later."""
    deployed.finch.change_switches(login_kills_old_tokens=True)
    acme, again = Person(deployed, "acme"), Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    real = SessionTable.escrow
    replies = []

    def escrow(table: SessionTable, *arguments: Any) -> ConnectSession:
        kept_now: list[ConnectSession] = []
        with monkeypatch.context() as patched:
            patched.setattr(SessionTable, "escrow", real)
            assert acme.disconnect().json["status"] == "disconnecting"
            deployed.clock.advance(HOUR)
            keep = partial(real, table, *arguments)
            before_once(
                patched, disconnecting_flow, "disconnected", lambda: kept_now.append(keep())
            )
            replies.append(acme.disconnect())
        [session] = kept_now
        return session

    monkeypatch.setattr(SessionTable, "escrow", escrow)
    # The callback takes longer than API Gateway waits.
    returned = again.log_in(again.click(again.link()))
    assert again.browser.navigate(returned).status == 503
    monkeypatch.undo()
    assert (replies[0].status, replies[0].json["status"]) == (202, "disconnecting")
    deployed.queue.pass_time(DAY)
    assert acme.connection()["status"] == "disconnected"
    assert deployed.finch.live_tokens() == []


def test_disconnect_after_days_of_refusals_gives_disconnect_refused(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add("POST", "/disconnect", error="insufficient_scope_error", times=None)
    assert acme.disconnect().status == 202
    deployed.clock.advance(3 * DAY)
    refused = acme.disconnect()
    assert (refused.status, refused.code) == (409, "disconnect_refused")
    shown = acme.connection()
    assert (shown["status"], shown["problem"]) == ("reauth", "disconnect_refused")
    deployed.finch.faults.clear()
    assert acme.disconnect().json["status"] == "disconnected"


def test_operators_disconnect_of_a_held_token_is_finished_after_a_refusal(
    deployed: InProcess,
) -> None:
    other_site, same_site = Person(deployed, "acme", same_site=False), Person(deployed, "acme")
    other_site.connect(login=MAYA)
    deployed.finch.faults.add("POST", "/disconnect", error="insufficient_scope_error", times=None)
    deployed.queue.pass_time(5 * DAY)
    deployed.finch.faults.clear()
    assert deployed.invoke is not None
    [listed] = deployed.invoke("resolve_unfinished", {"action": "list"})["result"]["sessions"]
    assert listed["phase"] == "held"
    # In the meantime the customer has connected the company. Finch refuses the disconnect once more.
    assert same_site.connect(login=OWEN).outcome["status"] == "connected"
    command = {"action": "disconnect", "session": listed["session"]}
    seen = deployed.invoke("resolve_unfinished", command)["result"]
    deployed.finch.faults.add("POST", "/disconnect", error="insufficient_scope_error")
    tried = deployed.invoke("resolve_unfinished", command | {"decision": seen["decision"]})
    assert tried["error"] == "finch_refused"
    deployed.queue.pass_time(DAY)
    assert sorted(one["phase"]["S"] for one in deployed.tables.all_sessions()) == [
        "complete",
        "ended",
    ]
    assert same_site.connection()["status"] == "connected"
    assert broken(deployed, ConnectionHistory(), at_rest=True) == []


def test_work_item_retried_by_the_operator_is_not_skipped(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect()
    assert globex.connect().outcome == {"error": "cannot_connect"}
    deployed.queue.pass_time(2 * HOUR)
    [held] = [one for one in deployed.tables.all_sessions() if "escrow" in one]
    deployed.queue.clear()
    capsys.readouterr()
    command = {"action": "retry", "session": held["handle_hash"]["S"]}
    assert deployed.invoke is not None
    assert "result" in deployed.invoke("resolve_unfinished", command)
    deployed.queue.pass_time(MINUTE)
    assert Report.TOKEN_HELD in outcomes(capsys.readouterr().out, "process_work")
