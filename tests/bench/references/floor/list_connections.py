"""Floor: lists a customer's connections."""

import json
import os

from shared import aws


def handler(event, context):
    customer_id = event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"]
    found = aws(
        "dynamodb",
        "Query",
        TableName=os.environ["CONNECTIONS_TABLE"],
        KeyConditionExpression="customer_id = :customer",
        ExpressionAttributeValues={":customer": {"S": customer_id}},
        Limit=50,
    )
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps({"connections": [view(item) for item in found["Items"]]}),
    }


def view(item):
    provider_id, _, company_id = item["provider_id#company_id"]["S"].partition("#")
    return {
        "provider_id": provider_id,
        "company_id": company_id,
        "status": item["status"]["S"],
        "created_at": item["created_at"]["S"],
        "logins": [
            {
                "id": token_id,
                "connection_id": token["M"]["connection_id"]["S"],
                "products": token["M"]["products"]["SS"],
                "status": token["M"]["status"]["S"],
            }
            for token_id, token in item["tokens"]["M"].items()
        ],
    }
