"""Tells subscribers what happened to connections: reads it off the writes of their rows."""

from typing import Any

from finch_connections import cold_start
from finch_connections.aws import event_bus, table_stream
from finch_connections.log import logger
from finch_connections.use_cases import publish_events as use_case
from finch_connections.use_cases.publish_events import Written


def publish_events(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers the first write that could not be told, from which Lambda goes on (partial batch response).

    An operator invokes it with a dead letter, to have that told after all.
    """
    logger.append_keys(request_id=context.aws_request_id)
    given_up = event.get("DDBStreamBatchInfo")
    records = table_stream.from_settings().read(given_up) if given_up else event["Records"]
    writes = [_written(record) for record in records]
    stopped = use_case.publish(writes, bus=event_bus.from_settings())
    return {"batchItemFailures": [{"itemIdentifier": stopped}] if stopped else []}


def _written(record: dict[str, Any]) -> Written:
    write = record["dynamodb"]
    return Written(
        id=record["eventID"],
        sequence_number=write["SequenceNumber"],
        before=write.get("OldImage"),
        after=write.get("NewImage"),
    )


cold_start.ready(event_bus.from_settings)
