"""What Finch is asked while a customer connects: a Connect session, a token for a code, whose it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from finch_connections.finch.client import FinchClient, bearer
from finch_connections.finch.credentials import Credentials, FinchSecret
from finch_connections.finch.errors import InvalidClient, UnknownAnswer
from finch_connections.log import logger

# Finch works on a request for up to six minutes (408 in "Error Types"). API Gateway's caller is gone
# after 30 s, but a token that comes later still reaches its session while the function runs.
EXCHANGE_READ_SECONDS = 45.0
# A person waits at the link, and API Gateway gives up after 30 s: three of these must fit.
SESSION_READ_SECONDS = 5.0

# Where a browser may be sent: to a host over TLS, or to the fake Finch on this machine, and to nothing
# that browsers and we could read in two ways.
_CONNECT_URL = (
    r"^(https://[A-Za-z0-9.-]+|http://(localhost|127\.0\.0\.1))(:[0-9]{1,5})?/[\x21-\x7e]*$"
)
# Printable ASCII, so that a length is a number of bytes and a token fits into a header. The length
# stands beside the pattern, for a pattern that counts takes ten times as long to compile.
type _Short = Annotated[str, Field(pattern=r"^[\x20-\x7e]*$", max_length=255)]
type _Texts = Annotated[frozenset[_Short], BeforeValidator(lambda value: value or ())]


class _Answer(BaseModel):
    # An id that Finch's example shows as a bare number is a string in its schema.
    model_config = ConfigDict(coerce_numbers_to_str=True, hide_input_in_errors=True)


class _FinchSession(_Answer):
    session_id: str = Field(pattern=r"^[\x21-\x7e]+$", max_length=255)
    connect_url: str = Field(pattern=_CONNECT_URL, max_length=2000)


class _AccessToken(_Answer):
    # KMS encrypts up to 4096 bytes.
    access_token: str = Field(pattern=r"^[\x21-\x7e]+$", max_length=4096)


class _Grant(_Answer):
    # Bounded, so that whatever Finch sends fits into the session that must keep it.
    connection_id: _Short
    provider_id: _Short
    products: Annotated[_Texts, Field(max_length=100)] = frozenset()
    entity_ids: Annotated[_Texts, Field(max_length=1000)] = frozenset()
    company_id: _Short | None = None
    account_id: _Short | None = None
    customer_id: _Short | None = None


class _Status(_Answer):
    status: _Short


class _Entity(_Answer):
    id: _Short
    # Finch's older answers have none.
    status: _Short | None = None
    # Whatever stands here must not spoil the answer.
    name: Annotated[str | None, BeforeValidator(readable)] = None


class _Method(_Answer):
    type: _Short
    connection_status: _Status | None = None


class _Introspection(_Answer):
    id: _Short
    client_id: _Short
    connection_id: _Short
    provider_id: _Short
    connection_status: _Status
    products: Annotated[_Texts, Field(max_length=100)] = frozenset()
    company_id: _Short | None = None
    account_id: _Short | None = None
    customer_id: _Short | None = None
    entities: Annotated[list[_Entity], Field(max_length=1000)] | None = None
    authentication_methods: Annotated[list[_Method], Field(max_length=20)] | None = None


class FinchSession(NamedTuple):
    """A session of Finch Connect: where the redirect flow goes, and the id for the embedded one."""

    session_id: str
    connect_url: str


@dataclass(frozen=True, eq=False, repr=False)
class ConnectApi:
    """Finch with this application's credentials. Every method raises `FinchFailure`."""

    finch: FinchClient
    secret: FinchSecret
    sandbox: str

    def create_session(self, attempt: Attempt, finch_customer_id: str) -> FinchSession:
        """A new session of Finch Connect (`POST /connect/sessions`)."""
        body: dict[str, Any] = {
            "customer_id": finch_customer_id,
            "customer_name": attempt.customer_name,
            "products": list(attempt.products),
            "minutes_to_expire": int(FINCH_SESSION_LIFETIME.total_seconds() // 60),
        }
        if attempt.redirect_uri:
            body["redirect_uri"] = attempt.redirect_uri
        if attempt.provider_id:
            body["integration"] = {"provider": attempt.provider_id}
        if self.sandbox:
            body["sandbox"] = self.sandbox
        return self._open("/connect/sessions", body)

    def reauthenticate(
        self, connection_id: str, products: Sequence[str], redirect_uri: str | None
    ) -> FinchSession:
        """A session of Finch Connect for a connection that there is.

        (`POST /connect/sessions/reauthenticate`)
        """
        body: dict[str, Any] = {
            "connection_id": connection_id,
            "products": list(products),
            "minutes_to_expire": int(FINCH_SESSION_LIFETIME.total_seconds() // 60),
        }
        if redirect_uri:
            body["redirect_uri"] = redirect_uri
        return self._open("/connect/sessions/reauthenticate", body)

    def exchange(
        self, code: SecretText, redirect_uri: str | None
    ) -> tuple[SecretText, TokenResponse]:
        """The access token for a code, and what it was granted (`POST /auth/token`).

        Finch wants the redirect URI of the session with a code from the redirect flow, and none with
        a code from the embedded one. Raises `InvalidGrant` where the code is refused, and
        `AnswerLost` where the code may be spent and its token in nobody's hands.
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
        token = SecretText(_understood(_AccessToken, answer).access_token)
        try:
            granted = _understood(_Grant, answer)
        except UnknownAnswer:
            # The token is real whatever stands beside it: it must be kept, or nobody can end it.
            logger.error("finch granted a token in an unknown form")
            return token, TokenResponse.unreadable()
        return token, TokenResponse(**granted.model_dump())

    def introspect(self, token: SecretText) -> Introspection:
        """What Finch says of a token (`GET /introspect`)."""
        answer = _understood(
            _Introspection, self.finch.call("GET", "/introspect", headers=bearer(token))
        )
        word = answer.connection_status.status
        status = ConnectionStatus.of_finch(word)
        return Introspection(
            token_id=answer.id,
            client_id=answer.client_id,
            connection_id=answer.connection_id,
            provider_id=answer.provider_id,
            products=answer.products,
            status=status,
            status_detail=word if status is ConnectionStatus.UNKNOWN else None,
            company_id=answer.company_id,
            account_id=answer.account_id,
            customer_id=answer.customer_id,
            entities={one.id: one.status or word for one in answer.entities or ()},
            methods={
                one.type: one.connection_status.status
                for one in answer.authentication_methods or ()
                if one.connection_status
            },
            entity_names={one.id: one.name for one in answer.entities or () if one.name},
        )

    def client_id(self) -> str:
        """Our application's name at Finch."""
        return self.secret.credentials().client_id

    def _open(self, path: str, body: dict[str, Any]) -> FinchSession:
        def call(credentials: Credentials) -> Any:
            auth = (credentials.client_id, credentials.client_secret.reveal())
            return self.finch.call(
                "POST", path, json=body, auth=auth, read_seconds=SESSION_READ_SECONDS
            )

        answer = _understood(_FinchSession, self._with_credentials(call))
        return FinchSession(answer.session_id, answer.connect_url)

    def _with_credentials(self, call: Callable[[Credentials], Any]) -> Any:
        """Calls with the kept credentials and, where Finch does not know them, with changed ones.

        A refusal of our credentials has had no effect, so calling again is safe.
        """
        credentials = self.secret.credentials()
        try:
            return call(credentials)
        except InvalidClient:
            changed = self.secret.read_again()
            if changed == credentials:
                raise
            return call(changed)


def _understood[A: BaseModel](model: type[A], answer: Any) -> A:
    try:
        return model.model_validate(answer)
    except ValidationError:
        raise UnknownAnswer from None


@cache
def from_settings() -> ConnectApi:
    """Finch as the template and the secret name it."""
    return ConnectApi(
        finch_client.from_settings(), credentials.from_settings(), settings.read().finch_sandbox
    )
