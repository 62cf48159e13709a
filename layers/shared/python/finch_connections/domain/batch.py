"""A batch of an operator's long-running work: it ends when its time is up, and a cursor starts the next."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Cursor:
    """Where a batch starts: the part of the work, and the key of the last row before it."""

    part: str
    after: Mapping[str, str] | None = None


@dataclass
class Batch:
    """The result of one batch.

    `done` counts the rows by their outcome. `open` lists the unfinished rows, each with its reason.
    `next` is the cursor for the next batch, and None at the end of the work.
    """

    next: Cursor | None
    done: Counter[str] = field(default_factory=Counter)
    open: list[dict[str, Any]] = field(default_factory=list)

    def leave(self, reason: str, **row: Any) -> None:
        """Adds an unfinished row with its reason and the fields that identify it."""
        self.open.append({"reason": reason, **row})
