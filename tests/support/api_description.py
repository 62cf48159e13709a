"""Checks that a response of the API matches its OpenAPI description."""

import json
import re
from functools import cache
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

from tests.support.deployed import ROOT, Reply

DESCRIPTION: dict[str, Any] = json.loads((ROOT / "functions/openapi.json").read_text())


def decoded_path(path: str) -> str:
    """The path as API Gateway decodes it before it looks for the route.

    It ends the path at an encoded `?`. By MiniStack's measurements it leaves `%25` unchanged.
    """
    return unquote(path.replace("%25", "%2525")).partition("?")[0]


def assert_matches_description(method: str, path: str, reply: Reply) -> None:
    """Fails if the response does not match its route's description; ignores unknown routes."""
    route = _route(method, decoded_path(path.partition("?")[0]))
    # API Gateway's own responses have only a message.
    if route is None or set(reply.json) == {"message"}:
        return
    schema = _schema(method, route, reply.status)
    assert schema, f"the description of {method} {route} has no response {reply.status}"
    schema.validate(reply.json)


@cache
def _route(method: str, path: str) -> str | None:
    for route, operations in DESCRIPTION["paths"].items():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(route))
        if method.lower() in operations and re.fullmatch(pattern, path):
            return str(route)
    return None


@cache
def _schema(method: str, route: str, status: int) -> Any:
    answer = DESCRIPTION["paths"][route][method.lower()]["responses"].get(str(status))
    if not answer:
        return None
    [content] = answer["content"].values()
    whole = content["schema"] | {"components": DESCRIPTION["components"]}
    return jsonschema_rs.validator_for(whole)
