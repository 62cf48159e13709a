"""A step of long work: it goes as far as its time allows, and says where the next one goes on."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Cursor:
    """Where a step begins: in which part of the work, and after which row of its table."""

    part: str
    after: Mapping[str, str] | None = None


@dataclass
class Batch:
    """What a step has done.

    `done` counts by what became of each row, `open` are the rows that are not over, each with the
    reason. `next` is None when the work has been gone through once.
    """

    next: Cursor | None
    done: Counter[str] = field(default_factory=Counter)
    open: list[dict[str, Any]] = field(default_factory=list)

    def leave(self, reason: str, **row: Any) -> None:
        """Notes a row that is not over."""
        self.open.append({"reason": reason, **row})
