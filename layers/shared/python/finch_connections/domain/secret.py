"""A secret string that never appears in printed output."""

import hmac
from hashlib import sha256


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
