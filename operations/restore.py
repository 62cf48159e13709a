"""`restore`: takes back live tokens from tables that were restored from a backup."""

from collections.abc import Mapping

from operations.stack import ExitCode, Say, Stack, go_through, summary


def restore(stack: Stack, tables: Mapping[str, str], say: Say) -> ExitCode:
    """Takes back from restored tables every token that Finch reports as live."""
    result = go_through(stack, "RestoreBackup", tables)
    say(f"From the backup: {summary(result.done)}.")
    for row in result.open:
        say(f"  left: {row}")
    if result.open:
        say("Run this again later. Rows that are restored already are not changed.")
        return ExitCode.NOT_FINISHED
    say("The backup is processed. Tokens that Finch reported as dead stay dead.")
    say("Keep the restored tables, and run this again in an hour.")
    say("A single wrong answer of Finch must not lose a token.")
    return ExitCode.DONE
