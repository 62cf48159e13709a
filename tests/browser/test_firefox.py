"""The main journeys in Firefox, and Firefox where it blocks all cookies."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from local.fake_finch.seed_world import HARBOR_LANE, MAYA
from local.world import World
from tests.browser import firefox
from tests.browser.firefox import Firefox
from tests.browser.visitor import NAMES
from tests.support.deployed import Deployed
from tests.support.person import Person

pytestmark = pytest.mark.skipif(
    not firefox.of_this_machine() and "CI" not in os.environ, reason="Firefox is not installed."
)

HARBOR = HARBOR_LANE.legal_name
CLICK = """
  const element = document.querySelector("finch-connections");
  const within = element?.shadowRoot.querySelector("dialog[open]") ?? element?.shadowRoot ?? document;
  const button = [...within.querySelectorAll("button"), ...document.querySelectorAll("button")].find(
    (one) => one.checkVisibility() &&
      (one.getAttribute("aria-label") ?? one.textContent).includes(arguments[0]));
  button?.click();
  return Boolean(button);
"""
FILL = """
  const field = document.querySelector("input[name=username]");
  if (field) field.value = arguments[0];
  return Boolean(field);
"""
SHOWS = """
  const element = document.querySelector("finch-connections");
  return element?.shadowRoot?.querySelector(".all").innerText.includes(arguments[0]);
"""
ADDS = """
  const [api, token] = arguments;
  if (!customElements.get("finch-connections")) return false;
  document.addEventListener("finch-access-token", ({ detail }) => detail.provide(token));
  const bare = document.createElement("finch-connections");
  bare.setAttribute("api-url", api);
  bare.setAttribute("mode", "redirect");
  document.querySelector("main").replaceChildren(bare);
  return true;
"""

type Start = Callable[..., Firefox]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts Firefox with these preferences."""
    with ExitStack() as stack:

        def start(**preferences: Any) -> Firefox:
            return stack.enter_context(firefox.started(tmp_path, **preferences))

        yield start


def connect(browser: Firefox) -> None:
    """Presses the button and goes through Finch Connect."""
    browser.until(CLICK, "Connect payroll")
    browser.until(CLICK, "Gusto")
    browser.until(FILL, MAYA)
    browser.until(CLICK, "Log in")
    browser.until(CLICK, "Continue")


def test_customer_connects_and_disconnects_in_firefox(
    start: Start, world: World, deployed: Deployed
) -> None:
    browser = start()
    browser.open(world.page_url)
    browser.until(CLICK, NAMES["acme"])
    connect(browser)
    browser.until(SHOWS, f"{HARBOR} at Gusto is connected")
    assert browser.run("return location.href") == world.page_url
    browser.until(CLICK, "Details")
    browser.until(CLICK, "Disconnect")
    browser.until(
        "return document.querySelector('finch-connections').shadowRoot.querySelector('[open]')"
    )
    browser.until(CLICK, "Disconnect")
    browser.until(SHOWS, f"{HARBOR} at Gusto is disconnected")
    assert Person(deployed, "acme").connections()[0]["status"] == "disconnected"


def test_customer_connects_in_firefox_that_blocks_all_cookies(
    start: Start, world: World, deployed: Deployed
) -> None:
    browser = start(network__cookie__cookieBehavior=2)
    arguments = [world.api_url, world.issuer.token("acme")]
    browser.open(world.page_url)
    browser.until(ADDS, *arguments)
    refused = "try { new BroadcastChannel('x'); } catch (error) { return error.name; }"
    assert browser.run(refused) == "SecurityError"
    connect(browser)
    browser.until("return location.href === arguments[0]", world.page_url)
    browser.until(ADDS, *arguments)
    # Without the cookie of the attempt the customer must confirm.
    browser.until(SHOWS, "Was this you?")
    browser.until(CLICK, "Yes, connect it")
    browser.until(SHOWS, f"{HARBOR} at Gusto is connected")
