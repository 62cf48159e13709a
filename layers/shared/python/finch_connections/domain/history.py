"""The short history of a session or a connection: what happened, when, with which outcome."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from finch_connections.domain.connection import Connection

# A history has a few KB at most. The first entries show the beginning, the newest the present.
MOST_ENTRIES = 40
FIRST_KEPT = 8
# Enough for a UUID, and for every code.
_LONGEST = 64
BROWSER_BOUND, BROWSER_NOT_BOUND = "browser_bound", "browser_not_bound"


class Step(StrEnum):
    """The steps that are neither a phase of a session nor a status of a connection."""

    # Of a session
    SENT = "sent"
    NOT_SENT = "not_sent"
    DENIED = "denied"
    NOT_EXCHANGED = "not_exchanged"
    VERIFIED = "verified"
    AWAITED = "awaited"
    CONFIRMED = "confirmed"
    DEAD = "dead"
    TRIED = "tried"
    RESTORED = "restored"
    # Of a session or a connection
    NOT_ENDED = "not_ended"
    # Of a connection
    LOGIN_ADDED = "login_added"
    LOGIN_RENEWED = "login_renewed"
    LOGIN_GONE = "login_gone"
    PROBLEM = "problem"
    ENDED_AT_FINCH = "ended_at_finch"
    ENTITY_ENDING = "entity_ending"
    ENTITY_ENDED = "entity_ended"
    ENTITY_NOT_ENDED = "entity_not_ended"
    ENTITY_REFUSED = "entity_refused"


class HistoryEntry(NamedTuple):
    """An entry of a history, to the second.

    `step` is the new phase of a session, the new status of a connection, or a `Step`. `code` is the
    stable code of the outcome, if it has one. There is no field for any other text.
    """

    at: datetime
    step: str
    code: str | None = None
    finch_request_id: str | None = None

    @classmethod
    def of(
        cls, at: datetime, step: str, code: str | None = None, finch_request_id: str | None = None
    ) -> Self:
        """The entry, without a code or an id that could be something else."""
        return cls(
            at.astimezone(UTC).replace(microsecond=0),
            step,
            _word(code),
            _word(finch_request_id),
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """The entry that `text` is the stored form of."""
        at, step, code, request_id = (*text.split(" "), "", "")[:4]
        return cls(datetime.fromisoformat(at), step, code or None, request_id or None)

    def __str__(self) -> str:
        at = self.at.strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"{at} {self.step} {self.code or ''} {self.finch_request_id or ''}".rstrip()

    @property
    def outcome(self) -> tuple[str, str | None]:
        """The step and the code, without the time."""
        return self.step, self.code


def _word(text: str | None) -> str | None:
    """A text of letters, digits, `_` and `-`; None for any other text, which could be personal data."""
    plain = (text or "").replace("_", "").replace("-", "")
    return text if plain.isascii() and plain.isalnum() and len(text or "") <= _LONGEST else None


type History = tuple[HistoryEntry, ...]


def added(history: History, *entries: HistoryEntry) -> History:
    """The history with these entries, at most `MOST_ENTRIES`.

    Of a step that repeats with the same outcome, the first and the newest entry stay.
    """
    for entry in entries:
        if [one.outcome for one in history[-2:]] == [entry.outcome] * 2:
            history = history[:-1]
        history = (*history, entry)
    if len(history) > MOST_ENTRIES:
        history = history[:FIRST_KEPT] + history[FIRST_KEPT - MOST_ENTRIES :]
    return history


def of_change(before: "Connection", after: "Connection", now: datetime) -> Iterator[HistoryEntry]:
    """The entries for a change of a connection. A check that finds nothing new has none."""
    new, gone = (
        {one.id for one in mine.tokens} - {one.id for one in other.tokens}
        for mine, other in ((after, before), (before, after))
    )
    if new:
        yield HistoryEntry.of(now, Step.LOGIN_RENEWED if gone else Step.LOGIN_ADDED)
    elif gone and not before.disconnecting_since:
        yield HistoryEntry.of(now, Step.LOGIN_GONE)
    problem = after.problem if after.problem != before.problem else None
    if after.status != before.status or before.revision == 0:
        yield HistoryEntry.of(now, after.status, problem)
    elif problem:
        yield HistoryEntry.of(now, Step.PROBLEM, problem)
    if after.disconnecting_since or not after.tokens:
        # Its entities end with it.
        return
    ending, refused = after.ending_entities.keys(), after.refused_entities
    if ending - before.ending_entities.keys():
        yield HistoryEntry.of(now, Step.ENTITY_ENDING)
    if refused - before.refused_entities:
        yield HistoryEntry.of(now, Step.ENTITY_REFUSED)
    if before.ending_entities.keys() - ending - refused:
        yield HistoryEntry.of(now, Step.ENTITY_ENDED)


def remembering(before: "Connection", after: "Connection", now: datetime) -> "Connection":
    """The changed connection with the entries for its change."""
    return replace(after, history=added(before.history, *of_change(before, after, now)))
