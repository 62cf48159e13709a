"""Finishes what was left half done: takes tasks from the queue and sends on what is not over."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from finch_connections import (
    claim_table,
    cold_start,
    connection_table,
    finch,
    finch_connect,
    finch_names,
    metrics,
    session_table,
    tend_queue,
    tending,
    token_vault,
)
from finch_connections import connecting as connecting_flow
from finch_connections import disconnecting as disconnecting_flow
from finch_connections import naming as naming_flow
from finch_connections.log import logger
from finch_connections.task import Task
from finch_connections.tending import Outsiders

ROUTE = "tend_connection"
# What is not over counts as this, where there is nothing to report.
AGAIN = "again"
# What one task can take when AWS and Finch are slow: it is not begun with less time left.
TASK_SECONDS = 150

# A message that cannot be understood comes back, and ends in the dead-letter queue.
_batch = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)


def tend_connection(event: dict[str, Any], context: Any) -> Any:
    """Answers which messages failed; all the others are done with (partial batch response)."""

    def tend(record: SQSRecord) -> None:
        logger.append_keys(request_id=record.message_id, function_request_id=context.aws_request_id)
        in_time = context.get_remaining_time_in_millis() > TASK_SECONDS * 1000
        try:
            task = tend_queue.read(record.body)
            if record.attributes.approximate_receive_count != "1":
                task = replace(task, redelivered=True)
            _tend(task, datetime.now(UTC), in_time)
        except Exception:
            # Lambda is told which messages have failed, and nobody why.
            logger.exception("message failed")
            raise

    return process_partial_response(event, tend, _batch, context)


def _tend(task: Task, now: datetime, in_time: bool) -> None:
    queue = tend_queue.connect()
    if now < task.due_at or not in_time:
        queue.send(task, now)
        return
    look = tending.tend(task, now=now, outside=_outside())
    if look.report:
        logger.warning("reported", report=look.report)
    metrics.count(ROUTE, look.report or (AGAIN if look.again else metrics.OK))
    if look.again:
        queue.send(look.again, now)


def _outside() -> Outsiders:
    connections, claims = connection_table.connect(), claim_table.connect()
    vault, queue = token_vault.connect(), tend_queue.connect()
    connecting = connecting_flow.Outsiders(
        sessions=session_table.connect(),
        connections=connections,
        claims=claims,
        vault=vault,
        finch=finch_connect.connect(),
        queue=queue,
        pause=time.sleep,
    )
    return Outsiders(
        connecting,
        disconnecting_flow.Outsiders(
            connections=connections,
            claims=claims,
            vault=vault,
            finch=finch.connect(),
            queue=queue,
            kept=partial(connecting_flow.kept, outside=connecting),
        ),
        naming_flow.Outsiders(connections=connections, vault=vault, names=finch_names.connect()),
    )


cold_start.ready(_outside)
