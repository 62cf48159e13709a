"""DynamoDB Streams: how an event source mapping of Lambda reads a stream and handles failures.

MiniStack repeats a failed batch without end, and reads no other mapping until then. Lambda reads each
mapping separately, takes partial failures into account, halves batches, and discards records after the
mapping's retries or age ("Configuring partial batch response with DynamoDB and Lambda" and "Retain
discarded records with a DynamoDB event source in Lambda" in Lambda's guide).
"""

import time
from dataclasses import dataclass

from ministack.services import dynamodb, lambda_svc

from local.aws_emulator import Json


@dataclass
class StreamBatch:
    """The number of records that a mapping takes next, and how often the first record has failed."""

    size: int
    failures: int = 0


stream_batches: dict[str, StreamBatch] = {}


def poll_streams() -> bool:
    """Starts a batch for each mapping that has new records and no running batch."""
    began = False
    for account_id, region, mapping in lambda_svc._iter_all_esms():
        name = mapping["UUID"]
        reads_stream = ":dynamodb:" in mapping.get("EventSourceArn", "")
        if not reads_stream or not mapping.get("Enabled", True) or name in lambda_svc._esm_inflight:
            continue
        account_token = lambda_svc._request_account_id.set(account_id)
        region_token = lambda_svc._request_region.set(region)
        try:
            waits = lambda_svc._esm_backoff_until.get(name, 0) > time.time()
            if not waits and stream_position(mapping) < dynamodb.stream_end_position(
                table_of(mapping)
            ):
                lambda_svc._dispatch_esm_batch(name, process_batch, mapping)
                began = True
        finally:
            lambda_svc._request_account_id.reset(account_token)
            lambda_svc._request_region.reset(region_token)
    return began


def table_of(mapping: Json) -> str:
    return str(mapping["EventSourceArn"].split("/")[1])


def stream_position(mapping: Json) -> int:
    """Where a mapping continues to read.

    When MiniStack stops, it saves this position but not the stream's records. A position outside
    the stream therefore starts again at its beginning.
    """
    begin = dynamodb.stream_start_position(table_of(mapping))
    position: int = lambda_svc._dynamodb_stream_positions.get(mapping["UUID"], begin)
    if begin <= position <= dynamodb.stream_end_position(table_of(mapping)):
        return position
    lambda_svc._dynamodb_stream_positions[mapping["UUID"]] = begin
    return int(begin)


def process_batch(mapping: Json) -> None:
    """Invokes the function of a mapping with the next batch, and decides where to continue."""
    name, position = mapping["UUID"], stream_position(mapping)
    function, _ = lambda_svc._get_func_record_for_qualifier(
        mapping["FunctionName"], mapping.get("Qualifier")
    )
    if function is None:
        return
    batch = stream_batches.setdefault(name, StreamBatch(int(mapping.get("BatchSize", 100))))
    records = dynamodb.stream_records_since(table_of(mapping), position, batch.size)
    sent = lambda_svc._apply_filter_criteria(records, mapping)
    result = lambda_svc._execute_function(function, {"Records": sent}) if sent else {}
    failed = first_failed(mapping, sent, result) if sent else None
    done = len(records) if failed is None else records.index(failed)
    if failed is not None and failed is sent[0]:
        lambda_svc.logger.warning("ESM: stream batch of %s failed: %s", name, result.get("body"))
        if result.get("error") and len(sent) > 1 and mapping.get("BisectBatchOnFunctionError"):
            batch.size = len(records) // 2
            return
        batch.failures += 1
        if not (reason := reason_to_discard(mapping, batch, failed)):
            lambda_svc._esm_backoff_until[name] = time.time() + lambda_svc._ESM_BACKOFF_SECONDS
            return
        lambda_svc._send_ddb_stream_failure_record(
            mapping, function, sent, mapping["EventSourceArn"], result, reason
        )
        done = len(records)
    lambda_svc._dynamodb_stream_positions[name] = position + done
    del stream_batches[name]


def first_failed(mapping: Json, sent: list[Json], result: Json) -> Json | None:
    """The record to continue with, or None; an answer in the wrong format fails all records."""
    if result.get("error") or result.get("throttle"):
        return sent[0]
    if "ReportBatchItemFailures" not in mapping.get("FunctionResponseTypes", []):
        return None
    try:
        failures = (result.get("body") or {}).get("batchItemFailures") or []
        named = {failure["itemIdentifier"] for failure in failures}
    except (AttributeError, KeyError, TypeError):
        return sent[0]
    found = [record for record in sent if record["dynamodb"]["SequenceNumber"] in named]
    return found[0] if found else sent[0] if named else None


def reason_to_discard(mapping: Json, batch: StreamBatch, record: Json) -> str | None:
    """Lambda's name for the reason why it discards a batch, or None while it tries again."""
    retries = int(mapping.get("MaximumRetryAttempts", -1))
    if 0 <= retries < batch.failures:
        return "RetryAttemptsExhausted"
    oldest = int(mapping.get("MaximumRecordAgeInSeconds", -1))
    age = time.time() - record["dynamodb"]["ApproximateCreationDateTime"]
    return "MaxRecordAgeExceeded" if 0 <= oldest < age else None


def patch() -> None:
    lambda_svc._poll_dynamodb_streams = poll_streams
