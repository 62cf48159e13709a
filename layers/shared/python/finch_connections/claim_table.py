"""The Claims table: who owns which company and which Finch connection."""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from finch_connections import aws, settings
from finch_connections.claim import Claim, ClaimedByAnother
from finch_connections.connection import CompanyKey
from finch_connections.dynamodb import text

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from finch_connections.dynamodb import Write


@dataclass(frozen=True)
class ClaimTable:
    """Reads claims and makes the writes that take and free them together with a connection."""

    client: "DynamoDBClient"
    name: str

    def get(self, claimed: str) -> Claim | None:
        """The claim on this, as last written."""
        answer = self.client.get_item(
            TableName=self.name, Key={"claimed": text(claimed)}, ConsistentRead=True
        )
        if "Item" not in answer:
            return None
        item = answer["Item"]
        return Claim(claimed, item["customer_id"]["S"], CompanyKey.parse(item["key"]["S"]))

    def require_free(self, claim: Claim) -> None:
        """Says why a claim could not be taken; raises `ClaimedByAnother`."""
        there = self.get(claim.claimed)
        if there is not None and there != claim:
            raise ClaimedByAnother

    def taking(self, claim: Claim) -> "Write":
        """The write that takes a claim, which fails where it belongs to another connection."""
        put: Any = {
            "TableName": self.name,
            "Item": {
                "claimed": text(claim.claimed),
                "customer_id": text(claim.customer_id),
                "key": text(str(claim.key)),
            },
            **_if_nobody_elses(claim),
        }
        return {"Put": put}

    def freeing(self, claim: Claim) -> "Write":
        """The write that frees a claim, if it is still this connection's."""
        delete: Any = {
            "TableName": self.name,
            "Key": {"claimed": text(claim.claimed)},
            **_if_nobody_elses(claim),
        }
        return {"Delete": delete}


def _if_nobody_elses(claim: Claim) -> Any:
    return {
        "ConditionExpression": (
            "attribute_not_exists(claimed) OR (customer_id = :customer AND #key = :key)"
        ),
        "ExpressionAttributeNames": {"#key": "key"},
        "ExpressionAttributeValues": {
            ":customer": text(claim.customer_id),
            ":key": text(str(claim.key)),
        },
    }


@cache
def connect() -> ClaimTable:
    """The deployed table."""
    return ClaimTable(aws.client("dynamodb"), settings.read().claims_table)
