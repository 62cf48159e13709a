"""Erases a customer: ends everything at Finch first, and then deletes our data."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from finch_connections.aws.audit_table import AuditTable
from finch_connections.aws.dynamodb import Conflict
from finch_connections.aws.erasure_record import ErasureRecord
from finch_connections.aws.work_queue import WorkQueue
from finch_connections.domain.batch import Batch, Cursor
from finch_connections.domain.connect_session import (
    CannotConnect,
    Complete,
    ConnectSession,
    Discarding,
    Ended,
    Exchanging,
    Held,
    Keeping,
    Started,
    Uncertain,
)
from finch_connections.domain.connection import Connection, ConnectionBusy, ConnectionStatus
from finch_connections.domain.errors import Refusal
from finch_connections.domain.ownership import OwnershipRecord
from finch_connections.domain.work_item import ConnectionSubject, WorkItem
from finch_connections.finch.errors import FinchFailure
from finch_connections.log import logger
from finch_connections.use_cases import disconnect, exchange_code
from finch_connections.use_cases.discard_token import discard
from finch_connections.use_cases.operator import resolve_unfinished

# In this order, because an offer names a session, and a session can become a connection.
OWNERSHIPS, SESSIONS, CONNECTIONS, AUDIT = "ownerships", "sessions", "connections", "audit"
_AFTER = {OWNERSHIPS: SESSIONS, SESSIONS: CONNECTIONS, CONNECTIONS: AUDIT}

UNDER_WAY = "under way"
FOR_A_PERSON = "a person must decide"
ONLY_FINCH = "only Finch can end it"


class Services(NamedTuple):
    """Everything that an erasure reads and writes."""

    connecting: exchange_code.Services
    queue: WorkQueue
    audit: AuditTable
    erasures: ErasureRecord


def erase(
    customer_id: str,
    cursor: Cursor | None,
    *,
    now: datetime,
    in_time: Callable[[], bool],
    services: Services,
) -> Batch:
    """Runs one batch of the erasure. A batch can run again from any cursor.

    Deletes a row only after Finch has confirmed the end of its connection. The erasure is complete
    when all batches of a round find no row. Each round first records the erasure, so that a restore
    brings nothing back.
    """
    if cursor is None:
        services.erasures.write(customer_id, now)
    batch = Batch(cursor or Cursor(OWNERSHIPS))
    while batch.next and in_time():
        at = batch.next
        last = _PARTS[at.part](batch, customer_id, at, now, services)
        if last:
            batch.next = Cursor(at.part, last)
        else:
            batch.next = Cursor(_AFTER[at.part]) if at.part in _AFTER else None
    return batch


type _Last = dict[str, str] | None


def _ownerships(
    batch: Batch, customer_id: str, at: Cursor, now: datetime, services: Services
) -> _Last:
    ownerships, last = services.connecting.ownerships.of_customer(customer_id, at.after)
    for record in ownerships:
        if record.owner:
            # Deleted together with its connection.
            continue
        session = services.connecting.sessions.get(record.offered_to or "")
        if session and session.attempt.customer_id == customer_id:
            _offer(batch, record, services)
    return last


def _offer(batch: Batch, record: OwnershipRecord, services: Services) -> None:
    connection_id = record.owned_id.partition("#")[2]
    try:
        services.connecting.ownerships.forget_offer(record)
    except Conflict:
        batch.leave(UNDER_WAY, connection_id=connection_id)
        return
    batch.done["offers erased"] += 1
    logger.error("only finch can end this connection", connection_id=connection_id)
    batch.leave(ONLY_FINCH, connection_id=connection_id)


def _sessions(
    batch: Batch, customer_id: str, at: Cursor, now: datetime, services: Services
) -> _Last:
    sessions, last = services.connecting.sessions.of_customer(customer_id, at.after)
    for session in sessions:
        try:
            _session(batch, session, now, services.connecting)
        except (Conflict, Refusal, FinchFailure) as error:
            batch.leave(UNDER_WAY, **_row(session), because=type(error).__name__)
    return last


def _session(
    batch: Batch, session: ConnectSession, now: datetime, services: exchange_code.Services
) -> None:
    match session:
        case Started() | Complete() | Ended():
            services.sessions.erase(session)
            batch.done["sessions erased"] += 1
        case Exchanging():
            batch.leave(UNDER_WAY, **_row(session))
        case Uncertain():
            batch.leave(FOR_A_PERSON, **_row(session))
        case _:
            _end(batch, session, now, services)


def _end(batch: Batch, session: Keeping, now: datetime, services: exchange_code.Services) -> None:
    """Ends the token in a session's escrow at Finch, unless that would end another customer's connection."""
    handle_hash = session.attempt.handle_hash
    key = session.key if isinstance(session, Discarding) else None
    if not isinstance(session, Discarding):
        seen = resolve_unfinished.picture(handle_hash, services=services)
        if any(owner.customer_id == session.attempt.customer_id for owner in seen.owners):
            # The customer's own connection is disconnected after the sessions, with any working token.
            batch.leave(UNDER_WAY, **_row(session))
            return
        if seen.answers_differ:
            # The token may end another customer's connection.
            if not isinstance(session, Held):
                services.sessions.hold(session, CannotConnect.code, now)
            batch.leave(FOR_A_PERSON, **_row(session))
            return
        key = seen.key
    discard(session, key, now=now, services=services)
    there = services.sessions.get(handle_hash)
    if isinstance(there, Held):
        batch.leave(FOR_A_PERSON, **_row(there))
    elif there:
        # The session has ended, and the next round deletes it.
        batch.done["tokens ended or dropped"] += 1


def _row(session: ConnectSession) -> dict[str, Any]:
    return {
        "session": session.attempt.handle_hash,
        "phase": session.phase,
        "finch_customer_id": session.attempt.finch_customer_id,
    }


def _connections(
    batch: Batch, customer_id: str, at: Cursor, now: datetime, services: Services
) -> _Last:
    for connection in services.connecting.connections.every(customer_id):
        row = {
            "provider_id": connection.key.provider_id,
            "company_id": connection.key.company_id,
        }
        try:
            if connection.status is ConnectionStatus.DISCONNECTED:
                services.connecting.connections.erase(connection)
                batch.done["connections erased"] += 1
            else:
                _disconnect(connection, now, services)
                batch.leave(UNDER_WAY, **row)
        except (Conflict, ConnectionBusy):
            batch.leave(UNDER_WAY, **row)
    # Each round deletes it, because a connection that is still attached writes it.
    services.connecting.sessions.forget_names(customer_id)
    return None


def _disconnect(connection: Connection, now: datetime, services: Services) -> None:
    customer_id, key = connection.customer_id, connection.key
    disconnect.begin(customer_id, key, now=now, connections=services.connecting.connections)
    services.queue.send(WorkItem(ConnectionSubject(customer_id, key), now))


def _audit(batch: Batch, customer_id: str, at: Cursor, now: datetime, services: Services) -> _Last:
    erased = services.audit.erase(customer_id)
    batch.done["records erased"] += erased
    # An empty key starts the next query at the beginning, where only the other records are left.
    return {} if erased else None


_PARTS = {OWNERSHIPS: _ownerships, SESSIONS: _sessions, CONNECTIONS: _connections, AUDIT: _audit}
