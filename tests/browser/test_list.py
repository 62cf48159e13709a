"""A long list of connections: search, filters, sorting, grouping by company, and showing more."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

from playwright.sync_api import Request, Route, expect

from finch_connections.domain.connection import Connection
from tests.browser import seed
from tests.browser.conftest import Visit
from tests.browser.seed import BEGAN, connection
from tests.browser.visitor import Visitor, say
from tests.local.conftest import until
from tests.support.deployed import Deployed
from tests.support.person import Person

PROVIDERS = [
    ("adp_run", "RUN Powered by ADP"),
    ("bamboo_hr", "BambooHR"),
    ("gusto", "Gusto"),
    ("justworks", "Justworks"),
]
STATUSES = {7: "reauth", 70: "processing", 90: "disconnected", 110: "error_permissions"}
LIST = r"/connections(\?.*)?$"


def numbered(count: int) -> list[Connection]:
    """Connections of different companies, the newest change last."""
    return [
        connection(
            f"Company {n:03}",
            PROVIDERS[n % len(PROVIDERS)],
            STATUSES.get(n, "connected"),
            updated_at=BEGAN + timedelta(minutes=n),
        )
        for n in range(count)
    ]


def names(visitor: Visitor) -> list[str]:
    """The companies of the cards, from the top."""
    return visitor.element.locator("h4").all_text_contents()


def test_customer_searches_filters_and_sorts_120_connections(
    visit: Visit, deployed: Deployed
) -> None:
    zenith = [connection("Zenith Ångström", provider) for provider in PROVIDERS[:2]]
    seed.write(deployed, [*numbered(118), *zenith])
    visitor = visit()
    visitor.arrive()
    search = visitor.element.get_by_label("Search")
    status, provider, order = (
        visitor.element.get_by_label(label) for label in ("Status", "Provider", "Sort by")
    )
    visitor.snapshot("many", height=1000)
    expect(visitor.cards).to_have_count(27)
    # The search finds connections that were not read yet, without accents, in few requests.
    with visitor.requests("/connections") as sent:
        search.press_sequentially("zenith ang")
        expect(visitor.announced).to_have_text("2 connections found.")
        expect(visitor.cards).to_have_count(2)
        expect(search).to_be_focused()
        assert len(sent) <= 3
    # The company is named once, above its providers.
    company = visitor.element.locator(".company")
    expect(company.get_by_role("heading", level=4)).to_have_text("Zenith Ångström")
    expect(company.locator("h5 bdi")).to_have_text(["RUN Powered by ADP", "BambooHR"])
    visitor.details(visitor.card("BambooHR"))
    visitor.snapshot("search", height=1000)
    search.fill("zenith nothing")
    expect(visitor.announced).to_have_text("No connection matches.")
    expect(visitor.cards).to_have_count(0)
    visitor.snapshot("no-match", height=600)
    visitor.button("Clear").click()
    expect(search).to_be_focused()
    expect(search).to_have_value("")
    expect(visitor.cards).to_have_count(28)
    # Filters.
    provider.select_option("Justworks")
    expect(visitor.announced).to_have_text("29 connections found.")
    status.select_option("Sign-in needed")
    expect(visitor.announced).to_have_text("1 connection found.")
    expect(visitor.cards).to_have_count(1)
    expect(visitor.card("Company 007")).to_contain_text("asks you to sign in again")
    status.select_option("Disconnected")
    expect(visitor.announced).to_have_text("No connection matches.")
    provider.select_option("All providers")
    expect(visitor.card("Company 090")).to_be_visible()
    visitor.button("Clear").click()
    # Sorting.
    order.select_option("Last changed")
    expect(visitor.element.locator("h4").first).to_have_text("Company 117")
    order.select_option("Name")
    expect(visitor.element.locator("h4").first).to_have_text("Company 000")
    assert names(visitor)[:25] == [f"Company {n:03}" for n in range(25)]
    order.select_option("Attention first")
    expect(visitor.element.locator("h4").first).to_have_text("Company 110")
    search.fill("company 007")
    with visitor.requests("/connections/justworks/") as sent:
        visitor.button("Sign in again").click()
        until(lambda: visitor.page.evaluate("1") and sent)
    assert sent[0].url.endswith("/reauthenticate")


def test_few_connections_have_no_controls(visitor: Visitor, deployed: Deployed) -> None:
    seed.write(deployed, numbered(7))
    visitor.arrive()
    expect(visitor.cards).to_have_count(7)
    expect(visitor.element.get_by_role("search")).to_have_count(0)
    seed.write(deployed, numbered(9)[7:])
    visitor.page.evaluate("document.querySelector('finch-connections').refresh()")
    expect(visitor.element.get_by_role("search")).to_be_visible()


def scroll_position(visitor: Visitor) -> float:
    """How far the page is scrolled."""
    return float(visitor.page.evaluate("scrollY"))


def test_show_more_keeps_the_place_and_moves_the_focus_to_the_first_new_card(
    visitor: Visitor, deployed: Deployed
) -> None:
    # Without it the page reads more only on a click.
    visitor.page.add_init_script("delete globalThis.IntersectionObserver")
    seed.write(
        deployed, [connection(f"Company {n:02}", (f"p{n:02}", f"P{n:02}")) for n in range(60)]
    )
    visitor.arrive()
    for shown, first in ((25, "Company 25"), (50, "Company 50")):
        expect(visitor.cards).to_have_count(shown)
        more = visitor.button("Show more")
        more.focus()
        before = scroll_position(visitor)
        visitor.page.keyboard.press("Enter")
        expect(visitor.cards).to_have_count(min(60, shown + 25))
        assert abs(scroll_position(visitor) - before) < 2
        if shown == 25:
            expect(more).to_be_focused()
        else:
            # The button is gone.
            expect(visitor.button(f"Details: \u2068\u2068{first}")).to_be_focused()


def test_click_on_show_more_during_another_reading_counts(
    visitor: Visitor, deployed: Deployed
) -> None:
    visitor.page.add_init_script("delete globalThis.IntersectionObserver")
    seed.write(
        deployed, [connection(f"Company {n:02}", (f"p{n:02}", f"P{n:02}")) for n in range(60)]
    )
    visitor.arrive()
    waiting: list[Route] = []
    visitor.intercept(LIST, waiting.append, times=1)
    visitor.page.evaluate("void document.querySelector('finch-connections').refresh()")
    until(lambda: visitor.page.evaluate("1") and waiting)
    visitor.button("Show more").click()
    expect(visitor.cards).to_have_count(25)
    visitor.let_through(waiting)
    expect(visitor.cards).to_have_count(50)


def test_search_in_more_than_a_thousand_connections_says_that_it_was_cut(
    visitor: Visitor, deployed: Deployed
) -> None:
    seed.write(deployed, [connection("Company")])
    [one] = Person(deployed, "acme").connections()

    def endless(route: Route) -> None:
        start = int((re.search(r"cursor=(\d+)", route.request.url) or ["", "0"])[1])
        count = int((re.search(r"limit=(\d+)", route.request.url) or ["", "0"])[1])
        listed: list[dict[str, Any]] = (
            []
            if "status=" in route.request.url
            else [
                {**one, "company_id": f"id-{n:05}", "company_name": f"Company {n:05}"}
                for n in range(start, start + count)
            ]
        )
        cursor = str(start + count) if listed and start + count < 1_150 else None
        say(200, json.dumps({"connections": listed, "next_cursor": cursor}))(route)

    visitor.intercept(LIST, endless)
    visitor.arrive()
    with visitor.requests("/connections") as sent:
        visitor.element.get_by_label("Search").fill("Company 01149")
        expect(visitor.announced).to_have_text(
            "No connection matches. Only the first 1,000 connections were read. “Show more” reads more."
        )
        # Ten pages, and the page of the connections that need a person.
        assert len(sent) == 11
    for _ in range(2):
        visitor.button("Show more").click()
        visitor.page.wait_for_function(
            "() => !document.querySelector('finch-connections').shadowRoot.querySelector('.more .spinner')"
        )
    expect(visitor.card("Company 01149")).to_be_visible()
    expect(visitor.announced).to_have_text("1 connection found.")


def test_card_shows_its_own_check_only_if_it_is_old_or_failing(
    visitor: Visitor, deployed: Deployed
) -> None:
    fresh = [connection(f"Fresh {n}") for n in range(3)]
    old = connection("Old")
    assert old.checked_at
    old = replace(old, checked_at=old.checked_at - timedelta(days=2))
    seed.write(deployed, [*fresh, old, connection("Broken", status="reauth")])
    visitor.arrive()
    expect(visitor.element.locator(".checks")).to_have_text(
        "Connections that show no time were checked within the last day."
    )
    expect(visitor.card("Old")).to_contain_text("Checked 2 days ago")
    expect(visitor.card("Broken")).to_contain_text("Checked 40 minutes ago")
    for one in fresh:
        expect(visitor.card(str(one.company_name))).not_to_contain_text("Checked")


def test_details_name_the_connection_to_support(visitor: Visitor, deployed: Deployed) -> None:
    one = connection("Company")
    seed.write(deployed, [one])
    visitor.arrive()
    visitor.details(visitor.cards.first)
    support = visitor.element.get_by_role("link", name="Contact support")
    expect(support).to_have_attribute(
        "href", re.compile(f"^mailto:.*subject=Reference%20gusto%20{one.key.company_id}$")
    )


def test_person_with_connections_sees_what_the_application_reads_and_why(
    visitor: Visitor, deployed: Deployed
) -> None:
    seed.write(deployed, [connection("Company")])
    visitor.arrive()
    visitor.page.evaluate(
        "document.querySelector('finch-connections').setAttribute('reason', 'To offer <b>benefits</b>.')"
    )
    reads = visitor.element.locator("details.reads")
    reads.locator("summary").click()
    expect(reads).to_contain_text("To offer <b>benefits</b>.")
    expect(reads.get_by_role("term").first).to_have_text("company details")
    visitor.snapshot("reads", height=900)


def test_icon_of_a_provider_is_shown_and_falls_back_to_letters(
    visitor: Visitor, deployed: Deployed
) -> None:
    icons = {
        name: f"{visitor.world.finch_url}/connect/logos/{name}.svg"
        for name in ("gusto", "missing", "elsewhere")
    }
    # The page's Content Security Policy allows the icons of Finch, and no others.
    icons["elsewhere"] = "https://icons.example/elsewhere.svg"
    seed.write(
        deployed,
        [
            connection(f"Of {name}", (name, name.title()), provider_icon=icon)
            for name, icon in icons.items()
        ]
        + [connection("Of none", ("none", "None"))],
    )
    asked: list[Request] = []

    def note(request: Request) -> None:
        asked.append(request)

    visitor.page.on("request", note)
    visitor.arrive()
    picture = visitor.card("Of gusto").locator(".mark.pictured img")
    expect(picture).to_be_visible()
    assert picture.get_attribute("alt") == ""
    for name in ("missing", "elsewhere", "none"):
        mark = visitor.card(f"Of {name}").locator(".mark")
        expect(mark.locator("img")).to_have_count(0)
        expect(mark).to_have_text(name.title()[:2])
    visitor.snapshot("icons", height=700)
    assert visitor.errors
    assert all("img-src" in refused for refused in visitor.errors)
    visitor.errors.clear()
    # An icon that did not load is not asked for again.
    before = [request.url for request in asked].count(icons["missing"])
    visitor.details(visitor.card("Of missing"))
    visitor.details(visitor.card("Of elsewhere"))
    assert [request.url for request in asked].count(icons["missing"]) == before == 1
    [sent] = [request for request in asked if request.url == icons["gusto"]]
    assert "referer" not in sent.all_headers()
