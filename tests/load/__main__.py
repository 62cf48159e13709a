"""Mixed traffic against a local world, while Finch is slow, rate limited or down in turns.

Meanwhile the processes of the functions are killed again and again. After half of the time, the
emulated AWS is saved, stopped and started again. At the end, every promise is checked against the
data of the fake Finch. All traffic stays on this machine, and ends after the given minutes. Before it,
strangers send ten times what their routes admit.
"""

import argparse
import contextlib
import itertools
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from local.world import Ports, World
from tests.load.strangers import besiege
from tests.load.traffic import TEMPORARY, Customer, Gate, Tally, customers, keep_busy
from tests.local.conftest import product
from tests.local.test_recovery import Queue, pass_time, ringing
from tests.support.deployed import Deployed
from tests.support.invariants import ConnectionHistory, StoredState, broken

CUSTOMERS = 6
# The conditions of Finch follow one another. Each lasts this long, or an equal part of a short run.
PHASE_SECONDS = 60.0
KILL_SECONDS = 20.0
RECORD_SECONDS = 10.0
# Before the traffic with faults, strangers flood their routes.
SIEGE_SECONDS = 60.0
# How long the queue may take each time after the faults have ended.
PATIENCE = timedelta(minutes=1)

type Fault = dict[str, Any]
CONDITIONS: list[tuple[str, list[Fault]]] = [
    ("well", []),
    ("slow", [{"delay_seconds": 1.5}, {"delay_seconds": 0.3}]),
    ("limited", [{"error": "rate_limit_exceeded_error"}, {}]),
    ("sending nonsense", [{"nonsense": "html page"}, {}, {"nonsense": "not json"}, {}]),
    ("down", [{"status": 500}, {"drop": "before_effect"}]),
    ("losing answers", [{"drop": "after_effect"}, {}, {}]),
    ("very slow", [{"delay_seconds": 13, "when": "after"}, {}, {}]),
]


@dataclass
class Run:
    """A run: the current world, and counts of the disturbances."""

    world: World
    history: ConnectionHistory = field(default_factory=ConnectionHistory)
    tally: Tally = field(default_factory=Tally)
    gate: Gate = field(default_factory=Gate)
    faults: Counter[str] = field(default_factory=Counter)
    killed: int = 0

    def deployed(self) -> Deployed:
        """The product that is deployed in the current world."""
        return product(self.world)

    def disturb(self, until: float, seconds: float) -> None:
        """Changes the condition of Finch in turns until the given time."""
        for condition, faults in itertools.cycle(CONDITIONS):
            ends = min(time.monotonic() + seconds, until)
            turn = itertools.cycle(faults or [{}])
            while time.monotonic() < ends:
                finch = self.world.finch
                # At most one fault waits, so that the calls after it follow this condition.
                if not finch.faults.waiting() and (fault := next(turn)):
                    finch.faults.add("*", "*", **fault)
                    self.faults[condition] += 1
                time.sleep(0.02)
            self.world.finch.faults.clear()
            if time.monotonic() >= until:
                return

    def kill(self, until: float) -> None:
        """Kills the functions' processes from time to time, until the given time."""
        while time.monotonic() + KILL_SECONDS < until:
            time.sleep(KILL_SECONDS)

            def kill_all() -> None:
                with contextlib.suppress(httpx.HTTPError):
                    self.killed += self.world.kill_execution_environments()

            self.gate.passing(kill_all)

    def record_history(self, until: float) -> None:
        """Records the Finch connections of the rows from time to time, until the given time."""
        while time.monotonic() < until:
            time.sleep(RECORD_SECONDS)

            def record() -> None:
                with contextlib.suppress(Exception):
                    self.history.record(StoredState(self.deployed()))

            self.gate.passing(record)


def main(arguments: Sequence[str]) -> int:
    """Runs the load and prints figures; returns 1 if data was lost or a promise was broken."""
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument(
        "--pause",
        type=float,
        default=1.0,
        help="pause of each customer after an action, in seconds",
    )
    options = parser.parse_args(arguments)
    state_dir = Path(tempfile.mkdtemp(prefix="finch-load-"))
    try:
        return _run(options.minutes * 60, options.pause, state_dir)
    finally:
        shutil.rmtree(state_dir, ignore_errors=True)


def _run(seconds: float, pause: float, state_dir: Path) -> int:
    ports, began = Ports.free(), time.monotonic()
    first = World(state_dir, ports).__enter__()
    run = Run(first)
    siege = besiege(first, run.deployed(), min(seconds / 10, SIEGE_SECONDS))
    run.tally.broken += siege.faults
    print(f"strangers at ten times their limit: answers {dict(siege.strangers)}")
    print(f"customers meanwhile: answers {dict(siege.customers)}")
    people = customers(lambda: run.world, run.deployed, CUSTOMERS, run.tally)
    phase = min(PHASE_SECONDS, seconds / len(CONDITIONS))
    run.gate.open()
    print(f"{seconds / 60:.0f} minutes of load ...", flush=True)
    begin = time.monotonic()
    until = begin + seconds
    with ThreadPoolExecutor(CUSTOMERS + 3) as threads:
        working = [
            threads.submit(keep_busy, customer, run.gate, until, pause) for customer in people
        ]
        working += [threads.submit(run.disturb, until, phase)]
        working += [threads.submit(run.kill, until), threads.submit(run.record_history, until)]
        time.sleep(max(begin + seconds / 2 - time.monotonic(), 0))
        saved = _restart(run, state_dir, ports)
        for done in working:
            done.result()
    try:
        return _judge(run, people, seconds, saved, time.monotonic() - began)
    finally:
        run.world.__exit__(None, None, None)


def _restart(run: Run, state_dir: Path, ports: Ports) -> float:
    """Saves, stops and starts everything again, also during requests; returns the seconds."""
    began = time.monotonic()
    # After half a second, most requests in progress are cut off.
    run.gate.shut(seconds=0.5)
    run.world.__exit__(None, None, None)
    run.world = World(state_dir, ports).__enter__()
    run.gate.open()
    return time.monotonic() - began


def _judge(run: Run, people: Sequence[Customer], seconds: float, saved: float, all_: float) -> int:
    deployed = run.deployed()
    queue = Queue(run.world, deployed)
    run.world.finch.faults.clear()
    rings = ringing(run.world)
    rest = _come_to_rest(run, deployed, queue)
    faults = list(run.tally.broken)
    faults += broken(deployed, run.history, at_rest=True)
    codes = run.world.finch.truth()["codes"]
    faults += [
        f"P2: a code was exchanged {code['exchanges']} times"
        for code in codes
        if code["exchanges"] > 1
    ]
    faults += [f"left unfinished: {sorted(one)}" for one in rest]
    reported = StoredState(deployed).phases()
    _report(run, len(codes), seconds, saved, all_)
    print(f"waiting for a person: {reported['held']} held, {reported['uncertain']} uncertain")
    print(f"alarms that rang: {', '.join(sorted(rings)) or 'none'}")
    for fault in faults:
        print(fault)
    print(f"lost or broken: {len(faults)}")
    return 1 if faults else 0


def _come_to_rest(run: Run, deployed: Deployed, queue: Queue) -> list[dict[str, Any]]:
    """Makes days pass while the queue and the scheduled check work; returns the work that stays.

    Items that wait for a person are not counted.
    """
    # First comes the work that waits up to an hour, then the sessions without confirmation for a day, then
    # the work that the end of these sessions causes.
    for by in (timedelta(hours=2), timedelta(hours=25), timedelta(hours=25)):
        assert deployed.invoke
        deployed.invoke("schedule_checks", {})
        with _without_process_work(run.world):
            pass_time(deployed, by)
            dead_letters = queue.dead()
            run.world.aws.client("sqs").purge_queue(
                QueueUrl=run.world.output("WorkDeadLetterQueueUrl")
            )
            queue.send(*dead_letters)
        deadline = time.monotonic() + PATIENCE.total_seconds()
        while (left := _unfinished(deployed, queue)) and time.monotonic() < deadline:
            with _without_process_work(run.world):
                queue.fall_due()
            time.sleep(3)
    return left


@contextlib.contextmanager
def _without_process_work(world: World) -> Iterator[None]:
    """Stops `ProcessWork` and waits until it is idle, so rows and messages may be changed."""
    client = world.aws.client("lambda")
    [mapping] = client.list_event_source_mappings(FunctionName=world.alias("ProcessWork"))[
        "EventSourceMappings"
    ]
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    before = -1
    while before != (now := len(world.function_log("ProcessWork"))):
        before = now
        time.sleep(2)
    yield
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def _unfinished(deployed: Deployed, queue: Queue) -> list[dict[str, Any]]:
    """The work items in the queue, and the rows with unfinished work that waits for no person."""
    tables = deployed.tables
    sessions = [
        item
        for item in tables.all_sessions()
        if "due_at" in item and item["phase"]["S"] not in ("held", "uncertain")
    ]
    connections = [
        item for item in tables.items(tables.connections) if "disconnecting_since" in item
    ]
    return [*queue.waiting(), *sessions, *connections]


def _report(run: Run, codes: int, seconds: float, saved: float, all_: float) -> None:
    tally = run.tally
    for (action, outcome), times in sorted(tally.outcomes.items()):
        print(f"  {action}: {outcome}: {times}")
    calls = sum(run.world.finch.requests.counts().values())
    print(f"requests: {tally.requests} in {seconds / 60:.0f} minutes ({all_ / 60:.0f} in all)")
    print(f"codes: {codes}; calls to Finch since the restart: {calls}")
    faults = ", ".join(f"{times} {condition}" for condition, times in run.faults.items())
    print(f"faults of Finch: {run.faults.total()} ({faults})")
    print(f"processes killed: {run.killed}; AWS saved and restarted in {saved:.0f} s")
    answered = sum(times for (_, outcome), times in tally.outcomes.items() if outcome in TEMPORARY)
    print(f"answered temporarily, or not at all: {answered}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
