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
    """The client of Finch: what the dashboard's Credentials tab holds."""

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uris: tuple[str, ...]
    client_type: ClientType = "sandbox"
    webhook_url: str | None = None
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    """The newest first. Without one, or without the URL, nothing is told."""


@dataclass(frozen=True)
class Customer:
    """Whom the application connects, in its own words."""

    id: str
    name: str
    email: str | None = None


@dataclass
class Session:
    """One Connect session. `customer` is None for a reauthentication, which names nobody."""

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
    """An authorization code: what the person granted, waiting to be exchanged."""

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
    """A legal entity as one connection sees it."""

    id: str
    name: str
    source_id: str
    disconnected: bool = False


@dataclass
class Connection:
    """A link to an employer at a provider. `disconnected_at` is set once and for all."""

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
    """An access token. It lives until its connection ends."""

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

    `redirect_to` is None in the embedded flow, where the page hands the code over by message.
    """

    code: str = field(repr=False)
    redirect_to: str | None = field(repr=False)


@dataclass(frozen=True)
class Reading:
    """What a data call may read: one entity of one connection."""

    company: Company
    connection: Connection
    entity: ConnectedEntity
    people: tuple[Person, ...]


class CannotAuthorize(Exception):
    """Finch Connect cannot go on; `status` is the HTTP status of the page that says so."""

    status = 400


class SessionUnknown(CannotAuthorize):
    status = 404


class SessionOver(CannotAuthorize):
    """The session expired, was used up, or its connection is gone."""

    status = 410


class WrongLogin(CannotAuthorize):
    """No such user at this provider, or one who does not reach the company."""


class NotOffered(CannotAuthorize):
    """A provider, product or entity that this session does not offer."""


class NotReady(Exception):
    """The data is still on its way: Finch answers 202."""
