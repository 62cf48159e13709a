"""Finch's token response and introspection, and the rules for both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

from finch_connections.domain.connection import (
    CompanyKey,
    ConnectionStatus,
    Token,
    UnusableIdentifier,
    urgency,
)
from finch_connections.domain.identifier import is_finch_id

# Finch's first "this token is dead" may be an error: we believe it when Finch repeats it after this.
DEAD_AGAIN_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class TokenResponse:
    """Finch's response to the exchange of a code, without the access token itself.

    See `POST /auth/token` in Finch's API reference. `company_id`, `account_id` and `customer_id` may be
    missing. `products` are the granted products, not the requested.
    """

    connection_id: str
    provider_id: str
    products: frozenset[str]
    entity_ids: frozenset[str] = frozenset()
    company_id: str | None = None
    account_id: str | None = None
    customer_id: str | None = None

    @classmethod
    def unreadable(cls) -> Self:
        """The placeholder for a response in which only the access token could be read.

        It matches no introspection, so the token is kept and never attached.
        """
        return cls(connection_id="", provider_id="", products=frozenset())


@dataclass(frozen=True, eq=False, repr=False)
class Introspection:
    """Finch's current description of a token (`GET /introspect` in Finch's API reference).

    `token_id` is the id of the token, not of the connection. `status_detail` is Finch's status if its
    reference does not list it. `entities` and `methods` hold Finch's status of each entity by id and of
    each authentication method by type. `entity_names` has the names that are safe to show.
    """

    token_id: str
    client_id: str
    connection_id: str
    provider_id: str
    products: frozenset[str]
    status: ConnectionStatus
    status_detail: str | None = None
    company_id: str | None = None
    account_id: str | None = None
    customer_id: str | None = None
    entities: Mapping[str, str] = field(default_factory=dict)
    methods: Mapping[str, str] = field(default_factory=dict)
    entity_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def entity_ids(self) -> frozenset[str]:
        """The ids of the token's entities."""
        return frozenset(self.entities)


def status_of(introspection: Introspection) -> tuple[ConnectionStatus, str | None]:
    """The most urgent status of a connection, its authentication methods and its entities.

    The second value is Finch's status if the first is `unknown`. An entity that was disconnected alone
    does not affect the connection.
    """
    parts = [
        *introspection.methods.values(),
        *(one for one in introspection.entities.values() if one != "disconnected"),
    ]
    statuses = [(introspection.status, introspection.status_detail)]
    statuses += [(ConnectionStatus.of_finch(part), part) for part in parts]
    status, detail = min(statuses, key=lambda one: urgency(one[0]))
    return status, detail if status is ConnectionStatus.UNKNOWN else None


def company_key(token_response: TokenResponse) -> CompanyKey:
    """The key of a new connection for this token response.

    Without a company id from Finch, the connection id takes its place. Raises `UnusableIdentifier`.
    """
    return CompanyKey(
        token_response.provider_id, token_response.company_id or token_response.connection_id
    )


def require_usable_ids(token_response: TokenResponse, introspection: Introspection) -> None:
    """Raises `UnusableIdentifier` if an id is empty, too long or not printable."""
    ids = [token_response.connection_id, introspection.token_id, *token_response.entity_ids]
    ids += introspection.entity_ids
    ids += [one for one in (token_response.account_id, introspection.account_id) if one is not None]
    if not all(map(is_finch_id, ids)):
        raise UnusableIdentifier


def token_of(
    token_response: TokenResponse,
    introspection: Introspection,
    finch_customer_id: str,
    connected_at: datetime,
) -> Token:
    """The token that a token response and its introspection describe.

    `finch_customer_id` is the customer id that we sent to Finch. The id in Finch's answers wins.
    """
    status, detail = status_of(introspection)
    return Token(
        id=introspection.token_id,
        connection_id=token_response.connection_id,
        products=token_response.products or introspection.products,
        status=status,
        connected_at=connected_at,
        entity_ids=introspection.entity_ids or token_response.entity_ids,
        status_detail=detail,
        account_id=introspection.account_id or token_response.account_id,
        finch_customer_id=token_response.customer_id
        or introspection.customer_id
        or finch_customer_id,
        entities=introspection.entities,
        methods=introspection.methods,
    )
