"""How the page reacts to failures of the network, the API and the sign-in, and to wrong addresses."""

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
from tests.browser.visitor import NAMES, Visitor, cut_off, hidden, posted, refuse, say
from tests.local.conftest import until
from tests.support.deployed import Deployed
from tests.support.person import Person

HARBOR = HARBOR_LANE.legal_name
LIST = r"/connections(\?.*)?$"


@pytest.fixture
def healthy(deployed: Deployed) -> Connection:
    """A healthy connection."""
    healthy = connection(HARBOR)
    seed.write(deployed, [healthy])
    return healthy


# The API


@pytest.mark.parametrize(
    ("respond", "text"),
    [
        (cut_off, "does not answer"),
        (refuse(503), "does not answer"),
        (say(200, '{"connections": ['), "does not answer"),
        (refuse(403), "does not allow this"),
        (refuse(500, "internal_error"), "on our side"),
        (refuse(429), "too often"),
        (refuse(403, "customer_unknown"), "which account you belong to"),
        (refuse(418, "a_code_of_a_later_version"), "Something unexpected"),
    ],
    ids=["down", "gateway", "cut-off", "forbidden", "bug", "limit", "customer", "unknown"],
)
def test_unreadable_list_shows_the_reason_and_a_retry(
    visitor: Visitor, healthy: Connection, respond: Any, text: str
) -> None:
    visitor.intercept(LIST, respond, times=2 if respond is cut_off else 1)
    visitor.open()
    visitor.sign_in()
    visitor.sees("Your connections cannot be shown", text)
    expect(visitor.cards).to_have_count(0)
    if text == "on our side":
        visitor.sees("Reference JKJaXmPLvHcESHA=")
        visitor.snapshot("down")
    visitor.button("Try again").click()
    expect(visitor.card(HARBOR)).to_be_visible()
    expect(visitor.notice).to_have_count(0)


def test_slow_network_shows_placeholders_and_then_a_message(
    visitor: Visitor, healthy: Connection
) -> None:
    waiting: list[Route] = []
    visitor.page.clock.install()
    visitor.intercept(LIST, waiting.append)
    visitor.open()
    visitor.sign_in()
    expect(visitor.element.locator(".all")).to_have_attribute("aria-busy", "true")
    expect(visitor.announced).to_have_text("Loading your connections…")
    expect(visitor.element.locator(".bone.line").first).to_be_visible()
    # The next snapshot checks the placeholders elsewhere. On a slow machine the message comes before.
    visitor.snapshot("skeleton", elsewhere=False)
    visitor.page.clock.run_for(6000)
    expect(visitor.element.locator(".slow")).to_be_visible()
    expect(visitor.announced).to_have_text("This takes longer than usual.")
    visitor.snapshot("slow")
    visitor.let_through(waiting)
    expect(visitor.card(HARBOR)).to_be_visible()


def test_loaded_list_stays_when_the_api_goes_down(visitor: Visitor, healthy: Connection) -> None:
    visitor.arrive()
    visitor.intercept(LIST, cut_off)
    visitor.page.evaluate("document.querySelector('finch-connections').refresh()")
    visitor.sees("This list could not be updated", "What you see is from just now")
    expect(visitor.card(HARBOR)).to_be_visible()
    visitor.snapshot("stale")
    visitor.page.unroute_all()
    visitor.button("Try again").click()
    expect(visitor.notice).to_have_count(0)


def test_page_reads_again_when_the_network_returns(visitor: Visitor, healthy: Connection) -> None:
    visitor.arrive()
    visitor.page.context.set_offline(True)
    visitor.page.evaluate("document.querySelector('finch-connections').refresh()")
    visitor.sees("This list could not be updated")
    visitor.page.context.set_offline(False)
    expect(visitor.notice).to_have_count(0)
    # A message of another tab has the same effect. It does not make the shown list older.
    visitor.intercept(LIST, cut_off)
    visitor.page.evaluate("new BroadcastChannel('finch-connections').postMessage('changed')")
    visitor.sees("This list could not be updated", "What you see is from just now")
    # The announcement has no age in it, because an age changes by itself.
    expect(visitor.announced).to_have_text("This list could not be updated")
    assert visitor.element.locator(".notice").get_attribute("role") is None


def test_failure_below_the_fold_gets_focus_and_the_same_retry(
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
    # Drawing again keeps the focus, and does not scroll to it.
    seed.change(deployed, "p19", many[19].key.company_id, "processing")
    visitor.page.evaluate("document.querySelector('finch-connections').refresh()")
    expect(card).to_contain_text("Setting up")
    expect(add).to_be_focused()
    assert visitor.page.evaluate("scrollY") == 0
    visitor.intercept("/connect-sessions", refuse(503, "finch_unavailable"), times=1)
    with visitor.requests("/connect-sessions") as sent:
        add.click()
        heading = visitor.element.get_by_role("heading", name="That did not work")
        expect(heading).to_be_focused()
        expect(heading).to_be_in_viewport()
        # The page leaves for Finch after this request.
        with visitor.page.expect_request(f"{visitor.world.api_url}/connect-sessions"):
            visitor.button("Try again").click()
    assert [body["provider_id"] for body in posted(sent)] == ["p19", "p19"]


def test_silent_finch_frame_does_not_block_the_buttons(
    visitor: Visitor, healthy: Connection
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


def test_failed_start_can_be_tried_again(visitor: Visitor, healthy: Connection) -> None:
    visitor.arrive()
    visitor.intercept("/connect-sessions", refuse(503, "finch_unavailable"), times=1)
    visitor.button("Connect another").click()
    visitor.sees("Finch cannot be reached")
    visitor.connect("Try again", provider="Justworks")
    visitor.sees(f"{HARBOR} at Justworks is connected")


def test_return_address_that_is_not_allowed_is_refused(
    visitor: Visitor, healthy: Connection
) -> None:
    visitor.arrive()
    visitor.page.evaluate(
        "document.querySelector('finch-connections').setAttribute('return-to', 'https://evil.example/')"
    )
    visitor.button("Connect another").click()
    visitor.sees("is not set up to connect. Open it at its usual address, or contact support")
    expect(visitor.notice.get_by_role("link", name="Contact support")).to_be_visible()


# The sign-in


@pytest.mark.parametrize(("respond", "requests"), [(refuse(401), 3), (hidden, 4)])
def test_expired_token_is_refreshed_once(
    visitor: Visitor, healthy: Connection, respond: Any, requests: int
) -> None:
    visitor.intercept(LIST, respond, times=1)
    with visitor.requests("/connections") as sent:
        visitor.arrive()
        expect(visitor.card(HARBOR)).to_be_visible()
    assert len(sent) == requests


def test_ended_sign_in_is_shown_and_sent_as_an_event(visitor: Visitor, healthy: Connection) -> None:
    visitor.intercept(LIST, refuse(401))
    visitor.open()
    visitor.page.evaluate(
        "addEventListener('finch-signed-out', () => (document.title = 'signed out'))"
    )
    with visitor.requests("/connections") as sent:
        visitor.sign_in()
        visitor.sees("Your sign-in has ended")
    assert len(sent) == 2
    expect(visitor.page).to_have_title("signed out")


def test_data_of_one_customer_is_not_shown_to_the_next(
    visitor: Visitor, healthy: Connection
) -> None:
    waiting: list[Route] = []
    visitor.arrive()
    expect(visitor.card(HARBOR)).to_be_visible()
    visitor.intercept(LIST, waiting.append, times=1)
    visitor.page.evaluate("void document.querySelector('finch-connections').refresh()")
    visitor.page.get_by_label("Account").select_option(NAMES["globex"])
    expect(visitor.element).to_contain_text("Connect your payroll or HR system")
    visitor.let_through(waiting)
    expect(visitor.cards).to_have_count(0)
    visitor.page.get_by_role("button", name="Sign out").click()
    expect(visitor.element).to_have_count(0)


def test_page_can_provide_the_token_through_an_event(
    visitor: Visitor, deployed: Deployed, healthy: Connection
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


def test_page_can_set_texts_and_gets_failure_events(visitor: Visitor, healthy: Connection) -> None:
    visitor.arrive()
    visitor.page.evaluate(
        """() => {
          const element = document.querySelector("finch-connections");
          element.texts = { title: "Payroll", failure: { finch_unavailable: "Come back later." } };
          document.addEventListener("finch-failed", ({ detail }) => (document.title = detail.code));
        }"""
    )
    expect(visitor.element.get_by_role("heading", name="Payroll", exact=True)).to_be_visible()
    visitor.intercept("/connect-sessions", refuse(503, "finch_unavailable"), times=1)
    visitor.button("Connect another").click()
    visitor.sees("Come back later.")
    expect(visitor.page).to_have_title("finch_unavailable")


# The address


def test_forged_return_address_shows_no_connection(
    visitor: Visitor, deployed: Deployed, healthy: Connection
) -> None:
    visitor.arrive()
    other = f"?finch=return&status=connected&provider_id=gusto&company_id={JUNIPER_VALE.id}"
    with visitor.requests("/connections/gusto/") as sent:
        visitor.open(query=other)
        visitor.settled()
        expect(visitor.card(HARBOR)).to_be_visible()
    assert len(sent) == 1
    expect(visitor.notice).to_have_count(0)
    expect(visitor.page).to_have_url(visitor.page_pattern)
    with visitor.requests("/connections") as sent:
        visitor.open(query="?finch=return&status=connected&provider_id=gusto&company_id=..")
        expect(visitor.card(HARBOR)).to_be_visible()
    paths = [request.url.removeprefix(visitor.world.api_url).partition("?")[0] for request in sent]
    # Two dots are an id, which no browser may resolve as a path.
    assert set(paths) <= {"/connections", "/connections/gusto/~2E~2E"}
    expect(visitor.notice).to_have_count(0)


def test_forged_return_about_an_old_connection_reports_nothing(
    visitor: Visitor, healthy: Connection
) -> None:
    visitor.arrive()
    listen = "document.addEventListener('finch-connected', () => (document.title = 'Fired'))"
    visitor.page.add_init_script(listen)
    company_id = healthy.key.company_id
    forged = f"?finch=return&status=connected&provider_id=gusto&company_id={company_id}"
    visitor.open(query=f"{forged}&repaired=true")
    visitor.settled()
    expect(visitor.card(HARBOR)).to_be_visible()
    expect(visitor.notice).to_have_count(0)
    expect(visitor.page).not_to_have_title("Fired")


def test_return_is_reported_once_the_connection_can_be_read(
    visitor: Visitor, deployed: Deployed
) -> None:
    healthy = connection(HARBOR, ("gusto", "Gusto"), "connected", seed.new_login(HARBOR))
    seed.write(deployed, [healthy])
    visitor.arrive()
    visitor.intercept("/connections/gusto/", refuse(503), times=1)
    visitor.open(
        query=f"?finch=return&status=connected&provider_id=gusto&company_id={healthy.key.company_id}"
    )
    visitor.sees(f"{HARBOR} at Gusto is connected")


def test_pending_connection_is_not_reported_as_connected(
    visitor: Visitor, deployed: Deployed
) -> None:
    pending = connection(HARBOR, ("gusto", "Gusto"), "pending", seed.new_login(HARBOR, "pending"))
    seed.write(deployed, [pending])
    visitor.arrive()
    visitor.open(
        query=f"?finch=return&status=connected&provider_id=gusto&company_id={pending.key.company_id}"
    )
    visitor.sees(f"{HARBOR} at Gusto is being set up", "still has to grant access")
    expect(visitor.notice).to_have_class(re.compile("info"))
    expect(visitor.summary).to_have_text("Some connections are being set up. You need do nothing.")
    visitor.snapshot("settling")


def test_disconnecting_and_unknown_statuses_look_neutral(
    visitor: Visitor, deployed: Deployed
) -> None:
    seed.write(deployed, [connection(HARBOR, ("gusto", "Gusto"), "disconnecting")])
    visitor.arrive()
    expect(visitor.cards).to_have_count(1)
    expect(visitor.summary).to_have_count(0)
    listed = json.dumps({"connections": [], "next_cursor": None})

    def with_unknown_status(route: Route) -> None:
        say(200, route.fetch().text().replace('"disconnecting"', '"paused"'))(route)

    visitor.intercept(LIST, with_unknown_status)
    visitor.page.evaluate("document.querySelector('finch-connections').refresh()")
    expect(visitor.cards.locator(".chip")).to_have_text("Other status")
    expect(visitor.cards).to_contain_text(
        "Gusto reports “paused”, which this page does not know yet. You need do nothing."
    )
    expect(visitor.cards.locator(".chip")).to_have_class(re.compile("over"))
    expect(visitor.summary).to_have_count(0)
    visitor.snapshot("unknown-status")
    visitor.page.unroute_all()
    # The notice keeps the name of a connection that is no longer in the list.
    seed.change(deployed, "gusto", connection(HARBOR).key.company_id, "connected")
    visitor.page.evaluate("document.querySelector('finch-connections').refresh()")
    visitor.details(visitor.card(HARBOR, "Connected"))
    visitor.button("Disconnect").click()
    visitor.intercept("/connections/gusto/", refuse(503, "finch_unavailable"), times=1)
    visitor.dialog.get_by_role("button", name="Disconnect").click()
    expect(visitor.dialog).to_contain_text("Finch cannot be reached")
    visitor.page.unroute_all()
    ended = json.dumps({**Person(deployed, "acme").connections()[0], "status": "disconnected"})
    visitor.intercept("/connections/gusto/", say(200, ended))
    visitor.dialog.get_by_role("button", name="Disconnect").click()
    visitor.sees(f"{HARBOR} at Gusto is disconnected")
    visitor.intercept(LIST, say(200, listed))
    visitor.page.evaluate("document.querySelector('finch-connections').refresh()")
    expect(visitor.cards).to_have_count(0)
    visitor.sees(f"{HARBOR} at Gusto is disconnected")


def test_confirmation_shows_the_api_data_not_the_address(
    visitor: Visitor, deployed: Deployed
) -> None:
    landing = Person(deployed, "acme", same_site=False).connect()
    visitor.arrive()
    # Leaves the page first: a change of the fragment alone would not load it again.
    visitor.page.goto("about:blank")
    forged = f"?finch=return&status=confirm&provider_id=justworks&company_id={JUNIPER_VALE.id}"
    visitor.open(query=f"{forged}#completion={landing.completion}")
    question = visitor.element.locator(".question")
    expect(question).to_contain_text(HARBOR)
    expect(question).to_contain_text("Gusto")
    expect(question).not_to_contain_text("Justworks")


def test_invented_completion_code_connects_nothing(visitor: Visitor, deployed: Deployed) -> None:
    visitor.arrive()
    visitor.page.goto("about:blank")
    visitor.open(query="?finch=return&status=confirm&provider_id=gusto&company_id=x#completion=0.0")
    visitor.sees("This is not for your account")
    visitor.button("Dismiss").click()
    visitor.page.reload()
    visitor.settled()
    expect(visitor.notice).to_have_count(0)


def test_own_parameters_of_the_page_stay_in_the_address(
    visitor: Visitor, deployed: Deployed
) -> None:
    visitor.arrive()
    visitor.open(query="?tab=payroll&status=mine&finch=return&status=pending#x")
    visitor.sees("Almost there")
    expect(visitor.page).to_have_url(re.compile(r"/\?tab=payroll&status=mine$"))
    for own in ("?status=mine&error=mine", "?status=pending", "?error=access_denied"):
        visitor.open(query=own)
        visitor.settled()
        expect(visitor.notice).to_have_count(0)
        expect(visitor.page).to_have_url(re.compile(re.escape(f"/{own}") + "$"))


def test_pending_return_is_resolved_from_the_list(visitor: Visitor, deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    visitor.arrive()
    # A link from a mail was opened elsewhere, so this tab has not stored a departure.
    visitor.open(query="?finch=return&status=pending")
    visitor.sees("Almost there")
    acme.connect()
    visitor.sees(f"{HARBOR} at Gusto is connected")
    visitor.button("Connect another").click()
    visitor.page.get_by_role("button", name="Gusto", exact=True).wait_for()
    visitor.open(query="?finch=return&status=pending")
    visitor.sees("Almost there")
    acme.connect(provider_id="justworks")
    visitor.sees(f"{HARBOR} at Justworks is connected")


def test_pending_return_is_polled_less_and_less_often(visitor: Visitor, deployed: Deployed) -> None:
    visitor.page.clock.install()
    visitor.arrive()
    with visitor.requests("/connections?") as sent:
        visitor.open(query="?finch=return&status=pending")
        visitor.sees("Almost there")
        for _ in range(24):
            visitor.page.clock.run_for(5_000)
            until(
                lambda: visitor.page.evaluate("1") and all("=25" in last.url for last in sent[-1:])
            )
    # The pauses grow from 2 seconds to 30, each 1.6 times as long as the last.
    assert 10 <= len(sent) <= 22
    expect(visitor.notice.locator(".spinner")).to_be_visible()
    visitor.page.clock.fast_forward(16 * 60_000)
    visitor.sees("Almost there")
    expect(visitor.button("Dismiss")).to_be_visible()
    expect(visitor.notice.locator(".spinner")).to_have_count(0)


def test_disconnect_that_finch_refuses_is_explained_on_the_card(
    visitor: Visitor, deployed: Deployed, healthy: Connection
) -> None:
    visitor.arrive()
    visitor.details(visitor.cards.first)
    visitor.button("Disconnect").click()
    seed.write(deployed, [disconnect_refused(healthy, healthy.updated_at)])
    visitor.intercept("/connections/gusto/", refuse(409, "disconnect_refused"), times=1)
    visitor.dialog.get_by_role("button", name="Disconnect").click()
    expect(visitor.dialog).to_contain_text("refused to end this connection")
    visitor.snapshot("dialog-refused")
    visitor.dialog.get_by_role("button", name="Keep it").click()
    expect(visitor.cards.first).to_contain_text("Gusto refused to end this connection")
    expect(visitor.cards.first.locator(".chip")).to_have_text("Sign-in needed")


# Many connections, and polling


def test_two_hundred_connections_load_in_few_requests(visit: Visit, deployed: Deployed) -> None:
    # By their keys, the connections that need a person would come last.
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
        visitor.snapshot("two-hundred")
        assert len(sent) <= 4
        expect(visitor.element.get_by_label("Search")).to_be_visible()
        # Reading again shows as many connections as before.
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


def test_polling_is_slow_and_stops_while_the_page_is_hidden(
    visitor: Visitor, healthy: Connection
) -> None:
    visitor.page.clock.install()
    visitor.arrive()
    with visitor.requests("/connections") as sent:
        # The pauses grow from one minute to five, each 1.5 times as long as the last.
        for _ in range(30):
            visitor.page.clock.run_for(20_000)
            # Waits for a reading that has begun. Its last request is a page of the list.
            until(
                lambda: visitor.page.evaluate("1") and all("=25" in last.url for last in sent[-1:])
            )
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


def test_connection_that_breaks_is_shown_and_announced(
    visitor: Visitor, deployed: Deployed, healthy: Connection
) -> None:
    visitor.page.clock.install()
    visitor.arrive()
    other = connection("Juniper")
    seed.write(deployed, [other])
    visitor.page.evaluate("document.querySelector('finch-connections').refresh()")
    for key in (healthy.key, other.key):
        seed.change(deployed, "gusto", key.company_id, "reauth")
    visitor.page.clock.run_for(61_000)
    expect(visitor.cards.first).to_contain_text("asks you to sign in again")
    for name in (HARBOR, "Juniper"):
        text = f"{name}\u2069 at \u2068Gusto\u2069\u2069: Sign-in needed"
        expect(visitor.announced).to_contain_text(text)


# The keyboard


def test_every_action_works_by_keyboard(visitor: Visitor, deployed: Deployed) -> None:
    seed.write(deployed, [connection(HARBOR), connection("Juniper", ("adp_run", "RUN"), "reauth")])
    visitor.arrive()
    page = visitor.page
    page.get_by_role("button", name="Sign out").focus()
    labels = []
    for _ in range(5):
        page.keyboard.press("Tab")
        labels.append(
            page.evaluate(
                "(() => { const focused = document.activeElement.shadowRoot.activeElement;"
                " return focused.getAttribute('aria-label') ?? focused.textContent; })()"
            )
        )
    plain = [re.sub("[\u2068\u2069]", "", label) for label in labels]
    assert plain == [
        "Connect another",
        "What Acme Benefits asks to read",
        "Details: Juniper at RUN",
        "Sign in again: Juniper at RUN",
        f"Details: {HARBOR} at Gusto",
    ]
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(visitor.element.get_by_role("link", name="Contact support")).to_be_focused()
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
