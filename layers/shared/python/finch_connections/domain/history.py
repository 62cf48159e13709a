"""The short history of a session or a connection: what happened, when, with which outcome."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from finch_connections.domain.connection import Connection
    from finch_connections.domain.errors import Refusal
    from finch_connections.finch.errors import FinchFailure

# A history has a few KB at most. The first entries show the beginning, the newest the present.
MOST_ENTRIES = 40
FIRST_KEPT = 8
# Texts of Finch and of our code. Anything else could be personal data, and is left out.
_CODE = re.compile("[a-z_]{1,40}")
_REQUEST_ID = re.compile("[A-Za-z0-9_-]{1,64}")
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
            code if code and _CODE.fullmatch(code) else None,
            finch_request_id
            if finch_request_id and _REQUEST_ID.fullmatch(finch_request_id)
            else None,
        )

    @classmethod
    def of_failure(cls, at: datetime, step: str, failure: "Refusal | FinchFailure") -> Self:
        """The entry for a step that failed."""
        kind, request_id = (getattr(failure, one, None) for one in ("kind", "finch_request_id"))
        return cls.of(at, step, kind or failure.code, request_id)

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
