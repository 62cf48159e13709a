"""The names that Finch gives to providers, companies and entities, as far as a page may show them."""

import re
from collections.abc import Mapping

LONGEST = 200
# Of all entity names of one connection, so that its item stays below DynamoDB's 400 KB.
MOST_BYTES = 20_000
# Control characters, and those that turn the direction of writing for what comes after them
# (Unicode Standard Annex 9): with one, a name could make a page seem to say something else.
# To compile it takes a millisecond, and most functions read no name.
_UNREADABLE = "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"


def readable(said: object) -> str | None:
    """A name as it can be shown, cut where it is too long; None where there is none to be shown."""
    if not isinstance(said, str) or re.search(_UNREADABLE, said):
        return None
    name = said.strip()
    return (name if len(name) <= LONGEST else f"{name[: LONGEST - 1].rstrip()}…") or None


def that_fit(names: Mapping[str, str]) -> dict[str, str]:
    """As many of these names, by entity id, as a connection has room for."""
    kept: dict[str, str] = {}
    room = MOST_BYTES
    for entity_id, name in sorted(names.items()):
        # As DynamoDB counts the entry of a map.
        room -= len(entity_id.encode()) + len(name.encode()) + 3
        if room < 0:
            break
        kept[entity_id] = name
    return kept
