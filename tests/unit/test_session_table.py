"""The ConnectSessions table: the stored form of sessions, and the moves that its methods make."""

import inspect
import logging
from collections.abc import Callable
from dataclasses import MISSING, fields
from datetime import UTC, datetime, timedelta
from types import UnionType
from typing import Any, get_args

import pytest

from finch_connections.aws.session_table import SessionTable, _item, _session
from finch_connections.domain.connect_session import (
    NEXT,
    Attempt,
    Click,
    Complete,
    ConnectSession,
    Consumption,
    Discarding,
    Ended,
    Escrow,
    Escrowed,
    Exchanging,
    Held,
    Mode,
    Started,
    Uncertain,
)
from finch_connections.domain.connection import CompanyKey
from finch_connections.domain.history import HistoryEntry
from finch_connections.domain.secret import SecretText
from finch_connections.domain.token_response import TokenResponse
from finch_connections.log import logger

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = CompanyKey("gusto", "company-1")
BARE = Attempt("hash", "acme", "Acme", Mode.REDIRECT, ("company",), "binding", b"key", NOW)
FULL = Attempt(
    "hash",
    "acme",
    "Acme Anvils",
    Mode.EMBEDDED,
    ("company", "directory"),
    "binding",
    b"key",
    NOW,
    provider_id="gusto",
    return_to="https://app.example.com/",
    redirect_uri="https://api.example.com/callback",
    repairs=KEY,
    repairs_id="connection-1",
    finch_customer_id="acme~2",
    apart=True,
    history=(HistoryEntry.of(NOW, "started"), HistoryEntry.of(NOW, "sent", None, "request-1")),
    tried=HistoryEntry.of(NOW, "tried", "finch_unavailable"),
)
CONSUMPTION = Consumption("request", "code", "completion", NOW)
GRANTED = TokenResponse(
    "connection-1",
    "gusto",
    frozenset({"company"}),
    frozenset({"entity-1", "entity-2"}),
    "company-1",
    "account-1",
    "acme",
)
ESCROW = Escrow(b"ciphertext", GRANTED, state_echoed=True, browser_bound=False)
UNREADABLE = Escrow(b"1", TokenResponse(), state_echoed=False, browser_bound=True)
LATER = NOW + timedelta(hours=1)
ENTRY = HistoryEntry.of(NOW, "started", "finch_unavailable", "request-1")

SESSIONS: list[ConnectSession] = [
    Started(BARE),
    Started(FULL, Click("https://connect.example.com/?session=1", LATER)),
    Exchanging(BARE, CONSUMPTION),
    Uncertain(FULL, CONSUMPTION),
    Escrowed(BARE, CONSUMPTION, UNREADABLE),
    Escrowed(FULL, CONSUMPTION, ESCROW, LATER),
    Held(FULL, CONSUMPTION, ESCROW, "cannot_connect", NOW),
    Discarding(BARE, CONSUMPTION, ESCROW, "session_expired", LATER),
    Discarding(
        FULL, CONSUMPTION, ESCROW, "session_expired", LATER, KEY, frozenset({"globex"}), NOW
    ),
    Complete(BARE, CONSUMPTION, KEY),
    Complete(FULL, CONSUMPTION, KEY, repaired=False),
    Ended(BARE, CONSUMPTION, "session_expired"),
]


def all_fields(session: ConnectSession) -> dict[str, Any]:
    """All fields of a session."""
    return {
        name: vars(part) if isinstance(part, Attempt | Click | Escrow) else part
        for name, part in vars(session).items()
    }


@pytest.mark.parametrize("session", SESSIONS, ids=lambda one: one.phase)
def test_stored_session_is_read_back_unchanged(session: ConnectSession) -> None:
    read = _session(_item(session))
    assert type(read) is type(session)
    assert all_fields(read) == all_fields(session)


@pytest.mark.parametrize("session", SESSIONS, ids=lambda one: one.phase)
def test_item_without_a_required_attribute_is_refused_with_its_name(
    session: ConnectSession,
) -> None:
    item = _item(session)
    needed = {one.name for one in fields(Attempt) if one.default is MISSING}
    if not isinstance(session, Started):
        needed |= set(Consumption._fields)
    needed |= {"escrow", "discarding_since"} & {one.name for one in fields(session)}
    assert needed <= item.keys()
    for name in needed:
        with pytest.raises(TypeError, match=name):
            _session({other: value for other, value in item.items() if other != name})


@pytest.mark.parametrize("session", SESSIONS, ids=lambda one: one.phase)
def test_session_prints_no_url_key_or_ciphertext(session: ConnectSession) -> None:
    parts = [session, *vars(session).values()]
    record = logging.makeLogRecord({"msg": "a session", "parts": parts})
    for printed in (repr(parts), logger.registered_formatter.format(record)):
        assert not any(secret in printed for secret in ("https:", "b'", "ciphertext"))


def test_item_with_an_unknown_phase_is_refused() -> None:
    with pytest.raises(ValueError, match="'forgotten' is not a valid Phase"):
        _session(_item(SESSIONS[0]) | {"phase": {"S": "forgotten"}})


class Recorder:
    """A DynamoDB client that keeps the updates it gets."""

    def __init__(self) -> None:
        self.updates: list[dict[str, Any]] = []

    def update_item(self, **update: Any) -> None:
        self.updates.append(update)

    def transact_write_items(self, **transaction: Any) -> None:
        self.updates += [one["Update"] for one in transaction["TransactItems"] if "Update" in one]


ARGUMENTS: dict[str, Any] = {
    "click": Click("https://connect.example.com/", NOW),
    "code": SecretText("code"),
    "attempt": FULL,
    "escrow": ESCROW,
    "error": "cannot_connect",
    "now": NOW,
    "since": NOW,
    "key": KEY,
    "together_with": (),
    "entry": ENTRY,
    "browser_bound": True,
}
MOVES: tuple[Callable[..., object], ...] = (
    SessionTable.opened,
    SessionTable.consume,
    SessionTable.give_back,
    SessionTable.reject,
    SessionTable.uncertain,
    SessionTable.escrow,
    SessionTable.found_dead,
    SessionTable.bind,
    SessionTable.hold,
    SessionTable.discard,
    SessionTable.end,
    SessionTable.complete,
)


def test_table_makes_exactly_the_moves_of_the_transition_table() -> None:
    made = set()
    for move in MOVES:
        parameters = inspect.signature(move).parameters
        taken = parameters["session"].annotation
        kinds = get_args(taken) if isinstance(taken, UnionType) else (taken,)
        for session in [one for one in SESSIONS if type(one) in kinds]:
            client: Any = Recorder()
            given = {name: ARGUMENTS[name] for name in parameters if name in ARGUMENTS}
            move(SessionTable(client, "sessions"), session, **given)
            [values] = [
                one["ExpressionAttributeValues"]
                for one in client.updates
                if ":before" in one["ExpressionAttributeValues"]
            ]
            made.add((values[":before"]["S"], values[":phase"]["S"]))
    assert made == {(before, after) for before, nexts in NEXT.items() for after in nexts}
