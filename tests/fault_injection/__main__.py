"""Injects faults and stops at every call to AWS and Finch, and prints the results."""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby

from tests.fault_injection.harness import TrialResult, run_part, summary, table
from tests.fault_injection.scenarios import SCENARIOS

# Each scenario has several parts. Otherwise, at the end, a single process would run a long scenario.
_PARTS = 2


def main(arguments: Sequence[str]) -> int:
    """Runs all trials, or those of the named scenarios; returns 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="make fault-injection", description=__doc__)
    parser.add_argument(
        "scenario", nargs="*", help="part of a scenario name (default: all scenarios)"
    )
    parser.add_argument("--jobs", type=int, default=os.process_cpu_count())
    parser.add_argument("--share", type=int, default=1, help="run only every n-th trial")
    parser.add_argument("--at-once", action="store_true", help="run background work eagerly")
    asked = parser.parse_args(arguments)
    names = [
        one.name
        for one in SCENARIOS
        if not asked.scenario or any(part in one.name for part in asked.scenario)
    ]
    began, results = time.monotonic(), list[TrialResult]()
    for _, parts in groupby(
        _run(names, asked.jobs, asked.share, asked.at_once), key=lambda one: one[0]
    ):
        placed = sorted((pair for _, part in parts for pair in part), key=lambda pair: pair[0])
        group = [result for _, result in placed]
        print(table(group), flush=True)
        results += group
    print(f"\n{len(results)} trials in {time.monotonic() - began:.0f} s\n{summary(results)}")
    return 1 if any(result.lost for result in results) else 0


def _run(
    names: Sequence[str], jobs: int, share: int, at_once: bool
) -> Iterator[tuple[str, list[tuple[int, TrialResult]]]]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context) as pool:
        done = [
            (name, pool.submit(run_part, name, part, _PARTS, share, at_once))
            for name in names
            for part in range(_PARTS)
        ]
        for name, future in done:
            yield name, future.result()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
