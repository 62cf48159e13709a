"""Which token of a connection a backend gets, and when there is none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import finch_tokens
from finch_connections.domain.connection import (
    DISCONNECT_REFUSED,
    CompanyKey,
    Connection,
    ConnectionStatus,
    Token,
    most_urgent,
)
from finch_connections.domain.token_request import Outcome, Refused, choose, readable_entities
from tests.support.deployed import TEMPLATE
from tests.unit.test_timeouts import AWS_CALL, function

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
DIRECTORY = frozenset({"directory"})
CONNECTED, REAUTH = ConnectionStatus.CONNECTED, ConnectionStatus.REAUTH


def token(
    name: str, products: str = "directory", status: ConnectionStatus = CONNECTED, **more: Any
) -> Token:
    """A token; those with a higher digit at the end are newer."""
    connected_at = NOW + timedelta(hours=int(name[-1]))
    return Token(name, "connection-1", frozenset(products.split()), status, connected_at, **more)


def connection(*tokens: Token, **more: Any) -> Connection:
    status = most_urgent(one.status for one in tokens) if tokens else CONNECTED
    there = Connection("acme", CompanyKey("gusto", "c"), tokens, status, NOW, NOW, 1)
    return replace(there, **more)


def chosen(there: Connection, products: frozenset[str] = DIRECTORY) -> str:
    choice = choose(there, products)
    return choice.id if isinstance(choice, Token) else choice.reason


def test_the_newest_token_that_covers_the_products_is_preferred() -> None:
    tokens = [
        token("t1", "directory company"),
        token("t2", "directory company employment"),
        token("t3", "payment"),
    ]
    for order in (tokens, tokens[::-1]):
        there = connection(*order)
        assert chosen(there) == "t2"
        assert chosen(there, frozenset({"payment"})) == "t3"
        assert chosen(there, frozenset()) == "t3"


def test_one_that_works_comes_before_newer_ones_that_may_not() -> None:
    works = token("t1")
    suspected = token("t2", suspected=REAUTH, suspected_since=NOW)
    unknown = token("t3", status=ConnectionStatus.UNKNOWN)
    in_part = token("t4", status=REAUTH, entities={"e1": "connected", "e2": "reauth"})
    broken = token("t5", status=REAUTH)
    ranked = [works, suspected, unknown, in_part, broken]
    for first, expected in enumerate(["t1", "t2", "t3", "t4", "reauth"]):
        assert chosen(connection(*reversed(ranked[first:]))) == expected


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (ConnectionStatus.REAUTH, Outcome.REAUTH),
        (ConnectionStatus.ERROR_PERMISSIONS, Outcome.REAUTH),
        (ConnectionStatus.ERROR_NO_ACCOUNT_SETUP, Outcome.REAUTH),
        (ConnectionStatus.PENDING, Outcome.PENDING),
        (ConnectionStatus.PROCESSING, Outcome.PENDING),
    ],
)
def test_a_token_that_cannot_be_read_with_is_refused_with_its_status(
    status: ConnectionStatus, reason: Outcome
) -> None:
    assert choose(connection(token("t1", status=status)), DIRECTORY) == Refused(reason, status)


def test_data_that_will_come_by_itself_needs_no_person() -> None:
    there = connection(
        token("t1", status=ConnectionStatus.PROCESSING), token("t2", status=ConnectionStatus.REAUTH)
    )
    assert choose(there, DIRECTORY) == Refused(Outcome.PENDING, ConnectionStatus.PROCESSING)


def test_what_the_nearest_token_lacks_is_missing() -> None:
    there = connection(token("t1", "directory company"), token("t2", "payment"))
    wanted = frozenset({"directory", "company", "payment"})
    refused = Refused(Outcome.MISSING_PRODUCTS, missing=frozenset({"payment"}))
    assert choose(there, wanted) == refused


def test_a_repair_is_asked_for_where_a_broken_token_covers_what_no_working_one_does() -> None:
    there = connection(token("t1", "directory payment", REAUTH), token("t2", "directory"))
    assert chosen(there, frozenset({"payment"})) == "reauth"
    assert chosen(there) == "t2"


@pytest.mark.parametrize(
    "ended",
    [
        {"status": ConnectionStatus.DISCONNECTING},
        {"status": ConnectionStatus.DISCONNECTED, "tokens": ()},
        # The customer wants it ended, and Finch has not done so yet.
        {"status": ConnectionStatus.REAUTH, "problem": DISCONNECT_REFUSED},
    ],
)
def test_what_its_customer_has_ended_is_not_read_any_more(ended: dict[str, Any]) -> None:
    there = connection(token("t1"), **ended)
    assert choose(there, DIRECTORY) == Refused(Outcome.DISCONNECTED, ended["status"])


def test_entities_that_cannot_be_read_are_left_out() -> None:
    entities = {"e1": "connected", "e2": "reauth", "e3": "disconnected"}
    ids = frozenset(entities)
    working = token("t1", entities=entities, entity_ids=ids)
    assert readable_entities(working) == {"e1", "e2"}
    broken = replace(working, status=REAUTH)
    assert readable_entities(broken) == {"e1"}
    assert chosen(connection(broken)) == "t1"
    # All of them work and the connection does not: it is not for one of them.
    none = replace(broken, entities={"e1": "connected", "e2": "connected"})
    assert chosen(connection(none)) == "reauth"
    # Nothing is known of single entities.
    assert readable_entities(replace(working, entities={})) == ids


def test_a_backend_waits_for_the_slowest_answer_and_invokes_once() -> None:
    """Connection, key, record."""
    assert 3 * AWS_CALL < function("VendToken") < finch_tokens.READ_SECONDS
    assert function("ReadDirectory") > finch_tokens.READ_SECONDS


def test_the_example_is_deployed_only_where_it_is_wanted() -> None:
    assert TEMPLATE["Parameters"]["WithExample"]["Default"] == "false"
    for name, resource in TEMPLATE["Resources"].items():
        assert (resource.get("Condition") == "HasExample") == name.startswith("ReadDirectory")
