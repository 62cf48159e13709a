"""Mixed traffic against a local world while Finch is slow, limits and is down in turns.

The functions' processes are killed all the while, and in the middle the emulated AWS is saved, stopped
and started again. At the end every promise is checked against what the fake Finch knows. All of
it stays on this machine, and ends after the minutes that it is given.
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
from tests.load.traffic import FOR_NOW, Customer, Gate, Tally, customers, keep_busy
from tests.local.conftest import product
from tests.local.test_recovery import Tasks, pass_time, ringing
from tests.support.deployed import Deployed
from tests.support.invariants import StoredState, Watch, broken

CUSTOMERS = 6
# What Finch is like, one after the other, each for as long as this or a sixth of the run.
PHASE_SECONDS = 60.0
KILL_SECONDS = 20.0
LOOK_SECONDS = 10.0
# How long the queue may take, each time, when nothing fails any more.
PATIENCE = timedelta(minutes=1)

type Fault = dict[str, Any]
MOODS: list[tuple[str, list[Fault]]] = [
    ("well", []),
    ("slow", [{"delay_seconds": 1.5}, {"delay_seconds": 0.3}]),
    ("limited", [{"error": "rate_limit_exceeded_error"}, {}]),
    ("lying", [{"nonsense": "html page"}, {}, {"nonsense": "not json"}, {}]),
    ("down", [{"status": 500}, {"drop": "before_effect"}]),
    ("losing answers", [{"drop": "after_effect"}, {}, {}]),
    ("very slow", [{"delay_seconds": 13, "when": "after"}, {}, {}]),
]


@dataclass
class Run:
    """One run: the world that there is now, and what was done to it."""

    world: World
    watch: Watch = field(default_factory=Watch)
    tally: Tally = field(default_factory=Tally)
    gate: Gate = field(default_factory=Gate)
    faults: Counter[str] = field(default_factory=Counter)
    killed: int = 0

    def deployed(self) -> Deployed:
        """The product as it is deployed in the present world."""
        return product(self.world)

    def disturb(self, until: float, seconds: float) -> None:
        """Changes Finch's mood in turns until then."""
        for mood, faults in itertools.cycle(MOODS):
            ends = min(time.monotonic() + seconds, until)
            turn = itertools.cycle(faults or [{}])
            while time.monotonic() < ends:
                finch = self.world.finch
                # One waits at a time, so that what comes after a fault is what its mood says.
                if not finch.faults.waiting() and (fault := next(turn)):
                    finch.faults.add("*", "*", **fault)
                    self.faults[mood] += 1
                time.sleep(0.02)
            self.world.finch.faults.clear()
            if time.monotonic() >= until:
                return

    def kill(self, until: float) -> None:
        """Kills the functions' processes where they stand, now and then, until then."""
        while time.monotonic() + KILL_SECONDS < until:
            time.sleep(KILL_SECONDS)

            def strike() -> None:
                with contextlib.suppress(httpx.HTTPError):
                    self.killed += self.world.kill_execution_environments()

            self.gate.passing(strike)

    def look(self, until: float) -> None:
        """Remembers which of Finch's connections stand behind what is in the tables, until then."""
        while time.monotonic() < until:
            time.sleep(LOOK_SECONDS)

            def remember() -> None:
                with contextlib.suppress(Exception):
                    self.watch.look(StoredState(self.deployed()))

            self.gate.passing(remember)


def main(arguments: Sequence[str]) -> int:
    """Runs, tells figures; 1 where something was lost or a promise broken."""
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--pause", type=float, default=1.0, help="of each customer, in seconds")
    asked = parser.parse_args(arguments)
    state_dir = Path(tempfile.mkdtemp(prefix="finch-load-"))
    try:
        return _run(asked.minutes * 60, asked.pause, state_dir)
    finally:
        shutil.rmtree(state_dir, ignore_errors=True)


def _run(seconds: float, pause: float, state_dir: Path) -> int:
    ports, began = Ports.free(), time.monotonic()
    first = World(state_dir, ports).__enter__()
    run = Run(first)
    people = customers(lambda: run.world, run.deployed, CUSTOMERS, run.tally)
    phase = min(PHASE_SECONDS, seconds / len(MOODS))
    run.gate.open()
    print(f"{seconds / 60:.0f} minutes of load ...", flush=True)
    begin = time.monotonic()
    until = begin + seconds
    with ThreadPoolExecutor(CUSTOMERS + 3) as threads:
        working = [threads.submit(keep_busy, one, run.gate, until, pause) for one in people]
        working += [threads.submit(run.disturb, until, phase)]
        working += [threads.submit(run.kill, until), threads.submit(run.look, until)]
        time.sleep(max(begin + seconds / 2 - time.monotonic(), 0))
        saved = _restart(run, state_dir, ports)
        for done in working:
            done.result()
    try:
        return _judge(run, people, seconds, saved, time.monotonic() - began)
    finally:
        run.world.__exit__(None, None, None)


def _restart(run: Run, state_dir: Path, ports: Ports) -> float:
    """Saves and stops everything, requests under way or not, and starts it again; how long it took."""
    began = time.monotonic()
    # Half a second: most of what is under way is cut off.
    run.gate.shut(seconds=0.5)
    run.world.__exit__(None, None, None)
    run.world = World(state_dir, ports).__enter__()
    run.gate.open()
    return time.monotonic() - began


def _judge(run: Run, people: Sequence[Customer], seconds: float, saved: float, all_: float) -> int:
    deployed, tasks = run.deployed(), Tasks(run.world)
    run.world.finch.faults.clear()
    rings = ringing(run.world)
    rest = _come_to_rest(run, deployed, tasks)
    troubles = list(run.tally.broken)
    troubles += broken(deployed, run.watch, at_rest=True)
    codes = run.world.finch.truth()["codes"]
    troubles += [
        f"P2: a code was exchanged {one['exchanges']} times"
        for one in codes
        if one["exchanges"] > 1
    ]
    troubles += [f"left in the queue: {one}" for one in rest]
    reported = StoredState(deployed).phases()
    _tell(run, len(codes), seconds, saved, all_)
    print(f"waiting for a person: {reported['held']} held, {reported['uncertain']} uncertain")
    print(f"alarms that rang: {', '.join(sorted(rings)) or 'none'}")
    for trouble in troubles:
        print(trouble)
    print(f"lost or broken: {len(troubles)}")
    return 1 if troubles else 0


def _come_to_rest(run: Run, deployed: Deployed, tasks: Tasks) -> list[dict[str, Any]]:
    """Lets days pass, and the queue and the sweep work; what is left at the end and waits for nobody."""
    # First what takes an hour, then what nobody confirms in a day, then what that has begun.
    for by in (timedelta(hours=2), timedelta(hours=25), timedelta(hours=25)):
        assert deployed.invoke
        deployed.invoke("schedule_checks", {})
        with _nobody_at_work(run.world):
            pass_time(deployed, by)
            letters = tasks.dead()
            run.world.aws.client("sqs").purge_queue(
                QueueUrl=run.world.output("WorkDeadLetterQueueUrl")
            )
            tasks.send(*letters)
        deadline = time.monotonic() + PATIENCE.total_seconds()
        while (left := _going(deployed, tasks)) and time.monotonic() < deadline:
            with _nobody_at_work(run.world):
                tasks.fall_due()
            time.sleep(3)
    return left


@contextlib.contextmanager
def _nobody_at_work(world: World) -> Iterator[None]:
    """While it lasts, no task is in a function's hands: rows and messages may be moved."""
    client = world.aws.client("lambda")
    [mapping] = client.list_event_source_mappings(FunctionName=world.physical_id("ProcessWork"))[
        "EventSourceMappings"
    ]
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    before = -1
    while before != (now := len(world.function_log("ProcessWork"))):
        before = now
        time.sleep(2)
    yield
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def _going(deployed: Deployed, tasks: Tasks) -> list[dict[str, Any]]:
    """The tasks about what does not wait for a person."""
    held = {
        item["handle_hash"]["S"]
        for item in deployed.tables.all_sessions()
        if item["phase"]["S"] in ("held", "uncertain")
    }
    return [one for one in tasks.waiting() if one.get("session") not in held]


def _tell(run: Run, codes: int, seconds: float, saved: float, all_: float) -> None:
    tally = run.tally
    for (what, outcome), times in sorted(tally.outcomes.items()):
        print(f"  {what}: {outcome}: {times}")
    calls = sum(run.world.finch.requests.counts().values())
    print(f"requests: {tally.requests} in {seconds / 60:.0f} minutes ({all_ / 60:.0f} in all)")
    print(f"codes: {codes}; calls of Finch since it was started again: {calls}")
    faults = ", ".join(f"{times} {mood}" for mood, times in run.faults.items())
    print(f"faults of Finch: {run.faults.total()} ({faults})")
    print(f"processes killed: {run.killed}; AWS saved and started again in {saved:.0f} s")
    answered = sum(times for (_, word), times in tally.outcomes.items() if word in FOR_NOW)
    print(f"answered only for now, or not at all: {answered}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
