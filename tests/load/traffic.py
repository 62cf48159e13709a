"""The traffic of a load test: the actions of users and backends, which continue after failures."""

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

from local.fake_finch.records import CannotAuthorize
from local.fake_finch.refusals import NotFound
from local.fake_finch.state import FinchState
from local.world import World
from tests.support.deployed import Deployed, Reply
from tests.support.person import FinchPage, Person

PROVIDERS = ("gusto", "justworks", "rippling")
# Temporary outcomes: another callback with the same code may have a final outcome.
TEMPORARY = {"pending", "finch_unavailable", "internal_error", "http 500", "http 503", "no answer"}
# The limit of a run on a fast machine.
MOST_REQUESTS = 200_000


@dataclass
class Tally:
    """Counts of actions by outcome. Its methods are safe in any thread."""

    requests: int = 0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, action: str, outcome: str) -> str:
        """Counts a request with its outcome; returns the outcome."""
        with self._lock:
            self.requests += 1
            self.outcomes[action, outcome] += 1
        return outcome

    def report(self, fault: str) -> None:
        """Records a broken promise."""
        with self._lock:
            self.broken.append(fault)


@dataclass(frozen=True)
class Login:
    """A login that a customer can use at Finch Connect."""

    provider_id: str
    username: str
    company_id: str


@dataclass
class Gate:
    """Stops the traffic while the world restarts."""

    _open: threading.Event = field(default_factory=threading.Event)
    _busy: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def open(self) -> None:
        """Starts the traffic."""
        self._open.set()

    def shut(self, seconds: float) -> None:
        """Prevents new actions, and waits up to `seconds` for the actions in progress."""
        self._open.clear()
        with self._changed:
            self._changed.wait_for(lambda: self._busy == 0, timeout=seconds)

    def passing(self, work: Callable[[], None]) -> None:
        """Runs `work` when the gate is open."""
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
    """The users of a customer. They act one after the other."""

    world: Callable[[], World]
    deployed: Callable[[], Deployed]
    customer_id: str
    logins: list[Login]
    tally: Tally
    chance: random.Random

    def act(self) -> None:
        """Does a random action."""
        action: Callable[[], None] = self.chance.choices(
            [self.connect, self.look, self.disconnect, self.repair, self.vend, self.embed],
            [30, 25, 18, 10, 12, 5],
        )[0]
        try:
            action()
        except (httpx.HTTPError, BotoCoreError, ClientError, ConnectionError):
            self.tally.note(action.__name__, "no answer")
        except CannotAuthorize:
            self.tally.note(action.__name__, "finch connect refused")
        except NotFound:
            # Finch ended the connection but its answer was lost, so it is still `disconnecting` here.
            self.tally.note(action.__name__, "ended at finch")
        except Exception as error:
            # The other customers continue, and the run reports the error.
            self.tally.report(f"{action.__name__}: {type(error).__name__}: {error}")

    @property
    def finch(self) -> FinchState:
        """The fake Finch of the current world. A restart creates another object."""
        return self.world().finch

    def connect(self) -> None:
        """Connects, sometimes in several tabs and sometimes with a confirmation."""
        person = Person(self.deployed(), self.customer_id, same_site=self.chance.random() < 0.7)
        link = self._begin(person, "POST", "/connect-sessions", {"products": ["company"]})
        if link:
            self._go_through(person, link, self.chance.choice(self.logins))

    def repair(self) -> None:
        """Breaks a login at Finch, and repairs it as a user of the customer."""
        person = Person(self.deployed(), self.customer_id)
        mine = [connection for connection in self._listed(person) if connection["logins"]]
        if not mine:
            return
        broken = self.chance.choice(mine)
        login = self.chance.choice(broken["logins"])
        self.finch.set_connection_status(login["connection_id"], "reauth")
        path = f"/connections/{broken['provider_id']}/{broken['company_id']}/reauthenticate"
        link = self._begin(person, "POST", path, {})
        usable = [each for each in self.logins if each.provider_id == broken["provider_id"]]
        if link and usable:
            self._go_through(person, link, self.chance.choice(usable))
        self.finch.set_connection_status(login["connection_id"], "connected")

    def look(self) -> None:
        """Reads the list and a connection of it."""
        person = Person(self.deployed(), self.customer_id)
        mine = self._listed(person)
        if mine:
            shown = self.chance.choice(mine)
            path = f"/connections/{shown['provider_id']}/{shown['company_id']}"
            self._seen("show", person.call("GET", path))

    def disconnect(self) -> None:
        """Disconnects a connection, sometimes twice at the same time."""
        person = Person(self.deployed(), self.customer_id)
        mine = [shown for shown in self._listed(person) if shown["status"] != "disconnected"]
        if not mine:
            return
        chosen = self.chance.choice(mine)

        def end() -> None:
            reply = person.disconnect(chosen["provider_id"], chosen["company_id"])
            self._seen("disconnect", reply)

        times = 2 if self.chance.random() < 0.2 else 1
        with ThreadPoolExecutor(times) as threads:
            for done in [threads.submit(end) for _ in range(times)]:
                done.result()

    def vend(self) -> None:
        """Requests a token as a backend, and sometimes reports that it does not work."""
        login = self.chance.choice(self.logins)
        request = {
            "customer_id": self.customer_id,
            "provider_id": login.provider_id,
            "company_id": login.company_id,
            "products": [],
            "purpose": "load",
            "caller": "load",
        }
        vended = self._invoke(request)
        if "token" in vended and self.chance.random() < 0.3:
            token_id = vended["token"]["token_id"]
            self._invoke(request | {"report": "unauthorized", "token_id": token_id})

    def embed(self) -> None:
        """Connects with the embedded flow."""
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
        if len({outcome for outcome, _ in ends} - TEMPORARY) > 1:
            self.tally.report(f"P2: callbacks with one code ended as {ends}")
        completions = [completion for _, completion in ends if completion]
        if completions and self.chance.random() < 0.7:
            self._seen("confirm", person.confirm(completions[0]))

    def _return(self, person: Person, url: str) -> tuple[str, str | None]:
        """The outcome of a return to the application, and its completion code."""
        try:
            reply = person.browser.navigate(url)
        except httpx.HTTPError:
            return self.tally.note("return", "no answer"), None
        if reply.status != 302:
            return self.tally.note("return", f"http {reply.status}"), None
        landed = urlsplit(reply.headers["location"])
        query = dict(parse_qsl(landed.query))
        outcome = self.tally.note("return", query.get("error") or query.get("status", "?"))
        return outcome, dict(parse_qsl(landed.fragment)).get("completion")

    def _invoke(self, request: dict[str, Any]) -> Any:
        answer = (
            self.world()
            .aws.client("lambda")
            .invoke(FunctionName=self.world().alias("VendToken"), Payload=json.dumps(request))
        )
        content = json.load(answer["Payload"])
        if "FunctionError" in answer:
            self.tally.note("vend", "failed")
            return {}
        outcome = "vended" if "token" in content else content.get("reason", "reported")
        self.tally.note("vend", outcome)
        return content

    def _seen(self, action: str, reply: Reply) -> str:
        """Counts an answer. A failure must have our failure shape or API Gateway's."""
        outcome = str(reply.status)
        if reply.headers.get("content-type") == "application/problem+json":
            outcome = reply.code
        elif reply.status >= 400 and "message" not in reply.text:
            self.tally.report(
                f"P10: {action} was answered {reply.status} in another shape than ours"
            )
        return self.tally.note(action, outcome)


def customers(
    world: Callable[[], World], deployed: Callable[[], Deployed], number: int, tally: Tally
) -> list[Customer]:
    """Customers with their own employers, and with an employer that all of them can log in to."""
    finch = world().finch
    shared = finch.add_company("Shared Payroll Office")
    found = []
    for n in range(number):
        customer_id = f"customer-{n}"
        logins = []
        for provider_id in PROVIDERS:
            company = finch.add_company(f"Employer {n} at {provider_id}")
            for name in ("first", "second"):
                username = f"{name}@{customer_id}.example"
                finch.add_login(provider_id, username, [company, shared])
                logins.append(Login(provider_id, username, company))
        logins.append(Login(PROVIDERS[0], f"first@{customer_id}.example", shared))
        chance = random.Random(n)  # noqa: S311
        found.append(Customer(world, deployed, customer_id, logins, tally, chance))
    return found


def keep_busy(customer: Customer, gate: Gate, until: float, pause: float) -> None:
    """Makes a customer act until the given time, with a pause after each action."""
    while time.monotonic() < until and customer.tally.requests < MOST_REQUESTS:
        gate.passing(customer.act)
        time.sleep(pause * customer.chance.uniform(0.5, 1.5))
