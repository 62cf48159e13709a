"""Runs the scheduled check: queues what is due every minute, and counts the live connections every day."""

from datetime import UTC, datetime
from typing import Any

from finch_connections import cold_start, metrics, settings
from finch_connections.aws import connection_table, session_table, work_queue
from finch_connections.log import logger
from finch_connections.use_cases import schedule_checks as use_case


def schedule_checks(event: dict[str, Any], context: Any) -> None:
    """Queues the rows that are due. The daily event of EventBridge Scheduler has `count` instead."""
    logger.append_keys(function_request_id=context.aws_request_id)
    sessions, connections = session_table.from_settings(), connection_table.from_settings()
    now = datetime.now(UTC)
    if event.get("count"):
        figures = use_case.count(now=now, sessions=sessions, connections=connections)
        metrics.counted(live=figures.live, idle=figures.idle)
        logger.info("counted", **figures._asdict())
        return
    queued = use_case.schedule(
        int(settings.read().checks_per_minute),
        now=now,
        sessions=sessions,
        connections=connections,
        queue=work_queue.from_settings(),
    )
    metrics.count("schedule_checks", "scheduled")
    logger.info("scheduled", queued=queued)


cold_start.ready(
    connection_table.from_settings, session_table.from_settings, work_queue.from_settings
)
