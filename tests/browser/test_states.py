"""Each state of the page, in both colour schemes, on a desktop and on a phone."""

import re
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from finch_connections.domain.connection import Connection, ConnectionStatus
from tests.browser import seed
from tests.browser.conftest import Visit
from tests.browser.seed import connection, login
from tests.support.deployed import Deployed
from tests.support.person import Person

RUN = ("adp_run", "RUN Powered by ADP")
JUSTWORKS, BAMBOO = ("justworks", "Justworks"), ("bamboo_hr", "BambooHR")
PAYCHEX, TRINET = ("paychex_flex", "Paychex Flex"), ("trinet", "TriNet")
HARBOR, JUNIPER = "Harbor Lane Coffee Roasters, Inc.", "Juniper & Vale Outfitters LLC"
EAST, WEST, LAB = "Northfold Clinics East LLC", "Northfold Clinics West LLC", "Northfold Labs, Inc."

LOOKS = [
    pytest.param({}, id="desk-light"),
    pytest.param({"dark": True}, id="desk-dark"),
    pytest.param({"phone": True}, id="phone-light"),
    pytest.param({"phone": True, "dark": True}, id="phone-dark"),
]


def name_of(looks: dict[str, Any]) -> str:
    return f"{'phone' if looks.get('phone') else 'desk'}-{'dark' if looks.get('dark') else 'light'}"


def entities(*statuses: str) -> dict[str, Any]:
    """The fields of a login with three entities of these statuses."""
    ids = ("entity-1", "entity-2", "entity-3")
    return {"entities": dict(zip(ids, statuses, strict=True)), "entity_ids": frozenset(ids)}


def everything() -> list[Connection]:
    """A connection of each kind."""
    clinics = login("clinics", **entities("connected", "connected", "disconnected"))
    return [
        connection(HARBOR, RUN, "reauth"),
        connection(HARBOR, ("gusto", "Gusto"), "connected", login("maya"), login("owen")),
        connection(JUNIPER, BAMBOO),
        replace(
            connection("Northfold Clinics", ("rippling", "Rippling"), "connected", clinics),
            company_name=None,
            entity_names={"entity-1": EAST, "entity-2": WEST, "entity-3": LAB},
        ),
        connection("Cedarline Robotics, Inc.", TRINET, "processing"),
        connection(JUNIPER, PAYCHEX, "disconnecting"),
        connection("Cedarline Robotics, Inc.", JUSTWORKS, "disconnected"),
    ]


TROUBLES = [
    connection(HARBOR, RUN, "reauth"),
    connection(HARBOR, JUSTWORKS, "error_permissions"),
    connection(HARBOR, BAMBOO, "error_no_account_setup"),
    connection(
        HARBOR, PAYCHEX, "unknown", login("odd", "unknown", status_detail="error_provider_moved")
    ),
    replace(connection(JUNIPER, RUN, "reauth"), problem="another_company"),
    replace(connection(JUNIPER, JUSTWORKS, "reauth"), problem="disconnect_refused"),
    connection(JUNIPER, TRINET, "pending"),
]


@pytest.mark.parametrize("looks", LOOKS)
def test_list_and_details_in_each_look(
    visit: Visit, deployed: Deployed, looks: dict[str, Any]
) -> None:
    seed.write(deployed, everything())
    visitor = visit(**looks)
    visitor.arrive()
    expect(visitor.cards).to_have_count(7)
    expect(visitor.cards.first).to_contain_text("asks you to sign in again")
    visitor.snapshot(f"list-{name_of(looks)}", height=900, elsewhere=not looks)
    visitor.details(visitor.card("Rippling"))
    expect(visitor.card("Rippling")).to_contain_text("2 of 3 legal entities")
    # The card is named after the first entity, and the details name the others.
    expect(visitor.card("Rippling").get_by_role("definition").first).to_have_text(
        f"{EAST}, {WEST}, and {LAB}"
    )
    height = 1600 if looks.get("phone") else 1030
    visitor.snapshot(f"details-{name_of(looks)}", height=height, elsewhere=not looks)
    visitor.details(visitor.card("Gusto", "2 logins"))
    visitor.ended.click()
    expect(visitor.card("Justworks")).to_contain_text("Disconnected on Mar 4, 2026")
    visitor.snapshot(f"ended-{name_of(looks)}", elsewhere=not looks)


@pytest.mark.parametrize("looks", LOOKS)
def test_empty_page_in_each_look(visit: Visit, looks: dict[str, Any]) -> None:
    visitor = visit(**looks)
    visitor.open()
    visitor.snapshot(f"sign-in-{name_of(looks)}", elsewhere=False)
    visitor.sign_in()
    expect(visitor.element).to_contain_text("Your password never reaches Acme Benefits")
    expect(visitor.element).to_contain_text("What Acme Benefits asks to read")
    expect(visitor.element).to_contain_text("names, departments and managers of all employees")
    visitor.snapshot(f"empty-{name_of(looks)}", height=900, elsewhere=not looks)


@pytest.mark.parametrize("looks", LOOKS)
def test_dialog_names_logins_company_and_provider(
    visit: Visit, deployed: Deployed, looks: dict[str, Any]
) -> None:
    seed.write(deployed, everything())
    visitor = visit(**looks)
    visitor.arrive()
    card = visitor.card("Gusto", "2 logins")
    visitor.details(card)
    card.get_by_role("button", name="Disconnect").click()
    expect(visitor.dialog).to_contain_text(f"Disconnect {HARBOR} at Gusto?")
    expect(visitor.dialog).to_contain_text(f"will stop receiving data for {HARBOR} from Gusto.")
    expect(visitor.dialog.locator("li")).to_have_count(2)
    visitor.snapshot(f"dialog-{name_of(looks)}", elsewhere=not looks)


def test_each_status_and_problem_shows_its_reason(visit: Visit, deployed: Deployed) -> None:
    moved_on = connection(JUNIPER, ("gusto", "Gusto"), "disconnected", problem="another_company")
    seed.write(deployed, [*TROUBLES, moved_on])
    visitor = visit(viewport={"width": 1080, "height": 1700})
    visitor.arrive()
    expect(visitor.cards).to_have_count(8)
    for text in (
        "asks you to sign in again",
        "is not allowed to see the data. Ask your administrator at Justworks",
        "is not set up completely",
        "error_provider_moved",
        "Sign in again, and choose this company",
        "refused to end this connection",
        "still has to grant access. This can take some days. You need do nothing",
    ):
        expect(visitor.element).to_contain_text(text)
    expect(visitor.summary).to_contain_text("6 connections need your attention")
    visitor.snapshot("troubles")
    visitor.ended.click()
    expect(visitor.card("Gusto")).to_contain_text("Last changed on Mar 4, 2026")


def test_waiting_states_are_shown_until_the_api_answers(visit: Visit, deployed: Deployed) -> None:
    landing = Person(deployed, "acme", same_site=False).connect()
    visitor = visit()
    visitor.open()
    visitor.sign_in()
    visitor.settled()
    waiting: list[Route] = []
    visitor.intercept("/(callback|connect-sessions)$", waiting.append)
    visitor.button("Connect payroll").click()
    expect(visitor.button("Connect payroll")).to_have_attribute("aria-busy", "true")
    visitor.snapshot("busy")
    visitor.page.goto("about:blank")
    visitor.open(query=f"?finch=return&status=confirm#completion={landing.completion}")
    visitor.sees("we look up what was connected")
    visitor.snapshot("checking")
    visitor.let_through(waiting[-1:])
    expect(visitor.element.get_by_role("heading", name="Was this you?")).to_be_visible()


def test_dialog_is_usable_in_a_very_small_window(visit: Visit, deployed: Deployed) -> None:
    # A desktop window zoomed to 400 percent, in high contrast.
    seed.write(deployed, everything())
    visitor = visit(viewport={"width": 320, "height": 256}, forced_colors="active")
    visitor.arrive()
    spinner = visitor.element.locator(".chip .spinner")
    colors = spinner.evaluate(
        "(spinner) => { const style = getComputedStyle(spinner);"
        " return [style.borderTopColor, style.borderLeftColor]; }"
    )
    assert colors[0] != colors[1]
    visitor.details(visitor.card("Gusto"))
    visitor.card("Gusto").get_by_role("button", name="Disconnect").click()
    expect(visitor.dialog).to_have_accessible_description(
        re.compile("will stop receiving data .* This ends: Login 1 · connected Mar 4, 2026")
    )
    expect(visitor.dialog.get_by_role("heading")).to_be_in_viewport(ratio=1)
    keep, end = (visitor.dialog.get_by_role("button", name=name) for name in ("Keep", "Disconnect"))
    boxes = [button.bounding_box() for button in (keep, end)]
    assert boxes[0]
    assert boxes[1]
    assert boxes[0]["y"] == boxes[1]["y"]
    expect(keep).to_be_focused()
    visitor.page.screenshot(path=visitor.shots / "dialog-small.png")
    visitor.page.keyboard.press("End")
    expect(visitor.dialog.get_by_text("To undo it")).to_be_in_viewport(ratio=1)


def test_german_page_shows_no_status_code(visit: Visit, deployed: Deployed) -> None:
    seed.write(deployed, everything())
    visitor = visit(phone=True)
    visitor.arrive()
    visitor.page.get_by_label("Language").select_option("Deutsch")
    expect(visitor.cards.first).to_contain_text("verlangt, dass Sie sich neu anmelden")
    visitor.snapshot("german")
    for status in ConnectionStatus:
        assert status not in visitor.element.inner_text()


def test_example_page_blocks_inline_scripts_and_styles(visit: Visit) -> None:
    visitor = visit()
    opened = visitor.page.goto(visitor.world.page_url)
    assert opened
    policy = opened.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    visitor.page.evaluate("document.body.append(document.createElement('style'))")
    visitor.page.evaluate("document.querySelector('style').textContent = 'main { width: 7px }'")
    assert visitor.page.locator("main").evaluate("main => main.clientWidth") > 7
    assert any("style-src" in error for error in visitor.errors)
    visitor.errors.clear()


HOSTILE = [
    "<img src=x onerror=document.body.remove()>",
    "</script><script>document.body.remove()</script>",
    "A company whose name goes on and on " * 5,
    "Averyverylongnamewithoutanyspaceinit" * 5,
    "שיווק הצפון בע״מ (Gusto)",
    "{provider} {app} {name}",
]


def test_hostile_names_are_shown_as_text(visit: Visit, deployed: Deployed) -> None:
    seed.write(
        deployed,
        [connection(name, (f"p{n}", name[:60])) for n, name in enumerate(HOSTILE)],
    )
    visitor = visit(phone=True, viewport={"width": 390, "height": 1200})
    visitor.arrive()
    expect(visitor.cards).to_have_count(len(HOSTILE))
    for name in HOSTILE:
        expect(
            visitor.element.get_by_role("heading", name=name.strip(), exact=True, level=4)
        ).to_be_visible()
    width = visitor.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    # The card cuts such names off.
    visitor.snapshot("hostile-names", elsewhere=False)
    visitor.details(visitor.card(HOSTILE[3]))
    # The details show the name in full.
    expect(visitor.element.locator("dd").get_by_text(HOSTILE[3])).to_be_visible()
    visitor.details(visitor.card(HOSTILE[3]))
    visitor.details(visitor.cards.first)
    visitor.cards.first.get_by_role("button", name="Disconnect").click()
    expect(visitor.dialog).to_contain_text(HOSTILE[0])
    visitor.snapshot("hostile-dialog", elsewhere=False)
