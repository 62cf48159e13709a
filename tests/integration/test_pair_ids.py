"""Attacks on pair ids, which replace a missing `connection_id`: other customers act in the same instant."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.ownership_table import OwnershipTable
from finch_connections.aws.session_table import SessionTable
from finch_connections.domain.connection import CompanyKey, pair_id
from finch_connections.finch.client import FinchClient
from local.fake_finch.seed_world import HARBOR_LANE, JUNIPER_VALE, MAYA, OWEN, TALLY
from tests.integration.test_process_work import operate, pass_time_until_the_discard, phases
from tests.integration.test_races import DAY, HOUR, MINUTE, before_once
from tests.integration.test_transfer import (
    CHANGES,
    REFUSED,
    held,
    late_change,
    promises_hold,
    show,
    transfer,
    two_customers,
)
from tests.support.in_process import InProcess
from tests.support.invariants import StoredState
from tests.support.person import Landing, Person, connection_path

PAIR, KEY = pair_id("gusto", HARBOR_LANE.id), f"gusto#{HARBOR_LANE.id}"


@contextmanager
def unnamed(deployed: InProcess, *more: str) -> Iterator[None]:
    """Finch names no connection, and `more` fields are missing too."""
    edit = {"remove": ["connection_id", *more]}
    faults = [
        deployed.finch.faults.add("*", path, edit=edit, times=None)
        for path in ("/auth/token", "/introspect")
    ]
    assert faults
    yield
    deployed.finch.faults.clear()


def rows(deployed: InProcess) -> set[str]:
    """The customers who have the company."""
    kept = StoredState(deployed)
    return {row[0] for row in kept.connections if row[1] == KEY and kept.connection_ids(row)}


def live_logins(deployed: InProcess) -> set[str]:
    return {one.login for one in deployed.finch.live_tokens()}


def expire(deployed: InProcess) -> None:
    """The confirmation of the unconfirmed sessions ends, and the queue works on them."""
    deployed.queue.pass_time(DAY + 5 * MINUTE)


@pytest.fixture(params=[(), ("account_id",)], ids=["account named", "account not named"])
def missing(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return tuple(request.param)


# Another customer connects in the same instant


@pytest.mark.parametrize("login", [MAYA, OWEN])
@pytest.mark.parametrize("named", [True, False], ids=["named", "not named"])
def test_discard_does_not_end_a_connection_made_in_the_same_instant(
    deployed: InProcess,
    monkeypatch: pytest.MonkeyPatch,
    missing: tuple[str, ...],
    login: str,
    named: bool,
) -> None:
    globex = Person(deployed, "globex")

    def connect() -> None:
        if named:
            deployed.finch.faults.clear()
        assert globex.connect(login=login).outcome["status"] == "connected"

    with unnamed(deployed, *missing):
        Person(deployed, "acme", same_site=False).connect(login=MAYA)
        before_once(monkeypatch, SessionTable, "discard", connect)
        expire(deployed)
    assert globex.connection()["status"] == "connected"
    assert login in live_logins(deployed)
    assert rows(deployed) == {"globex"}
    assert promises_hold(deployed)


def connects_before_the_discard(
    monkeypatch: pytest.MonkeyPatch, person: Person, login: str
) -> list[Landing]:
    """Lets a person connect in the moment before the next write that decides to discard a token."""
    landings: list[Landing] = []
    before_once(
        monkeypatch, SessionTable, "discard", lambda: landings.append(person.connect(login=login))
    )
    return landings


@pytest.mark.parametrize("login", [MAYA, OWEN])
def test_discard_does_not_end_a_token_that_another_customer_may_still_confirm(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...], login: str
) -> None:
    globex = Person(deployed, "globex", same_site=False)
    with unnamed(deployed, *missing):
        Person(deployed, "acme", same_site=False).connect(login=MAYA)
        landings = connects_before_the_discard(monkeypatch, globex, login)
        expire(deployed)
        [landing] = landings
        assert globex.confirm(str(landing.completion)).json["status"] == "connected"
    assert len(held(deployed)) == 1
    assert globex.connection()["status"] == "connected"
    assert promises_hold(deployed)


@pytest.mark.parametrize("unnamed_login", [0, 1], ids=["first", "second"])
@pytest.mark.parametrize("company", ["exchange", "introspection"])
def test_discard_ends_no_token_of_its_connection_that_finch_named_in_one_exchange_only(
    deployed: InProcess, unnamed_login: int, company: str
) -> None:
    if company == "introspection":
        deployed.finch.change_switches(token_company_id="absent")
    faults, edit = deployed.finch.faults, {"remove": ["connection_id"]}
    faults.add("GET", "/introspect", edit=edit, times=None)
    acme, globex = (Person(deployed, one, same_site=False) for one in ("acme", "globex"))
    landings = []
    for login, person in enumerate((acme, globex)):
        if login == unnamed_login:
            faults.add("POST", "/auth/token", edit=edit)
        landings.append(person.connect())
        deployed.queue.pass_time(2 * HOUR)
    deployed.queue.pass_time(DAY - 3 * HOUR)
    assert phases(deployed) == ["escrowed", "held"]
    assert deployed.finch.requests.count("POST", "/disconnect") == 0
    [waiting] = held(deployed)
    command = {"action": "disconnect", "session": waiting["handle_hash"]["S"]}
    cut_off = operate(deployed, **command)["result"]["would_be_cut_off"]
    assert len(cut_off["sessions"]) == 1
    assert globex.confirm(str(landings[1].completion)).json["status"] == "connected"
    deployed.queue.pass_time(2 * DAY)
    assert globex.connection()["status"] == "connected"
    assert promises_hold(deployed)


@pytest.mark.parametrize("login", [MAYA, OWEN])
def test_failed_discard_decides_again_before_its_next_try(
    deployed: InProcess, missing: tuple[str, ...], login: str
) -> None:
    globex = Person(deployed, "globex")
    with unnamed(deployed, *missing):
        Person(deployed, "acme", same_site=False).connect(login=MAYA)
        deployed.finch.faults.add("POST", "/disconnect", status=500)
        pass_time_until_the_discard(deployed, DAY)
        outcome = globex.connect(login=login).outcome
        assert outcome["status"] in ("connected", "pending")
        deployed.queue.pass_time(HOUR)
        assert globex.connection()["status"] == "connected"
    assert login in live_logins(deployed)
    assert promises_hold(deployed)


@pytest.mark.parametrize(
    ("owner", "method"),
    [(FinchClient, "disconnect"), (ConnectionTable, "write"), (OwnershipTable, "freeing")],
    ids=["finch", "write", "free"],
)
def test_disconnect_ends_no_login_of_another_customer_in_the_same_instant(
    deployed: InProcess,
    monkeypatch: pytest.MonkeyPatch,
    missing: tuple[str, ...],
    owner: type,
    method: str,
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    with unnamed(deployed, *missing):
        acme.connect(login=MAYA)
        deployed.queue.drain()
        before_once(monkeypatch, owner, method, lambda: globex.connect(login=OWEN))
        assert acme.disconnect().json["status"] == "disconnected"
        deployed.queue.pass_time(3 * HOUR)
        assert globex.connection()["status"] == "connected"
    assert live_logins(deployed) == {OWEN}
    assert rows(deployed) == {"globex"}
    assert promises_hold(deployed)


@pytest.mark.parametrize("login", [MAYA, OWEN])
@pytest.mark.parametrize("confirmed", [True, False], ids=["connected", "unconfirmed"])
def test_erasure_ends_nothing_of_another_customer_in_the_same_instant(
    deployed: InProcess,
    monkeypatch: pytest.MonkeyPatch,
    missing: tuple[str, ...],
    login: str,
    confirmed: bool,
) -> None:
    globex = Person(deployed, "globex", same_site=confirmed)
    with unnamed(deployed, *missing):
        Person(deployed, "acme", same_site=False).connect(login=MAYA)
        landings = connects_before_the_discard(monkeypatch, globex, login)
        for _ in range(3):
            result = deployed.run_round("erase_customer", customer_id="acme")
        assert [one["reason"] for one in result.open] == ["a person must decide"]
        deployed.queue.pass_time(HOUR)
        if not confirmed:
            globex.confirm(str(landings[0].completion))
    assert globex.connection()["status"] == "connected"
    assert login in live_logins(deployed)
    assert promises_hold(deployed)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("method", ["with_connection", "held_by"])
def test_change_in_the_middle_of_a_transfer_moves_nothing(
    deployed: InProcess,
    monkeypatch: pytest.MonkeyPatch,
    missing: tuple[str, ...],
    change: str,
    method: str,
) -> None:
    with unnamed(deployed, *missing):
        acme, globex = two_customers(deployed, OWEN)
        shown = show(deployed)
        before_once(monkeypatch, OwnershipTable, method, lambda: late_change(change)(acme, globex))
        answer = transfer(deployed, shown)
        deployed.queue.pass_time(3 * HOUR)
        assert len(rows(deployed)) == 1
    if "error" in answer:
        assert OWEN in live_logins(deployed)
    assert promises_hold(deployed)


# Finch names the connection later


def test_row_learns_a_name_that_another_customers_session_holds(deployed: InProcess) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    with unnamed(deployed):
        acme.connect(login=MAYA)
    assert globex.connect(login=MAYA).outcome == REFUSED
    deployed.queue.pass_time(2 * DAY)
    [connection] = [one for one in deployed.finch.connections() if one.live]
    record = StoredState(deployed).ownerships[f"connection#{connection.id}"]
    assert record["customer_id"] == {"S": "acme"}
    assert len(record["holders"]["SS"]) == 1
    assert acme.connection()["status"] == "connected"
    assert promises_hold(deployed)


def test_row_does_not_learn_a_name_that_another_customer_owns(deployed: InProcess) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    globex.connect(login=TALLY, company_id=JUNIPER_VALE.id)
    [theirs] = deployed.finch.connections()
    with unnamed(deployed):
        acme.connect(login=MAYA)
        deployed.queue.drain()
    # Finch answers every question about a token with the name of the other customer's connection.
    edit = {"set": {"connection_id": theirs.id}}
    deployed.finch.faults.add("GET", "/introspect", edit=edit, times=None)
    deployed.queue.pass_time(2 * DAY)
    assert StoredState(deployed).connection_ids(("acme", KEY)) == {PAIR}
    assert acme.disconnect().json["status"] == "disconnected"
    deployed.finch.faults.clear()
    deployed.queue.pass_time(2 * DAY)
    assert live_logins(deployed) == {TALLY}
    assert globex.connection(company_id=JUNIPER_VALE.id)["status"] == "connected"
    assert promises_hold(deployed)


def test_name_that_another_customer_takes_in_the_same_instant_is_not_learned(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    with unnamed(deployed):
        acme.connect(login=MAYA)
        deployed.queue.drain()
    [mine] = deployed.finch.connections()
    key = CompanyKey("gusto", JUNIPER_VALE.id)

    def take() -> None:
        deployed.finch.faults.add("*", "/auth/token", edit={"set": {"connection_id": mine.id}})
        deployed.finch.faults.add("*", "/introspect", edit={"set": {"connection_id": mine.id}})
        outcome = globex.connect(login=TALLY, company_id=key.company_id).outcome
        assert outcome["status"] == "connected"

    before_once(monkeypatch, ConnectionTable, "write", take)
    deployed.queue.pass_time(DAY + 2 * HOUR)
    record = StoredState(deployed).ownerships[f"connection#{mine.id}"]
    assert record["customer_id"] == {"S": "globex"}
    assert StoredState(deployed).connection_ids(("acme", KEY)) == {PAIR}
    assert len(deployed.finch.live_tokens()) == 2


def test_unconfirmed_token_is_dropped_when_finch_names_another_customers_connection(
    deployed: InProcess,
) -> None:
    globex = Person(deployed, "globex")
    with unnamed(deployed):
        Person(deployed, "acme", same_site=False).connect(login=MAYA)
    assert globex.connect(login=MAYA).outcome["status"] == "connected"
    expire(deployed)
    assert globex.connection()["status"] == "connected"
    assert live_logins(deployed) == {MAYA}
    assert promises_hold(deployed)


# Ids that look like ours


@pytest.mark.parametrize(
    "connection_id",
    [PAIR, f"pair#gusto#{JUNIPER_VALE.id}", "pair#", "pair#gusto", "pair#~23#x"],
)
@pytest.mark.parametrize(
    "paths", [("/auth/token",), ("/introspect",), ("/auth/token", "/introspect")]
)
def test_finch_id_that_looks_like_a_pair_id_gives_nothing_of_another_customer(
    deployed: InProcess, connection_id: str, paths: tuple[str, ...]
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    with unnamed(deployed):
        globex.connect(login=OWEN)
    for path in paths:
        edit = {"set": {"connection_id": connection_id}}
        deployed.finch.faults.add("*", path, edit=edit, times=None)
    acme.connect(login=TALLY, company_id=JUNIPER_VALE.id)
    for shown in acme.connections():
        assert shown["company_id"] == JUNIPER_VALE.id
        acme.disconnect(company_id=JUNIPER_VALE.id)
    deployed.queue.pass_time(2 * DAY)
    deployed.finch.faults.clear()
    assert OWEN in live_logins(deployed)
    assert globex.connection()["status"] == "connected"
    assert rows(deployed) == {"globex"}


# A repair that gets a name


@pytest.mark.parametrize("revokes", [True, False])
@pytest.mark.parametrize("waiting", [True, False], ids=["another customer waits", "alone"])
def test_repair_from_a_pair_id_to_a_name_loses_and_ends_nothing(
    deployed: InProcess, missing: tuple[str, ...], revokes: bool, waiting: bool
) -> None:
    deployed.finch.change_switches(reauth_kills_old_tokens=revokes)
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    with unnamed(deployed, *missing):
        acme.connect(login=MAYA)
        if waiting:
            assert globex.connect(login=OWEN).outcome == REFUSED
        deployed.queue.pass_time(HOUR)
    path = connection_path("gusto", HARBOR_LANE.id) + "/reauthenticate"
    link = acme.call("POST", path, {"return_to": deployed.return_urls[0]}).json["connect_url"]
    assert acme.go_through(link).outcome["status"] == "connected"
    deployed.queue.pass_time(2 * DAY)
    assert acme.connection()["status"] == "connected"
    assert live_logins(deployed) == ({MAYA, OWEN} if waiting else {MAYA})
    assert promises_hold(deployed)
    assert acme.disconnect().json["status"] == "disconnected"
    deployed.queue.pass_time(3 * HOUR)
    assert live_logins(deployed) == ({OWEN} if waiting else set())
    assert rows(deployed) == ({"globex"} if waiting else set())
    assert promises_hold(deployed)
