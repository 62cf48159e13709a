"""The texts of the element: one for each code of the API, in each language."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from finch_connections.domain.connection import (
    ANOTHER_COMPANY,
    CONNECT_AGAIN,
    DISCONNECT_REFUSED,
    ENTITY_DISCONNECT_REFUSED,
    TRANSFERRED,
    ConnectionStatus,
    Product,
)
from finch_connections.domain.errors import Refusal
from finch_connections.finch.errors import FinchFailure
from finch_connections.use_cases.attach_token import Status
from finch_connections.web import api
from local.world import World
from tests.browser.conftest import Visit
from tests.support.documents import kinds

# Codes of the page itself: no response, no sign-in, API Gateway's refusals, unexpected errors.
OF_THE_PAGE = {"unreachable", "unauthorized", "not_allowed", "unexpected"}


@pytest.fixture(scope="module")
def texts(browser: Browser, world: World) -> Any:
    """The tables of texts that the built file exports."""
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


def test_each_error_code_of_the_api_has_a_text(texts: Any) -> None:
    codes = {
        kind.code
        for kind in kinds(Refusal) | kinds(FinchFailure)
        if kind not in (Refusal, FinchFailure)
    }
    assert set(texts["en"]["failure"]) == codes | {"access_denied"} | OF_THE_PAGE
    assert api.STATUS.keys() <= codes


def test_each_status_problem_and_product_has_a_text(texts: Any) -> None:
    assert set(texts["en"]["status"]) == set(ConnectionStatus)
    assert set(texts["en"]["problem"]) == {
        ANOTHER_COMPANY,
        CONNECT_AGAIN,
        DISCONNECT_REFUSED,
        ENTITY_DISCONNECT_REFUSED,
        TRANSFERRED,
    }
    assert set(texts["en"]["product"]) == set(Product)


def test_page_knows_each_outcome_of_a_return(visit: Visit) -> None:
    visitor = visit()
    visitor.open()
    script = visitor.page.evaluate(
        "fetch('/finch-connections.js').then((response) => response.text())"
    )
    [outcomes] = re.findall(r"^var OUTCOMES = \[(.*?)\];$", script, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r'"(\w+)"', outcomes)) == set(Status)


def test_all_languages_have_the_same_texts_and_placeholders(texts: Any) -> None:
    english = dict(leaves(texts["en"]))
    assert len(texts) >= 2
    for language, table in texts.items():
        translated = dict(leaves(table))
        assert translated.keys() == english.keys(), language
        for path, text in translated.items():
            assert text or not english[path], (language, path)
            filled = set(re.findall(r"\{\w+\}", text))
            assert filled == set(re.findall(r"\{\w+\}", english[path])), (language, path)
            if language != "en" and len(english[path]) > 20:
                assert text != english[path], (language, path)
