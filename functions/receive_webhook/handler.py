"""Takes Finch's webhooks: what Finch has signed goes to the queue, and is answered at once."""

from datetime import UTC, datetime
from http import HTTPStatus

from finch_connections import api, cold_start, finch_secret, receiving, tend_queue
from finch_connections.api import Request, Response
from finch_connections.log import logger
from finch_connections.receiving import Outsiders
from finch_connections.webhook import Delivery, SignatureInvalid


def _receive(request: Request) -> Response:
    now = datetime.now(UTC)
    outside = Outsiders(finch_secret.connect(), tend_queue.connect())
    try:
        receiving.receive(Delivery.of(request.headers, request.body, now), now=now, outside=outside)
    except SignatureInvalid as error:
        logger.warning("webhook refused", reason=str(error))
        raise
    return api.answer(HTTPStatus.OK, {"status": "received"})


receive_webhook = api.function({"POST /webhooks/finch": _receive})

cold_start.ready(finch_secret.connect, tend_queue.connect)
