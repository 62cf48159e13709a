"""A webhook from Finch: the check of its signature, and the event that it carries.

Finch documents the scheme under "Webhooks" (developer-resources). Its SDK implements it in
`resources/webhooks.py`.
"""

import hmac
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self

from finch_connections.domain.errors import InvalidRequest, Refusal
from finch_connections.domain.identifier import is_finch_id
from finch_connections.domain.secret import WebhookSecret
from finch_connections.domain.work_item import FinchCompanySubject, FinchConnectionSubject

# The largest difference between our clock and Finch's. A captured webhook can be replayed for this long.
TOLERANCE = timedelta(minutes=5)

# The signed text is "id.seconds.body". An id with a dot would make it ambiguous.
_EVENT_ID = re.compile("[A-Za-z0-9_-]{1,200}")
_SECONDS = re.compile("[0-9]{1,11}")
_EVENT_TYPE = re.compile("[a-z0-9_.]{1,100}")
# The start of a type ("Webhooks" in Finch's guide). Events about a connection or its entities may
# mean another status. The others are about data, and Finch sends thousands of them.
_ABOUT_A_CONNECTION = ("account", "connection", "entity")
_ABOUT_DATA = (
    *("benefits", "company", "directory", "employment", "individual", "job", "payment"),
    *("pay_statement", "test"),
)


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
    """The event in a webhook. A field is None if it is missing or has another form than Finch's."""

    event_type: str | None
    connection_id: str | None = None
    company_id: str | None = None

    @property
    def known(self) -> bool:
        """Whether the type is of a kind in Finch's documentation."""
        return self._kind in (*_ABOUT_A_CONNECTION, *_ABOUT_DATA)

    @property
    def to_check(self) -> FinchConnectionSubject | FinchCompanySubject | None:
        """The subject whose status may have changed. None for an event about data, or without an id."""
        if self._kind not in _ABOUT_A_CONNECTION:
            return None
        if self.connection_id:
            return FinchConnectionSubject(self.connection_id, self.company_id)
        return FinchCompanySubject(self.company_id) if self.company_id else None

    @property
    def _kind(self) -> str:
        return (self.event_type or "").partition(".")[0]


def read_events(body: bytes) -> Collection[Event]:
    """The events in a body that Finch has signed: one, or a list of them. Raises `InvalidRequest`.

    Other fields are ignored, because webhooks arrive late, twice and in any order.
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The body is not JSON.") from error
    if not isinstance(fields, dict | list):
        raise InvalidRequest("The body is not a JSON object.")
    return dict.fromkeys(map(_event, fields if isinstance(fields, list) else [fields]))


def _event(fields: object) -> Event:
    if not isinstance(fields, dict):
        return Event(None)
    event_type = fields.get("event_type")
    known = isinstance(event_type, str) and _EVENT_TYPE.fullmatch(event_type)
    connection_id, company_id = fields.get("connection_id"), fields.get("company_id")
    return Event(
        event_type if known else None,
        connection_id if is_finch_id(connection_id) else None,
        company_id if is_finch_id(company_id) else None,
    )
