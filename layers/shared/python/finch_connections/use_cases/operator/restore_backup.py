"""Restores tokens from a backup of the tables: only the tokens that are alive at Finch.

The tables have changed since the backup: customers have made, repaired and ended connections, and
companies have new owners. So current data wins, we ask Finch about each token, and we take ownerships
again instead of restoring them. Data of a customer who was erased since does not come back.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime

from botocore.exceptions import ClientError

from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.dynamodb import Conflict, Item, scan
from finch_connections.aws.erasure_record import ErasureRecord
from finch_connections.aws.session_table import read_backup
from finch_connections.aws.token_vault import EncryptedByAnotherKey, why_not_decrypted
from finch_connections.domain.batch import Batch, Cursor
from finch_connections.domain.connect_session import (
    CannotConnect,
    Complete,
    ConnectSession,
    Ended,
    Held,
    Keeping,
    Started,
    behind,
)
from finch_connections.domain.connection import (
    Connection,
    ConnectionBusy,
    ConnectionStatus,
    Token,
    TooManyLogins,
    is_pair_id,
    key_fields,
    restored,
)
from finch_connections.domain.health import Finding
from finch_connections.domain.ownership import owned
from finch_connections.finch.errors import FinchFailure, TokenDead
from finch_connections.log import logger
from finch_connections.use_cases import check_health, exchange_code
from finch_connections.use_cases.discard_token import covered

CONNECTIONS, SESSIONS = "connections", "sessions"
# Rows that are left for the operator.
ERASED = "its customer is erased, but it is alive: ask Finch to end it"
NOWHERE = "its connection is neither in the table nor in the backup"
RESTORED, DEAD, COVERED, EXISTS = "restored", "dead at Finch", "covered", "there already"


@dataclass(frozen=True)
class Backup:
    """The restored tables, which have other names than the tables in use, and the records of erasures.

    Each table is optional.
    """

    connections: ConnectionTable | None
    sessions: str | None
    erasures: ErasureRecord


def restore(
    backup: Backup,
    cursor: Cursor | None,
    *,
    now: datetime,
    in_time: Callable[[], bool],
    services: exchange_code.Services,
) -> Batch:
    """Restores one batch of rows. A batch can run again from any cursor, any number of times."""
    batch = Batch(cursor or Cursor(CONNECTIONS))
    while batch.next and in_time():
        batch.next = _page(batch, backup, batch.next, now, services)
    return batch


def _page(
    batch: Batch, backup: Backup, at: Cursor, now: datetime, services: exchange_code.Services
) -> Cursor | None:
    if at.part == CONNECTIONS:
        if backup.connections is None:
            return Cursor(SESSIONS)
        connections, last = backup.connections.scan(at.after)
        for connection in connections:
            _connection(batch, backup, connection, now, services)
        return Cursor(CONNECTIONS, last) if last else Cursor(SESSIONS)
    if backup.sessions is None:
        return None
    items, last = scan(services.sessions.client, backup.sessions, at.after)
    for item in items:
        session = read_backup(item)
        if session:
            _session(batch, backup, session, item, now, services)
    return Cursor(SESSIONS, last) if last else None


def _connection(
    batch: Batch,
    tables: Backup,
    backup: Connection,
    now: datetime,
    services: exchange_code.Services,
) -> None:
    customer_id, key = backup.customer_id, backup.key
    erased = tables.erasures.covers(customer_id, backup.created_at)
    row = key_fields(customer_id, key)
    current = services.connections.get(customer_id, key)
    current_ids = current.connection_ids if current else ()
    alive: list[Token] = []
    try:
        for token in backup.tokens:
            if current and token.id in current.ciphertexts:
                batch.done[EXISTS] += 1
            elif _covered(token.connection_id, services, current_ids):
                batch.done[COVERED] += 1
            elif (
                found := check_health.finding(backup, token, services)
            ) and not found.contradicted:
                if found.status is ConnectionStatus.DISCONNECTED:
                    batch.done[DEAD] += 1
                elif erased:
                    batch.leave(ERASED, connection_id=token.connection_id)
                else:
                    alive.append(_as_found(token, found))
            else:
                batch.leave("Finch gave no usable answer", **row, connection_id=token.connection_id)
        if alive:
            _write(restored(current, backup, alive, now), alive, now, services)
            batch.done[RESTORED] += len(alive)
    except (FinchFailure, ConnectionBusy, TooManyLogins, Conflict) as error:
        batch.leave(type(error).__name__, **row)
    except (ClientError, EncryptedByAnotherKey) as error:
        batch.leave(why_not_decrypted(error), **row)


def _covered(
    connection_id: str, services: exchange_code.Services, current_ids: Collection[str] = ()
) -> bool:
    """Whether we keep a live token of a Finch connection. A record alone proves nothing: it may be old.

    Tokens behind a pair id may be of several logins, and do not cover each other.
    """
    if not connection_id or is_pair_id(connection_id):
        return False
    if connection_id in current_ids:
        return True
    record = services.ownerships.of_connection_id(connection_id)
    return bool(record and covered(connection_id, record, services))


def _as_found(token: Token, found: Finding) -> Token:
    return replace(
        token,
        status=found.status,
        status_detail=found.detail,
        entities=token.entities if found.entities is None else found.entities,
        methods=token.methods if found.methods is None else found.methods,
        suspected=None,
        suspected_since=None,
    )


def _write(
    after: Connection, alive: list[Token], now: datetime, services: exchange_code.Services
) -> None:
    """Writes a connection and its ownerships. Raises `Conflict`, also if another customer owns any."""
    customer_id, key = after.customer_id, after.key
    restoring = replace(after, tokens=tuple(alive))
    services.connections.write(after, [services.ownerships.taking(one) for one in owned(restoring)])
    logger.warning("connection restored", extra=key_fields(customer_id, key))


def _session(
    batch: Batch,
    tables: Backup,
    backup: ConnectSession,
    item: Item,
    now: datetime,
    services: exchange_code.Services,
) -> None:
    """Puts a session back for the operator to decide, if its token is lost or may exist at Finch."""
    handle_hash, customer_id = backup.attempt.handle_hash, backup.attempt.customer_id
    if isinstance(backup, Started | Ended):
        return
    erased = tables.erasures.covers(customer_id, backup.attempt.created_at)
    if isinstance(backup, Complete):
        places = [services.connections, *([tables.connections] if tables.connections else [])]
        if not erased and not any(one.get(customer_id, backup.key) for one in places):
            batch.leave(NOWHERE, **key_fields(customer_id, backup.key), session=handle_hash)
        return
    if erased and not isinstance(backup, Keeping):
        return
    if services.sessions.get(handle_hash):
        batch.done[EXISTS] += 1
        return
    try:
        if isinstance(backup, Keeping):
            connection_id = backup.escrow.token_response.connection_id
            if _covered(connection_id, services):
                batch.done[COVERED] += 1
                return
            services.finch.introspect(exchange_code.decrypt_escrow(backup, services))
            if erased:
                batch.leave(ERASED, connection_id=connection_id)
                return
            backup = Held(backup.attempt, backup.consumption, backup.escrow, CannotConnect.code)
        holding = [services.ownerships.holding(one, handle_hash) for one in behind(backup)]
        services.sessions.put_back(backup, item, now, holding)
    except TokenDead:
        batch.done[DEAD] += 1
    except (FinchFailure, Conflict) as error:
        batch.leave(type(error).__name__, session=handle_hash)
    except (ClientError, EncryptedByAnotherKey) as error:
        batch.leave(why_not_decrypted(error), session=handle_hash)
    else:
        batch.done["held for a person"] += 1
