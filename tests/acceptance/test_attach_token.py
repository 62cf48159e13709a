"""A new token is attached to its connection, held, or kept for later."""

from typing import Any

import pytest

from tests.acceptance.outcomes import connected, current_answers, exchange_count, live_token_count
from tests.support.deployed import Deployed
from tests.support.person import Person


@pytest.mark.parametrize("name", ["company_id", "connection_id", "provider_id", "account_id"])
@pytest.mark.parametrize("unusable_id", ["a\nb", "a\u200b", "x" * 256])
def test_token_with_an_unusable_id_is_kept_and_not_attached(
    deployed: Deployed, name: str, unusable_id: str
) -> None:
    acme = Person(deployed, "auth0|acme")
    url = acme.log_in(acme.click(acme.link()))
    for path in ("/auth/token", "/introspect"):
        deployed.finch.faults.add("*", path, edit={"set": {name: unusable_id}})
    assert acme.come_back(url).outcome == {"error": "cannot_connect"}
    assert acme.connections() == []
    assert live_token_count(deployed) == 1


def introspect_faults() -> list[dict[str, Any]]:
    return [
        {"status": "503"},
        {"drop": "before_effect"},
        {"nonsense": "array"},
        {"error": "authentication_error", "finch_code": "reauthenticate_user"},
    ]


@pytest.mark.parametrize("fault", introspect_faults(), ids=str)
def test_token_is_attached_later_when_introspection_fails_at_first(
    deployed: Deployed, fault: dict[str, Any]
) -> None:
    acme = Person(deployed, "auth0|acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.finch.faults.add("GET", "/introspect", times=2, **fault)
    landing = acme.come_back(url)
    assert landing.outcome == connected(deployed) | {"status": "pending"}
    assert landing.completion is not None
    assert acme.confirm(landing.completion).status == 202
    assert acme.connections() == []
    assert acme.confirm(landing.completion).json == connected(deployed)
    assert exchange_count(deployed) == 1


def test_token_revoked_before_it_is_attached_gives_connection_ended(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme", same_site=False)
    url = acme.log_in(acme.click(acme.link()))
    landing = acme.come_back(url)
    assert landing.completion is not None
    [token] = deployed.finch.live_tokens()
    deployed.finch.disconnect(token.access_token)
    refused = acme.confirm(landing.completion)
    assert (refused.status, refused.code) == (410, "connection_ended")
    assert acme.come_back(url).outcome == {"error": "connection_ended"}
    assert acme.connections() == []


@current_answers
def test_token_with_another_customers_name_is_not_attached(deployed: Deployed) -> None:
    acme, globex = Person(deployed, "auth0|acme"), Person(deployed, "ada@globex.example")
    another = deployed.customer_id(globex.customer_id)
    deployed.finch.switches.introspect_customer_id_override = another
    assert acme.connect().outcome == {"error": "cannot_connect"}
    assert acme.connections() == globex.connections() == []


def test_token_of_another_application_is_not_attached(deployed: Deployed) -> None:
    deployed.finch.switches.introspect_client_id_override = "another-client"
    acme = Person(deployed, "auth0|acme")
    assert acme.connect().outcome == {"error": "cannot_connect"}
    assert acme.connections() == []


@current_answers
def test_undocumented_status_is_shown_as_unknown_with_finchs_value(deployed: Deployed) -> None:
    deployed.finch.change_switches(introspect_status_override="error_reauth", extra_fields=True)
    acme = Person(deployed, "auth0|acme")
    acme.connect()
    shown = acme.connection()
    assert shown["status"] == "unknown"
    assert shown["logins"][0]["status_detail"] == "error_reauth"
