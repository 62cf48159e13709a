"""The rules of claims."""

from dataclasses import replace

import pytest

from finch_connections.claim import (
    Claim,
    ClaimedByAnother,
    Ownership,
    Release,
    release_of,
    require_free,
    row_of,
)
from finch_connections.connection import CompanyKey, ConnectionBusy
from finch_connections.grant import Grant

GRANT = Grant("connection-1", "gusto", frozenset(), company_id="company-1")
ROW = CompanyKey("gusto", "company-1")


def owned(customer_id: str, key: CompanyKey = ROW) -> Claim:
    owner = Ownership.of_connection_id("connection-1", customer_id, key)
    return Claim(owner.claimed, owner)


def held(*sessions: str, releasing: str | None = None) -> Claim:
    return Claim("connection#connection-1", None, frozenset(sessions), releasing)


def test_a_grant_that_nobody_claims_belongs_to_its_company() -> None:
    assert row_of(GRANT, "acme", None) == CompanyKey("gusto", "company-1")


def test_a_connection_id_that_has_a_row_keeps_it() -> None:
    row = CompanyKey("gusto", "connection-1")
    claim = owned("acme", row)
    assert row_of(GRANT, "acme", claim) == row


def test_a_connection_id_of_another_customer_is_refused() -> None:
    claim = owned("globex")
    with pytest.raises(ClaimedByAnother):
        row_of(GRANT, "acme", claim)


def test_a_connection_id_does_not_move_to_another_provider() -> None:
    claim = owned("acme")
    with pytest.raises(ClaimedByAnother):
        row_of(replace(GRANT, provider_id="justworks"), "acme", claim)


def test_claims_on_companies_and_on_connections_are_never_the_same() -> None:
    key = CompanyKey("connection", "x")
    company = Ownership.of_company("acme", key)
    connection = Ownership.of_connection_id("x", "acme", key)
    assert company.claimed != connection.claimed


def test_a_refusal_says_nothing_of_the_other_customer() -> None:
    assert "connected elsewhere" not in str(ClaimedByAnother())
    assert "another" not in str(ClaimedByAnother())


def test_a_connection_that_is_being_released_is_nobodys_until_that_is_over() -> None:
    with pytest.raises(ConnectionBusy):
        row_of(GRANT, "acme", held("one", releasing="one"))


def test_a_claim_that_is_ours_or_nobodys_is_free() -> None:
    wanted = Ownership.of_connection_id("connection-1", "acme", ROW)
    for claim in (None, owned("acme"), held("one", "two")):
        require_free(wanted, claim)
    with pytest.raises(ClaimedByAnother):
        require_free(wanted, owned("globex"))
    with pytest.raises(ClaimedByAnother):
        require_free(wanted, owned("acme", CompanyKey("gusto", "company-2")))
    with pytest.raises(ConnectionBusy):
        require_free(wanted, held("one", releasing="one"))


@pytest.mark.parametrize(
    ("connection", "company", "release"),
    [
        (held("one"), None, Release.END),
        (None, None, Release.END),
        (held("one"), Claim("company#x", None, releasing="two"), Release.END),
        (held("one", "two"), None, Release.DROP),
        (owned("globex"), owned("globex"), Release.DROP),
        (owned("acme"), owned("acme"), Release.DROP),
        (held("one"), owned("globex"), Release.ASK),
        (held("one"), owned("acme"), Release.ASK),
    ],
)
def test_a_token_ends_its_connection_only_where_that_cuts_off_nobody(
    connection: Claim | None, company: Claim | None, release: Release
) -> None:
    assert release_of("one", connection, company) is release
