"""A connection: a customer's link to one employer at one provider, and the rules for it."""

import json
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from finch_connections.domain.display_name import names_that_fit
from finch_connections.domain.errors import InvalidRequest, Refusal
from finch_connections.domain.history import History, HistoryEntry, Step, added, remembering
from finch_connections.domain.identifier import is_finch_id, key_part, of_key_part

# After Finch has refused a disconnect for this long, the customer gets the connection back.
REFUSED_FOR = timedelta(days=3)
DISCONNECT_REFUSED = "disconnect_refused"
ENTITY_DISCONNECT_REFUSED = "entity_disconnect_refused"
ANOTHER_COMPANY = "another_company"
TRANSFERRED = "transferred"
CONNECT_AGAIN = "connect_again"
# The `status_detail` of an `unknown` token whose answer from Finch is about another token.
ANOTHER_TOKEN = "another_token"  # noqa: S105
# The scheduled check asks Finch about a connection whose last check is older.
CHECKED_EVERY = timedelta(days=1)
# A row that a request has changed is looked at this much later, if the request did not finish the work.
FIRST_LOOK = timedelta(minutes=1)

_PAIR_ID = "pair#"
MAX_TOKENS = 50
# A customer disconnects single entities by hand. A work item handles all of them.
MAX_ENDING_ENTITIES = 20
# The limit for all logins of an item and the marks of entities. DynamoDB's limit for an item is 400 KB.
# The rest is for names, keys and times, which have limits of their own.
MAX_LOGIN_BYTES = 370_000
# The limit for what an answer shows of the entities of all logins. Lambda's limit for a response is 6 MB.
MAX_SHOWN_BYTES = 3_000_000
# The names and signs around an entity in an answer.
_SHOWN_PER_ENTITY = 100
# The names of a token's attributes, its times and its statuses, in DynamoDB's count.
_FIXED_BYTES = 550
# A time as a table stores it, in DynamoDB's count.
_TIME_BYTES = 32
# DynamoDB's limit for a sort key ("Quotas" in its developer guide).
MAX_KEY_BYTES = 1024


class ConnectionNotFound(Refusal):
    """You have no such connection."""

    code = "connection_not_found"


class ConnectionBusy(Refusal):
    """This connection is being disconnected. Please try again later."""

    code = "connection_busy"


class DisconnectRefused(Refusal):
    """Finch has refused for days to end this connection. Repair it, then disconnect it again."""

    code = DISCONNECT_REFUSED


class TooManyLogins(Refusal):
    """This connection has reached the limit of logins. Disconnect it before you connect it again."""

    code = "too_many_logins"


class ConnectionLimit(Refusal):
    """You have as many connections as you may have. Disconnect one first, or add a login to one."""

    code = "connection_limit"


class UnusableIdentifier(Refusal):
    """Finch returned an id that we cannot store."""

    code = "cannot_connect"


class ConnectionStatus(StrEnum):
    """Finch's statuses of a connection (`connection_status_type` in its API reference), then our two."""

    PENDING = "pending"
    PROCESSING = "processing"
    CONNECTED = "connected"
    REAUTH = "reauth"
    ERROR_PERMISSIONS = "error_permissions"
    ERROR_NO_ACCOUNT_SETUP = "error_no_account_setup"
    UNKNOWN = "unknown"
    DISCONNECTING = "disconnecting"
    DISCONNECTED = "disconnected"

    @classmethod
    def of_finch(cls, status: str) -> Self:
        """The status that Finch means; `unknown` for a status that is not in its reference."""
        known = {one.value for one in cls} - {"disconnecting", "disconnected"}
        return cls(status if status in known else "unknown")

    @classmethod
    def of_part(cls, status: str) -> Self:
        """The status of an entity or authentication method. An entity can be `disconnected` alone."""
        return cls(status) if status == "disconnected" else cls.of_finch(status)


class Product(StrEnum):
    """The kinds of data that an application can request ("Products" in Finch's API reference)."""

    BENEFITS = "benefits"
    COMPANY = "company"
    DEDUCTION = "deduction"
    DIRECTORY = "directory"
    DOCUMENTS = "documents"
    EMPLOYMENT = "employment"
    INDIVIDUAL = "individual"
    PAYMENT = "payment"
    PAY_STATEMENT = "pay_statement"
    PLANS = "plans"
    PLANS_DEPENDENTS = "plans_dependents"
    PLANS_ENROLLMENTS = "plans_enrollments"
    RECORDKEEPING = "recordkeeping"
    SSN = "ssn"


# The statuses that need the customer to act. `unknown` may need nothing.
NEEDS_CUSTOMER = frozenset(
    {
        ConnectionStatus.REAUTH,
        ConnectionStatus.ERROR_PERMISSIONS,
        ConnectionStatus.ERROR_NO_ACCOUNT_SETUP,
    }
)
# A connection shows the most urgent status of its tokens. A dead token is dropped and never shown.
_MOST_URGENT_FIRST = (
    ConnectionStatus.DISCONNECTED,
    ConnectionStatus.REAUTH,
    ConnectionStatus.ERROR_PERMISSIONS,
    ConnectionStatus.ERROR_NO_ACCOUNT_SETUP,
    ConnectionStatus.UNKNOWN,
    ConnectionStatus.PENDING,
    ConnectionStatus.PROCESSING,
    ConnectionStatus.CONNECTED,
)


@dataclass(frozen=True)
class CompanyKey:
    """One employer at one provider, written `provider_id#company_id`. Raises `UnusableIdentifier`.

    A provider id is written without `#`, so different keys are always written differently.
    """

    provider_id: str
    company_id: str

    def __post_init__(self) -> None:
        if not (is_finch_id(self.provider_id) and is_finch_id(self.company_id)):
            raise UnusableIdentifier
        if len(str(self).encode()) > MAX_KEY_BYTES:
            raise UnusableIdentifier

    def __str__(self) -> str:
        return f"{key_part(self.provider_id)}#{self.company_id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key that `text` is the written form of. Raises `UnusableIdentifier`."""
        provider_id, _, company_id = text.partition("#")
        key = cls(of_key_part(provider_id), company_id)
        if str(key) != text:
            raise UnusableIdentifier
        return key


def pair_id(provider_id: str | None, company_id: str | None) -> str:
    """The id that we use for a missing `connection_id`; empty if provider or company is missing or unusable.

    Several logins can share it, and each may be a Finch connection of its own. No `connection_id` that
    we accept starts in this way.
    """
    try:
        return f"{_PAIR_ID}{CompanyKey(provider_id or '', company_id or '')}"
    except UnusableIdentifier:
        return ""


def is_pair_id(connection_id: str) -> bool:
    """Whether this id is ours, because Finch has named no `connection_id`."""
    return connection_id.startswith(_PAIR_ID)


@dataclass(frozen=True)
class Token:
    """One Finch access token of a connection, without its text.

    `id` comes from the introspection. `finch_customer_id` is the customer id that Finch has for this
    token. `suspected` is a worse status that Finch has reported once and not yet confirmed. `entities`
    and `methods` contain Finch's status for each entity id and each type of authentication method.
    """

    id: str
    connection_id: str
    products: frozenset[str]
    status: ConnectionStatus
    connected_at: datetime
    entity_ids: frozenset[str] = frozenset()
    status_detail: str | None = None
    account_id: str | None = None
    finch_customer_id: str | None = None
    entities: Mapping[str, str] = field(default_factory=dict)
    methods: Mapping[str, str] = field(default_factory=dict)
    suspected: ConnectionStatus | None = None
    suspected_since: datetime | None = None

    @property
    def living_entities(self) -> frozenset[str]:
        """The entities that were not disconnected at Finch. A status may be missing."""
        return frozenset(
            one
            for one in self.entity_ids.union(self.entities)
            if self.entities.get(one) != ConnectionStatus.DISCONNECTED
        )

    @property
    def reads_nothing(self) -> bool:
        """Whether the token had entities, and all of them were disconnected at Finch."""
        return bool(self.entity_ids or self.entities) and not self.living_entities

    def same_login(self, other: Self) -> bool:
        """Whether both come from one login. Without account ids, an equal `connection_id` is enough.

        A pair id is not: each login may be a Finch connection that only its own token can end.
        """
        if is_pair_id(self.connection_id) and self.account_id is None:
            return False
        return (self.connection_id, self.account_id) == (other.connection_id, other.account_id)

    def covers(self, other: Self) -> bool:
        """Whether a token of the same company belongs to the Finch connection of this token.

        Finch may name no `connection_id` for either of them. An equal account then shows the same.
        """
        if is_pair_id(self.connection_id) or is_pair_id(other.connection_id):
            return self.account_id is not None and self.account_id == other.account_id
        return self.connection_id == other.connection_id

    def may_be_login_of(self, other: Self) -> bool:
        """Whether both can come from one login: Finch does not always return the account id."""
        if is_pair_id(self.connection_id):
            return self.same_login(other)
        accounts = {self.account_id, other.account_id} - {None}
        return self.connection_id == other.connection_id and len(accounts) <= 1


@dataclass(frozen=True)
class Connection:
    """A customer's link to one employer at one provider, with any number of logins.

    `ciphertexts` has the encrypted text of each token by token id, and is empty if it was not read.
    During a disconnect, `ended` has the Finch connection ids that Finch has confirmed so far, and
    `disconnecting_since` the start. `ending_entities` has the entities that the customer disconnects
    alone, with the start of each, and `refused_entities` those that Finch refused to end. `checked_at`
    is the time of the last check at Finch, `due_at` the time of the next look, or None for the usual time
    in its status. `hints_until` is the time, on the queue's clock, of the newest hint that the last check
    covers. `problem` is a stable code for a problem that the status does not show. `provider_name`,
    `provider_icon`, `company_name` and `entity_names` (by entity id) are only for display.
    An empty text means that Finch has none that we show, and is not asked for again before another login.
    `finch_key` is Finch's present name of the company if Finch has renamed the provider or the company.
    `used_at` has the last use of each Finch connection, to the day: when the first token of that day was
    vended. `idle` has the Finch connections that the last check found unused for too long. `history` is
    for support, and empty if it was not read.
    Each write increments `revision`, and fails unless the stored revision is the previous number. If
    `quiet_revision` equals `revision`, the write publishes no event; it is not read back.
    """

    customer_id: str
    key: CompanyKey
    tokens: tuple[Token, ...]
    status: ConnectionStatus
    created_at: datetime
    updated_at: datetime
    revision: int
    ended: frozenset[str] = frozenset()
    disconnecting_since: datetime | None = None
    ending_entities: Mapping[str, datetime] = field(default_factory=dict)
    refused_entities: frozenset[str] = frozenset()
    due_at: datetime | None = None
    checked_at: datetime | None = None
    hints_until: datetime | None = None
    problem: str | None = None
    provider_name: str | None = None
    provider_icon: str | None = None
    company_name: str | None = None
    entity_names: Mapping[str, str] = field(default_factory=dict)
    finch_key: CompanyKey | None = None
    used_at: Mapping[str, datetime] = field(default_factory=dict)
    idle: frozenset[str] = frozenset()
    history: History = field(default=(), compare=False)
    quiet_revision: int | None = field(default=None, compare=False)
    ciphertexts: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def connection_ids(self) -> tuple[str, ...]:
        """The distinct Finch connections behind this connection."""
        return tuple(dict.fromkeys(token.connection_id for token in self.tokens))

    @property
    def live_connection_ids(self) -> tuple[str, ...]:
        """The Finch connections behind this connection that a disconnect has not ended."""
        return tuple(one for one in self.connection_ids if one not in self.ended)

    @property
    def entity_ids(self) -> frozenset[str]:
        """The entities of all logins."""
        return frozenset().union(*(token.entity_ids.union(token.entities) for token in self.tokens))

    @property
    def living_entities(self) -> frozenset[str]:
        """The entities of all logins that were not disconnected at Finch."""
        return frozenset().union(*(token.living_entities for token in self.tokens))

    @property
    def shown_problem(self) -> str | None:
        """The problem that customers, subscribers and operators see."""
        refused = ENTITY_DISCONNECT_REFUSED if self.refused_entities else None
        return self.problem or refused

    @property
    def unfinished_since(self) -> datetime | None:
        """Since when a disconnect waits for Finch or for an operator; None if none does."""
        if self.disconnecting_since:
            return self.disconnecting_since
        if self.problem == DISCONNECT_REFUSED or self.refused_entities:
            return self.updated_at
        return min(self.ending_entities.values(), default=None)

    @property
    def best_company_name(self) -> str | None:
        """The legal name of the company, or else the name that all its entities share.

        If a company has one entity, Finch returns that entity with another id for each connection.
        """
        names = set(self.entity_names.values())
        if self.company_name or len(names) != 1 or self.entity_ids - self.entity_names.keys():
            return self.company_name or None
        [name] = names
        return name


def key_fields(customer_id: str, key: CompanyKey) -> dict[str, str]:
    """The fields that identify a connection in log lines, messages, events and operator's reports."""
    return {
        "customer_id": customer_id,
        "provider_id": key.provider_id,
        "company_id": key.company_id,
    }


def require_key(provider_id: str, company_id: str) -> CompanyKey:
    """The key from a caller's request. Raises `ConnectionNotFound` if no connection can have it."""
    try:
        return CompanyKey(provider_id, company_id)
    except UnusableIdentifier as error:
        raise ConnectionNotFound from error


def require_statuses(text: str) -> frozenset[ConnectionStatus]:
    """The statuses in a comma-separated list. Raises `InvalidRequest`."""
    try:
        return frozenset(ConnectionStatus(status) for status in text.split(","))
    except ValueError as error:
        known = ", ".join(ConnectionStatus)
        raise InvalidRequest(f"status must be a comma-separated list of: {known}.") from error


def require_room(connections: Iterable[Connection], key: CompanyKey | None, limit: int) -> None:
    """Refuses another connection of a customer who has `limit` of these `connections`; 0 is no limit.

    A connection counts until Finch has confirmed its end. Another login of the connection `key` is no
    other connection. Raises `ConnectionLimit`.
    """
    if limit == 0:
        return
    counted = {one.key for one in connections if one.status is not ConnectionStatus.DISCONNECTED}
    if key not in counted and len(counted) >= limit:
        raise ConnectionLimit


def attach(
    connection: Connection | None,
    customer_id: str,
    key: CompanyKey,
    token: Token,
    ciphertext: bytes,
    now: datetime,
    *,
    repairing: bool = False,
    entity_names: Mapping[str, str] | None = None,
) -> Connection:
    """The connection with one more token; a new connection if `connection` is None.

    Drops an older token of the same login if the new token covers its products. The older token is not
    disconnected at Finch, because that would end the new token too. A token from a repair replaces the
    older tokens of its login even if it covers fewer products ("Reauthentication" in Finch's guide).
    The new token's status also applies to all tokens with its connection id. Raises `ConnectionBusy`,
    `TooManyLogins` and `UnusableIdentifier`.
    """
    if connection is None:
        connection = Connection(customer_id, key, (), token.status, now, now, revision=0)
    if connection.status is ConnectionStatus.DISCONNECTING:
        raise ConnectionBusy
    if any(
        old.id == token.id and old.connection_id != token.connection_id for old in connection.tokens
    ):
        # Tokens are stored by id: the new token would overwrite the old.
        raise UnusableIdentifier
    kept = [old for old in connection.tokens if not _replaces(token, old, repairing=repairing)]
    ciphertexts = {old.id: connection.ciphertexts[old.id] for old in kept}
    tokens = (*(_with_status_of(token, old) for old in kept), token)
    ciphertexts[token.id] = ciphertext
    before = connection
    connection = replace(
        connection, tokens=tokens, ciphertexts=ciphertexts, refused_entities=frozenset()
    )
    if not fits(connection):
        raise TooManyLogins
    after = replace(
        with_entity_names(connection, entity_names or {}),
        provider_name=connection.provider_name or None,
        provider_icon=connection.provider_icon or None,
        company_name=connection.company_name or None,
        status=status_of_tokens(tokens),
        problem=None,
        # We have asked Finch only about this connection id.
        checked_at=now
        if all(one.connection_id == token.connection_id for one in tokens)
        else connection.checked_at,
        # Finch's first webhook may come before this write, and the names are missing.
        due_at=now + FIRST_LOOK,
        updated_at=now,
        revision=connection.revision + 1,
    )
    return remembering(before, after, now)


def with_entity_names(connection: Connection, names: Mapping[str, str]) -> Connection:
    """The connection with these names of entities, and the stored names of its other entities."""
    names = {**connection.entity_names, **names}
    current = {one: name for one, name in names.items() if one in connection.entity_ids}
    return replace(connection, entity_names=names_that_fit(current))


def token_for_name(connection: Connection) -> Token | None:
    """The newest working token that can read the company's name; None if no token can."""
    works = (
        token
        for token in reversed(connection.tokens)
        if token.status is ConnectionStatus.CONNECTED and Product.COMPANY in token.products
    )
    return next(works, None)


def with_names(
    connection: Connection,
    provider_name: str | None,
    company_name: str | None,
    provider_icon: str | None,
) -> Connection:
    """The connection with these names and this icon, without an event; the same object if none differs."""
    after = replace(
        connection,
        provider_name=provider_name,
        company_name=company_name,
        provider_icon=provider_icon,
    )
    if after == connection:
        return connection
    next_revision = connection.revision + 1
    return replace(after, revision=next_revision, quiet_revision=next_revision)


def _replaces(new: Token, old: Token, *, repairing: bool) -> bool:
    covers = new.same_login(old) and new.products >= old.products
    repairs = repairing and new.may_be_login_of(old)
    return new.id == old.id or ((covers or repairs) and new.connected_at >= old.connected_at)


def _with_status_of(new: Token, old: Token) -> Token:
    same = new.connection_id == old.connection_id
    if not same or (is_pair_id(new.connection_id) and not new.same_login(old)):
        return old
    return replace(
        old,
        status=new.status,
        status_detail=new.status_detail,
        suspected=None,
        suspected_since=None,
    )


def fits(connection: Connection) -> bool:
    """Whether a connection, with its ciphertexts, fits into one item of the table and into an answer."""
    if len(connection.tokens) > MAX_TOKENS:
        return False
    size = (
        sum(map(_token_bytes, connection.tokens))
        + sum(map(len, connection.ciphertexts.values()))
        + sum(len(one.encode()) + _TIME_BYTES + 3 for one in connection.ending_entities)
        + sum(len(one.encode()) + 1 for one in connection.refused_entities)
    )
    shown = sum(map(_shown_bytes, connection.tokens))
    return size <= MAX_LOGIN_BYTES and shown <= MAX_SHOWN_BYTES


def _shown_bytes(token: Token) -> int:
    # An answer has each id in two places.
    return sum(
        2 * len(one.encode()) + len(token.entities.get(one, "")) + _SHOWN_PER_ENTITY
        for one in token.entity_ids.union(token.entities)
    )


def _token_bytes(token: Token) -> int:
    # DynamoDB counts the bytes of each string in a set plus one, and of each map entry plus three.
    # The id is also the key of the ciphertext. The connection id is also listed as live, ended and idle,
    # and is the key of its last use.
    texts = (
        *(token.id, token.id, *(token.connection_id,) * 5),
        *(token.account_id or "", token.finch_customer_id or "", token.status_detail or ""),
        *token.products,
    )
    # Ids that have a status are stored once.
    without_status = dict.fromkeys(token.entity_ids - token.entities.keys(), "")
    return (
        _FIXED_BYTES
        + sum(len(one.encode()) + 1 for one in texts)
        + sum(len(name.encode()) + len(value.encode()) + 3 for name, value in token.methods.items())
        + sum(len(packed(one)) for one in (token.entities, without_status) if one)
    )


def packed(statuses: Mapping[str, str]) -> bytes:
    """The ids of entities with their statuses, compressed: a table stores them in this form."""
    by_status: dict[str, list[str]] = {}
    for entity_id, status in sorted(statuses.items()):
        by_status.setdefault(status, []).append(entity_id)
    return zlib.compress(json.dumps(by_status, separators=(",", ":")).encode())


def unpacked(content: bytes) -> dict[str, str]:
    """The statuses that `packed` wrote, by the id of the entity."""
    by_status: dict[str, list[str]] = json.loads(zlib.decompress(content))
    return {entity_id: status for status, ids in by_status.items() for entity_id in ids}


def urgency(status: ConnectionStatus) -> int:
    """The rank of a status: 0 is the most urgent."""
    return _MOST_URGENT_FIRST.index(status)


def most_urgent(statuses: Iterable[ConnectionStatus]) -> ConnectionStatus:
    """The most urgent of these statuses."""
    return min(statuses, key=urgency)


def status_of_tokens(tokens: Sequence[Token]) -> ConnectionStatus:
    """The most urgent status of the logins that still read an entity, or else of all logins."""
    return most_urgent(one.status for one in _reading(tokens))


def _reading(tokens: Sequence[Token]) -> Sequence[Token]:
    return [one for one in tokens if not one.reads_nothing] or tokens


def disconnecting(connection: Connection, now: datetime) -> Connection:
    """The connection marked as `disconnecting`. Its tokens stay until Finch has confirmed the end of each."""
    after = replace(
        connection,
        status=ConnectionStatus.DISCONNECTING,
        disconnecting_since=now,
        ending_entities={},
        refused_entities=frozenset(),
        due_at=None,
        problem=None,
        updated_at=now,
        revision=connection.revision + 1,
    )
    return remembering(connection, after, now)


def entity_disconnecting(connection: Connection, entity_id: str, now: datetime) -> Connection:
    """The connection with an entity marked as `disconnecting`.

    The same object if the entity or the connection is on its way or has ended. If no other entity would
    stay, the whole connection is `disconnecting`. Raises `ConnectionNotFound` if the connection has no
    such entity; a disconnected connection has forgotten its entities. Raises `ConnectionBusy` if too
    many entities are on their way, or the item has no room for another mark.
    """
    if connection.status is ConnectionStatus.DISCONNECTED:
        return connection
    if entity_id not in connection.entity_ids:
        raise ConnectionNotFound
    if (
        connection.status is ConnectionStatus.DISCONNECTING
        or entity_id in connection.ending_entities
        or entity_id not in connection.living_entities
    ):
        return connection
    if not connection.living_entities - connection.ending_entities.keys() - {entity_id}:
        return disconnecting(connection, now)
    marked = replace(
        connection,
        ending_entities={**connection.ending_entities, entity_id: now},
        refused_entities=connection.refused_entities - {entity_id},
        due_at=None,
        updated_at=now,
        revision=connection.revision + 1,
    )
    if len(marked.ending_entities) > MAX_ENDING_ENTITIES or not fits(marked):
        raise ConnectionBusy
    return remembering(connection, marked, now)


def entity_disconnected(
    connection: Connection, entity_id: str, connection_ids: Collection[str], now: datetime
) -> Connection:
    """The connection after Finch has confirmed the end of an entity in these Finch connections."""
    tokens = tuple(
        replace(one, entities={**one.entities, entity_id: ConnectionStatus.DISCONNECTED.value})
        if one.connection_id in connection_ids and entity_id in one.living_entities
        else one
        for one in connection.tokens
    )
    refused = connection.problem == DISCONNECT_REFUSED
    after = replace(
        with_living_marks(replace(connection, tokens=tokens)),
        status=connection.status if refused else status_of_tokens(tokens),
        updated_at=now,
        revision=connection.revision + 1,
    )
    return remembering(connection, after, now)


def entity_refused(connection: Connection, entity_id: str, now: datetime) -> Connection:
    """The connection after Finch has refused for days to end an entity, which keeps its status."""
    ending = {one: at for one, at in connection.ending_entities.items() if one != entity_id}
    after = replace(
        connection,
        ending_entities=ending,
        refused_entities=connection.refused_entities | {entity_id},
        updated_at=now,
        revision=connection.revision + 1,
    )
    return remembering(connection, after, now)


def with_living_marks(connection: Connection) -> Connection:
    """The connection without the marks of entities that have ended."""
    living = connection.living_entities
    ending = {one: at for one, at in connection.ending_entities.items() if one in living}
    return replace(
        connection,
        ending_entities=ending,
        refused_entities=connection.refused_entities & living,
    )


def partly_ended(
    connection: Connection,
    connection_ids: Collection[str],
    now: datetime,
    finch_request_id: str | None = None,
) -> Connection:
    """The connection with the ids that Finch has confirmed so far, without an event. All tokens stay."""
    entry = HistoryEntry.of(now, Step.ENDED_AT_FINCH, None, finch_request_id)
    return replace(
        noted(connection, entry),
        ended=frozenset(connection_ids),
        updated_at=now,
    )


def noted(connection: Connection, *entries: HistoryEntry) -> Connection:
    """The connection with entries in its history, without an event."""
    return replace(
        connection,
        history=added(connection.history, *entries),
        revision=connection.revision + 1,
        quiet_revision=connection.revision + 1,
    )


def disconnected(connection: Connection, now: datetime) -> Connection:
    """The connection without tokens, after Finch has confirmed the end of all its connection ids."""
    after = replace(
        connection,
        tokens=(),
        ciphertexts={},
        ended=frozenset(),
        disconnecting_since=None,
        ending_entities={},
        refused_entities=frozenset(),
        due_at=None,
        problem=TRANSFERRED if connection.problem == TRANSFERRED else None,
        finch_key=None,
        used_at={},
        idle=frozenset(),
        status=ConnectionStatus.DISCONNECTED,
        updated_at=now,
        revision=connection.revision + 1,
    )
    return remembering(connection, after, now)


def transferred(connection: Connection, token: Token, now: datetime) -> Connection:
    """The connection after an operator gave its company to another customer, who has `token`.

    Tokens of that customer's login or Finch connection are dropped: to end them would end `token` too.
    Finch must end the other logins, so the connection is `disconnecting` until then.
    """
    left = tuple(one for one in connection.tokens if not token.covers(one))
    remaining = replace(
        connection,
        tokens=left,
        ciphertexts={one.id: connection.ciphertexts[one.id] for one in left},
        ended=frozenset(),
    )
    after = disconnecting(remaining, now) if left else disconnected(remaining, now)
    return remembering(connection, replace(after, problem=TRANSFERRED), now)


def free_to_connect(
    connection: Connection | None, customer_id: str, key: CompanyKey, now: datetime
) -> Connection | None:
    """The connection that asks its customer to log in: their token died while another owned the company.

    None if the customer has connected the company in the meantime.
    """
    if connection is None:
        status = ConnectionStatus.DISCONNECTED
        connection = Connection(customer_id, key, (), status, now, now, revision=0)
    if connection.status is not ConnectionStatus.DISCONNECTED:
        return None
    after = replace(
        connection, problem=CONNECT_AGAIN, updated_at=now, revision=connection.revision + 1
    )
    return remembering(connection, after, now)


def unused_since(connection: Connection, connection_id: str) -> datetime:
    """The last use of a Finch connection, to the day, or its oldest login if that is later."""
    logins = [one.connected_at for one in connection.tokens if one.connection_id == connection_id]
    return max(min(logins), connection.used_at.get(connection_id, min(logins)))


def unused(connection: Connection, before: datetime) -> frozenset[str]:
    """The Finch connections that were not used after `before`."""
    return frozenset(
        one for one in connection.connection_ids if unused_since(connection, one) <= before
    )


def with_idle(connection: Connection, before: datetime) -> Connection:
    """The checked connection, with the Finch connections marked that were not used after `before`.

    A new mark publishes an event. A write publishes one event, so if the check found another change, the
    next check sets the mark.
    """
    idle = unused(connection, before)
    if idle <= connection.idle:
        return replace(connection, idle=idle)
    if connection.quiet_revision != connection.revision:
        return replace(connection, idle=idle & connection.idle)
    return replace(connection, idle=idle, quiet_revision=None)


def reencrypted(connection: Connection, ciphertexts: Mapping[str, bytes]) -> Connection:
    """The connection with new ciphertexts of the same tokens, without an event."""
    return replace(
        connection,
        ciphertexts={**connection.ciphertexts, **ciphertexts},
        revision=connection.revision + 1,
        quiet_revision=connection.revision + 1,
    )


def restored(
    current: Connection | None, backup: Connection, alive: Sequence[Token], now: datetime
) -> Connection:
    """The connection with the tokens of a backup that are alive at Finch.

    The current data wins, because the backup is older. If the backup was `disconnecting`, and the
    connection has no token now, the disconnect goes on. Raises `ConnectionBusy` and `TooManyLogins`.
    """
    if current is None:
        current = replace(
            backup,
            tokens=(),
            ciphertexts={},
            revision=0,
            ended=frozenset(),
        )
    before = replace(current, history=added(current.history, HistoryEntry.of(now, Step.RESTORED)))
    if current.status is ConnectionStatus.DISCONNECTING and current.tokens:
        raise ConnectionBusy
    tokens = (*current.tokens, *alive)
    goes_on = backup.status is ConnectionStatus.DISCONNECTING and not current.tokens
    ciphertexts = {**current.ciphertexts} | {one.id: backup.ciphertexts[one.id] for one in alive}
    current = replace(current, tokens=tokens, ciphertexts=ciphertexts)
    if not fits(current):
        raise TooManyLogins
    after = replace(
        current,
        status=ConnectionStatus.DISCONNECTING if goes_on else status_of_tokens(tokens),
        disconnecting_since=now if goes_on else None,
        # The first look asks Finch about all tokens.
        due_at=now + FIRST_LOOK,
        checked_at=None,
        updated_at=now,
        revision=current.revision + 1,
    )
    return remembering(before, after, now)


def not_repaired(connection: Connection, now: datetime) -> Connection:
    """The connection after the customer tried to repair it, but logged in to another company.

    A problem that it already has stays, and a healthy connection gets none.
    """
    if connection.problem or connection.status is ConnectionStatus.CONNECTED:
        return connection
    after = replace(
        connection, problem=ANOTHER_COMPANY, updated_at=now, revision=connection.revision + 1
    )
    return remembering(connection, after, now)


def to_repair(connection: Connection, under_repair: str | None = None) -> Token:
    """The token to repair: the most urgent of the Finch connection `under_repair`, or else of all tokens.

    Raises `ConnectionNotFound` if the connection has no token, and `ConnectionBusy`.
    """
    if connection.status is ConnectionStatus.DISCONNECTING:
        raise ConnectionBusy
    if not connection.tokens:
        raise ConnectionNotFound
    preferred = [token for token in connection.tokens if token.connection_id == under_repair]
    tokens = preferred or _reading(connection.tokens)
    return min(tokens, key=lambda token: urgency(token.status))


def refused_for_days(since: datetime | None, now: datetime) -> bool:
    """Whether Finch has refused to end something from `since` until now, for `REFUSED_FOR` or longer."""
    return since is not None and now >= since + REFUSED_FOR


def disconnect_refused(connection: Connection, now: datetime) -> Connection:
    """The connection as `reauth`, with the tokens that Finch refused to end.

    The customer repairs it and disconnects it again: Finch accepts a disconnect from a working login.
    """
    tokens = tuple(
        replace(one, status=ConnectionStatus.REAUTH)
        for one in connection.tokens
        if one.connection_id not in connection.ended
    )
    after = replace(
        connection,
        tokens=tokens,
        ciphertexts={one.id: connection.ciphertexts[one.id] for one in tokens},
        ended=frozenset(),
        disconnecting_since=None,
        due_at=None,
        problem=DISCONNECT_REFUSED,
        status=ConnectionStatus.REAUTH,
        updated_at=now,
        revision=connection.revision + 1,
    )
    return remembering(connection, after, now)
