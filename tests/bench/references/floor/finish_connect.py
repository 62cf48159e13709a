"""Floor: finishes a connection."""

import base64
import json
import os
from hashlib import sha256
from urllib.parse import urlencode

from shared import aws, finch

secret = {}


def handler(event, context):
    if not secret:
        answer = aws("secretsmanager", "GetSecretValue", SecretId=os.environ["FINCH_SECRET_ARN"])
        secret.update(json.loads(answer["SecretString"]))
    query = event["queryStringParameters"]
    handle_hash = sha256(query["state"].encode()).hexdigest()
    session = aws(
        "dynamodb",
        "GetItem",
        TableName=os.environ["CONNECT_SESSIONS_TABLE"],
        Key={"handle_hash": {"S": handle_hash}},
    )["Item"]
    granted = finch(
        "POST",
        "/auth/token",
        {
            "client_id": secret["client_id"],
            "client_secret": secret["client_secret"],
            "code": query["code"],
            "redirect_uri": session["redirect_uri"]["S"],
        },
    )
    bearer = {"authorization": f"Bearer {granted['access_token']}"}
    known = finch("GET", "/introspect", headers=bearer)
    sealed = aws(
        "kms",
        "Encrypt",
        KeyId=os.environ["TOKEN_KEY_ARN"],
        Plaintext=base64.b64encode(granted["access_token"].encode()).decode(),
    )["CiphertextBlob"]
    aws(
        "dynamodb",
        "PutItem",
        TableName=os.environ["CONNECTIONS_TABLE"],
        Item={
            "customer_id": session["customer_id"],
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
