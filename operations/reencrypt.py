"""Long work that a function does step by step: driven from here, with progress, to its end."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from operations.stack import Stack

# How a command ends: over; a person must do something; not over yet, to be run again.
OVER, FOR_A_PERSON, NOT_YET = 0, 1, 3
# A function that was replaced may still be at work: the longest takes four minutes.
OLD_FUNCTIONS_END_AFTER = timedelta(minutes=5)

_PAUSE_SECONDS = 3.0
_UNDER_WAY = "under way"

type Say = Callable[[str], None]


@dataclass
class Round:
    """One way through all rows: what was done, and what is not over."""

    done: Counter[str] = field(default_factory=Counter)
    open: list[dict[str, Any]] = field(default_factory=list)

    def waits(self) -> bool:
        """Whether all that is not over goes on by itself."""
        return all(one["reason"] == _UNDER_WAY for one in self.open)


def go_through(stack: Stack, function: str, event: Mapping[str, Any], say: Say) -> Round:
    """Invokes a function step by step until it has been through everything once."""
    done, cursor, started = Round(), None, False
    while cursor or not started:
        started = True
        step = stack.invoke(function, {**event, **({"cursor": cursor} if cursor else {})})
        done.done.update(step["done"])
        done.open += step["open"]
        cursor = step["cursor"]
        where = f"at {cursor['part']}" if cursor else "to the end"
        say(f"  {where}: {_told(done.done)}")
    return done


def reencrypt(stack: Stack, say: Say) -> int:
    """Brings every token under the key that seals now; goes through all rows until nothing is left."""
    rows = sum(
        stack.client("dynamodb").describe_table(TableName=stack.outputs[name])["Table"]["ItemCount"]
        for name in ("ConnectSessionsTableName", "ConnectionsTableName")
    )
    say(f"Sealing tokens anew under {stack.outputs['TokenKeyArn']}, in about {rows} rows.")
    began = datetime.now(UTC)
    for _ in range(10):
        began = datetime.now(UTC)
        this = go_through(stack, "ReencryptTokens", {}, say)
        if not this.done["reencrypted"]:
            break
        say("Once more, for what was sealed meanwhile.")
    for one in this.open:
        say(f"  left: {one}")
    if this.open or this.done["reencrypted"]:
        say("Not all is sealed anew: look at what is left, then run this again.")
        return FOR_A_PERSON
    safe_at = _deployed_at(stack) + OLD_FUNCTIONS_END_AFTER
    if began < safe_at:
        say(
            "All is sealed anew, but functions from before the key was replaced may still run: "
            f"run this once more after {safe_at.astimezone():%H:%M:%S}."
        )
        return NOT_YET
    say("Every token is under this key. The old one is not needed by any row.")
    return OVER


def _deployed_at(stack: Stack) -> datetime:
    """When the functions got their present settings."""
    described = stack.described
    moment: datetime = described.get("LastUpdatedTime") or described["CreationTime"]
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def erase(stack: Stack, customer_id: str, patience: timedelta, say: Say) -> int:
    """Ends and erases a customer, and waits for Finch as long as one likes."""
    until = time.monotonic() + patience.total_seconds()
    total: Counter[str] = Counter()
    only_finch: list[dict[str, Any]] = []
    while True:
        began = datetime.now(UTC)
        say(f"Going through what is kept about {customer_id}.")
        this = go_through(stack, "EraseCustomer", {"customer_id": customer_id}, say)
        total.update(this.done)
        # An offer is erased when it is told: it would not be told again.
        only_finch += [one for one in this.open if one["reason"].startswith("only Finch")]
        this.open = [one for one in this.open if one not in only_finch]
        if not this.open and not this.done.total():
            return _gone(customer_id, total, only_finch, began, say)
        if not this.waits() or time.monotonic() > until:
            break
        if this.open:
            time.sleep(_PAUSE_SECONDS)
    say(f"Not all of {customer_id} is gone.")
    for one in this.open + only_finch:
        say(f"  {one}")
    if not this.waits():
        say("Decide about each session: see `resolve list`. Then run the same command again.")
        return FOR_A_PERSON
    if not this.open:
        say(
            "More of theirs is made all the while: take away their sign-in, and let no backend ask."
        )
    say("Run the same command again later: what was begun goes on by itself.")
    return NOT_YET


def _gone(
    customer_id: str,
    total: Counter[str],
    only_finch: list[dict[str, Any]],
    began: datetime,
    say: Say,
) -> int:
    say(f"Everything of {customer_id} that began before {began:%Y-%m-%d %H:%M:%S} UTC is gone.")
    say(f"  {_told(total)}")
    say("  What stays for its time: lines in the logs, the tables' recovery points (35 days), the")
    say("  hashes of codes that Finch rejected (37 days), and what subscribers were told.")
    for one in only_finch:
        say(f"  Finch has a connection of which nobody has a token: ask Finch to end {one}")
    return FOR_A_PERSON if only_finch else OVER


def restore(stack: Stack, tables: Mapping[str, str], say: Say) -> int:
    """Takes back from restored tables what Finch says is alive."""
    this = go_through(stack, "RestoreBackup", tables, say)
    for one in this.open:
        say(f"  left: {one}")
    if this.open:
        say("Run this again later: what is restored already is left alone.")
        return NOT_YET
    say("All of the backup has been looked at. What was dead stays dead: keep the restored tables")
    say("for an hour and run this again, for one wrong word of Finch must not lose a token.")
    return OVER


def _told(done: Counter[str]) -> str:
    return (
        ", ".join(f"{count} {what}" for what, count in sorted(done.items()) if count) or "nothing"
    )
