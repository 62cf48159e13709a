"""What an application hears of connections, from the deployed bus."""

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
    """What is there, as soon as it is."""
    deadline = time.monotonic() + PATIENCE
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return value


@pytest.fixture
def acme(deployed: Deployed) -> Person:
    """A customer of whom nobody has heard yet."""
    return Person(deployed, f"acme-{uuid4()}")


@pytest.fixture
def impatient(world: World) -> Iterator[None]:
    """Lambda gives up at once what the function cannot read."""
    client = world.aws.client("lambda")
    [mapping] = client.list_event_source_mappings(FunctionName=world.output("PublishEventsName"))[
        "EventSourceMappings"
    ]
    client.update_event_source_mapping(UUID=mapping["UUID"], MaximumRetryAttempts=0)
    yield
    retries = mapping["MaximumRetryAttempts"]
    client.update_event_source_mapping(UUID=mapping["UUID"], MaximumRetryAttempts=retries)


def heard_of(world: World, person: Person) -> list[tuple[str, str | None, str]]:
    """What was told of a customer: the kind, the status before and the one after."""
    details = [(one["detail-type"], one["detail"]) for one in world.connection_events()]
    return [
        (kind, detail["previous_status"], detail["status"])
        for kind, detail in details
        if detail["customer_id"] == person.customer_id
    ]


def break_at_finch(world: World, person: Person) -> None:
    """Finch says that the person must log in again, and says so again a minute later."""
    [connection] = [one for one in world.finch.connections() if one.live]
    world.finch.set_connection_status(connection.id, "reauth")
    look(world, person)
    wait_for(lambda: suspicions(world, person))
    make_a_minute_pass(world, person)
    look(world, person)
    wait_for(lambda: person.connection()["status"] == "reauth")


def look(world: World, person: Person) -> None:
    work_item = WorkItem.at_once(ConnectionSubject(person.customer_id, KEY), datetime.now(UTC))
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


def make_a_minute_pass(world: World, person: Person) -> None:
    [token_id] = suspicions(world, person)
    since = (datetime.now(UTC) - timedelta(minutes=2)).isoformat()
    world.aws.client("dynamodb").update_item(
        TableName=world.output("ConnectionsTableName"),
        Key=row(person),
        UpdateExpression="SET tokens.#id.suspected_since = :since",
        ExpressionAttributeNames={"#id": token_id},
        ExpressionAttributeValues={":since": {"S": since}},
    )


def test_a_subscriber_hears_of_a_connection_in_order(world: World, acme: Person) -> None:
    acme.connect()
    break_at_finch(world, acme)
    acme.connect()
    assert acme.disconnect().status == 200
    wait_for(lambda: "connection.disconnected" in [kind for kind, _, _ in heard_of(world, acme)])
    # A look in the middle of the repair would make two changes of it.
    statuses = [one for one in heard_of(world, acme) if one[0] != "connection.logins_changed"]
    assert statuses == [
        ("connection.created", None, "connected"),
        ("connection.status_changed", "connected", "reauth"),
        ("connection.repaired", "reauth", "connected"),
        ("connection.status_changed", "connected", "disconnecting"),
        ("connection.disconnected", "disconnecting", "disconnected"),
    ]


@pytest.mark.usefixtures("impatient")
def test_what_nobody_can_read_ends_with_the_dead_letters_and_holds_up_nobody(
    world: World, acme: Person
) -> None:
    sqs, queue = world.aws.client("sqs"), world.output("EventsDeadLetterQueueUrl")
    unreadable = row(acme) | {"provider_id#company_id": {"S": "x#y"}, "news": {"BOOL": True}}
    world.aws.client("dynamodb").put_item(
        TableName=world.output("ConnectionsTableName"), Item=unreadable
    )
    acme.connect()
    wait_for(lambda: heard_of(world, acme))
    assert heard_of(world, acme) == [("connection.created", None, "connected")]
    [letter] = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert "DDBStreamBatchInfo" in letter["Body"]
    assert acme.customer_id not in letter["Body"]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=letter["ReceiptHandle"])


def test_the_function_that_publishes_may_read_the_stream_and_tell_the_bus_and_no_more(
    world: World,
) -> None:
    table = world.output("ConnectionsTableName")
    found = world.aws.client("dynamodb").describe_table(TableName=table)["Table"]
    role, stream = world.as_role("PublishEventsRole"), found["LatestStreamArn"]
    shards = role.client("dynamodbstreams").describe_stream(StreamArn=stream)
    assert shards["StreamDescription"]["Shards"]
    entry = {"Source": "test", "DetailType": "test", "Detail": "{}"}
    told = {"Entries": [entry | {"EventBusName": world.output("EventBusName")}]}
    assert role.client("events").put_events(**told)["FailedEntryCount"] == 0
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
