"""Naive: what the three handlers share; everything is imported, and made anew for each request."""

import json
import os

import boto3
import finch
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from pydantic import BaseModel

logger = Logger(service="connections")
tracer = Tracer(service="connections")
metrics = Metrics(namespace="Connections", service="connections")


class Login(BaseModel):
    id: str
    connection_id: str
    products: list[str]
    status: str


class Connection(BaseModel):
    provider_id: str
    company_id: str
    status: str
    created_at: str | None = None
    logins: list[Login] = []


def table(name: str):
    return boto3.resource("dynamodb").Table(os.environ[name])


def kms():
    return boto3.client("kms")


def finch_client(token: str | None = None) -> finch.Finch:
    answer = boto3.client("secretsmanager").get_secret_value(
        SecretId=os.environ["FINCH_SECRET_ARN"]
    )
    secret = json.loads(answer["SecretString"])
    return finch.Finch(
        base_url=os.environ["FINCH_API_URL"],
        client_id=secret["client_id"],
        client_secret=secret["client_secret"],
        access_token=token,
        max_retries=0,
    )


def resolver() -> APIGatewayHttpResolver:
    return APIGatewayHttpResolver(enable_validation=True)


def customer_of(app: APIGatewayHttpResolver) -> str:
    return app.current_event.request_context.authorizer.jwt_claim["sub"]
