"""The Connections page in a real browser, with the product deployed in the local world."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from local.world import World
from tests.browser import chromium
from tests.browser.visitor import Visitor, new_tab
from tests.local.conftest import deploy_nothing_in, running_world
from tests.support.deployed import ROOT, Deployed

# A loaded machine is slow, and the first call of each function is a cold start.
PATIENCE = 30_000
DESKTOP = {"width": 1080, "height": 900}
PHONE = {"width": 390, "height": 844}

type Visit = Callable[..., Visitor]


@pytest.fixture(scope="session")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The local world of this test session, which other tests share."""
    return running_world(request.session, tmp_path_factory)


@pytest.fixture
def deployed(world: World) -> Deployed:
    """The product without any data."""
    return deploy_nothing_in(world)


@pytest.fixture(scope="session")
def browser(world: World) -> Iterator[Browser]:
    """One Chromium for all tests. It depends on the world, so it is closed before the world stops."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.of_this_machine(),
            # Chromium does not know the address of a page that a test serves, so it would block it.
            # A spare process for the next page costs more than it saves.
            args=[
                "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,"
                "SpareRendererForSitePerProcess"
            ],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shots() -> Path:
    """The folder for the screenshots of this run."""
    folder = ROOT / ".local" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def visit(browser: Browser, world: World, deployed: Deployed, shots: Path) -> Iterator[Visit]:
    """Makes visitors, each with its own browser profile. An error in a console fails the test."""
    visitors, contexts = [], []

    def make(*, phone: bool = False, dark: bool = False, **options: Any) -> Visitor:
        settings: dict[str, Any] = {
            "viewport": PHONE if phone else DESKTOP,
            "color_scheme": "dark" if dark else "light",
            "has_touch": phone,
            "locale": "en-US",
            "timezone_id": "Europe/Berlin",
            "reduced_motion": "reduce",
        }
        context = browser.new_context(**settings | options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        visitors.append(new_tab(context, world, shots))
        return visitors[-1]

    yield make
    for context in contexts:
        context.close()
    assert [visitor.errors for visitor in visitors if visitor.errors] == []


@pytest.fixture
def visitor(visit: Visit) -> Visitor:
    """A visitor with a desktop browser."""
    return visit()
