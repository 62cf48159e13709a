"""Ids that other systems give: acceptance, and the encodings that must never mix up two ids."""

import re
from hashlib import sha256
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finch_connections.domain.connect_session import (
    issued_to,
    unguessed_finch_customer_id,
)
from finch_connections.domain.identifier import (
    LONGEST_CUSTOMER_ID,
    customer_id_fault,
    finch_name,
    is_finch_id,
    key_part,
    of_key_part,
    of_path_segment,
)
from tests.support.person import path_segment

# Many similar ids: pieces that the encodings use themselves.
_PIECES = st.lists(
    st.sampled_from(
        ["acme", "~", "~~", "2", "~2", "#", "~23", "~7E", "%23", "/", "|", " ", "é", "𝔞"]
    ),
    max_size=6,
).map("".join)
IDS = (
    st.one_of(_PIECES, st.text(max_size=LONGEST_CUSTOMER_ID))
    .map(lambda text: text[:LONGEST_CUSTOMER_ID])
    .filter(lambda text: customer_id_fault(text) is None)
)
NUMBERS = st.one_of(st.none(), st.integers(2, 20), st.integers(10**12, 2 * 10**12 - 1))


@pytest.mark.parametrize(
    "customer_id",
    [
        "auth0|64ab12",
        "ada@acme.com",
        "urn:acme:7",
        "Ada Lovelace",
        "a/b",
        "a#b",
        "~2",
        "ü",
        "𝔞" * 256,
        # A UUID in braces, and texts that only begin like a list or an object.
        "{6ba7b810-9dad-11d1-80b4-00c04fd430c8}",
        "[a b",
        "map[a",
        "{a:b",
        "a:b}",
    ],
)
def test_printable_text_is_a_customer_id(customer_id: str) -> None:
    assert customer_id_fault(customer_id) is None


@pytest.mark.parametrize(
    "value", ["", "  ", "null", "None", "undefined", "NaN", "true", "FALSE", ".", ".."]
)
def test_values_that_issuers_send_for_nothing_are_no_customer_id(value: str) -> None:
    assert customer_id_fault(value) == "names no customer"


@pytest.mark.parametrize(
    "value",
    [None, 7, True, [], ["a"], {}, "[]", "[a b]", '["a"]', "{}", '{"a":1}', "map[a:b]"],
    ids=repr,
)
def test_lists_and_objects_are_no_customer_id(value: object) -> None:
    assert customer_id_fault(value) == "list, object or other value that is not a text"


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("x" * 257, "too long"),
        ("1.5e+20", "number in floating point"),
        ("acme\n", "has characters that are not printable"),
        ("\u202eacme", "has characters that are not printable"),
        ("\ud800", "has characters that are not printable"),
        ("acme\u0301", "not in Unicode's normal form NFC"),
    ],
)
def test_text_that_is_long_or_deceives_is_no_customer_id(value: str, fault: str) -> None:
    assert customer_id_fault(value) == fault


@given(IDS, NUMBERS, IDS, NUMBERS)
@example("acme~2", None, "acme", 2)
@example("acme~", 2, "acme", 2)
@example("acme~~2", None, "acme~", 2)
@example("~2", None, "~", 2)
@example("x" * 256, None, "x" * 255, None)
@example(" acme", None, "acme", None)
@example(" " + finch_name(" ~"), None, finch_name(" ~"), None)
def test_names_at_finch_are_never_shared(
    one: str, number: int | None, other: str, other_number: int | None
) -> None:
    same = (one, number) == (other, other_number)
    assert (finch_name(one, number) == finch_name(other, other_number)) == same
    assert issued_to(finch_name(one, number), other) == (one == other)


@given(IDS)
@example("𝔞" * 256)
@example("~" * 256)
def test_every_name_at_finch_fits_and_belongs_to_its_customer(customer_id: str) -> None:
    for name in (
        finch_name(customer_id),
        finch_name(customer_id, 10**12 - 1),
        unguessed_finch_customer_id(customer_id),
    ):
        assert issued_to(name, customer_id)
        # Finch may count UTF-16 code units.
        assert 1 <= len(name.encode("utf-16-le")) // 2 <= 255


@pytest.mark.parametrize(
    "customer_id", ["acme", "auth0|64ab12", "ada@acme.com", "Ada Lovelace", "ü"]
)
def test_usual_id_is_sent_to_finch_unchanged(customer_id: str) -> None:
    assert finch_name(customer_id) == customer_id


def test_name_at_finch_is_a_hash_only_if_the_id_is_long_or_has_spaces_at_its_ends() -> None:
    assert finch_name("x" * 200) == "x" * 200
    assert finch_name("a~b", 2) == "a~~b~2"
    assert finch_name("ü" * 100, 2) == "ü" * 100 + "~2"
    for customer_id in ("x" * 201, "ü" * 101, " acme", "acme "):
        hashed = "~" + sha256(customer_id.encode()).hexdigest()
        assert (finch_name(customer_id), finch_name(customer_id, 2)) == (hashed, f"{hashed}~2")


@pytest.mark.parametrize(
    ("value", "accepted"),
    [("x", True), ("x" * 255, True), ("x" * 256, False), ("", False), ("a\n", False), (7, False)],
)
def test_id_of_finch_is_printable_text_of_1_to_255_characters(
    value: object, accepted: bool
) -> None:
    assert is_finch_id(value) is accepted


@pytest.mark.parametrize(
    ("text", "part"), [("gusto", "gusto"), ("a#b", "a~23b"), ("a~23", "a~7E23"), ("~#", "~7E~23")]
)
def test_part_of_a_key_has_no_separator_and_is_read_back(text: str, part: str) -> None:
    assert key_part(text) == part
    assert of_key_part(part) == text


@given(st.one_of(_PIECES, st.text(st.characters(codec="utf-8"))))
@example(".")
@example("..")
@example("~2F")
@example("~7E2F")
@example("a/b?c#d%2F")
def test_every_id_survives_a_path_however_often_it_is_decoded(text: str) -> None:
    segment = path_segment(text)
    assert re.fullmatch(r"[A-Za-z0-9_.!'()*~-]*", segment)
    assert segment not in (".", "..")
    assert of_path_segment(unquote(unquote(segment))) == text


@pytest.mark.parametrize("text", ["a b", "a/b", "ü", "~", "a~b", "~2", "~zz", "~C3", "100%", "%2F"])
def test_id_that_was_not_escaped_is_read_unchanged(text: str) -> None:
    assert of_path_segment(text) == text
