"""A connection event: the change that one write of a connection's row means to subscribers."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from finch_connections.domain.connection import (
    CONNECT_AGAIN,
    NEEDS_CUSTOMER,
    CompanyKey,
    Connection,
    ConnectionStatus,
)


class EventKind(StrEnum):
    """The kind of change to a connection."""

    CREATED = "connection.created"
    STATUS_CHANGED = "connection.status_changed"
    REPAIRED = "connection.repaired"
    LOGINS_CHANGED = "connection.logins_changed"
    DISCONNECTED = "connection.disconnected"
    AVAILABLE = "connection.available"
    IDLE = "connection.idle"


_REPAIRED_FROM = {*NEEDS_CUSTOMER, ConnectionStatus.UNKNOWN}


@dataclass(frozen=True)
class ConnectionEvent:
    """One event. If the event of a write is published again, it has the same `id`.

    `connection_ids` are the Finch connections behind the connection, or those that a disconnect has
    ended, or those that became idle. `previous_status` is None if the row did not exist before.
    """

    id: str
    kind: EventKind
    time: datetime
    customer_id: str
    key: CompanyKey
    status: ConnectionStatus
    previous_status: ConnectionStatus | None
    problem: str | None
    connection_ids: tuple[str, ...]
    revision: int


def event_between(
    before: Connection | None, after: Connection | None, id: str
) -> ConnectionEvent | None:
    """The event for one write of a row, at most one for each write; None if subscribers need none.

    A deleted row has no event: it is deleted only after the event of its disconnect. If the status
    stays the same, the event covers only the parts of a login that the API shows, without the statuses
    of logins and the time of the last check.
    """
    kind = _kind(before, after)
    if after is None or kind is None:
        return None
    ended = before.connection_ids if before else ()
    is_idle = kind is EventKind.IDLE
    return ConnectionEvent(
        id=id,
        kind=kind,
        # Only a check finds an idle connection, and it changes nothing that the customer sees.
        time=after.checked_at if is_idle and after.checked_at else after.updated_at,
        customer_id=after.customer_id,
        key=after.key,
        status=after.status,
        previous_status=before.status if before else None,
        problem=after.shown_problem,
        connection_ids=tuple(sorted(_newly_idle(before, after)))
        if is_idle
        else after.connection_ids or ended,
        revision=after.revision,
    )


def _kind(before: Connection | None, after: Connection | None) -> EventKind | None:
    if after is None:
        return None
    was = before.status if before else ConnectionStatus.DISCONNECTED
    match was, after.status:
        case ConnectionStatus.DISCONNECTED, ConnectionStatus.DISCONNECTED:
            return EventKind.AVAILABLE if after.problem == CONNECT_AGAIN else None
        case ConnectionStatus.DISCONNECTED, _:
            return EventKind.CREATED
        case _, ConnectionStatus.DISCONNECTED:
            return EventKind.DISCONNECTED
        case _, ConnectionStatus.CONNECTED if was in _REPAIRED_FROM:
            return EventKind.REPAIRED
    if was is not after.status:
        return EventKind.STATUS_CHANGED
    if before and _logins(before) != _logins(after):
        return EventKind.LOGINS_CHANGED
    return EventKind.IDLE if _newly_idle(before, after) else None


def _newly_idle(before: Connection | None, after: Connection) -> frozenset[str]:
    return after.idle - before.idle if before else frozenset()


def _logins(connection: Connection) -> set[object]:
    return {
        (
            token.id,
            token.connection_id,
            token.account_id,
            token.products,
            token.entity_ids.union(token.entities),
            token.living_entities.difference(connection.ending_entities),
        )
        for token in connection.tokens
    }
