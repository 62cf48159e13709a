"""The EventBridge bus on which we publish connection events."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from finch_connections import settings
from finch_connections.aws import clients
from finch_connections.domain.connection import key_fields
from finch_connections.domain.connection_event import ConnectionEvent
from finch_connections.log import logger

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

SOURCE = "finch-connections"
# Incremented when a change of `detail` breaks subscribers. A new field does not.
VERSION = 1
# The limit of one request ("PutEvents" in the EventBridge API Reference).
MOST_ENTRIES = 10


@dataclass(frozen=True, eq=False, repr=False)
class EventBus:
    """Publishes connection events on a bus."""

    client: "EventBridgeClient"
    name: str

    def put(self, events: Sequence[ConnectionEvent]) -> frozenset[str]:
        """Publishes at most `MOST_ENTRIES` events. Returns the ids of the events that the bus rejected.

        A rejected event does not stop the events after it ("Handling failures with PutEvents" in the
        EventBridge guide). If the call itself fails, all events count as rejected.
        """
        try:
            answer = self.client.put_events(Entries=[self._entry(event) for event in events])
        except (ClientError, BotoCoreError) as error:
            reasons = {_reason(error)}
            rejected = frozenset(event.id for event in events)
        else:
            results = list(zip(events, answer["Entries"], strict=True))
            reasons = {entry["ErrorCode"] for _, entry in results if "ErrorCode" in entry}
            rejected = frozenset(event.id for event, entry in results if "ErrorCode" in entry)
        if rejected:
            logger.warning("events rejected", count=len(rejected), reasons=sorted(reasons))
        return rejected

    def _entry(self, event: ConnectionEvent) -> Any:
        return {
            "EventBusName": self.name,
            "Source": SOURCE,
            "DetailType": event.kind.value,
            "Time": event.time,
            "Detail": json.dumps(detail(event)),
        }


def _reason(error: Exception) -> str:
    if isinstance(error, ClientError):
        return error.response["Error"]["Code"]
    return type(error).__name__


def detail(event: ConnectionEvent) -> dict[str, Any]:
    """The detail of an event, ready for JSON."""
    return {
        "version": VERSION,
        "id": event.id,
        "time": event.time.isoformat(),
        **key_fields(event.customer_id, event.key),
        "status": event.status,
        "previous_status": event.previous_status,
        "problem": event.problem,
        "connection_ids": list(event.connection_ids),
        "revision": event.revision,
    }


@cache
def from_settings() -> EventBus:
    """The deployed bus."""
    return EventBus(clients.client("events"), settings.read().event_bus)
