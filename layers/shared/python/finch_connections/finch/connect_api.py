"""The calls to Finch while a customer connects: create a session, exchange a code, introspect a token."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from finch_connections import settings
from finch_connections.domain.connect_session import FINCH_SESSION_LIFETIME, Attempt
from finch_connections.domain.connection import ConnectionStatus
from finch_connections.domain.display_name import readable
from finch_connections.domain.secret import SecretText
from finch_connections.domain.token_response import Introspection, TokenResponse
from finch_connections.finch import client as finch_client
from finch_connections.finch import credentials
from finch_connections.finch.client import FinchClient
from finch_connections.finch.credentials import Credentials, FinchSecret
from finch_connections.finch.errors import CredentialsUnreadable, InvalidClient, UnknownAnswer
from finch_connections.log import logger

# Finch can take up to six minutes for a request (408 in "Error Types"). API Gateway ends the caller's
# request after 30 s, but the function runs on and can still store a token that arrives later.
EXCHANGE_READ_SECONDS = 45.0
# The customer waits at the link. Three of these calls must fit into API Gateway's 30 s.
SESSION_READ_SECONDS = 5.0

# The URLs that we redirect a browser to: a host over TLS, or the fake Finch on the same machine. The
# pattern excludes URLs that browsers could parse in another way than we do.
_CONNECT_URL = (
    r"^(https://[A-Za-z0-9.-]+|http://(localhost|127\.0\.0\.1))(:[0-9]{1,5})?/[\x21-\x7e]*$"
)
# Printable ASCII: the length is then the number of bytes, and a token fits into a header. The pattern
# has no length, because a pattern with a count takes ten times as long to compile.
type _Short = Annotated[str, Field(pattern=r"^[\x20-\x7e]*$", max_length=255)]
# Ids are other systems' text. `domain/identifier.py` decides which ids we accept.
type _Id = Annotated[str, Field(max_length=255)]
type _Texts = Annotated[frozenset[_Short], BeforeValidator(lambda value: value or ())]


class _Answer(BaseModel):
    # Finch's schema has strings for ids, but an example has a number.
    model_config = ConfigDict(coerce_numbers_to_str=True, hide_input_in_errors=True)


class _FinchSession(_Answer):
    session_id: str = Field(pattern=r"^[\x21-\x7e]+$", max_length=255)
    connect_url: str = Field(pattern=_CONNECT_URL, max_length=2000)


class _AccessToken(_Answer):
    # KMS encrypts up to 4096 bytes.
    access_token: str = Field(pattern=r"^[\x21-\x7e]+$", max_length=4096)


class _TokenResponse(_Answer):
    # With limits, so that the response always fits into the item of the session.
    connection_id: _Id
    provider_id: _Id
    products: Annotated[_Texts, Field(max_length=100)] = frozenset()
    entity_ids: Annotated[_Texts, Field(max_length=1000)] = frozenset()
    company_id: _Id | None = None
    account_id: _Id | None = None
    customer_id: _Id | None = None


class _Status(_Answer):
    status: _Short


class _Entity(_Answer):
    id: _Short
    # Missing in Finch's older responses.
    status: _Short | None = None
    # An unusable name becomes None instead of an error.
    name: Annotated[str | None, BeforeValidator(readable)] = None


class _Method(_Answer):
    type: _Short
    connection_status: _Status | None = None


class _Introspection(_Answer):
    id: _Short
    client_id: _Short
    connection_id: _Id
    provider_id: _Id
    connection_status: _Status
    products: Annotated[_Texts, Field(max_length=100)] = frozenset()
    company_id: _Id | None = None
    account_id: _Id | None = None
    customer_id: _Id | None = None
    entities: Annotated[list[_Entity], Field(max_length=1000)] | None = None
    authentication_methods: Annotated[list[_Method], Field(max_length=20)] | None = None


class FinchSession(NamedTuple):
    """A session of Finch Connect: the URL for the redirect flow, and the id for the embedded flow."""

    session_id: str
    connect_url: str


@dataclass(frozen=True, eq=False, repr=False)
class ConnectApi:
    """Calls Finch with this application's credentials. Each method raises `FinchFailure`."""

    finch: FinchClient
    secret: FinchSecret
    sandbox: str

    def create_session(self, attempt: Attempt, finch_customer_id: str) -> FinchSession:
        """A new session of Finch Connect (`POST /connect/sessions`)."""
        body: dict[str, Any] = {
            "customer_id": finch_customer_id,
            "customer_name": attempt.customer_name,
            "products": list(attempt.products),
        }
        if attempt.provider_id:
            body["integration"] = {"provider": attempt.provider_id}
        if self.sandbox:
            body["sandbox"] = self.sandbox
        return self._create("/connect/sessions", body, attempt.redirect_uri)

    def reauthenticate(
        self, connection_id: str, products: Sequence[str], redirect_uri: str | None
    ) -> FinchSession:
        """A session of Finch Connect that repairs a connection.

        (`POST /connect/sessions/reauthenticate`)
        """
        body: dict[str, Any] = {"connection_id": connection_id, "products": list(products)}
        return self._create("/connect/sessions/reauthenticate", body, redirect_uri)

    def exchange(
        self, code: SecretText, redirect_uri: str | None
    ) -> tuple[SecretText, TokenResponse]:
        """The access token for a code, and the rest of the response (`POST /auth/token`).

        Finch requires the session's redirect URI with a code from the redirect flow, and none with a
        code from the embedded flow. Raises `InvalidGrant` if Finch refuses the code. After `AnswerLost`,
        the code may be spent and the token lost.
        """

        def call(credentials: Credentials) -> Any:
            body = {
                "client_id": credentials.client_id,
                "client_secret": credentials.client_secret.reveal(),
                "code": code.reveal(),
            }
            if redirect_uri:
                body["redirect_uri"] = redirect_uri
            return self.finch.call(
                "POST", "/auth/token", json=body, read_seconds=EXCHANGE_READ_SECONDS
            )

        answer = self._with_credentials(call)
        token = SecretText(_parse(_AccessToken, answer).access_token)
        try:
            response = _parse(_TokenResponse, answer)
        except UnknownAnswer:
            # The token works, even if the other fields are wrong. Without it we cannot end the connection.
            logger.error("token response unreadable")
            return token, TokenResponse.unreadable()
        return token, TokenResponse(**response.model_dump())

    def introspect(self, token: SecretText) -> Introspection:
        """Finch's description of a token (`GET /introspect`)."""
        answer = _parse(_Introspection, self.finch.introspect(token))
        finch_status = answer.connection_status.status
        status = ConnectionStatus.of_finch(finch_status)
        return Introspection(
            token_id=answer.id,
            client_id=answer.client_id,
            connection_id=answer.connection_id,
            provider_id=answer.provider_id,
            products=answer.products,
            status=status,
            status_detail=finch_status if status is ConnectionStatus.UNKNOWN else None,
            company_id=answer.company_id,
            account_id=answer.account_id,
            customer_id=answer.customer_id,
            entities={one.id: one.status or finch_status for one in answer.entities or ()},
            methods={
                one.type: one.connection_status.status
                for one in answer.authentication_methods or ()
                if one.connection_status
            },
            entity_names={one.id: one.name for one in answer.entities or () if one.name},
        )

    def prepare(self) -> None:
        """Reads the credentials before the next call needs them. That call raises any failure."""
        with suppress(CredentialsUnreadable):
            self.secret.credentials()

    def client_id(self) -> str:
        """This application's client id at Finch."""
        return self.secret.credentials().client_id

    def _create(self, path: str, body: dict[str, Any], redirect_uri: str | None) -> FinchSession:
        body["minutes_to_expire"] = FINCH_SESSION_LIFETIME // timedelta(minutes=1)
        if redirect_uri:
            body["redirect_uri"] = redirect_uri

        def call(credentials: Credentials) -> Any:
            auth = (credentials.client_id, credentials.client_secret.reveal())
            return self.finch.call(
                "POST", path, json=body, auth=auth, read_seconds=SESSION_READ_SECONDS
            )

        answer = _parse(_FinchSession, self._with_credentials(call))
        return FinchSession(answer.session_id, answer.connect_url)

    def _with_credentials(self, call: Callable[[Credentials], Any]) -> Any:
        """Calls with the cached credentials. If Finch refuses them, calls again with changed credentials.

        The second call is safe, because a request with refused credentials has no effect.
        """
        credentials = self.secret.credentials()
        try:
            return call(credentials)
        except InvalidClient:
            changed = self.secret.read_again()
            if changed == credentials:
                raise
            return call(changed)


def _parse[A: BaseModel](model: type[A], answer: Any) -> A:
    try:
        return model.model_validate(answer)
    except ValidationError:
        raise UnknownAnswer from None


@cache
def from_settings() -> ConnectApi:
    """The Finch API and the secret that the template names."""
    return ConnectApi(
        finch_client.from_settings(), credentials.from_settings(), settings.read().finch_sandbox
    )
