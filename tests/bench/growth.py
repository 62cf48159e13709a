"""Measures requests with growing tables and under load: `make growth`.

For one page the emulated AWS reads all rows of a customer, which DynamoDB does not. Therefore its
time is excluded, and the capacity is computed from the item sizes that DynamoDB bills.
"""

import contextlib
import json
import math
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from finch_connections.aws.connection_table import _item
from tests.bench.bench_world import BenchWorld, Event, a_connection, bench_world
from tests.bench.function import Running, running
from tests.support.person import Person

JSON = Path(__file__).with_name("growth.json")
# The numbers of connections of the measured customers, and of the whole table.
SIZES = (10, 1_000, 10_000)
TABLE = 200_000
PAGE = 10
CALLS = 60
PEOPLE = 50
PROCESSES = 8
# The bytes of a strongly consistent read unit.
_READ_UNIT = 4096


def fill(bench: BenchWorld, customer_id: str, connections: int) -> int:
    """Writes connections to the table, 25 with each call; returns the bytes of one item."""
    client = bench.world.aws.client("dynamodb")
    table = bench.deployed.tables.connections
    items = [_item(a_connection(customer_id, number)) for number in range(connections)]
    batches = [items[at : at + 25] for at in range(0, len(items), 25)]

    def write(batch: Sequence[Any]) -> None:
        client.batch_write_item(
            RequestItems={table: [{"PutRequest": {"Item": one}} for one in batch]}
        )

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, batches))
    return size(items[0])


def size(value: Any) -> int:
    """The size of an item in bytes ("Item sizes and formats" in DynamoDB's guide)."""
    total = 0
    for name, one in value.items():
        [(kind, content)] = one.items()
        total += len(name.encode())
        if kind == "M":
            total += 3 + len(content) + size(content)
        elif kind == "SS":
            total += sum(len(text.encode()) for text in content) + len(content)
        else:
            total += 1 if kind in ("BOOL", "NULL") else len(content)
    return total


def own_ms(bench: BenchWorld, process: Running, event: Event) -> tuple[float, float]:
    """The milliseconds of one call: first without AWS's time, then AWS's time."""
    bench.aws.reset()
    answer = process.invoke(event)
    assert answer.body["statusCode"] == 200, answer.body
    at_aws = sum(ended - began for began, ended in bench.aws.traffic.spans)
    return (answer.took - at_aws) * 1000, at_aws * 1000


def listings(bench: BenchWorld, log: Path) -> Iterator[dict[str, Any]]:
    """Measures a page of each customer, before and after other customers fill the table."""
    bench.reset()
    customers = {count: f"customer-{count}" for count in SIZES}
    item_bytes, *_ = [fill(bench, name, count) for count, name in customers.items()]
    in_table = sum(SIZES)
    with running(bench.ours("list_connections"), log) as process:
        for filled in (False, True):
            if filled:
                for number in range((TABLE - in_table) // 1000):
                    fill(bench, f"other-{number}", 1000)
                in_table += (TABLE - in_table) // 1000 * 1000
            took: dict[int, list[tuple[float, float]]] = {count: [] for count in SIZES}
            for _ in range(CALLS):
                for count, name in customers.items():
                    took[count].append(own_ms(bench, process, _listing(bench, name)))
            for count in SIZES:
                yield {
                    "connections": count,
                    "in_table": in_table,
                    "own_ms": round(statistics.median(own for own, _ in took[count]), 2),
                    "emulator_ms": round(statistics.median(aws for _, aws in took[count]), 2),
                    "aws_calls": len(bench.aws.traffic.calls),
                    "read_units": math.ceil(PAGE * item_bytes / _READ_UNIT),
                }


def _listing(bench: BenchWorld, customer_id: str) -> Event:
    event: Event = json.loads(Path("events/list_connections.json").read_text())
    event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"] = customer_id
    return event | {"queryStringParameters": {"limit": str(PAGE)}}


def disconnects(bench: BenchWorld, log: Path) -> Iterator[dict[str, Any]]:
    """Measures the disconnect of one connection of customers with some, many and very many connections."""
    with running(bench.ours("disconnect"), log) as process:
        for count in SIZES:
            event = bench.disconnect_event()
            fill(bench, "acme", count - 1)
            bench.aws.reset()
            bench.finch.reset()
            own, _ = own_ms(bench, process, event)
            yield {
                "connections": count,
                "own_ms": round(own, 1),
                "aws_calls": len(bench.aws.traffic.calls),
                "finch_calls": len(bench.finch.traffic.calls),
            }


def starts(bench: BenchWorld, log: Path) -> Iterator[dict[str, Any]]:
    """Measures the click on a link of customers with some, many and very many connections."""
    with running(bench.ours("start_connect"), log) as process:
        for count in SIZES:
            bench.disconnect_event()
            # The links are older than the connections, because the local world limits their number.
            events = [bench.link_event() for _ in range(2)]
            fill(bench, "acme", count - 1)
            # The first click counts the connections, which no callback has written.
            for event in events:
                bench.aws.reset()
                bench.finch.reset()
                answer = process.invoke(event)
                assert answer.body["statusCode"] == HTTPStatus.FOUND, answer.body
            assert "DynamoDB.Query" not in bench.aws.traffic.calls
            yield {
                "connections": count,
                "items_read": bench.aws.traffic.calls.count("DynamoDB.GetItem"),
                "aws_calls": len(bench.aws.traffic.calls),
                "finch_calls": len(bench.finch.traffic.calls),
            }


def callbacks(bench: BenchWorld, log: Path, *, limited: bool) -> dict[str, Any]:
    """Measures many callbacks at once, while Finch responds, or limits the rate."""
    bench.reset()
    events = []
    for number in range(PEOPLE):
        company_id = bench.world.finch.add_company(f"Company {number}, Inc.")
        login = bench.world.finch.add_login("gusto", f"person-{number}@example.com", [company_id])
        person = Person(bench.deployed, f"customer-{number}")
        events.append(bench.callback_event(person, login=login.username, company_id=company_id))
    if limited:
        for path in ("/introspect", "/auth/token"):
            method = "GET" if path == "/introspect" else "POST"
            bench.world.finch.faults.add(
                method, path, times=None, error="rate_limit_exceeded_error"
            )
    with contextlib.ExitStack() as stack:
        function = bench.ours("finish_connect")
        free: SimpleQueue[Running] = SimpleQueue()
        for _ in range(PROCESSES):
            free.put(stack.enter_context(running(function, log)))
        bench.aws.reset()
        bench.finch.reset()

        def finish(event: Event) -> tuple[float, str]:
            process = free.get()
            answer = process.invoke(event)
            free.put(process)
            return answer.took * 1000, _outcome(answer.body)

        began = time.monotonic()
        with ThreadPoolExecutor(PROCESSES) as threads:
            done = list(threads.map(finish, events))
        took = time.monotonic() - began
    return {
        "people": PEOPLE,
        "environments": PROCESSES,
        "finch": "limits the rate" if limited else "responds",
        "outcomes": dict(Counter(outcome for _, outcome in done)),
        "seconds": round(took, 1),
        "p50_ms": round(statistics.median(one for one, _ in done), 1),
        "aws_calls_each": round(len(bench.aws.traffic.calls) / PEOPLE, 2),
        "finch_calls_each": round(len(bench.finch.traffic.calls) / PEOPLE, 2),
    }


def _outcome(answer: Any) -> str:
    location: str = answer["headers"]["location"]
    query = location.partition("?")[2].partition("#")[0]
    pairs = dict(pair.partition("=")[::2] for pair in query.split("&"))
    return pairs.get("error") or pairs["status"]


def main() -> int:
    """Measures, prints the figures and writes them to `growth.json`."""
    with tempfile.TemporaryDirectory() as folder, bench_world(Path(folder)) as bench:
        log = Path(folder, "functions.log")
        found = {
            "callbacks": [callbacks(bench, log, limited=one) for one in (False, True)],
            "disconnects": list(disconnects(bench, log)),
            "listings": list(listings(bench, log)),
            "starts": list(starts(bench, log)),
        }
    print(json.dumps(found, indent=1))
    JSON.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
