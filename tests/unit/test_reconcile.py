"""The employees of several sources and who they are, case by case."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from finch_employees import Address, Person, Possible, Record, Source, reconcile
from finch_employees.evidence import JOINS
from finch_employees.reconcile import MOST_WITH_A_KEY
from finch_employees.record import from_finch
from tests.support.workforce import workforce

PAYROLL = Source("gusto", "c1", "k1", "e1")
HR = Source("bamboo_hr", "c1", "k2", "e2")
TIME = Source("rippling", "c2", "k3", None)
BENEFITS = Source("trinet", "c3", "k4", "e4")
HOME = Address("12 Elm Street", None, "Portland", "OR", "97201", "US")
ROBERT: dict[str, Any] = {
    "first_name": "Robert",
    "last_name": "Miller",
    "dob": "1984-05-17",
    "residence": HOME,
}
RULES = {rule.name for rule in JOINS} | {"same_staff"}


def record(source: Source, individual_id: str = "i", **fields: Any) -> Record:
    return Record(source, individual_id, **(ROBERT | fields))


def bare(source: Source, individual_id: str = "i", **fields: Any) -> Record:
    return Record(source, individual_id, **fields)


def joined(*records: Record) -> bool:
    """Whether all records are one person."""
    return len(reconcile(records).people) == 1


def apart(*records: Record) -> tuple[Possible, ...]:
    """The possible pairs of records that are all different people."""
    found = reconcile(records)
    assert len(found.people) == len(records)
    return found.possible


def the_person(*records: Record) -> Person:
    [person] = reconcile(records).people
    return person


# Evidence


@pytest.mark.parametrize(
    ("one", "other", "rule"),
    [
        (
            {"ssn": "123-45-6780", "residence": None},
            {"ssn": "123456780", "last_name": "Smith"},
            "ssn",
        ),
        (
            {"emails": ("R.Miller@Example.com",), "dob": None, "residence": None},
            {"emails": ("r.miller+hr@example.com", "other@example.com")},
            "email",
        ),
        ({}, {}, "birth_date_and_name"),
        (
            {"residence": None, "phone_numbers": ("+1 (503) 555-0142",)},
            {"residence": None, "phone_numbers": ("503.555.0142 x12",)},
            "birth_date_and_name",
        ),
        ({"first_name": "Robrt"}, {}, "birth_date_and_similar_name"),
        ({"dob": "1984-05-71"}, {}, "name_and_address"),
    ],
)
def test_evidence_joins_records_by_its_rule(
    one: dict[str, Any], other: dict[str, Any], rule: str
) -> None:
    [join] = the_person(record(PAYROLL, **one), record(HR, **other)).joins
    assert join.rule == rule
    assert join.agreeing


@pytest.mark.parametrize(
    "ssn",
    [
        "000-12-3456",
        "666-12-3456",
        "912-34-5678",
        "123-00-4567",
        "123-45-0000",
        "1234",
        "123456789",
    ],
)
def test_an_ssn_that_is_never_issued_is_no_evidence(ssn: str) -> None:
    assert apart(bare(PAYROLL, ssn=ssn, last_name="Ng"), bare(HR, ssn=ssn, last_name="Ng")) == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            {"first_name": "JOSÉ", "last_name": "Núñez"},
            {"first_name": "Jose", "last_name": "nunez"},
        ),
        ({"last_name": "Smith-Jones"}, {"last_name": "Smith Jones"}),
        ({"last_name": "O'Brien"}, {"last_name": "OBrien"}),
        ({"first_name": "Miller", "last_name": "Robert"}, {}),
        ({"last_name": "Miller Jr."}, {"last_name": "Miller"}),
        ({"first_name": "Rob"}, {}),
        ({"first_name": "Bob"}, {}),
        ({"first_name": "Xiaoming", "preferred_name": "Robert"}, {}),
        ({"last_name": "Łukasiewicz"}, {"last_name": "Lukasiewicz"}),
        ({"first_name": "小明", "last_name": "王"}, {"first_name": "小明", "last_name": "王"}),
    ],
)
def test_different_spellings_of_a_name_are_equal(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    [join] = the_person(record(PAYROLL, **one), record(HR, **other)).joins
    assert join.rule == "birth_date_and_name"


def test_equal_name_and_birth_date_need_the_support_of_a_phone_or_address() -> None:
    elsewhere = Address("9 Oak Street", None, "Salem", "OR", "97301")
    [possible] = apart(record(PAYROLL), record(HR, residence=elsewhere))
    assert possible.rule == "birth_date_and_name_only"
    assert (possible.against, possible.between) == ((), None)


# Own cases


def test_twins_at_one_address_stay_apart() -> None:
    anna, ella = record(PAYROLL, first_name="Anna"), record(HR, first_name="Ella")
    apart(anna, ella)
    assert len(reconcile([anna, ella, replace(anna, source=HR, individual_id="2")]).people) == 2


def test_twins_with_a_family_mailbox_and_following_ssns_stay_apart() -> None:
    mailbox = ("family@example.com",)
    apart(
        record(PAYROLL, first_name="Anna", emails=mailbox, ssn="123456780"),
        record(HR, first_name="Ella", emails=mailbox, ssn="123456781"),
    )


def test_father_and_son_with_one_name_and_address_stay_apart() -> None:
    [possible] = apart(record(PAYROLL, dob="1954-05-17"), record(HR, dob="1984-05-17"))
    assert possible.rule == "name_and_address_only"
    [possible] = apart(record(PAYROLL, dob="1951-11-30"), record(HR))
    assert possible.against == ("different birth dates",)


def test_different_generations_stay_apart() -> None:
    [possible] = apart(
        record(PAYROLL, last_name="Miller Sr", dob=None, emails=("m@example.com",)),
        record(HR, last_name="Miller Jr.", dob=None, emails=("m@example.com",)),
    )
    assert possible.against == ("different generations",)


def test_mailbox_of_several_people_of_a_source_is_no_evidence() -> None:
    office = ("office@example.com",)
    one = bare(PAYROLL, "1", first_name="Robert", last_name="Miller", emails=office)
    another = bare(PAYROLL, "2", first_name="Grace", last_name="Lee", emails=office)
    same_name = bare(HR, "3", first_name="Robert", last_name="Miller", emails=office)
    [possible] = apart(one, another, same_name)
    assert {possible.first, possible.second} == {one.member, same_name.member}
    assert possible.against == ("several people of a source have the e-mail address",)
    assert joined(one, same_name)


def test_ssn_of_several_people_of_a_source_is_no_evidence() -> None:
    one = bare(PAYROLL, "1", last_name="Miller", ssn="123456780")
    another = bare(PAYROLL, "2", last_name="Lee", ssn="123456780")
    [possible] = apart(one, another, bare(HR, "3", last_name="Miller", ssn="123456780"))
    assert possible.against == ("several people of a source have the SSN",)


def test_family_mailbox_does_not_join_different_names_without_a_birth_date() -> None:
    mailbox = ("family@example.com",)
    [possible] = apart(
        bare(PAYROLL, first_name="Anna", last_name="Berg", emails=mailbox),
        bare(HR, first_name="Ella", last_name="Berg", emails=mailbox),
    )
    assert possible.rule == "email_only"


@pytest.mark.parametrize(
    ("shared", "rule"),
    [
        ({"ssn": "123456780"}, "ssn"),
        ({"emails": ("grace@example.com",)}, "email"),
        ({}, "birth_date_and_part_of_name"),
    ],
)
def test_marriage_changes_the_last_name_and_not_the_person(
    shared: dict[str, Any], rule: str
) -> None:
    before = record(PAYROLL, first_name="Grace", last_name="Lee", **shared)
    person = the_person(before, record(HR, first_name="Grace", last_name="Okafor", **shared))
    assert person.joins[0].rule == rule
    last_name = person.fields()["last_name"]
    assert {last_name.value, last_name.others[0][0]} == {"Lee", "Okafor"}


@pytest.mark.parametrize("dob", ["1984-05-71", "1948-05-17", "1984-05-18"])
def test_typing_error_in_the_birth_date_does_not_separate(dob: str) -> None:
    assert joined(record(PAYROLL), record(HR, dob=dob))
    assert joined(record(PAYROLL, ssn="123456780"), record(HR, dob=dob, ssn="123456780"))


def test_day_and_month_in_the_other_order_are_a_typing_error() -> None:
    assert joined(record(PAYROLL, dob="1984-05-12"), record(HR, dob="1984-12-05"))


def test_records_with_nothing_but_a_name_are_never_joined() -> None:
    names = {"first_name": "Zebulon", "last_name": "Quartermaine"}
    assert apart(bare(PAYROLL, **names), bare(HR, **names), bare(TIME, **names)) == ()


def test_same_person_at_four_providers_is_one_person_with_reasons() -> None:
    person = the_person(
        record(PAYROLL, "1", ssn="123456780", emails=("r@example.com",)),
        record(HR, "2", ssn="123-45-6780", residence=None),
        record(TIME, "3", first_name="Bob", dob=None, emails=("r@example.com",), residence=None),
        record(BENEFITS, "4", phone_numbers=("5035550142",)),
    )
    assert len(person.members) == 4
    assert len(person.joins) == 3
    assert {join.rule for join in person.joins} <= RULES
    names = person.fields()["first_name"]
    assert names.value == "Robert"
    assert [value for value, _ in names.others] == ["Bob"]
    assert "ssn" not in person.fields()


@pytest.mark.parametrize(
    "text",
    [
        "'; DROP TABLE people; --",
        "<script>alert(1)</script>",
        "\u202egnp.exe",
        "\ud800",
        "a" * 100_000,
        "\u0300" * 10_000,
        "ﷺ" * 1_000,
        "٣" * 9,
        "\x00",
        " \n\t ",
        "=cmd|' /C calc'!A0",
        "𝔞𝔟𝔠",
    ],
)
def test_hostile_text_joins_nothing_and_breaks_nothing(text: str) -> None:
    fields: dict[str, Any] = dict.fromkeys(
        ("first_name", "middle_name", "last_name", "preferred_name", "dob", "ssn"), text
    ) | {
        "emails": (text, f"{text}@"),
        "phone_numbers": (text,),
        "residence": Address(text, text, text, text, text, text),
    }
    apart(bare(PAYROLL, text, **fields), bare(HR, f"{text}2", last_name="Ng"), record(TIME))
    reconcile([bare(PAYROLL, text, **fields), bare(HR, text, **fields)])


# Contradictions


def test_different_ssns_prevent_a_join() -> None:
    one = record(PAYROLL, ssn="123456780", residence=None, emails=("r@example.com",))
    [possible] = apart(one, record(HR, ssn="535215432", dob=None, emails=("r@example.com",)))
    assert possible.against == ("different SSNs",)


def test_wrong_ssn_of_a_source_is_overruled_if_all_else_agrees() -> None:
    assert joined(record(PAYROLL, ssn="123456780"), record(HR, ssn="535215432"))
    assert joined(record(PAYROLL, ssn="123456780"), record(HR, ssn="123456780", dob="1990-01-02"))
    apart(record(PAYROLL, ssn="123456780"), record(HR, ssn="535215432", dob="1990-01-02"))


def test_contradiction_through_a_third_record_prevents_the_join() -> None:
    """The third record agrees with each of the two, which contradict each other."""
    mail, other = ("r@example.com",), ("robert@example.com",)
    one = bare(PAYROLL, first_name="Robert", last_name="Miller", emails=mail, dob="1984-05-17")
    two = bare(HR, first_name="Robert", last_name="Miller", emails=other, dob="1951-11-30")
    between = bare(TIME, first_name="Robert", last_name="Miller", emails=mail + other)
    found = reconcile([one, two, between])
    assert len(found.people) == 3
    assert len(found.possible) == 2
    for possible in found.possible:
        assert possible.against == ("different birth dates",)
        assert possible.between == (two.member, one.member)


def test_two_candidates_of_one_source_are_both_left_to_a_person() -> None:
    found = reconcile([record(PAYROLL, "1"), record(PAYROLL, "2"), record(HR, "3")])
    assert len(found.people) == 3
    assert {one.against for one in found.possible} == {("two records of one source",)}


@pytest.mark.parametrize("shared", [{}, {"ssn": "123456780", "emails": ("r@example.com",)}])
def test_person_whom_a_source_lists_twice_does_not_separate_the_other_sources(
    shared: dict[str, Any],
) -> None:
    twice = [record(PAYROLL, "1", **shared), record(PAYROLL, "2", **shared)]
    others = [record(HR, "3", **shared), record(TIME, "4", **shared)]
    found = reconcile([*twice, *others])
    assert sorted(len(person.members) for person in found.people) == [1, 1, 2]
    assert {one.against for one in found.possible} == {("two records of one source",)}


def test_brother_and_sister_with_following_ssns_stay_apart_in_the_same_staff() -> None:
    here = record(PAYROLL, "here", first_name="Anna", last_name="Wang", ssn="123456780")
    there = record(
        HR, "there", first_name="Ben", last_name="Wang", ssn="123456781", dob="1990-01-02"
    )
    assert len(reconcile([*same_staff(25), here, there]).people) == 27


def test_better_evidence_decides_between_two_candidates() -> None:
    right = record(PAYROLL, "1", ssn="123456780")
    found = reconcile([right, record(PAYROLL, "2"), record(HR, "3", ssn="123456780")])
    assert {len(person.members) for person in found.people} == {1, 2}
    [possible] = found.possible
    assert possible.between == (right.member, record(PAYROLL, "2").member)


# One source


def test_records_of_one_source_are_never_joined() -> None:
    equal: dict[str, Any] = {"ssn": "123456780", "emails": ("r@example.com",)}
    assert apart(record(PAYROLL, "1", **equal), record(PAYROLL, "2", **equal)) == ()


def test_rehire_that_says_so_is_the_same_person() -> None:
    before = record(PAYROLL, "1", ssn="123456780", is_active=False, end_date="2023-04-30")
    after = record(PAYROLL, "2", ssn="123456780", latest_rehire_date="2024-01-15")
    assert joined(before, after)
    assert joined(before, after, record(HR, "3", ssn="123456780"))
    apart(before, replace(after, latest_rehire_date=None))
    apart(before, replace(after, latest_rehire_date="2022-01-15"))
    apart(replace(before, is_active=True), after)


def test_entities_of_a_connection_are_different_sources() -> None:
    assert joined(record(PAYROLL), record(PAYROLL._replace(entity_id="e9")))


# Two sources that list the same staff


def same_staff(number: int) -> list[Record]:
    return [
        record(
            source,
            str(at),
            first_name=f"First{at}",
            last_name=f"Last{at}",
            ssn=f"{520000001 + at * 999}",
        )
        for source, at in product((PAYROLL, HR), range(number))
    ]


def test_two_left_over_records_of_the_same_staff_are_one_person() -> None:
    here = record(PAYROLL, "here", first_name="Xiaoming", last_name="Wang")
    there = record(HR, "there", first_name="Michael", last_name="Wang")
    people = reconcile([*same_staff(25), here, there]).people
    assert len(people) == 26
    [person] = [one for one in people if here.member in one.members]
    assert person.joins[0].rule == "same_staff"
    assert len(reconcile([*same_staff(10), here, there]).people) == 12


def test_twin_with_a_partner_in_the_other_source_is_not_left_over() -> None:
    twins = [
        record(PAYROLL, "anna", first_name="Anna"),
        record(HR, "anna", first_name="Anna"),
        record(HR, "ella", first_name="Ella"),
    ]
    assert len(reconcile([*same_staff(25), *twins]).people) == 27


# The answer


def test_person_id_is_the_same_in_each_order_and_after_a_new_login() -> None:
    records = [record(PAYROLL), record(HR), record(TIME)]
    ids = {the_person(*records).id, the_person(*records[::-1]).id}
    renewed = [replace(one, source=one.source._replace(connection_id="new")) for one in records]
    assert ids | {the_person(*renewed).id} == ids
    assert len(ids) == 1


def test_record_that_was_read_twice_is_in_the_answer_once() -> None:
    once = record(PAYROLL, title="Cook")
    for records in ([once, replace(once, title="Chef")], [replace(once, title="Chef"), once]):
        person = the_person(*records)
        assert len(person.members) == 1
        assert person.fields()["title"].value == "Cook"


def test_most_frequent_value_comes_first_and_the_others_with_their_sources() -> None:
    cook = [record(PAYROLL, title="Cook"), record(HR, title="Cook", is_active=False)]
    person = the_person(*cook, record(TIME, title="Chef", is_active=True))
    title = person.fields()["title"]
    assert (title.value, len(title.members)) == ("Cook", 2)
    assert title.others == (("Chef", (record(TIME).member,)),)
    active = the_person(cook[1], record(TIME, title="Chef", is_active=True)).fields()["title"]
    assert active.value == "Chef"


def test_record_prints_no_personal_data() -> None:
    full = record(
        PAYROLL,
        ssn="123456780",
        emails=("r@example.com",),
        phone_numbers=("5035550142",),
        title="Cook",
    )
    printed = repr(full) + repr(reconcile([full, replace(full, source=HR)]))
    for text in (
        "Robert",
        "Miller",
        "1984",
        "123456780",
        "example.com",
        "5035550142",
        "Elm",
        "Cook",
    ):
        assert text not in printed


def test_finchs_answers_become_a_record() -> None:
    found = from_finch(
        PAYROLL,
        {"id": "i", "first_name": "Rob", "department": {"name": "Bar"}, "is_active": True},
        {
            "id": "i",
            "first_name": "Robert",
            "dob": "1984-05-17",
            "emails": [{"data": "r@example.com", "type": "work"}, {"data": None}, None],
            "phone_numbers": [{"data": "5035550142"}],
            "residence": {"line1": "12 Elm Street", "city": None},
            "ssn": 7,
        },
        {
            "id": "i",
            "title": "Cook",
            "is_active": False,
            "end_date": "2026-03-31",
            "department": None,
        },
    )
    assert (found.first_name, found.department, found.is_active) == ("Robert", "Bar", False)
    assert (found.emails, found.phone_numbers) == (("r@example.com",), ("5035550142",))
    assert found.residence == Address("12 Elm Street")
    assert (found.ssn, found.title, found.end_date) == (None, "Cook", "2026-03-31")


@pytest.mark.parametrize("body", [{"emails": "r", "residence": 7}, {"emails": [7], "dob": ["x"]}])
def test_unusual_answer_of_finch_costs_the_field_only(body: dict[str, Any]) -> None:
    found = from_finch(PAYROLL, {"id": "i", "first_name": "Rob"}, body, {"is_active": "yes"})
    assert found == Record(PAYROLL, "i", first_name="Rob")


# Growth


def compared(records: Iterable[Record]) -> float:
    """How many pairs are compared for each record."""
    records = list(records)
    return reconcile(records).compared / len(records)


def test_work_grows_with_the_records_and_not_with_their_square() -> None:
    assert compared(workforce(4_000, 20)) < 1.2 * compared(workforce(1_000, 20))


def test_values_that_very_many_share_cost_no_comparisons_and_are_counted() -> None:
    records = [
        bare(source, str(at), dob="1980-01-01", residence=HOME, last_name="Ng", first_name="Al")
        for at in range(MOST_WITH_A_KEY)
        for source in (PAYROLL, HR)
    ]
    found = reconcile(records)
    assert found.compared == 0
    assert found.crowded["address"] == 4 * MOST_WITH_A_KEY
