"""Finch's answers in an older, smaller or unknown shape: they connect, or end clearly with a report."""

from typing import Any

import pytest

from local.fake_finch.seed_world import MAYA, OWEN
from tests.acceptance.outcomes import connected, current_answers, live_token_count
from tests.support.deployed import Deployed
from tests.support.person import Person

pytestmark = current_answers

# The fields that Finch's first reference has for `GET /introspect`.
OLD_FIELDS = {"account_id", "client_id", "company_id", "payroll_provider_id", "products"}
NEW_FIELDS = (
    "id",
    "client_type",
    "connection_id",
    "connection_type",
    "connection_status",
    "provider_id",
    "customer_id",
    "customer_name",
    "customer_email",
    "authentication_methods",
    "entities",
    "manual",
    "username",
)
MISSING = object()


def edit(deployed: Deployed, path: str, fields: dict[str, Any]) -> None:
    """Changes fields of every answer of a path; the value `MISSING` removes a field."""
    deployed.finch.faults.add(
        "*",
        path,
        times=None,
        edit={
            "set": {name: value for name, value in fields.items() if value is not MISSING},
            "remove": [name for name, value in fields.items() if value is MISSING],
        },
    )


def only_old_fields(deployed: Deployed) -> None:
    edit(deployed, "/introspect", dict.fromkeys(NEW_FIELDS, MISSING))


def assert_can_be_disconnected(acme: Person) -> None:
    assert acme.disconnect().json["status"] == "disconnected"
    assert live_token_count(acme.deployed) == 0
    assert acme.deployed.tables.items(acme.deployed.tables.ownerships) == []


def test_introspection_of_finchs_first_reference_connects(deployed: Deployed) -> None:
    only_old_fields(deployed)
    acme = Person(deployed, "auth0|acme")
    assert acme.connect().outcome == connected(deployed)
    shown = acme.connection()
    # Finch gives no status, so it is not known whether the connection works.
    assert shown["status"] == "unknown"
    assert len(shown["logins"]) == 1
    assert_can_be_disconnected(acme)


@pytest.mark.parametrize("status", [MISSING, None, "connected", 7, [], {}, {"status": None}])
def test_connection_status_of_any_shape_connects(deployed: Deployed, status: Any) -> None:
    parts = {"authentication_methods": MISSING, "entities": MISSING}
    edit(deployed, "/introspect", {"connection_status": status} | parts)
    acme = Person(deployed, "auth0|acme")
    assert acme.connect().outcome == connected(deployed)
    expected = "connected" if status == "connected" else "unknown"
    assert acme.connection()["status"] == expected


@pytest.mark.parametrize(
    "paths", [("/introspect",), ("/auth/token",), ("/auth/token", "/introspect")], ids=str
)
@pytest.mark.parametrize("same_site", [True, False], ids=["bound", "to confirm"])
def test_connection_without_connection_id_is_provider_and_company(
    deployed: Deployed, paths: tuple[str, ...], same_site: bool
) -> None:
    for path in paths:
        edit(deployed, path, {"connection_id": MISSING})
    acme = Person(deployed, "auth0|acme", same_site=same_site)
    landing = acme.connect()
    if not same_site:
        assert landing.outcome["status"] == "confirm"
        assert landing.completion
        assert acme.confirm(landing.completion).json == connected(deployed)
    else:
        assert landing.outcome == connected(deployed)
    assert acme.connection()["status"] == "connected"
    globex = Person(deployed, "ada@globex.example")
    assert globex.connect().outcome == {"error": "cannot_connect"}
    assert globex.connections() == []
    assert acme.connection()["status"] == "connected"


def test_connection_without_connection_id_can_be_disconnected(deployed: Deployed) -> None:
    for path in ("/auth/token", "/introspect"):
        edit(deployed, path, {"connection_id": MISSING})
    acme = Person(deployed, "auth0|acme")
    assert acme.connect().outcome == connected(deployed)
    assert_can_be_disconnected(acme)


@pytest.mark.parametrize("same_site", [True, False], ids=["bound", "to confirm"])
def test_token_response_with_only_the_token_connects(deployed: Deployed, same_site: bool) -> None:
    everything = (
        "connection_id",
        "provider_id",
        "company_id",
        "account_id",
        "entity_ids",
        "products",
        "customer_id",
        "customer_name",
        "token_type",
        "client_type",
        "connection_type",
    )
    edit(deployed, "/auth/token", dict.fromkeys(everything, MISSING))
    acme = Person(deployed, "auth0|acme", same_site=same_site)
    landing = acme.connect()
    if landing.completion and not same_site:
        assert acme.confirm(landing.completion).json == connected(deployed)
    else:
        assert landing.outcome == connected(deployed)
    shown = acme.connection()
    assert shown["status"] == "connected"
    assert shown["logins"][0]["products"] == ["company", "directory"]
    assert_can_be_disconnected(acme)


@pytest.mark.parametrize("account_id", ["present", "absent"])
def test_disconnect_without_connection_id_ends_every_login(
    deployed: Deployed, account_id: str
) -> None:
    """Two logins are two connections at Finch, which only their own tokens can end."""
    removed = ["connection_id", *(["account_id"] if account_id == "absent" else [])]
    for path in ("/auth/token", "/introspect"):
        edit(deployed, path, dict.fromkeys(removed, MISSING))
    acme = Person(deployed, "auth0|acme")
    for login in (MAYA, OWEN, MAYA):
        assert acme.connect(login=login).outcome == connected(deployed)
    # Without account ids it is not known which tokens end together, so each stays.
    assert len(acme.connection()["logins"]) == (2 if account_id == "present" else 3)
    if account_id == "present":
        assert_can_be_disconnected(acme)
    else:
        # A token that died with another must be called dead again an hour later.
        assert acme.disconnect().json["status"] == "disconnecting"
        assert live_token_count(deployed) == 0


def test_repair_without_connection_id_repairs_the_same_connection(deployed: Deployed) -> None:
    for path in ("/auth/token", "/introspect"):
        edit(deployed, path, {"connection_id": MISSING})
    acme = Person(deployed, "auth0|acme")
    acme.connect()
    assert acme.repair().outcome["status"] == "connected"
    shown = acme.connections()
    assert [one["company_id"] for one in shown] == [connected(deployed)["company_id"]]
    assert len(shown[0]["logins"]) == 1


@pytest.mark.parametrize("status", ["disconnected", {"status": "disconnected"}], ids=str)
def test_new_connection_that_finch_calls_disconnected_is_not_attached(
    deployed: Deployed, status: Any
) -> None:
    edit(deployed, "/introspect", {"connection_status": status})
    acme = Person(deployed, "auth0|acme")
    url = acme.log_in(acme.click(acme.link()))
    assert acme.come_back(url).outcome == {"error": "connection_ended"}
    assert acme.connections() == []
    # One erroneous answer loses nothing.
    deployed.finch.faults.clear()
    assert acme.come_back(url).outcome == connected(deployed)


def test_disconnect_waits_until_finch_repeats_that_a_token_is_disconnected(
    deployed: Deployed,
) -> None:
    acme = Person(deployed, "auth0|acme")
    acme.connect()
    deployed.finch.faults.add("POST", "/disconnect", times=None, error="invalid_token_error")
    edit(deployed, "/introspect", {"connection_status": {"status": "disconnected"}})
    assert acme.disconnect().json["status"] == "disconnecting"
    assert live_token_count(deployed) == 1
