"""What Finch says of a token, when it grants one and when it is asked later, and the rules for both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

from finch_connections.domain.connection import (
    IDENTIFIER,
    CompanyKey,
    ConnectionStatus,
    Token,
    UnusableIdentifier,
    urgency,
)

# Finch's first "this token is dead" may be an error: we believe it when Finch repeats it after this.
DEAD_AGAIN_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class TokenResponse:
    """What Finch said when it exchanged a code, less the access token itself.

    `POST /auth/token` of Finch's API reference. `company_id`, `account_id` and `customer_id` may be
    missing; products are what was granted, not what was asked for.
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
        """What stands for the rest of an answer of which only the token could be read.

        It matches no introspection, so its token is kept and never attached.
        """
        return cls(connection_id="", provider_id="", products=frozenset())


@dataclass(frozen=True, eq=False, repr=False)
class Introspection:
    """What Finch says of a token now (`GET /introspect` of Finch's API reference).

    `token_id` names the token, not the connection. `status_detail` is Finch's own word where it is
    not one of its reference. `entities` and `methods` hold Finch's word for the status of each
    entity and each authentication method, `entity_names` the names that can be shown.
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
        """The ids of its entities."""
        return frozenset(self.entities)


def status_of(introspection: Introspection) -> tuple[ConnectionStatus, str | None]:
    """The most urgent status of a connection, its authentication methods and its entities.

    With Finch's own word where it is not known. An entity that was disconnected alone is none of
    the connection's troubles.
    """
    words = [
        *introspection.methods.values(),
        *(word for word in introspection.entities.values() if word != "disconnected"),
    ]
    told = [(introspection.status, introspection.status_detail)]
    told += [(ConnectionStatus.of_finch(word), word) for word in words]
    status, word = min(told, key=lambda one: urgency(one[0]))
    return status, word if status is ConnectionStatus.UNKNOWN else None


def company_key(token_response: TokenResponse) -> CompanyKey:
    """The key of a new row for what was granted.

    Where Finch gives no company id the connection id stands in for it. Raises `UnusableIdentifier`.
    """
    return CompanyKey(
        token_response.provider_id, token_response.company_id or token_response.connection_id
    )


def require_usable_ids(token_response: TokenResponse, introspection: Introspection) -> None:
    """Refuses ids that could not be told apart in keys or logs; raises `UnusableIdentifier`."""
    ids = [token_response.connection_id, introspection.token_id, *token_response.entity_ids]
    ids += introspection.entity_ids
    ids += [one for one in (token_response.account_id, introspection.account_id) if one is not None]
    if not all(IDENTIFIER.fullmatch(one) for one in ids):
        raise UnusableIdentifier


def token_of(
    token_response: TokenResponse,
    introspection: Introspection,
    finch_customer_id: str,
    connected_at: datetime,
) -> Token:
    """The token that a grant and its introspection describe.

    `finch_customer_id` is the name that Finch was told; the one that Finch names wins.
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
