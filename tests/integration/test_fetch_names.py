"""Names of provider and company: fetched after the connect, which never waits for them."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest

from finch_connections.domain.connection import CompanyKey
from finch_connections.domain.display_name import LONGEST
from local.fake_finch.seed_world import HARBOR_LANE, NORTHFOLD, TALLY
from tests.integration.test_health import request_check
from tests.support.in_process import Call, InProcess, forget_process_memory
from tests.support.person import Person

COMPANY, PROVIDERS = ("GET", "/employer/company"), ("GET", "/providers")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KEY = CompanyKey("gusto", HARBOR_LANE.id)


def names(person: Person, **ids: str) -> tuple[str | None, str | None]:
    shown = person.connection(**ids)
    return shown["provider_name"], shown["company_name"]


def introspection_without_names(deployed: InProcess) -> None:
    """Makes Finch leave out the entity names in its introspection."""
    deployed.finch.faults.add(
        "GET", "/introspect", times=None, edit={"set": {"entities": [{"id": "e-1"}]}}
    )


def company_request_count(deployed: InProcess) -> int:
    return deployed.finch.requests.count(*COMPANY)


def test_names_are_shown_after_the_work_item_is_processed(deployed: InProcess) -> None:
    introspection_without_names(deployed)
    acme = Person(deployed, "acme")
    acme.connect()
    assert names(acme) == (None, None)
    assert deployed.finch.requests.count(*PROVIDERS) == company_request_count(deployed) == 0
    deployed.queue.drain()
    assert names(acme) == ("Gusto", HARBOR_LANE.legal_name)
    assert acme.connections() == [acme.connection()]


def test_icon_of_the_provider_is_shown_if_finch_gives_one(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    assert acme.connection()["provider_icon"] is None
    deployed.queue.drain()
    assert (
        acme.connection()["provider_icon"] == f"{deployed.finch.base_url}/connect/logos/gusto.svg"
    )


@pytest.mark.parametrize("logo", [None, "http://finch.example/gusto.svg", 7])
def test_unusable_icon_is_not_fetched_again_before_another_login(
    deployed: InProcess, logo: object
) -> None:
    listed = {"id": "gusto", "display_name": "Gusto", "logo": logo}
    deployed.finch.faults.add(*PROVIDERS, status=200, body=[listed])
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    for _ in range(2):
        daily_check(deployed)
        forget_process_memory()
    assert (acme.connection()["provider_icon"], names(acme)[0]) == (None, "Gusto")
    assert deployed.finch.requests.count(*PROVIDERS) == 1
    acme.connect()
    deployed.queue.drain()
    assert acme.connection()["provider_icon"]


def test_logo_is_shown_without_an_icon(deployed: InProcess) -> None:
    logo = "https://finch.example/logo.svg"
    listed = {"id": "gusto", "display_name": "Gusto", "icon": "/relative.svg", "logo": logo}
    deployed.finch.faults.add(*PROVIDERS, status=200, body=[listed])
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    assert acme.connection()["provider_icon"] == logo


def test_single_entity_names_the_company_at_once(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    assert names(acme) == (None, HARBOR_LANE.legal_name)


def test_names_are_fetched_once(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    acme.connect(provider_id="justworks")
    deployed.queue.drain()
    assert names(acme, provider_id="justworks") == ("Justworks", HARBOR_LANE.legal_name)
    for _ in range(3):
        request_check(deployed)
        deployed.queue.drain()
    assert company_request_count(deployed) == 2
    assert deployed.finch.requests.count(*PROVIDERS) == 1


def daily_check(deployed: InProcess) -> None:
    deployed.queue.pass_time(DAY)


def test_several_entities_are_named_and_finch_refuses_a_name_of_the_company_once(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=TALLY, company_id=NORTHFOLD.id)
    deployed.queue.drain()
    shown = acme.connection(company_id=NORTHFOLD.id)
    assert {one["name"] for one in shown["logins"][0]["entities"]} == {
        one.name for one in NORTHFOLD.entities
    }
    assert (shown["provider_name"], shown["company_name"]) == ("Gusto", None)
    daily_check(deployed)
    assert company_request_count(deployed) == 1


def test_company_with_several_entities_shows_its_own_name(deployed: InProcess) -> None:
    deployed.finch.faults.add(*COMPANY, status=200, body={"id": "c", "legal_name": "Northfold Inc"})
    acme = Person(deployed, "acme")
    acme.connect(login=TALLY, company_id=NORTHFOLD.id)
    deployed.queue.drain()
    assert names(acme, company_id=NORTHFOLD.id) == ("Gusto", "Northfold Inc")


@pytest.mark.parametrize("name", ["\u202eevil", None, ""])
def test_unusable_name_is_not_fetched_again_before_another_login(
    deployed: InProcess, name: str | None
) -> None:
    introspection_without_names(deployed)
    deployed.finch.faults.add(*COMPANY, edit={"set": {"legal_name": name}})
    deployed.finch.faults.add(*PROVIDERS, status=200, body=[{"id": "other", "display_name": "X"}])
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    for _ in range(2):
        daily_check(deployed)
        forget_process_memory()
    assert names(acme) == (None, None)
    assert (company_request_count(deployed), deployed.finch.requests.count(*PROVIDERS)) == (1, 1)
    acme.connect()
    deployed.queue.drain()
    assert names(acme) == ("Gusto", HARBOR_LANE.legal_name)


def test_company_name_is_not_fetched_without_the_company_product(deployed: InProcess) -> None:
    introspection_without_names(deployed)
    acme = Person(deployed, "acme")
    acme.connect(products=["directory"])
    deployed.queue.drain()
    assert names(acme) == ("Gusto", None)
    assert company_request_count(deployed) == 0


BUSY: list[dict[str, Any]] = [
    {"status": 202, "body": {"code": 202, "name": "accepted"}},
    {"status": 202},
    {"error": "rate_limit_exceeded_error"},
    {"error": "server_error"},
    {"nonsense": "array"},
    {"drop": "before_effect"},
]


@pytest.mark.parametrize("fault", BUSY, ids=str)
def test_names_are_fetched_again_after_a_temporary_failure(
    deployed: InProcess, fault: dict[str, Any]
) -> None:
    introspection_without_names(deployed)
    acme = Person(deployed, "acme")
    acme.connect()
    for call in (COMPANY, PROVIDERS):
        deployed.finch.faults.add(*call, times=3, **fault)
    deployed.queue.pass_time(2 * HOUR)
    assert names(acme) == ("Gusto", HARBOR_LANE.legal_name)
    assert acme.connection()["status"] == "connected"
    assert deployed.queue.waiting() == []


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"error": "rate_limit_exceeded_error"}], ids=str
)
def test_new_connection_that_finch_does_not_describe_is_looked_at_again_within_minutes(
    deployed: InProcess, fault: dict[str, Any]
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add("GET", "/introspect", times=None, **fault)
    deployed.queue.pass_time(timedelta(minutes=3))
    deployed.finch.faults.clear()
    deployed.queue.pass_time(timedelta(minutes=5))
    assert names(acme) == ("Gusto", HARBOR_LANE.legal_name)


@pytest.mark.parametrize("fault", [BUSY[0], BUSY[2]], ids=str)
def test_failing_fetch_stops_and_resumes_with_each_scheduled_check(
    deployed: InProcess, fault: dict[str, Any]
) -> None:
    introspection_without_names(deployed)
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add(*COMPANY, times=None, **fault)
    assert deployed.queue.drain(DAY / 2)
    first = company_request_count(deployed)
    # The tries grow rarer, and end four hours after the login, which lasts some seconds.
    assert first in (9, 10)
    # The scheduled check finds the row up to a minute after it is due.
    next_day = DAY + timedelta(minutes=1)
    for more in (1, 2):
        deployed.queue.pass_time(next_day)
        assert company_request_count(deployed) == first + more
    deployed.finch.faults.clear()
    deployed.queue.pass_time(next_day)
    assert names(acme) == ("Gusto", HARBOR_LANE.legal_name)


@pytest.mark.parametrize(
    "fault",
    [
        {"error": "insufficient_scope_error"},
        {"error": "error_permissions"},
        {"error": "authentication_error", "finch_code": "reauthenticate_user"},
        {"error": "invalid_token_error"},
        {"error": "not_found_error"},
        {"error": "not_implemented_error"},
    ],
    ids=lambda fault: fault["error"],
)
def test_refused_name_is_not_fetched_again(deployed: InProcess, fault: dict[str, Any]) -> None:
    introspection_without_names(deployed)
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add(*COMPANY, times=None, **fault)
    deployed.queue.pass_time(DAY / 2)
    assert names(acme) == ("Gusto", None)
    assert acme.connection()["status"] == "connected"
    assert company_request_count(deployed) == 1


def test_after_a_429_no_company_name_is_fetched_for_a_minute(deployed: InProcess) -> None:
    introspection_without_names(deployed)
    acme = Person(deployed, "acme")
    acme.connect(provider_id="gusto")
    acme.connect(provider_id="justworks")
    deployed.finch.faults.add(*COMPANY, error="rate_limit_exceeded_error")
    for provider_id in ("gusto", "justworks"):
        request_check(deployed, CompanyKey(provider_id, HARBOR_LANE.id))
    deployed.queue.pass_time(timedelta(seconds=30))
    assert company_request_count(deployed) == 1
    deployed.queue.pass_time(10 * timedelta(minutes=1))
    assert names(acme)[1] == names(acme, provider_id="justworks")[1] == HARBOR_LANE.legal_name


@pytest.mark.parametrize("name", ["\u202eevil", "Acme\x1bPaid", 7, None, ""])
def test_unsafe_or_missing_name_is_not_stored(deployed: InProcess, name: Any) -> None:
    acme = Person(deployed, "acme")
    for call, field in ((COMPANY, "legal_name"), (("GET", "/introspect"), "entities")):
        value = [{"id": "e-1", "name": name}] if field == "entities" else name
        deployed.finch.faults.add(*call, times=None, edit={"set": {field: value}})
    providers = [{"id": "gusto", "display_name": name}, "nonsense", {"id": 7}]
    deployed.finch.faults.add(*PROVIDERS, times=None, status=200, body=providers)
    assert acme.connect().outcome["status"] == "connected"
    deployed.queue.pass_time(HOUR)
    assert names(acme) == (None, None)


def test_long_name_is_truncated(deployed: InProcess) -> None:
    deployed.finch.faults.add(
        *COMPANY, times=None, edit={"set": {"legal_name": "<b>Acme</b> " * 99}}
    )
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    name = names(acme)[1]
    assert name is not None
    assert name.startswith("<b>Acme</b> <b>")
    assert len(name) <= LONGEST


def test_disconnect_during_a_fetch_is_not_overwritten(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add("POST", "/disconnect", error="server_error", times=None)

    def disconnect_first(call: Call, send: Any) -> Any:
        if call.operation == " ".join(COMPANY):
            deployed.border.guard = lambda _, go_on: go_on()
            assert acme.disconnect().status == 202
        return send()

    deployed.border.guard = disconnect_first
    # The first look, which is over before the next.
    deployed.queue.pass_time(timedelta(minutes=2))
    [item] = deployed.tables.items(deployed.tables.connections)
    assert company_request_count(deployed) == 1
    assert item["status"]["S"] == "disconnecting"
    assert "company_name" not in item


def test_disconnect_during_a_late_fetch_continues_within_minutes(deployed: InProcess) -> None:
    introspection_without_names(deployed)
    body = {"code": 202, "name": "accepted"}
    deployed.finch.faults.add(*COMPANY, status=202, body=body, times=None)
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.pass_time(HOUR)

    def disconnect_first(call: Call, send: Any) -> Any:
        if call.operation == " ".join(COMPANY):
            deployed.border.guard = lambda _, go_on: go_on()
            deployed.finch.faults.add("POST", "/disconnect", error="server_error")
            assert acme.disconnect().status == 202
        return send()

    deployed.border.guard = disconnect_first
    while acme.connection()["status"] != "disconnecting":
        deployed.queue.pass_time(timedelta(minutes=1))
    # The fetch would be tried again in an hour.
    deployed.queue.pass_time(timedelta(minutes=3))
    assert acme.connection()["status"] == "disconnected"


def test_no_names_are_fetched_for_a_disconnecting_connection(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add("POST", "/disconnect", error="server_error", times=None)
    acme.disconnect()
    deployed.queue.pass_time(HOUR)
    assert company_request_count(deployed) == deployed.finch.requests.count(*PROVIDERS) == 0
    deployed.finch.faults.clear()
    deployed.queue.drain()
    assert acme.connection()["status"] == "disconnected"


def test_names_are_kept_after_disconnect_and_reused_on_reconnect(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    acme.disconnect()
    assert names(acme) == ("Gusto", HARBOR_LANE.legal_name)
    acme.connect()
    deployed.queue.drain()
    assert names(acme) == ("Gusto", HARBOR_LANE.legal_name)
    assert company_request_count(deployed) == 1


def test_failure_to_fetch_names_does_not_fail_the_health_check(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch, log: StringIO
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("finch_connections.use_cases.fetch_names.with_names", fail)
    deployed.queue.drain()
    assert acme.connection()["checked_at"] is not None
    assert deployed.queue.waiting() == deployed.queue.dead() == []
    assert "names not fetched" in log.getvalue()


def test_no_name_is_written_to_the_log(
    deployed: InProcess, log: StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    acme.connect(login=TALLY, company_id=NORTHFOLD.id)
    deployed.queue.drain()
    acme.disconnect()
    deployed.queue.drain()
    written = log.getvalue() + capsys.readouterr().out
    assert "finch answered" in written
    for name in (HARBOR_LANE.legal_name, *(one.name for one in NORTHFOLD.entities)):
        assert name not in written


def test_stored_name_makes_no_connection_event(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    before = acme.connection()
    deployed.queue.drain()
    [item] = deployed.tables.items(deployed.tables.connections)
    assert item["provider_name"]["S"] == "Gusto"
    assert item["news"]["BOOL"] is False
    assert acme.connection()["updated_at"] == before["updated_at"]


# View of a connection before its confirmation


def view_completion(person: Person, completion: str) -> Any:
    """Gets the pending connection of a completion code with `look`, which does not confirm it."""
    reply = person.call("POST", "/callback", {"completion": completion, "look": True})
    return reply.status, reply.json


def test_view_shows_the_pending_connection_and_confirms_nothing(deployed: InProcess) -> None:
    acme = Person(deployed, "acme", same_site=False)
    landing = acme.connect(login=TALLY, company_id=NORTHFOLD.id)
    completion = landing.completion
    assert completion
    for _ in range(3):
        status, view = view_completion(acme, completion)
        assert (status, view.pop("completion")) == (202, completion)
        assert view == {
            "status": "confirm",
            "provider_id": "gusto",
            "company_id": NORTHFOLD.id,
            "entity_names": sorted(one.name for one in NORTHFOLD.entities),
            "reference": landing.reference,
        }
    assert acme.connections() == []
    [session] = deployed.tables.all_sessions()
    assert session["phase"]["S"] == "escrowed"
    assert acme.confirm(completion).json["status"] == "connected"
    assert view_completion(acme, completion)[1] == {
        "status": "connected",
        "provider_id": "gusto",
        "company_id": NORTHFOLD.id,
    }


def test_view_by_another_customer_is_not_found(deployed: InProcess) -> None:
    acme, globex = (Person(deployed, name, same_site=False) for name in ("acme", "globex"))
    completion = acme.connect().completion
    assert completion
    requests_before = len(deployed.finch.requests.all())
    status, problem = view_completion(globex, completion)
    assert (status, problem["code"]) == (404, "session_not_found")
    assert len(deployed.finch.requests.all()) == requests_before
    assert acme.connections() == globex.connections() == []


def test_view_while_finch_is_down_is_pending_and_attaches_nothing(deployed: InProcess) -> None:
    acme = Person(deployed, "acme", same_site=False)
    completion = acme.connect().completion
    assert completion
    deployed.finch.faults.add("GET", "/introspect", error="server_error")
    assert view_completion(acme, completion)[1]["status"] == "pending"
    assert view_completion(acme, completion)[1]["status"] == "confirm"
    assert acme.connections() == []


def test_view_finishes_a_connect_that_the_browser_has_proven(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    deployed.finch.faults.add("GET", "/introspect", error="server_error")
    landing = acme.connect()
    assert landing.outcome["status"] == "pending"
    assert landing.completion
    assert view_completion(acme, landing.completion)[1]["status"] == "connected"
    assert acme.connection()["status"] == "connected"


def test_return_url_contains_no_name(deployed: InProcess) -> None:
    landing = Person(deployed, "acme", same_site=False).connect()
    assert landing.outcome == {
        "status": "confirm",
        "provider_id": "gusto",
        "company_id": HARBOR_LANE.id,
    }
