"""Ids that other systems give: the rules for them, and their encodings for places with limits.

We store every id unchanged and compare it by code points.
"""

import re
from hashlib import sha256
from typing import TypeGuard
from unicodedata import is_normalized

LONGEST_CUSTOMER_ID = 256
LONGEST_FINCH_ID = 255

# Finch accepts 1 to 255 characters as `customer_id` ("New session" in its API reference). Counted in
# bytes, which are never fewer than the characters of any other count; the rest is for the number.
_LONGEST_NAME_BYTES = 200
# Careless issuers send these for "no customer". All users with such a claim would share one id.
_NO_CUSTOMERS = frozenset({"null", "none", "undefined", "nan", "true", "false", ".", ".."})

# A number in floating point, as `1.5e+20`. Its last digits are rounded, so two users could share one id.
_ROUNDED = re.compile(r"-?\d+(\.\d+[eE][+-]?|[eE][+-])\d+")

_ESCAPES = re.compile("(?:~[0-9A-Fa-f]{2})+")


def customer_id_fault(value: object) -> str | None:
    """The reason why a value is no customer id; None for a customer id.

    API Gateway passes each claim as text: a list as `[a b]`, an object as JSON. Such a text names
    groups or rights that several users share.
    """
    if not isinstance(value, str) or _is_list_or_object(value):
        return "list, object or other value that is not a text"
    if _ROUNDED.fullmatch(value):
        return "number in floating point"
    if not value.strip() or value.casefold() in _NO_CUSTOMERS:
        return "names no customer"
    if len(value) > LONGEST_CUSTOMER_ID:
        return "too long"
    if not value.isprintable():
        return "has characters that are not printable"
    if not is_normalized("NFC", value):
        return "not in Unicode's normal form NFC"
    return None


def _is_list_or_object(text: str) -> bool:
    if text.startswith(("[", "map[")):
        return text.endswith("]")
    # Some issuers write a UUID in braces.
    return text.startswith("{") and text.endswith("}") and (text == "{}" or ":" in text)


def finch_name(customer_id: str, number: int | None = None) -> str:
    """The `customer_id` of a customer at Finch; `number` distinguishes the names of the same customer.

    Different pairs never get the same name. Only the `~` of an id is changed: it is doubled, so that
    a single `~` separates the number. A hash takes the place of an id that is too long, or that begins
    or ends with a space, which Finch may remove.
    """
    name = customer_id.replace("~", "~~")
    if len(name.encode()) > _LONGEST_NAME_BYTES or name != name.strip():
        name = f"~{sha256(customer_id.encode()).hexdigest()}"
    return name if number is None else f"{name}~{number}"


def is_finch_id(value: object) -> TypeGuard[str]:
    """Whether we accept a value as an id from Finch: printable text of 1 to 255 characters."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_FINCH_ID and value.isprintable()


def key_part(text: str) -> str:
    """The text without `#`, which separates the parts of a key. `of_key_part` reads it."""
    return text.replace("~", "~7E").replace("#", "~23")


def of_key_part(text: str) -> str:
    """The text that `key_part` wrote."""
    return text.replace("~23", "#").replace("~7E", "~")


def of_path_segment(text: str) -> str:
    """The id in a path parameter: `~` and two hex digits stand for each byte of UTF-8 to escape.

    Percent-encoding is not enough. API Gateway decodes a path before it looks for the route, so an
    encoded `/` would be a separator, and it passes `%25` on in another way than other escapes
    ("Create routes for HTTP APIs" in its developer guide). No server or browser changes a `~`.
    """
    return _ESCAPES.sub(_unescaped, text)


def _unescaped(escapes: re.Match[str]) -> str:
    try:
        return bytes.fromhex(escapes[0].replace("~", "")).decode()
    except ValueError:
        # No escape of ours: the caller sent an id with a `~` unescaped.
        return escapes[0]
