"""`resolve`: an operator's decisions about held tokens, uncertain exchanges and stuck work."""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from operations.stack import CannotOperate, ExitCode, Say, Stack

type Ask = Callable[[str], str]


def resolve(options: argparse.Namespace, stack: Stack, say: Say) -> ExitCode:
    """Carries out one action of the command."""
    action = options.action
    if action == "list":
        return list_unfinished(stack, say)
    if action in ("attach", "disconnect"):
        ask = input if sys.stdin.isatty() else None
        return decide(stack, action, options.session, sure=options.yes, ask=ask, say=say)
    event = {"action": action}
    if action == "audit":
        event["customer_id"] = options.customer_id
    elif getattr(options, "session", None):
        event["session"] = options.session
    else:
        event |= {
            "customer_id": options.customer,
            "provider_id": options.provider,
            "company_id": options.company,
        }
    _show(stack.invoke("ResolveUnfinished", event), say)
    return ExitCode.DONE


def list_unfinished(stack: Stack, say: Say) -> ExitCode:
    """Shows everything that has been unfinished for more than an hour."""
    found = stack.invoke("ResolveUnfinished", {"action": "list", "limit": 100})
    _show(found, say)
    return ExitCode.PERSON_NEEDED if any(found.values()) else ExitCode.DONE


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


def _show(answer: Any, say: Say) -> None:
    say(json.dumps(answer, indent=2))
