"""The stream of the Connections table, which keeps each write of a row for a day."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from finch_connections.aws import clients

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient


# A page can be empty before the last page ("GetRecords" in the DynamoDB Streams API Reference).
_MOST_PAGES = 100


class NotInStream(Exception):
    """The stream does not have these records any more: it keeps a write for a day."""


@dataclass(frozen=True, eq=False, repr=False)
class TableStream:
    """Reads the records of a batch for which Lambda has stopped retrying."""

    client: "DynamoDBStreamsClient"

    def read(self, batch: Any) -> list[Any]:
        """The records of a batch. Raises `NotInStream`.

        `batch` is the `DDBStreamBatchInfo` of a dead letter ("Retain discarded records with a DynamoDB
        event source" in Lambda's guide).
        """
        last = int(batch["endSequenceNumber"])
        records: list[Any] = []
        for page in self._pages(batch):
            records += [one for one in page if int(one["dynamodb"]["SequenceNumber"]) <= last]
            if records and int(records[-1]["dynamodb"]["SequenceNumber"]) == last:
                return records
        raise NotInStream

    def _pages(self, batch: Any) -> Iterator[Any]:
        try:
            iterator = self.client.get_shard_iterator(
                StreamArn=batch["streamArn"],
                ShardId=batch["shardId"],
                ShardIteratorType="AT_SEQUENCE_NUMBER",
                SequenceNumber=batch["startSequenceNumber"],
            ).get("ShardIterator")
        except self.client.exceptions.TrimmedDataAccessException as error:
            raise NotInStream from error
        for _ in range(_MOST_PAGES):
            if not iterator:
                return
            answer = self.client.get_records(ShardIterator=iterator)
            yield answer["Records"]
            iterator = answer.get("NextShardIterator")


@cache
def from_settings() -> TableStream:
    """The deployed stream."""
    return TableStream(clients.client("dynamodbstreams"))
