"""A user of the application with a browser, who goes through Finch Connect and returns."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from json import dumps
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

from local.fake_finch.seed_world import HARBOR_LANE, MAYA
from tests.support.api_description import assert_matches_description
from tests.support.deployed import Deployed, Reply


@dataclass
class Browser:
    """A browser with a cookie jar; every request goes to the API's host."""

    deployed: Deployed
    cookies: dict[str, str] = field(default_factory=dict)

    def navigate(self, url: str) -> Reply:
        """Follows a link or a redirect: the browser sends Lax cookies, from any site."""
        return self._send("GET", url, {}, None, with_cookies=True)

    def fetch(
        self, method: str, path: str, headers: Mapping[str, str], body: Any, *, same_site: bool
    ) -> Reply:
        """Sends a script's request with credentials; from another site without Lax cookies."""
        return self._send(method, path, headers, body, with_cookies=same_site)

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: Any, *, with_cookies: bool
    ) -> Reply:
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        sent = dict(headers)
        if with_cookies and self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else dumps(body).encode()
            sent["content-type"] = "application/json"
        reply = self.deployed.api.send(method, path, headers=sent, body=data)
        for cookie in reply.set_cookies if with_cookies else ():
            pair, *attributes = cookie.split("; ")
            name, _, value = pair.partition("=")
            # Browsers require this of a name with this prefix (RFC 6265bis section 4.1.3).
            assert name.startswith("__Host-")
            assert {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} <= set(attributes)
            if "Max-Age=0" in attributes:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return reply


@dataclass(frozen=True)
class Landing:
    """The application's page after a callback: its URL, the outcome, the completion code, the reference."""

    page: str
    outcome: dict[str, str]
    completion: str | None
    reference: str | None

    @classmethod
    def of(cls, reply: Reply) -> "Landing":
        """Parses a redirect to the application."""
        assert reply.status == 302, reply
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["referrer-policy"] == "no-referrer"
        url = urlsplit(reply.headers["location"])
        fragment = dict(parse_qsl(url.fragment))
        page = url._replace(query="", fragment="").geturl()
        _, _, query = url.query.rpartition("finch=return&")
        outcome = dict(parse_qsl(query))
        reference = outcome.pop("reference", None)
        return cls(page, outcome, fragment.get("completion"), reference)


@dataclass
class Person:
    """A user who is signed in at the application as a customer."""

    deployed: Deployed
    customer_id: str
    same_site: bool = True
    browser: Browser = field(init=False)

    def __post_init__(self) -> None:
        self.browser = Browser(self.deployed)

    def call(self, method: str, path: str, body: Any = None) -> Reply:
        """Sends a request as the application's page does; checks it against the description."""
        customer_id = self.deployed.customer_id(self.customer_id)
        headers = {"authorization": f"Bearer {self.deployed.token(customer_id)}"}
        reply = self.browser.fetch(method, path, headers, body, same_site=self.same_site)
        assert_matches_description(method, path, reply)
        return reply

    def start(self, **body: Any) -> Reply:
        """Clicks "Connect"."""
        body = {
            "products": ["company", "directory"],
            "return_to": self.deployed.return_urls[0],
        } | body
        return self.call("POST", "/connect-sessions", body)

    def link(self, **body: Any) -> str:
        """Starts a connect session and returns its link."""
        reply = self.start(**body)
        assert reply.status == 201, reply.text
        return str(reply.json["connect_url"])

    def click(self, link: str) -> "FinchPage":
        """Follows a link to Finch Connect."""
        reply = self.browser.navigate(link)
        assert reply.status == 302, reply
        assert "/authorize?" in reply.headers["location"], reply.headers["location"]
        return FinchPage.at(reply.headers["location"])

    def log_in(
        self,
        page: "FinchPage",
        provider_id: str = "gusto",
        login: str = MAYA,
        company_id: str = HARBOR_LANE.id,
        products: Sequence[str] = ("company", "directory"),
    ) -> str:
        """Completes Finch Connect; returns the URL to which Finch redirects the browser."""
        authorized = self.deployed.finch.authorize(
            page.session_id,
            provider_id=self.deployed.finch_id(provider_id),
            login=login,
            company_id=self.deployed.finch_id(company_id),
            products=products,
            state=page.state,
        )
        assert authorized.redirect_to is not None
        return authorized.redirect_to

    def come_back(self, url: str) -> Landing:
        """Follows Finch's redirect through the callback to the application."""
        return Landing.of(self.browser.navigate(url))

    def go_through(self, link: str, **choices: Any) -> Landing:
        """Goes from the click on a link to the application's page."""
        return self.come_back(self.log_in(self.click(link), **choices))

    def connect(
        self, products: Sequence[str] = ("company", "directory"), **choices: Any
    ) -> Landing:
        """Goes the whole way, from "Connect" to the application's page."""
        link = self.link(products=list(products))
        return self.go_through(link, products=products, **choices)

    def repair_link(self, provider_id: str = "gusto", company_id: str = HARBOR_LANE.id) -> str:
        """Starts a repair of a connection and returns its link."""
        path = self.path(provider_id, company_id) + "/reauthenticate"
        reply = self.call("POST", path, {"return_to": self.deployed.return_urls[0]})
        assert reply.status == 201, reply.text
        return str(reply.json["connect_url"])

    def repair(self, **choices: Any) -> Landing:
        """Goes the whole way of a repair, from its button to the application's page."""
        return self.go_through(self.repair_link(), **choices)

    def come_back_in_tabs(self, url: str, tabs: int) -> list[Landing]:
        """Follows Finch's redirect in several tabs of this browser at once."""

        def tab(cookies: Mapping[str, str]) -> Landing:
            person = Person(self.deployed, self.customer_id)
            person.browser.cookies = dict(cookies)
            return person.come_back(url)

        with ThreadPoolExecutor(16) as threads:
            return list(threads.map(tab, [dict(self.browser.cookies)] * tabs))

    def confirm(self, completion: str) -> Reply:
        """Confirms the connection with its completion code."""
        return self.call("POST", "/callback", {"completion": completion})

    def connections(self, **query: Any) -> list[dict[str, Any]]:
        """All connections of the customer, from all pages of the list."""
        found: list[dict[str, Any]] = []
        cursor = None
        while True:
            asked = query | ({"cursor": cursor} if cursor else {})
            reply = self.call("GET", "/connections" + (f"?{urlencode(asked)}" if asked else ""))
            assert reply.status == 200, reply.text
            found += reply.json["connections"]
            cursor = reply.json["next_cursor"]
            if cursor is None:
                return found

    def connection(self, provider_id: str = "gusto", company_id: str = HARBOR_LANE.id) -> Any:
        """One connection."""
        reply = self.call("GET", self.path(provider_id, company_id))
        assert reply.status == 200, reply.text
        return reply.json

    def disconnect(self, provider_id: str = "gusto", company_id: str = HARBOR_LANE.id) -> Reply:
        """Disconnects one connection."""
        return self.call("DELETE", self.path(provider_id, company_id))

    def path(self, provider_id: str = "gusto", company_id: str = HARBOR_LANE.id) -> str:
        """The route of one connection of the customer."""
        return connection_path(
            self.deployed.finch_id(provider_id),
            self.deployed.shown_company_id(provider_id, company_id),
        )

    def disconnect_entity(
        self, entity_id: str, provider_id: str = "gusto", company_id: str = HARBOR_LANE.id
    ) -> Reply:
        """Disconnects one entity of a connection."""
        path = self.path(provider_id, company_id)
        return self.call("DELETE", f"{path}/entities/{path_segment(entity_id)}")


@dataclass(frozen=True)
class FinchPage:
    """Finch Connect's page, as the browser reached it."""

    session_id: str
    state: str

    @classmethod
    def at(cls, url: str) -> "FinchPage":
        """The page at this URL."""
        query = parse_qs(urlsplit(url).query)
        return cls(query["session"][0], query["state"][0])


def connection_path(provider_id: str, company_id: str) -> str:
    """The route of one connection, as docs/api.md describes it for callers."""
    return f"/connections/{path_segment(provider_id)}/{path_segment(company_id)}"


def path_segment(text: str) -> str:
    """An id in a path: `~` and two hex digits stand for each byte to escape."""
    if text in (".", ".."):
        return text.replace(".", "~2E")
    return quote(text.replace("~", "~7E"), safe="").replace("%", "~")


def without_state(url: str) -> str:
    """The callback URL of a Finch that does not echo `state`."""
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "state"]
    return parts._replace(query=urlencode(query)).geturl()


def rename_at_finch(deployed: Deployed, **ids: str) -> None:
    """Makes Finch answer these ids of a connection, such as `company_id`."""
    for path in ("/auth/token", "/introspect"):
        deployed.finch.faults.add("*", path, times=None, edit={"set": ids})
