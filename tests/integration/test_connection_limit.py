"""`MaxConnections`: how many connections a customer may have."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.session_table import ADDING_KEPT, SessionTable
from local.fake_finch.seed_world import HARBOR_LANE, JUNIPER_VALE, MAYA, OWEN, TALLY
from tests.acceptance.outcomes import connected, live_token_count
from tests.integration.test_races import DAY, HOUR, MINUTE, before_once
from tests.integration.test_transfer import REFUSED, show, transfer
from tests.support.in_process import InProcess
from tests.support.invariants import ConnectionHistory, broken
from tests.support.person import Person

LIMIT = {"error": "connection_limit"}
OTHER = "justworks"
DISCONNECT = ("POST", "/disconnect")


@pytest.fixture(autouse=True)
def one_connection(deployed: InProcess) -> None:
    """A customer may have one connection."""
    deployed.limit_connections(1)


def at_finch(person: Person, provider_id: str = OTHER, **choices: Any) -> str:
    """A user is at Finch before the customer reaches the limit; returns Finch's redirect."""
    return person.log_in(person.click(person.link()), provider_id=provider_id, **choices)


def at_rest(deployed: InProcess) -> bool:
    deployed.queue.pass_time(3 * HOUR)
    assert broken(deployed, ConnectionHistory(), at_rest=True) == []
    return True


def phases(deployed: InProcess) -> list[str]:
    return [one["phase"]["S"] for one in deployed.tables.all_sessions()]


# Start


@pytest.mark.parametrize("mode", ["redirect", "embedded"])
def test_start_at_the_limit_is_refused_without_a_session_or_a_call_to_finch(
    deployed: InProcess, mode: str
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    before, called = deployed.tables.all_sessions(), deployed.finch.requests.counts()
    refused = acme.start(mode=mode)
    assert (refused.status, refused.code) == (409, "connection_limit")
    assert deployed.tables.all_sessions() == before
    assert deployed.finch.requests.counts() == called
    assert Person(deployed, "globex").start(mode=mode).status == 201


def test_link_that_is_opened_at_the_limit_returns_to_the_page_without_a_call_to_finch(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    mailed = acme.link()
    acme.connect()
    called = deployed.finch.requests.counts()
    assert "error=connection_limit" in acme.browser.navigate(mailed).headers["location"]
    assert deployed.finch.requests.counts() == called
    acme.disconnect()
    assert acme.go_through(mailed).outcome == connected(deployed)


def test_limit_of_two_allows_two(deployed: InProcess) -> None:
    deployed.limit_connections(2)
    acme = Person(deployed, "acme")
    assert acme.connect().outcome == connected(deployed)
    assert acme.connect(provider_id=OTHER).outcome == connected(deployed, OTHER)
    assert acme.start().code == "connection_limit"


def test_connection_counts_until_finch_has_confirmed_its_end(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add(*DISCONNECT, status=500)
    assert acme.disconnect().json["status"] == "disconnecting"
    assert acme.start().code == "connection_limit"
    deployed.queue.pass_time(HOUR)
    assert acme.connect(provider_id=OTHER).outcome == connected(deployed, OTHER)


# Other logins and repairs


def another_login(acme: Person) -> Any:
    key = {"provider_id": "gusto", "company_id": HARBOR_LANE.id}
    return acme.go_through(acme.link(**key), login=OWEN).outcome


def repair(acme: Person) -> Any:
    return acme.repair().outcome


@pytest.mark.parametrize("act", [another_login, repair])
def test_another_login_and_a_repair_pass_at_the_limit(
    deployed: InProcess, act: Callable[[Person], Any]
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    outcome = act(acme)
    assert outcome == connected(deployed) | ({"repaired": "true"} if act is repair else {})
    assert len(acme.connections()) == 1
    assert at_rest(deployed)


def test_start_for_another_login_that_ends_at_another_company_is_discarded(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    link = acme.link(provider_id="gusto", company_id=HARBOR_LANE.id)
    elsewhere = {"login": TALLY, "company_id": JUNIPER_VALE.id}
    assert acme.go_through(link, **elsewhere).outcome == LIMIT
    assert at_rest(deployed)
    assert live_token_count(deployed) == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"provider_id": "gusto", "company_id": "unknown"}, 404, "connection_not_found"),
        ({"company_id": HARBOR_LANE.id}, 400, "invalid_request"),
    ],
)
def test_another_login_needs_a_connection(
    deployed: InProcess, body: dict[str, str], status: int, code: str
) -> None:
    Person(deployed, "globex").connect()
    refused = Person(deployed, "acme").start(**body)
    assert (refused.status, refused.code) == (status, code)
    assert phases(deployed) == ["complete"]


def test_lower_limit_leaves_connections_and_their_logins(deployed: InProcess) -> None:
    deployed.limit_connections(0)
    acme = Person(deployed, "acme")
    acme.connect()
    acme.connect(provider_id=OTHER)
    deployed.limit_connections(1)
    assert another_login(acme) == connected(deployed)
    deployed.queue.pass_time(2 * DAY)
    assert [one["status"] for one in acme.connections()] == ["connected", "connected"]
    acme.disconnect()
    assert acme.start().code == "connection_limit"


# A token that comes too late


def test_token_over_the_limit_is_discarded_at_finch_and_a_reload_says_the_same(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    url = at_finch(acme)
    acme.connect()
    assert acme.come_back(url).outcome == LIMIT
    assert [one["status"] for one in acme.connections()] == ["connected"]
    assert at_rest(deployed)
    assert acme.come_back(url).outcome == LIMIT
    assert sorted(phases(deployed)) == ["complete", "ended"]
    assert [one.provider_id for one in deployed.finch.connections() if one.live] == ["gusto"]


def test_user_who_confirms_over_the_limit_learns_it_and_the_token_is_discarded(
    deployed: InProcess,
) -> None:
    acme, elsewhere = Person(deployed, "acme"), Person(deployed, "acme")
    mailed = acme.link()
    landing = elsewhere.go_through(mailed, provider_id=OTHER)
    assert landing.completion
    acme.connect()
    for _ in range(2):
        refused = elsewhere.confirm(landing.completion)
        assert (refused.status, refused.code) == (409, "connection_limit")
    assert at_rest(deployed)
    assert live_token_count(deployed) == 1


def test_finch_that_does_not_end_a_discarded_connection_is_asked_again_and_then_reported(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    url = at_finch(acme)
    acme.connect()
    deployed.finch.faults.add(*DISCONNECT, error="error_permissions", times=None)
    acme.come_back(url)
    deployed.queue.pass_time(DAY)
    assert "discarding" in phases(deployed)
    deployed.queue.pass_time(4 * DAY)
    assert "held" in phases(deployed)
    assert acme.come_back(url).outcome == LIMIT


def test_two_attempts_at_once_end_with_one_connection(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, other_tab = Person(deployed, "acme"), Person(deployed, "acme")
    first, second = at_finch(acme, "gusto"), at_finch(other_tab)
    outcomes: list[Any] = []

    def meanwhile() -> None:
        outcomes.append(other_tab.come_back(second).outcome)

    # The first has found room, and has not written its connection.
    before_once(monkeypatch, SessionTable, "complete", meanwhile)
    assert acme.come_back(first).outcome == LIMIT
    assert outcomes == [connected(deployed, OTHER)]
    assert [one["provider_id"] for one in acme.connections()] == [OTHER]
    assert at_rest(deployed)
    assert live_token_count(deployed) == 1


def test_connection_of_another_attempt_between_the_reads_is_seen(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, other_tab = Person(deployed, "acme"), Person(deployed, "acme")
    first, second = at_finch(acme, "gusto"), at_finch(other_tab)
    before_once(monkeypatch, ConnectionTable, "every", partial(other_tab.come_back, second))
    assert acme.come_back(first).outcome == LIMIT
    assert [one["provider_id"] for one in acme.connections()] == [OTHER]


def test_two_logins_of_one_connection_at_once_are_both_attached(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, other_tab = Person(deployed, "acme"), Person(deployed, "acme")
    first, second = at_finch(acme, "gusto"), at_finch(other_tab, "gusto", login=OWEN)
    before_once(monkeypatch, SessionTable, "complete", partial(other_tab.come_back, second))
    assert acme.come_back(first).outcome == connected(deployed)
    assert len(acme.connection()["logins"]) == 2


def test_next_connection_after_the_row_of_the_last_expired(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    acme.disconnect()
    deployed.clock.advance(ADDING_KEPT + MINUTE)
    url = at_finch(acme)

    def expire() -> None:
        [row] = [
            one
            for one in deployed.tables.items(deployed.tables.sessions)
            if one["handle_hash"]["S"].startswith("adding#")
        ]
        assert int(row["ttl"]["N"]) < deployed.clock.now.timestamp()
        gone: Any = {
            "TableName": deployed.tables.sessions,
            "Key": {"handle_hash": row["handle_hash"]},
        }
        deployed.tables.dynamodb.transact_write_items(TransactItems=[{"Delete": gone}])

    before_once(monkeypatch, ConnectionTable, "every", expire)
    assert acme.come_back(url).outcome == connected(deployed, OTHER)


def test_row_of_the_last_connection_has_no_customer_id(deployed: InProcess) -> None:
    Person(deployed, "acme").connect()
    rows = deployed.tables.items(deployed.tables.sessions)
    [row] = [one for one in rows if one["handle_hash"]["S"].startswith("adding#")]
    assert deployed.customer_id("acme") not in str(row)
    assert row.keys() == {"handle_hash", "session", "ttl"}


def test_without_a_limit_no_row_is_written_and_no_connection_counted(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.limit_connections(0)

    def unexpected(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(SessionTable, "last_added", unexpected)
    acme = Person(deployed, "acme")
    acme.connect()
    assert acme.connect(provider_id=OTHER).outcome == connected(deployed, OTHER)
    rows = deployed.tables.items(deployed.tables.sessions)
    assert not [one for one in rows if one["handle_hash"]["S"].startswith("adding#")]


# Held tokens


def test_token_that_waited_for_its_company_is_discarded_at_the_limit(deployed: InProcess) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect()
    assert globex.connect(login=OWEN).outcome == REFUSED
    globex.connect(provider_id=OTHER)
    acme.disconnect()
    deployed.queue.pass_time(3 * HOUR)
    assert [one["provider_id"] for one in globex.connections()] == [OTHER]
    assert at_rest(deployed)
    assert live_token_count(deployed) == 1


def test_operator_cannot_transfer_a_company_over_the_limit(deployed: InProcess) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect(login=MAYA)
    assert globex.connect(login=OWEN).outcome == REFUSED
    globex.connect(provider_id=OTHER)
    before = acme.connection()
    refused = transfer(deployed, show(deployed))
    assert refused["error"] == "connection_limit"
    assert acme.connection() == before
    assert "held" in phases(deployed)
    globex.disconnect(provider_id=OTHER)
    assert "result" in transfer(deployed, show(deployed))
    assert [one["provider_id"] for one in globex.connections(status="connected")] == ["gusto"]


# Time between the refusal and the end at Finch


def test_other_customer_can_connect_the_company_of_a_token_over_the_limit(
    deployed: InProcess,
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    url = at_finch(acme)
    acme.connect()
    assert acme.come_back(url).outcome == LIMIT
    # The token of `acme` is not ended yet. Finch ends the connection of one customer only.
    assert globex.connect(provider_id=OTHER).outcome["status"] in ("connected", "pending")
    deployed.queue.pass_time(timedelta(days=1))
    assert [one["status"] for one in globex.connections()] == ["connected"]
