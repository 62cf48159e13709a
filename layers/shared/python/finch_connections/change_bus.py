"""The bus on which changes of connections are told to whoever subscribes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from finch_connections import aws, settings
from finch_connections.change import Change
from finch_connections.log import logger

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

SOURCE = "finch-connections"
# Grows with a change of the detail that breaks its readers; a new field does not.
VERSION = 1
# Of one request ("PutEvents" in the EventBridge API Reference).
MOST_ENTRIES = 10


@dataclass(frozen=True, eq=False, repr=False)
class ChangeBus:
    """Puts changes on an EventBridge bus."""

    client: "EventBridgeClient"
    name: str

    def put(self, changes: Sequence[Change]) -> frozenset[str]:
        """The ids of those that the bus did not take, at most `MOST_ENTRIES` being given.

        One that fails does not stop those after it ("Handling failures with PutEvents" in the
        EventBridge guide). Where no answer came, none counts as taken.
        """
        try:
            answer = self.client.put_events(Entries=[self._entry(change) for change in changes])
        except (ClientError, BotoCoreError) as error:
            reasons = {_reason(error)}
            refused = frozenset(change.id for change in changes)
        else:
            told = list(zip(changes, answer["Entries"], strict=True))
            reasons = {entry["ErrorCode"] for _, entry in told if "ErrorCode" in entry}
            refused = frozenset(change.id for change, entry in told if "ErrorCode" in entry)
        if refused:
            logger.warning("changes refused", count=len(refused), reasons=sorted(reasons))
        return refused

    def _entry(self, change: Change) -> Any:
        return {
            "EventBusName": self.name,
            "Source": SOURCE,
            "DetailType": change.kind.value,
            "Time": change.time,
            "Detail": json.dumps(detail(change)),
        }


def _reason(error: Exception) -> str:
    if isinstance(error, ClientError):
        return error.response["Error"]["Code"]
    return type(error).__name__


def detail(change: Change) -> dict[str, Any]:
    """The JSON of a change."""
    return {
        "version": VERSION,
        "id": change.id,
        "time": change.time.isoformat(),
        "customer_id": change.customer_id,
        "provider_id": change.key.provider_id,
        "company_id": change.key.company_id,
        "status": change.status,
        "previous_status": change.previous_status,
        "problem": change.problem,
        "connection_ids": list(change.connection_ids),
        "revision": change.revision,
    }


@cache
def connect() -> ChangeBus:
    """The deployed bus."""
    return ChangeBus(aws.client("events"), settings.read().changes_bus)
