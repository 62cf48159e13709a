"""A person who uses the Connections page of the example application in a browser."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Locator, Page, Request, Route, expect

from local.fake_finch.seed_world import MAYA
from local.world import World
from tests.browser import accessible

NAMES = {"acme": "Harbor & Vale Holdings", "globex": "Globex Clinics"}
# The browser logs these when a test blocks the network, or when the API refuses a request.
_EXPECTED = re.compile(r"Failed to load resource|net::ERR_|Access to fetch|Blocked autofocusing")


@dataclass
class Visitor:
    """One tab of a browser. `errors` has the errors of its console."""

    page: Page
    world: World
    shots: Path
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _console(self, message: Any) -> None:
        if message.type == "error" and not _EXPECTED.search(message.text):
            self.errors.append(message.text)

    # Opening the page

    def arrive(self, customer_id: str = "acme", *, other_site: bool = False) -> None:
        """Opens the page, signs in, and waits until the page has loaded its data."""
        self.open(other_site=other_site)
        self.sign_in(customer_id)
        self.settled()

    def open(self, *, other_site: bool = False, query: str = "") -> None:
        """Opens the page."""
        home = self.world.other_site_page_url if other_site else self.world.page_url
        self.page.goto(home + query)

    def open_host_page(self, markup: str, script: str, *, query: str = "", **options: str) -> None:
        """Opens another page on the application's site, with this markup and this script."""
        page, head = self.world.page_url, options.get("head", "")
        self.page.route(
            re.compile(f"^{re.escape(page)}(/x/)?([?#].*)?$"),
            lambda route: route.fulfill(
                content_type="text/html",
                body=f"<!doctype html><html {options.get('root', '')}><title>Host</title>{head}"
                f'<script type="module" src="/finch-connections.js"></script>{markup}'
                '<script type="module" src="/host.js"></script>',
            ),
        )
        self.page.route(
            f"{page}host.js",
            lambda route: route.fulfill(content_type="text/javascript", body=script),
        )
        self.open(query=query)

    def sign_in(self, customer_id: str = "acme") -> None:
        """Signs in."""
        self.page.get_by_role("button", name=NAMES[customer_id]).click()

    def settled(self) -> None:
        """Waits until the element has loaded."""
        expect(self.element.locator(".all")).to_have_attribute("aria-busy", "false")

    def another_tab(self) -> "Visitor":
        """Opens a second tab of the same browser, and signs in."""
        other = Visitor(self.page.context.new_page(), self.world, self.shots)
        other.arrive()
        return other

    # Parts of the page

    @property
    def element(self) -> Locator:
        """The element."""
        return self.page.locator("finch-connections")

    @property
    def cards(self) -> Locator:
        """The cards of all shown connections."""
        return self.element.locator("li.card")

    def card(self, *texts: str) -> Locator:
        """The card that contains all of these texts."""
        found = self.cards
        for text in texts:
            found = found.filter(has_text=text)
        return found

    @property
    def notice(self) -> Locator:
        """The notices above the list."""
        return self.element.locator(".notice")

    @property
    def dialog(self) -> Locator:
        """The dialog."""
        return self.element.locator("dialog")

    @property
    def summary(self) -> Locator:
        """The line below the title."""
        return self.element.locator(".summary")

    @property
    def ended(self) -> Locator:
        """The line that shows or hides the disconnected connections."""
        return self.element.locator(".ended summary")

    @property
    def announced(self) -> Locator:
        """The text that screen readers announce."""
        return self.element.get_by_role("status")

    def button(self, name: str) -> Locator:
        """A button of the element by its accessible name."""
        return self.element.get_by_role("button", name=name)

    def sees(self, *texts: str) -> None:
        """Waits until notices with these texts are visible."""
        for text in texts:
            expect(self.notice.filter(has_text=text).first).to_be_visible()

    def snapshot(self, name: str, *, height: int | None = None, elsewhere: bool = True) -> None:
        """Takes a screenshot. The state must have no problem that `accessible` finds, here and elsewhere.

        With a height, the screenshot starts at the top of the element.
        """
        self.page.mouse.move(0, 0)
        options: dict[str, Any] = {}
        if height:
            box = self.element.bounding_box()
            scrolled = self.page.evaluate("scrollY")
            assert box
            options["full_page"] = True
            options["clip"] = {
                "x": max(0, box["x"] - 24),
                "y": box["y"] + scrolled - 20,
                "width": min(box["width"] + 48, self.page.evaluate("innerWidth")),
                "height": min(box["height"] + 40, height),
            }
        path = self.shots / f"{name}.png"
        self.page.screenshot(path=path, animations="disabled", **options)
        problems = accessible.problems(self.page)
        if elsewhere:
            picture = str(self.shots / f"{name}-{{}}.png")
            problems += accessible.problems_elsewhere(self.page, picture)
        assert not problems, (name, problems)

    # Actions

    def details(self, card: Locator) -> None:
        """Opens or closes the details of a connection."""
        card.get_by_role("button", name="Details").click()

    def connect(self, button: str = "Connect another", **choices: str | None) -> None:
        """Presses the button, goes through Finch Connect, and waits for the return."""
        self.button(button).click()
        self.go_through(**choices)
        self.page.wait_for_url(self.page_pattern)
        self.settled()

    @property
    def page_pattern(self) -> re.Pattern[str]:
        """The address of the page without the parameters of a return."""
        pages = (self.world.page_url, self.world.other_site_page_url)
        return re.compile(f"^({'|'.join(map(re.escape, pages))})$")

    def go_through(
        self,
        provider: str | None = "Gusto",
        login: str | None = MAYA,
        company: str | None = None,
        *,
        frame: Any = None,
    ) -> None:
        """Goes through Finch Connect, on its own page or in this frame."""
        finch = frame or self.page
        if provider:
            finch.get_by_role("button", name=provider, exact=True).click()
        finch.get_by_label("Username").fill(login or MAYA)
        finch.get_by_role("button", name="Log in").click()
        if company:
            finch.get_by_role("button", name=company).click()
        finch.get_by_role("button", name="Continue").click()

    # The network

    def intercept(self, pattern: str, respond: Callable[[Route], None], times: int = 0) -> None:
        """Responds to these requests in place of the API: to the first `times`, or to all.

        CORS preflights still reach the API.
        """
        left = count(times or 1_000_000, -1)

        def handle(route: Route) -> None:
            if route.request.method == "OPTIONS" or next(left) <= 0:
                route.continue_()
            else:
                respond(route)

        self.page.route(re.compile(re.escape(self.world.api_url) + pattern), handle)

    def let_through(self, waiting: list[Route]) -> None:
        """Sends the waiting requests to the API, and stops all interception."""
        for route in waiting:
            route.continue_()
        self.page.unroute_all()

    @contextmanager
    def requests(self, path: str) -> Iterator[list[Request]]:
        """Records the requests to this path of the API inside the `with` block."""
        seen: list[Request] = []

        def note(request: Request) -> None:
            if request.url.startswith(self.world.api_url + path) and request.method != "OPTIONS":
                seen.append(request)

        self.page.on("request", note)
        yield seen
        self.page.remove_listener("request", note)


def posted(requests: list[Request]) -> list[dict[str, Any]]:
    """The JSON bodies of the POST requests."""
    return [json.loads(sent.post_data or "{}") for sent in requests if sent.method == "POST"]


def say(status: int, body: str) -> Callable[[Route], None]:
    """Responds with this status and body."""

    def respond(route: Route) -> None:
        headers = {
            "access-control-allow-origin": route.request.headers.get("origin", ""),
            "access-control-allow-credentials": "true",
        }
        route.fulfill(status=status, body=body, content_type="application/json", headers=headers)

    return respond


def refuse(status: int, code: str | None = None) -> Callable[[Route], None]:
    """Responds with a failure of the API, or, without a code, of API Gateway."""
    body = {"code": code, "request_id": "JKJaXmPLvHcESHA="} if code else {"message": "No"}
    return say(status, json.dumps(body))


def cut_off(route: Route) -> None:
    """Fails a request as a lost network does. The page then asks `/connections` whether the API responds."""
    route.abort()


def hidden(route: Route) -> None:
    """Has the gateway refuse the token. The browser hides its 401, which has no CORS headers."""
    route.continue_(headers={**route.request.headers, "authorization": "Bearer expired"})


def new_tab(context: BrowserContext, world: World, shots: Path) -> Visitor:
    """Opens a tab for a visitor."""
    return Visitor(context.new_page(), world, shots)
