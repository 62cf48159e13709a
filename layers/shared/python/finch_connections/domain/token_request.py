"""A backend's request for a token or a call of Finch, and the rule that chooses a token of the connection."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from finch_connections.domain.connection import (
    ANOTHER_TOKEN,
    DISCONNECT_REFUSED,
    CompanyKey,
    Connection,
    ConnectionStatus,
    Token,
)

if TYPE_CHECKING:
    from finch_connections.domain.finch_call import FinchCall


class Outcome(StrEnum):
    """The outcome of a request. All but the first four are reasons to refuse it."""

    VENDED = "vended"
    CALLED = "called"
    REPORTED = "reported"
    LISTED = "listed"
    NOT_FOUND = "not_found"
    DISCONNECTED = "disconnected"
    REAUTH = "reauth"
    MISSING_PRODUCTS = "missing_products"
    PENDING = "pending"
    INVALID_REQUEST = "invalid_request"
    PATH_NOT_ALLOWED = "path_not_allowed"
    ENTITY_NEEDED = "entity_needed"
    RATE_LIMITED = "rate_limited"
    NOT_READY = "not_ready"
    TOO_LARGE = "too_large"
    FINCH_UNAVAILABLE = "finch_unavailable"


@dataclass(frozen=True)
class TokenRequest:
    """A backend's request for a token, or for a `call` with it. The backend names itself in `caller`."""

    customer_id: str
    key: CompanyKey
    products: frozenset[str]
    purpose: str
    caller: str
    call: "FinchCall | None" = None


@dataclass(frozen=True)
class Refused:
    """The reason to refuse a request, with the status or the missing products that caused it.

    `entity_ids` are the entities of which the call must name one, `retry_after` the seconds to wait.
    """

    reason: Outcome
    status: ConnectionStatus | None = None
    missing: frozenset[str] = frozenset()
    entity_ids: frozenset[str] = frozenset()
    retry_after: int | None = None


@dataclass(frozen=True)
class AuditRecord:
    """The record of a request: caller, time, purpose, call and outcome; never the token's text or a body.

    The record of an invalid request has only the fields that could be read.
    """

    customer_id: str
    at: datetime
    outcome: Outcome
    caller: str | None = None
    purpose: str | None = None
    provider_id: str | None = None
    company_id: str | None = None
    products: frozenset[str] = frozenset()
    connection_id: str | None = None
    token_id: str | None = None
    call: str | None = None


_OVER = (ConnectionStatus.DISCONNECTING, ConnectionStatus.DISCONNECTED)
_WAITING = (ConnectionStatus.PENDING, ConnectionStatus.PROCESSING)
# An `unknown` status may work, and Finch refuses the token if not.
_MAY_WORK = (ConnectionStatus.CONNECTED, ConnectionStatus.UNKNOWN)


def choose(connection: Connection, products: frozenset[str]) -> Token | Refused:
    """The newest working token that covers these products, or the reason to refuse.

    Prefers a connected token, then a connected token with a suspected worse status, then a token with
    an unknown status, then a token that works for some of its entities. Otherwise the reason is
    `pending` if a token still waits for its first data, else `reauth`. A connection that its customer
    has disconnected is not read any more, even if Finch refuses to end it. A token that Finch describes
    as another is not given: it could read another company.
    """
    ending = connection.status in _OVER or connection.problem == DISCONNECT_REFUSED
    if ending or not connection.tokens:
        return Refused(Outcome.DISCONNECTED, connection.status)
    newest_first = sorted(connection.tokens, key=lambda one: one.connected_at, reverse=True)
    newest_first = [one for one in newest_first if one.status_detail != ANOTHER_TOKEN]
    if not newest_first:
        return Refused(Outcome.REAUTH, connection.status)
    covering = [one for one in newest_first if products <= one.products]
    if not covering:
        lacking = min((products - one.products for one in newest_first), key=len)
        return Refused(Outcome.MISSING_PRODUCTS, missing=lacking)
    usable = [one for one in covering if _usable(one, connection)]
    if usable:
        return min(usable, key=_doubt)
    for token in covering:
        if token.status in _WAITING:
            return Refused(Outcome.PENDING, token.status)
    status = covering[0].status
    # No entity is left to read. A health check has not seen it yet.
    return Refused(Outcome.REAUTH, ConnectionStatus.REAUTH if status in _MAY_WORK else status)


def readable_entities(token: Token, connection: Connection) -> frozenset[str]:
    """The ids of the entities that the token can read.

    A single entity can need a login or be disconnected, while the others keep working
    ("Reauthentication" in Finch's guide). An entity that its customer has disconnected is not read any
    more, even if Finch refuses to end it.
    """
    unwanted = connection.refused_entities.union(connection.ending_entities)
    if token.status in _MAY_WORK:
        return (token.entity_ids & token.living_entities) - unwanted
    works = ConnectionStatus.CONNECTED
    return frozenset(one for one, status in token.entities.items() if status == works) - unwanted


def _usable(token: Token, connection: Connection) -> bool:
    """Whether the token works, at least for some entities, and has any if the login has entities."""
    readable = readable_entities(token, connection)
    if token.status in _MAY_WORK:
        return bool(readable) or not token.entity_ids
    return bool(readable) and any(
        status != ConnectionStatus.CONNECTED for status in token.entities.values()
    )


def _doubt(token: Token) -> tuple[bool, bool, bool]:
    return (
        token.status not in _MAY_WORK,
        token.status is not ConnectionStatus.CONNECTED,
        token.suspected is not None,
    )
