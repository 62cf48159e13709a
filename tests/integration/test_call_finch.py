"""Calls of Finch for other backends: answers, refusals, records, limits and repetitions."""

import asyncio
import json
from datetime import timedelta
from io import StringIO
from types import SimpleNamespace
from typing import Any

import finch
import httpx
import pytest
from botocore.exceptions import EndpointConnectionError

from finch_connections import settings
from finch_connections.domain.errors import InternalError
from finch_connections.domain.finch_call import PER_WINDOW, WINDOW
from finch_connections.finch import client as finch_client
from finch_connections.use_cases import call_finch as use_case
from finch_tokens import TokenRefused, VendingFailed
from finch_tokens import http as finch_http
from finch_tokens.http import (
    EntityNeeded,
    NotReady,
    async_finch_connections_client,
    finch_connections_client,
)
from functions.call_finch.handler import call_finch
from local.fake_finch import InProcessTransport, create_app
from local.fake_finch.seed_world import CEDARLINE, DANA, HARBOR_LANE, LENA, NORTHFOLD
from tests.support.in_process import Call, InProcess
from tests.support.person import Person

DIRECTORY = "/employer/directory"
PRODUCTS = ["company", "directory", "individual", "employment", "payment", "pay_statement"]
WHO: dict[str, Any] = {
    "customer_id": "acme",
    "provider_id": "gusto",
    "company_id": HARBOR_LANE.id,
    "purpose": "test: who works there",
}
ASKED = {**WHO, "caller": "payroll-sync", "method": "GET", "path": DIRECTORY}
INDIVIDUALS = {"method": "POST", "path": "/employer/individual"}


def ask(deployed: InProcess, **changes: Any) -> Any:
    assert deployed.invoke is not None
    return deployed.invoke("call_finch", ASKED | changes)


def records(deployed: InProcess) -> list[dict[str, Any]]:
    """The audit records of the customer as an operator sees them, newest first."""
    assert deployed.invoke is not None
    command = {"action": "audit", "customer_id": "acme"}
    found: list[dict[str, Any]] = deployed.invoke("resolve_unfinished", command)["result"][
        "records"
    ]
    return found


def outcomes(deployed: InProcess) -> list[str]:
    return [one["outcome"] for one in records(deployed)]


def calls(deployed: InProcess, path: str = DIRECTORY, method: str = "GET") -> int:
    return deployed.finch.requests.count(method, path)


@pytest.fixture
def acme(deployed: InProcess) -> Person:
    """A customer with a connection whose login covers payroll, too."""
    person = Person(deployed, "acme")
    assert person.connect(products=PRODUCTS).outcome["status"] == "connected"
    deployed.queue.drain()
    return person


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator allows changes of benefits."""
    paths = ("/employer",), ("/employer/benefits", "/employer/documents")
    monkeypatch.setattr(settings, "called_paths", lambda: paths)


# The answer


def test_answer_has_status_headers_and_body_as_finch_gave_it(
    deployed: InProcess, acme: Person
) -> None:
    answer = ask(deployed, query={"limit": 2, "offset": 1})
    assert answer["status_code"] == 200
    assert answer["headers"].keys() == {
        "content-type",
        "finch-request-id",
        "finch-data-retrieved",
        "finch-last-attempted-update-date",
        "finch-last-attempted-update-result",
    }
    [token] = deployed.finch.live_tokens()
    direct = httpx.Client(transport=InProcessTransport(create_app(deployed.finch))).get(
        f"https://finch.example.com{DIRECTORY}?limit=2&offset=1",
        headers={
            "Authorization": f"Bearer {token.access_token}",
            "Finch-API-Version": "2020-09-17",
        },
    )
    assert answer["body"] == direct.text
    assert json.loads(answer["body"])["paging"]["offset"] == 1


def test_token_is_neither_in_the_answer_nor_in_a_log_or_table(
    deployed: InProcess, acme: Person, log: StringIO
) -> None:
    [token] = deployed.finch.live_tokens()
    deployed.finch.faults.add("GET", DIRECTORY, error="invalid_token_error")
    seen = [ask(deployed), ask(deployed), log.getvalue(), deployed.tables.items("AuditTable")]
    assert token.access_token not in str(seen)
    assert deployed.finch.requests.last().headers["authorization"] == "Bearer"


def test_error_of_finch_is_answered_unchanged(deployed: InProcess, acme: Person) -> None:
    deployed.finch.faults.add("GET", DIRECTORY, error="not_implemented_error")
    answer = ask(deployed)
    assert (answer["status_code"], calls(deployed)) == (501, 1)
    assert json.loads(answer["body"])["name"] == "not_implemented_error"
    assert "x-should-retry" not in answer["headers"]


@pytest.mark.parametrize("body", [True, False])
def test_202_is_not_ready(deployed: InProcess, acme: Person, body: bool) -> None:
    deployed.finch.switches.data_sync = "in_progress"
    deployed.finch.switches.accepted_with_body = body
    assert ask(deployed) == {"reason": "not_ready"}
    assert outcomes(deployed) == ["called"]


def test_401_is_answered_recorded_and_checked(deployed: InProcess, acme: Person) -> None:
    [login] = acme.connection()["logins"]
    deployed.finch.set_connection_status(login["connection_id"], "reauth")
    answer = ask(deployed)
    assert (answer["status_code"], calls(deployed)) == (401, 1)
    assert json.loads(answer["body"])["finch_code"] == "reauthenticate_user"
    assert sorted(outcomes(deployed)) == ["called", "reported"]
    assert {one["call"] for one in records(deployed)} == {"GET /employer/directory"}
    deployed.queue.drain()
    assert acme.connection()["status"] == "reauth"
    assert ask(deployed) == {"reason": "reauth", "status": "reauth"}


def test_401_is_answered_although_it_cannot_be_reported(deployed: InProcess, acme: Person) -> None:
    deployed.finch.faults.add("GET", DIRECTORY, error="invalid_token_error")

    def fail(call: Call, send: Any) -> Any:
        if call.service == "sqs":
            raise EndpointConnectionError(endpoint_url="https://sqs.example.com")
        return send()

    deployed.border.guard = fail
    assert ask(deployed)["status_code"] == 401


def test_answer_above_the_limit_is_too_large(
    deployed: InProcess, acme: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(ask(deployed)["body"])
    # The first limit is passed while the answer is read, the second with the escapes of its text.
    for most in (size - 1, size + 10):
        monkeypatch.setattr(use_case, "MOST_BYTES", most)
        answer = ask(deployed)
        assert answer["reason"] == "too_large"
        assert "limit and offset" in answer["detail"]
    assert ask(deployed, query={"limit": 1})["status_code"] == 200
    # A large answer is not asked for again.
    assert calls(deployed) == 4


# Refusals


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/disconnect"),
        ("GET", "/introspect"),
        ("POST", "/auth/token"),
        ("GET", "/employer/../introspect"),
        ("GET", "/employer/%2e%2e/introspect"),
        ("POST", "/employer/benefits"),
        ("DELETE", "/employer/directory"),
    ],
)
def test_path_that_is_not_allowed_is_recorded_and_not_called(
    deployed: InProcess, acme: Person, method: str, path: str
) -> None:
    sent = len(deployed.finch.requests.all())
    assert ask(deployed, method=method, path=path) == {"reason": "path_not_allowed"}
    assert len(deployed.finch.requests.all()) == sent
    [record] = records(deployed)
    assert (record["outcome"], record["call"]) == ("path_not_allowed", f"{method} {path}")


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"customer_id": "globex"}, {"reason": "not_found"}),
        ({"company_id": "nothing"}, {"reason": "not_found"}),
        (
            {**INDIVIDUALS, "body": {"requests": [], "options": {"include": ["ssn"]}}},
            {"reason": "missing_products", "missing": ["ssn"]},
        ),
    ],
)
def test_call_without_a_token_is_refused_as_the_token_would_be(
    deployed: InProcess, acme: Person, changes: dict[str, Any], answer: dict[str, Any]
) -> None:
    sent = len(deployed.finch.requests.all())
    assert ask(deployed, **changes) == answer
    assert len(deployed.finch.requests.all()) == sent


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "TRACE"},
        {"path": ""},
        {"purpose": ""},
        {"caller": "ä"},
        {"headers": {}},
        {"query": {"entity_ids": "x"}},
        {"query": {"Entity_ids[]": "x"}},
        {"query": {"entity_ids[0]": "x"}},
        {"query": {"limit": None}},
        {"body": "text"},
    ],
)
def test_invalid_request_is_recorded_and_not_called(
    deployed: InProcess, acme: Person, wrong: dict[str, Any]
) -> None:
    sent = len(deployed.finch.requests.all())
    answer = ask(deployed, **wrong)
    assert answer["reason"] == "invalid_request"
    assert next(iter(wrong)) in answer["detail"]
    assert len(deployed.finch.requests.all()) == sent
    assert outcomes(deployed) == ([] if "caller" in wrong else ["invalid_request"])


def test_one_entity_of_several_must_be_named(deployed: InProcess) -> None:
    person = Person(deployed, "acme")
    person.connect(login=DANA, company_id=NORTHFOLD.id, products=PRODUCTS)
    deployed.queue.drain()
    asked = {"company_id": NORTHFOLD.id}
    answer = ask(deployed, **asked)
    entity_ids = answer["entity_ids"]
    assert (answer["reason"], len(entity_ids)) == ("entity_needed", len(NORTHFOLD.entities))
    read = ask(deployed, **asked, query={"entity_ids[]": entity_ids[0]})
    assert read["status_code"] == 200
    foreign = ask(deployed, **asked, query={"entity_ids[]": "3a3ff2d2-0000-4000-8000-000000000000"})
    assert foreign["reason"] == "entity_needed"
    assert calls(deployed) == 1
    assert outcomes(deployed) == ["entity_needed", "called", "entity_needed"]


# Records


def test_each_call_is_recorded_before_it_is_made(deployed: InProcess, acme: Person) -> None:
    seen: list[str] = []

    def note(call: Call, send: Any) -> Any:
        if call.service == "finch" or call.arguments.get("TableName") == "AuditTable":
            seen.append(call.operation)
        return send()

    deployed.border.guard = note
    secret = "canary of the body"
    body = {"requests": [{"individual_id": secret}]}
    ask(deployed, **INDIVIDUALS, body=body, query={"limit": 1})
    assert seen == ["PutItem", "POST /employer/individual"]
    [record] = records(deployed)
    [login] = acme.connection()["logins"]
    assert record.pop("at")
    assert record == {
        "outcome": "called",
        "caller": "payroll-sync",
        "purpose": "test: who works there",
        "provider_id": "gusto",
        "company_id": HARBOR_LANE.id,
        "products": ["individual"],
        "connection_id": login["connection_id"],
        "token_id": login["id"],
        "call": "POST /employer/individual",
    }
    assert secret not in str(deployed.tables.items("AuditTable"))


def test_without_a_record_there_is_no_call_and_no_aws_error_leaves(
    deployed: InProcess, acme: Person
) -> None:
    def fail(call: Call, send: Any) -> Any:
        if call.operation == "PutItem":
            raise EndpointConnectionError(endpoint_url="https://dynamodb.example.com")
        return send()

    deployed.border.guard = fail
    with pytest.raises(InternalError):
        ask(deployed)
    assert calls(deployed) == 0


def test_call_is_a_use_of_the_connection(deployed: InProcess, acme: Person) -> None:
    ask(deployed)
    [item] = deployed.tables.items(deployed.tables.connections)
    assert item["used_at"]["M"]


# Limits


def test_finchs_limit_is_kept_by_all_backends_together(deployed: InProcess, acme: Person) -> None:
    answers = [
        ask(deployed, caller=f"backend-{number}", query={"limit": 1})
        for number in range(PER_WINDOW["directory"] + 1)
    ]
    *made, over = answers
    assert {one["status_code"] for one in made} == {200}
    assert over["reason"] == "rate_limited"
    assert 0 < over["retry_after"] <= WINDOW.total_seconds() + 1
    assert calls(deployed) == PER_WINDOW["directory"]
    # Another product has its own limit, and a refused call is not recorded.
    assert ask(deployed, path="/employer/company")["status_code"] == 200
    assert len(records(deployed)) == PER_WINDOW["directory"] + 1
    deployed.clock.advance(timedelta(seconds=over["retry_after"]))
    assert ask(deployed)["status_code"] == 200


def test_no_minute_has_more_calls_than_finch_allows(deployed: InProcess, acme: Person) -> None:
    period = {"start_date": "2026-11-01", "end_date": "2026-11-30"}
    made = []
    for _ in range(60):
        answer = ask(deployed, path="/employer/payment", query=period)
        if "status_code" in answer:
            made.append(deployed.clock.now)
        deployed.clock.advance(timedelta(seconds=3))
    assert len(made) > 2 * PER_WINDOW["payment"]
    for moment in made:
        within = [one for one in made if moment <= one < moment + timedelta(seconds=60)]
        assert len(within) <= PER_WINDOW["payment"]


def test_calls_at_the_same_time_are_all_counted(deployed: InProcess, acme: Person) -> None:
    """Another backend counts its call between our read and our write."""
    others = 3

    def race(call: Call, send: Any) -> Any:
        nonlocal others
        counts = call.arguments["TableName"] == "ConnectSessionsTable" if others else False
        if counts and call.operation == "UpdateItem":
            others -= 1
            ask(deployed)
        return send()

    deployed.border.guard = race
    assert ask(deployed)["status_code"] == 200
    [counted] = [
        one
        for one in deployed.tables.items("ConnectSessionsTable")
        if one["handle_hash"] == {"S": "budget#finch#directory"}
    ]
    assert len(counted["calls"]["L"]) == 4
    assert int(counted["ttl"]["N"]) > deployed.clock.now.timestamp()


@pytest.mark.parametrize(
    ("finch_code", "headers", "wait"),
    [
        ("finch_application_rl", {}, "60"),
        ("finch_api_ip_rl", {}, "3600"),
        ("finch_application_rl", {"Retry-After": "7"}, "7"),
    ],
)
def test_429_of_finch_says_how_long_to_wait(
    deployed: InProcess, acme: Person, finch_code: str, headers: dict[str, str], wait: str
) -> None:
    deployed.finch.faults.add(
        "GET",
        DIRECTORY,
        error="rate_limit_exceeded_error",
        finch_code=finch_code,
        headers=headers,
    )
    answer = ask(deployed)
    assert (answer["status_code"], answer["headers"]["retry-after"]) == (429, wait)
    assert calls(deployed) == 1


# Repetitions


def test_lost_reading_is_repeated_once(deployed: InProcess, acme: Person) -> None:
    deployed.finch.faults.add("GET", DIRECTORY, drop="after_effect")
    assert ask(deployed)["status_code"] == 200
    assert calls(deployed) == 2
    assert outcomes(deployed) == ["called"]
    deployed.finch.faults.add("GET", DIRECTORY, drop="after_effect", times=None)
    assert ask(deployed) == {"reason": "finch_unavailable"}
    assert calls(deployed) == 4


def test_lost_change_is_not_repeated(deployed: InProcess, acme: Person, writes: None) -> None:
    path = "/employer/benefits"
    deployed.finch.faults.add("POST", path, drop="after_effect", times=None)
    asked = {"method": "POST", "path": path, "body": {"type": "401k"}}
    assert ask(deployed, **asked) == {"reason": "finch_unavailable"}
    assert calls(deployed, path, "POST") == 1
    assert json.loads(deployed.finch.requests.last().body) == {"type": "401k"}
    assert outcomes(deployed) == ["called"]


def test_change_that_never_reached_finch_is_repeated(
    deployed: InProcess, acme: Person, writes: None
) -> None:
    tried = 0

    def refuse(call: Call, send: Any) -> Any:
        nonlocal tried
        if call.service == "finch":
            tried += 1
            if tried == 1:
                raise httpx.ConnectError("refused")
        return send()

    deployed.border.guard = refuse
    answer = ask(deployed, method="POST", path="/employer/benefits", body={})
    # The fake Finch has no benefits.
    assert (answer["status_code"], tried) == (404, 2)


@pytest.mark.parametrize(("method", "should_retry"), [("POST", "false"), ("GET", None)])
def test_failed_change_forbids_the_sdk_to_repeat_it(
    deployed: InProcess, acme: Person, writes: None, method: str, should_retry: str | None
) -> None:
    path = "/employer/benefits"
    deployed.finch.faults.add(method, path, error="server_error")
    answer = ask(deployed, method=method, path=path)
    assert answer["status_code"] == 500
    assert answer["headers"].get("x-should-retry") == should_retry


def test_call_is_not_repeated_without_time_and_ends_before_the_function(
    deployed: InProcess, acme: Person
) -> None:
    waits: list[float] = []

    def note(call: Call, send: Any) -> Any:
        if call.service == "finch":
            waits.append(call.arguments.extensions["timeout"]["read"])
        return send()

    deployed.border.guard = note
    deployed.finch.faults.add("GET", DIRECTORY, drop="after_effect", times=None)
    for left, made in ((400.0, 2), (60.0, 2), (43.0, 1)):
        waits.clear()
        context: Any = SimpleNamespace(
            aws_request_id="r", get_remaining_time_in_millis=lambda left=left: left * 1000
        )
        with deployed.border.invocation("call_finch"):
            assert call_finch(ASKED, context) == {"reason": "finch_unavailable"}
        assert len(waits) == made
        longest = 2 * finch_client.CONNECT_SECONDS + waits[0]
        assert longest + use_case.AWS_SECONDS <= left
        assert waits[0] <= use_case.READ_SECONDS


# The SDK through CallFinch


@pytest.fixture
def sdk(deployed: InProcess, acme: Person) -> finch.Finch:
    finch_http.calling_from_settings.cache_clear()
    return sdk_for()


def sdk_for(**choices: Any) -> finch.Finch:
    client = finch_connections_client(through="call_finch", **(WHO | choices))
    return finch.Finch(access_token="", http_client=client)


def test_sdk_reads_everything_through_the_function(deployed: InProcess, sdk: finch.Finch) -> None:
    person = Person(deployed, "acme")
    person.connect(login=LENA, provider_id="rippling", company_id=CEDARLINE.id, products=PRODUCTS)
    deployed.queue.drain()
    large = sdk_for(provider_id="rippling", company_id=CEDARLINE.id, products=["directory"])
    people = list(large.hris.directory.list())
    assert len({one.id for one in people}) == CEDARLINE.entities[0].headcount > 100
    first = next(iter(sdk.hris.directory.list()))
    requests: Any = [{"individual_id": first.id}]
    [individual] = sdk.hris.individuals.retrieve_many(requests=requests)
    [employment] = sdk.hris.employments.retrieve_many(requests=requests)
    assert individual.body.to_dict()["id"] == employment.body.to_dict()["id"] == first.id
    payment = next(iter(sdk.hris.payments.list(start_date="2026-11-01", end_date="2026-11-30")))
    [paid] = sdk.hris.pay_statements.retrieve_many(requests=[{"payment_id": payment.id}])
    assert paid.code == 200
    assert {one["caller"] for one in records(deployed)} == {"read_directory"}
    assert {one["outcome"] for one in records(deployed)} == {"called"}


def test_async_sdk_reads_through_the_function(deployed: InProcess, sdk: finch.Finch) -> None:
    async def read() -> list[str]:
        client = async_finch_connections_client(through="call_finch", **WHO)
        async with finch.AsyncFinch(access_token="", http_client=client) as asynchronous:
            return [one.id async for one in asynchronous.hris.directory.list()]

    assert asyncio.run(read()) == [one.id for one in sdk.hris.directory.list()]
    assert outcomes(deployed) == ["called", "called"]


def test_sdk_gets_typed_errors_through_the_function(deployed: InProcess, sdk: finch.Finch) -> None:
    deployed.finch.switches.data_sync = "in_progress"
    with pytest.raises(NotReady):
        sdk.hris.directory.list()
    deployed.finch.switches.data_sync = "done"
    with pytest.raises(TokenRefused, match="path_not_allowed"):
        sdk.account.disconnect()
    with pytest.raises(TokenRefused, match="path_not_allowed"):
        sdk.hris.documents.retreive("..%2f..%2fintrospect")
    with pytest.raises(TokenRefused, match="not_found"):
        sdk_for(company_id="nothing").hris.company.retrieve()
    deployed.finch.faults.add("GET", DIRECTORY, error="invalid_token_error")
    with pytest.raises(finch.AuthenticationError):
        sdk.hris.directory.list()

    def fail(call: Call, send: Any) -> Any:
        if call.service == "kms":
            raise EndpointConnectionError(endpoint_url="https://kms.example.com")
        return send()

    deployed.border.guard = fail
    with pytest.raises(VendingFailed):
        sdk.hris.directory.list()


def test_sdk_waits_for_the_limit_of_all_backends(
    deployed: InProcess, sdk: finch.Finch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finch._base_client.time.sleep", deployed.clock.sleep)
    period = {"start_date": "2026-11-01", "end_date": "2026-11-30"}
    began = deployed.clock.now
    for _ in range(PER_WINDOW["payment"] + 1):
        assert list(sdk.hris.payments.list(**period))  # type: ignore[arg-type]
    assert deployed.clock.now - began >= WINDOW


def test_sdk_reads_an_entity_through_the_function(deployed: InProcess, sdk: finch.Finch) -> None:
    person = Person(deployed, "acme")
    person.connect(login=DANA, company_id=NORTHFOLD.id, products=PRODUCTS)
    deployed.queue.drain()
    with pytest.raises(EntityNeeded) as caught:
        sdk_for(company_id=NORTHFOLD.id).hris.company.retrieve()
    entity_id = caught.value.entity_ids[0]
    named = sdk_for(company_id=NORTHFOLD.id, entity_id=entity_id).hris.company.retrieve()
    assert named.legal_name in [one.name for one in NORTHFOLD.entities]
    other = sdk_for(company_id=NORTHFOLD.id).hris.company.retrieve(entity_ids=[entity_id])
    assert other == named
