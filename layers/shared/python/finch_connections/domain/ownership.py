"""Ownership of companies and Finch connections, so that no customer can end another customer's connection."""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Self

from finch_connections.domain.connection import (
    TRANSFERRED,
    CompanyKey,
    Connection,
    ConnectionBusy,
)
from finch_connections.domain.errors import Refusal
from finch_connections.domain.token_response import TokenResponse, company_key


class OwnedByAnother(Refusal):
    """This company cannot be connected to your account."""

    # The same code as for other reasons: the caller must not learn that another customer owns it.
    code = "cannot_connect"


@dataclass(frozen=True)
class Ownership:
    """A company or a Finch connection that belongs to one connection of one customer."""

    owned_id: str
    customer_id: str
    key: CompanyKey
    # Finch's id of an owned company. Webhooks without a `connection_id` are looked up by it.
    company_id: str | None = field(default=None, compare=False)

    @classmethod
    def of_company(cls, customer_id: str, key: CompanyKey, name: CompanyKey | None = None) -> Self:
        """The ownership of an employer at a provider. `name` is Finch's new name for it, if any."""
        company = name or key
        return cls(owned_id_of_company(company), customer_id, key, company.company_id)

    @classmethod
    def of_connection_id(cls, connection_id: str, customer_id: str, key: CompanyKey) -> Self:
        """The ownership of a Finch connection."""
        return cls(owned_id_of_connection(connection_id), customer_id, key)


@dataclass(frozen=True)
class OwnershipRecord:
    """The owner of a company or Finch connection, and the connect sessions that keep a token of it.

    Sessions are identified by their `handle_hash`. `holders` are the sessions that keep a token in
    escrow, or may receive a token from a repair. `discarding` is the holder that is ending the
    connection at Finch. `offered_to` is a session that offers its customer to repair a connection of
    which we have no token, although it exists at Finch.
    """

    owned_id: str
    owner: Ownership | None = None
    holders: frozenset[str] = frozenset()
    discarding: str | None = None
    offered_to: str | None = None


class Discard(Enum):
    """The decision about an escrowed token that the customer did not confirm."""

    END = auto()
    """End its connection at Finch."""
    DROP = auto()
    """Forget it: we keep another token of its connection, which a disconnect would end too."""
    ASK = auto()
    """Let the operator decide: a disconnect might end an owned connection to the same company."""


def owned_id_of_connection(connection_id: str) -> str:
    """The `owned_id` of a Finch connection."""
    return f"connection#{connection_id}"


def owned_id_of_company(key: CompanyKey) -> str:
    """The `owned_id` of an employer at a provider."""
    return f"company#{key}"


def row_of(
    token_response: TokenResponse,
    customer_id: str,
    connection: OwnershipRecord | None,
    company: OwnershipRecord | None,
) -> CompanyKey:
    """The key of the connection that a new token belongs to, given the records of its ids.

    A `connection_id` that already belongs to a row stays in that row, even if Finch has since renamed
    the provider or the company, or added the company id. A company under its new name belongs to the
    row that has learned the name. Raises `OwnedByAnother`, `ConnectionBusy` and `UnusableIdentifier`.
    """
    if connection and connection.discarding:
        raise ConnectionBusy
    owner = connection.owner if connection else None
    owner_of_name = company.owner if company else None
    if owner is None:
        if owner_of_name and owner_of_name.customer_id == customer_id:
            return owner_of_name.key
        return company_key(token_response)
    if owner.customer_id != customer_id:
        raise OwnedByAnother
    if owner_of_name and owner_of_name.customer_id != customer_id:
        # Finch's new name is the company of another customer.
        raise OwnedByAnother
    return owner.key


def owned(connection: Connection) -> list[Ownership]:
    """The ownerships that a connection has: of its company under each name, and of its Finch connections.

    The company of a transferred connection belongs to another customer.
    """
    if not connection.tokens:
        return []
    customer_id, key = connection.customer_id, connection.key
    transferred = connection.problem == TRANSFERRED
    names = dict.fromkeys(() if transferred else (key, connection.finch_key or key))
    return [
        *(Ownership.of_company(customer_id, key, name) for name in names),
        *(Ownership.of_connection_id(one, customer_id, key) for one in connection.connection_ids),
    ]


def freed(before: Connection, after: Connection) -> list[Ownership]:
    """The ownerships that become free when a connection changes from `before` to `after`."""
    kept = owned(after)
    return [one for one in owned(before) if one not in kept]


def learned(before: Connection, after: Connection) -> list[Ownership]:
    """The ownerships that a change of a connection adds."""
    return freed(after, before)


def require_free(wanted: Ownership, record: OwnershipRecord | None) -> None:
    """Raises the reason why an ownership could not be taken: `OwnedByAnother` or `ConnectionBusy`."""
    if record and record.owner not in (None, wanted):
        raise OwnedByAnother
    if record and record.discarding:
        raise ConnectionBusy


def discard_of(
    handle_hash: str, connection: OwnershipRecord | None, company: OwnershipRecord | None
) -> Discard:
    """The decision about a token in a session's escrow, given the records of its connection and company.

    `/disconnect` ends all tokens of the connection. An older page of Finch's reference says that it
    ends all tokens of the employer at the provider.
    """
    if connection and (connection.owner or connection.holders - {handle_hash}):
        return Discard.DROP
    return Discard.ASK if company and company.owner else Discard.END


def others(handle_hash: str, *records: OwnershipRecord | None) -> frozenset[str]:
    """Names for the owners and holders of these records, except the session itself."""
    found: set[str] = set()
    for record in filter(None, records):
        found |= record.holders - {handle_hash}
        if record.owner:
            found.add(f"{record.owned_id} {record.owner.customer_id} {record.owner.key}")
    return frozenset(found)
