"""Whether an answer is what the description of the API says of it."""

import json
import re
from functools import cache
from typing import Any

import jsonschema_rs

from tests.support.deployed import ROOT, Reply

DESCRIPTION: dict[str, Any] = json.loads((ROOT / "functions/openapi.json").read_text())


def assert_described(method: str, path: str, reply: Reply) -> None:
    """Fails where the description knows no such answer of this route; others have none."""
    route = _route(method, path.partition("?")[0])
    # Those with a message alone are API Gateway's.
    if route is None or set(reply.json) == {"message"}:
        return
    schema = _schema(method, route, reply.status)
    assert schema, f"{method} {route} answers {reply.status}, which is not described"
    schema.validate(reply.json)


@cache
def _route(method: str, path: str) -> str | None:
    for route, there in DESCRIPTION["paths"].items():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(route))
        if method.lower() in there and re.fullmatch(pattern, path):
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
