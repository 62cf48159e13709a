"""Histories: their entries, their limits, and their texts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from finch_connections.domain.connect_session import Phase
from finch_connections.domain.connection import (
    Connection,
    ConnectionStatus,
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
    restored,
    transferred,
    with_names,
)
from finch_connections.domain.health import Finding, with_findings
from finch_connections.domain.history import (
    FIRST_KEPT,
    MOST_ENTRIES,
    HistoryEntry,
    Step,
    added,
)
from finch_connections.finch.errors import RateLimited
from operations import timeline
from tests.unit.test_connection import KEY, token

NOW = datetime(2026, 11, 22, 12, 0, 1, 500_000, tzinfo=UTC)
FOUND = Finding(ConnectionStatus.CONNECTED)


def entries(count: int) -> list[HistoryEntry]:
    """Entries of which no two that follow each other have the same outcome."""
    return [HistoryEntry.of(NOW + timedelta(minutes=n), f"step{n}") for n in range(count)]


@pytest.mark.parametrize(
    "entry",
    [
        HistoryEntry.of(NOW, "started"),
        HistoryEntry.of(NOW, "held", "cannot_connect"),
        HistoryEntry.of(NOW, "sent", None, "0989c020-a893"),
        HistoryEntry.of(NOW, "ended", "session_expired", "0989c020-a893"),
    ],
)
def test_stored_entry_is_read_back_unchanged(entry: HistoryEntry) -> None:
    assert HistoryEntry.parse(str(entry)) == entry
    assert entry.at == NOW.replace(microsecond=0)


@pytest.mark.parametrize(
    "text", ["Ada Lovelace", "ada@acme.com", "two words", "", "a\nb", "x" * 65, "ü", "a.b", "1/2"]
)
def test_entry_keeps_no_text_that_is_not_a_code_or_an_id(text: str) -> None:
    assert HistoryEntry.of(NOW, "sent", text, text)[2:] == (None, None)


def test_entry_of_a_failure_has_its_kind_and_finchs_id() -> None:
    limited = RateLimited("request-1").entry(NOW, Step.TRIED)
    assert limited[1:] == ("tried", "rate_limited", "request-1")


def test_first_and_newest_entries_stay() -> None:
    every = entries(100)
    history = added((), *every)
    assert history == added(added((), *every[:70]), *every[70:])
    assert history == (*every[:FIRST_KEPT], *every[FIRST_KEPT - MOST_ENTRIES :])


def test_of_a_repeated_outcome_the_first_and_the_newest_entry_stay() -> None:
    begun, *refused = (
        HistoryEntry.of(NOW + timedelta(hours=n), "not_ended" if n else "disconnecting")
        for n in range(70)
    )
    assert added((begun,), *refused) == (begun, refused[0], refused[-1])
    other = HistoryEntry.of(NOW, "not_ended", "server_error")
    assert added((begun,), *refused, other) == (begun, refused[0], refused[-1], other)


def test_every_phase_status_and_step_has_its_own_text() -> None:
    steps = [*Phase, *ConnectionStatus, *Step]
    assert len(set(steps)) == len(steps)
    words = [timeline.text(HistoryEntry.of(NOW, step)) for step in steps]
    assert len(set(words)) == len(words)
    assert all(" " in text and text.endswith(".") for text in words)


def test_entry_of_a_later_version_is_shown_with_its_codes() -> None:
    entry = HistoryEntry.of(NOW, "new_step", "new_code", "request-1")
    assert timeline.text(entry) == "new_step (new_code, Finch request request-1)"


def test_missing_entries_are_mentioned() -> None:
    every = list(timeline.lines(added((), *entries(50))))
    assert every[-1] == "Some entries between the first and the newest are left out."
    assert all(one < other for one, other in pairwise(every[:-1]))
    assert len(list(timeline.lines(added((), *entries(3))))) == 3


# The changes of a connection

MADE = attach(None, "acme", KEY, token("t1"), b"1", NOW)
TWO = attach(MADE, "acme", KEY, token("t2", connection_id="connection-2"), b"2", NOW)
ENTITIES = attach(
    None, "acme", KEY, token("t1", entity_ids=frozenset({"e1", "e2", "e3"})), b"1", NOW
)
ENDING = entity_disconnecting(ENTITIES, "e1", NOW)
LEAVING = disconnecting(TWO, NOW)
SICK = replace(MADE, status=ConnectionStatus.REAUTH)


@pytest.mark.parametrize(
    ("before", "after", "outcomes"),
    [
        (replace(MADE, history=()), MADE, ["login_added", "connected"]),
        (MADE, TWO, ["login_added"]),
        (MADE, attach(MADE, "acme", KEY, token("t3"), b"3", NOW), ["login_renewed"]),
        (TWO, LEAVING, ["disconnecting"]),
        (
            LEAVING,
            partly_ended(LEAVING, ["connection-1"], NOW, "request-1"),
            ["ended_at_finch"],
        ),
        (LEAVING, disconnected(LEAVING, NOW), ["disconnected"]),
        (TWO, disconnected(TWO, NOW), ["login_gone", "disconnected"]),
        (LEAVING, disconnect_refused(LEAVING, NOW), ["reauth disconnect_refused"]),
        (TWO, transferred(TWO, token("new"), NOW), ["login_gone", "disconnecting transferred"]),
        (SICK, not_repaired(SICK, NOW), ["problem another_company"]),
        (ENTITIES, ENDING, ["entity_ending"]),
        (ENDING, entity_refused(ENDING, "e1", NOW), ["entity_refused"]),
        (ENDING, entity_disconnected(ENDING, "e1", ["connection-1"], NOW), ["entity_ended"]),
        (ENDING, entity_disconnected(ENDING, "e1", [], NOW), []),
        (MADE, restored(MADE, TWO, [TWO.tokens[1]], NOW), ["restored", "login_added"]),
        (TWO, with_findings(TWO, {"t1": FOUND, "t2": FOUND}, NOW), []),
        (SICK, with_findings(SICK, {"t1": FOUND}, NOW), ["connected"]),
        (TWO, with_names(TWO, "Gusto", "Acme", None), []),
    ],
)
def test_change_of_a_connection_adds_these_entries(
    before: Connection, after: Connection, outcomes: list[str]
) -> None:
    new = after.history[len(before.history) :]
    assert [" ".join(filter(None, one.outcome)) for one in new] == outcomes
    assert after.history[: len(before.history)] == before.history


def test_waiting_customers_connection_begins_a_history() -> None:
    free = free_to_connect(None, "acme", KEY, NOW)
    assert free is not None
    assert [one.outcome for one in free.history] == [("disconnected", "connect_again")]
    again = free_to_connect(disconnected(LEAVING, NOW), "acme", KEY, NOW)
    assert again is not None
    assert again.history[-1].outcome == ("problem", "connect_again")
