"""How a real browser stores the API's cookies, and cookies that an attacker plants."""

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
        const response = await fetch(`${api}/connect-sessions`, {
            method: "POST",
            credentials: "include",
            headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
            body: JSON.stringify({ products: ["company"], return_to: returnTo }),
        });
        return (await response.json()).connect_url;
    }
"""


@pytest.fixture
def page(browser: Browser, world: World, deployed: Deployed) -> Any:
    """A tab with a new browser profile, on the application's page."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(world.page_url)
    yield page
    context.close()


def start_connect(page: Page, world: World) -> str:
    """Starts a connect session from a script of the page. Returns the link to connect."""
    arguments = [world.api_url, world.issuer.token("acme"), world.page_url]
    return str(page.evaluate(START, arguments))


def test_cookies_go_only_to_the_api_and_are_hidden_from_scripts(page: Page, world: World) -> None:
    page.goto(start_connect(page, world))
    cookies = page.context.cookies()
    assert len(cookies) == 2
    for cookie in cookies:
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


def test_browser_keeps_the_cookies_of_the_newest_ten_attempts(page: Page, world: World) -> None:
    kept: list[str] = []
    for _ in range(12):
        start_connect(page, world)
        names = {cookie["name"] for cookie in page.context.cookies(world.api_url)}
        kept += names.difference(kept)
    assert names == set(kept[-10:])


def test_cookie_planted_by_a_script_binds_no_session(
    page: Page, world: World, deployed: Deployed
) -> None:
    """A script can set a cookie with a disguised name, and the browser sends it to the API."""
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
    with page.expect_response(lambda response: "/callback" in response.url) as returned:
        page.goto(str(authorized.redirect_to))
    location = urlsplit(str(returned.value.header_value("location")))
    assert dict(parse_qsl(location.query))["status"] == "confirm"
    assert attacker.connections() == []
