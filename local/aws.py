# mypy: disable-error-code="import-not-found,import-untyped"
"""Emulated AWS: MiniStack, with what other parts of AWS do there and it does not.

Run by the Python of MiniStack's own environment, as a script. It stops by itself, saving its
state, when its standard input closes: so it never outlives the world that started it.
Everything here replaces a part of one exact version of MiniStack, and says why.
"""

import asyncio
import functools
import inspect
import io
import json
import operator
import os
import re
import signal
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ministack.app as gateway
from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.core.responses import get_account_id, get_region
from ministack.services import (
    apigateway,
    cloudwatch,
    dynamodb,
    dynamodb_streams,
    kms,
    lambda_svc,
    sqs,
)
from ministack.services.cloudformation import provisioners

WRITTEN_FOR = "1.5.33"

Json = dict[str, Any]

METHODS = {"get", "put", "post", "delete", "options", "head", "patch"}
ANY_METHOD = "x-amazon-apigateway-any-method"

# HTTP APIs: what SAM writes into AWS::ApiGatewayV2::Api Body, which MiniStack ignores.


def made(response: tuple[int, Any, bytes]) -> Json:
    status, _, body = response
    if status >= 400:
        raise ValueError(f"HTTP API import failed: {body!r}")
    created: Json = json.loads(body)
    return created


def import_authorizers(api_id: str, body: Json) -> dict[str, Json]:
    authorizers = {}
    schemes = (body.get("components") or {}).get("securitySchemes") or {}
    for name, scheme in schemes.items():
        if not (stated := scheme.get("x-amazon-apigateway-authorizer")):
            continue
        source = stated.get("identitySource") or []
        is_jwt = stated.get("type", "").lower() == "jwt"
        authorizers[name] = made(
            apigateway._create_authorizer(
                api_id,
                {
                    "name": name,
                    "authorizerType": "JWT" if is_jwt else "REQUEST",
                    "identitySource": source.split(",") if isinstance(source, str) else source,
                    "jwtConfiguration": stated.get("jwtConfiguration") or {},
                    "authorizerUri": stated.get("authorizerUri", ""),
                    "authorizerPayloadFormatVersion": "2.0",
                    "authorizerResultTtlInSeconds": stated.get("authorizerResultTtlInSeconds", 0),
                    "enableSimpleResponses": bool(stated.get("enableSimpleResponses")),
                },
            )
        )
    return authorizers


def import_route(api_id: str, route_key: str, operation: Json, authorizers: Json) -> None:
    stated = operation["x-amazon-apigateway-integration"]
    integration = made(
        apigateway._create_integration(
            api_id,
            {
                "integrationType": stated.get("type", "aws_proxy").upper(),
                "integrationUri": stated.get("uri", ""),
                "integrationMethod": stated.get("httpMethod", "POST"),
                "payloadFormatVersion": str(stated.get("payloadFormatVersion", "2.0")),
                "timeoutInMillis": stated.get("timeoutInMillis", 30000),
            },
        )
    )
    route: Json = {
        "routeKey": route_key,
        "target": f"integrations/{integration['integrationId']}",
    }
    for requirement in operation.get("security") or []:
        for name, scopes in requirement.items():
            if authorizer := authorizers.get(name):
                is_jwt = authorizer["authorizerType"] == "JWT"
                route["authorizerId"] = authorizer["authorizerId"]
                route["authorizationType"] = "JWT" if is_jwt else "CUSTOM"
                route["authorizationScopes"] = scopes
    made(apigateway._create_route(api_id, route))


def import_body(api_id: str, body: Json) -> None:
    for store in (apigateway._routes, apigateway._integrations, apigateway._authorizers):
        store[api_id] = {}
    api = apigateway._apis[api_id]
    if cors := body.get("x-amazon-apigateway-cors"):
        if not isinstance(cors, dict):
            raise ValueError(f"x-amazon-apigateway-cors is not an object: {cors!r}")
        api["corsConfiguration"] = cors
    if title := (body.get("info") or {}).get("title"):
        api["name"] = title
    authorizers = import_authorizers(api_id, body)
    for path, item in (body.get("paths") or {}).items():
        for method, operation in item.items():
            if method not in METHODS | {ANY_METHOD}:
                continue
            verb = "ANY" if method == ANY_METHOD else method.upper()
            route_key = "$default" if path.endswith("$default") else f"{verb} {path}"
            import_route(api_id, route_key, operation, authorizers)


create_api, update_api = provisioners._apigw_v2_api_create, provisioners._apigw_v2_api_update


def create_api_with_body(logical_id: str, props: Json, stack_name: str) -> tuple[str, Json]:
    api_id, attributes = create_api(logical_id, props, stack_name)
    if isinstance(props.get("Body"), dict):
        import_body(api_id, props["Body"])
    return api_id, attributes


def update_api_with_body(
    physical_id: str, old: Json, new: Json, stack_name: str, logical_id: str | None = None
) -> tuple[str, Json]:
    api_id, attributes = update_api(physical_id, old, new, stack_name, logical_id)
    if isinstance(new.get("Body"), dict):
        import_body(api_id, new["Body"])
    return api_id, attributes


# HTTP APIs: what reaches a function, and what a caller sees of it.

REFUSED = {"statusCode": 500, "headers": {"Content-Type": "application/json"}}
MOST_ANSWERED = 6 * 1024 * 1024

execute_function = lambda_svc._execute_function
execute_warm = lambda_svc._execute_function_warm
to_proxy_response = lambda_svc.lambda_execute_result_to_api_proxy_response
invoke_proxy = apigateway._invoke_lambda_proxy
handle_in_scope = apigateway._handle_execute_in_scope
validate_jwt = apigateway._validate_jwt_authorizer

# How many environments a function may have at a time. Lambda would start as many as there are
# callers; here they share one machine's cores, and the next call waits for a free one instead.
MOST_ENVIRONMENTS = 8
free_environments: dict[str, threading.BoundedSemaphore] = {}
free_environments_guard = threading.Lock()


def execute_as_http_api(function: Json, event: Any) -> Json:
    """AWS takes cookies out of the headers, and leaves out what has no value."""
    if isinstance(event, dict) and event.get("version") == "2.0" and "requestContext" in event:
        headers = event.get("headers") or {}
        if cookie := headers.pop("cookie", None):
            event["cookies"] = [one.strip(" ") for one in cookie.split(";")]
        headers.setdefault("x-forwarded-for", "127.0.0.1")
        headers.setdefault("x-forwarded-proto", "https")
        headers.setdefault("x-forwarded-port", "443")
        context = event["requestContext"]
        context.setdefault("domainPrefix", context.get("domainName", "").split(".")[0])
        for name in [name for name, value in event.items() if value is None]:
            del event[name]
    result: Json = execute_function(function, event)
    return result


def execute_when_free(function: Json, event: Any, *arguments: Any, **named: Any) -> Json:
    name = (function.get("config") or function).get("FunctionName", "")
    with free_environments_guard:
        free = free_environments.setdefault(name, threading.BoundedSemaphore(MOST_ENVIRONMENTS))
    with free:
        result: Json = execute_warm(function, event, *arguments, **named)
        return result


def answer_of_api(result: Json) -> tuple[Json | None, str | None]:
    """AWS shows nothing of a function's failure, and refuses an answer it cannot send."""
    failed = {**REFUSED, "body": '{"message":"Internal Server Error"}'}
    if result.get("throttle"):
        return {**REFUSED, "statusCode": 503, "body": '{"message":"Service Unavailable"}'}, None
    if result.get("error"):
        return failed, None
    response, error = to_proxy_response(result)
    if response is None:
        return response, error
    try:
        response["statusCode"] = int(response["statusCode"])
    except (TypeError, ValueError):
        return failed, error
    if len(response.get("body") or "") > MOST_ANSWERED:
        return failed, error
    return response, error


async def handle_with_options(
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
    """MiniStack answers every OPTIONS itself; AWS only where no route takes it.

    An ANY or $default route does take it, so a preflight reaches that route's function, whose
    status the browser sees with the CORS headers added.
    """
    route = apigateway._match_route(api_id, method, "/" + path.lstrip("/"))
    if method != "OPTIONS" or not route:
        return await handle_in_scope(
            api_id, stage, path, method, headers, body, query, account, region, raw_query
        )
    if route.get("authorizationType") not in (None, "NONE"):
        return apigateway._jwt_unauthorized()
    integration_id = route["target"].rpartition("/")[2]
    named = {name.lower(): value for name, value in headers.items()}
    status, answered, content = await invoke_within_time(
        apigateway._integrations[api_id][integration_id],
        *(api_id, stage, path, method, named, body, query, route["routeKey"], None),
        owner_account_id=account,
        owner_region=region,
        raw_query_string=raw_query,
    )
    cors = apigateway._apis[api_id].get("corsConfiguration")
    allowed, added, _ = apigateway._cors_preflight_response(cors, named.get("origin", ""))
    if allowed == 204:
        del added["Content-Length"]
        answered.update(added)
    return status, answered, content


running: set[asyncio.Task[Any]] = set()


async def invoke_within_time(integration: Json, *arguments: Any, **named: Any) -> Any:
    """API Gateway gives up after the integration's time; the function goes on regardless."""
    call = asyncio.ensure_future(invoke_proxy(integration, *arguments, **named))
    running.add(call)
    call.add_done_callback(running.discard)
    seconds = float(integration.get("timeoutInMillis") or 30000) / 1000
    done, _ = await asyncio.wait({call}, timeout=seconds)
    if not done:
        return 503, {"Content-Type": "application/json"}, b'{"message":"Service Unavailable"}'
    return call.result()


async def validate_jwt_strictly(
    route: Json, authorizer: Json, headers: Json, query: Json
) -> tuple[Any, Any, Any]:
    """MiniStack verifies the signature as RS256 whatever `alg` says, and needs no `exp`."""
    token = apigateway._extract_token_from_identity_source(
        authorizer.get("identitySource", []), headers, query
    )
    try:
        header, claims = (
            json.loads(apigateway._b64url_decode(part)) for part in (token or "").split(".")[:2]
        )
        if header["alg"] != "RS256":
            raise ValueError("AWS verifies RSA signatures only")
        moments = [claims["exp"], claims.get("nbf", 0), claims.get("iat", 0)]
        if not all(type(moment) in (int, float) for moment in moments):
            raise ValueError("a moment that is no number")
    except (ValueError, TypeError, KeyError, AttributeError):
        return None, None, apigateway._jwt_unauthorized()
    verdict: tuple[Any, Any, Any] = await validate_jwt(route, authorizer, headers, query)
    return verdict


# IAM: condition keys that MiniStack does not fill in. Without them a statement that carries
# such a condition either never allows (kms) or is not narrowed at all (ForAllValues).

tag_context = iam_actions.request_tag_context
action_of = iam_actions.extract_iam_action
transaction_checks = iam_actions.dynamodb_transaction_checks
enforce = iam_evaluator.enforce
table_context = iam_actions.dynamodb_service_context

PATH_IN_EXPRESSION = re.compile(r"(?<![\w:#.])(#?[A-Za-z_][\w]*)\s*(\()?")
EXPRESSIONS = (
    "ProjectionExpression",
    "KeyConditionExpression",
    "FilterExpression",
    "ConditionExpression",
    "UpdateExpression",
)
NOT_ATTRIBUTES = {
    *("and", "or", "not", "in", "between", "set", "remove", "add", "delete"),
}


def request_context(service: str, iam_action: str, body: bytes, params: Json) -> Json:
    context: Json = tag_context(service, iam_action, body, params)
    if service == "kms":
        asked = json.loads(body or b"{}")
        encryption_context = (
            asked.get("EncryptionContext") or asked.get("SourceEncryptionContext") or {}
        )
        if destination := asked.get("DestinationKeyId"):
            context[DESTINATION] = destination
        for name, value in encryption_context.items():
            context[f"kms:EncryptionContext:{name}"] = value
        if encryption_context:
            context["kms:EncryptionContextKeys"] = list(encryption_context)
    return context


def action_of_one(service: str, *arguments: Any) -> str | None:
    """A batch of messages needs what one message does ("Amazon SQS API permissions" in SQS's guide)."""
    action: str | None = action_of(service, *arguments)
    return action.removesuffix("Batch") if service == "sqs" and action else action


DESTINATION = "local:DestinationKeyId"


def enforce_both(
    access_key: str,
    iam_action: str,
    service: str,
    region: str,
    resource_arn: str = "*",
    service_context: Json | None = None,
) -> Any:
    """Sealing anew is two permissions, one on each key ("ReEncrypt" in the KMS API Reference)."""
    context = service_context or {}
    if iam_action != "kms:ReEncrypt":
        return enforce(access_key, iam_action, service, region, resource_arn, service_context)
    return enforce(
        access_key, "kms:ReEncryptFrom", service, region, resource_arn, context
    ) or enforce(
        access_key, "kms:ReEncryptTo", service, region, context.get(DESTINATION, "*"), context
    )


def named_attributes(request: Json) -> list[str]:
    """The top-level attributes that one DynamoDB request names, wherever it names them."""
    names = request.get("ExpressionAttributeNames") or {}
    found = {*(request.get("Key") or {}), *(request.get("Item") or {})}
    for expression in EXPRESSIONS:
        for name, is_call in PATH_IN_EXPRESSION.findall(request.get(expression) or ""):
            if not is_call and name.lower() not in NOT_ATTRIBUTES:
                found.add(names.get(name, name))
    return sorted(found)


def partition_key_values(request: Json) -> list[str]:
    table = dynamodb._tables.get(request.get("TableName", "").rpartition("/")[2])
    if table is None:
        return []
    schema = table["KeySchema"]
    for index in table.get("GlobalSecondaryIndexes") or []:
        if index["IndexName"] == request.get("IndexName"):
            schema = index["KeySchema"]
    partition_key = next(key["AttributeName"] for key in schema if key["KeyType"] == "HASH")
    stated = (request.get("Key") or request.get("Item") or {}).get(partition_key)
    if stated is None:
        names = request.get("ExpressionAttributeNames") or {}
        values = request.get("ExpressionAttributeValues") or {}
        condition = request.get("KeyConditionExpression") or ""
        for name, placeholder in re.findall(r"(#?\w+)\s*=\s*(:\w+)", condition):
            if names.get(name, name) == partition_key:
                stated = values.get(placeholder)
    return [str(value) for value in (stated or {}).values()]


def dynamodb_context(body: bytes) -> Json:
    """`dynamodb:LeadingKeys` and `dynamodb:Attributes` of everything the request names."""
    context: Json = table_context(body)
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return context
    parts = [request]
    for item in request.get("TransactItems") or []:
        parts += [part for part in item.values() if isinstance(part, dict)]
    attributes = [name for part in parts for name in named_attributes(part)]
    leading_keys = [value for part in parts for value in partition_key_values(part)]
    if attributes:
        context["dynamodb:Attributes"] = attributes
    if leading_keys:
        context["dynamodb:LeadingKeys"] = leading_keys
    return context


# KMS: what MiniStack does not have.


def re_encrypt(request: Json) -> Any:
    """The same text under another key, which nobody outside has seen."""
    opened = kms._decrypt(
        {
            "CiphertextBlob": request["CiphertextBlob"],
            "EncryptionContext": request.get("SourceEncryptionContext") or {},
        }
    )
    if opened[0] != 200:
        return opened
    found = json.loads(opened[2])
    sealed = kms._encrypt(
        {
            "KeyId": request["DestinationKeyId"],
            "Plaintext": found["Plaintext"],
            "EncryptionContext": request.get("DestinationEncryptionContext") or {},
        }
    )
    if sealed[0] != 200:
        return sealed
    made = json.loads(sealed[2])
    answer = {
        "CiphertextBlob": made["CiphertextBlob"],
        "SourceKeyId": found["KeyId"],
        "KeyId": made["KeyId"],
    }
    return sealed[0], sealed[1], json.dumps(answer).encode()


handle_kms = kms.handle_request


async def handle_kms_and_more(
    method: str, path: str, headers: Json, body: bytes, query: Json
) -> Any:
    named = {name.lower(): value for name, value in headers.items()}
    if named.get("x-amz-target", "").endswith(".ReEncrypt"):
        return re_encrypt(json.loads(body))
    return await handle_kms(method, path, headers, body, query)


# DynamoDB: what MiniStack leaves out of a table's template.

create_table = provisioners._ddb_create


def create_whole_table(logical_id: str, props: Json, stack_name: str) -> tuple[str, Json]:
    """Whether its items expire, and whether it can be restored."""
    name, attributes = create_table(logical_id, props, stack_name)
    if expiry := props.get("TimeToLiveSpecification"):
        expiry = {**expiry, "Enabled": str(expiry.get("Enabled")).lower() == "true"}
        dynamodb._update_ttl({"TableName": name, "TimeToLiveSpecification": expiry})
    if recovery := props.get("PointInTimeRecoverySpecification"):
        enabled = str(recovery.get("PointInTimeRecoveryEnabled")).lower() == "true"
        wanted = {"PointInTimeRecoveryEnabled": enabled}
        dynamodb._update_continuous_backups(
            {"TableName": name, "PointInTimeRecoverySpecification": wanted}
        )
    return name, attributes


# SQS: a queue that many threads use, and the event source mapping that works it off.

LONGEST_DELAY = 900
TO_READ_A_QUEUE = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")

send_message = sqs._act_send_message
sweep = sqs._dlq_sweep
create_mapping, update_mapping = provisioners._lambda_esm_create, provisioners._lambda_esm_update


def one_at_a_time(function: Callable[..., Any]) -> Callable[..., Any]:
    """MiniStack locks a queue for its mapping only: what is sent while that deletes can be lost."""

    @functools.wraps(function)
    def alone(*arguments: Any) -> Any:
        with sqs._queues_lock:
            return function(*arguments)

    return alone


def send_in_time(request: Json, url: str) -> Json:
    """AWS delays a message by 15 minutes at most ("SendMessage" in the SQS API Reference)."""
    delay = int(request.get("DelaySeconds") or 0)
    if not 0 <= delay <= LONGEST_DELAY:
        reason = f"DelaySeconds must be >= 0 and <= {LONGEST_DELAY}."
        raise sqs._Err(
            "InvalidParameterValue",
            f"Value {delay} for parameter DelaySeconds is invalid. Reason: {reason}",
        )
    sent: Json = send_message(request, url)
    return sent


def sweep_and_count(queue: Json) -> None:
    """SQS tells CloudWatch how many messages wait ("Available CloudWatch metrics for Amazon SQS")."""
    before = len(queue["messages"])
    sweep(queue)
    if len(queue["messages"]) == before:
        return
    dead_letters = sqs._queue_by_arn(
        json.loads(queue["attributes"]["RedrivePolicy"])["deadLetterTargetArn"]
    )
    cloudwatch.record_metric(
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        len(dead_letters["messages"]),
        "Count",
        {"QueueName": dead_letters["name"]},
    )
    cloudwatch._evaluate_all_alarms()


def messages_to_repeat(mapping: Json, records: list[Json], result: Json) -> set[str]:
    """The ids that a function has not worked off; an answer nobody can read fails all of them.

    What is a success and what a failure: "Handling errors for an SQS event source in Lambda" in
    Lambda's guide.
    """
    everything = {record["messageId"] for record in records}
    if result.get("error") or result.get("throttle"):
        return everything
    if "ReportBatchItemFailures" not in mapping.get("FunctionResponseTypes", []):
        return set()
    try:
        failures = (result.get("body") or {}).get("batchItemFailures") or []
        named = {failure["itemIdentifier"] for failure in failures}
    except (AttributeError, KeyError, TypeError):
        return everything
    return named if named <= everything else everything


def work_off(
    mapping: Json, function: Json, event: Json, batch: list[Json], url: str, name: str
) -> None:
    """Deletes what is done by the receipt it came with: a message that came again has another."""
    records = event["Records"]
    result = lambda_svc._execute_function(function, event)
    repeated = messages_to_repeat(mapping, records, result)
    if repeated:
        lambda_svc.logger.warning(
            "ESM: %d of %d messages from %s come again: %s",
            *(len(repeated), len(records), name, result.get("body")),
        )
    sqs._delete_messages_for_esm(
        url,
        {record["receiptHandle"] for record in records if record["messageId"] not in repeated},
    )


def check_mapping(props: Json) -> None:
    """Lambda refuses a mapping that its function's role or timeout does not fit.

    "Creating and configuring an Amazon SQS event source mapping" in Lambda's guide.
    """
    arn = props["EventSourceArn"]
    queue = sqs._queue_by_arn(arn)
    function, *_ = provisioners._lambda_function_for_cfn_ref(props["FunctionName"])
    if queue is None or function is None:
        return
    config = function["config"]
    policies = iam_evaluator._gather_role_policies(
        config["Role"].rpartition("/")[2], get_account_id()
    )
    for name in TO_READ_A_QUEUE:
        asked = iam_evaluator.EvalContext(
            principal_arn=config["Role"],
            principal_type="AssumedRole",
            principal_account=get_account_id(),
            action=f"sqs:{name}",
            resource_arn=arn,
            region=get_region(),
        )
        if iam_evaluator.evaluate(asked, policies).decision != "Allow":
            raise ValueError(
                f"The provided execution role does not have permissions to call {name} on SQS"
            )
    hidden, running = int(queue["attributes"]["VisibilityTimeout"]), int(config["Timeout"])
    if hidden < running:
        raise ValueError(
            f"Queue visibility timeout: {hidden} seconds is less than "
            f"Function timeout: {running} seconds"
        )


def create_checked_mapping(logical_id: str, props: Json, stack_name: str) -> tuple[str, Json]:
    check_mapping(props)
    created: tuple[str, Json] = create_mapping(logical_id, props, stack_name)
    return created


def update_checked_mapping(
    physical_id: str, old: Json, new: Json, stack_name: str
) -> tuple[str, Json]:
    check_mapping(new)
    updated: tuple[str, Json] = update_mapping(physical_id, old, new, stack_name)
    return updated


def replace_parts_of_sqs() -> None:
    sqs._queues_lock = threading.RLock()
    sqs._act_send_message = sqs._HANDLERS["SendMessage"] = send_in_time
    for name, handler in sqs._HANDLERS.items():
        if not inspect.iscoroutinefunction(handler):
            sqs._HANDLERS[name] = one_at_a_time(handler)
    sqs._dlq_sweep = sweep_and_count
    for part in ("_expire_retained", "_dlq_sweep", "_collect_msgs"):
        setattr(sqs, part, one_at_a_time(getattr(sqs, part)))
    lambda_svc._run_sqs_batch = work_off
    resource = provisioners._RESOURCE_HANDLERS["AWS::Lambda::EventSourceMapping"]
    resource.update(create=create_checked_mapping, update=update_checked_mapping)


# CloudWatch: metrics that functions write into their logs, and alarms about exactly one metric.

COMPARISONS = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanOrEqualToThreshold": operator.le,
    "LessThanThreshold": operator.lt,
}


def take_embedded_metrics(line: str) -> None:
    """Metrics in a log line ("Specification: Embedded metric format" in CloudWatch's guide)."""
    try:
        entry = json.loads(line)
        for directive in entry["_aws"]["CloudWatchMetrics"]:
            for names in directive["Dimensions"]:
                dimensions = {name: entry[name] for name in names}
                for metric in directive["Metrics"]:
                    name, unit = metric["Name"], metric.get("Unit", "None")
                    for value in entry[name] if isinstance(entry[name], list) else [entry[name]]:
                        cloudwatch.record_metric(
                            directive["Namespace"], name, value, unit, dimensions
                        )
    except (ValueError, KeyError, TypeError):
        # Any other line, or one that CloudWatch would leave out as well.
        return
    cloudwatch._evaluate_all_alarms()


def evaluate_alarm(alarm: Json) -> None:
    """MiniStack mixes the points of all dimensions, and so rings alarms that AWS never would.

    Each combination is a metric of its own ("Metrics concepts" in CloudWatch's guide).
    """
    dimensions = {one["Name"]: one["Value"] for one in alarm.get("Dimensions") or []}
    metric = (alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(dimensions))
    since = time.time() - alarm["Period"] * alarm["EvaluationPeriods"]
    points = [one for one in cloudwatch._metrics.get(metric) or [] if one["Timestamp"] >= since]
    if not points:
        return
    value = cloudwatch._calc_stats(points)[alarm["Statistic"]]
    breaching = COMPARISONS[alarm["ComparisonOperator"]](value, alarm["Threshold"])
    state = {
        "AlarmName": alarm["AlarmName"],
        "StateValue": "ALARM" if breaching else "OK",
        "StateReason": f"{alarm['Statistic']} {value}",
    }
    cloudwatch._set_alarm_state({}, state, is_cbor=False, is_json=True)


create_of_metric, update_of_metric = (
    provisioners._cw_metric_alarm_create,
    provisioners._cw_metric_alarm_update,
)


def create_alarm(logical_id: str, props: Json, stack_name: str) -> tuple[str, Json]:
    """An alarm about several metrics is deployed as one that never rings: MiniStack refuses it."""
    created: tuple[str, Json] = create_of_metric(logical_id, about_one(props), stack_name)
    return created


def update_alarm(
    physical_id: str, old: Json, new: Json, stack_name: str, logical_id: str | None = None
) -> tuple[str, Json]:
    updated: tuple[str, Json] = update_of_metric(
        physical_id, about_one(old), about_one(new), stack_name, logical_id
    )
    return updated


def about_one(props: Json) -> Json:
    if "Metrics" not in props:
        return props
    rest = {name: value for name, value in props.items() if name != "Metrics"}
    return {**rest, "Namespace": "Local", "MetricName": "OfSeveral", "Period": 300}


# Lambda: layers that lie unpacked, logs that can be read while they are written, and processes
# that can be killed.

resolve_layer = lambda_svc._resolve_layer_zip
unpacking = threading.Lock()


def layer_in_place(attachment: Any) -> bytes | None:
    """A zip with a note of where the layer lies: its thousand files are unpacked once for all."""
    content: bytes | None = resolve_layer(attachment)
    if content is None:
        return None
    place = Path(tempfile.gettempdir()) / f"layer-{sha256(content).hexdigest()}"
    with unpacking:
        if not place.exists():
            half = place.with_suffix(".half")
            with zipfile.ZipFile(io.BytesIO(content)) as layer:
                layer.extractall(half)
            half.rename(place)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as note:
        note.writestr("lies-at", str(place))
    return packed.getvalue()


LOG_DIR = Path(os.environ["FUNCTION_LOG_DIR"])
drain_log = lambda_runtime.Worker._drain_stderr_bounded


def log_file(function_name: str) -> Path:
    """One file per function: the stack's name and the random end of the function's are noise."""
    match = re.fullmatch(r".+-([A-Za-z]+)-[A-Za-z0-9]+", function_name)
    return LOG_DIR / f"{match[1] if match else function_name}.log"


def read_log(worker: Any) -> None:
    """Every line goes to the function's file at once, and to CloudWatch Logs when the call ends."""
    process, lines = worker._proc, worker._stderr_queue
    with log_file(worker.func_name).open("a", buffering=1) as log:
        for line in process.stderr:
            log.write(line)
            lines.put(line.rstrip("\n"))
            take_embedded_metrics(line)


def drain_log_quickly(worker: Any, *arguments: Any, **named: Any) -> str:
    # A handler that logs nothing would pay the default of 50 ms on every call.
    log: str = drain_log(worker, *arguments, **{**named, "first_line_wait": 0.003})
    return log


def kill_environments() -> int:
    """Kills every Lambda process where it stands, in the middle of a call or not."""
    with lambda_runtime._lock:
        workers = [worker for pool in lambda_runtime._workers.values() for worker in pool]
    processes = [worker._proc for worker in workers if worker._proc is not None]
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()
    return len(processes)


# DynamoDB Streams: what an event source mapping does with what its function could not work off.


@dataclass
class StreamBatch:
    """How many records a mapping takes next, and how often it has failed with the first of them."""

    size: int
    failures: int = 0


stream_batches: dict[str, StreamBatch] = {}
resource_of = iam_actions.extract_resource_arn


def resource_of_stream(service: str, *arguments: Any) -> str:
    """MiniStack lets only those read a stream who may read every one."""
    if service == "dynamodbstreams":
        request = json.loads(arguments[3] or b"{}")
        iterator = dynamodb_streams._decode_iterator(request.get("ShardIterator") or "") or {}
        if arn := request.get("StreamArn") or iterator.get("arn"):
            return str(arn)
    return str(resource_of(service, *arguments))


def poll_streams() -> bool:
    """MiniStack repeats a failed batch for ever, in the way of every other mapping."""
    began = False
    for account_id, region, mapping in lambda_svc._iter_all_esms():
        name = mapping["UUID"]
        reads_stream = ":dynamodb:" in mapping.get("EventSourceArn", "")
        if not reads_stream or not mapping.get("Enabled", True) or name in lambda_svc._esm_inflight:
            continue
        account = lambda_svc._request_account_id.set(account_id)
        there = lambda_svc._request_region.set(region)
        try:
            waits = lambda_svc._esm_backoff_until.get(name, 0) > time.time()
            if not waits and stream_position(mapping) < dynamodb.stream_end_position(
                table_of(mapping)
            ):
                lambda_svc._dispatch_esm_batch(name, take_from_stream, mapping)
                began = True
        finally:
            lambda_svc._request_account_id.reset(account)
            lambda_svc._request_region.reset(there)
    return began


def table_of(mapping: Json) -> str:
    return str(mapping["EventSourceArn"].split("/")[1])


def stream_position(mapping: Json) -> int:
    """Where a mapping reads on. MiniStack keeps this when it stops, and forgets the stream."""
    begin = dynamodb.stream_start_position(table_of(mapping))
    position: int = lambda_svc._dynamodb_stream_positions.get(mapping["UUID"], begin)
    if begin <= position <= dynamodb.stream_end_position(table_of(mapping)):
        return position
    lambda_svc._dynamodb_stream_positions[mapping["UUID"]] = begin
    return int(begin)


def take_from_stream(mapping: Json) -> None:
    """One batch, in Lambda's way with failures.

    "Configuring partial batch response with DynamoDB and Lambda", and on retries, halving and
    destinations "Retain discarded records with a DynamoDB event source", in Lambda's guide.
    """
    name, position = mapping["UUID"], stream_position(mapping)
    function, _ = lambda_svc._get_func_record_for_qualifier(
        mapping["FunctionName"], mapping.get("Qualifier")
    )
    if function is None:
        return
    batch = stream_batches.setdefault(name, StreamBatch(int(mapping.get("BatchSize", 100))))
    records = dynamodb.stream_records_since(table_of(mapping), position, batch.size)
    sent = lambda_svc._apply_filter_criteria(records, mapping)
    result = lambda_svc._execute_function(function, {"Records": sent}) if sent else {}
    failed = first_failed(mapping, sent, result) if sent else None
    done = len(records) if failed is None else records.index(failed)
    if failed is not None and failed is sent[0]:
        lambda_svc.logger.warning("ESM: stream batch of %s failed: %s", name, result.get("body"))
        if result.get("error") and len(sent) > 1 and mapping.get("BisectBatchOnFunctionError"):
            batch.size = len(records) // 2
            return
        batch.failures += 1
        if not (gave_up := reason_to_give_up(mapping, batch, failed)):
            lambda_svc._esm_backoff_until[name] = time.time() + lambda_svc._ESM_BACKOFF_SECONDS
            return
        lambda_svc._send_ddb_stream_failure_record(
            mapping, function, sent, mapping["EventSourceArn"], result, gave_up
        )
        done = len(records)
    lambda_svc._dynamodb_stream_positions[name] = position + done
    del stream_batches[name]


def first_failed(mapping: Json, sent: list[Json], result: Json) -> Json | None:
    """The record to go on from; an answer that nobody can read fails all of them."""
    if result.get("error") or result.get("throttle"):
        return sent[0]
    if "ReportBatchItemFailures" not in mapping.get("FunctionResponseTypes", []):
        return None
    try:
        failures = (result.get("body") or {}).get("batchItemFailures") or []
        named = {failure["itemIdentifier"] for failure in failures}
    except (AttributeError, KeyError, TypeError):
        return sent[0]
    found = [record for record in sent if record["dynamodb"]["SequenceNumber"] in named]
    return found[0] if found else sent[0] if named else None


def reason_to_give_up(mapping: Json, batch: StreamBatch, record: Json) -> str | None:
    retries = int(mapping.get("MaximumRetryAttempts", -1))
    if 0 <= retries < batch.failures:
        return "RetryAttemptsExhausted"
    oldest = int(mapping.get("MaximumRecordAgeInSeconds", -1))
    age = time.time() - record["dynamodb"]["ApproximateCreationDateTime"]
    return "MaxRecordAgeExceeded" if 0 <= oldest < age else None


serve_aws = gateway.app


async def serve(scope: Json, receive: Callable[[], Any], send: Callable[[Json], Any]) -> None:
    """MiniStack's own application, and one address of ours for what no AWS API offers."""
    if scope["type"] != "http" or scope["path"] != "/_local/execution-environments":
        await serve_aws(scope, receive, send)
        return
    killed = await asyncio.to_thread(kill_environments)
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json")],
        }
    )
    await send({"type": "http.response.body", "body": json.dumps({"killed": killed}).encode()})


def stop_with_parent() -> None:
    """Standard input is a pipe that nobody writes to: it ends when the world does."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def replace_parts() -> None:
    if version("ministack") != WRITTEN_FOR:
        sys.exit(f"This was written for MiniStack {WRITTEN_FOR}, not {version('ministack')}.")
    iam_actions.extract_resource_arn = resource_of_stream
    lambda_svc._poll_dynamodb_streams = poll_streams
    resource = provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"]
    resource.update(create=create_api_with_body, update=update_api_with_body)
    apigateway._handle_execute_in_scope = handle_with_options
    apigateway._invoke_lambda_proxy = invoke_within_time
    apigateway._validate_jwt_authorizer = validate_jwt_strictly
    iam_actions.request_tag_context = request_context
    iam_actions.extract_iam_action = action_of_one
    iam_actions.dynamodb_service_context = dynamodb_context
    iam_evaluator.enforce = enforce_both
    kms.handle_request = handle_kms_and_more
    provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]["create"] = create_whole_table
    alarm = provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::Alarm"]
    alarm.update(create=create_alarm, update=update_alarm)
    lambda_svc._resolve_layer_zip = layer_in_place
    lambda_svc._execute_function = execute_as_http_api
    lambda_svc._execute_function_warm = execute_when_free
    lambda_svc.lambda_execute_result_to_api_proxy_response = answer_of_api
    lambda_runtime._PYTHON_WORKER_SCRIPT = (
        Path(__file__).with_name("execution_environment.py").read_text()
    )
    lambda_runtime.Worker._drain_stderr_bounded = drain_log_quickly
    lambda_runtime.Worker._read_stderr = read_log
    cloudwatch._evaluate_alarm = evaluate_alarm
    gateway.app = serve
    replace_parts_of_sqs()


if __name__ == "__main__":
    replace_parts()
    threading.Thread(target=stop_with_parent, daemon=True).start()
    gateway.main()
