"""The due times of a work item, and its message."""

from datetime import UTC, datetime, timedelta

import pytest

from finch_connections.aws import work_queue
from finch_connections.aws.work_queue import NotAWorkItem
from finch_connections.domain.connection import CompanyKey
from finch_connections.domain.work_item import ConnectionSubject, SessionSubject, WorkItem

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SESSION = WorkItem.first(SessionSubject("0" * 64), NOW)
CONNECTION = WorkItem.first(ConnectionSubject("acme", CompanyKey("gusto", "company-1")), NOW)


def test_failing_work_item_is_retried_less_and_less_often() -> None:
    work_item, now, pauses = SESSION, NOW, []
    for _ in range(1000):
        work_item = work_item.retried(now)
        pauses.append((work_item.due_at - now) / timedelta(minutes=1))
        now = work_item.due_at
    assert pauses[:10] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360]
    assert set(pauses[10:]) == {360}
    assert work_item.began_at == NOW


def test_work_item_is_stuck_an_hour_after_it_was_due() -> None:
    assert not SESSION.stuck(NOW + timedelta(minutes=59))
    assert SESSION.stuck(NOW + timedelta(hours=1))
    tomorrow = NOW + timedelta(days=1)
    waiting = SESSION.retried(NOW).waiting(tomorrow)
    assert (waiting.due_at, waiting.retries) == (tomorrow, 0)
    assert not waiting.stuck(tomorrow + timedelta(minutes=59))


@pytest.mark.parametrize(
    "work_item",
    [SESSION, CONNECTION, CONNECTION.retried(NOW), WorkItem.instead(SESSION.subject, NOW)],
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
        '{"session": 1, "began_at": "2026-11-22", "due_at": "2026-11-22", "retries": 0}',
        work_queue.write(SESSION).replace("T12:", "T99:"),
        work_queue.write(SESSION).replace("+00:00", ""),
        work_queue.write(SESSION).replace('"retries": 0', '"retries": "many"'),
        work_queue.write(CONNECTION).replace("gusto", "gu\\nsto"),
        work_queue.write(CONNECTION).replace('"company_id"', '"company"'),
    ],
)
def test_message_that_is_not_a_work_item_is_refused(message: str) -> None:
    with pytest.raises(NotAWorkItem):
        work_queue.read(message)
