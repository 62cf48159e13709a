"""What people, backends and Finch do to the product while it is under load, without minding failures."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from botocore.exceptions import BotoCoreError, ClientError

from local.fake_finch.refusals import NotFound
from local.fake_finch.state import CannotAuthorize, FinchState
from local.world import World
from tests.support.deployed import Deployed, Reply
from tests.support.person import FinchPage, Person

PROVIDERS = ("gusto", "justworks", "rippling")
# Answers that say what is so for now: another one with the same code may say more.
FOR_NOW = {"pending", "finch_unavailable", "internal_error", "http 500", "http 503", "no answer"}
# No run sends more, however fast the machine is.
MOST_REQUESTS = 200_000


@dataclass
class Tally:
    """What was done and how it ended; safe to use from any thread."""

    requests: int = 0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str, outcome: str) -> str:
        """Counts one request and how it ended."""
        with self._lock:
            self.requests += 1
            self.outcomes[what, outcome] += 1
        return outcome

    def complain(self, about: str) -> None:
        """Notes a promise that was seen broken."""
        with self._lock:
            self.broken.append(about)


@dataclass(frozen=True)
class Login:
    """Where a customer may log in at Finch Connect."""

    provider_id: str
    username: str
    company_id: str


@dataclass
class Gate:
    """Shut while the world is stopped and started again: nobody sends anything then."""

    _open: threading.Event = field(default_factory=threading.Event)
    _busy: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def open(self) -> None:
        """Lets everybody go on."""
        self._open.set()

    def shut(self, seconds: float) -> None:
        """Lets nobody begin any more; what is under way is left `seconds` to end, and then not minded."""
        self._open.clear()
        with self._changed:
            self._changed.wait_for(lambda: self._busy == 0, timeout=seconds)

    def passing(self, work: Callable[[], None]) -> None:
        """Does something while the gate is open."""
        self._open.wait()
        with self._changed:
            self._busy += 1
        try:
            work()
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()


@dataclass
class Customer:
    """One customer's people, who do one thing after another."""

    world: Callable[[], World]
    deployed: Callable[[], Deployed]
    customer_id: str
    logins: list[Login]
    tally: Tally
    chance: random.Random

    def act(self) -> None:
        """Does one of the things that people do."""
        doing: Callable[[], None] = self.chance.choices(
            [self.connect, self.look, self.disconnect, self.repair, self.vend, self.embed],
            [30, 25, 18, 10, 12, 5],
        )[0]
        try:
            doing()
        except (httpx.HTTPError, BotoCoreError, ClientError, ConnectionError):
            self.tally.note(doing.__name__, "no answer")
        except CannotAuthorize:
            self.tally.note(doing.__name__, "finch connect refused")
        except NotFound:
            # Ended at Finch, whose answer was lost: it is still on its way out here.
            self.tally.note(doing.__name__, "over at finch")
        except Exception as error:
            # Whatever it is, the others go on, and it is told.
            self.tally.complain(f"{doing.__name__}: {type(error).__name__}: {error}")

    @property
    def finch(self) -> FinchState:
        """The fake Finch, which is another object after the world was started again."""
        return self.world().finch

    def connect(self) -> None:
        """From "Connect" to the landing, sometimes in several tabs, sometimes with a confirmation."""
        person = Person(self.deployed(), self.customer_id, same_site=self.chance.random() < 0.7)
        link = self._begin(person, "POST", "/connect-sessions", {"products": ["company"]})
        if link:
            self._go_through(person, link, self.chance.choice(self.logins))

    def repair(self) -> None:
        """Somebody's login breaks at Finch, and one of the customer's people repairs it."""
        person = Person(self.deployed(), self.customer_id)
        mine = [one for one in self._listed(person) if one["logins"]]
        if not mine:
            return
        broken = self.chance.choice(mine)
        login = self.chance.choice(broken["logins"])
        self.finch.set_connection_status(login["connection_id"], "reauth")
        path = f"/connections/{broken['provider_id']}/{broken['company_id']}/reauthenticate"
        link = self._begin(person, "POST", path, {})
        where = [one for one in self.logins if one.provider_id == broken["provider_id"]]
        if link and where:
            self._go_through(person, link, self.chance.choice(where))
        self.finch.set_connection_status(login["connection_id"], "connected")

    def look(self) -> None:
        """Looks at the list, and at one of them."""
        person = Person(self.deployed(), self.customer_id)
        mine = self._listed(person)
        if mine:
            one = self.chance.choice(mine)
            path = f"/connections/{one['provider_id']}/{one['company_id']}"
            self._seen("show", person.call("GET", path))

    def disconnect(self) -> None:
        """Disconnects one, sometimes twice at once."""
        person = Person(self.deployed(), self.customer_id)
        mine = [one for one in self._listed(person) if one["status"] != "disconnected"]
        if not mine:
            return
        one = self.chance.choice(mine)

        def end() -> None:
            self._seen("disconnect", person.disconnect(one["provider_id"], one["company_id"]))

        times = 2 if self.chance.random() < 0.2 else 1
        with ThreadPoolExecutor(times) as threads:
            for done in [threads.submit(end) for _ in range(times)]:
                done.result()

    def vend(self) -> None:
        """A backend asks for a token, and sometimes reports that it does not work."""
        login = self.chance.choice(self.logins)
        asked = {
            "customer_id": self.customer_id,
            "provider_id": login.provider_id,
            "company_id": login.company_id,
            "products": [],
            "purpose": "load",
            "caller": "load",
        }
        said = self._invoke(asked)
        if "token" in said and self.chance.random() < 0.3:
            token_id = said["token"]["token_id"]
            self._invoke(asked | {"report": "unauthorized", "token_id": token_id})

    def embed(self) -> None:
        """The embedded flow."""
        person = Person(self.deployed(), self.customer_id)
        body = {"products": ["company"], "mode": "embedded"}
        started = person.call("POST", "/connect-sessions", body)
        if self._seen("start", started) != "201":
            return
        login = self.chance.choice(self.logins)
        page = FinchPage(started.json["session_id"], started.json["state"])
        code = self.finch.authorize(
            page.session_id,
            provider_id=login.provider_id,
            login=login.username,
            company_id=login.company_id,
        ).code
        answer = person.call("POST", "/callback", {"code": code, "state": page.state})
        self._seen("finish embedded", answer)

    def _listed(self, person: Person) -> list[Any]:
        reply = person.call("GET", "/connections")
        listed: list[Any] = reply.json["connections"] if reply.status == 200 else []
        self._seen("list", reply)
        return listed

    def _begin(self, person: Person, method: str, path: str, body: dict[str, Any]) -> str | None:
        reply = person.call(method, path, body | {"return_to": self.deployed().return_urls[0]})
        return str(reply.json["connect_url"]) if self._seen("start", reply) == "201" else None

    def _go_through(self, person: Person, link: str, login: Login) -> None:
        location = person.browser.navigate(link).headers.get("location", "")
        if "/authorize?" not in location:
            self.tally.note("click", dict(parse_qsl(urlsplit(location).query)).get("error", "?"))
            return
        self.tally.note("click", "ok")
        page = FinchPage.at(location)
        url = self.finch.authorize(
            page.session_id,
            provider_id=login.provider_id,
            login=login.username,
            company_id=login.company_id,
            state=page.state,
        ).redirect_to
        assert url
        tabs = 3 if self.chance.random() < 0.15 else 1
        cookies = dict(person.browser.cookies)

        def tab(_: int) -> tuple[str, str | None]:
            mine = Person(self.deployed(), self.customer_id, person.same_site)
            mine.browser.cookies = dict(cookies)
            return self._return(mine, url)

        with ThreadPoolExecutor(tabs) as threads:
            ends = list(threads.map(tab, range(tabs)))
        if len({word for word, _ in ends} - FOR_NOW) > 1:
            self.tally.complain(f"P2: callbacks with one code ended as {ends}")
        completions = [completion for _, completion in ends if completion]
        if completions and self.chance.random() < 0.7:
            self._seen("confirm", person.confirm(completions[0]))

    def _return(self, person: Person, url: str) -> tuple[str, str | None]:
        """The word that a return ended with, and its completion code."""
        try:
            reply = person.browser.navigate(url)
        except httpx.HTTPError:
            return self.tally.note("return", "no answer"), None
        if reply.status != 302:
            return self.tally.note("return", f"http {reply.status}"), None
        landed = urlsplit(reply.headers["location"])
        query = dict(parse_qsl(landed.query))
        word = self.tally.note("return", query.get("error") or query.get("status", "?"))
        return word, dict(parse_qsl(landed.fragment)).get("completion")

    def _invoke(self, asked: dict[str, Any]) -> Any:
        answer = (
            self.world()
            .aws.client("lambda")
            .invoke(FunctionName=self.world().physical_id("VendToken"), Payload=json.dumps(asked))
        )
        said = json.load(answer["Payload"])
        if "FunctionError" in answer:
            self.tally.note("vend", "failed")
            return {}
        word = "vended" if "token" in said else said.get("reason", "reported")
        self.tally.note("vend", word)
        return said

    def _seen(self, what: str, reply: Reply) -> str:
        """Counts an answer; a failure must have our one shape, or be the gateway's own."""
        word = str(reply.status)
        if reply.headers.get("content-type") == "application/problem+json":
            word = reply.code
        elif reply.status >= 400 and "message" not in reply.text:
            self.tally.complain(f"P10: {what} was answered {reply.status} in no shape of ours")
        return self.tally.note(what, word)


def customers(
    world: Callable[[], World], deployed: Callable[[], Deployed], number: int, tally: Tally
) -> list[Customer]:
    """Customers with employers of their own, and one that all of them can log in to."""
    finch = world().finch
    shared = finch.add_company("Shared Payroll Office")
    found = []
    for n in range(number):
        customer_id = f"customer-{n}"
        logins = []
        for provider_id in PROVIDERS:
            company = finch.add_company(f"Employer {n} at {provider_id}")
            for who in ("first", "second"):
                username = f"{who}@{customer_id}.example"
                finch.add_login(provider_id, username, [company, shared])
                logins.append(Login(provider_id, username, company))
        logins.append(Login(PROVIDERS[0], f"first@{customer_id}.example", shared))
        chance = random.Random(n)  # noqa: S311
        found.append(Customer(world, deployed, customer_id, logins, tally, chance))
    return found


def keep_busy(customer: Customer, gate: Gate, until: float, pause: float) -> None:
    """Lets a customer do things until then, with a pause after each."""
    while time.monotonic() < until and customer.tally.requests < MOST_REQUESTS:
        gate.passing(customer.act)
        time.sleep(pause * customer.chance.uniform(0.5, 1.5))
