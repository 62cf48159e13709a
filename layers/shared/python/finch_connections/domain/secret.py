"""Secrets that never appear in printed output: strings, and the keys that sign webhooks."""

import base64
import hmac
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self

# A shorter key could be guessed.
_SHORTEST_KEY_BYTES = 16


class SecretText:
    """An access token, code, handle or key, wrapped from the line that reads it to the line that sends it.

    `repr`, `str` and formatting hide the text, so that it cannot reach a log by accident.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text, only for the line that sends it."""
        return self._text

    def digest(self) -> str:
        """The SHA-256 hash of the text in hexadecimal, which is safe to store and compare."""
        return sha256(self._text.encode()).hexdigest()

    def matches(self, digest: str) -> bool:
        """Whether `digest` is the hash of this text, compared in constant time."""
        return hmac.compare_digest(self.digest(), digest)

    def __repr__(self) -> str:
        return "SecretText(…)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretText):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)


class SecretUnusable(ValueError):
    """The text does not have the form of a webhook secret."""


@dataclass(frozen=True)
class WebhookSecret:
    """A secret with which Finch signs webhooks."""

    _key: bytes = field(repr=False)

    @classmethod
    def read(cls, text: object) -> Self:
        """The secret from the base64 text that Finch's dashboard shows. Raises `SecretUnusable`."""
        if not isinstance(text, str):
            raise SecretUnusable
        try:
            key = base64.b64decode(text, validate=True)
        except ValueError:
            raise SecretUnusable from None
        if len(key) < _SHORTEST_KEY_BYTES:
            raise SecretUnusable
        return cls(key)

    def sign(self, message: bytes) -> str:
        """The signature in the form of the header, without its version."""
        return base64.b64encode(hmac.digest(self._key, message, "sha256")).decode()
