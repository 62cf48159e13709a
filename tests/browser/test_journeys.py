"""Customers connect, repair and disconnect on the page, through the fake Finch's Finch Connect."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Route, expect

from local.fake_finch.seed_world import HARBOR_LANE, JUNIPER_VALE, MAYA, NORTHFOLD, OWEN, TALLY
from tests.browser import seed
from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor, cut_off, posted, refuse
from tests.support.deployed import Deployed
from tests.support.person import Person

HARBOR, JUNIPER = HARBOR_LANE.legal_name, JUNIPER_VALE.legal_name


def make_broken_connection(deployed: Deployed) -> None:
    """Makes a connection of Harbor Lane at Gusto that needs a new sign-in."""
    acme = Person(deployed, "acme")
    acme.connect(products=["company", "directory"])
    [live] = deployed.finch.live_tokens()
    deployed.finch.set_connection_status(live.connection_id, "reauth")
    seed.change(deployed, "gusto", HARBOR_LANE.id, "reauth")


# Connecting


def test_repeated_connects_add_logins_and_connections(visitor: Visitor, deployed: Deployed) -> None:
    visitor.arrive()
    visitor.connect("Connect payroll", provider="Gusto", login=MAYA)
    visitor.sees(f"{HARBOR} at Gusto is connected")
    expect(visitor.card(HARBOR, "Gusto", "1 login", "Connected")).to_have_count(1)
    visitor.snapshot("connected")
    visitor.connect(provider="Gusto", login=OWEN)
    visitor.sees(f"Another login was added to {HARBOR} at Gusto")
    expect(visitor.card(HARBOR, "Gusto", "2 logins")).to_have_count(1)
    visitor.connect(provider="Gusto", login=OWEN)
    visitor.sees(f"{HARBOR} at Gusto was connected already")
    expect(visitor.card("2 logins")).to_have_count(1)
    visitor.connect(provider="Justworks", login=MAYA)
    visitor.sees(f"{HARBOR} at Justworks is connected")
    visitor.connect(provider="Gusto", login=TALLY, company=JUNIPER)
    visitor.sees(f"{JUNIPER} at Gusto is connected")
    expect(visitor.cards).to_have_count(3)
    assert len(deployed.finch.live_tokens()) == 5
    # A reload shows the same list, and does not report the return again.
    visitor.page.reload()
    visitor.settled()
    expect(visitor.cards).to_have_count(3)
    expect(visitor.notice).to_have_count(0)


def test_adding_a_login_skips_the_provider_choice(visitor: Visitor, deployed: Deployed) -> None:
    Person(deployed, "acme").connect()
    visitor.arrive()
    visitor.details(visitor.card(HARBOR))
    visitor.connect("Add another login", provider=None, login=OWEN)
    visitor.sees("Another login was added")


def test_cancelling_at_finch_connects_nothing(visitor: Visitor, deployed: Deployed) -> None:
    visitor.arrive()
    visitor.button("Connect payroll").click()
    visitor.page.get_by_role("button", name="Cancel").click()
    visitor.sees("Nothing was connected", "without giving access")
    expect(visitor.page).to_have_url(visitor.page_pattern)
    visitor.snapshot("refused")
    visitor.button("Try again").click()
    visitor.go_through()
    visitor.sees(f"{HARBOR} at Gusto is connected")


def test_expired_link_shows_that_it_is_too_old(visitor: Visitor, deployed: Deployed) -> None:
    link = Person(deployed, "acme").link()
    deployed.tables.age_sessions(timedelta(days=8))
    visitor.arrive()
    visitor.page.goto(link)
    visitor.sees("That did not work", "too old")
    visitor.snapshot("expired")


def test_company_of_another_customer_shows_the_support_link(
    visitor: Visitor, deployed: Deployed
) -> None:
    Person(deployed, "globex").connect()
    visitor.arrive()
    visitor.connect("Connect payroll")
    visitor.sees("another account has it")
    support = visitor.element.get_by_role("link", name="Contact support")
    expect(support).to_have_attribute("href", re.compile("^mailto:"))
    expect(visitor.cards).to_have_count(0)
    visitor.snapshot("cannot-connect")


def test_late_company_name_appears_without_a_reload(visitor: Visitor, deployed: Deployed) -> None:
    deployed.finch.faults.add(
        "GET", "/introspect", times=None, edit={"set": {"entities": [{"id": "e-1"}]}}
    )
    visitor.arrive()
    visitor.connect("Connect payroll")
    expect(visitor.card("Company", HARBOR_LANE.id[:8], "Gusto")).to_be_visible()
    deployed.finch.faults.clear()
    named = seed.named(deployed, "gusto", HARBOR_LANE.id, "Gusto", HARBOR)
    assert named
    expect(visitor.card(HARBOR)).to_be_visible()


# Repairing


def test_repair_makes_the_connection_work_again(visitor: Visitor, deployed: Deployed) -> None:
    make_broken_connection(deployed)
    visitor.arrive()
    expect(visitor.summary).to_contain_text("1 connection needs your attention")
    visitor.button("Sign in again").click()
    visitor.go_through(provider=None)
    visitor.sees(f"{HARBOR} at Gusto works again")
    expect(visitor.summary).to_contain_text("Everything is connected and working")
    visitor.snapshot("repaired")


def test_repair_with_another_company_reports_both_connections(
    visitor: Visitor, deployed: Deployed
) -> None:
    make_broken_connection(deployed)
    deployed.finch.change_switches(reauth_may_change_company=True)
    visitor.arrive()
    visitor.button("Sign in again").click()
    visitor.go_through(provider=None, login=TALLY, company=JUNIPER)
    visitor.sees(f"{JUNIPER} at Gusto is connected, but it is not the one you wanted to repair")
    expect(visitor.card(HARBOR)).to_contain_text("which is now a connection of its own")
    visitor.snapshot("another-company")


# Disconnecting


def test_disconnect_revokes_all_logins_of_the_connection(
    visitor: Visitor, deployed: Deployed
) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=MAYA)
    acme.connect(login=OWEN)
    acme.connect(provider_id="justworks")
    visitor.arrive()
    card = visitor.card("Gusto")
    visitor.details(card)
    card.get_by_role("button", name="Disconnect").click()
    expect(visitor.dialog.get_by_role("button", name="Keep it")).to_be_focused()
    expect(visitor.dialog).to_contain_text("Your other connections stay as they are")
    visitor.page.keyboard.press("Escape")
    expect(card.get_by_role("button", name="Disconnect")).to_be_focused()
    assert len(deployed.finch.live_tokens()) == 3
    visitor.page.keyboard.press("Enter")
    visitor.dialog.get_by_role("button", name="Disconnect").click()
    visitor.sees(f"{HARBOR} at Gusto is disconnected", "Acme Benefits cannot read it")
    expect(visitor.element.get_by_role("heading", name="is disconnected")).to_be_focused()
    expect(visitor.ended).to_have_text("1 disconnected connection")
    visitor.snapshot("disconnected")
    [left] = deployed.finch.live_tokens()
    assert deployed.finch.connection(left.connection_id).provider_id == "justworks"


def test_dialog_reopened_at_once_still_disconnects(visitor: Visitor, deployed: Deployed) -> None:
    Person(deployed, "acme").connect()
    visitor.arrive()
    visitor.details(visitor.cards.first)
    button = visitor.cards.first.get_by_role("button", name="Disconnect")
    button.click()
    button.evaluate(
        "button => { button.getRootNode().querySelector('dialog').close(); button.click(); }"
    )
    visitor.dialog.get_by_role("button", name="Disconnect").click()
    visitor.sees("is disconnected")


def test_unconfirmed_disconnect_is_shown_and_completes_by_itself(
    visitor: Visitor, deployed: Deployed
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add("POST", "/disconnect", error="server_error", times=None)
    visitor.arrive()
    visitor.details(visitor.cards.first)
    visitor.button("Disconnect").click()
    visitor.dialog.get_by_role("button", name="Disconnect").click()
    visitor.sees("is being disconnected")
    expect(visitor.cards.first).to_contain_text("still has to confirm")
    visitor.snapshot("disconnecting")
    deployed.finch.faults.clear()
    # Another client disconnects. This page reads again and shows it.
    assert acme.disconnect().status == 200
    expect(visitor.ended).to_have_text("1 disconnected connection")
    expect(visitor.announced).to_contain_text("Disconnected")


def test_late_disconnect_failure_stays_out_of_another_dialog(
    visitor: Visitor, deployed: Deployed
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    acme.connect(provider_id="justworks")
    visitor.arrive()
    waiting: list[Route] = []
    visitor.intercept("/connections/gusto/.*", waiting.append, times=1)
    for name in ("Gusto", "Justworks"):
        visitor.details(visitor.card(name))
    visitor.card("Gusto").get_by_role("button", name="Disconnect").click()
    visitor.dialog.get_by_role("button", name="Disconnect").click()
    expect(visitor.dialog).to_contain_text("Disconnecting…")
    # The page ignores the first Escape while it works. Chromium closes at the second.
    visitor.page.keyboard.press("Escape")
    visitor.page.keyboard.press("Escape")
    expect(visitor.dialog).not_to_be_visible()
    visitor.card("Justworks").get_by_role("button", name="Disconnect").click()
    refuse(503, "finch_unavailable")(waiting[0])
    visitor.sees("Finch cannot be reached")
    expect(visitor.dialog).to_contain_text("at Justworks?")
    expect(visitor.dialog).not_to_contain_text("Finch cannot be reached")
    visitor.dialog.get_by_role("button", name="Keep it").click()
    expect(visitor.notice).to_contain_text("Finch cannot be reached")
    assert len(deployed.finch.live_tokens()) == 2


def test_failed_disconnect_is_shown_in_the_dialog(visitor: Visitor, deployed: Deployed) -> None:
    Person(deployed, "acme").connect()
    visitor.arrive()
    visitor.details(visitor.cards.first)
    visitor.button("Disconnect").click()
    visitor.intercept("/connections/.*", refuse(503, "finch_unavailable"), times=1)
    visitor.dialog.get_by_role("button", name="Disconnect").click()
    expect(visitor.dialog).to_contain_text("Finch cannot be reached")
    visitor.snapshot("dialog-failed")
    visitor.dialog.get_by_role("button", name="Disconnect").click()
    visitor.sees("is disconnected")


def test_entity_is_disconnected_alone_and_the_last_ends_the_connection(
    visitor: Visitor, deployed: Deployed
) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=TALLY, company_id=NORTHFOLD.id)
    visitor.arrive()
    visitor.details(visitor.cards.first)
    names = [entity.name for entity in NORTHFOLD.entities]
    visitor.button(f"Disconnect: \u2068{names[0]}\u2069").click()
    expect(visitor.dialog).to_contain_text(f"Disconnect {names[0]}?")
    expect(visitor.dialog).to_contain_text("The other legal entities stay connected")
    visitor.snapshot("dialog-entity")
    visitor.dialog.get_by_role("button", name="Keep it").click()
    expect(visitor.button(f"Disconnect: \u2068{names[0]}\u2069")).to_be_focused()
    for name in names[:2]:
        visitor.button(f"Disconnect: \u2068{name}\u2069").click()
        visitor.dialog.get_by_role("button", name="Disconnect").click()
        visitor.sees("A legal entity of", "is disconnected")
        expect(visitor.button(f"Disconnect: \u2068{name}\u2069")).to_have_count(0)
    visitor.snapshot("entities")
    assert acme.connection(company_id=NORTHFOLD.id)["status"] == "connected"
    visitor.button(f"Disconnect: \u2068{names[2]}\u2069").click()
    expect(visitor.dialog).to_contain_text("This ends:")
    visitor.dialog.get_by_role("button", name="Disconnect").click()
    visitor.sees("is disconnected")
    expect(visitor.element).to_contain_text("1 disconnected connection")
    assert acme.connection(company_id=NORTHFOLD.id)["status"] == "disconnected"


# Confirmation after a return to another site


def test_return_to_another_site_connects_only_after_a_click(
    visitor: Visitor, deployed: Deployed
) -> None:
    visitor.arrive(other_site=True)
    with visitor.requests("/callback") as sent:
        visitor.button("Connect payroll").click()
        visitor.go_through(login=TALLY, company=NORTHFOLD.legal_name)
        expect(visitor.element.get_by_role("heading", name="Was this you?")).to_be_focused()
        for entity in NORTHFOLD.entities:
            expect(visitor.element).to_contain_text(entity.name)
        expect(visitor.page).to_have_url(visitor.page_pattern)
        expect(visitor.element).to_contain_text("after you have answered the question above")
        expect(visitor.button("Connect payroll")).to_have_count(0)
        visitor.snapshot("confirm")
        # The question survives a reload. The address and the history do not contain the code.
        visitor.page.reload()
        expect(visitor.element.get_by_role("heading", name="Was this you?")).to_be_visible()
        looks = posted(sent)
        assert looks
        assert all(look["look"] is True for look in looks)
    assert Person(deployed, "acme").connections() == []
    completion = looks[0]["completion"]
    assert completion not in visitor.page.evaluate("JSON.stringify([history.state, location])")
    visitor.button("Yes, connect it").click()
    visitor.sees("and 2 more at Gusto is connected")
    assert len(Person(deployed, "acme").connections()) == 1
    visitor.page.reload()
    visitor.settled()
    expect(visitor.element.get_by_role("heading", name="Was this you?")).to_have_count(0)


def test_rejected_confirmation_connects_nothing(visitor: Visitor, deployed: Deployed) -> None:
    visitor.arrive(other_site=True)
    visitor.button("Connect payroll").click()
    visitor.go_through()
    visitor.button("No, that was not me").click()
    visitor.sees("Nothing was connected", "within a day")
    visitor.page.reload()
    visitor.settled()
    expect(visitor.element).to_contain_text("Connect your payroll")
    assert Person(deployed, "acme").connections() == []


def test_only_the_customer_who_began_can_confirm(visitor: Visitor, deployed: Deployed) -> None:
    visitor.arrive(other_site=True)
    visitor.button("Connect payroll").click()
    visitor.page.evaluate("sessionStorage.setItem('acme:customer', 'globex')")
    visitor.page.get_by_role("button", name="Gusto", exact=True).wait_for()
    visitor.page.context.add_init_script("sessionStorage['acme:customer'] ??= 'globex'")
    visitor.go_through(provider="Gusto")
    visitor.settled()
    visitor.page.get_by_label("Account").select_option("Globex Clinics")
    visitor.sees("This is not for your account")
    visitor.settled()
    visitor.snapshot("foreign")
    visitor.page.get_by_label("Account").select_option("Harbor & Vale Holdings")
    expect(visitor.element.get_by_role("heading", name="Was this you?")).to_be_visible()
    expect(visitor.element.locator(".question dl")).to_contain_text(HARBOR)
    for customer_id in ("acme", "globex"):
        assert Person(deployed, customer_id).connections() == []


def test_confirmation_can_be_repeated_after_a_lost_response(
    visitor: Visitor, deployed: Deployed
) -> None:
    visitor.arrive(other_site=True)
    visitor.button("Connect payroll").click()
    visitor.go_through()
    expect(visitor.button("Yes, connect it")).to_be_visible()
    visitor.intercept("/(callback|connections)$", cut_off, times=2)
    visitor.button("Yes, connect it").click()
    expect(visitor.element.get_by_role("alert")).to_contain_text("does not answer")
    visitor.snapshot("confirm-failed")
    visitor.button("Yes, connect it").click()
    visitor.sees(f"{HARBOR} at Gusto is connected")


def test_pending_connect_completes_when_finch_recovers(
    visitor: Visitor, deployed: Deployed
) -> None:
    deployed.finch.faults.add("GET", "/introspect", error="server_error", times=None)
    visitor.arrive()
    visitor.button("Connect payroll").click()
    visitor.go_through()
    [session] = deployed.tables.all_sessions()
    visitor.sees("Almost there", f"Reference {session['reference']['S']}")
    # Another attempt would be a second connection, which Finch bills.
    expect(visitor.element.locator(".empty")).to_contain_text("You need not connect again")
    expect(visitor.button("Connect payroll")).to_have_count(0)
    visitor.snapshot("pending")
    deployed.finch.faults.clear()
    visitor.sees(f"{HARBOR} at Gusto is connected")


# Connecting inside the page


def arrive_embedded(visitor: Visitor) -> None:
    """Opens the page and chooses Finch Connect inside the page."""
    visitor.arrive()
    visitor.page.get_by_label("Finch Connect").select_option("inside this page")


FRAME = "#finch-connect-iframe"


def test_embedded_connect_succeeds_without_leaving_the_page(
    visitor: Visitor, deployed: Deployed
) -> None:
    arrive_embedded(visitor)
    with visitor.requests("/callback") as sent:
        visitor.button("Connect payroll").click()
        frame = visitor.page.frame_locator(FRAME)
        expect(frame.get_by_role("button", name="Gusto")).to_be_visible()
        visitor.page.screenshot(path=visitor.shots / "embedded.png")
        visitor.go_through(frame=frame)
        visitor.sees(f"{HARBOR} at Gusto is connected")
    [body] = posted(sent)
    assert body.keys() == {"code", "state"}
    expect(visitor.page.locator(FRAME)).to_have_count(0)
    expect(visitor.page).to_have_url(visitor.page_pattern)
    expect(visitor.cards).to_have_count(1)
    # Its names come soon, so the page reads soon: within half of the longest pause of 30 seconds.
    with visitor.page.expect_request(re.compile("/connections/gusto/"), timeout=15_000):
        pass


@pytest.mark.parametrize(("way", "text"), [("Leave", "You closed"), ("Cancel", "did not accept")])
def test_closing_or_cancelling_the_frame_connects_nothing(
    visitor: Visitor, deployed: Deployed, way: str, text: str
) -> None:
    arrive_embedded(visitor)
    visitor.button("Connect payroll").click()
    visitor.page.frame_locator(FRAME).get_by_text(way, exact=True).click()
    visitor.sees(text)
    if way == "Cancel":
        [session] = deployed.tables.all_sessions()
        visitor.sees(f"Reference {session['reference']['S']}")
    expect(visitor.page.locator(FRAME)).to_have_count(0)
    visitor.button("Try again").click()
    visitor.go_through(frame=visitor.page.frame_locator(FRAME))
    visitor.sees("is connected")


def test_embedded_repair_is_retried_as_a_repair(visitor: Visitor, deployed: Deployed) -> None:
    make_broken_connection(deployed)
    arrive_embedded(visitor)
    visitor.button("Sign in again").click()
    visitor.page.frame_locator(FRAME).get_by_text("Leave", exact=True).click()
    visitor.sees("You closed")
    # The retry repeats the repair.
    with visitor.requests("/connect") as sent:
        visitor.notice.get_by_role("button", name="Sign in again").click()
        visitor.go_through(provider=None, frame=visitor.page.frame_locator(FRAME))
        visitor.sees(f"{HARBOR} at Gusto works again")
    assert not any(request.url.endswith("/connect-sessions") for request in sent)


def test_embedded_code_can_be_sent_again_after_a_lost_response(
    visitor: Visitor, deployed: Deployed
) -> None:
    arrive_embedded(visitor)
    visitor.intercept("/(callback|connections)$", cut_off, times=2)
    visitor.button("Connect payroll").click()
    visitor.go_through(frame=visitor.page.frame_locator(FRAME))
    visitor.sees("does not answer")
    visitor.button("Try again").click()
    visitor.sees(f"{HARBOR} at Gusto is connected")
    assert deployed.finch.requests.count("POST", "/auth/token") == 1


def test_forged_window_message_is_not_used_as_a_code(visitor: Visitor, deployed: Deployed) -> None:
    arrive_embedded(visitor)
    with visitor.requests("/callback") as sent:
        visitor.button("Connect payroll").click()
        frame = visitor.page.frame_locator(FRAME)
        expect(frame.get_by_role("button", name="Gusto")).to_be_visible()
        forged = {"name": "finch-auth-message-v2", "kind": "success", "code": "planted"}
        visitor.page.evaluate("message => window.postMessage(message, '*')", forged)
        visitor.go_through(frame=frame)
        visitor.sees("is connected")
    [body] = posted(sent)
    assert body["code"] != "planted"


# Double clicks, the back button, two tabs


def test_double_click_starts_one_session(visitor: Visitor, deployed: Deployed) -> None:
    visitor.arrive()
    with visitor.requests("/connect-sessions") as sent:
        visitor.button("Connect payroll").dblclick()
        visitor.page.get_by_role("button", name="Gusto", exact=True).wait_for()
    assert len(sent) == 1
    assert len(deployed.tables.all_sessions()) == 1


def test_page_works_after_the_back_button_from_finch(visitor: Visitor, deployed: Deployed) -> None:
    visitor.arrive()
    visitor.button("Connect payroll").click()
    visitor.page.get_by_role("button", name="Gusto", exact=True).wait_for()
    visitor.page.go_back()
    visitor.settled()
    visitor.connect("Connect payroll")
    visitor.sees("is connected")


def test_disconnect_in_two_tabs_happens_once_and_shows_in_both(
    visit: Visit, deployed: Deployed
) -> None:
    Person(deployed, "acme").connect()
    visitor = visit()
    visitor.arrive()
    other = visitor.another_tab()
    visitor.details(visitor.cards.first)
    visitor.button("Disconnect").click()
    other.details(other.cards.first)
    other.button("Disconnect").click()
    for tab in (visitor, other):
        tab.dialog.get_by_role("button", name="Disconnect").click()
    for tab in (visitor, other):
        tab.sees("is disconnected")
        expect(tab.ended).to_have_text("1 disconnected connection")
    # Two requests at the same moment may both ask Finch, but the connection ends once.
    assert 1 <= deployed.finch.requests.count("POST", "/disconnect") <= 2
    assert deployed.finch.live_tokens() == []
    [ended] = deployed.tables.items(deployed.tables.connections)
    ends = [entry["S"] for entry in ended["history"]["L"] if " disconnected" in entry["S"]]
    assert len(ends) == 1, ended["history"]
