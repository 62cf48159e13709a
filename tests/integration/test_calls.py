"""The calls to AWS and Finch that each request makes, in their order."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

from finch_connections.aws import session_table
from local.fake_finch.seed_world import OWEN
from tests.bench.costs import REQUESTS
from tests.support.in_process import Call, InProcess
from tests.support.person import Person

# Background work runs when its result is needed, or as early as possible.
LATE, EARLY = False, True


@pytest.fixture
def person(deployed: InProcess) -> Iterator[Person]:
    """A person whose functions are warm: they have read the credentials."""
    Person(deployed, "globex").connect(login=OWEN)
    deployed.finch.reset()
    deployed.tables.clear()
    yield Person(deployed, "acme")
    deployed.border.background.at_once = LATE


def calls(deployed: InProcess, act: Callable[[], Any], *, early: bool = LATE) -> list[str]:
    """The names of the calls that an action makes."""
    seen: list[str] = []

    def note(call: Call, send: Callable[[], Any]) -> Any:
        seen.append(call.operation)
        return send()

    deployed.border.background.at_once = early
    deployed.border.guard = note
    act()
    deployed.border.open()
    return seen


def test_list_connections_makes_one_query(deployed: InProcess, person: Person) -> None:
    person.connect()
    seen = calls(deployed, lambda: person.call("GET", "/connections"))
    assert seen == REQUESTS["GET /connections"].names == ["Query"]


def test_start_and_click_each_spend_a_budget_and_write_once(
    deployed: InProcess, person: Person
) -> None:
    links: list[str] = []
    started = calls(deployed, lambda: links.append(person.link()))
    assert started == REQUESTS["POST /connect-sessions"].names == ["UpdateItem", "PutItem"]
    clicked = calls(deployed, lambda: person.click(links[0]))
    assert clicked == REQUESTS["GET /connect/{handle}"].names
    assert clicked == ["GetItem", "TransactWriteItems", "POST /connect/sessions", "UpdateItem"]
    # The same Finch session serves a second click.
    assert calls(deployed, lambda: person.click(links[0])) == ["GetItem"]


@pytest.mark.parametrize(
    ("query", "cost"),
    [
        ("code=made-up", ["GetItem"]),
        ("code=made-up&state=made-up", []),
        (f"code=made-up&state={'a' * 43}", ["GetItem"]),
        ("error=access_denied", []),
        ("", []),
    ],
)
def test_callback_without_a_session_costs_at_most_one_read(
    deployed: InProcess, query: str, cost: list[str]
) -> None:
    stranger = Person(deployed, "acme")
    assert calls(deployed, lambda: stranger.come_back(f"/callback?{query}")) == cost


def test_code_that_finch_refused_costs_one_read_when_it_comes_again(
    deployed: InProcess, person: Person
) -> None:
    person.click(person.link())
    person.come_back("/callback?code=made-up")
    # The session that the code got, and the note of the code.
    assert calls(deployed, lambda: person.come_back("/callback?code=made-up")) == ["GetItem"] * 2


def test_refused_start_costs_one_write(deployed: InProcess, person: Person) -> None:
    person.start()
    spent = replace(session_table.from_settings(), attempts_per_customer=1)
    with patch.object(session_table, "from_settings", lambda: spent):
        assert calls(deployed, person.start) == ["UpdateItem"]


def test_callback_calls_finch_twice_and_repeats_no_call(
    deployed: InProcess, person: Person
) -> None:
    url = person.log_in(person.click(person.link()))
    expected = REQUESTS["GET /callback"].names
    assert calls(deployed, lambda: person.come_back(url)) == expected


def test_callback_works_in_the_background_while_it_waits(
    deployed: InProcess, person: Person
) -> None:
    url = person.log_in(person.click(person.link()))
    seen = calls(deployed, lambda: person.come_back(url), early=True)
    assert sorted(seen) == sorted(REQUESTS["GET /callback"].names)
    # The place of the token is read while the token is encrypted, and the second encryption runs while
    # Finch describes the token.
    assert seen.index("BatchGetItem") < seen.index("Encrypt")
    assert seen[seen.index("GET /introspect") - 1] == "Encrypt"


@pytest.mark.parametrize("early", [LATE, EARLY], ids=["late", "early"])
def test_credentials_are_read_once_in_the_background(deployed: InProcess, early: bool) -> None:
    person = Person(deployed, "acme")
    url = person.log_in(person.click(person.link()))
    deployed.border.apart = True
    try:
        seen = calls(deployed, lambda: person.come_back(url), early=early)
    finally:
        deployed.border.apart = False
    assert seen.count("GetSecretValue") == 1
    assert seen.index("GetSecretValue") < seen.index("POST /auth/token")
    assert (seen.index("GetSecretValue") < seen.index("TransactWriteItems")) is early


def test_disconnect_of_one_login_makes_the_documented_calls(
    deployed: InProcess, person: Person
) -> None:
    person.connect()
    disconnect = REQUESTS["DELETE /connections/{provider_id}/{company_id}"]
    assert calls(deployed, person.disconnect) == disconnect.names


def test_disconnect_calls_finch_once_for_each_connection_id(
    deployed: InProcess, person: Person
) -> None:
    person.connect()
    person.connect(login=OWEN)
    assert calls(deployed, person.disconnect) == [
        "GetItem",
        "TransactWriteItems",
        "Decrypt",
        "POST /disconnect",
        "TransactWriteItems",
        "Decrypt",
        "POST /disconnect",
        "TransactWriteItems",
    ]


def test_vended_token_costs_one_read_one_decrypt_and_one_record(
    deployed: InProcess, person: Person
) -> None:
    person.connect()
    [row] = person.connections()
    asked = {
        "customer_id": "acme",
        "provider_id": row["provider_id"],
        "company_id": row["company_id"],
        "products": ["directory"],
        "purpose": "count calls",
        "caller": "a-test",
    }
    assert deployed.invoke
    vend = deployed.invoke
    first_of_the_day = calls(deployed, lambda: vend("vend_token", asked))
    seen = calls(deployed, lambda: vend("vend_token", asked))
    assert seen == REQUESTS["vend_token"].names == ["GetItem", "Decrypt", "PutItem"]
    assert first_of_the_day == [*seen, "UpdateItem"]


def test_call_of_finch_costs_a_count_more_than_a_token(deployed: InProcess, person: Person) -> None:
    person.connect()
    [row] = person.connections()
    asked = {
        "customer_id": "acme",
        "provider_id": row["provider_id"],
        "company_id": row["company_id"],
        "method": "GET",
        "path": "/employer/directory",
        "purpose": "count calls",
        "caller": "a-test",
    }
    assert deployed.invoke
    call = deployed.invoke
    first_of_the_day = calls(deployed, lambda: call("call_finch", asked))
    seen = calls(deployed, lambda: call("call_finch", asked))
    assert seen == REQUESTS["call_finch"].names
    assert first_of_the_day == [*seen[:-1], "UpdateItem", seen[-1]]


def test_webhook_sends_one_message(deployed: InProcess, person: Person) -> None:
    person.connect()
    [connection] = [one for one in deployed.finch.connections() if one.live]
    deployed.finch.set_connection_status(connection.id, "reauth")
    seen = calls(deployed, deployed.deliver_webhooks)
    assert seen == REQUESTS["POST /webhooks/finch"].names == ["SendMessage"]


def test_health_check_of_one_login_decrypts_and_introspects_once(
    deployed: InProcess, person: Person
) -> None:
    person.connect()
    deployed.queue.drain()
    [connection] = [one for one in deployed.finch.connections() if one.live]
    deployed.finch.set_connection_status(connection.id, "reauth")
    deployed.deliver_webhooks()
    # A message becomes visible a moment after it was sent.
    deployed.clock.advance(timedelta(seconds=1))
    seen = calls(deployed, deployed.queue.deliver)
    assert seen.count("GET /introspect") == seen.count("Decrypt") == 1
