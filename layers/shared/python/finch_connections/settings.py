"""The settings. No other module reads environment variables."""

import os
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple


class SettingMissing(Exception):
    """An environment variable is missing. The message names it."""


# Not a dataclass: this saves two thirds of the time to define the class at every cold start.
class Settings(NamedTuple):
    """One field for each environment variable, in lower case. No field has a default."""

    connections_table: str
    connect_sessions_table: str
    ownership_table: str
    audit_table: str
    work_queue_url: str
    event_bus: str
    token_key_arn: str
    old_token_key_arn: str
    erasure_key_arn: str
    finch_secret_arn: str
    finch_api_url: str
    finch_sandbox: str
    api_url: str
    return_urls: str
    connect_modes: str
    customer_claim: str
    checks_per_minute: str
    attempts_per_customer: str
    idle_days: str
    max_connections: str

    @property
    def allowed_return_urls(self) -> tuple[str, ...]:
        """The pages that customers may return to. The first is the default if no session is found."""
        return tuple(self.return_urls.split(","))

    @property
    def allowed_modes(self) -> tuple[str, ...]:
        """The modes in which a connect session may start."""
        return tuple(self.connect_modes.split(","))

    def callback_url(self, domain: str) -> str:
        """The URL to which Finch redirects the browser, on `API_URL` or else on the domain of the request."""
        return f"{self.api_url or f'https://{domain}'}/callback"


def started_by_lambda() -> str | None:
    """How Lambda started this function, for example `on-demand`; None outside Lambda, as in a test."""
    return os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE")


@cache
def read() -> Settings:
    """The settings of this function. Raises `SettingMissing`."""
    return Settings(**_variables(Settings._fields))


@cache
def called_paths() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The paths of Finch that other backends may read, and change. Only CallFinch has these variables."""
    names = ("call_finch_reads", "call_finch_writes")
    reading, writing = _variables(names).values()
    return tuple(reading.split(",")), tuple(writing.split(","))


def _variables(names: Iterable[str]) -> dict[str, str]:
    try:
        return {name: os.environ[name.upper()] for name in names}
    except KeyError as error:
        raise SettingMissing(f"The environment variable {error.args[0]} is not set.") from None
