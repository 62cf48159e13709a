"""A text that does not print itself."""

import hmac
from hashlib import sha256


class SecretText:
    """Holds an access token, code, handle or key from the line that reads it to the line that sends it.

    `repr`, `str` and formatting show nothing, so it cannot reach a log by accident.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the line that sends it."""
        return self._text

    def digest(self) -> str:
        """SHA-256 of the text in hexadecimal: what may be stored and compared."""
        return sha256(self._text.encode()).hexdigest()

    def matches(self, digest: str) -> bool:
        """Whether this is the text that `digest` was made of, in constant time."""
        return hmac.compare_digest(self.digest(), digest)

    def __repr__(self) -> str:
        return "SecretText(…)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretText):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)
