"""Customers do not see, change or take over the connections of other customers."""

import pytest

from local.fake_finch.seed_world import HARBOR_LANE, OWEN
from tests.acceptance.outcomes import CONNECTED, live_token_count
from tests.support.deployed import Deployed
from tests.support.person import Person, connection_path


def test_customers_cannot_read_or_end_each_others_connections(deployed: Deployed) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect()
    globex.connect(provider_id="justworks")
    assert [shown["provider_id"] for shown in acme.connections()] == ["gusto"]
    assert [shown["provider_id"] for shown in globex.connections()] == ["justworks"]
    for method in ("GET", "DELETE"):
        other_customers = globex.call(method, connection_path("gusto", HARBOR_LANE.id))
        unknown = globex.call(method, connection_path("gusto", "unknown"))
        assert (other_customers.status, other_customers.code) == (unknown.status, unknown.code)
        assert other_customers.code == "connection_not_found"
    assert live_token_count(deployed) == 2


def test_cursor_of_another_customer_lists_only_own_connections(deployed: Deployed) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect(provider_id="adp_run", login=OWEN)
    acme.connect(provider_id="gusto")
    globex.connect(provider_id="justworks")
    cursor = acme.call("GET", "/connections?limit=1").json["next_cursor"]
    shown = globex.call("GET", f"/connections?cursor={cursor}").json["connections"]
    assert [connection["provider_id"] for connection in shown] == ["justworks"]


def test_company_of_another_customer_is_refused_and_not_changed(deployed: Deployed) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
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
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect()
    acme.disconnect()
    assert globex.connect().outcome == CONNECTED
    assert acme.connection()["status"] == "disconnected"
    assert deployed.tables.items(deployed.tables.ownerships)[0]["customer_id"]["S"] == "globex"


@pytest.mark.parametrize(
    "customer_id", ["", "a#b", "a/b", "acme~2", "a b", "ü", "x" * 201, "acme\n"]
)
def test_customer_id_with_invalid_characters_is_refused(
    deployed: Deployed, customer_id: str
) -> None:
    refused = Person(deployed, customer_id).call("GET", "/connections")
    assert (refused.status, refused.code) == (403, "customer_unknown")
