"""The main job with a Finch that answers as in its first reference, or with required fields only."""

from collections.abc import Callable

import pytest

from local.fake_finch.seed_world import HARBOR_LANE, JUNIPER_VALE, MAYA, OWEN, TALLY
from tests.acceptance.outcomes import connected, current_answers, exchange_count, live_token_count
from tests.support.deployed import Deployed
from tests.support.person import Person

pytestmark = current_answers

# The status that a working connection has with these answers.
STATUS = {"old": "unknown", "sparse": "connected"}


@pytest.fixture(params=["old", "sparse"])
def answers(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def deployed(empty_product: Callable[[], Deployed], answers: str) -> Deployed:
    """The product with no data, and a Finch with these answers."""
    product = empty_product()
    product.finch.change_switches(answers=answers)
    return product


def connect(acme: Person, **choices: str) -> str:
    """Connects; returns the company id, for which a sparse Finch makes us use the `connection_id`."""
    landing = acme.connect(**choices)
    assert landing.outcome["status"] == "connected"
    return landing.outcome["company_id"]


def test_connection_is_made_listed_and_ended(deployed: Deployed, answers: str) -> None:
    acme = Person(deployed, "auth0|acme")
    company_id = connect(acme)
    [shown] = acme.connections()
    assert (shown["status"], shown["company_id"]) == (STATUS[answers], company_id)
    assert shown["logins"][0]["products"] == ["company", "directory"]
    if answers == "old":
        assert company_id == deployed.finch_id(HARBOR_LANE.id)
    assert acme.disconnect(company_id=company_id).json["status"] == "disconnected"
    assert live_token_count(deployed) == 0
    assert deployed.tables.items(deployed.tables.ownerships) == []


def test_two_logins_end_together_where_finch_names_the_company(
    deployed: Deployed, answers: str
) -> None:
    acme = Person(deployed, "auth0|acme")
    companies = {connect(acme, login=MAYA), connect(acme, login=OWEN)}
    # A sparse Finch says nothing that makes both logins one employer.
    assert len(companies) == len(acme.connections()) == (1 if answers == "old" else 2)
    for company_id in companies:
        assert acme.disconnect(company_id=company_id).json["status"] == "disconnected"
    assert live_token_count(deployed) == 0


def test_two_providers_and_two_companies_end_independently(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    first = connect(acme, login=TALLY, company_id=HARBOR_LANE.id)
    second = connect(acme, login=TALLY, company_id=JUNIPER_VALE.id)
    third = connect(acme, provider_id="justworks", login=MAYA)
    assert len(acme.connections()) == 3
    assert acme.disconnect(company_id=second).json["status"] == "disconnected"
    assert live_token_count(deployed) == 2
    assert acme.disconnect("justworks", third).json["status"] == "disconnected"
    [left] = deployed.finch.live_tokens()
    assert deployed.finch.connection(left.connection_id).company_id == deployed.finch_id(
        HARBOR_LANE.id
    )
    assert acme.disconnect(company_id=first).json["status"] == "disconnected"


def test_browser_that_is_not_bound_confirms(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme", same_site=False)
    landing = acme.connect()
    assert landing.outcome["status"] == "confirm"
    assert landing.completion
    assert acme.connections() == []
    assert acme.confirm(landing.completion).json["status"] == "connected"
    assert len(acme.connections()) == 1
    assert exchange_count(deployed) == 1


def test_another_customer_cannot_take_the_company(deployed: Deployed, answers: str) -> None:
    acme, globex = Person(deployed, "auth0|acme"), Person(deployed, "ada@globex.example")
    company_id = connect(acme)
    expected = {"error": "cannot_connect"}
    if answers == "old":
        assert globex.connect(login=OWEN).outcome == expected
    assert globex.connect().outcome == expected
    assert globex.connections() == []
    assert acme.connection(company_id=company_id)["status"] == STATUS[answers]


def test_repair_leaves_one_working_login(deployed: Deployed, answers: str) -> None:
    acme = Person(deployed, "auth0|acme")
    company_id = connect(acme)
    assert acme.go_through(acme.repair_link(company_id=company_id)).outcome["status"] == "connected"
    [shown] = acme.connections()
    assert len(shown["logins"]) == 1
    assert acme.disconnect(company_id=company_id).json["status"] == "disconnected"
    assert live_token_count(deployed) == 0


def test_login_that_neither_state_nor_customer_ties_to_the_session_is_held(
    deployed: Deployed,
) -> None:
    """Neither state nor customer ties the login to the session: the token is held."""
    deployed.finch.change_switches(echo_state=False)
    acme = Person(deployed, "auth0|acme")
    assert acme.connect().outcome == {"error": "cannot_connect"}
    assert acme.connections() == []
    assert live_token_count(deployed) == 1
    deployed.finch.change_switches(echo_state=True, answers="current")
    assert acme.connect(login=TALLY).outcome["status"] == connected(deployed)["status"]
