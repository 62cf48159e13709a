"""The Lambda Runtime API on loopback: passes events to a function process, receives its responses."""

import json
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_VERSION = "/2018-06-01/runtime"
# Long enough for a process under valgrind.
PATIENCE_SECONDS = 300


class FunctionFailed(Exception):
    """The process reported an error, or did not respond."""


@dataclass(frozen=True)
class Answer:
    """The response of a function, and its duration in seconds."""

    body: Any
    took: float


class RuntimeApi(ThreadingHTTPServer):
    """ "Using the Lambda runtime API" in Lambda's guide, for one process at a time.

    `ready` is called each time the process asks for an event, first when it has loaded its handler.
    """

    daemon_threads = True

    def __init__(self, ready: Callable[[], None] = lambda: None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ready = ready
        self.asked: queue.Queue[float] = queue.Queue()
        self.events: queue.Queue[Any] = queue.Queue()
        self.answers: queue.Queue[tuple[str, float, Any]] = queue.Queue()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """The value of AWS_LAMBDA_RUNTIME_API."""
        return f"127.0.0.1:{self.server_port}"

    def wait_until_ready(self) -> float:
        """The time at which the process asked for its next event; raises `FunctionFailed`."""
        try:
            return self.asked.get(timeout=PATIENCE_SECONDS)
        except queue.Empty:
            raise FunctionFailed("the process does not ask for an event") from None

    def invoke(self, event: Any) -> Answer:
        """Passes an event to the waiting process; returns its response; raises `FunctionFailed`."""
        began = time.monotonic()
        self.events.put(event)
        try:
            kind, ended, body = self.answers.get(timeout=PATIENCE_SECONDS)
        except queue.Empty:
            raise FunctionFailed("the process does not respond") from None
        if kind != "response":
            raise FunctionFailed(json.dumps(body)[:2000])
        return Answer(body, ended - began)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Prints nothing: processes end while their connections are open."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: RuntimeApi

    def do_GET(self) -> None:
        if not self.path.endswith("/next"):
            self._answer(404, b"")
            return
        self.server.asked.put(time.monotonic())
        self.server.ready()
        event = json.dumps(self.server.events.get()).encode()
        now = time.time()
        headers = {
            "Lambda-Runtime-Aws-Request-Id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
            "Lambda-Runtime-Deadline-Ms": str(int((now + 900) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:123456789012:function:bench",
            "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0",
            "Content-Type": "application/json",
        }
        self._answer(200, event, headers)

    def do_POST(self) -> None:
        ended = time.monotonic()
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        kind = "response" if self.path.endswith("/response") else "error"
        if kind == "error" and self.path == f"{_VERSION}/init/error":
            self.server.asked.put(ended)
        self._answer(202, b"{}")
        self.server.answers.put((kind, ended, json.loads(body or b"null")))

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Logs nothing, because responses may contain secrets."""
