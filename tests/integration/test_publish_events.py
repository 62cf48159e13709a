"""Connection events: the writes of real flows go through the function to the event bus."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.events.models import EventPattern

from finch_connections.aws import connection_table, event_bus, work_queue
from finch_connections.aws.event_bus import MOST_ENTRIES, detail
from finch_connections.aws.table_stream import NotInStream
from finch_connections.domain.connection import MAX_TOKENS, CompanyKey, ConnectionStatus
from finch_connections.domain.connection_event import ConnectionEvent, EventKind
from finch_connections.domain.work_item import ConnectionSubject, WorkItem
from finch_connections.use_cases.publish_events import NothingPublished
from local.fake_finch.seed_world import HARBOR_LANE, IRIS, JUNIPER_VALE, MAYA, OWEN
from tests.support.deployed import TEMPLATE
from tests.support.documents import PAGES, rows
from tests.support.in_process import BEGINNING, Call, InProcess, context, handler_of
from tests.support.person import Person

MAPPING: dict[str, Any] = TEMPLATE["Resources"]["PublishEvents"]["Properties"]["Events"]["Changes"][
    "Properties"
]
[FILTER] = MAPPING["FilterCriteria"]["Filters"]
KEY = CompanyKey("gusto", HARBOR_LANE.id)
CREATED, STATUS, REPAIRED, LOGINS, DISCONNECTED, AVAILABLE, IDLE = (
    "connection.created",
    "connection.status_changed",
    "connection.repaired",
    "connection.logins_changed",
    "connection.disconnected",
    "connection.available",
    "connection.idle",
)
TOO_LARGE = 256 * 1024


@dataclass
class Subscriber:
    """The table's stream, Lambda's mapping of it, and a queue that a rule of the bus fills."""

    deployed: InProcess
    queue_url: str
    seen: int = 0
    refuse: Callable[[dict[str, Any]], bool] = field(default=lambda entry: False)

    def records(self) -> list[dict[str, Any]]:
        """The writes since the last call, as Lambda passes them to the function."""
        found = self._shard.items[self.seen :]
        self.seen += len(found)
        return [_record(one.to_json()) for one in found]

    def deliver(self, records: list[dict[str, Any]]) -> Any:
        """Invokes the function; returns the sequence number at which it stopped."""
        function = "publish_events"
        with self.deployed.border.invocation(function):
            answer = handler_of(function)({"Records": records}, context(function))
        failures = [one["itemIdentifier"] for one in answer["batchItemFailures"]]
        assert len(failures) <= 1
        return failures[0] if failures else None

    def events(self) -> list[dict[str, Any]]:
        """The events that a rule of the bus has delivered since the last call."""
        sqs, found = boto3.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                found.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def publish(self) -> list[dict[str, Any]]:
        """Delivers the writes that pass the filter; returns the published events."""
        records = [record for record in self.records() if passes_filter(record)]
        if records:
            assert self.deliver(records) is None
        return self.events()

    def guard(self, call: Call, send: Callable[[], Any]) -> Any:
        """Makes the bus refuse single entries."""
        if call.operation != "PutEvents":
            return send()
        entries = call.arguments["Entries"]
        taken = [entry for entry in entries if not self.refuse(entry)]
        call.arguments["Entries"] = taken
        answers = iter(send()["Entries"] if taken else [])
        throttled = {"ErrorCode": "ThrottlingException", "ErrorMessage": "Rate exceeded"}
        answer = [next(answers) if entry in taken else throttled for entry in entries]
        return {"FailedEntryCount": len(entries) - len(taken), "Entries": answer}

    @property
    def _shard(self) -> Any:
        tables = dynamodb_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"].tables
        return tables[self.deployed.tables.connections].stream_shard


def _record(record: Any) -> dict[str, Any]:
    """The record as JSON. Lambda passes times as numbers and binary as base64."""

    def plain(value: Any) -> Any:
        if isinstance(value, datetime):
            return int(value.timestamp())
        assert isinstance(value, bytes), type(value)
        return base64.b64encode(value).decode()

    made: dict[str, Any] = json.loads(json.dumps(record, default=plain))
    return made


def passes_filter(record: dict[str, Any]) -> bool:
    return EventPattern.load(FILTER["Pattern"]).matches_event(record)  # type: ignore[arg-type]


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["detail-type"] for event in events]


def check_health(deployed: InProcess, key: CompanyKey = KEY) -> None:
    """Sends a work item that checks the health of a connection, and processes it."""
    now = deployed.clock.now
    work_queue.from_settings().send(WorkItem(ConnectionSubject("acme", key), now))
    deployed.queue.drain()


def break_at_finch(deployed: InProcess, status: str) -> None:
    for connection in deployed.finch.connections():
        if connection.live:
            deployed.finch.set_connection_status(connection.id, status)
    check_health(deployed)


@pytest.fixture(scope="module")
def bus(in_process: InProcess) -> str:
    """The bus and the stream, as deployed, and a queue that gets every event."""
    boto3.client("dynamodb").update_table(
        TableName=in_process.tables.connections,
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    events, sqs = boto3.client("events"), boto3.client("sqs")
    events.create_event_bus(Name="changes")
    url = sqs.create_queue(QueueName="subscriber")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    pattern = json.dumps({"source": ["finch-connections"]})
    events.put_rule(Name="all", EventBusName="changes", EventPattern=pattern)
    targets: list[Any] = [{"Id": "queue", "Arn": arn["Attributes"]["QueueArn"]}]
    events.put_targets(Rule="all", EventBusName="changes", Targets=targets)
    return str(url)


@pytest.fixture
def subscriber(deployed: InProcess, bus: str) -> Subscriber:
    subscriber = Subscriber(deployed, bus)
    subscriber.records()
    subscriber.events()
    deployed.border.guard = subscriber.guard
    return subscriber


def test_events_cover_a_connection_from_creation_to_disconnect(subscriber: Subscriber) -> None:
    deployed = subscriber.deployed
    acme = Person(deployed, "acme")
    acme.connect()
    made = subscriber.publish()
    break_at_finch(deployed, "reauth")
    broken = subscriber.publish()
    acme.connect()
    repaired = subscriber.publish()
    acme.disconnect()
    ended = subscriber.publish()
    assert kinds(made) == [CREATED]
    assert kinds(broken) == [STATUS]
    assert kinds(repaired)[0] == REPAIRED
    assert kinds(ended) == [STATUS, DISCONNECTED]
    events = [*made, *broken, *repaired, *ended]
    details = [event["detail"] for event in events]
    assert {(one["customer_id"], one["provider_id"], one["company_id"]) for one in details} == {
        ("acme", "gusto", HARBOR_LANE.id)
    }
    changes = [(one["previous_status"], one["status"]) for one in details]
    assert changes[:3] == [(None, "connected"), ("connected", "reauth"), ("reauth", "connected")]
    assert changes[-2:] == [("connected", "disconnecting"), ("disconnecting", "disconnected")]
    assert details[-1]["connection_ids"] == details[-2]["connection_ids"] != []
    revisions = [one["revision"] for one in details]
    assert revisions == sorted(set(revisions))
    assert len({one["id"] for one in details}) == len(details)
    for event in events:
        assert event["source"] == "finch-connections"


def test_unused_finch_connection_is_reported_once_until_it_is_used_again(
    subscriber: Subscriber,
) -> None:
    deployed = subscriber.deployed
    acme = Person(deployed, "acme")
    acme.connect(login=OWEN, products=["company", "directory", "employment"])
    acme.connect(login=MAYA)
    by_login = {one.login: one.connection_id for one in deployed.finch.tokens()}
    asked = {"customer_id": "acme", "provider_id": "gusto", "company_id": HARBOR_LANE.id}
    asked |= {"purpose": "test", "caller": "test"}
    assert deployed.invoke
    deployed.queue.drain()
    subscriber.publish()
    found: list[list[Any]] = []
    # Days without a token, and then the products that a backend asks for.
    for days, products in ((29, ["employment"]), (3, []), (10, []), (20, ["employment"]), (32, [])):
        deployed.queue.pass_time(timedelta(days=days))
        found.append(subscriber.publish())
        deployed.invoke("vend_token", asked | {"products": products or ["directory"]})
    idle = [
        [(one["detail-type"], one["detail"]["connection_ids"]) for one in each] for each in found
    ]
    owens, mayas = ((IDLE, [by_login[login]]) for login in (OWEN, MAYA))
    assert idle == [[], [mayas], [], [owens], [mayas, owens]]
    [event] = found[1]
    assert event["detail"]["status"] == event["detail"]["previous_status"] == "connected"
    # The time of the check that found it.
    found_at = datetime.fromisoformat(event["detail"]["time"])
    assert timedelta(days=30) <= found_at - BEGINNING < timedelta(days=32)


@pytest.mark.parametrize("login", [MAYA, OWEN])
def test_transfer_publishes_events_for_both_customers(subscriber: Subscriber, login: str) -> None:
    deployed = subscriber.deployed
    Person(deployed, "acme").connect(login=MAYA)
    Person(deployed, "globex").connect(login=login)
    subscriber.publish()
    [held] = [one for one in deployed.tables.all_sessions() if one["phase"]["S"] == "held"]
    command = {"action": "transfer", "session": held["handle_hash"]["S"]}
    assert deployed.invoke
    decision = deployed.invoke("resolve_unfinished", command)["result"]["decision"]
    deployed.invoke("resolve_unfinished", command | {"decision": decision})
    deployed.queue.pass_time(timedelta(hours=1))
    details = [one["detail"] for one in subscriber.publish()]
    lost = [one for one in details if one["customer_id"] == "acme"]
    got = [one["status"] for one in details if one["customer_id"] == "globex"]
    assert {one["problem"] for one in lost} == {"transferred"}
    assert [one["status"] for one in lost] == ["disconnecting", "disconnected"][-len(lost) :]
    assert got == ["connected"]


def test_customer_whose_token_died_with_the_owners_gets_an_available_event(
    subscriber: Subscriber,
) -> None:
    deployed = subscriber.deployed
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect()
    globex.connect()
    acme.disconnect()
    subscriber.publish()
    deployed.queue.pass_time(timedelta(hours=4))
    [event] = subscriber.publish()
    assert event["detail-type"] == AVAILABLE
    assert event["detail"]["customer_id"] == "globex"
    assert (event["detail"]["status"], event["detail"]["problem"]) == (
        "disconnected",
        "connect_again",
    )


def test_reconnected_connection_is_created_again(subscriber: Subscriber) -> None:
    acme = Person(subscriber.deployed, "acme")
    acme.connect()
    acme.disconnect()
    acme.connect()
    events = subscriber.publish()
    assert kinds(events) == [CREATED, STATUS, DISCONNECTED, CREATED]
    assert events[-1]["detail"]["previous_status"] == "disconnected"


def test_another_login_makes_a_logins_changed_event(subscriber: Subscriber) -> None:
    acme = Person(subscriber.deployed, "acme")
    acme.connect()
    acme.connect(login=OWEN)
    events = subscriber.publish()
    assert kinds(events) == [CREATED, LOGINS]
    assert len(events[-1]["detail"]["connection_ids"]) >= 1


def test_unchanged_health_check_does_not_invoke_the_function(
    subscriber: Subscriber,
) -> None:
    deployed = subscriber.deployed
    acme = Person(deployed, "acme")
    acme.connect()
    check_health(deployed)
    subscriber.records()
    deployed.clock.advance(timedelta(days=1))
    check_health(deployed)
    checks = subscriber.records()
    assert checks
    assert not [record for record in checks if passes_filter(record)]


def test_filter_drops_no_write_that_makes_an_event(subscriber: Subscriber) -> None:
    deployed = subscriber.deployed
    acme = Person(deployed, "acme")
    acme.connect()
    acme.connect(login=OWEN)
    break_at_finch(deployed, "error_permissions")
    break_at_finch(deployed, "connected")
    acme.disconnect()
    records = subscriber.records()
    assert [record for record in records if passes_filter(record)] != records
    assert subscriber.deliver(records) is None
    all_events = [event["detail"]["id"] for event in subscriber.events()]
    assert subscriber.deliver([record for record in records if passes_filter(record)]) is None
    assert [event["detail"]["id"] for event in subscriber.events()] == all_events


def test_removed_row_makes_no_event(subscriber: Subscriber) -> None:
    Person(subscriber.deployed, "acme").connect()
    subscriber.publish()
    tables = subscriber.deployed.tables
    row = {"customer_id": {"S": "acme"}, "provider_id#company_id": {"S": str(KEY)}}
    tables.dynamodb.delete_item(TableName=tables.connections, Key=row)
    [removed] = subscriber.records()
    assert removed["eventName"] == "REMOVE"
    assert not passes_filter(removed)
    assert subscriber.deliver([removed]) is None
    assert subscriber.events() == []


def test_duplicate_record_makes_an_event_with_the_same_id(subscriber: Subscriber) -> None:
    acme = Person(subscriber.deployed, "acme")
    acme.connect()
    acme.disconnect()
    records = subscriber.records()
    subscriber.deliver(records)
    first = subscriber.events()
    subscriber.deliver(records)
    assert [event["detail"] for event in subscriber.events()] == [one["detail"] for one in first]


def test_events_and_log_contain_no_secret(subscriber: Subscriber, log: StringIO) -> None:
    deployed = subscriber.deployed
    acme = Person(deployed, "acme")
    landing = acme.connect()
    break_at_finch(deployed, "reauth")
    acme.connect(login=OWEN)
    rows_kept = json.dumps(deployed.tables.items(deployed.tables.connections), default=repr)
    assert "ciphertexts" in rows_kept
    acme.disconnect()
    records = subscriber.records()
    ciphertext = {
        entry["B"]
        for record in records
        for image in ("OldImage", "NewImage")
        for entry in record["dynamodb"].get(image, {}).get("ciphertexts", {"M": {}})["M"].values()
    }
    assert ciphertext
    subscriber.deliver(records)
    written = json.dumps(subscriber.events()) + log.getvalue()
    assert HARBOR_LANE.id in written
    secrets = {token.access_token for token in deployed.finch.tokens()} | ciphertext
    secrets |= {deployed.finch.application.client_secret, "owen", "maya", "ciphertexts"}
    assert landing.outcome["status"] == "connected"
    assert not [secret for secret in secrets if secret in written]


def two_customers(subscriber: Subscriber) -> list[dict[str, Any]]:
    """In this order: acme connects, acme disconnects, globex connects."""
    acme, globex = Person(subscriber.deployed, "acme"), Person(subscriber.deployed, "globex")
    acme.connect()
    acme.disconnect()
    globex.connect(provider_id="rippling", login=IRIS, company_id=JUNIPER_VALE.id)
    return [record for record in subscriber.records() if passes_filter(record)]


def test_refused_entry_is_retried_in_order_with_all_later_records(
    subscriber: Subscriber,
) -> None:
    records = two_customers(subscriber)
    subscriber.refuse = lambda entry: entry["DetailType"] == DISCONNECTED
    stopped = subscriber.deliver(records)
    before = subscriber.events()
    [place] = [n for n, one in enumerate(records) if one["dynamodb"]["SequenceNumber"] == stopped]
    # The other customer's event was in the same request and does not wait.
    assert kinds(before) == [CREATED, STATUS, CREATED]
    subscriber.refuse = lambda entry: False
    assert subscriber.deliver(records[place:]) is None
    after = subscriber.events()
    assert kinds(after) == [DISCONNECTED, CREATED]
    assert after[1]["detail"] == before[2]["detail"]


def test_events_of_a_connection_never_overtake_each_other(subscriber: Subscriber) -> None:
    records = two_customers(subscriber)
    subscriber.refuse = lambda entry: entry["DetailType"] == STATUS
    stopped = subscriber.deliver(records)
    assert stopped == records[1]["dynamodb"]["SequenceNumber"]
    assert kinds(subscriber.events()) == [CREATED]


def test_failing_bus_stops_the_batch_at_the_first_record(
    subscriber: Subscriber, log: StringIO
) -> None:
    records = two_customers(subscriber)

    def down(call: Call, send: Callable[[], Any]) -> Any:
        raise ClientError({"Error": {"Code": "InternalException", "Message": "x"}}, call.operation)

    subscriber.deployed.border.guard = down
    with pytest.raises(NothingPublished):
        subscriber.deliver(records)
    assert subscriber.deliver(records[:1]) == records[0]["dynamodb"]["SequenceNumber"]
    assert "InternalException" in log.getvalue()
    subscriber.deployed.border.guard = subscriber.guard
    assert subscriber.deliver(records) is None
    assert kinds(subscriber.events()) == [CREATED, STATUS, DISCONNECTED, CREATED]


def test_unreadable_record_delays_only_the_records_after_it(
    subscriber: Subscriber, log: StringIO
) -> None:
    records = two_customers(subscriber)
    poison = json.loads(json.dumps(records[1]))
    poison["dynamodb"]["NewImage"]["status"] = {"S": "a_future_status"}
    batch = [records[0], poison, *records[2:]]
    assert subscriber.deliver(batch) == poison["dynamodb"]["SequenceNumber"]
    assert kinds(subscriber.events()) == [CREATED]
    # Then the record is the first of its batch. Lambda halves the batch until the record is alone, and
    # then discards it.
    with pytest.raises(NothingPublished):
        subscriber.deliver(batch[1:])
    assert subscriber.deliver([poison]) == poison["dynamodb"]["SequenceNumber"]
    assert "write unreadable" in log.getvalue()


def test_put_events_request_has_at_most_the_allowed_entries(subscriber: Subscriber) -> None:
    deployed = subscriber.deployed
    sizes = []

    def count(call: Call, send: Callable[[], Any]) -> Any:
        if call.operation == "PutEvents":
            sizes.append(len(call.arguments["Entries"]))
        return send()

    Person(deployed, "acme").connect()
    [record] = subscriber.records()
    batch = []
    for n in range(MOST_ENTRIES + 1):
        one = json.loads(json.dumps(record))
        one["dynamodb"]["NewImage"]["customer_id"] = {"S": f"customer-{n}"}
        one["dynamodb"]["SequenceNumber"] += str(n)
        one["eventID"] = str(n)
        batch.append(one)
    deployed.border.guard = count
    assert subscriber.deliver(batch) is None
    assert sizes == [MOST_ENTRIES, 1]
    assert [event["detail"]["id"] for event in subscriber.events()] == [
        str(n) for n in range(MOST_ENTRIES + 1)
    ]


def largest() -> ConnectionEvent:
    """An event with the longest possible ids."""
    return ConnectionEvent(
        id="x" * 36,
        kind=EventKind.STATUS_CHANGED,
        time=datetime.now().astimezone(),
        customer_id="c" * 200,
        key=CompanyKey("p" * 200, "c" * 200),
        status=ConnectionStatus.ERROR_NO_ACCOUNT_SETUP,
        previous_status=ConnectionStatus.ERROR_PERMISSIONS,
        problem="disconnect_refused",
        connection_ids=tuple("c" * 198 + f"{n:02}" for n in range(MAX_TOKENS)),
        revision=10**9,
    )


def test_largest_possible_put_events_request_is_within_the_limit() -> None:
    size = sum(len(json.dumps(detail(largest()))) + 200 for _ in range(MOST_ENTRIES))
    assert size < TOO_LARGE


def test_operator_can_publish_a_batch_that_lambda_gave_up(subscriber: Subscriber) -> None:
    two_customers(subscriber)
    streams = boto3.client("dynamodbstreams")
    arn = boto3.client("dynamodb").describe_table(TableName=subscriber.deployed.tables.connections)[
        "Table"
    ]["LatestStreamArn"]
    [shard] = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    numbers = [one.to_json()["dynamodb"]["SequenceNumber"] for one in subscriber._shard.items]
    given_up = {
        "streamArn": arn,
        "shardId": shard["ShardId"],
        "startSequenceNumber": numbers[-4],
        "endSequenceNumber": numbers[-2],
        "batchSize": 3,
    }
    invoke = subscriber.deployed.invoke
    assert invoke
    assert invoke("publish_events", {"DDBStreamBatchInfo": given_up}) == {"batchItemFailures": []}
    assert kinds(subscriber.events()) == [CREATED, STATUS, DISCONNECTED]
    given_up["endSequenceNumber"] = str(int(numbers[-1]) + 1)
    with pytest.raises(NotInStream):
        invoke("publish_events", {"DDBStreamBatchInfo": given_up})


def test_stream_image_is_read_without_its_ciphertexts(subscriber: Subscriber) -> None:
    Person(subscriber.deployed, "acme").connect()
    [record] = subscriber.records()
    image = record["dynamodb"]["NewImage"]
    assert image["ciphertexts"]["M"]
    read = connection_table.without_ciphertexts(image)
    stored = connection_table.from_settings().get("acme", KEY)
    assert stored
    assert read == replace(stored, ciphertexts={})
    assert read.ciphertexts == {}


def test_readme_lists_every_event_and_detail_field(subscriber: Subscriber) -> None:
    Person(subscriber.deployed, "acme").connect()
    [event] = subscriber.publish()
    stated = [cells[0].strip("`") for cells in rows(PAGES["events"], "detail")]
    assert stated == list(event["detail"])
    assert event["detail"]["version"] == event_bus.VERSION
    assert {cells[0].strip("`") for cells in rows(PAGES["events"], "event")} == set(EventKind)
