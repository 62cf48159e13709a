"""Finch's error shape, and the faults: errors, delays, drops and nonsense."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import finch
import httpx
import pytest
from pydantic import ValidationError

from local.fake_finch import FinchState, InProcessTransport, create_app
from local.fake_finch.refusals import DOCUMENTED_ERRORS
from tests.contract.conftest import CALLBACK, CLIENT_ID, CLIENT_SECRET, Customers, Wire

SDK_CLASSES = {
    400: finch.BadRequestError,
    401: finch.AuthenticationError,
    403: finch.PermissionDeniedError,
    404: finch.NotFoundError,
    422: finch.UnprocessableEntityError,
    429: finch.RateLimitError,
    500: finch.InternalServerError,
    501: finch.InternalServerError,
    502: finch.InternalServerError,
}


@pytest.mark.parametrize(("status", "name", "finch_code"), DOCUMENTED_ERRORS)
def test_sdk_raises_its_exception_for_every_documented_error(
    customers: Customers, fake_finch: FinchState, status: int, name: str, finch_code: str | None
) -> None:
    connected = customers.connect()
    fake_finch.faults.add("GET", "/introspect", error=name, finch_code=finch_code)
    with pytest.raises(finch.APIStatusError) as caught:
        connected.sdk.account.introspect()
    refused = caught.value
    assert type(refused) is SDK_CLASSES.get(status, finch.APIStatusError)
    assert isinstance(refused.body, dict)
    assert refused.body["name"] == name
    assert refused.body.get("finch_code") == finch_code
    assert refused.body["code"] == refused.body["status"] == refused.body["statusCode"] == status
    assert isinstance(refused.body["message"], str)
    assert UUID(refused.response.headers["Finch-Request-Id"])
    assert connected.sdk.account.introspect()


def test_rate_limit_error_has_no_retry_after_by_default(
    customers: Customers, fake_finch: FinchState
) -> None:
    connected = customers.connect()
    fake_finch.faults.add("GET", "/introspect", error="rate_limit_exceeded_error")
    fake_finch.faults.add(
        "GET", "/introspect", error="rate_limit_exceeded_error", headers={"Retry-After": "7"}
    )
    with pytest.raises(finch.RateLimitError) as silent:
        connected.sdk.account.introspect()
    assert "Retry-After" not in silent.value.response.headers
    with pytest.raises(finch.RateLimitError) as informed:
        connected.sdk.account.introspect()
    assert informed.value.response.headers["Retry-After"] == "7"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/connect/sessions"),
        ("POST", "/connect/sessions/reauthenticate"),
        ("POST", "/auth/token"),
        ("GET", "/introspect"),
        ("POST", "/disconnect"),
        ("POST", "/disconnect-entity"),
        ("GET", "/providers"),
        ("GET", "/employer/company"),
        ("GET", "/employer/directory"),
        ("POST", "/employer/individual"),
        ("POST", "/employer/employment"),
        ("POST", "/sandbox/connections"),
        ("POST", "/sandbox/connections/accounts"),
        ("PUT", "/sandbox/connections/accounts"),
    ],
)
def test_every_endpoint_requires_the_api_version(
    http: httpx.Client, fake_finch: FinchState, method: str, path: str
) -> None:
    del http.headers["Finch-API-Version"]
    for headers in ({}, {"Finch-API-Version": "2024-04-01"}):
        answer = http.request(method, path, headers=headers)
        assert answer.status_code == 400
        assert answer.json()["name"] == "bad_request"
        assert "Finch-API-Version" in answer.json()["message"]
    fake_finch.switches.require_api_version = False
    assert "Finch-API-Version" not in http.request(method, path).text


@pytest.mark.parametrize(
    "path", ["/introspect", "/providers", "/nowhere", "/authorize", "/_fake_finch/truth"]
)
def test_every_answer_has_its_own_request_id(http: httpx.Client, path: str) -> None:
    first, second = (http.get(path).headers["Finch-Request-Id"] for _ in range(2))
    assert UUID(first)
    assert first != second


def test_unknown_endpoints_and_methods_are_refused_in_the_error_shape(http: httpx.Client) -> None:
    nowhere, wrong_method = http.get("/connections"), http.get("/disconnect")
    assert (nowhere.status_code, nowhere.json()["name"]) == (404, "not_found_error")
    assert (wrong_method.status_code, wrong_method.json()["code"]) == (405, 405)


def test_fault_applies_to_its_request_the_given_number_of_times(
    customers: Customers, fake_finch: FinchState
) -> None:
    connected = customers.connect()
    fake_finch.faults.add("GET", "/introspect", status=500, body={"name": "server_error"}, times=2)
    assert connected.sdk.account.disconnect()
    for _ in range(2):
        with pytest.raises(finch.InternalServerError):
            connected.sdk.account.introspect()
    with pytest.raises(finch.AuthenticationError):
        connected.sdk.account.introspect()
    assert fake_finch.faults.waiting() == []


def test_fault_without_a_number_applies_until_it_is_cleared(
    sdk: finch.Finch, customers: Customers, fake_finch: FinchState
) -> None:
    fake_finch.faults.add("*", "*", status=503, times=None)
    for _ in range(3):
        with pytest.raises(finch.InternalServerError):
            sdk.providers.list()
    fake_finch.faults.clear()
    assert sdk.providers.list()


@pytest.mark.parametrize("when", ["before", "after"])
def test_error_can_replace_the_effect_or_follow_it(
    customers: Customers, fake_finch: FinchState, when: str
) -> None:
    code = customers.authorize(customers.start()).code
    fake_finch.faults.add("POST", "/auth/token", error="server_error", when=when)
    with pytest.raises(finch.InternalServerError):
        customers.exchange(code)
    assert fake_finch.code(code).exchanges == (1 if when == "after" else 0)
    assert len(fake_finch.live_tokens()) == (1 if when == "after" else 0)


def test_code_is_usable_after_a_drop_before_the_effect(
    customers: Customers, fake_finch: FinchState
) -> None:
    code = customers.authorize(customers.start()).code
    fake_finch.faults.add("POST", "/auth/token", drop="before_effect")
    with pytest.raises(finch.APIConnectionError):
        customers.exchange(code)
    assert fake_finch.live_tokens() == []
    assert customers.exchange(code)


def test_code_is_used_up_after_a_drop_after_the_effect(
    customers: Customers, fake_finch: FinchState
) -> None:
    code = customers.authorize(customers.start()).code
    fake_finch.faults.add("POST", "/auth/token", drop="after_effect")
    with pytest.raises(finch.APIConnectionError):
        customers.exchange(code)
    assert len(fake_finch.live_tokens()) == 1
    with pytest.raises(finch.BadRequestError):
        customers.exchange(code)


def test_disconnect_is_effective_although_its_answer_is_dropped(
    customers: Customers, fake_finch: FinchState
) -> None:
    connected = customers.connect()
    fake_finch.faults.add("POST", "/disconnect", drop="after_effect")
    with pytest.raises(finch.APIConnectionError):
        connected.sdk.account.disconnect()
    assert fake_finch.live_tokens() == []
    with pytest.raises(finch.AuthenticationError):
        connected.sdk.account.disconnect()


def test_dropped_connection_logs_nothing(
    sdk: finch.Finch, fake_finch: FinchState, capfd: pytest.CaptureFixture[str]
) -> None:
    fake_finch.faults.add("GET", "/providers", drop="after_effect")
    with pytest.raises(finch.APIConnectionError):
        sdk.providers.list()
    assert sdk.providers.list()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("when", ["before", "after"])
def test_delay_comes_before_or_after_the_effect(
    customers: Customers, fake_finch: FinchState, when: str
) -> None:
    connected = customers.connect()
    live_while_sleeping: list[int] = []
    fake_finch.sleep = lambda seconds: live_while_sleeping.append(
        len(fake_finch.live_tokens()) * int(seconds)
    )
    fake_finch.faults.add("POST", "/disconnect", delay_seconds=30, when=when)
    assert connected.sdk.account.disconnect()
    assert live_while_sleeping == [30 if when == "before" else 0]


def test_delayed_answer_does_not_block_other_requests(
    customers: Customers, sdk: finch.Finch, fake_finch: FinchState
) -> None:
    connected = customers.connect()
    served: list[int] = []
    # The delayed request sends another request to the fake Finch before it continues.
    fake_finch.sleep = lambda _: served.append(len(sdk.providers.list().items))
    fake_finch.faults.add("GET", "/introspect", delay_seconds=30)
    assert connected.sdk.account.introspect()
    assert len(served) == 1


@pytest.mark.parametrize(
    ("nonsense", "status", "content"),
    [
        ("not json", 200, b"certainly not json"),
        ("empty body", 200, b""),
        ("html page", 502, b"<h1>Bad gateway</h1>"),
        ("array", 200, b"[]"),
        ("null", 200, b"null"),
    ],
)
def test_nonsense_answer_has_no_effect(
    customers: Customers, fake_finch: FinchState, nonsense: str, status: int, content: bytes
) -> None:
    token = customers.connect().token.access_token
    fake_finch.faults.add("POST", "/disconnect", nonsense=nonsense)
    answer = _in_process(fake_finch).post(
        "/disconnect", headers={"Authorization": f"Bearer {token}"}
    )
    assert (answer.status_code, answer.content) == (status, content)
    assert len(fake_finch.live_tokens()) == 1


def test_answer_can_be_truncated(customers: Customers, fake_finch: FinchState, wire: Wire) -> None:
    fake_finch.faults.add("POST", "/auth/token", nonsense="truncated json")
    with pytest.raises(Exception):  # noqa: B017, PT011 - the SDK lets the parser's error through
        customers.connect()
    assert wire.last.content.startswith(b'{"access_token"')
    with pytest.raises(json.JSONDecodeError):
        wire.last.json()
    assert len(fake_finch.live_tokens()) == 1


@pytest.mark.parametrize(
    "action",
    [
        {"status": 500, "drop": "after_effect"},
        {"error": "no_such_error"},
        {"error": "invalid_token_error", "finch_code": "finch_api_ip_rl"},
        {"nonsense": "gibberish"},
        {"delay_seconds": -1},
        {"stauts": 500},
    ],
)
def test_invalid_fault_is_refused(fake_finch: FinchState, action: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        fake_finch.faults.add("GET", "/introspect", **action)
    assert fake_finch.faults.waiting() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("echo_sate", False), ("echo_state", "no"), ("disconnect_scope", "galaxy")],
)
def test_unknown_switch_or_value_is_refused(
    fake_finch: FinchState, http: httpx.Client, name: str, value: object
) -> None:
    with pytest.raises(ValidationError):
        setattr(fake_finch.switches, name, value)
    answer = http.patch("/_fake_finch/switches", json={name: value, "extra_fields": True})
    assert answer.status_code == 400
    assert not fake_finch.switches.extra_fields


def _in_process(fake_finch: FinchState, **more: Any) -> httpx.Client:
    return httpx.Client(
        transport=InProcessTransport(create_app(fake_finch)),
        base_url="http://finch.test",
        headers={"Finch-API-Version": "2020-09-17"},
        **more,
    )


def test_app_answers_in_process(fake_finch: FinchState, customers: Customers) -> None:
    token = customers.connect().token.access_token
    answer = _in_process(fake_finch).get(
        "/introspect", headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 200
    assert UUID(answer.headers["Finch-Request-Id"])


def test_dropped_connection_is_a_read_error_in_process(
    fake_finch: FinchState, customers: Customers
) -> None:
    token = customers.connect().token.access_token
    fake_finch.faults.add("POST", "/disconnect", drop="after_effect")
    with pytest.raises(httpx.ReadError):
        _in_process(fake_finch).post("/disconnect", headers={"Authorization": f"Bearer {token}"})
    assert fake_finch.live_tokens() == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_delay_beyond_the_timeout_fails_immediately_in_process(
    fake_finch: FinchState, customers: Customers, when: str
) -> None:
    token = customers.connect().token.access_token
    slept: list[float] = []
    fake_finch.sleep = slept.append
    fake_finch.faults.add("POST", "/disconnect", delay_seconds=30, when=when)
    with pytest.raises(httpx.ReadTimeout):
        _in_process(fake_finch, timeout=5).post(
            "/disconnect", headers={"Authorization": f"Bearer {token}"}
        )
    assert slept == []
    assert fake_finch.live_tokens() == []
    assert fake_finch.requests.count("POST", "/disconnect") == 1


def test_only_a_single_concurrent_exchange_of_a_code_succeeds(
    customers: Customers, fake_finch: FinchState
) -> None:
    code = customers.authorize(customers.start()).code
    body = {
        "code": code,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uri": CALLBACK,
    }
    with _in_process(fake_finch) as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post("/auth/token", json=body), range(24)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 23}
    assert (fake_finch.code(code).attempts, len(fake_finch.tokens())) == (24, 1)


def test_control_endpoints_manage_the_fake_finch(
    http: httpx.Client, fake_finch: FinchState
) -> None:
    control = "/_fake_finch"
    assert (
        http.patch(f"{control}/switches", json={"echo_state": False}).json()["echo_state"] is False
    )
    fault = {"method": "GET", "path": "/providers", "action": {"status": 503}, "times": 1}
    assert http.post(f"{control}/faults", json=fault).status_code == 201
    assert len(http.get(f"{control}/faults").json()) == 1
    assert http.get("/providers").status_code == 503
    http.post(f"{control}/faults", json=fault)
    assert http.delete(f"{control}/faults").status_code == 204
    assert http.get("/providers").status_code == 200
    session = http.post(
        "/connect/sessions",
        auth=(CLIENT_ID, CLIENT_SECRET),
        json={
            "customer_id": "c-1",
            "customer_name": "Acme",
            "products": ["company"],
            "redirect_uri": CALLBACK,
        },
    ).json()
    visit = {"session_id": session["session_id"], "provider_id": "gusto"}
    refused = http.post(f"{control}/authorize", json={**visit, "login": "unknown"})
    assert (refused.status_code, "problem" in refused.json()) == (400, True)
    authorized = http.post(
        f"{control}/authorize", json={**visit, "login": "maya@harborlane.example"}
    ).json()
    assert authorized["redirect_to"] == f"{CALLBACK}?code={authorized['code']}"
    left = http.post(f"{control}/refuse", json={"session_id": session["session_id"]}).json()
    assert "error=access_denied" in left["redirect_to"]
    token = http.post(
        "/auth/token",
        json={
            "code": authorized["code"],
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "redirect_uri": CALLBACK,
        },
    ).json()
    status = f"{control}/connections/{token['connection_id']}/status"
    assert http.put(status, json={"status": "reauth"}).json()["status"] == "reauth"
    truth = http.get(f"{control}/truth").json()
    (stored,) = truth["tokens"].values()
    assert (stored["access_token"], stored["live"]) == (token["access_token"], True)
    assert stored["connection_id"] == truth["connections"][0]["id"] == token["connection_id"]
    assert (truth["codes"][0]["attempts"], truth["codes"][0]["exchanges"]) == (1, 1)
    assert truth["request_counts"]["POST /auth/token"] == 1


def test_recorded_requests_contain_names_and_no_secrets(
    http: httpx.Client, customers: Customers
) -> None:
    connected = customers.connect()
    connected.sdk.account.introspect()
    recorded = http.get("/_fake_finch/requests")
    exchange, introspection = recorded.json()
    assert exchange["body_keys"] == ["client_id", "client_secret", "code", "redirect_uri"]
    assert introspection["headers"]["authorization"] == "Bearer"
    for secret in (connected.token.access_token, CLIENT_SECRET):
        assert secret not in recorded.text


def test_control_endpoints_change_the_application_and_the_clock(
    http: httpx.Client, fake_finch: FinchState
) -> None:
    rotated = http.put("/_fake_finch/application", json={"client_secret": "next"}).json()
    assert (rotated["client_id"], rotated["client_secret"]) == (CLIENT_ID, "next")
    assert http.get("/_fake_finch/application").json() == rotated
    before = fake_finch.now()
    http.post("/_fake_finch/clock", json={"advance_seconds": 90})
    assert (fake_finch.now() - before).total_seconds() == 90
    assert http.put("/_fake_finch/application", json={"colour": "red"}).status_code == 400
    assert http.post("/_fake_finch/clock", json=[]).status_code == 400


def test_reset_deletes_everything_except_the_application(
    http: httpx.Client, customers: Customers, fake_finch: FinchState
) -> None:
    customers.connect()
    fake_finch.switches.echo_state = False
    fake_finch.faults.add("*", "*", status=503)
    fake_finch.replace_application(client_secret="next")
    assert http.post("/_fake_finch/reset").status_code == 204
    assert (fake_finch.connections(), fake_finch.tokens(), fake_finch.sessions()) == ([], [], [])
    assert fake_finch.switches.echo_state
    assert fake_finch.faults.waiting() == []
    assert fake_finch.requests.all() == []
    assert fake_finch.application.client_secret == "next"
