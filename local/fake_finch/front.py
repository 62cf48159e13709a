"""Middleware around the API: it records requests, adds request ids and applies faults."""

import io
import socket
from contextvars import ContextVar
from typing import TYPE_CHECKING, NoReturn

from werkzeug.datastructures import EnvironHeaders
from werkzeug.wrappers import Response
from werkzeug.wsgi import get_input_stream

from local.fake_finch.faults import Action
from local.fake_finch.request_log import RecordedRequest
from local.fake_finch.state import FinchState
from local.fake_finch.store import new_uuid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

# How long the client of an in-process request waits for its answer, in seconds. Over a socket, the
# client measures this itself. In the same process, its timeout would have no effect.
client_patience: ContextVar[float | None] = ContextVar("client_patience", default=None)

_CONTROL = ("/_fake_finch/", "/connect/static/", "/connect/logos/")


class Front:
    """WSGI middleware around the Flask app.

    With werkzeug's server, a dropped connection is closed without an answer. Without a server,
    the call raises ConnectionResetError, and TimeoutError for a delay longer than
    `client_patience`. `InProcessTransport` turns both into httpx errors.
    """

    def __init__(self, app: "WSGIApplication", finch: FinchState) -> None:
        self._app = app
        self._finch = finch

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> "Iterable[bytes]":
        start_response = _with_request_id(start_response)
        if environ["PATH_INFO"].startswith(_CONTROL):
            return self._app(environ, start_response)
        self._record(environ)
        action = self._finch.faults.take(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        if action is None:
            return self._app(environ, start_response)
        return self._with_fault(action, environ)(environ, start_response)

    def _record(self, environ: "WSGIEnvironment") -> None:
        body = get_input_stream(environ).read()
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        headers = {name.lower(): value for name, value in EnvironHeaders(environ).items()}
        if "authorization" in headers:
            headers["authorization"] = headers["authorization"].partition(" ")[0]
        self._finch.requests.record(
            RecordedRequest(
                method=environ["REQUEST_METHOD"],
                path=environ["PATH_INFO"],
                headers=headers,
                query=environ.get("QUERY_STRING", ""),
                body=body,
            )
        )

    def _with_fault(self, action: Action, environ: "WSGIEnvironment") -> Response:
        if action.drop == "before_effect":
            _drop(environ)
        delayed_first = action.delay_seconds if action.when == "before" else 0
        patience = client_patience.get()
        gives_up = patience is not None and action.delay_seconds > patience
        # A client that gives up does not stop Finch: the request still has its effect.
        if delayed_first and not gives_up:
            self._finch.sleep(delayed_first)
        answer = None
        if not action.replaces_the_request:
            answer = Response.from_app(self._app, environ, buffered=True)
        if gives_up:
            raise TimeoutError("the answer takes longer than the client waits")
        if action.delay_seconds and not delayed_first:
            self._finch.sleep(action.delay_seconds)
        if action.drop == "after_effect":
            _drop(environ)
        return action.applied_to(answer)


def _drop(environ: "WSGIEnvironment") -> NoReturn:
    connection = environ.get("werkzeug.socket")
    if isinstance(connection, socket.socket):
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()
    # Werkzeug treats this as a client that closed its connection, and logs nothing.
    raise ConnectionResetError("the fake Finch dropped the connection")


def _with_request_id(start_response: "StartResponse") -> "StartResponse":
    def start(
        status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> "Callable[[bytes], object]":
        headers = [*headers, ("Finch-Request-Id", new_uuid())]
        return start_response(status, headers, exc_info)  # type: ignore[arg-type]

    return start
