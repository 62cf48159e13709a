"""A disconnect of an entity is finished in any case, and a connection without living entities is not read."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.token_vault import TokenVault
from finch_connections.domain import connection as rules
from finch_connections.finch.client import FinchClient
from finch_connections.use_cases import disconnect as use_case
from local.fake_finch.seed_world import MAYA, NORTHFOLD, TALLY
from tests.acceptance.test_disconnect_entity import ENTITY, at_finch, connected, end, shown
from tests.integration.test_health import request_check
from tests.integration.test_process_work import Killed, kill, operate, reports
from tests.integration.test_races import before_once
from tests.support.in_process import Call, InProcess
from tests.support.invariants import ConnectionHistory, broken
from tests.support.person import Person

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
KEY = rules.CompanyKey("gusto", NORTHFOLD.id)


def connection_of(person: Person) -> Any:
    return person.connection(company_id=NORTHFOLD.id)


def finch_ends(deployed: InProcess, *entity_ids: str) -> None:
    """Finch ends entities without our request."""
    [token] = deployed.finch.live_tokens()
    deployed.finch.disconnect_entities(token.access_token, entity_ids)


def ask(deployed: InProcess, function: str) -> Any:
    assert deployed.invoke
    event = {"customer_id": "acme", "provider_id": "gusto", "company_id": NORTHFOLD.id}
    if function == "vend_token":
        event |= {"products": ["directory"], "purpose": "a test", "caller": "test"}  # type: ignore[dict-item]
    return deployed.invoke(function, event)


# Finished in any case


def test_disconnect_of_an_entity_while_finch_is_down_ends_when_finch_is_back(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    acme, [first, *others] = connected(deployed, "acme")
    deployed.queue.drain()
    deployed.finch.faults.add("*", "*", status=502, times=None)
    assert end(acme, first).status == 202
    deployed.queue.pass_time(2 * DAY)
    assert "unfinished" in reports(capsys)
    assert shown(acme)[first] == "disconnecting"
    deployed.finch.faults.clear()
    deployed.queue.pass_time(7 * HOUR)
    assert shown(acme) == {first: "disconnected", **dict.fromkeys(others, "connected")}
    assert at_finch(deployed) == set(others)
    assert deployed.queue.waiting() == []


def test_disconnect_of_an_entity_during_an_aws_failure_is_accepted_and_finished_later(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, [first, *_] = connected(deployed, "acme")

    def fail(*_: Any) -> Any:
        raise ClientError({"Error": {"Code": "InternalServerError"}}, "Decrypt")

    with monkeypatch.context() as down:
        down.setattr(TokenVault, "decrypt_stored", fail)
        reply = end(acme, first)
    assert (reply.status, shown(acme)[first]) == (202, "disconnecting")
    deployed.queue.pass_time(HOUR)
    assert shown(acme)[first] == "disconnected"


@pytest.mark.parametrize("step", ["disconnect_entity", "call", "write"])
def test_interrupted_disconnect_of_an_entity_is_finished_by_the_queue(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The function dies before the call to Finch, at the call, or before the write that follows it."""
    acme, [first, *others] = connected(deployed, "acme")
    with monkeypatch.context() as crash:
        if step == "write":
            crash.setattr(use_case, "entity_disconnected", kill)
        else:
            crash.setattr(FinchClient, step, kill)
        with pytest.raises(Killed):
            end(acme, first)
    assert shown(acme)[first] == "disconnecting"
    deployed.queue.pass_time(HOUR)
    assert shown(acme) == {first: "disconnected", **dict.fromkeys(others, "connected")}
    assert at_finch(deployed) == set(others)


def test_entity_that_an_unconfirmed_login_connects_again_is_shown_at_the_next_health_check(
    deployed: InProcess,
) -> None:
    acme, [first, *_] = connected(deployed, "acme")
    assert end(acme, first).status == 200
    Person(deployed, "acme", same_site=False).connect(login=TALLY, company_id=NORTHFOLD.id)
    assert shown(acme)[first] == "disconnected"
    assert first in at_finch(deployed)
    deployed.queue.pass_time(DAY + HOUR)
    assert set(shown(acme).values()) == {"connected"}
    assert not broken(deployed, ConnectionHistory(), at_rest=True)
    assert end(acme, first).status == 200
    assert first not in at_finch(deployed)


def test_entity_that_finch_refuses_for_days_gets_its_status_back(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    acme, [first, second, last] = connected(deployed, "acme")
    deployed.finch.faults.add("POST", ENTITY, error="error_permissions", times=None)
    assert end(acme, first).status == 202
    deployed.queue.pass_time(3 * DAY - HOUR)
    assert shown(acme)[first] == "disconnecting"
    deployed.queue.pass_time(8 * HOUR)
    assert connection_of(acme)["status"] == "connected"
    assert connection_of(acme)["problem"] == "entity_disconnect_refused"
    assert shown(acme) == dict.fromkeys([first, second, last], "connected")
    assert "disconnect_refused" in reports(capsys)
    deployed.queue.pass_time(2 * HOUR)
    assert "disconnect_refused" in reports(capsys), "reported until the customer acts"
    [listed] = operate(deployed, action="list")["result"]["connections"]
    assert (listed["problem"], listed["status"]) == ("entity_disconnect_refused", "connected")
    # Backends do not read an entity that its customer wants to end.
    assert ask(deployed, "vend_token")["token"]["entity_ids"] == sorted([second, last])
    deployed.finch.faults.clear()
    assert end(acme, first).status == 200
    assert connection_of(acme)["problem"] is None
    deployed.queue.pass_time(DAY)
    assert deployed.queue.waiting() == []


def test_entity_after_days_of_refusals_gives_disconnect_refused(deployed: InProcess) -> None:
    acme, [first, *_] = connected(deployed, "acme")
    deployed.finch.faults.add("POST", ENTITY, error="insufficient_scope_error", times=None)
    assert end(acme, first).status == 202
    deployed.clock.advance(3 * DAY)
    refused = end(acme, first)
    assert (refused.status, refused.code) == (409, "disconnect_refused")
    acme.go_through(acme.repair_link(company_id=NORTHFOLD.id), login=TALLY, company_id=NORTHFOLD.id)
    assert connection_of(acme)["problem"] is None


def test_dead_token_ends_the_connection_of_a_disconnecting_entity_after_an_hour(
    deployed: InProcess,
) -> None:
    acme, [first, *_] = connected(deployed, "acme")
    [token] = deployed.finch.live_tokens()
    deployed.finch.change_switches(webhook_on_disconnect=False)
    deployed.finch.disconnect(token.access_token)
    assert end(acme, first).status == 202
    deployed.queue.pass_time(HOUR / 2)
    assert shown(acme)[first] == "disconnecting"
    deployed.queue.pass_time(2 * HOUR)
    assert connection_of(acme)["status"] == "disconnected"
    assert deployed.queue.waiting() == []


def test_wrong_invalid_token_responses_do_not_end_an_entity(deployed: InProcess) -> None:
    acme, [first, *others] = connected(deployed, "acme")
    for method, path in (("POST", ENTITY), ("GET", "/introspect")):
        deployed.finch.faults.add(method, path, error="invalid_token_error")
    assert end(acme, first).status == 202
    assert at_finch(deployed) == {first, *others}
    deployed.queue.pass_time(3 * HOUR)
    assert connection_of(acme)["status"] == "connected"
    assert shown(acme) == {first: "disconnected", **dict.fromkeys(others, "connected")}


def test_refused_entity_does_not_stop_the_others(deployed: InProcess) -> None:
    acme, [first, second, last] = connected(deployed, "acme")
    deployed.finch.faults.add("POST", ENTITY, error="error_permissions", times=2)
    assert [end(acme, one).status for one in (first, second)] == [202, 202]

    def refuse_the_first(call: Call, send: Callable[[], Any]) -> Any:
        if call.operation == f"POST {ENTITY}" and first in call.arguments.content.decode():
            return httpx.Response(403, json={"name": "error_permissions"})
        return send()

    deployed.border.guard = refuse_the_first
    deployed.queue.pass_time(HOUR)
    assert shown(acme) == {first: "disconnecting", second: "disconnected", last: "connected"}
    deployed.border.open()
    deployed.queue.pass_time(3 * HOUR)
    assert at_finch(deployed) == {last}


# Races and marks


def test_parallel_requests_for_the_last_two_entities_end_the_connection(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, [first, second, last] = connected(deployed, "acme")
    assert end(acme, first).status == 200
    before_once(monkeypatch, ConnectionTable, "write", lambda: end(acme, second))
    reply = end(acme, last)
    assert (reply.status, reply.json["status"]) == (200, "disconnected")
    assert deployed.finch.live_tokens() == []


def test_last_entity_ends_the_connection_while_the_others_wait_for_finch(
    deployed: InProcess,
) -> None:
    acme, [first, second, last] = connected(deployed, "acme")
    deployed.finch.faults.add("POST", ENTITY, status=500, times=2)
    assert [end(acme, one).status for one in (first, second)] == [202, 202]
    assert end(acme, last).json["status"] == "disconnected"
    assert deployed.finch.live_tokens() == []
    deployed.queue.pass_time(DAY)
    assert deployed.queue.waiting() == []


def test_health_check_renews_the_other_statuses_and_keeps_the_mark(deployed: InProcess) -> None:
    acme, [first, second, last] = connected(deployed, "acme")
    deployed.queue.drain()
    deployed.finch.faults.add("POST", ENTITY, status=500, times=None)
    assert end(acme, first).status == 202
    finch_ends(deployed, second)
    request_check(deployed, KEY)
    deployed.queue.pass_time(MINUTE)
    assert shown(acme) == {first: "disconnecting", second: "disconnected", last: "connected"}


def test_health_is_checked_daily_while_an_entity_waits_for_finch(deployed: InProcess) -> None:
    acme, [first, second, last] = connected(deployed, "acme")
    deployed.queue.drain()
    deployed.finch.faults.add("POST", ENTITY, status=500, times=None)
    assert end(acme, first).status == 202
    deployed.queue.pass_time(DAY / 2)
    finch_ends(deployed, second)
    deployed.queue.pass_time(DAY)
    assert shown(acme) == {first: "disconnecting", second: "disconnected", last: "connected"}


def test_number_of_disconnecting_entities_is_limited(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MAX_ENDING_ENTITIES", 1)
    acme, [first, second, _] = connected(deployed, "acme")
    deployed.finch.faults.add("POST", ENTITY, status=500)
    assert end(acme, first).status == 202
    assert end(acme, second).code == "connection_busy"
    assert shown(acme)[second] == "connected"
    deployed.queue.pass_time(HOUR)
    assert end(acme, second).status == 200


def test_entity_of_a_finch_that_describes_no_entities_stays_disconnected(
    deployed: InProcess,
) -> None:
    deployed.finch.change_switches(answers="sparse")
    acme = Person(deployed, "acme")
    landing = acme.connect(login=TALLY, company_id=NORTHFOLD.id)
    company_id = landing.outcome["company_id"]
    [login] = acme.connection(company_id=company_id)["logins"]
    first, *others = login["entity_ids"]
    assert acme.disconnect_entity(first, company_id=company_id).status == 200
    deployed.queue.drain()
    request_check(deployed, rules.CompanyKey("gusto", company_id))
    deployed.queue.pass_time(MINUTE)
    [login] = acme.connection(company_id=company_id)["logins"]
    assert {one["id"]: one["status"] for one in login["entities"]} == {
        first: "disconnected",
        **dict.fromkeys(others, "connected"),
    }


# Entities that ended at Finch


def test_entity_that_finch_ended_is_shown_after_the_next_check(deployed: InProcess) -> None:
    acme, [first, *others] = connected(deployed, "acme")
    deployed.queue.drain()
    finch_ends(deployed, first)
    request_check(deployed, KEY)
    deployed.queue.pass_time(MINUTE)
    assert connection_of(acme)["status"] == "connected"
    assert shown(acme) == {first: "disconnected", **dict.fromkeys(others, "connected")}
    assert ask(deployed, "vend_token")["token"]["entity_ids"] == sorted(others)


def test_entity_that_finch_ended_is_shown_within_minutes_of_a_webhook(deployed: InProcess) -> None:
    acme, [first, *others] = connected(deployed, "acme")
    deployed.queue.drain()
    finch_ends(deployed, first)
    deployed.deliver_webhooks()
    deployed.queue.pass_time(2 * MINUTE)
    assert shown(acme) == {first: "disconnected", **dict.fromkeys(others, "connected")}


def test_connection_whose_entities_all_ended_needs_a_login_and_is_never_read(
    deployed: InProcess,
) -> None:
    acme, entity_ids = connected(deployed, "acme")
    deployed.queue.drain()
    finch_ends(deployed, *entity_ids)
    request_check(deployed, KEY)
    deployed.queue.pass_time(MINUTE / 2)
    # A worse status of the connection needs a second answer. Its entities count at once.
    assert connection_of(acme)["status"] == "connected"
    for function in ("vend_token", "read_directory"):
        answer = ask(deployed, function)
        assert (answer["reason"], answer["status"]) == ("reauth", "reauth")
    deployed.queue.pass_time(2 * MINUTE)
    assert connection_of(acme)["status"] == "reauth"
    assert deployed.finch.requests.count("GET", "/employer/directory") == 0
    acme.go_through(acme.repair_link(company_id=NORTHFOLD.id), login=TALLY, company_id=NORTHFOLD.id)
    assert connection_of(acme)["status"] == "connected"
    assert "token" in ask(deployed, "vend_token")


def test_login_without_living_entities_does_not_hide_that_another_works(
    deployed: InProcess,
) -> None:
    acme, entity_ids = connected(deployed, "acme")
    deployed.finch.add_login("gusto", MAYA, [NORTHFOLD.id])
    acme.connect(login=MAYA, company_id=NORTHFOLD.id)
    for entity_id in entity_ids:
        assert end(acme, entity_id).json["status"] == "connected"
    deployed.queue.pass_time(DAY + HOUR)
    request_check(deployed, KEY)
    deployed.queue.pass_time(HOUR)
    ended, works = connection_of(acme)["logins"]
    assert (ended["status"], works["status"]) == ("reauth", "connected")
    assert connection_of(acme)["status"] == "connected"
    assert ask(deployed, "vend_token")["token"]["token_id"] == works["id"]
