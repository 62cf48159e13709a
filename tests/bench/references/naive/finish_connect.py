"""Naive: finishes a connection, with the official Finch SDK."""

import os
from hashlib import sha256
from typing import Annotated
from urllib.parse import urlencode

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from shared import finch_client, kms, logger, metrics, resolver, table, tracer

app = resolver()


@app.get("/callback")
@tracer.capture_method
def finish_connect(code: Annotated[str, Query()], state: Annotated[str, Query()]) -> Response[str]:
    metrics.add_metric(name="Finished", unit=MetricUnit.Count, value=1)
    handle_hash = sha256(state.encode()).hexdigest()
    session = table("CONNECT_SESSIONS_TABLE").get_item(Key={"handle_hash": handle_hash})["Item"]
    client = finch_client()
    granted = client.access_tokens.create(
        code=code,
        redirect_uri=session["redirect_uri"],
        client_id=client.client_id,
        client_secret=client.client_secret,
    )
    known = finch_client(granted.access_token).account.introspect()
    sealed = kms().encrypt(
        KeyId=os.environ["TOKEN_KEY_ARN"], Plaintext=granted.access_token.encode()
    )["CiphertextBlob"]
    table("CONNECTIONS_TABLE").put_item(
        Item={
            "customer_id": session["customer_id"],
            "provider_id#company_id": f"{granted.provider_id}#{granted.company_id}",
            "status": known.connection_status.status,
            "products": set(granted.products),
            "connection_id": granted.connection_id,
            "ciphertexts": sealed,
        }
    )
    logger.info("connected", extra={"connection_id": granted.connection_id})
    outcome = {
        "status": "connected",
        "provider_id": granted.provider_id,
        "company_id": granted.company_id,
    }
    location = f"{session['return_to']}?{urlencode(outcome)}"
    return Response(status_code=302, body="", headers={"location": location})


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
@tracer.capture_lambda_handler(capture_response=False)
def handler(event, context):
    return app.resolve(event, context)
