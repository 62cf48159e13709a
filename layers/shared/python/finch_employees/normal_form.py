"""The normal form of a record, in which equal facts are equal text."""

import re
import unicodedata
from dataclasses import dataclass

from finch_employees.nicknames import FULL_NAMES
from finch_employees.record import Address, Record

_LONGEST = 60
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d"})
_WORDS = re.compile(r"[^\W_]+")
_NO_DIGITS = re.compile("[^0-9]+")
_SUFFIXES = {
    "jr": "2", "junior": "2", "ii": "2", "2nd": "2", "sr": "1", "senior": "1", "iii": "3", "3rd": "3",
    "iv": "4", "4th": "4",
}  # fmt: skip
_TITLES = frozenset({"mr", "mrs", "ms", "miss", "dr", "prof", "phd", "md", "esq", "cpa"})
_STREET = {
    "street": "st", "avenue": "ave", "road": "rd", "drive": "dr", "lane": "ln", "court": "ct",
    "place": "pl", "boulevard": "blvd", "circuit": "cct", "crescent": "cres", "close": "cl",
    "terrace": "tce", "highway": "hwy", "parkway": "pkwy", "square": "sq", "north": "n", "south": "s",
    "east": "e", "west": "w", "apartment": "apt", "unit": "apt", "suite": "ste",
}  # fmt: skip
# Dates that programs write if they know none.
_NO_BIRTH_DATES = frozenset({"19000101", "18991231", "11111111", "19010101"})


@dataclass(frozen=True, slots=True)
class NormalForm:
    """The values that the rules compare. An empty text or set means that the record does not say."""

    first: str
    firsts: frozenset[str]
    """The first name, its first word, the preferred name, and the full names of nicknames."""
    middle: str
    last: str
    lasts: frozenset[str]
    """The last name, and its parts."""
    suffix: str
    dob: str
    ssn: str
    emails: frozenset[str]
    phones: frozenset[str]
    street: str
    city: str
    postal_code: str


def normal_form(record: Record) -> NormalForm:
    """The normal form of a record."""
    first, in_first = _name(record.first_name)
    last, in_last = _name(record.last_name)
    preferred, _ = _name(record.preferred_name)
    middle, in_middle = _name(record.middle_name)
    address = record.residence or Address()
    return NormalForm(
        first="".join(first),
        firsts=_firsts(first, preferred),
        middle="".join(middle),
        last="".join(last),
        lasts=frozenset({"".join(last), *(word for word in last if len(word) > 3)} - {""}),
        suffix=in_last or in_first or in_middle,
        dob=_dob(record.dob or ""),
        ssn=_ssn(record.ssn or ""),
        emails=frozenset(filter(None, map(_email, record.emails))),
        phones=frozenset(filter(None, map(_phone, record.phone_numbers))),
        street=_street(address.line1 or ""),
        city="".join(_words(address.city or "")),
        postal_code=_postal_code(address.postal_code or ""),
    )


def _words(text: str) -> tuple[str, ...]:
    """The words in lower case, without accents and punctuation."""
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text[:_LONGEST])
        text = "".join(one for one in decomposed if not unicodedata.combining(one))
        text = text.casefold().translate(_LETTERS)
    # An apostrophe joins: O'Brien is OBrien.
    return tuple(_WORDS.findall(text[:_LONGEST].lower().replace("'", "").replace("’", "")))


def _name(text: str | None) -> tuple[tuple[str, ...], str]:
    """A name in words, without titles, and the generation that its suffix states."""
    words = _words(text or "")
    suffix = next((_SUFFIXES[word] for word in words[1:] if word in _SUFFIXES), "")
    name = [word for at, word in enumerate(words) if not at or word not in _SUFFIXES]
    return tuple(word for word in name if word not in _TITLES), suffix


def _firsts(first: tuple[str, ...], preferred: tuple[str, ...]) -> frozenset[str]:
    given = {"".join(first), "".join(preferred), *first[:1], *preferred[:1]} - {""}
    full = {name for one in given for name in FULL_NAMES.get(one, ())}
    return frozenset(given | full)


def _digits(text: str) -> str:
    return _NO_DIGITS.sub("", text)


def _dob(text: str) -> str:
    digits = _digits(text[:10])
    return digits if len(digits) == 8 and digits not in _NO_BIRTH_DATES else ""


def _ssn(text: str) -> str:
    """The nine digits of a number that the Social Security Administration can issue.

    "Randomization FAQs" of the administration lists the numbers that it never issues.
    """
    number = _digits(text)
    issued = (
        len(number) == 9
        and number[:3] not in ("000", "666")
        and number[0] != "9"
        and number[3:5] != "00"
        and number[5:] != "0000"
    )
    # A well-known number of an advertisement, and numbers that people type to fill a field.
    invented = number in ("078051120", "123456789") or len(set(number)) == 1
    return number if issued and not invented else ""


def _email(text: str) -> str:
    """The address in lower case, without the part after a plus sign."""
    name, at, host = text.strip().lower().rpartition("@")
    name = name.partition("+")[0]
    return f"{name}@{host}" if at and name and "." in host else ""


def _phone(text: str) -> str:
    """The last ten digits of the number before an extension."""
    number = _digits(text.lower().partition("x")[0])[-10:]
    return number if len(number) >= 7 and len(set(number)) > 2 else ""


def _postal_code(text: str) -> str:
    words = _words(text)
    code = "".join(words)
    # The last four digits of a ZIP+4 code are often missing.
    return code[:5] if code.isdigit() and len(code) == 9 else code


def _street(text: str) -> str:
    return " ".join(_STREET.get(word, word) for word in _words(text))
