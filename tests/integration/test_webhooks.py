"""Finch's webhooks: a genuine webhook becomes a work item, and all others are refused."""

import base64
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from finch_connections.finch import credentials
from functions.receive_webhook.handler import receive_webhook
from local.fake_finch.seed_world import HARBOR_LANE, JUNIPER_VALE, TALLY
from local.fake_finch.webhooks import Delivery, new_secret, sign
from tests.integration.test_finchs_answers import connected
from tests.integration.test_renamed_at_finch import check, rename
from tests.support.in_process import (
    WEBHOOK_SECRET,
    Call,
    InProcess,
    context,
    forget_process_memory,
    take_deliveries,
)
from tests.support.metrics import outcomes
from tests.support.person import Person

MINUTE = timedelta(minutes=1)


def webhook_outcomes(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The outcomes of webhooks since the last call."""
    return outcomes(capsys.readouterr().out, "POST /webhooks/finch")


def connect_acme(deployed: InProcess) -> str:
    """Makes a connection with no work left; returns its id at Finch."""
    Person(deployed, "acme").connect()
    deployed.queue.clear()
    [token] = deployed.finch.live_tokens()
    return token.connection_id


def change_status(deployed: InProcess, status: str = "reauth") -> Delivery:
    deployed.finch.set_connection_status(connect_acme(deployed), status)
    [delivery] = take_deliveries(deployed)
    return delivery


def delivery_of(
    deployed: InProcess, body: bytes, secret: str = WEBHOOK_SECRET
) -> tuple[dict[str, str], bytes]:
    """Headers and body of a genuine delivery of any body."""
    timestamp = str(int(deployed.clock.now.timestamp()))
    headers = {
        "Finch-Event-Id": "msg_1",
        "Finch-Timestamp": timestamp,
        "Finch-Signature": f"v1,{sign(secret, 'msg_1', timestamp, body)}",
    }
    return headers, body


@contextmanager
def changed_secret(deployed: InProcess, **fields: Any) -> Iterator[None]:
    """Changes fields of the Finch secret, and restores the secret afterwards."""
    client, arn = deployed.secrets, deployed.secret_arn
    kept = client.get_secret_value(SecretId=arn)["SecretString"]
    client.put_secret_value(SecretId=arn, SecretString=json.dumps(json.loads(kept) | fields))
    try:
        yield
    finally:
        client.put_secret_value(SecretId=arn, SecretString=kept)


def record_secret_reads(deployed: InProcess) -> list[Call]:
    """Records all reads of the secret from now on; returns their list."""
    found: list[Call] = []

    def guard(call: Call, send: Any) -> Any:
        if call.service == "secretsmanager":
            found.append(call)
        return send()

    deployed.border.guard = guard
    return found


# Genuine webhooks


def test_changed_status_sends_a_work_item_for_that_connection(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    connection_id = connect_acme(deployed)
    deployed.finch.set_connection_status(connection_id, "reauth")
    capsys.readouterr()
    assert deployed.deliver_webhooks() == [200]
    [message] = deployed.queue.waiting()
    assert message["connection_id"] == connection_id
    assert not message["scheduled"]
    assert webhook_outcomes(capsys) == ["ok"]


def test_response_has_no_details(deployed: InProcess) -> None:
    delivery = change_status(deployed)
    reply = deployed.receive(delivery.headers, delivery.body)
    assert (reply.status, reply.json) == (200, {"status": "received"})


def test_webhook_uses_neither_tables_nor_finch(deployed: InProcess) -> None:
    delivery = change_status(deployed)
    services: set[str] = set()

    def guard(call: Call, send: Any) -> Any:
        services.add(call.service)
        return send()

    deployed.border.guard = guard
    forget_process_memory()
    assert deployed.receive(delivery.headers, delivery.body).status == 200
    assert services == {"secretsmanager", "sqs"}


@pytest.mark.parametrize(
    "switches",
    [
        {"webhook_authentication_method": "string"},
        {"webhook_v2_signature": True},
        {"webhook_timestamp_offset_seconds": 240},
        {"webhook_timestamp_offset_seconds": -240},
        {"one_connection_per_customer_id": False},
    ],
    ids=str,
)
def test_webhook_is_accepted_in_every_form_that_finch_may_send(
    deployed: InProcess, switches: dict[str, Any]
) -> None:
    connection_id = connect_acme(deployed)
    deployed.finch.change_switches(**switches)
    deployed.finch.set_connection_status(connection_id, "error_permissions")
    assert deployed.deliver_webhooks() == [200]
    assert [one["connection_id"] for one in deployed.queue.waiting()] == [connection_id]


def test_duplicate_webhooks_send_one_work_item_each(deployed: InProcess) -> None:
    connection_id = connect_acme(deployed)
    deployed.finch.change_switches(webhook_copies=3, webhook_order="reversed")
    for status in ("reauth", "connected", "error_permissions"):
        deployed.finch.set_connection_status(connection_id, status)
    assert deployed.deliver_webhooks() == [200] * 9
    assert [one["connection_id"] for one in deployed.queue.waiting()] == [connection_id] * 9


def test_disconnect_at_finch_sends_a_work_item(deployed: InProcess) -> None:
    connection_id = connect_acme(deployed)
    [token] = deployed.finch.live_tokens()
    deployed.finch.disconnect(token.access_token)
    assert deployed.deliver_webhooks() == [200]
    assert [one["connection_id"] for one in deployed.queue.waiting()] == [connection_id]


def test_base64_encoded_body_is_decoded_before_verification(
    deployed: InProcess,
) -> None:
    delivery = change_status(deployed)
    event: dict[str, Any] = {
        "routeKey": "POST /webhooks/finch",
        "requestContext": {"requestId": "r"},
        "headers": {name.upper(): value for name, value in delivery.headers.items()},
        "body": base64.b64encode(delivery.body).decode(),
        "isBase64Encoded": True,
    }
    assert receive_webhook(event, context("receive_webhook"))["statusCode"] == 200
    event["body"] = "%" + event["body"][1:]
    assert receive_webhook(event, context("receive_webhook"))["statusCode"] == 400
    assert len(deployed.queue.waiting()) == 1


# Genuine webhooks that cause no check


@pytest.mark.parametrize(
    "event_type",
    [
        "test",
        "individual.updated",
        "job.data_sync_all.completed",
        "job.data_sync_all.complete",
        "pay_statement.created",
        "Account.Updated",
        "a future\ntype \N{SNOWMAN}" * 100,
        "",
    ],
)
def test_event_of_another_type_is_accepted_and_counted(
    deployed: InProcess,
    event_type: str,
    capsys: pytest.CaptureFixture[str],
    log: StringIO,
) -> None:
    deployed.finch.send_webhook(event_type, connect_acme(deployed), {"individual_id": "canary"})
    capsys.readouterr()
    assert deployed.deliver_webhooks() == [200]
    assert deployed.queue.waiting() == []
    written = capsys.readouterr().out
    assert outcomes(written, "POST /webhooks/finch") == ["ok"]
    unknown = event_type.partition(".")[0] not in ("test", "individual", "job", "pay_statement")
    assert outcomes(written, "receive_webhook") == ["unknown_event"] * unknown
    [line] = [line for line in map(json.loads, log.getvalue().splitlines()) if "event_id" in line]
    assert line.get("event_type") in (event_type, None)
    assert "canary" not in log.getvalue()


def test_event_about_an_unknown_connection_changes_nothing(deployed: InProcess) -> None:
    deployed.finch.send_webhook("account.updated", "never-seen")
    assert deployed.deliver_webhooks() == [200]
    assert deployed.queue.drain()
    assert deployed.queue.dead() == []


@pytest.mark.parametrize(
    "connection_id", [None, "", 17, [], {}, "x" * 256, "a\n", "a\u200b", "\ud800"]
)
def test_invalid_connection_id_is_not_queued(deployed: InProcess, connection_id: object) -> None:
    body = json.dumps({"event_type": "account.updated", "connection_id": connection_id}).encode()
    assert deployed.receive(*delivery_of(deployed, body)).status == 200
    assert deployed.queue.waiting() == []


@pytest.mark.parametrize("connection_id", [None, "unknown"])
def test_event_without_a_connection_of_ours_checks_all_connections_of_its_company(
    deployed: InProcess, connection_id: str | None
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect(provider_id="gusto")
    acme.connect(provider_id="justworks")
    globex.connect(login=TALLY, company_id=JUNIPER_VALE.id)
    deployed.queue.drain()
    for token in deployed.finch.live_tokens():
        deployed.finch.set_connection_status(token.connection_id, "reauth")
    [delivery, *_] = take_deliveries(deployed)
    fields = json.loads(delivery.body)
    assert fields["company_id"] == HARBOR_LANE.id
    body = json.dumps({**fields, "connection_id": connection_id}).encode()
    assert deployed.receive(*delivery_of(deployed, body)).status == 200
    deployed.queue.pass_time(5 * MINUTE)
    assert [one["status"] for one in acme.connections()] == ["reauth", "reauth"]
    assert globex.connection(company_id=JUNIPER_VALE.id)["status"] == "connected"


def test_event_without_a_connection_id_finds_a_company_by_its_new_name(
    deployed: InProcess,
) -> None:
    acme = connected(deployed)
    rename(deployed)
    check(deployed)
    [token] = deployed.finch.live_tokens()
    deployed.finch.set_connection_status(token.connection_id, "reauth")
    body = json.dumps({"event_type": "account.updated", "company_id": "harbor"}).encode()
    assert deployed.receive(*delivery_of(deployed, body)).status == 200
    deployed.queue.pass_time(5 * MINUTE)
    assert acme.connection()["status"] == "reauth"


def test_batch_of_events_checks_each_connection_once(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    updates = [{"event_type": "account.updated", "connection_id": one} for one in ("a", "b", "a")]
    body = json.dumps([*updates, {"event_type": "future.event"}, 17]).encode()
    assert deployed.receive(*delivery_of(deployed, body)).status == 200
    assert [one["connection_id"] for one in deployed.queue.waiting()] == ["a", "b"]
    assert outcomes(capsys.readouterr().out, "receive_webhook") == ["unknown_event"] * 2


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"\xff\xfe", b"[" * 100_000])
def test_signed_body_that_is_not_an_event_is_refused(deployed: InProcess, body: bytes) -> None:
    reply = deployed.receive(*delivery_of(deployed, body))
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert deployed.queue.waiting() == []


def test_large_webhook_is_accepted_and_a_large_forgery_is_refused(deployed: InProcess) -> None:
    """The size is just below Lambda's limit for a request ("Lambda quotas")."""
    fields = {"event_type": "account.updated", "connection_id": "c-1", "data": "x" * 5_900_000}
    headers, body = delivery_of(deployed, json.dumps(fields).encode())
    assert deployed.receive(headers, body).status == 200
    assert deployed.receive(headers, body + b" ").status == 401
    assert len(deployed.queue.waiting()) == 1


# Forged and stale webhooks


def forgeries(delivery: Delivery) -> dict[str, tuple[Mapping[str, str], bytes]]:
    """Deliveries that Finch has not sent, or not recently."""
    headers, body = delivery.headers, delivery.body
    other = sign(new_secret(), headers["Finch-Event-Id"], headers["Finch-Timestamp"], delivery.body)
    moved = str(int(headers["Finch-Timestamp"]) + 60)
    signature = headers["Finch-Signature"]
    return {
        "nothing": ({}, body),
        "no id": ({k: v for k, v in headers.items() if "Id" not in k}, body),
        "no timestamp": ({k: v for k, v in headers.items() if "Time" not in k}, body),
        "no signature": ({k: v for k, v in headers.items() if "Sig" not in k}, body),
        "signature of another secret": (headers | {"Finch-Signature": f"v1,{other}"}, body),
        "another version": (headers | {"Finch-Signature": signature.replace("v1", "v2")}, body),
        "half a signature": (headers | {"Finch-Signature": signature[:20]}, body),
        "not base64": (headers | {"Finch-Signature": "v1,a"}, body),
        "another id": (headers | {"Finch-Event-Id": "msg_other"}, body),
        "another time": (headers | {"Finch-Timestamp": moved}, body),
        "invalid time": (headers | {"Finch-Timestamp": "now"}, body),
        "truncated": (headers, body[:-1]),
        "empty": (headers, b""),
        "another status": (headers, body.replace(b"reauth", b"connected")),
        "reformatted": (headers, json.dumps(json.loads(body)).encode()),
        "not text": (headers, b"\xff" + body),
    }


def test_forged_webhook_is_refused_and_counted_and_not_queued(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    delivery = change_status(deployed)
    capsys.readouterr()
    for name, (headers, body) in forgeries(delivery).items():
        reply = deployed.receive(headers, body)
        assert (reply.status, reply.code) == (401, "signature_invalid"), name
        assert webhook_outcomes(capsys) == ["signature_invalid"], name
    assert deployed.queue.waiting() == []
    assert deployed.receive(delivery.headers, delivery.body).status == 200


def test_genuine_but_stale_webhook_is_refused(deployed: InProcess) -> None:
    delivery = change_status(deployed)
    deployed.clock.advance(timedelta(minutes=4, seconds=50))
    assert deployed.receive(delivery.headers, delivery.body).status == 200
    deployed.clock.advance(timedelta(seconds=20))
    assert deployed.receive(delivery.headers, delivery.body).code == "signature_invalid"
    deployed.clock.advance(-timedelta(minutes=11))
    assert deployed.receive(delivery.headers, delivery.body).code == "signature_invalid"
    assert len(deployed.queue.waiting()) == 1


def test_log_contains_no_secret_and_no_text_of_a_forgery(
    deployed: InProcess, log: StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    delivery = change_status(deployed)
    forged = {"Finch-Event-Id": "canary-1", "Finch-Timestamp": "canary-2"}
    deployed.receive(delivery.headers | forged, b"canary-3")
    deployed.receive(delivery.headers | {"Finch-Signature": "v1,canary-4"}, delivery.body)
    deployed.receive(delivery.headers, delivery.body)
    with changed_secret(deployed, webhook_secrets=["canary-5"]):
        forget_process_memory()
        deployed.receive(delivery.headers, delivery.body)
    logged = log.getvalue() + caplog.text
    assert '"message":"webhook refused"' in logged
    assert '"message":"webhook received"' in logged
    assert '"message":"webhook secret unusable"' in logged
    for secret in ("canary", WEBHOOK_SECRET, delivery.headers["Finch-Signature"]):
        assert secret not in logged


# The secret


def test_either_signature_is_accepted_while_the_secret_rotates(deployed: InProcess) -> None:
    """Finch's dashboard makes the new secret. For a day, Finch signs with both secrets."""
    old = deployed.finch.application.webhook_secrets
    connection_id = connect_acme(deployed)
    try:
        new = deployed.finch.rotate_webhook_secret()
        deployed.finch.set_connection_status(connection_id, "reauth")
        assert deployed.deliver_webhooks() == [200]
        with changed_secret(deployed, webhook_secrets=[new]):
            forget_process_memory()
            deployed.finch.set_connection_status(connection_id, "connected")
            assert deployed.deliver_webhooks() == [200]
        with changed_secret(deployed, webhook_secrets=[new, *old]):
            deployed.clock.advance(timedelta(days=1))
            deployed.finch.set_connection_status(connection_id, "reauth")
            [delivery] = take_deliveries(deployed)
            assert delivery.headers["Finch-Signature"].count("v1,") == 1
            assert deployed.receive(delivery.headers, delivery.body).status == 200
        forget_process_memory()
        assert deployed.receive(delivery.headers, delivery.body).status == 401
    finally:
        deployed.finch.replace_application(webhook_secrets=old)
    assert len(deployed.queue.waiting()) == 3


def test_new_secret_is_read_at_its_first_webhook(deployed: InProcess) -> None:
    delivery = change_status(deployed)
    assert deployed.receive(delivery.headers, delivery.body).status == 200
    new = new_secret()
    headers, body = delivery_of(deployed, delivery.body, new)
    with changed_secret(deployed, webhook_secrets=[new]):
        assert deployed.receive(headers, body).status == 200


def test_forged_webhooks_read_the_secret_at_most_once_a_minute(deployed: InProcess) -> None:
    headers, body = delivery_of(deployed, b"{}", new_secret())
    credentials.from_settings().webhook_secrets()
    found = record_secret_reads(deployed)
    for minute in range(1, 4):
        for _ in range(20):
            assert deployed.receive(headers, body).status == 401
        assert len(found) == minute
        deployed.clock.advance(MINUTE)
    stale = headers | {"Finch-Timestamp": "1"}
    assert deployed.receive(stale, body).status == 401
    assert len(found) == 3


@pytest.mark.parametrize(
    "listed",
    [
        ["", WEBHOOK_SECRET],
        [None, 17, {}, [WEBHOOK_SECRET], WEBHOOK_SECRET],
        ["whsec_" + WEBHOOK_SECRET, "not base64", WEBHOOK_SECRET],
    ],
    ids=str,
)
def test_invalid_webhook_secret_affects_no_other_secret_or_credential(
    deployed: InProcess, listed: list[object], log: StringIO
) -> None:
    delivery = change_status(deployed)
    with changed_secret(deployed, webhook_secrets=listed):
        forget_process_memory()
        assert deployed.receive(delivery.headers, delivery.body).status == 200
        assert credentials.from_settings().credentials().client_id == "our-client"
    assert log.getvalue().count('"message":"webhook secret unusable"') == len(listed) - 1


@pytest.mark.parametrize("listed", [[], None, 17, "text", {"a": 1}, [""], ["AAAA"]], ids=str)
def test_without_a_webhook_secret_every_webhook_is_refused(
    deployed: InProcess, listed: object
) -> None:
    headers, body = delivery_of(deployed, b"{}", "")
    with changed_secret(deployed, webhook_secrets=listed):
        forget_process_memory()
        assert deployed.receive(headers, body).status == 401
        assert credentials.from_settings().credentials().client_id == "our-client"


def test_webhook_succeeds_later_when_the_secret_cannot_be_read_at_first(
    deployed: InProcess,
) -> None:
    delivery = change_status(deployed)
    client, arn = deployed.secrets, deployed.secret_arn
    kept = client.get_secret_value(SecretId=arn)["SecretString"]
    client.put_secret_value(SecretId=arn, SecretString="not json")
    try:
        forget_process_memory()
        assert deployed.receive(delivery.headers, delivery.body).status == 502
    finally:
        client.put_secret_value(SecretId=arn, SecretString=kept)
    assert deployed.receive(delivery.headers, delivery.body).status == 200


# The queue


def test_webhook_that_cannot_be_queued_is_retried_by_finch(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    connection_id = connect_acme(deployed)
    deployed.finch.set_connection_status(connection_id, "reauth")
    capsys.readouterr()

    def down(call: Call, send: Any) -> Any:
        if call.service == "sqs":
            raise EndpointConnectionError(endpoint_url="https://sqs.example.com")
        return send()

    deployed.border.guard = down
    assert deployed.deliver_webhooks() == [500]
    assert webhook_outcomes(capsys) == ["internal_error"]
    assert deployed.deliver_webhooks() == []
    deployed.border.open()
    deployed.clock.advance(timedelta(seconds=5))
    assert deployed.deliver_webhooks() == [200]
    assert [one["connection_id"] for one in deployed.queue.waiting()] == [connection_id]


def test_late_retries_with_the_old_timestamp_are_refused_as_stale(deployed: InProcess) -> None:
    """Finch does not document whether a retry has a new timestamp. The scheduled check finds the change."""
    connection_id = connect_acme(deployed)
    deployed.border.guard = lambda call, send: 1 / 0 if call.service == "sqs" else send()
    for refreshed, last in ((False, 401), (True, 500)):
        deployed.finch.change_switches(webhook_timestamp_refreshed=refreshed)
        deployed.finch.set_connection_status(connection_id, "reauth" if refreshed else "pending")
        assert deliver_until_given_up(deployed) == [500, 500, last, last, last]
        assert deployed.finch.outbox.waiting() == []


def deliver_until_given_up(deployed: InProcess) -> list[int]:
    """The responses to a webhook until Finch gives it up."""
    statuses = deployed.deliver_webhooks()
    for pause in (timedelta(seconds=5), 5 * MINUTE, 30 * MINUTE, 120 * MINUTE, 120 * MINUTE):
        deployed.clock.advance(pause)
        statuses += deployed.deliver_webhooks()
    return statuses


def test_scheduled_check_sees_a_change_whose_webhook_was_lost(deployed: InProcess) -> None:
    connection_id = connect_acme(deployed)
    deployed.border.guard = lambda call, send: 1 / 0 if call.service == "sqs" else send()
    deployed.finch.set_connection_status(connection_id, "reauth")
    assert set(deliver_until_given_up(deployed)) == {500, 401}
    assert deployed.finch.outbox.waiting() == []
    deployed.border.open()
    acme = Person(deployed, "acme")
    assert acme.connection()["status"] == "connected"
    deployed.queue.pass_time(timedelta(days=1))
    assert acme.connection()["status"] == "reauth"
