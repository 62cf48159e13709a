"""The writes of a connection that make an event, and the kind of the event."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finch_connections.domain.connection import (
    DISCONNECT_REFUSED,
    ENTITY_DISCONNECT_REFUSED,
    CompanyKey,
    Connection,
    ConnectionStatus,
    Token,
    attach,
    disconnect_refused,
    disconnected,
    disconnecting,
    entity_disconnected,
    entity_disconnecting,
    entity_refused,
    free_to_connect,
    not_repaired,
    partly_ended,
)
from finch_connections.domain.connection_event import ConnectionEvent, EventKind, event_between
from finch_connections.domain.health import Finding, with_findings

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = CompanyKey("gusto", "company-1")
FINCH_STATUSES = [status for status in ConnectionStatus if not status.startswith("disconnect")]
BROKEN = ("reauth", "error_permissions", "error_no_account_setup", "unknown")


def token(id_: str = "token-1", **fields: object) -> Token:
    plain = Token(
        id=id_,
        connection_id="connection-1",
        products=frozenset({"company"}),
        status=ConnectionStatus.CONNECTED,
        connected_at=NOW,
        account_id="account-1",
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


def connection(status: str = "connected", **fields: object) -> Connection:
    made = attach(None, "acme", KEY, token(), b"encrypted", NOW)
    return replace(made, status=ConnectionStatus(status), **fields)  # type: ignore[arg-type]


def gone() -> Connection:
    return disconnected(disconnecting(connection(), NOW), NOW)


def kind(before: Connection | None, after: Connection | None) -> EventKind | None:
    event = event_between(before, after, "write-1")
    return event.kind if event else None


@pytest.mark.parametrize("status", FINCH_STATUSES)
def test_new_or_reconnected_connection_makes_a_created_event(status: ConnectionStatus) -> None:
    assert kind(None, connection(status)) is EventKind.CREATED
    assert kind(gone(), connection(status)) is EventKind.CREATED


@pytest.mark.parametrize(
    "status", [status for status in ConnectionStatus if status != "disconnected"]
)
def test_ended_connection_makes_a_disconnected_event_from_any_status(
    status: ConnectionStatus,
) -> None:
    assert kind(connection(status), gone()) is EventKind.DISCONNECTED


@pytest.mark.parametrize(
    "before", [status for status in ConnectionStatus if status != "disconnected"]
)
@pytest.mark.parametrize(
    "after", [status for status in ConnectionStatus if status != "disconnected"]
)
def test_status_change_makes_a_status_changed_or_repaired_event(
    before: ConnectionStatus, after: ConnectionStatus
) -> None:
    event_kind = kind(connection(before), connection(after))
    if before is after:
        assert event_kind is None
    elif before in BROKEN and after == "connected":
        assert event_kind is EventKind.REPAIRED
    else:
        assert event_kind is EventKind.STATUS_CHANGED


def test_removed_or_still_disconnected_row_makes_no_event() -> None:
    assert kind(connection(), None) is None
    assert kind(None, None) is None
    assert kind(gone(), gone()) is None


def test_free_company_makes_an_available_event() -> None:
    for before in (None, gone()):
        after = free_to_connect(before, "acme", KEY, NOW)
        assert kind(before, after) is EventKind.AVAILABLE
    assert free_to_connect(connection(), "acme", KEY, NOW) is None


@pytest.mark.parametrize(
    "another",
    [
        {"id": "token-2"},
        {"products": frozenset({"company", "directory"})},
        {"entity_ids": frozenset({"entity-1"})},
        {"entities": {"entity-1": "connected"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_changed_logins_make_a_logins_changed_event(another: dict[str, object]) -> None:
    before = connection()
    after = replace(before, tokens=(token(**another),))  # type: ignore[arg-type]
    assert kind(before, after) is EventKind.LOGINS_CHANGED
    assert kind(before, replace(before, tokens=(*before.tokens, token("token-2")))) is (
        EventKind.LOGINS_CHANGED
    )


def test_disconnect_of_an_entity_makes_logins_changed_events() -> None:
    entities = {"entity-1": "connected", "entity-2": "connected"}
    before = replace(connection(), tokens=(token(entities=entities),))
    marked = entity_disconnecting(before, "entity-1", NOW)
    ended = entity_disconnected(marked, "entity-1", {"connection-1"}, NOW)
    refused = entity_refused(marked, "entity-1", NOW)
    for was, after in [(before, marked), (marked, refused), (before, ended)]:
        assert kind(was, after) is EventKind.LOGINS_CHANGED
    event = event_between(marked, refused, "write-1")
    assert event
    assert event.problem == ENTITY_DISCONNECT_REFUSED


def test_internal_changes_make_no_event() -> None:
    before, later = connection(), NOW + timedelta(days=1)
    under_way = disconnecting(before, NOW)
    checked = with_findings(before, {"token-1": Finding(ConnectionStatus.CONNECTED)}, later)
    suspected = with_findings(before, {"token-1": Finding(ConnectionStatus.REAUTH)}, later)
    for was, after in [
        (before, checked),
        (before, suspected),
        (before, replace(before, checked_at=later)),
        (before, replace(before, tokens=(token(suspected=ConnectionStatus.REAUTH),))),
        (before, replace(before, tokens=(token(status_detail="a word"),))),
        (before, not_repaired(before, NOW)),
        (under_way, partly_ended(under_way, {"connection-1"}, NOW)),
    ]:
        assert kind(was, after) is None


def test_event_contains_the_change_and_the_connection() -> None:
    before = connection(revision=7)
    under_way = disconnecting(before, NOW + timedelta(minutes=1))
    ended = disconnected(under_way, NOW + timedelta(minutes=2))
    assert event_between(under_way, ended, "write-9") == ConnectionEvent(
        id="write-9",
        kind=EventKind.DISCONNECTED,
        time=NOW + timedelta(minutes=2),
        customer_id="acme",
        key=KEY,
        status=ConnectionStatus.DISCONNECTED,
        previous_status=ConnectionStatus.DISCONNECTING,
        problem=None,
        connection_ids=("connection-1",),
        revision=9,
    )
    refused = event_between(under_way, disconnect_refused(under_way, NOW), "write-9")
    assert refused is not None
    assert (refused.kind, refused.problem) == (EventKind.STATUS_CHANGED, DISCONNECT_REFUSED)


MOVES = ["attach", "check", "disconnecting", "partly", "disconnected", "refused"]


def moved(
    connection: Connection | None, move: str, status: ConnectionStatus, number: int, now: datetime
) -> Connection | None:
    """The connection after a move; None if the move is impossible."""
    under_way = connection is not None and connection.status == "disconnecting"
    match move:
        case "attach" if not under_way:
            new = token(f"token-{number}", account_id=f"account-{number % 2}", status=status)
            return attach(connection, "acme", KEY, new, b"encrypted", now)
        case "check" if connection and connection.tokens and not under_way:
            findings = {one.id: Finding(status) for one in connection.tokens}
            return with_findings(connection, findings, now)
        case "disconnecting" if connection and connection.tokens and not under_way:
            return disconnecting(connection, now)
        case "partly" if connection and under_way:
            return partly_ended(connection, {"connection-2"}, now)
        case "disconnected" if connection and under_way:
            return disconnected(connection, now)
        case "refused" if connection and under_way:
            return disconnect_refused(connection, now)
    return None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(MOVES),
            st.sampled_from([*FINCH_STATUSES, ConnectionStatus.DISCONNECTED]),
            st.integers(0, 3),
            st.integers(0, 7200),
        ),
        max_size=30,
    )
)
def test_events_of_any_history_contain_exactly_the_status_changes(
    moves: list[tuple[str, ConnectionStatus, int, int]],
) -> None:
    current: Connection | None = None
    now = NOW
    statuses: list[ConnectionStatus | None] = [None]
    announced: list[ConnectionStatus | None] = [None]
    for move, status, number, seconds in moves:
        now += timedelta(seconds=seconds)
        if status == "disconnected" and move != "check":
            continue
        after = moved(current, move, status, number, now)
        if after is None:
            continue
        if after.status is not statuses[-1]:
            statuses.append(after.status)
        event = event_between(current, after, "write")
        if event and event.kind is not EventKind.LOGINS_CHANGED:
            assert event.previous_status is announced[-1]
            announced.append(event.status)
        if event:
            # The event passes the stream's filter.
            assert after.quiet_revision != after.revision
            assert event.revision == after.revision
        current = after
    assert announced == statuses
