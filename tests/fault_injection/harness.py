"""Runs a scenario with one injected fault, lets the queue finish its work, and reports the result."""

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

from finch_connections import settings
from finch_connections.log import logger
from local.fake_finch.records import Connection, Customer, Token
from local.fake_finch.seed_world import HARBOR_LANE, MAYA
from local.fake_finch.switches import Switches
from tests.fault_injection.faults import Fault, faults_of
from tests.fault_injection.scenarios import (
    ANOTHER,
    BOTH,
    CUSTOMER,
    SCENARIOS,
    Scenario,
    ScenarioRun,
)
from tests.support.deployed import Api, Reply
from tests.support.in_process import (
    Call,
    InProcess,
    QueueOverload,
    deploy,
    forget_process_memory,
    let_through,
)
from tests.support.invariants import ConnectionHistory, StoredState, broken
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
    """One call of a scenario: the `number`-th call that leaves the product, and the `nth` of its kind.

    Kinds of calls can come in another order in the next run, because a scan has no order.
    """

    number: int
    call: Call
    nth: int

    @property
    def name(self) -> str:
        """The function, operation and target of the call, without values."""
        return " ".join(filter(None, [self.call.function, self.call.operation, _about(self.call)]))


@dataclass(frozen=True)
class Trial:
    """One fault at one step: once, or for a duration (`lasts`)."""

    scenario: Scenario
    step: Step
    fault: Fault
    lasts: timedelta | None = None

    @property
    def fault_name(self) -> str:
        """The name of the fault and its duration."""
        hours = f", for {self.lasts.total_seconds() / 3600:.0f} h" if self.lasts else ""
        return self.fault.name + hours


@dataclass(frozen=True)
class TrialResult:
    """The result of a trial; `lost` lists the broken promises."""

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


class _Injector:
    """A guard that injects the fault into one call, and for its duration into all similar calls."""

    def __init__(self, world: InProcess, trial: Trial) -> None:
        self._world = world
        self._trial = trial
        self._kind = _kind(trial.step.call)
        self._calls = 0
        self._until = world.clock.now
        self.injected = False

    def __call__(self, call: Call, send: Callable[[], Any]) -> Any:
        self._calls += _kind(call) == self._kind
        now = self._world.clock.now
        if not self.injected and self._calls == self._trial.step.nth:
            self.injected = True
            self._until = now + (self._trial.lasts or timedelta())
        elif not self.injected or now >= self._until or _kind(call) != self._kind:
            return send()
        return self._trial.fault.inject(self._world, call, send)

    def stop(self) -> None:
        """Stops injecting faults."""
        self._world.border.guard = let_through


def _kind(call: Call) -> tuple[str, str, str]:
    return (call.service, call.operation, _about(call))


@dataclass(frozen=True)
class _RecordingApi:
    """The API; advances the clock before each request, and records the tables after it."""

    world: InProcess
    harness: "Harness"

    def send(self, method: str, path: str, **request: Any) -> Reply:
        self.world.clock.advance(_ANSWER_TIMES)
        reply = self.world.api.send(method, path, **request)
        self.harness.record()
        return reply


class Harness:
    """Runs trials, one after the other, in one deployed product."""

    def __init__(self, world: InProcess, log: io.StringIO) -> None:
        self._log = log
        self._history = ConnectionHistory()
        api: Api = _RecordingApi(world, self)
        self.world = replace(world, api=api)
        self.world.border.apart = True
        self._scenario_run = ScenarioRun(self.world)
        self._before: Scenario | None = None
        self._dead_before: set[str] = set()
        self._person = self._scenario_run.person()
        self._restore: Callable[[], None] = world.reset

    def record(self) -> None:
        """Records the Finch connections that are now in the tables."""
        self._history.record(StoredState(self.world))

    def trials(self, scenario: Scenario) -> list[Trial]:
        """Every fault at every call of a scenario.

        Fails unless the scenario reaches its goal without faults.
        """
        self._begin(scenario)
        calls: list[Call] = []

        def note(call: Call, send: Callable[[], Any]) -> Any:
            calls.append(call)
            return send()

        self.world.border.guard = note
        with redirect_stdout(self._log):
            scenario.play(self._scenario_run, self._person)
        self.world.border.guard = let_through
        assert scenario.reached(self.world), f"{scenario.name} does not reach its goal"
        return list(_trials(scenario, calls))

    def run(self, trial: Trial) -> TrialResult:
        """Runs a trial: the scenario, days of the queue, the promises, and the customer's next attempt."""
        # A function writes its metrics to standard output.
        with redirect_stdout(self._log):
            return self._run(trial)

    def _run(self, trial: Trial) -> TrialResult:
        scenario, world = trial.scenario, self.world
        self._begin(scenario)
        lived = _lives(world.finch.tokens())
        injector = _Injector(world, trial)
        world.border.guard = injector
        try:
            scenario.play(self._scenario_run, self._person)
        except AssertionError:
            if not injector.injected:
                raise
        assert injector.injected, trial
        if not trial.lasts:
            injector.stop()
        at_once = scenario.reached(world)
        try:
            outcome, lost = self._aftermath(trial, injector, lived, at_once=at_once)
        except QueueOverload as overload:
            outcome, lost = "", [f"P9: {overload}"]
        if lost:
            outcome = f"LOST: {lost[0]}"
        step = trial.step
        return TrialResult(
            scenario.name, step.number, step.name, trial.fault_name, outcome, tuple(lost)
        )

    def _aftermath(
        self, trial: Trial, injector: _Injector, lived: dict[str, bool], *, at_once: bool
    ) -> tuple[str, list[str]]:
        """The outcome and the broken promises; raises `QueueOverload`."""
        lost, dead_letters = self._come_to_rest(injector, trial.lasts)
        lost += self._promises(trial.fault)
        lost += self._unreported()
        lost += self._over_the_limit()
        outcome = self._outcome(trial.scenario, lived, at_once=at_once)
        lost += self._next_attempt(trial.fault)
        if outcome.endswith("reported") and not lost:
            outcome += ", recovered"
        return outcome + (", after dead letters" if dead_letters else ""), lost

    def _begin(self, scenario: Scenario) -> None:
        """Prepares the state before a scenario: builds it for the first trial, and restores it later."""
        self._history = ConnectionHistory()
        if self._before is scenario:
            self._restore()
        else:
            self.world.reset()
            self._scenario_run.people.clear()
            with redirect_stdout(self._log):
                self._person = scenario.before(self._scenario_run)
            self.world.clock.advance(_ANSWER_TIMES)
            forget_process_memory()
            self._restore = self._scenario_run.snapshot()
            self._before = scenario
        # These connections have ended at Finch, but the product has not noticed it yet.
        self._dead_before = {one.id for one in self.world.finch.connections() if not one.live}
        self._scenario_run.outcomes.clear()
        self._scenario_run.reported.clear()
        self._log.seek(0)
        self._log.truncate()
        self.record()

    def _come_to_rest(self, injector: _Injector, lasts: timedelta | None) -> tuple[list[str], bool]:
        """Lets days pass without users. Returns the queue's faults, and whether it had dead letters."""
        queue, lost = self.world.queue, []
        rested = queue.drain(_DAYS)
        dead_letters = bool(queue.dead())
        if lasts:
            queue.pass_time(lasts)
            injector.stop()
            queue.redrive()
            # Work that has failed for a long time is retried only after hours.
            queue.pass_time(_HALF_A_DAY)
            rested = queue.drain(_DAYS)
        elif dead_letters:
            lost.append("I6: a dead letter")
        if lasts and queue.dead():
            lost.append("I6: a dead letter that comes again")
        if not rested:
            lost.append("I1: the queue does not come to rest")
        return lost, dead_letters

    def _promises(self, fault: Fault) -> list[str]:
        world = self.world
        dead = {one.id for one in world.finch.connections() if not one.live}
        return broken(
            world,
            self._history,
            world.border.exchanges,
            at_rest=True,
            reported=self._scenario_run.reported,
            lost_at_finch=dead if fault.name.endswith("truly") else self._dead_before,
        )

    def _unreported(self) -> list[str]:
        """Sessions that wait for an operator but appear in no metric."""
        phases, log = StoredState(self.world).phases(), self._log.getvalue()
        return [
            f"I1: a session is {phase} and not reported"
            for phase, outcome in _REPORTS.items()
            if phases[phase] and f'"outcome":"{outcome}"' not in log
        ]

    def _over_the_limit(self) -> list[str]:
        """A customer who has more connections than they may have. Later, the limit is lifted."""
        limit, kept = int(settings.read().max_connections), StoredState(self.world)
        self.world.limit_connections(0)
        counts = Counter(
            customer_id
            for customer_id, key in kept.connections
            if kept.status((customer_id, key)) != "disconnected"
        )
        return [
            f"{number} connections instead of {limit}"
            for number in counts.values()
            if 0 < limit < number
        ]

    def _outcome(self, scenario: Scenario, lived: dict[str, bool], *, at_once: bool) -> str:
        if at_once:
            return "finished"
        if scenario.reached(self.world):
            waited = self._scenario_run.outcomes[-1:] in (["pending"], ["disconnecting"])
            return "pending then finished" if waited else "finished by the queue"
        kept = StoredState(self.world)
        phases = kept.phases()
        for phase in ("uncertain", "held"):
            if phases[phase]:
                return f"{phase}, reported"
        if any({"problem", "refused_entities"} & item.keys() for item in kept.connections.values()):
            return "refused, reported"
        unchanged = _lives(self.world.finch.tokens()) == lived
        return "nothing happened" if unchanged else "ended at Finch, nothing left"

    def _connect(self, person: Person, **choices: str) -> None:
        seen: list[str] = []
        for _ in range(3):
            landing = person.connect(products=BOTH, **choices)
            seen.append(landing.outcome.get("error") or landing.outcome["status"])
            if seen[-1] == "connected":
                return
            if seen[-1] == "cannot_connect":
                Person(self.world, ANOTHER).disconnect(company_id=choices["company_id"])
            self.world.queue.pass_time(_TWO_HOURS)
        raise AssertionError(f"cannot connect: {', '.join(seen)}")

    def _unknown(self) -> list[Connection]:
        """The customer's live connections at Finch that their list does not show."""
        kept = StoredState(self.world)
        shown = {one for row in kept.connections for one in kept.connection_ids(row)}
        return [one for one in self._live_of_customer() if one.id not in shown]

    def _live_of_customer(self) -> list[Connection]:
        finch = self.world.finch
        return [one for one in finch.connections() if one.live and _of_customer(one.customer)]

    def _next_attempt(self, fault: Fault) -> list[str]:
        """The customer connects again and disconnects all. After that, none of their tokens may be live."""
        world, queue = self.world, self.world.queue
        world.finch.change_switches(**Switches().model_dump())
        person = self._scenario_run.person()
        try:
            self._connect(person, login=MAYA, company_id=HARBOR_LANE.id)
            for one in self._unknown():
                self._connect(
                    person,
                    provider_id=one.provider_id,
                    login=one.logins[0],
                    company_id=one.company_id,
                )
            queue.pass_time(_TWO_HOURS)
            lost = self._promises(fault)
            for connection in person.connections():
                person.disconnect(connection["provider_id"], connection["company_id"])
            queue.pass_time(_TWO_HOURS)
        except AssertionError as error:
            return [f"the next attempt fails: {str(error)[:80]}"]
        if live := self._live_of_customer():
            lost.append(f"still billed: {len(live)} connections live after disconnecting")
        return lost + self._promises(fault)


def _trials(scenario: Scenario, calls: Sequence[Call]) -> Iterator[Trial]:
    lasting, seen = set(), Counter[tuple[str, str, str]]()
    for number, call in enumerate(calls, 1):
        seen[_kind(call)] += 1
        step = Step(number, call, seen[_kind(call)])
        for fault in faults_of(call):
            yield Trial(scenario, step, fault)
            # A fault that lasts also reaches later calls of the same kind, so the first is enough.
            if fault.lasts and (_kind(call), fault.name) not in lasting:
                lasting.add((_kind(call), fault.name))
                yield Trial(scenario, step, fault, fault.lasts)


def share(trials: Sequence[Trial]) -> list[Trial]:
    """Selects trials: each kind of fault once at each step of each function, in some scenario.

    The chosen fault and scenario differ from step to step. A fault that lasts is tried once for
    each kind of call, in any function.
    """
    found: dict[tuple[str, ...], list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.lasts:
            found[_kind(trial.step.call)].append(trial)
        else:
            found[trial.step.name, trial.fault.kind].append(trial)
    return [group[n * _STRIDE % len(group)] for n, group in enumerate(found.values())]


def _lives(tokens: Sequence[Token]) -> dict[str, bool]:
    return {token.id: token.live for token in tokens}


def _of_customer(customer: Customer | None) -> bool:
    return customer is None or customer.id.partition("~")[0] == CUSTOMER


@contextmanager
def harness(*, at_once: bool = False) -> Iterator[Harness]:
    """A harness in which sleeping only moves the clock, and which captures the log.

    Background work runs eagerly (`at_once`) or lazily.
    """
    log = io.StringIO()
    with deploy(ticks=False) as world, pytest.MonkeyPatch.context() as monkeypatch:
        world.border.background.at_once = at_once
        monkeypatch.setattr(time, "sleep", world.clock.sleep)
        target = logging.getLogger(logger.name)
        monkeypatch.setattr(target, "propagate", False)
        handlers = [one for one in target.handlers if isinstance(one, logging.StreamHandler)]
        streams = [one.setStream(log) for one in handlers]
        try:
            yield Harness(world, log)
        finally:
            for handler, stream in zip(handlers, streams, strict=True):
                if stream:
                    handler.setStream(stream)


def run_part(
    name: str, part: int, parts: int, share: int, at_once: bool
) -> list[tuple[int, TrialResult]]:
    """Runs one part of the trials of a scenario, of every `share`-th trial, in its own process.

    Returns each result with its place in the whole list.
    """
    [scenario] = [one for one in SCENARIOS if one.name == name]
    with harness(at_once=at_once) as runner:
        trials = list(enumerate(runner.trials(scenario)))[::share]
        return [(place, runner.run(trial)) for place, trial in trials[part::parts]]


def table(results: Sequence[TrialResult]) -> str:
    """For each step of each scenario: the outcomes, and the faults that led to each."""
    lines: list[str] = []
    scenario, step = "", 0
    for result in results:
        if result.scenario != scenario:
            lines += ["", result.scenario, "=" * len(result.scenario)]
            scenario, step = result.scenario, 0
        if result.number != step:
            step = result.number
            lines.append(f"{step:3} {result.step}")
            outcomes: dict[str, list[str]] = defaultdict(list)
            for one in results:
                if (one.scenario, one.number) == (scenario, step):
                    outcomes[one.outcome].append(one.fault)
            lines += [f"      {word}: {'; '.join(faults)}" for word, faults in outcomes.items()]
    return "\n".join(lines)


def summary(results: Sequence[TrialResult]) -> str:
    """The number of trials with each outcome, and each trial that broke a promise."""
    counts = Counter(result.outcome for result in results)
    lines = [f"{number:6} {outcome}" for outcome, number in counts.most_common()]
    lines += [
        f"LOST in {result.scenario}, {result.number} {result.step}, {result.fault}: {'; '.join(result.lost)}"
        for result in results
        if result.lost
    ]
    return "\n".join(lines)
