"""The client of VendToken, for the functions of the application's other backends.

Needs this layer, leave to invoke VendToken, and its name or ARN in VEND_TOKEN_FUNCTION.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from finch_connections import aws, settings
from finch_connections.log import logger
from finch_connections.secret_text import SecretText

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_UNAUTHORIZED = 401


class TokenRefused(Exception):
    """There is no token, for a `reason` that VendToken's table in the README explains.

    `status` comes with `disconnected`, `reauth` and `pending`, `missing` with `missing_products`.
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
    """VendToken itself failed, and its log says why; try again later."""


@dataclass
class VendedToken:
    """An access token of Finch for one connection: to use now and not to keep.

    Where there are `entity_ids`, each is read by a call of its own. Those that were
    `left_out` cannot be read at the moment.
    """

    access_token: SecretText
    token_id: str
    connection_id: str
    provider_id: str
    company_id: str
    products: frozenset[str]
    entity_ids: tuple[str, ...]
    left_out: tuple[str, ...]
    _report: Callable[[], None] = field(repr=False)
    _reported: bool = field(default=False, repr=False)

    def refused(self) -> None:
        """Says that Finch has answered 401, so that somebody looks; needed only once, and a hint."""
        if not self._reported:
            self._reported = True
            self._report()


@dataclass(frozen=True)
class TokenClient:
    """Invokes VendToken by its name or ARN. `caller` is what we call ourselves in its records."""

    client: "LambdaClient"
    function: str
    caller: str

    def ask(self, request: Mapping[str, Any]) -> Any:
        """What VendToken answers; raises `VendingFailed`, and what boto raises."""
        payload = json.dumps({**request, "caller": self.caller}).encode()
        answer = self.client.invoke(FunctionName=self.function, Payload=payload)
        if "FunctionError" in answer:
            raise VendingFailed
        return json.load(answer["Payload"])


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

    An error that leaves the block and carries a `response` with status 401, as those of httpx,
    requests and Finch's SDK do, is reported on its way.
    """
    client = client or connect()
    request = {
        "customer_id": customer_id,
        "provider_id": provider_id,
        "company_id": company_id,
        "products": list(products),
        "purpose": purpose,
    }
    token = _token(client, request, client.ask(request))
    try:
        yield token
    except Exception as error:
        if _is_unauthorized(error):
            token.refused()
        raise


def _token(client: TokenClient, request: Mapping[str, Any], answer: Any) -> VendedToken:
    if "token" not in answer:
        raise TokenRefused(
            answer["reason"], answer.get("status"), answer.get("missing", ()), answer.get("detail")
        )
    vended = answer["token"]
    report = {**request, "report": "unauthorized", "token_id": vended["token_id"]}
    return VendedToken(
        access_token=SecretText(vended["access_token"]),
        token_id=vended["token_id"],
        connection_id=vended["connection_id"],
        provider_id=vended["provider_id"],
        company_id=vended["company_id"],
        products=frozenset(vended["products"]),
        entity_ids=tuple(vended["entity_ids"]),
        left_out=tuple(vended["left_out_entity_ids"]),
        _report=lambda: _report(client, report),
    )


def _report(client: TokenClient, report: Mapping[str, Any]) -> None:
    try:
        client.ask(report)
    except Exception as error:
        # Whoever reports is about to fail for a better reason; the next look at it comes anyway.
        logger.warning("401 not reported", reason=type(error).__name__)


def _is_unauthorized(error: Exception) -> bool:
    response = getattr(error, "response", None)
    return getattr(response, "status_code", None) == _UNAUTHORIZED


@cache
def connect() -> TokenClient:
    """The client of a deployed function."""
    backend = settings.read_backend()
    return TokenClient(
        aws.client("lambda"), backend.vend_token_function, backend.aws_lambda_function_name
    )
