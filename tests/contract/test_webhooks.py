"""Webhooks of the fake Finch and our signature check, both compared with the official SDK."""

import base64
import binascii
import json
import random
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import finch as finch_sdk
import httpx
import pytest
import time_machine
from finch.types import AccountUpdateEvent, IndividualEvent

from finch_connections.domain.secret import WebhookSecret
from finch_connections.domain.webhook import Delivery, SignatureInvalid
from local.fake_finch import FinchState
from local.fake_finch.seed_world import DANA, NORTHFOLD
from local.fake_finch.webhook_sender import WebhookSender
from local.fake_finch.webhooks import Delivery as Sent
from local.fake_finch.webhooks import new_secret, secret_kept_at, sign
from tests.contract.conftest import Clock, Customers
from tests.contract.strict_answers import conforming

SECRET = "5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH"
URL = "https://api.example.com/webhooks/finch"


@pytest.fixture(autouse=True)
def _registered(fake_finch: FinchState) -> None:
    fake_finch.replace_application(webhook_url=URL, webhook_secrets=[SECRET])


@dataclass(frozen=True)
class Sdk:
    """The official SDK as a receiver of webhooks at the time of the test's clock."""

    client: finch_sdk.Finch
    clock: Clock

    def unwrap(self, sent: Sent, secret: str = SECRET) -> Any:
        with time_machine.travel(self.clock(), tick=False):
            return self.client.webhooks.unwrap(sent.body, sent.headers, secret=secret)

    def accepts(self, sent: Sent, secret: str = SECRET) -> bool:
        try:
            self.unwrap(sent, secret)
        except ValueError:
            return False
        return True


@pytest.fixture
def sdk_receiver(clock: Clock) -> Iterator[Sdk]:
    with finch_sdk.Finch(access_token="none", base_url="http://127.0.0.1:1") as client:
        yield Sdk(client, clock)


def sent(fake_finch: FinchState, status: int | None = 200) -> list[Sent]:
    """The webhooks that are due now; the application answers with `status`."""
    found: list[Sent] = []

    def post(delivery: Sent) -> int | None:
        found.append(delivery)
        return status

    fake_finch.deliver_webhooks(post)
    return found


def event(delivery: Sent) -> Any:
    return json.loads(delivery.body)


# Webhooks of the fake Finch


def test_changed_status_sends_an_event_that_the_sdk_accepts(
    customers: Customers, fake_finch: FinchState, sdk_receiver: Sdk
) -> None:
    connected = customers.connect()
    assert sent(fake_finch) == []
    fake_finch.set_connection_status(connected.connection_id, "reauth")
    [delivery] = sent(fake_finch)
    received = sdk_receiver.unwrap(delivery)
    assert isinstance(received, AccountUpdateEvent)
    strictly = conforming(AccountUpdateEvent, delivery.body)
    assert strictly.data
    assert (strictly.connection_id, strictly.data.status) == (connected.connection_id, "reauth")
    assert strictly.company_id == connected.token.company_id
    assert strictly.account_id == connected.token.account_id
    assert strictly.entity_id is None
    assert delivery.headers["Content-Type"] == "application/json"
    # The same status again sends no event.
    fake_finch.set_connection_status(connected.connection_id, "reauth")
    assert sent(fake_finch) == []


def test_repair_sends_an_event(customers: Customers, fake_finch: FinchState) -> None:
    connected = customers.connect()
    fake_finch.set_connection_status(connected.connection_id, "reauth")
    sent(fake_finch)
    customers.repair(connected.connection_id)
    assert [event(each)["data"]["status"] for each in sent(fake_finch)] == ["connected"]


def test_disconnect_and_new_connection_send_events_by_switch(
    customers: Customers, fake_finch: FinchState, sdk_receiver: Sdk
) -> None:
    customers.connect().sdk.account.disconnect()
    [delivery] = sent(fake_finch)
    assert event(delivery)["data"]["status"] == "disconnected"
    assert sdk_receiver.accepts(delivery)
    fake_finch.change_switches(webhook_on_disconnect=False, webhook_on_new_connection=True)
    again = customers.connect()
    [delivery] = sent(fake_finch)
    assert event(delivery)["connection_id"] == again.connection_id
    assert event(delivery)["data"]["status"] == "connected"
    again.sdk.account.disconnect()
    assert sent(fake_finch) == []


def test_authentication_method_is_an_object_or_text(
    customers: Customers, fake_finch: FinchState
) -> None:
    connected = customers.connect()
    fake_finch.set_connection_status(connected.connection_id, "reauth")
    fake_finch.switches.webhook_authentication_method = "string"
    fake_finch.set_connection_status(connected.connection_id, "connected")
    first, second = (event(each)["data"]["authentication_method"] for each in sent(fake_finch))
    assert first["type"] == second == fake_finch.connection(connected.connection_id).method


def test_event_of_a_connection_with_several_entities_names_an_entity(
    customers: Customers, fake_finch: FinchState
) -> None:
    names = [entity.name for entity in NORTHFOLD.entities]
    connected = customers.connect(DANA, "gusto", entities=names)
    fake_finch.set_connection_status(connected.connection_id, "reauth")
    assert event(sent(fake_finch)[0])["entity_id"] in connected.token.entity_ids


def test_disconnect_of_entities_sends_an_event_for_each(
    customers: Customers, fake_finch: FinchState
) -> None:
    connected = customers.connect(DANA, "gusto", company_id=NORTHFOLD.id)
    sent(fake_finch)
    ended = connected.token.entity_ids[1:]
    connected.sdk.account.disconnect_entity(entity_ids=ended)
    events = [event(one) for one in sent(fake_finch)]
    assert [one["entity_id"] for one in events] == ended
    assert {one["data"]["status"] for one in events} == {"disconnected"}


@pytest.mark.parametrize("presence", ["null", "absent"])
def test_connection_id_of_an_event_can_be_missing(
    customers: Customers, fake_finch: FinchState, presence: str
) -> None:
    fake_finch.change_switches(webhook_connection_id=presence)
    fake_finch.set_connection_status(customers.connect().connection_id, "reauth")
    [delivery] = sent(fake_finch)
    assert ("connection_id" in event(delivery)) is (presence == "null")
    assert event(delivery).get("connection_id") is None


def test_events_of_other_types_can_be_sent(
    customers: Customers, fake_finch: FinchState, sdk_receiver: Sdk
) -> None:
    """The SDK reads `test` and unknown types as a changed status; only `event_type` distinguishes them."""
    connection_id = customers.connect().connection_id
    fake_finch.send_webhook("individual.updated", connection_id, {"individual_id": "i-1"})
    fake_finch.send_webhook("test")
    fake_finch.send_webhook("an.unknown.type", connection_id, [1, "two"])
    individual, test, unknown = sent(fake_finch)
    assert isinstance(sdk_receiver.unwrap(individual), IndividualEvent)
    assert conforming(IndividualEvent, individual.body).data
    assert isinstance(sdk_receiver.unwrap(test), AccountUpdateEvent)
    assert sdk_receiver.accepts(unknown)
    assert [event(each)["event_type"] for each in (test, unknown)] == ["test", "an.unknown.type"]


def test_duplicates_share_an_id_and_the_newest_event_can_come_first(
    customers: Customers, fake_finch: FinchState, sdk_receiver: Sdk
) -> None:
    connection_id = customers.connect().connection_id
    fake_finch.change_switches(webhook_copies=2, webhook_order="reversed")
    for status in ("reauth", "connected"):
        fake_finch.set_connection_status(connection_id, status)
    deliveries = sent(fake_finch)
    assert [event(each)["data"]["status"] for each in deliveries] == [
        "connected",
        "connected",
        "reauth",
        "reauth",
    ]
    assert len({each.headers["Finch-Event-Id"] for each in deliveries}) == 2
    assert all(sdk_receiver.accepts(each) for each in deliveries)


def test_signature_of_an_unknown_version_can_precede_the_valid_signature(
    customers: Customers, fake_finch: FinchState, sdk_receiver: Sdk
) -> None:
    fake_finch.switches.webhook_v2_signature = True
    fake_finch.set_connection_status(customers.connect().connection_id, "reauth")
    [delivery] = sent(fake_finch)
    first, second = delivery.headers["Finch-Signature"].split(" ")
    assert (first[:3], second[:3]) == ("v2,", "v1,")
    assert sdk_receiver.accepts(delivery)


def test_both_secrets_sign_for_a_day_after_a_rotation(
    customers: Customers, fake_finch: FinchState, sdk_receiver: Sdk, clock: Clock
) -> None:
    connection_id = customers.connect().connection_id
    new = fake_finch.rotate_webhook_secret()
    assert fake_finch.application.webhook_secrets == (new, SECRET)
    clock.advance(hours=24, seconds=-1)
    fake_finch.set_connection_status(connection_id, "reauth")
    [delivery] = sent(fake_finch)
    assert sdk_receiver.accepts(delivery, new)
    assert sdk_receiver.accepts(delivery, SECRET)
    clock.advance(seconds=1)
    fake_finch.set_connection_status(connection_id, "connected")
    [delivery] = sent(fake_finch)
    assert sdk_receiver.accepts(delivery, new)
    assert not sdk_receiver.accepts(delivery, SECRET)


def test_wrong_clock_of_the_sender_makes_webhooks_stale(
    customers: Customers, fake_finch: FinchState, sdk_receiver: Sdk
) -> None:
    connection_id = customers.connect().connection_id
    for number, (offset, accepted) in enumerate(
        ((-301, False), (-300, True), (300, True), (301, False))
    ):
        fake_finch.switches.webhook_timestamp_offset_seconds = offset
        fake_finch.set_connection_status(connection_id, "reauth" if number % 2 else "connected")
        fake_finch.set_connection_status(connection_id, "pending")
        assert [sdk_receiver.accepts(each) for each in sent(fake_finch)][-1] is accepted


@pytest.mark.parametrize("refreshed", [False, True])
def test_webhook_that_is_not_accepted_is_retried_four_times(
    customers: Customers,
    fake_finch: FinchState,
    sdk_receiver: Sdk,
    clock: Clock,
    refreshed: bool,
) -> None:
    fake_finch.switches.webhook_timestamp_refreshed = refreshed
    fake_finch.set_connection_status(customers.connect().connection_id, "reauth")
    accepted = []
    for seconds, status in ((0, 500), (5, 401), (300, None), (1800, 302), (7200, 503)):
        clock.advance(seconds=seconds - 1)
        assert sent(fake_finch) == []
        clock.advance(seconds=1)
        [delivery] = sent(fake_finch, status)
        accepted.append(sdk_receiver.accepts(delivery))
    assert fake_finch.outbox.waiting() == []
    assert accepted == ([True] * 5 if refreshed else [True, True, False, False, False])
    assert [answer.status for answer in fake_finch.outbox.answers()] == [500, 401, None, 302, 503]
    assert len({answer.event_id for answer in fake_finch.outbox.answers()}) == 1


def test_no_webhook_is_sent_without_a_url_or_a_secret(
    customers: Customers, fake_finch: FinchState
) -> None:
    connection_id = customers.connect().connection_id
    for registered in ({"webhook_url": None}, {"webhook_url": URL, "webhook_secrets": []}):
        fake_finch.replace_application(**registered)
        fake_finch.set_connection_status(connection_id, "reauth")
        fake_finch.set_connection_status(connection_id, "connected")
    assert fake_finch.outbox.waiting() == []


def test_stored_secret_is_private_and_works_for_sender_and_receiver(tmp_path: Path) -> None:
    path = tmp_path / "webhook-secret"
    secret = secret_kept_at(path)
    assert secret_kept_at(path) == secret != secret_kept_at(tmp_path / "other")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert WebhookSecret.read(secret).sign(b"m.1.b") == sign(secret, "m", "1", b"b")


# Over HTTP


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[tuple[Mapping[str, str], bytes]], list[int]]]:
    """A server that records POST requests: its URL, the requests, and its next answers."""
    received: list[tuple[Mapping[str, str], bytes]] = []
    answers: list[int] = []

    class Recorder(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((dict(self.headers), body))
            self.send_response(answers.pop() if answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Recorder) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.005,))
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}/", received, answers
        server.shutdown()
        serving.join()


def until(condition: Callable[[], bool]) -> None:
    """Waits until a condition is true, for work in another thread."""
    for _ in range(500):
        if condition():
            return
        threading.Event().wait(0.02)
    raise AssertionError("the condition did not become true")


def test_webhooks_arrive_over_http_and_control_endpoints_manage_them(
    http: httpx.Client,
    fake_finch: FinchState,
    sdk_receiver: Sdk,
    receiver: tuple[str, list[tuple[Mapping[str, str], bytes]], list[int]],
) -> None:
    url, received, answers = receiver
    http.put("/_fake_finch/application", json={"webhook_url": url, "webhook_secrets": [SECRET]})
    answers.append(503)
    sender = WebhookSender(fake_finch)
    sender.start()
    try:
        created = http.post("/_fake_finch/webhooks", json={"event_type": "test"})
        assert created.status_code == 201
        until(lambda: len(fake_finch.outbox.answers()) == 1)
        [waiting] = http.get("/_fake_finch/webhooks").json()["waiting"]
        assert (waiting["event_id"], waiting["attempt"]) == (created.json()["event_id"], 2)
        assert waiting["event"]["event_type"] == "test"
        http.post("/_fake_finch/clock", json={"advance_seconds": 5})
        until(lambda: len(fake_finch.outbox.answers()) == 2)
        new = http.post("/_fake_finch/application/webhook_secret").json()["webhook_secret"]
        token, connection = fake_finch.new_sandbox_connection("gusto")
        fake_finch.disconnect(token.access_token)
        until(lambda: len(fake_finch.outbox.answers()) == 3)
    finally:
        sender.stop()
    answered = http.get("/_fake_finch/webhooks").json()["answers"]
    assert [answer["status"] for answer in answered] == [503, 200, 200]
    headers, body = received[-1]
    assert json.loads(body)["connection_id"] == connection.id
    with time_machine.travel(fake_finch.now(), tick=False):
        for secret in (SECRET, new):
            sdk_receiver.client.webhooks.unwrap(body, headers, secret=secret)
    fake_finch.replace_application(webhook_url="http://127.0.0.1:1/")
    http.post("/_fake_finch/webhooks", json={"event_type": "test"})
    assert http.delete("/_fake_finch/webhooks").status_code == 204
    assert http.get("/_fake_finch/webhooks").json() == {"waiting": [], "answers": []}
    assert http.post("/_fake_finch/webhooks", json={"type": "test"}).status_code == 400


def test_webhook_to_an_unreachable_application_is_retried(
    fake_finch: FinchState,
) -> None:
    fake_finch.replace_application(webhook_url="http://127.0.0.1:1/")
    fake_finch.send_webhook("test")
    sender = WebhookSender(fake_finch)
    sender.start()
    until(lambda: len(fake_finch.outbox.answers()) == 1)
    sender.stop()
    [answer] = fake_finch.outbox.answers()
    assert answer.status is None
    assert [waiting.attempt for waiting in fake_finch.outbox.waiting()] == [2]


# Our signature check


def garbled(text: str, chance: random.Random) -> str:
    """The text with a character changed, removed or added, or cut off."""
    place = chance.randrange(len(text) + 1)
    other = chance.choice("AZaz09+/=,. v1\t_-é\N{SNOWMAN}")
    return chance.choice(
        [
            text[:place] + other + text[place + 1 :],
            text[:place] + text[place + 1 :],
            text[:place] + other + text[place:],
            text[:place],
        ]
    )


def random_delivery(chance: random.Random, now: int) -> tuple[dict[str, str], bytes, str]:
    """Headers, body and the receiver's secret of a delivery; about half are as Finch sends them."""
    secret, old = new_secret(), new_secret()
    fields = {
        "event_type": "account.updated",
        "connection_id": "c-1",
        "data": {"n": "é\N{SNOWMAN}"},
    }
    body = json.dumps(fields, ensure_ascii=chance.random() < 0.5).encode()
    event_id = f"msg_{chance.randrange(10**9)}"
    timestamp = str(now + chance.choice([0, 0, 0, -299, 299, -300, 300, -301, 301, -86400]))
    entries = [f"v1,{sign(chance.choice([secret, secret, old]), event_id, timestamp, body)}"]
    extras = [f"v1,{sign(old, event_id, timestamp, body)}", "v2,QUJD", "v1a,QUJD", "nonsense", ""]
    entries += chance.sample(extras, chance.choice([0, 0, 1, 2]))
    chance.shuffle(entries)
    headers = {
        "Finch-Event-Id": event_id,
        "Finch-Timestamp": timestamp,
        "Finch-Signature": " ".join(entries),
    }
    match chance.choice(["good", "good", "good", "body", "header", "missing", "case"]):
        case "body":
            text = garbled(body.decode(), chance)
            body = text.encode()
        case "header":
            name = chance.choice(list(headers))
            headers[name] = garbled(headers[name], chance)
        case "missing":
            del headers[chance.choice(list(headers))]
        case "case":
            headers = {chance.choice([str.upper, str.lower])(k): v for k, v in headers.items()}
    return headers, body, secret


def only_the_sdk_accepts(headers: Mapping[str, str]) -> bool:
    """Whether the SDK accepts a form of the headers that we refuse on purpose.

    The SDK reads a timestamp as a float and signs its whole seconds. In a signature it ignores
    characters that are not base64. It accepts any id. Finch sends none of these forms.
    """
    named = {name.lower(): value for name, value in headers.items()}
    timestamp, event_id = named["finch-timestamp"], named["finch-event-id"]
    exact = timestamp == str(int(float(timestamp))) and timestamp.isascii()
    plain_id = event_id.isascii() and event_id.replace("_", "").replace("-", "").isalnum()
    loose = any(
        read is not None and base64.b64encode(read).decode() != text
        for text, read in v1_entries(headers)
    )
    return loose or not exact or not plain_id


def v1_entries(headers: Mapping[str, str]) -> list[tuple[str, bytes | None]]:
    """The v1 signatures: the text, and its bytes as the SDK reads them, None if it cannot."""
    named = {name.lower(): value for name, value in headers.items()}
    found: list[tuple[str, bytes | None]] = []
    for entry in named["finch-signature"].split(" "):
        version, _, text = entry.partition(",")
        if version == "v1":
            try:
                found.append((text, base64.b64decode(text)))
            except ValueError:
                found.append((text, None))
    return found


def stops_the_sdk(headers: Mapping[str, str]) -> bool:
    """Whether an entry is not base64. The SDK then fails and does not look at the other entries."""
    return any(read is None for _, read in v1_entries(headers))


def test_our_check_and_the_sdk_agree_on_thousands_of_deliveries(sdk_receiver: Sdk) -> None:
    chance = random.Random(20261122)  # noqa: S311
    verdicts, stricter, failed = [0, 0], 0, 0
    now = int(sdk_receiver.clock().timestamp())
    with time_machine.travel(sdk_receiver.clock(), tick=False):
        for _ in range(6000):
            headers, body, secret = random_delivery(chance, now)
            ours = theirs = True
            try:
                delivery = Delivery.of(headers, body, sdk_receiver.clock())
                ours = delivery.signed_with([WebhookSecret.read(secret)])
            except SignatureInvalid:
                ours = False
            try:
                sdk_receiver.client.webhooks.verify_signature(body, headers, secret=secret)
            except ValueError:
                theirs = False
            if theirs and not ours and only_the_sdk_accepts(headers):
                stricter += 1
                continue
            if ours and not theirs and stops_the_sdk(headers):
                failed += 1
                continue
            assert ours == theirs, (headers, body, secret)
            verdicts[ours] += 1
    assert min(verdicts) > 1500
    assert stricter + failed < 100


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("Finch-Timestamp", lambda text: f"{text}.0"),
        ("Finch-Timestamp", lambda text: f" {text}"),
        ("Finch-Timestamp", lambda text: f"+{text}"),
        ("Finch-Signature", lambda text: text.replace("v1,", "v1,!")),
    ],
)
def test_forms_that_finch_never_sends_are_refused_although_the_sdk_reads_them(
    fake_finch: FinchState, sdk_receiver: Sdk, name: str, change: Callable[[str], str]
) -> None:
    fake_finch.send_webhook("test")
    [delivery] = sent(fake_finch)
    headers = delivery.headers | {name: change(delivery.headers[name])}
    with time_machine.travel(sdk_receiver.clock(), tick=False):
        sdk_receiver.client.webhooks.verify_signature(delivery.body, headers, secret=SECRET)
    secrets = [WebhookSecret.read(SECRET)]
    assert Delivery.of(delivery.headers, delivery.body, fake_finch.now()).signed_with(secrets)
    try:
        verdict = Delivery.of(headers, delivery.body, fake_finch.now()).signed_with(secrets)
    except SignatureInvalid:
        verdict = False
    assert not verdict


def test_valid_signature_next_to_a_broken_entry_is_accepted(
    fake_finch: FinchState, sdk_receiver: Sdk
) -> None:
    """Finch's documentation: a single matching signature is enough."""
    fake_finch.send_webhook("test")
    [delivery] = sent(fake_finch)
    headers = delivery.headers | {"Finch-Signature": f"v1,a {delivery.headers['Finch-Signature']}"}
    with (
        time_machine.travel(sdk_receiver.clock(), tick=False),
        pytest.raises(binascii.Error),
    ):
        sdk_receiver.client.webhooks.verify_signature(delivery.body, headers, secret=SECRET)
    ours = Delivery.of(headers, delivery.body, fake_finch.now())
    assert ours.signed_with([WebhookSecret.read(SECRET)])
