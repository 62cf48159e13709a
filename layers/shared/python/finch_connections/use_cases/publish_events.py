"""Publishes connection events: turns the writes in the table's stream into events on the bus."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from finch_connections import metrics
from finch_connections.aws import connection_table
from finch_connections.aws.dynamodb import Item
from finch_connections.aws.event_bus import MOST_ENTRIES, EventBus
from finch_connections.domain.connection import key_fields
from finch_connections.domain.connection_event import ConnectionEvent, event_between
from finch_connections.log import logger

# The `route` of its outcomes in the metrics.
ROUTE = "publish_events"


class Written(NamedTuple):
    """One write of a connection's row, with the item before and after it, or None without an item.

    `id` never changes, even if the write is read again. `sequence_number` is its place in the stream.
    """

    id: str
    sequence_number: str
    before: Item | None
    after: Item | None


class NothingPublished(Exception):
    """Even the first of several writes could not be published."""


def publish(writes: Sequence[Written], *, bus: EventBus) -> str | None:
    """Publishes the events of these writes in order. Returns the place to continue, or None.

    The place is the sequence number of the first write whose event was not published. The caller
    retries it with all writes after it. Some of those may already be published; their events keep
    their ids. Events of one connection never overtake each other. Raises `NothingPublished` if the
    place is the first of several writes: Lambda then splits the batch, until an unreadable write is
    alone in its batch and can be skipped.
    """
    readable, unreadable = _events(writes)
    stopped = _put_all(readable, bus) or unreadable
    if stopped and len(writes) > 1 and stopped == writes[0].sequence_number:
        raise NothingPublished
    return stopped


# The sequence number of a write, and its event.
type _Numbered = tuple[str, ConnectionEvent]


def _events(writes: Iterable[Written]) -> tuple[list[_Numbered], str | None]:
    """The events before the first unreadable write, and the sequence number of that write."""
    found: list[_Numbered] = []
    for write in writes:
        try:
            before, after = (
                item and connection_table.without_ciphertexts(item)
                for item in (write.before, write.after)
            )
        except Exception as error:
            reason = type(error).__name__
            logger.error("write unreadable", reason=reason, sequence_number=write.sequence_number)
            return found, write.sequence_number
        if event := event_between(before or None, after or None, write.id):
            found.append((write.sequence_number, event))
    return found, None


def _put_all(events: Iterable[_Numbered], bus: EventBus) -> str | None:
    for request in _requests(events):
        rejected = bus.put([event for _, event in request])
        published = Counter(event.kind for _, event in request if event.id not in rejected)
        for kind, times in published.items():
            metrics.count(ROUTE, kind, times)
        for sequence_number, event in request:
            if event.id in rejected:
                return sequence_number
            logger.info(
                "event published",
                extra=key_fields(event.customer_id, event.key),
                kind=event.kind,
                status=event.status,
            )
    return None


def _requests(events: Iterable[_Numbered]) -> Iterator[list[_Numbered]]:
    """Requests with at most one event of each connection, so that a rejected event is never overtaken."""
    request: list[_Numbered] = []
    for number, event in events:
        connections = {(one.customer_id, one.key) for _, one in request}
        if len(request) == MOST_ENTRIES or (event.customer_id, event.key) in connections:
            yield request
            request = []
        request.append((number, event))
    if request:
        yield request
