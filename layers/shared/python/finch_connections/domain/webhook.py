"""A webhook of Finch: whether Finch has sent it, and what it is about.

Finch documents the scheme under "Webhooks" (developer-resources); its SDK has the same in
`resources/webhooks.py`.
"""

import base64
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self

from finch_connections.domain.connection import IDENTIFIER
from finch_connections.domain.errors import InvalidRequest, Refusal

# How far the clocks may be apart, either way, and for how long a captured webhook is good.
TOLERANCE = timedelta(minutes=5)
# A shorter key can be guessed; an empty one everybody knows.
_SHORTEST_KEY_BYTES = 16

# Without a dot in it, there is one way only to read what was signed: id, dot, seconds, dot, body.
_EVENT_ID = re.compile("[A-Za-z0-9_-]{1,200}")
_SECONDS = re.compile("[0-9]{1,11}")
_EVENT_TYPE = re.compile("[a-z0-9_.]{1,100}")
_ABOUT_THE_CONNECTION = "account.updated"


class SignatureInvalid(Refusal):
    """Nothing shows that Finch has sent this."""

    code = "signature_invalid"


class SecretUnusable(ValueError):
    """A text that Finch does not give out as a webhook secret."""


@dataclass(frozen=True)
class WebhookSecret:
    """One of the secrets that Finch signs webhooks with."""

    _key: bytes = field(repr=False)

    @classmethod
    def read(cls, text: object) -> Self:
        """The secret in what Finch's dashboard shows, which is bare base64; raises `SecretUnusable`."""
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
        """The signature as it stands in the header, without its version."""
        return base64.b64encode(hmac.digest(self._key, message, "sha256")).decode()


@dataclass(frozen=True)
class Delivery:
    """A webhook that was sent just now, with the signatures that it came with."""

    event_id: str
    timestamp: str
    signatures: str
    body: bytes = field(repr=False)

    @classmethod
    def of(cls, headers: Mapping[str, str], body: bytes, now: datetime) -> Self:
        """What came, `body` being its bytes as sent; raises `SignatureInvalid`, also when stale."""
        named = {name.lower(): value for name, value in headers.items()}
        try:
            names = ("finch-event-id", "finch-timestamp", "finch-signature")
            event_id, timestamp, signatures = (named[name] for name in names)
        except KeyError:
            raise SignatureInvalid("The headers of a webhook are missing.") from None
        if not _EVENT_ID.fullmatch(event_id) or not _SECONDS.fullmatch(timestamp):
            raise SignatureInvalid("The headers are not those of a webhook.")
        if abs(now - datetime.fromtimestamp(int(timestamp), UTC)) > TOLERANCE:
            raise SignatureInvalid("The webhook is too old, or from the future.")
        return cls(event_id, timestamp, signatures, body)

    def signed_with(self, secrets: Iterable[WebhookSecret]) -> bool:
        """Whether one of its signatures was made with one of these secrets.

        Only `v1` counts. While a secret is replaced, Finch signs with the old one as well.
        """
        message = f"{self.event_id}.{self.timestamp}.".encode() + self.body
        listed = (one.partition(",") for one in self.signatures.split(" "))
        given = [one for version, _, one in listed if version == "v1" and one.isascii()]
        return any(
            hmac.compare_digest(made, one)
            for made in (secret.sign(message) for secret in secrets)
            for one in given
        )


@dataclass(frozen=True)
class Event:
    """What a webhook says. `event_type` is None where it is none that could be Finch's."""

    event_type: str | None
    connection_id: str | None

    @property
    def connection_to_look_at(self) -> str | None:
        """The Finch connection whose status may have changed.

        All other events are about data, and come by the thousand.
        """
        return self.connection_id if self.event_type == _ABOUT_THE_CONNECTION else None


def read_event(body: bytes) -> Event:
    """The event in a body that Finch has signed; raises `InvalidRequest`.

    Nothing else in it is believed: webhooks come late, twice and in any order.
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The body is not JSON.") from error
    if not isinstance(fields, dict):
        raise InvalidRequest("The body is not a JSON object.")
    return Event(
        _matching(_EVENT_TYPE, fields.get("event_type")),
        _matching(IDENTIFIER, fields.get("connection_id")),
    )


def _matching(pattern: re.Pattern[str], value: object) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None
