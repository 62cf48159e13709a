"""Simulates duration and cost of the scheduled check: `python -m tests.support.check_figures`.

Connections are grouped by the run that checked them last, because the scheduled check takes the
oldest first. At the start, all connections are unchecked, as after a deployment or a long outage.
"""

from collections import deque
from dataclasses import dataclass
from datetime import timedelta

from finch_connections.domain.connection import CHECKED_EVERY
from finch_connections.use_cases.schedule_checks import PERIOD

RUNS_A_DAY = int(timedelta(days=1) / PERIOD)
DAYS = 30
# The cost of one check in US dollars, from the public on-demand prices of us-east-1 and its calls:
# a decryption, a read, two writes of 2 KB with their index, half of a message's three requests, 0.4 s of
# 256 MB on arm64, three log lines of 400 bytes.
DOLLARS = {
    "KMS": 0.03 / 10_000,
    "DynamoDB": (1 * 0.125 + 2 * (2 + 2) * 0.625) / 1e6,
    "SQS": (0.1 + 0.2 + 0.2) * 0.40 / 1e6,
    "Lambda": (0.2 * 0.20 / 1e6) + 0.4 * 0.25 * 0.0000133334,
    "logs": 3 * 400 * 0.50 / 1e9,
}


@dataclass(frozen=True)
class Figures:
    """The result of a simulated month of scheduled checks."""

    connections: int
    per_minute: int
    first_round: timedelta | None
    longest_unchecked: timedelta
    checks: int

    @property
    def dollars(self) -> float:
        """The cost of the month."""
        return self.checks * sum(DOLLARS.values())


def simulate(connections: int, per_minute: int) -> Figures:
    """Simulates a month. Each run checks the connections that were not checked for a day, up to its limit."""
    room = per_minute * int(PERIOD / timedelta(minutes=1))
    due_after = int(CHECKED_EVERY / PERIOD)
    buckets = deque([(-due_after, connections)])
    first_round, checks, longest = None, 0, 0
    for run in range(DAYS * RUNS_A_DAY):
        left = room
        while left and buckets and run - buckets[0][0] >= due_after:
            checked_at, count = buckets.popleft()
            taken = min(left, count)
            if taken < count:
                buckets.appendleft((checked_at, count - taken))
            left -= taken
        if taken_now := room - left:
            buckets.append((run, taken_now))
            checks += taken_now
        if first_round is None and buckets[0][0] >= 0:
            first_round = (run + 1) * PERIOD
        if run >= (DAYS - 1) * RUNS_A_DAY:
            longest = max(longest, run - buckets[0][0])
    return Figures(connections, per_minute, first_round, longest * PERIOD, checks)


def main() -> None:
    """Prints the table."""
    print("| connections | checks a minute | first round | longest unchecked | dollars a month |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for connections, paces in (
        (10_000, (10, 100)),
        (1_000_000, (200, 700)),
        (10_000_000, (1_000, 7_000)),
    ):
        for pace in paces:
            done = simulate(connections, pace)
            first = f"{done.first_round / timedelta(hours=1):,.1f} h" if done.first_round else "-"
            longest = f"{done.longest_unchecked / timedelta(days=1):.1f} days"
            print(f"| {connections:,} | {pace:,} | {first} | {longest} | {done.dollars:,.0f} |")


if __name__ == "__main__":
    main()
