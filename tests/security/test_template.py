"""The template and the locks: what they let in, and what they leave out with a reason.

`make check` has checkov and cfn-lint read the template, `make audit` asks for known holes in the locks.
"""

import re
from typing import Any

import pytest

from tests.support.deployed import ROOT, TEMPLATE

LOCKS = sorted(ROOT.glob("**/requirements.txt"))


def allowed(parameter: str, value: str) -> bool:
    """Whether CloudFormation takes a value: a pattern has to match all of it."""
    stated = TEMPLATE["Parameters"][parameter]
    return bool(re.fullmatch(stated.get("AllowedPattern", ".*"), value)) and len(value) >= int(
        stated.get("MinLength", 0)
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
        ("FinchApiUrl", "https://api.tryfinch.com"),
        ("JwtIssuer", "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc"),
        ("JwtIssuer", "https://example.eu.auth0.com/"),
        ("JwtAudience", "finch-connections"),
    ],
)
def test_what_a_deployment_needs_is_taken(parameter: str, value: str) -> None:
    assert allowed(parameter, value)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        # Any page of anybody could read the answers.
        ("FrontendOrigins", "*"),
        ("FrontendOrigins", "https://*"),
        ("FrontendOrigins", "https://*.example.com"),
        ("FrontendOrigins", "https://app.example.com,https://*"),
        ("FrontendOrigins", "null"),
        ("FrontendOrigins", ""),
        # Whoever is on the way could write it, or read what is sent there.
        ("FrontendOrigins", "http://app.example.com"),
        ("ReturnUrls", "http://app.example.com/payroll"),
        ("ApiUrl", "http://api.example.com"),
        ("FinchApiUrl", "http://api.tryfinch.com"),
        ("JwtIssuer", "http://issuer.example.com"),
        ("FinchApiUrl", "http://localhost.example.com"),
        # Two readers could understand it in two ways.
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
        ("FinchApiUrl", "https://api.tryfinch.com?x="),
        ("FinchApiUrl", ""),
        ("JwtAudience", ""),
    ],
)
def test_what_would_open_a_door_is_refused_before_it_is_deployed(
    parameter: str, value: str
) -> None:
    assert not allowed(parameter, value)


def test_what_is_not_done_for_checkov_has_its_reason() -> None:
    skipped = [
        (name, skip)
        for name, resource in TEMPLATE["Resources"].items()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]
    assert skipped
    for name, skip in skipped:
        assert re.fullmatch(r"CKV_AWS_\d+", skip["id"]), name
        assert len(skip["comment"].split()) > 5, name
    assert ".venv-audit/bin/checkov --file template.yaml" in (ROOT / "Makefile").read_text()


def test_every_dependency_is_locked_by_its_hash() -> None:
    ours = [lock for lock in LOCKS if not {".venv", ".aws-sam"} & {part[:9] for part in lock.parts}]
    names = {str(lock.parent.relative_to(ROOT)) for lock in ours}
    assert names >= {"layers/shared/python", "local", "tests", "tests/security"}
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


def test_nothing_is_installed_that_is_not_locked() -> None:
    commands: list[Any] = []
    for path in (ROOT / "Makefile", ROOT / "layers/shared/python/Makefile"):
        text = re.sub(r"\\\n\s*", " ", path.read_text())
        commands += re.findall(r".*pip install.*", text)
    assert commands
    assert all("--require-hashes" in command for command in commands)
