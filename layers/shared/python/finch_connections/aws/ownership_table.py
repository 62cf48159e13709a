"""The Ownership table: the owners of companies and Finch connections, and the sessions that keep tokens."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from finch_connections import settings
from finch_connections.aws import clients
from finch_connections.aws.connection_table import ConnectionTable, connection_of
from finch_connections.aws.dynamodb import (
    SET,
    TEXT,
    Item,
    decode,
    number,
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

# We do not offer the same repair to another session within this time.
_RECOVERY_OFFERED_FOR = timedelta(days=1)
_THEIRS = "customer_id = :customer AND #key = :key"
_ALONE = "attribute_not_exists(customer_id) AND holders = :me"
_FIELDS = {"holders": SET, "discarding": TEXT, "offered_to": TEXT}


@dataclass(frozen=True, eq=False, repr=False)
class OwnershipTable:
    """Reads records, and builds the writes that change them in transactions with sessions and connections.

    A session is a holder of a record while it keeps a token of that Finch connection. A session that
    repairs becomes a holder when it exchanges the code, because from then on a token may exist. It is
    removed from the holders when the token is attached or gone.
    """

    client: "DynamoDBClient"
    name: str

    def get(self, owned_id: str) -> OwnershipRecord | None:
        """The latest record, or None."""
        answer = self.client.get_item(
            TableName=self.name, Key={"owned_id": text(owned_id)}, ConsistentRead=True
        )
        return _record(answer["Item"]) if "Item" in answer else None

    def of_connection_id(self, connection_id: str) -> OwnershipRecord | None:
        """The latest record of a Finch connection, or None."""
        return self.get(owned_id_of_connection(connection_id))

    def with_connection(
        self, connection_id: str, connections: ConnectionTable, customer_id: str, key: CompanyKey
    ) -> tuple[OwnershipRecord | None, OwnershipRecord | None, Connection | None]:
        """The latest records of a Finch connection and of a company, and a customer's connection.

        They are read in one call.
        """
        records = (
            (self.name, {"owned_id": text(owned_id)})
            for owned_id in (owned_id_of_connection(connection_id), owned_id_of_company(key))
        )
        reads = [*records, connections.reading(customer_id, key)]
        owned, company, connection = read_together(self.client, reads)
        return (
            _record(owned) if owned else None,
            _record(company) if company else None,
            connection_of(connection) if connection else None,
        )

    def held_by(self, handle_hash: str, connection_ids: Iterable[str]) -> list[OwnershipRecord]:
        """The latest records, of these Finch connections, in which the session is a holder."""
        records = (self.of_connection_id(one) for one in sorted(connection_ids))
        return [record for record in records if record and handle_hash in record.holders]

    def of_company(self, key: CompanyKey) -> OwnershipRecord | None:
        """The latest record of an employer at a provider, or None."""
        return self.get(owned_id_of_company(key))

    def of_finch_company(self, company_id: str) -> list[Ownership]:
        """The owners of a company, at any provider. A very recent owner may be missing."""
        return [record.owner for record in self._at(company_id) if record.owner]

    def held_at(self, company_id: str) -> frozenset[str]:
        """The sessions that keep a token of a company, at any provider. A recent session may be missing."""
        records = [self.get(record.owned_id) for record in self._at(company_id)]
        return frozenset(one for record in records if record for one in record.holders)

    def _at(self, company_id: str) -> list[OwnershipRecord]:
        pages = self.client.get_paginator("query").paginate(
            TableName=self.name,
            IndexName="company",
            KeyConditionExpression="company_id = :company",
            ExpressionAttributeValues={":company": text(company_id)},
        )
        return [_record(item) for page in pages for item in page["Items"]]

    def offer_recovery(self, connection_id: str, handle_hash: str, now: datetime) -> None:
        """Notes that a session offers to repair a connection that exists at Finch and has no token here.

        Raises `dynamodb.Conflict` if we do have a token, or if another session offers the repair.
        """
        offer = self._update(
            owned_id_of_connection(connection_id),
            "SET offered_to = :me, offered_at = :now",
            "attribute_not_exists(customer_id) AND attribute_not_exists(holders) "
            "AND (attribute_not_exists(offered_at) OR offered_at < :before OR offered_to = :me)",
            {
                ":me": text(handle_hash),
                ":now": number(int(now.timestamp())),
                ":before": number(int((now - _RECOVERY_OFFERED_FOR).timestamp())),
            },
        )
        update(self.client, offer["Update"])

    def of_customer(
        self, customer_id: str, after: Mapping[str, str] | None
    ) -> tuple[list[OwnershipRecord], dict[str, str] | None]:
        """A page of a customer's records and of all offers, and the start of the next page or None."""
        found: Any = {
            "FilterExpression": "customer_id = :customer OR attribute_exists(offered_to)",
            "ExpressionAttributeValues": {":customer": text(customer_id)},
        }
        items, last = scan(self.client, self.name, after, **found)
        return [_record(item) for item in items], last

    def forget_offer(self, offered: OwnershipRecord) -> None:
        """Deletes the record of an offer. Raises `dynamodb.Conflict` if it has changed."""
        nothing_else = (
            "attribute_not_exists(customer_id) AND attribute_not_exists(holders) "
            "AND offered_to = :session"
        )
        values = {":session": text(offered.offered_to or "")}
        write_together(self.client, [self._delete(offered.owned_id, nothing_else, values)])

    def holding(
        self, connection_id: str, handle_hash: str, company_id: str | None = None
    ) -> "Write":
        """The write that adds a session to the holders of a Finch connection, whose company it notes."""
        values: dict[str, Item] = {":me": _only(handle_hash)}
        if company_id:
            values[":company"] = text(company_id)
        return self._update(
            owned_id_of_connection(connection_id),
            ("SET company_id = :company " if company_id else "")
            + "ADD holders :me REMOVE offered_to, offered_at",
            None,
            values,
        )

    def taking(
        self, wanted: Ownership, held_by: Collection[str] = (), former: str | None = None
    ) -> "Write":
        """The write that takes an ownership, and removes the sessions `held_by` from the holders.

        It fails if another connection is the owner, or if a session is ending the Finch connection. An
        operator takes it from the connection of the customer `former` with the same key.
        """
        owner, values = "", _owner(wanted)
        if former:
            owner = " OR (customer_id = :former AND #key = :key)"
            values[":former"] = text(former)
        if wanted.company_id:
            values[":company"] = text(wanted.company_id)
        if held_by:
            values[":me"] = {"SS": sorted(held_by)}
        return self._update(
            wanted.owned_id,
            "SET customer_id = :customer, #key = :key"
            + (", company_id = :company" if wanted.company_id else " REMOVE company_id")
            + (" DELETE holders :me" if held_by else ""),
            f"(attribute_not_exists(customer_id) OR ({_THEIRS}){owner}) "
            "AND attribute_not_exists(discarding)",
            values,
        )

    def leaving_to(self, connection_id: str, handle_hash: str, leaving: Collection[str]) -> "Write":
        """The write that removes the sessions `leaving` from the holders; fails if `handle_hash` is none."""
        return self._update(
            owned_id_of_connection(connection_id),
            "DELETE holders :leaving",
            "contains(holders, :me)",
            {":leaving": {"SS": sorted(leaving)}, ":me": text(handle_hash)},
        )

    def freeing(self, owned: Ownership, *, held: bool) -> "Write":
        """The write that frees an ownership.

        `held` says whether the record has holders. The write fails if this is wrong, or if another
        connection is the owner.
        """
        if held:
            condition = f"{_THEIRS} AND attribute_exists(holders)"
            remove = "REMOVE customer_id, #key, company_id"
            return self._update(owned.owned_id, remove, condition, _owner(owned))
        condition = f"{_THEIRS} AND attribute_not_exists(holders)"
        return self._delete(owned.owned_id, condition, _owner(owned))

    def discarding(self, connection_id: str, company: CompanyKey, session: str) -> "list[Write]":
        """The writes that lock a Finch connection and its company while a session ends them at Finch.

        They fail if the Finch connection has another holder or an owner, or if the company has an owner.
        """
        lock = "SET discarding = :discarding"
        free = "(attribute_not_exists(discarding) OR discarding = :discarding)"
        return [
            self._update(
                owned_id_of_connection(connection_id),
                lock,
                f"{_ALONE} AND {free}",
                {":discarding": text(session), ":me": _only(session)},
            ),
            self._update(
                owned_id_of_company(company),
                lock,
                f"attribute_not_exists(customer_id) AND {free}",
                {":discarding": text(session)},
            ),
        ]

    def keeping(self, connection_id: str, session: str) -> "Write":
        """The write that unlocks a Finch connection which Finch did not end. The session stays a holder."""
        return self._update(
            owned_id_of_connection(connection_id),
            "REMOVE discarding",
            "discarding = :discarding",
            {":discarding": text(session)},
        )

    def reopening(self, company: CompanyKey, session: str) -> "Write":
        """The write that unlocks a company."""
        # A locked company has no owner, so the row has no other data.
        condition = "discarding = :discarding AND attribute_not_exists(customer_id)"
        values = {":discarding": text(session)}
        return self._delete(owned_id_of_company(company), condition, values)

    def leaving(self, records: Iterable[OwnershipRecord], handle_hash: str) -> "list[Write]":
        """The writes that remove a session from the holders of these records, as `held_by` read them.

        A session is alone in a record without an owner and without other holders. The writes fail if it
        was alone at the read and is not alone now, or the other way round.
        """
        return [self._leaving(record, handle_hash) for record in records]

    def leaving_to_others(self, seen: OwnershipRecord, handle_hash: str) -> "Write":
        """The write that removes a session from the holders of a record with an owner or other holders.

        It fails if the owner or the holders differ from `seen`: the last holder must not leave this way.
        """
        values: dict[str, Item] = {
            ":me": _only(handle_hash),
            ":holders": {"SS": sorted(seen.holders)},
        }
        owned = "attribute_not_exists(customer_id)"
        if seen.owner:
            owned = _THEIRS
            values |= _owner(seen.owner)
        condition = f"holders = :holders AND {owned}"
        unlock = " REMOVE discarding" if seen.discarding == handle_hash else ""
        return self._update(seen.owned_id, f"DELETE holders :me{unlock}", condition, values)

    def _leaving(self, record: OwnershipRecord, handle_hash: str) -> "Write":
        me = {":me": _only(handle_hash)}
        if record.owner is None and record.holders == {handle_hash}:
            return self._delete(record.owned_id, _ALONE, me)
        expression = "DELETE holders :me"
        if record.discarding == handle_hash:
            expression += " REMOVE discarding"
        others = "attribute_exists(customer_id) OR holders <> :me"
        return self._update(record.owned_id, expression, others, me)

    def _update(
        self, owned_id: str, expression: str, condition: str | None, values: dict[str, Item]
    ) -> "Write":
        has_key = "#key" in f"{expression} {condition}"
        arguments: Any = {
            "TableName": self.name,
            "Key": {"owned_id": text(owned_id)},
            "UpdateExpression": expression,
            **({"ConditionExpression": condition} if condition else {}),
            **({"ExpressionAttributeNames": {"#key": "key"}} if has_key else {}),
            "ExpressionAttributeValues": values,
        }
        return {"Update": arguments}

    def _delete(self, owned_id: str, condition: str, values: dict[str, Item]) -> "Write":
        has_key = "#key" in condition
        arguments: Any = {
            "TableName": self.name,
            "Key": {"owned_id": text(owned_id)},
            "ConditionExpression": condition,
            **({"ExpressionAttributeNames": {"#key": "key"}} if has_key else {}),
            "ExpressionAttributeValues": values,
        }
        return {"Delete": arguments}


def _owner(owner: Ownership) -> dict[str, Item]:
    """The values in `_THEIRS`."""
    return {":customer": text(owner.customer_id), ":key": text(str(owner.key))}


def _only(handle_hash: str) -> Item:
    return {"SS": [handle_hash]}


def _record(item: Item) -> OwnershipRecord:
    owned_id = item["owned_id"]["S"]
    customer_id, key = read_text(item, "customer_id"), read_text(item, "key")
    owner = Ownership(owned_id, customer_id, CompanyKey.parse(key)) if customer_id and key else None
    return OwnershipRecord(owned_id, owner, **decode(item, _FIELDS))


@cache
def from_settings() -> OwnershipTable:
    """The deployed table."""
    return OwnershipTable(clients.client("dynamodb"), settings.read().ownership_table)
