"""Operates a deployed Finch Connections. The runbooks say when to use which command."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from operations import (
    billing,
    doctor,
    erase,
    export,
    inspect,
    redrive,
    reencrypt,
    resolve,
    restore,
    transfer,
    verify,
)
from operations.stack import CannotOperate, ExitCode, Stack, explained

_PROGRAM = "finch-connections"
# As shells report a program that Ctrl-C stopped.
_INTERRUPTED = 130
_SESSION = "3f" * 32
_CONNECTION = "--customer acme --provider gusto --company 720be419"


class Parser(argparse.ArgumentParser):
    """A command with an example, which is in its help and in each message about a wrong call."""

    def __init__(self, *, example: str, **options: Any) -> None:
        self.example = f"{_PROGRAM} {example}"
        super().__init__(
            **{
                "epilog": f"Example: {self.example}",
                "formatter_class": argparse.RawDescriptionHelpFormatter,
                **options,
            }
        )

    def error(self, message: str) -> NoReturn:
        """Ends the program with one sentence and the example."""
        sentence = message[:1].upper() + message[1:].removesuffix(".")
        self.exit(ExitCode.FAILED, f"{sentence}. Example: {self.example}\n")


def parser() -> Parser:
    """The commands and their options."""
    top = Parser(
        example="--stack payroll doctor",
        prog=_PROGRAM,
        description=__doc__,
        epilog=f"Example: {_PROGRAM} --stack payroll doctor\n\n"
        "Exit codes: 0 done, all is well · 1 a person must act, or a check failed · 2 the command is "
        "wrong\nor failed · 3 not finished, run it again later",
    )
    stack = os.environ.get("FINCH_CONNECTIONS_STACK", _PROGRAM)
    _names_stack(top, stack=stack, local=False, aws_port=4566)
    commands = top.add_subparsers(dest="command", required=True, metavar="command")

    _add(commands, "doctor", "check the deployment and name a fix for each fault", reads=True)

    text = "connect, repair and disconnect in Finch's sandbox, and try what must not work"
    command = _add(commands, "verify", text, "--open-with xdg-open", reads=True)
    command.description = (
        f"{command.description} {verify.TOKEN} has a test customer's access token."
    )
    command.add_argument("--provider", help="the provider to log in to, such as gusto")
    command.add_argument(
        "--open-with",
        metavar="COMMAND",
        help="opens the link to Finch Connect; it may print the address where the browser ends",
    )
    command.add_argument(
        "--minutes", type=float, default=15, help="how long to wait for a login (%(default)s)"
    )

    text = "show what a customer has, and the history of it and of each attempt to connect"
    command = _add(commands, "inspect", text, "acme", reads=True)
    subject = command.add_mutually_exclusive_group(required=True)
    subject.add_argument("customer_id", nargs="?", help="the customer's id, unchanged")
    subject.add_argument("--connection", help="a Finch connection id, of any customer")
    subject.add_argument(
        "--reference", type=_reference, help="the reference that the page shows, of any customer"
    )

    text = "show what Finch bills, and what to fix"
    command = _add(commands, "billing", text, "--price 50 --compare connections.csv", reads=True)
    command.add_argument("--price", type=_price, help="Finch's price of a connection and month")
    command.add_argument(
        "--compare", type=Path, metavar="FILE", help="an export of Finch's dashboard (CSV)"
    )

    command = _add(
        commands,
        "export",
        "write all data of a customer as JSON",
        "acme --to acme.json",
        reads=True,
    )
    _names_customer(command)
    command.add_argument("--to", type=Path, help="new file to write (default: the terminal)")

    text = "decide about held, uncertain or stuck work"
    command = commands.add_parser(
        "resolve", help=text, description=f"{text.capitalize()}.", example="resolve list"
    )
    _takes_actions(command)

    text = "give a company to the customer of a held token that proves it"
    _decides(_add(commands, "transfer", text, _SESSION))

    _add(commands, "redrive", "retry the dead letters")
    _add(commands, "reencrypt", "encrypt every token with the current key")

    command = _add(commands, "erase", "end and erase everything of a customer", "acme")
    _names_customer(command)
    _asks(command)
    command.add_argument(
        "--minutes", type=float, default=5, help="how long to wait for Finch (%(default)s)"
    )

    text = "take back live tokens from restored tables"
    command = _add(commands, "restore", text, "--connections payroll-restored-connections")
    command.add_argument("--connections", help="name of the restored ConnectionsTable")
    command.add_argument("--sessions", help="name of the restored ConnectSessionsTable")

    command = _add(commands, "completion", "print the completion of a shell", "bash")
    command.add_argument("shell", choices=("bash", "zsh", "fish"))
    return top


def _takes_actions(resolve_command: Parser) -> None:
    actions = resolve_command.add_subparsers(dest="action", required=True, metavar="action")
    text = "list all work that has been unfinished for more than an hour"
    _add(actions, "resolve list", text, reads=True)
    for action, text in (
        ("attach", "attach a held token to the customer of its session"),
        ("disconnect", "end the connection of a token in escrow at Finch"),
    ):
        _decides(_add(actions, f"resolve {action}", text, _SESSION))
    text = "close an uncertain exchange that left no connection at Finch"
    _names_session(_add(actions, "resolve dismiss", text, _SESSION))
    retry = _add(actions, "resolve retry", "process a session or a connection now", _SESSION)
    _names_session(retry, nargs="?")
    _names_connection(retry, required=False)
    retry.set_defaults(refuse=retry.error)
    end = _add(actions, "resolve end", "end a connection, as its customer could", _CONNECTION)
    _names_connection(end, required=True)
    text = "list the newest requests for a customer's tokens"
    _names_customer(_add(actions, "resolve audit", text, "acme", reads=True))


def _add(to: Any, words: str, text: str, example: str = "", *, reads: bool = False) -> Parser:
    """Adds a command with its help, its example and the options that all commands take."""
    # Here these options have no default, which would hide an option before the command.
    common = argparse.ArgumentParser(add_help=False)
    _names_stack(common, **dict.fromkeys(("stack", "local", "aws_port"), argparse.SUPPRESS))
    added: Parser = to.add_parser(
        words.rpartition(" ")[2],
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        example=f"{words} {example}".rstrip(),
        parents=[common],
    )
    if reads:
        added.add_argument("--json", action="store_true", help="print JSON for a program")
    return added


def _names_stack(
    command: argparse.ArgumentParser, *, stack: str, local: Any, aws_port: Any
) -> None:
    command.add_argument(
        "--stack",
        default=stack,
        help="name of the stack (default: FINCH_CONNECTIONS_STACK, or finch-connections)",
    )
    command.add_argument(
        "--local", action="store_true", default=local, help="use the stack of `make local`, not AWS"
    )
    command.add_argument(
        "--aws-port", type=int, default=aws_port, help="port of the local world's AWS (4566)"
    )


def _names_customer(command: argparse.ArgumentParser) -> None:
    command.add_argument("customer_id", help="the customer's id, unchanged")


def _names_session(command: argparse.ArgumentParser, nargs: str | None = None) -> None:
    command.add_argument(
        "session", type=_session, nargs=nargs, help="the session, as `resolve list` shows it"
    )


def _reference(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{12}", text.strip().lower()):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a reference, which has 12 hexadecimal digits. The id of a request is "
            "in the log"
        )
    return text.strip().lower()


def _session(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a session, which has 64 hexadecimal digits (see `resolve list`)"
        )
    return text


def _price(text: str) -> Decimal:
    try:
        price = Decimal(text)
    except InvalidOperation:
        price = Decimal("NaN")
    if not price.is_finite() or price < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a price such as 50 or 49.90")
    return price


def _decides(command: argparse.ArgumentParser) -> None:
    _names_session(command)
    _asks(command)


def _asks(command: argparse.ArgumentParser) -> None:
    command.add_argument("--yes", action="store_true", help="do not ask for confirmation")


def _names_connection(command: argparse.ArgumentParser, *, required: bool) -> None:
    for name in ("customer", "provider", "company"):
        command.add_argument(f"--{name}", required=required, help=f"id of the {name}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit code."""
    top = parser()
    if "_ARGCOMPLETE" in os.environ:
        # The shell asks for the words that may follow.
        import_module("argcomplete").autocomplete(top)
    options = top.parse_args(arguments)
    if (
        (options.command, getattr(options, "action", None)) == ("resolve", "retry")
        and not options.session
        and not (options.customer and options.provider and options.company)
    ):
        options.refuse("Name a session, or --customer, --provider and --company")
    try:
        if options.command == "completion":
            return _complete(options.shell)
        stack = (
            Stack.local(options.stack, options.aws_port)
            if options.local
            else Stack.deployed(options.stack)
        )
        # If AWS or the stack cannot be reached, say so once, before any work.
        stack.described  # noqa: B018
        return _run(options, stack)
    except CannotOperate as error:
        print(error, file=sys.stderr)
    except (ClientError, BotoCoreError) as error:
        print(explained(error), file=sys.stderr)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return _INTERRUPTED
    return ExitCode.FAILED


def _complete(shell: str) -> ExitCode:
    say(import_module("argcomplete").shellcode([_PROGRAM], shell=shell))
    return ExitCode.DONE


def _run(options: argparse.Namespace, stack: Stack) -> ExitCode:
    now = datetime.now(UTC)
    match options.command:
        case "doctor":
            return doctor.examine(stack, say, as_json=options.json)
        case "verify":
            return verify.verify(
                stack,
                provider_id=options.provider,
                open_with=options.open_with,
                patience=timedelta(minutes=options.minutes),
                as_json=options.json,
                say=say,
            )
        case "inspect":
            inspect.inspect(options, stack, now, say)
        case "billing":
            return billing.billing(
                stack,
                now,
                say,
                price=options.price,
                compare=options.compare,
                as_json=options.json,
            )
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
    sys.exit(main())
