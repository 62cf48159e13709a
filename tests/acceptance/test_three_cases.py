"""The three cases that define a connection: multi-account, multi-provider and multi-entity."""

import pytest

from local.fake_finch.seed_world import HARBOR_LANE, JUNIPER_VALE, MAYA, NORTHFOLD, OWEN, TALLY
from tests.acceptance.outcomes import connected, current_answers, live_token_count
from tests.support.deployed import Deployed
from tests.support.person import Person


@current_answers
def test_multi_account_is_one_connection_and_disconnect_revokes_all_tokens(
    deployed: Deployed,
) -> None:
    acme = Person(deployed, "auth0|acme")
    acme.connect(login=MAYA)
    acme.connect(login=OWEN)
    [shown] = acme.connections()
    assert len(shown["logins"]) == 2
    assert live_token_count(deployed) == 2
    assert acme.disconnect().status == 200
    assert live_token_count(deployed) == 0


def test_multi_provider_is_two_connections_that_end_independently(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    acme.connect(provider_id="gusto")
    acme.connect(provider_id="justworks")
    assert [shown["provider_id"] for shown in acme.connections()] == [
        deployed.finch_id("gusto"),
        deployed.finch_id("justworks"),
    ]
    assert acme.disconnect("gusto").status == 200
    assert acme.connection("gusto")["status"] == "disconnected"
    assert acme.connection("justworks")["status"] == deployed.working_status
    [left] = deployed.finch.live_tokens()
    assert deployed.finch.connection(left.connection_id).provider_id == deployed.finch_id(
        "justworks"
    )


def test_multi_entity_is_two_connections_that_end_independently(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    acme.connect(login=TALLY, company_id=HARBOR_LANE.id)
    acme.connect(login=TALLY, company_id=JUNIPER_VALE.id)
    assert len(acme.connections()) == 2
    assert acme.disconnect(company_id=JUNIPER_VALE.id).status == 200
    assert acme.connection(company_id=JUNIPER_VALE.id)["status"] == "disconnected"
    assert acme.connection(company_id=HARBOR_LANE.id)["status"] == deployed.working_status
    [left] = deployed.finch.live_tokens()
    assert deployed.finch.connection(left.connection_id).company_id == deployed.finch_id(
        HARBOR_LANE.id
    )


@current_answers
def test_connection_with_several_entities_shows_them(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    acme.connect(login=TALLY, company_id=NORTHFOLD.id)
    [shown] = acme.connections()
    assert len(shown["logins"][0]["entity_ids"]) == 3


@pytest.mark.parametrize("same_connection", [False, True])
@current_answers
def test_four_connects_make_two_connections_that_end_independently(
    deployed: Deployed, same_connection: bool
) -> None:
    deployed.finch.switches.other_login_same_connection = same_connection
    acme = Person(deployed, "auth0|acme")
    acme.connect(login=MAYA, products=["company", "directory"])
    acme.connect(login=MAYA, products=["employment"])
    acme.connect(login=OWEN, products=["company"])
    first_three = {token.id for token in deployed.finch.live_tokens()}
    acme.connect(provider_id="justworks", login=MAYA)
    gusto, justworks = acme.connections()
    assert {login["id"] for login in gusto["logins"]} == first_three
    assert len(first_three) == 3
    assert len({login["connection_id"] for login in gusto["logins"]}) == (
        1 if same_connection else 2
    )
    assert acme.disconnect("gusto").status == 200
    [left] = deployed.finch.live_tokens()
    assert left.id == justworks["logins"][0]["id"]
    assert acme.connection("justworks")["status"] == deployed.working_status


@current_answers
def test_same_login_with_the_same_products_replaces_its_token(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    acme.connect()
    acme.connect()
    [shown] = acme.connections()
    [login] = shown["logins"]
    newest = max(deployed.finch.tokens(), key=lambda token: token.created_at)
    assert login["id"] == newest.id
    assert deployed.finch.requests.count("POST", "/disconnect") == 0
    assert acme.disconnect().status == 200
    assert live_token_count(deployed) == 0


@pytest.mark.parametrize(("token", "introspect"), [("absent", "present"), ("present", "absent")])
@current_answers
def test_company_id_in_only_one_finch_response_is_enough(
    deployed: Deployed, token: str, introspect: str
) -> None:
    deployed.finch.change_switches(token_company_id=token, introspect_company_id=introspect)
    acme, globex = Person(deployed, "auth0|acme"), Person(deployed, "ada@globex.example")
    assert acme.connect(login=MAYA).outcome == connected(deployed)
    assert acme.connect(login=OWEN).outcome == connected(deployed)
    assert len(acme.connection()["logins"]) == 2
    assert globex.connect(login=TALLY).outcome == {"error": "cannot_connect"}


@pytest.mark.parametrize("absent", ["null", "absent"])
@current_answers
def test_connection_id_replaces_a_missing_company_id(deployed: Deployed, absent: str) -> None:
    deployed.finch.change_switches(token_company_id=absent, introspect_company_id=absent)
    acme = Person(deployed, "auth0|acme")
    landing = acme.connect()
    [token] = deployed.finch.live_tokens()
    assert landing.outcome["company_id"] == token.connection_id
    deployed.finch.change_switches(token_company_id="present", introspect_company_id="present")
    again = acme.connect(products=["employment"])
    assert again.outcome["company_id"] == token.connection_id
    [shown] = acme.connections()
    assert len(shown["logins"]) == 2
    assert acme.disconnect(company_id=token.connection_id).status == 200
    assert live_token_count(deployed) == 0
