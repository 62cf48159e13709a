"""`reencrypt`: encrypts every token with the current key, after an operator has replaced the key."""

from datetime import UTC, datetime, timedelta

from operations.stack import ExitCode, Say, Stack, go_through, progress

# A function of the previous deployment may still run: the longest takes four minutes.
OLD_FUNCTIONS_END_AFTER = timedelta(minutes=5)
_MOST_ROUNDS = 10


def reencrypt(stack: Stack, say: Say) -> ExitCode:
    """Goes through all rows until every token is encrypted with the current key."""
    rows = sum(
        stack.client("dynamodb").describe_table(TableName=stack.outputs[name])["Table"]["ItemCount"]
        for name in ("ConnectSessionsTableName", "ConnectionsTableName")
    )
    progress(f"Encrypting the tokens in about {rows} rows with {stack.outputs['TokenKeyArn']}.")
    began, total = datetime.now(UTC), 0
    for _ in range(_MOST_ROUNDS):
        began = datetime.now(UTC)
        result = go_through(stack, "ReencryptTokens", {})
        total += result.done["reencrypted"]
        if not result.done["reencrypted"]:
            break
        progress("Another round, for tokens that were encrypted in the meantime.")
    say(f"{total} tokens are reencrypted.")
    for row in result.open:
        say(f"  left: {row}")
    if result.open or result.done["reencrypted"]:
        say(
            "Some tokens still need the old key. Look at the rows that are left, then run this again."
        )
        return ExitCode.PERSON_NEEDED
    safe_at = _deployed_at(stack) + OLD_FUNCTIONS_END_AFTER
    if began < safe_at:
        say(
            "All tokens use the current key, but functions of the previous deployment may still run. "
            f"Run this again after {safe_at.astimezone():%H:%M:%S}."
        )
        return ExitCode.NOT_FINISHED
    say("All tokens use the current key. No row needs the old key.")
    return ExitCode.DONE


def _deployed_at(stack: Stack) -> datetime:
    """The time at which the functions got their current settings."""
    described = stack.described
    moment: datetime = described.get("LastUpdatedTime") or described["CreationTime"]
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
