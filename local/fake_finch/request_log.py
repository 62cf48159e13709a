"""The requests that the fake Finch received, for tests of a client."""

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
    """A request. Header names are lower-case. Of `authorization`, only the scheme is stored."""

    method: str
    path: str
    headers: dict[str, str]
    query: str = field(default="", repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def json(self) -> Any:
        """The body as parsed JSON; None if it is empty or not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def outline(self) -> dict[str, Any]:
        """A summary without secret values, which may leave the process."""
        body = self.json
        return {
            "method": self.method,
            "path": self.path,
            "query_names": [name for name, _ in parse_qsl(self.query, keep_blank_values=True)],
            "headers": self.headers,
            "body_keys": sorted(body) if isinstance(body, dict) else None,
        }


class RequestLog:
    """The newest requests in order, and the number of calls of each endpoint since the reset."""

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
        """The newest request; raises IndexError without a request."""
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
