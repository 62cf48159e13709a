"""Budgets: how often a customer or a link may make us work in a window of time."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

from finch_connections.domain.connect_session import Attempt
from finch_connections.domain.errors import Refusal

# Finch counts the calls from an address in windows of this length ("Rate Limits" in Finch's guide).
WINDOW = timedelta(minutes=5)
# A link can be mailed, so a stranger may have it. It gets a part of the customer's budget.
PER_LINK = 10
# A waiting callback occupies a function. The callbacks after these get `pending` at once.
WAITING_PER_LINK = 20


class TooManyRequests(Refusal):
    """There were too many attempts to connect in a short time. Please try again in a few minutes."""

    code = "too_many_requests"

    def __init__(self, now: datetime) -> None:
        super().__init__()
        self.retry_after = int((_end(now) - now).total_seconds()) + 1


class Spending(StrEnum):
    """The kinds of requests that spend a budget. Each kind has budgets of its own."""

    START = "start"
    # A click that asks Finch for a session.
    CLICK = "click"
    # The row of a code that only a cookie ties to a session.
    APART = "apart"
    # The exchange of a code.
    CODE = "code"
    WAIT = "wait"


class Budget(NamedTuple):
    """At most `limit` requests until `ends`. The customer and the link are in the key only as hashes."""

    key: str
    limit: int
    ends: datetime


def budgets(kind: Spending, attempt: Attempt, per_customer: int, now: datetime) -> list[Budget]:
    """The budgets that a request of an attempt spends: of its customer, of its link, or of both.

    The rows of sessions apart spend the budget of the link that they come from: all have its
    `binding_id`. Their codes spend no budget that the code with the echoed `state` needs.
    """
    customer = sha256(attempt.customer_id.encode()).hexdigest()
    limits = {
        Spending.START: {customer: per_customer},
        Spending.CLICK: {attempt.binding_id: PER_LINK, customer: per_customer},
        Spending.APART: {attempt.binding_id: PER_LINK},
        Spending.CODE: {attempt.handle_hash: PER_LINK, customer: per_customer},
        Spending.WAIT: {attempt.handle_hash: WAITING_PER_LINK},
    }[kind]
    ends = _end(now)
    return [
        Budget(f"budget#{kind}#{subject}#{int(ends.timestamp())}", limit, ends)
        for subject, limit in limits.items()
    ]


def _end(now: datetime) -> datetime:
    """The end of the window that contains `now`."""
    windows = (now - datetime.fromtimestamp(0, UTC)) // WINDOW
    return datetime.fromtimestamp(0, UTC) + (windows + 1) * WINDOW
