"""A claim: who owns a company or a Finch connection, so that no customer can cut off another's."""

from dataclasses import dataclass
from typing import Self

from finch_connections.connection import CompanyKey, Grant, company_key
from finch_connections.refusal import Refusal


class ClaimedByAnother(Refusal):
    """This company cannot be connected to your account."""

    # The neutral word: whether and by whom it is connected elsewhere is nobody else's business.
    code = "cannot_connect"


@dataclass(frozen=True)
class Claim:
    """`claimed` is a company or a Finch connection; it belongs to one connection of one customer."""

    claimed: str
    customer_id: str
    key: CompanyKey

    @classmethod
    def of_company(cls, customer_id: str, key: CompanyKey) -> Self:
        """A customer's claim on an employer at a provider."""
        return cls(f"company#{key}", customer_id, key)

    @classmethod
    def of_connection_id(cls, connection_id: str, customer_id: str, key: CompanyKey) -> Self:
        """A customer's claim on one of Finch's connections."""
        return cls(claimed_connection_id(connection_id), customer_id, key)


def claimed_connection_id(connection_id: str) -> str:
    """What a claim on this Finch connection claims."""
    return f"connection#{connection_id}"


def row_of(grant: Grant, customer_id: str, claim: Claim | None) -> CompanyKey:
    """The key of the connection that a grant belongs to, given the claim on its `connection_id`.

    Where the `connection_id` already has a row, that row stays its row, also when Finch has learnt
    the company id since. Raises `ClaimedByAnother` and `UnusableIdentifier`.
    """
    if claim is None:
        return company_key(grant)
    if claim.customer_id != customer_id or claim.key.provider_id != grant.provider_id:
        raise ClaimedByAnother
    return claim.key
