"""Display names and icons from Finch, limited to what a page can safely show."""

import re
from collections.abc import Mapping

LONGEST = 200
LONGEST_ICON = 500
# The fake Finch of the local world has no certificate.
_ICON = r"(https://|http://127\.0\.0\.1:)[!-~]+"
# The limit for all entity names of one connection: its item must stay below DynamoDB's 400 KB.
MOST_BYTES = 20_000
# Control characters, and characters that change the direction of the text after them (Unicode
# Standard Annex 9). A name with such a character could change how the rest of the page reads.
# Compiled on use: that takes a millisecond, and most functions read no name.
_UNREADABLE = "[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
# Tabs and line ends become spaces. Directional marks are usual in Hebrew and Arabic names, and the name
# reads the same without them.
_CLEANED = str.maketrans({**dict.fromkeys("\t\n\r", " "), **dict.fromkeys("\u061c\u200e\u200f")})


def readable(value: object) -> str | None:
    """The name to show, cut to `LONGEST` characters; None if the value is not a name that we show."""
    if not isinstance(value, str):
        return None
    cleaned = value.translate(_CLEANED)
    if re.search(_UNREADABLE, cleaned):
        return None
    name = cleaned.strip()
    return (name if len(name) <= LONGEST else f"{name[: LONGEST - 1].rstrip()}…") or None


def icon_url(value: object) -> str | None:
    """The URL of an icon to show; None if the value is not a URL that we show."""
    if isinstance(value, str) and len(value) <= LONGEST_ICON and re.fullmatch(_ICON, value):
        return value
    return None


def names_that_fit(names: Mapping[str, str]) -> dict[str, str]:
    """As many of these names, by entity id, as fit into the item of a connection."""
    kept: dict[str, str] = {}
    room = MOST_BYTES
    for entity_id, name in sorted(names.items()):
        # The size of a map entry by DynamoDB's rules.
        room -= len(entity_id.encode()) + len(name.encode()) + 3
        if room < 0:
            break
        kept[entity_id] = name
    return kept
