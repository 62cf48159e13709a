"""Each conditional write: the stored states on which it succeeds, and those on which it changes nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from finch_connections.aws import connection_table, ownership_table, session_table
from finch_connections.aws.connection_table import _item
from finch_connections.aws.dynamodb import Conflict, Due, Item, write_together
from finch_connections.aws.dynamodb import due as due_attributes
from finch_connections.aws.ownership_table import OwnershipTable
from finch_connections.aws.session_table import SessionTable
from finch_connections.aws.session_table import _item as session_item
from finch_connections.domain.budget import Spending, TooManyRequests
from finch_connections.domain.connect_session import (
    Click,
    Complete,
    ConnectSession,
    Discarding,
    Escrowed,
    Exchanging,
    Held,
    Started,
    Uncertain,
)
from finch_connections.domain.connection import CompanyKey, Connection, ConnectionStatus
from finch_connections.domain.ownership import Ownership, OwnershipRecord
from finch_connections.domain.secret import SecretText
from tests.support.in_process import BEGINNING, InProcess
from tests.unit.test_session_table import BARE, CONSUMPTION, ENTRY, ESCROW, FULL, GRANTED

NOW = BEGINNING
DAY = timedelta(days=1)
KEY, OTHER_KEY = CompanyKey("gusto", "company-1"), CompanyKey("gusto", "company-2")


def put(deployed: InProcess, table: str, item: Mapping[str, Any]) -> None:
    deployed.tables.dynamodb.put_item(TableName=table, Item=item)


def refused(
    deployed: InProcess, act: Callable[[], object], error: type[Exception] = Conflict
) -> bool:
    """Whether a write is refused and changes nothing."""
    tables = deployed.tables
    names = (tables.connections, tables.sessions, tables.ownerships)
    before = [tables.items(name) for name in names]
    with pytest.raises(error):
        act()
    assert [tables.items(name) for name in names] == before
    return True


# Ownership records

CONNECTION, COMPANY = "connection#finch-1", f"company#{KEY}"
MINE = Ownership.of_connection_id("finch-1", "acme", KEY)


def held(*sessions: str) -> dict[str, Item]:
    return {"holders": {"SS": list(sessions)}}


def of(customer_id: str, key: CompanyKey = KEY) -> dict[str, Item]:
    return {"customer_id": {"S": customer_id}, "key": {"S": str(key)}}


def discarded(session: str) -> dict[str, Item]:
    return {"discarding": {"S": session}}


def offered(session: str, at: datetime) -> dict[str, Item]:
    return {"offered_to": {"S": session}, "offered_at": {"N": str(int(at.timestamp()))}}


type Build = Callable[[OwnershipTable], Sequence[Any]]
type Row = tuple[str, Build, list[dict[str, Item]], list[dict[str, Item]]]

OWNERSHIPS: list[Row] = [
    (
        "take",
        lambda table: [table.taking(MINE)],
        [{}, of("acme"), held("me"), of("acme") | held("other")],
        [of("globex"), of("acme", OTHER_KEY), discarded("other"), of("acme") | discarded("other")],
    ),
    (
        "take from a former owner",
        lambda table: [table.taking(MINE, former="globex")],
        [{}, of("acme"), of("globex")],
        [
            of("initech"),
            of("globex", OTHER_KEY),
            of("acme", OTHER_KEY),
            of("globex") | discarded("other"),
        ],
    ),
    (
        "leave to a holder",
        lambda table: [table.leaving_to("finch-1", "me", ["earlier"])],
        [held("me", "earlier")],
        [held("earlier"), of("acme") | held("earlier", "other")],
    ),
    (
        "free with holders",
        lambda table: [table.freeing(MINE, held=True)],
        [of("acme") | held("other")],
        [of("acme"), of("globex") | held("other"), of("acme", OTHER_KEY) | held("other")],
    ),
    (
        "free without holders",
        lambda table: [table.freeing(MINE, held=False)],
        [of("acme")],
        [of("acme") | held("other"), of("globex"), of("acme", OTHER_KEY)],
    ),
    (
        "discard: the connection",
        lambda table: table.discarding("finch-1", KEY, "me")[:1],
        [held("me"), held("me") | discarded("me")],
        [
            {},
            held("me", "other"),
            held("other"),
            held("me") | of("acme"),
            held("me") | discarded("other"),
        ],
    ),
    (
        "discard: the company",
        lambda table: table.discarding("finch-1", KEY, "me")[1:],
        [{}, discarded("me")],
        [of("acme"), discarded("other"), of("acme") | discarded("me")],
    ),
    (
        "keep after a discard",
        lambda table: [table.keeping("finch-1", "me")],
        [held("me") | discarded("me")],
        [held("me"), held("me") | discarded("other")],
    ),
    (
        "reopen a company",
        lambda table: [table.reopening(KEY, "me")],
        [discarded("me")],
        [discarded("other"), of("acme"), of("acme") | discarded("me")],
    ),
    (
        "leave alone",
        lambda table: table.leaving([OwnershipRecord(CONNECTION, None, frozenset({"me"}))], "me"),
        [held("me")],
        [held("me", "other"), held("me") | of("acme"), held("other")],
    ),
    (
        "leave others",
        lambda table: table.leaving(
            [OwnershipRecord(CONNECTION, None, frozenset({"me", "other"}))], "me"
        ),
        [held("me", "other"), held("me") | of("acme")],
        [held("me")],
    ),
    (
        "leave to other holders",
        lambda table: [
            table.leaving_to_others(
                OwnershipRecord(CONNECTION, None, frozenset({"me", "other"})), "me"
            )
        ],
        [held("me", "other")],
        [held("me"), held("me", "other", "third"), held("me", "other") | of("acme")],
    ),
    (
        "leave to an owner",
        lambda table: [
            table.leaving_to_others(OwnershipRecord(CONNECTION, MINE, frozenset({"me"})), "me")
        ],
        [held("me") | of("acme")],
        [
            held("me"),
            held("me", "other") | of("acme"),
            held("me") | of("globex"),
            held("me") | of("acme", OTHER_KEY),
        ],
    ),
]


def owned_id_of(writes: Sequence[Any]) -> str:
    [parts] = [one for write in writes for one in write.values()]
    key: Any = parts
    return str(key["Key"]["owned_id"]["S"])


CASES = [
    pytest.param(build, state, works, id=f"{name}: {sorted(state)}")
    for name, build, good, bad in OWNERSHIPS
    for works, states in ((True, good), (False, bad))
    for state in states
]


@pytest.mark.parametrize(("build", "state", "works"), CASES)
def test_ownership_is_written_only_on_the_state_that_was_decided_on(
    deployed: InProcess, build: Build, state: dict[str, Item], works: bool
) -> None:
    table = ownership_table.from_settings()
    writes = build(table)
    if state:
        put(deployed, table.name, {"owned_id": {"S": owned_id_of(writes)}} | state)
    if works:
        write_together(table.client, writes)
    else:
        assert refused(deployed, lambda: write_together(table.client, writes))


@pytest.mark.parametrize(
    ("state", "works"),
    [
        ({}, True),
        (offered("me", NOW), True),
        (offered("other", NOW - 2 * DAY), True),
        (offered("other", NOW - DAY / 2), False),
        (of("acme"), False),
        (held("other"), False),
        (held("other") | offered("me", NOW), False),
        (of("acme") | offered("me", NOW), False),
    ],
)
def test_recovery_is_offered_only_without_a_token_and_to_one_session_a_day(
    deployed: InProcess, state: dict[str, Item], works: bool
) -> None:
    table = ownership_table.from_settings()
    if state:
        put(deployed, table.name, {"owned_id": {"S": CONNECTION}} | state)
    if works:
        table.offer_recovery("finch-1", "me", NOW)
    else:
        assert refused(deployed, lambda: table.offer_recovery("finch-1", "me", NOW))


@pytest.mark.parametrize(
    "state",
    [
        offered("other", NOW),
        offered("me", NOW) | held("other"),
        offered("me", NOW) | of("acme"),
    ],
)
def test_offer_is_forgotten_only_while_nothing_else_is_in_its_record(
    deployed: InProcess, state: dict[str, Item]
) -> None:
    table = ownership_table.from_settings()
    put(deployed, table.name, {"owned_id": {"S": CONNECTION}} | state)
    record = OwnershipRecord(CONNECTION, offered_to="me")
    assert refused(deployed, lambda: table.forget_offer(record))


# Connections

CONNECTION_ROW = Connection("acme", KEY, (), ConnectionStatus.DISCONNECTED, NOW, NOW, revision=3)


@pytest.mark.parametrize("revision", [1, 3])
def test_connection_is_written_only_on_the_revision_before(
    deployed: InProcess, revision: int
) -> None:
    table = connection_table.from_settings()
    put(deployed, table.name, _item(CONNECTION_ROW))
    stale = replace(CONNECTION_ROW, revision=revision)
    assert refused(deployed, lambda: table.write(stale))


@pytest.mark.parametrize(
    "change",
    [
        {"revision": {"N": "4"}},
        {"status": {"S": "connected"}},
    ],
    ids=["written", "connected"],
)
def test_only_an_unchanged_disconnected_connection_is_erased(
    deployed: InProcess, change: dict[str, Item]
) -> None:
    table = connection_table.from_settings()
    put(deployed, table.name, _item(CONNECTION_ROW) | change)
    assert refused(deployed, lambda: table.erase(CONNECTION_ROW))


@pytest.mark.parametrize("part", ["connections", "sessions"])
def test_row_is_found_and_queued_only_when_it_is_due(deployed: InProcess, part: str) -> None:
    table: Any
    due: Any
    key: Any
    if part == "connections":
        table, kind, key = connection_table.from_settings(), Due.UNCHECKED, ("acme", KEY)
        item, due = _item(CONNECTION_ROW), partial(table.due, kind)
    else:
        table, kind, key = session_table.from_settings(), Due.UNFINISHED, (BARE.handle_hash,)
        item, due = session_item(Started(BARE)), table.due
    put(deployed, table.name, {name: item[name] for name in item.keys() - {"due_at"}})
    assert refused(deployed, lambda: table.postpone(*key, NOW))
    assert refused(deployed, lambda: table.lease(*key, NOW))
    put(deployed, table.name, item | due_attributes(kind, (), NOW))
    half, second = timedelta(milliseconds=500), timedelta(seconds=1)
    table.postpone(*key, NOW + half)
    assert refused(deployed, lambda: table.lease(*key, NOW + half))
    assert list(due(NOW + half)) == []
    assert len(list(due(NOW + second))) == 1
    table.lease(*key, NOW + second)


# Sessions

CLICK = Click("https://connect.example.com/?session=1", NOW)
# Each move of a session, from the sessions that can make it.
type Move = Callable[[SessionTable, Any], object]
REPAIRING = replace(FULL, repairs_id="connection-1")
MOVES: list[tuple[str, Move, list[ConnectSession]]] = [
    ("opened", lambda table, one: table.opened(one, CLICK), [Started(BARE), Started(REPAIRING)]),
    (
        "consume",
        lambda table, one: table.consume(one, SecretText("code"), NOW, browser_bound=True),
        [Started(BARE), Started(REPAIRING)],
    ),
    ("give back", lambda table, one: table.give_back(one, ENTRY), [Exchanging(BARE, CONSUMPTION)]),
    (
        "reject",
        lambda table, one: table.reject(one, SecretText("code"), ENTRY),
        [Exchanging(BARE, CONSUMPTION)],
    ),
    ("uncertain", lambda table, one: table.uncertain(one, NOW), [Exchanging(BARE, CONSUMPTION)]),
    (
        "escrow",
        lambda table, one: table.escrow(one, BARE, ESCROW, ENTRY, ()),
        [Exchanging(BARE, CONSUMPTION), Uncertain(BARE, CONSUMPTION)],
    ),
    (
        "found dead",
        lambda table, one: table.found_dead(one, NOW),
        [Escrowed(BARE, CONSUMPTION, ESCROW)],
    ),
    (
        "identify",
        lambda table, one: table.identify(one, GRANTED, ()),
        [Escrowed(BARE, CONSUMPTION, ESCROW)],
    ),
    ("bind", lambda table, one: table.bind(one, NOW), [Escrowed(BARE, CONSUMPTION, ESCROW)]),
    (
        "await confirmation",
        lambda table, one: table.await_confirmation(one, NOW),
        [Escrowed(BARE, CONSUMPTION, ESCROW)],
    ),
    (
        "hold",
        lambda table, one: table.hold(one, "cannot_connect", NOW),
        [Escrowed(BARE, CONSUMPTION, ESCROW)],
    ),
    (
        "discard",
        lambda table, one: table.discard(one, "session_expired", NOW, NOW, KEY),
        [Escrowed(BARE, CONSUMPTION, ESCROW)],
    ),
    (
        "end",
        lambda table, one: table.end(one, "session_expired", NOW),
        [
            Discarding(BARE, CONSUMPTION, ESCROW, "session_expired", NOW),
            Uncertain(BARE, CONSUMPTION),
        ],
    ),
    (
        "complete",
        lambda table, one: table.complete(one, KEY, NOW, ()),
        [Held(BARE, CONSUMPTION, ESCROW, "cannot_connect")],
    ),
]
SESSION_CASES = [
    pytest.param(
        move, session, id=f"{name} of {session.phase}{' repair' * bool(session.attempt.repairs)}"
    )
    for name, move, sessions in MOVES
    for session in sessions
]


def changes(session: ConnectSession) -> dict[str, dict[str, Item]]:
    """The changes of the stored item after which the session must not move."""
    found: dict[str, dict[str, Item]] = {"phase": {"phase": {"S": "ended"}}}
    if not isinstance(session, Started):
        found["request"] = {"attempt": {"S": "another request"}}
    if isinstance(session, Escrowed | Held | Discarding):
        escrow = session_item(session)["escrow"]["M"]
        bound = {"BOOL": not session.escrow.browser_bound}
        found["confirmation"] = {"escrow": {"M": {**escrow, "browser_bound": bound}}}
    return found


@pytest.mark.parametrize(("move", "session"), SESSION_CASES)
def test_session_moves_only_if_it_is_unchanged_and_a_repeated_write_is_its_own(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch, move: Move, session: ConnectSession
) -> None:
    table = session_table.from_settings()
    item = session_item(session)
    for change in changes(session).values():
        put(deployed, table.name, {**item, **change})
        assert refused(deployed, lambda: move(table, session))
    put(deployed, table.name, item)
    # botocore repeats a write whose response was lost.
    for method in ("update_item", "transact_write_items"):
        once = getattr(table.client, method)

        def twice(once: Any = once, **arguments: Any) -> Any:
            once(**arguments)
            return once(**arguments)

        monkeypatch.setattr(table.client, method, twice)
    move(table, session)


@pytest.mark.parametrize(
    ("attempt", "stored"),
    [(BARE, {"repairs_id": {"S": "connection-1"}}), (REPAIRING, {"repairs_id": {"S": "another"}})],
    ids=["no repair", "repair"],
)
def test_code_is_consumed_only_for_the_repair_that_was_read(
    deployed: InProcess, attempt: Any, stored: dict[str, Item]
) -> None:
    table = session_table.from_settings()
    session = Started(attempt)
    put(deployed, table.name, {**session_item(session), **stored})
    assert refused(
        deployed, lambda: table.consume(session, SecretText("code"), NOW, browser_bound=True)
    )


@pytest.mark.parametrize(
    ("stored", "works"),
    [
        ({"repairs_id": {"S": "connection-1"}}, True),
        ({"repairs_id": None}, True),
        ({"repairs_id": {"S": "another"}, "finch_session_made_at": NOW - DAY}, True),
        ({"repairs_id": {"S": "another"}, "finch_session_made_at": NOW}, False),
    ],
    ids=["same", "first click", "another, long ago", "another, now"],
)
def test_click_repairs_another_login_only_when_the_earlier_click_is_over(
    deployed: InProcess, stored: dict[str, Any], works: bool
) -> None:
    table = session_table.from_settings()
    session = Started(REPAIRING)
    item: dict[str, Any] = {**session_item(session), "finch_session_made_at": NOW, **stored}
    made_at = item["finch_session_made_at"].isoformat()
    item = {name: value for name, value in item.items() if value is not None}
    put(deployed, table.name, {**item, "finch_session_made_at": {"S": made_at}})
    if works:
        table.opened(session, CLICK)
    else:
        assert refused(deployed, lambda: table.opened(session, CLICK))


@pytest.mark.parametrize(
    "note",
    [
        {"session": {"S": "another"}},
        {"session": {"S": BARE.handle_hash}, "rejected": {"BOOL": True}},
    ],
    ids=["of another session", "rejected"],
)
def test_code_that_another_session_consumed_or_finch_rejected_is_not_consumed(
    deployed: InProcess, note: dict[str, Item]
) -> None:
    table, session = session_table.from_settings(), Started(BARE)
    put(deployed, table.name, session_item(session))
    code = SecretText("code")
    put(deployed, table.name, {"handle_hash": {"S": f"code#{code.digest()}"}, **note})
    assert refused(deployed, lambda: table.consume(session, code, NOW, browser_bound=True))


def test_code_of_a_given_back_session_is_consumed_again(deployed: InProcess) -> None:
    table, session = session_table.from_settings(), Started(BARE)
    put(deployed, table.name, session_item(session))
    table.give_back(table.consume(session, SecretText("code"), NOW, browser_bound=True), ENTRY)
    table.consume(session, SecretText("code"), NOW, browser_bound=True)


@pytest.mark.parametrize(
    "change",
    [{"phase": {"S": "exchanging"}}, {"escrow": {"M": {}}}],
    ids=["consumed", "with a token"],
)
def test_session_that_has_changed_is_not_erased(
    deployed: InProcess, change: dict[str, Item]
) -> None:
    table, session = session_table.from_settings(), Complete(BARE, CONSUMPTION, KEY)
    put(deployed, table.name, {**session_item(session), **change})
    assert refused(deployed, lambda: table.erase(session))


def test_session_that_exists_is_neither_put_back_nor_added_apart(deployed: InProcess) -> None:
    table = session_table.from_settings()
    there = Complete(BARE, CONSUMPTION, KEY)
    put(deployed, table.name, session_item(there))
    lost = Uncertain(BARE, CONSUMPTION)
    assert refused(deployed, lambda: table.put_back(lost, session_item(lost), NOW, ()))
    assert isinstance(table.add_apart(Started(BARE), NOW), Complete)


def test_reencryption_and_a_living_token_do_not_change_a_session_that_has_moved(
    deployed: InProcess,
) -> None:
    table = session_table.from_settings()
    there = Escrowed(BARE, CONSUMPTION, replace(ESCROW, ciphertext=b"newer"), NOW)
    put(deployed, table.name, session_item(there))
    read = Held(BARE, CONSUMPTION, ESCROW, "cannot_connect")
    assert refused(deployed, lambda: table.reencrypt(read, b"mine"))
    assert refused(deployed, lambda: table.found_alive(read))


def test_budget_that_is_spent_refuses(deployed: InProcess) -> None:
    table = replace(session_table.from_settings(), attempts_per_customer=2)
    for _ in range(2):
        table.spend(Spending.START, BARE, NOW)
    assert refused(deployed, lambda: table.spend(Spending.START, BARE, NOW), TooManyRequests)
