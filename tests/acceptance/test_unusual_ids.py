"""Ids of Finch with characters that separate, escape or end something in a key, path or query."""

from urllib.parse import quote

import pytest

from local.fake_finch.seed_world import CEDARLINE, HARBOR_LANE, JUNIPER_VALE, NORTHFOLD, TALLY
from tests.acceptance.outcomes import usual_ids
from tests.support.deployed import Deployed
from tests.support.person import Person, rename_at_finch

pytestmark = usual_ids


@pytest.mark.parametrize(
    ("provider_id", "company_id"),
    [
        ("a b", "c d"),
        ("a/b", "c/../d"),
        ("a#b", "c#d"),
        ("a~23b", "c~2Fd"),
        ("100%", "%2F%23%25"),
        ("a?b", "c?d=e&f"),
        (".", ".."),
        ("lohn-ü", "Müller & Söhne 日本"),
        ("p" * 255, "c" * 255),
        ("a" * 3, "𝔞" * 255),
    ],
)
def test_connection_with_unusual_ids_is_shown_repaired_and_disconnected(
    deployed: Deployed, provider_id: str, company_id: str
) -> None:
    acme = Person(deployed, "auth0|acme")
    acme.connect(provider_id="justworks")
    rename_at_finch(deployed, provider_id=provider_id, company_id=company_id)
    outcome = {"status": "connected", "provider_id": provider_id, "company_id": company_id}
    assert acme.connect().outcome == outcome
    shown = acme.connection(provider_id, company_id)
    assert (shown["provider_id"], shown["company_id"]) == (provider_id, company_id)
    first = acme.call("GET", "/connections?limit=1").json
    second = acme.call("GET", f"/connections?limit=1&cursor={quote(first['next_cursor'])}").json
    assert shown in (*first["connections"], *second["connections"])
    assert len(acme.connections()) == 2
    assert acme.repair_link(provider_id, company_id)
    assert acme.disconnect(provider_id, company_id).json["status"] == "disconnected"
    assert {one["status"] for one in acme.connections()} == {
        deployed.working_status,
        "disconnected",
    }


def test_similar_ids_are_different_connections(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    pairs = [("a#b", "c"), ("a", "b#c"), ("a~23b", "c"), ("a", "b~23c")]
    companies = (HARBOR_LANE, JUNIPER_VALE, NORTHFOLD)
    at_finch = [("gusto", one.id) for one in companies] + [("justworks", CEDARLINE.id)]
    for (provider_id, company_id), finch in zip(pairs, at_finch, strict=True):
        deployed.finch.faults.clear()
        rename_at_finch(deployed, provider_id=provider_id, company_id=company_id)
        landing = acme.connect(provider_id=finch[0], login=TALLY, company_id=finch[1])
        assert landing.outcome["company_id"] == company_id
    shown = [(one["provider_id"], one["company_id"]) for one in acme.connections()]
    assert sorted(shown) == sorted(pairs)


@pytest.mark.parametrize("company_id", ["x" * 256, "a\nb", "\u202ea", "𝔞" * 255])
def test_connection_whose_ids_cannot_be_stored_is_held(deployed: Deployed, company_id: str) -> None:
    acme = Person(deployed, "auth0|acme")
    rename_at_finch(deployed, provider_id="provider", company_id=company_id)
    assert acme.connect().outcome == {"error": "cannot_connect"}
    assert acme.connections() == []
    [session] = deployed.tables.all_sessions()
    assert session["phase"]["S"] == "held"


@pytest.mark.parametrize("separator", ["%2F", "/", "%3F"])
def test_percent_encoded_separator_reaches_no_connection(
    deployed: Deployed, separator: str
) -> None:
    """API Gateway decodes the path before it looks for the route."""
    acme = Person(deployed, "auth0|acme")
    rename_at_finch(deployed, company_id=f"a{separator}b")
    acme.connect()
    assert acme.call("GET", f"/connections/gusto/a{separator}b").status == 404
    assert acme.connection("gusto", f"a{separator}b")["status"] == deployed.working_status


@pytest.mark.parametrize("company_id", ["a b", "a#b", "ü", "a~b"])
def test_other_percent_encoded_ids_reach_their_connection(
    deployed: Deployed, company_id: str
) -> None:
    acme = Person(deployed, "auth0|acme")
    rename_at_finch(deployed, company_id=company_id)
    acme.connect()
    path = f"/connections/gusto/{quote(company_id, safe='')}"
    assert acme.call("GET", path).json["company_id"] == company_id
