"""The interface of a running Finch Connections that tests use, in process or over HTTP."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from samtranslator.yaml_helper import yaml_parse

from local.fake_finch import FinchState
from local.fake_finch.seed_world import COMPANIES, PROVIDERS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

ROOT = Path(__file__).parents[2]
TEMPLATE: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
_SEED_IDS = {one.id for one in PROVIDERS} | {one.id for one in COMPANIES}


@dataclass(frozen=True)
class Reply:
    """A response of the API; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    set_cookies: Sequence[str] = ()
    text: str = field(default="", repr=False)

    @property
    def json(self) -> Any:
        """The body as parsed JSON."""
        return json.loads(self.text)

    @property
    def code(self) -> str:
        """The code of a failure; fails if the response does not have our failure shape."""
        problem = self.json
        assert self.headers["content-type"] == "application/problem+json"
        always = {"type", "title", "status", "detail", "code", "request_id"}
        assert problem.keys() - {"reference"} == always
        assert problem["status"] == self.status
        return str(problem["code"])


class Api(Protocol):
    """The deployed API, as a browser's network stack sees it."""

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """Sends one request; `path` has the query, redirects are not followed."""


class Queue(Protocol):
    """The queue of work items, with the function that processes it."""

    def waiting(self) -> list[dict[str, Any]]:
        """The messages that are not processed yet, including hidden messages."""

    def dead(self) -> list[dict[str, Any]]:
        """The dead letters."""

    def deliver(self) -> int:
        """Invokes the function with the messages that are visible now; returns their number."""

    def drain(self, within: timedelta = ...) -> bool:
        """Delivers messages and lets time pass until no work is left; returns whether it got there."""


@dataclass(frozen=True)
class Tables:
    """The emulated tables: reads their items, and makes sessions older."""

    dynamodb: "DynamoDBClient"
    connections: str
    sessions: str
    ownerships: str
    audit: str

    def age_sessions(self, by: timedelta) -> None:
        """Makes every connect session older, as if it had started earlier."""
        for item in self.items(self.sessions):
            for name in ("created_at", "consumed_at", "finch_session_made_at"):
                if name in item:
                    moment = datetime.fromisoformat(item[name]["S"]) - by
                    self.dynamodb.update_item(
                        TableName=self.sessions,
                        Key={"handle_hash": item["handle_hash"]},
                        UpdateExpression="SET #name = :moment",
                        ExpressionAttributeNames={"#name": name},
                        ExpressionAttributeValues={":moment": {"S": moment.isoformat()}},
                    )

    def clear(self) -> None:
        """Empties the tables."""
        for table in (self.connections, self.sessions, self.ownerships, self.audit):
            schema = self.dynamodb.describe_table(TableName=table)["Table"]["KeySchema"]
            for item in self.items(table):
                key = {part["AttributeName"]: item[part["AttributeName"]] for part in schema}
                self.dynamodb.delete_item(TableName=table, Key=key)

    def all_sessions(self) -> list[dict[str, Any]]:
        """The connect sessions, without the rows that record used codes and spent budgets."""
        found = self.items(self.sessions)
        return [item for item in found if "#" not in item["handle_hash"]["S"]]

    def items(self, table: str) -> list[dict[str, Any]]:
        """All items of a table."""
        found: list[dict[str, Any]] = []
        for page in self.dynamodb.get_paginator("scan").paginate(TableName=table):
            found += page["Items"]
        return found


@dataclass(frozen=True)
class Deployed:
    """A running Finch Connections with the fake Finch and the emulated AWS.

    `token` makes an access token of the application for a customer id. `invoke` calls a function
    by the name of its handler, as an operator does. `queue` exists only where time is simulated.
    `customer_ids` has the true ids of customers for which tests use a shorter name.
    """

    api: Api
    finch: FinchState
    tables: Tables
    kms: "KMSClient"
    secrets: "SecretsManagerClient"
    secret_arn: str
    return_urls: Sequence[str]
    token: Callable[[str], str]
    invoke: Callable[[str, Any], Any] | None = None
    queue: Queue | None = None
    customer_ids: Mapping[str, str] = field(default_factory=dict)

    @property
    def working_status(self) -> str:
        """The status of a connection that works: unknown if Finch answers without a status."""
        return "unknown" if self.finch.switches.answers == "old" else "connected"

    def customer_id(self, name: str) -> str:
        """The customer id in the claim of a customer whom tests call `name`."""
        return self.customer_ids.get(name, name)

    def finch_id(self, id_: str) -> str:
        """Finch's id of a provider or company of the seed data; any other id unchanged."""
        return self.finch.id_of(id_) if id_ in _SEED_IDS else id_

    def shown_company_id(self, provider_id: str, company_id: str) -> str:
        """The company id of a connection in our API: its `connection_id` if Finch names no company."""
        if self.finch.switches.answers != "sparse":
            return self.finch_id(company_id)
        found = (
            one.id
            for one in reversed(self.finch.connections())
            if (one.provider_id, one.company_id) == (provider_id, company_id)
        )
        return next(found, company_id)
