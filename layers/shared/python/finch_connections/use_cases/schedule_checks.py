"""The scheduled check: finds the sessions and connections that are due, and queues them at a steady pace."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import chain, islice

from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.dynamodb import Conflict, Due
from finch_connections.aws.session_table import SessionTable
from finch_connections.aws.work_queue import WorkQueue
from finch_connections.domain.work_item import ConnectionSubject, SessionSubject, Subject, WorkItem

# The time between two runs. It is SQS's longest delay, so that a run can spread its work items over it.
PERIOD = timedelta(minutes=15)
# An unfinished row has the time of its next attempt. If that was this long ago, the message is lost.
_LOST_AFTER = timedelta(days=1)


def schedule(
    per_minute: int,
    *,
    now: datetime,
    sessions: SessionTable,
    connections: ConnectionTable,
    queue: WorkQueue,
) -> int:
    """Queues the due rows, oldest first, and returns their number. The next run queues the rest.

    Queues at most `per_minute` work items for each minute of the period, minus the backlog of the queue:
    a queued row stays due until it is processed.
    """
    room = int(per_minute * (PERIOD / timedelta(minutes=1))) - queue.backlog()
    found = islice(_due(now, sessions, connections), max(room, 0))
    pause = timedelta(minutes=1) / per_minute
    work_items = (
        WorkItem(subject, began_at=now, due_at=now + place * pause, scheduled=True)
        for place, subject in enumerate(found)
    )
    return queue.send_all(work_items, now)


def _due(now: datetime, sessions: SessionTable, connections: ConnectionTable) -> Iterator[Subject]:
    return chain(
        _lost_sessions(now, sessions),
        _lost_connections(now, connections),
        (ConnectionSubject(*one) for one in connections.due(Due.UNCHECKED, now)),
    )


def _lost_sessions(now: datetime, sessions: SessionTable) -> Iterator[Subject]:
    for handle_hash in sessions.due(now - _LOST_AFTER):
        with suppress(Conflict):
            sessions.postpone(handle_hash, now)
            yield SessionSubject(handle_hash)


def _lost_connections(now: datetime, connections: ConnectionTable) -> Iterator[Subject]:
    for customer_id, key in connections.due(Due.UNFINISHED, now - _LOST_AFTER):
        with suppress(Conflict):
            connections.postpone(customer_id, key, now)
            yield ConnectionSubject(customer_id, key)
