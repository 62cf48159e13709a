"""The Finch Connect page as a person's browser meets it, without JavaScript."""

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
    """What the redirect to the application says."""
    assert page.status_code == 302
    target = page.headers["Location"]
    assert target.startswith(f"{CALLBACK}?")
    return parse_qs(urlsplit(target).query)


def message_of(page: httpx.Response) -> dict[str, object]:
    """What the page would post to the window around it."""
    found = re.search(r'data-message="([^"]*)"', page.text)
    assert found is not None
    message: dict[str, object] = json.loads(html.unescape(found.group(1)))
    return message


def test_a_person_clicks_through_to_a_code(browser: Browser, customers: Customers) -> None:
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


def test_a_login_that_reaches_several_companies_chooses_one(
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


def test_a_session_with_a_provider_begins_at_its_login(
    browser: Browser, customers: Customers
) -> None:
    browser.open(f"/authorize?session={customers.start(provider_id='justworks')}")
    assert "Log in to Justworks" in browser.page.text
    browser.type_in(username=MAYA, password="x")
    code = redirect_of(browser.press("decision", "allow"))["code"][0]
    assert customers.exchange(code).token.provider_id == "justworks"


def test_a_person_may_refuse_some_products(browser: Browser, customers: Customers) -> None:
    browser.open(f"/authorize?session={customers.start(provider_id='gusto')}")
    browser.type_in(username=MAYA, password="x")
    page = browser.press_with("decision", "allow", without=("product", "individual"))
    token = customers.exchange(redirect_of(page)["code"][0]).token
    assert token.products == ["company", "directory", "employment"]


def test_refusing_every_product_asks_again(
    browser: Browser, customers: Customers, fake_finch: FinchState
) -> None:
    session_id = customers.start(provider_id="gusto", products=["company"])
    browser.open(f"/authorize?session={session_id}")
    browser.type_in(username=MAYA, password="x")
    page = browser.press_with("decision", "allow", without=("product", "company"))
    assert page.status_code == 400
    assert "Choose at least one of the products" in page.text
    assert fake_finch.session(session_id).codes_issued == 0
    assert redirect_of(browser.press("decision", "allow"))["code"]


def test_a_person_may_leave_out_entities_but_not_all(
    browser: Browser, customers: Customers
) -> None:
    browser.open(f"/authorize?session={customers.start(provider_id='adp_run')}")
    browser.type_in(username=DANA, password="x")
    east, *rest = (entity.name for entity in NORTHFOLD.entities)
    assert browser.form_with("entity").values("entity") == [east, *rest]
    page = browser.press_with("decision", "allow", without=("entity", east))
    assert len(customers.exchange(redirect_of(page)["code"][0]).token.entity_ids) == 2


def test_all_answers_may_be_posted_at_once(http: httpx.Client, customers: Customers) -> None:
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
def test_cancelling_redirects_with_an_error_from_any_step(
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


def test_the_state_is_kept_by_switch(
    browser: Browser, customers: Customers, fake_finch: FinchState
) -> None:
    fake_finch.change_switches(echo_state=False, echo_state_on_error=False)
    url = f"/authorize?session={customers.start(provider_id='gusto')}&state=s-1"
    browser.open(url)
    browser.type_in(username=MAYA, password="x")
    assert set(redirect_of(browser.press("decision", "allow"))) == {"code"}
    browser.open(url)
    assert "state" not in redirect_of(browser.press("decision", "refuse"))


def test_leaving_goes_nowhere_and_the_session_stays_good(
    browser: Browser, customers: Customers
) -> None:
    session_id = customers.start()
    browser.open(f"/authorize?session={session_id}")
    assert 'href="/authorize/left"' in browser.page.text
    left = browser.open("/authorize/left")
    assert left.status_code == 200
    assert "Location" not in left.headers
    assert browser.open(f"/authorize?session={session_id}").status_code == 200


@pytest.mark.parametrize("username", ["nobody@example.com", OWEN])
def test_a_login_that_the_provider_does_not_know_asks_again(
    browser: Browser, customers: Customers, fake_finch: FinchState, username: str
) -> None:
    session_id = customers.start(provider_id="justworks")
    browser.open(f"/authorize?session={session_id}&state=s-1")
    page = browser.type_in(username=username, password="x")
    assert page.status_code == 400
    assert "These credentials were not accepted." in page.text
    assert fake_finch.session(session_id).codes_issued == 0
    # What was answered before is still there.
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
def test_answers_that_were_never_offered_give_no_code(
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


def test_assisted_providers_show_where_the_session_asks_for_them(
    browser: Browser, customers: Customers
) -> None:
    browser.open(f"/authorize?session={customers.start()}")
    assert ("provider", "trinet") not in browser.form_with("provider").buttons
    browser.open(f"/authorize?session={customers.start(manual=True)}")
    assert ("provider", "trinet") in browser.form_with("provider").buttons


@pytest.mark.parametrize("query", ["", "?session=", "?session=no-such-session"])
def test_an_unknown_session_is_a_page_that_says_so(browser: Browser, query: str) -> None:
    page = browser.open(f"/authorize{query}")
    assert page.status_code == 404
    assert "This link is not known." in page.text


def test_an_expired_session_is_a_page_that_says_so_at_any_step(
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


def test_a_reauthentication_offers_its_provider_and_company_only(
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


def test_the_embedded_flow_ends_in_a_message_with_the_code(
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
    # Nobody but the embedding page's origin is told.
    assert 'data-target="https://app.example.com"' in page.text
    assert customers.exchange(str(message["code"]), redirect_uri=None)


def test_the_embedded_flow_tells_of_a_refusal_too(browser: Browser, customers: Customers) -> None:
    browser.open(f"/authorize?session={customers.start(redirect_uri=None)}")
    message = message_of(browser.press("decision", "refuse"))
    assert message["kind"] == "error"
    assert "code" not in message
    assert message_of(browser.open("/authorize/left"))["kind"] == "closed"


def test_the_page_lets_nothing_in_and_nothing_stay(
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
