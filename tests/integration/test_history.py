"""The history of sessions and connections, as the operator reads it with `inspect`."""

import json
from argparse import Namespace
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY, patch

import boto3
import pytest
from moto.dynamodb.responses import DynamoHandler

from finch_connections.aws import session_table
from finch_connections.aws.session_table import _item as session_item
from finch_connections.domain.connect_session import Held, Started
from finch_connections.domain.history import MOST_ENTRIES
from operations import export, inspect
from operations.stack import CannotOperate
from tests.acceptance.test_disconnect_entity import ENTITY, connected, end
from tests.acceptance.test_embedded_flow import log_in_embedded
from tests.integration.test_operating import erase
from tests.integration.test_transfer import held, show, transfer, two_customers
from tests.support.in_process import Call, InProcess, let_through
from tests.support.person import Landing, Person, without_state
from tests.unit.test_session_table import CONSUMPTION, ENTRY, ESCROW, FULL

DAY = timedelta(days=1)


def stack(deployed: InProcess) -> Any:
    """The stack, as the operator's program sees it."""
    tables = deployed.tables
    return SimpleNamespace(
        client=boto3.client,
        outputs={
            "ConnectionsTableName": tables.connections,
            "ConnectSessionsTableName": tables.sessions,
            "OwnershipTableName": tables.ownerships,
            "AuditTableName": tables.audit,
            "GrantsTableName": tables.grants,
        },
    )


def only(deployed: InProcess) -> dict[str, Any]:
    """The item of the only session."""
    [item] = deployed.tables.all_sessions()
    return item


def inspected(
    deployed: InProcess, customer_id: str | None = None, reference: str | None = None
) -> tuple[Any, list[str]]:
    """Runs `inspect`; returns its JSON and its lines for a person."""
    said = list[str]()
    for as_json in (True, False):
        options = Namespace(
            customer_id=customer_id, connection=None, reference=reference, json=as_json
        )
        inspect.inspect(options, stack(deployed), deployed.clock.now, said.append)
    return json.loads(said[0]), said[1:]


def outcomes(history: list[dict[str, Any]]) -> list[str]:
    """Each step with its code."""
    return [" ".join(filter(None, (one["step"], one["code"]))) for one in history]


def attempt(deployed: InProcess, customer_id: str = "acme") -> list[str]:
    """The history of a customer's only attempt."""
    [one] = inspected(deployed, customer_id)[0]["attempts"]
    return outcomes(one["history"])


def connection(deployed: InProcess, customer_id: str = "acme") -> list[str]:
    """The history of a customer's only connection."""
    [one] = inspected(deployed, customer_id)[0]["connections"]
    return outcomes(one["history"])


def answers_of_finch(log: StringIO) -> list[str]:
    """The ids of Finch's responses, from the log."""
    lines = map(json.loads, log.getvalue().splitlines())
    return [one["finch_request_id"] for one in lines if one["message"] == "finch answered"]


MADE = ["started", "sent"]
RETURNED = [*MADE, "exchanging browser_bound", "escrowed"]
UNPROVEN = [*MADE, "exchanging browser_not_bound", "escrowed"]


# Attempts


def test_connect_is_one_timeline_with_finchs_request_ids(
    deployed: InProcess, log: StringIO
) -> None:
    Person(deployed, "acme").connect()
    facts, lines = inspected(deployed, "acme")
    [found] = facts["attempts"]
    assert outcomes(found["history"]) == [*RETURNED, "verified", "complete"]
    ids = {one["step"]: one["finch_request_id"] for one in found["history"]}
    assert [ids[one] for one in ("sent", "escrowed", "verified")] == answers_of_finch(log)
    assert ids["started"] is ids["complete"] is None
    text = "\n".join(lines)
    assert f"attempt {found['reference']}: complete" in text
    assert "The browser that began the attempt came back with a code." in text
    assert f"the token was encrypted. (Finch request {ids['escrowed']})" in text
    assert connection(deployed) == ["login_added", "connected"]


def test_embedded_connect_has_the_same_steps(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    code, state = log_in_embedded(deployed, acme)
    assert acme.call("POST", "/callback", {"code": code, "state": state}).status == 200
    assert attempt(deployed) == [*RETURNED, "verified", "complete"]


def test_confirmation_with_the_completion_code_is_in_the_history(deployed: InProcess) -> None:
    acme = Person(deployed, "acme", same_site=False)
    landing = acme.connect()
    assert (landing.outcome["status"], landing.completion) == ("confirm", ANY)
    assert attempt(deployed) == UNPROVEN
    deployed.queue.pass_time(timedelta(minutes=2))
    assert attempt(deployed) == [*UNPROVEN, "awaited"]
    assert acme.confirm(landing.completion or "").status == 200
    ends = ["confirmed customer", "verified", "complete"]
    assert attempt(deployed) == [*UNPROVEN, "awaited", *ends]


def test_unconfirmed_attempt_says_how_its_token_ended(deployed: InProcess, log: StringIO) -> None:
    Person(deployed, "acme", same_site=False).connect()
    deployed.queue.pass_time(2 * DAY)
    ends = ["awaited", "discarding session_expired", "ended session_expired"]
    assert attempt(deployed) == [*UNPROVEN, *ends]
    [found] = inspected(deployed, "acme")[0]["attempts"]
    assert found["history"][-1]["finch_request_id"] == answers_of_finch(log)[-1]


def test_pending_attempt_says_why_and_then_how_it_was_finished(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.finch.faults.add("GET", "/introspect", status=500, times=2)
    landing = acme.come_back(url)
    assert landing.outcome["status"] == "pending"
    deployed.queue.pass_time(timedelta(minutes=2, seconds=30))
    _, lines = inspected(deployed, reference=landing.reference)
    assert lines[:2] == ["acme", f"  attempt {landing.reference}: escrowed"]
    assert "could not be finished. It is tried again. (server_error, Finch request" in lines[-1]
    deployed.queue.drain(DAY)
    assert attempt(deployed) == [*RETURNED, "tried server_error", "verified", "complete"]


def test_refused_code_and_denied_access_are_in_the_history(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    page = acme.click(acme.link())
    denied = acme.come_back(f"/callback?state={page.state}&error=access_denied")
    again = acme.come_back(f"/callback?state={page.state}&error=another")
    wrong = acme.come_back(f"/callback?state={page.state}&code=made-up")
    assert denied.reference == again.reference == wrong.reference
    tries = ["denied access_denied", "exchanging browser_bound", "not_exchanged invalid_grant"]
    assert attempt(deployed) == [*MADE, *tries]
    acme.come_back(acme.log_in(page))
    ends = ["exchanging browser_bound", "escrowed", "verified", "complete"]
    assert attempt(deployed) == [*MADE, *tries, *ends]


def test_link_that_finch_refuses_says_why(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    link = acme.link()
    deployed.finch.faults.add("POST", "/connect/sessions", status=400, times=2)
    refused = [Landing.of(acme.browser.navigate(link)) for _ in range(2)]
    assert {one.outcome["error"] for one in refused} == {"finch_refused"}
    assert attempt(deployed) == ["started", "not_sent request_refused"]
    facts, _ = inspected(deployed, reference=refused[0].reference)
    assert [one["customer_id"] for one in facts["attempts"]] == ["acme"]


def test_lost_exchange_is_uncertain_and_says_which_request(
    deployed: InProcess, log: StringIO
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.finch.faults.add("POST", "/auth/token", status=500, when="after")
    landing = acme.come_back(url)
    assert (landing.outcome, landing.reference) == ({"error": "exchange_uncertain"}, ANY)
    assert attempt(deployed) == [*RETURNED[:-1], "uncertain exchange_uncertain"]
    [found] = inspected(deployed, "acme")[0]["attempts"]
    assert found["history"][-1]["finch_request_id"] == answers_of_finch(log)[-1]


def test_held_token_says_why_and_who_attached_it(deployed: InProcess) -> None:
    two_customers(deployed)
    assert attempt(deployed, "globex") == [*RETURNED, "held cannot_connect"]
    _, lines = inspected(deployed, "globex")
    [session] = [one["handle_hash"]["S"] for one in held(deployed)]
    assert f"    session {session}" in lines
    assert "result" in transfer(deployed, show(deployed))
    ends = ["confirmed operator", "verified", "complete"]
    assert attempt(deployed, "globex") == [*RETURNED, "held cannot_connect", *ends]
    assert connection(deployed, "globex") == ["login_added", "connected"]
    assert connection(deployed, "acme")[2:] == ["login_gone", "disconnected transferred"]


def test_code_without_a_state_continues_the_history_of_its_click(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.come_back(without_state(acme.log_in(acme.click(acme.link()))))
    found = [outcomes(one["history"]) for one in inspected(deployed, "acme")[0]["attempts"]]
    assert sorted(found, key=len) == [MADE, [*RETURNED, "verified", "complete"]]


def test_history_of_an_attempt_has_a_limit_and_keeps_its_ends(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    link = acme.link()
    page = acme.click(link)
    for n in range(MOST_ENTRIES):
        acme.come_back(f"/callback?state={page.state}&code=made-up-{n}")
        deployed.clock.advance(timedelta(minutes=5))
    acme.go_through(link)
    facts, lines = inspected(deployed, "acme")
    steps = outcomes(facts["attempts"][0]["history"])
    assert len(steps) == MOST_ENTRIES
    assert (steps[:2], steps[-4:]) == (MADE, [*RETURNED[2:], "verified", "complete"])
    assert "    Some entries between the first and the newest are left out." in lines


# References


def test_reference_finds_only_its_attempt_and_an_unknown_reference_is_refused(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    started = [acme.start().json["reference"] for _ in range(2)]
    facts, _ = inspected(deployed, reference=started[1])
    assert [one["reference"] for one in facts["attempts"]] == started[1:]
    with pytest.raises(CannotOperate, match="No attempt has this reference"):
        inspected(deployed, reference="0" * 12)


def test_inspect_reads_no_whole_table(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    reference = acme.start().json["reference"]
    with patch.object(DynamoHandler, "scan", side_effect=AssertionError("a scan")):
        assert inspected(deployed, "acme")[1]
        assert inspected(deployed, reference=reference)[1]


# Writes


def test_late_entry_changes_nothing_of_a_session_that_has_its_code(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    link = acme.link()
    sessions = session_table.from_settings()
    before = sessions.get(only(deployed)["handle_hash"]["S"])
    assert isinstance(before, Started)
    acme.go_through(link)
    after = only(deployed)
    sessions.note(before, ENTRY)
    assert only(deployed) == after


def test_write_that_is_repeated_after_a_lost_response_is_one_entry(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    link = acme.link()

    def twice(call: Call, send: Callable[[], Any]) -> Any:
        if call.operation == "UpdateItem":
            send()
        return send()

    deployed.border.guard = twice
    acme.click(link)
    assert len(only(deployed)["history"]["L"]) == len(MADE) + 1
    assert attempt(deployed) == MADE


def test_restored_session_continues_its_history(deployed: InProcess) -> None:
    lost = Held(FULL, CONSUMPTION, ESCROW, "cannot_connect")
    session_table.from_settings().put_back(lost, session_item(lost), deployed.clock.now, ())
    assert set(attempt(deployed)) == {*MADE, "tried finch_unavailable", "restored"}


def test_export_has_the_histories(deployed: InProcess) -> None:
    Person(deployed, "acme").connect()
    stored = export.export(stack(deployed), "acme", deployed.clock.now)
    [session], [row] = stored["sessions"], stored["connections"]
    assert session["history"][-1].endswith("Z complete")
    assert row["history"][-1].endswith("Z connected")


# Connections


def test_refused_disconnect_has_each_refusal_and_then_its_end(
    deployed: InProcess, log: StringIO
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add("POST", "/disconnect", status=403, times=2)
    assert acme.disconnect().status == 202
    refusal = answers_of_finch(log)[-1]
    began = ["login_added", "connected", "disconnecting"]
    assert connection(deployed) == [*began, "not_ended forbidden"]
    [row] = inspected(deployed, "acme")[0]["connections"]
    assert row["history"][-1]["finch_request_id"] == refusal
    deployed.queue.drain(DAY)
    ends = ["ended_at_finch", "disconnected"]
    assert connection(deployed) == [*began, *["not_ended forbidden"] * 2, *ends]
    _, lines = inspected(deployed, "acme")
    assert any("Finch did not confirm the end. (forbidden, Finch request" in one for one in lines)


def test_disconnect_that_finch_refuses_for_days_keeps_its_first_and_newest_refusal(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add("POST", "/disconnect", status=403, times=None)
    acme.disconnect()
    deployed.queue.pass_time(3 * DAY + timedelta(hours=2))
    refused = ["not_ended forbidden"] * 2
    began = ["login_added", "connected", "disconnecting"]
    assert connection(deployed) == [*began, *refused, "reauth disconnect_refused"]


def test_concurrent_refused_disconnects_are_all_accepted(deployed: InProcess) -> None:
    """A refusal that another request stored first is not stored, and is no failure."""
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add("POST", "/disconnect", status=403, times=None)
    acme.disconnect()

    def guard(call: Call, send: Callable[[], Any]) -> Any:
        if call.operation == "POST /disconnect":
            deployed.border.guard = let_through
            assert acme.disconnect().status == 202
        return send()

    deployed.border.guard = guard
    assert acme.disconnect().status == 202
    assert connection(deployed)[-2:] == ["not_ended forbidden"] * 2


def test_status_changes_and_repairs_are_kept_and_checks_are_not(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.pass_time(3 * DAY)
    made = ["login_added", "connected"]
    assert connection(deployed) == made
    [at_finch] = [one for one in deployed.finch.connections() if one.live]
    deployed.finch.set_connection_status(at_finch.id, "reauth")
    deployed.deliver_webhooks()
    deployed.queue.pass_time(timedelta(hours=1))
    assert connection(deployed) == [*made, "reauth"]
    acme.repair()
    assert connection(deployed) == [*made, "reauth", "login_renewed", "connected"]


def test_entity_that_finch_refuses_to_end_is_in_the_history(deployed: InProcess) -> None:
    acme, [entity, *_] = connected(deployed, "acme")
    deployed.finch.faults.add("POST", ENTITY, status=403)
    assert end(acme, entity).status == 202
    began = ["login_added", "connected", "entity_ending"]
    assert connection(deployed) == [*began, "entity_not_ended forbidden"]
    deployed.queue.drain(DAY)
    assert connection(deployed) == [*began, "entity_not_ended forbidden", "entity_ended"]


# The end of a history


def test_history_expires_with_its_attempt_30_days_after_the_end(deployed: InProcess) -> None:
    Person(deployed, "acme").connect()
    [item] = deployed.tables.all_sessions()
    assert item["history"]["L"][-1]["S"].endswith(" complete")
    assert int(item["ttl"]["N"]) == int((deployed.clock.now + 30 * DAY).timestamp())


def test_erasure_deletes_every_history(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    acme.start()
    erase(deployed)
    facts, lines = inspected(deployed, "acme")
    assert (facts["attempts"], facts["connections"]) == ([], [])
    assert lines == ["acme", "  nothing is stored"]
