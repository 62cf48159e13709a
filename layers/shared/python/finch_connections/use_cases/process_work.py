"""Processes a work item: finishes the work that a request began, or reports it to the operator."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, assert_never

from finch_connections.aws.dynamodb import Conflict
from finch_connections.domain.connect_session import (
    EXCHANGE_LIMIT,
    Complete,
    ConnectionEnded,
    Discarding,
    Ended,
    Escrowed,
    ExchangeUncertain,
    Exchanging,
    Held,
    Started,
    Uncertain,
)
from finch_connections.domain.connection import (
    CHECKED_EVERY,
    DISCONNECT_REFUSED,
    CompanyKey,
    Connection,
    ConnectionBusy,
    ConnectionStatus,
)
from finch_connections.domain.errors import InternalError, Refusal
from finch_connections.domain.health import WORSE_AGAIN_AFTER, look_again_at, waits_for_days
from finch_connections.domain.token_response import DEAD_AGAIN_AFTER
from finch_connections.domain.work_item import (
    FIRST_LOOK,
    REMINDER,
    ConnectionSubject,
    FinchConnectionSubject,
    SessionSubject,
    WorkItem,
)
from finch_connections.finch.errors import FinchFailure, FinchMisconfigured
from finch_connections.log import logger
from finch_connections.use_cases import (
    attach_token,
    check_health,
    discard_token,
    disconnect,
    exchange_code,
    fetch_names,
)
from finch_connections.use_cases.attach_token import Approval, Status
from finch_connections.use_cases.check_health import Unanswered

# Names that are still missing after four hours are left to the scheduled check.
_NAME_TRIES = 8


class Report(StrEnum):
    """A report to the operator on duty: the outcome of a work item that an alarm counts."""

    TOKEN_HELD = "token_held"  # noqa: S105
    EXCHANGE_UNCERTAIN = ExchangeUncertain.code
    DISCONNECT_REFUSED = DISCONNECT_REFUSED
    UNFINISHED = "unfinished"
    FINCH_MISCONFIGURED = FinchMisconfigured.code
    INTERNAL_ERROR = InternalError.code
    WAITS_FOR_DAYS = "waits_for_days"


class Processed(NamedTuple):
    """The result for a work item: the item to queue again, if any, and the report, if any."""

    again: WorkItem | None = None
    report: Report | None = None


class Services(NamedTuple):
    """Everything that processing reads and writes, by use case."""

    connecting: exchange_code.Services
    disconnecting: disconnect.Services
    naming: fetch_names.Services


def process(work_item: WorkItem, *, now: datetime, services: Services) -> Processed:
    """Does the work that is possible now. A repeated or late run does no harm."""
    try:
        match work_item.subject:
            case SessionSubject(handle_hash):
                result = _session(work_item, handle_hash, now, services.connecting)
                if result.again and result.again.subject == work_item.subject:
                    _postpone(result.again, services)
                return result
            case ConnectionSubject(customer_id, key):
                return _connection(work_item, customer_id, key, now, services)
            case FinchConnectionSubject(connection_id):
                return _finch_connection(work_item, connection_id, now, services)
    except FinchMisconfigured as error:
        # The fault is our account or secret, not the connection. Only the operator can fix it.
        logger.error("task unfinished", reason=type(error).__name__)
        return Processed(work_item.retried(now), Report.FINCH_MISCONFIGURED)
    except (Conflict, ConnectionBusy, FinchFailure, Unanswered) as error:
        logger.info("task unfinished", reason=type(error).__name__)
    except Exception:
        # AWS fails for a while, or we have a bug. The work item stays, and the operator gets a report.
        logger.exception("task failed")
        later = _later(work_item, now)
        return later._replace(report=later.report or Report.INTERNAL_ERROR)
    return _later(work_item, now)


def _postpone(work_item: WorkItem, services: Services) -> None:
    """Stores when the work item is due again, so that the scheduled check can replace a lost item.

    If the call fails, the write may still have succeeded. So the work item continues.
    """
    try:
        match work_item.subject:
            case SessionSubject(handle_hash):
                services.connecting.sessions.postpone(handle_hash, work_item.due_at)
            case ConnectionSubject(customer_id, key):
                services.connecting.connections.postpone(customer_id, key, work_item.due_at)
    except Conflict:
        return
    except Exception:
        logger.exception("next attempt not stored")


def _later(work_item: WorkItem, now: datetime) -> Processed:
    return Processed(work_item.retried(now), Report.UNFINISHED if work_item.stuck(now) else None)


def _reminder(work_item: WorkItem, now: datetime, report: Report) -> Processed:
    return Processed(work_item.waiting(now + REMINDER), report)


def _session(
    work_item: WorkItem, handle_hash: str, now: datetime, services: exchange_code.Services
) -> Processed:
    match session := services.sessions.get(handle_hash):
        case Exchanging():
            return _exchanging(work_item, session, now, services)
        case Escrowed():
            return _escrowed(work_item, session, now, services)
        case Discarding():
            discard_token.discard(session, session.key, now=now, services=services)
            return _held_or_over(work_item, handle_hash, now, services)
        case Held() | Uncertain() if _comes_anyway(work_item, session.next_look, now):
            return Processed()
        case Held():
            return _reminder(work_item, now, Report.TOKEN_HELD)
        case Uncertain():
            # Nothing shows which exchange a later connection recovers: an operator dismisses it.
            return _reminder(work_item, now, Report.EXCHANGE_UNCERTAIN)
        case Complete():
            # Finch's first webhook may have come before the connection was written.
            subject = ConnectionSubject(session.attempt.customer_id, session.key)
            return Processed(WorkItem.at_once(subject, now))
        case Started() | Ended() | None:
            return Processed()
        case _:
            assert_never(session)


def _exchanging(
    work_item: WorkItem, session: Exchanging, now: datetime, services: exchange_code.Services
) -> Processed:
    if not session.abandoned(now):
        return Processed(work_item.waiting(session.consumption.consumed_at + EXCHANGE_LIMIT))
    services.sessions.uncertain(session)
    logger.error("exchange uncertain", customer_id=session.attempt.customer_id)
    return _reminder(work_item, now, Report.EXCHANGE_UNCERTAIN)


def _escrowed(
    work_item: WorkItem, session: Escrowed, now: datetime, services: exchange_code.Services
) -> Processed:
    handle_hash, customer_id = session.attempt.handle_hash, session.attempt.customer_id
    try:
        done = attach_token.settle(session, Approval.NONE, now=now, services=services)
    except ConnectionEnded:
        latest = services.sessions.get(handle_hash)
        if not isinstance(latest, Escrowed):
            return Processed()
        return Processed(work_item.waiting((latest.dead_since or now) + DEAD_AGAIN_AFTER))
    except Refusal:
        return _held_or_over(work_item, handle_hash, now, services)
    if done.status is Status.CONNECTED and done.key:
        return Processed(WorkItem.at_once(ConnectionSubject(customer_id, done.key), now))
    if done.status is Status.PENDING or not isinstance(done.session, Escrowed):
        return _later(work_item, now)
    confirm_until = session.consumption.confirm_until
    if now < confirm_until:
        return Processed(work_item.waiting(confirm_until))
    discard_token.discard(done.session, done.key, now=now, services=services)
    return _held_or_over(work_item, handle_hash, now, services)


def _held_or_over(
    work_item: WorkItem, handle_hash: str, now: datetime, services: exchange_code.Services
) -> Processed:
    if isinstance(services.sessions.get(handle_hash), Held):
        return _reminder(work_item, now, Report.TOKEN_HELD)
    return Processed()


def _comes_anyway(work_item: WorkItem, next_look: datetime | None, now: datetime) -> bool:
    """True if another work item for this subject is already scheduled."""
    later = next_look and next_look > now + FIRST_LOOK
    return bool(later) and not work_item.redelivered


def _finch_connection(
    work_item: WorkItem, connection_id: str, now: datetime, services: Services
) -> Processed:
    """Processes the connection that a webhook names. A session with a token of it asks Finch later anyway."""
    record = services.connecting.ownerships.of_connection_id(connection_id)
    if record is None or record.owner is None:
        logger.info("no owner of this connection", connection_id=connection_id)
        return Processed()
    owner = record.owner
    work_item = replace(work_item, subject=ConnectionSubject(owner.customer_id, owner.key))
    return _connection(work_item, owner.customer_id, owner.key, now, services)


def _connection(
    work_item: WorkItem, customer_id: str, key: CompanyKey, now: datetime, services: Services
) -> Processed:
    connection = disconnect.resume(customer_id, key, now=now, services=services.disconnecting)
    if connection is None or connection.status is ConnectionStatus.DISCONNECTED:
        return Processed()
    if connection.status is ConnectionStatus.DISCONNECTING:
        if _comes_anyway(work_item, connection.next_look, now):
            return Processed()
        result = _later(work_item, now)
    else:
        ending, next_look = bool(connection.ending_entities), connection.next_look
        result, connection = _health(work_item, customer_id, key, now, services)
        ending = ending and (connection is None or bool(connection.ending_entities))
        if ending and not result.again and not _comes_anyway(work_item, next_look, now):
            # Finch has not confirmed the end of an entity.
            result = _later(work_item, now)
    if result.again:
        _postpone(result.again, services)
        return result
    # Not stored in the table: a connection without a name is not unfinished.
    return result._replace(again=_names(work_item, connection, now, services))


def _names(
    work_item: WorkItem, connection: Connection | None, now: datetime, services: Services
) -> WorkItem | None:
    """Fetches the missing names. Returns the work item for another try if Finch may give a name soon."""
    if connection is None:
        return None
    try:
        later = fetch_names.fetch(connection, services=services.naming)
    except Exception:
        logger.exception("names not fetched")
        return None
    return (
        work_item.retried(now)
        if later and not work_item.scheduled and work_item.retries < _NAME_TRIES
        else None
    )


def _health(
    work_item: WorkItem, customer_id: str, key: CompanyKey, now: datetime, services: Services
) -> tuple[Processed, Connection | None]:
    """The result of the health check, and the connection, which is None if Finch did not answer."""
    # An entity that Finch does not end for days must not stop the daily check.
    asked_at = max(work_item.began_at, now - CHECKED_EVERY)
    try:
        connection = check_health.check(
            customer_id, key, asked_at=asked_at, now=now, services=services.connecting
        )
    except (FinchFailure, Unanswered) as error:
        if isinstance(error, FinchMisconfigured) and not work_item.scheduled:
            raise
        if not work_item.left_to_schedule(now):
            raise
        # The connection stays due, and the scheduled check queues it: no work item repeats for ever.
        logger.info("left to the scheduled check", reason=type(error).__name__)
        _postpone(replace(work_item, due_at=now + REMINDER), services)
        misconfigured = isinstance(error, FinchMisconfigured)
        return Processed(None, Report.FINCH_MISCONFIGURED if misconfigured else None), None
    suspicion = connection and look_again_at(connection)
    if suspicion:
        return Processed(work_item.waiting(max(suspicion, now + WORSE_AGAIN_AFTER))), connection
    if connection and (connection.problem == DISCONNECT_REFUSED or connection.refused_entities):
        if _comes_anyway(work_item, connection.next_look, now):
            return Processed(), connection
        return _reminder(work_item, now, Report.DISCONNECT_REFUSED), connection
    if work_item.scheduled and connection and waits_for_days(connection, now):
        # Only the daily check reports it, so that each connection counts once a day.
        logger.warning(
            Report.WAITS_FOR_DAYS,
            customer_id=customer_id,
            provider_id=key.provider_id,
            company_id=key.company_id,
        )
        return Processed(None, Report.WAITS_FOR_DAYS), connection
    return Processed(), connection
