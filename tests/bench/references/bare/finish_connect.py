"""Bare: the least boto3 and httpx code that finishes a connection, without framework or checks."""

import json
import os
from hashlib import sha256
from urllib.parse import urlencode

import boto3
import httpx

dynamodb = boto3.client("dynamodb")
kms = boto3.client("kms")
finch = httpx.Client(
    base_url=os.environ["FINCH_API_URL"], headers={"Finch-API-Version": "2020-09-17"}
)
secret = json.loads(
    boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["FINCH_SECRET_ARN"])[
        "SecretString"
    ]
)


def handler(event, context):
    query = event["queryStringParameters"]
    handle_hash = sha256(query["state"].encode()).hexdigest()
    session = dynamodb.get_item(
        TableName=os.environ["CONNECT_SESSIONS_TABLE"], Key={"handle_hash": {"S": handle_hash}}
    )["Item"]
    granted = finch.post(
        "/auth/token",
        json={
            "client_id": secret["client_id"],
            "client_secret": secret["client_secret"],
            "code": query["code"],
            "redirect_uri": session["redirect_uri"]["S"],
        },
    ).json()
    known = finch.get(
        "/introspect", headers={"Authorization": f"Bearer {granted['access_token']}"}
    ).json()
    sealed = kms.encrypt(
        KeyId=os.environ["TOKEN_KEY_ARN"], Plaintext=granted["access_token"].encode()
    )["CiphertextBlob"]
    customer_id = session["customer_id"]["S"]
    dynamodb.put_item(
        TableName=os.environ["CONNECTIONS_TABLE"],
        Item={
            "customer_id": {"S": customer_id},
            "provider_id#company_id": {"S": f"{granted['provider_id']}#{granted['company_id']}"},
            "status": {"S": known["connection_status"]["status"]},
            "products": {"SS": granted["products"]},
            "connection_id": {"S": granted["connection_id"]},
            "ciphertexts": {"B": sealed},
        },
    )
    outcome = {
        "status": "connected",
        "provider_id": granted["provider_id"],
        "company_id": granted["company_id"],
    }
    return {
        "statusCode": 302,
        "headers": {"location": f"{session['return_to']['S']}?{urlencode(outcome)}"},
    }
