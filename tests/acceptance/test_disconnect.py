"""A connection is disconnected only after Finch has confirmed it for every login."""

from typing import Any

import pytest

from local.fake_finch.seed_world import MAYA, OWEN
from tests.acceptance.outcomes import connected, current_answers, live_token_count
from tests.support.deployed import Deployed
from tests.support.person import Person


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"drop": "before_effect"},
        {"error": "rate_limit_exceeded_error"},
        {"error": "authentication_error", "finch_code": "reauthenticate_user"},
        {"error": "invalid_client_error"},
        {"nonsense": "not json"},
        {"nonsense": "array"},
        {"status": 200, "body": {"status": "queued"}},
    ],
    ids=str,
)
def test_connection_stays_disconnecting_until_finch_confirms(
    deployed: Deployed, fault: dict[str, Any]
) -> None:
    acme = Person(deployed, "auth0|acme")
    acme.connect()
    deployed.finch.faults.add("POST", "/disconnect", **fault)
    reply = acme.disconnect()
    assert (reply.status, reply.json["status"]) == (202, "disconnecting")
    assert live_token_count(deployed) == 1
    assert acme.connection()["status"] == "disconnecting"
    assert len(acme.connection()["logins"]) == 1
    assert acme.disconnect().json["status"] == "disconnected"
    assert live_token_count(deployed) == 0


def test_disconnect_with_a_lost_response_waits_until_finch_repeats_it(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    acme.connect(products=["company"])
    acme.connect(products=["directory"])
    deployed.finch.faults.add("POST", "/disconnect", drop="after_effect")
    assert acme.disconnect().status == 202
    calls = deployed.finch.requests.count("POST", "/disconnect")
    # A dead token counts only when every token of its connection was tried, twice an hour apart.
    assert acme.disconnect().json["status"] == "disconnecting"
    assert deployed.finch.requests.count("POST", "/disconnect") - calls == 2


@current_answers
def test_one_unconfirmed_login_keeps_the_whole_connection(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    acme.connect(login=MAYA)
    acme.connect(login=OWEN)
    deployed.finch.faults.add("POST", "/disconnect", status=500)
    assert acme.disconnect().status == 202
    assert len(acme.connection()["logins"]) == 2
    assert acme.disconnect().status == 200
    assert live_token_count(deployed) == 0


def test_rate_limited_disconnect_calls_finch_once_not_once_per_login(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    acme.connect(login=MAYA)
    acme.connect(login=OWEN)
    deployed.finch.faults.add("POST", "/disconnect", times=None, error="rate_limit_exceeded_error")
    assert acme.disconnect().status == 202
    assert deployed.finch.requests.count("POST", "/disconnect") == 1
    deployed.finch.faults.clear()
    assert acme.disconnect().status == 200


def test_second_disconnect_gets_the_same_response(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    acme.connect()
    first = acme.disconnect()
    second = acme.disconnect()
    assert first.status == second.status == 200
    assert first.json == second.json
    assert deployed.finch.requests.count("POST", "/disconnect") == 1


@current_answers
def test_connect_during_a_disconnect_waits_and_then_finishes(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    acme.connect(login=MAYA)
    deployed.finch.faults.add("POST", "/disconnect", status=500)
    acme.disconnect()
    landing = acme.connect(login=OWEN)
    assert landing.outcome["status"] == "pending"
    assert landing.completion is not None
    assert acme.disconnect().status == 200
    assert acme.confirm(landing.completion).json == connected(deployed)
    [login] = acme.connection()["logins"]
    assert [token.id for token in deployed.finch.live_tokens()] == [login["id"]]


def test_disconnected_connection_can_be_connected_again(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    acme.connect()
    [before] = acme.connection()["logins"]
    acme.disconnect()
    assert acme.connect().outcome == connected(deployed)
    [after] = acme.connection()["logins"]
    assert after["id"] != before["id"]
    assert acme.connection()["status"] == deployed.working_status
    assert acme.disconnect().status == 200
    assert live_token_count(deployed) == 0
