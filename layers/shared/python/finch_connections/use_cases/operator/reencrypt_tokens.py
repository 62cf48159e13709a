"""Re-encrypts all tokens under the current key, while all functions keep running."""

from collections.abc import Callable
from typing import NamedTuple

from botocore.exceptions import ClientError

from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.dynamodb import Conflict
from finch_connections.aws.session_table import SessionTable
from finch_connections.aws.token_vault import EncryptedByAnotherKey, TokenVault, why_not_decrypted
from finch_connections.domain.batch import Batch, Cursor
from finch_connections.domain.connect_session import Keeping
from finch_connections.domain.connection import Connection, key_fields, reencrypted

# Sessions first: if a token moves to a connection during the work, it is encrypted with the current key.
SESSIONS, CONNECTIONS = "sessions", "connections"
REENCRYPTED, ALREADY = "reencrypted", "already"


class Services(NamedTuple):
    """Everything that re-encryption reads and writes."""

    sessions: SessionTable
    connections: ConnectionTable
    vault: TokenVault


def reencrypt(cursor: Cursor | None, *, in_time: Callable[[], bool], services: Services) -> Batch:
    """Re-encrypts one batch of rows. Each write succeeds only if the row is unchanged since the read.

    The batch reports the rows that have changed since the read, and the rows that do not decrypt.
    """
    batch = Batch(cursor or Cursor(SESSIONS))
    while batch.next and in_time():
        batch.next = _page(batch, batch.next, services)
    return batch


def _page(batch: Batch, at: Cursor, services: Services) -> Cursor | None:
    if at.part == SESSIONS:
        sessions, last = services.sessions.in_escrow(at.after)
        for session in sessions:
            _session(batch, session, services)
        return Cursor(SESSIONS, last) if last else Cursor(CONNECTIONS)
    connections, last = services.connections.scan(at.after)
    for connection in connections:
        _connection(batch, connection, services)
    return Cursor(CONNECTIONS, last) if last else None


def _session(batch: Batch, session: Keeping, services: Services) -> None:
    handle_hash = session.attempt.handle_hash
    try:
        ciphertext = services.vault.reencrypt_escrow(
            session.escrow.ciphertext, handle_hash, session.attempt.customer_id
        )
        if ciphertext:
            services.sessions.reencrypt(session, ciphertext)
    except Conflict:
        batch.leave("changed meanwhile", session=handle_hash)
    except (ClientError, EncryptedByAnotherKey) as error:
        batch.leave(why_not_decrypted(error), session=handle_hash)
    else:
        batch.done[REENCRYPTED if ciphertext else ALREADY] += 1


def _connection(batch: Batch, connection: Connection, services: Services) -> None:
    customer_id, key = connection.customer_id, connection.key
    row = key_fields(customer_id, key)
    try:
        ciphertexts = {
            token_id: services.vault.reencrypt_stored(ciphertext, customer_id, key)
            for token_id, ciphertext in connection.ciphertexts.items()
        }
        changed = {token_id: one for token_id, one in ciphertexts.items() if one}
        if changed:
            services.connections.write(reencrypted(connection, changed))
    except Conflict:
        batch.leave("changed meanwhile", **row)
    except (ClientError, EncryptedByAnotherKey) as error:
        batch.leave(why_not_decrypted(error), **row)
    else:
        batch.done[REENCRYPTED] += len(changed)
        batch.done[ALREADY] += len(ciphertexts) - len(changed)
