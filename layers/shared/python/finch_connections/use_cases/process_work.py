"""The flow that tends: finishes what was left half done, or says that a person must look."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from finch_connections.aws.dynamodb import Conflict
from finch_connections.domain.connect_session import (
    EXCHANGE_LIMIT,
    ConnectionEnded,
    ConnectSession,
    ExchangeUncertain,
    Phase,
    confirm_until,
    exchange_abandoned,
)
from finch_connections.domain.connection import (
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
    check_health,
    discard_token,
    disconnect,
    fetch_names,
    finish_connect,
)
from finch_connections.use_cases.check_health import Unanswered
from finch_connections.use_cases.finish_connect import Status

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

    again: WorkItem | None = None
    report: Report | None = None


class Services(NamedTuple):
    """Everything outside that tending touches."""

    connecting: finish_connect.Services
    disconnecting: disconnect.Services
    naming: fetch_names.Services


def process(work_item: WorkItem, *, now: datetime, services: Services) -> Look:
    """Brings a task forward as far as it goes now. Doing it twice, or late, does no harm."""
    try:
        match work_item.subject:
            case SessionSubject(handle_hash):
                look = _session(work_item, handle_hash, now, services.connecting)
                if look.again and look.again.subject == work_item.subject:
                    _postpone(look.again, services)
                return look
            case ConnectionSubject(customer_id, key):
                return _connection(work_item, customer_id, key, now, services)
            case FinchConnectionSubject(connection_id):
                return _finch_connection(work_item, connection_id, now, services)
    except FinchMisconfigured as error:
        # It says nothing of any connection, and no retry mends it.
        logger.error("task unfinished", reason=type(error).__name__)
        return Look(work_item.retried(now), Report.FINCH_MISCONFIGURED)
    except (Conflict, ConnectionBusy, FinchFailure, Unanswered) as error:
        logger.info("task unfinished", reason=type(error).__name__)
    except Exception:
        # AWS fails for a while, or a bug: either way the task stays, and somebody is told.
        logger.exception("task failed")
        later = _later(work_item, now)
        return later._replace(report=later.report or Report.INTERNAL_ERROR)
    return _later(work_item, now)


def _postpone(work_item: WorkItem, services: Services) -> None:
    """Notes when something unfinished is looked at again, so that the sweep finds what was lost.

    Where that fails it is not known whether it is noted, and the task goes on as if it were.
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
        logger.exception("not noted when the task comes again")


def _later(work_item: WorkItem, now: datetime) -> Look:
    return Look(work_item.retried(now), Report.UNFINISHED if work_item.stuck(now) else None)


def _reminder(work_item: WorkItem, now: datetime, report: Report) -> Look:
    return Look(work_item.waiting(now + REMINDER), report)


def _session(
    work_item: WorkItem, handle_hash: str, now: datetime, services: finish_connect.Services
) -> Look:
    session = services.sessions.get(handle_hash)
    if session is None:
        return Look()
    waits_for_a_person = session.phase in (Phase.HELD, Phase.UNCERTAIN)
    if waits_for_a_person and _comes_anyway(work_item, session, now):
        return Look()
    match session.phase:
        case Phase.EXCHANGING:
            return _exchanging(work_item, session, now, services)
        case Phase.UNCERTAIN:
            # Nothing shows for sure which attempt a later connection recovers: a person dismisses it.
            return _reminder(work_item, now, Report.EXCHANGE_UNCERTAIN)
        case Phase.ESCROWED:
            return _escrowed(work_item, session, now, services)
        case Phase.DISCARDING:
            discard_token.discard(session, now=now, services=services)
            return _held_or_over(work_item, handle_hash, now, services)
        case Phase.HELD:
            return _reminder(work_item, now, Report.TOKEN_HELD)
        case Phase.COMPLETE if session.key:
            # Finch's first webhook may have come before the connection was there.
            return Look(WorkItem.at_once(ConnectionSubject(session.customer_id, session.key), now))
        case _:
            return Look()


def _exchanging(
    work_item: WorkItem, session: ConnectSession, now: datetime, services: finish_connect.Services
) -> Look:
    if not exchange_abandoned(session, now):
        return Look(work_item.waiting((session.consumed_at or now) + EXCHANGE_LIMIT))
    services.sessions.uncertain(session, ExchangeUncertain.code)
    logger.error("exchange uncertain", customer_id=session.customer_id)
    return _reminder(work_item, now, Report.EXCHANGE_UNCERTAIN)


def _escrowed(
    work_item: WorkItem, session: ConnectSession, now: datetime, services: finish_connect.Services
) -> Look:
    try:
        done = finish_connect.settle(session, None, None, bound=False, now=now, services=services)
    except ConnectionEnded:
        there = services.sessions.get(session.handle_hash)
        if there is None or there.phase is not Phase.ESCROWED:
            return Look()
        return Look(work_item.waiting((there.dead_since or now) + DEAD_AGAIN_AFTER))
    except Refusal:
        return _held_or_over(work_item, session.handle_hash, now, services)
    if done.status is Status.CONNECTED and done.key:
        return Look(WorkItem.at_once(ConnectionSubject(session.customer_id, done.key), now))
    if done.status is Status.PENDING:
        return _later(work_item, now)
    if now < confirm_until(session):
        return Look(work_item.waiting(confirm_until(session)))
    given_up = discard_token.begin_discard(done.session, done.key, now=now, services=services)
    if given_up:
        discard_token.discard(given_up, now=now, services=services)
    return _held_or_over(work_item, session.handle_hash, now, services)


def _held_or_over(
    work_item: WorkItem, handle_hash: str, now: datetime, services: finish_connect.Services
) -> Look:
    session = services.sessions.get(handle_hash)
    if session and session.phase is Phase.HELD:
        return _reminder(work_item, now, Report.TOKEN_HELD)
    return Look()


def _comes_anyway(work_item: WorkItem, subject: ConnectSession | Connection, now: datetime) -> bool:
    """Whether another task of the same has looked, and comes again: one is enough."""
    later = subject.next_look and subject.next_look > now + FIRST_LOOK
    return bool(later) and not work_item.redelivered


def _finch_connection(
    work_item: WorkItem, connection_id: str, now: datetime, services: Services
) -> Look:
    """What a webhook is about. A session that keeps a token of it asks Finch itself, later."""
    record = services.connecting.ownerships.of_connection_id(connection_id)
    if record is None or record.owner is None:
        logger.info("nobody has this connection", connection_id=connection_id)
        return Look()
    owner = record.owner
    work_item = replace(work_item, subject=ConnectionSubject(owner.customer_id, owner.key))
    return _connection(work_item, owner.customer_id, owner.key, now, services)


def _connection(
    work_item: WorkItem, customer_id: str, key: CompanyKey, now: datetime, services: Services
) -> Look:
    connection = disconnect.resume(customer_id, key, now=now, services=services.disconnecting)
    if connection is None or connection.status is ConnectionStatus.DISCONNECTED:
        return Look()
    if connection.status is ConnectionStatus.DISCONNECTING:
        if _comes_anyway(work_item, connection, now):
            return Look()
        look = _later(work_item, now)
    else:
        look, connection = _health(work_item, customer_id, key, now, services)
    if look.again:
        _postpone(look.again, services)
        return look
    # Not noted on the row: a missing name makes no connection unfinished.
    return look._replace(again=_names(work_item, connection, now, services))


def _names(
    work_item: WorkItem, connection: Connection | None, now: datetime, services: Services
) -> WorkItem | None:
    """The task again, where a name is missing that may be told soon. Nothing else waits for names."""
    if connection is None:
        return None
    try:
        later = fetch_names.fetch(connection, services=services.naming)
    except Exception:
        logger.exception("names not asked for")
        return None
    return (
        work_item.retried(now)
        if later and not work_item.scheduled and work_item.retries < _NAME_TRIES
        else None
    )


def _health(
    work_item: WorkItem, customer_id: str, key: CompanyKey, now: datetime, services: Services
) -> tuple[Look, Connection | None]:
    """What came of the look at its health, and the connection where there was an answer."""
    try:
        connection = check_health.check(
            customer_id, key, asked_at=work_item.began_at, now=now, services=services.connecting
        )
    except (FinchFailure, Unanswered) as error:
        if isinstance(error, FinchMisconfigured) and not work_item.scheduled:
            raise
        if not work_item.left_to_schedule(now):
            raise
        # It stays due, and the sweep brings it again: no task lasts for ever on its account.
        logger.info("left to the sweep", reason=type(error).__name__)
        _postpone(replace(work_item, due_at=now + REMINDER), services)
        misconfigured = isinstance(error, FinchMisconfigured)
        return Look(None, Report.FINCH_MISCONFIGURED if misconfigured else None), None
    suspicion = connection and look_again_at(connection)
    if suspicion:
        return Look(work_item.waiting(max(suspicion, now + WORSE_AGAIN_AFTER))), connection
    if connection and connection.problem == DISCONNECT_REFUSED:
        if _comes_anyway(work_item, connection, now):
            return Look(), connection
        return _reminder(work_item, now, Report.DISCONNECT_REFUSED), connection
    if work_item.scheduled and connection and waits_for_days(connection, now):
        # Told by the daily look alone, so that each connection counts once a day.
        logger.warning(
            Report.WAITS_FOR_DAYS,
            customer_id=customer_id,
            provider_id=key.provider_id,
            company_id=key.company_id,
        )
        return Look(None, Report.WAITS_FOR_DAYS), connection
    return Look(), connection
