"""The records of the fake Finch (sessions, codes, connections, tokens) and what it refuses."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from local.fake_finch.seed_world import Company, Person

ClientType = Literal["development", "production", "sandbox"]

CODE_LIFETIME = timedelta(minutes=10)

STATUSES = (
    "pending",
    "processing",
    "connected",
    "error_no_account_setup",
    "error_permissions",
    "reauth",
)


@dataclass(frozen=True)
class Application:
    """The application as Finch knows it: the data of the dashboard's Credentials tab."""

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uris: tuple[str, ...]
    client_type: ClientType = "sandbox"
    webhook_url: str | None = None
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    """The newest first. Without a secret or without the URL, no webhook is sent."""


@dataclass(frozen=True)
class Customer:
    """The customer of the application, with the application's id and name."""

    id: str
    name: str
    email: str | None = None


@dataclass
class Session:
    """A Connect session. `customer` is None for a reauthentication, which names no customer."""

    id: str
    customer: Customer | None
    products: tuple[str, ...]
    redirect_uri: str | None
    expires_at: datetime
    provider_id: str | None = None
    auth_method: str | None = None
    manual: bool = False
    sandbox: str | None = None
    reauthenticates: str | None = None
    codes_issued: int = 0


@dataclass
class Code:
    """An authorization code: the access that a user granted, before its exchange."""

    value: str = field(repr=False)
    client_id: str
    session_id: str
    redirect_uri: str | None
    expires_at: datetime
    provider_id: str
    company_id: str
    login: str
    products: tuple[str, ...]
    entity_names: tuple[str, ...]
    attempts: int = 0
    exchanges: int = 0


@dataclass
class ConnectedEntity:
    """A legal entity of a connection."""

    id: str
    name: str
    source_id: str
    disconnected: bool = False


@dataclass
class Connection:
    """A connection to an employer at a provider. `disconnected_at` never changes once it is set."""

    id: str
    provider_id: str
    company_id: str
    customer: Customer | None
    method: str
    connection_type: Literal["provider", "finch"]
    created_at: datetime
    logins: list[str]
    entities: list[ConnectedEntity]
    status: str = "connected"
    message: str | None = None
    disconnected_at: datetime | None = None

    @property
    def live(self) -> bool:
        return self.disconnected_at is None

    @property
    def present_entities(self) -> list[ConnectedEntity]:
        return [entity for entity in self.entities if not entity.disconnected]


@dataclass
class Token:
    """An access token. It is valid until its connection ends."""

    id: str
    access_token: str = field(repr=False)
    connection_id: str
    account_id: str
    login: str
    products: tuple[str, ...]
    customer: Customer | None
    created_at: datetime
    live: bool = True


@dataclass(frozen=True)
class Authorized:
    """The end of a successful visit to Finch Connect.

    `redirect_to` is None in the embedded flow, where the page sends the code by message.
    """

    code: str = field(repr=False)
    redirect_to: str | None = field(repr=False)


@dataclass(frozen=True)
class Reading:
    """The data that a data call may read: an entity of a connection."""

    company: Company
    connection: Connection
    entity: ConnectedEntity
    people: tuple[Person, ...]


class CannotAuthorize(Exception):
    """Finch Connect cannot continue. `status` is the HTTP status of its page."""

    status = 400


class SessionUnknown(CannotAuthorize):
    status = 404


class SessionOver(CannotAuthorize):
    """The session expired or was used, or its connection was disconnected."""

    status = 410


class WrongLogin(CannotAuthorize):
    """The provider has no such user, or the user does not reach the company."""


class NotOffered(CannotAuthorize):
    """The session does not offer this provider, product or entity."""


class NotReady(Exception):
    """The data is still being synced: Finch answers 202."""
