"""Typical: shared code of the three handlers, in the style of the best-known public Lambda template."""

import json
from functools import lru_cache

import boto3
import httpx
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.utilities import parameters
from pydantic import BaseModel, Field
from pydantic_settings import BaseSettings

logger = Logger(service="connections")
tracer = Tracer(service="connections")
metrics = Metrics(namespace="Connections", service="connections")


class Settings(BaseSettings):
    connections_table: str = Field(min_length=1)
    connect_sessions_table: str = Field(min_length=1)
    token_key_arn: str = Field(min_length=20)
    finch_secret_arn: str = Field(min_length=20)
    finch_api_url: str = Field(min_length=8)


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


@lru_cache
def settings() -> Settings:
    return Settings()


@lru_cache
def table(name: str):
    return boto3.resource("dynamodb").Table(name)


@lru_cache
def kms():
    return boto3.client("kms")


@lru_cache
def finch() -> httpx.Client:
    return httpx.Client(
        base_url=settings().finch_api_url, headers={"Finch-API-Version": "2020-09-17"}
    )


def secret() -> dict:
    text = parameters.get_secret(settings().finch_secret_arn, max_age=300)
    return json.loads(text)


def resolver() -> APIGatewayHttpResolver:
    return APIGatewayHttpResolver(enable_validation=True)


def customer_of(app: APIGatewayHttpResolver) -> str:
    return app.current_event.request_context.authorizer.jwt_claim["sub"]
