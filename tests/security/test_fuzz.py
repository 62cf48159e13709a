"""Thousands of requests that the API description allows, and many that it does not allow.

No response is a server error. Each response matches the description, and each failure has our shape.
"""

import base64
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pytest
import schemathesis
from hypothesis import assume, given
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from werkzeug.wrappers import Request, Response

from finch_connections.domain.connection import CompanyKey, UnusableIdentifier
from finch_connections.domain.errors import InvalidRequest
from finch_connections.domain.secret import WebhookSecret
from functions.list_connections.handler import _cursor, _read_cursor
from local.fake_finch.seed_world import HARBOR_LANE
from tests.security.examples import examples
from tests.security.test_headers import assert_protected
from tests.security.test_injection import assert_headers_valid
from tests.support import openapi
from tests.support.deployed import Reply
from tests.support.in_process import RETURN_URLS, WEBHOOK_SECRET, InProcess
from tests.support.person import Person

DESCRIPTION = openapi.description()
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def test_the_committed_description_is_up_to_date() -> None:
    assert openapi.FILE.read_text() == openapi.text(), "run make openapi"


class WsgiApp:
    """The API in process as a WSGI application; adds an access token to each request."""

    def __init__(self, product: InProcess) -> None:
        self.product = product

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Handles a request with the path exactly as the client sent it."""
        request = Request(environ)
        headers = {name.lower(): value for name, value in request.headers.items()}
        headers["authorization"] = f"Bearer {self.product.token('acme')}"
        path = environ["REQUEST_URI"]
        body = request.get_data()
        reply = self.product.api.send(request.method, path, headers=headers, body=body or None)
        response = Response(reply.text, reply.status, dict(reply.headers))
        return response(environ, start_response)


@dataclass
class Described:
    """The operations of the description, and a function that restores the state before each test."""

    operations: dict[str, Any]
    entity_id: str
    restore: Callable[[], None]


@pytest.fixture(scope="module")
def described(in_process: InProcess) -> Described:
    """The description, and a product in process with two connections."""
    in_process.reset()
    acme = Person(in_process, "acme")
    acme.connect()
    acme.connect(provider_id="justworks")
    schema = schemathesis.openapi.from_dict(DESCRIPTION)
    schema.app = WsgiApp(in_process)
    operations = {
        f"{one.method.upper()} {one.path}": one
        for result in schema.get_all_operations()
        if isinstance(result, Ok) and (one := result.ok())
    }
    [entity_id] = acme.connection()["logins"][0]["entity_ids"]
    return Described(operations, entity_id, in_process.snapshot())


POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
# Routes for which every request is valid.
ACCEPTING_ANYTHING = {
    *("GET /connect/{handle}", "HEAD /connect/{handle}", "HEAD /callback", "POST /webhooks/finch"),
}
OPERATIONS = [
    (f"{method.upper()} {path}", mode)
    for path, operations in DESCRIPTION["paths"].items()
    for method in operations
    for mode in (POSITIVE, NEGATIVE)
    if mode is POSITIVE or f"{method.upper()} {path}" not in ACCEPTING_ANYTHING
]


@pytest.mark.parametrize(("name", "mode"), OPERATIONS, ids=str)
def test_every_response_matches_the_description(
    described: Described, name: str, mode: schemathesis.GenerationMode
) -> None:
    described.restore()
    statuses = Counter[int]()

    @examples(60)
    @given(described.operations[name].as_strategy(generation_mode=mode), st.booleans())
    def send(case: Any, existing: bool) -> None:
        if existing and mode is POSITIVE:
            _use_existing_values(case, described.entity_id)
        handle = (case.path_parameters or {}).get("handle", "")
        # API Gateway decodes the path before it looks for the route.
        assume(mode is not POSITIVE or not {"/", "?", "#", "%"} & set(unquote(handle)))
        response = case.call()
        case.validate_response(response, checks=CHECKS)
        headers = {key: ", ".join(value) for key, value in response.headers.items()}
        del headers["content-length"]
        reply = Reply(response.status_code, headers, [], response.content.decode())
        assert_protected(reply)
        assert_headers_valid(reply)
        assert reply.status < 400 or reply.code
        statuses[reply.status] += 1

    send()
    method, path = name.split()
    responses = DESCRIPTION["paths"][path][method.lower()]["responses"]
    if mode is POSITIVE and name not in ("POST /callback", "POST /webhooks/finch"):
        # A route that refuses every request would also match the description.
        assert statuses.keys() & {int(one) for one in responses if int(one) < 400}, statuses


def _use_existing_values(case: Any, entity_id: str) -> None:
    """Inserts ids and URLs that exist, which generated values would never match."""
    if isinstance(case.body, dict) and "return_to" in case.body:
        case.body["return_to"] = RETURN_URLS[0]
    if "company_id" in (case.path_parameters or {}):
        case.path_parameters |= {"provider_id": "gusto", "company_id": HARBOR_LANE.id}
    if "entity_id" in (case.path_parameters or {}):
        case.path_parameters["entity_id"] = entity_id
    if "cursor" in (case.query or {}):
        case.query["cursor"] = _cursor(CompanyKey("gusto", HARBOR_LANE.id))


# The parsers of cursors and webhooks


@examples(300)
@given(st.one_of(st.text(), st.binary().map(lambda data: base64.urlsafe_b64encode(data).decode())))
def test_any_cursor_is_parsed_or_refused(cursor: str) -> None:
    try:
        key = _read_cursor(cursor)
    except InvalidRequest:
        return
    assert _read_cursor(_cursor(key)) == key


@examples(100)
@given(st.text(), st.text())
def test_every_cursor_that_we_write_can_be_read(provider_id: str, company_id: str) -> None:
    try:
        key = CompanyKey(provider_id, company_id)
    except UnusableIdentifier:
        return
    assert _read_cursor(_cursor(key)) == key


@examples(150)
@given(
    st.one_of(st.binary(), st.recursive(st.none() | st.text() | st.floats(), st.lists).map(_json))
)
def test_any_signed_webhook_is_accepted_or_refused(in_process: InProcess, body: bytes) -> None:
    seconds = str(int(in_process.clock.now.timestamp()))
    secret = WebhookSecret.read(WEBHOOK_SECRET)
    headers = {
        "finch-event-id": "msg_1",
        "finch-timestamp": seconds,
        "finch-signature": "v1," + secret.sign(f"msg_1.{seconds}.".encode() + body),
    }
    reply = in_process.receive(headers, body)
    assert reply.status == 200 or (reply.status, reply.code) == (400, "invalid_request")
    forged = in_process.receive(headers | {"finch-event-id": "msg_2"}, body)
    assert (forged.status, forged.code) == (401, "signature_invalid")


_HEADER = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=200)


@examples(200)
@given(
    st.dictionaries(st.sampled_from(["event-id", "timestamp", "signature"]), _HEADER), st.binary()
)
def test_webhooks_with_any_unsigned_headers_are_refused(
    in_process: InProcess, headers: dict[str, str], body: bytes
) -> None:
    reply = in_process.receive({f"finch-{name}": text for name, text in headers.items()}, body)
    assert (reply.status, reply.code) == (401, "signature_invalid")
