"""A deployed stack, as all commands use it: its names, parameters and functions."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from finch_connections.use_cases.operator.erase_customer import UNDER_WAY

# A batch ends before its function's timeout. The client must not repeat a slow batch.
_CONFIG = Config(read_timeout=200, retries={"mode": "standard", "total_max_attempts": 1})

type Say = Callable[[str], None]


class ExitCode(IntEnum):
    """How a command ends."""

    DONE = 0
    PERSON_NEEDED = 1
    FAILED = 2
    NOT_FINISHED = 3
    """The operator runs the command again later."""


class CannotOperate(Exception):
    """The command cannot run. The message says what the operator must know or do first."""


@dataclass(frozen=True)
class Stack:
    """A stack, used with the operator's AWS permissions."""

    name: str
    session: boto3.Session
    endpoint_url: str | None = None

    @classmethod
    def deployed(cls, name: str) -> Self:
        """A stack in the AWS account of the environment or the profile."""
        return cls(name, boto3.Session())

    @classmethod
    def local(cls, name: str, port: int) -> Self:
        """The stack of a local world."""
        root = boto3.Session("test", "test", region_name="eu-west-1")
        return cls(name, root, f"http://127.0.0.1:{port}")

    def client(self, service: str) -> Any:
        """A client of an AWS service."""
        make: Any = self.session.client
        return make(service, endpoint_url=self.endpoint_url, config=_CONFIG)

    @cached_property
    def described(self) -> Mapping[str, Any]:
        """CloudFormation's description of the stack; raises `CannotOperate` if it cannot be read."""
        try:
            found = self.client("cloudformation").describe_stacks(StackName=self.name)
        except (ClientError, BotoCoreError) as error:
            raise CannotOperate(f"The stack {self.name} cannot be read: {error}") from error
        described: Mapping[str, Any] = found["Stacks"][0]
        return described

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        """The outputs by name."""
        found = self.described.get("Outputs") or ()
        return {output["OutputKey"]: output["OutputValue"] for output in found}

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """The parameters by name."""
        found = self.described.get("Parameters") or ()
        return {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in found}

    @cached_property
    def resources(self) -> Mapping[str, str]:
        """The physical ids of the resources by logical id."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        return {
            resource["LogicalResourceId"]: resource.get("PhysicalResourceId", "")
            for page in pages.paginate(StackName=self.name)
            for resource in page["StackResourceSummaries"]
        }

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        """The `result` of an operator's function; raises `CannotOperate` if the function fails or refuses."""
        answer = self.client("lambda").invoke(
            FunctionName=self.resources[function], Payload=json.dumps(event)
        )
        content = json.load(answer["Payload"])
        if "FunctionError" in answer:
            reason = content.get("errorMessage", "") if isinstance(content, dict) else ""
            raise CannotOperate(f"{function} failed; see its log. {reason}")
        if "error" in content:
            raise CannotOperate(f"{content['error']}: {content['detail']}")
        return content["result"]


@dataclass
class Round:
    """One pass through all rows: the work done, by kind, and the rows that stay open."""

    done: Counter[str] = field(default_factory=Counter)
    open: list[dict[str, Any]] = field(default_factory=list)

    def waits(self) -> bool:
        """Whether all open rows continue by themselves."""
        return all(row["reason"] == UNDER_WAY for row in self.open)


def go_through(stack: Stack, function: str, event: Mapping[str, Any], say: Say) -> Round:
    """Invokes a function batch by batch, until it has processed all rows once."""
    done, cursor, started = Round(), None, False
    while cursor or not started:
        started = True
        batch = stack.invoke(function, {**event, **({"cursor": cursor} if cursor else {})})
        done.done.update(batch["done"])
        done.open += batch["open"]
        cursor = batch["cursor"]
        where = f"at {cursor['part']}" if cursor else "finished"
        say(f"  {where}: {summary(done.done)}")
    return done


def summary(done: Counter[str]) -> str:
    """The work done in words."""
    return (
        ", ".join(f"{count} {kind}" for kind, count in sorted(done.items()) if count) or "nothing"
    )
