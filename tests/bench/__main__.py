"""Measures the cost of the functions next to references that do the same work: `make bench`.

With valgrind, cold starts are counted in instructions: counts of two runs agree to 0.1 %, while times
depend on the load of the machine. All cases are interleaved, so that load slows them equally.
"""

import argparse
import contextlib
import platform
import shutil
import ssl
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
from tests.bench.bench_world import BenchWorld, Event, bench_world
from tests.bench.function import Function, can_share_a_core, cold, instructions, running

# The response times of Finch and AWS in the warm calls, in seconds.
FINCH_ANSWERS_IN = 0.15
AWS_ANSWERS_IN = 0.006
REFERENCES = ("typical", "bare")
# The template's default. The embedded mode loads pydantic for the body of `POST /callback`.
REDIRECT_ALONE = {"CONNECT_MODES": "redirect"}
# The sizes of memory for which the price is compared; at the last, a function has a whole core.
SIZES_MB = (128, 256, 512, 1024, 1769)
COMPARED = ("list_connections", "finish_connect", "disconnect")
SIZED = ("list_connections", "finish_connect")


@dataclass(frozen=True)
class Case:
    """A function, and the call that prepares the world and returns its event."""

    name: str
    function: Function
    prepare: Callable[[], Event]

    def check(self, answer: Any) -> None:
        """Fails if the function did not do its work."""
        answer = answer or {}
        location = answer.get("headers", {}).get("location", "")
        failed = "errorMessage" in answer or "reason" in answer or answer.get("batchItemFailures")
        assert not failed, f"{self.name}: {answer}"
        assert answer.get("statusCode", 200) < 400, f"{self.name}: {answer}"
        assert "error=" not in location, f"{self.name}: {location}"


def cases(bench: BenchWorld) -> list[Case]:
    """All cases: functions with their references, then the other functions."""
    scenes = {
        "list_connections": bench.list_event,
        "finish_connect": bench.finish_event,
        "finish_connect embedded": bench.finish_event,
        "disconnect": bench.disconnect_event,
        "start_connect": bench.start_event,
        "hop": bench.hop_event,
        "receive_webhook": bench.receive_webhook_event,
        "process_work": bench.process_work_event,
        "schedule_checks": bench.schedule_checks_event,
        "publish_events": bench.publish_event,
        "resolve_unfinished": bench.resolve_event,
        "vend_token": bench.vend_event,
        "read_directory": bench.read_event,
    }
    found = []
    for name, prepare in scenes.items():
        function = "start_connect" if name == "hop" else name.partition(" ")[0]
        variables = REDIRECT_ALONE if name == "finish_connect" else {}
        found.append(Case(name, bench.ours(function, **variables), prepare))
        if name in COMPARED:
            found += [
                Case(f"{kind} {name}", bench.reference(kind, name), prepare) for kind in REFERENCES
            ]
    return found


def made_with() -> str:
    """The interpreter and the libraries on which a count depends."""
    libc = " ".join(platform.libc_ver())
    python = f"Python {platform.python_version()}, {platform.machine()}"
    return f"{python}, {ssl.OPENSSL_VERSION}, {libc}"


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median of the values and their quartiles."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": round(middle, 3), "low": round(low, 3), "high": round(high, 3)}


def counted(case: Case, log: Path) -> dict[str, int]:
    """Millions of instructions of init and of the first call."""
    init = instructions(case.function, None, log)
    whole = instructions(case.function, case.prepare(), log)
    return {"init": init // 10**6, "first": (whole - init) // 10**6}


def timed(
    chosen: Sequence[Case], rounds: int, log: Path, *, memory_mb: int | None = None
) -> dict[str, Any]:
    """Times interleaved cold starts: milliseconds, and megabytes of peak memory."""
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


def warm(bench: BenchWorld, chosen: Sequence[Case], rounds: int, log: Path) -> dict[str, Any]:
    """Times calls of warm processes: milliseconds, and the calls that they make.

    `own_ms` excludes the time of the calls to Finch.
    """
    took: dict[str, list[float]] = {case.name: [] for case in chosen}
    own: dict[str, list[float]] = {case.name: [] for case in chosen}
    calls: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        processes = {case.name: stack.enter_context(running(case.function, log)) for case in chosen}
        for case in chosen:
            event = case.prepare()
            case.check(processes[case.name].invoke(event).body)
            calls[case.name] = {"first": _calls(bench)}
        bench.aws.answers_in, bench.finch.answers_in = AWS_ANSWERS_IN, FINCH_ANSWERS_IN
        for _ in range(rounds):
            for case in chosen:
                event = case.prepare()
                answer = processes[case.name].invoke(event)
                case.check(answer.body)
                at_finch = sum(ended - began for began, ended in bench.finch.traffic.spans)
                took[case.name].append(answer.took * 1000)
                own[case.name].append((answer.took - at_finch) * 1000)
                calls[case.name]["warm"] = _calls(bench)
        bench.aws.answers_in = bench.finch.answers_in = 0
    return {
        name: {
            "p50_ms": round(statistics.median(values), 2),
            "p95_ms": round(statistics.quantiles(values, n=20, method="inclusive")[-1], 2),
            "own_ms": spread(own[name]),
            "calls": calls[name],
        }
        for name, values in took.items()
    }


def _calls(bench: BenchWorld) -> dict[str, Any]:
    aws, finch = bench.aws.traffic, bench.finch.traffic
    return {
        "aws": sorted(aws.calls),
        "finch": sorted(finch.calls),
        "connections": aws.connections + finch.connections,
    }


def sizes(chosen: Sequence[Case], rounds: int, log: Path) -> dict[str, Any]:
    """Times a cold start and warm calls with the CPU share of each size of memory, in milliseconds.

    The waiting for Finch and AWS is not in them: both answer at once.
    """
    found: dict[str, Any] = {case.name: {} for case in chosen}
    for case in chosen:
        for megabytes in SIZES_MB:
            colds, warms = [], []
            for _ in range(rounds):
                with running(case.function, log, memory_mb=megabytes) as process:
                    first = process.invoke(case.prepare())
                    case.check(first.body)
                    colds.append((process.init + first.took) * 1000)
                    for _ in range(4):
                        answer = process.invoke(case.prepare())
                        case.check(answer.body)
                        warms.append(answer.took * 1000)
            found[case.name][str(megabytes)] = {
                "cold_ms": round(statistics.median(colds), 1),
                "warm_ms": round(statistics.median(warms), 1),
            }
    return found


def modules(case: Case) -> int:
    """The number of modules that a function has loaded after init."""
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


def connections(bench: BenchWorld, case: Case, rounds: int, log: Path) -> dict[str, Any]:
    """Times a warm function whose AWS call uses a kept connection, and then a new connection."""
    kept, fresh = [], []
    with running(case.function, log) as process:
        event = case.prepare()
        process.invoke(event)
        for _ in range(rounds):
            kept.append(process.invoke(event).took * 1000)
            bench.aws.drop_connections()
            fresh.append(process.invoke(event).took * 1000)
    return {"kept_ms": spread(kept), "fresh_ms": spread(fresh)}


def measure(asked: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Runs all measurements; returns the content of `figures.json`."""
    with tempfile.TemporaryDirectory() as folder, bench_world(Path(folder)) as bench:
        log = Path(folder, "functions.log")
        chosen = [one for one in cases(bench) if not asked.only or one.name in asked.only]
        by_name = {one.name: one for one in chosen}
        found: dict[str, Any] = {
            "made_with": made_with(),
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
        say("cold starts timed")
        if can_share_a_core():
            compared = [one for one in chosen if one.name.rpartition(" ")[2] in COMPARED]
            found["cold_at_512_mb"] = timed(compared, asked.rounds, log, memory_mb=512)
            say("cold starts with the CPU share of 512 MB timed")
            sized = [one for one in chosen if one.name in SIZED]
            found["sizes"] = sizes(sized, asked.rounds // 2 + 1, log)
            say("sizes of memory timed")
        found["warm"] = warm(bench, chosen, asked.rounds * 4, log)
        if listing := by_name.get("list_connections"):
            found["connections"] = connections(bench, listing, 20, log)
        found["layers"] = package.layers()
        return found


def arguments(stated: Sequence[str]) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("only", nargs="*", help="names of cases (default: all cases)")
    parser.add_argument(
        "--rounds", type=int, default=5, help="number of timed cold starts of each case"
    )
    parser.add_argument("--write", action="store_true", help="update the documented figures")
    asked = parser.parse_args(stated)
    asked.instructions = shutil.which("valgrind") is not None
    return asked


def main(stated: Sequence[str]) -> int:
    """Measures, prints the figures, and writes them with `--write`."""
    asked = arguments(stated)
    if not asked.instructions:
        print("valgrind is missing (Debian: apt-get install valgrind): using CPU time instead.")
    began = time.monotonic()
    found = measure(asked, lambda text: print(text, flush=True))
    print(figures.table(found))
    print(f"in {time.monotonic() - began:.0f} s")
    if asked.write:
        figures.write(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
