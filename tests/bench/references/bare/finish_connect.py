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
    token = finch.post(
        "/auth/token",
        json={
            "client_id": secret["client_id"],
            "client_secret": secret["client_secret"],
            "code": query["code"],
            "redirect_uri": session["redirect_uri"]["S"],
        },
    ).json()
    known = finch.get(
        "/introspect", headers={"Authorization": f"Bearer {token['access_token']}"}
    ).json()
    ciphertext = kms.encrypt(
        KeyId=os.environ["TOKEN_KEY_ARN"], Plaintext=token["access_token"].encode()
    )["CiphertextBlob"]
    customer_id = session["customer_id"]["S"]
    dynamodb.put_item(
        TableName=os.environ["CONNECTIONS_TABLE"],
        Item={
            "customer_id": {"S": customer_id},
            "provider_id#company_id": {"S": f"{token['provider_id']}#{token['company_id']}"},
            "status": {"S": known["connection_status"]["status"]},
            "products": {"SS": token["products"]},
            "connection_id": {"S": token["connection_id"]},
            "ciphertexts": {"B": ciphertext},
        },
    )
    outcome = {
        "status": "connected",
        "provider_id": token["provider_id"],
        "company_id": token["company_id"],
    }
    return {
        "statusCode": 302,
        "headers": {"location": f"{session['return_to']['S']}?{urlencode(outcome)}"},
    }
