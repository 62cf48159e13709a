"""The survivors that we accept, from `accepted.toml`, and the verdict on a run."""

import tomllib
from collections.abc import Collection
from pathlib import Path

# By module, each with its reason. A mutant is identified by its text: numbers change with the code.
_ACCEPTED = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())


def passes(module: str, mutants: int, survived: Collection[str]) -> bool:
    """Prints the score of a module, its new survivors, and the accepted mutants that no longer survive.

    False if there is any of these.
    """
    accepted = {one for group in _ACCEPTED.get(module, ()) for one in group["mutants"]}
    new, gone = sorted(set(survived) - accepted), sorted(accepted - set(survived))
    for mutant in new:
        print("survived:", mutant)
    for mutant in gone:
        print("accepted, but does not survive:", mutant)
    killed = mutants - len(survived)
    print(
        f"{module}: {mutants} mutants, {killed} killed, {len(survived) - len(new)} accepted",
        flush=True,
    )
    return not new and not gone
