"""A deployed stack: its names, its parameters, and its functions to be invoked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# A step of long work ends before its function does, and no step is taken twice for being slow.
_CONFIG = Config(read_timeout=200, retries={"mode": "standard", "total_max_attempts": 1})


class CannotOperate(Exception):
    """Something that the operator must know or do first; the message says it."""


@dataclass(frozen=True)
class Stack:
    """One stack, seen with the AWS permissions of whoever runs this."""

    name: str
    session: boto3.Session
    endpoint_url: str | None = None

    @classmethod
    def deployed(cls, name: str) -> Self:
        """A stack of the AWS account that the environment or the profile leads to."""
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
        """What CloudFormation says of the stack; raises `CannotOperate` where there is none."""
        try:
            found = self.client("cloudformation").describe_stacks(StackName=self.name)
        except (ClientError, BotoCoreError) as error:
            raise CannotOperate(f"The stack {self.name} cannot be seen: {error}") from error
        described: Mapping[str, Any] = found["Stacks"][0]
        return described

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        """The outputs by name."""
        return {one["OutputKey"]: one["OutputValue"] for one in self.described.get("Outputs") or ()}

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """The parameters by name."""
        found = self.described.get("Parameters") or ()
        return {one["ParameterKey"]: one["ParameterValue"] for one in found}

    @cached_property
    def resources(self) -> Mapping[str, str]:
        """The names that AWS gave to the resources, by their names in the template."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        return {
            one["LogicalResourceId"]: one.get("PhysicalResourceId", "")
            for page in pages.paginate(StackName=self.name)
            for one in page["StackResourceSummaries"]
        }

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        """The `result` of a function of ours; raises `CannotOperate` where it answers none."""
        answer = self.client("lambda").invoke(
            FunctionName=self.resources[function], Payload=json.dumps(event)
        )
        said = json.load(answer["Payload"])
        if "FunctionError" in answer:
            reason = said.get("errorMessage", "") if isinstance(said, dict) else ""
            raise CannotOperate(f"{function} failed, and its log says why. {reason}")
        if "error" in said:
            raise CannotOperate(f"{said['error']}: {said['detail']}")
        return said["result"]
