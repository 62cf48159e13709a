"""The calls to Finch while a customer connects: create a session, exchange a code, introspect a token."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, NamedTuple, TypedDict

from finch_connections import settings
from finch_connections.domain.connect_session import FINCH_SESSION_LIFETIME, Attempt
from finch_connections.domain.connection import (
    MAX_LOGIN_BYTES,
    ConnectionStatus,
    packed,
    pair_id,
)
from finch_connections.domain.display_name import readable
from finch_connections.domain.secret import SecretText
from finch_connections.domain.token_response import (
    MOST_ENTITIES,
    Introspection,
    TokenResponse,
    own_token_id,
)
from finch_connections.finch import client as finch_client
from finch_connections.finch import credentials
from finch_connections.finch.client import FinchClient
from finch_connections.finch.credentials import Credentials, FinchSecret
from finch_connections.finch.errors import CredentialsUnreadable, InvalidClient, UnknownAnswer

# Finch can take up to six minutes for a request (408 in "Error Types"). API Gateway ends the caller's
# request after 30 s, but the function runs on and can still store a token that arrives later.
EXCHANGE_READ_SECONDS = 45.0
# The customer waits at the link. Three of these calls must fit into API Gateway's 30 s.
SESSION_READ_SECONDS = 5.0

# The URLs that we redirect a browser to: a host over TLS, or the fake Finch on the same machine. The
# pattern excludes URLs that browsers could parse in another way than we do.
_CONNECT_URL = re.compile(
    r"(?=.{1,2000}$)(https://[A-Za-z0-9.-]+|http://(localhost|127\.0\.0\.1))(:[0-9]{1,5})?/[\x21-\x7e]*"
)
_SESSION_ID = re.compile(r"[\x21-\x7e]{1,255}")
# KMS encrypts up to 4096 bytes.
_TOKEN = re.compile(r"[\x21-\x7e]{1,4096}")
# A longer text is cut to this length. It is then still too long for an id, so the rules refuse it.
_TEXT_LENGTH = 256
# One more than we accept, so that the rules see that there are too many.
_MOST_ENTITIES = MOST_ENTITIES + 1
_MOST_PRODUCTS = 100
_MOST_METHODS = 20


def _text(value: object) -> str | None:
    """A text of Finch; None for any other type. Finch's schema has strings for ids, an example a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value:
        return None
    # No place stores half of a surrogate pair, which JSON can express.
    return value[:_TEXT_LENGTH].encode(errors="replace").decode()


def _label(value: object) -> str | None:
    """A text in printable ASCII: its length is then the number of bytes."""
    text = _text(value)
    return (
        text
        if text and len(text) < _TEXT_LENGTH and text.isascii() and text.isprintable()
        else None
    )


def _labels(value: object) -> frozenset[str]:
    found = map(_label, value[:_MOST_ENTITIES] if isinstance(value, list) else ())
    return frozenset(filter(None, found))


def _fit(entity_ids: frozenset[str]) -> bool:
    return (
        len(entity_ids) <= MOST_ENTITIES
        and len(packed(dict.fromkeys(entity_ids, ""))) <= MAX_LOGIN_BYTES
    )


def _status(value: object) -> str | None:
    """The status in an object with a `status`, or a status that is a plain text."""
    return _label(value.get("status") if isinstance(value, dict) else value)


def _objects(value: object) -> list[Any]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _needed(answer: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    """A text that we cannot do without. Raises `UnknownAnswer` if it is missing or has another form."""
    value = answer.get(name)
    # Finch's schema has strings for ids, but an example has a number.
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise UnknownAnswer
    return text


def _object(answer: Any) -> Mapping[str, Any]:
    """An answer that is an object. Raises `UnknownAnswer`."""
    if not isinstance(answer, dict):
        raise UnknownAnswer
    return answer


class _Described(TypedDict):
    """The fields that both descriptions of a token have."""

    connection_id: str | None
    provider_id: str | None
    products: frozenset[str]
    company_id: str | None
    account_id: str | None
    customer_id: str | None


def _described(answer: Mapping[str, Any]) -> _Described:
    """The fields that both descriptions of a token have.

    No field fails. A field that Finch leaves out or sends with another type counts as missing. The
    provider is in the field of today, or of Finch's first reference.
    """
    return {
        "connection_id": _text(answer.get("connection_id")),
        "provider_id": _text(answer.get("provider_id")) or _text(answer.get("payroll_provider_id")),
        "products": _few(_labels(answer.get("products"))),
        "company_id": _text(answer.get("company_id")),
        "account_id": _text(answer.get("account_id")),
        "customer_id": _text(answer.get("customer_id")),
    }


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

        answer = _object(self._with_credentials(call))
        token = SecretText(_needed(answer, "access_token", _TOKEN))
        described, entity_ids = _described(answer), _labels(answer.get("entity_ids"))
        provider_id = described["provider_id"] or ""
        return token, TokenResponse(
            connection_id=described["connection_id"]
            or pair_id(provider_id, described["company_id"]),
            provider_id=provider_id,
            products=described["products"],
            company_id=described["company_id"],
            account_id=described["account_id"],
            customer_id=described["customer_id"],
            # With a limit, so that the response fits into the item of the session.
            entity_ids=entity_ids if _fit(entity_ids) else frozenset(),
        )

    def introspect(self, token: SecretText) -> Introspection:
        """Finch's description of a token (`GET /introspect`)."""
        answer = _object(self.finch.introspect(token))
        finch_status = _status(answer.get("connection_status"))
        status = ConnectionStatus.of_finch(finch_status or "")
        entities = {
            entity_id: one
            for one in _objects(answer.get("entities"))[:_MOST_ENTITIES]
            if (entity_id := _text(one.get("id")))
        }
        names = {entity_id: readable(one.get("name")) for entity_id, one in entities.items()}
        methods = {
            _label(one.get("type")): _status(one.get("connection_status"))
            for one in _objects(answer.get("authentication_methods"))[:_MOST_METHODS]
        }
        return Introspection(
            **_described(answer),
            token_id=_text(answer.get("id")) or own_token_id(token),
            client_id=_text(answer.get("client_id")),
            status=status,
            status_detail=finch_status if status is ConnectionStatus.UNKNOWN else None,
            entities={
                entity_id: _label(one.get("status")) or finch_status or "unknown"
                for entity_id, one in entities.items()
            },
            methods={kind: method for kind, method in methods.items() if kind and method},
            entity_names={entity_id: name for entity_id, name in names.items() if name},
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

        answer = _object(self._with_credentials(call))
        return FinchSession(
            _needed(answer, "session_id", _SESSION_ID), _needed(answer, "connect_url", _CONNECT_URL)
        )

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


def _few(products: frozenset[str]) -> frozenset[str]:
    return frozenset(sorted(products)[:_MOST_PRODUCTS])


@cache
def from_settings() -> ConnectApi:
    """The Finch API and the secret that the template names."""
    return ConnectApi(
        finch_client.from_settings(), credentials.from_settings(), settings.read().finch_sandbox
    )
