"""The client with which other backends get their tokens."""

import json
import subprocess
import sys
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

import finch_tokens
from finch_tokens import (
    SettingMissing,
    TokenClient,
    TokenRefused,
    VendingFailed,
    token_for,
)
from tests.support.deployed import ROOT

TEXT = "canary-token"
ASKED = {
    "customer_id": "acme",
    "provider_id": "gusto",
    "company_id": "c",
    "products": ["directory"],
    "purpose": "test",
}
TOKEN = {
    "token": {
        "access_token": TEXT,
        "token_id": "t1",
        "connection_id": "k1",
        "provider_id": "gusto",
        "company_id": "c",
        "products": ["company", "directory"],
        "entity_ids": ["e1"],
        "left_out_entity_ids": ["e2"],
    }
}
REPORT = {**ASKED, "caller": "sync", "report": "unauthorized", "token_id": "t1"}


class Lambda:
    """A fake Lambda client that returns or raises the given answers in order."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[Any] = []

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        assert FunctionName == "vend"
        self.requests.append(json.loads(Payload))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        failed = {"FunctionError": "Unhandled"} if "errorType" in answer else {}
        return {"Payload": BytesIO(json.dumps(answer).encode()), **failed}


def open_block(function: Lambda) -> Any:
    client = TokenClient(function, "vend", "sync")  # type: ignore[arg-type]
    return token_for(**ASKED, client=client)  # type: ignore[arg-type]


def answered(status: int) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "https://finch.example.com/employer/directory")
    return httpx.HTTPStatusError("", request=request, response=httpx.Response(status))


def test_token_comes_with_its_scope_and_does_not_print_itself() -> None:
    function = Lambda(TOKEN)
    with open_block(function) as token:
        assert token.access_token.reveal() == TEXT
        assert TEXT not in repr(token)
        assert (token.token_id, token.connection_id) == ("t1", "k1")
        assert (token.entity_ids, token.left_out) == (("e1",), ("e2",))
        assert token.products == {"company", "directory"}
    assert function.requests == [{**ASKED, "caller": "sync"}]


def test_refusal_raises_its_reason_and_the_block_does_not_run() -> None:
    refused = {"reason": "missing_products", "missing": ["payment"]}
    with pytest.raises(TokenRefused) as caught, open_block(Lambda(refused)):
        pytest.fail("the block ran without a token")
    assert (caught.value.reason, caught.value.missing) == ("missing_products", ("payment",))
    with (
        pytest.raises(TokenRefused, match="reauth") as caught,
        open_block(Lambda({"reason": "reauth", "status": "error_permissions"})),
    ):
        pytest.fail("the block ran without a token")
    assert caught.value.status == "error_permissions"


def test_failed_function_raises_another_error_without_details() -> None:
    failure = {"errorType": "ClientError", "errorMessage": TEXT}
    with pytest.raises(VendingFailed) as caught, open_block(Lambda(failure)):
        pytest.fail("the block ran without a token")
    assert TEXT not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        answered(401),
        type("SdkError", (Exception,), {"response": SimpleNamespace(status_code=401)})(),
    ],
)
def test_401_that_leaves_the_block_is_reported(error: Exception) -> None:
    function = Lambda(TOKEN, {"reported": True})
    with pytest.raises(type(error)), open_block(function):
        raise error
    assert function.requests[1:] == [REPORT]


@pytest.mark.parametrize("error", [answered(403), answered(429), ValueError()])
def test_other_errors_are_not_reported(error: Exception) -> None:
    function = Lambda(TOKEN)
    with pytest.raises(type(error)), open_block(function):
        raise error
    assert len(function.requests) == 1


def test_401_is_reported_only_once() -> None:
    function = Lambda(TOKEN, {"reported": True})
    with open_block(function) as token:
        token.refused()
        token.refused()
    assert function.requests[1:] == [REPORT]


def test_failed_report_does_not_hide_the_401() -> None:
    for failure in (OSError("unreachable"), {"errorType": "Bug"}):
        function = Lambda(TOKEN, failure)
        with pytest.raises(httpx.HTTPStatusError), open_block(function):
            raise answered(401)
        assert len(function.requests) == 2


def test_httpx_clients_load_no_other_package() -> None:
    script = (
        "import sys, finch_tokens.http;"
        "print(*[one for one in ('asyncio', 'pydantic', 'boto3', 'finch_connections') if one in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(ROOT / "layers" / "shared" / "python")},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert loaded == "\n"


@pytest.mark.parametrize("caller", ["AWS_LAMBDA_FUNCTION_NAME", "FINCH_CALLER"])
def test_client_needs_only_the_names_of_both_sides_and_no_other_package(
    monkeypatch: pytest.MonkeyPatch, caller: str
) -> None:
    script = (
        "import sys, finch_tokens; print(finch_tokens.from_settings());"
        "print(*[one for one in ('httpx', 'pydantic', 'boto3', 'aws_lambda_powertools', "
        "'finch_connections') if one in sys.modules])"
    )
    environment = {
        "PYTHONPATH": str(ROOT / "layers" / "shared" / "python"),
        "AWS_DEFAULT_REGION": "eu-west-1",
        caller: "payroll-sync",
        "VEND_TOKEN_FUNCTION": "vend",
    }
    made, loaded = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")[:2]
    assert "function='vend', caller='payroll-sync'" in made
    assert loaded == ""
    monkeypatch.delenv("VEND_TOKEN_FUNCTION", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    finch_tokens.from_settings.cache_clear()
    with pytest.raises(SettingMissing, match="VEND_TOKEN_FUNCTION"):
        finch_tokens.from_settings()
    monkeypatch.setenv("VEND_TOKEN_FUNCTION", "vend")
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    with pytest.raises(SettingMissing, match="FINCH_CALLER"):
        finch_tokens.from_settings()
