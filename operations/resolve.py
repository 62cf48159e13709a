"""`resolve`: an operator's decisions about held tokens, uncertain exchanges and stuck work."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from operations.stack import CannotOperate, ExitCode, Say, Stack, table

type Ask = Callable[[str], str]


def resolve(options: argparse.Namespace, stack: Stack, say: Say) -> ExitCode:
    """Carries out one action of the command."""
    action = options.action
    if action == "list":
        return list_unfinished(stack, say, as_json=options.json)
    if action in ("attach", "disconnect"):
        ask = input if sys.stdin.isatty() else None
        return decide(stack, action, options.session, sure=options.yes, ask=ask, say=say)
    if action == "audit":
        return audit(stack, options.customer_id, say, as_json=options.json)
    event = {"action": action}
    if getattr(options, "session", None):
        event["session"] = options.session
    else:
        event |= {
            "customer_id": options.customer,
            "provider_id": options.provider,
            "company_id": options.company,
        }
    _show(stack.invoke("ResolveUnfinished", event), say)
    return ExitCode.DONE


def list_unfinished(stack: Stack, say: Say, *, as_json: bool = False) -> ExitCode:
    """Shows everything that has been unfinished for more than an hour."""
    found = stack.invoke("ResolveUnfinished", {"action": "list", "limit": 100})
    columns = {
        "sessions": ("phase", "reason", "customer_id", "provider_id", "company_id", "session"),
        "connections": ("status", "problem", "customer_id", "provider_id", "company_id"),
    }
    if as_json:
        say(json.dumps(found, indent=2))
    elif not any(found.values()):
        say("Nothing has been unfinished for more than an hour.")
    else:
        for kind, names in columns.items():
            _tabulate(found[kind], ("since", *names), say)
        for one in found["sessions"]:
            if one["seems_recovered"]:
                say(f"The customer of session {one['session']} has connected again since.")
    return ExitCode.PERSON_NEEDED if any(found.values()) else ExitCode.DONE


def audit(stack: Stack, customer_id: str, say: Say, *, as_json: bool) -> ExitCode:
    """Shows the newest requests for a customer's tokens."""
    found = stack.invoke("ResolveUnfinished", {"action": "audit", "customer_id": customer_id})
    columns = ("at", "outcome", "caller", "purpose", "provider_id", "company_id")
    if as_json:
        say(json.dumps(found, indent=2))
    elif not found["records"]:
        say("No request for a token of this customer is recorded.")
    else:
        _tabulate(found["records"], columns, say)
    return ExitCode.DONE


def _tabulate(found: Sequence[Mapping[str, Any]], columns: Sequence[str], say: Say) -> None:
    rows = [[str(one[name] or "-") for name in columns] for one in found]
    heads = [name.removesuffix("_id").upper() for name in columns]
    for line in table(heads, rows) if rows else ():
        say(line)


def decide(
    stack: Stack, action: str, session: str, *, sure: bool, ask: Ask | None, say: Say
) -> ExitCode:
    """Shows the effect of a decision, and carries it out after the operator's yes, if it is unchanged.

    `ask` gets the answer to a question, and is None without a terminal. Raises `CannotOperate`.
    """
    event = {"action": action, "session": session}
    seen = stack.invoke("ResolveUnfinished", event)
    _show(seen, say)
    if not sure:
        if ask is None:
            raise CannotOperate(
                "Cannot ask for confirmation without a terminal. Use --yes to confirm."
            )
        if ask(f"{action}? Write yes: ") != "yes":
            say("Nothing was done.")
            return ExitCode.PERSON_NEEDED
    _show(stack.invoke("ResolveUnfinished", event | {"decision": seen["decision"]}), say)
    return ExitCode.DONE


def _show(answer: Mapping[str, Any], say: Say, indent: str = "") -> None:
    for name, value in answer.items():
        parts = value if isinstance(value, list) else [value]
        nested = [part for part in parts if isinstance(part, dict)]
        text = ", ".join(str(part) for part in parts if part not in nested and part is not None)
        say(f"{indent}{name}: {text or ('' if nested else '-')}".rstrip())
        for part in nested:
            _show(part, say, indent + "  ")
