"""The flow that disconnects: Finch first, and only then do we forget the tokens."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from finch_connections.claim import Claim
from finch_connections.claim_table import ClaimTable
from finch_connections.connection import (
    CompanyKey,
    Connection,
    ConnectionBusy,
    ConnectionNotFound,
    ConnectionStatus,
    Token,
    disconnected,
    disconnecting,
    partly_ended,
)
from finch_connections.connection_table import ConnectionTable
from finch_connections.dynamodb import Conflict
from finch_connections.finch import Finch
from finch_connections.finch_failure import (
    FinchFailure,
    FinchMisconfigured,
    NotReached,
    RateLimited,
    TokenDead,
)
from finch_connections.log import logger
from finch_connections.token_vault import TokenVault

if TYPE_CHECKING:
    from finch_connections.dynamodb import Write

_ATTEMPTS = 5
# Not about one connection: the next one would fare no better, and it would be one call too many.
_NOT_ABOUT_ONE = (NotReached, RateLimited, FinchMisconfigured)


def disconnect(
    customer_id: str,
    key: CompanyKey,
    *,
    now: datetime,
    connections: ConnectionTable,
    claims: ClaimTable,
    vault: TokenVault,
    finch: Finch,
) -> Connection:
    """The connection after Finch was told to end every one of its connection ids.

    It is `disconnected` once Finch has confirmed all of them, else still `disconnecting` with all of
    its tokens kept, and calling again goes on. Where another call ended it meanwhile, what has been
    connected since is left alone and answered. Raises `ConnectionNotFound`, and `ConnectionBusy`
    where others keep writing the connection.
    """
    connection = _begin(customer_id, key, now, connections)
    for _ in range(_ATTEMPTS):
        if connection.status is not ConnectionStatus.DISCONNECTING:
            # Ended by another call. What was connected since then is not this call's to end.
            return connection
        try:
            connection, all_ended = _end_each(connection, now, connections, vault, finch)
            if not all_ended:
                logger.warning("disconnect unfinished", extra=_fields(connection))
                return connection
            gone = disconnected(connection, now)
            connections.write(gone, together_with=_freeing(connection, claims))
        except Conflict:
            connection = _there(customer_id, key, connections)
            continue
        logger.info("disconnected", extra=_fields(connection))
        return gone
    raise ConnectionBusy


def _begin(
    customer_id: str, key: CompanyKey, now: datetime, connections: ConnectionTable
) -> Connection:
    """The connection marked as on its way out, by this call or by one before; or as it ended."""
    for _ in range(_ATTEMPTS):
        connection = _there(customer_id, key, connections)
        if connection.status in (ConnectionStatus.DISCONNECTING, ConnectionStatus.DISCONNECTED):
            return connection
        # The place of the watchdog: a message that goes on if all after it crashes.
        connection = disconnecting(connection, now)
        try:
            connections.write(connection)
        except Conflict:
            continue
        return connection
    raise ConnectionBusy


def _there(customer_id: str, key: CompanyKey, connections: ConnectionTable) -> Connection:
    connection = connections.get(customer_id, key)
    if connection is None:
        raise ConnectionNotFound
    return connection


def _end_each(
    connection: Connection,
    now: datetime,
    connections: ConnectionTable,
    vault: TokenVault,
    finch: Finch,
) -> tuple[Connection, bool]:
    """The connection with what Finch has confirmed so far, and whether that is all of it.

    Written after each but the last, so that many logins come to an end however slow Finch is.
    Raises `Conflict`.
    """
    confirmed = set(connection.ended)
    for connection_id in connection.connection_ids:
        if connection_id in confirmed:
            continue
        try:
            if not _ended(connection, connection_id, vault, finch):
                continue
        except _NOT_ABOUT_ONE as error:
            logger.warning("disconnect stopped", reason=type(error).__name__)
            break
        confirmed.add(connection_id)
        if not confirmed.issuperset(connection.connection_ids):
            connection = partly_ended(connection, confirmed, now)
            connections.write(connection)
    return connection, confirmed.issuperset(connection.connection_ids)


def _ended(connection: Connection, connection_id: str, vault: TokenVault, finch: Finch) -> bool:
    """Whether Finch has confirmed the end of one connection id.

    A 200 is its word for all tokens of the connection id. That a token is dead counts only when all
    of them are: the one tried may have been revoked alone. Nothing else counts. Raises what of
    `FinchFailure` is not about this connection.
    """
    tokens: Sequence[Token] = [
        one for one in connection.tokens if one.connection_id == connection_id
    ]
    for token in reversed(tokens):
        ciphertext = connection.sealed[token.id]
        text = vault.open_stored(ciphertext, connection.customer_id, connection.key)
        try:
            finch.disconnect(text)
        except TokenDead:
            continue
        except _NOT_ABOUT_ONE:
            raise
        except FinchFailure as error:
            logger.warning(
                "disconnect not confirmed",
                connection_id=connection_id,
                reason=type(error).__name__,
                finch_request_id=error.finch_request_id,
            )
            return False
        return True
    return True


def _freeing(connection: Connection, claims: ClaimTable) -> "list[Write]":
    customer_id, key = connection.customer_id, connection.key
    return [
        claims.freeing(Claim.of_company(customer_id, key)),
        *(
            claims.freeing(Claim.of_connection_id(connection_id, customer_id, key))
            for connection_id in connection.connection_ids
        ),
    ]


def _fields(connection: Connection) -> dict[str, str]:
    return {
        "customer_id": connection.customer_id,
        "provider_id": connection.key.provider_id,
        "company_id": connection.key.company_id,
    }
