"""Receives Finch's webhooks: queues a health check for a signed webhook, and responds at once."""

from datetime import UTC, datetime
from http import HTTPStatus

from finch_connections import cold_start
from finch_connections.aws import work_queue
from finch_connections.domain.webhook import Delivery, SignatureInvalid
from finch_connections.finch import credentials
from finch_connections.log import logger
from finch_connections.use_cases import receive_webhook as use_case
from finch_connections.use_cases.receive_webhook import Services
from finch_connections.web import api
from finch_connections.web.api import Request, Response


def _receive(request: Request) -> Response:
    now = datetime.now(UTC)
    services = Services(credentials.from_settings(), work_queue.from_settings())
    try:
        use_case.receive(
            Delivery.of(request.headers, request.body, now), now=now, services=services
        )
    except SignatureInvalid as error:
        logger.warning("webhook refused", reason=str(error))
        raise
    return api.answer(HTTPStatus.OK, {"status": "received"})


receive_webhook = api.function({"POST /webhooks/finch": _receive})

cold_start.ready(credentials.from_settings, work_queue.from_settings)
