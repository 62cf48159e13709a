"""The words of the element: for everything that the API can say, in every language alike."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from finch_connections.domain.connection import (
    ANOTHER_COMPANY,
    DISCONNECT_REFUSED,
    ConnectionStatus,
    Product,
)
from finch_connections.domain.errors import Refusal
from finch_connections.finch.errors import FinchFailure
from finch_connections.use_cases.attach_token import Status
from finch_connections.web import api
from local.world import World
from tests.browser.conftest import Visit
from tests.unit.test_readme import kinds

# What the page says of itself: no answer, no sign-in, the gateway's refusals, and what nobody foresaw.
OF_THE_PAGE = {"unreachable", "unauthorized", "not_allowed", "too_many_requests", "unexpected"}


@pytest.fixture(scope="module")
def texts(browser: Browser, world: World) -> Any:
    """The tables, as a browser reads them."""
    page = browser.new_page()
    page.goto(world.page_url)
    tables = page.evaluate("async () => (await import('/finch-connections.js')).TEXTS")
    page.close()
    return tables


def leaves(table: Any, path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, str):
            yield path + name, value
        else:
            yield from leaves(value, f"{path}{name}.")


def test_every_code_that_the_api_can_give_has_its_words(texts: Any) -> None:
    codes = {
        kind.code
        for kind in kinds(Refusal) | kinds(FinchFailure)
        if kind not in (Refusal, FinchFailure)
    }
    assert set(texts["en"]["failure"]) == codes | {"access_denied"} | OF_THE_PAGE
    assert api.STATUS.keys() <= codes


def test_every_status_problem_and_product_has_its_words(texts: Any) -> None:
    assert set(texts["en"]["status"]) == set(ConnectionStatus)
    assert set(texts["en"]["problem"]) == {ANOTHER_COMPANY, DISCONNECT_REFUSED}
    assert set(texts["en"]["product"]) == set(Product)


def test_every_outcome_of_a_return_is_known(visit: Visit) -> None:
    visitor = visit()
    visitor.open()
    script = visitor.page.evaluate("fetch('/finch-connections.js').then((one) => one.text())")
    [outcomes] = re.findall(r"^const OUTCOMES = \[(.*)\];$", script, re.MULTILINE)
    assert set(re.findall(r'"(\w+)"', outcomes)) == set(Status)


def test_every_language_says_the_same_things(texts: Any) -> None:
    english = dict(leaves(texts["en"]))
    assert len(texts) >= 2
    for language, table in texts.items():
        translated = dict(leaves(table))
        assert translated.keys() == english.keys(), language
        for path, words in translated.items():
            assert words or not english[path], (language, path)
            filled = set(re.findall(r"\{\w+\}", words))
            assert filled == set(re.findall(r"\{\w+\}", english[path])), (language, path)
            if language != "en" and len(english[path]) > 20:
                assert words != english[path], (language, path)
