"""A connection is attached only to the customer whose browser went through Finch Connect."""

from typing import Any

import pytest

from tests.acceptance.outcomes import connected, current_answers
from tests.support.deployed import Deployed
from tests.support.person import Person, without_state


def test_login_through_another_customers_link_is_not_attached(deployed: Deployed) -> None:
    attacker, victim = Person(deployed, "auth0|acme"), Person(deployed, "ada@globex.example")
    landing = victim.go_through(attacker.link())
    assert landing.outcome["status"] == "confirm"
    assert landing.completion is not None
    refused = victim.confirm(landing.completion)
    assert (refused.status, refused.code) == (404, "session_not_found")
    assert attacker.connections() == []
    assert victim.connections() == []


def test_owner_of_the_link_cannot_confirm_without_the_completion_code(deployed: Deployed) -> None:
    attacker, victim = Person(deployed, "auth0|acme"), Person(deployed, "ada@globex.example")
    landing = victim.go_through(attacker.link())
    assert landing.completion is not None
    session, _, mac = landing.completion.partition(".")
    for forged in (session, f"{session}.", f"{session}.{'0' * 64}", f"{'0' * 64}.{mac}", "", "."):
        refused = attacker.confirm(forged)
        assert (refused.status, refused.code) == (404, "session_not_found")
    assert attacker.connections() == []


def test_attackers_code_in_a_victims_browser_is_not_attached(deployed: Deployed) -> None:
    attacker, victim = Person(deployed, "auth0|acme"), Person(deployed, "ada@globex.example")
    planted = without_state(attacker.log_in(attacker.click(attacker.link())))
    victim.click(victim.link())
    landing = victim.come_back(planted)
    assert landing.outcome == {"error": "cannot_connect"}
    assert victim.connections() == []
    assert attacker.connections() == []


@pytest.mark.parametrize(
    ("trouble", "outcome"),
    [
        ({}, "cannot_connect"),
        ({"status": 500}, "pending"),
        ({"error": "invalid_token_error"}, "connection_ended"),
    ],
    ids=["refused", "Finch fails", "token dead"],
)
def test_attackers_code_without_state_does_not_use_up_the_victims_session(
    deployed: Deployed, trouble: dict[str, Any], outcome: str
) -> None:
    attacker, victim = Person(deployed, "auth0|acme"), Person(deployed, "ada@globex.example")
    planted = without_state(attacker.log_in(attacker.click(attacker.link())))
    page = victim.click(victim.link())
    if trouble:
        deployed.finch.faults.add("GET", "/introspect", **trouble)
    assert outcome in victim.come_back(planted).outcome.values()
    # The link still works, and the browser is still bound to it.
    landing = victim.come_back(victim.log_in(page, provider_id="justworks"))
    assert landing.outcome["status"] == "connected"
    [connection] = victim.connections()
    assert connection["provider_id"] == deployed.finch_id("justworks")
    # The attacker's code keeps its outcome.
    assert "status" not in victim.come_back(planted).outcome
    assert attacker.connections() == []


@pytest.mark.parametrize("query", ["", "&state="], ids=["no state", "empty state"])
def test_attackers_code_is_not_attached_without_an_echoed_state_and_a_name_at_finch(
    deployed: Deployed, query: str
) -> None:
    deployed.finch.change_switches(token_customer_id="absent", introspect_customer_id="absent")
    attacker, victim = Person(deployed, "auth0|acme"), Person(deployed, "ada@globex.example")
    planted = without_state(attacker.log_in(attacker.click(attacker.link()))) + query
    victim.click(victim.link())
    assert victim.come_back(planted).outcome == {"error": "cannot_connect"}
    assert victim.connections() == []


@pytest.mark.parametrize("query", ["", "&state="], ids=["no state", "empty state"])
@current_answers
def test_real_code_without_state_connects_after_an_attackers_code(
    deployed: Deployed, query: str
) -> None:
    attacker, victim = Person(deployed, "auth0|acme"), Person(deployed, "ada@globex.example")
    planted = without_state(attacker.log_in(attacker.click(attacker.link()))) + query
    page = victim.click(victim.link())
    assert victim.come_back(planted).outcome == {"error": "cannot_connect"}
    true = without_state(victim.log_in(page, provider_id="justworks")) + query
    landing = victim.come_back(true)
    assert landing.outcome["status"] == "connected"
    assert victim.come_back(true) == landing


def test_attackers_callback_with_its_state_is_not_attached_to_the_victim(
    deployed: Deployed,
) -> None:
    attacker, victim = Person(deployed, "auth0|acme"), Person(deployed, "ada@globex.example")
    planted = attacker.log_in(attacker.click(attacker.link()))
    victim.click(victim.link())
    landing = victim.come_back(planted)
    assert landing.outcome["status"] == "confirm"
    assert landing.completion is not None
    assert victim.confirm(landing.completion).code == "session_not_found"
    assert victim.connections() == []


@pytest.mark.parametrize("state", [True, False], ids=["state", "no state"])
@pytest.mark.parametrize("customer", ["present", "absent"])
@pytest.mark.parametrize("bound", [True, False], ids=["bound", "unbound"])
@current_answers
def test_cookie_state_and_customer_name_together_decide_the_outcome(
    deployed: Deployed, state: bool, customer: str, bound: bool
) -> None:
    """The echoed state or Finch's customer id must tie the code to the session; the cookie binds."""
    deployed.finch.change_switches(token_customer_id=customer, introspect_customer_id=customer)
    acme = Person(deployed, "auth0|acme", same_site=bound)
    url = acme.log_in(acme.click(acme.link()))
    landing = acme.come_back(url if state else without_state(url))
    if not state and customer == "absent":
        assert landing.outcome == {"error": "cannot_connect"}
        assert acme.connections() == []
    elif bound:
        assert landing.outcome == connected(deployed)
        assert len(acme.connections()) == 1
    else:
        assert landing.outcome == connected(deployed) | {"status": "confirm"}
        assert acme.connections() == []
        assert landing.completion is not None
        assert acme.confirm(landing.completion).json["status"] == "connected"
        assert len(acme.connections()) == 1


def test_second_confirmation_gets_the_same_response(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme", same_site=False)
    landing = acme.connect()
    assert landing.completion is not None
    first, second = acme.confirm(landing.completion), acme.confirm(landing.completion)
    assert (first.status, first.json) == (200, connected(deployed))
    assert second.json == first.json
    [shown] = acme.connections()
    assert len(shown["logins"]) == 1


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"code": "c"}', b'{"code": "", "state": ""}', b'{"completion": 1}']
)
def test_invalid_confirmation_body_is_refused(deployed: Deployed, body: bytes) -> None:
    refused = Person(deployed, "auth0|acme").call("POST", "/callback", body)
    assert (refused.status, refused.code) == (400, "invalid_request")
