"""Rules of ownership."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from finch_connections.domain.connection import (
    TRANSFERRED,
    CompanyKey,
    Connection,
    ConnectionBusy,
    ConnectionStatus,
    Token,
)
from finch_connections.domain.ownership import (
    Discard,
    OwnedByAnother,
    Ownership,
    OwnershipRecord,
    discard_of,
    freed,
    learned,
    others,
    require_free,
    row_of,
)
from finch_connections.domain.token_response import TokenResponse

TOKEN_RESPONSE = TokenResponse("connection-1", "gusto", frozenset(), company_id="company-1")
ROW = CompanyKey("gusto", "company-1")


def owned(customer_id: str, key: CompanyKey = ROW) -> OwnershipRecord:
    owner = Ownership.of_connection_id("connection-1", customer_id, key)
    return OwnershipRecord(owner.owned_id, owner)


def held(*sessions: str, discarding: str | None = None) -> OwnershipRecord:
    return OwnershipRecord("connection#connection-1", None, frozenset(sessions), discarding)


def with_connection_ids(*connection_ids: str) -> Connection:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    connected = ConnectionStatus.CONNECTED
    tokens = tuple(Token(one, one, frozenset(), connected, now) for one in connection_ids)
    return Connection("acme", ROW, tokens, connected, now, now, revision=1)


def test_token_response_without_an_owner_belongs_to_its_company() -> None:
    assert row_of(TOKEN_RESPONSE, "acme", None, None) == CompanyKey("gusto", "company-1")


def test_connection_id_that_has_a_row_keeps_it() -> None:
    row = CompanyKey("gusto", "connection-1")
    record = owned("acme", row)
    assert row_of(TOKEN_RESPONSE, "acme", record, None) == row


def test_connection_id_of_another_customer_is_refused() -> None:
    record = owned("globex")
    with pytest.raises(OwnedByAnother):
        row_of(TOKEN_RESPONSE, "acme", record, None)


RENAMED = replace(TOKEN_RESPONSE, provider_id="gusto-2", company_id="company-2")


def renamed_company(customer_id: str, key: CompanyKey = ROW) -> OwnershipRecord:
    owner = Ownership.of_company(customer_id, key, CompanyKey("gusto-2", "company-2"))
    return OwnershipRecord(owner.owned_id, owner)


def test_connection_id_keeps_its_row_when_finch_renames_provider_and_company() -> None:
    assert row_of(RENAMED, "acme", owned("acme"), None) == ROW
    assert row_of(RENAMED, "acme", owned("acme"), renamed_company("acme")) == ROW


def test_new_login_of_a_renamed_company_belongs_to_the_row_that_learned_the_name() -> None:
    assert row_of(RENAMED, "acme", None, renamed_company("acme")) == ROW
    # The write of this key fails, because the other customer owns it.
    assert row_of(RENAMED, "acme", None, renamed_company("globex")) == CompanyKey(
        "gusto-2", "company-2"
    )


def test_renamed_company_of_another_customer_is_refused() -> None:
    with pytest.raises(OwnedByAnother):
        row_of(RENAMED, "acme", owned("acme"), renamed_company("globex"))


def test_company_and_connection_ownerships_never_have_the_same_id() -> None:
    key = CompanyKey("connection", "x")
    company = Ownership.of_company("acme", key)
    connection = Ownership.of_connection_id("x", "acme", key)
    assert company.owned_id != connection.owned_id


def test_refusal_does_not_mention_another_customer() -> None:
    assert "connected elsewhere" not in str(OwnedByAnother())
    assert "another" not in str(OwnedByAnother())


def test_connection_is_busy_while_its_token_is_discarded() -> None:
    with pytest.raises(ConnectionBusy):
        row_of(TOKEN_RESPONSE, "acme", held("one", discarding="one"), None)


def test_ownership_is_free_without_another_owner_or_discard() -> None:
    wanted = Ownership.of_connection_id("connection-1", "acme", ROW)
    for record in (None, owned("acme"), held("one", "two")):
        require_free(wanted, record)
    with pytest.raises(OwnedByAnother):
        require_free(wanted, owned("globex"))
    with pytest.raises(OwnedByAnother):
        require_free(wanted, owned("acme", CompanyKey("gusto", "company-2")))
    with pytest.raises(ConnectionBusy):
        require_free(wanted, held("one", discarding="one"))


@pytest.mark.parametrize(
    ("connection", "company", "discard"),
    [
        (held("one"), None, Discard.END),
        (None, None, Discard.END),
        (held("one"), OwnershipRecord("company#x", None, discarding="two"), Discard.END),
        (held("one", "two"), None, Discard.DROP),
        (owned("globex"), owned("globex"), Discard.DROP),
        (owned("acme"), owned("acme"), Discard.DROP),
        (held("one"), owned("globex"), Discard.ASK),
        (held("one"), owned("acme"), Discard.ASK),
    ],
)
def test_discard_ends_a_connection_only_without_other_users(
    connection: OwnershipRecord | None, company: OwnershipRecord | None, discard: Discard
) -> None:
    assert discard_of("one", connection, company) is discard


def test_ownership_names_what_is_owned_and_its_owner() -> None:
    assert Ownership.of_company("acme", ROW) == Ownership("company#gusto#company-1", "acme", ROW)
    connection = Ownership.of_connection_id("connection-1", "acme", ROW)
    assert connection == Ownership("connection#connection-1", "acme", ROW)
    renamed = Ownership.of_company("acme", ROW, CompanyKey("gusto-2", "company-2"))
    assert renamed == Ownership("company#gusto-2#company-2", "acme", ROW)
    # Webhooks are looked up by Finch's present id of the company.
    assert (renamed.company_id, connection.company_id) == ("company-2", None)


def test_connection_id_stays_in_its_row_under_another_name() -> None:
    assert row_of(TOKEN_RESPONSE, "acme", owned("acme"), None) == ROW
    renamed = replace(TOKEN_RESPONSE, company_id="company-2")
    assert row_of(renamed, "acme", owned("acme"), None) == ROW
    with pytest.raises(OwnedByAnother):
        row_of(renamed, "globex", owned("acme"), None)


def test_connection_without_its_last_token_frees_the_company_too() -> None:
    both, first, none = (
        with_connection_ids("1", "2"),
        with_connection_ids("1"),
        with_connection_ids(),
    )
    second_id = Ownership.of_connection_id("2", "acme", ROW)
    assert freed(both, first) == [second_id]
    assert freed(both, both) == []
    first_id, company = (
        Ownership.of_connection_id("1", "acme", ROW),
        Ownership.of_company("acme", ROW),
    )
    assert freed(both, none) == [company, first_id, second_id]


def test_renamed_connection_owns_its_company_under_both_names() -> None:
    renamed = replace(with_connection_ids("1"), finch_key=CompanyKey("gusto-2", "company-2"))
    [name] = learned(with_connection_ids("1"), renamed)
    assert name == Ownership("company#gusto-2#company-2", "acme", ROW)


def test_only_new_connection_ids_are_learned() -> None:
    both, first = with_connection_ids("1", "2"), with_connection_ids("1")
    assert learned(first, both) == [Ownership.of_connection_id("2", "acme", ROW)]
    assert learned(both, first) == []


def test_others_are_owners_and_holders_except_the_session() -> None:
    assert others("one", None, held("one")) == frozenset()
    found = others("one", held("one", "two"), owned("globex"), held("three"))
    assert found == {"two", "three", "connection#connection-1 globex gusto#company-1"}


def test_transferred_connection_frees_its_company_under_each_name() -> None:
    renamed = CompanyKey("gusto", "renamed")
    before = replace(with_connection_ids("connection-1"), finch_key=renamed)
    transferred = replace(before, problem=TRANSFERRED)
    assert freed(before, transferred) == [
        Ownership.of_company("acme", ROW),
        Ownership.of_company("acme", ROW, renamed),
    ]
    assert freed(transferred, before) == []
