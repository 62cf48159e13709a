"""Takes Finch's webhooks: what Finch has signed goes to the queue, and is answered at once."""

from datetime import UTC, datetime
from http import HTTPStatus

from aws_lambda_powertools.metrics import MetricUnit, single_metric

from finch_connections import api, finch_secret, receiving, tend_queue
from finch_connections.api import Request, Response
from finch_connections.log import logger
from finch_connections.receiving import Outsiders
from finch_connections.webhook import Delivery, SignatureInvalid

METRICS_NAMESPACE = "FinchConnections"
RECEIVED, REFUSED = "WebhookReceived", "WebhookRefused"


def _receive(request: Request) -> Response:
    now = datetime.now(UTC)
    outside = Outsiders(finch_secret.connect(), tend_queue.connect())
    try:
        receiving.receive(Delivery.of(request.headers, request.body, now), now=now, outside=outside)
    except SignatureInvalid as error:
        logger.warning("webhook refused", reason=str(error))
        _count(REFUSED)
        raise
    _count(RECEIVED)
    return api.answer(HTTPStatus.OK, {"status": "received"})


def _count(metric: str) -> None:
    with single_metric(metric, MetricUnit.Count, 1, namespace=METRICS_NAMESPACE):
        pass


receive_webhook = api.function({"POST /webhooks/finch": _receive})
