"""IAM: actions, resources and condition keys that MiniStack does not fill in.

Without a condition key, a statement that has the condition either never allows the call (KMS) or
does not narrow it (`ForAllValues`).
"""

import json
import re
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.services import dynamodb, dynamodb_streams

from local.aws_emulator import Json

DESTINATION_KEY = "local:DestinationKeyId"
PATH_IN_EXPRESSION = re.compile(r"(?<![\w:#.])(#?[A-Za-z_][\w]*)\s*(\()?")
EXPRESSIONS = (
    "ProjectionExpression",
    "KeyConditionExpression",
    "FilterExpression",
    "ConditionExpression",
    "UpdateExpression",
)
NOT_ATTRIBUTES = {
    *("and", "or", "not", "in", "between", "set", "remove", "add", "delete"),
}

original_tag_context = iam_actions.request_tag_context
original_action = iam_actions.extract_iam_action
original_resource = iam_actions.extract_resource_arn
original_table_context = iam_actions.dynamodb_service_context
original_enforce = iam_evaluator.enforce


def request_context(service: str, iam_action: str, body: bytes, params: Json) -> Json:
    """The condition keys of a request, with those of KMS's encryption context.

    MiniStack fills in none for KMS. AWS has `kms:EncryptionContext:<name>` and
    `kms:EncryptionContextKeys` ("AWS KMS condition keys" in KMS's guide).
    """
    context: Json = original_tag_context(service, iam_action, body, params)
    if service == "kms":
        request = json.loads(body or b"{}")
        encryption_context = (
            request.get("EncryptionContext") or request.get("SourceEncryptionContext") or {}
        )
        if destination := request.get("DestinationKeyId"):
            context[DESTINATION_KEY] = destination
        for name, value in encryption_context.items():
            context[f"kms:EncryptionContext:{name}"] = value
        if encryption_context:
            context["kms:EncryptionContextKeys"] = list(encryption_context)
    return context


def action(service: str, *arguments: Any) -> str | None:
    """The action that a request needs.

    MiniStack looks for `sqs:SendMessageBatch`, which does not exist. In AWS a batch needs the
    permission for a single message ("Amazon SQS API permissions" in SQS's guide).
    """
    found: str | None = original_action(service, *arguments)
    return found.removesuffix("Batch") if service == "sqs" and found else found


def enforce(
    access_key: str,
    iam_action: str,
    service: str,
    region: str,
    resource_arn: str = "*",
    service_context: Json | None = None,
) -> Any:
    """Refuses a request that a caller may not make.

    MiniStack checks `kms:ReEncrypt`. In AWS that operation needs `kms:ReEncryptFrom` on the first key
    and `kms:ReEncryptTo` on the second ("ReEncrypt" in the KMS API Reference).
    """
    context = service_context or {}
    if iam_action != "kms:ReEncrypt":
        return original_enforce(
            access_key, iam_action, service, region, resource_arn, service_context
        )
    return original_enforce(
        access_key, "kms:ReEncryptFrom", service, region, resource_arn, context
    ) or original_enforce(
        access_key, "kms:ReEncryptTo", service, region, context.get(DESTINATION_KEY, "*"), context
    )


def resource(service: str, *arguments: Any) -> str:
    """The ARN of the resource of a request.

    MiniStack requires a permission for `*` to read a stream, so a role for a single stream may not read
    it. AWS requires a permission for that stream ("Actions, resources, and condition keys for Amazon
    DynamoDB" in the Service Authorization Reference).
    """
    if service == "dynamodbstreams":
        request = json.loads(arguments[3] or b"{}")
        iterator = dynamodb_streams._decode_iterator(request.get("ShardIterator") or "") or {}
        if arn := request.get("StreamArn") or iterator.get("arn"):
            return str(arn)
    return str(original_resource(service, *arguments))


def named_attributes(request: Json) -> list[str]:
    """The top-level attributes that a part of a DynamoDB request names in keys and expressions."""
    names = request.get("ExpressionAttributeNames") or {}
    found = {*(request.get("Key") or {}), *(request.get("Item") or {})}
    for expression in EXPRESSIONS:
        for name, is_call in PATH_IN_EXPRESSION.findall(request.get(expression) or ""):
            if not is_call and name.lower() not in NOT_ATTRIBUTES:
                found.add(names.get(name, name))
    return sorted(found)


def partition_key_values(request: Json) -> list[str]:
    """The partition key values that a part of a DynamoDB request names."""
    table = dynamodb._tables.get(request.get("TableName", "").rpartition("/")[2])
    if table is None:
        return []
    schema = table["KeySchema"]
    for index in table.get("GlobalSecondaryIndexes") or []:
        if index["IndexName"] == request.get("IndexName"):
            schema = index["KeySchema"]
    partition_key = next(key["AttributeName"] for key in schema if key["KeyType"] == "HASH")
    stated = (request.get("Key") or request.get("Item") or {}).get(partition_key)
    if stated is None:
        names = request.get("ExpressionAttributeNames") or {}
        values = request.get("ExpressionAttributeValues") or {}
        condition = request.get("KeyConditionExpression") or ""
        for name, placeholder in re.findall(r"(#?\w+)\s*=\s*(:\w+)", condition):
            if names.get(name, name) == partition_key:
                stated = values.get(placeholder)
    return [str(value) for value in (stated or {}).values()]


def dynamodb_context(body: bytes) -> Json:
    """The condition keys of a DynamoDB request, also of each part of a transaction.

    MiniStack fills in `dynamodb:Attributes` from a projection only, and no `dynamodb:LeadingKeys`. AWS
    takes both from every key and expression ("Using IAM policy conditions for fine-grained access
    control" in DynamoDB's guide).
    """
    context: Json = original_table_context(body)
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return context
    parts = [request]
    for item in request.get("TransactItems") or []:
        parts += [part for part in item.values() if isinstance(part, dict)]
    attributes = [name for part in parts for name in named_attributes(part)]
    leading_keys = [value for part in parts for value in partition_key_values(part)]
    if attributes:
        context["dynamodb:Attributes"] = attributes
    if leading_keys:
        context["dynamodb:LeadingKeys"] = leading_keys
    return context


def patch() -> None:
    iam_actions.request_tag_context = request_context
    iam_actions.extract_iam_action = action
    iam_actions.extract_resource_arn = resource
    iam_actions.dynamodb_service_context = dynamodb_context
    iam_evaluator.enforce = enforce
