"""Calls of Finch: the allowed paths, the products that they read, and their limits."""

import posixpath
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finch_connections.domain.finch_call import FinchCall, with_entity

READING, WRITING = ("/employer", "/jobs/automated"), ("/employer/benefits",)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# Everything with which a path can mean something else than it says.
PARTS = st.sampled_from(
    [
        *(
            "/",
            "//",
            ".",
            "..",
            "%2e",
            "%2E%2e",
            "%2f",
            "%2F",
            "%5c",
            "\\",
            "%00",
            "%252e",
            ";",
            "?",
        ),
        *("#", " ", "\n", "@", ":", "employer", "Employer", "EMPLOYER", "jobs", "automated"),
        *(
            "directory",
            "disconnect",
            "Disconnect",
            "disconnect-entity",
            "auth",
            "token",
            "introspect",
        ),
        *("connect", "sessions", "benefits", "individual", "é", "x"),
    ]
)
PATHS = st.lists(PARTS, max_size=10).map("".join) | st.text(max_size=30)


def allowed(method: str, path: str) -> bool:
    return FinchCall(method, path).is_allowed(READING, WRITING)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/employer/directory"),
        ("GET", "/employer"),
        ("POST", "/employer/individual"),
        ("POST", "/employer/employment"),
        ("POST", "/employer/pay-statement"),
        ("GET", "/employer/benefits/0c2e5b6a-1F"),
        ("GET", "/jobs/automated/x_y"),
        ("POST", "/employer/benefits"),
        ("DELETE", "/employer/benefits/1/individuals"),
    ],
)
def test_path_of_the_lists_is_allowed(method: str, path: str) -> None:
    assert allowed(method, path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/disconnect"),
        ("POST", "/disconnect-entity"),
        ("POST", "/auth/token"),
        ("GET", "/introspect"),
        ("GET", "/employers"),
        ("GET", "/employer/../introspect"),
        ("GET", "/employer/%2e%2e/introspect"),
        ("GET", "/employer/..%2fintrospect"),
        ("GET", "/employer//directory"),
        ("GET", "//employer/directory"),
        ("GET", "/employer/directory/"),
        ("GET", "/Employer/directory"),
        ("GET", "/employer/directory?limit=1"),
        ("GET", "https://finch.example.com/employer"),
        ("GET", "employer/directory"),
        ("GET", ""),
        ("GET", "/"),
        ("GET", "/employer/directory\n"),
        ("GET", "/jobs"),
        ("POST", "/jobs/automated"),
        ("POST", "/employer/directory"),
        ("POST", "/employer/INDIVIDUAL"),
        ("POST", "/employer/individual/x"),
        ("PUT", "/employer/individual"),
        ("POST", "/employer/benefits-of-others"),
    ],
)
def test_other_path_is_not_allowed(method: str, path: str) -> None:
    assert not allowed(method, path)


@given(method=st.sampled_from(METHODS), path=PATHS)
def test_allowed_path_means_the_same_however_a_server_reads_it(method: str, path: str) -> None:
    if not allowed(method, path):
        return
    assert posixpath.normpath(unquote(unquote(path))) == path
    roots = WRITING if not FinchCall(method, path).reads else READING
    assert any(path == root or path.startswith(f"{root}/") for root in roots)


@given(
    method=st.sampled_from(METHODS),
    path=PATHS,
    lists=st.lists(st.sampled_from(["", "/", "/auth", "/disconnect", "/introspect", "/connect"])),
)
def test_no_list_allows_what_ends_or_makes_a_connection(
    method: str, path: str, lists: list[str]
) -> None:
    lowered = posixpath.normpath("/" + unquote(path).lower().lstrip("/"))
    if lowered.startswith(("/disconnect", "/auth", "/introspect", "/connect")):
        assert not FinchCall(method, path).is_allowed(lists, lists)


def test_empty_list_allows_nothing() -> None:
    assert not FinchCall("GET", "/employer/directory").is_allowed(("",), ("",))


@pytest.mark.parametrize(
    ("path", "body", "products"),
    [
        ("/employer/directory", None, {"directory"}),
        ("/Employer/Directory", None, {"directory"}),
        ("/employer/pay-statement", {"requests": []}, {"pay_statement"}),
        ("/employer/individual", {"options": {"include": ["ssn"]}}, {"individual", "ssn"}),
        ("/employer/individual", {"options": {"include": ["SSN", 1]}}, {"individual", "ssn"}),
        ("/employer/individual", {"options": {"include": "ssn"}}, {"individual", "ssn"}),
        ("/employer/individual", [], {"individual"}),
        ("/employer/benefits/directory", None, set()),
        ("/jobs/directory", None, set()),
    ],
)
def test_products_follow_from_the_path_and_the_body(
    path: str, body: Any, products: set[str]
) -> None:
    assert FinchCall("POST", path).products(body) == products


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/employer/company", ("company", 20)),
        ("/employer/Directory", ("directory", 20)),
        ("/employer/payment", ("payment", 12)),
        ("/employer/pay-statement", ("pay-statement", 12)),
        ("/employer/pay-statement-item/rule/1", ("pay-statement-item", 20)),
        ("/employer/documents/1", ("others", 12)),
        ("/employer/made-up", ("others", 12)),
        ("/jobs/company", ("others", 12)),
    ],
)
def test_path_counts_for_the_limit_of_its_product(path: str, limit: tuple[str, int]) -> None:
    assert FinchCall("GET", path).limit == limit


@pytest.mark.parametrize(
    ("query", "entity_ids", "readable", "expected"),
    [
        ({"limit": 1}, [], [], {"limit": 1}),
        ({"entity_ids[]": ["x"]}, [], [], {"entity_ids[]": ["x"]}),
        ({"limit": 1}, ["a"], ["a"], {"limit": 1, "entity_ids[]": "a"}),
        ({}, ["a", "b"], ["b"], {"entity_ids[]": "b"}),
        ({"entity_ids[]": ["b"]}, ["a", "b"], ["a", "b"], {"entity_ids[]": "b"}),
        ({"entity_ids[]": "b"}, ["a", "b"], ["a", "b"], {"entity_ids[]": "b"}),
        ({}, ["a", "b"], ["a", "b"], None),
        ({"entity_ids[]": ["a", "b"]}, ["a", "b"], ["a", "b"], None),
        ({"entity_ids[]": ["a"]}, ["a", "b"], ["b"], None),
        ({"entity_ids[]": []}, ["a", "b"], ["b"], None),
        ({}, ["a"], [], None),
    ],
)
def test_query_names_exactly_one_readable_entity(
    query: dict[str, Any],
    entity_ids: list[str],
    readable: list[str],
    expected: dict[str, Any] | None,
) -> None:
    assert with_entity(query, entity_ids, readable) == expected
