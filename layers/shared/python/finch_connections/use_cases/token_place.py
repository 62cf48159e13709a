"""The place of a token: the connection that it belongs to."""

from typing import NamedTuple

from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.ownership_table import OwnershipTable
from finch_connections.domain.connection import CompanyKey, Connection, UnusableIdentifier
from finch_connections.domain.ownership import OwnershipRecord, row_of
from finch_connections.domain.token_response import TokenResponse, company_key


class Place(NamedTuple):
    """Where a token belongs: the key of its connection, and that connection if it exists.

    `holders` are the sessions that keep a token of the same Finch connection.
    """

    key: CompanyKey
    connection: Connection | None
    holders: frozenset[str] = frozenset()
    # The record of the company under the name that Finch gave.
    company: OwnershipRecord | None = None


def place_of(
    customer_id: str,
    token_response: TokenResponse,
    ownerships: OwnershipTable,
    connections: ConnectionTable,
) -> Place | None:
    """The place of the token, or None if Finch has not named it yet. Raises the same errors as `row_of`.

    The caller reads it before it asks Finch, so that the write fails if the row changes in the meantime.
    """
    connection_id = token_response.connection_id
    if not token_response.names_connection:
        return None
    try:
        expected = company_key(token_response)
    except UnusableIdentifier:
        record = ownerships.of_connection_id(connection_id)
        key = row_of(token_response, customer_id, record, None)
        connection = connections.get(customer_id, key)
        return Place(key, connection, record.holders if record else frozenset())
    record, company, connection = ownerships.with_connection(
        connection_id, connections, customer_id, expected
    )
    key = row_of(token_response, customer_id, record, company)
    if key != expected:
        connection = connections.get(customer_id, key)
    return Place(key, connection, record.holders if record else frozenset(), company)
