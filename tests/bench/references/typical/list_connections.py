"""Typical: lists a customer's connections."""

from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from boto3.dynamodb.conditions import Key
from pydantic import BaseModel
from shared import (
    Connection,
    Login,
    customer_of,
    logger,
    metrics,
    resolver,
    settings,
    table,
    tracer,
)

app = resolver()


class Page(BaseModel):
    connections: list[Connection]


@app.get("/connections")
@tracer.capture_method
def list_connections() -> Page:
    customer_id = customer_of(app)
    metrics.add_metric(name="Listed", unit=MetricUnit.Count, value=1)
    found = table(settings().connections_table).query(
        KeyConditionExpression=Key("customer_id").eq(customer_id), Limit=50
    )
    return Page(connections=[view(item) for item in found["Items"]])


def view(item) -> Connection:
    provider_id, _, company_id = item["provider_id#company_id"].partition("#")
    return Connection(
        provider_id=provider_id,
        company_id=company_id,
        status=item["status"],
        created_at=item["created_at"],
        logins=[
            Login(
                id=token_id,
                connection_id=token["connection_id"],
                products=list(token["products"]),
                status=token["status"],
            )
            for token_id, token in item["tokens"].items()
        ],
    )


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
@tracer.capture_lambda_handler(capture_response=False)
def handler(event, context):
    return app.resolve(event, context)
