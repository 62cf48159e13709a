"""Ownership of companies and Finch connections, so that no customer can end another customer's connection."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Self

from finch_connections.domain.connection import CompanyKey, Connection, ConnectionBusy
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

    @classmethod
    def of_company(cls, customer_id: str, key: CompanyKey) -> Self:
        """The ownership of an employer at a provider."""
        return cls(owned_id_of_company(key), customer_id, key)

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
    token_response: TokenResponse, customer_id: str, record: OwnershipRecord | None
) -> CompanyKey:
    """The key of the connection that a new token belongs to, given the record of its `connection_id`.

    A `connection_id` that already belongs to a row stays in that row, even if Finch has since added
    the company id. A row never takes a token of another company. Raises `OwnedByAnother`,
    `ConnectionBusy` and `UnusableIdentifier`.
    """
    if record and record.discarding:
        raise ConnectionBusy
    owner = record.owner if record else None
    if owner is None:
        return company_key(token_response)
    if owner.customer_id != customer_id or owner.key.provider_id != token_response.provider_id:
        raise OwnedByAnother
    without_company_id = owner.key.company_id == token_response.connection_id
    if (
        token_response.company_id
        and not without_company_id
        and token_response.company_id != owner.key.company_id
    ):
        raise OwnedByAnother
    return owner.key


def freed(before: Connection, after: Connection) -> list[Ownership]:
    """The ownerships that become free when a connection changes from `before` to `after`."""
    customer_id, key = before.customer_id, before.key
    owned = [
        Ownership.of_connection_id(connection_id, customer_id, key)
        for connection_id in before.connection_ids
        if connection_id not in after.connection_ids
    ]
    return owned if after.tokens else [*owned, Ownership.of_company(customer_id, key)]


def learned(before: Connection, after: Connection) -> list[Ownership]:
    """The ownerships of the Finch connections that a change of a connection adds."""
    return [
        Ownership.of_connection_id(connection_id, after.customer_id, after.key)
        for connection_id in after.connection_ids
        if connection_id not in before.connection_ids
    ]


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
