"""The token of a connection that a backend gets, or the reason why it gets none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import finch_tokens
from finch_connections.domain.connection import (
    ANOTHER_TOKEN,
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
    """A token. The digit at the end of its name is its age rank: a higher digit is newer."""
    connected_at = NOW + timedelta(hours=int(name[-1]))
    return Token(name, "connection-1", frozenset(products.split()), status, connected_at, **more)


def connection(*tokens: Token, **more: Any) -> Connection:
    status = most_urgent(one.status for one in tokens) if tokens else CONNECTED
    made = Connection("acme", CompanyKey("gusto", "c"), tokens, status, NOW, NOW, 1)
    return replace(made, **more)


def chosen(among: Connection, products: frozenset[str] = DIRECTORY) -> str:
    choice = choose(among, products)
    return choice.id if isinstance(choice, Token) else choice.reason


def test_newest_token_that_covers_the_products_is_chosen() -> None:
    tokens = [
        token("t1", "directory company"),
        token("t2", "directory company employment"),
        token("t3", "payment"),
    ]
    for order in (tokens, tokens[::-1]):
        made = connection(*order)
        assert chosen(made) == "t2"
        assert chosen(made, frozenset({"payment"})) == "t3"
        assert chosen(made, frozenset()) == "t3"


def test_working_token_is_chosen_before_newer_doubtful_tokens() -> None:
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
def test_unusable_token_is_refused_with_its_status(
    status: ConnectionStatus, reason: Outcome
) -> None:
    assert choose(connection(token("t1", status=status)), DIRECTORY) == Refused(reason, status)


def test_pending_data_is_reported_before_a_needed_repair() -> None:
    made = connection(
        token("t1", status=ConnectionStatus.PROCESSING), token("t2", status=ConnectionStatus.REAUTH)
    )
    assert choose(made, DIRECTORY) == Refused(Outcome.PENDING, ConnectionStatus.PROCESSING)


def test_products_missing_from_the_closest_token_are_reported() -> None:
    made = connection(token("t1", "directory company"), token("t2", "payment"))
    wanted = frozenset({"directory", "company", "payment"})
    refused = Refused(Outcome.MISSING_PRODUCTS, missing=frozenset({"payment"}))
    assert choose(made, wanted) == refused


def test_reauth_is_reported_when_only_a_broken_token_covers_the_products() -> None:
    made = connection(token("t1", "directory payment", REAUTH), token("t2", "directory"))
    assert chosen(made, frozenset({"payment"})) == "reauth"
    assert chosen(made) == "t2"


@pytest.mark.parametrize(
    "ended",
    [
        {"status": ConnectionStatus.DISCONNECTING},
        {"status": ConnectionStatus.DISCONNECTED, "tokens": ()},
        # The customer wants the disconnect, but Finch has refused it.
        {"status": ConnectionStatus.REAUTH, "problem": DISCONNECT_REFUSED},
    ],
)
def test_connection_that_the_customer_ended_is_refused(ended: dict[str, Any]) -> None:
    made = connection(token("t1"), **ended)
    assert choose(made, DIRECTORY) == Refused(Outcome.DISCONNECTED, ended["status"])


def test_unreadable_entities_are_left_out() -> None:
    entities = {"e1": "connected", "e2": "reauth", "e3": "disconnected"}
    ids = frozenset(entities)
    working = token("t1", entities=entities, entity_ids=ids)
    assert readable_entities(working, connection(working)) == {"e1", "e2"}
    broken = replace(working, status=REAUTH)
    assert readable_entities(broken, connection(broken)) == {"e1"}
    assert chosen(connection(broken)) == "t1"
    # All entities work but the connection does not, so the cause is not a single entity.
    none = replace(broken, entities={"e1": "connected", "e2": "connected"})
    assert chosen(connection(none)) == "reauth"
    # Finch has sent no status of single entities.
    without = replace(working, entities={})
    assert readable_entities(without, connection(without)) == ids
    # The customer has asked to disconnect them, even if Finch refuses.
    ending = connection(working, ending_entities={"e1": NOW})
    assert readable_entities(working, ending) == {"e2"}
    assert readable_entities(broken, replace(ending, refused_entities=ids)) == frozenset()


def test_token_without_a_readable_entity_is_refused_and_never_vended_without_entities() -> None:
    ended = {"e1": "disconnected", "e2": "disconnected"}
    token_of_none = token("t2", entities=ended, entity_ids=frozenset(ended))
    made = connection(token_of_none)
    assert choose(made, DIRECTORY) == Refused(Outcome.REAUTH, REAUTH)
    readable = token("t1", entities={"e3": "connected"}, entity_ids=frozenset({"e3"}))
    assert chosen(connection(readable, token_of_none)) == "t1"
    refused = connection(readable, refused_entities=frozenset({"e3"}))
    assert choose(refused, DIRECTORY) == Refused(Outcome.REAUTH, REAUTH)


def test_token_that_finch_describes_as_another_is_not_vended() -> None:
    unknown = token("t2", status=ConnectionStatus.UNKNOWN, status_detail="a new word")
    assert chosen(connection(unknown)) == "t2"
    another = replace(unknown, status_detail=ANOTHER_TOKEN)
    assert choose(connection(another), DIRECTORY) == Refused(
        Outcome.REAUTH, ConnectionStatus.UNKNOWN
    )
    assert chosen(connection(token("t1", status=ConnectionStatus.UNKNOWN), another)) == "t1"


def test_client_timeout_is_longer_than_the_vend_token_function() -> None:
    """Counts the calls: grant, connection, key and audit record."""
    assert 4 * AWS_CALL < function("VendToken") < finch_tokens.READ_SECONDS
    for backend in ("ReadDirectory", "ListEmployees"):
        assert function(backend) > finch_tokens.READ_SECONDS


def test_example_is_deployed_only_when_its_parameter_is_true() -> None:
    assert TEMPLATE["Parameters"]["WithExample"]["Default"] == "false"
    for name, resource in TEMPLATE["Resources"].items():
        assert (resource.get("Condition") == "HasExample") == name.startswith("ReadDirectory")
