"""How we speak HTTP: API Gateway's events (payload 2.0) in, and one shape for every failure."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from finch_connections import metrics, settings
from finch_connections.domain.connection import IDENTIFIER
from finch_connections.domain.errors import InternalError, InvalidRequest, Refusal
from finch_connections.finch.errors import FinchFailure
from finch_connections.log import logger


class CustomerUnknown(Refusal):
    """Your access token does not say which customer you are."""

    code = "customer_unknown"


class RouteNotFound(Refusal):
    """There is no such route."""

    code = "route_not_found"


# What each refusal is in HTTP, by its word: a function that never says one need not load its module.
STATUS: Mapping[str, HTTPStatus] = {
    "invalid_request": HTTPStatus.BAD_REQUEST,
    "return_to_not_allowed": HTTPStatus.BAD_REQUEST,
    "code_rejected": HTTPStatus.BAD_REQUEST,
    "signature_invalid": HTTPStatus.UNAUTHORIZED,
    "customer_unknown": HTTPStatus.FORBIDDEN,
    "route_not_found": HTTPStatus.NOT_FOUND,
    "connection_not_found": HTTPStatus.NOT_FOUND,
    "session_not_found": HTTPStatus.NOT_FOUND,
    "session_used": HTTPStatus.CONFLICT,
    "cannot_connect": HTTPStatus.CONFLICT,
    "too_many_logins": HTTPStatus.CONFLICT,
    "connection_busy": HTTPStatus.CONFLICT,
    "disconnect_refused": HTTPStatus.CONFLICT,
    "session_expired": HTTPStatus.GONE,
    "connection_ended": HTTPStatus.GONE,
    "finch_refused": HTTPStatus.UNPROCESSABLE_ENTITY,
    "internal_error": HTTPStatus.INTERNAL_SERVER_ERROR,
    "exchange_uncertain": HTTPStatus.BAD_GATEWAY,
    "finch_misconfigured": HTTPStatus.BAD_GATEWAY,
    "finch_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
}

# Nothing of ours belongs in a cache, nor in the address that the next page is told of; nothing is a
# page, whatever a browser makes of it, and all of it wants TLS, for two years.
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=63072000",
    "x-content-type-options": "nosniff",
}

# API Gateway hands every claim on as a text. Whoever's claim is empty or a yes would be one customer.
_NO_CUSTOMERS = {"null", "true", "false"}

# What an answer counts as: taken out before API Gateway sees it.
_OUTCOME = "outcome"

type Response = dict[str, Any]


# Nobody compares or prints these, and what does so is compiled at every cold start.
@dataclass(frozen=True, eq=False, repr=False)
class Request:
    """What a handler needs of the event."""

    event: Mapping[str, Any]

    @property
    def customer_id(self) -> str:
        """Who calls, from the access token that API Gateway has verified; raises `CustomerUnknown`."""
        authorizer = self.event["requestContext"].get("authorizer", {})
        claim = authorizer.get("jwt", {}).get("claims", {}).get(settings.read().customer_claim)
        if not isinstance(claim, str) or not IDENTIFIER.fullmatch(claim) or claim in _NO_CUSTOMERS:
            raise CustomerUnknown
        return claim

    @property
    def path(self) -> Mapping[str, str]:
        """The path parameters, decoded."""
        return self.event.get("pathParameters") or {}

    @property
    def query(self) -> Mapping[str, str]:
        """The query parameters, decoded."""
        return self.event.get("queryStringParameters") or {}

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies by name.

        A name is what the browser has called it: to strip what Unicode calls a space would make a
        `__Host-` name of one that any site of the domain can set.
        """
        pairs = (cookie.partition("=") for cookie in self.event.get("cookies") or ())
        return {name.strip(" "): value for name, _, value in pairs}

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers by name, in whatever case."""
        return self.event.get("headers") or {}

    @property
    def body(self) -> bytes:
        """The body as it was sent; raises `InvalidRequest`."""
        body: str = self.event.get("body") or ""
        if not self.event.get("isBase64Encoded"):
            # What no encoding can hold is nobody's body: it fails where it is read.
            return body.encode(errors="replace")
        try:
            return base64.b64decode(body, validate=True)
        except ValueError as error:
            raise InvalidRequest("The body cannot be read.") from error

    @property
    def callback_url(self) -> str:
        """Where Finch sends browsers back to."""
        return settings.read().callback_url(self.event["requestContext"]["domainName"])


def function(
    routes: Mapping[str, Callable[[Request], Response]],
) -> Callable[[dict[str, Any], Any], Response]:
    """A Lambda handler for these routes (`METHOD /path`); it answers every failure in one shape.

    API Gateway has done the routing, so this is a look-up: Powertools' resolver would add an eighth
    to the instructions of a cold start.
    """

    def handle(event: dict[str, Any], context: Any) -> Response:
        request_id = event["requestContext"]["requestId"]
        logger.append_keys(
            request_id=request_id,
            route=event["routeKey"],
            function_request_id=context.aws_request_id,
        )
        try:
            response = routes.get(event["routeKey"], _unknown_route)(Request(event))
        except (Refusal, FinchFailure) as error:
            logger.info("refused", code=error.code)
            response = _problem(error, request_id)
        except Exception:
            logger.exception("failed")
            response = _problem(InternalError(), request_id)
        metrics.count(event["routeKey"], response.pop(_OUTCOME, metrics.OK))
        return response

    return handle


def _unknown_route(request: Request) -> Response:
    # The default route also takes a browser's preflights: API Gateway adds their CORS headers, and
    # the browser wants a success ("Configure CORS for HTTP APIs" in its developer guide).
    if request.event["requestContext"]["http"]["method"] == "OPTIONS":
        return {"statusCode": int(HTTPStatus.NO_CONTENT), "headers": dict(_HEADERS)}
    raise RouteNotFound


def answer(
    status: HTTPStatus, body: Any, cookies: Sequence[str] = (), outcome: str = metrics.OK
) -> Response:
    """A JSON answer; `outcome` is what it counts as."""
    return {
        _OUTCOME: outcome,
        "statusCode": int(status),
        "headers": {**_HEADERS, "content-type": "application/json"},
        "cookies": list(cookies),
        "body": json.dumps(body),
    }


def redirect(url: str, cookies: Sequence[str], outcome: str) -> Response:
    """A redirect of the browser; `outcome` is what it counts as, wherever the browser goes."""
    return {
        _OUTCOME: outcome,
        "statusCode": int(HTTPStatus.FOUND),
        "headers": {**_HEADERS, "location": url},
        "cookies": list(cookies),
    }


def cookie(name: str, value: str, max_age_seconds: int) -> str:
    """A cookie that only this host gets, only over HTTPS, and that no script reads.

    Lax, so that it comes along when Finch sends the browser back (RFC 6265bis section 5.6.7).
    """
    return f"{name}={value}; Path=/; Max-Age={max_age_seconds}; Secure; HttpOnly; SameSite=Lax"


def _problem(error: Refusal | FinchFailure, request_id: str) -> Response:
    """A failure as RFC 9457 describes it, with our stable `code`."""
    status = STATUS[error.code]
    body = {
        "type": f"urn:finch-connections:{error.code}",
        "title": error.code.replace("_", " ").capitalize(),
        "status": int(status),
        "detail": str(error),
        "code": error.code,
        "request_id": request_id,
    }
    return {
        _OUTCOME: error.code,
        "statusCode": int(status),
        "headers": {**_HEADERS, "content-type": "application/problem+json"},
        "body": json.dumps(body),
    }
