"""Sends the fake Finch's webhooks over HTTP."""

import threading

import httpx

from local.fake_finch.state import FinchState
from local.fake_finch.webhooks import Delivery

# Undocumented at Finch.
_TIMEOUT_SECONDS = 15
# A test may advance the fake Finch's clock, so the sender looks for due webhooks regularly.
_LOOK_SECONDS = 0.5


class WebhookSender:
    """Posts due webhooks to the application's URL in a thread, until it is stopped."""

    def __init__(self, finch: FinchState) -> None:
        self._finch = finch
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stops sending; returns when the thread has ended."""
        self._stopped.set()
        self._finch.outbox.added.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            while not self._stopped.is_set():
                self._finch.deliver_webhooks(lambda delivery: self._post(client, delivery))
                self._finch.outbox.added.wait(_LOOK_SECONDS)
                self._finch.outbox.added.clear()

    def _post(self, client: httpx.Client, delivery: Delivery) -> int | None:
        url = self._finch.application.webhook_url
        if url is None or self._stopped.is_set():
            return None
        try:
            return client.post(url, content=delivery.body, headers=delivery.headers).status_code
        except httpx.HTTPError:
            return None
