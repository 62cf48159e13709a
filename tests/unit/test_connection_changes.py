"""Each change of a connection, field by field: a field that a test does not name must stay."""

from dataclasses import replace
from datetime import timedelta

import pytest

from finch_connections.domain.connection import (
    ANOTHER_COMPANY,
    CONNECT_AGAIN,
    DISCONNECT_REFUSED,
    ENTITY_DISCONNECT_REFUSED,
    FIRST_LOOK,
    MAX_ENDING_ENTITIES,
    MAX_LOGIN_BYTES,
    MAX_SHOWN_BYTES,
    REFUSED_FOR,
    TRANSFERRED,
    CompanyKey,
    Connection,
    ConnectionBusy,
    ConnectionNotFound,
    ConnectionStatus,
    Token,
    UnusableIdentifier,
    attach,
    disconnect_refused,
    disconnected,
    disconnecting,
    entity_disconnected,
    entity_disconnecting,
    entity_refused,
    fits,
    free_to_connect,
    not_repaired,
    packed,
    partly_ended,
    refused_for_days,
    restored,
    status_of_tokens,
    to_repair,
    transferred,
    with_entity_names,
    with_names,
)
from tests.unit.test_connection import KEY, NOW, token

EARLIER, LATER = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
CONNECTED, REAUTH = ConnectionStatus.CONNECTED, ConnectionStatus.REAUTH
DISCONNECTED, DISCONNECTING = ConnectionStatus.DISCONNECTED, ConnectionStatus.DISCONNECTING
# Two entities of the first login live, and its third entity has ended.
FIRST = token(
    "t1",
    entity_ids=frozenset({"e1", "e2", "e3"}),
    entities={"e1": "connected", "e2": "reauth", "e3": "disconnected"},
)
SECOND = token("t2", connection_id="connection-2", account_id="account-2", status=REAUTH)
PAIR = "pair#gusto#company-1"


ICON = "https://finch.example/gusto.svg"


def full(**changes: object) -> Connection:
    """A connection in which each field has a value."""
    one = Connection(
        "acme",
        KEY,
        (FIRST, SECOND),
        REAUTH,
        EARLIER,
        EARLIER,
        revision=7,
        ended=frozenset({"connection-2"}),
        disconnecting_since=EARLIER,
        ending_entities={"e1": EARLIER},
        refused_entities=frozenset({"e2"}),
        due_at=EARLIER,
        checked_at=EARLIER,
        hints_until=EARLIER,
        problem=ANOTHER_COMPANY,
        provider_name="Gusto",
        provider_icon=ICON,
        company_name="Acme",
        entity_names={"e1": "East"},
        finch_key=CompanyKey("gusto", "company-9"),
        used_at={"connection-1": EARLIER},
        idle=frozenset({"connection-2"}),
        ciphertexts={"t1": b"1", "t2": b"2"},
    )
    return replace(one, **changes)  # type: ignore[arg-type]


def test_first_token_makes_a_connection_that_was_checked_now() -> None:
    made = attach(None, "acme", KEY, FIRST, b"1", NOW, entity_names={"e1": "East", "e9": "Gone"})
    assert made == Connection(
        "acme",
        KEY,
        (FIRST,),
        CONNECTED,
        NOW,
        NOW,
        revision=1,
        checked_at=NOW,
        due_at=NOW + FIRST_LOOK,
        entity_names={"e1": "East"},
        ciphertexts={"t1": b"1"},
    )
    assert made.quiet_revision is None


def test_further_token_clears_the_problem_and_keeps_the_rest() -> None:
    third = token("t3", connection_id="connection-3")
    before = full(provider_name="", provider_icon="", company_name="")
    after = attach(before, "acme", KEY, third, b"3", LATER)
    assert after == replace(
        before,
        tokens=(FIRST, SECOND, third),
        ciphertexts={"t1": b"1", "t2": b"2", "t3": b"3"},
        problem=None,
        refused_entities=frozenset(),
        provider_name=None,
        provider_icon=None,
        company_name=None,
        due_at=LATER + FIRST_LOOK,
        updated_at=LATER,
        revision=8,
    )
    named = attach(full(), "acme", KEY, third, b"3", LATER)
    assert (named.provider_name, named.company_name) == ("Gusto", "Acme")


def test_only_a_token_for_all_finch_connections_counts_as_a_check() -> None:
    again = replace(FIRST, id="t3")
    assert attach(full(), "acme", KEY, again, b"3", LATER).checked_at == EARLIER
    alone = full(tokens=(FIRST,), ciphertexts={"t1": b"1"})
    assert attach(alone, "acme", KEY, again, b"3", LATER).checked_at == LATER


def test_same_token_id_in_another_finch_connection_is_refused() -> None:
    with pytest.raises(UnusableIdentifier):
        attach(full(), "acme", KEY, replace(FIRST, connection_id="connection-2"), b"", LATER)


def test_new_token_gives_its_status_to_the_tokens_of_its_finch_connection() -> None:
    old = replace(FIRST, products=frozenset({"ssn"}), suspected=REAUTH, suspected_since=EARLIER)
    new = token("t3", status=ConnectionStatus.UNKNOWN, status_detail="a new word")
    after = attach(full(tokens=(old, SECOND)), "acme", KEY, new, b"3", LATER)
    changed = replace(
        old,
        status=ConnectionStatus.UNKNOWN,
        status_detail="a new word",
        suspected=None,
        suspected_since=None,
    )
    assert after.tokens == (changed, SECOND, new)
    assert after.status is REAUTH


def test_tokens_behind_a_pair_id_share_a_status_only_within_a_login() -> None:
    old = token("t1", connection_id=PAIR, products=frozenset({"ssn"}), status=REAUTH)
    for account_id, status in (("account-1", CONNECTED), ("account-2", REAUTH), (None, REAUTH)):
        made = attach(None, "acme", KEY, old, b"1", NOW)
        new = token("t2", connection_id=PAIR, account_id=account_id)
        assert [one.status for one in attach(made, "acme", KEY, new, b"2", NOW).tokens] == [
            status,
            CONNECTED,
        ]


@pytest.mark.parametrize(
    ("new", "replaced"),
    [
        (token("new"), True),
        (token("new", account_id=None), True),
        (token("new", account_id="account-2"), False),
        (token("new", connection_id="connection-2"), False),
        (token("new", connected_at=EARLIER), False),
    ],
)
def test_repair_replaces_the_older_tokens_of_its_login_also_with_fewer_products(
    new: Token, replaced: bool
) -> None:
    wide = token("old", products=frozenset({"company", "ssn"}))
    before = attach(None, "acme", KEY, wide, b"1", NOW)
    after = attach(before, "acme", KEY, new, b"2", NOW, repairing=True)
    assert [one.id for one in after.tokens] == (["new"] if replaced else ["old", "new"])
    assert len(attach(before, "acme", KEY, new, b"2", NOW).tokens) == 2


@pytest.mark.parametrize(
    ("one", "other", "same_login", "covers", "may_be_login_of"),
    [
        (token("a"), token("b"), True, True, True),
        (token("a", account_id=None), token("b", account_id=None), True, True, True),
        (token("a", account_id=None), token("b"), False, True, True),
        (token("a"), token("b", account_id="account-2"), False, True, False),
        (token("a"), token("b", connection_id="connection-2"), False, False, False),
        (token("a", connection_id=PAIR), token("b", connection_id=PAIR), True, True, True),
        (token("a", connection_id=PAIR), token("b"), False, True, False),
        (token("a"), token("b", connection_id=PAIR), False, True, False),
        (
            token("a", connection_id=PAIR, account_id=None),
            token("b", connection_id=PAIR, account_id=None),
            False,
            False,
            False,
        ),
        (
            token("a", account_id=None),
            token("b", connection_id=PAIR, account_id=None),
            False,
            False,
            False,
        ),
    ],
)
def test_ids_of_connection_and_account_show_which_tokens_belong_together(
    one: Token, other: Token, same_login: bool, covers: bool, may_be_login_of: bool
) -> None:
    assert one.same_login(other) is same_login
    assert one.covers(other) is covers
    assert one.may_be_login_of(other) is may_be_login_of


# Sizes


def test_logins_fit_up_to_the_exact_size_by_dynamodbs_rules() -> None:
    login = token(
        "ä1",
        connection_id="c12",
        account_id="a123",
        finch_customer_id="f1234",
        status_detail="d12345",
        products=frozenset({"p123456", "q"}),
        methods={"m": "ok", "n1": "bad"},
    )
    # Each text and one byte for each; the id counts twice, the connection id five times.
    texts = 2 * (3 + 1) + 5 * (3 + 1) + (4 + 1) + (5 + 1) + (6 + 1) + (7 + 1) + (1 + 1)
    methods = (1 + 2 + 3) + (2 + 3 + 3)
    # The entity that is on its way, with its time, and the entity that Finch has refused to end.
    marks = (2 + 32 + 3) + (2 + 1)
    room = MAX_LOGIN_BYTES - (550 + texts + methods + marks)
    assert fits(full(tokens=(login,), ciphertexts={"ä1": bytes(room)}))
    assert not fits(full(tokens=(login,), ciphertexts={"ä1": bytes(room + 1)}))
    bare = token("t", connection_id="c", account_id=None, products=frozenset())
    # An empty text counts one byte too.
    room -= 550 + 2 * 2 + 5 * 2 + 3
    both = full(tokens=(login, bare), ciphertexts={"ä1": bytes(room - 9), "t": bytes(9)})
    assert fits(both)
    assert not fits(replace(both, ciphertexts={"ä1": bytes(room - 9), "t": bytes(10)}))


def test_entities_count_in_their_packed_form_once_for_each_id() -> None:
    login = token(
        "t", entities={"e1": "connected", "e2": "reauth"}, entity_ids=frozenset({"e2", "e3"})
    )
    plain = replace(login, entities={}, entity_ids=frozenset())
    stored = len(packed(login.entities)) + len(packed({"e3": ""}))
    room = next(n for n in range(MAX_LOGIN_BYTES, 0, -1) if fits(full_of(plain, n)))
    assert fits(full_of(login, room - stored))
    assert not fits(full_of(login, room - stored + 1))


def full_of(login: Token, size: int) -> Connection:
    return full(tokens=(login,), ciphertexts={"t": bytes(size)})


def test_entities_fit_up_to_the_exact_size_of_an_answer() -> None:
    with_status = token("t1", entities={"ä" * 500_000: "reauth"})
    without = token("t2", entity_ids=frozenset({"f" * 499_897}))
    # Each id twice, its status, and 100 bytes for the names and signs around them.
    assert MAX_SHOWN_BYTES == 2 * 1_000_000 + 6 + 100 + 2 * 499_897 + 100
    assert fits(full(tokens=(with_status, without), ciphertexts={}))
    more = replace(without, entity_ids=frozenset({"f" * 499_898}))
    assert not fits(full(tokens=(with_status, more), ciphertexts={}))


# Names


def test_stored_names_of_entities_stay_until_finch_sends_others() -> None:
    after = with_entity_names(full(), {"e2": "West", "e9": "Gone"})
    assert after == full(entity_names={"e1": "East", "e2": "West"})


def test_new_names_change_nothing_else() -> None:
    after = with_names(full(), "Gusto", "Acme LLC", ICON)
    assert after == full(company_name="Acme LLC", revision=8)
    assert after.quiet_revision == 8
    assert with_names(full(), "Gusto", "Acme", ICON) == full()
    assert with_names(full(), "Gusto", "Acme", "").provider_icon == ""


# Disconnects


def test_disconnect_starts_at_once_and_ends_other_marks() -> None:
    assert disconnecting(full(), LATER) == full(
        status=DISCONNECTING,
        disconnecting_since=LATER,
        ending_entities={},
        refused_entities=frozenset(),
        due_at=None,
        problem=None,
        updated_at=LATER,
        revision=8,
    )


def test_confirmed_ids_are_noted_without_an_event() -> None:
    after = partly_ended(full(), ["connection-1"], LATER)
    assert after == full(ended=frozenset({"connection-1"}), updated_at=LATER, revision=8)
    assert after.quiet_revision == 8


@pytest.mark.parametrize(("problem", "left"), [(ANOTHER_COMPANY, None), (TRANSFERRED, TRANSFERRED)])
def test_disconnected_connection_keeps_only_names_and_the_note_of_a_transfer(
    problem: str, left: str | None
) -> None:
    assert disconnected(full(problem=problem), LATER) == full(
        tokens=(),
        ciphertexts={},
        ended=frozenset(),
        disconnecting_since=None,
        ending_entities={},
        refused_entities=frozenset(),
        due_at=None,
        problem=left,
        finch_key=None,
        used_at={},
        idle=frozenset(),
        status=DISCONNECTED,
        updated_at=LATER,
        revision=8,
    )


def test_refused_disconnect_gives_the_customer_the_tokens_that_finch_did_not_end() -> None:
    assert disconnect_refused(full(status=DISCONNECTING), LATER) == full(
        tokens=(replace(FIRST, status=REAUTH),),
        ciphertexts={"t1": b"1"},
        ended=frozenset(),
        disconnecting_since=None,
        due_at=None,
        problem=DISCONNECT_REFUSED,
        status=REAUTH,
        updated_at=LATER,
        revision=8,
    )


def test_refusal_counts_after_three_days() -> None:
    assert not refused_for_days(None, LATER)
    assert not refused_for_days(NOW, NOW + REFUSED_FOR - timedelta(seconds=1))
    assert refused_for_days(NOW, NOW + REFUSED_FOR)


# Entities


def test_entity_is_marked_while_another_entity_stays() -> None:
    before = full(ending_entities={})
    assert entity_disconnecting(before, "e2", LATER) == replace(
        before,
        ending_entities={"e2": LATER},
        refused_entities=frozenset(),
        due_at=None,
        updated_at=LATER,
        revision=8,
    )


def test_end_of_the_last_entities_is_the_end_of_the_connection() -> None:
    assert entity_disconnecting(full(), "e2", LATER) == disconnecting(full(), LATER)


@pytest.mark.parametrize(
    "before",
    [
        full(status=DISCONNECTED, tokens=()),
        full(status=DISCONNECTING, ending_entities={}),
        full(ending_entities={"e2": EARLIER}),
        full(tokens=(replace(FIRST, entities={"e2": "disconnected"}), SECOND), ending_entities={}),
    ],
    ids=["disconnected", "disconnecting", "marked", "ended"],
)
def test_entity_that_ends_or_has_ended_is_not_marked_again(before: Connection) -> None:
    assert entity_disconnecting(before, "e2", LATER) is before


def test_unknown_entity_is_not_found_also_during_a_disconnect() -> None:
    for before in (full(), full(status=DISCONNECTING)):
        with pytest.raises(ConnectionNotFound):
            entity_disconnecting(before, "e9", LATER)


def test_number_of_entities_that_end_at_once_is_limited() -> None:
    ids = [f"e{n}" for n in range(MAX_ENDING_ENTITIES + 2)]
    login = token("t1", entity_ids=frozenset(ids))
    ending = dict.fromkeys(ids[: MAX_ENDING_ENTITIES - 1], EARLIER)
    before = full(tokens=(login,), ending_entities=ending)
    almost = entity_disconnecting(before, ids[-2], LATER)
    assert len(almost.ending_entities) == MAX_ENDING_ENTITIES
    with pytest.raises(ConnectionBusy):
        entity_disconnecting(almost, ids[-1], LATER)


def test_confirmed_entity_ends_only_in_the_confirmed_finch_connections() -> None:
    both = replace(SECOND, entity_ids=frozenset({"e1"}), status=CONNECTED)
    before = full(tokens=(FIRST, both))
    ended = replace(FIRST, entities={**FIRST.entities, "e1": "disconnected"})
    assert entity_disconnected(before, "e1", {"connection-1"}, LATER) == replace(
        before, tokens=(ended, both), status=CONNECTED, updated_at=LATER, revision=8
    )
    everywhere = entity_disconnected(before, "e1", {"connection-1", "connection-2"}, LATER)
    assert everywhere == replace(
        before,
        tokens=(ended, replace(both, entities={"e1": "disconnected"})),
        status=CONNECTED,
        ending_entities={},
        updated_at=LATER,
        revision=8,
    )


def test_confirmed_entity_changes_neither_logins_without_it_nor_a_refused_disconnect() -> None:
    before = full(problem=DISCONNECT_REFUSED, tokens=(FIRST, replace(SECOND, status=CONNECTED)))
    after = entity_disconnected(before, "e2", {"connection-1", "connection-2"}, LATER)
    assert (after.tokens[1], after.status) == (before.tokens[1], REAUTH)
    assert after.refused_entities == frozenset()


def test_refused_entity_is_no_longer_ending() -> None:
    before = full(ending_entities={"e1": EARLIER, "e2": EARLIER})
    assert entity_refused(before, "e1", LATER) == replace(
        before,
        ending_entities={"e2": EARLIER},
        refused_entities=frozenset({"e1", "e2"}),
        updated_at=LATER,
        revision=8,
    )


def test_status_comes_from_the_logins_that_still_read_an_entity() -> None:
    ended = replace(SECOND, entities={"e4": "disconnected"})
    assert status_of_tokens([FIRST, SECOND]) is REAUTH
    assert status_of_tokens([FIRST, ended]) is CONNECTED
    assert status_of_tokens([ended]) is REAUTH


def test_problem_of_an_entity_shows_only_without_another_problem() -> None:
    assert full().shown_problem == ANOTHER_COMPANY
    assert full(problem=None).shown_problem == ENTITY_DISCONNECT_REFUSED
    assert full(problem=None, refused_entities=frozenset()).shown_problem is None


# Operators and waiting customers


def test_transfer_ends_the_other_logins_of_the_former_customer() -> None:
    theirs = token("new", account_id="account-1")
    left = full(tokens=(SECOND,), ciphertexts={"t2": b"2"}, ended=frozenset())
    after = transferred(full(), theirs, LATER)
    assert after == replace(disconnecting(left, LATER), problem=TRANSFERRED)
    alone = full(tokens=(FIRST,), ciphertexts={"t1": b"1"})
    gone = transferred(alone, theirs, LATER)
    assert gone == replace(disconnected(alone, LATER), problem=TRANSFERRED)


def test_customer_who_waited_is_asked_to_connect_again() -> None:
    assert free_to_connect(None, "acme", KEY, NOW) == Connection(
        "acme", KEY, (), DISCONNECTED, NOW, NOW, revision=1, problem=CONNECT_AGAIN
    )
    before = full(status=DISCONNECTED)
    assert free_to_connect(before, "acme", KEY, LATER) == replace(
        before, problem=CONNECT_AGAIN, updated_at=LATER, revision=8
    )
    assert free_to_connect(full(), "acme", KEY, LATER) is None


def test_restored_connection_has_the_live_tokens_and_is_checked_soon() -> None:
    backup = full()
    assert restored(None, backup, [SECOND], LATER) == replace(
        backup,
        tokens=(SECOND,),
        ciphertexts={"t2": b"2"},
        ended=frozenset(),
        disconnecting_since=None,
        due_at=LATER + FIRST_LOOK,
        checked_at=None,
        updated_at=LATER,
        revision=1,
    )
    current = full(tokens=(FIRST,), ciphertexts={"t1": b"1"}, status=CONNECTED, problem=None)
    assert restored(current, backup, [SECOND], LATER) == replace(
        current,
        tokens=(FIRST, SECOND),
        ciphertexts={"t1": b"1", "t2": b"2"},
        status=REAUTH,
        disconnecting_since=None,
        due_at=LATER + FIRST_LOOK,
        checked_at=None,
        updated_at=LATER,
        revision=8,
    )


def test_restore_continues_a_disconnect_only_where_no_token_came_since() -> None:
    backup = full(status=DISCONNECTING)
    empty = full(tokens=(), ciphertexts={}, status=DISCONNECTED, disconnecting_since=None)
    goes_on = restored(empty, backup, [FIRST], LATER)
    assert (goes_on.status, goes_on.disconnecting_since) == (DISCONNECTING, LATER)
    still = restored(full(status=DISCONNECTING, tokens=(), ciphertexts={}), backup, [FIRST], LATER)
    assert still.status is DISCONNECTING
    with pytest.raises(ConnectionBusy):
        restored(full(status=DISCONNECTING), full(), [], LATER)


# Repairs


def test_repair_of_another_company_is_noted_where_something_is_wrong() -> None:
    before = full(problem=None)
    assert not_repaired(before, LATER) == replace(
        before, problem=ANOTHER_COMPANY, updated_at=LATER, revision=8
    )
    for unchanged in (full(problem=None, status=CONNECTED), full(problem=DISCONNECT_REFUSED)):
        assert not_repaired(unchanged, LATER) is unchanged


def test_token_to_repair_is_the_most_urgent_of_the_wanted_finch_connection() -> None:
    assert to_repair(full()) is SECOND
    assert to_repair(full(), "connection-1") is FIRST
    assert to_repair(full(), "connection-9") is SECOND
    ended = replace(SECOND, entities={"e4": "disconnected"})
    assert to_repair(full(tokens=(FIRST, ended))) is FIRST
    with pytest.raises(ConnectionBusy):
        to_repair(full(status=DISCONNECTING))
    with pytest.raises(ConnectionNotFound):
        to_repair(full(tokens=()))
