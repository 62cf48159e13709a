"""API Gateway in a template: imports the OpenAPI definition of an HTTP API.

MiniStack ignores the property `Body` of `AWS::ApiGatewayV2::Api`, so an `AWS::Serverless::HttpApi`
has no route. AWS imports routes, integrations, authorizers and CORS from it ("AWS::ApiGatewayV2::Api"
in the CloudFormation Template Reference, "OpenAPI extensions for API Gateway" in API Gateway's guide).
"""

import json
from typing import Any

from ministack.services import apigateway
from ministack.services.cloudformation import provisioners

from local.aws_emulator import Json

METHODS = {"get", "put", "post", "delete", "options", "head", "patch"}
ANY_METHOD = "x-amazon-apigateway-any-method"

original_create = provisioners._apigw_v2_api_create
original_update = provisioners._apigw_v2_api_update


def created(response: tuple[int, Any, bytes]) -> Json:
    status, _, body = response
    if status >= 400:
        raise ValueError(f"HTTP API import failed: {body!r}")
    resource: Json = json.loads(body)
    return resource


def import_authorizers(api_id: str, body: Json) -> dict[str, Json]:
    authorizers = {}
    schemes = (body.get("components") or {}).get("securitySchemes") or {}
    for name, scheme in schemes.items():
        if not (stated := scheme.get("x-amazon-apigateway-authorizer")):
            continue
        source = stated.get("identitySource") or []
        is_jwt = stated.get("type", "").lower() == "jwt"
        authorizers[name] = created(
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
    integration = created(
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
    created(apigateway._create_route(api_id, route))


def import_body(api_id: str, body: Json) -> None:
    """Replaces the routes, integrations and authorizers of an API with those of its definition."""
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


def create_api(logical_id: str, props: Json, stack_name: str) -> tuple[str, Json]:
    api_id, attributes = original_create(logical_id, props, stack_name)
    if isinstance(props.get("Body"), dict):
        import_body(api_id, props["Body"])
    return api_id, attributes


def update_api(
    physical_id: str, old: Json, new: Json, stack_name: str, logical_id: str | None = None
) -> tuple[str, Json]:
    api_id, attributes = original_update(physical_id, old, new, stack_name, logical_id)
    if isinstance(new.get("Body"), dict):
        import_body(api_id, new["Body"])
    return api_id, attributes


def patch() -> None:
    resource = provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"]
    resource.update(create=create_api, update=update_api)
