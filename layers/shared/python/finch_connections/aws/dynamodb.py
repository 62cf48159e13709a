"""What our tables share: writes that happen together, conditions that fail, and values on the wire."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from heapq import merge
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    type Write = TransactWriteItemTypeDef

type Item = Mapping[str, Any]
# A table and the key of an item in it.
type Read = tuple[str, dict[str, Item]]

# Enough for the index by due time to take 1,000 writes a second on each shard.
_DUE_SHARDS = 8
_DUE_INDEX = "due"
# Few enough that each of them can be worked on within a step.
_SCANNED_AT_ONCE = 50
# Whatever is in the index, however late its next look is.
FOR_EVER = timedelta(days=365)


# A transaction is over within milliseconds; these add up to what a caller does not notice.
_PAUSES = (0.02, 0.05, 0.1, 0.2)


class Due(StrEnum):
    """Why an item is in the index by due time."""

    UNFINISHED = "unfinished"
    UNCHECKED = "unchecked"


class NotRead(Exception):
    """DynamoDB gives out less than it was asked for, also when asked again."""


class Conflict(Exception):
    """Somebody else wrote first: read again and decide again. Nothing was written."""


def read_together(client: "DynamoDBClient", reads: Sequence[Read]) -> list[Item | None]:
    """Items of different tables in one call, each as last written; raises `NotRead`.

    They are not of one moment, as they would be in a transaction.
    """
    wanted: Any = {table: {"Keys": [key], "ConsistentRead": True} for table, key in reads}
    found: dict[str, Item] = {}
    for seconds in (*_PAUSES, None):
        answer = client.batch_get_item(RequestItems=wanted)
        found |= {table: item for table, items in answer["Responses"].items() for item in items}
        wanted = answer.get("UnprocessedKeys")
        if not wanted:
            return [found.get(table) for table, _ in reads]
        if seconds is not None:
            time.sleep(seconds)
    raise NotRead


def write_together(client: "DynamoDBClient", writes: Sequence["Write"]) -> None:
    """All of the writes, or none and `Conflict`."""
    _patiently(lambda: client.transact_write_items(TransactItems=writes))


def update(client: "DynamoDBClient", arguments: Any) -> None:
    """One conditional update, or `Conflict`."""
    _patiently(lambda: client.update_item(**arguments))


def _patiently(write: Callable[[], object]) -> None:
    """Writes, and writes again where only another transaction stood in the way for a moment."""
    for seconds in (*_PAUSES, None):
        try:
            write()
        except ClientError as error:
            reasons = {one.get("Code") for one in error.response.get("CancellationReasons", [])}
            reasons.add(error.response["Error"]["Code"])
            if reasons & {"ConditionalCheckFailed", "ConditionalCheckFailedException"}:
                raise Conflict from error
            if not reasons & {"TransactionConflict", "TransactionConflictException"}:
                raise
            if seconds is None:
                raise Conflict from error
            time.sleep(seconds)
        else:
            return


def text(value: str) -> Item:
    """A string on the wire."""
    return {"S": value}


def number(value: float) -> Item:
    """A number on the wire."""
    return {"N": str(value)}


def moment(value: datetime) -> Item:
    """A moment on the wire: ISO 8601 in UTC."""
    return {"S": value.astimezone(UTC).isoformat()}


def read_moment(value: Item) -> datetime:
    """A moment from the wire."""
    return datetime.fromisoformat(value["S"])


def read_optional_moment(item: Item, name: str) -> datetime | None:
    """A moment that may be absent."""
    return read_moment(item[name]) if name in item else None


def optional_texts(values: Mapping[str, str | None]) -> dict[str, Item]:
    """The strings that there are; DynamoDB attributes are absent, not null."""
    return {name: text(value) for name, value in values.items() if value is not None}


def optional_sets(values: Mapping[str, Collection[str]]) -> dict[str, Item]:
    """The sets that have members; DynamoDB takes no empty set."""
    return {name: {"SS": sorted(value)} for name, value in values.items() if value}


def optional_moments(values: Mapping[str, datetime | None]) -> dict[str, Item]:
    """The moments that there are."""
    return {name: moment(value) for name, value in values.items() if value is not None}


def optional_maps(values: Mapping[str, Mapping[str, str]]) -> dict[str, Item]:
    """The maps of strings that have members."""
    return {
        name: {"M": {key: text(one) for key, one in value.items()}}
        for name, value in values.items()
        if value
    }


def read_map(item: Item, name: str) -> dict[str, str]:
    """A map of strings that may be absent."""
    return {key: one["S"] for key, one in item[name]["M"].items()} if name in item else {}


def read_text(item: Item, name: str) -> str | None:
    """A string that may be absent."""
    return item[name]["S"] if name in item else None


def read_set(item: Item, name: str) -> frozenset[str]:
    """A set that may be absent."""
    return frozenset(item[name]["SS"]) if name in item else frozenset()


class Codec(NamedTuple):
    """How an attribute stores a value.

    A value that is None or equals `empty` is stored as no attribute: DynamoDB has no empty set.
    """

    write: Callable[[Any], Item]
    read: Callable[[Item], Any]
    empty: Any = None


# How each field of a dataclass is stored, in an attribute of the same name.
type Fields = Mapping[str, Codec]

TEXT = Codec(text, lambda item: item["S"])
INTEGER = Codec(number, lambda item: int(item["N"]))
MOMENT = Codec(moment, read_moment)
SET = Codec(
    lambda members: {"SS": sorted(members)}, lambda item: frozenset(item["SS"]), empty=frozenset()
)
MAP = Codec(
    lambda values: {"M": {name: text(value) for name, value in values.items()}},
    lambda item: {name: value["S"] for name, value in item["M"].items()},
    empty={},
)


def text_of(kind: Callable[[str], Any]) -> Codec:
    """How an attribute stores a value that is a string in a type of its own, such as an enum."""
    return Codec(text, lambda item: kind(item["S"]))


def encode(values: object, fields: Fields) -> dict[str, Item]:
    """The attributes for the fields of a dataclass."""
    return {
        name: codec.write(value)
        for name, codec in fields.items()
        if (value := getattr(values, name)) is not None and value != codec.empty
    }


def decode(item: Item, fields: Fields) -> dict[str, Any]:
    """The arguments for a dataclass; a field without an attribute is left to its default."""
    return {
        name: codec.read(item[name]) if name in item else codec.empty
        for name, codec in fields.items()
        if name in item or codec.empty is not None
    }


def due(kind: Due, key: Iterable[str], at: datetime) -> dict[str, Item]:
    """The attributes that put an item into the index of what needs attention, from `at` on."""
    shard = sha256("\n".join(key).encode()).digest()[0] % _DUE_SHARDS
    return {"due_shard": text(f"{kind}{shard}"), "due_at": number(int(at.timestamp()))}


def due_keys(client: "DynamoDBClient", table: str, kind: Due, until: datetime) -> Iterator[Item]:
    """The keys of all items that are due by `until`, oldest first."""

    def of_shard(shard: int) -> Iterator[Item]:
        pages = client.get_paginator("query").paginate(
            TableName=table,
            IndexName=_DUE_INDEX,
            KeyConditionExpression="due_shard = :shard AND due_at <= :until",
            ExpressionAttributeValues={
                ":shard": text(f"{kind}{shard}"),
                ":until": number(int(until.timestamp())),
            },
        )
        for page in pages:
            yield from page["Items"]

    shards = (of_shard(shard) for shard in range(_DUE_SHARDS))
    return merge(*shards, key=lambda item: int(item["due_at"]["N"]))


def scan(
    client: "DynamoDBClient", table: str, after: Mapping[str, str] | None, **filters: Any
) -> tuple[Sequence[Item], dict[str, str] | None]:
    """One page of a whole table, and where the next one starts; a filtered page may be empty."""
    start: Any = {}
    if after:
        start = {"ExclusiveStartKey": {name: text(value) for name, value in after.items()}}
    answer = client.scan(
        TableName=table,
        ConsistentRead=True,
        Limit=_SCANNED_AT_ONCE,
        **start,
        **filters,
    )
    last = answer.get("LastEvaluatedKey")
    return answer["Items"], {name: value["S"] for name, value in last.items()} if last else None


def postpone(client: "DynamoDBClient", table: str, key: Item, until: datetime) -> None:
    """Makes an item due later, if it is due at all; raises `Conflict` where it is not."""
    update(
        client,
        {
            "TableName": table,
            "Key": key,
            "UpdateExpression": "SET due_at = :until, next_look = :look",
            "ConditionExpression": "attribute_exists(due_at)",
            "ExpressionAttributeValues": {
                ":until": number(int(until.timestamp())),
                ":look": moment(until),
            },
        },
    )
