"""A connection gets its status from Finch's introspection, after any hint that the status has changed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from finch_connections import settings
from finch_connections.aws import work_queue
from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.domain.connection import CompanyKey, ConnectionStatus
from finch_connections.domain.work_item import (
    LEASE,
    ConnectionSubject,
    FinchConnectionSubject,
    WorkItem,
)
from finch_connections.finch.connect_api import ConnectApi
from local.fake_finch.seed_world import HARBOR_LANE, JUNIPER_VALE, MAYA, NORTHFOLD, OWEN, TALLY
from tests.integration.test_process_work import operate, reports
from tests.support.in_process import Call, InProcess, take_deliveries
from tests.support.person import Landing, Person, connection_path

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
KEY = CompanyKey("gusto", HARBOR_LANE.id)


def request_check(deployed: InProcess, key: CompanyKey = KEY, customer_id: str = "acme") -> None:
    """Sends a work item that checks the health of a connection."""
    now = deployed.clock.now
    work_queue.from_settings().send(WorkItem(ConnectionSubject(customer_id, key), now))


def status_at_finch(deployed: InProcess, status: str) -> None:
    for token in deployed.finch.live_tokens():
        deployed.finch.set_connection_status(token.connection_id, status)


def introspections(deployed: InProcess) -> int:
    return deployed.finch.requests.count("GET", "/introspect")


# The status that Finch reports


def test_worse_status_is_shown_after_a_minute_and_a_better_status_at_once(
    deployed: InProcess, acme: Person
) -> None:
    status_at_finch(deployed, "reauth")
    request_check(deployed)
    deployed.queue.pass_time(MINUTE / 2)
    assert acme.connection()["status"] == "connected"
    deployed.queue.pass_time(2 * MINUTE)
    shown = acme.connection()
    assert (shown["status"], shown["logins"][0]["status"]) == ("reauth", "reauth")
    status_at_finch(deployed, "connected")
    request_check(deployed)
    deployed.queue.drain()
    assert acme.connection()["status"] == "connected"


def test_one_bad_response_does_not_change_the_status(deployed: InProcess, acme: Person) -> None:
    before = acme.connection()
    for fault in (
        {"edit": {"set": {"connection_status": {"status": "reauth"}}}},
        {"edit": {"set": {"connection_status": {"status": "disconnected"}}}},
        {"error": "invalid_token_error"},
        {"error": "authentication_error", "finch_code": "reauthenticate_user"},
        {"error": "error_permissions"},
    ):
        deployed.finch.faults.add("GET", "/introspect", **fault)
        request_check(deployed)
        deployed.queue.drain()
        after = acme.connection()
        assert after.pop("checked_at") > before["checked_at"]
        assert after == {name: value for name, value in before.items() if name != "checked_at"}


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"edit": {"set": {"connection_status": {"status": "reauth"}}}}, "reauth"),
        ({"edit": {"set": {"connection_status": {"status": "error_permissions"}}}}, None),
        ({"edit": {"set": {"connection_status": {"status": "error_no_accout_setup"}}}}, "unknown"),
        ({"error": "authentication_error", "finch_code": "reauthenticate_user"}, "reauth"),
        ({"error": "authentication_error", "finch_code": "account_setup_required"}, None),
        ({"error": "error_permissions"}, "error_permissions"),
        ({"error": "invalid_token_error"}, "disconnected"),
        ({"edit": {"set": {"connection_status": {"status": "disconnected"}}}}, "disconnected"),
        ({"error": "server_error"}, "connected"),
        ({"error": "invalid_client_error"}, "connected"),
        ({"nonsense": "array"}, "connected"),
    ],
)
def test_repeated_response_of_finch_becomes_the_status(
    deployed: InProcess, acme: Person, fault: dict[str, Any], status: str | None
) -> None:
    deployed.finch.faults.add("GET", "/introspect", times=None, **fault)
    request_check(deployed)
    deployed.queue.pass_time(3 * HOUR)
    shown = acme.connection()
    if status is None:
        assert shown["status"].startswith("error_")
    else:
        assert shown["status"] == status
    if status == "unknown":
        assert shown["logins"][0]["status_detail"] == "error_no_accout_setup"


def test_dead_token_is_kept_for_an_hour_and_then_frees_its_company(
    deployed: InProcess, acme: Person
) -> None:
    [token] = deployed.finch.live_tokens()
    deployed.finch.disconnect(token.access_token)
    request_check(deployed)
    deployed.queue.pass_time(55 * MINUTE)
    [item] = deployed.tables.items(deployed.tables.connections)
    assert item["ciphertexts"]["M"]
    deployed.queue.pass_time(10 * MINUTE)
    assert acme.connection()["status"] == "disconnected"
    assert acme.connection()["logins"] == []
    assert deployed.tables.items(deployed.tables.ownerships) == []
    assert Person(deployed, "globex").connect(login=OWEN).outcome["status"] == "connected"


def test_one_dead_login_is_removed_and_the_others_stay(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=MAYA)
    acme.connect(login=OWEN)
    deployed.queue.drain()
    [first, second] = sorted(deployed.finch.live_tokens(), key=lambda token: token.created_at)
    deployed.finch.disconnect(first.access_token)
    request_check(deployed)
    deployed.queue.drain()
    [login] = acme.connection()["logins"]
    assert (login["id"], acme.connection()["status"]) == (second.id, "connected")
    owned = {row["owned_id"]["S"] for row in deployed.tables.items(deployed.tables.ownerships)}
    assert owned == {f"company#{KEY}", f"connection#{second.connection_id}"}


def test_refused_client_credentials_are_reported_and_change_no_status(
    deployed: InProcess, acme: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    reports(capsys)
    deployed.finch.faults.add("GET", "/introspect", error="invalid_client_error", times=3)
    request_check(deployed)
    deployed.queue.drain()
    assert reports(capsys) == {"finch_misconfigured"}
    assert acme.connection()["status"] == "connected"


def test_every_entity_and_authentication_method_has_its_own_status(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=TALLY, company_id=NORTHFOLD.id)
    deployed.queue.drain()
    entities = acme.connection(company_id=NORTHFOLD.id)["logins"][0]["entities"]
    assert [entity["status"] for entity in entities] == ["connected"] * 3
    ids = [entity["id"] for entity in entities]
    changed = [
        {"id": ids[0], "status": "connected"},
        {"id": ids[1], "status": "disconnected"},
        {"id": ids[2], "status": "a new word"},
    ]
    methods = [
        {"type": "credential", "connection_status": {"status": "reauth"}, "products": []},
        {"type": "api_token", "connection_status": {"status": "connected"}, "products": []},
    ]
    edit = {"set": {"entities": changed, "authentication_methods": methods}}
    deployed.finch.faults.add("GET", "/introspect", edit=edit, times=None)
    request_check(deployed, CompanyKey("gusto", NORTHFOLD.id))
    deployed.queue.drain()
    shown = acme.connection(company_id=NORTHFOLD.id)
    assert shown["status"] == "reauth"
    [login] = shown["logins"]
    assert {one["id"]: (one["status"], one["status_detail"]) for one in login["entities"]} == {
        ids[0]: ("connected", None),
        ids[1]: ("disconnected", None),
        ids[2]: ("unknown", "a new word"),
    }
    assert {one["type"]: one["status"] for one in login["authentication_methods"]} == {
        "credential": "reauth",
        "api_token": "connected",
    }


def test_health_check_does_not_overwrite_a_concurrent_disconnect(
    deployed: InProcess, acme: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, once = ConnectApi.introspect, [True]

    def introspect_then_disconnect(finch: ConnectApi, token: Any) -> Any:
        answer = real(finch, token)
        if once:
            once.pop()
            assert acme.disconnect().status == 200
        return answer

    monkeypatch.setattr(ConnectApi, "introspect", introspect_then_disconnect)
    request_check(deployed)
    deployed.queue.drain()
    assert acme.connection()["status"] == "disconnected"


def test_many_hints_cause_one_introspection_per_batch(deployed: InProcess, acme: Person) -> None:
    [token] = deployed.finch.live_tokens()
    before = introspections(deployed)
    now = deployed.clock.now
    for _ in range(10):
        request_check(deployed)
        work_item = WorkItem(FinchConnectionSubject(token.connection_id), now)
        work_queue.from_settings().send(work_item)
    deployed.queue.drain()
    # The queue delivers twenty messages in batches of five. A newer hint may come before older hints.
    assert before < introspections(deployed) <= before + 4


@pytest.mark.parametrize("wrong", ["receiver", "backend", "checker"])
@pytest.mark.parametrize("skew", [-4 * MINUTE, 4 * MINUTE])
def test_hint_after_a_check_counts_where_a_hosts_clock_is_minutes_wrong(
    deployed: InProcess, acme: Person, wrong: str, skew: timedelta
) -> None:
    request_check(deployed)
    sent = stamp_by_sqs(deployed)
    with skewed_clock(deployed, skew if wrong == "checker" else timedelta()):
        deployed.queue.drain()
    deployed.clock.advance(MINUTE)
    status_at_finch(deployed, "reauth")
    [webhook] = take_deliveries(deployed)
    with skewed_clock(deployed, timedelta() if wrong == "checker" else skew):
        if wrong == "receiver":
            assert deployed.receive(webhook.headers, webhook.body).status == 200
        else:
            request_check(deployed)
    assert stamp_by_sqs(deployed) > sent
    deployed.queue.drain()
    assert acme.connection()["status"] == "reauth"


@contextmanager
def skewed_clock(deployed: InProcess, skew: timedelta) -> Iterator[None]:
    deployed.clock.advance(skew)
    yield
    deployed.clock.advance(-skew)


def stamp_by_sqs(deployed: InProcess) -> int:
    """Gives each message the real time, as SQS does with its own clock; returns the time."""
    now = int(deployed.clock.now.timestamp() * 1000)
    for message in deployed.queue._queue._messages:
        message.sent_timestamp = now  # type: ignore[assignment]
        message.delayed_until = 0
    return now


def test_hint_about_an_unknown_connection_makes_no_finch_call(
    deployed: InProcess, acme: Person
) -> None:
    before = introspections(deployed)
    now = deployed.clock.now
    work_queue.from_settings().send(WorkItem(FinchConnectionSubject("unknown"), now))
    assert deployed.queue.drain()
    assert deployed.queue.waiting() == []
    assert introspections(deployed) == before


# The scheduled check


def check_on_schedule(deployed: InProcess) -> None:
    assert deployed.invoke is not None
    deployed.invoke("schedule_checks", {})


def test_scheduled_check_finds_connections_unchecked_for_a_day(
    deployed: InProcess, acme: Person
) -> None:
    status_at_finch(deployed, "reauth")
    check_on_schedule(deployed)
    assert deployed.queue.waiting() == []
    deployed.queue.pass_time(DAY + MINUTE)
    check_on_schedule(deployed)
    deployed.queue.drain()
    assert acme.connection()["status"] == "reauth"
    before = introspections(deployed)
    check_on_schedule(deployed)
    deployed.queue.drain()
    assert introspections(deployed) == before


def test_scheduled_check_continues_where_it_stopped_within_finchs_limit(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHECKS_PER_MINUTE", "3")
    settings.read.cache_clear()
    people = [Person(deployed, f"customer-{number}") for number in range(7)]
    for number, person in enumerate(people):
        company_id = deployed.finch.add_company(f"Company {number}")
        login = f"payroll-{number}@example.com"
        deployed.finch.add_login("gusto", login, [company_id])
        landing = person.connect(login=login, company_id=company_id)
        assert landing.outcome["status"] == "connected"
    deployed.queue.drain()
    # No scheduled check runs in this time.
    deployed.clock.advance(2 * DAY)
    now = deployed.clock.now
    checked = []
    for _ in range(3):
        check_on_schedule(deployed)
        assert len(deployed.queue.waiting()) <= 3
        # The next run queues no row again that is in the queue.
        deployed.queue.pass_time(MINUTE)
        shown = [person.connections()[0]["checked_at"] for person in people]
        checked.append(sum(at > now.isoformat() for at in shown))
    assert checked[0] in (3, 4)
    assert checked[2] == 7
    settings.read.cache_clear()


def test_new_connection_does_not_wait_behind_the_daily_checks(
    deployed: InProcess, acme: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHECKS_PER_MINUTE", "1")
    settings.read.cache_clear()
    company_id = deployed.finch.add_company("Another")
    deployed.finch.add_login("gusto", "another@example.com", [company_id])
    deployed.clock.advance(2 * DAY)
    globex = Person(deployed, "globex")
    globex.connect(login="another@example.com", company_id=company_id)
    deployed.clock.advance(2 * MINUTE)
    check_on_schedule(deployed)
    assert [item["customer_id"] for item in deployed.queue.waiting()] == ["globex"]
    settings.read.cache_clear()


def test_scheduled_check_queues_a_row_once_until_its_lease_ends(
    deployed: InProcess, acme: Person
) -> None:
    deployed.clock.advance(2 * DAY)
    for _ in range(3):
        check_on_schedule(deployed)
        deployed.clock.advance(MINUTE)
    assert len(deployed.queue.waiting()) == 1
    deployed.queue.clear()
    deployed.clock.advance(LEASE)
    check_on_schedule(deployed)
    assert len(deployed.queue.waiting()) == 1


def test_scheduled_check_does_not_queue_a_row_that_the_index_shows_too_late(
    deployed: InProcess, acme: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB's indexes are eventually consistent."""
    now = deployed.clock.now
    monkeypatch.setattr(ConnectionTable, "due", lambda *_: iter([("acme", KEY)]))
    check_on_schedule(deployed)
    assert deployed.queue.waiting() == []
    [item] = deployed.tables.items(deployed.tables.connections)
    assert int(item["due_at"]["N"]) > (now + DAY - HOUR).timestamp()


def test_scheduled_check_finds_unfinished_rows_whose_work_item_was_lost(
    deployed: InProcess,
) -> None:
    same_site, other_site = Person(deployed, "acme"), Person(deployed, "globex", same_site=False)
    same_site.connect()
    deployed.finch.faults.add("POST", "/disconnect", status=500)
    assert same_site.disconnect().status == 202
    other_site.connect(provider_id="justworks")
    deployed.clock.advance(2 * MINUTE)
    assert deployed.invoke
    deployed.invoke("schedule_checks", {})
    assert len(deployed.queue.waiting()) == 2
    deployed.queue.clear()
    deployed.queue.pass_time(LEASE - MINUTE)
    assert same_site.connection()["status"] == "disconnecting"
    deployed.queue.pass_time(3 * MINUTE)
    assert same_site.connection()["status"] == "disconnected"
    deployed.queue.drain()
    assert deployed.finch.live_tokens() == []


# Repair


def test_repair_replaces_the_token_of_the_broken_connection(
    deployed: InProcess, acme: Person
) -> None:
    [before] = acme.connection()["logins"]
    status_at_finch(deployed, "reauth")
    request_check(deployed)
    deployed.queue.drain()
    assert acme.connection()["status"] == "reauth"
    landing = acme.repair()
    assert landing.outcome == {
        "status": "connected",
        "provider_id": "gusto",
        "company_id": HARBOR_LANE.id,
        "repaired": "true",
    }
    [after] = acme.connection()["logins"]
    assert acme.connection()["status"] == "connected"
    assert after["connection_id"] == before["connection_id"]
    assert after["id"] != before["id"]
    assert deployed.finch.requests.count("POST", "/disconnect") == 0
    assert acme.disconnect().status == 200
    assert deployed.finch.live_tokens() == []


def test_repair_does_not_change_other_logins(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=MAYA, products=["company", "directory"])
    acme.connect(login=MAYA, products=["employment"])
    acme.connect(login=OWEN)
    deployed.queue.drain()
    logins = acme.connection()["logins"]
    [*_, owen] = logins
    deployed.finch.set_connection_status(logins[0]["connection_id"], "reauth")
    request_check(deployed)
    deployed.queue.drain()
    landing = acme.repair(products=["company", "directory", "employment"])
    assert landing.outcome["repaired"] == "true"
    shown = acme.connection()
    assert shown["status"] == "connected"
    [kept, repaired] = shown["logins"]
    assert kept["id"] == owen["id"]
    assert repaired["products"] == ["company", "directory", "employment"]


def test_connection_that_recovers_at_finch_becomes_connected_again(
    deployed: InProcess, acme: Person
) -> None:
    status_at_finch(deployed, "reauth")
    request_check(deployed)
    deployed.queue.drain()
    status_at_finch(deployed, "connected")
    deployed.queue.pass_time(DAY + HOUR)
    check_on_schedule(deployed)
    deployed.queue.drain()
    assert acme.connection()["status"] == "connected"


def test_repair_link_works_for_days_and_calls_finch_only_on_the_click(
    deployed: InProcess, acme: Person
) -> None:
    link = acme.repair_link()
    assert deployed.finch.requests.count("POST", "/connect/sessions/reauthenticate") == 0
    deployed.queue.pass_time(6 * DAY)
    assert acme.go_through(link).outcome["repaired"] == "true"
    deployed.queue.pass_time(2 * DAY)
    link = acme.repair_link()
    deployed.queue.pass_time(8 * DAY)
    assert acme.come_back(link).outcome == {"error": "session_expired"}


def test_repair_that_ends_at_another_company_makes_another_connection(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=TALLY, company_id=HARBOR_LANE.id)
    deployed.queue.drain()
    status_at_finch(deployed, "reauth")
    request_check(deployed)
    deployed.queue.drain()
    landing = _repair_at_another_company(deployed, acme)
    assert landing.outcome["repaired"] == "false"
    assert landing.outcome["company_id"] == JUNIPER_VALE.id
    broken = acme.connection(company_id=HARBOR_LANE.id)
    assert (broken["status"], broken["problem"]) == ("reauth", "another_company")
    assert acme.connection(company_id=JUNIPER_VALE.id)["status"] == "connected"
    landing = acme.repair(login=TALLY)
    assert landing.outcome["repaired"] == "true"
    assert acme.connection(company_id=HARBOR_LANE.id)["problem"] is None


def _repair_at_another_company(deployed: InProcess, person: Person) -> Landing:
    """Starts a repair, but Finch lets the user log in to another company."""
    link = person.repair_link()
    page = person.click(link)
    code = person.log_in(person.click(person.link()), login=TALLY, company_id=JUNIPER_VALE.id)
    value = parse_qs(urlsplit(code).query)["code"][0]
    return person.come_back(f"/callback?code={value}&state={page.state}")


@pytest.mark.parametrize("state", ["never", "disconnected", "disconnecting", "another customer's"])
def test_repair_of_a_missing_or_disconnecting_connection_is_refused(
    deployed: InProcess, state: str
) -> None:
    acme = Person(deployed, "acme")
    if state == "another customer's":
        Person(deployed, "globex").connect()
    elif state != "never":
        acme.connect()
        if state == "disconnecting":
            deployed.finch.faults.add("POST", "/disconnect", status=500)
        acme.disconnect()
    path = connection_path("gusto", HARBOR_LANE.id) + "/reauthenticate"
    reply = acme.call("POST", path, {"return_to": deployed.return_urls[0]})
    wanted = "connection_busy" if state == "disconnecting" else "connection_not_found"
    assert reply.code == wanted


def test_repair_link_of_a_disconnected_connection_is_refused(
    deployed: InProcess, acme: Person
) -> None:
    link = acme.repair_link()
    acme.disconnect()
    assert acme.come_back(link).outcome == {"error": "connection_not_found"}


def test_embedded_repair_responds_with_repaired_true(deployed: InProcess, acme: Person) -> None:
    status_at_finch(deployed, "reauth")
    request_check(deployed)
    deployed.queue.drain()
    path = connection_path("gusto", HARBOR_LANE.id) + "/reauthenticate"
    started = acme.call("POST", path, {"mode": "embedded"}).json
    authorized = deployed.finch.authorize(
        started["session_id"], provider_id="gusto", login=MAYA, company_id=HARBOR_LANE.id
    )
    done = acme.call("POST", "/callback", {"code": authorized.code, "state": started["state"]})
    assert (done.status, done.json["repaired"]) == (200, True)
    assert acme.connection()["status"] == "connected"


def test_disconnecting_is_not_a_valid_status_of_a_part() -> None:
    assert ConnectionStatus.of_part("disconnected") is ConnectionStatus.DISCONNECTED
    assert ConnectionStatus.of_part("disconnecting") is ConnectionStatus.UNKNOWN


# Hints, and repair


def hint(deployed: InProcess, by: str) -> None:
    """Sends a hint, of the kind `by`, that a status changed at Finch."""
    assert deployed.invoke is not None
    if by == "webhook":
        assert deployed.deliver_webhooks() == [200]
    elif by == "scheduled check":
        deployed.queue.pass_time(DAY + MINUTE)
        deployed.invoke("schedule_checks", {})
    else:
        [login] = Person(deployed, "acme").connection()["logins"]
        where = {
            "customer_id": "acme",
            "provider_id": "gusto",
            "company_id": HARBOR_LANE.id,
            "caller": "nightly-sync",
            "purpose": "employee sync",
            "products": ["directory"],
        }
        token_id = login["id"]
        answer = deployed.invoke(
            "vend_token", where | {"report": "unauthorized", "token_id": token_id}
        )
        assert answer == {"reported": True}


@pytest.mark.parametrize("by", ["webhook", "scheduled check", "a caller's 401"])
def test_each_hint_alone_reveals_a_broken_connection_that_repair_fixes(
    deployed: InProcess, acme: Person, by: str
) -> None:
    [before] = acme.connection()["logins"]
    status_at_finch(deployed, "reauth")
    hint(deployed, by)
    deployed.queue.pass_time(5 * MINUTE)
    assert acme.connection()["status"] == "reauth"
    assert acme.repair().outcome["repaired"] == "true"
    shown = acme.connection()
    [after] = shown["logins"]
    assert (shown["status"], after["connection_id"]) == ("connected", before["connection_id"])
    deployed.queue.drain()
    assert acme.connection()["status"] == "connected"


@pytest.mark.parametrize("by", ["webhook", "scheduled check"])
def test_each_hint_alone_reveals_a_disconnect_at_finch(
    deployed: InProcess, acme: Person, by: str
) -> None:
    [token] = deployed.finch.live_tokens()
    deployed.finch.disconnect(token.access_token)
    hint(deployed, by)
    deployed.queue.drain()
    assert acme.connection()["status"] == "disconnected"
    assert deployed.tables.items(deployed.tables.ownerships) == []


# Limits on repeated work


def refuse_disconnect_for_days(deployed: InProcess, person: Person) -> None:
    fault = {"error": "authentication_error", "finch_code": "reauthenticate_user"}
    deployed.finch.faults.add("POST", "/disconnect", times=None, **fault)
    assert person.disconnect().status == 202
    deployed.queue.pass_time(4 * DAY)
    assert person.connection()["problem"] == "disconnect_refused"


def test_failing_introspection_costs_one_check_an_hour(deployed: InProcess, acme: Person) -> None:
    deployed.finch.faults.add("GET", "/introspect", status=500, times=None)
    deployed.queue.pass_time(DAY + 2 * HOUR)
    before = introspections(deployed)
    deployed.queue.pass_time(6 * HOUR)
    assert deployed.queue.waiting() == []
    assert 5 <= introspections(deployed) - before <= 6
    deployed.finch.faults.clear()
    status_at_finch(deployed, "reauth")
    deployed.queue.pass_time(2 * HOUR)
    assert acme.connection()["status"] == "reauth"


def test_refused_disconnect_and_held_token_are_reported_each_hour(
    deployed: InProcess, acme: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Person(deployed, "globex").connect(login=OWEN).outcome == {"error": "cannot_connect"}
    refuse_disconnect_for_days(deployed, acme)
    assert deployed.queue.waiting() == []
    for _ in range(10):
        reports(capsys)
        deployed.queue.pass_time(HOUR + MINUTE)
        assert reports(capsys) == {"disconnect_refused", "token_held"}


def test_failing_introspection_does_not_block_checks_of_other_connections(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect()
    deployed.queue.pass_time(HOUR)
    company_id = deployed.finch.add_company("Another")
    deployed.finch.add_login("gusto", "another@example.com", [company_id])
    globex.connect(login="another@example.com", company_id=company_id)
    deployed.queue.drain()
    monkeypatch.setenv("CHECKS_PER_MINUTE", "1")
    settings.read.cache_clear()
    deployed.clock.advance(2 * DAY)
    deployed.finch.faults.add("GET", "/introspect", status=500)
    began = deployed.clock.now.isoformat()
    deployed.queue.pass_time(4 * MINUTE)
    [shown] = globex.connections()
    assert shown["checked_at"] > began
    settings.read.cache_clear()


def test_login_attached_during_a_check_hides_no_hint_about_another_login(
    deployed: InProcess, acme: Person
) -> None:
    other_site = Person(deployed, "acme", same_site=False)
    landing = other_site.connect(login=OWEN)
    deployed.queue.pass_time(2 * HOUR)
    deployed.finch.set_connection_status(acme.connection()["logins"][0]["connection_id"], "reauth")
    assert deployed.deliver_webhooks() == [200]
    assert landing.completion
    assert other_site.confirm(landing.completion).status == 200
    deployed.queue.pass_time(5 * MINUTE)
    assert [login["status"] for login in acme.connection()["logins"]] == ["reauth", "connected"]


# Data that must not be overwritten


def test_repair_at_another_company_keeps_the_refused_disconnect_problem(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=TALLY, company_id=HARBOR_LANE.id)
    deployed.queue.drain()
    refuse_disconnect_for_days(deployed, acme)
    assert _repair_at_another_company(deployed, acme).outcome["repaired"] == "false"
    deployed.queue.pass_time(3 * HOUR)
    shown = acme.connection()
    assert (shown["status"], shown["problem"]) == ("reauth", "disconnect_refused")


def test_healthy_connection_has_no_problem_after_repair_at_another_company(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=TALLY, company_id=HARBOR_LANE.id)
    assert _repair_at_another_company(deployed, acme).outcome["repaired"] == "false"
    assert acme.connection()["problem"] is None


def test_disconnect_at_finch_ends_a_refused_disconnect(deployed: InProcess, acme: Person) -> None:
    refuse_disconnect_for_days(deployed, acme)
    deployed.finch.faults.add("GET", "/introspect", error="invalid_token_error", times=None)
    deployed.queue.pass_time(4 * HOUR)
    shown = acme.connection()
    assert (shown["status"], shown["problem"]) == ("disconnected", None)
    assert operate(deployed, action="list")["result"]["connections"] == []


def test_repair_works_when_finch_no_longer_sends_an_account_id(
    deployed: InProcess, acme: Person
) -> None:
    status_at_finch(deployed, "reauth")
    request_check(deployed)
    deployed.queue.drain()
    edit = {"set": {"account_id": None}}
    for method, path in (("POST", "/auth/token"), ("GET", "/introspect")):
        deployed.finch.faults.add(method, path, edit=edit, times=None)
    assert acme.repair().outcome["repaired"] == "true"
    assert len(acme.connection()["logins"]) == 1
    assert acme.connection()["status"] == "connected"


def test_entities_and_products_follow_finchs_introspection(
    deployed: InProcess, acme: Person
) -> None:
    [entity] = acme.connection()["logins"][0]["entity_ids"]
    edit = {
        "entities": [{"id": entity, "status": "connected"}, {"id": "e-2", "status": "connected"}],
        "products": ["company"],
    }
    deployed.finch.faults.add("GET", "/introspect", edit={"set": edit})
    request_check(deployed)
    deployed.queue.drain()
    [login] = acme.connection()["logins"]
    assert login["entity_ids"] == sorted([entity, "e-2"])
    assert login["products"] == ["company"]


def test_callback_and_health_check_agree_on_the_status(deployed: InProcess) -> None:
    methods = [{"type": "credential", "connection_status": {"status": "a new word"}}]
    edit = {"set": {"authentication_methods": methods}}
    deployed.finch.faults.add("GET", "/introspect", edit=edit, times=None)
    acme = Person(deployed, "acme")
    acme.connect()
    first = acme.connection()["logins"][0]
    assert (first["status"], first["status_detail"]) == ("unknown", "a new word")
    deployed.queue.drain()
    assert acme.connection()["logins"][0] == first


def test_refused_disconnect_is_checked_once_an_hour_after_many_webhooks(
    deployed: InProcess, acme: Person
) -> None:
    refuse_disconnect_for_days(deployed, acme)
    for _ in range(6):
        status_at_finch(deployed, "connected")
        deployed.deliver_webhooks()
        deployed.queue.pass_time(7 * MINUTE)
    deployed.queue.pass_time(2 * HOUR)
    assert deployed.queue.waiting() == []
    before = introspections(deployed)
    deployed.queue.pass_time(10 * HOUR)
    assert introspections(deployed) - before <= 12


def test_logins_with_failing_introspection_do_not_hide_another_status(deployed: InProcess) -> None:
    deployed.finch.change_switches(one_connection_per_customer_id=False)
    acme = Person(deployed, "acme")
    acme.connect(login=MAYA, products=["company"])
    acme.connect(login=MAYA, products=["directory"])
    acme.connect(login=OWEN)
    deployed.queue.drain()
    first, second, third = acme.connection()["logins"]
    silent = {
        f"Bearer {token.access_token}"
        for login in (first, second)
        for token in deployed.finch.tokens(login["connection_id"])
    }
    deployed.finch.set_connection_status(third["connection_id"], "reauth")

    def guard(call: Call, send: Callable[[], Any]) -> Any:
        if (
            call.operation == "GET /introspect"
            and call.arguments.headers["authorization"] in silent
        ):
            return httpx.Response(500, json={"name": "server_error"})
        return send()

    deployed.border.guard = guard
    deployed.queue.pass_time(30 * HOUR)
    deployed.border.open()
    assert acme.connection()["status"] == "reauth"
