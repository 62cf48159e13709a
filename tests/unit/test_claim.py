"""The rules of claims."""

from dataclasses import replace

import pytest

from finch_connections.claim import Claim, ClaimedByAnother, row_of
from finch_connections.connection import CompanyKey, Grant

GRANT = Grant("connection-1", "gusto", frozenset(), company_id="company-1")


def test_a_grant_that_nobody_claims_belongs_to_its_company() -> None:
    assert row_of(GRANT, "acme", None) == CompanyKey("gusto", "company-1")


def test_a_connection_id_that_has_a_row_keeps_it() -> None:
    row = CompanyKey("gusto", "connection-1")
    claim = Claim.of_connection_id("connection-1", "acme", row)
    assert row_of(GRANT, "acme", claim) == row


def test_a_connection_id_of_another_customer_is_refused() -> None:
    claim = Claim.of_connection_id("connection-1", "globex", CompanyKey("gusto", "company-1"))
    with pytest.raises(ClaimedByAnother):
        row_of(GRANT, "acme", claim)


def test_a_connection_id_does_not_move_to_another_provider() -> None:
    claim = Claim.of_connection_id("connection-1", "acme", CompanyKey("gusto", "company-1"))
    with pytest.raises(ClaimedByAnother):
        row_of(replace(GRANT, provider_id="justworks"), "acme", claim)


def test_claims_on_companies_and_on_connections_are_never_the_same() -> None:
    key = CompanyKey("connection", "x")
    company, connection = Claim.of_company("acme", key), Claim.of_connection_id("x", "acme", key)
    assert company.claimed != connection.claimed


def test_a_refusal_says_nothing_of_the_other_customer() -> None:
    assert "connected elsewhere" not in str(ClaimedByAnother())
    assert "another" not in str(ClaimedByAnother())
