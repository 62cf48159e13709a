"""The Grants table: an item for each backend that has an alias of its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from finch_connections import settings
from finch_connections.aws import clients
from finch_connections.aws.dynamodb import SET, Item, decode, encode, moment, read_moment, text
from finch_connections.domain.grant import Grant

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_FIELDS = {"products": SET, "reads": SET, "writes": SET, "customers": SET}


class Change(NamedTuple):
    """When and by whom a grant was changed last. `by` is an ARN."""

    grant: Grant
    at: datetime
    by: str


@dataclass(frozen=True, eq=False, repr=False)
class GrantTable:
    """Reads the grant of a backend. The operator's program also lists and changes grants."""

    client: "DynamoDBClient"
    name: str

    def of(self, backend: str) -> Grant:
        """The latest grant of a backend. Without an item, it grants nothing."""
        answer = self.client.get_item(
            TableName=self.name, Key={"backend": text(backend)}, ConsistentRead=True
        )
        return Grant(backend, **decode(answer.get("Item", {}), _FIELDS))

    def changes(self) -> Iterator[Change]:
        """The last change of each grant."""
        pages = self.client.get_paginator("scan").paginate(TableName=self.name, ConsistentRead=True)
        for page in pages:
            for item in page["Items"]:
                grant = Grant(item["backend"]["S"], **decode(item, _FIELDS))
                yield Change(grant, read_moment(item["changed_at"]), item["changed_by"]["S"])

    def write(self, change: Change) -> None:
        """Replaces the grant of a backend."""
        item: dict[str, Item] = {
            "backend": text(change.grant.backend),
            "changed_at": moment(change.at),
            "changed_by": text(change.by),
            **encode(change.grant, _FIELDS),
        }
        self.client.put_item(TableName=self.name, Item=item)

    def forget(self, customer_id: str) -> None:
        """Removes a customer from every grant that names them."""
        for grant, *_ in self.changes():
            if customer_id in grant.customers:
                self.client.update_item(
                    TableName=self.name,
                    Key={"backend": text(grant.backend)},
                    UpdateExpression="DELETE customers :customer",
                    ExpressionAttributeValues={":customer": SET.write([customer_id])},
                )


@cache
def from_settings() -> GrantTable:
    """The deployed table."""
    return GrantTable(clients.client("dynamodb"), settings.grants_table())
