"""Stops and fails the product at every call to AWS and to Finch, and prints what came of it."""

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

# So that no process is left alone with a long scenario at the end.
_PARTS = 2


def main(arguments: Sequence[str]) -> int:
    """Runs every result, or those of the named scenarios; 1 where something was lost."""
    parser = argparse.ArgumentParser(prog="make crash", description=__doc__)
    parser.add_argument("scenario", nargs="*", help="part of a name; without any, all of them")
    parser.add_argument("--jobs", type=int, default=os.process_cpu_count())
    parser.add_argument("--share", type=int, default=1, help="every n-th result alone")
    parser.add_argument(
        "--at-once", action="store_true", help="what is done beside other work comes before it"
    )
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
    print(f"\n{len(results)} results in {time.monotonic() - began:.0f} s\n{summary(results)}")
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
