"""Parts that our tables share: transactions, failed conditions, field codecs and the index by due time."""

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from heapq import merge
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    type Write = TransactWriteItemTypeDef

type Item = Mapping[str, Any]
# A table's name and the key of an item in it.
type Read = tuple[str, dict[str, Item]]

# The index by due time takes 1,000 writes a second on each of these shards ("Burst and adaptive capacity"
# in the DynamoDB developer guide). The number may grow at any time, and must never shrink.
_DUE_SHARDS = 2
_DUE_INDEX = "due"
# Few enough items to process in one batch.
_SCANNED_AT_ONCE = 50
# No item is due so far in the future: all items are due by now plus this.
FOR_EVER = timedelta(days=365)


# Seconds between attempts. A transaction takes milliseconds, and a caller does not notice the sum.
_PAUSES = (0.02, 0.05, 0.1, 0.2)
_CONFLICTS = {"TransactionConflict", "TransactionConflictException"}
# botocore retries every throttled call except a transaction ("TransactionCanceledException" in the
# DynamoDB API Reference has the codes).
_THROTTLES = {"ThrottlingError", "ProvisionedThroughputExceeded"}


class Due(StrEnum):
    """The reason why an item is in the index by due time."""

    # Unfinished work, or a check that comes before the next daily check.
    UNFINISHED = "unfinished"
    UNCHECKED = "unchecked"


class NotRead(Exception):
    """DynamoDB did not return all items, even after retries."""


class Conflict(Exception):
    """Another write came first. Nothing was written: read again and decide again.

    `failed` has the positions of the writes of a transaction whose condition failed.
    """

    def __init__(self, failed: Collection[int] = ()) -> None:
        super().__init__()
        self.failed = failed


def read_together(client: "DynamoDBClient", reads: Sequence[Read]) -> list[Item | None]:
    """The latest items, or None for a missing item, in one call.

    Unlike in a transaction, the items may have been read at different times. Raises `NotRead`.
    """
    wanted: Any = {table: {"Keys": [], "ConsistentRead": True} for table, _ in reads}
    for table, key in reads:
        wanted[table]["Keys"].append(key)
    found: list[tuple[str, Item]] = []
    for seconds in (*_PAUSES, None):
        answer = client.batch_get_item(RequestItems=wanted)
        found += [(table, item) for table, items in answer["Responses"].items() for item in items]
        wanted = answer.get("UnprocessedKeys")
        if not wanted:
            return [_item_of(read, found) for read in reads]
        if seconds is not None:
            time.sleep(seconds)
    raise NotRead


def _item_of(read: Read, found: Iterable[tuple[str, Item]]) -> Item | None:
    table, key = read
    return next((one for name, one in found if name == table and key.items() <= one.items()), None)


def write_together(client: "DynamoDBClient", writes: Sequence["Write"]) -> None:
    """Makes all writes in one transaction. Raises `Conflict`, and then writes nothing."""
    _with_retries(lambda: client.transact_write_items(TransactItems=writes))


def update(client: "DynamoDBClient", arguments: Any) -> None:
    """Makes one conditional update. Raises `Conflict`."""
    _with_retries(lambda: client.update_item(**arguments))


def _with_retries(write: Callable[[], object]) -> None:
    """Writes, and retries while an item is in another transaction or throttled. Raises `Conflict`."""
    for seconds in (*_PAUSES, None):
        try:
            write()
        except ClientError as error:
            each = [one.get("Code") for one in error.response.get("CancellationReasons", [])]
            reasons = {*each, error.response["Error"]["Code"]}
            if reasons & {"ConditionalCheckFailed", "ConditionalCheckFailedException"}:
                failed = [n for n, one in enumerate(each) if one == "ConditionalCheckFailed"]
                raise Conflict(failed) from error
            if seconds and reasons & (_CONFLICTS | _THROTTLES):
                time.sleep(seconds)
            elif reasons & _CONFLICTS:
                raise Conflict from error
            else:
                raise
        else:
            return


def text(value: str) -> Item:
    """A string as an attribute."""
    return {"S": value}


def number(value: float) -> Item:
    """A number as an attribute."""
    return {"N": str(value)}


def seconds(value: datetime) -> Item:
    """A time as an attribute: a number of whole seconds since 1970, rounded up."""
    return number(math.ceil(value.timestamp()))


def _by(now: datetime) -> Item:
    """The latest `seconds` that are not after `now`: a row is never found before its time."""
    return number(int(now.timestamp()))


def moment(value: datetime) -> Item:
    """A time as an attribute: a string in ISO 8601, in UTC."""
    return {"S": value.astimezone(UTC).isoformat()}


def read_moment(value: Item) -> datetime:
    """The time in an attribute."""
    return datetime.fromisoformat(value["S"])


def read_text(item: Item, name: str) -> str | None:
    """The string in an attribute, or None if the item has no such attribute."""
    return item[name]["S"] if name in item else None


class Codec(NamedTuple):
    """The functions that turn a value into an attribute and back.

    A value that is None or equals `empty` has no attribute, because DynamoDB accepts no empty set.
    """

    write: Callable[[Any], Item]
    read: Callable[[Item], Any]
    empty: Any = None


# The codec of each field of a dataclass. The attribute has the name of the field.
type Fields = Mapping[str, Codec]

TEXT = Codec(text, lambda item: item["S"])
INTEGER = Codec(number, lambda item: int(item["N"]))
MOMENT = Codec(moment, read_moment)
SECONDS = Codec(seconds, lambda item: datetime.fromtimestamp(int(item["N"]), UTC))
SET = Codec(
    lambda members: {"SS": sorted(members)}, lambda item: frozenset(item["SS"]), empty=frozenset()
)
MAP = Codec(
    lambda values: {"M": {name: text(value) for name, value in values.items()}},
    lambda item: {name: value["S"] for name, value in item["M"].items()},
    empty=MappingProxyType({}),
)


def text_of(kind: Callable[[str], Any]) -> Codec:
    """The codec of a string that has a type of its own, such as an enum."""
    return Codec(text, lambda item: kind(item["S"]))


def encode(values: object, fields: Fields) -> dict[str, Item]:
    """The attributes for the fields of a dataclass."""
    return {
        name: codec.write(value)
        for name, codec in fields.items()
        if (value := getattr(values, name)) is not None and value != codec.empty
    }


def decode(item: Item, fields: Fields) -> dict[str, Any]:
    """The arguments for a dataclass. Without its attribute, a field is `empty`, or else left out."""
    return {
        name: codec.read(item[name]) if name in item else codec.empty
        for name, codec in fields.items()
        if name in item or codec.empty is not None
    }


def due(kind: Due, key: Iterable[str], at: datetime) -> dict[str, Item]:
    """The attributes that put an item into the index by due time, due at `at`."""
    shard = sha256("\n".join(key).encode()).digest()[0] % _DUE_SHARDS
    return {"due_shard": text(f"{kind}{shard}"), "due_at": seconds(at)}


def due_keys(client: "DynamoDBClient", table: str, kind: Due, until: datetime) -> Iterator[Item]:
    """The keys of all items that are due by `until`, oldest first."""

    def of_shard(shard: int) -> Iterator[Item]:
        pages = client.get_paginator("query").paginate(
            TableName=table,
            IndexName=_DUE_INDEX,
            KeyConditionExpression="due_shard = :shard AND due_at <= :until",
            ExpressionAttributeValues={
                ":shard": text(f"{kind}{shard}"),
                ":until": _by(until),
            },
        )
        for page in pages:
            yield from page["Items"]

    shards = (of_shard(shard) for shard in range(_DUE_SHARDS))
    return merge(*shards, key=lambda item: int(item["due_at"]["N"]))


def scan(
    client: "DynamoDBClient", table: str, after: Mapping[str, str] | None, **filters: Any
) -> tuple[Sequence[Item], dict[str, str] | None]:
    """One page of a table, and the start of the next page or None. A page can be empty before the last."""
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


def postpone(
    client: "DynamoDBClient",
    table: str,
    key: Item,
    until: datetime,
    tried: str | None = None,
    *,
    unless_sooner: bool = False,
) -> None:
    """Makes an item due at `until`, and stores how the last try ended, if given.

    Raises `Conflict` if the item is not in the index by due time, or with `unless_sooner` is due by then.
    """
    update(
        client,
        {
            "TableName": table,
            "Key": key,
            "UpdateExpression": f"SET due_at = :until{', tried = :tried' if tried else ''} REMOVE lease",
            "ConditionExpression": "due_at > :until"
            if unless_sooner
            else "attribute_exists(due_at)",
            "ExpressionAttributeValues": {
                ":until": seconds(until),
                **({":tried": text(tried)} if tried else {}),
            },
        },
    )


def lease(client: "DynamoDBClient", table: str, key: Item, now: datetime, by: timedelta) -> None:
    """Makes a due item due again `by` later, and each time `by` later than that until `postpone`.

    Raises `Conflict` if the item is not due.
    """
    update(
        client,
        {
            "TableName": table,
            "Key": key,
            "UpdateExpression": (
                "SET due_at = :until + if_not_exists(lease, :none), "
                "lease = if_not_exists(lease, :none) + :by"
            ),
            # The index can be older than the item.
            "ConditionExpression": "due_at <= :now",
            "ExpressionAttributeValues": {
                ":until": seconds(now + by),
                ":none": number(0),
                ":by": number(int(by.total_seconds())),
                ":now": _by(now),
            },
        },
    )
