"""The Audit table: a record of each request for a token or a call of Finch. It contains no token."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from secrets import token_hex
from typing import TYPE_CHECKING

from finch_connections import settings
from finch_connections.aws import clients
from finch_connections.aws.dynamodb import SET, TEXT, Item, decode, encode, number, text, text_of
from finch_connections.domain.token_request import AuditRecord, Outcome

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SORT_KEY = "vended_at#id"
KEPT_FOR = timedelta(days=400)
# The limit of one request ("BatchWriteItem" in the DynamoDB API Reference).
_ERASED_AT_ONCE = 25
# These sort before and after every written time.
_FIRST, _LAST = "0", "9"

# All fields except the time, which is part of the sort key.
_FIELDS = {
    "customer_id": TEXT,
    "outcome": text_of(Outcome),
    "caller": TEXT,
    "purpose": TEXT,
    "provider_id": TEXT,
    "company_id": TEXT,
    "products": SET,
    "connection_id": TEXT,
    "token_id": TEXT,
    "call": TEXT,
}


@dataclass(frozen=True, eq=False, repr=False)
class AuditTable:
    """Adds records, and reads and deletes the records of one customer."""

    client: "DynamoDBClient"
    name: str

    def write(self, record: AuditRecord) -> None:
        """Adds a record. It is durable when this returns."""
        self.client.put_item(TableName=self.name, Item=_item(record))

    def of_customer(
        self,
        customer_id: str,
        *,
        limit: int,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Sequence[AuditRecord]:
        """At most `limit` records of a customer, from `since` to before `until`, newest first."""
        answer = self.client.query(
            TableName=self.name,
            KeyConditionExpression="customer_id = :customer AND #key BETWEEN :since AND :until",
            ExpressionAttributeNames={"#key": SORT_KEY},
            ExpressionAttributeValues={
                ":customer": text(customer_id),
                ":since": text(_sortable(since) if since else _FIRST),
                ":until": text(_sortable(until) if until else _LAST),
            },
            ScanIndexForward=False,
            Limit=limit,
        )
        return [_record(item) for item in answer["Items"]]

    def erase(self, customer_id: str) -> int:
        """Deletes some of a customer's records. Returns their number, which is 0 when none is left."""
        found = self.client.query(
            TableName=self.name,
            KeyConditionExpression="customer_id = :customer",
            ExpressionAttributeValues={":customer": text(customer_id)},
            ProjectionExpression="customer_id, #key",
            ExpressionAttributeNames={"#key": SORT_KEY},
            Limit=_ERASED_AT_ONCE,
            ConsistentRead=True,
        )["Items"]
        if found:
            self.client.batch_write_item(
                RequestItems={self.name: [{"DeleteRequest": {"Key": key}} for key in found]}
            )
        return len(found)


def _sortable(at: datetime) -> str:
    """The time as text that sorts in the order of time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _item(record: AuditRecord) -> dict[str, Item]:
    return {
        SORT_KEY: text(f"{_sortable(record.at)}#{token_hex(8)}"),
        "ttl": number(int((record.at + KEPT_FOR).timestamp())),
        **encode(record, _FIELDS),
    }


def _record(item: Item) -> AuditRecord:
    at = datetime.fromisoformat(item[SORT_KEY]["S"].partition("#")[0])
    return AuditRecord(at=at, **decode(item, _FIELDS))


@cache
def from_settings() -> AuditTable:
    """The deployed table."""
    return AuditTable(clients.client("dynamodb"), settings.read().audit_table)
