"""Queues, every quarter of an hour, what nobody has looked at for too long."""

from datetime import UTC, datetime
from typing import Any

from finch_connections import (
    cold_start,
    connection_table,
    metrics,
    session_table,
    settings,
    sweeping,
    tend_queue,
)
from finch_connections.log import logger


def sweep_connections(event: dict[str, Any], context: Any) -> None:
    """The event is EventBridge Scheduler's, and says nothing but that it is time."""
    logger.append_keys(function_request_id=context.aws_request_id)
    queued = sweeping.sweep(
        int(settings.read().sweep_per_minute),
        now=datetime.now(UTC),
        sessions=session_table.connect(),
        connections=connection_table.connect(),
        queue=tend_queue.connect(),
    )
    metrics.count("sweep_connections", "swept")
    logger.info("swept", queued=queued)


cold_start.ready(connection_table.connect, session_table.connect, tend_queue.connect)
