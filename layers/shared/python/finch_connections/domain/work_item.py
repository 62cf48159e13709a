"""A work item: something unfinished that the queue delivers again until it is done."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from finch_connections.domain.connection import CompanyKey

# The first attempt comes this late, because the request that queued the item usually finishes the work.
FIRST_LOOK = timedelta(minutes=1)
# Work that takes longer than this is stuck, not slow.
STUCK_AFTER = timedelta(hours=1)
# How often we check and report work that waits for the operator.
REMINDER = timedelta(hours=1)
# After this, the scheduled check takes over a health check that keeps failing.
_LEFT_TO_SCHEDULE_AFTER = timedelta(hours=6)
_LONGEST_PAUSE = timedelta(hours=6)


@dataclass(frozen=True)
class SessionSubject:
    """A connect session that has consumed its code."""

    handle_hash: str


@dataclass(frozen=True)
class FinchConnectionSubject:
    """A Finch connection, as a webhook names it. Its owner is looked up later."""

    connection_id: str


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
    """The subject to process, the time since when work is due, and the time of the next attempt.

    `retries` counts failed attempts. A `scheduled` item comes from the scheduled check, which finds it
    again if it is lost. A `redelivered` item replaces a lost one: the row may name a next attempt whose
    message was never sent.
    """

    subject: Subject
    began_at: datetime
    due_at: datetime
    retries: int = 0
    scheduled: bool = False
    redelivered: bool = False

    @classmethod
    def first(cls, subject: Subject, now: datetime) -> Self:
        """The item to queue before the work starts, in case the work stops halfway."""
        return cls(subject, now, now + FIRST_LOOK)

    @classmethod
    def at_once(cls, subject: Subject, now: datetime) -> Self:
        """The item for a hint that the subject may have changed."""
        return cls(subject, now, now)

    @classmethod
    def instead(cls, subject: Subject, now: datetime) -> Self:
        """The item that replaces a lost one."""
        return cls(subject, now, now, redelivered=True)

    def waiting(self, until: datetime) -> Self:
        """The same item, due at `until`. Its age and its retries count from then."""
        return replace(self, began_at=until, due_at=until, retries=0, redelivered=False)

    def left_to_schedule(self, now: datetime) -> bool:
        """Whether the scheduled check takes over a health check that fails."""
        return self.scheduled or now >= self.began_at + _LEFT_TO_SCHEDULE_AFTER

    def stuck(self, now: datetime) -> bool:
        """Whether to report to the operator that the work is not done."""
        return now >= self.began_at + STUCK_AFTER

    def retried(self, now: datetime) -> Self:
        """The same item after a failure: due in 1, 2, 4 ... minutes, later every six hours."""
        pause = min(timedelta(minutes=2 ** min(self.retries, 10)), _LONGEST_PAUSE)
        retries = self.retries + 1
        return replace(self, due_at=now + pause, retries=retries, redelivered=False)
