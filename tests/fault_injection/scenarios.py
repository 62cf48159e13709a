"""What people, the queue and an operator do while something goes wrong.

A scenario begins where others have left the world, and what it does from there is what is struck.
Whoever does not see what they expect gives up.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx

from local.fake_finch.seed_world import HARBOR_LANE, JUNIPER_VALE, MAYA, OWEN, TALLY
from tests.support.in_process import Call, InProcess, Stopped, let_through
from tests.support.invariants import Kept
from tests.support.person import Landing, Person, connection_path

CUSTOMER, ANOTHER = "acme", "globex"
ROW = (CUSTOMER, f"gusto#{HARBOR_LANE.id}")
BOTH = ("company", "directory")
# Where somebody may log in who should repair the connection.
_ELSEWHERE: dict[str, Any] = {"login": TALLY, "company_id": JUNIPER_VALE.id}


@dataclass
class Stage:
    """The world of one run, and the words of what people saw in it."""

    world: InProcess
    people: list[Person] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def person(self, *, same_site: bool = True, customer_id: str = CUSTOMER) -> Person:
        """Somebody of the customer, or of another one."""
        person = Person(self.world, customer_id, same_site=same_site)
        self.people.append(person)
        return person

    def snapshot(self) -> Callable[[], None]:
        """How things stand, cookies included: what it answers brings them back."""
        world, cookies = self.world.snapshot(), [dict(one.browser.cookies) for one in self.people]

        def restore() -> None:
            world()
            del self.people[len(cookies) :]
            for person, there in zip(self.people, cookies, strict=True):
                person.browser.cookies = dict(there)
            self.seen.clear()

        return restore

    def sees(self, outcome: dict[str, Any]) -> str:
        """What a page was told, noted; a problem by its code."""
        word = str(outcome.get("code") or outcome.get("error") or outcome.get("status"))
        self.seen.append(word)
        return word

    def connect(self, person: Person, **choices: Any) -> Landing:
        """A person connects and must end with a connection, or be asked to confirm."""
        landing = person.connect(**choices)
        word = self.sees(landing.outcome)
        assert word in ("connected", "confirm"), word
        return landing

    def confirm(self, person: Person, landing: Landing) -> None:
        """A person confirms what the landing showed."""
        assert landing.completion
        assert self.sees(person.confirm(landing.completion).json) == "connected"

    def disconnect(self, person: Person) -> None:
        """A person disconnects."""
        assert self.sees(person.disconnect().json) == "disconnected"

    def process(self) -> None:
        """The queue is worked off."""
        self.world.queue.drain()

    def operate(self, payload: dict[str, Any]) -> Any:
        """An operator invokes the function that is theirs."""
        assert self.world.invoke
        try:
            answer = self.world.invoke("resolve_unfinished", payload)
        except (Stopped, Exception) as error:
            raise AssertionError(f"the operator sees {type(error).__name__}") from error
        assert "result" in answer, answer["error"]
        return answer["result"]

    def call(self, function: str, payload: dict[str, Any]) -> Any:
        """Something invokes a function, and comes once again where it fails; None if that does too."""
        assert self.world.invoke
        for _ in range(2):
            with suppress(Stopped, Exception):
                return self.world.invoke(function, payload)
        return None

    @contextmanager
    def once(self, wanted: str, strike: Callable[[Call, Callable[[], Any]], Any]) -> Iterator[None]:
        """The next call of this name goes wrong; for how things stand, not for what is tested."""
        struck: list[Call] = []

        def guard(call: Call, send: Callable[[], Any]) -> Any:
            if struck or call.operation != wanted:
                return send()
            struck.append(call)
            return strike(call, send)

        self.world.border.guard = guard
        yield
        assert struck, wanted
        self.world.border.guard = let_through

    def only_session(self, phase: str) -> str:
        """The hash of the one session in this phase."""
        [found] = [
            handle_hash
            for handle_hash, item in Kept(self.world).sessions.items()
            if item["phase"]["S"] == phase
        ]
        return found


type Before = Callable[[Stage], Person]
type Play = Callable[[Stage, Person], None]


@dataclass(frozen=True)
class Scenario:
    """`before` is how things stand, for the person who acts in `play`.

    `reached` says whether what the scenario is for has come about, sooner or later.
    """

    name: str
    reached: Callable[[InProcess], bool] = field(repr=False)
    before: Before = field(repr=False)
    play: Play = field(repr=False)


SCENARIOS: list[Scenario] = []


def scenario(
    name: str, reached: Callable[[InProcess], bool], before: Before
) -> Callable[[Play], Play]:
    """Adds a scenario."""

    def add(play: Play) -> Play:
        SCENARIOS.append(Scenario(name, reached, before, play))
        return play

    return add


# What may have come about


def connected(logins: int) -> Callable[[InProcess], bool]:
    """The connection has this many logins, and the newest token is among them."""

    def reached(world: InProcess) -> bool:
        item = Kept(world).connections.get(ROW)
        if item is None or item["status"]["S"] != "connected":
            return False
        tokens = item["tokens"]["M"]
        return len(tokens) == logins and world.finch.tokens()[-1].id in tokens

    return reached


def shown(status: str) -> Callable[[InProcess], bool]:
    """The connection is shown with this status."""
    return lambda world: Kept(world).status(ROW) == status


def disconnected(world: InProcess) -> bool:
    """The connection is called disconnected, and nothing of it lives."""
    kept = Kept(world)
    there = ROW in kept.connections and kept.status(ROW) == "disconnected"
    return there and not world.finch.live_tokens()


def disconnected_alone(world: InProcess) -> bool:
    """The connection is called disconnected, and another customer's lives."""
    kept = Kept(world)
    live = {one.connection_id for one in world.finch.live_tokens()}
    theirs = (ANOTHER, f"gusto#{JUNIPER_VALE.id}")
    return (kept.status(ROW), kept.status(theirs)) == ("disconnected", "connected") and (
        kept.connection_ids(theirs) == live
    )


def connected_elsewhere(world: InProcess) -> bool:
    """The connection is as it was, and another company is connected beside it."""
    kept = Kept(world)
    there = (CUSTOMER, f"gusto#{JUNIPER_VALE.id}")
    return (
        there in kept.connections and kept.status(there) == "connected" and shown("reauth")(world)
    )


def ended(world: InProcess) -> bool:
    """No session keeps a token, and nothing lives that is not covered by a connection."""
    places = Kept(world).places()
    covered = {place.connection_id for place in places}
    live = world.finch.live_tokens()
    return all(one.token_id for one in places) and all(one.connection_id in covered for one in live)


def phase(name: str) -> Callable[[InProcess], bool]:
    """A session is in this phase."""
    return lambda world: Kept(world).phases()[name] > 0


def no_phase(name: str, reached: Callable[[InProcess], bool]) -> Callable[[InProcess], bool]:
    """Something else has come about, and no session is in this phase any more."""
    return lambda world: reached(world) and not phase(name)(world)


# How things may stand


def _nothing(stage: Stage) -> Person:
    return stage.person()


def _on_another_site(stage: Stage) -> Person:
    return stage.person(same_site=False)


def _company_named_late(stage: Stage) -> Person:
    stage.world.finch.change_switches(token_company_id="absent")
    return stage.person()


def _no_state_echoed(stage: Stage) -> Person:
    stage.world.finch.change_switches(echo_state=False)
    return stage.person()


def _another_customer_named(stage: Stage) -> Person:
    stage.world.finch.change_switches(introspect_customer_id_override="globex")
    return stage.person()


def _one_login(stage: Stage) -> Person:
    acme = stage.person()
    stage.connect(acme)
    stage.process()
    return acme


def _some_products(stage: Stage) -> Person:
    acme = stage.person()
    stage.connect(acme, products=["company"])
    stage.process()
    return acme


def _several_logins(stage: Stage) -> Person:
    acme = stage.person()
    stage.connect(acme, login=MAYA, products=["company"])
    stage.connect(acme, login=MAYA, products=["directory"])
    stage.connect(acme, login=OWEN)
    stage.process()
    return acme


def _several_logins_of_one_connection(stage: Stage) -> Person:
    stage.world.finch.change_switches(other_login_same_connection=True)
    return _several_logins(stage)


def _unconfirmed(stage: Stage) -> Person:
    stage.connect(stage.person(same_site=False))
    return stage.person()


def _unconfirmed_beside_the_same_login(stage: Stage) -> Person:
    acme = _one_login(stage)
    stage.connect(stage.person(same_site=False))
    return acme


def _unconfirmed_beside_another_login(stage: Stage) -> Person:
    acme = stage.person()
    stage.connect(acme, login=OWEN)
    stage.process()
    stage.connect(stage.person(same_site=False), login=MAYA)
    return acme


def _held(stage: Stage) -> Person:
    acme = _unconfirmed_beside_another_login(stage)
    stage.process()
    assert phase("held")(stage.world)
    return acme


def _ended_at_finch(stage: Stage) -> Person:
    acme = _unconfirmed(stage)
    [token] = stage.world.finch.live_tokens()
    stage.world.finch.disconnect(token.access_token)
    return acme


def _not_introspected(stage: Stage) -> Person:
    acme = stage.person()
    url = acme.log_in(acme.click(acme.link()))
    with stage.once("GET /introspect", _server_error):
        acme.come_back(url)
    return acme


def _cut_off(stage: Stage) -> Person:
    acme = stage.person()
    url = acme.log_in(acme.click(acme.link()))

    def stop(call: Call, send: Callable[[], Any]) -> Any:
        send().read()
        raise Stopped

    with stage.once("POST /auth/token", stop):
        acme.browser.navigate(url)
    return acme


def _uncertain(stage: Stage) -> Person:
    acme = _cut_off(stage)
    stage.process()
    assert phase("uncertain")(stage.world)
    return acme


def _uncertain_of_nothing(stage: Stage) -> Person:
    acme = stage.person()
    url = acme.log_in(acme.click(acme.link()))

    def lose(call: Call, send: Callable[[], Any]) -> Any:
        raise httpx.ReadTimeout("on demand", request=call.arguments)

    with stage.once("POST /auth/token", lose):
        acme.come_back(url)
    stage.process()
    return acme


def _disconnecting(stage: Stage) -> Person:
    acme = _several_logins(stage)
    with stage.once("POST /disconnect", _server_error):
        acme.disconnect()
    return acme


def _one_login_at_rest(stage: Stage) -> Person:
    acme = _one_login(stage)
    stage.process()
    return acme


def _broken_unseen(stage: Stage) -> Person:
    acme = _one_login_at_rest(stage)
    [connection] = [one for one in stage.world.finch.connections() if one.live]
    stage.world.finch.set_connection_status(connection.id, "reauth")
    return acme


def _broken(stage: Stage) -> Person:
    acme = _broken_unseen(stage)
    stage.world.deliver_webhooks()
    stage.process()
    assert shown("reauth")(stage.world)
    return acme


def _broken_where_a_repair_revokes(stage: Stage) -> Person:
    stage.world.finch.change_switches(reauth_kills_old_tokens=True)
    return _broken(stage)


def _repaired_unconfirmed(stage: Stage) -> Person:
    acme = _broken_where_a_repair_revokes(stage)
    _repair_and_see(stage, stage.person(same_site=False), "confirm")
    return acme


def _repaired_and_cut_off(stage: Stage) -> Person:
    acme = _broken_where_a_repair_revokes(stage)

    def stop(call: Call, send: Callable[[], Any]) -> Any:
        send().read()
        raise Stopped

    with stage.once("POST /auth/token", stop), suppress(Exception):
        _repair(stage, acme)
    return acme


def _broken_where_a_repair_may_end_elsewhere(stage: Stage) -> Person:
    stage.world.finch.change_switches(reauth_may_change_company=True)
    return _broken(stage)


def _repaired_elsewhere_unconfirmed(stage: Stage) -> Person:
    acme = _broken_where_a_repair_may_end_elsewhere(stage)
    _repair_and_see(stage, stage.person(same_site=False), "confirm", **_ELSEWHERE)
    return acme


def _repaired_at_anothers_company(stage: Stage) -> Person:
    globex = stage.person(customer_id=ANOTHER)
    acme = _broken_where_a_repair_may_end_elsewhere(stage)
    stage.connect(globex, **_ELSEWHERE)
    _repair_and_see(stage, acme, "cannot_connect", **_ELSEWHERE)
    stage.process()
    return acme


def _ended_unseen(stage: Stage) -> Person:
    acme = _one_login_at_rest(stage)
    [token] = stage.world.finch.live_tokens()
    stage.world.finch.change_switches(webhook_on_disconnect=False)
    stage.world.finch.disconnect(token.access_token)
    return acme


def _server_error(call: Call, send: Callable[[], Any]) -> Any:
    return httpx.Response(500, json={"name": "server_error"})


# A person connects


@scenario("connect", connected(1), _nothing)
@scenario("connect, company named late", connected(1), _company_named_late)
@scenario("connect, state not echoed", connected(1), _no_state_echoed)
def _connect(stage: Stage, acme: Person) -> None:
    stage.connect(acme)


@scenario("connect, confirm", connected(1), _on_another_site)
def _connect_and_confirm(stage: Stage, acme: Person) -> None:
    stage.confirm(acme, stage.connect(acme))


@scenario("connect what is not theirs", phase("held"), _another_customer_named)
def _connect_what_is_not_theirs(stage: Stage, acme: Person) -> None:
    assert stage.sees(acme.connect().outcome) == "cannot_connect"
    stage.process()


@scenario("connect embedded", connected(1), _nothing)
def _connect_embedded(stage: Stage, acme: Person) -> None:
    started = acme.start(mode="embedded")
    assert started.status == 201, started.text
    authorized = stage.world.finch.authorize(
        started.json["session_id"],
        provider_id="gusto",
        login=MAYA,
        company_id=HARBOR_LANE.id,
        products=BOTH,
    )
    body = {"code": authorized.code, "state": started.json["state"]}
    assert stage.sees(acme.call("POST", "/callback", body).json) == "connected"


@scenario("connect a second login", connected(2), _one_login)
def _connect_a_second_login(stage: Stage, acme: Person) -> None:
    stage.connect(acme, login=OWEN)


@scenario("connect the same login again", connected(1), _one_login)
def _connect_again(stage: Stage, acme: Person) -> None:
    stage.connect(acme)


@scenario("connect other products of a login", connected(2), _some_products)
def _connect_other_products(stage: Stage, acme: Person) -> None:
    stage.connect(acme, products=["directory"])


@scenario("recover an uncertain exchange", connected(1), _uncertain)
def _recover(stage: Stage, acme: Person) -> None:
    stage.connect(acme)


@scenario("repair", connected(1), _broken)
@scenario("repair, which revokes", connected(1), _broken_where_a_repair_revokes)
def _repair(stage: Stage, acme: Person) -> None:
    _repair_and_see(stage, acme, "connected")


@scenario(
    "repair, at another company", connected_elsewhere, _broken_where_a_repair_may_end_elsewhere
)
def _repair_elsewhere(stage: Stage, acme: Person) -> None:
    _repair_and_see(stage, acme, "connected", **_ELSEWHERE)


def _repair_and_see(stage: Stage, acme: Person, expected: str, **choices: Any) -> None:
    path = connection_path("gusto", HARBOR_LANE.id) + "/reauthenticate"
    reply = acme.call("POST", path, {"return_to": stage.world.return_urls[0]})
    assert reply.status == 201, stage.sees(reply.json)
    landing = acme.go_through(reply.json["connect_url"], **choices)
    assert stage.sees(landing.outcome) == expected


# A person disconnects


@scenario("disconnect", disconnected, _one_login)
def _disconnect(stage: Stage, acme: Person) -> None:
    stage.disconnect(acme)


@scenario("disconnect several", disconnected, _several_logins)
@scenario("disconnect several of one", disconnected, _several_logins_of_one_connection)
def _disconnect_several(stage: Stage, acme: Person) -> None:
    stage.disconnect(acme)


@scenario("disconnect beside an open session", disconnected, _unconfirmed_beside_the_same_login)
@scenario("disconnect beside an open repair", disconnected, _repaired_unconfirmed)
@scenario(
    "disconnect beside a repair that went elsewhere", disconnected, _repaired_elsewhere_unconfirmed
)
@scenario(
    "disconnect beside a repair at another's company",
    disconnected_alone,
    _repaired_at_anothers_company,
)
def _disconnect_beside_a_holder(stage: Stage, acme: Person) -> None:
    assert stage.sees(acme.disconnect().json) in ("disconnected", "disconnecting")
    stage.process()


# The queue


@scenario("tend: finish what is escrowed", connected(1), _not_introspected)
@scenario("tend: end what nobody confirms", ended, _unconfirmed)
@scenario("tend: drop it beside its connection", ended, _unconfirmed_beside_the_same_login)
@scenario(
    "tend: hold it beside another's company", phase("held"), _unconfirmed_beside_another_login
)
@scenario("tend: hold the repair that revoked the rest", phase("held"), _repaired_unconfirmed)
@scenario("tend: report what was cut off", phase("uncertain"), _cut_off)
@scenario("tend: report a repair that was cut off", phase("uncertain"), _repaired_and_cut_off)
@scenario("tend: forget what Finch has ended", ended, _ended_at_finch)
@scenario("tend: go on with a disconnect", disconnected, _disconnecting)
def _tend(stage: Stage, acme: Person) -> None:
    stage.process()


@scenario("webhook: a connection broke", shown("reauth"), _one_login_at_rest)
def _webhook(stage: Stage, acme: Person) -> None:
    [connection] = [one for one in stage.world.finch.connections() if one.live]
    stage.world.finch.set_connection_status(connection.id, "reauth")
    # Finch sends again what was not taken.
    for _ in range(3):
        stage.world.deliver_webhooks()
        stage.world.queue.pass_time(timedelta(minutes=10))


@scenario("sweep: a connection broke", shown("reauth"), _broken_unseen)
@scenario("sweep: a connection ended", shown("disconnected"), _ended_unseen)
def _sweep(stage: Stage, acme: Person) -> None:
    stage.world.queue.pass_time(timedelta(days=1, hours=1))
    for _ in range(8):
        stage.call("schedule_checks", {})
        stage.world.queue.pass_time(timedelta(minutes=15))


# Another backend


@scenario("vend a token", connected(1), _one_login)
def _vend(stage: Stage, acme: Person) -> None:
    asked = {
        "customer_id": CUSTOMER,
        "provider_id": "gusto",
        "company_id": HARBOR_LANE.id,
        "caller": "nightly-sync",
        "purpose": "employee sync",
        "products": ["directory"],
    }
    answer = stage.call("vend_token", asked)
    records = stage.world.tables.items(stage.world.tables.audit)
    assert "token" in (answer or {}), "no token"
    assert [one["outcome"]["S"] for one in records][-1:] == ["vended"]


# An operator


def _decide(stage: Stage, action: str) -> None:
    session = stage.only_session("held")
    shown = stage.operate({"action": action, "session": session})
    decided = {"action": action, "session": session, "decision": shown["decision"]}
    stage.operate(decided)


@scenario("operate: attach what is held", connected(2), _held)
def _attach_held(stage: Stage, acme: Person) -> None:
    _decide(stage, "attach")


@scenario("operate: end what is held", ended, _held)
def _end_held(stage: Stage, acme: Person) -> None:
    _decide(stage, "disconnect")


@scenario("operate: dismiss what left nothing", no_phase("uncertain", ended), _uncertain_of_nothing)
def _dismiss(stage: Stage, acme: Person) -> None:
    stage.operate({"action": "dismiss", "session": stage.only_session("uncertain")})
