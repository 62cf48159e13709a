"""`erase`: ends and erases everything of a customer."""

import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from finch_connections.use_cases.operator.erase_customer import ONLY_FINCH
from operations import grants
from operations.stack import CannotOperate, ExitCode, Say, Stack, go_through, progress, summary

_PAUSE_SECONDS = 3.0


def _confirm(customer_id: str, say: Say) -> bool:
    """Whether the operator repeats the customer's id; raises `CannotOperate` without a terminal."""
    if not sys.stdin.isatty():
        raise CannotOperate("Cannot ask for confirmation without a terminal. Use --yes to confirm.")
    say("First disable the customer's sign-in. Otherwise they can connect again while this runs.")
    return input("Repeat the customer's id: ") == customer_id


def erase(stack: Stack, customer_id: str, patience: timedelta, say: Say, *, sure: bool) -> ExitCode:
    """Ends and erases everything of a customer, and waits up to `patience` until Finch has confirmed.

    Asks the operator first if they are not `sure`.
    """
    if not sure and not _confirm(customer_id, say):
        say("Nothing was done.")
        return ExitCode.PERSON_NEEDED
    until = time.monotonic() + patience.total_seconds()
    total: Counter[str] = Counter()
    only_finch: list[dict[str, Any]] = []
    grants.of_stack(stack).forget(customer_id)
    while True:
        began = datetime.now(UTC)
        progress(f"Going through the data of {customer_id}.")
        result = go_through(stack, "EraseCustomer", {"customer_id": customer_id})
        total.update(result.done)
        # The function reports such a connection only once, and erases its row at the same time.
        only_finch += [row for row in result.open if row["reason"] == ONLY_FINCH]
        result.open = [row for row in result.open if row["reason"] != ONLY_FINCH]
        if not result.open and not result.done.total():
            return _report(customer_id, total, only_finch, began, say)
        if not result.waits() or time.monotonic() > until:
            break
        if result.open:
            time.sleep(_PAUSE_SECONDS)
    say(f"Some data of {customer_id} is left.")
    for row in result.open + only_finch:
        say(f"  {row}")
    if not result.waits():
        say("Decide about each session (see `resolve list`), then run the same command again.")
        return ExitCode.PERSON_NEEDED
    if not result.open:
        say(
            "New data of the customer appears all the time. Disable their sign-in, and stop the "
            "backends that request their tokens."
        )
    say("Run the same command again later. The work that has begun continues by itself.")
    return ExitCode.NOT_FINISHED


def _report(
    customer_id: str,
    total: Counter[str],
    only_finch: list[dict[str, Any]],
    began: datetime,
    say: Say,
) -> ExitCode:
    say(f"Everything of {customer_id} that existed before {began:%Y-%m-%d %H:%M:%S} UTC is erased.")
    say(f"  {summary(total)}")
    say(
        "  Some data stays for a time: log lines, the tables' recovery points (35 days), the hashes"
    )
    say("  of codes that Finch rejected (37 days), and the events that subscribers received.")
    say("  A keyed hash of the id stays, so that a restore does not bring the customer back.")
    for row in only_finch:
        say(f"  No token is left for a connection at Finch. Ask Finch to end {row}")
    return ExitCode.PERSON_NEEDED if only_finch else ExitCode.DONE
