"""The settings, and the response of a function when a setting is missing."""

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest

from finch_connections import settings
from finch_connections.settings import SettingMissing, Settings
from local.fake_finch.seed_world import HARBOR_LANE
from tests.support.deployed import TEMPLATE, Deployed
from tests.support.in_process import InProcess
from tests.support.person import Person, connection_path

VARIABLES: dict[str, Any] = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]


def test_template_sets_exactly_the_settings_that_are_read() -> None:
    ours = {name for name in VARIABLES if not name.startswith(("POWERTOOLS_", "PYDANTIC_"))}
    assert ours == {name.upper() for name in Settings._fields}


@pytest.mark.parametrize("name", [name.upper() for name in Settings._fields])
def test_missing_setting_is_named_in_the_error(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for field in Settings._fields:
        monkeypatch.setenv(field.upper(), "x")
    monkeypatch.delenv(name)
    settings.read.cache_clear()
    with pytest.raises(SettingMissing, match=name):
        settings.read()
    settings.read.cache_clear()


def test_callback_url_is_the_api_url_or_else_the_request_host(
    deployed: Deployed,
) -> None:
    empty = dict.fromkeys(Settings._fields, "")
    assert Settings(**empty).callback_url("abc.example.com") == "https://abc.example.com/callback"
    named = Settings(**empty | {"api_url": "https://payroll.example.com"})
    assert named.callback_url("abc.example.com") == "https://payroll.example.com/callback"


def test_links_and_callback_work_behind_a_base_path(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_URL", "https://api.example.com/payroll")
    monkeypatch.setattr(deployed.api, "base_path", "/payroll")
    registered = deployed.finch.application
    application = replace(registered, redirect_uris=("https://api.example.com/payroll/callback",))
    monkeypatch.setattr(deployed.finch, "application", application)
    settings.read.cache_clear()
    try:
        acme = Person(deployed, "acme")
        link = acme.link()
        assert link.startswith("https://api.example.com/payroll/connect/")
        url = acme.log_in(acme.click(link))
        assert url.startswith("https://api.example.com/payroll/callback?")
        assert acme.come_back(url).outcome["status"] == "connected"
    finally:
        settings.read.cache_clear()


def test_internal_error_has_the_common_shape_and_no_details(
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


@pytest.mark.parametrize(
    ("allowed", "started"),
    [
        ("redirect", {"redirect": 201, "embedded": 400}),
        ("embedded", {"redirect": 400, "embedded": 201}),
        ("redirect,embedded", {"redirect": 201, "embedded": 201}),
    ],
)
def test_session_starts_only_in_the_allowed_modes(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, allowed: str, started: dict[str, int]
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    sessions = len(deployed.tables.all_sessions())
    monkeypatch.setenv("CONNECT_MODES", allowed)
    settings.read.cache_clear()
    try:
        for mode, status in started.items():
            again = acme.call(
                "POST",
                f"{connection_path('gusto', HARBOR_LANE.id)}/reauthenticate",
                {"mode": mode, "return_to": deployed.return_urls[0]},
            )
            for reply in (acme.start(mode=mode), again):
                assert reply.status == status
                assert status == 201 or reply.code == "mode_not_allowed"
    finally:
        settings.read.cache_clear()
    added = 2 * list(started.values()).count(201)
    assert len(deployed.tables.all_sessions()) == sessions + added


def test_only_redirect_mode_is_allowed_by_default() -> None:
    assert TEMPLATE["Parameters"]["ConnectModes"]["Default"] == "redirect"
