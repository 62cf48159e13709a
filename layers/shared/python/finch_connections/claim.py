"""A claim: who owns a company or a Finch connection, so that no customer can cut off another's."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Self

from finch_connections.connection import CompanyKey, ConnectionBusy
from finch_connections.grant import Grant, company_key
from finch_connections.refusal import Refusal


class ClaimedByAnother(Refusal):
    """This company cannot be connected to your account."""

    # The neutral word: whether and by whom it is connected elsewhere is nobody else's business.
    code = "cannot_connect"


@dataclass(frozen=True)
class Ownership:
    """A company or a Finch connection, `claimed` by one connection of one customer."""

    claimed: str
    customer_id: str
    key: CompanyKey

    @classmethod
    def of_company(cls, customer_id: str, key: CompanyKey) -> Self:
        """A customer's claim on an employer at a provider."""
        return cls(claimed_company(key), customer_id, key)

    @classmethod
    def of_connection_id(cls, connection_id: str, customer_id: str, key: CompanyKey) -> Self:
        """A customer's claim on one of Finch's connections."""
        return cls(claimed_connection_id(connection_id), customer_id, key)


@dataclass(frozen=True)
class Claim:
    """All that is claimed of a company or a Finch connection.

    `holders` are the connect sessions that keep a token of it, by their hashes; `releasing` is the
    one of them that is having it ended at Finch. `offered_to` is one that leads its person to it,
    where Finch has a connection and nobody here a token.
    """

    claimed: str
    owner: Ownership | None = None
    holders: frozenset[str] = frozenset()
    releasing: str | None = None
    offered_to: str | None = None


class Release(Enum):
    """What becomes of a kept token that nobody confirms."""

    END = auto()
    """Finch is told to end its connection."""
    DROP = auto()
    """Another token of its connection is kept, and would be ended with it."""
    ASK = auto()
    """Ending it might end somebody's connection to the same company: a person must decide."""


def claimed_connection_id(connection_id: str) -> str:
    """What a claim on this Finch connection claims."""
    return f"connection#{connection_id}"


def claimed_company(key: CompanyKey) -> str:
    """What a claim on this employer at a provider claims."""
    return f"company#{key}"


def row_of(grant: Grant, customer_id: str, claim: Claim | None) -> CompanyKey:
    """The key of the connection that a grant belongs to, given the claim on its `connection_id`.

    Where the `connection_id` already has a row, that row stays its row, also when Finch has learnt
    the company id since. Another company than that row's is never put there. Raises
    `ClaimedByAnother`, `ConnectionBusy` and `UnusableIdentifier`.
    """
    if claim and claim.releasing:
        raise ConnectionBusy
    owner = claim.owner if claim else None
    if owner is None:
        return company_key(grant)
    if owner.customer_id != customer_id or owner.key.provider_id != grant.provider_id:
        raise ClaimedByAnother
    stands_in = owner.key.company_id == grant.connection_id
    if grant.company_id and not stands_in and grant.company_id != owner.key.company_id:
        raise ClaimedByAnother
    return owner.key


def require_free(wanted: Ownership, claim: Claim | None) -> None:
    """Says why a claim could not be taken; raises `ClaimedByAnother` and `ConnectionBusy`."""
    if claim and claim.owner not in (None, wanted):
        raise ClaimedByAnother
    if claim and claim.releasing:
        raise ConnectionBusy


def release_of(handle_hash: str, connection: Claim | None, company: Claim | None) -> Release:
    """What may be done with a token that a session keeps in vain, given what else is claimed.

    `/disconnect` ends all tokens of the connection, by an older page of Finch's reference all of the
    employer at the provider.
    """
    if connection and (connection.owner or connection.holders - {handle_hash}):
        return Release.DROP
    return Release.ASK if company and company.owner else Release.END
