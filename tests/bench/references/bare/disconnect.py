"""Bare: the least boto3 and httpx code that disconnects a connection, without framework or checks."""

import json
import os

import boto3
import httpx

TABLE = os.environ["CONNECTIONS_TABLE"]
dynamodb = boto3.client("dynamodb")
kms = boto3.client("kms")
finch = httpx.Client(
    base_url=os.environ["FINCH_API_URL"], headers={"Finch-API-Version": "2020-09-17"}
)


def handler(event, context):
    customer_id = event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"]
    provider_id, company_id = (
        event["pathParameters"][one] for one in ("provider_id", "company_id")
    )
    key = {
        "customer_id": {"S": customer_id},
        "provider_id#company_id": {"S": f"{provider_id}#{company_id}"},
    }
    item = dynamodb.get_item(TableName=TABLE, Key=key)["Item"]
    for ciphertext in item["ciphertexts"]["M"].values():
        token = kms.decrypt(
            KeyId=os.environ["TOKEN_KEY_ARN"],
            CiphertextBlob=ciphertext["B"],
            EncryptionContext={
                "purpose": "stored",
                "customer_id": customer_id,
                "provider_id": provider_id,
                "company_id": company_id,
            },
        )["Plaintext"].decode()
        finch.post("/disconnect", headers={"Authorization": f"Bearer {token}"}).raise_for_status()
    dynamodb.update_item(
        TableName=TABLE,
        Key=key,
        UpdateExpression="SET #status = :status REMOVE ciphertexts",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":status": {"S": "disconnected"}},
    )
    body = {"provider_id": provider_id, "company_id": company_id, "status": "disconnected"}
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(body),
    }
