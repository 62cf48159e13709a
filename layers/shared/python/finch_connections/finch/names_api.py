"""What Finch calls things: its providers, and the company behind a token."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from finch_connections.domain.display_name import readable
from finch_connections.domain.secret import SecretText
from finch_connections.finch import client as finch_client
from finch_connections.finch.client import FinchClient, bearer
from finch_connections.finch.errors import RateLimited, UnknownAnswer

# Nobody waits for a name, and a task has more to do.
READ_SECONDS = 5.0
# The list of providers is long and hardly changes.
_KEPT_SECONDS = 86_400.0
# Finch counts the calls of one product by the minute ("Rate limits" in its reference).
_REST_SECONDS = 60.0


@dataclass
class NamesApi:
    """Asks Finch for names. Every method raises `FinchFailure`; a 202 is an `UnknownAnswer`."""

    finch: FinchClient
    clock: Callable[[], float] = time.time
    _providers: Mapping[str, str] = field(default_factory=dict)
    _read_at: float = float("-inf")
    _rest_until: float = float("-inf")

    def of_provider(self, provider_id: str) -> str | None:
        """What a provider calls itself, if Finch lists it (`GET /providers`)."""
        if self.clock() - self._read_at > _KEPT_SECONDS:
            answer = self.finch.call("GET", "/providers", read_seconds=READ_SECONDS)
            named = map(_provider, answer) if isinstance(answer, list) else ()
            providers = dict(filter(None, named))
            if not providers:
                raise UnknownAnswer
            self._providers, self._read_at = providers, self.clock()
        return self._providers.get(provider_id)

    def of_company(self, token: SecretText) -> str | None:
        """The legal name of a token's company, if it has one (`GET /employer/company`).

        Of the answer nothing else is looked at: it holds account numbers. After a 429 nothing is
        asked for a minute.
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


def _provider(said: Any) -> tuple[str, str] | None:
    if not isinstance(said, dict) or not isinstance(said.get("id"), str):
        return None
    name = readable(said.get("display_name"))
    return (said["id"], name) if name else None


@cache
def from_settings() -> NamesApi:
    """The names of the Finch that the template names."""
    return NamesApi(finch_client.from_settings())
