"""The template after SAM's translation, as CloudFormation gets it, and AWS's limits for it."""

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.support.deployed import TEMPLATE
from tests.support.translated import translated

RESOURCES: dict[str, Any] = translated()["Resources"]
DEFINITION: dict[str, Any] = RESOURCES["HttpApi"]["Properties"]["Body"]
FUNCTIONS: dict[str, dict[str, Any]] = {
    name: resource["Properties"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::Lambda::Function"
}
# The routes that take no access token, on purpose.
PUBLIC = {
    "GET /connect/{handle}",
    "HEAD /connect/{handle}",
    "GET /callback",
    "HEAD /callback",
    "POST /webhooks/finch",
    "$default",
}
# They may work on after API Gateway has responded: see the comments in the template.
OUTLAST_THE_GATEWAY = {"FinishConnect", "Disconnect"}


def operations() -> dict[str, dict[str, Any]]:
    """The operations of the API's definition by their route keys."""
    return {
        "$default" if path.endswith("$default") else f"{method.upper()} {path}": operation
        for path, item in DEFINITION["paths"].items()
        for method, operation in item.items()
    }


# The API


def test_every_route_needs_a_token_or_is_public_on_purpose() -> None:
    customers: Any = [{"CustomerToken": []}]
    security = {key: operation.get("security") for key, operation in operations().items()}
    assert security == {key: None if key in PUBLIC else customers for key in security}
    assert security.keys() > PUBLIC


def test_every_security_scheme_is_defined_and_is_the_jwt_authorizer() -> None:
    """An unknown scheme makes a definition invalid, and API Gateway's import may leave the route open."""
    [(name, scheme)] = DEFINITION["components"]["securitySchemes"].items()
    authorizer = scheme["x-amazon-apigateway-authorizer"]
    assert (name, authorizer["type"]) == ("CustomerToken", "jwt")
    assert authorizer["identitySource"] == "$request.header.Authorization"
    assert authorizer["jwtConfiguration"] == {
        "issuer": {"Ref": "JwtIssuer"},
        "audience": [{"Ref": "JwtAudience"}],
    }
    assert "security" not in DEFINITION


def test_every_route_gets_format_two_and_its_function_may_be_invoked() -> None:
    permitted: dict[str, set[str]] = {}
    for resource in RESOURCES.values():
        if resource["Type"] == "AWS::Lambda::Permission":
            properties = resource["Properties"]
            assert properties["Principal"] == "apigateway.amazonaws.com"
            arn = properties["SourceArn"]["Fn::Sub"][0]
            permitted.setdefault(properties["FunctionName"]["Ref"], set()).add(
                arn.partition("${__Stage__}/")[2]
            )
    for key, operation in operations().items():
        integration = operation["x-amazon-apigateway-integration"]
        assert integration["payloadFormatVersion"] == "2.0"
        [function] = re.findall(r"\$\{(\w+)\}/invocations", integration["uri"]["Fn::Sub"])
        wanted = "*" if key == "$default" else re.sub(r"\{\w+\}", "*", key.replace(" ", ""))
        assert any(fnmatchcase(wanted, pattern) for pattern in permitted[function])


def test_every_route_with_limits_of_its_own_exists() -> None:
    """API Gateway refuses a stage with settings for a route that the API does not have."""
    [stage] = [one for one in RESOURCES.values() if one["Type"] == "AWS::ApiGatewayV2::Stage"]
    settings = set(stage["Properties"]["RouteSettings"])
    assert settings == PUBLIC <= operations().keys()


# The functions


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_has_its_own_role_and_log_group_and_may_write_only_there(name: str) -> None:
    properties = FUNCTIONS[name]
    assert properties["Role"] == {"Fn::GetAtt": [f"{name}Role", "Arn"]}
    group = f"{name}LogGroup"
    assert properties["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": {"Ref": group}}
    assert RESOURCES[group]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    [policy] = RESOURCES[f"{name}Role"]["Properties"]["Policies"]
    written = [
        statement["Resource"]
        for statement in policy["PolicyDocument"]["Statement"]
        if any(action.startswith("logs:") for action in statement["Action"])
    ]
    assert written == [{"Fn::GetAtt": [group, "Arn"]}]


def test_functions_behind_the_gateway_stop_before_it_responds_without_them() -> None:
    behind = {
        re.findall(
            r"\$\{(\w+)Aliaslive\}",
            operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"],
        )[0]
        for operation in operations().values()
    }
    late = {name for name in behind if FUNCTIONS[name]["Timeout"] >= 30}
    assert late == OUTLAST_THE_GATEWAY


def test_no_retained_resource_has_a_fixed_name() -> None:
    """Otherwise a new stack of the same name could not be deployed after the old stack was deleted."""
    kept = [one for one in RESOURCES.values() if one.get("DeletionPolicy") == "Retain"]
    assert len(kept) >= 7
    for one in kept:
        names = {"Name", "TableName", "LayerName"} & one["Properties"].keys()
        assert names <= {"LayerName"}, one["Type"]


def longest(value: Any, parameters: dict[str, Any]) -> str:
    """The longest text that CloudFormation may put in the place of a value of an environment."""
    account = "123456789012"
    # "CreateStack" in CloudFormation's API Reference: 128 characters for a stack's name.
    region, partition, stack = "ap-southeast-99", "aws-us-gov", "s" * 128
    if isinstance(value, str):
        return value
    [(function, argument)] = value.items()
    if function == "Fn::If":
        return max((longest(one, parameters) for one in argument[1:]), key=len)
    if function == "Fn::Sub":
        return str(argument).replace("${AWS::StackName}", stack)
    if argument == "AWS::StackName":
        return stack
    if function == "Ref" and argument in parameters:
        definition = parameters[argument]
        if choices := definition.get("AllowedValues"):
            return max(map(str, choices), key=len)
        if "MaxValue" in definition:
            return str(definition["MaxValue"])
        return "x" * int(definition["MaxLength"])
    logical_id = argument if isinstance(argument, str) else argument[0]
    kind = RESOURCES[logical_id]["Type"]
    arn = f"arn:{partition}:secretsmanager:{region}:{account}:"
    if kind == "AWS::SQS::Queue":
        return f"https://sqs.{region}.amazonaws.com/{account}/{'q' * 80}"
    if kind == "AWS::Lambda::Alias":
        return f"arn:{partition}:lambda:{region}:{account}:function:{'f' * 64}:live"
    if kind == "AWS::Events::EventBus":
        return longest(RESOURCES[logical_id]["Properties"]["Name"], parameters)
    if kind == "AWS::KMS::Key":
        return f"{arn}key/mrk-{'k' * 36}"
    if kind == "AWS::SecretsManager::Secret":
        return f"{arn}secret:{logical_id}-{'x' * 12}-{'x' * 6}"
    assert kind == "AWS::DynamoDB::Table"
    return f"{stack}-{logical_id}-{'x' * 13}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_environment_fits_into_4_kb_with_the_longest_parameters(name: str) -> None:
    """ "Lambda quotas" in its guide: 4 KB for all variables together. Counted as JSON, the strictest way."""
    variables = FUNCTIONS[name]["Environment"]["Variables"]
    filled = {key: longest(value, TEMPLATE["Parameters"]) for key, value in variables.items()}
    size = len(json.dumps(filled, separators=(",", ":")))
    assert size <= 4096
