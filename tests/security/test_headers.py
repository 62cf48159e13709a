"""The security headers of every response of our functions."""

from collections.abc import Callable

import pytest

from tests.support.deployed import Reply
from tests.support.in_process import InProcess, routes_of_template
from tests.support.person import Person

PROTECTION = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=63072000",
    "x-content-type-options": "nosniff",
}
KEY = "/connections/gusto/company-1"

# Requests to each route of the template: successful and refused.
REQUESTS: dict[str, list[Callable[[Person], Reply]]] = {
    "POST /connect-sessions": [
        lambda acme: acme.start(),
        lambda acme: acme.start(products=[]),
    ],
    "POST /connections/{provider_id}/{company_id}/reauthenticate": [
        lambda acme: acme.call("POST", f"{KEY}/reauthenticate", {}),
    ],
    "GET /connect/{handle}": [
        lambda acme: acme.browser.navigate(acme.link()),
        lambda acme: acme.browser.navigate("/connect/unknown"),
    ],
    "HEAD /connect/{handle}": [lambda acme: acme.deployed.api.send("HEAD", "/connect/x")],
    "HEAD /callback": [lambda acme: acme.deployed.api.send("HEAD", "/callback")],
    "GET /callback": [
        lambda acme: acme.browser.navigate("/callback?code=x"),
        lambda acme: acme.browser.navigate(acme.log_in(acme.click(acme.link()))),
    ],
    "POST /callback": [lambda acme: acme.call("POST", "/callback", {"completion": "x"})],
    "GET /connections": [
        lambda acme: acme.call("GET", "/connections"),
        lambda acme: acme.call("GET", "/connections?limit=0"),
    ],
    "GET /connections/{provider_id}/{company_id}": [lambda acme: acme.call("GET", KEY)],
    "DELETE /connections/{provider_id}/{company_id}": [lambda acme: acme.call("DELETE", KEY)],
    "DELETE /connections/{provider_id}/{company_id}/entities/{entity_id}": [
        lambda acme: acme.call("DELETE", f"{KEY}/entities/entity-1"),
    ],
    "POST /webhooks/finch": [
        lambda acme: acme.deployed.api.send("POST", "/webhooks/finch", body=b"{}"),
    ],
    "$default": [
        lambda acme: acme.deployed.api.send("GET", "/nowhere"),
        lambda acme: acme.deployed.api.send("OPTIONS", "/nowhere"),
        lambda acme: acme.deployed.api.send("HEAD", "/connections"),
    ],
}


def assert_protected(reply: Reply) -> None:
    assert {name: reply.headers.get(name) for name in PROTECTION} == PROTECTION


@pytest.mark.parametrize("route", [route.key for route in routes_of_template()])
def test_every_response_of_every_route_has_the_security_headers(
    deployed: InProcess, route: str
) -> None:
    for send in REQUESTS[route]:
        assert_protected(send(Person(deployed, "acme")))


def test_a_server_error_has_the_security_headers(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.border.guard = lambda call, send: 1 // 0
    reply = Person(deployed, "acme").call("GET", "/connections")
    assert (reply.status, reply.code) == (500, "internal_error")
    assert_protected(reply)
