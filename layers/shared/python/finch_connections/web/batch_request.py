"""How an operator's program asks for a step of long work, and what it is answered."""

import time
from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from finch_connections.domain.batch import Batch, Cursor

# Short enough to show progress.
BATCH_SECONDS = 15.0


class RequestedCursor(BaseModel):
    """Where to go on, as it was answered before."""

    model_config = ConfigDict(extra="forbid")

    part: Literal["ownerships", "sessions", "connections", "audit"]
    after: dict[str, str] | None = None


class BatchRequest(BaseModel):
    """What all of them take."""

    model_config = ConfigDict(extra="forbid")

    cursor: RequestedCursor | None = None

    @property
    def at(self) -> Cursor | None:
        """Where to go on; None at the beginning."""
        return Cursor(self.cursor.part, self.cursor.after) if self.cursor else None


def in_time() -> Callable[[], bool]:
    """Says while a step that begins now may go on."""
    began = time.monotonic()
    return lambda: time.monotonic() - began < BATCH_SECONDS


def answer(batch: Batch) -> dict[str, Any]:
    """A step as JSON; `cursor` goes into the next one, and is null when there is none."""
    cursor = {"part": batch.next.part, "after": batch.next.after} if batch.next else None
    return {"result": {"cursor": cursor, "done": dict(+batch.done), "open": batch.open}}
