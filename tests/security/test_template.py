"""The template's parameters, its exceptions to checkov's rules, and the locked dependencies.

`make check` runs checkov and cfn-lint over the template; `make audit` looks up known vulnerabilities.
"""

import re
from typing import Any

import pytest

from tests.support.deployed import ROOT, TEMPLATE

RESOURCES = TEMPLATE["Resources"]
LOCKS = sorted(ROOT.glob("**/*requirements.txt"))


def allowed(parameter: str, value: str) -> bool:
    """Whether CloudFormation accepts a value: a pattern must match all of it."""
    definition = TEMPLATE["Parameters"][parameter]
    return bool(re.fullmatch(definition.get("AllowedPattern", ".*"), value)) and len(value) >= int(
        definition.get("MinLength", 0)
    )


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("FrontendOrigins", "https://app.example.com"),
        ("FrontendOrigins", "https://app.example.com:8443,https://admin.example.com"),
        ("FrontendOrigins", "http://localhost:8080,http://127.0.0.1:8080"),
        ("ReturnUrls", "https://app.example.com/payroll"),
        ("ReturnUrls", "https://app.example.com,https://app.example.com/settings?tab=a&b=c"),
        ("ReturnUrls", "http://localhost:8080/"),
        ("ApiUrl", ""),
        ("ApiUrl", "https://api.example.com"),
        ("DomainName", ""),
        ("DomainName", "payroll-api.eu.example.com"),
        ("CertificateArn", "arn:aws:acm:eu-west-1:123456789012:certificate/0a-1b"),
        ("HostedZoneId", "Z0123456789ABCDEFGHIJ"),
        ("PermissionsBoundaryArn", "arn:aws-us-gov:iam::123456789012:policy/teams/boundary"),
        ("ApiUrl", "https://api.example.com/payroll"),
        ("ApiUrl", "https://api.example.com/benefits/payroll-v1.2"),
        ("FinchApiUrl", "https://api.tryfinch.com"),
        ("JwtIssuer", "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc"),
        ("JwtIssuer", "https://example.eu.auth0.com/"),
        ("JwtAudience", "finch-connections"),
        ("Backend1", ""),
        ("Backend2", "live-data_2"),
    ],
)
def test_valid_parameter_values_are_accepted(parameter: str, value: str) -> None:
    assert allowed(parameter, value)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        # Any website could read the responses.
        ("FrontendOrigins", "*"),
        ("FrontendOrigins", "https://*"),
        ("FrontendOrigins", "https://*.example.com"),
        ("FrontendOrigins", "https://app.example.com,https://*"),
        ("FrontendOrigins", "null"),
        ("FrontendOrigins", ""),
        # An attacker in the network could change or read the traffic.
        ("FrontendOrigins", "http://app.example.com"),
        ("ReturnUrls", "http://app.example.com/payroll"),
        ("ApiUrl", "http://api.example.com"),
        ("DomainName", "https://api.example.com"),
        ("DomainName", "api.example.com/payroll"),
        ("DomainName", "localhost"),
        ("DomainName", "*.example.com"),
        ("CertificateArn", "arn:aws:iam::123456789012:server-certificate/mine"),
        ("HostedZoneId", "/hostedzone/Z0123456789ABCDEFGHIJ"),
        ("PermissionsBoundaryArn", "arn:aws:iam::123456789012:role/admin"),
        ("FinchApiUrl", "http://api.tryfinch.com"),
        ("JwtIssuer", "http://issuer.example.com"),
        ("FinchApiUrl", "http://localhost.example.com"),
        # Two parsers could understand the value differently.
        ("FrontendOrigins", "https://app.example.com/"),
        ("FrontendOrigins", "https://app.example.com, https://admin.example.com"),
        ("ReturnUrls", "https://app.example.com@evil.example.com/payroll"),
        ("ReturnUrls", "https://evil.example.com\\@app.example.com/payroll"),
        ("ReturnUrls", "https://app.example.com/#/payroll"),
        ("ReturnUrls", "https://app.example.com/a b"),
        ("ReturnUrls", "javascript:alert(1)"),
        ("ReturnUrls", "https://app.example.com/payroll,"),
        ("ApiUrl", "https://api.example.com/"),
        ("ApiUrl", "https://user@api.example.com"),
        ("ApiUrl", "https://api.example.com/payroll/"),
        ("ApiUrl", "https://api.example.com/a/../b"),
        ("ApiUrl", "https://api.example.com/payroll?x="),
        ("FinchApiUrl", "https://api.tryfinch.com?x="),
        ("FinchApiUrl", ""),
        # This alias has no grant.
        ("Backend1", "live"),
        # Lambda takes a number for a version.
        ("Backend1", "12"),
        ("Backend1", "payroll,benefits"),
        ("JwtAudience", ""),
    ],
)
def test_unsafe_parameter_values_are_refused(parameter: str, value: str) -> None:
    assert not allowed(parameter, value)


def test_boundary_limits_every_role() -> None:
    roles = [one["Properties"] for one in RESOURCES.values() if one["Type"] == "AWS::IAM::Role"]
    assert len(roles) > 10
    boundary = {
        "Fn::If": ["HasBoundary", {"Ref": "PermissionsBoundaryArn"}, {"Ref": "AWS::NoValue"}]
    }
    assert all(role["PermissionsBoundary"] == boundary for role in roles)


def test_domain_leads_to_the_default_stage_and_is_the_address_that_functions_use() -> None:
    domain = {name: one for name, one in RESOURCES.items() if one.get("Condition") == "HasDomain"}
    assert domain.keys() == {"ApiDomain", "ApiMapping"}
    mapping = domain["ApiMapping"]["Properties"]
    assert mapping == {
        "ApiId": {"Ref": "HttpApi"},
        "DomainName": {"Ref": "ApiDomain"},
        "Stage": {"Ref": "HttpApi.Stage"},
    }
    address = {"Fn::If": ["HasDomain", {"Fn::Sub": "https://${DomainName}"}, ""]}
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["API_URL"] == {"Fn::If": ["HasApiUrl", {"Ref": "ApiUrl"}, address]}


def test_every_skipped_checkov_rule_has_a_reason() -> None:
    skipped = [
        (name, skip)
        for name, resource in RESOURCES.items()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]
    assert skipped
    for name, skip in skipped:
        assert re.fullmatch(r"CKV_AWS_\d+", skip["id"]), name
        assert len(skip["comment"].split()) > 5, name
    assert ".venv-audit/bin/checkov --file template.yaml" in (ROOT / "Makefile").read_text()


def test_every_dependency_is_locked_with_a_hash() -> None:
    ours = [lock for lock in LOCKS if not {".venv", ".aws-sam"} & {part[:9] for part in lock.parts}]
    names = {str(lock.relative_to(ROOT)) for lock in ours}
    assert names >= {
        "layers/shared/python/aws-requirements.txt",
        "layers/shared/python/requirements.txt",
        "local/requirements.txt",
        "tests/requirements.txt",
        "tests/security/requirements.txt",
    }
    for lock in ours:
        text = re.sub(r"\\\n\s*", " ", lock.read_text())
        lines = [
            line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
        ]
        assert lines
        for line in lines:
            assert re.match(
                r"[a-z0-9_.-]+(\[[a-z0-9,_-]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", line
            ), line
            assert "://" not in line


def test_every_pip_install_requires_hashes() -> None:
    commands: list[Any] = []
    for path in (ROOT / "Makefile", ROOT / "layers/shared/python/Makefile"):
        text = re.sub(r"\\\n\s*", " ", path.read_text())
        commands += re.findall(r".*pip install.*", text)
    assert commands
    assert all("--require-hashes" in command for command in commands)
