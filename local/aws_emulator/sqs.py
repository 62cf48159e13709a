"""SQS: a queue that several threads use, and the event source mapping that reads it."""

import functools
import inspect
import json
import re
import secrets
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch, lambda_svc, sqs
from ministack.services.cloudformation import provisioners

from local.aws_emulator import Json

LONGEST_DELAY = 900
# Lambda stops a chain of invocations after about 16 ("Use Lambda recursive loop detection to prevent
# infinite loops" in its guide). MiniStack stops only functions that invoke functions.
LONGEST_CHAIN = 16
READ_ACTIONS = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")

# The trace header of the current request, and of the invocation that starts.
sent_trace: ContextVar[str] = ContextVar("sent_trace", default="")
invoked_trace: ContextVar[str] = ContextVar("invoked_trace", default="")

original_send = sqs._act_send_message
original_move_to_dead_letters = sqs._dlq_sweep
original_create_mapping = provisioners._lambda_esm_create
original_update_mapping = provisioners._lambda_esm_update


def one_at_a_time(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function under the lock of all queues.

    MiniStack takes the lock only in its event source mapping. A message that is sent while the mapping
    deletes can be lost. SQS loses no message.
    """

    @functools.wraps(function)
    def alone(*arguments: Any) -> Any:
        with sqs._queues_lock:
            return function(*arguments)

    return alone


def send_message(request: Json, url: str) -> Json:
    """Sends a message; MiniStack accepts any delay, SQS 15 minutes at most.

    Stores the caller's trace header with the message ("SendMessage" in the SQS API Reference).
    """
    delay = int(request.get("DelaySeconds") or 0)
    if not 0 <= delay <= LONGEST_DELAY:
        reason = f"DelaySeconds must be >= 0 and <= {LONGEST_DELAY}."
        raise sqs._Err(
            "InvalidParameterValue",
            f"Value {delay} for parameter DelaySeconds is invalid. Reason: {reason}",
        )
    if trace := sent_trace.get():
        header = {"AWSTraceHeader": {"DataType": "String", "StringValue": trace}}
        request = {"MessageSystemAttributes": header, **request}
    sent: Json = original_send(request, url)
    return sent


def chain(record: Json) -> int:
    """The number of invocations that led to a message, from the `Lineage` of its trace header."""
    header = record["attributes"].get("AWSTraceHeader", "")
    found = re.search(r"Lineage=\d+:\w+:(\d+)", header)
    return int(found[1]) if found else 0


def trace_of_invocation(config: Json, inbound: str | None = None) -> str:
    """The trace header that a function gets, with the number of invocations in its chain."""
    root = f"Root=1-{secrets.token_hex(4)}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)}"
    return inbound or invoked_trace.get() or f"{root};Sampled=0;Lineage=1:{secrets.token_hex(4)}:1"


def stop_chain(function: Json, url: str, records: list[Json]) -> None:
    """Moves the messages of a long chain to the dead letters, and counts the dropped invocation."""
    dimensions = {"FunctionName": function["config"]["FunctionName"]}
    cloudwatch.record_metric("AWS/Lambda", "RecursiveInvocationsDropped", 1, "Count", dimensions)
    ids = {record["messageId"] for record in records}
    with sqs._queues_lock:
        queue = sqs._queues[url]
        dead_letters = sqs._queue_by_arn(
            json.loads(queue["attributes"]["RedrivePolicy"])["deadLetterTargetArn"]
        )
        for message in [one for one in queue["messages"] if one["id"] in ids]:
            queue["messages"].remove(message)
            dead_letters["messages"].append({**message, "visible_at": 0, "receipt_handle": None})
    cloudwatch._evaluate_all_alarms()


def move_to_dead_letters(queue: Json) -> None:
    """Moves messages that failed too often, and counts the dead letters for CloudWatch.

    MiniStack records no metric of a queue. SQS reports how many messages wait ("Available
    CloudWatch metrics for Amazon SQS" in SQS's guide).
    """
    before = len(queue["messages"])
    original_move_to_dead_letters(queue)
    if len(queue["messages"]) == before:
        return
    dead_letters = sqs._queue_by_arn(
        json.loads(queue["attributes"]["RedrivePolicy"])["deadLetterTargetArn"]
    )
    cloudwatch.record_metric(
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        len(dead_letters["messages"]),
        "Count",
        {"QueueName": dead_letters["name"]},
    )
    cloudwatch._evaluate_all_alarms()


def messages_to_repeat(mapping: Json, records: list[Json], result: Json) -> set[str]:
    """The ids of the messages that a function did not process.

    An answer in the wrong format, or with an unknown id, fails all messages ("Handling errors for an
    SQS event source in Lambda" in Lambda's guide).
    """
    everything = {record["messageId"] for record in records}
    if result.get("error") or result.get("throttle"):
        return everything
    if "ReportBatchItemFailures" not in mapping.get("FunctionResponseTypes", []):
        return set()
    try:
        failures = (result.get("body") or {}).get("batchItemFailures") or []
        named = {failure["itemIdentifier"] for failure in failures}
    except (AttributeError, KeyError, TypeError):
        return everything
    return named if named <= everything else everything


def run_batch(
    mapping: Json, function: Json, event: Json, batch: list[Json], url: str, name: str
) -> None:
    """Invokes a function with a batch, and deletes the messages that it processed.

    MiniStack looks up the receipt handles after the function has ended. A message that was received
    again in the meantime has a new handle, and MiniStack deletes it although its new receiver still needs
    it. Lambda deletes by the handle that it received ("Amazon SQS queue and message identifiers" in SQS's
    guide).
    """
    records = event["Records"]
    # AWS does not document which message of a batch counts. The longest chain is the strictest choice.
    before = max(map(chain, records))
    if before >= LONGEST_CHAIN:
        stop_chain(function, url, [record for record in records if chain(record) >= LONGEST_CHAIN])
        return
    invoked_trace.set(
        f"Root=1-0-0;Parent=0;Sampled=0;Lineage=1:{secrets.token_hex(4)}:{before + 1}"
    )
    result = lambda_svc._execute_function(function, event)
    repeated = messages_to_repeat(mapping, records, result)
    if repeated:
        lambda_svc.logger.warning(
            "ESM: %d of %d messages from %s come again: %s",
            *(len(repeated), len(records), name, result.get("body")),
        )
    sqs._delete_messages_for_esm(
        url,
        {record["receiptHandle"] for record in records if record["messageId"] not in repeated},
    )


def check_mapping(props: Json) -> None:
    """Raises an error if the role or the timeout of the function does not fit the queue.

    MiniStack accepts any mapping. Lambda refuses it ("Creating and configuring an Amazon SQS event
    source mapping" in Lambda's guide).
    """
    arn = props["EventSourceArn"]
    queue = sqs._queue_by_arn(arn)
    function, *_ = provisioners._lambda_function_for_cfn_ref(props["FunctionName"])
    if queue is None or function is None:
        return
    config = function["config"]
    policies = iam_evaluator._gather_role_policies(
        config["Role"].rpartition("/")[2], get_account_id()
    )
    for name in READ_ACTIONS:
        context = iam_evaluator.EvalContext(
            principal_arn=config["Role"],
            principal_type="AssumedRole",
            principal_account=get_account_id(),
            action=f"sqs:{name}",
            resource_arn=arn,
            region=get_region(),
        )
        if iam_evaluator.evaluate(context, policies).decision != "Allow":
            raise ValueError(
                f"The provided execution role does not have permissions to call {name} on SQS"
            )
    hidden, running = int(queue["attributes"]["VisibilityTimeout"]), int(config["Timeout"])
    if hidden < running:
        raise ValueError(
            f"Queue visibility timeout: {hidden} seconds is less than "
            f"Function timeout: {running} seconds"
        )


def create_mapping(logical_id: str, props: Json, stack_name: str) -> tuple[str, Json]:
    check_mapping(props)
    created: tuple[str, Json] = original_create_mapping(logical_id, props, stack_name)
    return created


def update_mapping(physical_id: str, old: Json, new: Json, stack_name: str) -> tuple[str, Json]:
    check_mapping(new)
    updated: tuple[str, Json] = original_update_mapping(physical_id, old, new, stack_name)
    return updated


def patch() -> None:
    # A handler under the lock calls other functions that take it.
    sqs._queues_lock = threading.RLock()
    sqs._act_send_message = sqs._HANDLERS["SendMessage"] = send_message
    for name, handler in sqs._HANDLERS.items():
        if not inspect.iscoroutinefunction(handler):
            sqs._HANDLERS[name] = one_at_a_time(handler)
    sqs._dlq_sweep = move_to_dead_letters
    for part in ("_expire_retained", "_dlq_sweep", "_collect_msgs"):
        setattr(sqs, part, one_at_a_time(getattr(sqs, part)))
    lambda_svc._run_sqs_batch = run_batch
    lambda_svc._xray_trace_id_for_invocation = trace_of_invocation
    resource = provisioners._RESOURCE_HANDLERS["AWS::Lambda::EventSourceMapping"]
    resource.update(create=create_mapping, update=update_mapping)
