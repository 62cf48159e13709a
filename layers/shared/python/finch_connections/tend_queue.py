"""The queue of tasks. A message is a hint to look: what is there decides, never the message."""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import batched
from typing import TYPE_CHECKING, Any, Literal

from finch_connections import aws, settings
from finch_connections.connection import IDENTIFIER, CompanyKey, UnusableIdentifier
from finch_connections.task import (
    ConnectionTask,
    FinchConnectionTask,
    SessionTask,
    Subject,
    Task,
)

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# As long as SQS can delay a message ("Delay queues" in its developer guide): longer waits are
# made of several.
LONGEST_DELAY_SECONDS = 900
# Where the handle's hash of a session stands, nothing else of that table may be named.
_HANDLE_HASH = re.compile("[0-9a-f]{64}")


class NotATask(Exception):
    """A message that nobody here has written."""


@dataclass(frozen=True, eq=False, repr=False)
class TendQueue:
    """Sends tasks, each to arrive when it is due, or to be sent on until then."""

    client: "SQSClient"
    url: str

    def send(self, task: Task, now: datetime) -> None:
        """Queues a task."""
        self.client.send_message(
            QueueUrl=self.url, MessageBody=write(task), DelaySeconds=_delay(task, now)
        )

    def send_all(self, tasks: Iterable[Task], now: datetime) -> int:
        """Queues many tasks, each for when it is due within SQS's longest delay; how many there were."""
        sent = 0
        for batch in batched(tasks, 10, strict=False):
            answer = self.client.send_message_batch(
                QueueUrl=self.url,
                Entries=[
                    {
                        "Id": str(place),
                        "MessageBody": write(task),
                        "DelaySeconds": _delay(task, now),
                    }
                    for place, task in enumerate(batch)
                ],
            )
            sent += len(answer.get("Successful", ()))
        return sent

    def backlog(self) -> int:
        """How many tasks are due and not looked at yet, about."""
        name: Literal["ApproximateNumberOfMessages"] = "ApproximateNumberOfMessages"
        answer = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name])
        return int(answer["Attributes"][name])


def _delay(task: Task, now: datetime) -> int:
    seconds = math.ceil((task.due_at - now).total_seconds())
    return min(max(seconds, 0), LONGEST_DELAY_SECONDS)


def write(task: Task) -> str:
    """A task as a message."""
    match task.subject:
        case SessionTask(handle_hash):
            subject: dict[str, Any] = {"session": handle_hash}
        case FinchConnectionTask(connection_id):
            subject = {"connection_id": connection_id}
        case ConnectionTask(customer_id, key):
            subject = {
                "customer_id": customer_id,
                "provider_id": key.provider_id,
                "company_id": key.company_id,
            }
    times = {"began_at": task.began_at.isoformat(), "due_at": task.due_at.isoformat()}
    flags = {"swept": task.swept, "redelivered": task.redelivered}
    return json.dumps({**subject, **times, "retries": task.retries, **flags})


def read(message: str) -> Task:
    """The task in a message; raises `NotATask`."""
    try:
        match fields := json.loads(message):
            case {"session": str(handle_hash)} if _HANDLE_HASH.fullmatch(handle_hash):
                subject: Subject = SessionTask(handle_hash)
            case {"connection_id": str(connection_id)} if IDENTIFIER.fullmatch(connection_id):
                subject = FinchConnectionTask(connection_id)
            case {"customer_id": str(customer_id)} if IDENTIFIER.fullmatch(customer_id):
                key = CompanyKey(fields["provider_id"], fields["company_id"])
                subject = ConnectionTask(customer_id, key)
            case _:
                raise NotATask
        began_at, due_at = (datetime.fromisoformat(fields[one]) for one in ("began_at", "due_at"))
        if began_at.tzinfo is None or due_at.tzinfo is None:
            raise NotATask
        swept, redelivered = (fields.get(one) is True for one in ("swept", "redelivered"))
        return Task(subject, began_at, due_at, int(fields["retries"]), swept, redelivered)
    except (
        ValueError,
        LookupError,
        TypeError,
        ArithmeticError,
        RecursionError,
        UnusableIdentifier,
    ):
        # Not chained: what a reader says of a text holds a piece of it.
        raise NotATask from None


@cache
def connect() -> TendQueue:
    """The deployed queue."""
    return TendQueue(aws.client("sqs"), settings.read().tend_queue_url)
