"""Operates a deployed Finch Connections. The runbooks say when to use which command."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from operations import (
    doctor,
    erase,
    export,
    inspect,
    redrive,
    reencrypt,
    resolve,
    restore,
    transfer,
)
from operations.stack import CannotOperate, ExitCode, Stack


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        prog="python -m operations",
        description=__doc__,
        epilog="Exit codes: 0 done, all is well · 1 a person must act · 2 the command failed "
        "· 3 not finished, run it again later",
    )
    top.add_argument("--stack", default="finch-connections", help="name of the stack (%(default)s)")
    top.add_argument("--local", action="store_true", help="use the stack of `make local`, not AWS")
    top.add_argument(
        "--aws-port", type=int, default=4566, help="port of the local world's AWS (%(default)s)"
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="command")

    commands.add_parser("doctor", help="check the deployment and name a fix for each fault")

    command = commands.add_parser("inspect", help="show what a customer has and what is unfinished")
    subject = command.add_mutually_exclusive_group(required=True)
    subject.add_argument("customer_id", nargs="?")
    subject.add_argument("--connection", help="a Finch connection id, of any customer")

    command = commands.add_parser("export", help="write all data of a customer as JSON")
    command.add_argument("customer_id")
    command.add_argument("--to", type=Path, help="new file to write (default: the terminal)")

    command = commands.add_parser("resolve", help="decide about held, uncertain or stuck work")
    actions = command.add_subparsers(dest="action", required=True, metavar="action")
    actions.add_parser("list", help="list all work that has been unfinished for more than an hour")
    for action, effect in (
        ("attach", "attach a held token to the customer of its session"),
        ("disconnect", "end the connection of a token in escrow at Finch"),
    ):
        deciding = actions.add_parser(action, help=effect)
        deciding.add_argument("session")
        deciding.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    dismiss = actions.add_parser(
        "dismiss", help="close an uncertain exchange that left no connection at Finch"
    )
    dismiss.add_argument("session")
    retry = actions.add_parser("retry", help="process a session or a connection now")
    retry.add_argument("session", nargs="?")
    _names_connection(retry, required=False)
    end = actions.add_parser("end", help="end a connection, as its customer could")
    _names_connection(end, required=True)
    audit = actions.add_parser("audit", help="list the requests for a customer's tokens")
    audit.add_argument("customer_id")

    command = commands.add_parser(
        "transfer", help="give a company to the customer of a held token that proves it"
    )
    command.add_argument("session")
    command.add_argument("--yes", action="store_true", help="do not ask for confirmation")

    commands.add_parser("redrive", help="retry the dead letters")
    commands.add_parser("reencrypt", help="encrypt every token with the current key")

    command = commands.add_parser("erase", help="end and erase everything of a customer")
    command.add_argument("customer_id")
    command.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    command.add_argument(
        "--minutes", type=float, default=5, help="how long to wait for Finch (%(default)s)"
    )

    command = commands.add_parser("restore", help="take back live tokens from restored tables")
    command.add_argument("--connections", help="name of the restored ConnectionsTable")
    command.add_argument("--sessions", help="name of the restored ConnectSessionsTable")
    return top


def _names_connection(command: argparse.ArgumentParser, *, required: bool) -> None:
    for name in ("customer", "provider", "company"):
        command.add_argument(f"--{name}", required=required)


def main(arguments: Sequence[str]) -> int:
    """Runs a command; returns its exit code."""
    options = parser().parse_args(arguments)
    try:
        stack = (
            Stack.local(options.stack, options.aws_port)
            if options.local
            else Stack.deployed(options.stack)
        )
        return _run(options, stack)
    except (CannotOperate, ClientError, BotoCoreError) as error:
        print(error, file=sys.stderr)
        return ExitCode.FAILED


def _run(options: argparse.Namespace, stack: Stack) -> ExitCode:
    now = datetime.now(UTC)
    match options.command:
        case "doctor":
            return doctor.examine(stack, say)
        case "inspect":
            customer_id = options.customer_id or inspect.owner(stack, options.connection)
            for line in inspect.picture(stack, customer_id, now):
                say(line)
        case "export":
            export.write(export.export(stack, options.customer_id, now), options.to, say)
        case "resolve":
            return resolve.resolve(options, stack, say)
        case "transfer":
            return transfer.transfer(stack, options.session, sure=options.yes, say=say)
        case "redrive":
            return redrive.redrive(stack, say)
        case "reencrypt":
            return reencrypt.reencrypt(stack, say)
        case "erase":
            if not options.yes and not erase.confirm(options.customer_id, say):
                say("Nothing was done.")
                return ExitCode.PERSON_NEEDED
            return erase.erase(stack, options.customer_id, timedelta(minutes=options.minutes), say)
        case "restore":
            tables = {"connections": options.connections, "sessions": options.sessions}
            given = {table: name for table, name in tables.items() if name}
            return restore.restore(stack, given, say)
    return ExitCode.DONE


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
