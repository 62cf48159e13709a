"""The flow that tends: finishes what was left half done, or says that a person must look."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from finch_connections import connecting, disconnecting, naming, refreshing, releasing
from finch_connections.connect_session import (
    DEAD_AGAIN_AFTER,
    EXCHANGE_LIMIT,
    ConnectionEnded,
    ConnectSession,
    ExchangeUncertain,
    Phase,
    confirm_until,
    exchange_abandoned,
)
from finch_connections.connecting import Status
from finch_connections.connection import (
    DISCONNECT_REFUSED,
    CompanyKey,
    Connection,
    ConnectionBusy,
    ConnectionStatus,
)
from finch_connections.dynamodb import Conflict
from finch_connections.finch_failure import FinchFailure, FinchMisconfigured
from finch_connections.health import WORSE_AGAIN_AFTER, look_again_at, waits_for_days
from finch_connections.log import logger
from finch_connections.refreshing import Unanswered
from finch_connections.refusal import InternalError, Refusal
from finch_connections.task import (
    FIRST_LOOK,
    REMINDER,
    ConnectionTask,
    FinchConnectionTask,
    SessionTask,
    Task,
)

# Names that are still missing after four hours are left to the sweep.
_NAME_TRIES = 8


class Report(StrEnum):
    """What whoever is on duty is told, as the outcome that rings an alarm."""

    TOKEN_HELD = "token_held"  # noqa: S105
    EXCHANGE_UNCERTAIN = ExchangeUncertain.code
    DISCONNECT_REFUSED = DISCONNECT_REFUSED
    UNFINISHED = "unfinished"
    FINCH_MISCONFIGURED = FinchMisconfigured.code
    INTERNAL_ERROR = InternalError.code
    WAITS_FOR_DAYS = "waits_for_days"


class Look(NamedTuple):
    """What came of looking at a task: when to look again, if at all, and what to report."""

    again: Task | None = None
    report: Report | None = None


class Outsiders(NamedTuple):
    """Everything outside that tending touches."""

    connecting: connecting.Outsiders
    disconnecting: disconnecting.Outsiders
    naming: naming.Outsiders


def tend(task: Task, *, now: datetime, outside: Outsiders) -> Look:
    """Brings a task forward as far as it goes now. Doing it twice, or late, does no harm."""
    try:
        match task.subject:
            case SessionTask(handle_hash):
                look = _session(task, handle_hash, now, outside.connecting)
                if look.again and look.again.subject == task.subject:
                    _postpone(look.again, outside)
                return look
            case ConnectionTask(customer_id, key):
                return _connection(task, customer_id, key, now, outside)
            case FinchConnectionTask(connection_id):
                return _finch_connection(task, connection_id, now, outside)
    except FinchMisconfigured as error:
        # It says nothing of any connection, and no retry mends it.
        logger.error("task unfinished", reason=type(error).__name__)
        return Look(task.retried(now), Report.FINCH_MISCONFIGURED)
    except (Conflict, ConnectionBusy, FinchFailure, Unanswered) as error:
        logger.info("task unfinished", reason=type(error).__name__)
    except Exception:
        # AWS fails for a while, or a bug: either way the task stays, and somebody is told.
        logger.exception("task failed")
        later = _later(task, now)
        return later._replace(report=later.report or Report.INTERNAL_ERROR)
    return _later(task, now)


def _postpone(task: Task, outside: Outsiders) -> None:
    """Notes when something unfinished is looked at again, so that the sweep finds what was lost.

    Where that fails it is not known whether it is noted, and the task goes on as if it were.
    """
    try:
        match task.subject:
            case SessionTask(handle_hash):
                outside.connecting.sessions.postpone(handle_hash, task.due_at)
            case ConnectionTask(customer_id, key):
                outside.connecting.connections.postpone(customer_id, key, task.due_at)
    except Conflict:
        return
    except Exception:
        logger.exception("not noted when the task comes again")


def _later(task: Task, now: datetime) -> Look:
    return Look(task.retried(now), Report.UNFINISHED if task.stuck(now) else None)


def _reminder(task: Task, now: datetime, report: Report) -> Look:
    return Look(task.waiting(now + REMINDER), report)


def _session(task: Task, handle_hash: str, now: datetime, outside: connecting.Outsiders) -> Look:
    session = outside.sessions.get(handle_hash)
    if session is None:
        return Look()
    waits_for_a_person = session.phase in (Phase.HELD, Phase.UNCERTAIN)
    if waits_for_a_person and _comes_anyway(task, session, now):
        return Look()
    match session.phase:
        case Phase.EXCHANGING:
            return _exchanging(task, session, now, outside)
        case Phase.UNCERTAIN:
            # Nothing shows for sure which attempt a later connection recovers: a person dismisses it.
            return _reminder(task, now, Report.EXCHANGE_UNCERTAIN)
        case Phase.ESCROWED:
            return _escrowed(task, session, now, outside)
        case Phase.RELEASING:
            releasing.release(session, now=now, outside=outside)
            return _held_or_over(task, handle_hash, now, outside)
        case Phase.HELD:
            return _reminder(task, now, Report.TOKEN_HELD)
        case Phase.COMPLETE if session.key:
            # Finch's first webhook may have come before the connection was there.
            return Look(Task.at_once(ConnectionTask(session.customer_id, session.key), now))
        case _:
            return Look()


def _exchanging(
    task: Task, session: ConnectSession, now: datetime, outside: connecting.Outsiders
) -> Look:
    if not exchange_abandoned(session, now):
        return Look(task.waiting((session.consumed_at or now) + EXCHANGE_LIMIT))
    outside.sessions.uncertain(session, ExchangeUncertain.code)
    logger.error("exchange uncertain", customer_id=session.customer_id)
    return _reminder(task, now, Report.EXCHANGE_UNCERTAIN)


def _escrowed(
    task: Task, session: ConnectSession, now: datetime, outside: connecting.Outsiders
) -> Look:
    try:
        done = connecting.settle(session, None, None, bound=False, now=now, outside=outside)
    except ConnectionEnded:
        there = outside.sessions.get(session.handle_hash)
        if there is None or there.phase is not Phase.ESCROWED:
            return Look()
        return Look(task.waiting((there.dead_since or now) + DEAD_AGAIN_AFTER))
    except Refusal:
        return _held_or_over(task, session.handle_hash, now, outside)
    if done.status is Status.CONNECTED and done.key:
        return Look(Task.at_once(ConnectionTask(session.customer_id, done.key), now))
    if done.status is Status.PENDING:
        return _later(task, now)
    if now < confirm_until(session):
        return Look(task.waiting(confirm_until(session)))
    given_up = releasing.give_up(done.session, done.key, now=now, outside=outside)
    if given_up:
        releasing.release(given_up, now=now, outside=outside)
    return _held_or_over(task, session.handle_hash, now, outside)


def _held_or_over(
    task: Task, handle_hash: str, now: datetime, outside: connecting.Outsiders
) -> Look:
    session = outside.sessions.get(handle_hash)
    if session and session.phase is Phase.HELD:
        return _reminder(task, now, Report.TOKEN_HELD)
    return Look()


def _comes_anyway(task: Task, subject: ConnectSession | Connection, now: datetime) -> bool:
    """Whether another task of the same has looked, and comes again: one is enough."""
    later = subject.next_look and subject.next_look > now + FIRST_LOOK
    return bool(later) and not task.redelivered


def _finch_connection(task: Task, connection_id: str, now: datetime, outside: Outsiders) -> Look:
    """What a webhook is about. A session that keeps a token of it asks Finch itself, later."""
    claim = outside.connecting.claims.of_connection_id(connection_id)
    if claim is None or claim.owner is None:
        logger.info("nobody has this connection", connection_id=connection_id)
        return Look()
    owner = claim.owner
    task = replace(task, subject=ConnectionTask(owner.customer_id, owner.key))
    return _connection(task, owner.customer_id, owner.key, now, outside)


def _connection(
    task: Task, customer_id: str, key: CompanyKey, now: datetime, outside: Outsiders
) -> Look:
    connection = disconnecting.go_on(customer_id, key, now=now, outside=outside.disconnecting)
    if connection is None or connection.status is ConnectionStatus.DISCONNECTED:
        return Look()
    if connection.status is ConnectionStatus.DISCONNECTING:
        if _comes_anyway(task, connection, now):
            return Look()
        look = _later(task, now)
    else:
        look, connection = _health(task, customer_id, key, now, outside)
    if look.again:
        _postpone(look.again, outside)
        return look
    # Not noted on the row: a missing name makes no connection unfinished.
    return look._replace(again=_names(task, connection, now, outside))


def _names(
    task: Task, connection: Connection | None, now: datetime, outside: Outsiders
) -> Task | None:
    """The task again, where a name is missing that may be told soon. Nothing else waits for names."""
    if connection is None:
        return None
    try:
        later = naming.name(connection, outside=outside.naming)
    except Exception:
        logger.exception("names not asked for")
        return None
    return task.retried(now) if later and not task.swept and task.retries < _NAME_TRIES else None


def _health(
    task: Task, customer_id: str, key: CompanyKey, now: datetime, outside: Outsiders
) -> tuple[Look, Connection | None]:
    """What came of the look at its health, and the connection where there was an answer."""
    try:
        connection = refreshing.refresh(
            customer_id, key, asked_at=task.began_at, now=now, outside=outside.connecting
        )
    except (FinchFailure, Unanswered) as error:
        if isinstance(error, FinchMisconfigured) and not task.swept:
            raise
        if not task.given_up(now):
            raise
        # It stays due, and the sweep brings it again: no task lasts for ever on its account.
        logger.info("left to the sweep", reason=type(error).__name__)
        _postpone(replace(task, due_at=now + REMINDER), outside)
        misconfigured = isinstance(error, FinchMisconfigured)
        return Look(None, Report.FINCH_MISCONFIGURED if misconfigured else None), None
    suspicion = connection and look_again_at(connection)
    if suspicion:
        return Look(task.waiting(max(suspicion, now + WORSE_AGAIN_AFTER))), connection
    if connection and connection.problem == DISCONNECT_REFUSED:
        if _comes_anyway(task, connection, now):
            return Look(), connection
        return _reminder(task, now, Report.DISCONNECT_REFUSED), connection
    if task.swept and connection and waits_for_days(connection, now):
        # Told by the daily look alone, so that each connection counts once a day.
        logger.warning(
            Report.WAITS_FOR_DAYS,
            customer_id=customer_id,
            provider_id=key.provider_id,
            company_id=key.company_id,
        )
        return Look(None, Report.WAITS_FOR_DAYS), connection
    return Look(), connection
