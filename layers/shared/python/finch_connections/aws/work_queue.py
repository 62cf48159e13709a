"""The SQS queue of work items. A message only starts a check: the stored state decides what to do."""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
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

# A session's key must be a hash: the table has other items, whose keys have a prefix.
_HANDLE_HASH = re.compile("[0-9a-f]{64}")


class NotAWorkItem(Exception):
    """The message is not a work item of ours."""


@dataclass(frozen=True, eq=False, repr=False)
class WorkQueue:
    """Sends work items. SQS delays them by 15 minutes at most ("Delay queues" in its developer guide)."""

    client: "SQSClient"
    url: str

    def send(self, work_item: WorkItem, delay: timedelta = timedelta()) -> None:
        """Queues a work item."""
        self.client.send_message(
            QueueUrl=self.url, MessageBody=write(work_item), DelaySeconds=_seconds(delay)
        )

    def send_all(self, work_items: Iterable[tuple[WorkItem, timedelta]]) -> int:
        """Queues many work items, each with its delay. Returns the number that SQS accepted."""
        sent = 0
        for batch in batched(work_items, 10, strict=False):
            answer = self.client.send_message_batch(
                QueueUrl=self.url,
                Entries=[
                    {
                        "Id": str(place),
                        "MessageBody": write(work_item),
                        "DelaySeconds": _seconds(delay),
                    }
                    for place, (work_item, delay) in enumerate(batch)
                ],
            )
            sent += len(answer.get("Successful", ()))
        return sent

    def backlog(self) -> int:
        """The approximate number of work items that are due and wait for a function."""
        name: Literal["ApproximateNumberOfMessages"] = "ApproximateNumberOfMessages"
        answer = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name])
        return int(answer["Attributes"][name])


def _seconds(delay: timedelta) -> int:
    return math.ceil(delay.total_seconds())


def write(work_item: WorkItem) -> str:
    """The message for a work item."""
    match work_item.subject:
        case SessionSubject(handle_hash):
            subject = {"session": handle_hash}
        case FinchConnectionSubject(connection_id, company_id):
            subject = {"connection_id": connection_id}
            if company_id:
                subject["finch_company_id"] = company_id
        case FinchCompanySubject(company_id):
            subject = {"finch_company_id": company_id}
        case ConnectionSubject(customer_id, key):
            subject = key_fields(customer_id, key)
    asked_at = work_item.asked_at.isoformat()
    return json.dumps({**subject, "asked_at": asked_at, "scheduled": work_item.scheduled})


def read(message: str) -> WorkItem:
    """The work item in a message. Raises `NotAWorkItem`."""
    try:
        match fields := json.loads(message):
            case {"session": str(handle_hash)} if _HANDLE_HASH.fullmatch(handle_hash):
                subject: Subject = SessionSubject(handle_hash)
            case {"connection_id": str(connection_id)} if is_finch_id(connection_id):
                company_id = fields.get("finch_company_id")
                known = company_id if is_finch_id(company_id) else None
                subject = FinchConnectionSubject(connection_id, known)
            case {"finch_company_id": str(company_id)} if is_finch_id(company_id):
                subject = FinchCompanySubject(company_id)
            case {"customer_id": str(customer_id)} if not customer_id_fault(customer_id):
                key = CompanyKey(fields["provider_id"], fields["company_id"])
                subject = ConnectionSubject(customer_id, key)
            case _:
                raise NotAWorkItem
        asked_at = datetime.fromisoformat(fields["asked_at"])
        if asked_at.tzinfo is None:
            raise NotAWorkItem
        return WorkItem(subject, asked_at, fields.get("scheduled") is True)
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
