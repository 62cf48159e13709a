"""Clients of AWS services, all from one session, and created once for each warm function."""

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
# A call that hangs must leave time to report the error, or to store the token. botocore limits each
# pause of a response, not the whole. That is enough: we trust AWS, and its responses are small.
_CONFIG = Config(
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
)
# The root certificates of Amazon Trust Services, which exist only in a build. To parse all of
# certifi's takes 20 ms for each client and for each new connection.
_AMAZON = Path(__file__).parents[1] / "amazon.pem"


# The names of the services below in botocore's events.
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
    """A session without the event handlers of services that we do not use, because it starts faster.

    Four of five handlers of botocore are for other services. If the environment has credentials, as in
    Lambda, the session has no other credential provider; two of those would create a client. It has none
    with SnapStart: there, botocore fetches credentials from Lambda, and again before they end.
    """
    session = Session(include_builtin_handlers=False)
    for handled in BUILTIN_HANDLERS:
        if for_our_services(handled[0]):
            session.register(*handled)
    if EnvProvider().load():
        resolver = CredentialResolver([EnvProvider()])
        session.register_component("credential_provider", resolver)
    failure_metrics.watch(session)
    return session


def for_our_services(event: str) -> bool:
    """Whether an event of botocore is for all services or for a service that we use."""
    _, _, service = event.partition(".")
    return not service or service.partition(".")[0] in SERVICE_IDS


@cache
def _trusted() -> str | None:
    """The file with the root certificates to trust; None for botocore's default, which has all roots.

    A CA bundle in botocore's settings wins. Endpoints in other AWS partitions may have certificates
    that are not from Amazon.
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
