"""The Claims table: who owns which company and which Finch connection, and who keeps a token of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from finch_connections import settings
from finch_connections.aws import clients
from finch_connections.aws.connection_table import ConnectionTable, connection_of
from finch_connections.aws.dynamodb import (
    Item,
    number,
    read_set,
    read_text,
    read_together,
    scan,
    text,
    update,
    write_together,
)
from finch_connections.domain.connection import CompanyKey, Connection
from finch_connections.domain.ownership import (
    Ownership,
    OwnershipRecord,
    owned_id_of_company,
    owned_id_of_connection,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from finch_connections.aws.dynamodb import Write

# A person who was led to repair a connection and did not is not led there again so soon.
_RECOVERY_OFFERED_FOR = timedelta(days=1)
_THEIRS = "customer_id = :customer AND #key = :key"
_ALONE = "attribute_not_exists(customer_id) AND holders = :me"


@dataclass(frozen=True, eq=False, repr=False)
class OwnershipTable:
    """Reads claims and makes the writes that change them together with sessions and connections.

    A session holds a claim from the moment it keeps a token of the connection, or of a repair from
    the moment there may be one, until that token is in a connection, or gone.
    """

    client: "DynamoDBClient"
    name: str

    def get(self, owned_id: str) -> OwnershipRecord | None:
        """The claim on this, as last written."""
        answer = self.client.get_item(
            TableName=self.name, Key={"owned_id": text(owned_id)}, ConsistentRead=True
        )
        return _claim(answer["Item"]) if "Item" in answer else None

    def of_connection_id(self, connection_id: str) -> OwnershipRecord | None:
        """The claim on one of Finch's connections."""
        return self.get(owned_id_of_connection(connection_id))

    def with_connection(
        self, connection_id: str, connections: ConnectionTable, customer_id: str, key: CompanyKey
    ) -> tuple[OwnershipRecord | None, Connection | None]:
        """The claim on one of Finch's connections, and a connection of a customer, in one call."""
        record = (self.name, {"owned_id": text(owned_id_of_connection(connection_id))})
        items = read_together(self.client, [record, connections.reading(customer_id, key)])
        owned_id, there = items
        return _claim(owned_id) if owned_id else None, connection_of(there) if there else None

    def held_by(self, handle_hash: str, connection_ids: Iterable[str]) -> list[OwnershipRecord]:
        """The records of these Finch connections that a session holds, as last written."""
        records = (self.of_connection_id(one) for one in sorted(connection_ids))
        return [one for one in records if one and handle_hash in one.holders]

    def of_company(self, key: CompanyKey) -> OwnershipRecord | None:
        """The claim on an employer at a provider."""
        return self.get(owned_id_of_company(key))

    def offer_recovery(self, connection_id: str, handle_hash: str, now: datetime) -> None:
        """Notes that a session leads to a connection at Finch of which nobody has a token.

        Raises `dynamodb.Conflict` where somebody has one, or another session leads there already.
        """
        update(
            self.client,
            self._update(
                owned_id_of_connection(connection_id),
                "SET offered_to = :me, offered_at = :now",
                "attribute_not_exists(customer_id) AND attribute_not_exists(holders) "
                "AND (attribute_not_exists(offered_at) OR offered_at < :before OR offered_to = :me)",
                {
                    ":me": text(handle_hash),
                    ":now": number(int(now.timestamp())),
                    ":before": number(int((now - _RECOVERY_OFFERED_FOR).timestamp())),
                },
            ),
        )

    def about(
        self, customer_id: str, after: Mapping[str, str] | None
    ) -> tuple[list[OwnershipRecord], dict[str, str] | None]:
        """A page of what a customer owns, and of what is offered to whomever; where the next one starts."""
        found: Any = {
            "FilterExpression": "customer_id = :customer OR attribute_exists(offered_to)",
            "ExpressionAttributeValues": {":customer": text(customer_id)},
        }
        items, last = scan(self.client, self.name, after, **found)
        return [_claim(item) for item in items], last

    def forget_offer(self, offered: OwnershipRecord) -> None:
        """Forgets that a session was led to a connection at Finch; raises `dynamodb.Conflict`."""
        nothing_else = (
            "attribute_not_exists(customer_id) AND attribute_not_exists(holders) "
            "AND offered_to = :session"
        )
        values = {":session": text(offered.offered_to or "")}
        write_together(
            self.client, [{"Delete": self._delete(offered.owned_id, nothing_else, values)}]
        )

    def holding(self, connection_id: str, handle_hash: str) -> "Write":
        """The write that notes a session as the keeper of a token, or of what may be one."""
        return {
            "Update": self._update(
                owned_id_of_connection(connection_id),
                "ADD holders :me REMOVE offered_to, offered_at",
                None,
                {":me": _only(handle_hash)},
            )
        }

    def taking(self, wanted: Ownership, held_by: str | None = None) -> "Write":
        """The write that takes a claim, from the session that held it if one did.

        It fails where the claim is another connection's, or is being released.
        """
        return {
            "Update": self._update(
                wanted.owned_id,
                "SET customer_id = :customer, #key = :key"
                + (" DELETE holders :me" if held_by else ""),
                f"(attribute_not_exists(customer_id) OR ({_THEIRS})) "
                "AND attribute_not_exists(discarding)",
                _named(wanted) | ({":me": _only(held_by)} if held_by else {}),
            )
        }

    def freeing(self, owned: Ownership, *, held: bool) -> "Write":
        """The write that frees a claim of this connection's, which sessions still hold or none does."""
        values = _named(owned)
        if held:
            return {
                "Update": self._update(
                    owned.owned_id,
                    "REMOVE customer_id, #key",
                    f"{_THEIRS} AND attribute_exists(holders)",
                    values,
                )
            }
        condition = f"{_THEIRS} AND attribute_not_exists(holders)"
        return {"Delete": self._delete(owned.owned_id, condition, values)}

    def discarding(self, connection_id: str, company: CompanyKey, session: str) -> "list[Write]":
        """The writes that keep everybody off while a session has its connection ended.

        They fail where anybody else owns or holds the connection, or owns the company.
        """
        free = "(attribute_not_exists(discarding) OR discarding = :discarding)"
        return [
            {
                "Update": self._update(
                    owned_id_of_connection(connection_id),
                    "SET discarding = :discarding",
                    f"{_ALONE} AND {free}",
                    {":discarding": text(session), ":me": _only(session)},
                )
            },
            {
                "Update": self._update(
                    owned_id_of_company(company),
                    "SET discarding = :discarding",
                    f"attribute_not_exists(customer_id) AND {free}",
                    {":discarding": text(session)},
                )
            },
        ]

    def keeping(self, connection_id: str, session: str) -> "Write":
        """The write after which a session holds what it could not have ended."""
        return {
            "Update": self._update(
                owned_id_of_connection(connection_id),
                "REMOVE discarding",
                "discarding = :discarding",
                {":discarding": text(session)},
            )
        }

    def reopening(self, company: CompanyKey, session: str) -> "Write":
        """The write that lets others have a company again that a session kept them off."""
        # While it is being released nobody owns it, so nothing else is in the row.
        condition = "discarding = :discarding AND attribute_not_exists(customer_id)"
        values = {":discarding": text(session)}
        return {"Delete": self._delete(owned_id_of_company(company), condition, values)}

    def leaving(self, records: Iterable[OwnershipRecord], handle_hash: str) -> "list[Write]":
        """The writes that remove a session from the holders of these records, as `held_by` read them.

        They fail if the session has become, or is no longer, the only session or customer in the record.
        """
        return [self._leaving(record, handle_hash) for record in records]

    def leaving_to_others(self, seen: OwnershipRecord, handle_hash: str) -> "Write":
        """The write after which a session keeps no token of what others have one of, as was `seen`.

        It fails where anybody has come or gone since: the one who is left must not go too.
        """
        values: dict[str, Item] = {
            ":me": _only(handle_hash),
            ":holders": {"SS": sorted(seen.holders)},
        }
        owned = "attribute_not_exists(customer_id)"
        if seen.owner:
            owned = _THEIRS
            values |= _named(seen.owner)
        condition = f"holders = :holders AND {owned}"
        return {"Update": self._update(seen.owned_id, "DELETE holders :me", condition, values)}

    def _leaving(self, record: OwnershipRecord, handle_hash: str) -> "Write":
        me = {":me": _only(handle_hash)}
        if record.owner is None and record.holders == {handle_hash}:
            return {"Delete": self._delete(record.owned_id, _ALONE, me)}
        expression = "DELETE holders :me"
        if record.discarding == handle_hash:
            expression += " REMOVE discarding"
        others = "attribute_exists(customer_id) OR holders <> :me"
        return {"Update": self._update(record.owned_id, expression, others, me)}

    def _update(
        self, owned_id: str, expression: str, condition: str | None, values: dict[str, Item]
    ) -> Any:
        named = "#key" in f"{expression} {condition}"
        return {
            "TableName": self.name,
            "Key": {"owned_id": text(owned_id)},
            "UpdateExpression": expression,
            **({"ConditionExpression": condition} if condition else {}),
            **({"ExpressionAttributeNames": {"#key": "key"}} if named else {}),
            "ExpressionAttributeValues": values,
        }

    def _delete(self, owned_id: str, condition: str, values: dict[str, Item]) -> Any:
        named = "#key" in condition
        return {
            "TableName": self.name,
            "Key": {"owned_id": text(owned_id)},
            "ConditionExpression": condition,
            **({"ExpressionAttributeNames": {"#key": "key"}} if named else {}),
            "ExpressionAttributeValues": values,
        }


def _named(owner: Ownership) -> dict[str, Item]:
    """The values of `_THEIRS`."""
    return {":customer": text(owner.customer_id), ":key": text(str(owner.key))}


def _only(handle_hash: str) -> Item:
    return {"SS": [handle_hash]}


def _claim(item: Item) -> OwnershipRecord:
    owned_id = item["owned_id"]["S"]
    customer_id, key = read_text(item, "customer_id"), read_text(item, "key")
    owner = Ownership(owned_id, customer_id, CompanyKey.parse(key)) if customer_id and key else None
    return OwnershipRecord(
        owned_id,
        owner,
        read_set(item, "holders"),
        read_text(item, "discarding"),
        read_text(item, "offered_to"),
    )


@cache
def from_settings() -> OwnershipTable:
    """The deployed table."""
    return OwnershipTable(clients.client("dynamodb"), settings.read().ownership_table)
