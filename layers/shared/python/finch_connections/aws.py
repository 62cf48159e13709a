"""Clients of AWS services, made once for each warm function, all in one session."""

from functools import cache
from typing import TYPE_CHECKING, Any, Literal, overload

import botocore.session
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

CONNECT_SECONDS = 1.0
READ_SECONDS = 3.0
ATTEMPTS = 2
# A call that hangs must leave time for the answer that says so, or for the token to be kept.
_CONFIG = Config(
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
)


@cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


@overload
def client(service: Literal["dynamodb"]) -> "DynamoDBClient": ...
@overload
def client(service: Literal["kms"]) -> "KMSClient": ...
@overload
def client(service: Literal["secretsmanager"]) -> "SecretsManagerClient": ...
@overload
def client(service: Literal["sqs"]) -> "SQSClient": ...
@cache
def client(service: str) -> Any:
    """The client of a service."""
    return _session().create_client(service, config=_CONFIG)
