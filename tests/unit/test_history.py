"""Histories: their entries, their limits, and their texts."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from finch_connections.domain.connect_session import ConnectionEnded, Phase
from finch_connections.domain.connection import ConnectionStatus
from finch_connections.domain.history import (
    FIRST_KEPT,
    MOST_ENTRIES,
    HistoryEntry,
    Step,
    added,
)
from finch_connections.finch.errors import RateLimited
from operations import timeline

NOW = datetime(2026, 11, 22, 12, 0, 1, 500_000, tzinfo=UTC)


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


def test_failure_of_finch_has_its_kind_and_a_refusal_has_its_code() -> None:
    limited = HistoryEntry.of_failure(NOW, Step.TRIED, RateLimited("request-1"))
    assert limited[1:] == ("tried", "rate_limited", "request-1")
    ended = HistoryEntry.of_failure(NOW, Step.TRIED, ConnectionEnded())
    assert ended[1:] == ("tried", "connection_ended", None)


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
