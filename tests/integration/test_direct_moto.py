"""The calls without HTTP and the faster parts of moto give the results of moto itself."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support import direct_moto
from tests.support.in_process import deploy

_TABLE: dict[str, Any] = {
    "TableName": "things",
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": "S"} for name in ("id", "part", "owner")
    ],
    "KeySchema": [
        {"AttributeName": "id", "KeyType": "HASH"},
        {"AttributeName": "part", "KeyType": "RANGE"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": kind,
            "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": kind, **more},
        }
        for kind, more in (
            ("ALL", {}),
            ("KEYS_ONLY", {}),
            ("INCLUDE", {"NonKeyAttributes": ["count", "list"]}),
        )
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
_ITEM: dict[str, Any] = {
    "owner": {"S": "å"},
    "count": {"N": "1.50"},
    "bytes": {"B": b"\x00\xff"},
    "none": {"NULL": True},
    "yes": {"BOOL": True},
    "labels": {"SS": ["one"]},
    "numbers": {"NS": ["7"]},
    "list": {"L": [{"S": "first"}, {"M": {"deep": {"L": [{"N": "1"}]}}}]},
    "map": {"M": {"nested": {"M": {"text": {"S": "x"}}}, "extra": {"S": "y"}}},
}
_LONG = {"S": "ü" * 150_000}
_UPDATES = (
    "SET #count = #count + :one, title = :text",
    "SET #count = #count - :one REMOVE title, yes",
    "SET title = if_not_exists(title, :text), extra = if_not_exists(title, :text)",
    "SET #list = list_append(#list, :list), #map.nested.#text = :text",
    "SET #list[1].deep[0] = :one REMOVE #list[0], #map.extra",
    "ADD #count :one, labels :labels, fresh :one",
    "ADD labels :labels DELETE numbers :numbers",
    "SET #map = :map, copied = #map",
    "SET title = gone",
    "SET gone.part = :text",
    "SET title = :text, title = :one",
    "SET #map = :map, #map.extra = :text",
    "SET title = :text SET extra = :text",
    "SET id = :text",
    "SET #owner = :one",
    "SET #owner = :empty",
    "SET title = :gone",
    "SET #gone = :text",
    "SET bigger = :long",
    "SET biggest = :long",
    "SET name = :text",
    "SET",
)
_CONDITIONS = (
    "attribute_exists(id) AND attribute_not_exists(absent)",
    "#count >= :one AND NOT (#owner = :text OR #owner <> #owner)",
    "#count BETWEEN :one AND :one OR #count IN (:one, :text)",
    "begins_with(#owner, :text) OR contains(labels, :text) OR size(#list) > :one",
    "#map.nested.#text = :text AND #list[0] = :text",
    "attribute_type(#count, :text)",
    "((#count = :one))",
    "#count = :gone",
    "#gone = :one",
    "#count = ",
    "name = :text",
    "#map = :map",
)
_NAMES = {f"#{name}": name for name in ("count", "list", "map", "owner", "text")}
_VALUES: dict[str, Any] = {
    ":one": {"N": "1"},
    ":text": {"S": "one"},
    ":empty": {"S": ""},
    ":list": {"L": [{"S": "last"}]},
    ":map": {"M": {"nested": {"M": {"text": {"S": "new"}}}}},
    ":labels": {"SS": ["one", "two"]},
    ":numbers": {"NS": ["7"]},
    ":long": _LONG,
}


def _key(part: str) -> dict[str, Any]:
    return {"id": {"S": "thing"}, "part": {"S": part}}


def _used(*texts: str) -> dict[str, Any]:
    """The names and the values that are used; DynamoDB refuses others."""
    used: dict[str, Any] = {
        "ExpressionAttributeNames": {n: v for n, v in _NAMES.items() if n in " ".join(texts)},
        "ExpressionAttributeValues": {n: v for n, v in _VALUES.items() if n in " ".join(texts)},
    }
    return {name: values for name, values in used.items() if values}


def _calls() -> list[tuple[str, dict[str, Any]]]:
    """Calls after which each part of moto that is replaced has worked, also on wrong arguments."""
    calls: list[tuple[str, dict[str, Any]]] = []
    for part in ("a", "b", "c"):
        calls.append(("put_item", {"Item": _key(part) | _ITEM}))
    for text in _CONDITIONS:
        condition = {"ConditionExpression": text, **_used(text)}
        calls += [
            ("put_item", {"Item": _key("a") | _ITEM, **condition}),
            ("delete_item", {"Key": _key("absent"), **condition}),
            ("scan", {"FilterExpression": text, **_used(text)}),
        ]
    # Each expression twice: the second time, its syntax is known.
    for text in (*_UPDATES, *_UPDATES):
        for part in ("a", "new"):
            update = {"Key": _key(part), "UpdateExpression": text, **_used(text)}
            calls.append(("update_item", {**update, "ReturnValues": "ALL_NEW"}))
        change = {"TableName": "things", "Key": _key("b"), "UpdateExpression": text}
        put = {"TableName": "things", "Item": _key(f"with {text}") | _ITEM}
        fails = {"TableName": "things", "Key": _key("c"), "ConditionExpression": "#count = :one"}
        done: list[dict[str, Any]] = [{"Put": put}, {"Update": change | _used(text)}]
        undone = [*done, {"ConditionCheck": fails | _used("#count = :one")}]
        for items in (undone, done):
            calls.append(("transact_write_items", {"TransactItems": items}))
            calls.append(("get_item", {"Key": _key("b")}))
    calls += [
        ("put_item", {"Item": _key("long") | {"text": _LONG, "more": _LONG}}),
        ("put_item", {"Item": _key("wrong") | {"text": {"S": 1}}}),
        ("put_item", {"Item": _key("wrong") | {"text": {"S": "x", "N": "1"}}}),
        ("put_item", {"Item": _key("wrong") | {"text": {"N": "x"}}}),
        ("put_item", {"Item": _key("wrong") | {"text": {"X": "x"}}}),
        ("get_item", {"Key": _key("c"), "ProjectionExpression": "#list[1].deep, #map.nested, labels"}
            | _used("#list #map")),
        ("get_item", {"Key": _key("c"), "ProjectionExpression": "bytes, absent, numbers"}),
        ("get_item", {"Key": _key("c")}),
        ("scan", {}),
    ]  # fmt: skip
    for index in ("ALL", "KEYS_ONLY", "INCLUDE"):
        for owner in ("å", "one"):
            key = {"KeyConditionExpression": "#owner = :owner", "IndexName": index}
            calls.append(("query", key | {
                "ExpressionAttributeNames": {"#owner": "owner"},
                "ExpressionAttributeValues": {":owner": {"S": owner}},
                "Limit": 2,
            }))  # fmt: skip
    return calls


def _results() -> list[Any]:
    client: Any = boto3.client("dynamodb")
    client.create_table(**_TABLE)
    results: list[Any] = []
    for operation, arguments in _calls():
        table = {} if operation == "transact_write_items" else {"TableName": "things"}
        try:
            result = getattr(client, operation)(**table, **arguments)
            del result["ResponseMetadata"]
        except ClientError as error:
            result = error.response["Error"], error.response.get("CancellationReasons")
        except Exception as error:
            # Botocore refuses it, or moto itself fails.
            result = repr(error)
        results.append((operation, arguments, result))
    pages = client.get_paginator("scan").paginate(TableName="things", Limit=2)
    results.append([page["Items"] for page in pages])
    secret = boto3.client("secretsmanager").get_secret_value(SecretId="finch")
    results.append([secret[name] for name in ("Name", "SecretString", "CreatedDate")])
    return results


def test_results_are_those_of_moto(monkeypatch: pytest.MonkeyPatch) -> None:
    with deploy(ticks=False):
        ours = _results()
    monkeypatch.setattr(direct_moto, "call", lambda client, operation, arguments, send: send())
    for owner, name, original in direct_moto.ORIGINALS:
        if original:
            monkeypatch.setattr(owner, name, original)
        else:
            monkeypatch.delattr(owner, name)
    with deploy(ticks=False):
        for result, expected in zip(ours, _results(), strict=True):
            assert result == expected
