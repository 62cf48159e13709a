"""Customers do not see, change or take over the connections of other customers."""

import pytest

from local.fake_finch.seed_world import CEDARLINE, LENA, OWEN
from tests.acceptance.outcomes import connected, current_answers, live_token_count
from tests.support.deployed import Deployed
from tests.support.person import Person, connection_path


def test_customers_cannot_read_or_end_each_others_connections(deployed: Deployed) -> None:
    acme, globex = Person(deployed, "auth0|acme"), Person(deployed, "ada@globex.example")
    acme.connect()
    globex.connect(provider_id="justworks")
    gusto, justworks = map(deployed.finch_id, ("gusto", "justworks"))
    assert [shown["provider_id"] for shown in acme.connections()] == [gusto]
    assert [shown["provider_id"] for shown in globex.connections()] == [justworks]
    for method in ("GET", "DELETE"):
        other_customers = globex.call(method, acme.path())
        unknown = globex.call(method, connection_path(gusto, "unknown"))
        assert (other_customers.status, other_customers.code) == (unknown.status, unknown.code)
        assert other_customers.code == "connection_not_found"
    assert live_token_count(deployed) == 2


def test_cursor_of_another_customer_lists_only_own_connections(deployed: Deployed) -> None:
    acme, globex = Person(deployed, "auth0|acme"), Person(deployed, "ada@globex.example")
    acme.connect(provider_id="adp_run", login=OWEN)
    acme.connect(provider_id="gusto")
    globex.connect(provider_id="justworks")
    cursor = acme.call("GET", "/connections?limit=1").json["next_cursor"]
    shown = globex.call("GET", f"/connections?cursor={cursor}").json["connections"]
    assert [connection["provider_id"] for connection in shown] == [deployed.finch_id("justworks")]


def test_company_of_another_customer_is_refused_and_not_changed(deployed: Deployed) -> None:
    acme, globex = Person(deployed, "auth0|acme"), Person(deployed, "ada@globex.example")
    acme.connect()
    before = acme.connection()
    landing = globex.connect()
    assert landing.outcome == {"error": "cannot_connect"}
    assert landing.completion is None
    assert globex.connections() == []
    assert acme.connection() == before
    [held] = [row for row in deployed.tables.all_sessions() if row["phase"]["S"] == "held"]
    assert "escrow" in held
    assert "ttl" not in held
    assert live_token_count(deployed) == 2


def test_another_customer_can_connect_after_the_owner_disconnects(deployed: Deployed) -> None:
    acme, globex = Person(deployed, "auth0|acme"), Person(deployed, "ada@globex.example")
    acme.connect()
    acme.disconnect()
    assert globex.connect().outcome == connected(deployed)
    assert [one["status"] for one in acme.connections()] == ["disconnected"]
    assert deployed.tables.items(deployed.tables.ownerships)[0]["customer_id"][
        "S"
    ] == deployed.customer_id("ada@globex.example")


@pytest.mark.parametrize(
    "customer_id", ["", "null", "undefined", "[acme globex]", "x" * 257, "acme\n"]
)
def test_claim_that_names_no_customer_is_refused(deployed: Deployed, customer_id: str) -> None:
    refused = Person(deployed, customer_id).call("GET", "/connections")
    assert (refused.status, refused.code) == (403, "customer_unknown")


@pytest.mark.parametrize("customer_id", ["auth0|64ab12", "ada@acme.com", "ü #/%3F~2", "𝔞" * 256])
@current_answers
def test_customer_with_an_unusual_id_connects_and_disconnects(
    deployed: Deployed, customer_id: str
) -> None:
    person, similar = Person(deployed, customer_id), Person(deployed, f"{customer_id[:254]}~2")
    assert person.connect().outcome == connected(deployed)
    assert person.connect(provider_id="justworks").outcome["status"] == "connected"
    assert similar.connections() == []
    landing = similar.connect(provider_id="rippling", login=LENA, company_id=CEDARLINE.id)
    assert landing.outcome["status"] == "connected"
    names = [one.customer.id for one in deployed.finch.connections() if one.customer]
    assert len(set(names)) == len(names) == 3
    rows = deployed.tables.items(deployed.tables.connections)
    assert [row["customer_id"]["S"] for row in rows].count(customer_id) == 2
    assert person.disconnect().json["status"] == "disconnected"
    assert [one["status"] for one in similar.connections()] == ["connected"]
