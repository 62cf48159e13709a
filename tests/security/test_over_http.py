"""Attacks over HTTP that need the deployed API with its gateway."""

import http.client
from urllib.parse import urlsplit

from local.world import World
from tests.security.test_access_tokens import NO_CUSTOMER
from tests.security.test_headers import KEY, assert_protected
from tests.support.deployed import Deployed, Reply
from tests.support.person import Person

# Headers


def test_the_gateway_passes_on_the_security_headers(over_http: Deployed) -> None:
    """API Gateway's own responses (401, 403, 413, 429, 503) cannot have them."""
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


# Access tokens, whose claims API Gateway passes on


def list_connections(deployed: Deployed, token: str) -> Reply:
    return deployed.api.send("GET", "/connections", headers={"authorization": f"Bearer {token}"})


def test_an_unusual_customer_claim_shows_no_other_customers_data(
    world: World, over_http: Deployed
) -> None:
    Person(over_http, "acme").connect()
    for customer in NO_CUSTOMER:
        token = world.issuer.token("acme", sub=customer)
        refused = list_connections(over_http, token)
        # API Gateway itself refuses a header line of more than 10 KB.
        assert refused.status in (401, 403, 431), customer
        if refused.status == 403:
            assert refused.code == "customer_unknown", customer
    for customer in (7, 10**30, "ACME", "acme.", "-acme"):
        answered = list_connections(over_http, world.issuer.token("acme", sub=customer))
        assert answered.status == 403 or answered.json["connections"] == [], customer


def test_a_token_is_read_only_from_the_authorization_header(
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


def test_customer_id_comes_only_from_the_jwt(world: World, over_http: Deployed) -> None:
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


# Cookies, with the bytes that a browser sends


def test_a_planted_cookie_with_disguising_bytes_is_ignored(
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
