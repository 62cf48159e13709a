"""A task: something unfinished that the queue brings again until it is done."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from finch_connections.domain.connection import CompanyKey

# Whoever began a task has most often finished it by then.
FIRST_LOOK = timedelta(minutes=1)
# What is not done by then has not just been slow.
STUCK_AFTER = timedelta(hours=1)
# What waits for a person is looked at, and reported, this often.
REMINDER = timedelta(hours=1)
_DOUBTED_FOR = timedelta(hours=6)
_LONGEST_PAUSE = timedelta(hours=6)


@dataclass(frozen=True)
class SessionSubject:
    """A connect session whose code was consumed."""

    handle_hash: str


@dataclass(frozen=True)
class FinchConnectionSubject:
    """One of Finch's connections, whoever has it: what a webhook is about."""

    connection_id: str


@dataclass(frozen=True)
class ConnectionSubject:
    """A connection that is on its way out, or whose health somebody doubts."""

    customer_id: str
    key: CompanyKey


type Subject = SessionSubject | ConnectionSubject | FinchConnectionSubject


@dataclass(frozen=True)
class WorkItem:
    """What to look at, since when there is something to do, and when to look again.

    `retries` counts the looks that failed. What the sweep has found it finds again. One that is
    `redelivered` may have noted when it comes again, and never have been sent.
    """

    subject: Subject
    began_at: datetime
    due_at: datetime
    retries: int = 0
    scheduled: bool = False
    redelivered: bool = False

    @classmethod
    def first(cls, subject: Subject, now: datetime) -> Self:
        """The task that is queued before the work begins, for when that ends in the middle."""
        return cls(subject, now, now + FIRST_LOOK)

    @classmethod
    def at_once(cls, subject: Subject, now: datetime) -> Self:
        """The task of somebody who says that there is something to see."""
        return cls(subject, now, now)

    @classmethod
    def instead(cls, subject: Subject, now: datetime) -> Self:
        """The task of somebody who says that the one before was lost."""
        return cls(subject, now, now, redelivered=True)

    def waiting(self, until: datetime) -> Self:
        """The same task for when there is something to do again."""
        return replace(self, began_at=until, due_at=until, retries=0, redelivered=False)

    def left_to_schedule(self, now: datetime) -> bool:
        """Whether the sweep goes on with a doubt about somebody's health."""
        return self.scheduled or now >= self.began_at + _DOUBTED_FOR

    def stuck(self, now: datetime) -> bool:
        """Whether a person should know that it is not done."""
        return now >= self.began_at + STUCK_AFTER

    def retried(self, now: datetime) -> Self:
        """The same task after a failure: in a minute, in two, in four, at last every six hours."""
        pause = min(timedelta(minutes=2 ** min(self.retries, 10)), _LONGEST_PAUSE)
        retries = self.retries + 1
        return replace(self, due_at=now + pause, retries=retries, redelivered=False)
