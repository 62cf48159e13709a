"""The flow that receives webhooks: what Finch has signed becomes a task to look, never more."""

from datetime import datetime
from typing import NamedTuple

from finch_connections.aws.work_queue import WorkQueue
from finch_connections.domain.webhook import Delivery, SignatureInvalid, read_event
from finch_connections.domain.work_item import FinchConnectionSubject, WorkItem
from finch_connections.finch.credentials import FinchSecret
from finch_connections.log import logger


class Services(NamedTuple):
    """Everything outside that receiving touches."""

    secret: FinchSecret
    queue: WorkQueue


def receive(delivery: Delivery, *, now: datetime, services: Services) -> None:
    """Queues a look at the connection that a webhook is about, if it is about one.

    A webhook that is answered with a failure comes again. Raises `SignatureInvalid`,
    `InvalidRequest` and `CredentialsUnreadable`.
    """
    secret = services.secret
    # A secret may have been added since: Finch signs with it at once.
    if not delivery.signed_with(secret.webhook_secrets()) and not delivery.signed_with(
        secret.webhook_secrets_again()
    ):
        raise SignatureInvalid
    event = read_event(delivery.body)
    connection_id = event.connection_to_look_at
    if connection_id:
        services.queue.send(WorkItem.at_once(FinchConnectionSubject(connection_id), now), now)
    logger.info(
        "webhook received",
        event_id=delivery.event_id,
        event_type=event.event_type,
        connection_id=connection_id,
    )
