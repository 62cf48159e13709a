"""Processes work items from the queue."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from finch_connections import cold_start, metrics, settings
from finch_connections.aws import (
    connection_table,
    ownership_table,
    session_table,
    token_vault,
    work_queue,
)
from finch_connections.domain.work_item import WorkItem
from finch_connections.finch import client as finch_client
from finch_connections.finch import connect_api, names_api
from finch_connections.log import logger
from finch_connections.use_cases import disconnect, exchange_code, fetch_names
from finch_connections.use_cases import process_work as use_case
from finch_connections.use_cases.process_work import Services

ROUTE = "process_work"
# The outcome of an unfinished work item without a report.
AGAIN = "again"
# A work item can take this long when AWS and Finch are slow. With less time left, we do not start it.
TASK_SECONDS = 150

# SQS delivers an unreadable message again, and moves it to the dead-letter queue.
_batch = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)


def process_work(event: dict[str, Any], context: Any) -> Any:
    """Returns the messages that failed; SQS deletes the others (partial batch response)."""
    newest_at = max(_sent_at(SQSRecord(one)) for one in event["Records"])

    def process(record: SQSRecord) -> None:
        logger.append_keys(request_id=record.message_id, function_request_id=context.aws_request_id)
        in_time = context.get_remaining_time_in_millis() > TASK_SECONDS * 1000
        try:
            work_item = work_queue.read(record.body)
            work_item = replace(work_item, sent_at=_sent_at(record), newest_at=newest_at)
            _process(work_item, datetime.now(UTC), in_time)
        except Exception:
            # The response says which messages failed, but not why.
            logger.exception("message failed")
            raise

    return process_partial_response(event, process, _batch, context)


def _sent_at(record: SQSRecord) -> datetime:
    return datetime.fromtimestamp(int(record.attributes.sent_timestamp) / 1000, UTC)


def _process(work_item: WorkItem, now: datetime, in_time: bool) -> None:
    services = _services()
    if not in_time:
        use_case.put_off(work_item.subject, now=now, services=services)
        return
    result = use_case.process(work_item, now=now, services=services)
    if result.report:
        logger.warning("reported", report=result.report)
    metrics.count(ROUTE, result.report or (AGAIN if result.again_at else metrics.OK))


def _services() -> Services:
    connections, ownerships = connection_table.from_settings(), ownership_table.from_settings()
    vault = token_vault.from_settings()
    connecting = exchange_code.Services(
        sessions=session_table.from_settings(),
        connections=connections,
        ownerships=ownerships,
        vault=vault,
        finch=connect_api.from_settings(),
        pause=time.sleep,
        max_connections=int(settings.read().max_connections),
    )
    return Services(
        connecting,
        disconnect.Services(
            connections=connections,
            ownerships=ownerships,
            vault=vault,
            finch=finch_client.from_settings(),
            kept=partial(exchange_code.escrowed_tokens, services=connecting),
        ),
        fetch_names.Services(connections=connections, vault=vault, names=names_api.from_settings()),
        timedelta(days=int(settings.read().idle_days)),
    )


cold_start.ready(_services)
