"""DynamoDB in a template: expiry and point-in-time recovery of a table."""

from ministack.services import dynamodb
from ministack.services.cloudformation import provisioners

from local.aws_emulator import Json

original_create = provisioners._ddb_create


def create_table(logical_id: str, props: Json, stack_name: str) -> tuple[str, Json]:
    """Creates a table with all properties of its template.

    MiniStack ignores `TimeToLiveSpecification` and `PointInTimeRecoverySpecification`
    ("AWS::DynamoDB::Table" in the CloudFormation Template Reference).
    """
    name, attributes = original_create(logical_id, props, stack_name)
    if expiry := props.get("TimeToLiveSpecification"):
        expiry = {**expiry, "Enabled": str(expiry.get("Enabled")).lower() == "true"}
        dynamodb._update_ttl({"TableName": name, "TimeToLiveSpecification": expiry})
    if recovery := props.get("PointInTimeRecoverySpecification"):
        enabled = str(recovery.get("PointInTimeRecoveryEnabled")).lower() == "true"
        wanted = {"PointInTimeRecoveryEnabled": enabled}
        dynamodb._update_continuous_backups(
            {"TableName": name, "PointInTimeRecoverySpecification": wanted}
        )
    return name, attributes


def patch() -> None:
    provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]["create"] = create_table
