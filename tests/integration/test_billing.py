"""The bill: the last use of each connection, the daily figures, and the operator's `billing`."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from finch_connections.aws import connection_table
from finch_connections.domain.connection import CompanyKey, Connection
from functions.vend_token import handler
from local.fake_finch.seed_world import (
    CEDARLINE,
    HARBOR_LANE,
    IRIS,
    JUNIPER_VALE,
    LENA,
    OWEN,
    TALLY,
)
from operations import billing
from operations.stack import ExitCode
from tests.support.deployed import TEMPLATE
from tests.support.in_process import Call, InProcess
from tests.support.metrics import points
from tests.support.person import Person

DAY = timedelta(days=1)
IDLE_AFTER = 30 * DAY
ASKED = {
    "customer_id": "acme",
    "provider_id": "gusto",
    "company_id": HARBOR_LANE.id,
    "products": ["directory"],
    "purpose": "test",
    "caller": "test",
}


def vend(deployed: InProcess, **changes: Any) -> Any:
    assert deployed.invoke
    return deployed.invoke("vend_token", ASKED | changes)


def row(deployed: InProcess) -> Connection:
    found = connection_table.from_settings().get("acme", CompanyKey("gusto", HARBOR_LANE.id))
    assert found is not None
    return found


def on_note(deployed: InProcess, act: Callable[[], Any]) -> list[Call]:
    """Calls `act` before each write of a last use from now on, and records these writes."""
    seen: list[Call] = []

    def guard(call: Call, send: Callable[[], Any]) -> Any:
        if (call.function, call.operation) == ("vend_token", "UpdateItem"):
            seen.append(call)
            act()
        return send()

    deployed.border.guard = guard
    return seen


# The last use


def test_first_token_of_a_day_is_the_last_use_of_its_finch_connection(
    deployed: InProcess, acme: Person
) -> None:
    first, noted = row(deployed), on_note(deployed, lambda: None)
    for _ in range(3):
        connection_id = vend(deployed)["token"]["connection_id"]
        deployed.clock.advance(timedelta(hours=1))
    after = row(deployed)
    used_at = after.used_at[connection_id]
    assert after == replace(first, used_at={connection_id: used_at}, revision=first.revision + 1)
    assert used_at <= deployed.clock.now - timedelta(hours=3)
    deployed.clock.advance(DAY)
    vend(deployed)
    assert len(noted) == 2
    assert row(deployed).used_at[connection_id] - used_at > DAY


def test_each_finch_connection_of_a_company_has_a_last_use_of_its_own(
    deployed: InProcess, acme: Person
) -> None:
    first = vend(deployed)["token"]["connection_id"]
    acme.connect(login=OWEN)
    second = vend(deployed)["token"]["connection_id"]
    assert first != second
    assert set(row(deployed).used_at) == {first, second}
    acme.disconnect()
    deployed.queue.drain()
    assert row(deployed).used_at == {}


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, "UpdateItem"),
        ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "UpdateItem"),
        EndpointConnectionError(endpoint_url="https://dynamodb.example.com"),
    ],
)
def test_token_is_vended_although_its_use_cannot_be_noted(
    deployed: InProcess, acme: Person, log: StringIO, error: Exception
) -> None:
    def fail() -> None:
        raise error

    on_note(deployed, fail)
    assert "access_token" in vend(deployed)["token"]
    [record] = deployed.tables.items(deployed.tables.audit)
    assert record["outcome"] == {"S": "vended"}
    assert row(deployed).used_at == {}
    assert "use not noted" in log.getvalue()
    noted = on_note(deployed, lambda: None)
    vend(deployed)
    assert (len(noted), len(row(deployed).used_at)) == (1, 1)


def test_note_of_a_use_never_overwrites_a_write_that_came_first(
    deployed: InProcess, acme: Person
) -> None:
    states: list[Connection] = []

    def disconnect_first() -> None:
        acme.disconnect()
        states.append(row(deployed))

    on_note(deployed, disconnect_first)
    assert "token" in vend(deployed)
    assert [row(deployed)] == states
    assert states[0].status == "disconnected"


def test_use_is_not_noted_without_time_for_a_slow_write(
    deployed: InProcess, acme: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeout = TEMPLATE["Resources"]["VendToken"]["Properties"]["Timeout"]
    noted = on_note(deployed, lambda: None)
    with monkeypatch.context() as patch:
        patch.setattr(handler, "NOTE_SECONDS", timeout)
        assert "token" in vend(deployed)
    assert noted == []
    vend(deployed)
    assert len(noted) == 1


def test_refused_and_reported_tokens_are_no_use(deployed: InProcess, acme: Person) -> None:
    noted = on_note(deployed, lambda: None)
    assert vend(deployed, products=["ssn"])["reason"] == "missing_products"
    [login] = acme.connection()["logins"]
    assert vend(deployed, report="unauthorized", token_id=login["id"]) == {"reported": True}
    assert noted == []


# The daily figures


def count(deployed: InProcess, capsys: pytest.CaptureFixture[str]) -> tuple[float, float]:
    """The live and the idle connections that the daily run of the scheduled check counts."""
    [event] = [
        one["Properties"]["Input"]
        for one in TEMPLATE["Resources"]["ScheduleChecks"]["Properties"]["Events"].values()
        if one["Properties"]["ScheduleExpression"] == "rate(1 day)"
    ]
    capsys.readouterr()
    assert deployed.invoke
    deployed.invoke("schedule_checks", json.loads(event))
    found = {one.name: one for one in points(capsys.readouterr().out)}
    live, idle = found["LiveConnections"], found["IdleConnections"]
    assert {*live.dimensions} == {*idle.dimensions} == {"service"}
    return live.value, idle.value


def at_finch(deployed: InProcess) -> int:
    return sum(one.live for one in deployed.finch.connections())


def make_every_kind(deployed: InProcess) -> dict[str, str]:
    """Makes live connections of each kind, of which nothing is attached twice; returns their reasons."""
    acme = Person(deployed, "acme")
    acme.connect()
    acme.connect(login=OWEN)
    # Held: a token of a company that another customer has connected, of another Finch connection.
    Person(deployed, "late").connect(login=TALLY, company_id=HARBOR_LANE.id)
    # Held too, but of a Finch connection that another customer has.
    Person(deployed, "covered").connect()
    Person(deployed, "unsure", same_site=False).connect(
        provider_id="justworks", login=LENA, company_id=CEDARLINE.id
    )
    leaving = Person(deployed, "leaving")
    leaving.connect(provider_id="rippling", login=IRIS, company_id=JUNIPER_VALE.id)
    deployed.queue.pass_time(timedelta(minutes=10))
    deployed.finch.faults.add("POST", "/disconnect", status=500, times=None)
    leaving.disconnect("rippling", JUNIPER_VALE.id)
    deployed.finch.faults.add("POST", "/auth/token", drop="after_effect")
    lost = Person(deployed, "lost")
    lost.connect(provider_id="bamboo_hr", login=LENA, company_id=CEDARLINE.id)
    gone = Person(deployed, "gone")
    gone.connect(provider_id="adp_run", login=OWEN)
    deployed.finch.faults.clear()
    gone.disconnect("adp_run")
    deployed.finch.faults.add("POST", "/disconnect", status=500, times=None)
    deployed.queue.pass_time(timedelta(minutes=10))
    return {
        "acme": "connected",
        "late": "held",
        "unsure": "unconfirmed",
        "leaving": "disconnecting",
        "lost": "uncertain",
    }


def test_every_live_finch_connection_counts_once(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    make_every_kind(deployed)
    assert count(deployed, capsys) == (at_finch(deployed), 0)


def test_lost_repair_of_a_connection_counts_no_second_connection(
    deployed: InProcess, acme: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.finch.faults.add("POST", "/auth/token", drop="after_effect")
    assert acme.repair().outcome == {"error": "exchange_uncertain"}
    assert count(deployed, capsys) == (at_finch(deployed), 0) == (1, 0)


def test_connection_that_is_checked_during_the_count_counts_once(
    deployed: InProcess, acme: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    Person(deployed, "globex").connect(login=IRIS, company_id=JUNIPER_VALE.id)
    Person(deployed, "initech").connect(
        provider_id="justworks", login=LENA, company_id=CEDARLINE.id
    )
    deployed.clock.advance(DAY)
    table = connection_table.from_settings()
    checked: set[str] = set()

    def check_after_each_page(call: Call, send: Callable[[], Any]) -> Any:
        if call.operation != "Query":
            return send()
        call.arguments["Limit"] = 1
        answer = send()
        for item in answer["Items"]:
            customer_id, key = item["customer_id"]["S"], item["provider_id#company_id"]["S"]
            if customer_id not in checked:
                checked.add(customer_id)
                table.postpone(customer_id, CompanyKey.parse(key), deployed.clock.now + DAY)
        return answer

    deployed.border.guard = check_after_each_page
    assert count(deployed, capsys) == (3, 0)
    assert len(checked) == 3


def test_connection_that_a_check_finds_healthy_during_the_count_counts_once(
    deployed: InProcess, acme: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.queue.drain()
    table, found = connection_table.from_settings(), row(deployed)
    # Finch has called its token dead, so it is checked again in an hour.
    in_an_hour = deployed.clock.now + timedelta(hours=1)
    suspected = replace(found, due_at=in_an_hour, revision=found.revision + 1)
    table.write(suspected)

    def check_once_found(call: Call, send: Callable[[], Any]) -> Any:
        answer = send()
        if call.operation == "Query" and answer["Items"]:
            deployed.border.open()
            table.write(replace(suspected, due_at=None, revision=suspected.revision + 1))
        return answer

    deployed.border.guard = check_once_found
    assert count(deployed, capsys) == (1, 0)


def test_finch_connection_that_ended_in_an_unfinished_disconnect_does_not_count(
    deployed: InProcess, acme: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    acme.connect(login=OWEN)
    assert count(deployed, capsys) == (2, 0)
    sent: list[Call] = []

    def fail_the_second(call: Call, send: Callable[[], Any]) -> Any:
        if call.operation == "POST /disconnect":
            sent.append(call)
            if len(sent) == 2:
                deployed.finch.faults.add("POST", "/disconnect", status=500, times=None)
        return send()

    deployed.border.guard = fail_the_second
    assert acme.disconnect().status == 202
    assert count(deployed, capsys) == (at_finch(deployed), 0) == (1, 0)
    assert bill(deployed)[1]["live"] == 1


def test_connection_is_idle_until_its_next_token(
    deployed: InProcess, acme: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.queue.pass_time(IDLE_AFTER - 2 * DAY)
    assert count(deployed, capsys) == (1, 0)
    deployed.queue.pass_time(3 * DAY)
    assert count(deployed, capsys) == (1, 1)
    vend(deployed)
    deployed.queue.pass_time(DAY)
    assert count(deployed, capsys) == (1, 0)
    deployed.queue.pass_time(IDLE_AFTER + DAY)
    assert count(deployed, capsys) == (1, 1)
    acme.disconnect()
    assert count(deployed, capsys) == (0, 0)


# The operator's command


def bill(
    deployed: InProcess, price: Decimal | None = None, compare: Path | None = None
) -> tuple[ExitCode, Any, list[str]]:
    """Runs `billing`; returns its exit code, its JSON and its lines for a person."""
    tables = deployed.tables
    said: list[str] = []
    stack: Any = SimpleNamespace(
        client=boto3.client,
        outputs={
            "ConnectionsTableName": tables.connections,
            "ConnectSessionsTableName": tables.sessions,
        },
        parameters={"IdleDays": "30"},
    )
    code = ExitCode.FAILED
    for as_json in (True, False):
        options: Any = {"price": price, "compare": compare, "as_json": as_json}
        code = billing.billing(stack, deployed.clock.now, said.append, **options)
    return code, json.loads(said[0]), said[1:]


def test_bill_says_why_each_connection_lives_and_its_fix(deployed: InProcess) -> None:
    reasons = make_every_kind(deployed)
    vend(deployed)
    code, facts, _ = bill(deployed)
    assert code is ExitCode.PERSON_NEEDED
    found = facts["connections"]
    assert (facts["live"], facts["idle"]) == (len(found), 0) == (at_finch(deployed), 0)
    assert {one["customer_id"]: one["why"] for one in found} == reasons
    assert len(found) == 1 + len(reasons)
    known = [one["connection_id"] for one in found if one["connection_id"]]
    assert set(known) <= {one.id for one in deployed.finch.connections() if one.live}
    assert len(set(known)) == len(known) == len(found) - 1
    [used] = [one for one in found if one["used_at"]]
    assert used["customer_id"] == "acme"
    fixes = {one["customer_id"]: one["fix"] for one in found if one["fix"]}
    [held] = [one["session"] for one in found if one["why"] == "held"]
    assert fixes == {
        "late": f"finch-connections resolve disconnect {held}",
        "lost": "finch-connections resolve list",
    }
    deployed.clock.advance(timedelta(hours=2))
    fixes = {one["customer_id"]: one["fix"] for one in bill(deployed)[1]["connections"]}
    assert fixes["leaving"] == (
        "finch-connections resolve retry --customer=leaving --provider=rippling "
        f"--company={JUNIPER_VALE.id}"
    )


def test_bill_names_idle_connections_with_their_cost(deployed: InProcess, acme: Person) -> None:
    Person(deployed, "globex").connect(login=IRIS, company_id=JUNIPER_VALE.id)
    deployed.clock.advance(IDLE_AFTER + DAY)
    vend(deployed)
    code, facts, lines = bill(deployed, price=Decimal("49.90"))
    assert (code, facts["idle"]) == (ExitCode.PERSON_NEEDED, 1)
    assert (facts["monthly_cost"], facts["monthly_cost_of_idle"]) == (99.8, 49.9)
    [idle] = [one for one in facts["connections"] if one["idle"]]
    end = f"resolve end --customer=globex --provider=gusto --company={JUNIPER_VALE.id}"
    assert idle["fix"] == f"finch-connections {end}"
    assert f"{idle['connection_id']} is idle -> finch-connections {end}" in lines
    [shown] = [line for line in lines if line.startswith("globex")]
    assert shown.split("  ")[-2:] == ["never, idle", "49.90"]
    assert "They cost 99.80 a month, the idle connections 49.90." in lines


def test_bill_without_a_problem_ends_with_zero(deployed: InProcess, acme: Person) -> None:
    code, facts, lines = bill(deployed)
    assert (code, facts["live"]) == (ExitCode.DONE, 1)
    assert lines[-1] == "Live connections: 1, of them idle: 0."
    acme.disconnect()
    assert bill(deployed)[2] == ["Live connections: 0, of them idle: 0."]


def test_export_of_finch_with_the_same_connections_has_no_difference(
    deployed: InProcess, acme: Person, tmp_path: Path
) -> None:
    [mine] = deployed.finch.connections()
    file = tmp_path / "export.csv"
    file.write_text(f"Connection ID,Status\n{mine.id},connected\nold,Disconnected\n")
    code, facts, lines = bill(deployed, compare=file)
    assert code is ExitCode.DONE
    assert facts["compared"] == {"at_finch_only": [], "here_only": [], "left_out": 0}
    assert lines[-1] == "Finch's export has the same connections."


def test_each_difference_to_the_export_of_finch_comes_with_its_command(
    deployed: InProcess, acme: Person, tmp_path: Path
) -> None:
    [mine] = deployed.finch.connections()
    file = tmp_path / "export.csv"
    file.write_text("connection_id\nunknown here\n")
    code, facts, lines = bill(deployed, compare=file)
    assert code is ExitCode.PERSON_NEEDED
    inspect = "finch-connections inspect '--connection=unknown here'"
    retry = (
        "finch-connections resolve retry --customer=acme --provider=gusto "
        f"--company={HARBOR_LANE.id}"
    )
    assert facts["compared"] == {
        "at_finch_only": [{"connection_id": "unknown here", "fix": inspect}],
        "here_only": [{"connection_id": mine.id, "fix": retry}],
        "left_out": 0,
    }
    assert f"unknown here is only at Finch -> {inspect}" in lines
    assert f"{mine.id} is only here -> {retry}" in lines


def test_connection_that_finch_has_not_named_is_not_compared(
    deployed: InProcess, tmp_path: Path
) -> None:
    deployed.finch.faults.add("*", "*", times=None, edit={"remove": ["connection_id"]})
    Person(deployed, "acme").connect()
    file = tmp_path / "export.csv"
    file.write_text("connection_id\nc1\n")
    compared = bill(deployed, compare=file)[1]["compared"]
    assert (compared["here_only"], compared["left_out"]) == ([], 1)
