"""Backends with an alias of their own: what a grant allows, and what is refused without it."""

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Literal

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

import finch_tokens
from finch_connections import settings
from finch_connections.domain.errors import InternalError
from finch_tokens import TokenClient, TokenRefused, connections_of
from finch_tokens.http import finch_connections_client
from local.fake_finch.seed_world import CEDARLINE, HARBOR_LANE, LENA
from operations import erase, export, grants
from operations.__main__ import parser
from operations.stack import CannotOperate, ExitCode
from tests.support.in_process import Call, InProcess
from tests.support.person import Person

WHO = {
    "customer_id": "acme",
    "provider_id": "gusto",
    "company_id": HARBOR_LANE.id,
    "purpose": "test",
    "caller": "payroll-sync",
}
TOKEN: dict[str, Any] = {**WHO, "products": ["directory"]}
LIST: dict[str, Any] = {
    **{name: WHO[name] for name in ("customer_id", "purpose", "caller")},
    "list_connections": True,
}
CALL: dict[str, Any] = {**WHO, "method": "GET", "path": "/employer/directory"}
PAYROLL = "company directory individual employment payment pay_statement"
SET = ["set", "payroll", "--customers", "acme", "--reads", "/employer", "--products"]


def ask(deployed: InProcess, function: str, event: Any) -> Any:
    assert deployed.invoke
    return deployed.invoke(function, event)


def records(deployed: InProcess) -> list[dict[str, Any]]:
    """The audit records of the customer as an operator sees them, newest first."""
    command = {"action": "audit", "customer_id": "acme"}
    found: list[dict[str, Any]] = ask(deployed, "resolve_unfinished", command)["result"]["records"]
    return found


def stack_of(deployed: InProcess) -> Any:
    def invoke(name: str, event: Any) -> Any:
        assert name == "EraseCustomer"
        return ask(deployed, "erase_customer", event)["result"]

    tables = deployed.tables
    return SimpleNamespace(
        client=boto3.client,
        invoke=invoke,
        outputs={
            "GrantsTableName": tables.grants,
            "ConnectionsTableName": tables.connections,
            "ConnectSessionsTableName": tables.sessions,
            "OwnershipTableName": tables.ownerships,
            "AuditTableName": tables.audit,
        },
        parameters={
            **{f"Backend{place}": "" for place in range(1, 6)},
            "Backend1": "payroll",
            "Backend3": "benefits",
        },
    )


def operate(deployed: InProcess, *words: str) -> str:
    """Runs `grants`; returns its output."""
    options, said = parser().parse_args(["grants", *words]), list[str]()
    code = grants.grants(options, stack_of(deployed), deployed.clock.now, said.append)
    assert code is ExitCode.DONE
    return "\n".join(said)


@pytest.fixture
def acme(deployed: InProcess) -> Person:
    """A customer whose login covers payroll, too, but no SSN."""
    person = Person(deployed, "acme")
    assert person.connect(products=PAYROLL.split()).outcome["status"] == "connected"
    deployed.queue.drain()
    return person


# Without a grant


def test_live_reads_no_grant_and_everything_as_before(deployed: InProcess, acme: Person) -> None:
    tables: list[str] = []

    def note(call: Call, send: Any) -> Any:
        tables.append(str(call.arguments.get("TableName")) if call.service != "finch" else "")
        return send()

    deployed.border.guard = note
    assert "token" in ask(deployed, "vend_token", TOKEN)
    assert ask(deployed, "vend_token", LIST)["connections"]
    assert ask(deployed, "call_finch", CALL)["status_code"] == 200
    assert "GrantsTable" not in tables
    assert {one["backend"] for one in records(deployed)} == {None}


@pytest.mark.parametrize(
    ("function", "event", "missing"),
    [
        ("vend_token", TOKEN, {"missing": ["directory"]}),
        ("vend_token", {**TOKEN, "products": []}, {}),
        ("vend_token", {**TOKEN, "report": "unauthorized", "token_id": "x", "products": []}, {}),
        ("vend_token", LIST, {}),
        ("call_finch", CALL, {"missing": ["directory"]}),
    ],
)
def test_alias_without_a_grant_is_refused_and_recorded_and_nothing_else_is_read(
    deployed: InProcess, acme: Person, function: str, event: Any, missing: dict[str, Any]
) -> None:
    seen: list[tuple[str, str]] = []

    def note(call: Call, send: Any) -> Any:
        seen.append((call.operation, call.arguments["TableName"]))
        return send()

    deployed.border.guard = note
    answer = ask(deployed, f"{function}:payroll", event)
    assert answer == {"reason": "not_granted", **missing}
    assert seen == [("GetItem", "GrantsTable"), ("PutItem", "AuditTable")]
    [record] = records(deployed)
    assert (record["outcome"], record["backend"]) == ("not_granted", "payroll")
    assert record["caller"] == "payroll-sync"


@pytest.mark.parametrize("qualifier", ["7", "benefits", "payroll-2"])
def test_every_other_qualifier_needs_its_own_grant(
    deployed: InProcess, acme: Person, qualifier: str
) -> None:
    operate(deployed, *SET, *PAYROLL.split())
    assert ask(deployed, f"vend_token:{qualifier}", TOKEN)["reason"] == "not_granted"
    assert "token" in ask(deployed, "vend_token:$LATEST", TOKEN)


@pytest.mark.parametrize(("function", "event"), [("vend_token", TOKEN), ("call_finch", CALL)])
def test_nothing_is_given_if_the_grant_cannot_be_read(
    deployed: InProcess, acme: Person, function: str, event: Any
) -> None:
    operate(deployed, *SET, *PAYROLL.split())

    def fail(call: Call, send: Any) -> Any:
        if call.arguments["TableName"] == "GrantsTable":
            raise EndpointConnectionError(endpoint_url="https://dynamodb.example.com")
        return send()

    deployed.border.guard = fail
    with pytest.raises(InternalError):
        ask(deployed, f"{function}:payroll", event)


# Tokens


def test_token_within_the_grant_is_vended_and_recorded_with_the_backend(
    deployed: InProcess, acme: Person
) -> None:
    operate(deployed, *SET, *PAYROLL.split())
    assert ask(deployed, "vend_token:payroll", TOKEN)["token"]["products"] == sorted(
        PAYROLL.split()
    )
    [record] = records(deployed)
    assert (record["outcome"], record["backend"]) == ("vended", "payroll")


def test_token_that_reads_more_than_the_grant_is_refused(deployed: InProcess, acme: Person) -> None:
    operate(deployed, *SET, "directory", "company", "employment")
    refused = {
        "reason": "not_granted",
        "missing": ["individual", "pay_statement", "payment"],
    }
    assert ask(deployed, "vend_token:payroll", TOKEN) == refused
    assert [one["outcome"] for one in records(deployed)] == ["not_granted"]


def test_older_token_within_the_grant_is_chosen(deployed: InProcess) -> None:
    person = Person(deployed, "acme")
    person.connect(products=["company", "directory"])
    deployed.clock.advance(timedelta(hours=1))
    person.connect(products=["directory", "payment"])
    deployed.queue.drain()
    assert "payment" in ask(deployed, "vend_token", TOKEN)["token"]["products"]
    operate(deployed, *SET, "directory", "company")
    token = ask(deployed, "vend_token:payroll", TOKEN)["token"]
    assert token["products"] == ["company", "directory"]


def test_token_of_another_customer_is_refused(deployed: InProcess, acme: Person) -> None:
    operate(deployed, "set", "payroll", "--customers", "globex", "--products", "*")
    assert ask(deployed, "vend_token:payroll", TOKEN) == {"reason": "not_granted"}
    operate(deployed, "set", "payroll", "--customers", "globex", "acme", "--products", "*")
    assert "token" in ask(deployed, "vend_token:payroll", TOKEN)
    operate(deployed, "set", "payroll", "--customers", "*", "--products", "*")
    assert "token" in ask(deployed, "vend_token:payroll", TOKEN)


def test_report_of_another_customers_token_queues_no_check(
    deployed: InProcess, acme: Person
) -> None:
    operate(deployed, *SET, *PAYROLL.split())
    token_id = ask(deployed, "vend_token:payroll", TOKEN)["token"]["token_id"]
    report = {**TOKEN, "report": "unauthorized", "token_id": token_id}
    operate(deployed, "set", "payroll", "--customers", "globex", "--products", "*")
    assert ask(deployed, "vend_token:payroll", report) == {"reason": "not_granted"}
    assert deployed.queue.waiting() == []
    operate(deployed, *SET, *PAYROLL.split())
    assert ask(deployed, "vend_token:payroll", report) == {"reported": True}
    assert len(deployed.queue.waiting()) == 1


def test_list_has_only_granted_connections_and_products(deployed: InProcess, acme: Person) -> None:
    acme.connect(
        provider_id="rippling", login=LENA, company_id=CEDARLINE.id, products=["directory"]
    )
    deployed.queue.drain()
    operate(deployed, *SET, "payment", "pay_statement")
    [found] = ask(deployed, "vend_token:payroll", LIST)["connections"]
    assert (found["provider_id"], found["products"]) == ("gusto", ["pay_statement", "payment"])
    [record] = records(deployed)
    assert (record["outcome"], record["backend"]) == ("listed", "payroll")
    operate(deployed, "set", "payroll", "--customers", "*", "--products", "*")
    everything = ask(deployed, "vend_token", LIST)
    assert ask(deployed, "vend_token:payroll", LIST) == everything
    assert len(everything["connections"]) == 2


# Calls of Finch


def individuals(deployed: InProcess, **options: Any) -> Any:
    directory = json.loads(ask(deployed, "call_finch", CALL)["body"])
    body = {"requests": [{"individual_id": directory["individuals"][0]["id"]}], **options}
    call = {**CALL, "method": "POST", "path": "/employer/individual", "body": body}
    return ask(deployed, "call_finch:payroll", call)


def test_call_within_the_grant_is_made_although_the_token_reads_more(
    deployed: InProcess, acme: Person
) -> None:
    operate(deployed, *SET, "directory")
    assert ask(deployed, "call_finch:payroll", CALL)["status_code"] == 200
    [record] = records(deployed)
    assert (record["outcome"], record["backend"]) == ("called", "payroll")


def test_ssn_needs_its_own_grant(deployed: InProcess) -> None:
    person = Person(deployed, "acme")
    person.connect(products=[*PAYROLL.split(), "ssn"])
    deployed.queue.drain()
    operate(deployed, *SET, *PAYROLL.split())
    assert individuals(deployed)["status_code"] == 200
    with_ssn: dict[str, Any] = {"options": {"include": ["ssn"]}}
    called = deployed.finch.requests.count("POST", "/employer/individual")
    assert individuals(deployed, **with_ssn) == {"reason": "not_granted", "missing": ["ssn"]}
    assert deployed.finch.requests.count("POST", "/employer/individual") == called
    operate(deployed, *SET, *PAYROLL.split(), "ssn")
    assert individuals(deployed, **with_ssn)["status_code"] == 200


@pytest.mark.parametrize(
    ("method", "path", "missing"),
    [
        ("GET", "/employer/payment", ["payment"]),
        ("GET", "/employer/company", []),
        ("GET", "/employer/benefits", ["benefits"]),
        ("GET", "/employer/pay-groups", ["pay_groups"]),
        ("POST", "/employer/directory", []),
    ],
)
def test_call_outside_the_grant_is_refused_and_not_made(
    deployed: InProcess,
    acme: Person,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    missing: list[str],
) -> None:
    monkeypatch.setattr(settings, "called_paths", lambda: (("/employer",), ("/employer",)))
    allowed = "/employer/directory /employer/payment /employer/benefits /employer/pay-groups"
    products = ["company", "directory"]
    operate(deployed, *SET[:3], "acme", "--reads", *allowed.split(), "--products", *products)
    sent = len(deployed.finch.requests.all())
    answer = ask(deployed, "call_finch:payroll", {**CALL, "method": method, "path": path})
    assert answer == {"reason": "not_granted", **({"missing": missing} if missing else {})}
    assert len(deployed.finch.requests.all()) == sent
    [record] = records(deployed)
    assert (record["outcome"], record["call"]) == ("not_granted", f"{method} {path}")


def test_grant_to_change_reaches_no_further_than_the_paths_of_the_template(
    deployed: InProcess, acme: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--writes", "/employer/benefits", "--products", "benefits"]
    operate(deployed, "set", "payroll", "--customers", "acme", *words)
    change = {**CALL, "method": "POST", "path": "/employer/benefits", "body": {}}
    assert ask(deployed, "call_finch:payroll", change) == {"reason": "path_not_allowed"}
    monkeypatch.setattr(settings, "called_paths", lambda: (("/employer",), ("/employer",)))
    assert "status_code" in ask(deployed, "call_finch:payroll", change)


# The client


@pytest.mark.parametrize("through", ["vend_token", "call_finch"])
def test_client_raises_the_refusal_with_the_missing_products(
    deployed: InProcess, acme: Person, through: Literal["vend_token", "call_finch"]
) -> None:
    operate(deployed, *SET, "company")
    client = TokenClient(boto3.client("lambda"), f"{through}:payroll", "payroll-sync")
    asked: Any = {name: WHO[name] for name in WHO if name != "caller"}
    http = finch_connections_client(through=through, client=client, **asked)
    response = http.get("https://api.tryfinch.com/employer/directory")
    with pytest.raises(TokenRefused, match="not_granted") as caught:
        response.raise_for_status()
    assert "directory" in caught.value.missing


def test_client_takes_the_alias_from_the_environment(
    deployed: InProcess, acme: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VEND_TOKEN_FUNCTION", "vend_token:payroll")
    finch_tokens.from_settings.cache_clear()
    try:
        with pytest.raises(TokenRefused, match="not_granted"):
            list(connections_of(customer_id="acme", purpose="test"))
    finally:
        finch_tokens.from_settings.cache_clear()


# The operator


def test_change_of_a_grant_holds_from_the_next_request_and_says_who_made_it(
    deployed: InProcess, acme: Person
) -> None:
    assert "payroll has no grant" in operate(deployed, "list")
    operate(deployed, *SET, "directory")
    assert ask(deployed, "call_finch:payroll", CALL)["status_code"] == 200
    operate(deployed, "remove", "payroll")
    assert ask(deployed, "call_finch:payroll", CALL)["reason"] == "not_granted"
    found = json.loads(operate(deployed, "list", "--json"))
    assert found["without_grant"] == ["benefits"]
    [grant] = found["grants"]
    assert grant.pop("changed_by").startswith("arn:aws:")
    assert grant.pop("changed_at").startswith("2026-11-22")
    assert grant == {
        "backend": "payroll",
        **{name: [] for name in ("products", "reads", "writes", "customers")},
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["set", "unknown", "--customers", "acme", "--products", "*"], "has no alias"),
        (["set", "payroll", "--products", "*", "--customers", *map(str, range(101))], "at most"),
    ],
)
def test_grant_that_cannot_work_is_refused(
    deployed: InProcess, words: list[str], message: str
) -> None:
    with pytest.raises(CannotOperate, match=message):
        operate(deployed, *words)
    assert deployed.tables.items(deployed.tables.grants) == []


def test_customer_is_exported_and_erased_from_every_grant(
    deployed: InProcess, acme: Person
) -> None:
    words = ["--products", "directory", "--customers", "acme"]
    operate(deployed, "set", "payroll", *words, "globex")
    operate(deployed, "set", "benefits", *words)
    stack = stack_of(deployed)
    exported = export.export(stack, "acme", deployed.clock.now)
    assert sorted(exported["granted_backends"]) == ["benefits", "payroll"]
    assert "globex" not in str(exported)
    said: list[str] = []
    erase.erase(stack, "acme", timedelta(0), said.append, sure=True)
    found = json.loads(operate(deployed, "list", "--json"))["grants"]
    assert [one["customers"] for one in found] == [[], ["globex"]]
