"""What an operator decides about: held tokens, uncertain exchanges, tasks that were given up."""

import json
from collections.abc import Callable
from typing import Any

from operations.long_work import FOR_A_PERSON, OVER
from operations.stack import CannotOperate, Stack

type Say = Callable[[str], None]
type Ask = Callable[[str], str]

_MOST_LETTERS = 10_000


def show(answer: Any, say: Say) -> None:
    """Prints what a function answered."""
    say(json.dumps(answer, indent=2))


def list_unfinished(stack: Stack, say: Say) -> int:
    """Shows what is not over for an hour."""
    found = stack.invoke("ResolveUnfinished", {"action": "list", "limit": 100})
    show(found, say)
    return FOR_A_PERSON if any(found.values()) else OVER


def decide(
    stack: Stack, action: str, session: str, *, sure: bool, ask: Ask | None, say: Say
) -> int:
    """Shows what a decision means, and carries it out when the operator says yes to exactly that."""
    asked = {"action": action, "session": session}
    seen = stack.invoke("ResolveUnfinished", asked)
    show(seen, say)
    if not sure:
        if ask is None:
            raise CannotOperate("Nobody is there to ask: say --yes when that is what you want.")
        if ask(f"{action}? Write yes: ") != "yes":
            say("Nothing was done.")
            return FOR_A_PERSON
    show(stack.invoke("ResolveUnfinished", asked | {"decision": seen["decision"]}), say)
    return OVER


def redrive(stack: Stack, say: Say) -> int:
    """Puts tasks that were given up back into the queue, and has changes told after all."""
    sqs = stack.client("sqs")

    def queue_again(letter: str) -> bool:
        sqs.send_message(QueueUrl=stack.outputs["WorkQueueUrl"], MessageBody=letter)
        return True

    def tell(letter: str) -> bool:
        answer = stack.client("lambda").invoke(
            FunctionName=stack.outputs["PublishEventsName"], Payload=letter
        )
        said = json.load(answer["Payload"])
        return "FunctionError" not in answer and not said["batchItemFailures"]

    queued, _ = _work_off(sqs, stack.outputs["WorkDeadLetterQueueUrl"], queue_again)
    say(f"{queued} tasks are in the queue again.")
    told, failed = _work_off(sqs, stack.outputs["EventsDeadLetterQueueUrl"], tell)
    say(f"{told} letters about changes were told after all, {failed} could not be.")
    return FOR_A_PERSON if failed else OVER


def _work_off(sqs: Any, url: str, work: Callable[[str], bool]) -> tuple[int, int]:
    """Does something with each letter of a queue; how many are done with, and how many stay."""
    done = failed = 0
    while done + failed < _MOST_LETTERS:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=300)
        letters = answer.get("Messages", ())
        if not letters:
            break
        for letter in letters:
            if work(letter["Body"]):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=letter["ReceiptHandle"])
                done += 1
            else:
                failed += 1
    return done, failed
