"""Least privilege by removal: a function fails if its role loses any single permission.

The policies are those of the deployed roles; the emulator's IAM enforces them.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.fake_finch.seed_world import HARBOR_LANE
from local.world import World
from tests.local.conftest import until
from tests.security.examples import FUZZ
from tests.security.exercises import EXERCISES, NEEDED, Exercise, PreparedWorld, read_needed
from tests.security.permissions import RESTORED, Permission, permissions, without
from tests.support.deployed import TEMPLATE

ROLES = sorted({one.role for one in permissions()})
REACHED_FROM_OUTSIDE = {
    name
    for name, one in TEMPLATE["Resources"].items()
    if one["Type"] == "AWS::Serverless::Function" and one["Properties"].get("Events")
}
# The log text of a denial that does not name the action.
DENIAL_TEXTS = {
    "kms:ReEncryptFrom": "not authorized to perform: kms:ReEncrypt ",
    "kms:ReEncryptTo": "not authorized to perform: kms:ReEncrypt ",
    "secretsmanager:GetSecretValue": '"message":"finch secret unreadable"',
    "events:PutEvents": '"reasons":["AccessDenied',
}
# How long a log line may take after the function's response, in seconds.
PATIENCE = 2.0


@pytest.fixture(scope="module")
def needed(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The permissions that each exercise used in process, in any process of this run."""
    read_needed(tmp_path_factory.getbasetemp().parent)


@pytest.fixture(scope="module")
def failed_batch(world: World, prepared: PreparedWorld) -> None:
    """A batch of the stream, for the exercise that reads a failed batch again."""
    prepared.failed_batch = until(lambda: a_batch_of_the_stream(world))


def a_batch_of_the_stream(world: World) -> Mapping[str, str]:
    """The position of the first stream record, as in Lambda's dead letter; empty without a record."""
    table = world.output("ConnectionsTableName")
    found = world.aws.client("dynamodb").describe_table(TableName=table)["Table"]
    arn, streams = found["LatestStreamArn"], world.aws.client("dynamodbstreams")
    [shard, *_] = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    position = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = streams.get_shard_iterator(**position)["ShardIterator"]
    records = streams.get_records(ShardIterator=iterator)["Records"]
    if not records:
        return {}
    number = records[0]["dynamodb"]["SequenceNumber"]
    return {
        "streamArn": arn,
        "shardId": shard["ShardId"],
        "startSequenceNumber": number,
        "endSequenceNumber": number,
    }


@contextmanager
def removed(world: World, permission: Permission) -> Iterator[None]:
    """Removes a permission from its role inside the context."""
    iam, role = world.aws.client("iam"), world.physical_id(permission.role)
    name = TEMPLATE["Resources"][permission.role]["Properties"]["Policies"][0]["PolicyName"]
    whole = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    rest = json.dumps(without(permission, whole))
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=rest)
    if permission.action.startswith("secretsmanager:"):
        # A running process would continue with its cached secret.
        world.kill_execution_environments()
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(whole))


def likeliest_first(permission: Permission) -> list[Exercise]:
    """The exercises of a function; first those that used the permission in process."""
    candidates = [one for one in EXERCISES if one.function == permission.need.function]
    return sorted(
        candidates, key=lambda one: permission.need not in NEEDED.get(one, {permission.need})
    )


def is_needed(world: World, prepared: PreparedWorld, permission: Permission) -> bool:
    """Whether the function logs a denial of exactly this permission."""
    function = permission.need.function
    text = DENIAL_TEXTS.get(permission.action, f"not authorized to perform: {permission.action} ")
    for exercise in likeliest_first(permission):
        prepared.restore()
        purge(world)
        before = len(world.function_log(function))
        # The caller sees the failure in different ways, which do not matter here.
        with suppress(AssertionError, LookupError):
            exercise.act(prepared)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if any(text in line for line in world.function_log(function)[before:]):
                return True
            time.sleep(0.05)
    return False


def purge(world: World) -> None:
    """Deletes queued messages, which would be processed during the next exercise."""
    world.aws.client("sqs").purge_queue(QueueUrl=world.output("WorkQueueUrl"))


def permissions_to_try(role: str) -> list[Permission]:
    """The permissions of a role that are removed, each in turn.

    For a function without an event source, the last permission of each statement is enough, because
    its process starts again after each failure. `make fuzz` removes every permission of every role.
    """
    mine = [one for one in permissions() if one.role == role and not one.by_lambda]
    if FUZZ > 1 or role.removesuffix("Role") in REACHED_FROM_OUTSIDE:
        return mine
    return list({one.sid: one for one in mine}.values())


@pytest.mark.usefixtures("failed_batch", "needed")
@pytest.mark.parametrize("role", ROLES)
def test_a_function_fails_if_its_role_loses_a_permission(
    world: World, prepared: PreparedWorld, role: str
) -> None:
    mine = permissions_to_try(role)
    unneeded = []
    for permission in mine:
        with removed(world, permission):
            if not is_needed(world, prepared, permission):
                unneeded.append(permission)
    assert unneeded == []


# The opposite: with the credentials of a role, every other action is denied


@dataclass(frozen=True)
class Attempt:
    """A call to AWS that an attacker with a role's credentials could make."""

    need: tuple[str, str, str]
    service: str
    operation: str
    arguments: Mapping[str, Any] = field(repr=False)


def attempts(world: World) -> Iterator[Attempt]:
    """Calls that a function may make, and calls that no function may make."""
    yield from on_tables(world)
    yield from on_the_key(world)
    yield from on_queues_and_bus(world)
    yield from on_functions(world)
    secret = {"SecretId": world.output("FinchSecretArn")}
    for operation, more in (
        ("GetSecretValue", {}),
        ("PutSecretValue", {"SecretString": "{}"}),
        ("DeleteSecret", {}),
    ):
        need = (f"secretsmanager:{operation}", "FinchSecret", "")
        yield Attempt(need, "secretsmanager", snake(operation), secret | more)
    role = world.physical_id("VendTokenRole")
    arn = world.aws.client("iam").get_role(RoleName=role)["Role"]["Arn"]
    policy = {"RoleName": role, "PolicyName": "mine", "PolicyDocument": '{"Statement": []}'}
    yield Attempt(("iam:PutRolePolicy", role, ""), "iam", "put_role_policy", policy)
    assume = {"RoleArn": arn, "RoleSessionName": "mine"}
    yield Attempt(("sts:AssumeRole", role, ""), "sts", "assume_role", assume)


TABLES = {
    "ConnectionsTable": {"customer_id": {"S": "acme"}, "provider_id#company_id": {"S": "gusto#x"}},
    "ConnectSessionsTable": {"handle_hash": {"S": "x"}},
    "OwnershipTable": {"owned_id": {"S": "x"}},
    "AuditTable": {"customer_id": {"S": "acme"}, "vended_at#id": {"S": "x"}},
    "GrantsTable": {"backend": {"S": "payroll"}},
}


def on_tables(world: World) -> Iterator[Attempt]:
    for table, key in TABLES.items():
        named = {"TableName": world.physical_id(table)}
        name, value = next(iter(key.items()))
        query = {
            "KeyConditionExpression": "#key = :value",
            "ExpressionAttributeNames": {"#key": name},
            "ExpressionAttributeValues": {":value": value},
        }
        update = {
            "UpdateExpression": "SET mine = :mine",
            "ExpressionAttributeValues": {":mine": {"S": "x"}},
        }
        by_operation: dict[str, dict[str, Any]] = {
            "GetItem": {"Key": key},
            "Query": query,
            "PutItem": {"Item": key},
            "UpdateItem": {"Key": key, **update},
            "DeleteItem": {"Key": key},
            "Scan": {},
            "DeleteTable": {},
        }
        for operation, arguments in by_operation.items():
            yield Attempt(
                (f"dynamodb:{operation}", table, ""),
                "dynamodb",
                snake(operation),
                named | arguments,
            )
        # PartiQL and batches reach the same items in another way.
        read = {"RequestItems": {named["TableName"]: {"Keys": [key]}}}
        yield Attempt(("dynamodb:BatchGetItem", table, ""), "dynamodb", "batch_get_item", read)
        write = {"RequestItems": {named["TableName"]: [{"DeleteRequest": {"Key": key}}]}}
        yield Attempt(("dynamodb:BatchWriteItem", table, ""), "dynamodb", "batch_write_item", write)
        statement = {"Statement": f'SELECT * FROM "{named["TableName"]}"'}  # noqa: S608
        yield Attempt(
            ("dynamodb:PartiQLSelect", table, ""), "dynamodb", "execute_statement", statement
        )
    for table, index, attribute in (
        ("ConnectionsTable", "due", "due_shard"),
        ("ConnectSessionsTable", "due", "due_shard"),
        ("OwnershipTable", "company", "company_id"),
    ):
        indexed = {
            "TableName": world.physical_id(table),
            "IndexName": index,
            "KeyConditionExpression": f"{attribute} = :value",
            "ExpressionAttributeValues": {":value": {"S": "x"}},
        }
        need = ("dynamodb:Query", f"{table}/index/{index}", "")
        yield Attempt(need, "dynamodb", "query", indexed)

    restored = {"TableName": "finch-connections-restored-mine"}
    yield Attempt(("dynamodb:Scan", RESTORED, ""), "dynamodb", "scan", restored)
    item = restored | {
        "Key": {"customer_id": {"S": "acme"}, "provider_id#company_id": {"S": "x#y"}}
    }
    yield Attempt(("dynamodb:GetItem", RESTORED, ""), "dynamodb", "get_item", item)


def on_the_key(world: World) -> Iterator[Attempt]:
    key = {"KeyId": world.output("TokenKeyArn")}
    kms = world.aws.client("kms")
    contexts = [
        ({"purpose": "stored", "customer_id": "acme"}, "stored"),
        ({"purpose": "escrow", "customer_id": "acme"}, "escrow"),
        ({"purpose": "another", "customer_id": "acme"}, "another"),
        ({"purpose": "stored"}, "without a customer"),
        ({"purpose": "escrow"}, "without a customer"),
        ({"customer_id": "acme"}, "without a purpose"),
        ({}, "without a context"),
    ]
    for context, purpose in contexts:
        encrypt = key | {"Plaintext": b"canary", "EncryptionContext": context}
        blob = kms.encrypt(**encrypt)["CiphertextBlob"]
        decrypt = {"CiphertextBlob": blob, "EncryptionContext": context}
        again = {
            "DestinationKeyId": key["KeyId"],
            "SourceEncryptionContext": context,
            "DestinationEncryptionContext": context,
        }
        yield Attempt(("kms:Encrypt", "TokenKey", purpose), "kms", "encrypt", encrypt)
        yield Attempt(("kms:Decrypt", "TokenKey", purpose), "kms", "decrypt", decrypt)
        # One call that needs a permission on each key.
        both = {"CiphertextBlob": blob} | again
        yield Attempt(("kms:ReEncryptFrom", "TokenKey", purpose), "kms", "re_encrypt", both)
        yield Attempt(("kms:ReEncryptTo", "TokenKey", purpose), "kms", "re_encrypt", both)
    mac = {
        "KeyId": world.physical_id("ErasureKey"),
        "MacAlgorithm": "HMAC_SHA_256",
        "Message": b"acme",
    }
    yield Attempt(("kms:GenerateMac", "ErasureKey", ""), "kms", "generate_mac", mac)
    for operation, more in (
        ("generate_data_key", {"KeySpec": "AES_256"}),
        ("disable_key", {}),
        ("schedule_key_deletion", {"PendingWindowInDays": 7}),
        ("put_key_policy", {"PolicyName": "default", "Policy": "{}"}),
    ):
        yield Attempt((f"kms:{operation}", "TokenKey", ""), "kms", operation, key | more)


def on_queues_and_bus(world: World) -> Iterator[Attempt]:
    for queue in ("WorkQueue", "WorkDeadLetterQueue", "EventsDeadLetterQueue"):
        named = {"QueueUrl": world.physical_id(queue)}
        for operation, more in (
            ("SendMessage", {"MessageBody": "{}"}),
            ("ReceiveMessage", {}),
            ("DeleteMessage", {"ReceiptHandle": "x"}),
            ("GetQueueAttributes", {"AttributeNames": ["All"]}),
            ("PurgeQueue", {}),
        ):
            yield Attempt((f"sqs:{operation}", queue, ""), "sqs", snake(operation), named | more)
    entry = {"Source": "finch-connections", "DetailType": "connection.created", "Detail": "{}"}
    for name, bus in (("EventBus", world.output("EventBusName")), ("the default", "default")):
        entries = {"Entries": [entry | {"EventBusName": bus}]}
        yield Attempt(("events:PutEvents", name, ""), "events", "put_events", entries)
    table = world.output("ConnectionsTableName")
    found = world.aws.client("dynamodb").describe_table(TableName=table)["Table"]
    stream = {"StreamArn": found["LatestStreamArn"]}
    of_stream = ("dynamodb:DescribeStream", "ConnectionsTable/stream/*", "")
    yield Attempt(of_stream, "dynamodbstreams", "describe_stream", stream)


def on_functions(world: World) -> Iterator[Attempt]:
    for name, resource in TEMPLATE["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            dry = {"InvocationType": "DryRun"}
            by_alias = dry | {"FunctionName": world.alias(name)}
            yield Attempt(("lambda:InvokeFunction", name, ""), "lambda", "invoke", by_alias)
            unpublished = dry | {"FunctionName": world.physical_id(name)}
            need = ("lambda:InvokeFunction", f"{name} without its alias", "")
            yield Attempt(need, "lambda", "invoke", unpublished)
    function = world.physical_id("VendToken")
    environment = {"FunctionName": function, "Environment": {"Variables": {}}}
    for operation, arguments in (
        ("update_function_configuration", environment),
        ("get_function", {"FunctionName": function}),
    ):
        yield Attempt((f"lambda:{operation}", "VendToken", ""), "lambda", operation, arguments)


def snake(operation: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()


@pytest.fixture(scope="module")
def everything(world: World, prepared: PreparedWorld) -> list[Attempt]:
    """Every attempt, built once for all roles."""
    return list(attempts(world))


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_denied_every_other_action(
    world: World, everything: list[Attempt], role: str
) -> None:
    allowed = {(one.action, one.resource, one.purpose) for one in permissions() if one.role == role}
    aws = world.as_role(role)
    clients = {service: aws.client(service) for service in {one.service for one in everything}}
    wrong = []
    for one in everything:
        if one.need in allowed:
            continue
        try:
            getattr(clients[one.service], one.operation)(**one.arguments)
        except ClientError as error:
            if "AccessDenied" in error.response["Error"]["Code"]:
                continue
            wrong.append((one, error.response["Error"]["Code"]))
        else:
            wrong.append((one, "allowed"))
    assert wrong == []


def test_the_attempts_include_every_permission_of_every_role(everything: list[Attempt]) -> None:
    attempted = {one.need for one in everything}
    by_lambda = {one for one in permissions() if one.by_lambda}
    rest = set(permissions()) - by_lambda
    missing = {one for one in rest if (one.action, one.resource, one.purpose) not in attempted}
    # No attempt reads records of the stream, which needs a shard.
    assert {one.action for one in missing} == {"dynamodb:GetRecords", "dynamodb:GetShardIterator"}


@pytest.mark.parametrize("role", ["ListConnectionsRole", "StartConnectRole"])
def test_a_role_that_decrypts_no_token_cannot_read_its_ciphertext(
    world: World, prepared: PreparedWorld, role: str
) -> None:
    prepared.restore()
    named = {"TableName": world.output("ConnectionsTableName")}
    key = {
        "customer_id": {"S": "acme"},
        "provider_id#company_id": {"S": f"gusto#{HARBOR_LANE.id}"},
    }
    query: dict[str, Any] = {
        **named,
        "KeyConditionExpression": "customer_id = :customer",
        "ExpressionAttributeValues": {":customer": {"S": "acme"}},
    }
    names = {"ExpressionAttributeNames": {"#hidden": "ciphertexts"}}
    only = {"ProjectionExpression": "customer_id, tokens", "Select": "SPECIFIC_ATTRIBUTES"}
    dynamodb = world.as_role(role).client("dynamodb")
    assert "ciphertexts" in world.aws.client("dynamodb").get_item(**named, Key=key)["Item"]
    assert dynamodb.get_item(**named, Key=key, ProjectionExpression="tokens")["Item"]["tokens"]
    assert dynamodb.query(**query, **only)["Items"]
    refused: list[Callable[[], object]] = [
        lambda: dynamodb.get_item(**named, Key=key),
        lambda: dynamodb.get_item(**named, Key=key, ProjectionExpression="ciphertexts"),
        lambda: dynamodb.get_item(**named, Key=key, ProjectionExpression="tokens, ciphertexts.x"),
        lambda: dynamodb.get_item(**named, Key=key, ProjectionExpression="#hidden", **names),
        lambda: dynamodb.query(**query),
        lambda: dynamodb.query(**query, Select="ALL_ATTRIBUTES"),
        lambda: dynamodb.query(**query, Select="COUNT"),
        lambda: dynamodb.query(**query | {"ProjectionExpression": "ciphertexts"}),
        # A filter on the attribute is refused too.
        lambda: dynamodb.query(**query, **only, FilterExpression="attribute_exists(ciphertexts)"),
    ]
    for call in refused:
        with pytest.raises(ClientError, match="AccessDenied"):
            call()


def test_role_that_counts_calls_reads_and_writes_no_session(world: World) -> None:
    dynamodb = world.as_role("CallFinchRole").client("dynamodb")
    named: dict[str, Any] = {"TableName": world.output("ConnectSessionsTableName")}
    update: dict[str, Any] = {
        "UpdateExpression": "SET revision = :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    count = {"handle_hash": {"S": "budget#finch#directory"}}
    dynamodb.update_item(**named, Key=count, **update)
    assert dynamodb.get_item(**named, Key=count)["Item"]["revision"] == {"N": "1"}
    for other in ("a" * 64, "code#x", "budget#start#x"):
        key = {"handle_hash": {"S": other}}
        with pytest.raises(ClientError, match="AccessDenied"):
            dynamodb.get_item(**named, Key=key)
        with pytest.raises(ClientError, match="AccessDenied"):
            dynamodb.update_item(**named, Key=key, **update)
