"""Properties of each reconciliation, with random records of few values, so that many agree."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from finch_employees import Address, Member, Reconciliation, Record, Source, reconcile

SOURCES = [
    Source("gusto", "c1", "k1", None),
    Source("gusto", "c1", "k1", "e2"),
    Source("rippling", "c1", "k2", None),
    Source("trinet", "c2", "k3", None),
]
DATES = ["2020-01-01", "2023-06-30", "2024-02-01"]
HOMES = [Address("1 Elm Street", None, "Salem", "OR", "97301"), Address("9 Oak St", None, "Bend")]
RECORDS = st.builds(
    Record,
    source=st.sampled_from(SOURCES),
    individual_id=st.sampled_from("abcd"),
    first_name=st.sampled_from([None, "Anna", "Ana", "Ella", "Bob", "Robert", "Miller"]),
    last_name=st.sampled_from([None, "Miller", "Miler", "Miller Jr", "Miller Sr", "Bob", "Lee"]),
    dob=st.sampled_from([None, "1984-05-17", "1984-05-18", "1954-05-17", "1951-11-30"]),
    ssn=st.sampled_from([None, None, "123456780", "123456781", "535215432"]),
    emails=st.sampled_from([(), ("m@example.com",), ("a@example.com", "m@example.com")]),
    phone_numbers=st.sampled_from([(), ("5035550142",)]),
    residence=st.sampled_from([None, *HOMES]),
    is_active=st.booleans(),
    end_date=st.sampled_from([None, *DATES]),
    latest_rehire_date=st.sampled_from([None, None, *DATES]),
)
MANY = st.lists(RECORDS, max_size=12)
# Records that agree or contradict each other in nearly each pair, so that a new source often matters.
NAMESAKES = st.lists(
    st.builds(
        Record,
        source=st.sampled_from(SOURCES),
        individual_id=st.sampled_from("ab"),
        first_name=st.just("Robert"),
        last_name=st.just("Miller"),
        dob=st.sampled_from([None, "1984-05-17", "1951-11-30"]),
        ssn=st.sampled_from([None, None, "123456780"]),
        emails=st.sampled_from([(), ("m@example.com",), ("a@example.com", "m@example.com")]),
    ),
    min_size=3,
    max_size=6,
)


def person_of(found: Reconciliation) -> dict[Member, str]:
    return {member: person.id for person in found.people for member in person.members}


@given(st.data())
def test_order_of_the_records_does_not_matter(data: st.DataObject) -> None:
    records = data.draw(MANY)
    assert reconcile(data.draw(st.permutations(records))) == reconcile(records)


@given(MANY)
def test_each_record_is_in_exactly_one_person_and_each_id_names_one_person(
    records: list[Record],
) -> None:
    found = reconcile(records)
    members = [member for person in found.people for member in person.members]
    assert sorted(members, key=str) == sorted({one.member for one in records}, key=str)
    assert len({person.id for person in found.people}) == len(found.people)


@given(MANY)
def test_records_of_one_source_are_joined_only_after_a_rehire(records: list[Record]) -> None:
    for person in reconcile(records).people:
        for one, other in combinations(person.records, 2):
            if one.source == other.source:
                earlier, later = (one, other) if other.latest_rehire_date else (other, one)
                pairs = ((earlier, later), (later, earlier))
                assert any(
                    before.end_date
                    and after.latest_rehire_date
                    and before.end_date <= after.latest_rehire_date
                    for before, after in pairs
                )


@given(MANY)
def test_joins_of_a_person_link_all_members(records: list[Record]) -> None:
    for person in reconcile(records).people:
        linked = {person.members[0]}
        for _ in person.joins:
            for join in person.joins:
                if linked & {join.first, join.second}:
                    linked |= {join.first, join.second}
        assert linked == set(person.members)
        assert len(person.joins) == len(person.members) - 1


@given(NAMESAKES)
def test_new_source_never_splits_a_join_without_a_reason(records: list[Record]) -> None:
    before = reconcile(one for one in records if one.source != SOURCES[-1])
    after = reconcile(records)
    now = person_of(after)
    reasons = {
        frozenset((now[one.first], now[one.second])) for one in after.possible if one.against
    }
    for person in before.people:
        for join in person.joins:
            people = {now[join.first], now[join.second]}
            assert len(people) == 1 or frozenset(people) in reasons


@given(MANY)
def test_possible_pairs_are_of_different_people_and_each_pair_comes_once(
    records: list[Record],
) -> None:
    found = reconcile(records)
    person = person_of(found)
    pairs = [frozenset((person[one.first], person[one.second])) for one in found.possible]
    assert all(len(pair) == 2 for pair in pairs)
    assert len(set(pairs)) == len(pairs)
