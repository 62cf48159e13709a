"""`transfer`: gives a company of one customer to the customer of a held token that proves it."""

import sys

from operations.resolve import decide
from operations.stack import ExitCode, Say, Stack


def transfer(stack: Stack, session: str, *, sure: bool, say: Say) -> ExitCode:
    """Shows the effect, and transfers the company after the operator's yes."""
    ask = input if sys.stdin.isatty() else None
    return decide(stack, "transfer", session, sure=sure, ask=ask, say=say)
