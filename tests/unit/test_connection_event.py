"""What of a connection's writes is told, and as what."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finch_connections.domain.connection import (
    DISCONNECT_REFUSED,
    CompanyKey,
    Connection,
    ConnectionStatus,
    Token,
    attach,
    disconnect_refused,
    disconnected,
    disconnecting,
    not_repaired,
    partly_ended,
)
from finch_connections.domain.connection_event import ConnectionEvent, EventKind, event_between
from finch_connections.domain.health import Finding, with_findings

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = CompanyKey("gusto", "company-1")
FINCHS_WORDS = [status for status in ConnectionStatus if not status.startswith("disconnect")]
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
    made = attach(None, "acme", KEY, token(), b"sealed", NOW)
    return replace(made, status=ConnectionStatus(status), **fields)  # type: ignore[arg-type]


def gone() -> Connection:
    return disconnected(disconnecting(connection(), NOW), NOW)


def kind(before: Connection | None, after: Connection | None) -> EventKind | None:
    event = event_between(before, after, "write-1")
    return event.kind if event else None


@pytest.mark.parametrize("status", FINCHS_WORDS)
def test_a_connection_is_created_where_none_was_or_one_had_ended(status: ConnectionStatus) -> None:
    assert kind(None, connection(status)) is EventKind.CREATED
    assert kind(gone(), connection(status)) is EventKind.CREATED


@pytest.mark.parametrize("status", [one for one in ConnectionStatus if one != "disconnected"])
def test_a_connection_that_ends_is_disconnected_whatever_it_was(status: ConnectionStatus) -> None:
    assert kind(connection(status), gone()) is EventKind.DISCONNECTED


@pytest.mark.parametrize("before", [one for one in ConnectionStatus if one != "disconnected"])
@pytest.mark.parametrize("after", [one for one in ConnectionStatus if one != "disconnected"])
def test_a_status_that_changes_is_told_and_a_connection_that_works_again_is_repaired(
    before: ConnectionStatus, after: ConnectionStatus
) -> None:
    told = kind(connection(before), connection(after))
    if before is after:
        assert told is None
    elif before in BROKEN and after == "connected":
        assert told is EventKind.REPAIRED
    else:
        assert told is EventKind.STATUS_CHANGED


def test_a_row_that_is_removed_or_stays_disconnected_tells_nothing() -> None:
    assert kind(connection(), None) is None
    assert kind(None, None) is None
    assert kind(gone(), gone()) is None


@pytest.mark.parametrize(
    "another",
    [
        {"id": "token-2"},
        {"products": frozenset({"company", "directory"})},
        {"entity_ids": frozenset({"entity-1"})},
        {"entities": {"entity-1": "connected"}},
    ],
    ids=str,
)
def test_logins_that_are_others_now_are_told(another: dict[str, object]) -> None:
    before = connection()
    after = replace(before, tokens=(token(**another),))  # type: ignore[arg-type]
    assert kind(before, after) is EventKind.LOGINS_CHANGED
    assert kind(before, replace(before, tokens=(*before.tokens, token("token-2")))) is (
        EventKind.LOGINS_CHANGED
    )


def test_what_only_we_write_down_tells_nothing() -> None:
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


def test_a_change_says_what_happened_to_which_connection() -> None:
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


MOVES = ["attach", "refresh", "disconnecting", "partly", "disconnected", "refused"]


def moved(
    connection: Connection | None, move: str, status: ConnectionStatus, number: int, now: datetime
) -> Connection | None:
    """The connection after a move, or None where it does not take it."""
    under_way = connection is not None and connection.status == "disconnecting"
    match move:
        case "attach" if not under_way:
            new = token(f"token-{number}", account_id=f"account-{number % 2}", status=status)
            return attach(connection, "acme", KEY, new, b"sealed", now)
        case "refresh" if connection and connection.tokens and not under_way:
            says = {one.id: Finding(status) for one in connection.tokens}
            return with_findings(connection, says, now)
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
            st.sampled_from([*FINCHS_WORDS, ConnectionStatus.DISCONNECTED]),
            st.integers(0, 3),
            st.integers(0, 7200),
        ),
        max_size=30,
    )
)
def test_a_history_of_writes_tells_exactly_the_changes_of_status(
    moves: list[tuple[str, ConnectionStatus, int, int]],
) -> None:
    here: Connection | None = None
    now = NOW
    statuses: list[ConnectionStatus | None] = [None]
    told: list[ConnectionStatus | None] = [None]
    for move, status, number, seconds in moves:
        now += timedelta(seconds=seconds)
        if status == "disconnected" and move != "refresh":
            continue
        after = moved(here, move, status, number, now)
        if after is None:
            continue
        if after.status is not statuses[-1]:
            statuses.append(after.status)
        event = event_between(here, after, "write")
        if event and event.kind is not EventKind.LOGINS_CHANGED:
            assert event.previous_status is told[-1]
            told.append(event.status)
        if event:
            # The stream's filter lets it through.
            assert after.quiet_revision != after.revision
            assert event.revision == after.revision
        here = after
    assert told == statuses
