"""Webhooks: signed as Finch signs them, and sent again after a failure.

"Webhooks" in Finch's documentation (developer-resources). The retries are those of its page of 2023.
"""

import base64
import hashlib
import hmac
import secrets
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from local.fake_finch.switches import Switches

# The pauses before each retry. After the last retry, Finch drops the event silently.
RETRY_PAUSES = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
)
# How long a replaced secret still signs.
SECRETS_OVERLAP = timedelta(hours=24)

# Long runs of a local world must not grow without bound.
_KEPT = 2000


def new_secret() -> str:
    """A secret as the dashboard shows it: bare base64."""
    return base64.b64encode(secrets.token_bytes(24)).decode()


def secret_kept_at(path: Path) -> str:
    """The secret in the file `path`, created on first use, so that it stays the same after a restart."""
    if not path.exists():
        written = path.with_name(path.name + ".new")
        written.touch(mode=0o600)
        written.write_text(new_secret())
        written.replace(path)
    return path.read_text()


@dataclass(frozen=True)
class Waiting:
    """An event that waits for its delivery. The first `attempt` is 1."""

    event_id: str
    body: bytes = field(repr=False)
    created_at: datetime
    due_at: datetime
    attempt: int = 1


@dataclass(frozen=True)
class Delivery:
    """A POST to the application."""

    waiting: Waiting
    headers: dict[str, str]

    @property
    def body(self) -> bytes:
        return self.waiting.body


@dataclass(frozen=True)
class Answer:
    """The application's answer to a delivery. `status` is None without an answer."""

    event_id: str
    attempt: int
    status: int | None


def signed(waiting: Waiting, secrets: Sequence[str], switches: Switches, now: datetime) -> Delivery:
    """The delivery with one signature for each secret."""
    sent_at = now if switches.webhook_timestamp_refreshed else waiting.created_at
    timestamp = str(int(sent_at.timestamp()) + switches.webhook_timestamp_offset_seconds)
    signatures = [
        f"v1,{sign(secret, waiting.event_id, timestamp, waiting.body)}" for secret in secrets
    ]
    if switches.webhook_v2_signature:
        # The form of a later version is unknown, so a client must ignore this signature.
        signatures.insert(
            0, f"v2,{base64.b64encode(hashlib.sha512(waiting.body).digest()).decode()}"
        )
    headers = {
        "Content-Type": "application/json",
        "Finch-Event-Id": waiting.event_id,
        "Finch-Timestamp": timestamp,
        "Finch-Signature": " ".join(signatures),
    }
    return Delivery(waiting, headers)


def sign(secret: str, event_id: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 of id, timestamp and raw body, keyed with the decoded secret; in base64."""
    message = b".".join([event_id.encode(), timestamp.encode(), body])
    return base64.b64encode(hmac.digest(base64.b64decode(secret), message, "sha256")).decode()


class Outbox:
    """The events to deliver, oldest first, and the answers of the application.

    `added` is set after each added event.
    """

    def __init__(self) -> None:
        self.added = threading.Event()
        self._lock = threading.Lock()
        self._waiting: list[Waiting] = []
        self._answers: deque[Answer] = deque(maxlen=_KEPT)

    def put(self, waiting: Waiting, copies: int = 1) -> None:
        with self._lock:
            self._waiting = [*self._waiting, *[waiting] * copies][-_KEPT:]
        self.added.set()

    def take(self, now: datetime) -> list[Waiting]:
        """The due events. They are removed from the outbox."""
        with self._lock:
            due = [waiting for waiting in self._waiting if waiting.due_at <= now]
            self._waiting = [waiting for waiting in self._waiting if waiting.due_at > now]
        return due

    def answered(self, waiting: Waiting, status: int | None, now: datetime) -> None:
        """Records an answer, and schedules a retry of an event that was not accepted."""
        with self._lock:
            self._answers.append(Answer(waiting.event_id, waiting.attempt, status))
        accepted = status is not None and 200 <= status < 300
        if not accepted and waiting.attempt <= len(RETRY_PAUSES):
            due_at = now + RETRY_PAUSES[waiting.attempt - 1]
            self.put(
                Waiting(
                    waiting.event_id,
                    waiting.body,
                    waiting.created_at,
                    due_at,
                    waiting.attempt + 1,
                )
            )

    def waiting(self) -> list[Waiting]:
        with self._lock:
            return list(self._waiting)

    def answers(self) -> list[Answer]:
        """The newest answers in order."""
        with self._lock:
            return list(self._answers)

    def clear(self) -> None:
        with self._lock:
            self._waiting = []
            self._answers.clear()
