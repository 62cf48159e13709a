"""An httpx transport that calls the fake Finch without a socket."""

import httpx
from flask import Flask

from local.fake_finch.front import client_patience


class InProcessTransport(httpx.WSGITransport):
    """Calls the app in this process. Dropped connections and timeouts become httpx's errors.

    A delay fault longer than the client's read timeout raises httpx.ReadTimeout without waiting.
    The request has its effect, as at the real Finch.
    """

    def __init__(self, app: Flask) -> None:
        super().__init__(app=app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Raise httpx.ReadError for a dropped connection, httpx.ReadTimeout for a slow answer."""
        patience = client_patience.set(request.extensions.get("timeout", {}).get("read"))
        try:
            return super().handle_request(request)
        except ConnectionResetError as dropped:
            raise httpx.ReadError(str(dropped), request=request) from dropped
        except TimeoutError as slow:
            raise httpx.ReadTimeout(str(slow), request=request) from slow
        finally:
            client_patience.reset(patience)
