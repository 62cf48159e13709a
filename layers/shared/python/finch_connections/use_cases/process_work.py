"""Processes a work item: finishes the work that a request began, or reports it, and stores the next look."""

from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, assert_never

from finch_connections.aws.dynamodb import Conflict
from finch_connections.domain.connect_session import (
    EXCHANGE_LIMIT,
    Complete,
    ConnectionEnded,
    ConnectSession,
    Discarding,
    Ended,
    Escrowed,
    ExchangeUncertain,
    Exchanging,
    Held,
    Keeping,
    Started,
    Uncertain,
)
from finch_connections.domain.connection import (
    DISCONNECT_REFUSED,
    Connection,
    ConnectionBusy,
    ConnectionStatus,
    key_fields,
)
from finch_connections.domain.errors import InternalError, Refusal
from finch_connections.domain.health import look_again_at, waits_for_days
from finch_connections.domain.history import HistoryEntry, Step
from finch_connections.domain.token_response import DEAD_AGAIN_AFTER
from finch_connections.domain.work_item import (
    LONGEST_PAUSE,
    STUCK_AFTER,
    ConnectionSubject,
    FinchConnectionSubject,
    SessionSubject,
    Subject,
    WorkItem,
    retry_at,
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

# Names that are still missing this long after a login are left to the daily check.
_NAMES_WITHIN = timedelta(hours=4)

type _Row = SessionSubject | ConnectionSubject


class Report(StrEnum):
    """A report to the operator on duty: the outcome of a work item that an alarm counts."""

    TOKEN_HELD = "token_held"  # noqa: S105
    EXCHANGE_UNCERTAIN = ExchangeUncertain.code
    DISCONNECT_REFUSED = DISCONNECT_REFUSED
    UNFINISHED = "unfinished"
    FINCH_MISCONFIGURED = FinchMisconfigured.code
    INTERNAL_ERROR = InternalError.code
    WAITS_FOR_DAYS = "waits_for_days"
    FINCH_CONTRADICTS = "finch_contradicts"


class Processed(NamedTuple):
    """The result of a look: when the row is due again, if the look decides that, and the report, if any.

    `because` is the failure that left the work unfinished, if any. With `unless_sooner`, the row stays due
    at an earlier time, which another request may have stored during the look.
    """

    again_at: datetime | None = None
    report: Report | None = None
    because: Refusal | FinchFailure | None = None
    unless_sooner: bool = False


class Services(NamedTuple):
    """Everything that processing reads and writes, by use case, and when a connection is idle."""

    connecting: exchange_code.Services
    disconnecting: disconnect.Services
    naming: fetch_names.Services
    idle_after: timedelta


def process(work_item: WorkItem, *, now: datetime, services: Services) -> Processed:
    """Does the work that is possible now, and stores when the row is due again.

    A repeated or late run does no harm. Queues nothing, because Lambda stops a function that sends
    messages to its own queue ("Use Lambda recursive loop detection" in its developer guide).
    """
    row = _row(work_item.subject, now, services)
    if row is None:
        return Processed()
    report = None
    try:
        result = _look(work_item, row, now, services)
    except FinchMisconfigured as error:
        # The fault is our account or secret, not the connection. Only the operator can fix it.
        logger.error("task unfinished", reason=type(error).__name__)
        report = Report.FINCH_MISCONFIGURED
        result = _later(work_item, row, now, services)._replace(because=error)
    except (Conflict, ConnectionBusy, FinchFailure, Unanswered) as error:
        logger.info("task unfinished", reason=type(error).__name__)
        result = _later(work_item, row, now, services)
        # Another request may have changed the row, and made it due soon.
        result = result._replace(unless_sooner=isinstance(error, Conflict))
        if isinstance(error, ConnectionBusy | FinchFailure):
            result = result._replace(because=error)
    except Exception:
        # AWS fails for a while, or we have a bug. The row is due again, and the operator gets a report.
        logger.exception("task failed")
        report = Report.INTERNAL_ERROR
        result = _later(work_item, row, now, services)._replace(because=InternalError())
    if result.again_at:
        tried = _tried(result.because, now)
        _postpone(row, result.again_at, services, tried, unless_sooner=result.unless_sooner)
    return result._replace(report=report or result.report)


def _tried(because: Refusal | FinchFailure | None, now: datetime) -> HistoryEntry | None:
    if isinstance(because, FinchFailure):
        return because.entry(now, Step.TRIED)
    return HistoryEntry.of(now, Step.TRIED, because.code) if because else None


def put_off(subject: Subject, *, now: datetime, services: Services) -> None:
    """Makes the row of a subject due at once, so that the next scheduled check queues it again."""
    if row := _row(subject, now, services):
        _postpone(row, now, services)


def _row(subject: Subject, now: datetime, services: Services) -> _Row | None:
    """The session or the connection of a subject.

    None if a webhook names no connection that we know: then all connections of its company become due.
    A session with a token of that Finch connection asks Finch later anyway.
    """
    if isinstance(subject, SessionSubject | ConnectionSubject):
        return subject
    if isinstance(subject, FinchConnectionSubject):
        record = services.connecting.ownerships.of_connection_id(subject.connection_id)
        if record and record.owner:
            return ConnectionSubject(record.owner.customer_id, record.owner.key)
        logger.info("no owner of this connection", connection_id=subject.connection_id)
    if subject.company_id:
        _company_due(subject.company_id, now, services)
    return None


def _company_due(company_id: str, now: datetime, services: Services) -> None:
    """Makes each connection of a company due at once."""
    connecting = services.connecting
    for owner in connecting.ownerships.of_finch_company(company_id):
        with suppress(Conflict):
            connecting.connections.postpone(owner.customer_id, owner.key, now)


def _look(work_item: WorkItem, row: _Row, now: datetime, services: Services) -> Processed:
    match row:
        case SessionSubject():
            return _session(work_item, row, now, services)
        case ConnectionSubject():
            return _connection(work_item, row, now, services)


def _postpone(
    row: _Row,
    until: datetime,
    services: Services,
    tried: HistoryEntry | None = None,
    *,
    unless_sooner: bool = False,
) -> None:
    """Makes a row due at `until`. If that fails, the row is due when its lease ends.

    A session stores how it was tried; a connection has what Finch refused in its history.
    """
    try:
        match row:
            case SessionSubject(handle_hash):
                services.connecting.sessions.postpone(
                    handle_hash, until, tried, unless_sooner=unless_sooner
                )
            case ConnectionSubject(customer_id, key):
                services.connecting.connections.postpone(
                    customer_id, key, until, unless_sooner=unless_sooner
                )
    except Conflict:
        return
    except Exception:
        logger.exception("next look not stored")


def _later(work_item: WorkItem, row: _Row, now: datetime, services: Services) -> Processed:
    """The result after a failure. A failing health check is not stuck: the connection works as before."""
    if not work_item.scheduled:
        return Processed(retry_at(work_item.asked_at, now))
    began = again = None
    pause_ends = now + LONGEST_PAUSE
    try:
        match row:
            case SessionSubject(handle_hash):
                session = services.connecting.sessions.get(handle_hash)
                began = _began(session, now)
                if isinstance(session, Keeping) and session.dead_since:
                    again = session.dead_since + DEAD_AGAIN_AFTER
            case ConnectionSubject(customer_id, key):
                if connection := services.connecting.connections.get(customer_id, key):
                    began, again = connection.unfinished_since, look_again_at(connection)
                    # A new connection waits for its names, and for a webhook that came too early.
                    pause_ends = retry_at(_connected_at(connection), now)
    except Exception:
        logger.exception("row not read")
    if began is None:
        return Processed(pause_ends)
    stuck_at, at = began + STUCK_AFTER, retry_at(began, now)
    if again and again > now:
        # The response that a token is dead counts if Finch repeats it then.
        at = min(at, again)
    if now < stuck_at:
        return Processed(min(at, max(stuck_at, again or stuck_at)))
    return Processed(at, Report.UNFINISHED)


def _began(session: ConnectSession | None, now: datetime) -> datetime | None:
    """The time since when the work on a session can be finished; None if it has no work."""
    if isinstance(session, Discarding):
        return session.discarding_since
    if session is None or isinstance(session, Started):
        return None
    confirm_until = session.consumption.confirm_until
    waited = isinstance(session, Escrowed) and not session.escrow.browser_bound
    return confirm_until if waited and now >= confirm_until else session.consumption.consumed_at


def _reminder(now: datetime, report: Report) -> Processed:
    return Processed(now + LONGEST_PAUSE, report)


def _session(
    work_item: WorkItem, row: SessionSubject, now: datetime, services: Services
) -> Processed:
    match session := services.connecting.sessions.get(row.handle_hash):
        case Exchanging():
            return _exchanging(session, now, services.connecting)
        case Escrowed():
            return _escrowed(work_item, row, session, now, services)
        case Discarding():
            discard_token.discard(session, session.key, now=now, services=services.connecting)
            return _held_or_over(row, now, services)
        case Held() if attach_token.company_is_free(session, now, services.connecting):
            return _escrowed(work_item, row, session, now, services)
        case Held():
            return _reminder(now, Report.TOKEN_HELD)
        case Uncertain():
            # Nothing shows which exchange a later connection recovers: an operator dismisses it.
            return _reminder(now, Report.EXCHANGE_UNCERTAIN)
        case Started() | Complete() | Ended() | None:
            return Processed()
        case _:
            assert_never(session)


def _exchanging(session: Exchanging, now: datetime, services: exchange_code.Services) -> Processed:
    if not session.abandoned(now):
        return Processed(session.consumption.consumed_at + EXCHANGE_LIMIT)
    services.sessions.uncertain(session, now)
    logger.error("exchange uncertain", customer_id=session.attempt.customer_id)
    return _reminder(now, Report.EXCHANGE_UNCERTAIN)


def _escrowed(
    work_item: WorkItem,
    row: SessionSubject,
    session: Escrowed | Held,
    now: datetime,
    services: Services,
) -> Processed:
    connecting = services.connecting
    try:
        done = attach_token.settle(session, Approval.NONE, now=now, services=connecting)
    except ConnectionEnded:
        latest = connecting.sessions.get(row.handle_hash)
        if not isinstance(latest, Escrowed | Held):
            return Processed()
        return Processed((latest.dead_since or now) + DEAD_AGAIN_AFTER)
    except Refusal:
        return _held_or_over(row, now, services)
    if done.status is Status.CONNECTED:
        return Processed()
    if done.status is Status.PENDING or not isinstance(done.session, Escrowed | Held):
        return _later(work_item, row, now, services)._replace(because=done.because)
    confirm_until = session.consumption.confirm_until
    if now < confirm_until:
        if isinstance(done.session, Escrowed):
            connecting.sessions.await_confirmation(done.session, now)
            return Processed()
        # Its company is free, but may get another owner: then an operator must decide.
        return Processed(min(confirm_until, now + LONGEST_PAUSE))
    discard_token.discard(done.session, done.key, now=now, services=connecting)
    return _held_or_over(row, now, services)


def _held_or_over(row: SessionSubject, now: datetime, services: Services) -> Processed:
    if isinstance(services.connecting.sessions.get(row.handle_hash), Held):
        return _reminder(now, Report.TOKEN_HELD)
    return Processed()


def _connection(
    work_item: WorkItem, row: ConnectionSubject, now: datetime, services: Services
) -> Processed:
    customer_id, key = row.customer_id, row.key
    connection = disconnect.resume(customer_id, key, now=now, services=services.disconnecting)
    if connection is None or connection.status is ConnectionStatus.DISCONNECTED:
        return Processed()
    if connection.status is ConnectionStatus.DISCONNECTING:
        return _later(work_item, row, now, services)
    connection, contradicted = check_health.check(
        customer_id,
        key,
        hinted_at=work_item.sent_at,
        newest_hint=work_item.newest_at,
        idle_after=services.idle_after,
        now=now,
        services=services.connecting,
    )
    report = Report.FINCH_CONTRADICTS if contradicted else None
    if connection is None or look_again_at(connection):
        return Processed(report=report)
    if connection.ending_entities:
        # Finch has not confirmed the end of an entity.
        return _later(work_item, row, now, services)
    if report:
        logger.error(report, extra=key_fields(customer_id, key))
    elif connection.problem == DISCONNECT_REFUSED or connection.refused_entities:
        report = Report.DISCONNECT_REFUSED
    elif work_item.scheduled and waits_for_days(connection, now):
        # Only the daily check reports it, so that each connection counts once a day.
        report = Report.WAITS_FOR_DAYS
        logger.warning(report, extra=key_fields(customer_id, key))
    # Meanwhile the customer may have begun a disconnect.
    return Processed(_names(connection, now, services), report, unless_sooner=True)


def _names(connection: Connection, now: datetime, services: Services) -> datetime | None:
    """Fetches the missing names. Returns when to try again if Finch may give a name soon."""
    try:
        later = fetch_names.fetch(connection, services=services.naming)
    except Exception:
        logger.exception("names not fetched")
        return None
    connected_at = _connected_at(connection)
    soon = later and now < connected_at + _NAMES_WITHIN
    return retry_at(connected_at, now) if soon else None


def _connected_at(connection: Connection) -> datetime:
    """The time of the newest login."""
    times = (one.connected_at for one in connection.tokens)
    return max(times, default=connection.created_at)
