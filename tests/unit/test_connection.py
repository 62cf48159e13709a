"""Rules of connections."""

import json
import zlib
from bisect import bisect_left
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from random import Random
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finch_connections.aws import connection_table
from finch_connections.domain.connection import (
    DISCONNECT_REFUSED,
    MAX_KEY_BYTES,
    MAX_TOKENS,
    CompanyKey,
    Connection,
    ConnectionBusy,
    ConnectionNotFound,
    ConnectionStatus,
    Token,
    TooManyLogins,
    UnusableIdentifier,
    attach,
    disconnected,
    disconnecting,
    entity_disconnecting,
    fits,
    key_fields,
    most_urgent,
    packed,
    pair_id,
    partly_ended,
    reencrypted,
    require_key,
    require_statuses,
    restored,
    unpacked,
    unused,
    urgency,
    with_idle,
)
from finch_connections.domain.display_name import LONGEST_ICON
from finch_connections.domain.errors import InvalidRequest
from finch_connections.domain.history import MOST_ENTRIES, HistoryEntry
from finch_connections.domain.identifier import is_finch_id
from finch_connections.domain.ownership import owned
from finch_connections.domain.token_response import MOST_ENTITIES
from finch_connections.web.connection_response import connection_response

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = CompanyKey("gusto", "company-1")
FINCH_STATUSES = [status for status in ConnectionStatus if not status.startswith("disconnect")]


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


def test_first_token_makes_a_connection() -> None:
    made = connected(token("t1"))
    assert (made.revision, made.status) == (1, ConnectionStatus.CONNECTED)
    assert made.ciphertexts == {"t1": b"t1"}


def test_largest_connection_fits_into_a_transaction_of_dynamodb() -> None:
    """ "TransactWriteItems" in the API Reference: 100 actions. A session and its notes take a few."""
    tokens = (token(f"t{n}", account_id=f"a{n}", connection_id=f"c{n}") for n in range(MAX_TOKENS))
    full = replace(connected(*tokens), finch_key=CompanyKey("gusto", "renamed"))
    assert 1 + len(owned(full)) == MAX_TOKENS + 3 <= 90


def test_other_login_adds_a_token() -> None:
    assert ids(connected(token("t1"), token("t2", account_id="account-2"))) == {"t1", "t2"}


def test_other_connection_id_adds_a_token() -> None:
    made = connected(token("t1"), token("t2", connection_id="connection-2"))
    assert ids(made) == {"t1", "t2"}
    assert made.connection_ids == ("connection-1", "connection-2")


def test_other_products_of_the_same_login_add_a_token() -> None:
    assert ids(connected(token("t1"), token("t2", products=frozenset({"directory"})))) == {
        "t1",
        "t2",
    }


def test_token_that_covers_an_older_token_of_its_login_replaces_it() -> None:
    wider = token("t2", products=frozenset({"company", "directory"}))
    assert ids(connected(token("t1"), wider)) == {"t2"}


def test_token_with_fewer_products_does_not_replace_a_wider_token() -> None:
    wider = token("t1", products=frozenset({"company", "directory"}))
    assert ids(connected(wider, token("t2"))) == {"t1", "t2"}


def test_same_token_again_changes_only_the_revision() -> None:
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
def test_every_attached_connection_id_keeps_a_token_that_can_end_it(tokens: list[Token]) -> None:
    """A kept token of the same connection id covers each dropped token."""
    made = connected(*tokens)
    assert set(made.connection_ids) == {one.connection_id for one in tokens}
    for one in tokens:
        assert any(kept.same_login(one) and kept.products >= one.products for kept in made.tokens)
    assert ids(made) == {one.id for one in made.tokens}


def test_disconnecting_connection_accepts_no_token() -> None:
    leaving = disconnecting(connected(token("t1")), NOW)
    with pytest.raises(ConnectionBusy):
        attach(leaving, "acme", KEY, token("t2"), b"t2", NOW)


def test_connection_keeps_its_tokens_until_it_is_disconnected() -> None:
    leaving = disconnecting(connected(token("t1")), NOW)
    assert ids(leaving) == {"t1"}
    gone = disconnected(leaving, NOW)
    assert (gone.tokens, gone.ciphertexts, gone.status) == ((), {}, ConnectionStatus.DISCONNECTED)
    assert (leaving.revision, gone.revision) == (2, 3)


def test_disconnected_connection_accepts_a_new_token() -> None:
    gone = disconnected(disconnecting(connected(token("t1")), NOW), NOW)
    again = attach(gone, "acme", KEY, token("t2", connection_id="c2"), b"t2", NOW + timedelta(1))
    assert ids(again) == {"t2"}
    assert (again.status, again.created_at) == (ConnectionStatus.CONNECTED, NOW)


def test_logins_are_limited() -> None:
    full = connected(*(token(f"t{n}", account_id=f"a{n}") for n in range(MAX_TOKENS)))
    with pytest.raises(TooManyLogins):
        attach(full, "acme", KEY, token("more", account_id="more"), b"", NOW)
    assert len(attach(full, "acme", KEY, token("same", account_id="a1"), b"", NOW).tokens) == 50


def uuids(seed: int, number: int) -> list[str]:
    """Ids that are as hard to compress as Finch's."""
    return [str(uuid5(NAMESPACE_OID, f"{seed} {n}")) for n in range(number)]


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.text()))
def test_packed_entities_read_back_unchanged(statuses: dict[str, str]) -> None:
    assert unpacked(packed(statuses)) == statuses


def test_packed_entities_are_the_same_in_each_order_and_contain_no_space() -> None:
    statuses = {"b": "connected", "a": "connected", "c": "reauth"}
    expected = b'{"connected":["a","b"],"reauth":["c"]}'
    assert zlib.decompress(packed(statuses)) == expected
    assert packed(dict(reversed(statuses.items()))) == packed(statuses)


@pytest.mark.parametrize("has_status", [True, False])
def test_entities_of_one_large_login_fit_and_those_of_two_do_not(*, has_status: bool) -> None:
    def login(number: int, account_id: str) -> Token:
        ids = uuids(number, MOST_ENTITIES)
        statuses = dict.fromkeys(ids, "error_no_account_setup") if has_status else {}
        return token(
            f"t{number}", account_id=account_id, entity_ids=frozenset(ids), entities=statuses
        )

    first = attach(None, "acme", KEY, login(1, "a1"), b"c" * 4300, NOW)
    item = connection_table._item(first)
    assert item_bytes(first) < 300_000
    read = connection_table.connection_of(item)
    assert (read.tokens, read.entity_ids) == (first.tokens, first.entity_ids)
    with pytest.raises(TooManyLogins):
        attach(first, "acme", KEY, login(2, "a2"), b"c" * 4300, NOW)
    again = attach(first, "acme", KEY, login(2, "a1"), b"c" * 4300, NOW)
    assert again.entity_ids == frozenset(uuids(2, MOST_ENTITIES))


def test_entities_that_compress_well_are_limited_by_the_size_of_an_answer() -> None:
    made: Connection | None = None
    with pytest.raises(TooManyLogins):  # noqa: PT012 - raised when the answer is full
        for n in range(5):
            ids = frozenset(f"{one:036}" for one in range(MOST_ENTITIES))
            login = token(f"t{n}", account_id=f"a{n}", entity_ids=ids)
            made = attach(made, "acme", KEY, login, b"", NOW)
    assert made
    answer = json.dumps({"body": json.dumps(connection_response(made))})
    assert len(answer) < 6 * 1024 * 1024


def dynamodb_bytes(value: Any) -> int:
    """The size of an attribute by DynamoDB's rules ("Item sizes and formats" in its developer guide)."""
    match value:
        case {"S": text}:
            return len(text.encode())
        case {"N": _}:
            return 21
        case {"B": content}:
            return len(content)
        case {"SS": texts}:
            return sum(len(one.encode()) + 1 for one in texts)
        case {"L": members}:
            return 3 + sum(dynamodb_bytes(one) + 1 for one in members)
        case {"M": members}:
            return 3 + sum(len(n.encode()) + dynamodb_bytes(one) + 1 for n, one in members.items())
        case {"BOOL": _}:
            return 1
    raise AssertionError(value)


def item_bytes(connection: Connection) -> int:
    item = connection_table._item(connection)
    return sum(len(name.encode()) + dynamodb_bytes(value) for name, value in item.items())


@pytest.mark.parametrize("id_length", [36, 255])
@pytest.mark.parametrize("entities", [0, 40])
def test_largest_connection_fits_into_an_item_of_dynamodb(id_length: int, entities: int) -> None:
    random = Random(1)  # noqa: S311

    def id_of(kind: str, number: int) -> str:
        # Random, because entities are stored compressed.
        rest = random.choices([chr(code) for code in range(0xC0, 0x180)], k=id_length)
        return f"{number:06}{kind}{''.join(rest)}"[:id_length]

    made: Connection | None = None
    with pytest.raises(TooManyLogins):  # noqa: PT012 - raised when the item is full
        for n in range(MAX_TOKENS + 1):
            ids = [id_of(f"e{n}", one) for one in range(entities)]
            login = token(
                id_of("t", n),
                connection_id=id_of("c", n),
                account_id=id_of("a", n),
                finch_customer_id="k" * 200,
                entity_ids=frozenset(ids),
                entities=dict.fromkeys(ids, "error_no_account_setup"),
                methods={f"method-{one}": "error_no_account_setup" for one in range(5)},
                suspected=ConnectionStatus.DISCONNECTED,
                suspected_since=NOW,
            )
            names = dict.fromkeys(ids, "ü" * 100)
            made = attach(made, "k" * 256, KEY, login, b"c" * 4300, NOW, entity_names=names)
    assert made
    ended = partly_ended(disconnecting(made, NOW), made.connection_ids, NOW)
    entry = HistoryEntry.of(NOW, "error_no_account_setup", "a" * 64, "b" * 64)
    full = replace(
        ended,
        company_name="ü" * 200,
        provider_name="ü" * 200,
        provider_icon="h" * LONGEST_ICON,
        history=tuple(entry._replace(code=chr(97 + n % 2) * 64) for n in range(MOST_ENTRIES)),
    )
    assert item_bytes(full) < 400 * 1024


def test_entity_is_not_disconnected_where_refused_entities_fill_the_item() -> None:
    entity_ids = uuids(1, MOST_ENTITIES)
    login = connected(token("t1", entities=dict.fromkeys(entity_ids, "connected")))

    def refused(count: int) -> Connection:
        return replace(login, refused_entities=frozenset(entity_ids[:count]))

    count = bisect_left(range(MOST_ENTITIES), True, key=lambda n: not fits(refused(n))) - 1
    assert item_bytes(refused(count)) < 400 * 1024
    with pytest.raises(ConnectionBusy):
        entity_disconnecting(refused(count), entity_ids[-1], NOW)
    # A new login clears the marks, so they do not keep it out.
    after = attach(refused(count), "acme", KEY, token("t2", account_id="a2"), b"", NOW)
    assert len(after.tokens) == 2


def test_restore_does_not_make_a_connection_too_large() -> None:
    full = connected(*(token(f"t{n}", account_id=f"a{n}") for n in range(MAX_TOKENS)))
    backup = connected(token("old"))
    with pytest.raises(TooManyLogins):
        restored(full, backup, backup.tokens, NOW)


def test_older_token_does_not_replace_a_newer_token() -> None:
    newer = token("t2", connected_at=NOW + timedelta(minutes=1))
    assert ids(connected(newer, token("t1"))) == {"t1", "t2"}
    assert ids(connected(token("t1"), newer)) == {"t2"}


def test_status_applies_to_all_tokens_of_a_connection_id() -> None:
    processing = ConnectionStatus.PROCESSING
    made = connected(
        token("t1", status=processing, products=frozenset({"ssn"})),
        token("t2", status=processing, connection_id="connection-2"),
        token("t3"),
    )
    assert [one.status.value for one in made.tokens] == ["connected", "processing", "connected"]


def test_partly_ended_connection_keeps_its_tokens_until_disconnected() -> None:
    leaving = disconnecting(connected(token("t1"), token("t2", connection_id="c2")), NOW)
    part = partly_ended(leaving, {"c2"}, NOW)
    assert (set(part.ended), ids(part)) == ({"c2"}, {"t1", "t2"})
    assert part.revision == leaving.revision + 1
    assert disconnected(part, NOW).ended == frozenset()


@pytest.mark.parametrize("first", FINCH_STATUSES)
@pytest.mark.parametrize("second", FINCH_STATUSES)
def test_connection_shows_the_most_urgent_status_of_its_tokens(
    first: ConnectionStatus, second: ConnectionStatus
) -> None:
    made = connected(token("t1", status=first), token("t2", connection_id="c2", status=second))
    assert made.status is most_urgent([first, second])
    assert made.status in (first, second)


def test_reauth_is_the_most_urgent_status_and_connected_the_least() -> None:
    for order in permutations(FINCH_STATUSES, 2):
        if ConnectionStatus.REAUTH in order:
            assert most_urgent(order) is ConnectionStatus.REAUTH
        elif ConnectionStatus.CONNECTED in order:
            assert most_urgent(order) is not ConnectionStatus.CONNECTED


@pytest.mark.parametrize(
    "status", ["error_no_accout_setup", "error_reauth", "", "CONNECTED", "disconnected", "unknown"]
)
def test_undocumented_status_is_unknown(status: str) -> None:
    assert ConnectionStatus.of_finch(status) is ConnectionStatus.UNKNOWN


def test_documented_status_is_kept_and_only_a_part_can_be_disconnected() -> None:
    for status in FINCH_STATUSES:
        assert ConnectionStatus.of_finch(status) is ConnectionStatus.of_part(status) is status
    assert ConnectionStatus.of_part("disconnected") is ConnectionStatus.DISCONNECTED
    assert ConnectionStatus.of_part("disconnecting") is ConnectionStatus.UNKNOWN
    assert urgency(ConnectionStatus.DISCONNECTED) == 0


@pytest.mark.parametrize("bad", ["", "a\n", "a\0", "\u202ea", "\ud800", "x" * 256])
def test_unusable_id_is_refused_in_a_key(bad: str) -> None:
    for parts in ((bad, "company-1"), ("gusto", bad)):
        with pytest.raises(UnusableIdentifier):
            CompanyKey(*parts)


def test_key_fits_into_dynamodbs_sort_key() -> None:
    assert len(str(CompanyKey("p" * 3, "𝔞" * 255)).encode()) == MAX_KEY_BYTES
    for parts in (("p" * 4, "𝔞" * 255), ("#" * 2, "𝔞" * 255)):
        with pytest.raises(UnusableIdentifier):
            CompanyKey(*parts)


FINCH_IDS = st.one_of(
    st.lists(st.sampled_from(["a", "#", "~", "~23", "~7E", "%23", "/", "é"]), max_size=6).map(
        "".join
    ),
    st.text(max_size=255),
).filter(is_finch_id)


@given(FINCH_IDS, FINCH_IDS)
@example("a#b", "c#d")
@example("a~23b", "c")
@example("a~", "23#")
def test_different_keys_are_written_differently(provider_id: str, company_id: str) -> None:
    try:
        key = CompanyKey(provider_id, company_id)
    except UnusableIdentifier:
        return
    assert CompanyKey.parse(str(key)) == key


@given(st.one_of(FINCH_IDS, st.text(alphabet="a#~237E", max_size=12)))
def test_every_written_key_is_read_or_refused(text: str) -> None:
    try:
        key = CompanyKey.parse(text)
    except UnusableIdentifier:
        return
    assert str(key) == text


def test_usual_key_is_written_without_escapes() -> None:
    assert str(CompanyKey("gusto", "a/b ü#~%")) == "gusto#a/b ü#~%"


def test_caller_finds_no_connection_with_an_unusable_key() -> None:
    assert require_key("gusto", "company-1") == KEY
    for parts in (("", "company-1"), ("gusto", "")):
        with pytest.raises(ConnectionNotFound):
            require_key(*parts)
    assert key_fields("acme", KEY) == {
        "customer_id": "acme",
        "provider_id": "gusto",
        "company_id": "company-1",
    }


def test_statuses_in_a_request_are_separated_by_commas() -> None:
    assert require_statuses("reauth") == {"reauth"}
    assert require_statuses("reauth,disconnected") == {"reauth", "disconnected"}
    for text in ("", "reauth,", "reauth, pending", "reauth pending", "broken"):
        with pytest.raises(InvalidRequest, match=r": pending, processing, .*, disconnected\.$"):
            require_statuses(text)


def test_pair_id_needs_a_usable_provider_and_company() -> None:
    assert pair_id("gusto", "company-1") == "pair#gusto#company-1"
    for parts in ((None, "company-1"), ("gusto", None), ("", "company-1"), ("gusto", "a\n")):
        assert not pair_id(*parts)


# Reencryption and backups


def test_reencryption_changes_only_ciphertexts_and_revision() -> None:
    before = attach(None, "acme", KEY, token("t1"), b"old", NOW)
    after = reencrypted(before, {"t1": b"new"})
    assert after.ciphertexts == {"t1": b"new"}
    assert after.quiet_revision == after.revision == before.revision + 1
    assert replace(after, ciphertexts=before.ciphertexts, revision=before.revision) == before


def test_restore_takes_live_tokens_and_the_wanted_disconnect() -> None:
    both = attach(None, "acme", KEY, token("t1"), b"1", NOW)
    both = attach(both, "acme", KEY, token("t2", connection_id="c2"), b"2", NOW)
    unwanted = replace(both, problem=DISCONNECT_REFUSED, revision=7)
    back = restored(None, unwanted, [token("t2", connection_id="c2")], NOW)
    assert ([one.id for one in back.tokens], back.ciphertexts) == (["t2"], {"t2": b"2"})
    assert (back.revision, back.problem, back.checked_at) == (1, DISCONNECT_REFUSED, None)
    unwanted = disconnecting(both, NOW)
    assert restored(None, unwanted, both.tokens, NOW).status is ConnectionStatus.DISCONNECTING
    assert restored(both, unwanted, both.tokens[:1], NOW).status is ConnectionStatus.CONNECTED


def test_restore_keeps_the_existing_tokens() -> None:
    backup = attach(None, "acme", KEY, token("t1"), b"1", NOW)
    existing = attach(None, "acme", KEY, token("t3", connection_id="c3"), b"3", NOW)
    back = restored(existing, backup, [token("t1")], NOW)
    assert back.ciphertexts == {"t1": b"1", "t3": b"3"}
    assert back.revision == existing.revision + 1
    with pytest.raises(ConnectionBusy):
        restored(disconnecting(existing, NOW), backup, [token("t1")], NOW)


def test_idle_connections_are_those_without_a_use_or_a_login_since() -> None:
    day = timedelta(days=1)
    old, used = token("t1", connection_id="c1"), token("t2", account_id="a2", connection_id="c2")
    since = old.connected_at
    both = replace(connected(old, used), used_at={"c2": since + 2 * day}, quiet_revision=None)
    assert unused(both, since) == {"c1"}
    assert unused(both, since - day) == frozenset()
    assert unused(both, since + 2 * day) == {"c1", "c2"}
    newer = replace(old, id="t3", account_id="a3", connected_at=since + day)
    assert unused(connected(old, newer), since) == {"c1"}
    # A check that found another change marks nothing new.
    assert with_idle(both, since).idle == frozenset()
    quiet = replace(both, quiet_revision=both.revision)
    marked = with_idle(quiet, since)
    assert marked.idle == {"c1"}
    assert marked.quiet_revision is None
    assert with_idle(marked, since) == marked
    assert with_idle(replace(both, idle=frozenset({"c1"})), since + 2 * day).idle == {"c1"}
    assert with_idle(marked, since - day).idle == frozenset()
