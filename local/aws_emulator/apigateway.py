"""API Gateway: the event that an HTTP API passes to a function, and the answer that a caller gets."""

import asyncio
import json
from typing import Any

from ministack.services import apigateway, apigateway_v1, lambda_svc

from local.aws_emulator import Json

JSON_ERROR = {"statusCode": 500, "headers": {"Content-Type": "application/json"}}
# "Lambda quotas" in Lambda's guide: the payload of a synchronous invocation.
LARGEST_ANSWER = 6 * 1024 * 1024

original_execute = lambda_svc._execute_function
original_to_proxy_response = lambda_svc.lambda_execute_result_to_api_proxy_response
original_invoke = apigateway._invoke_lambda_proxy
original_handle = apigateway._handle_execute_in_scope
original_validate_jwt = apigateway._validate_jwt_authorizer


def execute_as_http_api(function: Json, event: Any) -> Json:
    """Runs a function with an HTTP API's event in format 2.0.

    MiniStack leaves cookies in the headers, sends members without a value as null, and adds no
    X-Forwarded headers. AWS moves cookies to `cookies`, leaves out members without a value, and
    adds these headers ("Create AWS Lambda proxy integrations for HTTP APIs in API Gateway").
    """
    if isinstance(event, dict) and event.get("version") == "2.0" and "requestContext" in event:
        headers = event.get("headers") or {}
        if cookie := headers.pop("cookie", None):
            event["cookies"] = [part.strip(" ") for part in cookie.split(";")]
        headers.setdefault("x-forwarded-for", "127.0.0.1")
        headers.setdefault("x-forwarded-proto", "https")
        headers.setdefault("x-forwarded-port", "443")
        context = event["requestContext"]
        context.setdefault("domainPrefix", context.get("domainName", "").split(".")[0])
        for name in [name for name, value in event.items() if value is None]:
            del event[name]
    result: Json = original_execute(function, event)
    return result


def to_proxy_response(result: Json) -> tuple[Json | None, str | None]:
    """The API's answer for a function's result.

    MiniStack answers a failed function with 502 and the text of its error, and sends any answer.
    AWS answers 500 without details for a failure and for an answer that it cannot send ("Troubleshooting
    issues with HTTP API Lambda integrations" in API Gateway's guide), and 503 for a throttled function.
    """
    failed = {**JSON_ERROR, "body": '{"message":"Internal Server Error"}'}
    if result.get("throttle"):
        return {**JSON_ERROR, "statusCode": 503, "body": '{"message":"Service Unavailable"}'}, None
    if result.get("error"):
        return failed, None
    response, error = original_to_proxy_response(result)
    if response is None:
        return response, error
    try:
        response["statusCode"] = int(response["statusCode"])
    except (TypeError, ValueError):
        return failed, error
    if len(response.get("body") or "") > LARGEST_ANSWER:
        return failed, error
    return response, error


def throttled(api_id: str, stage_name: str, route_key: str) -> bool:
    """Takes a token for a request; whether none is left.

    MiniStack limits only the requests of REST APIs. A route with settings of its own has a bucket of its
    own, and all other routes share the stage's bucket ("Throttle requests to your HTTP APIs for better
    throughput in API Gateway"). AWS does not say whether they share it, so this is the stricter reading.
    """
    stage = apigateway._stages.get(api_id, {}).get(stage_name, {})
    own = (stage.get("routeSettings") or {}).get(route_key)
    # A template writes the names with a capital letter, and a request to the API without.
    limits = {
        name.lower().removeprefix("throttling"): value
        for name, value in (own or stage.get("defaultRouteSettings") or {}).items()
    }
    bucket = (api_id, stage_name, route_key if own else None)
    rates = {"rateLimit": limits.get("ratelimit"), "burstLimit": limits.get("burstlimit")}
    return not apigateway_v1._take_token(bucket, rates)


async def handle(
    api_id: str,
    stage: str,
    path: str,
    method: str,
    headers: Json,
    body: bytes,
    query: Json,
    account: str,
    region: str,
    raw_query: str | None = None,
) -> Any:
    """Answers a request unless it is throttled; an OPTIONS request goes to the route that takes it.

    MiniStack answers every OPTIONS request itself. AWS does so only if no route takes it. An ANY route
    and the $default route take it. Then the browser gets the status of the route's function, with the
    CORS headers added ("Configure CORS for HTTP APIs in API Gateway").
    """
    route = apigateway._match_route(api_id, method, "/" + path.lstrip("/"))
    if route and throttled(api_id, stage, route["routeKey"]):
        return 429, {"Content-Type": "application/json"}, b'{"message":"Too Many Requests"}'
    if method != "OPTIONS" or not route:
        return await original_handle(
            api_id, stage, path, method, headers, body, query, account, region, raw_query
        )
    if route.get("authorizationType") not in (None, "NONE"):
        return apigateway._jwt_unauthorized()
    integration_id = route["target"].rpartition("/")[2]
    lowered = {name.lower(): value for name, value in headers.items()}
    status, answered, content = await invoke_within_time(
        apigateway._integrations[api_id][integration_id],
        *(api_id, stage, path, method, lowered, body, query, route["routeKey"], None),
        owner_account_id=account,
        owner_region=region,
        raw_query_string=raw_query,
    )
    cors = apigateway._apis[api_id].get("corsConfiguration")
    allowed, added, _ = apigateway._cors_preflight_response(cors, lowered.get("origin", ""))
    if allowed == 204:
        del added["Content-Length"]
        answered.update(added)
    return status, answered, content


running: set[asyncio.Task[Any]] = set()


async def invoke_within_time(integration: Json, *arguments: Any, **named: Any) -> Any:
    """Invokes an integration; answers 503 when its timeout has passed.

    MiniStack waits until the function ends. API Gateway waits for the timeout of the integration,
    at most 30 seconds ("Quotas for configuring and running an HTTP API in API Gateway"). The
    function continues.
    """
    call = asyncio.ensure_future(original_invoke(integration, *arguments, **named))
    running.add(call)
    call.add_done_callback(running.discard)
    seconds = float(integration.get("timeoutInMillis") or 30000) / 1000
    done, _ = await asyncio.wait({call}, timeout=seconds)
    if not done:
        return 503, {"Content-Type": "application/json"}, b'{"message":"Service Unavailable"}'
    return call.result()


async def validate_jwt(
    route: Json, authorizer: Json, headers: Json, query: Json
) -> tuple[Any, Any, Any]:
    """Checks the algorithm and the times of a JWT, then lets MiniStack check the rest.

    MiniStack verifies the signature as RS256 and does not look at `alg`; it accepts a JWT without
    `exp`. AWS accepts RSA algorithms only and validates `exp`, `nbf` and `iat` ("Control access to
    HTTP APIs with JWT authorizers in API Gateway").
    """
    token = apigateway._extract_token_from_identity_source(
        authorizer.get("identitySource", []), headers, query
    )
    try:
        header, claims = (
            json.loads(apigateway._b64url_decode(part)) for part in (token or "").split(".")[:2]
        )
        if header["alg"] != "RS256":
            raise ValueError("the algorithm is not RS256")
        times = [claims["exp"], claims.get("nbf", 0), claims.get("iat", 0)]
        if not all(type(time) in (int, float) for time in times):
            raise ValueError("a time is not a number")
    except (ValueError, TypeError, KeyError, AttributeError):
        return None, None, apigateway._jwt_unauthorized()
    verdict: tuple[Any, Any, Any] = await original_validate_jwt(route, authorizer, headers, query)
    return verdict


def patch() -> None:
    apigateway._handle_execute_in_scope = handle
    apigateway._invoke_lambda_proxy = invoke_within_time
    apigateway._validate_jwt_authorizer = validate_jwt
    lambda_svc._execute_function = execute_as_http_api
    lambda_svc.lambda_execute_result_to_api_proxy_response = to_proxy_response
