"""Budgets: the attempts to connect that a customer, and a link, have in five minutes."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from finch_connections import settings
from finch_connections.aws import session_table
from finch_connections.domain.budget import PER_LINK, WAITING_PER_LINK, WINDOW, Spending
from finch_connections.domain.connect_session import Exchanging, Started
from local.fake_finch.seed_world import HARBOR_LANE, MAYA
from tests.acceptance.outcomes import connected, exchange_count
from tests.support.in_process import Call, InProcess
from tests.support.person import FinchPage, Person, without_state

STARTS = 4
CROWD = 12
REFUSED = {"error": "too_many_requests"}
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def start_of_a_window(deployed: InProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A small budget for a customer. All requests of a test are in one window unless the clock moves."""
    monkeypatch.setenv("ATTEMPTS_PER_CUSTOMER", str(STARTS))
    forget()
    yield
    monkeypatch.undo()
    forget()


def forget() -> None:
    settings.read.cache_clear()
    session_table.from_settings.cache_clear()


@pytest.fixture
def many_per_customer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the link has a budget that a test can reach."""
    monkeypatch.setenv("ATTEMPTS_PER_CUSTOMER", "1000")
    forget()


def finch_calls(deployed: InProcess) -> int:
    return sum(deployed.finch.requests.counts().values())


def budget_rows(deployed: InProcess) -> list[dict[str, Any]]:
    rows = deployed.tables.items(deployed.tables.sessions)
    return [row for row in rows if row["handle_hash"]["S"].startswith("budget#")]


def repair(person: Person) -> Callable[[], Any]:
    person.connect()
    [row] = person.connections()
    path = f"/connections/{row['provider_id']}/{row['company_id']}/reauthenticate"
    return lambda: person.call("POST", path, {"return_to": person.deployed.return_urls[0]})


@pytest.mark.parametrize("mode", ["redirect", "embedded"])
def test_start_over_the_budget_is_refused_without_a_session_or_a_call_to_finch(
    deployed: InProcess, mode: str
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    assert [acme.start(mode=mode).status for _ in range(STARTS)] == [201] * STARTS
    before, called = deployed.tables.all_sessions(), finch_calls(deployed)
    refused = acme.start(mode=mode)
    assert (refused.status, refused.code) == (429, "too_many_requests")
    assert 1 <= int(refused.headers["retry-after"]) <= WINDOW.total_seconds()
    assert deployed.tables.all_sessions() == before
    assert finch_calls(deployed) == called
    assert globex.start(mode=mode).status == 201
    deployed.clock.advance(timedelta(seconds=int(refused.headers["retry-after"])))
    assert acme.start(mode=mode).status == 201


def test_repairs_spend_the_budget_of_starts(deployed: InProcess) -> None:
    send = repair(Person(deployed, "acme"))
    replies = [send() for _ in range(STARTS)]
    assert [reply.status for reply in replies] == [201] * (STARTS - 1) + [429]


def test_starts_at_the_same_time_do_not_exceed_the_budget(deployed: InProcess) -> None:
    def start(_: int) -> int:
        return Person(deployed, "acme").start().status

    with ThreadPoolExecutor(CROWD) as threads:
        statuses = sorted(threads.map(start, range(CROWD)))
    assert statuses == [201] * STARTS + [429] * (CROWD - STARTS)
    assert len(deployed.tables.all_sessions()) == STARTS


def test_a_link_asks_finch_only_within_its_budget(
    deployed: InProcess, many_per_customer: None
) -> None:
    acme = Person(deployed, "acme")
    link, other = acme.link(), acme.link()
    deployed.finch.faults.add("POST", "/connect/sessions", status=500, times=None)
    for _ in range(PER_LINK):
        assert "finch_unavailable" in acme.browser.navigate(link).headers["location"]
    called = finch_calls(deployed)
    assert "too_many_requests" in acme.browser.navigate(link).headers["location"]
    assert finch_calls(deployed) == called == PER_LINK
    deployed.finch.faults.clear()
    acme.click(other)
    deployed.clock.advance(WINDOW)
    acme.click(link)


def test_clicks_that_reuse_the_session_of_finch_spend_nothing(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    link = acme.link()
    for _ in range(PER_LINK + 1):
        acme.click(link)
    assert finch_calls(deployed) == 1


def test_all_links_of_a_customer_ask_finch_only_within_the_customers_budget(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    links: list[str] = []
    while len(links) <= STARTS:
        links += [acme.link() for _ in range(STARTS)]
        deployed.clock.advance(WINDOW)
    for link in links[:STARTS]:
        acme.click(link)
    assert "too_many_requests" in acme.browser.navigate(links[STARTS]).headers["location"]
    assert finch_calls(deployed) == STARTS


def junk(n: int, page: FinchPage | None) -> str:
    return f"/callback?code=made-up-{n}" + (f"&state={page.state}" if page else "")


@pytest.mark.parametrize("echoed", [True, False], ids=["state", "no state"])
def test_made_up_codes_over_the_budget_reach_neither_finch_nor_the_table(
    deployed: InProcess, many_per_customer: None, echoed: bool
) -> None:
    acme = Person(deployed, "acme")
    page = acme.click(acme.link())
    state = page if echoed else None
    for n in range(PER_LINK):
        assert acme.come_back(junk(n, state)).outcome == {"error": "code_rejected"}
    rows = deployed.tables.items(deployed.tables.sessions)
    for n in range(PER_LINK, 3 * PER_LINK):
        assert acme.come_back(junk(n, state)).outcome == REFUSED
    assert deployed.tables.items(deployed.tables.sessions) == rows
    assert exchange_count(deployed) == PER_LINK
    deployed.clock.advance(WINDOW)
    true = acme.log_in(page)
    assert acme.come_back(true if echoed else without_state(true)).outcome == connected(deployed)


def test_made_up_codes_without_state_leave_the_budget_of_the_code_with_state(
    deployed: InProcess, many_per_customer: None
) -> None:
    acme = Person(deployed, "acme")
    page = acme.click(acme.link())
    for n in range(2 * PER_LINK):
        acme.come_back(junk(n, None))
    assert acme.come_back(acme.log_in(page)).outcome == connected(deployed)


def test_made_up_codes_of_all_links_stay_within_the_customers_budget(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    pages = [acme.click(acme.link()) for _ in range(STARTS)]
    outcomes = [acme.come_back(junk(n, page)).outcome for n, page in enumerate(pages * 2)]
    assert outcomes == [{"error": "code_rejected"}] * STARTS + [REFUSED] * STARTS
    assert exchange_count(deployed) == STARTS


def test_callbacks_with_the_same_code_spend_its_budget_once(
    deployed: InProcess, many_per_customer: None
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    landings = acme.come_back_in_tabs(url, PER_LINK + 5)
    assert {str(landing.outcome) for landing in landings} == {str(connected(deployed))}
    codes = [
        row for row in budget_rows(deployed) if row["handle_hash"]["S"].startswith("budget#code")
    ]
    assert [row["spent"]["N"] for row in codes] == ["1", "1"]


def test_embedded_code_over_the_budget_gets_a_429_and_can_be_sent_again(
    deployed: InProcess, many_per_customer: None
) -> None:
    acme = Person(deployed, "acme")
    started = acme.start(mode="embedded", return_to=None).json
    for n in range(PER_LINK):
        body = {"code": f"made-up-{n}", "state": started["state"]}
        assert acme.call("POST", "/callback", body).code == "code_rejected"
    code = deployed.finch.authorize(
        started["session_id"], provider_id="gusto", login=MAYA, company_id=HARBOR_LANE.id
    ).code
    true = {"code": code, "state": started["state"]}
    refused = acme.call("POST", "/callback", true)
    assert (refused.status, refused.code) == (429, "too_many_requests")
    deployed.clock.advance(timedelta(seconds=int(refused.headers["retry-after"])))
    assert acme.call("POST", "/callback", true).status == 200


def test_only_some_callbacks_wait_for_the_outcome_of_another(
    deployed: InProcess, many_per_customer: None
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    sessions = session_table.from_settings()
    paused: list[float] = []

    def meanwhile(call: Call, send: Callable[[], Any]) -> Any:
        if call.operation == "POST /auth/token":
            deployed.border.guard = lambda _, send: send()
            [row] = deployed.tables.all_sessions()
            session = sessions.get(row["handle_hash"]["S"])
            assert isinstance(session, Exchanging)
            for _ in range(WAITING_PER_LINK):
                sessions.spend(Spending.WAIT, session.attempt, deployed.clock.now)
            began = deployed.clock.now
            assert acme.come_back(url).outcome == {"status": "pending"}
            paused.append((deployed.clock.now - began).total_seconds())
        return send()

    deployed.border.guard = meanwhile
    assert acme.come_back(url).outcome == connected(deployed)
    assert paused
    # A callback that waits makes the clock move by twelve seconds.
    assert paused[0] < 5


@pytest.mark.parametrize("echoed", [True, False], ids=["state", "no state"])
def test_rows_of_a_refused_code_expire_within_a_day(deployed: InProcess, echoed: bool) -> None:
    acme = Person(deployed, "acme")
    page = acme.click(acme.link())
    [clicked] = deployed.tables.all_sessions()
    acme.come_back(junk(0, page if echoed else None))
    rows = deployed.tables.items(deployed.tables.sessions)
    left = [
        row["handle_hash"]["S"]
        for row in rows
        if datetime.fromtimestamp(int(row["ttl"]["N"]), deployed.clock.now.tzinfo)
        > deployed.clock.now + DAY
    ]
    assert left == [clicked["handle_hash"]["S"]]
    assert isinstance(session_table.from_settings().get(left[0]), Started)


def test_budgets_expire_with_their_window_and_name_no_customer(deployed: InProcess) -> None:
    Person(deployed, "acme").connect()
    rows = budget_rows(deployed)
    assert len(rows) == 5
    for row in rows:
        assert int(row["ttl"]["N"]) <= (deployed.clock.now + WINDOW).timestamp()
        assert "acme" not in str(row)
