"""The cookies of the API as a real browser keeps them, and those that it lets others plant."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Browser, Page

from local.fake_finch.seed_world import HARBOR_LANE, MAYA
from local.world import World
from tests.support.deployed import Deployed
from tests.support.person import FinchPage, Person

START = """
    async ([api, token, returnTo]) => {
        const answer = await fetch(`${api}/connect-sessions`, {
            method: "POST",
            credentials: "include",
            headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
            body: JSON.stringify({ products: ["company"], return_to: returnTo }),
        });
        return (await answer.json()).connect_url;
    }
"""


@pytest.fixture
def page(browser: Browser, world: World, deployed: Deployed) -> Any:
    """A tab of a new profile, on the application's page."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(world.page_url)
    yield page
    context.close()


def began(page: Page, world: World) -> str:
    """The link to connect, asked for by the page's script."""
    asked = [world.api_url, world.issuer.token("acme"), world.page_url]
    return str(page.evaluate(START, asked))


def test_a_cookie_goes_to_the_api_alone_and_no_script_sees_it(page: Page, world: World) -> None:
    page.goto(began(page, world))
    kept = page.context.cookies()
    assert len(kept) == 2
    for cookie in kept:
        assert cookie["name"].startswith("__Host-finch-connect-")
        flags = {
            name: cookie[name] for name in ("domain", "path", "secure", "httpOnly", "sameSite")
        }
        assert flags == {
            "domain": "localhost",
            "path": "/",
            "secure": True,
            "httpOnly": True,
            "sameSite": "Lax",
        }
        assert 0 < cookie["expires"] - page.evaluate("Date.now() / 1000") <= 3600
    page.goto(f"{world.api_url}/nowhere")
    assert page.evaluate("document.cookie") == ""


def test_a_cookie_that_a_script_has_planted_binds_nobody(
    page: Page, world: World, deployed: Deployed
) -> None:
    """The browser keeps a disguised name for whoever asks, and sends it to the API."""
    attacker = Person(deployed, "globex")
    link = attacker.link()
    [(name, value)] = attacker.browser.cookies.items()
    plant = "([name, value]) => { document.cookie = `${name}=${value}; Path=/`; }"
    page.evaluate(plant, [name, value])
    assert page.evaluate("document.cookie") == ""
    page.evaluate(plant, [f"\u2000{name}", value])
    assert value in page.evaluate("document.cookie")
    page.goto(link)
    authorized = deployed.finch.authorize(
        FinchPage.at(page.url).session_id,
        provider_id="gusto",
        login=MAYA,
        company_id=HARBOR_LANE.id,
        state=FinchPage.at(page.url).state,
    )
    with page.expect_response(lambda answer: "/callback" in answer.url) as returned:
        page.goto(str(authorized.redirect_to))
    location = urlsplit(str(returned.value.header_value("location")))
    assert dict(parse_qsl(location.query))["status"] == "confirm"
    assert attacker.connections() == []
