"""The rules of connections."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finch_connections.domain.connection import (
    DISCONNECT_REFUSED,
    MAX_SET_BYTES,
    MAX_TOKENS,
    CompanyKey,
    Connection,
    ConnectionBusy,
    ConnectionStatus,
    Token,
    TooManyLogins,
    UnusableIdentifier,
    attach,
    disconnected,
    disconnecting,
    most_urgent,
    partly_ended,
    reencrypted,
    restored,
)
from finch_connections.domain.token_response import (
    Introspection,
    TokenResponse,
    company_key,
    require_usable_ids,
    token_of,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = CompanyKey("gusto", "company-1")
FINCHS_WORDS = [status for status in ConnectionStatus if not status.startswith("disconnect")]


def token(id_: str, **fields: object) -> Token:
    plain = Token(
        id=id_,
        connection_id="connection-1",
        products=frozenset({"company"}),
        status=ConnectionStatus.CONNECTED,
        connected_at=NOW,
        account_id="account-1",
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


def connected(*tokens: Token) -> Connection:
    connection: Connection | None = None
    for one in tokens:
        connection = attach(connection, "acme", KEY, one, one.id.encode(), NOW)
    assert connection is not None
    return connection


def ids(connection: Connection) -> set[str]:
    assert connection.ciphertexts.keys() == {one.id for one in connection.tokens}
    return set(connection.ciphertexts)


def test_a_first_token_makes_a_connection() -> None:
    made = connected(token("t1"))
    assert (made.revision, made.status) == (1, ConnectionStatus.CONNECTED)
    assert made.ciphertexts == {"t1": b"t1"}


def test_another_login_adds_its_token() -> None:
    assert ids(connected(token("t1"), token("t2", account_id="account-2"))) == {"t1", "t2"}


def test_another_connection_id_adds_its_token() -> None:
    made = connected(token("t1"), token("t2", connection_id="connection-2"))
    assert ids(made) == {"t1", "t2"}
    assert made.connection_ids == ("connection-1", "connection-2")


def test_other_products_of_one_login_add_a_token() -> None:
    assert ids(connected(token("t1"), token("t2", products=frozenset({"directory"})))) == {
        "t1",
        "t2",
    }


def test_a_token_that_covers_an_older_one_of_its_login_replaces_it() -> None:
    wider = token("t2", products=frozenset({"company", "directory"}))
    assert ids(connected(token("t1"), wider)) == {"t2"}


def test_a_narrower_token_does_not_replace_a_wider_one() -> None:
    wider = token("t1", products=frozenset({"company", "directory"}))
    assert ids(connected(wider, token("t2"))) == {"t1", "t2"}


def test_the_same_token_again_changes_nothing_but_the_revision() -> None:
    once, twice = connected(token("t1")), connected(token("t1"), token("t1"))
    assert replace(twice, revision=once.revision) == once


@given(
    st.lists(
        st.builds(
            token,
            st.uuids().map(str),
            connection_id=st.sampled_from(["c1", "c2"]),
            account_id=st.sampled_from(["a1", "a2", None]),
            products=st.frozensets(st.sampled_from(["company", "directory", "ssn"])),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_every_connection_id_that_was_ever_attached_can_still_be_ended(tokens: list[Token]) -> None:
    """A dropped token is always covered by one of the same connection id that is kept."""
    made = connected(*tokens)
    assert set(made.connection_ids) == {one.connection_id for one in tokens}
    for one in tokens:
        assert any(kept.same_login(one) and kept.products >= one.products for kept in made.tokens)
    assert ids(made) == {one.id for one in made.tokens}


def test_a_connection_on_its_way_out_takes_no_token() -> None:
    leaving = disconnecting(connected(token("t1")), NOW)
    with pytest.raises(ConnectionBusy):
        attach(leaving, "acme", KEY, token("t2"), b"t2", NOW)


def test_a_connection_keeps_its_tokens_until_it_is_disconnected() -> None:
    leaving = disconnecting(connected(token("t1")), NOW)
    assert ids(leaving) == {"t1"}
    gone = disconnected(leaving, NOW)
    assert (gone.tokens, gone.ciphertexts, gone.status) == ((), {}, ConnectionStatus.DISCONNECTED)
    assert (leaving.revision, gone.revision) == (2, 3)


def test_a_disconnected_connection_can_be_made_again() -> None:
    gone = disconnected(disconnecting(connected(token("t1")), NOW), NOW)
    again = attach(gone, "acme", KEY, token("t2", connection_id="c2"), b"t2", NOW + timedelta(1))
    assert ids(again) == {"t2"}
    assert (again.status, again.created_at) == (ConnectionStatus.CONNECTED, NOW)


def test_there_is_a_limit_to_logins() -> None:
    full = connected(*(token(f"t{n}", account_id=f"a{n}") for n in range(MAX_TOKENS)))
    with pytest.raises(TooManyLogins):
        attach(full, "acme", KEY, token("more", account_id="more"), b"", NOW)
    assert len(attach(full, "acme", KEY, token("same", account_id="a1"), b"", NOW).tokens) == 50


def test_there_is_a_limit_to_entities() -> None:
    many = frozenset(f"{n:049}" for n in range(MAX_SET_BYTES // 50 - 1))
    full = connected(token("t1", entity_ids=many))
    with pytest.raises(TooManyLogins):
        attach(
            full,
            "acme",
            KEY,
            token("t2", account_id="a2", entity_ids=frozenset({"x" * 60})),
            b"",
            NOW,
        )
    with pytest.raises(TooManyLogins):
        connected(token("t1", entity_ids=many | {"x" * 60}))


def test_an_older_token_does_not_replace_a_newer_one() -> None:
    newer = token("t2", connected_at=NOW + timedelta(minutes=1))
    assert ids(connected(newer, token("t1"))) == {"t1", "t2"}
    assert ids(connected(token("t1"), newer)) == {"t2"}


def test_what_is_said_of_a_connection_id_holds_for_all_of_its_tokens() -> None:
    processing = ConnectionStatus.PROCESSING
    made = connected(
        token("t1", status=processing, products=frozenset({"ssn"})),
        token("t2", status=processing, connection_id="connection-2"),
        token("t3"),
    )
    assert [one.status.value for one in made.tokens] == ["connected", "processing", "connected"]


def test_what_is_partly_ended_keeps_its_tokens_and_its_note_goes_with_them() -> None:
    leaving = disconnecting(connected(token("t1"), token("t2", connection_id="c2")), NOW)
    part = partly_ended(leaving, {"c2"}, NOW)
    assert (set(part.ended), ids(part)) == ({"c2"}, {"t1", "t2"})
    assert part.revision == leaving.revision + 1
    assert disconnected(part, NOW).ended == frozenset()


@pytest.mark.parametrize("first", FINCHS_WORDS)
@pytest.mark.parametrize("second", FINCHS_WORDS)
def test_the_connection_shows_the_status_that_most_needs_a_person(
    first: ConnectionStatus, second: ConnectionStatus
) -> None:
    made = connected(token("t1", status=first), token("t2", connection_id="c2", status=second))
    assert made.status is most_urgent([first, second])
    assert made.status in (first, second)


def test_reauth_is_the_most_urgent_and_connected_the_least() -> None:
    for order in permutations(FINCHS_WORDS, 2):
        if ConnectionStatus.REAUTH in order:
            assert most_urgent(order) is ConnectionStatus.REAUTH
        elif ConnectionStatus.CONNECTED in order:
            assert most_urgent(order) is not ConnectionStatus.CONNECTED


@pytest.mark.parametrize(
    "word", ["error_no_accout_setup", "error_reauth", "", "CONNECTED", "disconnected", "unknown"]
)
def test_words_of_no_document_are_unknown(word: str) -> None:
    assert ConnectionStatus.of_finch(word) is ConnectionStatus.UNKNOWN


@pytest.mark.parametrize("bad", ["", "a#b", "a/b", "a b", "ü", "a\n", "x" * 201, "%23"])
def test_a_key_has_no_part_that_could_be_mistaken(bad: str) -> None:
    for parts in ((bad, "company-1"), ("gusto", bad)):
        with pytest.raises(UnusableIdentifier):
            CompanyKey(*parts)


@given(st.text(), st.text())
def test_no_two_keys_are_written_the_same(provider_id: str, company_id: str) -> None:
    try:
        key = CompanyKey(provider_id, company_id)
    except UnusableIdentifier:
        return
    assert CompanyKey.parse(str(key)) == key


def token_response(**fields: object) -> TokenResponse:
    plain = TokenResponse("connection-1", "gusto", frozenset({"company"}), company_id="company-1")
    return replace(plain, **fields)  # type: ignore[arg-type]


def introspection(**fields: object) -> Introspection:
    plain = Introspection(
        "token-1",
        "our-client",
        "connection-1",
        "gusto",
        frozenset({"company", "ssn"}),
        ConnectionStatus.PENDING,
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


def test_the_connection_id_stands_in_for_a_missing_company_id() -> None:
    assert str(company_key(token_response())) == "gusto#company-1"
    assert str(company_key(token_response(company_id=None))) == "gusto#connection-1"
    assert str(company_key(token_response(company_id=""))) == "gusto#connection-1"


def test_a_token_has_the_products_that_were_granted_and_the_status_of_now() -> None:
    made = token_of(token_response(), introspection(), "acme~2", NOW)
    assert made.products == {"company"}
    assert made.status is ConnectionStatus.PENDING
    assert (made.id, made.finch_customer_id) == ("token-1", "acme~2")


@pytest.mark.parametrize("bad", ["a#b", "", "ü"])
def test_ids_of_finch_that_cannot_be_told_apart_are_refused(bad: str) -> None:
    for one in (
        token_response(connection_id=bad),
        token_response(account_id=bad),
        token_response(entity_ids=frozenset({bad})),
    ):
        with pytest.raises(UnusableIdentifier):
            require_usable_ids(one, introspection())
    for two in (introspection(token_id=bad), introspection(account_id=bad)):
        with pytest.raises(UnusableIdentifier):
            require_usable_ids(token_response(), two)
    require_usable_ids(token_response(), introspection())


# Other ciphertexts, and backups


def test_sealed_anew_it_is_the_same_to_everybody_else() -> None:
    before = attach(None, "acme", KEY, token("t1"), b"old", NOW)
    after = reencrypted(before, {"t1": b"new"})
    assert after.ciphertexts == {"t1": b"new"}
    assert after.quiet_revision == after.revision == before.revision + 1
    assert replace(after, ciphertexts=before.ciphertexts, revision=before.revision) == before


def test_of_a_backup_comes_back_what_lives_and_what_its_customer_wanted() -> None:
    both = attach(None, "acme", KEY, token("t1"), b"1", NOW)
    both = attach(both, "acme", KEY, token("t2", connection_id="c2"), b"2", NOW)
    unwanted = replace(both, problem=DISCONNECT_REFUSED, revision=7)
    back = restored(None, unwanted, [token("t2", connection_id="c2")], NOW)
    assert ([one.id for one in back.tokens], back.ciphertexts) == (["t2"], {"t2": b"2"})
    assert (back.revision, back.problem, back.checked_at) == (1, DISCONNECT_REFUSED, None)
    unwanted = disconnecting(both, NOW)
    assert restored(None, unwanted, both.tokens, NOW).status is ConnectionStatus.DISCONNECTING
    assert restored(both, unwanted, both.tokens[:1], NOW).status is ConnectionStatus.CONNECTED


def test_what_is_there_is_kept_beside_what_comes_back() -> None:
    backup = attach(None, "acme", KEY, token("t1"), b"1", NOW)
    there = attach(None, "acme", KEY, token("t3", connection_id="c3"), b"3", NOW)
    back = restored(there, backup, [token("t1")], NOW)
    assert back.ciphertexts == {"t1": b"1", "t3": b"3"}
    assert back.revision == there.revision + 1
    with pytest.raises(ConnectionBusy):
        restored(disconnecting(there, NOW), backup, [token("t1")], NOW)
