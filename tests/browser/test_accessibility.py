"""The page enlarged, by keyboard, in high contrast, without motion, and from right to left."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import expect

from finch_connections.domain.connection import Connection
from tests.browser import accessible, seed
from tests.browser.arabic import ARABIC
from tests.browser.conftest import Visit
from tests.browser.seed import connection
from tests.browser.test_hosts import markup, script
from tests.browser.test_states import BAMBOO, HARBOR, PAYCHEX, RUN, everything
from tests.browser.visitor import Visitor
from tests.support.deployed import Deployed


@pytest.fixture
def listed(visitor: Visitor, deployed: Deployed) -> Visitor:
    """A visitor who sees a connection of each kind."""
    seed.write(deployed, everything())
    visitor.arrive()
    return visitor


# Each style breaks one rule that every state is checked for.
BROKEN = {
    "color-contrast": ".facts { color: #999; }",
    "color-contrast: <p": ".reason p { color: light-dark(#1b2430, #45505f) !important; }",
    "a target is too small": ".button.toggle { min-height: 0; height: 20px; padding-block: 0; }",
    "a text is cut off": ".who h4 { -webkit-line-clamp: 1; }",
    "a text is outside the window": ".reason p { translate: 80px; }",
    "pixels wide": ".all { min-width: 25em; }",
    "ar: a text is cut off": ".facts:dir(rtl) { direction: ltr; white-space: nowrap; }",
}


@pytest.mark.parametrize("problem", BROKEN)
def test_checks_of_each_state_find_a_broken_style(listed: Visitor, problem: str) -> None:
    listed.page.evaluate(
        "(rule) => { const [sheet] = document.querySelector('finch-connections').shadowRoot"
        ".adoptedStyleSheets; sheet.insertRule(rule, sheet.cssRules.length); }",
        BROKEN[problem],
    )
    with pytest.raises(AssertionError, match=problem):
        listed.snapshot("wrong")
    for picture in listed.shots.glob("wrong*.png"):
        picture.unlink()


# 200 and 400 percent of a window of 1280 x 1024 pixels, and text of twice the size.
ENLARGED = [((640, 512), 100), ((320, 256), 100), ((1280, 1024), 200)]


@pytest.mark.parametrize(("size", "percent"), ENLARGED)
@pytest.mark.parametrize("language", ["en", "ar"])
def test_enlarged_page_cuts_nothing_off_and_shows_the_focus(
    visit: Visit, deployed: Deployed, size: tuple[int, int], percent: int, language: str
) -> None:
    seed.write(deployed, everything())
    visitor = visit(viewport={"width": size[0], "height": size[1]})
    visitor.arrive()
    visitor.page.evaluate(f"document.documentElement.style.fontSize = '{percent}%'")
    visitor.details(visitor.card("Rippling"))
    with accessible.speaking(visitor.page, language, ARABIC):
        picture = f"enlarged-{size[0]}-{percent}-{language}.png"
        visitor.page.screenshot(path=visitor.shots / picture, full_page=True)
        assert accessible.measured(visitor.page) == []
        check_focus(visitor)


# Describes the focused element of the element: whether its outline stands out, and what hides it.
FOCUS = """
  () => {
    const { shadowRoot } = document.querySelector("finch-connections");
    const node = shadowRoot.activeElement;
    if (!node) return null;
    const pixel = (color) => {
      const context = new OffscreenCanvas(1, 1).getContext("2d");
      context.fillStyle = color;
      context.fillRect(0, 0, 1, 1);
      return [...context.getImageData(0, 0, 1, 1).data];
    };
    const light = (color) => {
      const [red, green, blue] = pixel(color)
        .map((part) => part / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
    };
    let around = node.parentElement ?? document.querySelector("finch-connections");
    const isClear = (place) => pixel(getComputedStyle(place).backgroundColor)[3] < 255;
    while (isClear(around)) around = around.parentElement ?? around.getRootNode().host;
    const { outlineColor, outlineStyle, outlineWidth } = getComputedStyle(node);
    const lights = [light(outlineColor), light(getComputedStyle(around).backgroundColor)];
    const box = node.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const top = shadowRoot.elementFromPoint(x, y);
    return {
      act: node.dataset.act ?? node.localName,
      outline: outlineStyle !== "none" && Number.parseFloat(outlineWidth),
      contrast: Math.max(...lights) / Math.min(...lights),
      hidden: !node.contains(top) && (top?.outerHTML.slice(0, 100) ?? "outside the window"),
    };
  }
"""


def check_focus(visitor: Visitor) -> None:
    """Goes through the element with the Tab key: each focus is clearly visible (2.4.7, 2.4.11, 1.4.11)."""
    visitor.page.get_by_role("button", name="Sign out").focus()
    seen = []
    while True:
        visitor.page.keyboard.press("Tab")
        focus: dict[str, Any] | None = visitor.page.evaluate(FOCUS)
        if focus is None:
            break
        assert focus["outline"] >= 2, focus
        assert focus["contrast"] >= 3, focus
        assert focus["hidden"] is False, focus
        seen.append(focus["act"])
    acts = {act.partition(":")[0] for act in seen}
    assert acts >= {"connect", "details", "repair", "add", "disconnect", "ended"}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_focus_is_visible_in_each_colour_scheme(
    visit: Visit, deployed: Deployed, dark: bool
) -> None:
    seed.write(deployed, everything())
    visitor = visit(dark=dark)
    visitor.arrive()
    visitor.details(visitor.card("Rippling"))
    check_focus(visitor)


def test_high_contrast_shows_buttons_statuses_and_focus(visit: Visit, deployed: Deployed) -> None:
    seed.write(deployed, everything())
    visitor = visit(forced_colors="active")
    visitor.arrive()
    visitor.details(visitor.card("Rippling"))
    visitor.snapshot("high-contrast", elsewhere=False)
    check_focus(visitor)
    # The browser uses the person's colours, so edges must show each button and each status.
    faint = visitor.element.evaluate(
        """({ shadowRoot }) => {
          const canvas = getComputedStyle(document.body).backgroundColor;
          const faint = [];
          for (const button of shadowRoot.querySelectorAll("button:not(.unseen)")) {
            const { borderTopColor, borderTopWidth } = getComputedStyle(button);
            if (borderTopColor === canvas || borderTopWidth === "0px") faint.push(button.outerHTML);
          }
          for (const status of shadowRoot.querySelectorAll(".status:not(.spins)")) {
            const { backgroundColor } = getComputedStyle(status, "::before");
            if (backgroundColor === canvas) faint.push(status.outerHTML);
          }
          return faint;
        }"""
    )
    assert faint == []
    # While an action is under way, the other buttons look disabled.
    visitor.intercept("/connect-sessions", lambda route: None)
    visitor.button("Connect another").click()
    other = visitor.card("Rippling").get_by_role("button", name="Add another login")
    expect(other).to_have_attribute("aria-disabled", "true")
    grey = visitor.page.evaluate(
        "() => { const probe = document.body.appendChild(document.createElement('i'));"
        " probe.style.color = 'GrayText'; return getComputedStyle(probe).color; }"
    )
    expect(other).to_have_css("color", grey)
    expect(other).to_have_css("border-top-color", grey)
    visitor.snapshot("high-contrast-busy", elsewhere=False)


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_nothing_moves_for_people_who_avoid_motion(
    visit: Visit, deployed: Deployed, motion: str
) -> None:
    seed.write(deployed, [connection(HARBOR, PAYCHEX, "disconnecting")])
    visitor = visit(reduced_motion=motion)
    visitor.arrive()
    # After the longest animation that ends by itself, only what turns for ever still runs.
    visitor.page.wait_for_timeout(500)
    running = visitor.element.evaluate(
        "({ shadowRoot }) => shadowRoot.getAnimations()"
        ".filter(({ playState }) => playState === 'running').map(({ animationName }) => animationName)"
    )
    assert running == ([] if motion == "reduce" else ["turn"])


# Right to left


def right_to_left(visitor: Visitor, root: str, *, texts: Any = ARABIC, **attributes: str) -> None:
    """Opens a page whose element gets these texts of the application."""
    stated = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    visitor.page.add_init_script(f"globalThis.ownTexts = {json.dumps(texts)}")
    place = markup(visitor).replace("<finch-connections", f"<finch-connections {stated}")
    visitor.open_host_page(
        place,
        script(visitor) + "document.querySelector('finch-connections').texts = ownTexts;",
        root=root,
    )
    visitor.cards.first.wait_for()


@pytest.fixture
def broken(deployed: Deployed) -> Connection:
    """A connection that needs a sign-in."""
    one = connection(HARBOR, RUN, "reauth")
    seed.write(deployed, [one])
    return one


def test_language_of_the_application_is_shown_from_right_to_left(
    visitor: Visitor, broken: Connection
) -> None:
    right_to_left(visitor, 'lang="ar-EG" dir="rtl"')
    inside = visitor.element.locator(".all")
    expect(inside).to_have_attribute("lang", "ar-EG")
    expect(inside).to_have_css("direction", "rtl")
    expect(visitor.element.get_by_role("heading", level=2)).to_have_text(ARABIC["title"])
    expect(visitor.summary).to_have_text(ARABIC["summary"]["attention"]["one"])
    card = visitor.cards.first
    expect(card).to_contain_text("فُحص قبل ٤٠ دقيقة")
    card.get_by_role("button", name=ARABIC["details"]).click()
    # Dates and numbers have the digits of the language. Names and ids keep their own direction.
    expect(card).to_contain_text(re.compile("متصل منذ \\W*٠٤\\W*/\\W*٠٣\\W*/\\W*٢٠٢٦"))
    expect(card).to_contain_text("الحساب ١")
    expect(card.locator("dd code")).to_have_css("direction", "ltr")
    expect(card.locator("h4 bdi")).to_have_css("direction", "ltr")
    # The mark is at the right, the button for details at the left, as a mirror shows it.
    boxes = [
        card.locator(part).first.bounding_box() for part in (".mark", ".who", ".chip", ".toggle")
    ]
    places = [box["x"] for box in boxes if box]
    assert places == sorted(places, reverse=True)
    assert len(places) == 4
    visitor.page.screenshot(path=visitor.shots / "arabic.png", full_page=True)


def test_texts_of_one_language_are_not_used_for_another(
    visitor: Visitor, broken: Connection
) -> None:
    # The page is written from right to left, but the element has no texts for its language.
    right_to_left(visitor, 'lang="he" dir="rtl"')
    inside = visitor.element.locator(".all")
    expect(inside).to_have_attribute("lang", "en")
    expect(inside).to_have_css("direction", "ltr")
    expect(visitor.element.get_by_role("heading", level=2)).to_have_text("Payroll connections")


def test_attribute_dir_of_the_element_decides_its_direction(
    visitor: Visitor, broken: Connection
) -> None:
    right_to_left(visitor, 'lang="en"', texts={}, dir="rtl")
    inside = visitor.element.locator(".all")
    expect(inside).to_have_attribute("lang", "en")
    expect(inside).to_have_css("direction", "rtl")
    visitor.element.evaluate("(element) => element.removeAttribute('dir')")
    expect(inside).to_have_css("direction", "ltr")


@pytest.mark.parametrize(
    ("language", "text"), [("es-MX", "le pide que"), ("fr-CA", "vous demande")]
)
def test_spanish_and_french_are_complete_in_the_page(
    visitor: Visitor, deployed: Deployed, language: str, text: str
) -> None:
    seed.write(deployed, everything())
    visitor.arrive()
    with accessible.speaking(visitor.page, language, None):
        expect(visitor.cards.first).to_contain_text(text)
        visitor.page.screenshot(path=visitor.shots / f"{language}.png", full_page=True)
        assert accessible.measured(visitor.page) == []
        shown = visitor.element.inner_text()
    for word in ("Details", "login", "Connected", "Checked", "reauth", BAMBOO[0]):
        assert word not in shown
