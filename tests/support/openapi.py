"""The API as OpenAPI 3.1 describes it, made of the template and of the code; `make openapi` renews it.

The routes are the template's, the bodies the models that read them, the connections the types that
write them, the failures the table of `api`. What is written here, beside words, is which failures
each route knows; `tests/security/test_fuzz.py` holds it against the answers.
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

from finch_connections.domain.connect_session import (
    CannotConnect,
    CodeRejected,
    ConnectionEnded,
    ExchangeUncertain,
    ReturnToNotAllowed,
    SessionExpired,
    SessionNotFound,
    SessionUsed,
)
from finch_connections.domain.connection import (
    ConnectionBusy,
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
from finch_connections.web.api import STATUS, CustomerUnknown
from finch_connections.web.connection_response import ConnectionResponse
from functions.finish_connect.handler import Confirmation, Embedded, FinishRequest
from functions.list_connections.handler import _LIMIT
from functions.start_connect.handler import RepairRequest, StartRequest
from tests.support.deployed import ROOT
from tests.support.in_process import Route, routes_of_template

FILE = ROOT / "functions" / "openapi.json"
_SCHEMAS = "#/components/schemas/"


class Link(TypedDict):
    """The link to connect, good until then."""

    connect_url: str
    expires_at: str


class EmbeddedSession(TypedDict):
    """What Finch's JavaScript SDK is opened with, good until then."""

    session_id: str
    state: str
    expires_at: str


class Finished(TypedDict):
    """What became of an attempt: connected, still pending, or what there is to confirm."""

    status: Status
    provider_id: NotRequired[str]
    company_id: NotRequired[str]
    entity_names: NotRequired[list[str]]
    completion: NotRequired[str]
    repaired: NotRequired[bool]


class Page(TypedDict):
    """Some of the customer's connections; `next_cursor` is null at the end."""

    connections: list[ConnectionResponse]
    next_cursor: str | None


class Received(TypedDict):
    """That a webhook was taken."""

    status: str


class Problem(TypedDict):
    """A failure (RFC 9457); `code` is the word that never changes."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str


_BODIES: dict[str, type[BaseModel]] = {
    "POST /connect-sessions": StartRequest,
    "POST /connections/{provider_id}/{company_id}/reauthenticate": RepairRequest,
    "POST /callback": FinishRequest,
}
_ANSWERS: dict[str, dict[int, tuple[type[Any], ...]]] = {
    "POST /connect-sessions": {201: (Link, EmbeddedSession)},
    "POST /connections/{provider_id}/{company_id}/reauthenticate": {201: (Link, EmbeddedSession)},
    "GET /connect/{handle}": {302: ()},
    "GET /callback": {302: ()},
    "POST /callback": {200: (Finished,), 202: (Finished,)},
    "GET /connections": {200: (Page,)},
    "GET /connections/{provider_id}/{company_id}": {200: (ConnectionResponse,)},
    "DELETE /connections/{provider_id}/{company_id}": {
        200: (ConnectionResponse,),
        202: (ConnectionResponse,),
    },
    "POST /webhooks/finch": {200: (Received,)},
}
_FINCH = (FinchMisconfigured, FinchUnavailable, RequestRefused)
# But for the routes of a browser, which is always sent back, with the reason in the address.
_FAILURES: dict[str, tuple[type[Refusal | FinchFailure], ...]] = {
    "POST /connect-sessions": (InvalidRequest, ReturnToNotAllowed, *_FINCH),
    "POST /connections/{provider_id}/{company_id}/reauthenticate": (
        *(InvalidRequest, ReturnToNotAllowed, ConnectionNotFound, ConnectionBusy),
        *_FINCH,
    ),
    "POST /callback": (
        *(InvalidRequest, CodeRejected, SessionNotFound, SessionUsed, SessionExpired),
        *(CannotConnect, TooManyLogins, ConnectionEnded, ExchangeUncertain, Unauthorized),
        *_FINCH,
    ),
    "GET /connections": (InvalidRequest,),
    "GET /connections/{provider_id}/{company_id}": (ConnectionNotFound,),
    "DELETE /connections/{provider_id}/{company_id}": (
        *(ConnectionNotFound, ConnectionBusy, DisconnectRefused),
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
_HEADERS = {"POST /webhooks/finch": ("Finch-Event-Id", "Finch-Timestamp", "Finch-Signature")}


def description() -> dict[str, Any]:
    """All of it."""
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
            "description": "Every failure is of one shape; what API Gateway itself refuses (401, "
            "413, 429, and 503 where a function was too slow) has its own.",
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
    parameters = [_parameter(one, "path", plain) for one in re.findall(r"{(\w+)}", key)]
    parameters += [_parameter(one, "query", schema) for one, schema in _QUERY.get(key, {}).items()]
    parameters += [_parameter(one, "header", plain) for one in _HEADERS.get(key, ())]
    operation: dict[str, Any] = {
        "operationId": "_".join(re.findall(r"\w+", key)).lower(),
        "tags": [route.event_file.stem],
        "parameters": parameters,
        "responses": dict(sorted(_responses(key, route.needs_token))),
    }
    if key in _BODIES:
        body = {"application/json": {"schema": _reference(_BODIES[key])}}
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
            yield str(status), {"description": "The browser goes on there.", "headers": location}
            continue
        references = [_reference(one) for one in types]
        schema = references[0] if len(references) == 1 else {"oneOf": references}
        said = " ".join(inspect.getdoc(one) or "" for one in types)
        yield (
            str(status),
            {"description": said, "content": {"application/json": {"schema": schema}}},
        )
    always = (InternalError, CustomerUnknown) if needs_token else (InternalError,)
    by_status: dict[HTTPStatus, set[str]] = {}
    for kind in (*_FAILURES[key], *always) if key in _FAILURES else ():
        by_status.setdefault(STATUS[kind.code], set()).add(kind.code)
    for status, codes in by_status.items():
        narrowed = {"code": {"enum": sorted(codes)}, "status": {"const": int(status)}}
        failure = {"allOf": [_reference(Problem), {"properties": narrowed}]}
        content = {"application/problem+json": {"schema": failure}}
        said = " or ".join(f"`{one}`" for one in sorted(codes))
        yield str(int(status)), {"description": said, "content": content}


def _reference(type_: type[Any]) -> dict[str, str]:
    return {"$ref": _SCHEMAS + type_.__name__}


def text() -> str:
    """The file as it is checked in."""
    return json.dumps(description(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
    sys.stdout.write(f"{FILE.relative_to(ROOT)} is written.\n")
