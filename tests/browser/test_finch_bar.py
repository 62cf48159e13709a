"""The bar below the demo application's page, which breaks and heals things at the fake Finch."""

import httpx
from playwright.sync_api import Locator, expect

from local.fake_finch.seed_world import HARBOR_LANE
from local.world import World
from tests.browser import seed
from tests.browser.visitor import Visitor
from tests.local.conftest import until
from tests.support.deployed import Deployed
from tests.support.person import Person

HARBOR = HARBOR_LANE.legal_name


def bar(visitor: Visitor) -> Locator:
    return visitor.page.get_by_role("complementary", name="Fake Finch")


def test_connection_that_the_bar_breaks_is_repaired_on_the_page(
    visitor: Visitor, deployed: Deployed
) -> None:
    Person(deployed, "acme").connect()
    [connection] = deployed.finch.connections()
    visitor.arrive()
    expect(visitor.card(HARBOR, "Connected")).to_be_visible()
    chosen = bar(visitor).get_by_label("Connection at Finch")
    expect(chosen).to_have_text(f"Gusto: {HARBOR} (connected)")
    bar(visitor).get_by_role("button", name="Require a login").click()
    expect(bar(visitor).get_by_role("status")).to_contain_text("Finch wants a new login")
    expect(chosen).to_have_text(f"Gusto: {HARBOR} (reauth)")
    # Finch's webhook makes the product look. It looks again when Finch repeats the status.
    until(lambda: seed.age_suspicions(deployed, "gusto", HARBOR_LANE.id))
    deployed.finch.send_webhook("account.updated", connection.id, {"status": "reauth"})
    expect(visitor.card(HARBOR, "Sign-in needed")).to_be_visible()
    visitor.snapshot("broken-by-the-bar")
    visitor.button("Sign in again").click()
    visitor.go_through(provider=None)
    visitor.sees(f"{HARBOR} at Gusto works again")
    expect(visitor.card(HARBOR, "Connected")).to_be_visible()
    expect(chosen).to_have_text(f"Gusto: {HARBOR} (connected)")


def test_bar_stops_slows_and_heals_finch(visitor: Visitor, deployed: Deployed) -> None:
    Person(deployed, "acme").connect()
    [connection] = deployed.finch.connections()
    deployed.finch.set_connection_status(connection.id, "error_permissions")
    deployed.finch.change_switches(disconnect_fails_for=connection.id)
    visitor.arrive()
    down, slow, heal = (
        bar(visitor).get_by_role("button", name=name)
        for name in ("Finch is down", "Finch is slow", "Heal all")
    )
    slow.click()
    expect(slow).to_have_attribute("aria-pressed", "true")
    [fault] = deployed.finch.faults.waiting()
    assert (fault.action.delay_seconds, fault.times) == (5, None)
    # Finch is either slow or down.
    down.click()
    expect(down).to_have_attribute("aria-pressed", "true")
    expect(slow).to_have_attribute("aria-pressed", "false")
    visitor.button("Connect another").click()
    visitor.sees("Finch cannot be reached")
    down.click()
    expect(down).to_have_attribute("aria-pressed", "false")
    assert deployed.finch.faults.waiting() == []
    down.click()
    heal.click()
    expect(bar(visitor).get_by_role("status")).to_contain_text("Finch works again")
    expect(down).to_have_attribute("aria-pressed", "false")
    assert deployed.finch.faults.waiting() == []
    assert deployed.finch.switches.disconnect_fails_for is None
    assert deployed.finch.connection(connection.id).status == "connected"


def test_bar_ends_a_connection_at_finch(visitor: Visitor, deployed: Deployed) -> None:
    Person(deployed, "acme").connect()
    visitor.arrive()
    bar(visitor).get_by_role("button", name="End it").click()
    expect(bar(visitor).get_by_role("status")).to_contain_text("Finch has ended it")
    expect(bar(visitor).get_by_role("option")).to_have_count(0)
    assert deployed.finch.live_tokens() == []
    # Another press has nothing to end.
    bar(visitor).get_by_role("button", name="End it").click()
    expect(bar(visitor).get_by_role("status")).to_contain_text("Choose a connection")


def test_bar_takes_no_form_of_another_site(world: World, deployed: Deployed) -> None:
    Person(deployed, "acme").connect()
    sent = httpx.post(f"{world.page_url}finch-bar/down", data={"connection_id": "x"}, timeout=10)
    assert sent.status_code == 415
    assert deployed.finch.faults.waiting() == []
