"""The request and the response for one batch of an operator's long work."""

import time
from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from finch_connections.domain.batch import Batch, Cursor

# Short enough to show progress.
BATCH_SECONDS = 15.0


class RequestedCursor(BaseModel):
    """Where to continue: the cursor of the last response."""

    model_config = ConfigDict(extra="forbid")

    part: Literal["ownerships", "sessions", "connections", "audit"]
    after: dict[str, str] | None = None


class BatchRequest(BaseModel):
    """The fields of all such requests."""

    model_config = ConfigDict(extra="forbid")

    cursor: RequestedCursor | None = None

    @property
    def at(self) -> Cursor | None:
        """Where to continue; None at the beginning."""
        return Cursor(self.cursor.part, self.cursor.after) if self.cursor else None


def in_time() -> Callable[[], bool]:
    """Starts the clock of a batch. The returned function says whether the batch has time left."""
    began = time.monotonic()
    return lambda: time.monotonic() - began < BATCH_SECONDS


def answer(batch: Batch) -> dict[str, Any]:
    """A batch as JSON. `cursor` goes into the next request, and is null after the last batch."""
    cursor = {"part": batch.next.part, "after": batch.next.after} if batch.next else None
    return {"result": {"cursor": cursor, "done": dict(+batch.done), "open": batch.open}}
