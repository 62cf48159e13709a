"""An entity is disconnected only after Finch has confirmed it; the last one ends the connection."""

from typing import Any

import pytest

from local.fake_finch.seed_world import HARBOR_LANE, NORTHFOLD, TALLY
from tests.acceptance.outcomes import current_answers, live_token_count
from tests.support.deployed import Deployed, Reply
from tests.support.person import Person

# Only current answers name entities with a status of their own.
pytestmark = current_answers
ENTITY = "/disconnect-entity"


def connected(deployed: Deployed, customer_id: str = "auth0|acme") -> tuple[Person, list[str]]:
    """A customer with a connection, and the ids of its three entities."""
    person = Person(deployed, customer_id)
    person.connect(login=TALLY, company_id=NORTHFOLD.id)
    [login] = person.connection(company_id=NORTHFOLD.id)["logins"]
    assert len(login["entity_ids"]) == 3
    return person, login["entity_ids"]


def end(person: Person, entity_id: str) -> Reply:
    return person.disconnect_entity(entity_id, company_id=NORTHFOLD.id)


def shown(person: Person) -> dict[str, str]:
    """The status of each entity, as the API shows it."""
    [login] = person.connection(company_id=NORTHFOLD.id)["logins"]
    return {one["id"]: one["status"] for one in login["entities"]}


def at_finch(deployed: Deployed) -> set[str]:
    """The entities that are connected at Finch."""
    return {entity.id for one in deployed.finch.connections() for entity in one.present_entities}


def test_disconnected_entity_ends_alone(deployed: Deployed) -> None:
    acme, [first, *others] = connected(deployed)
    reply = end(acme, first)
    assert (reply.status, reply.json["status"]) == (200, "connected")
    assert shown(acme) == {first: "disconnected", **dict.fromkeys(others, "connected")}
    assert at_finch(deployed) == set(others)
    assert live_token_count(deployed) == 1


def test_second_request_for_an_entity_gets_the_same_response(deployed: Deployed) -> None:
    acme, [entity, *_] = connected(deployed)
    first, second = end(acme, entity), end(acme, entity)
    assert first.status == second.status == 200
    # A health check may run between the two requests. It changes only this field.
    assert first.json | {"checked_at": second.json["checked_at"]} == second.json
    assert deployed.finch.requests.count("POST", ENTITY) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"drop": "before_effect"},
        {"error": "rate_limit_exceeded_error"},
        {"error": "authentication_error", "finch_code": "reauthenticate_user"},
        {"error": "invalid_token_error"},
        {"error": "invalid_client_error"},
        {"status": 404},
        {"nonsense": "not json"},
        {"status": 200, "body": {"status": "queued"}},
    ],
    ids=str,
)
def test_entity_stays_disconnecting_until_finch_confirms(
    deployed: Deployed, fault: dict[str, Any]
) -> None:
    acme, [first, *others] = connected(deployed)
    deployed.finch.faults.add("POST", ENTITY, **fault)
    reply = end(acme, first)
    assert (reply.status, reply.json["status"]) == (202, "connected")
    assert shown(acme) == {first: "disconnecting", **dict.fromkeys(others, "connected")}
    assert at_finch(deployed) == {first, *others}
    assert end(acme, first).status == 200
    assert shown(acme)[first] == "disconnected"
    assert at_finch(deployed) == set(others)


def test_entity_whose_confirmation_was_lost_is_confirmed_by_introspection(
    deployed: Deployed,
) -> None:
    acme, [first, *_] = connected(deployed)
    deployed.finch.faults.add("POST", ENTITY, drop="after_effect")
    assert end(acme, first).status == 202
    assert end(acme, first).status == 200
    assert shown(acme)[first] == "disconnected"


def test_last_living_entity_ends_the_connection(deployed: Deployed) -> None:
    acme, [first, second, last] = connected(deployed)
    assert [end(acme, one).json["status"] for one in (first, second)] == ["connected"] * 2
    reply = end(acme, last)
    assert (reply.status, reply.json["status"]) == (200, "disconnected")
    assert live_token_count(deployed) == 0
    assert deployed.finch.requests.count("POST", ENTITY) == 2
    again = end(acme, last)
    assert (again.status, again.json) == (200, reply.json)


def test_only_entity_ends_the_connection(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    acme.connect()
    [login] = acme.connection()["logins"]
    [entity_id] = login["entity_ids"]
    reply = acme.disconnect_entity(entity_id, company_id=HARBOR_LANE.id)
    assert (reply.status, reply.json["status"]) == (200, "disconnected")
    assert live_token_count(deployed) == 0


def test_unknown_entity_gets_the_response_of_another_customers_entity(deployed: Deployed) -> None:
    acme, entity_ids = connected(deployed)
    globex = Person(deployed, "ada@globex.example")
    replies = [
        end(globex, entity_ids[0]),
        end(acme, "3a3ff2d2-0000-4000-8000-000000000000"),
        end(acme, "an entity/with#every~kind of.character"),
    ]
    assert {(one.status, one.code, one.json["detail"]) for one in replies} == {
        (404, "connection_not_found", "You have no such connection.")
    }
    assert at_finch(deployed) == set(entity_ids)
    assert deployed.finch.requests.count("POST", ENTITY) == 0


def test_entity_is_ended_for_every_login(deployed: Deployed) -> None:
    acme, [first, *others] = connected(deployed)
    acme.connect(login=TALLY, company_id=NORTHFOLD.id, products=["employment"])
    assert end(acme, first).status == 200
    logins = acme.connection(company_id=NORTHFOLD.id)["logins"]
    assert len(logins) == 2
    for login in logins:
        assert {one["id"]: one["status"] for one in login["entities"]} == {
            first: "disconnected",
            **dict.fromkeys(others, "connected"),
        }


def test_repair_brings_a_disconnected_entity_back(deployed: Deployed) -> None:
    acme, [first, *others] = connected(deployed)
    assert end(acme, first).status == 200
    acme.go_through(acme.repair_link(company_id=NORTHFOLD.id), login=TALLY, company_id=NORTHFOLD.id)
    assert shown(acme) == dict.fromkeys([first, *others], "connected")
    assert at_finch(deployed) == {first, *others}
