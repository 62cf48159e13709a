"""Builds the OpenAPI 3.1 description from the template and the code; `make openapi` writes the file.

Routes come from the template, request bodies from the models that parse them, connections from the
types that serialize them, failures from the table in `api`. This module adds only descriptions and
the failures of each route; `tests/security/test_fuzz.py` checks them against real responses.
"""

import inspect
import json
import re
import sys
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, NotRequired, TypedDict

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from finch_connections.domain.budget import TooManyRequests
from finch_connections.domain.connect_session import (
    CannotConnect,
    CodeRejected,
    ConnectionEnded,
    ExchangeUncertain,
    ModeNotAllowed,
    ReturnToNotAllowed,
    SessionExpired,
    SessionNotFound,
    SessionUsed,
)
from finch_connections.domain.connection import (
    ConnectionBusy,
    ConnectionLimit,
    ConnectionNotFound,
    ConnectionStatus,
    DisconnectRefused,
    TooManyLogins,
)
from finch_connections.domain.errors import InternalError, InvalidRequest, Refusal
from finch_connections.domain.webhook import SignatureInvalid
from finch_connections.finch.errors import (
    FinchFailure,
    FinchMisconfigured,
    FinchUnavailable,
    RequestRefused,
    Unauthorized,
)
from finch_connections.use_cases.attach_token import Status
from finch_connections.web.api import STATUS, CustomerUnknown, RouteNotFound
from finch_connections.web.connection_response import ConnectionResponse
from functions.finish_connect.finish_request import Confirmation, Embedded, FinishRequest
from functions.list_connections.handler import _LIMIT
from functions.start_connect.handler import RepairRequest, StartRequest
from tests.support.deployed import ROOT
from tests.support.in_process import Route, routes_of_template

FILE = ROOT / "functions" / "openapi.json"
_SCHEMAS = "#/components/schemas/"


class Link(TypedDict):
    """The link to connect, the time at which it expires, and the reference for support."""

    connect_url: str
    expires_at: str
    reference: str


class EmbeddedSession(TypedDict):
    """The values that open Finch's JavaScript SDK, their expiry, and the reference for support."""

    session_id: str
    state: str
    expires_at: str
    reference: str


class Finished(TypedDict):
    """The outcome of a connect session: connected, pending, or a connection to confirm.

    `reference` names an attempt that is not connected yet to support.
    """

    status: Status
    reference: NotRequired[str]
    provider_id: NotRequired[str]
    company_id: NotRequired[str]
    entity_names: NotRequired[list[str]]
    completion: NotRequired[str]
    repaired: NotRequired[bool]


class Page(TypedDict):
    """A page of the customer's connections; `next_cursor` is null on the last page."""

    connections: list[ConnectionResponse]
    next_cursor: str | None


class Received(TypedDict):
    """The webhook was accepted."""

    status: str


class Problem(TypedDict):
    """A failure (RFC 9457); `code` is a stable machine-readable value.

    `reference` names an attempt to connect to support, where one failed.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    reference: NotRequired[str]


_BODIES: dict[str, type[BaseModel]] = {
    "POST /connect-sessions": StartRequest,
    "POST /connections/{provider_id}/{company_id}/reauthenticate": RepairRequest,
    "POST /callback": FinishRequest,
}
_EXAMPLES: dict[str, dict[str, Any]] = {
    "POST /connect-sessions": {
        "products": ["company", "directory"],
        "return_to": "http://localhost:8080/",
    },
    "POST /connections/{provider_id}/{company_id}/reauthenticate": {
        "return_to": "http://localhost:8080/"
    },
    "POST /callback": {"completion": "the completion code of the return", "look": True},
}
_ANSWERS: dict[str, dict[int, tuple[type[Any], ...]]] = {
    "POST /connect-sessions": {201: (Link, EmbeddedSession)},
    "POST /connections/{provider_id}/{company_id}/reauthenticate": {201: (Link, EmbeddedSession)},
    "GET /connect/{handle}": {302: ()},
    "HEAD /connect/{handle}": {302: ()},
    "GET /callback": {302: ()},
    "HEAD /callback": {302: ()},
    "POST /callback": {200: (Finished,), 202: (Finished,)},
    "GET /connections": {200: (Page,)},
    "GET /connections/{provider_id}/{company_id}": {200: (ConnectionResponse,)},
    "DELETE /connections/{provider_id}/{company_id}": {
        200: (ConnectionResponse,),
        202: (ConnectionResponse,),
    },
    "DELETE /connections/{provider_id}/{company_id}/entities/{entity_id}": {
        200: (ConnectionResponse,),
        202: (ConnectionResponse,),
    },
    "POST /webhooks/finch": {200: (Received,)},
}
_FINCH = (FinchMisconfigured, FinchUnavailable, RequestRefused)
# A path whose ids are not escaped may have no route.
# The routes that a browser opens are missing: they always redirect, with the reason in the URL.
_FAILURES: dict[str, tuple[type[Refusal | FinchFailure], ...]] = {
    "POST /connect-sessions": (
        *(InvalidRequest, ReturnToNotAllowed, ModeNotAllowed, ConnectionNotFound),
        *(ConnectionBusy, ConnectionLimit, TooManyRequests, *_FINCH),
    ),
    "POST /connections/{provider_id}/{company_id}/reauthenticate": (
        *(InvalidRequest, ReturnToNotAllowed, ModeNotAllowed, ConnectionNotFound),
        *(ConnectionBusy, RouteNotFound, TooManyRequests, *_FINCH),
    ),
    "POST /callback": (
        *(InvalidRequest, CodeRejected, SessionNotFound, SessionUsed, SessionExpired),
        *(CannotConnect, ConnectionLimit, TooManyLogins, ConnectionEnded, ExchangeUncertain),
        *(Unauthorized, TooManyRequests, *_FINCH),
    ),
    "GET /connections": (InvalidRequest,),
    "GET /connections/{provider_id}/{company_id}": (ConnectionNotFound, RouteNotFound),
    "DELETE /connections/{provider_id}/{company_id}": (
        *(ConnectionNotFound, ConnectionBusy, DisconnectRefused, RouteNotFound),
    ),
    "DELETE /connections/{provider_id}/{company_id}/entities/{entity_id}": (
        *(ConnectionNotFound, ConnectionBusy, DisconnectRefused, RouteNotFound),
    ),
    "POST /webhooks/finch": (InvalidRequest, SignatureInvalid, FinchMisconfigured),
}
_QUERY: dict[str, dict[str, Any]] = {
    "GET /callback": {
        name: {"type": "string"} for name in ("code", "state", "error", "error_description")
    },
    "GET /connections": {
        "limit": {"type": "string", "pattern": f"^({_LIMIT.pattern})$"},
        "cursor": {"type": "string"},
        "status": {
            "type": "array",
            "items": {"type": "string", "enum": list(ConnectionStatus)},
            "minItems": 1,
        },
    },
}
_ID_IN_PATH = {
    "type": "string",
    "pattern": "^[A-Za-z0-9_.~!'()*-]+$",
    "example": "gusto",
    "description": "The id, with `~` and two hex digits for each UTF-8 byte of other characters. "
    "A `~` is `~7E`; the ids `.` and `..` are `~2E` and `~2E~2E`.",
}
_HEADERS = {"POST /webhooks/finch": ("Finch-Event-Id", "Finch-Timestamp", "Finch-Signature")}


def description() -> dict[str, Any]:
    """The whole description."""
    template = _SCHEMAS + "{model}"
    bodies: list[type[BaseModel]] = [*_BODIES.values(), Confirmation, Embedded]
    schemas: dict[str, Any] = models_json_schema(
        [(one, "validation") for one in bodies], ref_template=template
    )[1]["$defs"]
    for type_ in (Link, EmbeddedSession, Finished, Page, Received, Problem):
        schema = TypeAdapter(type_).json_schema(mode="serialization", ref_template=template)
        schemas |= {**schema.pop("$defs", {}), type_.__name__: schema}
    for schema in schemas.values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    paths: dict[str, Any] = {}
    for route in routes_of_template():
        if route.key != "$default":
            method, path = route.key.split()
            paths.setdefault(path, {})[method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Finch Connections",
            "version": "1",
            "description": "Every failure has the same shape. Refusals of API Gateway itself (401, "
            "413, 429, and 503 after a function's timeout) have their own.",
        },
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "CustomerToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    key, plain = route.key, {"type": "string"}
    parameters = [
        _parameter(one, "path", _ID_IN_PATH if one.endswith("_id") else plain)
        for one in re.findall(r"{(\w+)}", key)
    ]
    parameters += [_parameter(one, "query", schema) for one, schema in _QUERY.get(key, {}).items()]
    parameters += [_parameter(one, "header", plain) for one in _HEADERS.get(key, ())]
    operation: dict[str, Any] = {
        "operationId": "_".join(re.findall(r"\w+", key)).lower(),
        "tags": [route.event_file.stem],
        "parameters": parameters,
        "responses": dict(sorted(_responses(key, route.needs_token))),
    }
    if key in _BODIES:
        body = {"application/json": {"schema": _reference(_BODIES[key]), "example": _EXAMPLES[key]}}
        operation["requestBody"] = {"required": True, "content": body}
    if key in _HEADERS:
        operation["requestBody"] = {"content": {"application/json": {"schema": {}}}}
    if route.needs_token:
        operation["security"] = [{"CustomerToken": []}]
    return operation


def _parameter(name: str, place: str, schema: Any) -> dict[str, Any]:
    listed = {"style": "form", "explode": False} if schema.get("type") == "array" else {}
    return {"name": name, "in": place, "required": place == "path", "schema": schema, **listed}


def _responses(key: str, needs_token: bool) -> Iterator[tuple[str, Any]]:
    for status, types in _ANSWERS[key].items():
        if not types:
            location = {"location": {"required": True, "schema": {"type": "string"}}}
            yield str(status), {"description": "Redirects the browser.", "headers": location}
            continue
        references = [_reference(one) for one in types]
        schema = references[0] if len(references) == 1 else {"oneOf": references}
        text = " ".join(inspect.getdoc(one) or "" for one in types)
        yield (
            str(status),
            {"description": text, "content": {"application/json": {"schema": schema}}},
        )
    always = (InternalError, CustomerUnknown) if needs_token else (InternalError,)
    by_status: dict[HTTPStatus, set[str]] = {}
    for kind in (*_FAILURES[key], *always) if key in _FAILURES else ():
        by_status.setdefault(STATUS[kind.code], set()).add(kind.code)
    for status, codes in by_status.items():
        # Not a `const`, which the generator of Python clients cannot combine with an integer.
        narrowed = {"code": {"enum": sorted(codes)}, "status": {"enum": [int(status)]}}
        failure = {"allOf": [_reference(Problem), {"properties": narrowed}]}
        content = {"application/problem+json": {"schema": failure}}
        text = " or ".join(f"`{one}`" for one in sorted(codes))
        failed: dict[str, Any] = {"description": text, "content": content}
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            seconds = {"description": "Seconds to wait.", "schema": {"type": "integer"}}
            failed["headers"] = {"retry-after": {"required": True, **seconds}}
        yield str(int(status)), failed


def _reference(type_: type[Any]) -> dict[str, str]:
    return {"$ref": _SCHEMAS + type_.__name__}


def text() -> str:
    """The content of the committed file."""
    return json.dumps(description(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
    sys.stdout.write(f"{FILE.relative_to(ROOT)} written\n")
