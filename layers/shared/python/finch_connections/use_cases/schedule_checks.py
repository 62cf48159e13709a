"""The scheduled check: queues the sessions and connections that are due, and counts those that live."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.dynamodb import Conflict, Due
from finch_connections.aws.session_table import SessionTable
from finch_connections.aws.work_queue import WorkQueue
from finch_connections.domain.connect_session import kept_alive
from finch_connections.domain.work_item import (
    ConnectionSubject,
    SessionSubject,
    Subject,
    WorkItem,
)

# The time between two runs. A run spreads its work items over it.
PERIOD = timedelta(minutes=1)


class Figures(NamedTuple):
    """The Finch connections that live and are billed, and those of them that no backend uses.

    `unattached` of them belong to no customer's connection: a session holds their token, or may hold it.
    """

    live: int
    idle: int
    unattached: int


def count(*, now: datetime, sessions: SessionTable, connections: ConnectionTable) -> Figures:
    """Counts each Finch connection once, from the indexes by due time."""
    unattached = {kept_alive(session) for session in sessions.keeping_alive(now)}
    live = idle = 0
    for connection_ids, idle_ids in connections.live(now):
        live += len(connection_ids)
        idle += len(idle_ids)
        unattached -= connection_ids
    return Figures(live + len(unattached), idle, len(unattached))


def schedule(
    per_minute: int,
    *,
    now: datetime,
    sessions: SessionTable,
    connections: ConnectionTable,
    queue: WorkQueue,
) -> int:
    """Queues the due rows, unfinished work first, and returns their number. The next run queues the rest.

    Queues at most `per_minute` work items, minus the backlog of the queue. Each row is then due when its
    lease ends, in case its work item is lost.
    """
    room = per_minute - queue.backlog()
    rows = islice(_leased(now, sessions, connections), max(room, 0))
    return queue.send_all(
        (WorkItem(row, now, scheduled=True), place * PERIOD / per_minute)
        for place, row in enumerate(rows)
    )


def _leased(
    now: datetime, sessions: SessionTable, connections: ConnectionTable
) -> Iterator[Subject]:
    for handle_hash in sessions.due(now):
        with suppress(Conflict):
            sessions.lease(handle_hash, now)
            yield SessionSubject(handle_hash)
    for kind in (Due.UNFINISHED, Due.UNCHECKED):
        for customer_id, key in connections.due(kind, now):
            with suppress(Conflict):
                connections.lease(customer_id, key, now)
                yield ConnectionSubject(customer_id, key)
