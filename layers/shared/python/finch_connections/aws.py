"""Clients of AWS services, made once for each warm function, all in one session."""

from functools import cache
from typing import TYPE_CHECKING, Any, Literal, overload

import botocore.session
from botocore.config import Config

from finch_connections import aws_failures

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

CONNECT_SECONDS = 1.0
READ_SECONDS = 3.0
ATTEMPTS = 2
# A function that is invoked answers, or fails, before this: it is not invoked twice for being slow.
INVOKE_READ_SECONDS = 35.0
# A call that hangs must leave time for the answer that says so, or for the token to be kept.
_CONFIG = Config(
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
)
_INVOKE_CONFIG = _CONFIG.merge(Config(read_timeout=INVOKE_READ_SECONDS))


@cache
def _session() -> botocore.session.Session:
    session = botocore.session.get_session()
    aws_failures.watch(session)
    return session


@overload
def client(service: Literal["dynamodb"]) -> "DynamoDBClient": ...
@overload
def client(service: Literal["dynamodbstreams"]) -> "DynamoDBStreamsClient": ...
@overload
def client(service: Literal["events"]) -> "EventBridgeClient": ...
@overload
def client(service: Literal["kms"]) -> "KMSClient": ...
@overload
def client(service: Literal["lambda"]) -> "LambdaClient": ...
@overload
def client(service: Literal["secretsmanager"]) -> "SecretsManagerClient": ...
@overload
def client(service: Literal["sqs"]) -> "SQSClient": ...
@cache
def client(service: str) -> Any:
    """The client of a service."""
    config = _INVOKE_CONFIG if service == "lambda" else _CONFIG
    return _session().create_client(service, config=config)
