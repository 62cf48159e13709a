"""Typical: finishes a connection."""

from hashlib import sha256
from typing import Annotated
from urllib.parse import urlencode

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from pydantic import BaseModel
from shared import finch, kms, logger, metrics, resolver, secret, settings, table, tracer

app = resolver()


class TokenResponse(BaseModel):
    access_token: str
    connection_id: str
    provider_id: str
    company_id: str
    products: list[str]


class Status(BaseModel):
    status: str


class Introspected(BaseModel):
    id: str
    client_id: str
    connection_id: str
    connection_status: Status


@app.get("/callback")
@tracer.capture_method
def finish_connect(code: Annotated[str, Query()], state: Annotated[str, Query()]) -> Response[str]:
    metrics.add_metric(name="Finished", unit=MetricUnit.Count, value=1)
    handle_hash = sha256(state.encode()).hexdigest()
    session = table(settings().connect_sessions_table).get_item(Key={"handle_hash": handle_hash})[
        "Item"
    ]
    application = secret()
    answer = finch().post(
        "/auth/token",
        json={
            "client_id": application["client_id"],
            "client_secret": application["client_secret"],
            "code": code,
            "redirect_uri": session["redirect_uri"],
        },
    )
    token = TokenResponse.model_validate(answer.raise_for_status().json())
    answer = finch().get("/introspect", headers={"Authorization": f"Bearer {token.access_token}"})
    known = Introspected.model_validate(answer.raise_for_status().json())
    ciphertext = kms().encrypt(
        KeyId=settings().token_key_arn, Plaintext=token.access_token.encode()
    )["CiphertextBlob"]
    table(settings().connections_table).put_item(
        Item={
            "customer_id": session["customer_id"],
            "provider_id#company_id": f"{token.provider_id}#{token.company_id}",
            "status": known.connection_status.status,
            "products": set(token.products),
            "connection_id": token.connection_id,
            "ciphertexts": ciphertext,
        }
    )
    logger.info("connected", extra={"connection_id": token.connection_id})
    outcome = {
        "status": "connected",
        "provider_id": token.provider_id,
        "company_id": token.company_id,
    }
    location = f"{session['return_to']}?{urlencode(outcome)}"
    return Response(status_code=302, body="", headers={"location": location})


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
@tracer.capture_lambda_handler(capture_response=False)
def handler(event, context):
    return app.resolve(event, context)
