"""A work item: a message that asks for a look at a subject. The row says when the next look is due."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from finch_connections.domain.connection import FIRST_LOOK, CompanyKey

# While a row has a work item in the queue, the row is due this much later, in case the work item is lost.
# Each further work item without a look adds as much: a function that fails for days must not leave a dead
# letter of the row each 15 minutes.
LEASE = timedelta(minutes=15)
# Work that takes longer than this is stuck, not slow.
STUCK_AFTER = timedelta(hours=1)
# How often we try again what fails for long, and report work that waits for the operator.
LONGEST_PAUSE = timedelta(hours=1)


@dataclass(frozen=True)
class SessionSubject:
    """A connect session that has consumed its code."""

    handle_hash: str


@dataclass(frozen=True)
class FinchConnectionSubject:
    """A Finch connection and its company, as a webhook names them. The owner is looked up later."""

    connection_id: str
    company_id: str | None = None


@dataclass(frozen=True)
class FinchCompanySubject:
    """A company, as a webhook names it that names no Finch connection. Its owners are looked up later."""

    company_id: str


@dataclass(frozen=True)
class ConnectionSubject:
    """A connection to disconnect, or to check."""

    customer_id: str
    key: CompanyKey


type Subject = SessionSubject | ConnectionSubject | FinchConnectionSubject | FinchCompanySubject


@dataclass(frozen=True)
class WorkItem:
    """The subject to look at, and the time when the look was asked for.

    A `scheduled` work item comes from the scheduled check, because the row of its subject was due.
    `sent_at` is the time when the queue got the item, and `newest_at` the time of the newest item that
    came with it. Both are of the queue's clock, because functions' clocks differ.
    """

    subject: Subject
    asked_at: datetime
    scheduled: bool = False
    sent_at: datetime | None = None
    newest_at: datetime | None = None


def retry_at(since: datetime, now: datetime) -> datetime:
    """The next attempt at work that has failed since `since`: in 1, 2, 4 ... minutes, later each hour."""
    return now + min(max(now - since, FIRST_LOOK), LONGEST_PAUSE)
