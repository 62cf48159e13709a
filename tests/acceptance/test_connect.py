"""A customer connects a payroll or HR system, sees the connection, and disconnects it."""

from urllib.parse import urlsplit

import pytest

from finch_connections.domain.identifier import finch_name
from local.fake_finch.seed_world import (
    CEDARLINE,
    DANA,
    HARBOR_LANE,
    IRIS,
    JUNIPER_VALE,
    MAYA,
    NORTHFOLD,
    TALLY,
)
from tests.acceptance.outcomes import connected, current_answers, live_token_count
from tests.support.deployed import Deployed
from tests.support.person import Person


def test_customer_connects_sees_the_connection_and_disconnects(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    landing = acme.connect()
    assert landing.page == deployed.return_urls[0]
    assert landing.outcome == connected(deployed)
    assert acme.browser.cookies.keys() == {"__Host-finch-connect-last"}
    [shown] = acme.connections()
    assert shown == acme.connection()
    assert shown["status"] == deployed.working_status
    assert shown["company_id"] == landing.outcome["company_id"]
    [login] = shown["logins"]
    [token] = deployed.finch.live_tokens()
    if deployed.finch.switches.answers != "old":
        assert login["id"] == token.id
        assert login["connection_id"] == token.connection_id
    assert acme.disconnect().status == 200
    assert [shown["status"] for shown in acme.connections()] == ["disconnected"]
    assert live_token_count(deployed) == 0


def test_connection_shows_granted_not_requested_products(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    link = acme.link(products=["company", "directory", "employment"])
    acme.go_through(link, products=["company"])
    assert acme.connection()["logins"][0]["products"] == ["company"]


def test_no_table_contains_a_plaintext_token_or_cookie(deployed: Deployed) -> None:
    acme, other_site = (
        Person(deployed, "auth0|acme"),
        Person(deployed, "ada@globex.example", same_site=False),
    )
    acme.connect()
    other_site.connect(provider_id="justworks", login=MAYA)
    tables = deployed.tables
    kept = repr(
        [tables.items(table) for table in (tables.connections, tables.sessions, tables.ownerships)]
    )
    for token in deployed.finch.live_tokens():
        assert token.access_token not in kept
    for cookie in (acme.browser.cookies | other_site.browser.cookies).values():
        assert cookie not in kept


def test_browser_returns_to_the_page_that_was_requested(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    reply = acme.browser.navigate(
        acme.log_in(acme.click(acme.link(return_to=deployed.return_urls[1])))
    )
    joint = "&" if "?" in deployed.return_urls[1] else "?"
    assert reply.headers["location"].startswith(
        deployed.return_urls[1] + joint + "finch=return&status=connected&"
    )


def test_two_sessions_in_one_browser_finish_independently(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    first, second = acme.click(acme.link()), acme.click(acme.link())
    back_first = acme.log_in(first, provider_id="gusto")
    back_second = acme.log_in(second, provider_id="justworks")
    assert acme.come_back(back_second).outcome == connected(deployed, "justworks")
    assert acme.come_back(back_first).outcome == connected(deployed)
    assert len(acme.connections()) == 2


@current_answers
def test_customer_with_connections_gets_the_next_free_name_at_finch(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    for company in (HARBOR_LANE, JUNIPER_VALE, NORTHFOLD):
        acme.connect(login=TALLY, company_id=company.id)
    calls = deployed.finch.requests.count("POST", "/connect/sessions")
    acme.connect(provider_id="justworks", login=TALLY, company_id=CEDARLINE.id)
    names = [at_finch.customer.id for at_finch in deployed.finch.connections() if at_finch.customer]
    customer_id = deployed.customer_id("auth0|acme")
    assert names == [finch_name(customer_id, number) for number in (None, 2, 3, 4)]
    assert deployed.finch.requests.count("POST", "/connect/sessions") - calls == 2


@current_answers
def test_names_taken_by_unfinished_attempts_do_not_block_the_next(deployed: Deployed) -> None:
    other_site, acme = (
        Person(deployed, "auth0|acme", same_site=False),
        Person(deployed, "auth0|acme"),
    )
    companies = ((MAYA, HARBOR_LANE), (IRIS, JUNIPER_VALE), (DANA, NORTHFOLD), (TALLY, HARBOR_LANE))
    for login, company in companies:
        landing = other_site.connect(login=login, company_id=company.id)
        assert landing.outcome["status"] == "confirm"
    calls = deployed.finch.requests.count("POST", "/connect/sessions")
    assert acme.connect(provider_id="justworks").outcome["status"] == "connected"
    assert deployed.finch.requests.count("POST", "/connect/sessions") - calls == 3


def test_return_to_that_is_not_configured_is_refused(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    allowed = deployed.return_urls[0]
    host = urlsplit(allowed).netloc
    for return_to in (
        "https://evil.example.com/",
        allowed + "x",
        allowed + "?next=https://evil.example.com",
        allowed.rstrip("/") + "@evil.example.com",
        f"//{host}/",
        allowed.upper(),
        "javascript:alert(1)",
        "",
        None,
    ):
        refused = acme.start(return_to=return_to)
        assert (refused.status, refused.code) == (400, "return_to_not_allowed"), return_to
    assert deployed.tables.all_sessions() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff",
        b'{"products": []}',
        b'{"products": "company"}',
        b'{"products": ["pay-roll"]}',
        b'{"products": ["Company"]}',
        b'{"products": [""]}',
        b'{"products": ["company"], "mode": "popup"}',
        b'{"products": ["company"], "provider_id": "a\\nb"}',
        b'{"products": ["company"], "customer_id": "ada@globex.example"}',
        b'{"products": ["company"], "customer_name": ""}',
    ],
)
def test_invalid_connect_body_is_refused_and_no_session_is_stored(
    deployed: Deployed, body: bytes
) -> None:
    refused = Person(deployed, "auth0|acme").call("POST", "/connect-sessions", body)
    assert (refused.status, refused.code) == (400, "invalid_request")
    assert deployed.tables.all_sessions() == []


def test_error_does_not_repeat_the_rejected_value(deployed: Deployed) -> None:
    body = b'{"products": ["company"], "mode": "canary-value"}'
    refused = Person(deployed, "auth0|acme").call("POST", "/connect-sessions", body)
    assert "canary" not in refused.text
