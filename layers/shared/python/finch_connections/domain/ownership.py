"""A claim: who owns a company or a Finch connection, so that no customer can cut off another's."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Self

from finch_connections.domain.connection import CompanyKey, Connection, ConnectionBusy
from finch_connections.domain.errors import Refusal
from finch_connections.domain.token_response import TokenResponse, company_key


class OwnedByAnother(Refusal):
    """This company cannot be connected to your account."""

    # The neutral word: whether and by whom it is connected elsewhere is nobody else's business.
    code = "cannot_connect"


@dataclass(frozen=True)
class Ownership:
    """A company or a Finch connection, `claimed` by one connection of one customer."""

    owned_id: str
    customer_id: str
    key: CompanyKey

    @classmethod
    def of_company(cls, customer_id: str, key: CompanyKey) -> Self:
        """A customer's claim on an employer at a provider."""
        return cls(owned_id_of_company(key), customer_id, key)

    @classmethod
    def of_connection_id(cls, connection_id: str, customer_id: str, key: CompanyKey) -> Self:
        """A customer's claim on one of Finch's connections."""
        return cls(owned_id_of_connection(connection_id), customer_id, key)


@dataclass(frozen=True)
class OwnershipRecord:
    """All that is claimed of a company or a Finch connection.

    `holders` are the connect sessions that keep a token of it, by their hashes; `discarding` is the
    one of them that is having it ended at Finch. `offered_to` is one that leads its person to it,
    where Finch has a connection and nobody here a token.
    """

    owned_id: str
    owner: Ownership | None = None
    holders: frozenset[str] = frozenset()
    discarding: str | None = None
    offered_to: str | None = None


class Discard(Enum):
    """What becomes of a kept token that nobody confirms."""

    END = auto()
    """Finch is told to end its connection."""
    DROP = auto()
    """Another token of its connection is kept, and would be ended with it."""
    ASK = auto()
    """Ending it might end somebody's connection to the same company: a person must decide."""


def owned_id_of_connection(connection_id: str) -> str:
    """What a claim on this Finch connection claims."""
    return f"connection#{connection_id}"


def owned_id_of_company(key: CompanyKey) -> str:
    """What a claim on this employer at a provider claims."""
    return f"company#{key}"


def row_of(
    token_response: TokenResponse, customer_id: str, record: OwnershipRecord | None
) -> CompanyKey:
    """The key of the connection that a grant belongs to, given the claim on its `connection_id`.

    Where the `connection_id` already has a row, that row stays its row, also when Finch has learnt
    the company id since. Another company than that row's is never put there. Raises
    `OwnedByAnother`, `ConnectionBusy` and `UnusableIdentifier`.
    """
    if record and record.discarding:
        raise ConnectionBusy
    owner = record.owner if record else None
    if owner is None:
        return company_key(token_response)
    if owner.customer_id != customer_id or owner.key.provider_id != token_response.provider_id:
        raise OwnedByAnother
    stands_in = owner.key.company_id == token_response.connection_id
    if (
        token_response.company_id
        and not stands_in
        and token_response.company_id != owner.key.company_id
    ):
        raise OwnedByAnother
    return owner.key


def freed(before: Connection, after: Connection) -> list[Ownership]:
    """The ownerships that a connection gives up by a change."""
    customer_id, key = before.customer_id, before.key
    owned = [
        Ownership.of_connection_id(connection_id, customer_id, key)
        for connection_id in before.connection_ids
        if connection_id not in after.connection_ids
    ]
    return owned if after.tokens else [*owned, Ownership.of_company(customer_id, key)]


def require_free(wanted: Ownership, record: OwnershipRecord | None) -> None:
    """Says why a claim could not be taken; raises `OwnedByAnother` and `ConnectionBusy`."""
    if record and record.owner not in (None, wanted):
        raise OwnedByAnother
    if record and record.discarding:
        raise ConnectionBusy


def discard_of(
    handle_hash: str, connection: OwnershipRecord | None, company: OwnershipRecord | None
) -> Discard:
    """What may be done with a token that a session keeps in vain, given what else is claimed.

    `/disconnect` ends all tokens of the connection, by an older page of Finch's reference all of the
    employer at the provider.
    """
    if connection and (connection.owner or connection.holders - {handle_hash}):
        return Discard.DROP
    return Discard.ASK if company and company.owner else Discard.END
