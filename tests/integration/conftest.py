"""The product in this process: real handlers and events, moto for AWS, the stand-in for Finch."""

import base64
import importlib
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import uuid4

import boto3
import pytest
from moto import mock_aws
from moto.dynamodb.responses import DynamoHandler

from finch_connections import (
    aws,
    claim_table,
    connection_table,
    finch,
    finch_connect,
    finch_secret,
    session_table,
    settings,
    token_vault,
)
from finch_connections.log import logger
from local.finch import FinchState, InProcessTransport, create_app
from tests.deployed import ROOT, TEMPLATE, Deployed, Reply, Tables

API_URL = "https://api.example.com"
RETURN_URLS = ("https://app.example.com/payroll", "https://app.example.com/settings?tab=payroll")
CACHED: tuple[Any, ...] = (
    settings.read,
    aws._session,
    aws.client,
    session_table.connect,
    connection_table.connect,
    claim_table.connect,
    token_vault.connect,
    finch_secret.connect,
    finch_connect.connect,
    finch.connect,
)
_RESOURCES: dict[str, Any] = TEMPLATE["Resources"]


@dataclass(frozen=True)
class Route:
    """One route of the template: which function it leads to and who may call it."""

    key: str
    handler: Callable[[dict[str, Any], Any], dict[str, Any]]
    event_file: Path
    needs_token: bool

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The path parameters, or None where the route does not take this request."""
        route_method, _, route_path = self.key.partition(" ")
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(route_path))
        found = re.fullmatch(pattern, path)
        if route_method != method or found is None:
            return None
        return {name: unquote(value) for name, value in found.groupdict().items()}


def routes_of_template() -> list[Route]:
    """The routes as API Gateway would make them, the default one last."""
    routes = []
    for resource in _RESOURCES.values():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        module, _, name = resource["Properties"]["Handler"].rpartition(".")
        handler = getattr(importlib.import_module(module), name)
        for event in resource["Properties"]["Events"].values():
            properties = event["Properties"]
            key = (
                f"{properties['Method']} {properties['Path']}"
                if "Path" in properties
                else "$default"
            )
            needs_token = properties.get("Auth", {}).get("Authorizer") != "NONE"
            routes.append(Route(key, handler, ROOT / "events" / f"{name}.json", needs_token))
    return sorted(routes, key=lambda route: route.key == "$default")


@dataclass
class InProcessApi:
    """API Gateway as far as our functions see it: routing, the JWT authorizer, payload 2.0."""

    routes: list[Route]

    def token(self, customer_id: str) -> str:
        """An access token that the authorizer below lets through."""
        return f"token of {customer_id}"

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """Sends one request through the function that the template routes it to."""
        headers = dict(headers or {})
        url = urlsplit(path)
        route, parameters = self._route(method, url.path)
        event = json.loads(route.event_file.read_text())
        for name in ("cookies", "body", "pathParameters", "queryStringParameters"):
            event.pop(name, None)
        event |= {"routeKey": route.key, "rawPath": url.path, "rawQueryString": url.query}
        event["requestContext"].pop("authorizer", None)
        event["requestContext"]["http"] |= {"method": method, "path": url.path}
        if route.needs_token:
            customer_id = headers.pop("authorization").removeprefix("Bearer token of ")
            claims = {"sub": customer_id}
            event["requestContext"]["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
        if cookie := headers.pop("cookie", None):
            event["cookies"] = cookie.split("; ")
        if parameters:
            event["pathParameters"] = parameters
        if url.query:
            pairs: dict[str, str] = {}
            for key, value in parse_qsl(url.query, keep_blank_values=True):
                pairs[key] = f"{pairs[key]},{value}" if key in pairs else value
            event["queryStringParameters"] = pairs
        if body is not None:
            event |= _body(body)
        event["headers"] |= headers
        context = SimpleNamespace(aws_request_id=str(uuid4()))
        answer = route.handler(event, context)
        return Reply(
            answer["statusCode"],
            {name.lower(): value for name, value in answer["headers"].items()},
            answer.get("cookies", []),
            answer.get("body", ""),
        )

    def _route(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        for route in self.routes:
            parameters = route.match(method, path)
            if parameters is not None:
                return route, parameters
        return self.routes[-1], {}


def _body(body: bytes) -> dict[str, Any]:
    try:
        return {"body": body.decode(), "isBase64Encoded": False}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def make_table(client: Any, logical_id: str) -> str:
    """Creates a table with the schema of the template; answers its name."""
    properties = _RESOURCES[logical_id]["Properties"]
    schema = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    wanted = {name: properties[name] for name in schema if name in properties}
    client.create_table(TableName=logical_id, **wanted)
    return logical_id


@pytest.fixture(scope="module")
def in_process() -> Iterator[Deployed]:
    """The product, deployed once for a module: making AWS clients is what takes the time."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield from _deploy(monkeypatch)


@pytest.fixture
def deployed(in_process: Deployed) -> Deployed:
    """The product with nothing in it."""
    in_process.tables.clear()
    in_process.finch.reset()
    return in_process


@pytest.fixture
def log() -> Iterator[StringIO]:
    """The lines that the functions write, as CloudWatch would get them."""
    lines = StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(logger.registered_formatter)
    written_to = logging.getLogger(logger.name)
    written_to.addHandler(handler)
    yield lines
    written_to.removeHandler(handler)


def _deploy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "FINCH_API_URL": "https://finch.example.com",
        "FINCH_SANDBOX": "",
        "API_URL": API_URL,
        "RETURN_URLS": ",".join(RETURN_URLS),
        "CUSTOMER_CLAIM": "sub",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    # moto reads and writes an item without a lock: two conditional writes could both succeed.
    call, lock = DynamoHandler.call_action, threading.RLock()

    def one_at_a_time(handler: Any) -> Any:
        with lock:
            return call(handler)

    monkeypatch.setattr(DynamoHandler, "call_action", one_at_a_time)
    with mock_aws():
        dynamodb, kms = boto3.client("dynamodb"), boto3.client("kms")
        secrets = boto3.client("secretsmanager")
        tables = Tables(
            dynamodb,
            connections=make_table(dynamodb, "ConnectionsTable"),
            sessions=make_table(dynamodb, "ConnectSessionsTable"),
            claims=make_table(dynamodb, "ClaimsTable"),
        )
        key_arn = kms.create_key()["KeyMetadata"]["Arn"]
        application = {
            "client_id": "our-client",
            "client_secret": "our-secret",
            "webhook_secrets": [],
        }
        secret_arn = secrets.create_secret(Name="finch", SecretString=json.dumps(application))[
            "ARN"
        ]
        monkeypatch.setenv("CONNECTIONS_TABLE", tables.connections)
        monkeypatch.setenv("CONNECT_SESSIONS_TABLE", tables.sessions)
        monkeypatch.setenv("CLAIMS_TABLE", tables.claims)
        monkeypatch.setenv("TOKEN_KEY_ARN", key_arn)
        monkeypatch.setenv("FINCH_SECRET_ARN", secret_arn)
        for cached in CACHED:
            cached.cache_clear()
        state = FinchState(
            "our-client", "our-secret", [f"{API_URL}/callback"], sleep=lambda _: None
        )
        transport = InProcessTransport(create_app(state))
        stand_in = finch.Finch("https://finch.example.com", transport)
        monkeypatch.setattr(finch, "connect", lambda: stand_in)
        api = InProcessApi(routes_of_template())
        yield Deployed(api, state, tables, kms, secrets, secret_arn, RETURN_URLS, api.token)
