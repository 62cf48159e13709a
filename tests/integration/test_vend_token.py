"""Tokens for other backends: the response, the reasons for a refusal, and the audit record of both."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from io import StringIO
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from finch_connections.aws import connection_table
from finch_connections.domain.connection import DISCONNECT_REFUSED, CompanyKey, ConnectionStatus
from finch_connections.domain.errors import InternalError
from finch_tokens import AccessToken, VendedToken
from functions.read_directory import directory
from local.fake_finch import InProcessTransport, create_app
from local.fake_finch.seed_world import CEDARLINE, DANA, HARBOR_LANE, LENA, NORTHFOLD, people
from tests.support.deployed import ROOT
from tests.support.in_process import Call, InProcess
from tests.support.person import Person

ASKED = {
    "customer_id": "acme",
    "provider_id": "gusto",
    "company_id": HARBOR_LANE.id,
    "products": ["directory"],
    "purpose": "test: who works there",
    "caller": "payroll-sync",
}


def invoke(deployed: InProcess, function: str, event: Any) -> Any:
    assert deployed.invoke is not None
    return deployed.invoke(function, event)


def vend(deployed: InProcess, **changes: Any) -> Any:
    return invoke(deployed, "vend_token", ASKED | changes)


def read(deployed: InProcess, **changes: Any) -> Any:
    where = {name: ASKED[name] for name in ("customer_id", "provider_id", "company_id")}
    return invoke(deployed, "read_directory", where | changes)


def records(deployed: InProcess, **command: Any) -> list[dict[str, Any]]:
    """The audit records of a customer as an operator sees them, newest first."""
    asked = {"action": "audit", "customer_id": "acme"} | command
    found: list[dict[str, Any]] = invoke(deployed, "resolve_unfinished", asked)["result"]["records"]
    return found


def outcomes(deployed: InProcess) -> list[str]:
    return [one["outcome"] for one in records(deployed)]


def change(deployed: InProcess, status: ConnectionStatus, **more: Any) -> None:
    """Writes another status to the connection and its tokens."""
    table = connection_table.from_settings()
    connection = table.get("acme", CompanyKey("gusto", HARBOR_LANE.id))
    assert connection is not None
    tokens = tuple(replace(token, status=status) for token in connection.tokens)
    revision = connection.revision + 1
    table.write(replace(connection, tokens=tokens, status=status, revision=revision, **more))


@pytest.fixture
def reading(deployed: InProcess, monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """Connects the example backend to the fake Finch; returns the list of its requests."""
    sent: list[httpx.Request] = []
    transport = InProcessTransport(create_app(deployed.finch))

    def connect() -> httpx.Client:
        return httpx.Client(
            base_url="https://finch.example.com",
            headers={"Finch-API-Version": "2020-09-17"},
            transport=transport,
            event_hooks={"request": [sent.append]},
        )

    monkeypatch.setattr(directory, "from_settings", connect)
    return sent


# The response to a backend


def test_vended_token_works_at_finch_and_comes_with_its_scope(
    deployed: InProcess, acme: Person
) -> None:
    token = vend(deployed)["token"]
    answer = httpx.Client(transport=InProcessTransport(create_app(deployed.finch))).get(
        "https://finch.example.com/employer/directory",
        headers={
            "Authorization": f"Bearer {token.pop('access_token')}",
            "Finch-API-Version": "2020-09-17",
        },
    )
    assert len(answer.json()["individuals"]) == HARBOR_LANE.entities[0].headcount
    [login] = acme.connection()["logins"]
    assert token == {
        "token_id": login["id"],
        "connection_id": login["connection_id"],
        "provider_id": "gusto",
        "company_id": HARBOR_LANE.id,
        "products": ["company", "directory"],
        "entity_ids": login["entity_ids"],
        "left_out_entity_ids": [],
    }


def test_newest_token_that_covers_the_products_is_vended(deployed: InProcess, acme: Person) -> None:
    acme.connect(products=["directory", "employment"])
    acme.connect(products=["company"])
    newest_first = [one["id"] for one in acme.connection()["logins"]][::-1]
    assert len(newest_first) == 3
    company, employment, _ = newest_first
    assert vend(deployed)["token"]["token_id"] == employment
    assert vend(deployed, products=["company"])["token"]["token_id"] == company
    assert vend(deployed, products=[])["token"]["token_id"] == company


def test_connection_of_another_customer_is_not_found(deployed: InProcess, acme: Person) -> None:
    assert vend(deployed, customer_id="globex") == {"reason": "not_found"}
    assert vend(deployed, company_id="nothing") == {"reason": "not_found"}
    assert vend(deployed, provider_id="justworks") == {"reason": "not_found"}


def test_disconnecting_or_disconnected_connection_is_not_vended(
    deployed: InProcess, acme: Person
) -> None:
    deployed.finch.faults.add("POST", "/disconnect", status=500)
    acme.disconnect()
    assert vend(deployed) == {"reason": "disconnected", "status": "disconnecting"}
    acme.disconnect()
    assert vend(deployed) == {"reason": "disconnected", "status": "disconnected"}


def test_connection_with_a_refused_disconnect_is_not_vended(
    deployed: InProcess, acme: Person
) -> None:
    change(deployed, ConnectionStatus.REAUTH, problem=DISCONNECT_REFUSED)
    assert vend(deployed) == {"reason": "disconnected", "status": "reauth"}
    change(deployed, ConnectionStatus.CONNECTED, problem=DISCONNECT_REFUSED)
    assert vend(deployed)["reason"] == "disconnected"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("reauth", "reauth"),
        ("error_permissions", "reauth"),
        ("error_no_account_setup", "reauth"),
        ("pending", "pending"),
        ("processing", "pending"),
    ],
)
def test_login_with_an_unusable_status_is_refused_with_a_reason(
    deployed: InProcess, acme: Person, status: str, reason: str
) -> None:
    change(deployed, ConnectionStatus(status))
    assert vend(deployed) == {"reason": reason, "status": status}
    assert outcomes(deployed) == [reason]


def test_token_with_unknown_status_is_vended(deployed: InProcess, acme: Person) -> None:
    change(deployed, ConnectionStatus.UNKNOWN)
    assert "token" in vend(deployed)


def test_products_that_no_login_covers_are_named_as_missing(
    deployed: InProcess, acme: Person
) -> None:
    asked = ["payment", "directory", "ssn"]
    assert vend(deployed, products=asked) == {
        "reason": "missing_products",
        "missing": ["payment", "ssn"],
    }


@pytest.mark.parametrize("function", ["vend_token", "read_directory"])
def test_example_event_is_about_an_unknown_customer(deployed: InProcess, function: str) -> None:
    event = json.loads((ROOT / "events" / f"{function}.json").read_text())
    assert invoke(deployed, function, event)["reason"] == "not_found"


# The audit record


def test_every_vended_token_and_every_refusal_is_recorded(
    deployed: InProcess, acme: Person
) -> None:
    text = vend(deployed)["token"]["access_token"]
    vend(deployed, products=["payment"], purpose="payslips", caller="payslip-sync")
    vend(deployed, company_id="nothing")
    vend(deployed, purpose="")
    change(deployed, ConnectionStatus.REAUTH)
    vend(deployed)
    found = records(deployed)
    assert [one["outcome"] for one in found] == [
        "reauth",
        "invalid_request",
        "not_found",
        "missing_products",
        "vended",
    ]
    *_, missing, vended = found
    [login] = acme.connection()["logins"]
    assert vended.pop("at")
    assert vended == {
        "outcome": "vended",
        "caller": "payroll-sync",
        "purpose": "test: who works there",
        "provider_id": "gusto",
        "company_id": HARBOR_LANE.id,
        "products": ["directory"],
        "connection_id": login["connection_id"],
        "token_id": login["id"],
        "call": None,
    }
    assert (missing["caller"], missing["purpose"]) == ("payslip-sync", "payslips")
    assert missing["token_id"] is None
    kept = deployed.tables.items(deployed.tables.audit)
    assert len(kept) == 5
    assert text not in str(kept)
    for item in kept:
        until = deployed.clock.now + timedelta(days=400)
        assert 0 <= until.timestamp() - int(item["ttl"]["N"]) < 60


def test_no_token_and_no_reason_is_returned_without_an_audit_record(
    deployed: InProcess, acme: Person
) -> None:
    class Down(Exception):
        pass

    def guard(call: Call, send: Callable[[], Any]) -> Any:
        if (call.function, call.operation) == ("vend_token", "PutItem"):
            raise Down
        return send()

    deployed.border.guard = guard
    for changes in ({}, {"products": ["payment"]}, {"company_id": "nothing"}, {"purpose": ""}):
        with pytest.raises(Down):
            vend(deployed, **changes)
    deployed.border.open()
    assert records(deployed) == []


@pytest.mark.parametrize("operation", ["GetItem", "Decrypt", "PutItem"])
@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "ThrottlingException", "Message": "arn:aws:x"}}, "Any"),
        EndpointConnectionError(endpoint_url="https://kms.eu-west-1.amazonaws.com"),
    ],
    ids=["refused", "not reached"],
)
def test_failure_of_aws_leaves_vend_token_as_an_internal_error(
    deployed: InProcess, operation: str, error: Exception
) -> None:
    Person(deployed, "acme").connect()

    def guard(call: Call, send: Callable[[], Any]) -> Any:
        if (call.function, call.operation) == ("vend_token", operation):
            raise error
        return send()

    deployed.border.guard = guard
    with pytest.raises(InternalError) as raised:
        vend(deployed)
    deployed.border.open()
    assert str(raised.value) == str(InternalError())
    assert raised.value.__suppress_context__
    assert records(deployed) == []


def test_only_the_audit_record_is_written_and_it_is_written_last(
    deployed: InProcess, acme: Person
) -> None:
    seen: list[tuple[str, str]] = []

    def guard(call: Call, send: Callable[[], Any]) -> Any:
        seen.append((call.operation, call.arguments.get("TableName", "")))
        return send()

    vend(deployed)
    before = deployed.tables.items(deployed.tables.connections)
    deployed.border.guard = guard
    assert "token" in vend(deployed)
    assert seen == [("GetItem", "ConnectionsTable"), ("Decrypt", ""), ("PutItem", "AuditTable")]
    assert deployed.tables.items(deployed.tables.connections) == before
    assert deployed.queue.waiting() == []


def test_operator_reads_audit_records_of_a_customer_newest_first_in_pages(
    deployed: InProcess, acme: Person
) -> None:
    for number in range(5):
        vend(deployed, purpose=f"read {number}")
        deployed.clock.advance(timedelta(hours=1))
    vend(deployed, customer_id="globex")
    first = records(deployed, limit=2)
    assert [one["purpose"] for one in first] == ["read 4", "read 3"]
    second = records(deployed, limit=2, until=first[-1]["at"])
    assert [one["purpose"] for one in second] == ["read 2", "read 1"]
    since = records(deployed, since=first[-1]["at"])
    assert [one["purpose"] for one in since] == ["read 4", "read 3"]
    # The same moment in another time zone.
    in_other_zone = datetime.fromisoformat(first[-1]["at"]).astimezone(
        timezone(timedelta(hours=-9))
    )
    assert records(deployed, since=in_other_zone.isoformat()) == since
    assert [one["provider_id"] for one in records(deployed, customer_id="globex")] == ["gusto"]
    assert records(deployed, customer_id="unknown") == []
    for wrong in ({"since": "2026-11-22T10:00:00"}, {"limit": 0}, {"customer_id": None}):
        asked = {"action": "audit", "customer_id": "acme"} | wrong
        answer = invoke(deployed, "resolve_unfinished", asked)
        assert answer["error"] == "invalid_request"


def test_no_token_is_written_to_the_log_or_audit_table(
    deployed: InProcess,
    acme: Person,
    reading: list[httpx.Request],
    log: StringIO,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "finch_connections")
    text = vend(deployed)["token"]["access_token"]
    read(deployed)
    deployed.finch.faults.add("GET", "/employer/directory", error="invalid_token_error")
    assert read(deployed) == {"reason": "unauthorized"}
    # A caller that sends the token as its id does not put it into the audit record.
    assert vend(deployed, report="unauthorized", token_id=text) == {"reason": "not_found"}
    vend(deployed, purpose=text + "\n")
    records(deployed)
    logged = log.getvalue() + caplog.text
    assert '"message":"token asked for"' in logged
    assert '"message":"directory read"' in logged
    assert text not in logged
    assert text not in str(deployed.tables.items(deployed.tables.audit))
    names = {one.last_name for one in people(HARBOR_LANE, HARBOR_LANE.entities[0])}
    assert not [name for name in names if name in logged]


# Invalid requests


@pytest.mark.parametrize(
    "wrong",
    [
        {"customer_id": "a\nb"},
        {"customer_id": ""},
        {"provider_id": None},
        {"company_id": "a" * 256},
        {"company_id": "𝔞" * 255},
        {"products": "directory"},
        {"products": ["Directory"]},
        {"products": ["directory"] * 51},
        {"purpose": ""},
        {"purpose": "with a\nline"},
        {"purpose": "x" * 101},
        {"caller": "with a space"},
        {"report": "unauthorized"},
        {"token_id": "t1"},
        {"report": "forbidden", "token_id": "t1"},
        {"access_token": "not a field"},
    ],
)
def test_invalid_request_is_refused_and_names_the_wrong_field(
    deployed: InProcess, acme: Person, wrong: dict[str, Any]
) -> None:
    answer = vend(deployed, **wrong)
    assert answer["reason"] == "invalid_request"
    field = next(iter(wrong))
    assert field in answer["detail"]
    known = {"customer_id", "caller"} - wrong.keys()
    assert outcomes(deployed) == (["invalid_request"] if len(known) == 2 else [])
    assert deployed.queue.waiting() == []


UNKNOWN = ASKED | {"customer_id": "unknown"}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
ALMOST = st.fixed_dictionaries(
    {},
    # A valid request for an existing connection would get a token, so the customer is unknown.
    optional={name: st.just(value) | ANYTHING for name, value in UNKNOWN.items()}
    | {"report": st.just("unauthorized") | ANYTHING, "token_id": st.text() | ANYTHING},
)


@given(event=ANYTHING | ALMOST)
@hypothesis_settings(deadline=None)
def test_random_input_never_gets_a_token(in_process: InProcess, event: Any) -> None:
    answer = invoke(in_process, "vend_token", event)
    assert answer["reason"] in ("invalid_request", "not_found")


# A 401


def test_reported_401_starts_a_health_check(
    deployed: InProcess, acme: Person, reading: list[httpx.Request]
) -> None:
    before = acme.connection()["logins"][0]["id"]
    deployed.finch.faults.add("GET", "/employer/directory", error="invalid_token_error")
    assert read(deployed) == {"reason": "unauthorized"}
    [message] = deployed.queue.waiting()
    assert (message["customer_id"], message["provider_id"]) == ("acme", "gusto")
    assert message["company_id"] == HARBOR_LANE.id
    reported, vended = records(deployed)
    assert (reported["outcome"], vended["outcome"]) == ("reported", "vended")
    assert reported["token_id"] == before
    deployed.queue.drain()
    # Finch gave only one wrong response, so the token is still stored.
    assert acme.connection()["status"] == "connected"
    assert "token" in vend(deployed)


def test_report_returns_no_token(deployed: InProcess, acme: Person) -> None:
    token_id = vend(deployed)["token"]["token_id"]
    assert vend(deployed, report="unauthorized", token_id=token_id) == {"reported": True}
    assert len(deployed.queue.waiting()) == 1


def test_report_about_an_unknown_token_changes_nothing(deployed: InProcess, acme: Person) -> None:
    token_id = vend(deployed)["token"]["token_id"]
    acme.connect()
    deployed.queue.drain()
    stale = {"report": "unauthorized", "token_id": token_id}
    assert vend(deployed, **stale) == {"reason": "not_found"}
    assert vend(deployed, customer_id="globex", **stale) == {"reason": "not_found"}
    assert deployed.queue.waiting() == []


# A backend that reads the directory


def ids_of(company: Any) -> list[str]:
    return [one.id for entity in company.entities for one in people(company, entity)]


@pytest.fixture(params=[True, False], ids=["counted", "not counted"])
def counted(deployed: InProcess, request: pytest.FixtureRequest) -> bool:
    counts: bool = request.param
    deployed.finch.switches.omit_paging_count = not counts
    return counts


@pytest.mark.parametrize("headcount", [0, 1, 99, 100, 101, 200, 250])
def test_directory_is_read_to_its_last_page(
    deployed: InProcess, reading: list[httpx.Request], counted: bool, headcount: int
) -> None:
    company_id = deployed.finch.add_company("Made Up, Inc.", headcount=headcount)
    deployed.finch.add_login("gusto", "employer", [company_id])
    Person(deployed, "acme").connect(login="employer", company_id=company_id)
    answer = read(deployed, company_id=company_id)
    assert answer["count"] == len(set(answer["individual_ids"])) == headcount
    assert len(reading) <= headcount // 100 + 1


def test_directory_of_a_large_company_is_read_in_pages(
    deployed: InProcess, reading: list[httpx.Request]
) -> None:
    Person(deployed, "acme").connect(provider_id="rippling", login=LENA, company_id=CEDARLINE.id)
    answer = read(deployed, provider_id="rippling", company_id=CEDARLINE.id)
    assert answer["individual_ids"] == ids_of(CEDARLINE)
    assert len(reading) == 2


def test_every_entity_is_read_with_its_own_request(
    deployed: InProcess, reading: list[httpx.Request]
) -> None:
    Person(deployed, "acme").connect(login=DANA, company_id=NORTHFOLD.id)
    answer = read(deployed, company_id=NORTHFOLD.id)
    assert sorted(answer["individual_ids"]) == sorted(ids_of(NORTHFOLD))
    assert answer["left_out_entity_ids"] == []
    assert len(reading) == 3


def test_disconnected_entity_is_left_out(deployed: InProcess, reading: list[httpx.Request]) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=DANA, company_id=NORTHFOLD.id)
    first, *_ = acme.connection(company_id=NORTHFOLD.id)["logins"][0]["entity_ids"]
    assert acme.disconnect_entity(first, company_id=NORTHFOLD.id).status == 200
    assert read(deployed, company_id=NORTHFOLD.id)["left_out_entity_ids"] == [first]
    assert len(reading) == 2


def test_directory_is_not_read_without_an_entity_if_all_are_left_out() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    none = VendedToken(
        access_token=AccessToken("secret"),
        token_id="t",
        connection_id="c",
        provider_id="gusto",
        company_id="company",
        products=frozenset({"directory"}),
        entity_ids=(),
        left_out=("e1",),
        _report=lambda: None,
    )
    with httpx.Client(transport=httpx.MockTransport(refuse)) as finch:
        assert directory.individual_ids(none, finch) == []


def test_directory_that_is_still_syncing_is_not_ready(
    deployed: InProcess, acme: Person, reading: list[httpx.Request]
) -> None:
    deployed.finch.switches.data_sync = "in_progress"
    assert read(deployed) == {"reason": "not_ready"}
    deployed.finch.switches.accepted_with_body = False
    assert read(deployed) == {"reason": "not_ready"}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"error": "rate_limit_exceeded_error"}, "rate_limited"),
        ({"error": "insufficient_scope_error"}, "finch_refused"),
        ({"status": 500}, "finch_refused"),
        ({"drop": "after_effect"}, "finch_unavailable"),
    ],
)
def test_failed_directory_request_is_not_retried_or_reported(
    deployed: InProcess,
    acme: Person,
    reading: list[httpx.Request],
    fault: dict[str, Any],
    reason: str,
) -> None:
    deployed.finch.faults.add("GET", "/employer/directory", **fault)
    assert read(deployed) == {"reason": reason}
    assert len(reading) == 1
    assert deployed.queue.waiting() == []


def test_directory_response_has_the_reason_without_a_token(
    deployed: InProcess, acme: Person, reading: list[httpx.Request]
) -> None:
    change(deployed, ConnectionStatus.REAUTH)
    assert read(deployed) == {"reason": "reauth", "status": "reauth", "missing": []}
    assert read(deployed, company_id="nothing")["reason"] == "not_found"
    assert read(deployed, company_id="a\nb")["reason"] == "invalid_request"
    assert reading == []


def test_page_without_new_individuals_is_the_last_page() -> None:
    everyone = {"individuals": [{"id": str(n)} for n in range(100)], "paging": {"offset": 0}}
    finch = httpx.Client(
        base_url="https://finch.example.com",
        transport=httpx.MockTransport(lambda request: httpx.Response(200, json=everyone)),
    )
    token = SimpleNamespace(
        entity_ids=(), left_out=(), access_token=SimpleNamespace(reveal=lambda: "x")
    )
    assert len(directory.individual_ids(token, finch)) == 100  # type: ignore[arg-type]


# The customer's connections


def listed(deployed: InProcess, **changes: Any) -> Any:
    asked = {"customer_id": "acme", "caller": "payroll-sync", "purpose": "test: list"}
    return invoke(deployed, "vend_token", asked | {"list_connections": True} | changes)


def test_connections_are_listed_for_a_backend_and_the_list_is_recorded(
    deployed: InProcess, acme: Person
) -> None:
    acme.connect(provider_id="rippling", login=LENA, company_id=CEDARLINE.id)
    acme.connect(products=["employment"])
    assert listed(deployed) == {
        "connections": [
            {
                "provider_id": "gusto",
                "company_id": HARBOR_LANE.id,
                "status": "connected",
                "products": ["company", "directory", "employment"],
            },
            {
                "provider_id": "rippling",
                "company_id": CEDARLINE.id,
                "status": "connected",
                "products": ["company", "directory"],
            },
        ],
        "next": None,
    }
    [record] = records(deployed)
    assert (record["outcome"], record["caller"]) == ("listed", "payroll-sync")
    assert record["purpose"] == "test: list"


def test_list_goes_on_after_the_last_connection_of_a_page(
    deployed: InProcess, acme: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme.connect(provider_id="rippling", login=LENA, company_id=CEDARLINE.id)
    monkeypatch.setattr("finch_connections.use_cases.vend_token.PAGE", 1)
    first = listed(deployed)
    assert first["next"] == {"provider_id": "gusto", "company_id": HARBOR_LANE.id}
    second = listed(deployed, after=first["next"])
    assert [one["provider_id"] for one in second["connections"]] == ["rippling"]


def test_list_has_no_other_customers_and_no_disconnected_connections(
    deployed: InProcess, acme: Person
) -> None:
    assert listed(deployed, customer_id="globex") == {"connections": [], "next": None}
    acme.disconnect()
    deployed.queue.drain()
    assert listed(deployed)["connections"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"purpose": None},
        {"list_connections": False},
        {"products": []},
        {"after": {"provider_id": "gusto"}},
        {"after": {"provider_id": "g" * 255, "company_id": "c" * 255 * 4}},
    ],
)
def test_invalid_list_is_refused_and_recorded(
    deployed: InProcess, acme: Person, wrong: dict[str, Any]
) -> None:
    answer = listed(deployed, **wrong)
    assert answer["reason"] == "invalid_request"
    assert "connections" not in answer
    assert outcomes(deployed) == ["invalid_request"]
