"""The Connections table: one item for each connection of a customer, with its tokens."""

from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from itertools import groupby, islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from finch_connections import settings
from finch_connections.aws import clients
from finch_connections.aws.dynamodb import (
    FOR_EVER,
    INTEGER,
    MAP,
    MOMENT,
    SECONDS,
    SET,
    TEXT,
    Codec,
    Conflict,
    Due,
    Item,
    decode,
    due,
    due_keys,
    encode,
    lease,
    moment,
    number,
    postpone,
    read_moment,
    scan,
    text,
    text_of,
    write_together,
)
from finch_connections.domain.connection import (
    CHECKED_EVERY,
    DISCONNECT_REFUSED,
    FIRST_LOOK,
    CompanyKey,
    Connection,
    ConnectionStatus,
    Token,
    packed,
    unpacked,
)
from finch_connections.domain.history import History, HistoryEntry
from finch_connections.domain.work_item import LEASE, LONGEST_PAUSE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from finch_connections.aws.dynamodb import Read, Write

SORT_KEY = "provider_id#company_id"

KEY = Codec(lambda key: text(str(key)), lambda item: CompanyKey.parse(item["S"]))
# There may be thousands of entities. So they are stored compressed.
PACKED_SET = Codec(
    lambda ids: {"B": packed(dict.fromkeys(ids, ""))},
    lambda item: frozenset(unpacked(_bytes(item))),
    empty=frozenset(),
)
_PACKED_MAP = Codec(
    lambda statuses: {"B": packed(statuses)},
    lambda item: unpacked(_bytes(item)),
    empty=MappingProxyType({}),
)
_MOMENTS = Codec(
    lambda values: {"M": {one: moment(value) for one, value in values.items()}},
    lambda item: {one: read_moment(value) for one, value in item["M"].items()},
    empty={},
)
HISTORY = Codec(
    lambda entries: {"L": [text(str(one)) for one in entries]},
    # A write whose response was lost may have added an entry twice.
    lambda item: tuple(
        one for one, _ in groupby(HistoryEntry.parse(one["S"]) for one in item["L"])
    ),
    empty=(),
)
_STATUS = text_of(ConnectionStatus)
_TOKEN_FIELDS = {
    "connection_id": TEXT,
    "products": SET,
    "status": _STATUS,
    "connected_at": MOMENT,
    "entity_ids": PACKED_SET,
    "status_detail": TEXT,
    "account_id": TEXT,
    "finch_customer_id": TEXT,
    "entities": _PACKED_MAP,
    "methods": MAP,
    "suspected": _STATUS,
    "suspected_since": MOMENT,
}


def _bytes(item: Item) -> bytes:
    # In the events that Lambda reads from a stream, binary attributes are texts in base64.
    content: str | bytes = item["B"]
    return b64decode(content) if isinstance(content, str) else content


def _write_tokens(tokens: Sequence[Token]) -> Item:
    return {"M": {token.id: {"M": _write_token(token)} for token in tokens}}


def _write_token(token: Token) -> dict[str, Item]:
    # An id that has a status is stored once.
    without_status = token.entity_ids - token.entities.keys()
    return encode(replace(token, entity_ids=without_status), _TOKEN_FIELDS)


def _read_token(id_: str, item: Item) -> Token:
    token = Token(id_, **decode(item, _TOKEN_FIELDS))
    return replace(token, entity_ids=token.entity_ids.union(token.entities))


def _read_tokens(item: Item) -> tuple[Token, ...]:
    tokens = (_read_token(id_, one["M"]) for id_, one in item["M"].items())
    return tuple(sorted(tokens, key=lambda token: (token.connected_at, token.id)))


# All fields except the key.
_FIELDS = {
    "tokens": Codec(_write_tokens, _read_tokens),
    "status": _STATUS,
    "created_at": MOMENT,
    "updated_at": MOMENT,
    "revision": INTEGER,
    "ended": SET,
    "disconnecting_since": MOMENT,
    "ending_entities": _MOMENTS,
    "refused_entities": SET,
    "due_at": SECONDS,
    "checked_at": MOMENT,
    "hints_until": MOMENT,
    "problem": TEXT,
    "provider_name": TEXT,
    "provider_icon": TEXT,
    "company_name": TEXT,
    "entity_names": MAP,
    "finch_key": KEY,
    "used_at": _MOMENTS,
    "idle": SET,
    "history": HISTORY,
    "ciphertexts": Codec(
        lambda values: {"M": {name: {"B": value} for name, value in values.items()}},
        lambda item: {name: value["B"] for name, value in item["M"].items()},
    ),
}
# A function that decrypts no token may read only these attributes, by its role in the template.
_NAMES = {"#key": SORT_KEY, "#customer_id": "customer_id"} | {
    f"#{name}": name
    for name in _FIELDS
    if name not in ("ciphertexts", "due_at", "hints_until", "history")
}
_SHOWN = ", ".join(_NAMES)


# Not a dataclass: Python compiles the methods of a dataclass at every cold start.
class Page(NamedTuple):
    """Some of a customer's connections in the order of their keys. The next page starts after `last`."""

    connections: tuple[Connection, ...]
    last: CompanyKey | None


@dataclass(frozen=True, eq=False, repr=False)
class ConnectionTable:
    """Reads and writes connections. Each write succeeds only on the previous `revision`."""

    client: "DynamoDBClient"
    name: str

    def get(self, customer_id: str, key: CompanyKey) -> Connection | None:
        """The latest connection with its ciphertexts."""
        return self._get(customer_id, key, {})

    def reading(self, customer_id: str, key: CompanyKey) -> "Read":
        """The read for `read_together`; `connection_of` reads its item."""
        return self.name, _key(customer_id, key)

    def show(self, customer_id: str, key: CompanyKey) -> Connection | None:
        """The latest connection without its ciphertexts."""
        shown = {"ProjectionExpression": _SHOWN, "ExpressionAttributeNames": _NAMES}
        return self._get(customer_id, key, shown)

    def history(self, customer_id: str, key: CompanyKey) -> History:
        """The history of a connection, which `show` and `page` leave out."""
        answer = self.client.get_item(
            TableName=self.name,
            Key=_key(customer_id, key),
            ConsistentRead=True,
            ProjectionExpression="#history",
            ExpressionAttributeNames={"#history": "history"},
        )
        history: History = decode(answer.get("Item", {}), {"history": HISTORY})["history"]
        return history

    def page(
        self,
        customer_id: str,
        *,
        limit: int,
        after: CompanyKey | None = None,
        statuses: frozenset[ConnectionStatus] = frozenset(),
    ) -> Page:
        """At most `limit` connections without ciphertexts, in any of `statuses` if given.

        This is one query, so a filtered page can be short or empty before the last page.
        """
        query: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": "customer_id = :customer",
            "ExpressionAttributeValues": {":customer": text(customer_id)},
            "ExpressionAttributeNames": _NAMES,
            "ProjectionExpression": _SHOWN,
            # The default with a projection, but the condition in the role requires it.
            "Select": "SPECIFIC_ATTRIBUTES",
            "ConsistentRead": True,
        }
        if after:
            query["ExclusiveStartKey"] = _key(customer_id, after)
        if statuses:
            values = {f":s{n}": text(status) for n, status in enumerate(sorted(statuses))}
            query["FilterExpression"] = f"#status IN ({', '.join(values)})"
            query["ExpressionAttributeValues"] |= values
        else:
            query["Limit"] = limit
        answer = self.client.query(**query)
        found = tuple(connection_of(item) for item in answer["Items"])
        if len(found) > limit:
            return Page(found[:limit], found[limit - 1].key)
        last = answer.get("LastEvaluatedKey")
        return Page(found, CompanyKey.parse(last[SORT_KEY]["S"]) if last else None)

    def every(self, customer_id: str) -> Iterator[Connection]:
        """All of a customer's connections without ciphertexts."""
        after = None
        while True:
            page = self.page(customer_id, limit=1000, after=after)
            yield from page.connections
            after = page.last
            if after is None:
                return

    def scan(
        self, after: Mapping[str, str] | None
    ) -> tuple[list[Connection], dict[str, str] | None]:
        """A page of all customers' connections with ciphertexts, and the start of the next page or None."""
        items, last = scan(self.client, self.name, after)
        return [connection_of(item) for item in items], last

    def erase(self, connection: Connection) -> None:
        """Deletes a disconnected connection. Raises `dynamodb.Conflict` if it has changed."""
        delete: Any = {
            "TableName": self.name,
            "Key": _key(connection.customer_id, connection.key),
            "ConditionExpression": "revision = :revision AND #status = :disconnected",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {
                ":revision": number(connection.revision),
                ":disconnected": text(ConnectionStatus.DISCONNECTED),
            },
        }
        write_together(self.client, [{"Delete": delete}])

    def unfinished(self, before: datetime, now: datetime, limit: int) -> list[Connection]:
        """At most `limit` connections whose unfinished work has waited since `before` or longer."""
        found = (self.show(*one) for one in self.due(Due.UNFINISHED, now + FOR_EVER))
        waiting = (
            one for one in found if one and one.unfinished_since and one.unfinished_since <= before
        )
        return list(islice(waiting, limit))

    def due(self, kind: Due, until: datetime) -> Iterator[tuple[str, CompanyKey]]:
        """The customers and keys of all connections that are due by `until`, oldest first."""
        for key in due_keys(self.client, self.name, kind, until):
            yield _read_key(key)

    def live(self, now: datetime) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
        """The live Finch connections of each connection, and those of them that are idle, from the index."""
        # Checks move due rows, and rows that come first, to a later place of the index while we read it.
        moving: set[tuple[str, CompanyKey]] = set()
        for kind in Due:
            for item in due_keys(self.client, self.name, kind, now + FOR_EVER):
                row = _read_key(item)
                if row in moving:
                    continue
                soon = int(item["due_at"]["N"]) <= (now + LEASE).timestamp()
                if soon or kind is Due.UNFINISHED:
                    moving.add(row)
                ids, idle = (
                    SET.read(item[name]) if name in item else frozenset()
                    for name in ("connection_ids", "idle")
                )
                yield ids, idle & ids

    def note_use(self, connection: Connection, connection_id: str, now: datetime) -> None:
        """Stores the last use of a Finch connection, without an event.

        It is tried once. Raises `dynamodb.Conflict` if the connection has changed since the read.
        """
        used_at = {
            one: at for one, at in connection.used_at.items() if one in connection.connection_ids
        }
        try:
            self.client.update_item(
                TableName=self.name,
                Key=_key(connection.customer_id, connection.key),
                UpdateExpression="SET used_at = :used_at, revision = :after, news = :news",
                ConditionExpression="revision = :before",
                ExpressionAttributeValues={
                    ":used_at": _MOMENTS.write({**used_at, connection_id: now}),
                    ":before": number(connection.revision),
                    ":after": number(connection.revision + 1),
                    ":news": {"BOOL": False},
                },
            )
        except self.client.exceptions.ConditionalCheckFailedException as error:
            raise Conflict from error

    def postpone(
        self, customer_id: str, key: CompanyKey, until: datetime, *, unless_sooner: bool = False
    ) -> None:
        """Makes a connection due at `until`.

        Raises `dynamodb.Conflict` if it is not due at all, or with `unless_sooner` is due by then.
        """
        where = self.client, self.name, _key(customer_id, key)
        postpone(*where, until, unless_sooner=unless_sooner)

    def lease(self, customer_id: str, key: CompanyKey, now: datetime) -> None:
        """Makes a due connection due again after its lease. Raises `dynamodb.Conflict` if it is not due."""
        lease(self.client, self.name, _key(customer_id, key), now, LEASE)

    def writing(self, connection: Connection) -> "Write":
        """The write of a connection, as part of a transaction."""
        put: Any = {"TableName": self.name, "Item": _item(connection)}
        if connection.revision == 1:
            put["ConditionExpression"] = "attribute_not_exists(customer_id)"
        else:
            put["ConditionExpression"] = "revision = :before"
            put["ExpressionAttributeValues"] = {":before": number(connection.revision - 1)}
        return {"Put": put}

    def write(self, connection: Connection, together_with: Sequence["Write"] = ()) -> None:
        """Writes a connection and the other writes in one transaction. Raises `dynamodb.Conflict`."""
        write_together(self.client, [self.writing(connection), *together_with])

    def _get(self, customer_id: str, key: CompanyKey, projection: Any) -> Connection | None:
        answer = self.client.get_item(
            TableName=self.name, Key=_key(customer_id, key), ConsistentRead=True, **projection
        )
        return connection_of(answer["Item"]) if "Item" in answer else None


def _key(customer_id: str, key: CompanyKey) -> dict[str, Item]:
    return {"customer_id": text(customer_id), SORT_KEY: text(str(key))}


def _read_key(item: Item) -> tuple[str, CompanyKey]:
    return item["customer_id"]["S"], CompanyKey.parse(item[SORT_KEY]["S"])


def _item(connection: Connection) -> dict[str, Item]:
    live = connection.live_connection_ids
    return {
        **_key(connection.customer_id, connection.key),
        **encode(connection, _FIELDS),
        # The index by due time contains it, so that live Finch connections are counted there.
        **({"connection_ids": SET.write(live)} if live else {}),
        # The event source of PublishEvents filters by this attribute.
        "news": {"BOOL": connection.quiet_revision != connection.revision},
        **_due(connection),
    }


def _due(connection: Connection) -> dict[str, Item]:
    """The attributes of the index by due time: for work that comes first, else for the daily check."""
    checked_at = connection.checked_at or connection.created_at
    if since := connection.disconnecting_since or min(
        connection.ending_entities.values(), default=None
    ):
        kind, at = Due.UNFINISHED, since + FIRST_LOOK
    elif connection.problem == DISCONNECT_REFUSED or connection.refused_entities:
        kind, at = Due.UNFINISHED, checked_at + LONGEST_PAUSE
    elif connection.status is ConnectionStatus.DISCONNECTED:
        return {}
    else:
        kind, at = Due.UNCHECKED, checked_at + CHECKED_EVERY
        if connection.due_at and connection.due_at < at:
            # A new connection does not wait behind the daily checks of all others.
            kind = Due.UNFINISHED
    return due(kind, (connection.customer_id, str(connection.key)), connection.due_at or at)


def connection_of(item: Item) -> Connection:
    """The connection in an item."""
    return Connection(*_read_key(item), **decode(item, _FIELDS))


def without_ciphertexts(item: Item) -> Connection:
    """The connection in an item of the table's stream, without its ciphertexts."""
    return connection_of({name: value for name, value in item.items() if name != "ciphertexts"})


@cache
def from_settings() -> ConnectionTable:
    """The deployed table."""
    return ConnectionTable(clients.client("dynamodb"), settings.read().connections_table)
