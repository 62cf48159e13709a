"""Receives Finch's webhooks: a signed webhook queues a health check, and does nothing else."""

from datetime import datetime
from typing import NamedTuple

from finch_connections import metrics
from finch_connections.aws.work_queue import WorkQueue
from finch_connections.domain.webhook import Delivery, SignatureInvalid, read_events
from finch_connections.domain.work_item import WorkItem
from finch_connections.finch.credentials import FinchSecret
from finch_connections.log import logger

# The `route` and the outcome of an event whose type is not in Finch's documentation.
ROUTE, UNKNOWN_EVENT = "receive_webhook", "unknown_event"


class Services(NamedTuple):
    """Everything that receiving a webhook reads and writes."""

    secret: FinchSecret
    queue: WorkQueue


def receive(delivery: Delivery, *, now: datetime, services: Services) -> None:
    """Queues a check of each Finch connection that a webhook is about, if its status may have changed.

    Without a `connection_id`, all connections of the webhook's company are checked.

    Raises `SignatureInvalid`, `InvalidRequest` and `CredentialsUnreadable`. After an error response,
    Finch sends the webhook again.
    """
    secret = services.secret
    # Finch signs with a new secret at once, and our cached secret may be older.
    if not delivery.signed_with(secret.webhook_secrets()) and not delivery.signed_with(
        secret.webhook_secrets_again()
    ):
        raise SignatureInvalid
    events = read_events(delivery.body)
    for subject in dict.fromkeys(event.to_check for event in events):
        if subject:
            services.queue.send(WorkItem(subject, now))
    for event in events:
        if not event.known:
            metrics.count(ROUTE, UNKNOWN_EVENT)
        logger.info(
            "webhook received",
            event_id=delivery.event_id,
            event_type=event.event_type,
            connection_id=event.connection_id if event.to_check else None,
        )
