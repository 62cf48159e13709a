"""The actions of users, the queue and an operator into which faults are injected.

A scenario starts from a prepared state; faults are injected only into the calls after it. A user
gives up at the first unexpected response.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx

from local.fake_finch.seed_world import (
    DANA,
    HARBOR_LANE,
    JUNIPER_VALE,
    MAYA,
    NORTHFOLD,
    OWEN,
    TALLY,
)
from tests.support.in_process import Call, InProcess, Stopped, let_through
from tests.support.invariants import StoredState, entities_of
from tests.support.person import Landing, Person, connection_path

CUSTOMER, ANOTHER = "acme", "globex"
ROW = (CUSTOMER, f"gusto#{HARBOR_LANE.id}")
# The connection with several entities.
CLINICS = (CUSTOMER, f"gusto#{NORTHFOLD.id}")
BOTH = ("company", "directory")
# Another company, where the user of a repair logs in instead.
_ELSEWHERE: dict[str, Any] = {"login": TALLY, "company_id": JUNIPER_VALE.id}
# An operator gives up after this many rounds.
_ROUNDS = 8


@dataclass
class ScenarioRun:
    """The product, the users and the outcomes of one run of a scenario.

    `reported` are the Finch connections of a backup whose restore left rows for the operator. `backup`
    are the names of the restored tables.
    """

    world: InProcess
    people: list[Person] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    reported: set[str] = field(default_factory=set)
    backup: dict[str, str] = field(default_factory=dict)

    def person(self, *, same_site: bool = True, customer_id: str = CUSTOMER) -> Person:
        """A user of this customer."""
        person = Person(self.world, customer_id, same_site=same_site)
        self.people.append(person)
        return person

    def snapshot(self) -> Callable[[], None]:
        """Saves the state, including cookies, and returns a function that restores it."""
        world, cookies = self.world.snapshot(), [dict(one.browser.cookies) for one in self.people]

        def restore() -> None:
            world()
            del self.people[len(cookies) :]
            for person, saved in zip(self.people, cookies, strict=True):
                person.browser.cookies = dict(saved)
            self.outcomes.clear()
            self.reported.clear()

        return restore

    def record_outcome(self, outcome: dict[str, Any]) -> str:
        """Records and returns the outcome that a page received, or the code of a failure."""
        word = str(outcome.get("code") or outcome.get("error") or outcome.get("status"))
        self.outcomes.append(word)
        return word

    def connect(self, person: Person, **choices: Any) -> Landing:
        """A user connects; the outcome must be a connection or a request to confirm."""
        landing = person.connect(**choices)
        word = self.record_outcome(landing.outcome)
        assert word in ("connected", "confirm"), word
        return landing

    def confirm(self, person: Person, landing: Landing) -> None:
        """A user confirms a connection."""
        assert landing.completion
        assert self.record_outcome(person.confirm(landing.completion).json) == "connected"

    def disconnect(self, person: Person) -> None:
        """A user disconnects."""
        assert self.record_outcome(person.disconnect().json) == "disconnected"

    def disconnect_entity(self, person: Person) -> str:
        """A user disconnects the first living entity of the clinics, and returns the response's status."""
        [login] = person.connection(company_id=NORTHFOLD.id)["logins"]
        living = [one["id"] for one in login["entities"] if one["status"] == "connected"]
        reply = person.disconnect_entity(living[0], company_id=NORTHFOLD.id)
        return self.record_outcome(reply.json)

    def process(self) -> None:
        """Processes the queue until no work is left."""
        self.world.queue.drain()

    def operate(self, payload: dict[str, Any]) -> Any:
        """An operator invokes `resolve_unfinished`."""
        assert self.world.invoke
        try:
            answer = self.world.invoke("resolve_unfinished", payload)
        except (Stopped, Exception) as error:
            raise AssertionError(f"the operator sees {type(error).__name__}") from error
        assert "result" in answer, answer["error"]
        return answer["result"]

    def call(self, function: str, payload: dict[str, Any]) -> Any:
        """Invokes a function, with one retry; returns None if both invocations fail."""
        assert self.world.invoke
        for _ in range(2):
            with suppress(Stopped, Exception):
                return self.world.invoke(function, payload)
        return None

    def repeat(self, function: str, **event: Any) -> None:
        """An operator repeats the rounds of long work, until a round changes nothing more."""
        before = result = None
        for _ in range(_ROUNDS):
            result = None
            with suppress(Stopped, Exception):
                result = self.world.run_round(function, **event)
            if result is None:
                self.world.queue.pass_time(timedelta(hours=12))
            elif not result.waits() or result == before:
                break
            elif result.open:
                self.world.queue.pass_time(timedelta(hours=1))
            before = result
        if function == "restore_backup" and result and result.open:
            for item in self.world.tables.items(event["connections"]):
                tokens = item["tokens"]["M"].values()
                self.reported |= {token["M"]["connection_id"]["S"] for token in tokens}

    @contextmanager
    def once(self, wanted: str, inject: Callable[[Call, Callable[[], Any]], Any]) -> Iterator[None]:
        """Injects a fault into the next call of this operation, to prepare a state."""
        injected: list[Call] = []

        def guard(call: Call, send: Callable[[], Any]) -> Any:
            if injected or call.operation != wanted:
                return send()
            injected.append(call)
            return inject(call, send)

        self.world.border.guard = guard
        yield
        assert injected, wanted
        self.world.border.guard = let_through

    def only_session(self, phase: str) -> str:
        """The hash of the only session in this phase."""
        [found] = [
            handle_hash
            for handle_hash, item in StoredState(self.world).sessions.items()
            if item["phase"]["S"] == phase
        ]
        return found


type Before = Callable[[ScenarioRun], Person]
type Play = Callable[[ScenarioRun, Person], None]


@dataclass(frozen=True)
class Scenario:
    """`before` prepares the state and returns the user who acts in `play`.

    `reached` says whether the scenario has reached its goal, immediately or later.
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


# Goals


def connected(logins: int) -> Callable[[InProcess], bool]:
    """The connection has this many logins, and the newest token is among them."""

    def reached(world: InProcess) -> bool:
        item = StoredState(world).connections.get(ROW)
        if item is None or item["status"]["S"] != "connected":
            return False
        tokens = item["tokens"]["M"]
        return len(tokens) == logins and world.finch.tokens()[-1].id in tokens

    return reached


def connected_alone(world: InProcess) -> bool:
    """The customer has one connection, and no other is live at Finch."""
    [*live] = (one for one in world.finch.connections() if one.live)
    return shown("connected")(world) and [one.provider_id for one in live] == ["gusto"]


def shown(status: str) -> Callable[[InProcess], bool]:
    """The connection is shown with this status."""

    def reached(world: InProcess) -> bool:
        kept = StoredState(world)
        return ROW in kept.connections and kept.status(ROW) == status

    return reached


def disconnected(world: InProcess) -> bool:
    """The connection is shown as disconnected, and no token is live."""
    kept = StoredState(world)
    marked = ROW in kept.connections and kept.status(ROW) == "disconnected"
    return marked and not world.finch.live_tokens()


def disconnected_alone(world: InProcess) -> bool:
    """The connection is shown as disconnected, and the other customer's connection is live."""
    kept = StoredState(world)
    live = {one.connection_id for one in world.finch.live_tokens()}
    theirs = (ANOTHER, f"gusto#{JUNIPER_VALE.id}")
    return (kept.status(ROW), kept.status(theirs)) == ("disconnected", "connected") and (
        kept.connection_ids(theirs) == live
    )


def erased(world: InProcess) -> bool:
    """The customer has no row, and the connection of the other customer lives."""
    kept = StoredState(world)
    theirs = (ANOTHER, f"gusto#{JUNIPER_VALE.id}")
    live = {one.connection_id for one in world.finch.live_tokens()}
    customers = {item["customer_id"]["S"] for item in kept.sessions.values()}
    return (
        kept.connections.keys() == {theirs}
        and kept.status(theirs) == "connected"
        and kept.connection_ids(theirs) == live
        and CUSTOMER not in customers
    )


def of_another(world: InProcess) -> bool:
    """Only the other customer has the company, and their connection lives."""
    kept = StoredState(world)
    theirs = (ANOTHER, ROW[1])
    live = {one.connection_id for one in world.finch.live_tokens()}
    return (
        kept.connections.keys() == {theirs}
        and kept.status(theirs) == "connected"
        and kept.connection_ids(theirs) <= live
    )


def entities_left(number: int) -> Callable[[InProcess], bool]:
    """The clinics are connected with this many entities, here and at Finch."""

    def reached(world: InProcess) -> bool:
        item = StoredState(world).connections[CLINICS]
        present = [len(one.present_entities) for one in world.finch.connections() if one.live]
        tokens = item["tokens"]["M"].values()
        shown = [one for token in tokens for one in entities_of(token).values()]
        return (
            item["status"]["S"] == "connected"
            and "ending_entities" not in item
            and present == [shown.count("connected")] == [number]
        )

    return reached


def clinics_disconnected(world: InProcess) -> bool:
    """The clinics are shown as disconnected, and no token is live."""
    return StoredState(world).status(CLINICS) == "disconnected" and not world.finch.live_tokens()


def connected_elsewhere(world: InProcess) -> bool:
    """The connection is unchanged, and another company is also connected."""
    kept = StoredState(world)
    elsewhere = (CUSTOMER, f"gusto#{JUNIPER_VALE.id}")
    return (
        elsewhere in kept.connections
        and kept.status(elsewhere) == "connected"
        and shown("reauth")(world)
    )


def ended(world: InProcess) -> bool:
    """No session has a token, and each live token is covered by a connection."""
    places = StoredState(world).places()
    covered = {place.connection_id for place in places}
    live = world.finch.live_tokens()
    return all(one.token_id for one in places) and all(one.connection_id in covered for one in live)


def phase(name: str) -> Callable[[InProcess], bool]:
    """A session is in this phase."""
    return lambda world: StoredState(world).phases()[name] > 0


def no_phase(name: str, reached: Callable[[InProcess], bool]) -> Callable[[InProcess], bool]:
    """Another goal is reached, and no session is in this phase."""
    return lambda world: reached(world) and not phase(name)(world)


def transferred(world: InProcess) -> bool:
    """The customer has the company, and the other customer's connection has ended."""
    kept = StoredState(world)
    return connected(1)(world) and kept.status((ANOTHER, ROW[1])) == "disconnected"


def held_once(world: InProcess) -> bool:
    """One token is held, the newest."""
    texts = [one.text for one in StoredState(world).places() if isinstance(one.row, str)]
    return texts == [world.finch.tokens()[-1].access_token]


# States before a scenario


def _nothing(run: ScenarioRun) -> Person:
    return run.person()


def _one_allowed(run: ScenarioRun) -> Person:
    run.world.limit_connections(1)
    return run.person()


def _on_another_site(run: ScenarioRun) -> Person:
    return run.person(same_site=False)


def _company_named_late(run: ScenarioRun) -> Person:
    run.world.finch.change_switches(token_company_id="absent")
    return run.person()


def _no_state_echoed(run: ScenarioRun) -> Person:
    run.world.finch.change_switches(echo_state=False)
    return run.person()


def _another_customer_named(run: ScenarioRun) -> Person:
    run.world.finch.change_switches(introspect_customer_id_override="globex")
    return run.person()


def _one_login(run: ScenarioRun) -> Person:
    acme = run.person()
    run.connect(acme)
    run.process()
    return acme


def _one_login_and_no_state_echoed(run: ScenarioRun) -> Person:
    acme = _one_login(run)
    run.world.finch.change_switches(echo_state=False)
    return acme


def _some_products(run: ScenarioRun) -> Person:
    acme = run.person()
    run.connect(acme, products=["company"])
    run.process()
    return acme


def _several_logins(run: ScenarioRun) -> Person:
    acme = run.person()
    run.connect(acme, login=MAYA, products=["company"])
    run.connect(acme, login=MAYA, products=["directory"])
    run.connect(acme, login=OWEN)
    run.process()
    return acme


def _several_logins_of_one_connection(run: ScenarioRun) -> Person:
    run.world.finch.change_switches(other_login_same_connection=True)
    return _several_logins(run)


def _unconfirmed(run: ScenarioRun) -> Person:
    run.connect(run.person(same_site=False))
    return run.person()


def _unconfirmed_and_connected(run: ScenarioRun) -> Person:
    acme = _one_login(run)
    run.connect(run.person(same_site=False))
    return acme


def _unconfirmed_and_another_login_connected(run: ScenarioRun) -> Person:
    acme = run.person()
    run.connect(acme, login=OWEN)
    run.process()
    run.connect(run.person(same_site=False), login=MAYA)
    return acme


def _token_held(run: ScenarioRun) -> Person:
    acme = _unconfirmed_and_another_login_connected(run)
    run.process()
    assert phase("held")(run.world)
    return acme


def _another_customers_company(run: ScenarioRun, **choices: Any) -> Person:
    """A customer whose token is held, because another customer has connected the company."""
    acme = run.person()
    run.connect(run.person(customer_id=ANOTHER), login=MAYA)
    assert run.record_outcome(acme.connect(**choices).outcome) == "cannot_connect"
    run.process()
    return acme


def _other_login_of_another_customers_company(run: ScenarioRun) -> Person:
    return _another_customers_company(run, login=OWEN)


def _company_is_free(run: ScenarioRun) -> Person:
    acme = _other_login_of_another_customers_company(run)
    run.disconnect(run.people[-1])
    return acme


def _company_is_free_and_token_dead(run: ScenarioRun) -> Person:
    acme = _another_customers_company(run)
    run.disconnect(run.people[-1])
    return acme


def _ended_at_finch(run: ScenarioRun) -> Person:
    acme = _unconfirmed(run)
    [token] = run.world.finch.live_tokens()
    run.world.finch.disconnect(token.access_token)
    return acme


def _two_customers(run: ScenarioRun) -> Person:
    """A customer with a connection and an unconfirmed session, and another customer's connection."""
    acme = _one_login(run)
    run.connect(run.person(same_site=False), login=OWEN)
    run.connect(run.person(customer_id=ANOTHER), **_ELSEWHERE)
    run.process()
    return acme


def _ids_differ(run: ScenarioRun) -> Person:
    """Finch's two answers about a token name different connections, the second another customer's."""
    acme = run.person()
    run.connect(run.person(customer_id=ANOTHER))
    run.world.finch.faults.add("POST", "/auth/token", edit={"set": {"connection_id": "unowned"}})
    assert run.record_outcome(acme.connect().outcome) == "cannot_connect"
    run.process()
    return acme


def _erased_after_the_backup(run: ScenarioRun) -> Person:
    acme = _two_customers(run)
    run.backup = run.world.back_up()
    run.repeat("erase_customer", customer_id=CUSTOMER)
    _lose_rows(run, ANOTHER)
    return acme


def _connected_by_another_after_the_backup(run: ScenarioRun) -> Person:
    acme = _one_login(run)
    run.backup = run.world.back_up()
    _lose_rows(run, CUSTOMER)
    run.connect(run.person(customer_id=ANOTHER), login=OWEN)
    run.process()
    return acme


def _lose_rows(run: ScenarioRun, customer_id: str) -> None:
    """The connections of a customer, and their ownership records, are lost."""
    tables = run.world.tables
    for table, key in (
        (tables.connections, ("customer_id", "provider_id#company_id")),
        (tables.ownerships, ("owned_id",)),
    ):
        for item in tables.items(table):
            if item.get("customer_id") == {"S": customer_id}:
                tables.dynamodb.delete_item(TableName=table, Key={one: item[one] for one in key})


def _not_introspected(run: ScenarioRun) -> Person:
    acme = run.person()
    url = acme.log_in(acme.click(acme.link()))
    with run.once("GET /introspect", _server_error):
        acme.come_back(url)
    return acme


def _interrupted(run: ScenarioRun) -> Person:
    acme = run.person()
    url = acme.log_in(acme.click(acme.link()))

    def stop(call: Call, send: Callable[[], Any]) -> Any:
        send().read()
        raise Stopped

    with run.once("POST /auth/token", stop):
        acme.browser.navigate(url)
    return acme


def _uncertain(run: ScenarioRun) -> Person:
    acme = _interrupted(run)
    run.process()
    assert phase("uncertain")(run.world)
    return acme


def _uncertain_of_nothing(run: ScenarioRun) -> Person:
    acme = run.person()
    url = acme.log_in(acme.click(acme.link()))

    def lose(call: Call, send: Callable[[], Any]) -> Any:
        raise httpx.ReadTimeout("on demand", request=call.arguments)

    with run.once("POST /auth/token", lose):
        acme.come_back(url)
    run.process()
    return acme


def _disconnecting(run: ScenarioRun) -> Person:
    acme = _several_logins(run)
    with run.once("POST /disconnect", _server_error):
        acme.disconnect()
    return acme


def _three_entities(run: ScenarioRun) -> Person:
    acme = run.person()
    run.connect(acme, login=DANA, company_id=NORTHFOLD.id)
    run.process()
    return acme


def _last_entity(run: ScenarioRun) -> Person:
    acme = _three_entities(run)
    for _ in range(2):
        assert run.disconnect_entity(acme) == "connected"
    run.process()
    return acme


def _entity_disconnecting(run: ScenarioRun) -> Person:
    acme = _three_entities(run)
    with run.once("POST /disconnect-entity", _server_error):
        run.disconnect_entity(acme)
    return acme


def _one_login_at_rest(run: ScenarioRun) -> Person:
    acme = _one_login(run)
    run.process()
    return acme


def _broken_unnoticed(run: ScenarioRun) -> Person:
    acme = _one_login_at_rest(run)
    [connection] = [one for one in run.world.finch.connections() if one.live]
    run.world.finch.set_connection_status(connection.id, "reauth")
    return acme


def _broken(run: ScenarioRun) -> Person:
    acme = _broken_unnoticed(run)
    run.world.deliver_webhooks()
    run.process()
    assert shown("reauth")(run.world)
    return acme


def _broken_where_a_repair_revokes(run: ScenarioRun) -> Person:
    run.world.finch.change_switches(reauth_kills_old_tokens=True)
    return _broken(run)


def _repaired_unconfirmed(run: ScenarioRun) -> Person:
    acme = _broken_where_a_repair_revokes(run)
    _repair_and_see(run, run.person(same_site=False), "confirm")
    return acme


def _repaired_and_interrupted(run: ScenarioRun) -> Person:
    acme = _broken_where_a_repair_revokes(run)

    def stop(call: Call, send: Callable[[], Any]) -> Any:
        send().read()
        raise Stopped

    with run.once("POST /auth/token", stop), suppress(Exception):
        _repair(run, acme)
    return acme


def _broken_where_a_repair_may_end_elsewhere(run: ScenarioRun) -> Person:
    run.world.finch.change_switches(reauth_may_change_company=True)
    return _broken(run)


def _repaired_elsewhere_unconfirmed(run: ScenarioRun) -> Person:
    acme = _broken_where_a_repair_may_end_elsewhere(run)
    _repair_and_see(run, run.person(same_site=False), "confirm", **_ELSEWHERE)
    return acme


def _repaired_at_anothers_company(run: ScenarioRun) -> Person:
    globex = run.person(customer_id=ANOTHER)
    acme = _broken_where_a_repair_may_end_elsewhere(run)
    run.connect(globex, **_ELSEWHERE)
    _repair_and_see(run, acme, "cannot_connect", **_ELSEWHERE)
    run.process()
    return acme


def _ended_unnoticed(run: ScenarioRun) -> Person:
    acme = _one_login_at_rest(run)
    [token] = run.world.finch.live_tokens()
    run.world.finch.change_switches(webhook_on_disconnect=False)
    run.world.finch.disconnect(token.access_token)
    return acme


def _discard_failed(run: ScenarioRun) -> Person:
    run.connect(run.person(same_site=False))
    run.world.finch.faults.add("POST", "/disconnect", status=500, times=None)
    run.world.queue.pass_time(timedelta(days=1, minutes=1))
    run.world.finch.faults.clear()
    assert phase("discarding")(run.world)
    return run.person()


def _server_error(call: Call, send: Callable[[], Any]) -> Any:
    return httpx.Response(500, json={"name": "server_error"})


# A user connects


@scenario("connect", connected(1), _nothing)
@scenario("connect, company named late", connected(1), _company_named_late)
@scenario("connect, state not echoed", connected(1), _no_state_echoed)
def _connect(run: ScenarioRun, acme: Person) -> None:
    run.connect(acme)


@scenario("connect, confirm", connected(1), _on_another_site)
def _connect_and_confirm(run: ScenarioRun, acme: Person) -> None:
    run.confirm(acme, run.connect(acme))


@scenario("connect after a failed discard", connected(1), _discard_failed)
def _connect_after_a_failed_discard(run: ScenarioRun, acme: Person) -> None:
    assert run.record_outcome(acme.connect().outcome) == "pending"
    run.process()


@scenario("connect under another customer's name", phase("held"), _another_customer_named)
def _connect_under_another_name(run: ScenarioRun, acme: Person) -> None:
    assert run.record_outcome(acme.connect().outcome) == "cannot_connect"
    run.process()


@scenario("connect another customer's company again", held_once, _another_customers_company)
def _connect_another_customers_company(run: ScenarioRun, acme: Person) -> None:
    assert run.record_outcome(acme.connect().outcome) == "cannot_connect"
    run.process()


@scenario("connect one more than the limit", connected_alone, _one_allowed)
def _connect_two_of_one(run: ScenarioRun, acme: Person) -> None:
    pages = [acme.click(acme.link()) for _ in range(2)]
    landing = acme.come_back(acme.log_in(pages[0]))
    assert run.record_outcome(landing.outcome) == "connected"
    landing = acme.come_back(acme.log_in(pages[1], provider_id="justworks"))
    assert run.record_outcome(landing.outcome) == "connection_limit"
    run.process()


@scenario("connect embedded", connected(1), _nothing)
def _connect_embedded(run: ScenarioRun, acme: Person) -> None:
    started = acme.start(mode="embedded")
    assert started.status == 201, started.text
    authorized = run.world.finch.authorize(
        started.json["session_id"],
        provider_id="gusto",
        login=MAYA,
        company_id=HARBOR_LANE.id,
        products=BOTH,
    )
    body = {"code": authorized.code, "state": started.json["state"]}
    assert run.record_outcome(acme.call("POST", "/callback", body).json) == "connected"


@scenario("connect a second login", connected(2), _one_login)
def _connect_a_second_login(run: ScenarioRun, acme: Person) -> None:
    run.connect(acme, login=OWEN)


@scenario("connect the same login again", connected(1), _one_login)
def _connect_again(run: ScenarioRun, acme: Person) -> None:
    run.connect(acme)


@scenario("connect other products of a login", connected(2), _some_products)
def _connect_other_products(run: ScenarioRun, acme: Person) -> None:
    run.connect(acme, products=["directory"])


@scenario("recover an uncertain exchange", connected(1), _uncertain)
def _recover(run: ScenarioRun, acme: Person) -> None:
    run.connect(acme)


@scenario("repair", connected(1), _broken)
@scenario("repair, which revokes", connected(1), _broken_where_a_repair_revokes)
def _repair(run: ScenarioRun, acme: Person) -> None:
    _repair_and_see(run, acme, "connected")


@scenario("repair, connect in another tab", connected(1), _one_login_and_no_state_echoed)
def _repair_in_one_of_two_tabs(run: ScenarioRun, acme: Person) -> None:
    page = acme.click(acme.repair_link())
    acme.click(acme.link())
    landing = acme.come_back(acme.log_in(page))
    assert run.record_outcome(landing.outcome) == "connected"
    assert landing.outcome["repaired"] == "true"


@scenario("connect, repair in another tab", connected(2), _one_login_and_no_state_echoed)
def _connect_in_one_of_two_tabs(run: ScenarioRun, acme: Person) -> None:
    page = acme.click(acme.link())
    acme.click(acme.repair_link())
    landing = acme.come_back(acme.log_in(page, login=OWEN))
    assert run.record_outcome(landing.outcome) == "connected"
    assert "repaired" not in landing.outcome


@scenario(
    "repair, at another company", connected_elsewhere, _broken_where_a_repair_may_end_elsewhere
)
def _repair_elsewhere(run: ScenarioRun, acme: Person) -> None:
    _repair_and_see(run, acme, "connected", **_ELSEWHERE)


def _repair_and_see(run: ScenarioRun, acme: Person, expected: str, **choices: Any) -> None:
    path = connection_path("gusto", HARBOR_LANE.id) + "/reauthenticate"
    reply = acme.call("POST", path, {"return_to": run.world.return_urls[0]})
    assert reply.status == 201, run.record_outcome(reply.json)
    landing = acme.go_through(reply.json["connect_url"], **choices)
    assert run.record_outcome(landing.outcome) == expected


# A user disconnects


@scenario("disconnect", disconnected, _one_login)
def _disconnect(run: ScenarioRun, acme: Person) -> None:
    run.disconnect(acme)


@scenario("disconnect several logins", disconnected, _several_logins)
@scenario(
    "disconnect several logins of one Finch connection",
    disconnected,
    _several_logins_of_one_connection,
)
def _disconnect_several(run: ScenarioRun, acme: Person) -> None:
    run.disconnect(acme)


@scenario("disconnect an entity", entities_left(2), _three_entities)
@scenario("disconnect the last entity", clinics_disconnected, _last_entity)
def _disconnect_entity(run: ScenarioRun, acme: Person) -> None:
    assert run.disconnect_entity(acme) in ("connected", "disconnected")


@scenario("disconnect while a session is open", disconnected, _unconfirmed_and_connected)
@scenario("disconnect while a repair is open", disconnected, _repaired_unconfirmed)
@scenario(
    "disconnect while a repair at another company is open",
    disconnected,
    _repaired_elsewhere_unconfirmed,
)
@scenario(
    "disconnect after a repair at another customer's company",
    disconnected_alone,
    _repaired_at_anothers_company,
)
def _disconnect_with_an_open_session(run: ScenarioRun, acme: Person) -> None:
    assert run.record_outcome(acme.disconnect().json) in ("disconnected", "disconnecting")
    run.process()


# The queue


@scenario("process work: finish an escrowed token", connected(1), _not_introspected)
@scenario("process work: end an unconfirmed connection", ended, _unconfirmed)
@scenario("process work: discard a login that is also connected", ended, _unconfirmed_and_connected)
@scenario(
    "process work: hold a login of a connection with other logins",
    phase("held"),
    _unconfirmed_and_another_login_connected,
)
@scenario(
    "process work: hold a repair that revoked the other tokens",
    phase("held"),
    _repaired_unconfirmed,
)
@scenario("process work: attach a held token", connected(1), _company_is_free)
@scenario(
    "process work: ask to connect again",
    shown("disconnected"),
    _company_is_free_and_token_dead,
)
@scenario("process work: report an interrupted exchange", phase("uncertain"), _interrupted)
@scenario(
    "process work: report an interrupted repair", phase("uncertain"), _repaired_and_interrupted
)
@scenario("process work: forget a token that Finch ended", ended, _ended_at_finch)
@scenario("process work: continue a disconnect", disconnected, _disconnecting)
@scenario(
    "process work: continue a disconnect of an entity", entities_left(2), _entity_disconnecting
)
def _process_work(run: ScenarioRun, acme: Person) -> None:
    run.process()


@scenario("webhook: a connection broke", shown("reauth"), _one_login_at_rest)
def _webhook(run: ScenarioRun, acme: Person) -> None:
    [connection] = [one for one in run.world.finch.connections() if one.live]
    run.world.finch.set_connection_status(connection.id, "reauth")
    # Finch retries a webhook that was not accepted.
    for _ in range(3):
        run.world.deliver_webhooks()
        run.world.queue.pass_time(timedelta(minutes=10))


@scenario("scheduled check: a connection broke", shown("reauth"), _broken_unnoticed)
@scenario("scheduled check: a connection ended", shown("disconnected"), _ended_unnoticed)
def _scheduled_check(run: ScenarioRun, acme: Person) -> None:
    run.world.clock.advance(timedelta(days=1, hours=1))
    run.call("schedule_checks", {})
    run.world.queue.pass_time(timedelta(hours=2))


# Another backend


@scenario("vend a token", connected(1), _one_login)
def _vend(run: ScenarioRun, acme: Person) -> None:
    asked = {
        "customer_id": CUSTOMER,
        "provider_id": "gusto",
        "company_id": HARBOR_LANE.id,
        "caller": "nightly-sync",
        "purpose": "employee sync",
        "products": ["directory"],
    }
    answer = run.call("vend_token", asked)
    records = run.world.tables.items(run.world.tables.audit)
    assert "token" in (answer or {}), "no token"
    assert [one["outcome"]["S"] for one in records][-1:] == ["vended"]


@scenario("call finch", connected(1), _one_login)
def _call_finch(run: ScenarioRun, acme: Person) -> None:
    asked = {
        "customer_id": CUSTOMER,
        "provider_id": "gusto",
        "company_id": HARBOR_LANE.id,
        "caller": "nightly-sync",
        "purpose": "nightly sync",
        "method": "GET",
        "path": "/employer/directory",
    }
    answer = run.call("call_finch", asked)
    if answer and answer.get("status_code") == 200:
        records = run.world.tables.items(run.world.tables.audit)
        assert records[-1]["call"]["S"] == "GET /employer/directory"


# An operator


def _decide(run: ScenarioRun, action: str) -> None:
    session = run.only_session("held")
    shown = run.operate({"action": action, "session": session})
    decided = {"action": action, "session": session, "decision": shown["decision"]}
    run.operate(decided)


@scenario("operator: attach a held token", connected(2), _token_held)
def _attach_held(run: ScenarioRun, acme: Person) -> None:
    _decide(run, "attach")


@scenario("operator: transfer, same login", transferred, _another_customers_company)
@scenario("operator: transfer, other login", transferred, _other_login_of_another_customers_company)
def _transfer(run: ScenarioRun, acme: Person) -> None:
    _decide(run, "transfer")
    run.process()


@scenario("operator: end a held token", ended, _token_held)
def _end_held(run: ScenarioRun, acme: Person) -> None:
    _decide(run, "disconnect")


@scenario(
    "operator: dismiss an exchange without a token",
    no_phase("uncertain", ended),
    _uncertain_of_nothing,
)
def _dismiss(run: ScenarioRun, acme: Person) -> None:
    run.operate({"action": "dismiss", "session": run.only_session("uncertain")})


@scenario("operator: erase a customer", erased, _two_customers)
@scenario("operator: erase a customer whose ids differ", of_another, _ids_differ)
def _erase(run: ScenarioRun, acme: Person) -> None:
    run.repeat("erase_customer", customer_id=CUSTOMER)


@scenario("operator: restore after an erasure", erased, _erased_after_the_backup)
@scenario(
    "operator: restore a company that another customer has connected",
    of_another,
    _connected_by_another_after_the_backup,
)
def _restore(run: ScenarioRun, acme: Person) -> None:
    run.repeat("restore_backup", **run.backup)
