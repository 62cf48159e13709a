"""A relay that lets containers reach a port on loopback."""

import contextlib
import socket
import socketserver
import threading
from typing import Any


class Relay(socketserver.ThreadingTCPServer):
    """Forwards connections to an address of this machine to the same port on loopback."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: str, port: int) -> None:
        self.port = port
        super().__init__((address, port), Connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Reports nothing: a container may close its connection at any time."""


class Connection(socketserver.BaseRequestHandler):
    server: Relay

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.port)) as inner:
            answers = threading.Thread(target=copy, args=(inner, self.request), daemon=True)
            answers.start()
            copy(self.request, inner)
            answers.join()


def copy(source: socket.socket, target: socket.socket) -> None:
    """Copies bytes until the source ends or one side is gone; then ends the target."""
    with contextlib.suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
