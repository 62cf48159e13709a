"""Finch's token response and introspection, and the rules for both."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from finch_connections.domain.connection import (
    CompanyKey,
    ConnectionStatus,
    Token,
    UnusableIdentifier,
    is_pair_id,
    pair_id,
    urgency,
)
from finch_connections.domain.identifier import is_finch_id
from finch_connections.domain.secret import SecretText

# Finch's first "this token is dead" may be an error. We believe it if Finch repeats it after this time.
DEAD_AGAIN_AFTER = timedelta(hours=1)
# So many entities with ids of 36 characters fit into an item with any status of Finch: see `fits`.
MOST_ENTITIES = 10_000
_OWN_TOKEN_ID = "own-"  # noqa: S105


@dataclass(frozen=True)
class TokenResponse:
    """Finch's response to the exchange of a code, without the access token itself.

    See `POST /auth/token` in Finch's API reference. Any field may be missing. `connection_id` is then the
    `pair_id`, or empty if Finch does not name provider and company either. `provider_id` is then
    empty. `products` are the granted products, not the requested.
    """

    connection_id: str = ""
    provider_id: str = ""
    products: frozenset[str] = frozenset()
    entity_ids: frozenset[str] = frozenset()
    company_id: str | None = None
    account_id: str | None = None
    customer_id: str | None = None

    @property
    def names_connection(self) -> bool:
        """Whether the response names provider and connection, in one way or the other."""
        return bool(self.provider_id and self.connection_id)

    @property
    def pair_id(self) -> str:
        """The id of the connection where Finch does not name it: see `connection.pair_id`."""
        return pair_id(self.provider_id, self.company_id)

    @property
    def usable_company_id(self) -> str | None:
        """Finch's id of the company; None if provider or company is missing or unusable."""
        return self.company_id if self.pair_id else None

    def completed(self, introspection: "Introspection") -> Self:
        """The response with the fields that only the introspection has."""
        provider_id = self.provider_id or introspection.provider_id or ""
        company_id = self.company_id or introspection.company_id
        known = "" if is_pair_id(self.connection_id) else self.connection_id
        return replace(
            self,
            connection_id=known or introspection.connection_id or pair_id(provider_id, company_id),
            provider_id=provider_id,
            company_id=company_id,
        )


@dataclass(frozen=True, eq=False, repr=False)
class Introspection:
    """Finch's current description of a token (`GET /introspect` in Finch's API reference).

    `token_id` is the id of the token, not of the connection; `own_token_id` if Finch names none. Any
    other field may be missing. A missing status is `unknown`. `status_detail` is a status of Finch that
    its reference does not list. `entities` and `methods` have Finch's status of each entity by id and of
    each authentication method by type. `entity_names` has the names that are safe to show.
    """

    token_id: str
    client_id: str | None
    connection_id: str | None
    provider_id: str | None
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


def own_token_id(token: SecretText) -> str:
    """The id of a token that Finch gives no id. It is the same for the same token."""
    return f"{_OWN_TOKEN_ID}{token.digest()[:32]}"


def same_token(one: str, other: str) -> bool:
    """Whether two token ids may mean the same token: Finch may name an id at some times only."""
    return one == other or one.startswith(_OWN_TOKEN_ID) != other.startswith(_OWN_TOKEN_ID)


def same_connection(connection_id: str, introspection: Introspection) -> bool:
    """Whether an introspection describes this Finch connection, as far as Finch names it."""
    known = introspection.connection_id
    return not known or known == connection_id or is_pair_id(connection_id)


def describes(introspection: Introspection, token: Token, names: Collection[CompanyKey]) -> bool:
    """Whether an introspection describes this token, although Finch may have renamed its company.

    An id that Finch names decides. Without any, the provider and company that Finch names must be among
    `names`.
    """
    if not (
        same_token(introspection.token_id, token.id)
        and same_connection(token.connection_id, introspection)
    ):
        return False
    named_token = introspection.token_id == token.id and not token.id.startswith(_OWN_TOKEN_ID)
    return (
        named_token
        or introspection.connection_id == token.connection_id
        or any(
            introspection.provider_id in (None, name.provider_id)
            and introspection.company_id in (None, name.company_id)
            for name in names
        )
    )


def finch_name_of(key: CompanyKey, described: TokenResponse | Introspection) -> CompanyKey:
    """Finch's name for the company of a connection. Raises `UnusableIdentifier`."""
    return CompanyKey(
        described.provider_id or key.provider_id, described.company_id or key.company_id
    )


def status_of(introspection: Introspection) -> tuple[ConnectionStatus, str | None]:
    """The most urgent status of a connection, its authentication methods and its entities.

    The second value is Finch's status if the first is `unknown`. An entity that was disconnected alone
    does not affect the connection. If all were, the status is `reauth`: the token reads nothing, but its
    connection lives, and a new login brings its entities back ("Disconnect Connections" in Finch's
    guide). If Finch gives no status for the connection, its parts decide.
    """
    entities = [one for one in introspection.entities.values() if one != "disconnected"]
    if introspection.entities and not entities:
        return ConnectionStatus.REAUTH, None
    parts = [*introspection.methods.values(), *entities]
    parts = [one for one in parts if one != ConnectionStatus.UNKNOWN]
    statuses: list[tuple[ConnectionStatus, str | None]] = [
        (ConnectionStatus.of_finch(part), part) for part in parts
    ]
    named = introspection.status is not ConnectionStatus.UNKNOWN or introspection.status_detail
    if named or not statuses:
        statuses.append((introspection.status, introspection.status_detail))
    status, detail = min(statuses, key=lambda one: urgency(one[0]))
    return status, detail if status is ConnectionStatus.UNKNOWN else None


def company_key(token_response: TokenResponse) -> CompanyKey:
    """The key of a new connection for this token response.

    Without a company id from Finch, the connection id takes its place. Raises `UnusableIdentifier`.
    """
    return CompanyKey(
        token_response.provider_id, token_response.company_id or token_response.connection_id
    )


def contradict(token_response: TokenResponse, introspection: Introspection) -> bool:
    """Whether the two name different connections, providers or companies for the same token."""
    known = "" if is_pair_id(token_response.connection_id) else token_response.connection_id
    pairs = (
        (known, introspection.connection_id),
        (token_response.provider_id, introspection.provider_id),
        (token_response.company_id, introspection.company_id),
    )
    return any(one and other and one != other for one, other in pairs)


def require_usable_ids(token_response: TokenResponse, introspection: Introspection) -> None:
    """Raises `UnusableIdentifier` if an id is empty, too long or not printable."""
    ids = [introspection.token_id, *token_response.entity_ids]
    if not is_pair_id(token_response.connection_id):
        ids.append(token_response.connection_id)
    elif token_response.connection_id != pair_id(
        token_response.provider_id, token_response.company_id
    ):
        raise UnusableIdentifier
    ids += [one for one in (token_response.account_id, introspection.account_id) if one is not None]
    if not all(map(is_finch_id, ids)) or not usable_entities(introspection):
        raise UnusableIdentifier


def usable_entities(introspection: Introspection) -> bool:
    """Whether the entities can be stored: their ids are usable, and not too many."""
    ids = introspection.entity_ids
    return len(ids) <= MOST_ENTITIES and all(map(is_finch_id, ids))


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
