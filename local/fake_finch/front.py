"""What every request passes before the API sees it: the record, the request id, the faults."""

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

# How long the client of an in-process request waits for its answer, in seconds. Over a socket
# the client does its own waiting; in one process nobody would notice that time has passed.
client_patience: ContextVar[float | None] = ContextVar("client_patience", default=None)

_OUR_OWN = ("/_fake_finch/", "/connect/static/", "/connect/logos/")


class Front:
    """WSGI middleware around the Flask app.

    A dropped connection is closed without an answer where the server is werkzeug's. With no
    server in between, the call raises ConnectionResetError instead (TimeoutError for a delay
    that outlasts `client_patience`); `InProcessTransport` makes httpx errors of both.
    """

    def __init__(self, app: "WSGIApplication", finch: FinchState) -> None:
        self._app = app
        self._finch = finch

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> "Iterable[bytes]":
        start_response = _with_request_id(start_response)
        if environ["PATH_INFO"].startswith(_OUR_OWN):
            return self._app(environ, start_response)
        self._record(environ)
        action = self._finch.faults.take(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        if action is None:
            return self._app(environ, start_response)
        return self._struck(action, environ)(environ, start_response)

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

    def _struck(self, action: Action, environ: "WSGIEnvironment") -> Response:
        if action.drop == "before_effect":
            _drop(environ)
        delayed_first = action.delay_seconds if action.when == "before" else 0
        patience = client_patience.get()
        gives_up = patience is not None and action.delay_seconds > patience
        # The one who gives up waiting does not stop Finch: the effect takes place all the same.
        if delayed_first and not gives_up:
            self._finch.sleep(delayed_first)
        answer = None
        if not action.replaces_the_request:
            answer = Response.from_app(self._app, environ, buffered=True)
        if gives_up:
            raise TimeoutError("the answer took longer than the client waits")
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
    # Werkzeug takes this for a client that went away, and says nothing.
    raise ConnectionResetError("the fake Finch dropped the connection")


def _with_request_id(start_response: "StartResponse") -> "StartResponse":
    def start(
        status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> "Callable[[bytes], object]":
        headers = [*headers, ("Finch-Request-Id", new_uuid())]
        return start_response(status, headers, exc_info)  # type: ignore[arg-type]

    return start
