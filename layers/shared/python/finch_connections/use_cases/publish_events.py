"""The flow that publishes: from the writes of connections to the changes that others are told of."""

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

# What its outcomes are counted under.
ROUTE = "publish_events"


class Written(NamedTuple):
    """One write of a connection's row, with the row before and after it, where there was one.

    `id` is its own for good, `sequence_number` its place in the stream.
    """

    id: str
    sequence_number: str
    before: Item | None
    after: Item | None


class NothingPublished(Exception):
    """Not even the first of several writes could be told."""


def publish(writes: Sequence[Written], *, bus: EventBus) -> str | None:
    """Tells the changes in the order of their writes; answers where it has to be gone on from.

    That is the sequence number of the first write that could not be told, to come again with all
    after it; some of those may have been told already, under the same ids. Changes of one
    connection never overtake each other. Raises `NothingPublished` where that is the first of
    several, so that they come again in parts and one that nobody can read is given up alone.
    """
    readable, unreadable = _changes(writes)
    stopped = _tell(readable, bus) or unreadable
    if stopped and len(writes) > 1 and stopped == writes[0].sequence_number:
        raise NothingPublished
    return stopped


type _Told = tuple[str, ConnectionEvent]


def _changes(writes: Iterable[Written]) -> tuple[list[_Told], str | None]:
    """The changes up to a write that cannot be read, and the sequence number of that."""
    found: list[_Told] = []
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


def _tell(events: Iterable[_Told], bus: EventBus) -> str | None:
    for request in _requests(events):
        refused = bus.put([event for _, event in request])
        taken = Counter(event.kind for _, event in request if event.id not in refused)
        for kind, times in taken.items():
            metrics.count(ROUTE, kind, times)
        for sequence_number, event in request:
            if event.id in refused:
                return sequence_number
            logger.info(
                "change published",
                extra=key_fields(event.customer_id, event.key),
                kind=event.kind,
                status=event.status,
            )
    return None


def _requests(events: Iterable[_Told]) -> Iterator[list[_Told]]:
    """Each with one change of a connection at most: what fails in it is overtaken by others only."""
    request: list[_Told] = []
    for told in events:
        connections = {(event.customer_id, event.key) for _, event in request}
        if len(request) == MOST_ENTRIES or (told[1].customer_id, told[1].key) in connections:
            yield request
            request = []
        request.append(told)
    if request:
        yield request
