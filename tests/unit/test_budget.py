"""Budgets: who spends which, and until when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from finch_connections.domain.budget import (
    PER_LINK,
    WAITING_PER_LINK,
    WINDOW,
    Budget,
    Spending,
    TooManyRequests,
    budgets,
)
from tests.unit.test_connect_session import started

# The start of a window: windows are counted from 1970.
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ATTEMPT = replace(started().attempt, handle_hash="a" * 64, binding_hash="b" * 64)
CUSTOMER = sha256(b"acme").hexdigest()
HANDLE, BINDING = "a" * 64, "b" * 16


@pytest.mark.parametrize(
    ("kind", "limits"),
    [
        (Spending.START, {CUSTOMER: 7}),
        (Spending.CLICK, {BINDING: PER_LINK, CUSTOMER: 7}),
        (Spending.APART, {BINDING: PER_LINK}),
        (Spending.CODE, {HANDLE: PER_LINK, CUSTOMER: 7}),
        (Spending.WAIT, {HANDLE: WAITING_PER_LINK}),
    ],
)
def test_each_kind_of_request_spends_its_own_budgets(
    kind: Spending, limits: dict[str, int]
) -> None:
    ends = NOW + WINDOW
    for now in (NOW, ends - timedelta(microseconds=1)):
        assert budgets(kind, ATTEMPT, 7, now) == [
            Budget(f"budget#{kind}#{subject}#{int(ends.timestamp())}", limit, ends)
            for subject, limit in limits.items()
        ]
    assert {one.ends for one in budgets(kind, ATTEMPT, 7, ends)} == {ends + WINDOW}


def test_refused_caller_may_try_again_when_the_next_window_has_begun() -> None:
    assert TooManyRequests(NOW).retry_after == 301
    assert TooManyRequests(NOW + WINDOW - timedelta(seconds=0.5)).retry_after == 1
    assert str(TooManyRequests(NOW)).startswith("There were too many attempts")
