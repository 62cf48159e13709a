"""httpx clients that read one connection at Finch, for Finch's own SDK.

Pass one as `http_client` to `Finch`, with an empty `access_token`: the SDK sends nothing without any, and
the client replaces it.
"""

import json
import os
import time
from collections.abc import Iterable
from functools import cache
from threading import Lock
from typing import Any, Literal, NoReturn, NotRequired, TypedDict, Unpack

import httpx
from botocore.config import Config

from finch_tokens import (
    TokenClient,
    TokenRefused,
    VendedToken,
    client_of,
    from_settings,
    refusal,
)

# A token in memory cannot be taken back, so it is asked for again after these seconds.
KEPT_SECONDS = 300.0
# Finch ends a call after six minutes ("408" in its error types).
_TIMEOUT = httpx.Timeout(5, read=360)
_ENTITY = "entity_ids[]"
# CallFinch ends within seven minutes. A repetition after a lost answer could make a call twice, and a
# router may drop a connection without traffic earlier.
CALL_SECONDS = 425.0
_CONFIG = Config(
    connect_timeout=1.0,
    read_timeout=CALL_SECONDS,
    retries={"mode": "standard", "total_max_attempts": 1},
    tcp_keepalive=True,
)
# The SDK also has calls that end a connection, or that need the application's own credentials.
_DATA = ("/employer/", "/jobs/", "/forward")


type Through = Literal["vend_token", "call_finch"]


class NotReady(Exception):
    """Finch has no data yet (202). This is not an empty directory, which the SDK would make of it."""


class EntityNeeded(Exception):
    """The request must name an entity of `entity_ids`, which the connection can read."""

    def __init__(self, entity_ids: Iterable[str]) -> None:
        super().__init__("Name one of the entities of this connection.")
        self.entity_ids = tuple(entity_ids)


class Connection(TypedDict):
    """The connection to read, and why.

    `products` are recorded, and choose the token if several logins cover different products. A connection
    with several entities is read entity by entity: name it in `entity_id`, or in each request.
    """

    customer_id: str
    provider_id: str
    company_id: str
    purpose: str
    products: NotRequired[Iterable[str]]
    entity_id: NotRequired[str]


def finch_connections_client(
    *,
    through: Through = "vend_token",
    client: TokenClient | None = None,
    transport: httpx.BaseTransport | None = None,
    **connection: Unpack[Connection],
) -> httpx.Client:
    """A client whose requests all go to Finch, with the token of this connection.

    Through VendToken, the token is asked for with the first request and kept in memory for five minutes.
    After a 401, which is reported, requests are refused as `unauthorized` for the rest of them. Through
    CallFinch, the token never leaves that function.

    `raise_for_status` of a response raises `TokenRefused`, `VendingFailed`, `NotReady` and
    `EntityNeeded`, and so do the calls of the SDK.
    """
    chosen: httpx.BaseTransport
    if through == "call_finch":
        chosen = _Calling(connection, client)
    else:
        inner = transport or httpx.HTTPTransport(trust_env=False)
        chosen = _Vending(_Grant(connection, client), inner)
    return httpx.Client(transport=chosen, timeout=_TIMEOUT, trust_env=False)


def async_finch_connections_client(
    *,
    through: Through = "vend_token",
    client: TokenClient | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    **connection: Unpack[Connection],
) -> httpx.AsyncClient:
    """The same as `finch_connections_client` for `AsyncFinch`, in an event loop of asyncio."""
    chosen: httpx.AsyncBaseTransport
    if through == "call_finch":
        chosen = _AsyncCalling(_Calling(connection, client))
    else:
        inner = transport or httpx.AsyncHTTPTransport(trust_env=False)
        chosen = _AsyncVending(_Grant(connection, client), inner)
    return httpx.AsyncClient(transport=chosen, timeout=_TIMEOUT, trust_env=False)


class _Raising(httpx.Response):
    """A response that raises an error of ours, where the SDK raises the errors of Finch.

    The SDK repeats a request after any error of a transport, and hides the error in its own.
    """

    def __init__(self, status_code: int, error: Exception) -> None:
        super().__init__(status_code)
        self._error = error

    def raise_for_status(self) -> NoReturn:
        raise self._error


class _Grant:
    """The token of a connection in memory, for several threads."""

    def __init__(self, connection: Connection, client: TokenClient | None) -> None:
        asked: dict[str, Any] = {"products": (), **connection}
        self._entity_id: str | None = asked.pop("entity_id", None)
        self._asked = {**asked, "products": list(asked["products"])}
        self._client = client
        self._finch = httpx.URL(os.environ.get("FINCH_API_URL", "https://api.tryfinch.com"))
        self._lock = Lock()
        self._token: VendedToken | None = None
        self._until = 0.0

    def signed(self, request: httpx.Request) -> tuple[httpx.Request, VendedToken]:
        """A copy of a request with the token, and to Finch; raises the errors of `TokenClient.vend`.

        The SDK's errors have the request itself, which never has the token.
        """
        if not request.url.path.startswith(_DATA):
            raise TokenRefused("path_not_allowed")
        token = self._valid()
        address = {"scheme": self._finch.scheme, "netloc": self._finch.netloc}
        headers = request.headers.copy()
        headers["Host"] = self._finch.netloc.decode()
        headers["Authorization"] = f"Bearer {token.access_token.reveal()}"
        signed = httpx.Request(
            request.method,
            self._of_entity(request.url.copy_with(**address), token),
            headers=headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        return signed, token

    def _valid(self) -> VendedToken:
        with self._lock:
            # Not monotonic: that clock may stand still while Lambda freezes the function.
            if self._token is None or time.time() >= self._until:
                self._token = (self._client or from_settings()).vend(self._asked)
                self._until = time.time() + KEPT_SECONDS
            if self._token.was_refused:
                raise TokenRefused("unauthorized")
            return self._token

    def _of_entity(self, url: httpx.URL, token: VendedToken) -> httpx.URL:
        """Finch takes at most one entity for each call, and requires it if there are several."""
        if not url.path.startswith("/employer/") or not (token.entity_ids or token.left_out):
            return url
        mine = [self._entity_id] if self._entity_id else token.entity_ids
        named = url.params.get_list(_ENTITY) or mine
        if len(named) != 1 or named[0] not in token.entity_ids:
            raise EntityNeeded(token.entity_ids)
        return url.copy_set_param(_ENTITY, named[0])


class _Vending(httpx.BaseTransport):
    def __init__(self, grant: _Grant, transport: httpx.BaseTransport) -> None:
        self._grant, self._transport = grant, transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            signed, token = self._grant.signed(request)
        except Exception as error:
            return _Raising(httpx.codes.FORBIDDEN, error)
        response = self._transport.handle_request(signed)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            token.refused()
        if response.status_code == httpx.codes.ACCEPTED:
            response.close()
            return _Raising(httpx.codes.ACCEPTED, NotReady())
        return response

    def close(self) -> None:
        self._transport.close()


class _AsyncVending(httpx.AsyncBaseTransport):
    def __init__(self, grant: _Grant, transport: httpx.AsyncBaseTransport) -> None:
        # Only this class needs it, and it is large.
        from asyncio import to_thread  # noqa: PLC0415

        self._grant, self._transport, self._in_thread = grant, transport, to_thread

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            signed, token = await self._in_thread(self._grant.signed, request)
        except Exception as error:
            return _Raising(httpx.codes.FORBIDDEN, error)
        response = await self._transport.handle_async_request(signed)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            await self._in_thread(token.refused)
        if response.status_code == httpx.codes.ACCEPTED:
            await response.aclose()
            return _Raising(httpx.codes.ACCEPTED, NotReady())
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()


class _Calling(httpx.BaseTransport):
    """Sends each request through CallFinch."""

    def __init__(self, connection: Connection, client: TokenClient | None) -> None:
        asked: dict[str, Any] = {**connection}
        # CallFinch knows the products of a path.
        asked.pop("products", None)
        self._entity_id: str | None = asked.pop("entity_id", None)
        self._asked, self._client, self._lock = asked, client, Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            with self._lock:
                self._client = self._client or calling_from_settings()
            return _answered(self._client.ask(self._request(request)))
        except NotReady as error:
            return _Raising(httpx.codes.ACCEPTED, error)
        except Exception as error:
            return _Raising(httpx.codes.FORBIDDEN, error)

    def _request(self, request: httpx.Request) -> dict[str, Any]:
        params = request.url.params
        query = {name: params.get_list(name) for name in params}
        if self._entity_id and request.url.path.startswith("/employer/"):
            query.setdefault(_ENTITY, [self._entity_id])
        content = request.read()
        path = request.url.raw_path.partition(b"?")[0].decode()
        call = {"method": request.method, "path": path, "query": query}
        return {**self._asked, **call, "body": json.loads(content) if content else None}


class _AsyncCalling(httpx.AsyncBaseTransport):
    def __init__(self, calling: _Calling) -> None:
        # Only the async classes need it, and it is large.
        from asyncio import to_thread  # noqa: PLC0415

        self._calling, self._in_thread = calling, to_thread

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._in_thread(self._calling.handle_request, request)


def _answered(answer: Any) -> httpx.Response:
    """The response in an answer of CallFinch; raises the error for its reason."""
    match answer.get("reason"):
        case None:
            return httpx.Response(
                answer["status_code"], headers=answer["headers"], text=answer["body"]
            )
        case "not_ready":
            raise NotReady
        case "entity_needed":
            raise EntityNeeded(answer["entity_ids"])
        case "rate_limited":
            # As Finch would answer, so that the SDK waits and tries again. It obeys no longer wait.
            body = {
                "code": 429,
                "name": "rate_limit_exceeded_error",
                "message": "Too many requests",
            }
            headers = {"Retry-After": str(min(answer["retry_after"], 60))}
            return httpx.Response(httpx.codes.TOO_MANY_REQUESTS, headers=headers, json=body)
    raise refusal(answer)


@cache
def calling_from_settings() -> TokenClient:
    """The client of the CallFinch function that the environment names. Raises `SettingMissing`."""
    return client_of("CALL_FINCH_FUNCTION", _CONFIG)
