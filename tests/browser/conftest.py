"""The Connections page in a real browser, before the product deployed in the local world."""

import shutil
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

# A loaded machine is slow, and the first call of each function takes its time.
PATIENCE = 30_000
DESKTOP = {"width": 1080, "height": 900}
PHONE = {"width": 390, "height": 844}

type Visit = Callable[..., Visitor]


@pytest.fixture(scope="session")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The local world of this session, which other tests have as well."""
    return running_world(request.session, tmp_path_factory)


@pytest.fixture
def deployed(world: World) -> Deployed:
    """The product with nothing in it."""
    return deploy_nothing_in(world)


@pytest.fixture(scope="session")
def browser(world: World) -> Iterator[Browser]:
    """One Chromium for all; after the world, so that it is closed before that ends."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.of_this_machine(),
            # What a test serves in place of a page comes from no address that Chromium knows.
            args=[
                "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests"
            ],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shots() -> Path:
    """Where the pictures of this run go."""
    folder = ROOT / ".local" / "screenshots"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def visit(browser: Browser, world: World, deployed: Deployed, shots: Path) -> Iterator[Visit]:
    """Makes visitors, each with a browser profile of their own; none may end with an error."""
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
    assert [one.errors for one in visitors if one.errors] == []


@pytest.fixture
def visitor(visit: Visit) -> Visitor:
    """Somebody at a desk."""
    return visit()
