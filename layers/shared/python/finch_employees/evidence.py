"""The rules that decide whether two records describe the same person, and their order."""

from collections.abc import Callable, Container
from enum import IntEnum
from typing import NamedTuple

from jellyfish import damerau_levenshtein_distance, jaro_winkler_similarity

from finch_employees.normal_form import NormalForm

# Jaro-Winkler similarity ("String Comparator Metrics", W. Winkler, 1990), tuned on FEBRL's sets 1 to 3.
_SIMILAR = 0.88
SHARED_SSN = "several people of a source have the SSN"
SHARED_EMAIL = "several people of a source have the e-mail address"


class Fact(IntEnum):
    """How two records agree in a single fact."""

    DIFFERENT = 0
    MISSING = 1
    SLIP = 2
    """Equal but for a typing error; for a name also an initial."""
    SAME = 3


class Place(IntEnum):
    """How two addresses agree."""

    DIFFERENT = 0
    AREA = 1
    CLOSE = 2
    SAME = 3


class Evidence(NamedTuple):
    """How two records agree.

    A value that several people of a source have is no evidence: it is in `shared`, and the fact is missing.
    """

    ssn: Fact
    email: bool
    shared: frozenset[str]
    phone: bool
    dob: Fact
    first: Fact
    last: Fact
    place: Place
    contradictions: tuple[str, ...]

    @property
    def name(self) -> Fact:
        return min(self.first, self.last)

    def against(self, *, same_staff: bool) -> tuple[str, ...]:
        """The contradictions that prevent a join of the two records."""
        if len(self.contradictions) == 1:
            [only] = self.contradictions
            overruled = only in _OVERRULED and _OVERRULED[only](self)
            if same_staff and only in _OVERRULED_IN_SAME_STAFF:
                overruled = overruled or _OVERRULED_IN_SAME_STAFF[only](self)
            return () if overruled else self.contradictions
        return self.contradictions

    @property
    def agreeing(self) -> tuple[str, ...]:
        """The facts that agree, in plain words."""
        return tuple(word for word, agrees in _WORDS if agrees(self))


_WORDS: tuple[tuple[str, Callable[[Evidence], bool]], ...] = (
    ("same SSN", lambda e: e.ssn is Fact.SAME),
    ("SSN with a typing error", lambda e: e.ssn is Fact.SLIP),
    ("same e-mail address", lambda e: e.email),
    ("same birth date", lambda e: e.dob is Fact.SAME),
    ("birth date with a typing error", lambda e: e.dob is Fact.SLIP),
    ("same first name", lambda e: e.first is Fact.SAME),
    ("similar first name", lambda e: e.first is Fact.SLIP),
    ("same last name", lambda e: e.last is Fact.SAME),
    ("similar last name", lambda e: e.last is Fact.SLIP),
    ("same phone number", lambda e: e.phone),
    ("same address", lambda e: e.place is Place.SAME),
    ("similar address", lambda e: e.place is Place.CLOSE),
    ("same town or postal code", lambda e: e.place is Place.AREA),
)


class Rule(NamedTuple):
    """A reason to join two records, if nothing contradicts it."""

    name: str
    holds: Callable[[Evidence], bool]


def _ssn(e: Evidence) -> bool:
    return max(e.dob, e.first, e.last) >= Fact.SLIP


def _email(e: Evidence) -> bool:
    return e.dob is not Fact.DIFFERENT and (
        e.name >= Fact.SLIP or (e.dob is Fact.SAME and e.first is not Fact.DIFFERENT)
    )


# From strong to weak. Twins differ in the first name only, and a family shares the address, the
# mailbox and the last name: no rule without an SSN joins different first names.
JOINS = (
    Rule("ssn", lambda e: e.ssn is Fact.SAME and _ssn(e)),
    Rule("email", lambda e: e.email and _email(e)),
    Rule(
        "birth_date_and_name",
        lambda e: e.dob is Fact.SAME and e.name is Fact.SAME and (e.phone or e.place >= Place.AREA),
    ),
    Rule(
        "birth_date_and_similar_name",
        lambda e: (
            e.dob is Fact.SAME
            and e.name >= Fact.SLIP
            and (e.phone or e.place >= Place.AREA or e.ssn is Fact.SLIP)
        ),
    ),
    Rule(
        "birth_date_and_part_of_name",
        lambda e: (
            e.dob is Fact.SAME
            and max(e.first, e.last) is Fact.SAME
            and e.first is not Fact.DIFFERENT
            and (e.phone or e.place >= Place.CLOSE)
        ),
    ),
    Rule(
        "similar_ssn",
        lambda e: e.ssn is Fact.SLIP and e.name >= Fact.SLIP and max(e.first, e.last) is Fact.SAME,
    ),
    Rule(
        "name_and_address",
        lambda e: e.dob is Fact.SLIP and e.name >= Fact.SLIP and e.place >= Place.CLOSE,
    ),
)
# Between two sources that list the same staff, for records that have no partner in the other source.
# Their names or birth dates are then more likely wrong than the two are a twin or a son each.
SAME_STAFF = Rule(
    "same_staff",
    lambda e: (
        (e.name >= Fact.SLIP and e.dob is not Fact.DIFFERENT and e.place >= Place.AREA)
        or (
            e.ssn is Fact.SLIP
            and (e.dob is Fact.SAME or e.first is not Fact.DIFFERENT)
            and max(e.dob, e.first, e.last) >= Fact.SLIP
        )
        or (e.ssn is Fact.SAME and e.place >= Place.CLOSE)
        or (e.dob is Fact.SAME and max(e.first, e.last) >= Fact.SLIP and e.place >= Place.CLOSE)
        or (
            e.dob is Fact.SAME
            and max(e.first, e.last) is Fact.SAME
            and e.first is not Fact.DIFFERENT
            and e.place >= Place.AREA
        )
    ),
)
# When a contradiction of two records is an error of a single source, because everything else agrees.
# Nothing overrules two contradictions.
_OVERRULED: dict[str, Callable[[Evidence], bool]] = {
    "different birth dates": lambda e: (
        e.ssn >= Fact.SLIP and e.name >= Fact.SLIP and Fact.SAME in (e.ssn, e.first, e.last)
    ),
    "different SSNs": lambda e: (
        e.dob is Fact.SAME
        and e.first is Fact.SAME
        and (
            e.place >= Place.CLOSE
            or (e.last >= Fact.SLIP and (e.phone or e.email or e.place is Place.AREA))
        )
    ),
}
# The same, between sources that list the same staff.
_OVERRULED_IN_SAME_STAFF: dict[str, Callable[[Evidence], bool]] = {
    "different birth dates": lambda e: (
        max(e.first, e.last) >= Fact.SLIP
        # Following SSNs can be those of a brother and a sister.
        and (e.ssn is Fact.SAME or (e.ssn is Fact.SLIP and e.first is not Fact.DIFFERENT))
    ),
    "different SSNs": lambda e: (
        e.dob >= Fact.SLIP
        and e.first is not Fact.DIFFERENT
        and max(e.first, e.last) >= Fact.SLIP
        and e.place >= Place.AREA
    ),
}
# Weaker: a person must judge.
POSSIBLE = (
    Rule("shared_ssn", lambda e: SHARED_SSN in e.shared and _ssn(e)),
    Rule("shared_email", lambda e: SHARED_EMAIL in e.shared and _email(e)),
    Rule("ssn_only", lambda e: e.ssn is Fact.SAME),
    Rule("email_only", lambda e: e.email),
    Rule("birth_date_and_name_only", lambda e: e.dob is Fact.SAME and e.name >= Fact.SLIP),
    Rule(
        "name_and_address_only",
        lambda e: e.name >= Fact.SLIP and (e.phone or e.place >= Place.CLOSE),
    ),
    Rule(
        "birth_date_and_address_only",
        lambda e: e.dob is Fact.SAME and e.place >= Place.CLOSE and e.first is not Fact.DIFFERENT,
    ),
)


def compare(one: NormalForm, other: NormalForm, shared: Container[str] = ()) -> Evidence:
    """How two records agree. `shared` are the SSNs and e-mail addresses that are no evidence."""
    dob, ssn = _date(one.dob, other.dob), _number(one.ssn, other.ssn)
    against = _contradictions(ssn, dob, one.suffix, other.suffix)
    if dob is Fact.SLIP and one.dob[:2] + one.dob[3:] == other.dob[:2] + other.dob[3:]:
        # Whole decades: a typing error, or a father and a son with one name and one birthday.
        dob = Fact.DIFFERENT
    emails = one.emails & other.emails
    email = any(one not in shared for one in emails)
    no_evidence = set()
    if ssn is Fact.SAME and one.ssn in shared:
        ssn = Fact.MISSING
        no_evidence.add(SHARED_SSN)
    if emails and not email:
        no_evidence.add(SHARED_EMAIL)
    first, last = _names(one, other)
    return Evidence(
        ssn=ssn,
        email=email,
        shared=frozenset(no_evidence),
        phone=not one.phones.isdisjoint(other.phones),
        dob=dob,
        first=first,
        last=last,
        place=_place(one, other),
        contradictions=against,
    )


def contradictions(one: NormalForm, other: NormalForm) -> tuple[str, ...]:
    """The facts that a single person cannot have both, in plain words."""
    dob, ssn = _date(one.dob, other.dob), _number(one.ssn, other.ssn)
    return _contradictions(ssn, dob, one.suffix, other.suffix)


def _contradictions(ssn: Fact, dob: Fact, suffix: str, other: str) -> tuple[str, ...]:
    found = []
    if ssn is Fact.DIFFERENT:
        found.append("different SSNs")
    if dob is Fact.DIFFERENT:
        found.append("different birth dates")
    if suffix and other and suffix != other:
        found.append("different generations")
    return tuple(found)


def _number(one: str, other: str) -> Fact:
    if not one or not other:
        return Fact.MISSING
    if one == other:
        return Fact.SAME
    return Fact.SLIP if damerau_levenshtein_distance(one, other) == 1 else Fact.DIFFERENT


def _date(one: str, other: str) -> Fact:
    """A typing error is a wrong digit, two swapped digits, or the day and the month swapped."""
    found = _number(one, other)
    swapped = found is Fact.DIFFERENT and one == other[:4] + other[6:] + other[4:6]
    return Fact.SLIP if swapped else found


def _names(one: NormalForm, other: NormalForm) -> tuple[Fact, Fact]:
    """How the first and the last names agree, in the order of the fields or swapped."""
    first, last = _first(one, other), _last(one, other)
    if first < Fact.SLIP and last < Fact.SLIP:
        swapped = (
            _word(one.first, other.last),
            _word(one.last, other.first),
        )
        if min(swapped) >= Fact.SLIP:
            return swapped
        if max(swapped) >= Fact.SLIP:
            return Fact.DIFFERENT, max(swapped)
    return first, last


def _first(one: NormalForm, other: NormalForm) -> Fact:
    if not one.firsts.isdisjoint(other.firsts):
        # Different middle names are two people who share a first name, or a slip.
        initials = {one.middle[:1], other.middle[:1]} - {""}
        return Fact.SLIP if len(initials) == 2 else Fact.SAME
    if not one.first or not other.first:
        return Fact.MISSING
    if one.first[0] != other.first[0]:
        # The names of twins often differ in the first letter, and typing errors rarely do.
        return Fact.DIFFERENT
    if 1 in (len(one.first), len(other.first)):
        return Fact.SLIP
    return _word(one.first, other.first)


def _last(one: NormalForm, other: NormalForm) -> Fact:
    if not one.lasts.isdisjoint(other.lasts):
        return Fact.SAME
    return _word(one.last, other.last)


def _word(one: str, other: str) -> Fact:
    if not one or not other:
        return Fact.MISSING
    if one == other:
        return Fact.SAME
    return Fact.SLIP if _similar(one, other) else Fact.DIFFERENT


def _similar(one: str, other: str) -> bool:
    if jaro_winkler_similarity(one, other) >= _SIMILAR:
        return True
    return min(len(one), len(other)) > 2 and damerau_levenshtein_distance(one, other) == 1


def _place(one: NormalForm, other: NormalForm) -> Place:
    area = _area(one, other)
    if one.street and other.street:
        if one.street == other.street:
            return Place.SAME if area else Place.CLOSE
        if area and _similar(one.street, other.street):
            return Place.CLOSE
    return Place.AREA if area else Place.DIFFERENT


def _area(one: NormalForm, other: NormalForm) -> bool:
    code, another = one.postal_code, other.postal_code
    # Neighbouring towns have codes that differ in a digit, so only two swapped digits are a typing error.
    swapped = sorted(code) == sorted(another) and _number(code, another) is Fact.SLIP
    if code and (code == another or swapped):
        return True
    return _word(one.city, other.city) >= Fact.SLIP
