"""The requests the fake Finch has received, for tests that ask what a client sent."""

import json
import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

# Long runs of a local world must not grow without bound.
_KEPT = 2000


@dataclass(frozen=True)
class RecordedRequest:
    """One request. Header names are lower-case; of `authorization` only the scheme is kept."""

    method: str
    path: str
    headers: dict[str, str]
    query: str = field(default="", repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def json(self) -> Any:
        """The body as parsed JSON; None where it is empty or something else."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def outline(self) -> dict[str, Any]:
        """What may be shown outside the process: names, never the values that are secret."""
        body = self.json
        return {
            "method": self.method,
            "path": self.path,
            "query_names": [name for name, _ in parse_qsl(self.query, keep_blank_values=True)],
            "headers": self.headers,
            "body_keys": sorted(body) if isinstance(body, dict) else None,
        }


class RequestLog:
    """The newest requests in order, and how often each endpoint was called since the reset."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: deque[RecordedRequest] = deque(maxlen=_KEPT)
        self._counts: Counter[str] = Counter()

    def record(self, request: RecordedRequest) -> None:
        with self._lock:
            self._kept.append(request)
            self._counts[f"{request.method} {request.path}"] += 1

    def all(self) -> list[RecordedRequest]:
        with self._lock:
            return list(self._kept)

    def last(self) -> RecordedRequest:
        """The newest request; raises IndexError where there was none."""
        with self._lock:
            return self._kept[-1]

    def count(self, method: str, path: str) -> int:
        with self._lock:
            return self._counts[f"{method} {path}"]

    def counts(self) -> dict[str, int]:
        with self._lock:
            return dict(self._counts)

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self._counts.clear()
