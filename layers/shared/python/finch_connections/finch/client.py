"""The client of the Finch API, one for each warm function. It turns each failure into a `FinchFailure`."""

import logging
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from socket import SHUT_RDWR, socket
from threading import Timer
from typing import Any

import httpx

from finch_connections import metrics, settings
from finch_connections.domain.secret import SecretText
from finch_connections.finch.errors import (
    AccountSetupRequired,
    AnswerLost,
    ConnectionAlreadyExists,
    FinchFailure,
    FinchUnavailable,
    Forbidden,
    InsufficientPermissions,
    InsufficientScope,
    InvalidClient,
    InvalidGrant,
    NotReached,
    PaymentRequired,
    RateLimited,
    ReauthenticationNeeded,
    RequestRefused,
    ServerError,
    TokenDead,
    TokenNotSent,
    TooLarge,
    UnknownAnswer,
)
from finch_connections.log import logger

# The only version in Finch's documentation ("Headers" in its API reference).
API_VERSION = "2020-09-17"
CONNECT_SECONDS = 2.0
# The longest pause within a response. The whole call may take this, and twice the time to connect.
READ_SECONDS = 12.0
# No response of Finch is near this size. A larger one could use up the function's memory.
_MOST_BYTES = 4_000_000
# The headers of a response that a caller can use. The others describe its transfer.
_PASSED_ON = (
    "Content-Type",
    "Finch-Request-Id",
    "Finch-Data-Retrieved",
    "Finch-Last-Attempted-Update-Date",
    "Finch-Last-Attempted-Update-Result",
    "Retry-After",
)
# An older TCP connection may be closed without our knowledge, above all after Lambda froze the
# function. A code that is sent over it would leave the exchange uncertain.
_KEEP_SECONDS = 5.0

# All root certificates of certifi, which exist here only in a build. OpenSSL reads only the file
# that it needs; to parse all of them takes 25 ms.
_ROOTS = Path(__file__).parents[1] / "roots"

# httpx logs each request at INFO. Our own line has more fields.
logging.getLogger("httpx").setLevel(logging.WARNING)

_BY_NAME: Mapping[tuple[int, str], type[FinchFailure]] = {
    (401, "reauthenticate_user"): ReauthenticationNeeded,
    (401, "account_setup_required"): AccountSetupRequired,
    (401, "invalid_token_error"): TokenDead,
    (401, "unauthorized_request_error"): TokenNotSent,
    (401, "invalid_client_error"): InvalidClient,
    # Finch's reference lists this name with 401, its SDK's documentation with 400.
    (401, "invalid_request_error"): RequestRefused,
    (403, "error_permissions"): InsufficientPermissions,
    (403, "insufficient_scope_error"): InsufficientScope,
}
_BY_STATUS: Mapping[int, type[FinchFailure]] = {
    400: RequestRefused,
    402: PaymentRequired,
    403: Forbidden,
    404: RequestRefused,
    408: ServerError,
    409: RequestRefused,
    422: RequestRefused,
    429: RateLimited,
    501: RequestRefused,
}


class FinchClient:
    """Sends one request at a time and never retries: a lost request may have had its effect.

    `request_id` is Finch's id of the last response, or None if none came or it had no id.
    """

    def __init__(
        self,
        base_url: str,
        transport: httpx.BaseTransport | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._base_url = base_url
        self._transport = transport
        self._wall_clock = wall_clock
        self._verify = _trusting()
        self._client = self._new_client()
        self._socket: socket | None = None
        self.request_id: str | None = None
        self._last_used = wall_clock()

    def disconnect(self, token: SecretText) -> None:
        """Ends the token's connection for good, with all of its tokens (`POST /disconnect`).

        Raises `FinchFailure`; after `AnswerLost` the connection may have ended.
        """
        _require_success(self.call("POST", "/disconnect", headers=bearer(token)))

    def disconnect_entity(self, token: SecretText, entity_id: str) -> None:
        """Ends one entity of the token's connection (`POST /disconnect-entity`).

        The token stays valid for the other entities. Raises `FinchFailure`; after `AnswerLost` the
        entity may have ended.
        """
        body = {"entity_ids": [entity_id]}
        _require_success(self.call("POST", "/disconnect-entity", json=body, headers=bearer(token)))

    def is_disconnected(self, token: SecretText, entity_id: str) -> bool:
        """Whether `/introspect` calls an entity of the token disconnected; raises `FinchFailure`."""
        answer = self.introspect(token)
        entities = answer.get("entities") if isinstance(answer, dict) else None
        return any(
            isinstance(one, dict)
            and (str(one.get("id")), one.get("status")) == (entity_id, "disconnected")
            for one in (entities if isinstance(entities, list) else ())
        )

    def introspect(self, token: SecretText) -> Any:
        """The parsed body that describes a token (`GET /introspect`); raises `FinchFailure`.

        Raises `TokenDead` also if Finch describes the token and calls its connection `disconnected`.
        """
        answer = self.call("GET", "/introspect", headers=bearer(token))
        status = answer.get("connection_status") if isinstance(answer, dict) else None
        if "disconnected" in (status, isinstance(status, dict) and status.get("status")):
            raise TokenDead
        return answer

    def call(
        self,
        method: str,
        path: str,
        *,
        read_seconds: float = READ_SECONDS,
        **request: Any,
    ) -> Any:
        """The parsed body of a 200 or 201. Raises a `FinchFailure` for any other result.

        `request` takes httpx's arguments `json`, `headers` and `auth`.
        """
        began, failure = time.monotonic(), None
        try:
            response = self._exchange(method, path, read_seconds, _MOST_BYTES, request)
            if response.status_code in (200, 201):
                return _parsed(response, self.request_id)
            raise _failure(response, self.request_id)
        except FinchFailure as error:
            failure = error
            raise
        finally:
            _count(failure, began)

    def exchange(
        self, method: str, path: str, *, read_seconds: float, most_bytes: int, **request: Any
    ) -> httpx.Response:
        """Finch's response, also to a request that Finch refuses.

        Raises `NotReached` and `AnswerLost`. `request` takes httpx's arguments.
        """
        began, failure = time.monotonic(), None
        try:
            response = self._exchange(method, path, read_seconds, most_bytes, request)
            failure = None if response.is_success else _failure(response, None)
            return response
        except FinchFailure as error:
            failure = error
            raise
        finally:
            _count(failure, began)

    def _exchange(
        self,
        method: str,
        path: str,
        read_seconds: float,
        most_bytes: int,
        request: Mapping[str, Any],
    ) -> httpx.Response:
        if self._wall_clock() - self._last_used > _KEEP_SECONDS:
            self._client.close()
            self._client = self._new_client()
        self.request_id = None
        try:
            response = self._received(method, path, read_seconds, most_bytes, request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            logger.warning("finch not reached", path=path, reason=type(error).__name__)
            raise NotReached from error
        except httpx.HTTPError as error:
            logger.warning("finch answer lost", path=path, reason=type(error).__name__)
            raise AnswerLost from error
        finally:
            self._last_used = self._wall_clock()
            # Cookies from the response to one customer's request must not go out with another's token.
            self._client.cookies.clear()
        self.request_id = response.headers.get("Finch-Request-Id")
        logger.info(
            "finch answered",
            path=path,
            status=response.status_code,
            finch_request_id=self.request_id,
        )
        return response

    def _received(
        self,
        method: str,
        path: str,
        read_seconds: float,
        most_bytes: int,
        request: Mapping[str, Any],
    ) -> httpx.Response:
        """The whole response. Raises `httpx.HTTPError`, also if the response is too slow, and `TooLarge`."""
        timeout = httpx.Timeout(CONNECT_SECONDS, read=read_seconds)
        # httpx limits each pause, not the whole call: one byte every few seconds would never time out.
        stop = Timer(2 * CONNECT_SECONDS + read_seconds, self._shut_down)
        stop.daemon = True
        stop.start()
        try:
            with self._client.stream(
                method, path, timeout=timeout, extensions={"trace": self._note_socket}, **request
            ) as response:
                content = bytearray()
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > most_bytes:
                        logger.warning("finch answer lost", path=path, reason="too large")
                        raise TooLarge
        finally:
            stop.cancel()
        headers = {name: response.headers[name] for name in _PASSED_ON if name in response.headers}
        return httpx.Response(response.status_code, headers=headers, content=bytes(content))

    def _note_socket(self, event: str, info: Mapping[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = info["return_value"].get_extra_info("socket")

    def _shut_down(self) -> None:
        """Ends the TCP connection, so that the call that waits for it fails at once."""
        if self._socket is not None:
            with suppress(OSError):
                # SSLSocket's own method also drops the state that the waiting call uses.
                socket.shutdown(self._socket, SHUT_RDWR)

    def _new_client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self._base_url,
            headers={"Finch-API-Version": API_VERSION},
            verify=self._verify,
            transport=self._transport,
            # No proxy or certificate store from the environment: we send tokens for payroll data.
            trust_env=False,
        )


def bearer(token: SecretText) -> dict[str, str]:
    """The request header with an access token."""
    return {"Authorization": f"Bearer {token.reveal()}"}


def _count(failure: FinchFailure | None, began: float) -> None:
    metrics.finch_called(
        failure.kind if failure else metrics.OK,
        failed=isinstance(failure, FinchUnavailable),
        seconds=time.monotonic() - began,
    )


def _require_success(answer: Any) -> None:
    if not isinstance(answer, dict) or answer.get("status") != "success":
        raise UnknownAnswer


def _trusting() -> ssl.SSLContext:
    """A TLS context that verifies certificates and host names."""
    if _ROOTS.is_dir():
        return ssl.create_default_context(capath=_ROOTS)
    return httpx.create_ssl_context(trust_env=False)


def _parsed(response: httpx.Response, request_id: str | None) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):
        # Not chained: the decoder's message contains a part of the body.
        raise UnknownAnswer(request_id) from None


def _failure(response: httpx.Response, request_id: str | None) -> FinchFailure:
    status = response.status_code
    try:
        body = response.json()
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        body = {}
    names = [name for name in (body.get("finch_code"), body.get("name")) if isinstance(name, str)]
    if status == 400 and "connection_already_exists" in names:
        context = body.get("context")
        connection_id = context.get("connection_id") if isinstance(context, dict) else None
        return ConnectionAlreadyExists(
            connection_id if isinstance(connection_id, str) else None, request_id
        )
    # A real response had another name than the reference, with the same start.
    if status == 400 and any(name.startswith("invalid_grant") for name in names):
        return InvalidGrant(request_id)
    for name in names:
        if (status, name) in _BY_NAME:
            return _BY_NAME[status, name](request_id)
    if status in _BY_STATUS:
        return _BY_STATUS[status](request_id)
    return (ServerError if status >= 500 else UnknownAnswer)(request_id)


@cache
def from_settings() -> FinchClient:
    """The client of the Finch API that the template names."""
    return FinchClient(settings.read().finch_api_url)
