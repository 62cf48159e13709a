"""The URL of the API: a reverse proxy that forwards each request to the emulated API Gateway.

The emulator finds an API by the Host header, so a browser cannot reach it. This proxy runs in the
process of the local world and sets that header.
"""

import http.client
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# RFC 9110 section 7.6.1: these headers belong to a connection, not to the message.
PER_CONNECTION = {
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}

# MiniStack does not limit requests. "Quotas for configuring and running an HTTP API in API Gateway":
# the payload of a request, and its request line with all headers.
LARGEST_REQUEST = 10 * 1024 * 1024
LARGEST_HEADERS = 10_240


class ApiFront(ThreadingHTTPServer):
    """A reverse proxy on loopback. It writes no log, because queries contain codes and states."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int, gateway_port: int, api_host: str) -> None:
        self.gateway_port = gateway_port
        self.api_host = api_host
        super().__init__(("127.0.0.1", port), Forward)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Reports nothing: a browser may close its connection at any time."""


class Forward(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ApiFront

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def version_string(self) -> str:
        return "api-front"

    def forward(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if "Transfer-Encoding" in self.headers:
            self.refuse(411, b'{"message":"Length Required"}')
            return
        if length > LARGEST_REQUEST:
            self.refuse(413, b'{"message":"Request Entity Too Large"}')
            return
        if len(self.requestline) + len(self.headers.as_bytes()) > LARGEST_HEADERS:
            self.refuse(431, b'{"message":"Request Header Fields Too Large"}')
            return
        body = self.rfile.read(length)
        # A new connection for each request. When the other side closes an open connection, it is
        # unknown whether a POST arrived, and no request may be sent twice.
        gateway = http.client.HTTPConnection("127.0.0.1", self.server.gateway_port, timeout=120)
        try:
            gateway.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            gateway.putheader("Host", self.server.api_host)
            for name, value in self.headers.items():
                if name.lower() not in PER_CONNECTION | {"host"}:
                    gateway.putheader(name, value)
            gateway.endheaders(body or None)
            answer = gateway.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self.refuse(503, b'{"message":"Service Unavailable"}')
            return
        finally:
            gateway.close()
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.headers.items():
            if name.lower() not in PER_CONNECTION | {"content-length"}:
                self.send_header(name, value)
        if self.command == "HEAD":
            self.send_header("Content-Length", answer.headers.get("Content-Length", "0"))
        elif answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def refuse(self, status: int, body: bytes) -> None:
        self.close_connection = True
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = forward
