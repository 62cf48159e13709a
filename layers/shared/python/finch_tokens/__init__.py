"""The client of VendToken and CallFinch, for the application's other backends.

A backend needs the permission to invoke VendToken, VendToken's name or ARN in the environment variable
VEND_TOKEN_FUNCTION, and outside of Lambda its own name in FINCH_CALLER. The package imports nothing of
`finch_connections`.
"""

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.session import get_session

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_UNAUTHORIZED = 401
# VendToken ends within 40 seconds. A shorter timeout would invoke it twice.
READ_SECONDS = 45.0
_CONFIG = Config(
    connect_timeout=1.0,
    read_timeout=READ_SECONDS,
    retries={"mode": "standard", "total_max_attempts": 2},
)

logger = logging.getLogger(__name__)


class SettingMissing(Exception):
    """An environment variable that the client needs is missing. The message names it."""


class TokenRefused(Exception):
    """VendToken gives no token, or CallFinch no answer of Finch, for a `reason`.

    The docs page "Read Finch's data" explains the reasons. `status` comes with `disconnected`,
    `reauth` and `pending`, `missing` with `missing_products` and `not_granted`.
    """

    def __init__(
        self,
        reason: str,
        status: str | None = None,
        missing: Iterable[str] = (),
        detail: str | None = None,
    ) -> None:
        super().__init__(detail or reason)
        self.reason = reason
        self.status = status
        self.missing = tuple(missing)


class VendingFailed(Exception):
    """VendToken or CallFinch itself failed, and its log says why; try again later."""


class AccessToken:
    """The text of an access token, which does not print itself."""

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text, to send to Finch."""
        return self._text

    def __repr__(self) -> str:
        return "AccessToken(...)"


@dataclass
class VendedToken:
    """An access token of Finch for one connection: use it now and do not store it.

    If `entity_ids` is not empty, read each entity with a separate call. Only a connection without
    entities has no `entity_ids`; read it without this parameter. The entities in `left_out` cannot be
    read at the moment.
    """

    access_token: AccessToken
    token_id: str
    connection_id: str
    provider_id: str
    company_id: str
    products: frozenset[str]
    entity_ids: tuple[str, ...]
    left_out: tuple[str, ...]
    _report: Callable[[], None] = field(repr=False)
    _reported: bool = field(default=False, repr=False)

    @property
    def was_refused(self) -> bool:
        """Whether `refused` was called."""
        return self._reported

    def refused(self) -> None:
        """Reports that Finch answered 401, so that the connection's health is checked.

        Only the first call sends a report.
        """
        if not self._reported:
            self._reported = True
            self._report()


@dataclass(frozen=True)
class CustomerConnection:
    """A connection of a customer that was not disconnected. `products` are those of all its logins."""

    provider_id: str
    company_id: str
    status: str
    products: frozenset[str]


@dataclass(frozen=True)
class TokenClient:
    """Invokes VendToken or CallFinch by its name or ARN. `caller` names us in the audit records."""

    client: "LambdaClient"
    function: str
    caller: str

    def ask(self, request: Mapping[str, Any]) -> Any:
        """The function's response; raises `VendingFailed` and the errors of boto."""
        payload = json.dumps({**request, "caller": self.caller}).encode()
        answer = self.client.invoke(FunctionName=self.function, Payload=payload)
        if "FunctionError" in answer:
            raise VendingFailed
        return json.load(answer["Payload"])

    def vend(self, request: Mapping[str, Any]) -> VendedToken:
        """The token for a request; raises `TokenRefused` and the errors of `ask`."""
        answer = self.ask(request)
        if "token" not in answer:
            raise refusal(answer)
        vended = answer["token"]
        report = {**request, "report": "unauthorized", "token_id": vended["token_id"]}
        return VendedToken(
            access_token=AccessToken(vended["access_token"]),
            token_id=vended["token_id"],
            connection_id=vended["connection_id"],
            provider_id=vended["provider_id"],
            company_id=vended["company_id"],
            products=frozenset(vended["products"]),
            entity_ids=tuple(vended["entity_ids"]),
            left_out=tuple(vended["left_out_entity_ids"]),
            _report=lambda: _report(self, report),
        )


@contextmanager
def token_for(
    *,
    customer_id: str,
    provider_id: str,
    company_id: str,
    products: Iterable[str],
    purpose: str,
    client: TokenClient | None = None,
) -> Iterator[VendedToken]:
    """A token that covers these products; raises `TokenRefused` and `VendingFailed`.

    If an error with a `response` of status 401 leaves the block, VendToken gets a report of it. The errors
    of httpx, requests and Finch's SDK have such a `response`.
    """
    client = client or from_settings()
    token = client.vend(
        {
            "customer_id": customer_id,
            "provider_id": provider_id,
            "company_id": company_id,
            "products": list(products),
            "purpose": purpose,
        }
    )
    try:
        yield token
    except Exception as error:
        if _is_unauthorized(error):
            token.refused()
        raise


def connections_of(
    *, customer_id: str, purpose: str, client: TokenClient | None = None
) -> Iterator[CustomerConnection]:
    """The customer's connections, in the order of their ids; raises `TokenRefused` and `VendingFailed`."""
    client = client or from_settings()
    request = {"customer_id": customer_id, "purpose": purpose, "list_connections": True}
    after = None
    while True:
        answer = client.ask({**request, "after": after})
        if "connections" not in answer:
            raise refusal(answer)
        for one in answer["connections"]:
            yield CustomerConnection(
                one["provider_id"], one["company_id"], one["status"], frozenset(one["products"])
            )
        after = answer["next"]
        if after is None:
            return


def refusal(answer: Mapping[str, Any]) -> TokenRefused:
    """The error for an answer with a `reason`."""
    return TokenRefused(
        answer["reason"], answer.get("status"), answer.get("missing", ()), answer.get("detail")
    )


def _report(client: TokenClient, report: Mapping[str, Any]) -> None:
    try:
        client.ask(report)
    except Exception as error:
        # The caller already handles a 401. The scheduled check finds the dead token later.
        logger.warning("401 not reported", extra={"reason": type(error).__name__})


def _is_unauthorized(error: Exception) -> bool:
    response = getattr(error, "response", None)
    return getattr(response, "status_code", None) == _UNAUTHORIZED


@cache
def from_settings() -> TokenClient:
    """The client of the VendToken function that the environment names. Raises `SettingMissing`."""
    return client_of("VEND_TOKEN_FUNCTION", _CONFIG)


def client_of(variable: str, config: Config) -> TokenClient:
    """A client of the function that an environment variable names. Raises `SettingMissing`."""
    function = _variable(variable)
    caller = os.environ.get("AWS_LAMBDA_FUNCTION_NAME") or _variable("FINCH_CALLER")
    client: Any = get_session().create_client("lambda", config=config)
    return TokenClient(client, function, caller)


def _variable(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise SettingMissing(f"The environment variable {name} is not set.") from None
