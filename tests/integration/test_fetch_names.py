"""What provider and company are called: asked after the connection is there, never in its way."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest

from finch_connections.domain.connection import CompanyKey
from finch_connections.domain.display_name import LONGEST
from local.fake_finch.seed_world import HARBOR_LANE, NORTHFOLD, TALLY
from tests.integration.test_health import doubt
from tests.support.in_process import Call, InProcess
from tests.support.person import Person

COMPANY, PROVIDERS = ("GET", "/employer/company"), ("GET", "/providers")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KEY = CompanyKey("gusto", HARBOR_LANE.id)


def names(person: Person, **which: str) -> tuple[str | None, str | None]:
    shown = person.connection(**which)
    return shown["provider_name"], shown["company_name"]


def nameless(deployed: InProcess) -> None:
    """A Finch whose introspection names no entity."""
    deployed.finch.faults.add(
        "GET", "/introspect", times=None, edit={"set": {"entities": [{"id": "e-1"}]}}
    )


def asked(deployed: InProcess) -> int:
    return deployed.finch.requests.count(*COMPANY)


def test_names_are_there_once_the_queue_has_looked(deployed: InProcess) -> None:
    nameless(deployed)
    acme = Person(deployed, "acme")
    acme.connect()
    assert names(acme) == (None, None)
    assert deployed.finch.requests.count(*PROVIDERS) == asked(deployed) == 0
    deployed.queue.drain()
    assert names(acme) == ("Gusto", HARBOR_LANE.legal_name)
    assert acme.connections() == [acme.connection()]


def test_an_only_entity_names_the_company_from_the_first_moment(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    assert names(acme) == (None, HARBOR_LANE.legal_name)


def test_names_are_asked_for_once(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    acme.connect(provider_id="justworks")
    deployed.queue.drain()
    assert names(acme, provider_id="justworks") == ("Justworks", HARBOR_LANE.legal_name)
    for _ in range(3):
        doubt(deployed)
        deployed.queue.drain()
    assert asked(deployed) == 2
    assert deployed.finch.requests.count(*PROVIDERS) == 1


def test_of_several_entities_each_is_named_and_no_company(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=TALLY, company_id=NORTHFOLD.id)
    deployed.queue.drain()
    shown = acme.connection(company_id=NORTHFOLD.id)
    assert {one["name"] for one in shown["logins"][0]["entities"]} == {
        one.name for one in NORTHFOLD.entities
    }
    assert (shown["provider_name"], shown["company_name"]) == ("Gusto", None)
    assert asked(deployed) == 0


def test_without_the_product_nothing_is_asked(deployed: InProcess) -> None:
    nameless(deployed)
    acme = Person(deployed, "acme")
    acme.connect(products=["directory"])
    deployed.queue.drain()
    assert names(acme) == ("Gusto", None)
    assert asked(deployed) == 0


BUSY: list[dict[str, Any]] = [
    {"status": 202, "body": {"code": 202, "name": "accepted"}},
    {"status": 202},
    {"error": "rate_limit_exceeded_error"},
    {"error": "server_error"},
    {"nonsense": "array"},
    {"drop": "before_effect"},
]


@pytest.mark.parametrize("fault", BUSY, ids=str)
def test_what_finch_cannot_tell_yet_is_asked_again_and_then_there(
    deployed: InProcess, fault: dict[str, Any]
) -> None:
    nameless(deployed)
    acme = Person(deployed, "acme")
    acme.connect()
    for call in (COMPANY, PROVIDERS):
        deployed.finch.faults.add(*call, times=3, **fault)
    deployed.queue.pass_time(2 * HOUR)
    assert names(acme) == ("Gusto", HARBOR_LANE.legal_name)
    assert acme.connection()["status"] == "connected"
    assert deployed.queue.waiting() == []


@pytest.mark.parametrize("fault", [BUSY[0], BUSY[2]], ids=str)
def test_it_is_not_asked_for_ever_but_by_every_sweep(
    deployed: InProcess, fault: dict[str, Any]
) -> None:
    nameless(deployed)
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add(*COMPANY, times=None, **fault)
    assert deployed.queue.drain(DAY / 2)
    assert asked(deployed) == 9
    assert deployed.invoke
    for seen in (10, 11):
        deployed.queue.pass_time(DAY)
        deployed.invoke("schedule_checks", {})
        deployed.queue.drain(DAY / 2)
        assert asked(deployed) == seen
    deployed.finch.faults.clear()
    deployed.queue.pass_time(DAY)
    deployed.invoke("schedule_checks", {})
    deployed.queue.drain(DAY / 2)
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
def test_what_finch_will_not_tell_is_left_at_that(
    deployed: InProcess, fault: dict[str, Any]
) -> None:
    nameless(deployed)
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add(*COMPANY, times=None, **fault)
    deployed.queue.pass_time(DAY / 2)
    assert names(acme) == ("Gusto", None)
    assert acme.connection()["status"] == "connected"
    assert asked(deployed) == 1


def test_after_a_429_the_next_company_is_not_asked_for_a_minute(deployed: InProcess) -> None:
    nameless(deployed)
    acme = Person(deployed, "acme")
    acme.connect(provider_id="gusto")
    acme.connect(provider_id="justworks")
    deployed.finch.faults.add(*COMPANY, error="rate_limit_exceeded_error")
    for provider_id in ("gusto", "justworks"):
        doubt(deployed, CompanyKey(provider_id, HARBOR_LANE.id))
    deployed.queue.pass_time(timedelta(seconds=30))
    assert asked(deployed) == 1
    deployed.queue.pass_time(10 * timedelta(minutes=1))
    assert names(acme)[1] == names(acme, provider_id="justworks")[1] == HARBOR_LANE.legal_name


@pytest.mark.parametrize("name", ["\u202eevil", "Acme\nPaid", 7, None, ""])
def test_a_name_that_cannot_be_shown_is_none(deployed: InProcess, name: Any) -> None:
    acme = Person(deployed, "acme")
    for call, field in ((COMPANY, "legal_name"), (("GET", "/introspect"), "entities")):
        said = [{"id": "e-1", "name": name}] if field == "entities" else name
        deployed.finch.faults.add(*call, times=None, edit={"set": {field: said}})
    said_of_all = [{"id": "gusto", "display_name": name}, "nonsense", {"id": 7}]
    deployed.finch.faults.add(*PROVIDERS, times=None, status=200, body=said_of_all)
    assert acme.connect().outcome["status"] == "connected"
    deployed.queue.pass_time(HOUR)
    assert names(acme) == (None, None)


def test_a_name_without_end_is_cut(deployed: InProcess) -> None:
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


def test_a_disconnect_that_begins_meanwhile_is_not_written_over(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add("POST", "/disconnect", error="server_error", times=None)

    def disconnect_first(call: Call, send: Any) -> Any:
        if call.operation == " ".join(COMPANY):
            deployed.border.guard = lambda _, go_on: go_on()
            assert acme.disconnect().status == 202
        return send()

    deployed.border.guard = disconnect_first
    deployed.queue.deliver()
    deployed.queue.pass_time(timedelta(minutes=1, seconds=1))
    [item] = deployed.tables.items(deployed.tables.connections)
    assert asked(deployed) == 1
    assert item["status"]["S"] == "disconnecting"
    assert "company_name" not in item


def test_one_on_its_way_out_is_not_asked_about(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add("POST", "/disconnect", error="server_error", times=None)
    acme.disconnect()
    deployed.queue.pass_time(HOUR)
    assert asked(deployed) == deployed.finch.requests.count(*PROVIDERS) == 0
    deployed.finch.faults.clear()
    deployed.queue.drain()
    assert acme.connection()["status"] == "disconnected"


def test_names_outlive_the_connection_and_come_back_with_it(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    acme.disconnect()
    assert names(acme) == ("Gusto", HARBOR_LANE.legal_name)
    acme.connect()
    deployed.queue.drain()
    assert names(acme) == ("Gusto", HARBOR_LANE.legal_name)
    assert asked(deployed) == 1


def test_a_failure_of_naming_is_none_of_the_look(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch, log: StringIO
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("finch_connections.use_cases.fetch_names.named", fail)
    deployed.queue.drain()
    assert acme.connection()["checked_at"] is not None
    assert deployed.queue.waiting() == deployed.queue.dead() == []
    assert "names not asked for" in log.getvalue()


def test_no_name_is_logged(
    deployed: InProcess, log: StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    acme.connect(login=TALLY, company_id=NORTHFOLD.id)
    deployed.queue.drain()
    acme.disconnect()
    deployed.queue.drain()
    said = log.getvalue() + capsys.readouterr().out
    assert "finch answered" in said
    for name in (HARBOR_LANE.legal_name, *(one.name for one in NORTHFOLD.entities)):
        assert name not in said


def test_a_name_is_no_news(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    before = acme.connection()
    deployed.queue.drain()
    [item] = deployed.tables.items(deployed.tables.connections)
    assert item["provider_name"]["S"] == "Gusto"
    assert item["news"]["BOOL"] is False
    assert acme.connection()["updated_at"] == before["updated_at"]


# What there is to confirm


def look(person: Person, completion: str) -> Any:
    reply = person.call("POST", "/callback", {"completion": completion, "look": True})
    return reply.status, reply.json


def test_a_look_says_what_there_is_to_confirm_and_confirms_nothing(deployed: InProcess) -> None:
    acme = Person(deployed, "acme", same_site=False)
    completion = acme.connect(login=TALLY, company_id=NORTHFOLD.id).completion
    assert completion
    for _ in range(3):
        status, said = look(acme, completion)
        assert (status, said.pop("completion")) == (202, completion)
        assert said == {
            "status": "confirm",
            "provider_id": "gusto",
            "company_id": NORTHFOLD.id,
            "entity_names": sorted(one.name for one in NORTHFOLD.entities),
        }
    assert acme.connections() == []
    [session] = deployed.tables.all_sessions()
    assert session["phase"]["S"] == "escrowed"
    assert acme.confirm(completion).json["status"] == "connected"
    assert look(acme, completion)[1] == {
        "status": "connected",
        "provider_id": "gusto",
        "company_id": NORTHFOLD.id,
    }


def test_a_look_of_another_customer_sees_nothing(deployed: InProcess) -> None:
    acme, globex = (Person(deployed, one, same_site=False) for one in ("acme", "globex"))
    completion = acme.connect().completion
    assert completion
    asked_before = len(deployed.finch.requests.all())
    status, problem = look(globex, completion)
    assert (status, problem["code"]) == (404, "session_not_found")
    assert len(deployed.finch.requests.all()) == asked_before
    assert acme.connections() == globex.connections() == []


def test_a_look_while_finch_is_down_is_pending_and_attaches_nothing(deployed: InProcess) -> None:
    acme = Person(deployed, "acme", same_site=False)
    completion = acme.connect().completion
    assert completion
    deployed.finch.faults.add("GET", "/introspect", error="server_error")
    assert look(acme, completion)[1]["status"] == "pending"
    assert look(acme, completion)[1]["status"] == "confirm"
    assert acme.connections() == []


def test_what_the_browser_has_proven_a_look_may_finish(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    deployed.finch.faults.add("GET", "/introspect", error="server_error")
    landing = acme.connect()
    assert landing.outcome["status"] == "pending"
    assert landing.completion
    assert look(acme, landing.completion)[1]["status"] == "connected"
    assert acme.connection()["status"] == "connected"


def test_no_name_stands_in_the_address_that_a_browser_comes_back_to(deployed: InProcess) -> None:
    landing = Person(deployed, "acme", same_site=False).connect()
    assert landing.outcome == {
        "status": "confirm",
        "provider_id": "gusto",
        "company_id": HARBOR_LANE.id,
    }
