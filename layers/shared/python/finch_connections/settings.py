"""The only reader of the environment."""

import os
from functools import cache
from typing import NamedTuple


class SettingMissing(Exception):
    """A variable that the template sets is not there; the message names it."""


# A tuple of so many fields is made in a third of the time that a dataclass takes, at every cold start.
class Settings(NamedTuple):
    """One field for each variable, by its name in lower case. None has a default."""

    connections_table: str
    connect_sessions_table: str
    ownership_table: str
    audit_table: str
    work_queue_url: str
    event_bus: str
    token_key_arn: str
    old_token_key_arn: str
    finch_secret_arn: str
    finch_api_url: str
    finch_sandbox: str
    api_url: str
    return_urls: str
    customer_claim: str
    checks_per_minute: str

    @property
    def allowed_return_urls(self) -> tuple[str, ...]:
        """The pages that a person may come back to; the first also takes whoever has no session."""
        return tuple(self.return_urls.split(","))

    def callback_url(self, domain: str) -> str:
        """Where Finch sends the browser: at `API_URL`, or at the domain that the request came to."""
        return f"{self.api_url or f'https://{domain}'}/callback"


def started_by_lambda() -> str | None:
    """How Lambda has started this function, such as `on-demand`; None where it did not, as in a test."""
    return os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE")


@cache
def read() -> Settings:
    """The settings of this function; raises `SettingMissing`."""
    return Settings(**_variables())


def _variables() -> dict[str, str]:
    try:
        return {name: os.environ[name.upper()] for name in Settings._fields}
    except KeyError as error:
        raise SettingMissing(f"The environment variable {error.args[0]} is not set.") from None
