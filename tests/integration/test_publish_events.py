"""What others are told of connections: the writes of real flows, through the function, to the bus."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
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
from local.fake_finch.seed_world import HARBOR_LANE, IRIS, JUNIPER_VALE, OWEN
from tests.support.deployed import TEMPLATE
from tests.support.documents import PAGES, rows
from tests.support.in_process import Call, InProcess, context, handler_of
from tests.support.person import Person

MAPPING: dict[str, Any] = TEMPLATE["Resources"]["PublishEvents"]["Properties"]["Events"]["Changes"][
    "Properties"
]
[FILTER] = MAPPING["FilterCriteria"]["Filters"]
KEY = CompanyKey("gusto", HARBOR_LANE.id)
CREATED, STATUS, REPAIRED, LOGINS, DISCONNECTED = (
    "connection.created",
    "connection.status_changed",
    "connection.repaired",
    "connection.logins_changed",
    "connection.disconnected",
)
TOO_LARGE = 256 * 1024


@dataclass
class Subscriber:
    """The stream of the table, Lambda's mapping of it, and a queue that a rule of the bus fills."""

    deployed: InProcess
    queue_url: str
    seen: int = 0
    refuse: Callable[[dict[str, Any]], bool] = field(default=lambda entry: False)

    def records(self) -> list[dict[str, Any]]:
        """The writes since the last time, as Lambda gives them to the function."""
        found = self._shard.items[self.seen :]
        self.seen += len(found)
        return [_record(one.to_json()) for one in found]

    def deliver(self, records: list[dict[str, Any]]) -> Any:
        """Invokes the function; answers the sequence number that it stopped at."""
        function = "publish_events"
        with self.deployed.border.invocation(function):
            answer = handler_of(function)({"Records": records}, context(function))
        failures = [one["itemIdentifier"] for one in answer["batchItemFailures"]]
        assert len(failures) <= 1
        return failures[0] if failures else None

    def told(self) -> list[dict[str, Any]]:
        """What a rule of the bus has delivered since the last time."""
        sqs, found = boto3.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                found.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def listen(self) -> list[dict[str, Any]]:
        """Delivers all that the filter lets through; answers what was told."""
        records = [record for record in self.records() if passes(record)]
        if records:
            assert self.deliver(records) is None
        return self.told()

    def guard(self, call: Call, send: Callable[[], Any]) -> Any:
        """A bus that refuses some entries, each for itself."""
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
    """As JSON: Lambda gives moments as numbers and binary as base64."""

    def plain(value: Any) -> Any:
        if isinstance(value, datetime):
            return int(value.timestamp())
        assert isinstance(value, bytes), type(value)
        return base64.b64encode(value).decode()

    made: dict[str, Any] = json.loads(json.dumps(record, default=plain))
    return made


def passes(record: dict[str, Any]) -> bool:
    return EventPattern.load(FILTER["Pattern"]).matches_event(record)  # type: ignore[arg-type]


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["detail-type"] for event in events]


def look(deployed: InProcess, key: CompanyKey = KEY) -> None:
    """Somebody says that the connection should be looked at."""
    now = deployed.clock.now
    work_queue.from_settings().send(WorkItem.at_once(ConnectionSubject("acme", key), now), now)
    deployed.queue.drain()


def break_at_finch(deployed: InProcess, status: str) -> None:
    for connection in deployed.finch.connections():
        if connection.live:
            deployed.finch.set_connection_status(connection.id, status)
    look(deployed)


@pytest.fixture(scope="module")
def bus(in_process: InProcess) -> str:
    """The bus and the stream, as deployed, and a queue that hears everything."""
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
    subscriber.told()
    deployed.border.guard = subscriber.guard
    return subscriber


def test_a_connection_is_told_of_from_its_making_to_its_end(subscriber: Subscriber) -> None:
    deployed = subscriber.deployed
    acme = Person(deployed, "acme")
    acme.connect()
    made = subscriber.listen()
    break_at_finch(deployed, "reauth")
    broken = subscriber.listen()
    acme.connect()
    repaired = subscriber.listen()
    acme.disconnect()
    ended = subscriber.listen()
    assert kinds(made) == [CREATED]
    assert kinds(broken) == [STATUS]
    assert kinds(repaired)[0] == REPAIRED
    assert kinds(ended) == [STATUS, DISCONNECTED]
    events = [*made, *broken, *repaired, *ended]
    details = [event["detail"] for event in events]
    assert {(one["customer_id"], one["provider_id"], one["company_id"]) for one in details} == {
        ("acme", "gusto", HARBOR_LANE.id)
    }
    told = [(one["previous_status"], one["status"]) for one in details]
    assert told[:3] == [(None, "connected"), ("connected", "reauth"), ("reauth", "connected")]
    assert told[-2:] == [("connected", "disconnecting"), ("disconnecting", "disconnected")]
    assert details[-1]["connection_ids"] == details[-2]["connection_ids"] != []
    revisions = [one["revision"] for one in details]
    assert revisions == sorted(set(revisions))
    assert len({one["id"] for one in details}) == len(details)
    for event in events:
        assert event["source"] == "finch-connections"


def test_a_connection_made_again_is_created_again(subscriber: Subscriber) -> None:
    acme = Person(subscriber.deployed, "acme")
    acme.connect()
    acme.disconnect()
    acme.connect()
    events = subscriber.listen()
    assert kinds(events) == [CREATED, STATUS, DISCONNECTED, CREATED]
    assert events[-1]["detail"]["previous_status"] == "disconnected"


def test_another_login_is_told(subscriber: Subscriber) -> None:
    acme = Person(subscriber.deployed, "acme")
    acme.connect()
    acme.connect(login=OWEN)
    events = subscriber.listen()
    assert kinds(events) == [CREATED, LOGINS]
    assert len(events[-1]["detail"]["connection_ids"]) >= 1


def test_a_look_that_finds_nothing_new_does_not_even_invoke_the_function(
    subscriber: Subscriber,
) -> None:
    deployed = subscriber.deployed
    acme = Person(deployed, "acme")
    acme.connect()
    look(deployed)
    subscriber.records()
    deployed.clock.advance(timedelta(days=1))
    look(deployed)
    checks = subscriber.records()
    assert checks
    assert not [record for record in checks if passes(record)]


def test_the_filter_keeps_back_nothing_that_would_be_told(subscriber: Subscriber) -> None:
    deployed = subscriber.deployed
    acme = Person(deployed, "acme")
    acme.connect()
    acme.connect(login=OWEN)
    break_at_finch(deployed, "error_permissions")
    break_at_finch(deployed, "connected")
    acme.disconnect()
    records = subscriber.records()
    assert [record for record in records if passes(record)] != records
    assert subscriber.deliver(records) is None
    all_told = [event["detail"]["id"] for event in subscriber.told()]
    assert subscriber.deliver([record for record in records if passes(record)]) is None
    assert [event["detail"]["id"] for event in subscriber.told()] == all_told


def test_a_removed_row_tells_nothing(subscriber: Subscriber) -> None:
    Person(subscriber.deployed, "acme").connect()
    subscriber.listen()
    tables = subscriber.deployed.tables
    row = {"customer_id": {"S": "acme"}, "provider_id#company_id": {"S": str(KEY)}}
    tables.dynamodb.delete_item(TableName=tables.connections, Key=row)
    [removed] = subscriber.records()
    assert removed["eventName"] == "REMOVE"
    assert not passes(removed)
    assert subscriber.deliver([removed]) is None
    assert subscriber.told() == []


def test_a_record_that_comes_twice_is_told_under_the_same_id(subscriber: Subscriber) -> None:
    acme = Person(subscriber.deployed, "acme")
    acme.connect()
    acme.disconnect()
    records = subscriber.records()
    subscriber.deliver(records)
    first = subscriber.told()
    subscriber.deliver(records)
    assert [event["detail"] for event in subscriber.told()] == [one["detail"] for one in first]


def test_nothing_is_told_that_is_secret(subscriber: Subscriber, log: StringIO) -> None:
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
    told = json.dumps(subscriber.told()) + log.getvalue()
    assert HARBOR_LANE.id in told
    secrets = {token.access_token for token in deployed.finch.tokens()} | ciphertext
    secrets |= {deployed.finch.application.client_secret, "owen", "maya", "ciphertexts"}
    assert landing.outcome["status"] == "connected"
    assert not [secret for secret in secrets if secret in told]


def two_customers(subscriber: Subscriber) -> list[dict[str, Any]]:
    """The writes of acme: made, ended; then of globex: made; in this order."""
    acme, globex = Person(subscriber.deployed, "acme"), Person(subscriber.deployed, "globex")
    acme.connect()
    acme.disconnect()
    globex.connect(provider_id="rippling", login=IRIS, company_id=JUNIPER_VALE.id)
    return [record for record in subscriber.records() if passes(record)]


def test_what_the_bus_refuses_comes_again_with_all_after_it_and_stays_in_order(
    subscriber: Subscriber,
) -> None:
    records = two_customers(subscriber)
    subscriber.refuse = lambda entry: entry["DetailType"] == DISCONNECTED
    stopped = subscriber.deliver(records)
    before = subscriber.told()
    [place] = [n for n, one in enumerate(records) if one["dynamodb"]["SequenceNumber"] == stopped]
    # The other customer's change was in the same request, and does not wait.
    assert kinds(before) == [CREATED, STATUS, CREATED]
    subscriber.refuse = lambda entry: False
    assert subscriber.deliver(records[place:]) is None
    after = subscriber.told()
    assert kinds(after) == [DISCONNECTED, CREATED]
    assert after[1]["detail"] == before[2]["detail"]


def test_a_connections_changes_never_overtake_each_other(subscriber: Subscriber) -> None:
    records = two_customers(subscriber)
    subscriber.refuse = lambda entry: entry["DetailType"] == STATUS
    stopped = subscriber.deliver(records)
    assert stopped == records[1]["dynamodb"]["SequenceNumber"]
    assert kinds(subscriber.told()) == [CREATED]


def test_a_bus_that_takes_nothing_stops_at_the_first(subscriber: Subscriber, log: StringIO) -> None:
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
    assert kinds(subscriber.told()) == [CREATED, STATUS, DISCONNECTED, CREATED]


def test_what_cannot_be_read_holds_up_only_what_comes_after_it(
    subscriber: Subscriber, log: StringIO
) -> None:
    records = two_customers(subscriber)
    poison = json.loads(json.dumps(records[1]))
    poison["dynamodb"]["NewImage"]["status"] = {"S": "a status of tomorrow"}
    batch = [records[0], poison, *records[2:]]
    assert subscriber.deliver(batch) == poison["dynamodb"]["SequenceNumber"]
    assert kinds(subscriber.told()) == [CREATED]
    # Then it is the first of its batch: Lambda halves that until it is alone, and gives it up.
    with pytest.raises(NothingPublished):
        subscriber.deliver(batch[1:])
    assert subscriber.deliver([poison]) == poison["dynamodb"]["SequenceNumber"]
    assert "write unreadable" in log.getvalue()


def test_a_request_has_as_many_entries_as_the_bus_takes(subscriber: Subscriber) -> None:
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
    assert [event["detail"]["id"] for event in subscriber.told()] == [
        str(n) for n in range(MOST_ENTRIES + 1)
    ]


def largest() -> ConnectionEvent:
    """A change with the longest ids that there can be."""
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


def test_the_largest_request_is_not_too_large() -> None:
    size = sum(len(json.dumps(detail(largest()))) + 200 for _ in range(MOST_ENTRIES))
    assert size < TOO_LARGE


def test_an_operator_has_what_was_given_up_told_after_all(subscriber: Subscriber) -> None:
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
    assert kinds(subscriber.told()) == [CREATED, STATUS, DISCONNECTED]
    given_up["endSequenceNumber"] = str(int(numbers[-1]) + 1)
    with pytest.raises(NotInStream):
        invoke("publish_events", {"DDBStreamBatchInfo": given_up})


def test_the_image_of_a_stream_is_read_without_its_ciphertexts(subscriber: Subscriber) -> None:
    Person(subscriber.deployed, "acme").connect()
    [record] = subscriber.records()
    image = record["dynamodb"]["NewImage"]
    assert image["ciphertexts"]["M"]
    read = connection_table.without_ciphertexts(image)
    assert read == connection_table.from_settings().show("acme", KEY)
    assert read.ciphertexts == {}


def test_the_readme_says_what_is_told(subscriber: Subscriber) -> None:
    Person(subscriber.deployed, "acme").connect()
    [event] = subscriber.listen()
    stated = [cells[0].strip("`") for cells in rows(PAGES["events"], "detail")]
    assert stated == list(event["detail"])
    assert event["detail"]["version"] == event_bus.VERSION
    assert {cells[0].strip("`") for cells in rows(PAGES["events"], "event")} == set(EventKind)
