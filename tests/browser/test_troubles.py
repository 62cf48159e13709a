"""What the page does when the network, the API, the sign-in or an address is not as it should be."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from finch_connections.domain.connection import Connection, disconnect_refused
from local.fake_finch.seed_world import HARBOR_LANE, JUNIPER_VALE
from tests.browser import seed
from tests.browser.conftest import Visit
from tests.browser.seed import connection
from tests.browser.visitor import NAMES, Visitor, cut_off, posted, refuse, say
from tests.local.conftest import until
from tests.support.deployed import Deployed
from tests.support.person import Person

HARBOR = HARBOR_LANE.legal_name
LIST = r"/connections(\?.*)?$"


@pytest.fixture
def one(deployed: Deployed) -> Connection:
    """A healthy connection."""
    one = connection(HARBOR)
    seed.write(deployed, [one])
    return one


# The API


@pytest.mark.parametrize(
    ("respond", "words"),
    [
        (cut_off, "does not answer"),
        (refuse(503), "does not answer"),
        (say(200, '{"connections": ['), "does not answer"),
        (refuse(403), "does not allow this"),
        (refuse(500, "internal_error"), "on our side"),
        (refuse(429), "too often"),
        (refuse(403, "customer_unknown"), "which account you belong to"),
        (refuse(418, "a_code_of_tomorrow"), "Something unexpected"),
    ],
    ids=["down", "gateway", "cut-off", "forbidden", "bug", "limit", "customer", "unknown"],
)
def test_a_list_that_cannot_be_read_says_why_and_can_be_tried_again(
    visitor: Visitor, one: Connection, respond: Any, words: str
) -> None:
    visitor.answers(LIST, respond, times=1)
    visitor.open()
    visitor.sign_in()
    visitor.sees("Your connections cannot be shown", words)
    expect(visitor.cards).to_have_count(0)
    if words == "on our side":
        visitor.sees("Reference JKJaXmPLvHcESHA=")
        visitor.looks("down")
    visitor.button("Try again").click()
    expect(visitor.card(HARBOR)).to_be_visible()
    expect(visitor.notice).to_have_count(0)


def test_a_slow_network_shows_bones_and_then_says_so(visitor: Visitor, one: Connection) -> None:
    held: list[Route] = []
    visitor.page.clock.install()
    visitor.answers(LIST, held.append)
    visitor.open()
    visitor.sign_in()
    expect(visitor.element.locator(".all")).to_have_attribute("aria-busy", "true")
    expect(visitor.said).to_have_text("Loading your connections…")
    expect(visitor.element.locator(".bone.line").first).to_be_visible()
    visitor.looks("skeleton")
    visitor.page.clock.run_for(6000)
    expect(visitor.element.locator(".slow")).to_be_visible()
    expect(visitor.said).to_have_text("This takes longer than usual.")
    visitor.looks("slow")
    visitor.goes_on(held)
    expect(visitor.card(HARBOR)).to_be_visible()


def test_a_list_that_was_read_once_stays_when_the_api_goes_down(
    visitor: Visitor, one: Connection
) -> None:
    visitor.arrive()
    visitor.answers(LIST, cut_off)
    visitor.page.evaluate("document.querySelector('finch-connections').refresh()")
    visitor.sees("This list could not be updated", "What you see is from just now")
    expect(visitor.card(HARBOR)).to_be_visible()
    visitor.looks("stale")
    visitor.page.unroute_all()
    visitor.button("Try again").click()
    expect(visitor.notice).to_have_count(0)


def test_the_network_that_is_back_is_used_at_once(visitor: Visitor, one: Connection) -> None:
    visitor.arrive()
    visitor.page.context.set_offline(True)
    visitor.page.evaluate("document.querySelector('finch-connections').refresh()")
    visitor.sees("This list could not be updated")
    visitor.page.context.set_offline(False)
    expect(visitor.notice).to_have_count(0)
    # The same of another tab's news: what is shown is no older for that.
    visitor.answers(LIST, cut_off)
    visitor.page.evaluate("new BroadcastChannel('finch-connections').postMessage('changed')")
    visitor.sees("This list could not be updated", "What you see is from just now")
    # Said once, with no age in it that changes by itself.
    expect(visitor.said).to_have_text("This list could not be updated")
    assert visitor.element.locator(".notice").get_attribute("role") is None


def test_a_failure_far_down_is_gone_to_and_tried_again_as_it_was(
    visitor: Visitor, deployed: Deployed
) -> None:
    many = [connection(f"Company {n:02}", (f"p{n:02}", f"P{n:02}")) for n in range(20)]
    seed.write(deployed, many)
    visitor.arrive()
    card = visitor.card("Company 19")
    visitor.details(card)
    add = card.get_by_role("button", name="Add another login")
    add.focus()
    visitor.page.mouse.wheel(0, -100_000)
    until(lambda: visitor.page.evaluate("scrollY") == 0)
    # What is painted again keeps the focus, and takes nobody to it.
    seed.change(deployed, "p19", many[19].key.company_id, "processing")
    visitor.page.evaluate("document.querySelector('finch-connections').refresh()")
    expect(card).to_contain_text("Setting up")
    expect(add).to_be_focused()
    assert visitor.page.evaluate("scrollY") == 0
    visitor.answers("/connect-sessions", refuse(503, "finch_unavailable"), times=1)
    with visitor.requests("/connect-sessions") as sent:
        add.click()
        heading = visitor.element.get_by_role("heading", name="That did not work")
        expect(heading).to_be_focused()
        expect(heading).to_be_in_viewport()
        visitor.button("Try again").click()
        until(lambda: visitor.page.evaluate("1") and len(sent) == 2)
    assert [one["provider_id"] for one in posted(sent)] == ["p19", "p19"]


def test_a_frame_that_never_speaks_leaves_the_buttons_alive(
    visitor: Visitor, one: Connection
) -> None:
    visitor.page.clock.install()
    visitor.arrive()
    visitor.page.evaluate(
        "document.querySelector('finch-connections').finchConnect ="
        " { initialize: () => ({ open: () => (document.title = 'open'), close() {} }) }"
    )
    visitor.page.get_by_label("Finch Connect").select_option("inside this page")
    visitor.button("Connect another").click()
    expect(visitor.page).to_have_title("open")
    expect(visitor.button("Connect another")).to_have_attribute("aria-disabled", "true")
    visitor.page.clock.run_for(21_000)
    expect(visitor.button("Connect another")).not_to_have_attribute("aria-disabled", "true")
    visitor.page.evaluate("document.title = ''")
    visitor.button("Connect another").click()
    expect(visitor.page).to_have_title("open")


def test_what_could_not_be_begun_can_be_begun_again(visitor: Visitor, one: Connection) -> None:
    visitor.arrive()
    visitor.answers("/connect-sessions", refuse(503, "finch_unavailable"), times=1)
    visitor.button("Connect another").click()
    visitor.sees("Finch cannot be reached")
    visitor.connect("Try again", provider="Justworks")
    visitor.sees(f"{HARBOR} at Justworks is connected")


def test_an_unknown_page_is_told_that_it_may_not_begin(visitor: Visitor, one: Connection) -> None:
    visitor.arrive()
    visitor.page.evaluate(
        "document.querySelector('finch-connections').setAttribute('return-to', 'https://evil.example/')"
    )
    visitor.button("Connect another").click()
    visitor.sees("may not start a connection")


# The sign-in


def test_a_token_that_ended_is_asked_for_anew_once(visitor: Visitor, one: Connection) -> None:
    visitor.answers(LIST, refuse(401), times=1)
    with visitor.requests("/connections") as sent:
        visitor.arrive()
        expect(visitor.card(HARBOR)).to_be_visible()
    assert len(sent) == 3


def test_a_sign_in_that_ended_is_said_and_told_to_the_page(
    visitor: Visitor, one: Connection
) -> None:
    visitor.answers(LIST, refuse(401))
    visitor.open()
    visitor.page.evaluate(
        "addEventListener('finch-signed-out', () => (document.title = 'signed out'))"
    )
    with visitor.requests("/connections") as sent:
        visitor.sign_in()
        visitor.sees("Your sign-in has ended")
    assert len(sent) == 2
    expect(visitor.page).to_have_title("signed out")


def test_nothing_of_one_customer_is_shown_to_the_next(visitor: Visitor, one: Connection) -> None:
    held: list[Route] = []
    visitor.arrive()
    expect(visitor.card(HARBOR)).to_be_visible()
    visitor.answers(LIST, held.append, times=1)
    visitor.page.evaluate("void document.querySelector('finch-connections').refresh()")
    visitor.page.get_by_label("Account").select_option(NAMES["globex"])
    expect(visitor.element).to_contain_text("Connect your payroll or HR system")
    visitor.goes_on(held)
    expect(visitor.cards).to_have_count(0)
    visitor.page.get_by_role("button", name="Sign out").click()
    expect(visitor.element).to_have_count(0)


def test_a_page_may_give_the_token_in_answer_to_an_event(
    visitor: Visitor, deployed: Deployed, one: Connection
) -> None:
    visitor.open()
    visitor.page.get_by_role("button", name=NAMES["acme"]).wait_for()
    visitor.page.evaluate(
        """([api, token]) => {
          document.addEventListener("finch-access-token", ({ detail }) => detail.provide(token));
          const bare = document.createElement("finch-connections");
          bare.setAttribute("api-url", api);
          document.querySelector("main").replaceChildren(bare);
        }""",
        [visitor.world.api_url, deployed.token("acme")],
    )
    expect(visitor.card(HARBOR)).to_be_visible()
    visitor.page.screenshot(path=visitor.shots / "bare.png")
    visitor.details(visitor.cards.first)
    visitor.button("Disconnect").click()
    expect(visitor.dialog).to_contain_text("the application will stop receiving data")


def test_a_page_may_have_its_own_words_and_hears_what_fails(
    visitor: Visitor, one: Connection
) -> None:
    visitor.arrive()
    visitor.page.evaluate(
        """() => {
          const element = document.querySelector("finch-connections");
          element.texts = { title: "Payroll", failure: { finch_unavailable: "Come back later." } };
          document.addEventListener("finch-failed", ({ detail }) => (document.title = detail.code));
        }"""
    )
    expect(visitor.element.get_by_role("heading", name="Payroll", exact=True)).to_be_visible()
    visitor.answers("/connect-sessions", refuse(503, "finch_unavailable"), times=1)
    visitor.button("Connect another").click()
    visitor.sees("Come back later.")
    expect(visitor.page).to_have_title("finch_unavailable")


# The address


def test_an_address_that_claims_a_connection_is_not_believed(
    visitor: Visitor, deployed: Deployed, one: Connection
) -> None:
    visitor.arrive()
    other = f"?status=connected&provider_id=gusto&company_id={JUNIPER_VALE.id}"
    with visitor.requests("/connections/gusto/") as sent:
        visitor.open(query=other)
        visitor.settled()
        expect(visitor.card(HARBOR)).to_be_visible()
    assert len(sent) == 1
    expect(visitor.notice).to_have_count(0)
    expect(visitor.page).to_have_url(visitor.page_pattern)
    with visitor.requests("/connections") as sent:
        visitor.open(query="?status=connected&provider_id=gusto&company_id=..")
        expect(visitor.card(HARBOR)).to_be_visible()
    assert all("/connections?" in one.url for one in sent)
    expect(visitor.notice).to_have_count(0)


def test_a_return_is_told_when_the_connection_can_be_read(
    visitor: Visitor, one: Connection
) -> None:
    visitor.arrive()
    visitor.answers("/connections/gusto/", refuse(503), times=1)
    visitor.open(query=f"?status=connected&provider_id=gusto&company_id={one.key.company_id}")
    visitor.sees(f"{HARBOR} at Gusto is connected")


def test_what_the_provider_has_yet_to_grant_is_not_called_connected(
    visitor: Visitor, deployed: Deployed
) -> None:
    one = connection(HARBOR, ("gusto", "Gusto"), "pending")
    seed.write(deployed, [one])
    visitor.arrive()
    visitor.open(query=f"?status=connected&provider_id=gusto&company_id={one.key.company_id}")
    visitor.sees(f"{HARBOR} at Gusto is being set up", "has yet to grant access")
    expect(visitor.notice).to_have_class(re.compile("info"))
    expect(visitor.summary).to_have_text("Some connections are being set up.")
    visitor.looks("settling")


def test_what_is_ending_and_what_is_not_known_is_called_neither_new_nor_bad(
    visitor: Visitor, deployed: Deployed
) -> None:
    seed.write(deployed, [connection(HARBOR, ("gusto", "Gusto"), "disconnecting")])
    visitor.arrive()
    expect(visitor.cards).to_have_count(1)
    expect(visitor.summary).to_have_count(0)
    listed = json.dumps({"connections": [], "next_cursor": None})

    def of_tomorrow(route: Route) -> None:
        say(200, route.fetch().text().replace('"disconnecting"', '"paused"'))(route)

    visitor.answers(LIST, of_tomorrow)
    visitor.page.evaluate("document.querySelector('finch-connections').refresh()")
    expect(visitor.cards.locator(".chip")).to_have_text("paused")
    expect(visitor.cards.locator(".chip")).to_have_class(re.compile("over"))
    expect(visitor.summary).to_have_count(0)
    visitor.looks("status-of-tomorrow")
    visitor.page.unroute_all()
    # What has left the list keeps its name in the notice about it.
    seed.change(deployed, "gusto", connection(HARBOR).key.company_id, "connected")
    visitor.page.evaluate("document.querySelector('finch-connections').refresh()")
    visitor.details(visitor.card(HARBOR, "Connected"))
    visitor.button("Disconnect").click()
    visitor.answers("/connections/gusto/", refuse(503, "finch_unavailable"), times=1)
    visitor.dialog.get_by_role("button", name="Disconnect").click()
    expect(visitor.dialog).to_contain_text("Finch cannot be reached")
    visitor.page.unroute_all()
    ended = json.dumps({**Person(deployed, "acme").connections()[0], "status": "disconnected"})
    visitor.answers("/connections/gusto/", say(200, ended))
    visitor.dialog.get_by_role("button", name="Disconnect").click()
    visitor.sees(f"{HARBOR} at Gusto is disconnected")
    visitor.answers(LIST, say(200, listed))
    visitor.page.evaluate("document.querySelector('finch-connections').refresh()")
    expect(visitor.cards).to_have_count(0)
    visitor.sees(f"{HARBOR} at Gusto is disconnected")


def test_a_confirmation_shows_what_the_code_is_about_not_what_the_address_says(
    visitor: Visitor, deployed: Deployed
) -> None:
    landing = Person(deployed, "acme", same_site=False).connect()
    visitor.arrive()
    # Only the fragment would change: the page is left first.
    visitor.page.goto("about:blank")
    lie = f"?status=confirm&provider_id=justworks&company_id={JUNIPER_VALE.id}"
    visitor.open(query=f"{lie}#completion={landing.completion}")
    question = visitor.element.locator(".question")
    expect(question).to_contain_text(HARBOR)
    expect(question).to_contain_text("Gusto")
    expect(question).not_to_contain_text("Justworks")


def test_a_made_up_completion_code_connects_nothing(visitor: Visitor, deployed: Deployed) -> None:
    visitor.arrive()
    visitor.page.goto("about:blank")
    visitor.open(query="?status=confirm&provider_id=gusto&company_id=x#completion=0.0")
    visitor.sees("This is not for your account")
    visitor.button("Dismiss").click()
    visitor.page.reload()
    visitor.settled()
    expect(visitor.notice).to_have_count(0)


def test_parameters_of_the_page_itself_stay(visitor: Visitor, deployed: Deployed) -> None:
    visitor.arrive()
    visitor.open(query="?tab=payroll&status=mine&status=pending#x")
    visitor.sees("Almost there")
    expect(visitor.page).to_have_url(re.compile(r"/\?tab=payroll&status=mine$"))
    visitor.open(query="?status=mine&error=mine")
    visitor.settled()
    expect(visitor.notice).to_have_count(0)
    expect(visitor.page).to_have_url(re.compile(r"/\?status=mine&error=mine$"))


def test_an_unclear_return_becomes_clear_by_itself(visitor: Visitor, deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    visitor.arrive()
    # A link that came by mail was begun elsewhere: the page knows nothing of it.
    visitor.open(query="?status=pending")
    visitor.sees("Almost there")
    acme.connect()
    visitor.sees(f"{HARBOR} at Gusto is connected")
    visitor.button("Connect another").click()
    visitor.page.get_by_role("button", name="Gusto", exact=True).wait_for()
    visitor.open(query="?status=pending")
    visitor.sees("Almost there")
    acme.connect(provider_id="justworks")
    visitor.sees(f"{HARBOR} at Justworks is connected")


def test_an_unclear_return_is_asked_for_ever_less_often_and_stays_true(
    visitor: Visitor, deployed: Deployed
) -> None:
    visitor.page.clock.install()
    visitor.arrive()
    with visitor.requests("/connections?") as sent:
        visitor.open(query="?status=pending")
        visitor.sees("Almost there")
        for _ in range(24):
            visitor.page.clock.run_for(5_000)
            until(lambda: visitor.page.evaluate("1") and all("=25" in one.url for one in sent[-1:]))
    # After 2 seconds, then 1.6 times as long each time, up to 30 seconds.
    assert 10 <= len(sent) <= 22
    expect(visitor.notice.locator(".spinner")).to_be_visible()
    visitor.page.clock.fast_forward(16 * 60_000)
    visitor.sees("Almost there")
    expect(visitor.button("Dismiss")).to_be_visible()
    expect(visitor.notice.locator(".spinner")).to_have_count(0)


def test_what_finch_has_refused_to_end_for_days_is_said_and_shown(
    visitor: Visitor, deployed: Deployed, one: Connection
) -> None:
    visitor.arrive()
    visitor.details(visitor.cards.first)
    visitor.button("Disconnect").click()
    seed.write(deployed, [disconnect_refused(one, one.updated_at)])
    visitor.answers("/connections/gusto/", refuse(409, "disconnect_refused"), times=1)
    visitor.dialog.get_by_role("button", name="Disconnect").click()
    expect(visitor.dialog).to_contain_text("would not end this connection")
    visitor.looks("dialog-refused")
    visitor.dialog.get_by_role("button", name="Keep it").click()
    expect(visitor.cards.first).to_contain_text("Gusto would not end this connection")
    expect(visitor.cards.first.locator(".chip")).to_have_text("Sign-in needed")


# Many, and for long


def test_two_hundred_connections(visit: Visit, deployed: Deployed) -> None:
    # Those that need a person would be the last by their keys.
    many = [
        connection(f"Company {n:03}", (f"provider_{n:03}", f"Provider {n:03}")) for n in range(198)
    ]
    many += [connection(f"Zenith {n}", (f"z{n}", f"Z{n}"), "reauth") for n in range(2)]
    seed.write(deployed, many)
    visitor = visit()
    with visitor.requests("/connections") as sent:
        visitor.arrive()
        expect(visitor.summary).to_contain_text("2 connections need your attention")
        expect(visitor.cards.first).to_contain_text("Zenith")
        visitor.looks("two-hundred")
        assert len(sent) <= 4
        # Looking again shows no more than was asked for.
        visitor.page.evaluate("document.querySelector('finch-connections').refresh()")
        expect(visitor.cards).to_have_count(27)
        more = visitor.button("Show more")
        for count in range(27, 200, 25):
            expect(visitor.cards).to_have_count(count)
            more.scroll_into_view_if_needed()
        expect(visitor.cards).to_have_count(200)
        more.scroll_into_view_if_needed()
        expect(more).to_have_count(0)
    assert len(sent) <= 13


def test_it_asks_again_seldom_and_not_at_all_where_nobody_looks(
    visitor: Visitor, one: Connection
) -> None:
    visitor.page.clock.install()
    visitor.arrive()
    with visitor.requests("/connections") as sent:
        # A minute, then one and a half as long each time, up to five minutes.
        for _ in range(30):
            visitor.page.clock.run_for(20_000)
            # What has been begun is not overtaken by the clock; it ends with a page of the listing.
            until(lambda: visitor.page.evaluate("1") and all("=25" in one.url for one in sent[-1:]))
            visitor.settled()
        visitor.page.evaluate(
            "Object.defineProperty(document, 'hidden', { get: () => true, configurable: true });"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
        awake = len(sent)
        assert 1 <= awake <= 10
        for _ in range(30):
            visitor.page.clock.run_for(60_000)
        assert len(sent) == awake
        visitor.page.evaluate(
            "delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))"
        )
        expect(visitor.card(HARBOR)).to_be_visible()
        until(lambda: visitor.page.evaluate("1") and len(sent) > awake)


def test_what_breaks_while_the_page_is_open_is_shown_and_said_aloud(
    visitor: Visitor, deployed: Deployed, one: Connection
) -> None:
    visitor.page.clock.install()
    visitor.arrive()
    other = connection("Juniper")
    seed.write(deployed, [other])
    visitor.page.evaluate("document.querySelector('finch-connections').refresh()")
    for key in (one.key, other.key):
        seed.change(deployed, "gusto", key.company_id, "reauth")
    visitor.page.clock.run_for(61_000)
    expect(visitor.cards.first).to_contain_text("asks you to sign in again")
    for name in (HARBOR, "Juniper"):
        words = f"{name}\u2069 at \u2068Gusto\u2069\u2069: Sign-in needed"
        expect(visitor.said).to_contain_text(words)


# The keyboard


def test_everything_is_done_by_keyboard_alone(visitor: Visitor, deployed: Deployed) -> None:
    seed.write(deployed, [connection(HARBOR), connection("Juniper", ("adp_run", "RUN"), "reauth")])
    visitor.arrive()
    page = visitor.page
    page.get_by_role("button", name="Sign out").focus()
    labels = []
    for _ in range(4):
        page.keyboard.press("Tab")
        labels.append(
            page.evaluate(
                "(() => { const one = document.activeElement.shadowRoot.activeElement;"
                " return one.getAttribute('aria-label') ?? one.textContent; })()"
            )
        )
    plain = [re.sub("[\u2068\u2069]", "", label) for label in labels]
    assert plain == [
        "Connect another",
        "Details: Juniper at RUN",
        "Sign in again: Juniper at RUN",
        f"Details: {HARBOR} at Gusto",
    ]
    page.keyboard.press("Enter")
    for name in ("Add another login", "Disconnect"):
        page.keyboard.press("Tab")
        expect(visitor.button(name)).to_be_focused()
    page.keyboard.press("Space")
    expect(visitor.dialog.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Tab")
    expect(visitor.dialog.get_by_role("button", name="Disconnect")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(visitor.dialog).not_to_be_visible()
    expect(visitor.button("Disconnect")).to_be_focused()


def test_axe_would_find_what_is_wrong_in_the_element(visitor: Visitor, one: Connection) -> None:
    visitor.arrive()
    visitor.page.evaluate(
        "document.querySelector('finch-connections').style.setProperty('--finch-text-soft', '#ccc')"
    )
    with pytest.raises(AssertionError, match="color-contrast"):
        visitor.looks("wrong")
    (visitor.shots / "wrong.png").unlink()
