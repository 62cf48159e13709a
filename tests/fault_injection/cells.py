"""Runs a scenario with one thing going wrong, lets the queue do its work, and says what came of it."""

import io
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from finch_connections.log import logger
from local.fake_finch.records import Connection, Customer, Token
from local.fake_finch.seed_world import HARBOR_LANE, MAYA
from local.fake_finch.switches import Switches
from tests.fault_injection.faults import Fault, faults_of
from tests.fault_injection.scenarios import BOTH, CUSTOMER, SCENARIOS, Scenario, Stage
from tests.support.deployed import Api, Reply
from tests.support.in_process import (
    Call,
    InProcess,
    Storm,
    deploy,
    forget_what_was_read,
    let_through,
)
from tests.support.invariants import Kept, Watch, broken
from tests.support.person import Person

_DAYS = timedelta(days=14)
_TWO_HOURS = timedelta(hours=2)
_HALF_A_DAY = timedelta(hours=12)
_ANSWER_TIMES = timedelta(seconds=1)
# A prime, so that it is a multiple of no number of faults.
_STRIDE = 31
_REPORTS = {"held": "token_held", "uncertain": "exchange_uncertain"}


@dataclass(frozen=True)
class Step:
    """One call of a scenario: the `number`-th that leaves the product."""

    number: int
    call: Call

    @property
    def name(self) -> str:
        """What is called, without the values."""
        return " ".join(filter(None, [self.call.function, self.call.operation, _about(self.call)]))


@dataclass(frozen=True)
class Trial:
    """One fault at one step, once or for as long as it lasts."""

    scenario: Scenario
    step: Step
    fault: Fault
    lasts: timedelta | None = None

    @property
    def fault_name(self) -> str:
        """What goes wrong, and for how long."""
        hours = f", for {self.lasts.total_seconds() / 3600:.0f} h" if self.lasts else ""
        return self.fault.name + hours


@dataclass(frozen=True)
class Cell:
    """What came of a trial; `lost` is empty unless a promise was broken."""

    scenario: str
    number: int
    step: str
    fault: str
    outcome: str
    lost: tuple[str, ...] = ()


def _about(call: Call) -> str:
    if call.service == "finch":
        return ""
    arguments = call.arguments
    if "TransactItems" in arguments:
        pairs = [next(iter(one.items())) for one in arguments["TransactItems"]]
        return " ".join(f"{verb} {_table(write)}" for verb, write in pairs)
    if "RequestItems" in arguments:
        return " ".join(name.removesuffix("Table") for name in arguments["RequestItems"])
    if "EncryptionContext" in arguments:
        return str(arguments["EncryptionContext"]["purpose"])
    return _table(arguments)


def _table(arguments: Any) -> str:
    name = str(arguments.get("TableName", "")).removesuffix("Table")
    key = arguments.get("Key") or arguments.get("Item") or {}
    what = key.get("handle_hash", key.get("owned_id", {"S": ""}))["S"].partition("#")
    return f"{name}:{what[0]}" if what[1] else name


class _Striker:
    """Counts the calls and strikes one of them, and for a while all of its kind."""

    def __init__(self, world: InProcess, trial: Trial) -> None:
        self._world = world
        self._trial = trial
        self._kind = _kind(trial.step.call)
        self._calls = 0
        self._until = world.clock.now
        self.struck = False

    def __call__(self, call: Call, send: Callable[[], Any]) -> Any:
        self._calls += 1
        now = self._world.clock.now
        if self._calls == self._trial.step.number:
            assert _kind(call) == self._kind, call
            self.struck = True
            self._until = now + (self._trial.lasts or timedelta())
        elif not self.struck or now >= self._until or _kind(call) != self._kind:
            return send()
        return self._trial.fault.strike(self._world, call, send)

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        self._world.border.guard = let_through


def _kind(call: Call) -> tuple[str, str, str]:
    return (call.service, call.operation, _about(call))


@dataclass(frozen=True)
class _WatchedApi:
    """The API, with time passing at each request, and a note of what each leaves behind."""

    world: InProcess
    harness: "Harness"

    def send(self, method: str, path: str, **request: Any) -> Reply:
        self.world.clock.advance(_ANSWER_TIMES)
        reply = self.world.api.send(method, path, **request)
        self.harness.look()
        return reply


class Harness:
    """The world in which one cell after the other is run."""

    def __init__(self, world: InProcess, log: io.StringIO) -> None:
        self._log = log
        self._watch = Watch()
        api: Api = _WatchedApi(world, self)
        self.world = replace(world, api=api)
        self.world.border.apart = True
        self._stage = Stage(self.world)
        self._before: Scenario | None = None
        self._dead_before: set[str] = set()
        self._person = self._stage.person()
        self._restore: Callable[[], None] = world.reset

    def look(self) -> None:
        """Takes note of what is in the tables."""
        self._watch.look(Kept(self.world))

    def trials(self, scenario: Scenario) -> list[Trial]:
        """Everything that can go wrong with every call of a scenario.

        Fails unless the scenario comes to its end where nothing goes wrong.
        """
        self._begin(scenario)
        calls: list[Call] = []

        def note(call: Call, send: Callable[[], Any]) -> Any:
            calls.append(call)
            return send()

        self.world.border.guard = note
        with redirect_stdout(self._log):
            scenario.play(self._stage, self._person)
        self.world.border.guard = let_through
        assert scenario.reached(self.world), f"{scenario.name} does not reach what it is for"
        return list(_trials(scenario, calls))

    def run(self, trial: Trial) -> Cell:
        """One cell: the fault, the queue for days, the promises, and the customer's next attempt."""
        # A function writes its metrics to the output of its process.
        with redirect_stdout(self._log):
            return self._run(trial)

    def _run(self, trial: Trial) -> Cell:
        scenario, world = trial.scenario, self.world
        self._begin(scenario)
        lived = _lives(world.finch.tokens())
        striker = _Striker(world, trial)
        world.border.guard = striker
        try:
            scenario.play(self._stage, self._person)
        except AssertionError:
            if not striker.struck:
                raise
        assert striker.struck, trial
        if not trial.lasts:
            striker.mend()
        at_once = scenario.reached(world)
        try:
            outcome, lost = self._aftermath(trial, striker, lived, at_once=at_once)
        except Storm as storm:
            outcome, lost = "", [f"P9: {storm}"]
        if lost:
            outcome = f"LOST: {lost[0]}"
        step = trial.step
        return Cell(scenario.name, step.number, step.name, trial.fault_name, outcome, tuple(lost))

    def _aftermath(
        self, trial: Trial, striker: _Striker, lived: dict[str, bool], *, at_once: bool
    ) -> tuple[str, list[str]]:
        """What came of it, and what of the promises is broken; raises `Storm`."""
        lost, rang = self._come_to_rest(striker, trial.lasts)
        lost += self._promises(trial.fault)
        lost += self._unreported()
        outcome = self._outcome(trial.scenario, lived, at_once=at_once)
        lost += self._next_attempt(trial.fault)
        if outcome.endswith("reported") and not lost:
            outcome += ", recovered"
        return outcome + (", after dead letters" if rang else ""), lost

    def _begin(self, scenario: Scenario) -> None:
        """How things stand before a scenario: once made, then brought back."""
        self._watch = Watch()
        if self._before is scenario:
            self._restore()
        else:
            self.world.reset()
            self._stage.people.clear()
            with redirect_stdout(self._log):
                self._person = scenario.before(self._stage)
            self.world.clock.advance(_ANSWER_TIMES)
            forget_what_was_read()
            self._restore = self._stage.snapshot()
            self._before = scenario
        # Only a later look can find what Finch had ended before.
        self._dead_before = {one.id for one in self.world.finch.connections() if not one.live}
        self._stage.seen.clear()
        self._log.seek(0)
        self._log.truncate()
        self.look()

    def _come_to_rest(self, striker: _Striker, lasts: timedelta | None) -> tuple[list[str], bool]:
        """Nobody does anything, for days. Answers what is wrong with the queue, and whether it rang."""
        queue, lost = self.world.queue, []
        rested = queue.drain(_DAYS)
        rang = bool(queue.dead())
        if lasts:
            queue.pass_time(lasts)
            striker.mend()
            queue.redrive()
            # What has failed for long is looked at again only after hours.
            queue.pass_time(_HALF_A_DAY)
            rested = queue.drain(_DAYS)
        elif rang:
            lost.append("I6: a dead letter")
        if lasts and queue.dead():
            lost.append("I6: a dead letter that comes again")
        if not rested:
            lost.append("I1: the queue does not come to rest")
        return lost, rang

    def _promises(self, fault: Fault) -> list[str]:
        world = self.world
        dead = {one.id for one in world.finch.connections() if not one.live}
        return broken(
            world,
            self._watch,
            world.border.exchanges,
            at_rest=True,
            lost_at_finch=dead if fault.name.endswith("truly") else self._dead_before,
        )

    def _unreported(self) -> list[str]:
        """Sessions that wait for a person and of which the metrics say nothing."""
        phases, log = Kept(self.world).phases(), self._log.getvalue()
        return [
            f"I1: a session is {phase} and nobody is told"
            for phase, outcome in _REPORTS.items()
            if phases[phase] and f'"outcome":"{outcome}"' not in log
        ]

    def _outcome(self, scenario: Scenario, lived: dict[str, bool], *, at_once: bool) -> str:
        if at_once:
            return "finished"
        if scenario.reached(self.world):
            waited = self._stage.seen[-1:] in (["pending"], ["disconnecting"])
            return "pending then finished" if waited else "finished by the queue"
        kept = Kept(self.world)
        phases = kept.phases()
        for phase in ("uncertain", "held"):
            if phases[phase]:
                return f"{phase}, reported"
        if any("problem" in item for item in kept.connections.values()):
            return "refused, reported"
        unchanged = _lives(self.world.finch.tokens()) == lived
        return "nothing happened" if unchanged else "ended at Finch, nothing left"

    def _connect(self, person: Person, login: str, company_id: str) -> None:
        seen: list[str] = []
        for _ in range(3):
            landing = person.connect(login=login, company_id=company_id, products=BOTH)
            seen.append(landing.outcome.get("error") or landing.outcome["status"])
            if seen[-1] == "connected":
                return
            self.world.queue.pass_time(_TWO_HOURS)
        raise AssertionError(f"cannot connect: {', '.join(seen)}")

    def _unknown(self) -> list[Connection]:
        """What Finch has of the customer's beside the connection, and their list does not show."""
        kept = Kept(self.world)
        shown = {one for row in kept.connections for one in kept.connection_ids(row)}
        return [one for one in self._theirs_live() if one.id not in shown]

    def _theirs_live(self) -> list[Connection]:
        finch = self.world.finch
        return [one for one in finch.connections() if one.live and _theirs(one.customer)]

    def _next_attempt(self, fault: Fault) -> list[str]:
        """The customer connects the login and disconnects all: then nothing of theirs may live."""
        world, queue = self.world, self.world.queue
        world.finch.change_switches(**Switches().model_dump())
        person = self._stage.person()
        try:
            self._connect(person, MAYA, HARBOR_LANE.id)
            for one in self._unknown():
                self._connect(person, one.logins[0], one.company_id)
            queue.pass_time(_TWO_HOURS)
            lost = self._promises(fault)
            for there in person.connections():
                person.disconnect(there["provider_id"], there["company_id"])
            queue.pass_time(_TWO_HOURS)
        except AssertionError as error:
            return [f"the next attempt is stopped: {str(error)[:80]}"]
        if live := self._theirs_live():
            lost.append(f"the bill cannot be stopped: {len(live)} live after disconnecting")
        return lost + self._promises(fault)


def _trials(scenario: Scenario, calls: Sequence[Call]) -> Iterator[Trial]:
    lasting = set()
    for number, call in enumerate(calls, 1):
        step = Step(number, call)
        for fault in faults_of(call):
            yield Trial(scenario, step, fault)
            # From the first of its kind on, it strikes the others too.
            if fault.lasts and (_kind(call), fault.name) not in lasting:
                lasting.add((_kind(call), fault.name))
                yield Trial(scenario, step, fault, fault.lasts)


def share(trials: Sequence[Trial]) -> list[Trial]:
    """Some trials: at each step of each function every kind of fault once, in some scenario.

    From step to step another fault stands for its kind, and another scenario for the step. What
    lasts is tried once for each call, whichever function makes it.
    """
    found: dict[tuple[str, ...], list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.lasts:
            found[_kind(trial.step.call)].append(trial)
        else:
            found[trial.step.name, trial.fault.kind].append(trial)
    return [there[n * _STRIDE % len(there)] for n, there in enumerate(found.values())]


def _lives(tokens: Sequence[Token]) -> dict[str, bool]:
    return {token.id: token.live for token in tokens}


def _theirs(customer: Customer | None) -> bool:
    return customer is None or customer.id.partition("~")[0] == CUSTOMER


@contextmanager
def harness(*, at_once: bool = False) -> Iterator[Harness]:
    """A world for cells: nobody waits in it, and what is logged is kept apart.

    What is done beside other work comes `at_once` before it, or after it.
    """
    log = io.StringIO()
    with deploy(ticks=False) as world, pytest.MonkeyPatch.context() as monkeypatch:
        world.border.beside.at_once = at_once
        monkeypatch.setattr(time, "sleep", world.clock.sleep)
        written_to = logging.getLogger(logger.name)
        monkeypatch.setattr(written_to, "propagate", False)
        handlers = [one for one in written_to.handlers if isinstance(one, logging.StreamHandler)]
        streams = [one.setStream(log) for one in handlers]
        try:
            yield Harness(world, log)
        finally:
            for handler, stream in zip(handlers, streams, strict=True):
                if stream:
                    handler.setStream(stream)


def run_part(name: str, part: int, parts: int, share: int, at_once: bool) -> list[tuple[int, Cell]]:
    """One part of the cells of a scenario, of every `share`-th of them, for a process of its own.

    Each with its place among all of them.
    """
    [scenario] = [one for one in SCENARIOS if one.name == name]
    with harness(at_once=at_once) as there:
        trials = list(enumerate(there.trials(scenario)))[::share]
        return [(place, there.run(trial)) for place, trial in trials[part::parts]]


def table(cells: Sequence[Cell]) -> str:
    """For each scenario its steps, and for each step what came of which fault."""
    lines: list[str] = []
    scenario, step = "", 0
    for cell in cells:
        if cell.scenario != scenario:
            lines += ["", cell.scenario, "=" * len(cell.scenario)]
            scenario, step = cell.scenario, 0
        if cell.number != step:
            step = cell.number
            lines.append(f"{step:3} {cell.step}")
            outcomes: dict[str, list[str]] = defaultdict(list)
            for one in cells:
                if (one.scenario, one.number) == (scenario, step):
                    outcomes[one.outcome].append(one.fault)
            lines += [f"      {what}: {'; '.join(faults)}" for what, faults in outcomes.items()]
    return "\n".join(lines)


def summary(cells: Sequence[Cell]) -> str:
    """How often each outcome came, the lost ones each with where."""
    counts = Counter(cell.outcome for cell in cells)
    lines = [f"{number:6} {outcome}" for outcome, number in counts.most_common()]
    lines += [
        f"LOST in {cell.scenario}, {cell.number} {cell.step}, {cell.fault}: {'; '.join(cell.lost)}"
        for cell in cells
        if cell.lost
    ]
    return "\n".join(lines)
