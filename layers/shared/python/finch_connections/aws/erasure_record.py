"""The records of erased customers: a restore must not bring back their data.

They are items of the Audit table. A record has no personal data: its key is a MAC of the customer's id,
made with a KMS key that never leaves KMS. A plain hash would not do, because ids can be guessed. A record
never expires, because a backup can be of any age.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from finch_connections import settings
from finch_connections.aws import clients
from finch_connections.aws.audit_table import SORT_KEY
from finch_connections.aws.dynamodb import Item, moment, read_moment, text

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient


@dataclass(frozen=True, eq=False, repr=False)
class ErasureRecord:
    """Writes and reads when a customer was erased."""

    client: "DynamoDBClient"
    table: str
    kms: "KMSClient"
    key_arn: str

    def write(self, customer_id: str, now: datetime) -> None:
        """Records that everything of a customer until `now` is erased."""
        self.client.put_item(
            TableName=self.table, Item={**self._key(customer_id), "erased_at": moment(now)}
        )

    def covers(self, customer_id: str, since: datetime) -> bool:
        """Whether a customer was erased after `since`, the time when a row of theirs was made."""
        found = self.client.get_item(
            TableName=self.table, Key=self._key(customer_id), ConsistentRead=True
        )
        return "Item" in found and since <= read_moment(found["Item"]["erased_at"])

    def _key(self, customer_id: str) -> dict[str, Item]:
        answer = self.kms.generate_mac(
            KeyId=self.key_arn, MacAlgorithm="HMAC_SHA_256", Message=customer_id.encode()
        )
        return {"customer_id": text(f"erased#{answer['Mac'].hex()}"), SORT_KEY: text("erased")}


@cache
def from_settings() -> ErasureRecord:
    """The records in the deployed table."""
    names = settings.read()
    return ErasureRecord(
        clients.client("dynamodb"), names.audit_table, clients.client("kms"), names.erasure_key_arn
    )
