"""Fixtures: the fake Finch on loopback, a clock that the test advances, and the official SDK."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import finch as finch_sdk
import httpx
import pytest

from local.fake_finch import Authorized, Customer, FinchState, serve
from local.fake_finch.request_log import RecordedRequest
from local.fake_finch.seed_world import MAYA
from tests.contract.browser import NO_TLS, Browser
from tests.contract.strict_answers import conforming

CLIENT_ID = "0e1f3a52-6a8e-4f4e-9a55-5f4a4e6b7c11"
CLIENT_SECRET = "finch-secret-of-the-tests"
CALLBACK = "https://api.example.com/callback"
PRODUCTS = ["company", "directory", "individual", "employment"]


class Clock:
    """A clock that only the test advances."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, **duration: float) -> None:
        self.time += timedelta(**duration)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake_finch(clock: Clock) -> FinchState:
    return FinchState(CLIENT_ID, CLIENT_SECRET, [CALLBACK], clock=clock)


@pytest.fixture
def base_url(fake_finch: FinchState) -> Iterator[str]:
    """The URL of the fake Finch, served on a free port of loopback."""
    server = serve(fake_finch)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
    serving.start()
    yield fake_finch.base_url
    server.shutdown()
    serving.join()


class Wire:
    """The raw answers to the SDK, which its models hide, and the requests.

    `sent()` is a request as it arrived, with header names and body. The fake Finch records requests
    of other clients in the same way, so a test can compare them.
    """

    def __init__(self, fake_finch: FinchState) -> None:
        self._fake_finch = fake_finch
        self.answers: list[httpx.Response] = []

    def note(self, answer: httpx.Response) -> None:
        answer.read()
        self.answers.append(answer)

    @property
    def last(self) -> httpx.Response:
        return self.answers[-1]

    def conforms[M](self, kind: type[M]) -> M:
        """The last answer, validated strictly as `kind`."""
        return conforming(kind, self.last.content)

    def sent(self) -> RecordedRequest:
        """The last request as the fake Finch received it."""
        return self._fake_finch.requests.last()


@pytest.fixture
def wire(fake_finch: FinchState) -> Wire:
    return Wire(fake_finch)


SdkFor = Callable[..., finch_sdk.Finch]


@pytest.fixture
def sdk_for(base_url: str, wire: Wire) -> Iterator[SdkFor]:
    """Creates SDK clients: `sdk_for()` for the application, `sdk_for(token)` for a connection."""
    opened: list[httpx.Client] = []

    def client(access_token: str | None = None, **overrides: str | None) -> finch_sdk.Finch:
        http = httpx.Client(event_hooks={"response": [wire.note]}, timeout=10, verify=NO_TLS)
        opened.append(http)
        given = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **overrides}
        return finch_sdk.Finch(
            base_url=base_url,
            access_token=access_token,
            client_id=given["client_id"],
            client_secret=given["client_secret"],
            max_retries=0,
            http_client=http,
        )

    yield client
    for http in opened:
        http.close()


@pytest.fixture
def sdk(sdk_for: SdkFor) -> finch_sdk.Finch:
    return sdk_for()


@dataclass(frozen=True)
class Connected:
    """A connection that went through the whole flow."""

    token: finch_sdk.types.CreateAccessTokenResponse
    sdk: finch_sdk.Finch
    """A client with the new access token."""

    @property
    def connection_id(self) -> str:
        return self.token.connection_id


class Customers:
    """Customers of the application who go through Finch Connect."""

    def __init__(self, fake_finch: FinchState, sdk_for: SdkFor) -> None:
        self._fake_finch = fake_finch
        self._sdk_for = sdk_for
        self._sdk = sdk_for()
        self._number = 0

    def start(
        self,
        *,
        customer_id: str | None = None,
        products: list[str] | None = None,
        redirect_uri: str | None = CALLBACK,
        **more: object,
    ) -> str:
        """A new session's id. Without a `customer_id`, the customer is new."""
        self._number += 1
        session = self._fake_finch.new_session(
            Customer(customer_id or f"customer-{self._number}", "Acme Benefits", "a@acme.example"),
            products or PRODUCTS,
            redirect_uri=redirect_uri,
            **more,  # type: ignore[arg-type]
        )
        return session.id

    def authorize(
        self,
        session_id: str,
        login: str = MAYA,
        provider_id: str | None = "gusto",
        company_id: str | None = None,
        entities: list[str] | None = None,
    ) -> Authorized:
        return self._fake_finch.authorize(
            session_id,
            login=login,
            provider_id=provider_id,
            company_id=company_id,
            entities=entities,
        )

    def exchange(self, code: str, redirect_uri: str | None = CALLBACK) -> Connected:
        """Exchange a code through the SDK."""
        token = self._sdk.access_tokens.create(
            code=code, redirect_uri=finch_sdk.omit if redirect_uri is None else redirect_uri
        )
        return Connected(token, self._sdk_for(token.access_token))

    def connect(
        self,
        login: str = MAYA,
        provider_id: str = "gusto",
        company_id: str | None = None,
        entities: list[str] | None = None,
        **session: object,
    ) -> Connected:
        """The flow from a new session to an access token."""
        session_id = self.start(**session)  # type: ignore[arg-type]
        authorized = self.authorize(session_id, login, provider_id, company_id, entities)
        return self.exchange(authorized.code)

    def repair(self, connection_id: str, login: str = MAYA, **choices: str) -> Connected:
        """A reauthentication of a connection, from its session to the new access token."""
        session = self._sdk.connect.sessions.reauthenticate(
            connection_id=connection_id, redirect_uri=CALLBACK
        )
        authorized = self._fake_finch.authorize(session.session_id, login=login, **choices)
        return self.exchange(authorized.code)


@pytest.fixture
def customers(fake_finch: FinchState, sdk_for: SdkFor) -> Customers:
    return Customers(fake_finch, sdk_for)


@pytest.fixture
def browser(base_url: str) -> Iterator[Browser]:
    with Browser(base_url) as opened:
        yield opened


@pytest.fixture
def http(base_url: str) -> Iterator[httpx.Client]:
    """A plain client, for requests that the SDK would not send."""
    headers = {"Finch-API-Version": "2020-09-17"}
    with httpx.Client(base_url=base_url, headers=headers, verify=NO_TLS) as client:
        yield client
