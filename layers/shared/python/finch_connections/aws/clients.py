"""Clients of AWS services, made once for each warm function, all in one session."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from botocore.config import Config
from botocore.credentials import CredentialResolver, EnvProvider
from botocore.handlers import BUILTIN_HANDLERS
from botocore.session import Session

from finch_connections.aws import failure_metrics

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient
    from mypy_boto3_events import EventBridgeClient
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
# The roots of Amazon Trust Services, in what is built: to parse all that the world trusts takes
# 20 ms for each client and again for each new connection.
_AMAZON = Path(__file__).parents[1] / "amazon.pem"


# How botocore's events name the services below.
SERVICE_IDS = {
    "dynamodb",
    "dynamodb-streams",
    "eventbridge",
    "kms",
    "secrets-manager",
    "sqs",
}


@cache
def _session() -> Session:
    """A session that is quickly made: without what botocore does for other services.

    Its handlers for these are four of five. Where the environment holds credentials, as in Lambda,
    none of the other places is made ready to be looked at, two of them with a client of their own.
    """
    session = Session(include_builtin_handlers=False)
    for handled in BUILTIN_HANDLERS:
        if of_ours(handled[0]):
            session.register(*handled)
    if EnvProvider().load():
        resolver = CredentialResolver([EnvProvider()])
        session.register_component("credential_provider", resolver)
    failure_metrics.watch(session)
    return session


def of_ours(event: str) -> bool:
    """Whether an event of botocore is of every service, or of one of ours."""
    _, _, service = event.partition(".")
    return not service or service.partition(".")[0] in SERVICE_IDS


@cache
def _trusted() -> str | None:
    """The store of who may vouch for AWS; None is botocore's own, of everybody.

    Who has named a store in botocore's settings has said whom to trust, and what AWS's other
    partitions show need not come from Amazon.
    """
    session = _session()
    region = session.get_config_variable("region")
    if session.get_config_variable("ca_bundle") or not region or not _AMAZON.exists():
        return None
    return str(_AMAZON) if session.get_partition_for_region(region) == "aws" else None


@overload
def client(service: Literal["dynamodb"]) -> "DynamoDBClient": ...
@overload
def client(service: Literal["dynamodbstreams"]) -> "DynamoDBStreamsClient": ...
@overload
def client(service: Literal["events"]) -> "EventBridgeClient": ...
@overload
def client(service: Literal["kms"]) -> "KMSClient": ...
@overload
def client(service: Literal["secretsmanager"]) -> "SecretsManagerClient": ...
@overload
def client(service: Literal["sqs"]) -> "SQSClient": ...
@cache
def client(service: str) -> Any:
    """The client of a service."""
    return _session().create_client(service, config=_CONFIG, verify=_trusted())
