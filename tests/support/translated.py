"""The template as SAM translates it for CloudFormation; as a program, it prints the translation."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from typing import Any

from tests.support.deployed import ROOT, TEMPLATE

# The parameters without a default.
PARAMETERS = {
    "JwtIssuer": "https://login.example.com/",
    "JwtAudience": "connections",
    "FrontendOrigins": "https://app.example.com,https://admin.example.com",
    "ReturnUrls": "https://app.example.com/payroll",
}
_STACK = {
    "AWS::AccountId": "123456789012",
    "AWS::NoValue": None,
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/finch/a-uuid",
    "AWS::StackName": "finch",
}


@cache
def translated(changed_code: str = "", **parameters: str) -> dict[str, Any]:
    """The template that `sam deploy` gives to CloudFormation. Nothing may change it.

    `changed_code` names a resource whose code is another than in the other translations. The translator
    runs in its own process: it needs a part of pydantic that the built layer leaves out.
    """
    arguments = [changed_code, json.dumps(parameters)]
    command = [sys.executable, "-m", "tests.support.translated", *arguments]
    # SAM asks the session for the region, which decides only the partition of managed policies.
    environment = {**os.environ, "AWS_DEFAULT_REGION": "eu-west-1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def _translate(changed_code: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    for logical_id, resource in TEMPLATE["Resources"].items():
        for name in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
            key = "changed" if logical_id == changed_code else "key"
            resource["Properties"][name] = f"s3://bucket/{key}"
    translator = Translator({}, Parser())
    content: dict[str, Any] = translator.translate(TEMPLATE, {**PARAMETERS, **parameters})
    return content


class Evaluation:
    """The values that CloudFormation gives to the parts of a translated template.

    `Ref` of a resource is its name, or for a version of the settings a hash of its properties, because
    CloudFormation replaces it when a property changes.
    """

    def __init__(self, template: Mapping[str, Any], **parameters: str) -> None:
        self._template = template
        defaults = {name: one.get("Default") for name, one in template["Parameters"].items()}
        self._parameters = {**_STACK, **defaults, **PARAMETERS, **parameters}

    def value(self, part: Any) -> Any:
        """The value of a part of the template; a part without a value is None."""
        if isinstance(part, list):
            return [one for one in map(self.value, part) if one is not None]
        if not isinstance(part, dict):
            return part
        if len(part) == 1:
            [(function, argument)] = part.items()
            if function == "Ref":
                return self._ref(argument)
            if function.startswith("Fn::"):
                return getattr(self, f"_{function[4:].lower()}")(argument)
            if function == "Condition":
                return self.holds(argument)
        found = {name: self.value(one) for name, one in part.items()}
        return {name: one for name, one in found.items() if one is not None}

    def holds(self, condition: str) -> bool:
        """Whether a condition of the template is true."""
        return bool(self.value(self._template["Conditions"][condition]))

    def _ref(self, name: str) -> Any:
        if name in self._parameters:
            return self._parameters[name]
        resource = self._template["Resources"][name]
        if resource["Type"] == "AWS::AppConfig::HostedConfigurationVersion":
            properties = json.dumps(self.value(resource["Properties"]), sort_keys=True)
            return sha256(properties.encode()).hexdigest()[:8]
        return name

    def _getatt(self, argument: list[str]) -> str:
        return ".".join(argument)

    def _if(self, argument: list[Any]) -> Any:
        return self.value(argument[1 if self.holds(argument[0]) else 2])

    def _equals(self, argument: list[Any]) -> bool:
        one, other = self.value(argument)
        return str(one) == str(other)

    def _not(self, argument: list[Any]) -> bool:
        return not self.value(argument[0])

    def _and(self, argument: list[Any]) -> bool:
        return all(self.value(argument))

    def _join(self, argument: list[Any]) -> str:
        return str(argument[0]).join(str(self.value(one)) for one in argument[1])

    def _split(self, argument: list[Any]) -> list[str]:
        return str(self.value(argument[1])).split(argument[0])

    def _select(self, argument: list[Any]) -> Any:
        return self.value(argument[1])[int(argument[0])]

    def _sub(self, argument: Any) -> str:
        text, more = (argument, {}) if isinstance(argument, str) else argument

        def filled(match: re.Match[str]) -> str:
            name = match[1]
            if name in more:
                return str(self.value(more[name]))
            return name if "." in name else str(self._ref(name))

        return re.sub(r"\$\{([\w.:]+)\}", filled, text)


if __name__ == "__main__":
    print(json.dumps(_translate(sys.argv[1], json.loads(sys.argv[2]))))
