"""When a task is looked at, and how it travels."""

from datetime import UTC, datetime, timedelta

import pytest

from finch_connections import tend_queue
from finch_connections.connection import CompanyKey
from finch_connections.task import ConnectionTask, SessionTask, Task
from finch_connections.tend_queue import NotATask

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SESSION = Task.first(SessionTask("0" * 64), NOW)
CONNECTION = Task.first(ConnectionTask("acme", CompanyKey("gusto", "company-1")), NOW)


def test_a_task_that_fails_is_tried_less_and_less_often() -> None:
    task, now, pauses = SESSION, NOW, []
    for _ in range(1000):
        task = task.retried(now)
        pauses.append((task.due_at - now) / timedelta(minutes=1))
        now = task.due_at
    assert pauses[:10] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360]
    assert set(pauses[10:]) == {360}
    assert task.began_at == NOW


def test_a_task_is_stuck_an_hour_after_there_was_something_to_do() -> None:
    assert not SESSION.stuck(NOW + timedelta(minutes=59))
    assert SESSION.stuck(NOW + timedelta(hours=1))
    tomorrow = NOW + timedelta(days=1)
    waiting = SESSION.retried(NOW).waiting(tomorrow)
    assert (waiting.due_at, waiting.retries) == (tomorrow, 0)
    assert not waiting.stuck(tomorrow + timedelta(minutes=59))


@pytest.mark.parametrize(
    "task", [SESSION, CONNECTION, CONNECTION.retried(NOW), Task.instead(SESSION.subject, NOW)]
)
def test_a_task_is_read_as_it_was_written(task: Task) -> None:
    assert tend_queue.read(tend_queue.write(task)) == task


@pytest.mark.parametrize(
    "message",
    [
        "",
        "nonsense",
        "null",
        "[]",
        "{}",
        '{"session": 1, "began_at": "2026-11-22", "due_at": "2026-11-22", "retries": 0}',
        tend_queue.write(SESSION).replace("T12:", "T99:"),
        tend_queue.write(SESSION).replace("+00:00", ""),
        tend_queue.write(SESSION).replace('"retries": 0', '"retries": "many"'),
        tend_queue.write(CONNECTION).replace("gusto", "gu#sto"),
        tend_queue.write(CONNECTION).replace('"company_id"', '"company"'),
    ],
)
def test_a_message_that_is_no_task_is_refused(message: str) -> None:
    with pytest.raises(NotATask):
        tend_queue.read(message)
