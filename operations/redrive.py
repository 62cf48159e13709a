"""`redrive`: retries the dead letters of the work queue and of the event stream."""

import json
from collections.abc import Callable
from typing import Any

from operations.stack import ExitCode, Say, Stack, progress

_MOST_DEAD_LETTERS = 10_000


def redrive(stack: Stack, say: Say) -> ExitCode:
    """Puts dead work items back into the queue, and publishes the events of dead letters."""
    sqs = stack.client("sqs")

    def queue_again(dead_letter: str) -> bool:
        sqs.send_message(QueueUrl=stack.outputs["WorkQueueUrl"], MessageBody=dead_letter)
        return True

    def publish(dead_letter: str) -> bool:
        answer = stack.client("lambda").invoke(
            FunctionName=stack.outputs["PublishEventsName"], Payload=dead_letter
        )
        content = json.load(answer["Payload"])
        return "FunctionError" not in answer and not content["batchItemFailures"]

    queued, _ = _process(sqs, stack.outputs["WorkDeadLetterQueueUrl"], queue_again)
    say(f"{queued} work items are in the queue again.")
    published, failed = _process(sqs, stack.outputs["EventsDeadLetterQueueUrl"], publish)
    say(f"The events of {published} dead letters are published, those of {failed} failed again.")
    return ExitCode.PERSON_NEEDED if failed else ExitCode.DONE


def _process(sqs: Any, url: str, work: Callable[[str], bool]) -> tuple[int, int]:
    """Processes each dead letter of a queue; returns how many succeeded and how many stay."""
    done = failed = 0
    while done + failed < _MOST_DEAD_LETTERS:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=300)
        dead_letters = answer.get("Messages", ())
        if not dead_letters:
            break
        for dead_letter in dead_letters:
            if work(dead_letter["Body"]):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=dead_letter["ReceiptHandle"])
                done += 1
            else:
                failed += 1
        progress(f"  {done + failed} dead letters are read.")
    return done, failed
