"""The calls to Finch for display names: of its providers, and of the company behind a token."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from finch_connections.domain.display_name import icon_url, readable
from finch_connections.domain.secret import SecretText
from finch_connections.finch import client as finch_client
from finch_connections.finch.client import FinchClient, bearer
from finch_connections.finch.errors import RateLimited, UnknownAnswer

# No caller waits for a name, and the function has other work items to process.
READ_SECONDS = 5.0
# The list of providers is long and rarely changes.
_KEPT_SECONDS = 86_400.0
# Finch limits the calls for each product by the minute ("Rate limits" in its reference).
_REST_SECONDS = 60.0


class Provider(NamedTuple):
    """The name of a provider and the URL of its icon. A text is empty if Finch has none that we show."""

    name: str = ""
    icon: str = ""


@dataclass
class NamesApi:
    """Asks Finch for names. Each method raises `FinchFailure`: a 202 raises `UnknownAnswer`."""

    finch: FinchClient
    clock: Callable[[], float] = time.time
    _providers: Mapping[str, Provider] = field(default_factory=dict)
    _read_at: float = float("-inf")
    _rest_until: float = float("-inf")

    def of_provider(self, provider_id: str) -> Provider | None:
        """The name and icon of a provider, or None if Finch does not list it (`GET /providers`)."""
        if self.clock() - self._read_at > _KEPT_SECONDS:
            answer = self.finch.call("GET", "/providers", read_seconds=READ_SECONDS)
            named = map(_provider, answer) if isinstance(answer, list) else ()
            providers = dict(filter(None, named))
            if not providers:
                raise UnknownAnswer
            self._providers, self._read_at = providers, self.clock()
        return self._providers.get(provider_id)

    def of_company(self, token: SecretText) -> str | None:
        """The legal name of a token's company, or None (`GET /employer/company`).

        Reads no other field of the response, because it contains account numbers. For a minute after a
        429, raises `RateLimited` without a call.
        """
        if self.clock() < self._rest_until:
            raise RateLimited
        try:
            answer = self.finch.call(
                "GET", "/employer/company", headers=bearer(token), read_seconds=READ_SECONDS
            )
        except RateLimited:
            self._rest_until = self.clock() + _REST_SECONDS
            raise
        if not isinstance(answer, dict):
            raise UnknownAnswer
        return readable(answer.get("legal_name"))


def _provider(entry: Any) -> tuple[str, Provider] | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
        return None
    name = readable(entry.get("display_name"))
    icon = icon_url(entry.get("icon")) or icon_url(entry.get("logo"))
    return (entry["id"], Provider(name, icon or "")) if name else None


@cache
def from_settings() -> NamesApi:
    """The names from the Finch API that the template names."""
    return NamesApi(finch_client.from_settings())
