"""HTTP for all routes: reads API Gateway's events (payload 2.0), and writes all failures in the same form."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from finch_connections import metrics, settings
from finch_connections.domain.errors import InternalError, InvalidRequest, Refusal
from finch_connections.domain.identifier import customer_id_fault, of_path_segment
from finch_connections.finch.errors import FinchFailure
from finch_connections.log import logger


class CustomerUnknown(Refusal):
    """Your access token does not name a customer."""

    code = "customer_unknown"


class RouteNotFound(Refusal):
    """This route does not exist."""

    code = "route_not_found"


# The HTTP status of each error code. By code, so that no function loads modules only for this table.
STATUS: Mapping[str, HTTPStatus] = {
    "invalid_request": HTTPStatus.BAD_REQUEST,
    "return_to_not_allowed": HTTPStatus.BAD_REQUEST,
    "mode_not_allowed": HTTPStatus.BAD_REQUEST,
    "code_rejected": HTTPStatus.BAD_REQUEST,
    "signature_invalid": HTTPStatus.UNAUTHORIZED,
    "customer_unknown": HTTPStatus.FORBIDDEN,
    "route_not_found": HTTPStatus.NOT_FOUND,
    "connection_not_found": HTTPStatus.NOT_FOUND,
    "session_not_found": HTTPStatus.NOT_FOUND,
    "session_used": HTTPStatus.CONFLICT,
    "cannot_connect": HTTPStatus.CONFLICT,
    "too_many_logins": HTTPStatus.CONFLICT,
    "connection_limit": HTTPStatus.CONFLICT,
    "connection_busy": HTTPStatus.CONFLICT,
    "disconnect_refused": HTTPStatus.CONFLICT,
    "too_many_requests": HTTPStatus.TOO_MANY_REQUESTS,
    "session_expired": HTTPStatus.GONE,
    "connection_ended": HTTPStatus.GONE,
    "finch_refused": HTTPStatus.UNPROCESSABLE_ENTITY,
    "internal_error": HTTPStatus.INTERNAL_SERVER_ERROR,
    "exchange_uncertain": HTTPStatus.BAD_GATEWAY,
    "finch_misconfigured": HTTPStatus.BAD_GATEWAY,
    "finch_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
}

# Never cache; send no Referer. No response is a page to show. TLS only, for two years.
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=63072000",
    "x-content-type-options": "nosniff",
}

# The outcome that a metric counts. Removed before API Gateway gets the response.
_OUTCOME = "outcome"

type Response = dict[str, Any]


# Without `__eq__` and `__repr__`: we do not use them, and Python would compile them at every cold start.
@dataclass(frozen=True, eq=False, repr=False)
class Request:
    """The parts of the event that a handler needs."""

    event: Mapping[str, Any]

    @property
    def customer_id(self) -> str:
        """The caller, from the access token that API Gateway has verified; raises `CustomerUnknown`."""
        authorizer = self.event["requestContext"].get("authorizer", {})
        name = settings.read().customer_claim
        claim: str | None = authorizer.get("jwt", {}).get("claims", {}).get(name)
        fault = "absent" if claim is None else customer_id_fault(claim)
        if claim is None or fault:
            logger.info("customer claim refused", claim=name, reason=fault)
            raise CustomerUnknown
        return claim

    @property
    def path(self) -> Mapping[str, str]:
        """The path parameters, decoded."""
        parameters = self.event.get("pathParameters") or {}
        return {name: of_path_segment(value) for name, value in parameters.items()}

    @property
    def query(self) -> Mapping[str, str]:
        """The query parameters, decoded."""
        return self.event.get("queryStringParameters") or {}

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies by name.

        Strips only spaces: to strip other Unicode white space could turn a name that any site of the
        domain can set into a `__Host-` name.
        """
        pairs = (cookie.partition("=") for cookie in self.event.get("cookies") or ())
        return {name.strip(" "): value for name, _, value in pairs}

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers by name, as API Gateway sends them."""
        return self.event.get("headers") or {}

    @property
    def body(self) -> bytes:
        """The body, as the bytes that were sent; raises `InvalidRequest`."""
        body: str = self.event.get("body") or ""
        if not self.event.get("isBase64Encoded"):
            # A text that cannot be encoded is no valid body. The parser refuses it later.
            return body.encode(errors="replace")
        try:
            return base64.b64decode(body, validate=True)
        except ValueError as error:
            raise InvalidRequest("The body cannot be read.") from error

    @property
    def callback_url(self) -> str:
        """The URL that Finch redirects browsers to."""
        return settings.read().callback_url(self.event["requestContext"]["domainName"])


def function(
    routes: Mapping[str, Callable[[Request], Response]],
) -> Callable[[dict[str, Any], Any], Response]:
    """A Lambda handler for these routes (`METHOD /path`). All failures have the same form.

    API Gateway has matched the route, so a look-up is enough: Powertools' resolver would add an
    eighth to the instructions of a cold start.
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
    # The default route also receives a browser's preflight requests. API Gateway adds the CORS headers,
    # and the browser requires a success ("Configure CORS for HTTP APIs" in its developer guide).
    if request.event["requestContext"]["http"]["method"] == "OPTIONS":
        return {"statusCode": int(HTTPStatus.NO_CONTENT), "headers": dict(_HEADERS)}
    raise RouteNotFound


def answer(
    status: HTTPStatus, body: Any, cookies: Sequence[str] = (), outcome: str = metrics.OK
) -> Response:
    """A JSON response; a metric counts `outcome`."""
    return {
        _OUTCOME: outcome,
        "statusCode": int(status),
        "headers": {**_HEADERS, "content-type": "application/json"},
        "cookies": list(cookies),
        "body": json.dumps(body),
    }


def redirect(url: str, cookies: Sequence[str], outcome: str) -> Response:
    """A redirect of the browser; a metric counts `outcome`."""
    return {
        _OUTCOME: outcome,
        "statusCode": int(HTTPStatus.FOUND),
        "headers": {**_HEADERS, "location": url},
        "cookies": list(cookies),
    }


def _problem(error: Refusal | FinchFailure, request_id: str) -> Response:
    """A failure in the form of RFC 9457, with our stable `code`."""
    status = STATUS[error.code]
    body = {
        "type": f"urn:finch-connections:{error.code}",
        "title": error.code.replace("_", " ").capitalize(),
        "status": int(status),
        "detail": str(error),
        "code": error.code,
        "request_id": request_id,
        **({"reference": error.reference} if error.reference else {}),
    }
    headers = {**_HEADERS, "content-type": "application/problem+json"}
    if isinstance(error, Refusal) and error.retry_after:
        headers["retry-after"] = str(error.retry_after)
    return {
        _OUTCOME: error.code,
        "statusCode": int(status),
        "headers": headers,
        "body": json.dumps(body),
    }
