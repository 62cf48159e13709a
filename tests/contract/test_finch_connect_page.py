"""The Finch Connect page in a browser without JavaScript."""

import html
import json
import re
from urllib.parse import parse_qs, urlsplit

import finch
import httpx
import pytest

from local.fake_finch import FinchState
from local.fake_finch.seed_world import (
    DANA,
    HARBOR_LANE,
    JUNIPER_VALE,
    MAYA,
    NORTHFOLD,
    OWEN,
    TALLY,
)
from tests.contract.browser import Browser
from tests.contract.conftest import CALLBACK, PRODUCTS, Clock, Customers


def redirect_of(page: httpx.Response) -> dict[str, list[str]]:
    """The query parameters of the redirect to the application."""
    assert page.status_code == 302
    target = page.headers["Location"]
    assert target.startswith(f"{CALLBACK}?")
    return parse_qs(urlsplit(target).query)


def message_of(page: httpx.Response) -> dict[str, object]:
    """The message that the page would post to the embedding window."""
    found = re.search(r'data-message="([^"]*)"', page.text)
    assert found is not None
    message: dict[str, object] = json.loads(html.unescape(found.group(1)))
    return message


def test_user_gets_a_code_after_all_steps(browser: Browser, customers: Customers) -> None:
    session_id = customers.start()
    page = browser.open(f"/authorize?session={session_id}&state=s-1")
    assert page.status_code == 200
    assert "Fake Finch - no real payroll data" in page.text
    assert "for Acme Benefits" in page.text
    browser.press("provider", "gusto")
    assert "Log in to Gusto" in browser.page.text
    browser.type_in(username=MAYA, password="anything")
    assert HARBOR_LANE.legal_name in browser.page.text
    assert browser.form_with("product").values("product") == PRODUCTS
    answer = redirect_of(browser.press("decision", "allow"))
    assert answer["state"] == ["s-1"]
    token = customers.exchange(answer["code"][0]).token
    assert (token.company_id, token.products) == (HARBOR_LANE.id, PRODUCTS)


def test_user_with_several_companies_chooses_a_company(
    browser: Browser, customers: Customers
) -> None:
    browser.open(f"/authorize?session={customers.start()}")
    browser.press("provider", "gusto")
    browser.type_in(username=TALLY, password="anything")
    offered = dict.fromkeys(value for _, value in browser.form_with("company").buttons)
    assert list(offered) == [HARBOR_LANE.id, JUNIPER_VALE.id, NORTHFOLD.id]
    browser.press("company", JUNIPER_VALE.id)
    code = redirect_of(browser.press("decision", "allow"))["code"][0]
    assert customers.exchange(code).token.company_id == JUNIPER_VALE.id


def test_session_with_a_provider_starts_at_the_login(
    browser: Browser, customers: Customers
) -> None:
    browser.open(f"/authorize?session={customers.start(provider_id='justworks')}")
    assert "Log in to Justworks" in browser.page.text
    browser.type_in(username=MAYA, password="x")
    code = redirect_of(browser.press("decision", "allow"))["code"][0]
    assert customers.exchange(code).token.provider_id == "justworks"


def test_user_may_refuse_some_products(browser: Browser, customers: Customers) -> None:
    browser.open(f"/authorize?session={customers.start(provider_id='gusto')}")
    browser.type_in(username=MAYA, password="x")
    page = browser.press_with("decision", "allow", without=("product", "individual"))
    token = customers.exchange(redirect_of(page)["code"][0]).token
    assert token.products == ["company", "directory", "employment"]


def test_refusing_all_products_shows_the_step_again(
    browser: Browser, customers: Customers, fake_finch: FinchState
) -> None:
    session_id = customers.start(provider_id="gusto", products=["company"])
    browser.open(f"/authorize?session={session_id}")
    browser.type_in(username=MAYA, password="x")
    page = browser.press_with("decision", "allow", without=("product", "company"))
    assert page.status_code == 400
    assert "Choose at least one of the requested products." in page.text
    assert fake_finch.session(session_id).codes_issued == 0
    assert redirect_of(browser.press("decision", "allow"))["code"]


def test_user_may_leave_out_some_entities(browser: Browser, customers: Customers) -> None:
    browser.open(f"/authorize?session={customers.start(provider_id='adp_run')}")
    browser.type_in(username=DANA, password="x")
    east, *rest = (entity.name for entity in NORTHFOLD.entities)
    assert browser.form_with("entity").values("entity") == [east, *rest]
    page = browser.press_with("decision", "allow", without=("entity", east))
    assert len(customers.exchange(redirect_of(page)["code"][0]).token.entity_ids) == 2


def test_all_answers_may_be_posted_together(http: httpx.Client, customers: Customers) -> None:
    answers: dict[str, str | list[str]] = {
        "session": customers.start(),
        "state": "s-1",
        "provider": "gusto",
        "username": TALLY,
        "company": NORTHFOLD.id,
        "entity": [NORTHFOLD.entities[2].name],
        "product": ["company", "directory"],
        "decision": "allow",
    }
    answer = redirect_of(http.post("/authorize", data=answers))
    token = customers.exchange(answer["code"][0]).token
    assert (token.company_id, len(token.entity_ids)) == (NORTHFOLD.id, 1)
    nothing_ticked = {name: value for name, value in answers.items() if name != "entity"}
    assert http.post("/authorize", data=nothing_ticked).status_code == 400


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_cancelling_in_any_step_redirects_with_an_error(
    browser: Browser, customers: Customers, fake_finch: FinchState, steps: int
) -> None:
    session_id = customers.start()
    browser.open(f"/authorize?session={session_id}&state=s-1")
    if steps > 0:
        browser.press("provider", "gusto")
    if steps > 1:
        browser.type_in(username=MAYA, password="x")
    answer = redirect_of(browser.press("decision", "refuse"))
    assert set(answer) == {"error", "error_description", "state"}
    assert (answer["error"], answer["state"]) == (["access_denied"], ["s-1"])
    assert fake_finch.session(session_id).codes_issued == 0


def test_redirect_has_no_state_by_switch(
    browser: Browser, customers: Customers, fake_finch: FinchState
) -> None:
    fake_finch.change_switches(echo_state=False, echo_state_on_error=False)
    url = f"/authorize?session={customers.start(provider_id='gusto')}&state=s-1"
    browser.open(url)
    browser.type_in(username=MAYA, password="x")
    assert set(redirect_of(browser.press("decision", "allow"))) == {"code"}
    browser.open(url)
    assert "state" not in redirect_of(browser.press("decision", "refuse"))


def test_leaving_does_not_redirect_and_the_session_stays_usable(
    browser: Browser, customers: Customers
) -> None:
    session_id = customers.start()
    browser.open(f"/authorize?session={session_id}")
    assert 'href="/authorize/left"' in browser.page.text
    left = browser.open("/authorize/left")
    assert left.status_code == 200
    assert "Location" not in left.headers
    assert browser.open(f"/authorize?session={session_id}").status_code == 200


@pytest.mark.parametrize("username", ["unknown@example.com", OWEN])
def test_unknown_login_shows_the_step_again(
    browser: Browser, customers: Customers, fake_finch: FinchState, username: str
) -> None:
    session_id = customers.start(provider_id="justworks")
    browser.open(f"/authorize?session={session_id}&state=s-1")
    page = browser.type_in(username=username, password="x")
    assert page.status_code == 400
    assert "These credentials were not accepted." in page.text
    assert fake_finch.session(session_id).codes_issued == 0
    # The earlier answers are kept.
    browser.type_in(username=MAYA, password="x")
    assert redirect_of(browser.press("decision", "allow"))["state"] == ["s-1"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"provider": "no_such_provider"},
        {"company": "no-such-company"},
        {"product": ["ssn"]},
        {"username": ""},
    ],
    ids=str,
)
def test_answers_that_were_not_offered_give_no_code(
    http: httpx.Client, customers: Customers, fake_finch: FinchState, wrong: dict[str, object]
) -> None:
    session_id = customers.start()
    answers: dict[str, object] = {
        "session": session_id,
        "provider": "gusto",
        "username": MAYA,
        "company": HARBOR_LANE.id,
        "product": ["company"],
        "decision": "allow",
    }
    page = http.post("/authorize", data={**answers, **wrong})
    assert page.status_code == 400
    assert fake_finch.session(session_id).codes_issued == 0


def test_assisted_providers_are_shown_if_the_session_requests_them(
    browser: Browser, customers: Customers
) -> None:
    browser.open(f"/authorize?session={customers.start()}")
    assert ("provider", "trinet") not in browser.form_with("provider").buttons
    browser.open(f"/authorize?session={customers.start(manual=True)}")
    assert ("provider", "trinet") in browser.form_with("provider").buttons


@pytest.mark.parametrize("query", ["", "?session=", "?session=no-such-session"])
def test_unknown_session_shows_an_error_page(browser: Browser, query: str) -> None:
    page = browser.open(f"/authorize{query}")
    assert page.status_code == 404
    assert "This link is not known." in page.text


def test_expired_session_shows_an_error_page_in_any_step(
    browser: Browser, customers: Customers, clock: Clock
) -> None:
    session_id = customers.start(minutes_to_expire=1, provider_id="gusto")
    browser.open(f"/authorize?session={session_id}")
    browser.type_in(username=MAYA, password="x")
    clock.advance(minutes=1)
    page = browser.press("decision", "allow")
    assert (page.status_code, "Location" in page.headers) == (410, False)
    page = browser.open(f"/authorize?session={session_id}")
    assert page.status_code == 410
    assert "This link has expired." in page.text


def test_reauthentication_offers_only_its_provider_and_company(
    browser: Browser, customers: Customers, sdk: finch.Finch
) -> None:
    connected = customers.connect(MAYA)
    session = sdk.connect.sessions.reauthenticate(
        connection_id=connected.connection_id, redirect_uri=CALLBACK
    )
    browser.open(session.connect_url)
    assert "Reconnect Gusto" in browser.page.text
    page = browser.type_in(username=DANA, password="x")
    assert "does not reach the company" in page.text
    browser.type_in(username=TALLY, password="x")
    assert HARBOR_LANE.legal_name in browser.page.text
    code = redirect_of(browser.press("decision", "allow"))["code"][0]
    assert customers.exchange(code).connection_id == connected.connection_id


def test_embedded_flow_ends_with_a_message_that_has_the_code(
    browser: Browser, customers: Customers
) -> None:
    session_id = customers.start(redirect_uri=None, provider_id="gusto")
    browser.open(
        f"/authorize?session={session_id}&state=s-1&app_type=spa"
        "&sdk_host_url=https%3A%2F%2Fapp.example.com%2Fpage&mode=employer&sdk_version=5.0.1"
    )
    browser.type_in(username=MAYA, password="x")
    page = browser.press("decision", "allow")
    message = message_of(page)
    assert page.status_code == 200
    assert {**message, "code": ""} == {
        "name": "finch-auth-message-v2",
        "kind": "success",
        "code": "",
        "state": "s-1",
    }
    assert f'<code id="code">{message["code"]}</code>' in page.text
    # Only the origin of the embedding page receives the message.
    assert 'data-target="https://app.example.com"' in page.text
    assert customers.exchange(str(message["code"]), redirect_uri=None)


def test_embedded_flow_sends_a_message_after_a_refusal(
    browser: Browser, customers: Customers
) -> None:
    browser.open(f"/authorize?session={customers.start(redirect_uri=None)}")
    message = message_of(browser.press("decision", "refuse"))
    assert message["kind"] == "error"
    assert "code" not in message
    assert message_of(browser.open("/authorize/left"))["kind"] == "closed"


def test_page_escapes_input_and_is_not_cached(
    browser: Browser, customers: Customers, http: httpx.Client
) -> None:
    page = browser.open(f"/authorize?session={customers.start()}&state=%22%3E%3Cscript%3E")
    assert "<script>" not in page.text
    assert "style=" not in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "'unsafe-inline'" not in page.headers["Content-Security-Policy"]
    assert http.get("/connect/static/connect.css").headers["content-type"].startswith("text/css")
    assert "javascript" in http.get("/connect/static/connect.js").headers["content-type"]
