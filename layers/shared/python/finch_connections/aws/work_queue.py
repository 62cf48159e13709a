"""The SQS queue of work items. A message only starts a check: the stored state decides what to do."""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import batched
from typing import TYPE_CHECKING, Literal

from finch_connections import settings
from finch_connections.aws import clients
from finch_connections.domain.connection import (
    CompanyKey,
    UnusableIdentifier,
    key_fields,
)
from finch_connections.domain.identifier import customer_id_fault, is_finch_id
from finch_connections.domain.work_item import (
    ConnectionSubject,
    FinchCompanySubject,
    FinchConnectionSubject,
    SessionSubject,
    Subject,
    WorkItem,
)

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# SQS's longest delay ("Delay queues" in its developer guide). A longer wait takes several messages.
LONGEST_DELAY_SECONDS = 900
# A session's key must be a hash: the table has other items, whose keys have a prefix.
_HANDLE_HASH = re.compile("[0-9a-f]{64}")


class NotAWorkItem(Exception):
    """The message is not a work item of ours."""


@dataclass(frozen=True, eq=False, repr=False)
class WorkQueue:
    """Sends work items, each delayed until it is due, or by SQS's longest delay if that is shorter."""

    client: "SQSClient"
    url: str

    def send(self, work_item: WorkItem, now: datetime) -> None:
        """Queues a work item."""
        self.client.send_message(
            QueueUrl=self.url, MessageBody=write(work_item), DelaySeconds=_delay(work_item, now)
        )

    def send_all(self, work_items: Iterable[WorkItem], now: datetime) -> int:
        """Queues many work items. Returns the number that SQS accepted."""
        sent = 0
        for batch in batched(work_items, 10, strict=False):
            answer = self.client.send_message_batch(
                QueueUrl=self.url,
                Entries=[
                    {
                        "Id": str(place),
                        "MessageBody": write(work_item),
                        "DelaySeconds": _delay(work_item, now),
                    }
                    for place, work_item in enumerate(batch)
                ],
            )
            sent += len(answer.get("Successful", ()))
        return sent

    def backlog(self) -> int:
        """The approximate number of work items that are due and wait for a function."""
        name: Literal["ApproximateNumberOfMessages"] = "ApproximateNumberOfMessages"
        answer = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name])
        return int(answer["Attributes"][name])


def _delay(work_item: WorkItem, now: datetime) -> int:
    seconds = math.ceil((work_item.due_at - now).total_seconds())
    return min(max(seconds, 0), LONGEST_DELAY_SECONDS)


def write(work_item: WorkItem) -> str:
    """The message for a work item."""
    match work_item.subject:
        case SessionSubject(handle_hash):
            subject = {"session": handle_hash}
        case FinchConnectionSubject(connection_id):
            subject = {"connection_id": connection_id}
        case FinchCompanySubject(company_id):
            subject = {"finch_company_id": company_id}
        case ConnectionSubject(customer_id, key):
            subject = key_fields(customer_id, key)
    times = {"began_at": work_item.began_at.isoformat(), "due_at": work_item.due_at.isoformat()}
    flags = {"scheduled": work_item.scheduled, "redelivered": work_item.redelivered}
    return json.dumps({**subject, **times, "retries": work_item.retries, **flags})


def read(message: str) -> WorkItem:
    """The work item in a message. Raises `NotAWorkItem`."""
    try:
        match fields := json.loads(message):
            case {"session": str(handle_hash)} if _HANDLE_HASH.fullmatch(handle_hash):
                subject: Subject = SessionSubject(handle_hash)
            case {"connection_id": str(connection_id)} if is_finch_id(connection_id):
                subject = FinchConnectionSubject(connection_id)
            case {"finch_company_id": str(company_id)} if is_finch_id(company_id):
                subject = FinchCompanySubject(company_id)
            case {"customer_id": str(customer_id)} if not customer_id_fault(customer_id):
                key = CompanyKey(fields["provider_id"], fields["company_id"])
                subject = ConnectionSubject(customer_id, key)
            case _:
                raise NotAWorkItem
        began_at, due_at = (datetime.fromisoformat(fields[one]) for one in ("began_at", "due_at"))
        if began_at.tzinfo is None or due_at.tzinfo is None:
            raise NotAWorkItem
        scheduled, redelivered = (fields.get(one) is True for one in ("scheduled", "redelivered"))
        return WorkItem(subject, began_at, due_at, int(fields["retries"]), scheduled, redelivered)
    except (
        ValueError,
        LookupError,
        TypeError,
        ArithmeticError,
        RecursionError,
        UnusableIdentifier,
    ):
        # Not chained: the parser's error contains a part of the message.
        raise NotAWorkItem from None


@cache
def from_settings() -> WorkQueue:
    """The deployed queue."""
    return WorkQueue(clients.client("sqs"), settings.read().work_queue_url)
