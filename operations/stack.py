"""A deployed stack, as all commands use it: its names, parameters and functions."""

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
)
from botocore.exceptions import (
    ConnectionError as NotReached,
)

from finch_connections.use_cases.operator.erase_customer import UNDER_WAY

# A batch ends before its function's timeout. The client must not repeat a slow batch.
_CONFIG = Config(read_timeout=200, retries={"mode": "standard", "total_max_attempts": 1})

_BAD_CREDENTIALS = {
    *("ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "SignatureDoesNotMatch"),
    *("UnrecognizedClientException", "RequestExpired"),
}

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
        # The AWS CLI and the other SDKs read AWS_REGION, boto3 does not.
        return cls(name, boto3.Session(region_name=os.environ.get("AWS_REGION")))

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
        """CloudFormation's description of the stack; raises `CannotOperate` if there is none."""
        try:
            found = self.client("cloudformation").describe_stacks(StackName=self.name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            raise CannotOperate(
                f"There is no stack {self.name} in {self.session.region_name}. Name another stack or "
                "region, for example: --stack payroll, or export AWS_REGION=eu-west-1"
            ) from error
        except NotReached as error:
            if self.endpoint_url is None:
                raise
            raise CannotOperate("The local world does not run. Start it: make local") from error
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

    def alias(self, function: str) -> str:
        """The ARN of the alias through which every caller reaches a function."""
        return self.resources[f"{function}Aliaslive"]

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        """The `result` of an operator's function; raises `CannotOperate` if the function fails or refuses."""
        content = self.call(self.alias(function), event)
        if "error" in content:
            raise CannotOperate(f"{content['error']}: {content['detail']}")
        return content["result"]

    def call(self, function: str, event: Mapping[str, Any]) -> Any:
        """The answer of a function by its name; raises `CannotOperate` if the function fails."""
        answer = self.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        content = json.load(answer["Payload"])
        if "FunctionError" in answer:
            reason = content.get("errorMessage", "") if isinstance(content, dict) else ""
            raise CannotOperate(f"{function} failed; see its log. {reason}")
        return content


def missing_permission(error: Exception) -> str | None:
    """The action that the operator's AWS role may not do, if that is the cause of an error."""
    if not isinstance(error, ClientError):
        return None
    stated = error.response["Error"]
    if "AccessDenied" not in stated["Code"] and "AuthorizationError" not in stated["Code"]:
        return None
    named = re.search(r"not authorized to perform: ([\w-]+:\w+)", stated.get("Message", ""))
    return named[1] if named else error.operation_name


def explained(error: ClientError | BotoCoreError) -> str:
    """An error of AWS in one sentence, with an example of the next step where there is one."""
    if isinstance(error, NoRegionError):
        return "No AWS region is set. Set it, for example: export AWS_REGION=eu-west-1"
    if isinstance(error, NoCredentialsError):
        return (
            "No AWS credentials are set. Choose a profile, for example: export AWS_PROFILE=payroll"
        )
    if isinstance(error, NotReached):
        return f"AWS cannot be reached. {error}"
    if action := missing_permission(error):
        return f"Your AWS role may not {action}. Use a role that may, or add the permission."
    if isinstance(error, ClientError) and error.response["Error"]["Code"] in _BAD_CREDENTIALS:
        code = error.response["Error"]["Code"]
        return f"AWS does not accept your credentials ({code}). Log in again: aws sso login"
    return str(error)


def progress(text: str) -> None:
    """Shows an operator at a terminal how far long work is. It is never part of the output."""
    print(text, file=sys.stderr, flush=True)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table for a person."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (heads, *rows)
    ]


@dataclass
class Round:
    """One pass through all rows: the work done, by kind, and the rows that stay open."""

    done: Counter[str] = field(default_factory=Counter)
    open: list[dict[str, Any]] = field(default_factory=list)

    def waits(self) -> bool:
        """Whether all open rows continue by themselves."""
        return all(row["reason"] == UNDER_WAY for row in self.open)


def go_through(stack: Stack, function: str, event: Mapping[str, Any], say: Say = progress) -> Round:
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
