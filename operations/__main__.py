"""Looks after a running Finch Connections; what to do when is in operations/RUNBOOKS.md."""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from operations import customer, decisions, doctor, long_work
from operations.stack import CannotOperate, Stack

CANNOT = 2


def parser() -> argparse.ArgumentParser:
    """The commands and what they take."""
    top = argparse.ArgumentParser(
        prog="python -m operations",
        description=__doc__,
        epilog="Exit codes: 0 done, all well · 1 a person must do something · 2 it could not be done "
        "· 3 not over yet, run it again",
    )
    top.add_argument("--stack", default="finch-connections", help="its name (%(default)s)")
    top.add_argument("--local", action="store_true", help="the stack of `make local`, not of AWS")
    top.add_argument("--aws-port", type=int, default=4566, help="of the local world (%(default)s)")
    commands = top.add_subparsers(dest="command", required=True, metavar="command")

    commands.add_parser("doctor", help="what is wrong with the deployment, and what mends it")

    inspect = commands.add_parser("inspect", help="what a customer has and what is not over")
    whom = inspect.add_mutually_exclusive_group(required=True)
    whom.add_argument("customer_id", nargs="?")
    whom.add_argument("--connection", help="one of Finch's connection ids, of whomever it is")

    export = commands.add_parser("export", help="all that is kept about a customer, as JSON")
    export.add_argument("customer_id")
    export.add_argument("--to", type=Path, help="a file; without it, the terminal")

    resolve = commands.add_parser("resolve", help="decide about what is held, uncertain or stuck")
    actions = resolve.add_subparsers(dest="action", required=True, metavar="action")
    actions.add_parser("list", help="what is not over for an hour")
    for action, about in (
        ("attach", "attach a held token to the customer of its session"),
        ("disconnect", "end the connection of a kept token at Finch"),
    ):
        deciding = actions.add_parser(action, help=about)
        deciding.add_argument("session")
        deciding.add_argument("--yes", action="store_true", help="do not ask")
    dismiss = actions.add_parser("dismiss", help="an uncertain exchange has left nothing at Finch")
    dismiss.add_argument("session")
    retry = actions.add_parser("retry", help="look at a session or a connection now")
    retry.add_argument("session", nargs="?")
    _names_connection(retry, required=False)
    end = actions.add_parser("end", help="end a customer's connection, as its customer could")
    _names_connection(end, required=True)
    audit = actions.add_parser("audit", help="who asked for a customer's tokens")
    audit.add_argument("customer_id")

    commands.add_parser("redrive", help="have what was given up done after all")
    commands.add_parser("reencrypt", help="bring every token under the key that seals now")

    erase = commands.add_parser("erase", help="end and erase everything of a customer")
    erase.add_argument("customer_id")
    erase.add_argument("--yes", action="store_true", help="do not ask")
    erase.add_argument("--minutes", type=float, default=5, help="how long to wait for Finch")

    restore = commands.add_parser("restore", help="take back what is alive from restored tables")
    restore.add_argument("--connections", help="the name of the restored ConnectionsTable")
    restore.add_argument("--sessions", help="the name of the restored ConnectSessionsTable")
    return top


def _names_connection(command: argparse.ArgumentParser, *, required: bool) -> None:
    for name in ("customer", "provider", "company"):
        command.add_argument(f"--{name}", required=required)


def main(arguments: Sequence[str]) -> int:
    """Runs one command; the exit code is the epilog's."""
    asked = parser().parse_args(arguments)
    try:
        stack = (
            Stack.local(asked.stack, asked.aws_port) if asked.local else Stack.deployed(asked.stack)
        )
        return _run(asked, stack)
    except (CannotOperate, ClientError, BotoCoreError) as error:
        print(error, file=sys.stderr)
        return CANNOT


def _run(asked: argparse.Namespace, stack: Stack) -> int:
    now = datetime.now(UTC)
    match asked.command:
        case "doctor":
            return doctor.examine(stack, say)
        case "inspect":
            customer_id = asked.customer_id or customer.owner(stack, asked.connection)
            for line in customer.picture(stack, customer_id, now):
                say(line)
        case "export":
            _export(customer.export(stack, asked.customer_id, now), asked.to)
        case "resolve":
            return _resolve(asked, stack)
        case "redrive":
            return decisions.redrive(stack, say)
        case "reencrypt":
            return long_work.reencrypt(stack, say)
        case "erase":
            return _erase(asked, stack)
        case "restore":
            tables = {"connections": asked.connections, "sessions": asked.sessions}
            named = {one: name for one, name in tables.items() if name}
            return long_work.restore(stack, named, say)
    return long_work.OVER


def _export(exported: dict[str, Any], to: Path | None) -> None:
    text = json.dumps(exported, indent=2)
    if to is None:
        say(text)
        return
    # It is about somebody: nobody else on this machine reads it.
    to.touch(mode=0o600)
    to.write_text(text + "\n")
    say(f"Written to {to}.")


def _resolve(asked: argparse.Namespace, stack: Stack) -> int:
    action = asked.action
    if action == "list":
        return decisions.list_unfinished(stack, say)
    if action in ("attach", "disconnect"):
        ask = input if sys.stdin.isatty() else None
        return decisions.decide(stack, action, asked.session, sure=asked.yes, ask=ask, say=say)
    event = {"action": action}
    if action == "audit":
        event["customer_id"] = asked.customer_id
    elif getattr(asked, "session", None):
        event["session"] = asked.session
    else:
        event |= {
            "customer_id": asked.customer,
            "provider_id": asked.provider,
            "company_id": asked.company,
        }
    decisions.show(stack.invoke("ResolveUnfinished", event), say)
    return long_work.OVER


def _erase(asked: argparse.Namespace, stack: Stack) -> int:
    if not asked.yes:
        if not sys.stdin.isatty():
            raise CannotOperate("Nobody is there to ask: say --yes when that is what you want.")
        say("First take away their sign-in, or they can connect again while this runs.")
        if input("Write the customer's id once more: ") != asked.customer_id:
            say("Nothing was done.")
            return long_work.FOR_A_PERSON
    return long_work.erase(stack, asked.customer_id, timedelta(minutes=asked.minutes), say)


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
