"""Each single permission of the template's roles, and the permissions that a call to AWS needs."""

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tests.support.deployed import TEMPLATE
from tests.support.in_process import Call

_RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
_PURPOSE = "kms:EncryptionContext:purpose"
# Operations whose IAM action has another name than in botocore.
_ACTIONS = {
    "secretsmanager:GetSecretValue": "secretsmanager:GetSecretValue",
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "lambda:Invoke": "lambda:InvokeFunction",
}
# Tables that DynamoDB restores from a backup, next to the tables in use.
RESTORED = "restored tables"
_IN_TRANSACTIONS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem"}


# The permissions that Lambda itself uses before and after the function runs: "Lambda execution role"
# in its guide, and "Execution role permissions" of each event source. No call of our code needs
# them, and the emulator does not check them.
BY_LAMBDA = {
    "ProcessWork": {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"},
    "PublishEvents": {"dynamodb:DescribeStream", "dynamodb:ListStreams", "sqs:SendMessage"},
}
_LOGGING = {"logs:CreateLogStream", "logs:PutLogEvents"}


@dataclass(frozen=True, order=True)
class Need:
    """An action on a resource that a function uses; for the KMS key with the purpose."""

    function: str
    action: str
    resource: str
    purpose: str = ""


@dataclass(frozen=True, order=True)
class Permission:
    """A single permission: an action, a resource and a purpose out of a statement's lists."""

    role: str
    sid: str
    action: str
    resource: str
    purpose: str = ""

    @property
    def need(self) -> Need:
        """The need that this permission satisfies."""
        function = self.role.removesuffix("Role")
        return Need(function, self.action, self.resource, self.purpose)

    @property
    def by_lambda(self) -> bool:
        """Whether Lambda itself needs this permission, and not our code."""
        return self.action in _LOGGING | BY_LAMBDA.get(self.need.function, set())


def permissions() -> list[Permission]:
    """Every permission of every role of a function."""
    return [
        Permission(role, statement["Sid"], action, _name(resource), purpose)
        for role, resource in _RESOURCES.items()
        if resource["Type"] == "AWS::IAM::Role" and role != "DeploymentRole"
        for policy in resource["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action, resource, purpose in _parts(statement)
    ]


def without(permission: Permission, document: Mapping[str, Any]) -> dict[str, Any]:
    """A deployed policy without one permission. Its statement is split, and that part is left out."""
    template = _RESOURCES[permission.role]["Properties"]["Policies"][0]["PolicyDocument"]
    statements = []
    for statement, deployed in zip(template["Statement"], document["Statement"], strict=True):
        if statement["Sid"] != permission.sid:
            statements.append(deployed)
            continue
        for logical, actual in zip(_parts(statement), _parts(deployed), strict=True):
            action, resource, purpose = logical
            if (action, _name(resource), purpose) == _parts_of(permission):
                continue
            part = deepcopy(dict(deployed)) | {"Action": actual[0], "Resource": actual[1]}
            part["Sid"] = f"{permission.sid}{len(statements)}"
            if purpose:
                part["Condition"]["StringEquals"][_PURPOSE] = purpose
            statements.append(part)
    return {**document, "Statement": statements}


def _parts_of(permission: Permission) -> tuple[str, str, str]:
    return permission.action, permission.resource, permission.purpose


def _parts(statement: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    condition = statement.get("Condition", {}).get("StringEquals", {})
    for action in _listed(statement["Action"]):
        for resource in filter(_deployed, _listed(statement["Resource"])):
            for purpose in _listed(condition.get(_PURPOSE, "")):
                yield action, resource, purpose


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _deployed(resource: Any) -> bool:
    """Whether the resource exists without an old key."""
    return not (isinstance(resource, dict) and resource.get("Fn::If", [""])[0] == "HasOldKey")


def _name(resource: Any) -> str:
    """The logical name of a resource, with its sub-resource."""
    if "Fn::If" in resource:
        resource = resource["Fn::If"][2]
    if "Ref" in resource:
        return str(resource["Ref"]).removesuffix(".Alias")
    if "Fn::GetAtt" in resource:
        return str(resource["Fn::GetAtt"][0])
    if "-restored-" in resource["Fn::Sub"]:
        return RESTORED
    return str(resource["Fn::Sub"]).replace("${", "").replace(".Arn}", "")


def needs(call: Call) -> Iterable[Need]:
    """The permissions that a call of a function needs; none for a call to Finch."""
    function = call.function.title().replace("_", "")
    if call.service == "finch":
        return []
    if call.operation == "TransactWriteItems":
        writes = [next(iter(write.items())) for write in call.arguments["TransactItems"]]
        return {
            Need(function, f"dynamodb:{_IN_TRANSACTIONS[verb]}", write["TableName"])
            for verb, write in writes
        }
    if call.operation == "ReEncrypt":
        purpose = call.arguments["SourceEncryptionContext"]["purpose"]
        return {
            Need(function, f"kms:ReEncrypt{end}", "TokenKey", purpose) for end in ("From", "To")
        }
    if call.operation in ("BatchGetItem", "BatchWriteItem"):
        tables = call.arguments["RequestItems"]
        return {Need(function, f"dynamodb:{call.operation}", table) for table in tables}
    service = "dynamodb" if call.service == "dynamodbstreams" else call.service
    action = f"{service}:{call.operation}"
    purpose = call.arguments.get("EncryptionContext", {}).get("purpose", "")
    return [Need(function, _ACTIONS.get(action, action), _resource(call), purpose)]


def _resource(call: Call) -> str:
    if call.service == "dynamodb":
        table, index = call.arguments["TableName"], call.arguments.get("IndexName")
        table = RESTORED if "-restored-" in table else table
        return f"{table}/index/{index}" if index else str(table)
    return {
        "dynamodbstreams": "ConnectionsTable/stream/*",
        "events": "EventBus",
        "kms": "ErasureKey" if call.operation == "GenerateMac" else "TokenKey",
        "lambda": "VendToken",
        "secretsmanager": "FinchSecret",
        "sqs": "WorkQueue",
    }[call.service]
