"""The flow that reseals: every sealed token comes under the key that seals now, while all goes on."""

from collections.abc import Callable
from typing import NamedTuple

from botocore.exceptions import ClientError

from finch_connections.connect_session import ConnectSession
from finch_connections.connection import Connection, resealed
from finch_connections.connection_table import ConnectionTable
from finch_connections.dynamodb import Conflict
from finch_connections.session_table import SessionTable
from finch_connections.step import Cursor, Step
from finch_connections.token_vault import SealedByAnother, TokenVault, about_this_one

# Sessions first: what leaves them meanwhile is sealed anew into its connection, which comes after.
SESSIONS, CONNECTIONS = "sessions", "connections"
RESEALED, ALREADY = "resealed", "already"


class Outsiders(NamedTuple):
    """Everything outside that resealing touches."""

    sessions: SessionTable
    connections: ConnectionTable
    vault: TokenVault


def reseal(cursor: Cursor | None, *, in_time: Callable[[], bool], outside: Outsiders) -> Step:
    """One step through all rows. Each write is conditional on the row as it was read.

    What others have changed meanwhile, and what does not open, is left for another time and named.
    """
    step = Step(cursor or Cursor(SESSIONS))
    while step.next and in_time():
        step.next = _page(step, step.next, outside)
    return step


def _page(step: Step, at: Cursor, outside: Outsiders) -> Cursor | None:
    if at.part == SESSIONS:
        sessions, last = outside.sessions.everybodys(at.after)
        for session in sessions:
            _session(step, session, outside)
        return Cursor(SESSIONS, last) if last else Cursor(CONNECTIONS)
    connections, last = outside.connections.everybodys(at.after)
    for connection in connections:
        _connection(step, connection, outside)
    return Cursor(CONNECTIONS, last) if last else None


def _session(step: Step, session: ConnectSession, outside: Outsiders) -> None:
    escrow, handle_hash = session.escrow, session.handle_hash
    if escrow is None:
        return
    try:
        ciphertext = outside.vault.reseal_escrow(
            escrow.ciphertext, handle_hash, session.customer_id
        )
        if ciphertext:
            outside.sessions.reseal(session, ciphertext)
    except Conflict:
        step.leave("changed meanwhile", session=handle_hash)
    except (ClientError, SealedByAnother) as error:
        step.leave(about_this_one(error), session=handle_hash)
    else:
        step.done[RESEALED if ciphertext else ALREADY] += 1


def _connection(step: Step, connection: Connection, outside: Outsiders) -> None:
    customer_id, key = connection.customer_id, connection.key
    row = {"customer_id": customer_id, "provider_id": key.provider_id, "company_id": key.company_id}
    try:
        ciphertexts = {
            token_id: outside.vault.reseal_stored(sealed, customer_id, key)
            for token_id, sealed in connection.sealed.items()
        }
        changed = {token_id: one for token_id, one in ciphertexts.items() if one}
        if changed:
            outside.connections.write(resealed(connection, changed))
    except Conflict:
        step.leave("changed meanwhile", **row)
    except (ClientError, SealedByAnother) as error:
        step.leave(about_this_one(error), **row)
    else:
        step.done[RESEALED] += len(changed)
        step.done[ALREADY] += len(ciphertexts) - len(changed)
