"""Counts the calls of Finch that all backends make through us, in the ConnectSessions table."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from finch_connections import settings
from finch_connections.aws import clients
from finch_connections.aws.dynamodb import Conflict, Item, number, seconds, text, update
from finch_connections.domain.finch_call import WINDOW

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Each time, another backend has counted its call, so there are at most as many conflicts as allowed calls.
_TRIES = 25


class TooManyCalls(Exception):
    """All calls that Finch allows were made. The next is possible after `retry_after` seconds."""

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__()
        self.retry_after = int(retry_after.total_seconds()) + 1


@dataclass(frozen=True, eq=False, repr=False)
class CallCounter:
    """An item for each limit of Finch, with the times of the calls in the last window."""

    client: "DynamoDBClient"
    name: str

    def count(self, limit: tuple[str, int], now: datetime) -> None:
        """Counts a call; raises `TooManyCalls`, and then counts nothing."""
        name, allowed = limit
        key = {"handle_hash": text(f"budget#finch#{name}")}
        for _ in range(_TRIES):
            answer = self.client.get_item(TableName=self.name, Key=key, ConsistentRead=True)
            item = answer.get("Item", {})
            revision = int(item.get("revision", number(0))["N"])
            made = sorted(float(one["N"]) for one in item.get("calls", {"L": ()})["L"])
            recent = [one for one in made if one > (now - WINDOW).timestamp()]
            if len(recent) >= allowed:
                free = timedelta(seconds=recent[-allowed]) + WINDOW
                raise TooManyCalls(free - timedelta(seconds=now.timestamp()))
            try:
                self._write(key, revision, [*recent, now.timestamp()], now)
            except Conflict:
                continue
            return
        raise TooManyCalls(timedelta(seconds=1))

    def _write(
        self, key: dict[str, Item], revision: int, calls: list[float], now: datetime
    ) -> None:
        update(
            self.client,
            {
                "TableName": self.name,
                "Key": key,
                "UpdateExpression": "SET calls = :calls, revision = :next, #ttl = :end",
                "ConditionExpression": "attribute_not_exists(revision) OR revision = :revision",
                "ExpressionAttributeNames": {"#ttl": "ttl"},
                "ExpressionAttributeValues": {
                    ":calls": {"L": [number(one) for one in calls]},
                    ":revision": number(revision),
                    ":next": number(revision + 1),
                    ":end": seconds(now + WINDOW),
                },
            },
        )


@cache
def from_settings() -> CallCounter:
    """The counter in the deployed table."""
    return CallCounter(clients.client("dynamodb"), settings.read().connect_sessions_table)
