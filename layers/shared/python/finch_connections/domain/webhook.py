"""A webhook from Finch: the check of its signature, and the event that it carries.

Finch documents the scheme under "Webhooks" (developer-resources). Its SDK implements it in
`resources/webhooks.py`.
"""

import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self

from finch_connections.domain.errors import InvalidRequest, Refusal
from finch_connections.domain.identifier import is_finch_id
from finch_connections.domain.secret import WebhookSecret

# The largest difference between our clock and Finch's. A captured webhook can be replayed for this long.
TOLERANCE = timedelta(minutes=5)

# The signed text is "id.seconds.body". An id with a dot would make it ambiguous.
_EVENT_ID = re.compile("[A-Za-z0-9_-]{1,200}")
_SECONDS = re.compile("[0-9]{1,11}")
_EVENT_TYPE = re.compile("[a-z0-9_.]{1,100}")
_ABOUT_THE_CONNECTION = "account.updated"


class SignatureInvalid(Refusal):
    """This webhook has no valid signature of Finch."""

    code = "signature_invalid"


@dataclass(frozen=True)
class Delivery:
    """A webhook with a current timestamp, and its signatures, which are not yet checked."""

    event_id: str
    timestamp: str
    signatures: str
    body: bytes = field(repr=False)

    @classmethod
    def of(cls, headers: Mapping[str, str], body: bytes, now: datetime) -> Self:
        """The delivery in a request with the unchanged `body`. Raises `SignatureInvalid`, also if too old."""
        lowered = {name.lower(): value for name, value in headers.items()}
        try:
            names = ("finch-event-id", "finch-timestamp", "finch-signature")
            event_id, timestamp, signatures = (lowered[name] for name in names)
        except KeyError:
            raise SignatureInvalid("A header of Finch's webhooks is missing.") from None
        if not _EVENT_ID.fullmatch(event_id) or not _SECONDS.fullmatch(timestamp):
            raise SignatureInvalid("A header does not have the form of Finch's webhooks.")
        if abs(now - datetime.fromtimestamp(int(timestamp), UTC)) > TOLERANCE:
            raise SignatureInvalid("The timestamp is too old or in the future.")
        return cls(event_id, timestamp, signatures, body)

    def signed_with(self, secrets: Iterable[WebhookSecret]) -> bool:
        """Whether any of its signatures matches any of these secrets.

        Only version `v1` counts. While a secret is being replaced, Finch signs with both secrets.
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
    """The event in a webhook. `event_type` is None if it does not have the form of Finch's types."""

    event_type: str | None
    connection_id: str | None

    @property
    def connection_to_look_at(self) -> str | None:
        """The Finch connection whose status may have changed; None for any other event.

        Other events are about data, and Finch sends thousands of them.
        """
        return self.connection_id if self.event_type == _ABOUT_THE_CONNECTION else None


def read_event(body: bytes) -> Event:
    """The event in a body that Finch has signed. Raises `InvalidRequest`.

    Other fields are ignored, because webhooks arrive late, twice and in any order.
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The body is not JSON.") from error
    if not isinstance(fields, dict):
        raise InvalidRequest("The body is not a JSON object.")
    event_type, connection_id = fields.get("event_type"), fields.get("connection_id")
    known = isinstance(event_type, str) and _EVENT_TYPE.fullmatch(event_type)
    return Event(
        event_type if known else None, connection_id if is_finch_id(connection_id) else None
    )
