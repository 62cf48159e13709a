"""The application's credentials at Finch, kept in Secrets Manager."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from finch_connections import aws, settings
from finch_connections.finch_failure import CredentialsUnreadable
from finch_connections.log import logger
from finch_connections.secret_text import SecretText

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

# A changed secret is seen everywhere after this, at once where Finch refuses the old one.
_MAX_AGE_SECONDS = 300


@dataclass(frozen=True)
class Credentials:
    """What Finch calls `client_id` and `client_secret`."""

    client_id: str
    client_secret: SecretText


@dataclass
class FinchSecret:
    """Reads the secret and keeps it for a bounded time; raises `CredentialsUnreadable`."""

    client: "SecretsManagerClient"
    arn: str
    clock: Callable[[], float] = time.monotonic
    _kept: tuple[float, Credentials] | None = field(default=None, init=False, repr=False)

    def credentials(self) -> Credentials:
        """The credentials, read again when they are older than five minutes."""
        if self._kept is not None and self.clock() - self._kept[0] < _MAX_AGE_SECONDS:
            return self._kept[1]
        return self.read_again()

    def read_again(self) -> Credentials:
        """The credentials as they are now: for when Finch does not know the kept ones."""
        try:
            answer = self.client.get_secret_value(SecretId=self.arn)
            secret = json.loads(answer["SecretString"])
            client_id, client_secret = secret["client_id"], secret["client_secret"]
            if not (isinstance(client_id, str) and isinstance(client_secret, str)):
                raise TypeError
            if not (client_id and client_secret):
                raise ValueError
        except (BotoCoreError, ClientError, ValueError, LookupError, TypeError) as error:
            # Not chained: a decoder's message would hold a piece of the secret.
            logger.error("finch secret unreadable", reason=type(error).__name__)
            raise CredentialsUnreadable from None
        credentials = Credentials(client_id, SecretText(client_secret))
        self._kept = (self.clock(), credentials)
        return credentials


@cache
def connect() -> FinchSecret:
    """The deployed secret."""
    return FinchSecret(aws.client("secretsmanager"), settings.read().finch_secret_arn)
