"""Employees of a customer from all connections: read at the fake Finch, and reconciled."""

from io import StringIO
from typing import Any

import httpx
import pytest

from finch_employees import reading
from functions.list_employees import handler
from local.fake_finch import InProcessTransport, create_app
from local.fake_finch.seed_world import HARBOR_LANE, MAYA, OWEN
from tests.security.sensitive_text import employee_texts, leaks
from tests.support.in_process import InProcess
from tests.support.person import Person

PRODUCTS = ["company", "directory", "individual", "employment"]
ASKED = {"customer_id": "acme", "purpose": "test: enrolment", "caller": "benefits"}
HEADCOUNT = HARBOR_LANE.entities[0].headcount


@pytest.fixture
def acme(deployed: InProcess, monkeypatch: pytest.MonkeyPatch) -> Person:
    """A customer whose only company is connected at three providers."""
    transport = InProcessTransport(create_app(deployed.finch))
    monkeypatch.setattr(
        reading,
        "_client",
        lambda: httpx.Client(
            base_url="https://finch.example.com",
            headers={"Finch-API-Version": reading.API_VERSION},
            transport=transport,
        ),
    )
    person = Person(deployed, "acme")
    person.connect(products=[*PRODUCTS, "ssn"])
    person.connect(provider_id="justworks", login=MAYA, products=PRODUCTS)
    person.connect(provider_id="adp_run", login=OWEN, products=PRODUCTS)
    deployed.queue.drain()
    return person


def employees(deployed: InProcess, **changes: Any) -> Any:
    assert deployed.invoke is not None
    return deployed.invoke("list_employees", ASKED | changes)


def records(deployed: InProcess) -> list[dict[str, Any]]:
    assert deployed.invoke is not None
    asked = {"action": "audit", "customer_id": "acme"}
    found: list[dict[str, Any]] = deployed.invoke("resolve_unfinished", asked)["result"]["records"]
    return found


def test_employees_of_three_providers_are_one_person_each(
    deployed: InProcess, acme: Person
) -> None:
    answer = employees(deployed)
    assert answer["left_out"] == []
    people = answer["people"]
    assert len(people) == HEADCOUNT
    for person in people:
        assert {one["provider_id"] for one in person["members"]} == {
            "gusto",
            "justworks",
            "adp_run",
        }
        assert len({one["individual_id"] for one in person["members"]}) == 1
        assert len(person["joins"]) == 2
        first_name = person["fields"]["first_name"]
        assert first_name["value"]
        assert set(first_name["members"]) < {0, 1, 2} or first_name["others"] == []
    spelled = [one["fields"]["last_name"]["others"] for one in people]
    assert all(spelled)


def test_each_list_and_token_is_audited_with_caller_and_purpose(
    deployed: InProcess, acme: Person
) -> None:
    employees(deployed)
    found = records(deployed)
    assert sorted(one["outcome"] for one in found) == ["listed", "vended", "vended", "vended"]
    assert {one["purpose"] for one in found} == {"test: enrolment"}
    assert {one["caller"] for one in found} == {"read_directory/benefits"}


def test_connection_that_fails_is_left_out_and_the_others_are_listed(
    deployed: InProcess, acme: Person
) -> None:
    deployed.finch.set_connection_status(
        acme.connection("justworks")["logins"][0]["connection_id"], "reauth"
    )
    answer = employees(deployed)
    assert [(one["provider_id"], one["reason"]) for one in answer["left_out"]] == [
        ("justworks", "unauthorized")
    ]
    assert {len(person["members"]) for person in answer["people"]} == {2}
    assert "reported" in [one["outcome"] for one in records(deployed)]


def test_ssn_is_read_only_on_request_and_never_returned(deployed: InProcess, acme: Person) -> None:
    ssns = {one.text for one in employee_texts(HARBOR_LANE) if one.text.startswith("900")}
    for ssn in (False, True):
        answer = str(employees(deployed, ssn=ssn))
        assert "ssn" not in answer
        assert not any(one in answer for one in ssns)
    products = [set(one["products"]) for one in records(deployed) if one["outcome"] == "vended"]
    assert sum("ssn" in one for one in products) == 1


def test_disconnected_connection_is_not_listed(deployed: InProcess, acme: Person) -> None:
    acme.disconnect("adp_run", HARBOR_LANE.id)
    deployed.queue.drain()
    answer = employees(deployed)
    assert answer["left_out"] == []
    assert {len(person["members"]) for person in answer["people"]} == {2}


def test_answer_above_the_limit_is_too_large(
    deployed: InProcess, acme: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as limited:
        limited.setattr(handler, "MOST_BYTES", 10_000)
        assert employees(deployed) == {"reason": "too_large"}
    with monkeypatch.context() as limited:
        limited.setattr(handler, "MOST_RECORDS", 30)
        assert employees(deployed) == {"reason": "too_large"}
    assert "people" in employees(deployed)


@pytest.mark.parametrize("wrong", [{"purpose": ""}, {"caller": "ä"}, {"customer_id": "\x00"}])
def test_invalid_request_is_refused_and_reads_nothing(
    deployed: InProcess, acme: Person, wrong: dict[str, Any]
) -> None:
    answer = employees(deployed, **wrong)
    assert answer["reason"] == "invalid_request"
    assert deployed.finch.requests.count("GET", "/employer/directory") == 0


def test_unknown_customer_has_no_employees(deployed: InProcess, acme: Person) -> None:
    assert employees(deployed, customer_id="globex") == {
        "people": [],
        "possible": [],
        "left_out": [],
    }


def test_employees_appear_in_no_log_and_no_table(
    deployed: InProcess, acme: Person, log: StringIO
) -> None:
    answer = employees(deployed, ssn=True)
    tables = (deployed.tables.audit, deployed.tables.connections, deployed.tables.sessions)
    places = {"log": log.getvalue(), "tables": str([deployed.tables.items(one) for one in tables])}
    assert "employees listed" in places["log"]
    sensitive = employee_texts(HARBOR_LANE)
    assert leaks(sensitive, places, {}) == []
    # The same search finds the employees in the response.
    assert leaks(sensitive, {"answer": str(answer)}, {})
