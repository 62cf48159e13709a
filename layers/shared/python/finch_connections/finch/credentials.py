"""The application's credentials at Finch and its webhook secrets, from Secrets Manager."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from finch_connections import settings
from finch_connections.aws import clients
from finch_connections.domain.secret import SecretText, SecretUnusable, WebhookSecret
from finch_connections.finch.errors import CredentialsUnreadable
from finch_connections.log import logger

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

# All functions use a changed secret after this time, or at once if Finch refuses the old credentials.
_MAX_AGE_SECONDS = 300
# A limit for reads that a request can cause, because any caller can send a wrong signature.
_AGAIN_SECONDS = 60


class Credentials(NamedTuple):
    """Finch's `client_id` and `client_secret`."""

    client_id: str
    client_secret: SecretText


class _Contents(NamedTuple):
    credentials: Credentials
    webhook_secrets: tuple[WebhookSecret, ...]


@dataclass(eq=False, repr=False)
class FinchSecret:
    """Reads the secret and caches it for five minutes. Each method raises `CredentialsUnreadable`."""

    client: "SecretsManagerClient"
    arn: str
    # Not the monotonic clock, which may stand still while Lambda has frozen the function.
    clock: Callable[[], float] = time.time
    _cached: tuple[float, _Contents] | None = field(default=None, init=False)
    _read_again_at: float | None = field(default=None, init=False)

    def credentials(self) -> Credentials:
        """The cached credentials."""
        return self._contents().credentials

    def read_again(self) -> Credentials:
        """The current credentials, for use after Finch has refused the cached credentials."""
        return self._read().credentials

    def webhook_secrets(self) -> tuple[WebhookSecret, ...]:
        """The cached secrets that sign webhooks."""
        return self._contents().webhook_secrets

    def webhook_secrets_again(self) -> tuple[WebhookSecret, ...]:
        """The current webhook secrets, for a webhook that matches none of the cached secrets.

        Reads the secret at most once a minute.
        """
        if self._read_again_at is None or self.clock() - self._read_again_at >= _AGAIN_SECONDS:
            self._read_again_at = self.clock()
            self._read()
        return self.webhook_secrets()

    def _contents(self) -> _Contents:
        if self._cached is not None and self.clock() - self._cached[0] < _MAX_AGE_SECONDS:
            return self._cached[1]
        return self._read()

    def _read(self) -> _Contents:
        try:
            answer = self.client.get_secret_value(SecretId=self.arn)
            secret = json.loads(answer["SecretString"])
            client_id, client_secret = secret["client_id"], secret["client_secret"]
            if not (isinstance(client_id, str) and isinstance(client_secret, str)):
                raise TypeError
            if not (client_id and client_secret):
                raise ValueError
        except (BotoCoreError, ClientError, ValueError, LookupError, TypeError) as error:
            # Not chained: a decoder's message contains a part of the secret.
            logger.error("finch secret unreadable", reason=type(error).__name__)
            raise CredentialsUnreadable from None
        contents = _Contents(
            Credentials(client_id, SecretText(client_secret)),
            _usable(secret.get("webhook_secrets")),
        )
        self._cached = (self.clock(), contents)
        return contents


def _usable(listed: object) -> tuple[WebhookSecret, ...]:
    """The usable webhook secrets in a list. An unusable entry must not make the credentials unusable."""
    if listed is not None and not isinstance(listed, list):
        logger.error("webhook secrets unusable", reason="not a list")
        return ()
    secrets = []
    for place, text in enumerate(listed or ()):
        try:
            secrets.append(WebhookSecret.read(text))
        except SecretUnusable:
            logger.error("webhook secret unusable", place=place)
    return tuple(secrets)


@cache
def from_settings() -> FinchSecret:
    """The deployed secret."""
    return FinchSecret(clients.client("secretsmanager"), settings.read().finch_secret_arn)
