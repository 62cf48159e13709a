"""The due times of a row that fails, and the message of a work item."""

from datetime import UTC, datetime, timedelta

import pytest

from finch_connections.aws import work_queue
from finch_connections.aws.work_queue import NotAWorkItem
from finch_connections.domain.connection import CompanyKey
from finch_connections.domain.work_item import (
    ConnectionSubject,
    FinchCompanySubject,
    FinchConnectionSubject,
    SessionSubject,
    WorkItem,
    retry_at,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SESSION = WorkItem(SessionSubject("0" * 64), NOW)
CONNECTION = WorkItem(ConnectionSubject("acme", CompanyKey("gusto", "company-1")), NOW)


def test_failing_work_is_tried_less_and_less_often_and_then_each_hour() -> None:
    now, pauses = NOW, []
    for _ in range(100):
        later = retry_at(NOW, now)
        pauses.append((later - now) / timedelta(minutes=1))
        now = later
    assert pauses[:8] == [1, 1, 2, 4, 8, 16, 32, 60]
    assert set(pauses[8:]) == {60}


@pytest.mark.parametrize(
    "work_item",
    [
        SESSION,
        CONNECTION,
        WorkItem(CONNECTION.subject, NOW, scheduled=True),
        WorkItem(FinchConnectionSubject("connection-1"), NOW),
        WorkItem(FinchConnectionSubject("connection-1", "company-1"), NOW),
        WorkItem(FinchCompanySubject("company-1"), NOW),
    ],
)
def test_work_item_is_the_same_after_write_and_read(work_item: WorkItem) -> None:
    assert work_queue.read(work_queue.write(work_item)) == work_item


@pytest.mark.parametrize(
    "message",
    [
        "",
        "nonsense",
        "null",
        "[]",
        "{}",
        '{"session": 1, "asked_at": "2026-11-22"}',
        work_queue.write(SESSION).replace("T12:", "T99:"),
        work_queue.write(SESSION).replace("+00:00", ""),
        work_queue.write(SESSION).replace("asked_at", "began_at"),
        work_queue.write(CONNECTION).replace("gusto", "gu\\nsto"),
        work_queue.write(CONNECTION).replace('"company_id"', '"company"'),
    ],
)
def test_message_that_is_not_a_work_item_is_refused(message: str) -> None:
    with pytest.raises(NotAWorkItem):
        work_queue.read(message)
