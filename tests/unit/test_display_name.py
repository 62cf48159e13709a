"""Names from Finch: which names a page may show, and how many a connection stores."""

from dataclasses import replace

import pytest

from finch_connections.domain.connection import (
    Connection,
    ConnectionStatus,
    token_for_name,
    with_entity_names,
    with_names,
)
from finch_connections.domain.display_name import (
    LONGEST,
    LONGEST_ICON,
    MOST_BYTES,
    icon_url,
    names_that_fit,
    readable,
)
from tests.unit.test_connection import KEY, NOW, token

HOSTILE = [
    "Acme\x00",
    "Acme\x1b[31m",
    "Acme\x85",
    "\u202egnp.exe",
    "Acme \u2066x",
    "Acme \u2069",
    "\u200fAcme \u202e",
    "Acme\v",
    "Acme\u2028Payroll",
    "Acme \ud800",
]


def connection(**changes: object) -> Connection:
    one = Connection("acme", KEY, (), ConnectionStatus.CONNECTED, NOW, NOW, 1)
    return replace(one, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [*HOSTILE, None, 7, ["Acme"], {"name": "Acme"}])
def test_names_with_control_or_bidi_characters_are_rejected(name: object) -> None:
    assert readable(name) is None


@pytest.mark.parametrize(
    "name", ["Harbor Lane Coffee, Inc.", "Müller & Söhne", "شركة النور", "株式会社"]
)
def test_name_in_any_script_is_not_changed(name: str) -> None:
    assert readable(f" {name} ") == name


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Harbor Lane\n", "Harbor Lane"),
        ("\tHarbor Lane\r\n", "Harbor Lane"),
        ("Harbor\tLane", "Harbor Lane"),
        ("\u200fמאפיית הנמל\u200e", "מאפיית הנמל"),
        ("شركة\u200e (Gusto)\u061c", "شركة (Gusto)"),
    ],
)
def test_white_space_and_directional_marks_do_not_cost_the_name(given: str, name: str) -> None:
    assert readable(given) == name


def test_markup_in_a_name_is_kept_as_text() -> None:
    assert readable("<img src=x onerror=alert(1)>") == "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize("name", ["", "  ", "\n", "\u200f"])
def test_empty_name_is_rejected(name: str) -> None:
    assert readable(name) is None


def test_name_is_truncated_at_the_longest_length() -> None:
    name = readable("Acme " * 1000)
    assert name is not None
    assert len(name) <= LONGEST
    assert name.endswith("Acme…")
    assert readable("a" * LONGEST) == "a" * LONGEST
    assert readable("a" * (LONGEST + 1)) == "a" * (LONGEST - 1) + "…"
    assert readable("a" * (LONGEST - 2) + " Inc.") == "a" * (LONGEST - 2) + "…"


def test_entity_names_are_kept_up_to_the_size_limit() -> None:
    names = {f"entity-{n:04}": "ä" * LONGEST for n in range(1000)}
    kept = names_that_fit(names)
    assert 40 < len(kept) < 60
    assert sum(len(one.encode()) + len(name.encode()) for one, name in kept.items()) < MOST_BYTES
    assert names_that_fit({"a": "A"}) == {"a": "A"}
    # An entry needs three bytes more than its id and name.
    exact = {"b": "B" * 9, "a": "A" * (MOST_BYTES - 1 - 3 - 1 - 9 - 3)}
    assert names_that_fit(exact) == exact
    assert names_that_fit(exact | {"b": "B" * 10}) == {"a": exact["a"]}


def test_names_of_removed_entities_are_dropped() -> None:
    before = connection(
        tokens=(token("t", entities={"one": "connected"}),), entity_names={"gone": "G", "one": "O"}
    )
    assert with_entity_names(before, {"other": "X"}).entity_names == {"one": "O"}
    assert with_entity_names(before, {"one": "New"}).entity_names == {"one": "New"}


def test_single_entity_names_the_company_until_finch_sends_its_name() -> None:
    one = connection(tokens=(token("t", entities={"e": "connected"}),), entity_names={"e": "East"})
    assert one.best_company_name == "East"
    assert replace(one, company_name="East LLC").best_company_name == "East LLC"
    several = token("t", entities={"e": "connected", "w": "connected"})
    assert replace(one, tokens=(several,)).best_company_name is None
    twice = replace(one, tokens=(several,), entity_names={"e": "East", "w": "East"})
    assert twice.best_company_name == "East"
    assert replace(twice, entity_names={"e": "East", "w": "West"}).best_company_name is None
    assert connection().best_company_name is None


def test_company_name_is_read_with_a_working_token_with_company_access() -> None:
    may, may_not = frozenset({"company"}), frozenset({"directory"})
    works, broken = ConnectionStatus.CONNECTED, ConnectionStatus.REAUTH
    tokens = (
        token("old", products=may, status=works),
        token("new", products=may, status=works),
        token("broken", products=may, status=broken),
        token("other", products=may_not, status=works),
    )
    found = token_for_name(connection(tokens=tokens))
    assert found is not None
    assert found.id == "new"
    assert token_for_name(connection(tokens=tokens[2:])) is None


def test_new_name_is_a_quiet_write_and_a_known_name_is_no_write() -> None:
    before = connection()
    after = with_names(before, "Gusto", None, None)
    assert (after.revision, after.quiet_revision) == (2, 2)
    assert after.updated_at == before.updated_at
    assert with_names(after, "Gusto", None, None) is after


ICON = "https://finch.example/icons/gusto.svg?v=2"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (ICON, True),
        ("http://127.0.0.1:4000/gusto.svg", True),
        ("http://finch.example/gusto.svg", False),
        ("http://127.0.0.1.finch.example/gusto.svg", False),
        ("//finch.example/gusto.svg", False),
        ("javascript:alert(1)", False),
        ("data:image/svg+xml,<svg/>", False),
        ("HTTPS://finch.example/ü.svg", False),
        ("https://finch.example/a b.svg", False),
        (f"{ICON}\n", False),
        ("https://", False),
        (ICON.ljust(LONGEST_ICON, "x"), True),
        (ICON.ljust(LONGEST_ICON + 1, "x"), False),
        (None, False),
        ([ICON], False),
    ],
)
def test_only_short_https_urls_are_icons(value: object, shown: bool) -> None:
    assert icon_url(value) == (value if shown else None)
