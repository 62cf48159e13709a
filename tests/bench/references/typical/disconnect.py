"""Typical: disconnects a connection."""

from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from shared import (
    Connection,
    customer_of,
    finch,
    kms,
    logger,
    metrics,
    resolver,
    settings,
    table,
    tracer,
)

app = resolver()


@app.delete("/connections/<provider_id>/<company_id>")
@tracer.capture_method
def disconnect(provider_id: str, company_id: str) -> Connection:
    customer_id = customer_of(app)
    metrics.add_metric(name="Disconnected", unit=MetricUnit.Count, value=1)
    rows = table(settings().connections_table)
    key = {"customer_id": customer_id, "provider_id#company_id": f"{provider_id}#{company_id}"}
    item = rows.get_item(Key=key).get("Item")
    if item is None:
        raise NotFoundError
    for ciphertext in item["ciphertexts"].values():
        token = (
            kms()
            .decrypt(
                KeyId=settings().token_key_arn,
                CiphertextBlob=ciphertext.value,
                EncryptionContext={
                    "purpose": "stored",
                    "customer_id": customer_id,
                    "provider_id": provider_id,
                    "company_id": company_id,
                },
            )["Plaintext"]
            .decode()
        )
        finch().post("/disconnect", headers={"Authorization": f"Bearer {token}"}).raise_for_status()
    rows.update_item(
        Key=key,
        UpdateExpression="SET #status = :status REMOVE ciphertexts",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":status": "disconnected"},
    )
    logger.info("disconnected", extra={"provider_id": provider_id})
    return Connection(provider_id=provider_id, company_id=company_id, status="disconnected")


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
@tracer.capture_lambda_handler(capture_response=False)
def handler(event, context):
    return app.resolve(event, context)
