"""Measures what the functions cost, beside references that do the same work: `make bench`.

Cold starts are counted in instructions where valgrind is there: they agree to a thousandth from run
to run, where times depend on what else the machine does. Everything is interleaved, so that what
slows the machine down slows all of them.
"""

import argparse
import contextlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import figures, package
from tests.bench.function import Function, can_share_a_core, cold, instructions, running
from tests.bench.stage import Event, Stage, stage

# What Finch and AWS take to answer in the warm calls, as far as anybody waits for them.
FINCH_ANSWERS_IN = 0.15
AWS_ANSWERS_IN = 0.006
REFERENCES = ("naive", "typical", "bare", "floor")
COMPARED = ("list_connections", "finish_connect", "disconnect")


@dataclass(frozen=True)
class Case:
    """A function, and what makes the event that it is called with."""

    name: str
    function: Function
    prepare: Callable[[], Event]

    def check(self, answer: Any) -> None:
        """Fails where the function did not do its work."""
        answer = answer or {}
        location = answer.get("headers", {}).get("location", "")
        failed = "errorMessage" in answer or "reason" in answer or answer.get("batchItemFailures")
        assert not failed, f"{self.name}: {answer}"
        assert answer.get("statusCode", 200) < 400, f"{self.name}: {answer}"
        assert "error=" not in location, f"{self.name}: {location}"


def cases(there: Stage) -> list[Case]:
    """Everything that is measured: references beside ours, then the rest of ours."""
    scenes = {
        "list_connections": there.to_list,
        "finish_connect": there.to_finish,
        "disconnect": there.to_disconnect,
        "start_connect": there.to_start,
        "hop": there.to_hop,
        "receive_webhook": there.to_receive,
        "process_work": there.to_tend,
        "schedule_checks": there.to_sweep,
        "publish_events": there.to_publish,
        "resolve_unfinished": there.to_resolve,
        "vend_token": there.to_vend,
        "read_directory": there.to_read,
    }
    found = []
    for name, prepare in scenes.items():
        function = "start_connect" if name == "hop" else name
        found.append(Case(name, there.ours(function), prepare))
        if name in COMPARED:
            found += [
                Case(f"{kind} {name}", there.reference(kind, name), prepare) for kind in REFERENCES
            ]
    return found


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles of what was measured."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": round(middle, 3), "low": round(low, 3), "high": round(high, 3)}


def counted(case: Case, log: Path) -> dict[str, int]:
    """Millions of instructions of init, and of the first call."""
    init = instructions(case.function, None, log)
    whole = instructions(case.function, case.prepare(), log)
    return {"init": init // 10**6, "first": (whole - init) // 10**6}


def timed(
    chosen: Sequence[Case], rounds: int, log: Path, *, memory_mb: int | None = None
) -> dict[str, Any]:
    """Cold starts, one after the other in turn: milliseconds, and megabytes at the peak."""
    runs: dict[str, list[Any]] = {case.name: [] for case in chosen}
    for _ in range(rounds):
        for case in chosen:
            done = cold(case.function, case.prepare(), log, memory_mb=memory_mb)
            case.check(done.answer)
            runs[case.name].append(done)
    return {
        name: {
            "init_ms": spread([one.init * 1000 for one in done]),
            "first_ms": spread([one.first * 1000 for one in done]),
            "whole_ms": spread([one.whole * 1000 for one in done]),
            "cpu_ms": spread([(one.init_cpu + one.first_cpu) * 1000 for one in done]),
            "peak_mb": spread([one.peak_mb for one in done]),
        }
        for name, done in runs.items()
    }


def warm(there: Stage, chosen: Sequence[Case], rounds: int, log: Path) -> dict[str, Any]:
    """Calls of processes that have been called before: milliseconds, and what they asked of others.

    `own_ms` is without the time in which Finch was asked.
    """
    took: dict[str, list[float]] = {case.name: [] for case in chosen}
    own: dict[str, list[float]] = {case.name: [] for case in chosen}
    calls: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        processes = {case.name: stack.enter_context(running(case.function, log)) for case in chosen}
        for case in chosen:
            event = case.prepare()
            case.check(processes[case.name].invoke(event).body)
            calls[case.name] = {"first": _asked(there)}
        there.aws.answers_in, there.finch.answers_in = AWS_ANSWERS_IN, FINCH_ANSWERS_IN
        for _ in range(rounds):
            for case in chosen:
                event = case.prepare()
                answer = processes[case.name].invoke(event)
                case.check(answer.body)
                at_finch = sum(ended - began for began, ended in there.finch.seen.spans)
                took[case.name].append(answer.took * 1000)
                own[case.name].append((answer.took - at_finch) * 1000)
                calls[case.name]["warm"] = _asked(there)
        there.aws.answers_in = there.finch.answers_in = 0
    return {
        name: {
            "p50_ms": round(statistics.median(values), 2),
            "p95_ms": round(statistics.quantiles(values, n=20, method="inclusive")[-1], 2),
            "own_ms": spread(own[name]),
            "calls": calls[name],
        }
        for name, values in took.items()
    }


def _asked(there: Stage) -> dict[str, Any]:
    aws, finch = there.aws.seen, there.finch.seen
    return {
        "aws": sorted(aws.calls),
        "finch": sorted(finch.calls),
        "connections": aws.connections + finch.connections,
    }


def modules(case: Case) -> int:
    """How many modules a function has loaded when it is ready."""
    module = case.function.handler.rpartition(".")[0]
    script = f"import sys, awslambdaric.bootstrap, {module}; print(len(sys.modules))"
    done = subprocess.run(
        [case.function.python, "-c", script],
        cwd=case.function.task,
        env=case.function.variables("127.0.0.1:1"),
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout.split()[-1])


def connections(there: Stage, case: Case, rounds: int, log: Path) -> dict[str, Any]:
    """A call of AWS on a kept connection, and on a fresh one, as a warm function sees them."""
    kept, fresh = [], []
    with running(case.function, log) as process:
        event = case.prepare()
        process.invoke(event)
        for _ in range(rounds):
            kept.append(process.invoke(event).took * 1000)
            there.aws.drop_connections()
            fresh.append(process.invoke(event).took * 1000)
    return {"kept_ms": spread(kept), "fresh_ms": spread(fresh)}


def measure(asked: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Everything, as what is written."""
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder)) as there:
        log = Path(folder, "functions.log")
        chosen = [one for one in cases(there) if not asked.only or one.name in asked.only]
        by_name = {one.name: one for one in chosen}
        found: dict[str, Any] = {
            "made_with": f"Python {platform.python_version()}, {platform.machine()}",
            "cold": {},
            "modules": {},
        }
        for case in chosen:
            found["modules"][case.name] = modules(case)
        if asked.instructions:
            found["instructions"] = {}
            for case in chosen:
                found["instructions"][case.name] = counted(case, log)
                say(f"{case.name}: {found['instructions'][case.name]}")
        found["cold"] = timed(chosen, asked.rounds, log)
        say("cold starts are timed")
        if can_share_a_core():
            compared = [one for one in chosen if one.name.rpartition(" ")[2] in COMPARED]
            found["cold_at_512_mb"] = timed(compared, asked.rounds, log, memory_mb=512)
            say("cold starts at the share of 512 MB are timed")
        found["warm"] = warm(there, chosen, asked.rounds * 4, log)
        if listing := by_name.get("list_connections"):
            found["connections"] = connections(there, listing, 20, log)
        found["layers"] = package.layers()
        return found


def arguments(stated: Sequence[str]) -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("only", nargs="*", help="names of cases; without any, all of them")
    parser.add_argument("--rounds", type=int, default=9, help="how often each cold start is timed")
    parser.add_argument("--write", action="store_true", help="renew the figures of the README")
    asked = parser.parse_args(stated)
    asked.instructions = shutil.which("valgrind") is not None
    return asked


def main(stated: Sequence[str]) -> int:
    """Measures, and prints or writes the figures."""
    asked = arguments(stated)
    if not asked.instructions:
        print("valgrind is missing (Debian: apt-get install valgrind): CPU time stands in for it.")
    began = time.monotonic()
    found = measure(asked, lambda text: print(text, flush=True))
    print(figures.table(found))
    print(f"in {time.monotonic() - began:.0f} s")
    if asked.write:
        figures.write(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
