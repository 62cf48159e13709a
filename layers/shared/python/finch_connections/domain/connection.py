"""A connection: what a customer has connected at one provider for one employer, and the rules it keeps."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from finch_connections.domain.display_name import that_fit
from finch_connections.domain.errors import InvalidRequest, Refusal

IDENTIFIER = re.compile(r"[A-Za-z0-9_.-]{1,200}")

# What Finch refuses to end for longer is given back to its customer.
REFUSED_FOR = timedelta(days=3)
DISCONNECT_REFUSED = "disconnect_refused"
ANOTHER_COMPANY = "another_company"
# A connection that nobody has asked Finch about for longer is looked at by the sweep.
CHECKED_EVERY = timedelta(days=1)

# Keep an item below DynamoDB's 400 KB. A token takes at most about 2 KB besides its sets.
MAX_TOKENS = 50
MAX_SET_BYTES = 250_000


class ConnectionNotFound(Refusal):
    """You have no such connection."""

    code = "connection_not_found"


class ConnectionBusy(Refusal):
    """This connection is being disconnected; try again when that is done."""

    code = "connection_busy"


class DisconnectRefused(Refusal):
    """Finch has refused for days to end this connection; repair it, then disconnect it again."""

    code = DISCONNECT_REFUSED


class TooManyLogins(Refusal):
    """This connection has as many logins as it can hold; disconnect it before connecting again."""

    code = "too_many_logins"


class UnusableIdentifier(Refusal):
    """Finch named an id that cannot be part of a key."""

    code = "cannot_connect"


class ConnectionStatus(StrEnum):
    """Finch's words for a connection, then ours (`connection_status_type` of Finch's API reference)."""

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
    def of_finch(cls, word: str) -> Self:
        """The status behind Finch's word; `unknown` for a word that is not in its reference."""
        known = {status.value for status in cls} - {"unknown", "disconnecting", "disconnected"}
        return cls(word if word in known else "unknown")

    @classmethod
    def of_part(cls, word: str) -> Self:
        """The status of an entity or an authentication method: an entity may be disconnected alone."""
        return cls(word) if word == "disconnected" else cls.of_finch(word)


class Product(StrEnum):
    """What an application may ask of a payroll ("Products" in Finch's API reference)."""

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


# The connection shows the status that most needs a person. That a token is dead is never shown: it
# is dropped.
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
    """One employer at one provider, written `provider_id#company_id`; raises `UnusableIdentifier`."""

    provider_id: str
    company_id: str

    def __post_init__(self) -> None:
        for part in (self.provider_id, self.company_id):
            if not IDENTIFIER.fullmatch(part):
                raise UnusableIdentifier

    def __str__(self) -> str:
        return f"{self.provider_id}#{self.company_id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key behind its written form; raises `UnusableIdentifier`."""
        provider_id, _, company_id = text.partition("#")
        return cls(provider_id, company_id)


@dataclass(frozen=True)
class Token:
    """One Finch access token of a connection, without its text.

    `id` is the one that introspection gives it. `finch_customer_id` is the name under which Finch
    knows the customer for this token. `suspected` is a worse status that Finch has said once.
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

    def same_login(self, other: Self) -> bool:
        """Whether both came from one login; without an account id the `connection_id` decides."""
        return (self.connection_id, self.account_id) == (other.connection_id, other.account_id)

    def may_be_login_of(self, other: Self) -> bool:
        """Whether both came from one login, as far as Finch names the account: it need not."""
        accounts = {self.account_id, other.account_id} - {None}
        return self.connection_id == other.connection_id and len(accounts) <= 1


@dataclass(frozen=True)
class Connection:
    """A customer's link to one employer at one provider, whatever number of logins made it.

    `sealed` holds the encrypted text of each token by token id; it is empty where it was not read.
    `ended` are the connection ids whose end Finch has confirmed while others are still to be ended,
    `disconnecting_since` when that began. `checked_at` is when Finch was last asked about it.
    `next_look` is when its task comes again. `problem` is a stable word for what went wrong besides.
    `provider_name`, `company_name` and `entity_names`, by entity id, are for people alone.
    `revision` grows by one with every write and makes each write conditional on the one before;
    `quiet_revision` is one that changes nothing others are told of, and is not read again.
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
    next_look: datetime | None = None
    checked_at: datetime | None = None
    problem: str | None = None
    provider_name: str | None = None
    company_name: str | None = None
    entity_names: Mapping[str, str] = field(default_factory=dict)
    quiet_revision: int | None = field(default=None, compare=False)
    ciphertexts: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def connection_ids(self) -> tuple[str, ...]:
        """Finch's connections behind this one, each once."""
        return tuple(dict.fromkeys(token.connection_id for token in self.tokens))

    @property
    def entity_ids(self) -> frozenset[str]:
        """The entities of all of its logins."""
        return frozenset().union(*(token.entity_ids.union(token.entities) for token in self.tokens))

    @property
    def best_company_name(self) -> str | None:
        """What a person knows the company by: its legal name, else the one that all entities have.

        Finch names the only entity of a company anew in each of its connections.
        """
        names = set(self.entity_names.values())
        if self.company_name or len(names) != 1 or self.entity_ids - self.entity_names.keys():
            return self.company_name
        [name] = names
        return name


def require_key(provider_id: str, company_id: str) -> CompanyKey:
    """The key that a caller named; raises `ConnectionNotFound` where no connection can have it."""
    try:
        return CompanyKey(provider_id, company_id)
    except UnusableIdentifier as error:
        raise ConnectionNotFound from error


def require_statuses(words: str) -> frozenset[ConnectionStatus]:
    """The statuses in a comma-separated list; raises `InvalidRequest`."""
    try:
        return frozenset(ConnectionStatus(word) for word in words.split(","))
    except ValueError as error:
        known = ", ".join(ConnectionStatus)
        raise InvalidRequest(f"status takes a comma-separated list of: {known}.") from error


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
    """The connection with one more token, made new where there was none.

    An older token of the same login whose products the new one covers is dropped: it is never
    disconnected, for that would end the new one too. What Finch says of the new one's connection id
    holds for all tokens of it. One that came from a repair replaces its login's older ones whatever
    they cover ("Reauthentication" in Finch's guide). Raises `ConnectionBusy` and `TooManyLogins`.
    """
    if connection is None:
        connection = Connection(customer_id, key, (), token.status, now, now, revision=0)
    if connection.status is ConnectionStatus.DISCONNECTING:
        raise ConnectionBusy
    if any(
        old.id == token.id and old.connection_id != token.connection_id for old in connection.tokens
    ):
        # Whatever Finch means by it, one of the two would be lost.
        raise UnusableIdentifier
    kept = [old for old in connection.tokens if not _replaces(token, old, repairing=repairing)]
    ciphertexts = {old.id: connection.ciphertexts[old.id] for old in kept}
    tokens = (*(_with_news(old, token) for old in kept), token)
    if len(tokens) > MAX_TOKENS or sum(map(_set_bytes, tokens)) > MAX_SET_BYTES:
        raise TooManyLogins
    return replace(
        with_entity_names(replace(connection, tokens=tokens), entity_names or {}),
        ciphertexts={**ciphertexts, token.id: ciphertext},
        status=most_urgent(one.status for one in tokens),
        problem=None,
        # Finch was asked about this connection id alone.
        checked_at=now
        if all(one.connection_id == token.connection_id for one in tokens)
        else connection.checked_at,
        updated_at=now,
        revision=connection.revision + 1,
    )


def with_entity_names(connection: Connection, told: Mapping[str, str]) -> Connection:
    """The connection with what its entities are called, as Finch told it now or before."""
    names = {**connection.entity_names, **told}
    there = {one: name for one, name in names.items() if one in connection.entity_ids}
    return replace(connection, entity_names=that_fit(there))


def token_for_name(connection: Connection) -> Token | None:
    """The token that can ask for the name of the company, if there is one: the newest that works.

    Of several entities Finch names each, and no company ("Multi-entity" in its guide).
    """
    if any(len(one.entity_ids.union(one.entities)) > 1 for one in connection.tokens):
        return None
    works = (
        token
        for token in reversed(connection.tokens)
        if token.status is ConnectionStatus.CONNECTED and Product.COMPANY in token.products
    )
    return next(works, None)


def named(
    connection: Connection, provider_name: str | None, company_name: str | None
) -> Connection:
    """The connection with its names; itself where they are what it has. Nobody is told of it."""
    if (provider_name, company_name) == (connection.provider_name, connection.company_name):
        return connection
    return replace(
        connection,
        provider_name=provider_name,
        company_name=company_name,
        revision=connection.revision + 1,
        quiet_revision=connection.revision + 1,
    )


def _replaces(new: Token, old: Token, *, repairing: bool) -> bool:
    covers = new.same_login(old) and new.products >= old.products
    mends = repairing and new.may_be_login_of(old)
    return new.id == old.id or ((covers or mends) and new.connected_at >= old.connected_at)


def _with_news(old: Token, new: Token) -> Token:
    if old.connection_id != new.connection_id:
        return old
    return replace(
        old,
        status=new.status,
        status_detail=new.status_detail,
        suspected=None,
        suspected_since=None,
    )


def _set_bytes(token: Token) -> int:
    # DynamoDB counts the bytes of a set's strings and one for each of them.
    # A map takes three bytes and one for each entry besides.
    words = (*token.entity_ids, *token.products)
    parts = [*token.entities.items(), *token.methods.items()]
    return sum(len(one.encode()) + 1 for one in words) + sum(
        len(name.encode()) + len(word.encode()) + 3 for name, word in parts
    )


def urgency(status: ConnectionStatus) -> int:
    """The place of a status among those that need a person, the most urgent first."""
    return _MOST_URGENT_FIRST.index(status)


def most_urgent(statuses: Iterable[ConnectionStatus]) -> ConnectionStatus:
    """The status that most needs a person."""
    return min(statuses, key=urgency)


def disconnecting(connection: Connection, now: datetime) -> Connection:
    """The connection on its way out: its tokens stay until Finch has confirmed every one."""
    return replace(
        connection,
        status=ConnectionStatus.DISCONNECTING,
        disconnecting_since=now,
        # Its task is another than the one before.
        next_look=None,
        problem=None,
        updated_at=now,
        revision=connection.revision + 1,
    )


def partly_ended(
    connection: Connection, connection_ids: Collection[str], now: datetime
) -> Connection:
    """The connection with a note of what Finch has confirmed so far; all of its tokens stay."""
    return replace(
        connection,
        ended=frozenset(connection_ids),
        updated_at=now,
        revision=connection.revision + 1,
        quiet_revision=connection.revision + 1,
    )


def disconnected(connection: Connection, now: datetime) -> Connection:
    """The connection after Finch has confirmed every one of its connection ids: no token is left."""
    return replace(
        connection,
        tokens=(),
        ciphertexts={},
        ended=frozenset(),
        disconnecting_since=None,
        problem=None,
        status=ConnectionStatus.DISCONNECTED,
        updated_at=now,
        revision=connection.revision + 1,
    )


def reencrypted(connection: Connection, ciphertexts: Mapping[str, bytes]) -> Connection:
    """The connection with other ciphertexts of the same tokens; others are told of nothing."""
    return replace(
        connection,
        ciphertexts={**connection.ciphertexts, **ciphertexts},
        revision=connection.revision + 1,
        quiet_revision=connection.revision + 1,
    )


def restored(
    there: Connection | None, backup: Connection, alive: Sequence[Token], now: datetime
) -> Connection:
    """The connection with those tokens of a backup of it that Finch says are alive.

    What is there now stays as it is: a backup is older than that. Where its customer wanted it ended,
    and nobody has wanted it back, it is on its way out again. Raises `ConnectionBusy`.
    """
    if there is None:
        there = replace(
            backup,
            tokens=(),
            ciphertexts={},
            revision=0,
            ended=frozenset(),
            disconnecting_since=None,
        )
    if there.status is ConnectionStatus.DISCONNECTING and there.tokens:
        raise ConnectionBusy
    tokens = (*there.tokens, *alive)
    goes_on = backup.status is ConnectionStatus.DISCONNECTING and not there.tokens
    return replace(
        there,
        tokens=tokens,
        ciphertexts={**there.ciphertexts, **{one.id: backup.ciphertexts[one.id] for one in alive}},
        status=ConnectionStatus.DISCONNECTING
        if goes_on
        else most_urgent(one.status for one in tokens),
        disconnecting_since=now if goes_on else None,
        next_look=None,
        # All of it is looked at again at once.
        checked_at=None,
        updated_at=now,
        revision=there.revision + 1,
    )


def not_repaired(connection: Connection, now: datetime) -> Connection:
    """The connection to be repaired after the person logged in to another company.

    That Finch would not end it stays the greater trouble, and a healthy one has none.
    """
    if connection.problem or connection.status is ConnectionStatus.CONNECTED:
        return connection
    return replace(
        connection, problem=ANOTHER_COMPANY, updated_at=now, revision=connection.revision + 1
    )


def to_repair(connection: Connection, under_repair: str | None = None) -> Token:
    """The token whose login needs the person most, or one of what is `under_repair` if it is there.

    Raises `ConnectionNotFound` where none is left, and `ConnectionBusy`.
    """
    if connection.status is ConnectionStatus.DISCONNECTING:
        raise ConnectionBusy
    if not connection.tokens:
        raise ConnectionNotFound
    begun = [one for one in connection.tokens if one.connection_id == under_repair]
    return min(begun or connection.tokens, key=lambda token: urgency(token.status))


def refused_for_days(since: datetime | None, now: datetime) -> bool:
    """Whether Finch has refused to end something from `since` until now, for `REFUSED_FOR` or longer."""
    return since is not None and now >= since + REFUSED_FOR


def disconnect_refused(connection: Connection, now: datetime) -> Connection:
    """The connection back in its customer's hands, with what Finch would not end.

    To be repaired and disconnected again: Finch takes that from a login that works.
    """
    tokens = tuple(
        replace(one, status=ConnectionStatus.REAUTH)
        for one in connection.tokens
        if one.connection_id not in connection.ended
    )
    return replace(
        connection,
        tokens=tokens,
        ciphertexts={one.id: connection.ciphertexts[one.id] for one in tokens},
        ended=frozenset(),
        disconnecting_since=None,
        problem=DISCONNECT_REFUSED,
        status=ConnectionStatus.REAUTH,
        updated_at=now,
        revision=connection.revision + 1,
    )
