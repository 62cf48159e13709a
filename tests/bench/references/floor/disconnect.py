"""Floor: disconnects a connection."""

import base64
import json
import os

from shared import aws, finch


def handler(event, context):
    table = os.environ["CONNECTIONS_TABLE"]
    customer_id = event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"]
    provider_id, company_id = (
        event["pathParameters"][one] for one in ("provider_id", "company_id")
    )
    key = {
        "customer_id": {"S": customer_id},
        "provider_id#company_id": {"S": f"{provider_id}#{company_id}"},
    }
    item = aws("dynamodb", "GetItem", TableName=table, Key=key)["Item"]
    for sealed in item["ciphertexts"]["M"].values():
        opened = aws(
            "kms",
            "Decrypt",
            KeyId=os.environ["TOKEN_KEY_ARN"],
            CiphertextBlob=sealed["B"],
            EncryptionContext={
                "purpose": "stored",
                "customer_id": customer_id,
                "provider_id": provider_id,
                "company_id": company_id,
            },
        )
        token = base64.b64decode(opened["Plaintext"]).decode()
        finch("POST", "/disconnect", headers={"authorization": f"Bearer {token}"})
    aws(
        "dynamodb",
        "UpdateItem",
        TableName=table,
        Key=key,
        UpdateExpression="SET #status = :status REMOVE sealed",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":status": {"S": "disconnected"}},
    )
    body = {"provider_id": provider_id, "company_id": company_id, "status": "disconnected"}
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(body),
    }
