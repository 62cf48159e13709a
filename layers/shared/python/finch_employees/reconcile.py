"""Finds the records of different sources that describe the same person, and says why.

`reconcile` is a pure function. It compares records that share a key, for example a birth date and three
letters, and never compares all records of a key that very many share. So its work grows with the number
of records, not with its square. Of equally strong joins that contradict each other, none is made.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, field, fields
from functools import cache
from hashlib import sha256
from itertools import combinations, groupby
from typing import Any, NamedTuple

from finch_employees.evidence import (
    JOINS,
    POSSIBLE,
    SAME_STAFF,
    Evidence,
    Fact,
    compare,
    contradictions,
)
from finch_employees.normal_form import NormalForm, normal_form
from finch_employees.record import Member, Record, Source

# A key that more records share, such as the address of an office, is no key.
MOST_WITH_A_KEY = 100
# Two sources list the same staff if so many people are in both, and this share of the smaller source.
FEWEST_IN_BOTH = 20
SHARE_IN_BOTH = 2 / 3
_RULES = (*JOINS, SAME_STAFF, *POSSIBLE)


class Join(NamedTuple):
    """Why two records of a person were joined: the rule, and the facts that agree."""

    first: Member
    second: Member
    rule: str
    agreeing: tuple[str, ...]


class Possible(NamedTuple):
    """Two records that may describe one person: a person must judge.

    `against` are the contradictions. They are between the records `between`, which can be others that
    the join would have put together.
    """

    first: Member
    second: Member
    rule: str
    agreeing: tuple[str, ...]
    against: tuple[str, ...]
    between: tuple[Member, Member] | None


class Value(NamedTuple):
    """The value of a field, the members that have it, and the different values of other members."""

    value: Any
    members: tuple[Member, ...]
    others: tuple[tuple[Any, tuple[Member, ...]], ...]


@dataclass(frozen=True, slots=True)
class Person:
    """The records of a person, and the reasons of their joins.

    The `id` depends on the first member only, in the order of their ids. So it is the same in each
    order of the records, and stays if a member is added behind it.
    """

    id: str
    records: tuple[Record, ...] = field(repr=False)
    joins: tuple[Join, ...] = ()

    @property
    def members(self) -> tuple[Member, ...]:
        return tuple(record.member for record in self.records)

    def fields(self) -> dict[str, Value]:
        """Each field that a member has, without the SSN.

        The value is the most frequent. Among equally frequent values, the value of an active employee
        comes first, then the order of the members decides.
        """
        return {name: value for name in _FIELDS if (value := self._value(name))}

    def _value(self, name: str) -> Value | None:
        found: dict[Any, list[Record]] = defaultdict(list)
        for record in self.records:
            value = getattr(record, name)
            if value is not None and value != ():
                found[value].append(record)
        if not found:
            return None
        ordered = sorted(found.items(), key=lambda one: (-len(one[1]), not _active(one[1])))
        (value, records), *others = ((value, _members(those)) for value, those in ordered)
        return Value(value, records, tuple(others))


class Reconciliation(NamedTuple):
    """The people, and the pairs of records that a person must judge.

    `compared` is the number of compared pairs. `crowded` counts the records behind each kind of key
    that were not compared by this key, because too many have the same.
    """

    people: tuple[Person, ...]
    possible: tuple[Possible, ...]
    compared: int
    crowded: dict[str, int]


_FIELDS = tuple(
    one.name for one in fields(Record) if one.name not in ("source", "individual_id", "ssn")
)


def reconcile(records: Iterable[Record]) -> Reconciliation:
    """The people whom these records describe. Each record is in exactly one person."""
    ordered = _ordered(records)
    forms = [normal_form(record) for record in ordered]
    run = _Run(ordered, forms)
    pairs = run.pairs()
    clusters, joins, refused = _cluster(run, pairs)
    people = [
        Person(
            id=_person_id(ordered[cluster[0]]),
            records=tuple(ordered[at] for at in cluster),
            joins=tuple(_join(ordered, pair) for pair in joins.get(cluster[0], ())),
        )
        for cluster in clusters
    ]
    return Reconciliation(
        people=tuple(people),
        possible=tuple(_possible(ordered, forms, pairs, clusters, refused)),
        compared=run.compared,
        crowded=dict(run.crowded),
    )


class _Pair(NamedTuple):
    """Two compared records. `level` is the number of the rule, strongest first."""

    level: int
    agreements: int
    one: int
    other: int
    evidence: Evidence

    @property
    def rule(self) -> str:
        return _RULES[self.level].name


# Two records, and why they are not one person.
type _Contradiction = tuple[int, int, tuple[str, ...]]


class _Run:
    """The comparison of all records that share a key."""

    def __init__(self, records: Sequence[Record], forms: Sequence[NormalForm]) -> None:
        self.records, self.forms = records, forms
        self.compared = 0
        self.crowded: Counter[str] = Counter()
        self._shared: set[str] = set()
        self._blocks: list[list[list[int]]] = [[] for _ in records]
        for kind in _KEYS:
            self._add_blocks(kind)

    def _add_blocks(self, kind: str) -> None:
        blocks: dict[str, list[int]] = {}
        for at, form in enumerate(self.forms):
            for key in _KEYS[kind](form):
                blocks.setdefault(key, []).append(at)
        for key, block in blocks.items():
            if len(block) < 2:
                continue
            if kind in ("ssn", "email") and self._several_people_of_a_source(block):
                self._shared.add(key)
            if len(block) > MOST_WITH_A_KEY:
                self.crowded[kind] += len(block)
                continue
            for at in block:
                self._blocks[at].append(block)

    def _several_people_of_a_source(self, block: list[int]) -> bool:
        """Whether a source has the value twice, and not for a person whom it lists twice."""
        of_source: dict[Source, int] = {}
        for at in block:
            known = of_source.setdefault(self.records[at].source, at)
            if known != at:
                evidence = compare(self.forms[known], self.forms[at])
                if evidence.contradictions or evidence.name < Fact.SLIP:
                    return True
        return False

    def pairs(self) -> list[_Pair]:
        """The pairs that may be one person, strongest first."""
        found = []
        for one, blocks in enumerate(self._blocks):
            for other in {other for block in blocks for other in block if other > one}:
                pair = self._pair(one, other)
                if pair:
                    found.append(pair)
            self._blocks[one] = []
        return sorted(found, key=lambda pair: (*_strength(pair), pair.one, pair.other))

    def evidence(self, one: int, other: int) -> Evidence:
        """How two records agree. A value that several people of a source have is no evidence."""
        return compare(self.forms[one], self.forms[other], self._shared)

    def _pair(self, one: int, other: int) -> _Pair | None:
        first, second = self.records[one], self.records[other]
        if first.source == second.source and not _rehired(first, second):
            return None
        self.compared += 1
        evidence = self.evidence(one, other)
        for level, rule in enumerate(_RULES):
            if rule.holds(evidence):
                return _Pair(level, len(evidence.agreeing), one, other, evidence)
        return None


def _born(form: NormalForm) -> Iterator[str]:
    if form.dob:
        for start in {form.last[:3], *(first[:3] for first in form.firsts)} - {""}:
            yield form.dob + start


def _parts(form: NormalForm) -> tuple[str, ...]:
    """The halves of the SSN with the initials: a typing error is in a single half."""
    initials = "".join(sorted((form.first[:1], form.last[:1])))
    return (form.ssn[:5] + initials, form.ssn[5:] + initials) if form.ssn else ()


def _in_street(form: NormalForm) -> Iterator[str]:
    for area in (form.postal_code, form.city):
        if form.street and area:
            yield f"{form.street}\n{area}"


def _in_area(form: NormalForm) -> Iterator[str]:
    """A name, and the initial of the other name. So a typing error in either name costs nothing."""
    for name, other in ((form.first, form.last), (form.last, form.first)):
        if name and other and form.postal_code:
            yield f"{name}\n{other[0]}\n{form.postal_code}"


def _joined(*parts: str) -> tuple[str, ...]:
    return ("\n".join(parts),) if all(parts) else ()


# For each kind of key, the keys of a record. Records that describe one person share at least one.
_KEYS = {
    "ssn": lambda form: _joined(form.ssn),
    "part of the ssn": _parts,
    "email": lambda form: form.emails,
    "phone": lambda form: form.phones,
    "birth date and three letters": _born,
    "birth date and postal code": lambda form: _joined(form.dob, form.postal_code),
    "name and postal code": _in_area,
    "address": _in_street,
}


def _cluster(
    run: _Run, pairs: list[_Pair]
) -> tuple[list[list[int]], dict[int, list[_Pair]], dict[_Pair, _Contradiction]]:
    """The clusters of records, in order; the pairs that joined each; the refused pairs with their reason.

    Of equally strong pairs, those of clusters that contradict each other are refused, so that no order
    decides between them.
    """
    clusters: dict[int, list[int]] = {at: [at] for at in range(len(run.records))}
    of = list(range(len(run.records)))
    joins: dict[int, list[_Pair]] = {}
    refused: dict[_Pair, _Contradiction] = {}
    for same_staff, equally_strong in _grouped(run.records, pairs, of):
        disputed = {
            name: contradiction
            for linked in _linked(equally_strong, of)
            for name, contradiction in _disputed(run, _names(linked, of), clusters, same_staff)
        }
        undisputed = []
        for pair in equally_strong:
            against = disputed.get(of[pair.one]) or disputed.get(of[pair.other])
            if against is None:
                undisputed.append(pair)
            elif of[pair.one] != of[pair.other]:
                refused[pair] = against
        for linked in _linked(undisputed, of):
            together = _names(linked, of)
            if len(together) == 1:
                continue
            reasons = _spanning(linked, of)
            first = together[0]
            clusters[first] = sorted(at for name in together for at in clusters[name])
            joins[first] = [pair for name in together for pair in joins.pop(name, ())] + reasons
            for name in together[1:]:
                del clusters[name]
            for at in clusters[first]:
                of[at] = first
    return list(clusters.values()), joins, refused


def _grouped(
    records: Sequence[Record], pairs: list[_Pair], of: list[int]
) -> Iterator[tuple[bool, list[_Pair]]]:
    """The groups of equally strong pairs, strongest first; at last those between sources of the same staff.

    `of` is the cluster of each record. It changes while this yields.
    """
    strong = [one for one in pairs if one.level < len(JOINS)]
    for _, group in groupby(
        (one for one in strong if not one.evidence.against(same_staff=False)), _strength
    ):
        yield False, list(group)
    left = [
        one
        for one in pairs
        if one.level <= len(JOINS)
        and of[one.one] != of[one.other]
        and not one.evidence.against(same_staff=True)
    ]
    for _, group in groupby(_of_same_staff(records, left, of), _strength):
        yield True, list(group)


def _strength(pair: _Pair) -> tuple[int, int]:
    return pair.level, -pair.agreements


def _of_same_staff(records: Sequence[Record], pairs: list[_Pair], of: list[int]) -> list[_Pair]:
    """The pairs whose sources list the same staff, by the joins until now."""
    people: dict[Source, set[int]] = {
        records[at].source: set() for pair in pairs for at in (pair.one, pair.other)
    }
    for at, record in enumerate(records):
        if record.source in people:
            people[record.source].add(of[at])

    @cache
    def same_staff(one: Source, other: Source) -> bool:
        both = len(people[one] & people[other])
        return both >= max(
            FEWEST_IN_BOTH, SHARE_IN_BOTH * min(map(len, (people[one], people[other])))
        )

    return [one for one in pairs if same_staff(records[one.one].source, records[one.other].source)]


def _linked(pairs: list[_Pair], of: list[int]) -> Iterator[list[_Pair]]:
    """The pairs in groups that share no cluster."""
    root: dict[int, int] = {}
    for pair in pairs:
        root[_root(root, of[pair.one])] = _root(root, of[pair.other])
    groups: dict[int, list[_Pair]] = {}
    for pair in pairs:
        groups.setdefault(_root(root, of[pair.one]), []).append(pair)
    yield from groups.values()


def _root(root: dict[int, int], at: int) -> int:
    while root.setdefault(at, at) != at:
        root[at] = at = root.setdefault(root[at], root[at])
    return at


def _spanning(pairs: list[_Pair], of: list[int]) -> list[_Pair]:
    """The first pairs that are enough to link all clusters."""
    root: dict[int, int] = {}
    found = []
    for pair in pairs:
        one, other = _root(root, of[pair.one]), _root(root, of[pair.other])
        if one != other:
            root[one] = other
            found.append(pair)
    return found


def _names(pairs: list[_Pair], of: list[int]) -> list[int]:
    """The clusters of the pairs, in order."""
    return sorted({of[at] for pair in pairs for at in (pair.one, pair.other)})


def _disputed(
    run: _Run, names: list[int], clusters: dict[int, list[int]], same_staff: bool
) -> Iterator[tuple[int, _Contradiction]]:
    """The clusters that contradict another, and how. Of very many linked clusters, all are disputed."""
    for name, other in combinations(names, 2):
        contradiction = _contradiction(run, clusters[name], clusters[other], same_staff)
        if contradiction and len(names) > MOST_WITH_A_KEY:
            yield from dict.fromkeys(names, contradiction).items()
            return
        if contradiction:
            yield name, contradiction
            yield other, contradiction


def _contradiction(
    run: _Run, some: list[int], others: list[int], same_staff: bool
) -> _Contradiction | None:
    """Two records of two clusters that are not one person, and why."""
    for one in some:
        for other in others:
            first, second = run.records[one], run.records[other]
            if first.source == second.source and not _rehired(first, second):
                return one, other, ("two records of one source",)
            if contradictions(run.forms[one], run.forms[other]):
                found = run.evidence(one, other).against(same_staff=same_staff)
                if found:
                    return one, other, found
    return None


def _rehired(one: Record, other: Record) -> bool:
    """Whether one record says that a person came back after the other record ended."""
    for earlier, later in ((one, other), (other, one)):
        end, again = earlier.end_date, later.latest_rehire_date
        if end and again and earlier.is_active is False and end <= again:
            return True
    return False


def _possible(
    records: Sequence[Record],
    forms: Sequence[NormalForm],
    pairs: list[_Pair],
    clusters: list[list[int]],
    refused: dict[_Pair, _Contradiction],
) -> Iterator[Possible]:
    """The strongest pair between each two people."""
    of = {at: cluster[0] for cluster in clusters for at in cluster}
    known = set()
    for pair in pairs:
        people = tuple(sorted((of[pair.one], of[pair.other])))
        if people[0] == people[1] or people in known:
            continue
        known.add(people)
        against = refused.get(pair)
        between = (records[against[0]].member, records[against[1]].member) if against else None
        yield Possible(
            records[pair.one].member,
            records[pair.other].member,
            pair.rule,
            pair.evidence.agreeing,
            against[2]
            if against
            else (*pair.evidence.contradictions, *sorted(pair.evidence.shared)),
            between,
        )


def _ordered(records: Iterable[Record]) -> list[Record]:
    """The records in the order of their ids. A record that was read twice is in it once."""
    by_member: dict[Member, Record] = {}
    for record in records:
        known = by_member.setdefault(record.member, record)
        if known is not record:
            by_member[record.member] = max(known, record, key=lambda one: repr(astuple(one)))
    return [by_member[member] for member in sorted(by_member, key=_texts)]


def _texts(member: Member) -> tuple[str, ...]:
    return tuple(one or "" for one in member)


def _person_id(first: Record) -> str:
    """The id of the person whose first record this is. A new login of the connection keeps it."""
    source = first.source
    ids = (source.provider_id, source.company_id, source.entity_id, first.individual_id)
    return sha256(json.dumps(ids).encode()).hexdigest()[:32]


def _join(records: Sequence[Record], pair: _Pair) -> Join:
    first, second = records[pair.one].member, records[pair.other].member
    return Join(first, second, pair.rule, pair.evidence.agreeing)


def _members(records: list[Record]) -> tuple[Member, ...]:
    return tuple(record.member for record in records)


def _active(records: list[Record]) -> bool:
    return any(record.is_active for record in records)
