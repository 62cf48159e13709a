"""The flow that erases a customer: everything of theirs ends at Finch first, and then here."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from finch_connections import connecting, disconnecting, resolving
from finch_connections.audit_table import AuditTable
from finch_connections.claim import Claim
from finch_connections.connect_session import ConnectSession, Phase
from finch_connections.connection import Connection, ConnectionBusy, ConnectionStatus
from finch_connections.dynamodb import Conflict
from finch_connections.finch_failure import FinchFailure
from finch_connections.log import logger
from finch_connections.refusal import Refusal
from finch_connections.releasing import give_up, release
from finch_connections.step import Cursor, Step
from finch_connections.task import ConnectionTask, SessionTask, Task

# What leads to others comes before them: an offer names a session, a session ends in a connection.
CLAIMS, SESSIONS, CONNECTIONS, AUDIT = "claims", "sessions", "connections", "audit"
_AFTER = {CLAIMS: SESSIONS, SESSIONS: CONNECTIONS, CONNECTIONS: AUDIT}

UNDER_WAY = "under way"
FOR_A_PERSON = "a person must decide"
ONLY_FINCH = "only Finch can end it"


class Outsiders(NamedTuple):
    """Everything outside that erasing touches."""

    connecting: connecting.Outsiders
    audit: AuditTable


def erase(
    customer_id: str,
    cursor: Cursor | None,
    *,
    now: datetime,
    in_time: Callable[[], bool],
    outside: Outsiders,
) -> Step:
    """One step through what is kept about a customer. It may be run again from any point.

    A row goes when Finch has confirmed that nothing is behind it. All is gone when one round from
    beginning to end has found nothing.
    """
    step = Step(cursor or Cursor(CLAIMS))
    while step.next and in_time():
        at = step.next
        last = _PARTS[at.part](step, customer_id, at, now, outside)
        if last:
            step.next = Cursor(at.part, last)
        else:
            step.next = Cursor(_AFTER[at.part]) if at.part in _AFTER else None
    return step


type _Last = dict[str, str] | None


def _claims(step: Step, customer_id: str, at: Cursor, now: datetime, outside: Outsiders) -> _Last:
    claims, last = outside.connecting.claims.about(customer_id, at.after)
    for claim in claims:
        if claim.owner:
            # It goes with its connection.
            continue
        session = outside.connecting.sessions.get(claim.offered_to or "")
        if session and session.customer_id == customer_id:
            _offer(step, claim, outside)
    return last


def _offer(step: Step, claim: Claim, outside: Outsiders) -> None:
    connection_id = claim.claimed.partition("#")[2]
    try:
        outside.connecting.claims.forget_offer(claim)
    except Conflict:
        step.leave(UNDER_WAY, connection_id=connection_id)
        return
    step.done["offers erased"] += 1
    logger.error("a connection at finch that nobody can end", connection_id=connection_id)
    step.leave(ONLY_FINCH, connection_id=connection_id)


def _sessions(step: Step, customer_id: str, at: Cursor, now: datetime, outside: Outsiders) -> _Last:
    sessions, last = outside.connecting.sessions.of_customer(customer_id, at.after)
    for session in sessions:
        try:
            _session(step, session, now, outside.connecting)
        except (Conflict, Refusal, FinchFailure) as error:
            step.leave(UNDER_WAY, **_named(session), because=type(error).__name__)
    return last


def _session(
    step: Step, session: ConnectSession, now: datetime, outside: connecting.Outsiders
) -> None:
    match session.phase:
        case Phase.STARTED | Phase.COMPLETE | Phase.ENDED:
            outside.sessions.erase(session)
            step.done["sessions erased"] += 1
        case Phase.EXCHANGING:
            step.leave(UNDER_WAY, **_named(session))
        case Phase.UNCERTAIN:
            step.leave(FOR_A_PERSON, **_named(session))
        case _:
            _end(step, session, now, outside)


def _end(step: Step, session: ConnectSession, now: datetime, outside: connecting.Outsiders) -> None:
    """Has Finch end what a session keeps, unless somebody else would be cut off."""
    handle_hash = session.handle_hash
    outside.queue.send(Task.first(SessionTask(handle_hash), now), now)
    given_up: ConnectSession | None = session
    if session.phase is not Phase.RELEASING:
        seen = resolving.picture(handle_hash, outside=outside)
        if any(owner.customer_id == session.customer_id for owner in seen.owners):
            # Their connection comes after the sessions, and ends with whatever token of it is alive.
            step.leave(UNDER_WAY, **_named(session))
            return
        given_up = give_up(seen.session, seen.key, now=now, outside=outside)
    if given_up:
        release(given_up, now=now, outside=outside)
    there = outside.sessions.get(handle_hash)
    if there and there.phase is Phase.HELD:
        step.leave(FOR_A_PERSON, **_named(there))
    elif there:
        # Over, and gone in the next round.
        step.done["tokens ended or dropped"] += 1


def _named(session: ConnectSession) -> dict[str, Any]:
    return {
        "session": session.handle_hash,
        "phase": session.phase,
        "finch_customer_id": session.finch_customer_id,
    }


def _connections(
    step: Step, customer_id: str, at: Cursor, now: datetime, outside: Outsiders
) -> _Last:
    for connection in outside.connecting.connections.every(customer_id):
        key = connection.key
        row = {"provider_id": key.provider_id, "company_id": key.company_id}
        try:
            if connection.status is ConnectionStatus.DISCONNECTED:
                outside.connecting.connections.erase(connection)
                step.done["connections erased"] += 1
            else:
                _disconnect(connection, now, outside.connecting)
                step.leave(UNDER_WAY, **row)
        except (Conflict, ConnectionBusy):
            step.leave(UNDER_WAY, **row)
    return None


def _disconnect(connection: Connection, now: datetime, outside: connecting.Outsiders) -> None:
    customer_id, key = connection.customer_id, connection.key
    disconnecting.begin(
        customer_id, key, now=now, connections=outside.connections, queue=outside.queue
    )
    outside.queue.send(Task.at_once(ConnectionTask(customer_id, key), now), now)


def _audit(step: Step, customer_id: str, at: Cursor, now: datetime, outside: Outsiders) -> _Last:
    erased = outside.audit.erase(customer_id)
    step.done["records erased"] += erased
    # Whatever it is told to go on after: what was erased is not found again.
    return {} if erased else None


_PARTS = {CLAIMS: _claims, SESSIONS: _sessions, CONNECTIONS: _connections, AUDIT: _audit}
