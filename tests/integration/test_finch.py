"""Our Finch client with every response that Finch may send."""

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest

from finch_connections.domain.secret import SecretText
from finch_connections.finch import client as finch_client
from finch_connections.finch import errors as failures
from finch_connections.finch.client import API_VERSION, FinchClient
from finch_connections.finch.errors import FinchFailure

TOKEN = SecretText("canary-token")
DOCUMENTED: list[tuple[int, dict[str, Any], type[FinchFailure]]] = [
    (400, {"name": "invalid_grant_error"}, failures.InvalidGrant),
    (400, {"name": "bad_request", "finch_code": "invalid_request"}, failures.RequestRefused),
    (400, {"name": "invalid_request_error"}, failures.RequestRefused),
    (401, {"name": "invalid_request_error"}, failures.RequestRefused),
    (
        400,
        {"name": "bad_request", "finch_code": "connection_already_exists"},
        failures.ConnectionAlreadyExists,
    ),
    (
        401,
        {"name": "authentication_error", "finch_code": "reauthenticate_user"},
        failures.ReauthenticationNeeded,
    ),
    (
        401,
        {"name": "authentication_error", "finch_code": "account_setup_required"},
        failures.AccountSetupRequired,
    ),
    (401, {"name": "invalid_token_error"}, failures.TokenDead),
    (401, {"name": "unauthorized_request_error"}, failures.TokenNotSent),
    (401, {"name": "invalid_client_error"}, failures.InvalidClient),
    (402, {"name": "payment_required"}, failures.PaymentRequired),
    (
        403,
        {"name": "error_permissions", "finch_code": "insufficient_account_permissions"},
        failures.InsufficientPermissions,
    ),
    (403, {"name": "insufficient_scope_error"}, failures.InsufficientScope),
    (403, {}, failures.Forbidden),
    (404, {"name": "not_found_error"}, failures.RequestRefused),
    (408, {"name": "client_connection_closed"}, failures.ServerError),
    (422, {"name": "unprocessable_request_error"}, failures.RequestRefused),
    (
        429,
        {"name": "rate_limit_exceeded_error", "finch_code": "finch_auth_ip_rl"},
        failures.RateLimited,
    ),
    (500, {"name": "server_error"}, failures.ServerError),
    (501, {"name": "not_implemented_error"}, failures.RequestRefused),
    (502, {"name": "bad_gateway_error"}, failures.ServerError),
    (504, {}, failures.ServerError),
    # An undocumented 401 says nothing about the connection.
    (401, {}, failures.UnknownAnswer),
    (401, {"name": "authentication_error"}, failures.UnknownAnswer),
    (202, {"name": "accepted"}, failures.UnknownAnswer),
    (302, {}, failures.UnknownAnswer),
    (418, {"name": 7, "finch_code": ["x"]}, failures.UnknownAnswer),
]


def client(answer: Callable[[httpx.Request], httpx.Response], **options: Any) -> FinchClient:
    return FinchClient("https://finch.example.com", httpx.MockTransport(answer), **options)


@pytest.mark.parametrize(("status", "body", "kind"), DOCUMENTED)
def test_every_documented_error_raises_its_own_exception(
    status: int, body: dict[str, Any], kind: type[FinchFailure]
) -> None:
    full = {"code": status, "statusCode": status, "status": status, "message": "…"} | body
    headers = {"Finch-Request-Id": "request-7"}
    with pytest.raises(FinchFailure) as caught:
        client(lambda _: httpx.Response(status, json=full, headers=headers)).disconnect(TOKEN)
    assert type(caught.value) is kind
    assert caught.value.finch_request_id == "request-7"


@pytest.mark.parametrize("body", [b"", b"<h1>Bad gateway</h1>", b"[]", b"null", b"7", b"\xff"])
def test_error_without_a_readable_body_is_classified_by_its_status(body: bytes) -> None:
    with pytest.raises(failures.ServerError):
        client(lambda _: httpx.Response(503, content=body)).disconnect(TOKEN)
    with pytest.raises(failures.UnknownAnswer):
        client(lambda _: httpx.Response(401, content=body)).disconnect(TOKEN)


@pytest.mark.parametrize("context", [{"connection_id": "c-1"}, {}, None, "text"])
def test_connection_already_exists_carries_finchs_connection_id(context: Any) -> None:
    body = {"finch_code": "connection_already_exists", "context": context}
    with pytest.raises(failures.ConnectionAlreadyExists) as caught:
        client(lambda _: httpx.Response(400, json=body)).disconnect(TOKEN)
    named = context.get("connection_id") if isinstance(context, dict) else None
    assert caught.value.connection_id == named


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectError, failures.NotReached),
        (httpx.ConnectTimeout, failures.NotReached),
        (httpx.PoolTimeout, failures.NotReached),
        (httpx.ReadTimeout, failures.AnswerLost),
        (httpx.WriteTimeout, failures.AnswerLost),
        (httpx.ReadError, failures.AnswerLost),
        (httpx.WriteError, failures.AnswerLost),
        (httpx.RemoteProtocolError, failures.AnswerLost),
    ],
)
def test_request_that_was_not_sent_differs_from_a_lost_response(
    error: type[httpx.TransportError], kind: type[FinchFailure]
) -> None:
    calls = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        raise error("canary-in-the-message")

    with pytest.raises(FinchFailure) as caught:
        client(answer).disconnect(TOKEN)
    assert type(caught.value) is kind
    assert len(calls) == 1
    assert "canary" not in str(caught.value)


def test_every_request_has_the_api_version_and_timeouts() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"status": "success"})

    client(answer).disconnect(TOKEN)
    [request] = seen
    assert request.headers["finch-api-version"] == API_VERSION
    assert request.headers["authorization"] == "Bearer canary-token"
    assert request.content == b""
    assert set(request.extensions["timeout"]) == {"connect", "read", "write", "pool"}
    assert all(seconds and seconds < 30 for seconds in request.extensions["timeout"].values())


def test_cookie_from_finch_is_not_sent_with_the_next_token() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"status": "success"}, headers={"set-cookie": "a=b"})

    finch = client(answer)
    finch.disconnect(TOKEN)
    finch.disconnect(TOKEN)
    assert "cookie" not in seen[1].headers


def test_deeply_nested_response_is_an_unknown_answer() -> None:
    with pytest.raises(failures.UnknownAnswer):
        client(lambda _: httpx.Response(200, content=b"[" * 100_000)).disconnect(TOKEN)


def test_connection_that_was_idle_too_long_is_not_reused() -> None:
    """After a freeze by Lambda the connection may be closed, and a code sent over it would be lost."""
    moments: Iterator[float] = iter([0.0, 0.0, 1.0, 2.0, 3.0, 100.0, 101.0])
    finch = client(
        lambda _: httpx.Response(200, json={"status": "success"}),
        wall_clock=lambda: next(moments),
    )
    finch.disconnect(TOKEN)
    first = finch._client
    finch.disconnect(TOKEN)
    assert finch._client is first
    finch.disconnect(TOKEN)
    assert finch._client is not first
    assert first.is_closed


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"


@contextmanager
def server_that_sends(content: Iterable[bytes], pause: float) -> Iterator[str]:
    """A server on this machine that answers each request slowly; yields its URL."""
    stopped = threading.Event()

    def answer(listening: socket.socket) -> None:
        while not stopped.is_set():
            try:
                connected, _ = listening.accept()
            except OSError:
                return
            with connected, suppress(OSError):
                connected.recv(65536)
                for part in content:
                    connected.sendall(part)
                    if stopped.wait(pause):
                        return

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,))
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        stopped.set()
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    "content",
    [[_HEAD, *[b" "] * 1000], [bytes([byte]) for byte in _HEAD * 10]],
    ids=["body", "headers"],
)
def test_response_that_drips_ends_at_the_deadline(
    content: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finch_client, "CONNECT_SECONDS", 0.1)
    with server_that_sends(content, pause=0.05) as url:
        finch, began = FinchClient(url), time.monotonic()
        for _ in range(2):
            with pytest.raises(failures.AnswerLost):
                finch.call("GET", "/introspect", read_seconds=0.3)
        assert time.monotonic() - began < 2


def test_response_that_is_too_large_is_lost() -> None:
    def chunks() -> Iterator[bytes]:
        while True:
            yield b" " * 100_000

    with pytest.raises(failures.AnswerLost):
        client(lambda _: httpx.Response(200, content=chunks())).disconnect(TOKEN)
