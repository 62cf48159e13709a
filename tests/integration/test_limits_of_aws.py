"""The in-process world has AWS's limits: what AWS refuses or reorders, it refuses or reorders too.

`docs/aws.md` names the page of AWS's documentation for each limit.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from finch_connections.aws import session_table, work_queue
from finch_connections.domain.connection import CompanyKey
from finch_connections.domain.work_item import ConnectionSubject, WorkItem
from finch_connections.use_cases import process_work
from local.fake_finch.seed_world import HARBOR_LANE
from tests.support import direct_moto
from tests.support.in_process import (
    LARGEST_HEADERS,
    LARGEST_RESPONSE,
    LARGEST_TRANSACTION,
    Call,
    InProcess,
    InProcessApi,
)
from tests.support.person import Person


def test_request_with_too_large_headers_reaches_no_function(deployed: InProcess) -> None:
    deployed.border.guard = refuse_all
    headers = {"authorization": "Bearer token of acme", "cookie": "x" * LARGEST_HEADERS}
    reply = deployed.api.send("GET", "/connections", headers=headers)
    assert (reply.status, reply.json) == (431, {"message": "Request Header Fields Too Large"})


def test_browser_with_the_most_cookies_and_a_large_token_stays_below_the_header_limit(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    pages = [acme.click(acme.link()) for _ in range(12)]
    cookies = "; ".join(map("=".join, acme.browser.cookies.items()))
    token_of_eight_kilobytes = 8192
    assert len(cookies) + token_of_eight_kilobytes < LARGEST_HEADERS
    assert acme.come_back(acme.log_in(pages[-1])).outcome["status"] == "connected"


def refuse_all(call: Call, send: Callable[[], Any]) -> Any:
    raise AssertionError("a function was called")


def test_response_of_more_than_six_megabytes_becomes_a_500(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = deployed.api
    assert isinstance(api, InProcessApi)
    [route] = [one for one in api.routes if one.key == "GET /connections"]
    answer = {"statusCode": 200, "headers": {}, "body": "x" * LARGEST_RESPONSE}
    monkeypatch.setattr(api, "routes", [replace(route, handler=lambda *_: answer)])
    reply = api.send("GET", "/connections", headers={"authorization": "Bearer token of a"})
    assert (reply.status, reply.json) == (500, {"message": "Internal Server Error"})


def test_callback_that_takes_longer_than_30_seconds_gets_a_503_and_still_connects(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))

    def slow(call: Call, send: Callable[[], Any]) -> Any:
        if call.operation == "POST /auth/token":
            deployed.clock.advance(timedelta(seconds=31))
        return send()

    deployed.border.guard = slow
    assert acme.browser.navigate(url).status == 503
    assert acme.come_back(url).outcome["status"] == "connected"
    assert deployed.finch.requests.count("POST", "/auth/token") == 1


def test_queue_delivers_in_another_order_than_messages_were_sent(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    processed: list[Any] = []

    def note(*arguments: Any, **_: Any) -> process_work.Processed:
        processed.extend(one for one in arguments if isinstance(one, WorkItem))
        return process_work.Processed()

    monkeypatch.setattr(process_work, "process", note)
    sent = [
        WorkItem(ConnectionSubject(one, CompanyKey("gusto", HARBOR_LANE.id)), deployed.clock.now)
        for one in ("acme", "globex")
    ]
    for work_item in sent:
        work_queue.from_settings().send(work_item)
    deployed.queue.deliver()
    assert [one.subject for one in processed] == [one.subject for one in reversed(sent)]


def test_transaction_of_more_than_four_megabytes_is_refused(deployed: InProcess) -> None:
    client, name = session_table.from_settings().client, deployed.tables.sessions
    large = {"S": "x" * 390_000}
    writes: Any = [
        {"Put": {"TableName": name, "Item": {"handle_hash": {"S": str(n)}, "large": large}}}
        for n in range(1 + LARGEST_TRANSACTION // 390_000)
    ]
    with pytest.raises(ClientError, match="4 MB"):
        client.transact_write_items(TransactItems=writes)
    assert deployed.tables.items(name) == []


def test_every_transaction_has_an_idempotency_token(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """botocore repeats a transaction with the same token, so DynamoDB writes it once."""
    monkeypatch.setattr(direct_moto, "call", lambda client, operation, arguments, send: send())
    tokens: list[str | None] = []

    def note(params: Any, **_: Any) -> None:
        tokens.append(json.loads(params["body"]).get("ClientRequestToken"))

    events = session_table.from_settings().client.meta.events
    event = "before-call.dynamodb.TransactWriteItems"
    events.register(event, note)
    try:
        assert Person(deployed, "acme").connect().outcome["status"] == "connected"
    finally:
        events.unregister(event, note)
    assert len(tokens) >= 3
    assert all(tokens)
    assert len(set(tokens)) == len(tokens)


def test_token_that_is_too_long_for_kms_is_reported_and_not_stored(deployed: InProcess) -> None:
    def lengthen(call: Call, send: Callable[[], Any]) -> Any:
        if call.operation != "POST /auth/token":
            return send()
        answer = json.loads(send().read()) | {"access_token": "x" * 4097}
        return httpx.Response(200, json=answer)

    deployed.border.guard = lengthen
    landing = Person(deployed, "acme").connect()
    assert landing.outcome == {"error": "exchange_uncertain"}
    assert deployed.tables.items(deployed.tables.connections) == []
