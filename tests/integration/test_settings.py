"""The settings, and what a function does without them."""

from io import StringIO
from typing import Any

import pytest

from finch_connections import settings
from finch_connections.settings import SettingMissing, Settings
from tests.support.deployed import TEMPLATE, Deployed
from tests.support.person import Person

VARIABLES: dict[str, Any] = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]


def test_the_template_sets_every_setting_and_nothing_that_nobody_reads() -> None:
    ours = {name for name in VARIABLES if not name.startswith(("POWERTOOLS_", "PYDANTIC_"))}
    assert ours == {name.upper() for name in Settings._fields}


@pytest.mark.parametrize("name", [name.upper() for name in Settings._fields])
def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for field in Settings._fields:
        monkeypatch.setenv(field.upper(), "x")
    monkeypatch.delenv(name)
    settings.read.cache_clear()
    with pytest.raises(SettingMissing, match=name):
        settings.read()
    settings.read.cache_clear()


def test_the_callback_is_where_the_request_came_to_unless_the_api_has_a_domain(
    deployed: Deployed,
) -> None:
    there = dict.fromkeys(Settings._fields, "")
    assert Settings(**there).callback_url("abc.example.com") == "https://abc.example.com/callback"
    named = Settings(**there | {"api_url": "https://payroll.example.com"})
    assert named.callback_url("abc.example.com") == "https://payroll.example.com/callback"


def test_a_failure_of_ours_has_the_one_shape_and_says_nothing(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, log: StringIO
) -> None:
    monkeypatch.delenv("CONNECTIONS_TABLE")
    settings.read.cache_clear()
    try:
        refused = Person(deployed, "acme").call("GET", "/connections")
    finally:
        settings.read.cache_clear()
    assert (refused.status, refused.code) == (500, "internal_error")
    assert "CONNECTIONS_TABLE" not in refused.text
    assert "CONNECTIONS_TABLE" in log.getvalue()
