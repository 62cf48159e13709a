"""Publishes connection events to subscribers, from the writes in the table's stream."""

from typing import Any

from finch_connections import cold_start
from finch_connections.aws import event_bus, table_stream
from finch_connections.log import logger
from finch_connections.use_cases import publish_events as use_case
from finch_connections.use_cases.publish_events import Written


def publish_events(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Returns the first write whose event was not published; Lambda retries from there.

    This is Lambda's partial batch response. An operator can invoke the function with a dead letter to
    publish its events.
    """
    logger.append_keys(request_id=context.aws_request_id)
    dead_letter = event.get("DDBStreamBatchInfo")
    records = table_stream.from_settings().read(dead_letter) if dead_letter else event["Records"]
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
