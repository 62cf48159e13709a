"""Measures the reconciliation next to other programs and with growing data: `make yardstick`.

With --write, the tables in docs/employees.md are renewed.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from finch_employees import reconcile
from tests.support.workforce import workforce
from tests.yardstick import febrl
from tests.yardstick.contenders import CONTENDERS

PAGE = Path(__file__).parents[2] / "docs" / "employees.md"
SIZES = (12_500, 25_000, 50_000, 100_000)
CONNECTIONS = 20


def measured(*arguments: str) -> dict[str, float]:
    """The figures of a trial in a process of its own, with its seconds of all cores and its peak memory."""
    command = [sys.executable, "-m", "tests.yardstick", "trial", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def trial(kind: str, size: str, ssn: str = "") -> None:
    """A single trial; prints its figures."""
    figures = _growth(int(size)) if kind == "growth" else _contender(kind, size, ssn == "ssn")
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({**figures, "megabytes": usage.ru_maxrss / 1024}))


def _contender(name: str, data_set: str, ssn: bool) -> dict[str, float]:
    true = febrl.true_pairs([one.individual_id for one in febrl.records(data_set, ssn=ssn)])
    began = time.process_time()
    found = CONTENDERS[name](data_set, ssn=ssn)
    seconds = time.process_time() - began
    score = febrl.Score(found, true)
    return {
        "precision": score.precision,
        "recall": score.recall,
        "f1": score.f1,
        "seconds": seconds,
    }


def _growth(people: int) -> dict[str, float]:
    records = list(workforce(people, CONNECTIONS))
    began = time.process_time()
    compared = reconcile(records).compared
    seconds = time.process_time() - began
    return {"records": len(records), "compared": compared, "seconds": seconds}


def comparison() -> list[str]:
    """The table of all programs on the data set that ours was not tuned on."""
    lines = [
        "| program | SSN | precision | recall | F1 | CPU seconds | MB |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for ssn in ("ssn", ""):
        lines += [_line(name, febrl.GOAL, ssn) for name in CONTENDERS]
    return lines


def tuning() -> list[str]:
    """The table of ours on the data sets that it was tuned on."""
    lines = [
        "| data set | SSN | precision | recall | F1 | CPU seconds | MB |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for data_set in febrl.TUNING:
        lines += [_line("finch_employees", data_set, ssn, data_set) for ssn in ("ssn", "")]
    return lines


def growth() -> list[str]:
    """The table of growing numbers of people."""
    lines = [
        "| people | records | compared pairs for each record | CPU seconds | MB |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for size in SIZES:
        one = measured("growth", str(size))
        pairs = one["compared"] / one["records"]
        lines.append(
            f"| {size:,} | {one['records']:,.0f} | {pairs:.2f} "
            f"| {one['seconds']:.0f} | {one['megabytes']:.0f} |"
        )
    return lines


def _line(name: str, data_set: str, ssn: str, title: str = "") -> str:
    one = measured(name, data_set, ssn)
    return (
        f"| {title or name} | {'with' if ssn else 'without'} | {one['precision']:.4f} | {one['recall']:.4f} "
        f"| {one['f1']:.4f} | {one['seconds']:.1f} | {one['megabytes']:.0f} |"
    )


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["trial"]:
        trial(*arguments[1:])
        return
    text = PAGE.read_text()
    for table in (comparison, tuning, growth):
        lines = "\n".join(table())
        print(f"{lines}\n", flush=True)
        begin, end = f"<!-- {table.__name__} -->\n", f"\n<!-- end of {table.__name__} -->"
        before, after = text.partition(begin)[0], text.partition(end)[2]
        text = f"{before}{begin}{lines}{end}{after}"
    if arguments == ["--write"]:
        PAGE.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
