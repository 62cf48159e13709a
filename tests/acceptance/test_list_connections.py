"""The list of connections, a single connection, and unknown routes."""

import pytest

from local.fake_finch.seed_world import OWEN
from tests.support.deployed import Deployed
from tests.support.person import Person, connection_path


def test_list_is_paged_and_filtered_by_status(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    assert acme.call("GET", "/connections").json == {"connections": [], "next_cursor": None}
    acme.connect(provider_id="adp_run", login=OWEN)
    acme.connect(provider_id="gusto")
    acme.connect(provider_id="justworks")
    acme.disconnect("gusto")
    adp_run, gusto, justworks = map(deployed.finch_id, ("adp_run", "gusto", "justworks"))
    assert [shown["provider_id"] for shown in acme.connections(limit=1)] == [
        adp_run,
        gusto,
        justworks,
    ]
    assert [shown["provider_id"] for shown in acme.connections(status="disconnected")] == [gusto]
    chosen = acme.connections(status=f"{deployed.working_status},reauth", limit=1)
    assert [connection["provider_id"] for connection in chosen] == [adp_run, justworks]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=ten",
        "limit=1.5",
        "limit=%D9%A3",
        "limit=",
        "limit=99999",
        "limit=00010",
        "limit=0001" + "9" * 4400,
        "status=lost",
        "status=",
        "status=connected,",
        "status=Connected",
        "cursor=x",
        "cursor=%00",
        "cursor=Z3VzdG8",
        "cursor=Z3VzdG8jYQpi",
        "cursor=YX40MSNi",
        "cursor=",
        "cursor=%C3%BC",
    ],
)
def test_invalid_list_query_is_refused(deployed: Deployed, query: str) -> None:
    refused = Person(deployed, "auth0|acme").call("GET", f"/connections?{query}")
    assert (refused.status, refused.code) == (400, "invalid_request")


@pytest.mark.parametrize("company_id", ["a#b", "ü", "%", "a b", "x" * 201, "unknown"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_invalid_or_unknown_connection_id_is_not_found(
    deployed: Deployed, method: str, company_id: str
) -> None:
    refused = Person(deployed, "auth0|acme").call(method, connection_path("gusto", company_id))
    assert (refused.status, refused.code) == (404, "connection_not_found")


@pytest.mark.parametrize(
    "path", ["/", "/connection", "/connections/gusto", "/connect", "/favicon.ico"]
)
def test_unknown_route_gets_the_common_error_shape(deployed: Deployed, path: str) -> None:
    refused = deployed.api.send("GET", path)
    assert (refused.status, refused.code) == (404, "route_not_found")
