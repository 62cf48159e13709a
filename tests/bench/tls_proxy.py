"""A recording TLS proxy on loopback, between a function and its services, with a response time."""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Headers that belong to a connection, not to the message (RFC 9110 section 7.6.1).
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "server", "date"}


@dataclass
class Traffic:
    """The opened connections, the names of the requests, and their start and end times."""

    connections: int = 0
    calls: list[str] = field(default_factory=list)
    spans: list[tuple[float, float]] = field(default_factory=list)


class TlsProxy(ThreadingHTTPServer):
    """Forwards requests to a plain HTTP server on loopback.

    `name_of` returns the name of a request from its method, path and headers. Each response takes
    at least `answers_in` seconds.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        backend_port: int,
        context: ssl.SSLContext,
        name_of: Callable[[str, str, Mapping[str, str]], str],
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.backend_port = backend_port
        self.context = context
        self.name_of = name_of
        self.answers_in = 0.0
        self.traffic = Traffic()
        self.lock = threading.Lock()
        self.open: set[ssl.SSLSocket] = set()

    @property
    def url(self) -> str:
        """The URL for the functions."""
        return f"https://localhost:{self.server_port}"

    def drop_connections(self) -> None:
        """Closes the kept connections, as servers do after a while."""
        with self.lock:
            kept, self.open = self.open, set()
        for one in kept:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """Forgets the recorded traffic."""
        with self.lock:
            self.traffic = Traffic()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Prints nothing: functions end while their connections are open."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: TlsProxy

    def setup(self) -> None:
        self.request = self.server.context.wrap_socket(self.request, server_side=True)
        with self.server.lock:
            self.server.traffic.connections += 1
            self.server.open.add(self.request)
        self.backend = http.client.HTTPConnection("127.0.0.1", self.server.backend_port)
        super().setup()

    def finish(self) -> None:
        with self.server.lock:
            self.server.open.discard(self.request)
        self.backend.close()
        super().finish()
        # The server closes only the socket that TLS has wrapped.
        self.request.close()

    def _forward(self) -> None:
        began = time.monotonic()
        proxy = self.server
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        with proxy.lock:
            proxy.traffic.calls.append(proxy.name_of(self.command, self.path, dict(self.headers)))
        # A new connection for each request: after a failure on a kept one, the request could not be
        # repeated, because the fake Finch may have executed it.
        self.backend.close()
        self.backend.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            self.backend.putheader(name, value)
        self.backend.endheaders(body)
        answer = self.backend.getresponse()
        content = answer.read()
        time.sleep(max(proxy.answers_in - (time.monotonic() - began), 0))
        with proxy.lock:
            proxy.traffic.spans.append((began, time.monotonic()))
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _forward

    def log_message(self, format: str, *arguments: Any) -> None:
        """Logs nothing, because paths contain codes."""


@contextlib.contextmanager
def serving(proxy: TlsProxy) -> Iterator[TlsProxy]:
    """Runs the proxy inside the context."""
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()


def aws_call(method: str, path: str, headers: Mapping[str, str]) -> str:
    """AWS's name for a request in a JSON protocol: `DynamoDB.GetItem`."""
    targets = [value for name, value in headers.items() if name.lower() == "x-amz-target"]
    service, _, operation = (targets or [f"{method} {path}"])[0].partition(".")
    return f"{service.partition('_')[0]}.{operation}"


def finch_call(method: str, path: str, headers: Mapping[str, str]) -> str:
    """Finch's name for a request: `POST /auth/token`."""
    return f"{method} {path.partition('?')[0]}"
