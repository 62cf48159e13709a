"""Receives Finch's webhooks: a signed webhook queues a health check, and does nothing else."""

from datetime import datetime
from typing import NamedTuple

from finch_connections.aws.work_queue import WorkQueue
from finch_connections.domain.webhook import Delivery, SignatureInvalid, read_event
from finch_connections.domain.work_item import FinchConnectionSubject, WorkItem
from finch_connections.finch.credentials import FinchSecret
from finch_connections.log import logger


class Services(NamedTuple):
    """Everything that receiving a webhook reads and writes."""

    secret: FinchSecret
    queue: WorkQueue


def receive(delivery: Delivery, *, now: datetime, services: Services) -> None:
    """Queues a check of the Finch connection that a webhook is about, if its status may have changed.

    Raises `SignatureInvalid`, `InvalidRequest` and `CredentialsUnreadable`. After an error response,
    Finch sends the webhook again.
    """
    secret = services.secret
    # Finch signs with a new secret at once, and our cached secret may be older.
    if not delivery.signed_with(secret.webhook_secrets()) and not delivery.signed_with(
        secret.webhook_secrets_again()
    ):
        raise SignatureInvalid
    event = read_event(delivery.body)
    connection_id = event.connection_to_look_at
    if connection_id:
        services.queue.send(WorkItem(FinchConnectionSubject(connection_id), now))
    logger.info(
        "webhook received",
        event_id=delivery.event_id,
        event_type=event.event_type,
        connection_id=connection_id,
    )
