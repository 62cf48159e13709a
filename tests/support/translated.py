"""The template as SAM translates it for CloudFormation."""

from copy import deepcopy
from functools import cache
from typing import Any
from unittest.mock import patch

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from tests.support.deployed import TEMPLATE

# The parameters without a default.
PARAMETERS = {
    "JwtIssuer": "https://login.example.com/",
    "JwtAudience": "connections",
    "FrontendOrigins": "https://app.example.com,https://admin.example.com",
    "ReturnUrls": "https://app.example.com/payroll",
}


@cache
def translated() -> dict[str, Any]:
    """The template that `sam deploy` gives to CloudFormation. Nothing may change it."""
    template = deepcopy(TEMPLATE)
    for resource in template["Resources"].values():
        for name in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
            resource["Properties"][name] = "s3://bucket/key"
    # SAM asks the session for the region, which decides only the partition of managed policies.
    with patch.dict("os.environ", {"AWS_DEFAULT_REGION": "eu-west-1"}):
        content: dict[str, Any] = Translator({}, Parser()).translate(template, PARAMETERS)
    return content
