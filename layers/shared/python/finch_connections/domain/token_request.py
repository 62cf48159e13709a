"""A request for a token: who wants to read what and why, and which token of a connection they get."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from finch_connections.domain.connection import (
    DISCONNECT_REFUSED,
    CompanyKey,
    Connection,
    ConnectionStatus,
    Token,
)


class Outcome(StrEnum):
    """What became of a request; all but the first two are reasons why there is no token."""

    VENDED = "vended"
    REPORTED = "reported"
    NOT_FOUND = "not_found"
    DISCONNECTED = "disconnected"
    REAUTH = "reauth"
    MISSING_PRODUCTS = "missing_products"
    PENDING = "pending"
    INVALID_REQUEST = "invalid_request"


@dataclass(frozen=True)
class TokenRequest:
    """What a backend asks for. `caller` is what it calls itself."""

    customer_id: str
    key: CompanyKey
    products: frozenset[str]
    purpose: str
    caller: str


@dataclass(frozen=True)
class Refused:
    """Why there is no token, with the status or the products that are the cause."""

    reason: Outcome
    status: ConnectionStatus | None = None
    missing: frozenset[str] = frozenset()


@dataclass(frozen=True)
class AuditRecord:
    """Who asked for a token when and why, and what became of it; never the token's text.

    Of a request that could not be understood, only what could be is there.
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


_OVER = (ConnectionStatus.DISCONNECTING, ConnectionStatus.DISCONNECTED)
_WAITING = (ConnectionStatus.PENDING, ConnectionStatus.PROCESSING)
# Nobody knows that it does not work, and Finch will say so.
_MAY_WORK = (ConnectionStatus.CONNECTED, ConnectionStatus.UNKNOWN)


def choose(connection: Connection, products: frozenset[str]) -> Token | Refused:
    """The token for these products: the newest that works and covers them, or why there is none.

    One that works comes before one of which Finch has said once that it does not, then one whose
    status nobody knows, then one that works for some of its entities. Where none does, a token whose
    data is still being fetched is the reason to wait, and else the one that needs a person. What its
    customer wants ended is not read any more, though Finch may refuse to end it.
    """
    ending = connection.status in _OVER or connection.problem == DISCONNECT_REFUSED
    if ending or not connection.tokens:
        return Refused(Outcome.DISCONNECTED, connection.status)
    newest_first = sorted(connection.tokens, key=lambda one: one.connected_at, reverse=True)
    covering = [one for one in newest_first if products <= one.products]
    if not covering:
        lacking = min((products - one.products for one in newest_first), key=len)
        return Refused(Outcome.MISSING_PRODUCTS, missing=lacking)
    usable = [one for one in covering if one.status in _MAY_WORK or _works_in_part(one)]
    if usable:
        return min(usable, key=_doubt)
    for token in covering:
        if token.status in _WAITING:
            return Refused(Outcome.PENDING, token.status)
    return Refused(Outcome.REAUTH, covering[0].status)


def readable_entities(token: Token) -> frozenset[str]:
    """The entities that may be read: one can need a person, or be disconnected, alone.

    "Reauthentication" in Finch's guide: the healthy ones keep working meanwhile.
    """
    if token.status in _MAY_WORK:
        gone = ConnectionStatus.DISCONNECTED
        return frozenset(one for one in token.entity_ids if token.entities.get(one) != gone)
    return frozenset(
        one for one, word in token.entities.items() if word == ConnectionStatus.CONNECTED
    )


def _works_in_part(token: Token) -> bool:
    """Whether it is an entity that is in trouble, and not the connection with all of them."""
    return bool(readable_entities(token)) and any(
        word != ConnectionStatus.CONNECTED for word in token.entities.values()
    )


def _doubt(token: Token) -> tuple[bool, bool, bool]:
    return (
        token.status not in _MAY_WORK,
        token.status is not ConnectionStatus.CONNECTED,
        token.suspected is not None,
    )
