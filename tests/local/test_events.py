"""Connection events that an application receives from the deployed bus."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from finch_connections.aws import work_queue
from finch_connections.domain.connection import CompanyKey
from finch_connections.domain.work_item import ConnectionSubject, WorkItem
from local.fake_finch.seed_world import HARBOR_LANE
from local.world import World
from tests.support.deployed import Deployed
from tests.support.person import Person

KEY = CompanyKey("gusto", HARBOR_LANE.id)
PATIENCE = 60.0


def wait_for[T](found: Callable[[], T]) -> T:
    """Returns the first true value of `found`; fails after a minute."""
    deadline = time.monotonic() + PATIENCE
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return value


@pytest.fixture
def acme(deployed: Deployed) -> Person:
    """A new customer, without events of earlier tests."""
    return Person(deployed, f"acme-{uuid4()}")


@pytest.fixture
def without_retries(world: World) -> Iterator[None]:
    """Lambda discards records at once when the function cannot read them."""
    client = world.aws.client("lambda")
    [mapping] = client.list_event_source_mappings(FunctionName=world.output("PublishEventsName"))[
        "EventSourceMappings"
    ]
    client.update_event_source_mapping(UUID=mapping["UUID"], MaximumRetryAttempts=0)
    yield
    retries = mapping["MaximumRetryAttempts"]
    client.update_event_source_mapping(UUID=mapping["UUID"], MaximumRetryAttempts=retries)


def events_of(world: World, person: Person) -> list[tuple[str, str | None, str]]:
    """The events of a customer: type, previous status and status."""
    details = [(event["detail-type"], event["detail"]) for event in world.connection_events()]
    return [
        (kind, detail["previous_status"], detail["status"])
        for kind, detail in details
        if detail["customer_id"] == person.customer_id
    ]


def break_at_finch(world: World, person: Person) -> None:
    """Makes Finch require a new login, and report it again a minute later."""
    [connection] = [each for each in world.finch.connections() if each.live]
    world.finch.set_connection_status(connection.id, "reauth")
    check_health(world, person)
    wait_for(lambda: suspicions(world, person))
    make_suspicion_older(world, person)
    check_health(world, person)
    wait_for(lambda: person.connection()["status"] == "reauth")


def check_health(world: World, person: Person) -> None:
    work_item = WorkItem(ConnectionSubject(person.customer_id, KEY), datetime.now(UTC))
    world.aws.client("sqs").send_message(
        QueueUrl=world.output("WorkQueueUrl"), MessageBody=work_queue.write(work_item)
    )


def row(person: Person) -> dict[str, Any]:
    return {"customer_id": {"S": person.customer_id}, "provider_id#company_id": {"S": str(KEY)}}


def suspicions(world: World, person: Person) -> list[str]:
    item = world.aws.client("dynamodb").get_item(
        TableName=world.output("ConnectionsTableName"), Key=row(person)
    )["Item"]
    return [id_ for id_, token in item["tokens"]["M"].items() if "suspected" in token["M"]]


def make_suspicion_older(world: World, person: Person) -> None:
    [token_id] = suspicions(world, person)
    since = (datetime.now(UTC) - timedelta(minutes=2)).isoformat()
    world.aws.client("dynamodb").update_item(
        TableName=world.output("ConnectionsTableName"),
        Key=row(person),
        UpdateExpression="SET tokens.#id.suspected_since = :since",
        ExpressionAttributeNames={"#id": token_id},
        ExpressionAttributeValues={":since": {"S": since}},
    )


def test_subscriber_receives_the_events_of_a_connection_in_order(
    world: World, acme: Person
) -> None:
    acme.connect()
    break_at_finch(world, acme)
    acme.connect()
    assert acme.disconnect().status == 200
    wait_for(lambda: "connection.disconnected" in [kind for kind, _, _ in events_of(world, acme)])
    # A health check during the repair would split it into two events.
    statuses = [
        event for event in events_of(world, acme) if event[0] != "connection.logins_changed"
    ]
    assert statuses == [
        ("connection.created", None, "connected"),
        ("connection.status_changed", "connected", "reauth"),
        ("connection.repaired", "reauth", "connected"),
        ("connection.status_changed", "connected", "disconnecting"),
        ("connection.disconnected", "disconnecting", "disconnected"),
    ]


@pytest.mark.usefixtures("without_retries")
def test_unreadable_record_becomes_a_dead_letter_and_blocks_no_other_event(
    world: World, acme: Person
) -> None:
    sqs, queue = world.aws.client("sqs"), world.output("EventsDeadLetterQueueUrl")
    # Of another customer, because a request that counts connections reads all of its customer.
    unreadable = row(acme) | {
        "customer_id": {"S": "another"},
        "provider_id#company_id": {"S": "x#y"},
        "news": {"BOOL": True},
    }
    world.aws.client("dynamodb").put_item(
        TableName=world.output("ConnectionsTableName"), Item=unreadable
    )
    acme.connect()
    wait_for(lambda: events_of(world, acme))
    assert events_of(world, acme) == [("connection.created", None, "connected")]
    [dead_letter] = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert "DDBStreamBatchInfo" in dead_letter["Body"]
    assert acme.customer_id not in dead_letter["Body"]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=dead_letter["ReceiptHandle"])


def test_publish_events_role_may_read_the_stream_and_put_events_only(
    world: World,
) -> None:
    table = world.output("ConnectionsTableName")
    found = world.aws.client("dynamodb").describe_table(TableName=table)["Table"]
    role, stream = world.as_role("PublishEventsRole"), found["LatestStreamArn"]
    shards = role.client("dynamodbstreams").describe_stream(StreamArn=stream)
    assert shards["StreamDescription"]["Shards"]
    entry = {"Source": "test", "DetailType": "test", "Detail": "{}"}
    entries = {"Entries": [entry | {"EventBusName": world.output("EventBusName")}]}
    assert role.client("events").put_events(**entries)["FailedEntryCount"] == 0
    forbidden: list[tuple[str, str, dict[str, Any]]] = [
        ("events", "put_events", {"Entries": [entry]}),
        ("dynamodb", "scan", {"TableName": table}),
        ("sqs", "send_message", {"QueueUrl": world.output("WorkQueueUrl"), "MessageBody": "x"}),
        ("kms", "encrypt", {"KeyId": world.output("TokenKeyArn"), "Plaintext": b"x"}),
        ("secretsmanager", "get_secret_value", {"SecretId": world.output("FinchSecretArn")}),
    ]
    for service, operation, arguments in forbidden:
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(role.client(service), operation)(**arguments)
