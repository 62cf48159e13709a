"""Checks of a state of the page for people with disabilities: axe, and what axe does not measure.

The success criteria are those of WCAG 2.2, https://www.w3.org/TR/WCAG22/.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.arabic import ARABIC

_AXE = Axe().axe_script

# 1.4.10: a window of 1280 pixels, enlarged to 400 percent.
NARROW = 320

# How often the contrast is checked at most after a change of the colour scheme.
_TRIES = 6

# 1.4.12: the spacing that a person may set.
_SPACING = """
  * { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important; }
  p { margin-block-end: 2em !important; }
"""

# Names each text that is cut off or outside the window, and each target smaller than 24 pixels (2.5.8).
_MEASURE = """
  () => {
    const found = [];
    const element = document.querySelector("finch-connections");
    const say = (problem, node) => found.push(`${problem}: ${node.outerHTML.slice(0, 200)}`);
    const ends = document.documentElement;
    if (ends.scrollWidth > innerWidth) found.push(`the page is ${ends.scrollWidth} pixels wide`);
    const isForScreenReaders = (node) => getComputedStyle(node).clipPath !== "none";
    for (const node of element.shadowRoot.querySelectorAll("*:not(svg, svg *)")) {
      if (!node.checkVisibility({ visibilityProperty: true })) continue;
      const box = node.getBoundingClientRect();
      if (node.matches("button, a, summary, input, select") && Math.min(box.width, box.height) < 24) {
        say("a target is too small", node);
      }
      if (![...node.childNodes].some(({ nodeType, data }) => nodeType === 3 && data.trim())) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      const text = range.getBoundingClientRect();
      const path = [];
      for (let around = node; around; around = around.parentElement) path.push(around);
      if (path.some(isForScreenReaders)) continue;
      if (text.left < -1 || text.right > innerWidth + 1) say("a text is outside the window", node);
      for (const around of path) {
        const { overflowX, overflowY } = getComputedStyle(around);
        const edge = around.getBoundingClientRect();
        const sideways = text.left < edge.left - 1 || text.right > edge.right + 1;
        const below = text.bottom > edge.bottom + 2 || text.top < edge.top - 2;
        if ((overflowX !== "visible" && sideways) || (overflowY === "hidden" && below)) {
          say("a text is cut off", node);
        }
      }
    }
    return found;
  }
"""

_SPEAK = """
  ([lang, texts]) => {
    const element = document.querySelector("finch-connections");
    const before = [element.getAttribute("lang"), element.texts];
    if (texts) element.texts = texts;
    if (lang) element.setAttribute("lang", lang);
    else element.removeAttribute("lang");
    return before;
  }
"""

_SPACE = """
  (styles) => {
    const { shadowRoot } = document.querySelector("finch-connections");
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(styles);
    shadowRoot.adoptedStyleSheets = [shadowRoot.adoptedStyleSheets[0], sheet];
  }
"""

# Resolves when Chromium has painted all changes so far.
_PAINTED = """
  new Promise((painted) =>
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(painted))))
"""


def problems(page: Page) -> list[str]:
    """The problems that axe finds now."""
    return _axe(page)


def problems_elsewhere(page: Page, picture: str) -> list[str]:
    """The problems of this state in the other colour scheme, and in a narrow window with wide spacing.

    The narrow window is in German, and in Arabic from right to left. It is photographed if it has a
    problem; `picture` names the pictures.
    """
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    _use(page, color_scheme="light" if dark else "dark")
    for _ in range(_TRIES):
        if not (found := _axe(page, runOnly=["color-contrast"])):
            break
        # A loaded machine paints the styles in a container later than the next frame.
        page.wait_for_timeout(300)
    _use(page, color_scheme="dark" if dark else "light")
    size = page.viewport_size
    assert size
    for language, texts in (("de", None), ("ar", ARABIC)):
        with speaking(page, language, texts):
            page.set_viewport_size({"width": NARROW, "height": size["height"]})
            page.evaluate(_SPACE, _SPACING)
            rules = {"color-contrast": {"enabled": False}}
            here = [f"{language}: {one}" for one in (*measured(page), *_axe(page, rules=rules))]
            if here:
                path = picture.format(language)
                page.screenshot(path=path, animations="disabled", full_page=True)
            found += here
            page.evaluate(_SPACE, "")
            page.set_viewport_size(size)
    return found


def measured(page: Page) -> list[str]:
    """The texts of the element that are cut off or outside the window, and its small targets."""
    # After a screenshot of the whole page, a loaded machine has the layout of the screenshot for a moment.
    page.evaluate(_PAINTED)
    found: list[str] = page.evaluate(_MEASURE)
    return found


def _use(page: Page, **media: Any) -> None:
    """Emulates this, and waits until Chromium has painted it. Styles in a container come later."""
    page.emulate_media(**media)
    page.evaluate(_PAINTED)


@contextmanager
def speaking(page: Page, language: str, texts: dict[str, Any] | None) -> Iterator[None]:
    """Has the element speak this language inside the `with` block."""
    before = page.evaluate(_SPEAK, [language, texts])
    yield
    page.evaluate(_SPEAK, before)


def _axe(page: Page, **options: Any) -> list[str]:
    if not page.evaluate("'axe' in globalThis"):
        page.evaluate(_AXE)
    violations = page.evaluate(
        "async (options) => (await axe.run(options)).violations",
        {"resultTypes": ["violations"], **options},
    )
    return [
        f"{violation['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for violation in violations
        for node in violation["nodes"]
    ]
