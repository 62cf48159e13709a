"""The application's credentials at Finch and its webhook secrets, kept in Secrets Manager."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from finch_connections import settings
from finch_connections.aws import clients
from finch_connections.domain.secret import SecretText
from finch_connections.domain.webhook import SecretUnusable, WebhookSecret
from finch_connections.finch.errors import CredentialsUnreadable
from finch_connections.log import logger

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

# A changed secret is seen everywhere after this, at once where Finch refuses the old one.
_MAX_AGE_SECONDS = 300
# Anybody can send a signature that no secret of ours has made.
_AGAIN_SECONDS = 60


class Credentials(NamedTuple):
    """What Finch calls `client_id` and `client_secret`."""

    client_id: str
    client_secret: SecretText


class _Contents(NamedTuple):
    credentials: Credentials
    webhook_secrets: tuple[WebhookSecret, ...]


@dataclass(eq=False, repr=False)
class FinchSecret:
    """Reads the secret and keeps it for a bounded time; raises `CredentialsUnreadable`."""

    client: "SecretsManagerClient"
    arn: str
    clock: Callable[[], float] = time.monotonic
    _kept: tuple[float, _Contents] | None = field(default=None, init=False)
    _doubted_at: float | None = field(default=None, init=False)

    def credentials(self) -> Credentials:
        """The credentials, read again when they are older than five minutes."""
        return self._contents().credentials

    def read_again(self) -> Credentials:
        """The credentials as they are now: for when Finch does not know the kept ones."""
        return self._read().credentials

    def webhook_secrets(self) -> tuple[WebhookSecret, ...]:
        """What webhooks may be signed with, read again when it is older than five minutes."""
        return self._contents().webhook_secrets

    def webhook_secrets_again(self) -> tuple[WebhookSecret, ...]:
        """The same as it is now: for a webhook that is signed with none of the kept ones.

        The secret is read for this once a minute at most.
        """
        if self._doubted_at is None or self.clock() - self._doubted_at >= _AGAIN_SECONDS:
            self._doubted_at = self.clock()
            self._read()
        return self.webhook_secrets()

    def _contents(self) -> _Contents:
        if self._kept is not None and self.clock() - self._kept[0] < _MAX_AGE_SECONDS:
            return self._kept[1]
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
            # Not chained: a decoder's message would hold a piece of the secret.
            logger.error("finch secret unreadable", reason=type(error).__name__)
            raise CredentialsUnreadable from None
        contents = _Contents(
            Credentials(client_id, SecretText(client_secret)),
            _usable(secret.get("webhook_secrets")),
        )
        self._kept = (self.clock(), contents)
        return contents


def _usable(listed: object) -> tuple[WebhookSecret, ...]:
    """The webhook secrets of a list, without what is none: the credentials are good all the same."""
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
