"""Runs the scheduled check every minute: queues the sessions and connections that are due."""

from datetime import UTC, datetime
from typing import Any

from finch_connections import cold_start, metrics, settings
from finch_connections.aws import connection_table, session_table, work_queue
from finch_connections.log import logger
from finch_connections.use_cases import schedule_checks as use_case


def schedule_checks(event: dict[str, Any], context: Any) -> None:
    """Queues the rows that are due. The event comes from EventBridge Scheduler; its content is not used."""
    logger.append_keys(function_request_id=context.aws_request_id)
    queued = use_case.schedule(
        int(settings.read().checks_per_minute),
        now=datetime.now(UTC),
        sessions=session_table.from_settings(),
        connections=connection_table.from_settings(),
        queue=work_queue.from_settings(),
    )
    metrics.count("schedule_checks", "scheduled")
    logger.info("scheduled", queued=queued)


cold_start.ready(
    connection_table.from_settings, session_table.from_settings, work_queue.from_settings
)
