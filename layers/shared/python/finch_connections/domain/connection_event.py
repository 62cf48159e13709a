"""A change of a connection that others are told of: what one write of its row means to them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from finch_connections.domain.connection import CompanyKey, Connection, ConnectionStatus


class EventKind(StrEnum):
    """What happened to a connection."""

    CREATED = "connection.created"
    STATUS_CHANGED = "connection.status_changed"
    REPAIRED = "connection.repaired"
    LOGINS_CHANGED = "connection.logins_changed"
    DISCONNECTED = "connection.disconnected"


_REPAIRED_FROM = {
    ConnectionStatus.REAUTH,
    ConnectionStatus.ERROR_PERMISSIONS,
    ConnectionStatus.ERROR_NO_ACCOUNT_SETUP,
    ConnectionStatus.UNKNOWN,
}


@dataclass(frozen=True)
class ConnectionEvent:
    """One change, as it is told. The same write has the same `id`, however often it is told.

    `connection_ids` are Finch's connections behind it; of one that was disconnected, those that were
    ended. `previous_status` is None where there was no row.
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
    """The change that one write of a row made, if it is one to tell: at most one for each write.

    A row that is gone tells nothing: it is erased only after its end was told. Where the status stays,
    its logins are told only as far as the API shows them: not their statuses, nor when they were
    looked at.
    """
    kind = _kind(before, after)
    if after is None or kind is None:
        return None
    ended = before.connection_ids if before else ()
    return ConnectionEvent(
        id=id,
        kind=kind,
        time=after.updated_at,
        customer_id=after.customer_id,
        key=after.key,
        status=after.status,
        previous_status=before.status if before else None,
        problem=after.problem,
        connection_ids=after.connection_ids or ended,
        revision=after.revision,
    )


def _kind(before: Connection | None, after: Connection | None) -> EventKind | None:
    if after is None:
        return None
    was = before.status if before else ConnectionStatus.DISCONNECTED
    match was, after.status:
        case ConnectionStatus.DISCONNECTED, ConnectionStatus.DISCONNECTED:
            return None
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
    return None


def _logins(connection: Connection) -> set[object]:
    return {
        (
            token.id,
            token.connection_id,
            token.account_id,
            token.products,
            token.entity_ids.union(token.entities),
        )
        for token in connection.tokens
    }
