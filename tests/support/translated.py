"""The template as SAM translates it for CloudFormation; as a program, it prints the translation."""

import json
import os
import subprocess
import sys
from functools import cache
from typing import Any

from tests.support.deployed import ROOT, TEMPLATE

# The parameters without a default.
PARAMETERS = {
    "JwtIssuer": "https://login.example.com/",
    "JwtAudience": "connections",
    "FrontendOrigins": "https://app.example.com,https://admin.example.com",
    "ReturnUrls": "https://app.example.com/payroll",
}


@cache
def translated() -> dict[str, Any]:
    """The template that `sam deploy` gives to CloudFormation. Nothing may change it.

    The translator runs in its own process: it needs a part of pydantic that the built layer leaves out.
    """
    command = [sys.executable, "-m", "tests.support.translated"]
    # SAM asks the session for the region, which decides only the partition of managed policies.
    environment = {**os.environ, "AWS_DEFAULT_REGION": "eu-west-1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def _translate() -> dict[str, Any]:
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    for resource in TEMPLATE["Resources"].values():
        for name in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
            resource["Properties"][name] = "s3://bucket/key"
    content: dict[str, Any] = Translator({}, Parser()).translate(TEMPLATE, PARAMETERS)
    return content


if __name__ == "__main__":
    print(json.dumps(_translate()))
