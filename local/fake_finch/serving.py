"""Serves the fake Finch on loopback."""

import socket

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from local.fake_finch.api import create_app
from local.fake_finch.state import FinchState


class _Silent(WSGIRequestHandler):
    """Prints no request line, because it contains sessions and codes."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def serve(finch: FinchState, port: int = 0, host: str = "127.0.0.1") -> BaseWSGIServer:
    """A threaded server that already listens. The caller runs `serve_forever` and `shutdown`.

    Port 0 selects a free port, which is in `.server_port` and in `finch.base_url`. Raises OSError
    for a port in use.
    """
    # The socket is bound here, because werkzeug ends the process if it cannot bind.
    with socket.create_server((host, port), backlog=128) as listening:
        server = make_server(
            host,
            listening.getsockname()[1],
            create_app(finch),
            threaded=True,
            request_handler=_Silent,
            fd=listening.fileno(),
        )
    if port == 0:
        finch.base_url = f"http://{host}:{server.port}"
    return server
