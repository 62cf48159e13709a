"""Everything that may happen, in any order: people, Finch, AWS, the queue, time and an operator."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any, ClassVar

import httpx
from botocore.exceptions import ClientError
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.utilities import dynamo_to_dict
from moto.sqs.models import Message

from functions.process_work import handler as process_work_handler
from local.fake_finch.records import CannotAuthorize, Connection
from local.fake_finch.refusals import ReauthenticateUser
from local.fake_finch.seed_world import HARBOR_LANE, JUNIPER_VALE, MAYA, OWEN, TALLY
from tests.fault_injection.faults import faults_of
from tests.stateful.truth import Trip, Truth
from tests.support.deployed import Api, Reply
from tests.support.in_process import Call, InProcess, Stopped
from tests.support.invariants import Kept, Row, broken
from tests.support.person import FinchPage, Landing, Person, connection_path

REGION = "eu-west-1"

type Send = Callable[[], Any]

CUSTOMERS = ("acme", "globex")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BOTH = ("company", "directory")
PAUSES = (MINUTE, 5 * MINUTE, HOUR, 3 * HOUR, DAY, 3 * DAY, 8 * DAY)
# Longer than a second click leads to the same page of Finch Connect, which lives for an hour.
_FINCH_SESSION_REUSE = timedelta(minutes=51)
# How often the world tries at the end to get rid of everything.
_ROUNDS = 10


@dataclass(frozen=True)
class Place:
    """What somebody types in at Finch Connect."""

    provider_id: str
    login: str
    company_id: str


PLACES = (
    Place("gusto", MAYA, HARBOR_LANE.id),
    Place("gusto", OWEN, HARBOR_LANE.id),
    Place("gusto", TALLY, HARBOR_LANE.id),
    Place("gusto", TALLY, JUNIPER_VALE.id),
    Place("justworks", MAYA, HARBOR_LANE.id),
)
# What Finch does not say, where one may think otherwise than the fake Finch does by itself.
FINCHES: tuple[dict[str, Any], ...] = (
    {},
    {"echo_state": False},
    {"other_login_same_connection": True},
    {"disconnect_scope": "employer_provider"},
    {"disconnect_in_reauth": "reauthenticate_user"},
    {"reauth_kills_old_tokens": True},
    {"session_single_use": True},
    {"token_company_id": "absent"},
    {"token_company_id": "absent", "introspect_company_id": "absent"},
    {"token_customer_id": "absent", "introspect_customer_id": "absent"},
    {"introspect_names_first_customer": True, "reauth_may_change_company": True},
    {"reauth_may_change_company": True},
    {"reauth_may_change_company": True, "reauth_kills_old_tokens": True},
)
# What Finch does for a while, and with which of its answers.
WEATHERS = (
    ("", "not reached"),
    ("", "500 server_error"),
    ("", "429 finch_api_ip_rl"),
    ("", "timeout"),
    ("", "timeout after"),
    ("/introspect", "500 server_error"),
    ("/auth/token", "timeout after"),
    ("/disconnect", "timeout after"),
    ("/disconnect", "502 upstream_provider_error"),
    ("/disconnect", "403 insufficient_account_permissions"),
    ("/disconnect", "403 insufficient_scope_error"),
    ("/disconnect", "200 html"),
)


@dataclass(frozen=True)
class Trouble:
    """What goes wrong in a step, at the `at`-th of its calls `to` Finch, of its writes, or of all.

    Its process is stopped, the call fails in the `pick`-th way there is (`on` and on), its answer
    is lost in one of the ways there are, or somebody else does something `meanwhile`.
    """

    at: int
    kind: str
    to: str = ""
    pick: int = 0
    on: bool = False

    def is_about(self, call: Call) -> bool:
        """Whether this call counts."""
        match self.to:
            case "finch":
                return call.service == "finch"
            case "writes":
                return call.service != "finch" and call.operation.startswith(_WRITES)
        return True


_WRITES = ("Put", "Update", "Delete", "Transact", "Send", "Encrypt")
_AFTER = (" after", "truncated", "html", "truly", "timeout")
_KINDS = st.sampled_from(
    ("stop before", "stop after", "fault", "lost", "meanwhile before", "meanwhile after")
)
_PICKS = st.integers(0, 40)
TROUBLES = st.one_of(
    st.none(),
    st.builds(Trouble, st.integers(1, 18), _KINDS, st.just(""), _PICKS, st.booleans()),
    st.builds(Trouble, st.integers(1, 4), _KINDS, st.just("finch"), _PICKS, st.booleans()),
    st.builds(Trouble, st.integers(1, 9), _KINDS, st.just("writes"), _PICKS, st.booleans()),
)
LOST_AT_FINCH = st.builds(Trouble, st.integers(1, 2), st.just("lost"), st.just("finch"), _PICKS)
WHO = st.sampled_from(CUSTOMERS)
WHICH = st.integers(0, 5)
PRODUCTS = st.sampled_from((BOTH, ("company",), ("directory",)))
HOME = st.sampled_from((True, True, False))


@dataclass
class Attempt:
    """A link to connect, or an embedded session, and the page that it led to."""

    customer_id: str
    link: str | None
    page: FinchPage | None = None
    repairs: bool = False


@dataclass(frozen=True)
class _SlowApi:
    """The API, with time passing at each request."""

    world: InProcess

    def send(self, method: str, path: str, **request: Any) -> Reply:
        self.world.clock.advance(timedelta(seconds=1))
        return self.world.api.send(method, path, **request)


@dataclass
class _Opener:
    """KMS, that opens the same thing once: nothing else is looked at so often."""

    kms: Any
    opened: dict[tuple[bytes, str], Any] = field(default_factory=dict)

    def decrypt(self, **asked: Any) -> Any:
        name = (bytes(asked["CiphertextBlob"]), repr(sorted(asked["EncryptionContext"].items())))
        if name not in self.opened:
            self.opened[name] = self._ask(asked)
        if isinstance(self.opened[name], ClientError):
            raise self.opened[name]
        return self.opened[name]

    def _ask(self, asked: Any) -> Any:
        try:
            return self.kms.decrypt(**asked)
        except ClientError as error:
            return error


class Broken(AssertionError):
    """Something that was promised does not hold."""


class Model(RuleBasedStateMachine):
    """Finch Connections in its world. `world` and `seed` are given by whoever runs it."""

    world: ClassVar[InProcess]
    seed: ClassVar[Callable[[], None]]
    steps: ClassVar[int] = 0
    examples: ClassVar[int] = 0
    ran: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.world.reset()
        Model.seed()
        opener: Any = _Opener(self.world.kms)
        self.truth = Truth(self.world, replace(self.world, kms=opener))
        api: Api = _SlowApi(self.world)
        deployed = replace(self.world, api=api)
        self.people = {
            (customer_id, home): Person(deployed, customer_id, same_site=home)
            for customer_id in CUSTOMERS
            for home in (True, False)
        }
        self.attempts: list[Attempt] = []
        self.trips: list[Trip] = []
        self.messages: list[Message] = []
        self.kept = Kept(self.truth.shown)
        self.weather: tuple[str, str] | None = None
        self._trouble: Trouble | None = None
        self._calls = 0
        self._struck: Call | None = None
        self._depth = 0
        self._delivering = False
        self._kept_off: list[Message] = []
        self._in_step = False
        self._lied = False
        self.world.border.guard = self._guard

    @initialize(switches=st.sampled_from(FINCHES))
    def finch_is(self, switches: dict[str, Any]) -> None:
        self.world.finch.change_switches(**switches)

    # What goes wrong

    def _guard(self, call: Call, send: Send) -> Any:
        send = self._noting(call, send)
        if self._depth:
            return self._weathered(call, send)
        trouble, struck = self._trouble, self._struck
        if trouble is None or not trouble.is_about(call):
            return self._weathered(call, send)
        self._calls += 1
        if self._calls == trouble.at:
            self._struck = call
        elif not (
            trouble.on
            and struck
            and (call.service, call.operation) == (struck.service, struck.operation)
        ):
            return self._weathered(call, send)
        match trouble.kind:
            case "stop before":
                raise Stopped
            case "stop after":
                with suppress(Exception):
                    self._weathered(call, send)
                raise Stopped
            case "fault" | "lost":
                return self._strike(trouble, call, send)
            case "meanwhile before":
                self._meanwhile(trouble.pick)
                return self._weathered(call, send)
            case _:
                answer = self._weathered(call, send)
                self._meanwhile(trouble.pick)
                return answer

    def _strike(self, trouble: Trouble, call: Call, send: Send) -> Any:
        faults = list(faults_of(call))
        if trouble.kind == "lost":
            faults = [one for one in faults if one.name.endswith(_AFTER)] or faults
        fault = faults[trouble.pick % len(faults)]
        if fault.name.endswith("wrongly"):
            # What Finch says wrongly again and again is believed.
            if self._lied:
                return self._weathered(call, send)
            self._lied = True
        strike = fault.strike
        if fault.name.endswith("truly"):
            return self.truth.ends_by_itself(lambda: strike(self.world, call, send))
        return strike(self.world, call, send)

    def _weathered(self, call: Call, send: Send) -> Any:
        if self.weather and call.service == "finch":
            path, name = self.weather
            if call.operation.endswith(path):
                for fault in faults_of(call):
                    if fault.name == name:
                        return fault.strike(self.world, call, send)
        return send()

    def _noting(self, call: Call, send: Send) -> Send:
        """What sends a call, and takes note of what comes of it outside."""
        if call.operation == "GetItem" and "ProjectionExpression" not in call.arguments:
            return lambda: _get_item(call.arguments)
        if call.operation == "POST /auth/token":
            request: httpx.Request = call.arguments
            code = _json(request)["code"]
            return lambda: self.truth.mint(request, code, send)
        if call.operation == "TransactWriteItems":

            def looking() -> Any:
                answer = send()
                self.truth.look()
                return answer

            return looking
        return send

    def _meanwhile(self, pick: int) -> None:
        """Another process does something between two calls of this one."""
        trip = self.trips[-1] if self.trips else None
        customer_id = trip.customer_id if trip else CUSTOMERS[0]
        self._depth += 1
        try:
            match pick % 6:
                case 0 if trip:
                    self._come_back(trip, self.people[customer_id, True])
                case 1:
                    self._disconnect_every(customer_id)
                case 2 if not self._delivering:
                    self.world.clock.advance(MINUTE)
                    self._deliver()
                case 2:
                    self._deliver_beside()
                case 3 if trip and trip.completion:
                    self._confirm(trip, customer_id)
                case 4:
                    self._connect(customer_id, True, PLACES[0], BOTH)
                case 5:
                    other = next(one for one in CUSTOMERS if one != customer_id)
                    self._connect(other, True, PLACES[0], BOTH)
        finally:
            self._depth -= 1

    @contextmanager
    def _step(self, name: str, trouble: Trouble | None = None) -> Iterator[None]:
        """One thing that happens, with what goes wrong in it; afterwards every promise holds."""
        Model.steps += 1
        Model.ran[name] += 1
        self._in_step = True
        self.world.queue.deliveries[0] = 0
        self._trouble, self._calls, self._struck = trouble, 0, None
        yield
        self._trouble = None
        if trouble and self._struck:
            Model.ran[f"({trouble.kind})"] += 1
        self._check()
        self._in_step = False

    def _check(self, *, at_rest: bool = False) -> None:
        self.kept = kept = self.truth.look()
        found = broken(
            self.truth.shown,
            self.truth.watch,
            self.world.border.exchanges,
            at_rest=at_rest,
            lost_at_finch=self.truth.excused(),
        )
        found += self.truth.broken(kept)
        if found:
            raise Broken("; ".join(found))

    # People

    def _stopped(self, reply: Reply) -> bool:
        return reply.status == 502 and "problem" not in reply.headers["content-type"]

    def _start(
        self, customer_id: str, home: bool, place: Place | None, embedded: bool
    ) -> Attempt | None:
        person = self.people[customer_id, home]
        asked: dict[str, Any] = {"mode": "embedded"} if embedded else {}
        reply = person.start(**asked)
        if reply.status != 201:
            assert self._stopped(reply) or reply.code, reply
            return None
        link, page = reply.json.get("connect_url"), None
        if embedded:
            page = FinchPage(reply.json["session_id"], reply.json["state"])
        attempt = Attempt(customer_id, link, page)
        self.attempts.append(attempt)
        return attempt

    def _click(self, attempt: Attempt, person: Person) -> None:
        assert attempt.link
        reply = person.browser.navigate(attempt.link)
        if self._stopped(reply):
            return
        if "/authorize?" in reply.headers["location"]:
            attempt.page = FinchPage.at(reply.headers["location"])
        else:
            assert "error" in Landing.of(reply).outcome

    def _log_in(
        self, attempt: Attempt, place: Place | None, products: Sequence[str]
    ) -> Trip | None:
        """Goes through Finch Connect.

        Who is led to repair a connection logs in to that one, or to another place that Finch offers.
        """
        page, finch = attempt.page, self.world.finch
        if page is None:
            return None
        repaired = finch.session(page.session_id).reauthenticates
        if repaired and not (place and self._may_repair_at(place, finch.connection(repaired))):
            place = _place_of(finch.connection(repaired))
        assert place
        try:
            done = finch.authorize(
                page.session_id,
                provider_id=place.provider_id,
                login=place.login,
                company_id=place.company_id,
                products=products,
                state=page.state,
            )
        except CannotAuthorize:
            return None
        trip = Trip(attempt.customer_id, done.code, page.state, done.redirect_to)
        trip.repairs = repaired if attempt.repairs else None
        self.trips.append(trip)
        self.truth.trips[done.code] = trip
        return trip

    def _may_repair_at(self, place: Place, repaired: Connection) -> bool:
        """Whether somebody who is to log in to a connection again may do so there."""
        return place.provider_id == repaired.provider_id and (
            place.company_id == repaired.company_id
            or self.world.finch.switches.reauth_may_change_company
        )

    def _come_back(self, trip: Trip, person: Person) -> str:
        if trip.url is None:
            body = {"code": trip.code, "state": trip.state}
            if person.customer_id == trip.customer_id:
                self.truth.proven.add(trip.code)
            return self._told(trip, person, person.call("POST", "/callback", body))
        if person.same_site and person.customer_id == trip.customer_id:
            self.truth.proven.add(trip.code)
        reply = person.browser.navigate(trip.url)
        if self._stopped(reply):
            return "stopped"
        landing = Landing.of(reply)
        if landing.completion and person.customer_id == trip.customer_id:
            trip.completion = landing.completion
        return self._told_connected(trip, landing.outcome)

    def _confirm(self, trip: Trip, customer_id: str) -> str:
        person = self.people[customer_id, False]
        if customer_id == trip.customer_id:
            self.truth.proven.add(trip.code)
        assert trip.completion
        return self._told(trip, person, person.confirm(trip.completion))

    def _told(self, trip: Trip, person: Person, reply: Reply) -> str:
        if self._stopped(reply):
            return "stopped"
        if reply.status not in (200, 202):
            return reply.code
        if person.customer_id != trip.customer_id:
            raise Broken(f"M4: {person.customer_id} is told of {trip.customer_id}'s attempt")
        return self._told_connected(trip, reply.json)

    def _told_connected(self, trip: Trip, outcome: Any) -> str:
        if outcome.get("status") == "connected":
            where = outcome["provider_id"], outcome["company_id"]
            if not self.truth.was_attached(trip.code, *where):
                raise Broken(f"M4: {trip.customer_id} is told connected and was not")
            said = str(outcome.get("repaired")).lower()
            if trip.repairs and said != str(self.truth.has_repaired(trip)).lower():
                raise Broken(f"M4: {trip.customer_id} is told repaired={said}, wrongly")
        word = str(outcome.get("error") or outcome.get("status"))
        Model.ran[f"({word})"] += 1
        return word

    def _connect(
        self,
        customer_id: str,
        home: bool,
        place: Place,
        products: Sequence[str],
        *,
        confirms: bool = True,
    ) -> str:
        """From the start to the landing, and to the confirmation where one is asked for."""
        person = self.people[customer_id, home]
        attempt = self._start(customer_id, home, place, embedded=False)
        if attempt is None:
            return "not started"
        self._click(attempt, person)
        trip = self._log_in(attempt, place, products)
        if trip is None:
            return "not at Finch"
        seen = self._come_back(trip, person)
        if seen == "confirm" and trip.completion and confirms:
            seen = self._confirm(trip, customer_id)
        return seen

    def _start_repair(self, row: Row, home: bool) -> Attempt | None:
        """From the button to Finch Connect."""
        customer_id, key = row
        person = self.people[customer_id, home]
        path = connection_path(*key.split("#")) + "/reauthenticate"
        reply = person.call("POST", path, {"return_to": self.world.return_urls[0]})
        if reply.status != 201:
            assert self._stopped(reply) or reply.code, reply
            return None
        attempt = Attempt(customer_id, reply.json["connect_url"], repairs=True)
        self.attempts.append(attempt)
        self._click(attempt, person)
        return attempt

    def _repair(self, row: Row, home: bool, confirms: bool, place: Place | None = None) -> str:
        """From the button to the landing, and to the confirmation where one is asked for."""
        customer_id = row[0]
        person = self.people[customer_id, home]
        attempt = self._start_repair(row, home)
        if attempt is None:
            return "not started"
        trip = self._log_in(attempt, place, BOTH)
        if trip is None:
            return "not at Finch"
        seen = self._come_back(trip, person)
        if seen == "confirm" and trip.completion and confirms:
            seen = self._confirm(trip, customer_id)
        return seen

    def _disconnect(self, row: Row) -> str:
        customer_id, key = row
        before, lived = set(self.truth.watch.seen(row)), self.truth.live()
        self.truth.asks_to_end(row)
        path = connection_path(*key.split("#"))
        reply = self.people[customer_id, True].call("DELETE", path)
        # What was attached while it was under way may have been ended with it.
        self.truth.look()
        self.truth.asks_to_end(row)
        if self._stopped(reply):
            return "stopped"
        if reply.status not in (200, 202):
            return reply.code
        status = str(reply.json["status"])
        if before & lived:
            Model.ran[f"({status})"] += 1
        if status == "disconnected" and before & self.truth.live():
            raise Broken(f"M5: {customer_id} is told disconnected, and it lives at Finch")
        return status

    def _standing(self) -> list[Row]:
        """The connections that there is something to end of."""
        return [row for row in self.kept.connections if self.kept.connection_ids(row)]

    def _several(self) -> list[Row]:
        """The connections with several of Finch's behind them."""
        return [row for row in self.kept.connections if len(self.kept.connection_ids(row)) > 1]

    def _disconnect_every(self, customer_id: str) -> None:
        for row in Kept(self.truth.shown).connections:
            if row[0] == customer_id:
                self._disconnect(row)

    def _deliver(self, *, twice: bool = False) -> None:
        self._delivering = True
        try:
            self.world.queue.deliver(twice=twice)
        finally:
            self._delivering = False

    def _deliver_alone(self, *, twice: bool) -> None:
        """One message that is visible comes; the others may come beside it, to another process."""
        queue = self.world.queue._queue
        first = queue.messages[:1]
        self._kept_off = [one for one in queue._messages if one not in first]
        queue._messages = first
        try:
            self._deliver(twice=twice)
        finally:
            queue._messages += self._kept_off
            self._kept_off = []

    def _deliver_beside(self) -> None:
        """The others, while the first is under way: that one is hidden until it is done."""
        queue = self.world.queue._queue
        queue._messages += self._kept_off
        self._kept_off = []
        batch, process_work_handler._batch = (
            process_work_handler._batch,
            deepcopy(process_work_handler._batch),
        )
        try:
            self.world.queue.deliver()
        finally:
            process_work_handler._batch = batch

    def _operate(self, **command: Any) -> Any:
        return self._invoke("resolve_unfinished", command)

    def _sweep(self) -> None:
        self._invoke("schedule_checks", {})

    def _invoke(self, function: str, event: Any) -> Any:
        assert self.world.invoke
        try:
            return self.world.invoke(function, event)
        except (Stopped, Exception) as error:
            if not (self._struck or self.weather):
                raise
            return {"error": type(error).__name__}

    # Rules

    @rule(
        who=WHO,
        home=HOME,
        confirms=st.booleans(),
        place=st.sampled_from(PLACES),
        products=PRODUCTS,
        trouble=TROUBLES,
    )
    def connect(
        self,
        who: str,
        home: bool,
        confirms: bool,
        place: Place,
        products: Sequence[str],
        trouble: Trouble | None,
    ) -> None:
        with self._step("connect", trouble):
            self._connect(who, home, place, products, confirms=confirms)

    @rule(who=WHO, place=st.sampled_from(PLACES[:2]), trouble=TROUBLES)
    def connect_as_most_do(self, who: str, place: Place, trouble: Trouble | None) -> None:
        with self._step("connect", trouble):
            self._connect(who, True, place, BOTH)

    @rule(who=WHO, home=HOME, embedded=st.booleans(), trouble=TROUBLES)
    def start(self, who: str, home: bool, embedded: bool, trouble: Trouble | None) -> None:
        with self._step("start", trouble):
            attempt = self._start(who, home, None, embedded)
            if attempt and attempt.link:
                self._click(attempt, self.people[who, home])

    @precondition(lambda self: any(one.link for one in self.attempts))
    @rule(which=WHICH, who=WHO, home=HOME, trouble=TROUBLES)
    def click_again(self, which: int, who: str, home: bool, trouble: Trouble | None) -> None:
        with self._step("click again", trouble):
            self._click(
                _latest([one for one in self.attempts if one.link], which), self.people[who, home]
            )

    @precondition(lambda self: any(one.page for one in self.attempts))
    @rule(which=WHICH, place=st.sampled_from(PLACES), products=PRODUCTS)
    def go_through(self, which: int, place: Place, products: Sequence[str]) -> None:
        with self._step("go through"):
            attempt = _latest([one for one in self.attempts if one.page], which)
            self._log_in(attempt, place, products)

    @precondition(lambda self: self.trips)
    @rule(
        which=WHICH,
        who=st.sampled_from((None, None, None, *CUSTOMERS)),
        home=HOME,
        trouble=TROUBLES,
    )
    def come_back(self, which: int, who: str | None, home: bool, trouble: Trouble | None) -> None:
        with self._step("come back", trouble):
            trip = _latest(self.trips, which)
            self._come_back(trip, self.people[who or trip.customer_id, home])

    @precondition(lambda self: self.trips)
    @rule(trouble=TROUBLES)
    def reload(self, trouble: Trouble | None) -> None:
        with self._step("reload", trouble):
            self._come_back(self.trips[-1], self.people[self.trips[-1].customer_id, True])

    @precondition(lambda self: any(one.completion for one in self.trips))
    @rule(which=WHICH, who=st.sampled_from((None, None, *CUSTOMERS)), trouble=TROUBLES)
    def confirm(self, which: int, who: str | None, trouble: Trouble | None) -> None:
        with self._step("confirm", trouble):
            trip = _latest([one for one in self.trips if one.completion], which)
            self._confirm(trip, who or trip.customer_id)

    @precondition(lambda self: self._standing())
    @rule(
        which=WHICH,
        home=st.booleans(),
        confirms=st.booleans(),
        place=st.one_of(st.none(), st.sampled_from(PLACES)),
        trouble=TROUBLES,
    )
    def repair(
        self,
        which: int,
        home: bool,
        confirms: bool,
        place: Place | None,
        trouble: Trouble | None,
    ) -> None:
        with self._step("repair", trouble):
            self._repair(_latest(self._standing(), which), home, confirms, place)

    @rule(who=WHO, place=st.sampled_from(PLACES[:2]), times=st.integers(1, 2))
    def leave_unconfirmed(self, who: str, place: Place, times: int) -> None:
        with self._step("leave unconfirmed"):
            for _ in range(times):
                self._connect(who, False, place, BOTH, confirms=False)

    @precondition(lambda self: self._standing())
    @rule(which=WHICH, place=st.one_of(st.none(), st.sampled_from(PLACES)), times=st.integers(1, 2))
    def leave_repairs_unconfirmed(self, which: int, place: Place | None, times: int) -> None:
        """The first of two is one of what is to be repaired, the last one ends wherever it does."""
        with self._step("leave repairs unconfirmed"):
            row = _latest(self._standing(), which)
            for one in (None, place)[-times:]:
                self._repair(row, False, False, one)

    @precondition(lambda self: self._several())
    @rule(which=WHICH, second=st.booleans(), home=HOME, trouble=st.one_of(TROUBLES, LOST_AT_FINCH))
    def repair_after_another_click(
        self, which: int, second: bool, home: bool, trouble: Trouble | None
    ) -> None:
        """Finch Connect was open, or its code on its way, while another login became the worst."""
        with self._step("click a repair again"):
            customer_id, _ = row = _latest(self._several(), which)
            attempt = self._start_repair(row, home)
            if attempt is None or attempt.page is None:
                return
            self.world.clock.advance(_FINCH_SESSION_REUSE)
            first = self._log_in(attempt, None, BOTH)
            repaired = self.world.finch.session(attempt.page.session_id).reauthenticates
            for connection in self.world.finch.connections():
                if connection.live and connection.id in self.kept.connection_ids(row) - {repaired}:
                    self.world.finch.set_connection_status(connection.id, "reauth")
            self.world.deliver_webhooks()
            # What is worse is believed when Finch has said it twice.
            self.world.queue.pass_time(3 * MINUTE)
            self._click(attempt, self.people[customer_id, home])
            trip = self._log_in(attempt, None, BOTH) if second else first
        with self._step("come back after another click", trouble):
            if trip:
                self._come_back(trip, self.people[customer_id, home])

    @precondition(lambda self: self._standing())
    @rule(which=WHICH, at=st.integers(1, 3), pick=_PICKS)
    def repair_and_lose_an_answer(self, which: int, at: int, pick: int) -> None:
        with self._step("repair and lose an answer", Trouble(at, "lost", "finch", pick)):
            self._repair(_latest(self._standing(), which), True, True)

    @precondition(lambda self: self._standing())
    @rule(which=WHICH, weather=st.sampled_from(WEATHERS))
    def disconnect_while_finch_fails(self, which: int, weather: tuple[str, str]) -> None:
        with self._step("disconnect while finch fails"):
            self.weather = weather
            self._disconnect(_latest(self._standing(), which))

    @rule(who=WHO, place=st.sampled_from(PLACES), at=st.integers(1, 4), pick=_PICKS)
    def connect_and_lose_an_answer(self, who: str, place: Place, at: int, pick: int) -> None:
        with self._step("connect and lose an answer", Trouble(at, "lost", "finch", pick)):
            self._connect(who, True, place, BOTH)

    @precondition(lambda self: self.truth.attached)
    @rule(who=WHO, trouble=TROUBLES)
    def disconnect_all(self, who: str, trouble: Trouble | None) -> None:
        with self._step("disconnect all", trouble):
            self._disconnect_every(who)

    @precondition(lambda self: self.truth.attached)
    @rule(which=WHICH, trouble=TROUBLES)
    def disconnect(self, which: int, trouble: Trouble | None) -> None:
        with self._step("disconnect", trouble):
            self._disconnect(_latest(self._standing() or list(self.truth.attached), which))

    @precondition(lambda self: self.truth.attached)
    @rule(who=WHO, which=WHICH)
    def look_around(self, who: str, which: int) -> None:
        """A customer sees what is theirs, and nothing else."""
        with self._step("look around"):
            person = self.people[who, True]
            shown = {(one["provider_id"], one["company_id"]) for one in person.connections()}
            rows = {row for row in Kept(self.truth.shown).connections if row[0] == who}
            if {f"{provider}#{company}" for provider, company in shown} != {key for _, key in rows}:
                raise Broken(f"M4: {who} is shown something else than what is theirs")
            _, key = row = _latest(list(self.truth.attached), which)
            reply = person.call("GET", connection_path(*key.split("#")))
            if (reply.status == 200) != ((who, key) in rows):
                raise Broken(f"M4: {who} asks for {row[0]}'s connection, and gets {reply.status}")

    # The queue and time

    @precondition(lambda self: self.world.queue.waiting())
    @rule(turn=WHICH, twice=st.booleans(), alone=st.booleans(), trouble=TROUBLES)
    def deliver(self, turn: int, twice: bool, alone: bool, trouble: Trouble | None) -> None:
        with self._step("deliver", trouble):
            self._turn(turn)
            (self._deliver_alone if alone else self._deliver)(twice=twice)

    @precondition(lambda self: len(self.world.queue.waiting()) > 1)
    @rule(
        turn=WHICH,
        waits=st.booleans(),
        at=st.integers(1, 12),
        kind=st.sampled_from(("meanwhile before", "meanwhile after")),
    )
    def deliver_side_by_side(self, turn: int, waits: bool, at: int, kind: str) -> None:
        """Two processes work off the queue, at once or when what waits for a person is due."""
        if waits:
            with self._step("wait until all is due"):
                self.world.queue.pass_time(2 * MINUTE)
                due = [datetime.fromisoformat(one["due_at"]) for one in self.world.queue.waiting()]
                longest = max(due, default=self.world.clock.now) - self.world.clock.now
                self.world.clock.advance(min(max(longest, MINUTE), DAY + HOUR))
        with self._step("deliver side by side", Trouble(at, kind, pick=2)):
            self._turn(turn)
            self._deliver_alone(twice=False)

    def _turn(self, turn: int) -> None:
        """The messages come in another order."""
        waiting = self.world.queue._queue._messages
        waiting[:] = waiting[turn:] + waiting[:turn]
        self.messages += deepcopy(waiting)

    @precondition(lambda self: self.messages)
    @rule(which=st.integers(0, 30))
    def deliver_what_was_long_done(self, which: int) -> None:
        """A message comes once more, long after it was worked off."""
        with self._step("deliver what was long done"):
            message = deepcopy(_latest(self.messages, which))
            message.id = f"{message.id}-{self._now()}"
            message.visible_at = message.delayed_until = 0
            message.approximate_receive_count = 0
            self.world.queue._queue._messages.append(message)
            self._deliver()

    @precondition(lambda self: self.trips)
    @rule(by=st.sampled_from(PAUSES), works=st.booleans())
    def time_passes(self, by: timedelta, works: bool) -> None:
        """The queue is worked off meanwhile, or is not."""
        with self._step("time passes"):
            if works:
                self.world.queue.pass_time(min(by, DAY))
                self._sweep()
            else:
                self.world.clock.advance(by)

    @precondition(lambda self: self.trips)
    @rule(trouble=TROUBLES)
    def sweep(self, trouble: Trouble | None) -> None:
        with self._step("sweep", trouble):
            self._sweep()

    # Finch

    @precondition(lambda self: self.trips)
    @rule(trouble=TROUBLES)
    def webhooks_come(self, trouble: Trouble | None) -> None:
        with self._step("webhooks come", trouble):
            self.world.deliver_webhooks()

    @precondition(lambda self: self.trips)
    @rule(weather=st.one_of(st.none(), st.sampled_from(WEATHERS)))
    def finch_is_like(self, weather: tuple[str, str] | None) -> None:
        with self._step("finch is like"):
            self.weather = None if self.weather else weather

    @precondition(lambda self: self.truth.code_of)
    @rule(which=WHICH, end=st.booleans())
    def finch_ends_or_wants_a_new_login(self, which: int, end: bool) -> None:
        with self._step("finch ends or wants a new login"):
            finch = self.world.finch
            if live := [one for one in finch.connections() if one.live]:
                connection = _latest(live, which)
                token = next(
                    (one for one in finch.tokens(connection.id) if one.live),
                    None,
                )
                if token and end:
                    with suppress(ReauthenticateUser):
                        self.truth.ends_by_itself(lambda: finch.disconnect(token.access_token))
                elif token:
                    finch.set_connection_status(connection.id, "reauth")

    # The operator

    @precondition(lambda self: any("escrow" in one for one in self.kept.sessions.values()))
    @rule(which=WHICH, attach=st.booleans(), trouble=TROUBLES)
    def operator_decides(self, which: int, attach: bool, trouble: Trouble | None) -> None:
        with self._step("operator decides", trouble):
            self._operate(action="list")
            sessions = Kept(self.truth.shown).sessions
            keeping = [one for one, item in sessions.items() if "escrow" in item]
            held = [one for one in keeping if sessions[one]["phase"]["S"] == "held"]
            if held or keeping:
                chosen = _latest(held or keeping, which)
                self._decide(chosen, sessions[chosen], "attach" if attach else "disconnect")

    def _decide(self, handle_hash: str, item: Any, action: str) -> Any:
        seen = self._operate(action=action, session=handle_hash)
        if "error" in seen:
            return seen
        if action == "attach":
            self.truth.proven |= {
                trip.code for trip in self.trips if _hash(trip.code) == item["code_hash"]["S"]
            }
        decision = seen["result"]["decision"]

        def decide() -> Any:
            return self._operate(action=action, session=handle_hash, decision=decision)

        if action != "disconnect":
            return decide()
        self.truth.cut_off.add(item["escrow"]["M"]["connection_id"]["S"])
        return self.truth.ends_by_itself(decide)

    @precondition(lambda self: self.kept.phases()["uncertain"])
    @rule(which=WHICH, trouble=TROUBLES)
    def operator_dismisses(self, which: int, trouble: Trouble | None) -> None:
        """An exchange of which Finch's dashboard shows that nothing is left."""
        with self._step("operator dismisses", trouble):
            self._dismiss(which)

    def _dismiss(self, which: int) -> bool:
        left = {_hash(self.truth.code_of.get(one.id, "")) for one in self.world.finch.live_tokens()}
        gone = [
            handle_hash
            for handle_hash, item in Kept(self.truth.shown).sessions.items()
            if item["phase"]["S"] == "uncertain" and item["code_hash"]["S"] not in left
        ]
        if gone:
            self._operate(action="dismiss", session=_latest(gone, which))
        return bool(gone)

    # The end

    def teardown(self) -> None:
        """Everything is mended and the queue works, and everybody gets rid of what they have."""
        try:
            if not self._in_step:
                Model.examples += 1
                self._trouble = self.weather = None
                self._come_to_rest()
                self._get_rid_of_everything()
        finally:
            self.world.border.open()

    def _come_to_rest(self) -> None:
        queue = self.world.queue
        queue.deliveries[0] = 0
        queue.redrive()
        if not queue.drain():
            raise Broken("I1: the queue does not come to rest")
        if queue.dead():
            raise Broken("I6: a dead letter that comes again")
        if queue.expired:
            # What is found to be lost is what has not been looked at for a day.
            self.world.clock.advance(DAY + HOUR)
            self._sweep()
            queue.expired.clear()
            if not queue.drain():
                raise Broken("I1: the queue does not come to rest after a sweep")
        self._check(at_rest=True)

    def _get_rid_of_everything(self) -> None:
        seen: list[str] = []
        for _ in range(_ROUNDS):
            self.world.queue.deliveries[0] = 0
            kept = Kept(self.truth.shown)
            for handle_hash, item in kept.sessions.items():
                if item["phase"]["S"] == "held":
                    seen.append(str(self._decide(handle_hash, item, "disconnect")))
            for row, item in kept.connections.items():
                if kept.status(row) != "disconnected":
                    seen += self._end(row, item)
            self._pass(2 * HOUR)
            kept = Kept(self.truth.shown)
            if any(kept.status(row) == "disconnecting" for row in kept.connections):
                self._pass(4 * DAY)
            elsewhere = {one for row in kept.connections for one in kept.connection_ids(row)}
            for connection in self.world.finch.connections():
                held = {
                    item["escrow"]["M"]["connection_id"]["S"]
                    for item in Kept(self.truth.shown).sessions.values()
                    if "escrow" in item
                }
                lost = connection.live and connection.id not in elsewhere | held
                if lost or (connection.live and connection.status == "reauth"):
                    customer_id = self._customer_of(connection)
                    outcome = self._connect(customer_id, True, _place_of(connection), BOTH)
                    seen.append(f"{customer_id} {outcome}")
            self._pass(2 * HOUR)
            while self._dismiss(0):
                pass
            if not self.truth.live() and not self._left():
                break
        self._pass(2 * HOUR)
        self._check(at_rest=True)
        if live := self.truth.live():
            raise Broken(f"the bill cannot be stopped: {len(live)} live, after {seen[-12:]}")
        if left := self._left():
            raise Broken(f"something is left of nothing: {left}, after {seen[-12:]}")

    def _end(self, row: Row, item: dict[str, Any]) -> Iterator[str]:
        if item.get("problem") == {"S": "disconnect_refused"}:
            # As it says: to be connected again, and then disconnected again.
            yield f"{row[0]} {self._repair(row, True, True)}"
        yield f"{row[0]} {self._disconnect(row)}"

    def _pass(self, by: timedelta) -> None:
        self.world.queue.deliveries[0] = 0
        self.world.queue.pass_time(by)
        self.world.queue.redrive()

    def _left(self) -> list[str]:
        """What somebody would still have to do, though nothing lives at Finch."""
        kept = Kept(self.truth.shown)
        phases = kept.phases()
        left = [phase for phase in phases if phase not in ("started", "complete", "ended")]
        left += [kept.status(row) for row in kept.connections if kept.connection_ids(row)]
        left += [one for one, item in kept.ownerships.items() if not item.keys() & {"offered_to"}]
        return left

    def _customer_of(self, connection: Connection) -> str:
        named = [connection.customer, *(t.customer for t in self.world.finch.tokens(connection.id))]
        return next((one.id.partition("~")[0] for one in named if one), CUSTOMERS[0])

    def _now(self) -> str:
        return self.world.clock.now.isoformat()


def _latest[T](there: Sequence[T], which: int) -> T:
    return there[-1 - which % len(there)]


def _get_item(arguments: Any) -> dict[str, Any]:
    """What moto answers, on a shorter way: nothing else is asked for so often."""
    table = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[arguments["TableName"]]
    keys: Any = [DynamoType(value) for value in arguments["Key"].values()]
    found = table.get_item(*keys)
    return {"Item": {name: dynamo_to_dict(it) for name, it in found.attrs.items()}} if found else {}


def _place_of(connection: Connection) -> Place:
    return Place(connection.provider_id, connection.logins[0], connection.company_id)


def _json(request: httpx.Request) -> Any:
    return json.loads(request.content)


@cache
def _hash(code: str) -> str:
    return sha256(code.encode()).hexdigest()
