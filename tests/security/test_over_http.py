"""Attacks over HTTP: what only the deployed API, with its gateway, can be asked."""

import http.client
from urllib.parse import urlsplit

from local.world import World
from tests.security.test_access_tokens import NO_CUSTOMER
from tests.security.test_headers import KEY, assert_protected
from tests.support.deployed import Deployed, Reply
from tests.support.person import Person

# Headers


def test_the_gateway_passes_it_on(over_http: Deployed) -> None:
    """What API Gateway answers itself (401, 403, 413, 429, 503) cannot carry it."""
    acme = Person(over_http, "acme")
    link = acme.link()
    for reply in (
        acme.call("GET", "/connections"),
        acme.call("GET", KEY),
        acme.browser.navigate(link),
        acme.browser.navigate("/callback?code=x"),
        over_http.api.send("GET", "/nowhere"),
    ):
        assert_protected(reply)


# Access tokens, as API Gateway hands their claims on


def ask(deployed: Deployed, token: str) -> Reply:
    return deployed.api.send("GET", "/connections", headers={"authorization": f"Bearer {token}"})


def test_no_shape_of_a_claim_is_anothers_name(world: World, over_http: Deployed) -> None:
    Person(over_http, "acme").connect()
    for customer in NO_CUSTOMER:
        token = world.issuer.token("acme", sub=customer)
        refused = ask(over_http, token)
        # Above API Gateway's 10 KB for a line of the head there is no function to ask.
        assert refused.status in (401, 403, 431), customer
        if refused.status == 403:
            assert refused.code == "customer_unknown", customer
    for customer in (7, 10**30, "ACME", "acme.", "-acme"):
        answered = ask(over_http, world.issuer.token("acme", sub=customer))
        assert answered.status == 403 or answered.json["connections"] == [], customer


def test_a_token_is_taken_from_the_authorization_header_alone(
    world: World, over_http: Deployed
) -> None:
    token = world.issuer.token("acme")
    for headers, path in (
        ({"x-authorization": f"Bearer {token}"}, "/connections"),
        ({"cookie": f"authorization={token}; access_token={token}"}, "/connections"),
        ({}, f"/connections?access_token={token}&authorization=Bearer%20{token}"),
        ({"authorization": f"Basic {token}"}, "/connections"),
        ({"authorization": f"Bearer {token}, Bearer {token}"}, "/connections"),
    ):
        assert over_http.api.send("GET", path, headers=headers).status == 401, (headers, path)


def test_what_a_caller_says_beside_its_token_is_not_who_it_is(
    world: World, over_http: Deployed
) -> None:
    Person(over_http, "acme").connect()
    headers = {
        "authorization": f"Bearer {world.issuer.token('globex', name='acme', customer='acme')}",
        "x-customer-id": "acme",
        "x-amzn-request-context": '{"authorizer": {"jwt": {"claims": {"sub": "acme"}}}}',
        "cookie": "customer_id=acme; sub=acme",
    }
    for path in ("/connections", "/connections?customer_id=acme&sub=acme"):
        answered = over_http.api.send("GET", path, headers=headers)
        assert answered.json == {"connections": [], "next_cursor": None}


# Cookies, byte by byte as a browser sends them


def test_a_planted_cookie_binds_nobody_in_whatever_bytes_it_comes(
    world: World, over_http: Deployed
) -> None:
    attacker, victim = Person(over_http, "acme"), Person(over_http, "globex")
    link = attacker.link()
    [(name, value)] = attacker.browser.cookies.items()
    victim.browser.cookies = {}
    back = urlsplit(victim.log_in(victim.click(link)))
    api = http.client.HTTPConnection(urlsplit(world.api_url).netloc, timeout=60)
    for disguised in ("\u2000", "\u00a0", "\u0085", "\t"):
        api.putrequest("GET", f"{back.path}?{back.query}")
        api.putheader("Cookie", f"a=b; {disguised}{name}={value}; c=d".encode())
        api.endheaders()
        answer = api.getresponse()
        answer.read()
        assert "status=confirm" in str(answer.headers["location"]), repr(disguised)
    api.close()
    assert attacker.connections() == []
