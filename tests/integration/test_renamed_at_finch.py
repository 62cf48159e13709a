"""Finch renames a provider or company, or describes another token: ids decide which connection it is."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest

from finch_connections.domain.connection import CompanyKey
from finch_connections.use_cases.process_work import Report
from local.fake_finch.seed_world import HARBOR_LANE, JUNIPER_VALE, MAYA, OWEN, TALLY
from tests.integration.test_finchs_answers import BOTH, connected, owned
from tests.integration.test_health import request_check
from tests.integration.test_process_work import reports
from tests.integration.test_vend_token import vend
from tests.support.in_process import InProcess
from tests.support.person import Person

HOUR = timedelta(hours=1)
OLD = f"company#gusto#{HARBOR_LANE.id}"
NEW = "company#gusto-2#harbor"


def answers_name(deployed: InProcess, **fields: Any) -> None:
    """From now on, every answer of Finch has these fields."""
    deployed.finch.faults.clear()
    for path in BOTH:
        deployed.finch.faults.add("*", path, times=None, edit={"set": fields})


def rename(deployed: InProcess) -> None:
    answers_name(deployed, provider_id="gusto-2", company_id="harbor")


def check(deployed: InProcess) -> None:
    deployed.clock.advance(HOUR)
    request_check(deployed)
    deployed.queue.pass_time(HOUR)


def errors(log: StringIO) -> list[str]:
    lines = map(json.loads, log.getvalue().splitlines())
    return [one["message"] for one in lines if one["level"] == "ERROR"]


def test_renamed_company_keeps_its_row_and_is_checked_without_noise(
    deployed: InProcess, log: StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    acme = connected(deployed)
    before = acme.connection()
    rename(deployed)
    reports(capsys)
    check(deployed)
    after = acme.connection()
    assert after.pop("checked_at") > before.pop("checked_at")
    assert after == before
    assert (reports(capsys), errors(log)) == (set(), [])
    [finch_id] = {one["connection_id"] for one in after["logins"]}
    assert owned(deployed) == {OLD, NEW, f"connection#{finch_id}"}
    assert acme.disconnect().json["status"] == "disconnected"
    assert owned(deployed) == set()


def test_second_new_name_replaces_the_first(deployed: InProcess) -> None:
    connected(deployed)
    rename(deployed)
    check(deployed)
    answers_name(deployed, provider_id="gusto-3")
    check(deployed)
    assert {one for one in owned(deployed) if one.startswith("company")} == {
        OLD,
        f"company#gusto-3#{HARBOR_LANE.id}",
    }


@pytest.mark.parametrize("known", [True, False], ids=["known name", "new name"])
def test_repair_of_a_renamed_company_repairs_its_row(deployed: InProcess, known: bool) -> None:
    acme = connected(deployed)
    [before] = acme.connection()["logins"]
    rename(deployed)
    if known:
        check(deployed)
    outcome = acme.repair().outcome
    assert (outcome["status"], outcome["repaired"]) == ("connected", "true")
    [after] = acme.connection()["logins"]
    assert after["id"] != before["id"]
    assert NEW in owned(deployed)
    assert acme.disconnect().json["status"] == "disconnected"
    assert owned(deployed) == set()


def test_other_login_at_a_renamed_company_joins_its_row(deployed: InProcess) -> None:
    acme = connected(deployed)
    rename(deployed)
    check(deployed)
    assert acme.connect(login=OWEN).outcome["status"] == "connected"
    [connection] = acme.connections()
    assert len(connection["logins"]) == 2


def test_another_customer_cannot_connect_a_renamed_company(deployed: InProcess) -> None:
    connected(deployed)
    rename(deployed)
    check(deployed)
    globex = Person(deployed, "globex")
    assert globex.connect(login=OWEN).outcome == {"error": "cannot_connect"}
    assert globex.connections() == []


def test_new_name_that_another_customer_owns_is_reported_and_not_taken(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    acme, globex = connected(deployed), Person(deployed, "globex")
    globex.connect(login=TALLY, company_id=JUNIPER_VALE.id)
    deployed.queue.drain()
    before, theirs = owned(deployed), globex.connections()
    answers_name(deployed, company_id=JUNIPER_VALE.id)
    reports(capsys)
    check(deployed)
    assert reports(capsys) == {Report.FINCH_CONTRADICTS}
    assert acme.connection()["status"] == "connected"
    assert acme.repair().outcome == {"error": "cannot_connect"}
    assert globex.connections() == theirs
    assert owned(deployed) == before


def test_new_name_that_another_row_of_the_customer_owns_is_not_taken(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    acme = connected(deployed)
    acme.connect(login=TALLY, company_id=JUNIPER_VALE.id)
    deployed.queue.drain()
    before = owned(deployed)
    answers_name(deployed, company_id=JUNIPER_VALE.id)
    reports(capsys)
    check(deployed)
    assert reports(capsys) == set()
    assert owned(deployed) == before
    assert acme.repair(login=MAYA).outcome["repaired"] == "true"
    assert owned(deployed) == before


def test_company_id_that_finch_adds_later_is_owned_too(deployed: InProcess) -> None:
    for path in BOTH:
        deployed.finch.faults.add("*", path, times=None, edit={"remove": ["company_id"]})
    acme = connected(deployed)
    [connection] = acme.connections()
    deployed.finch.faults.clear()
    deployed.clock.advance(HOUR)
    request_check(deployed, CompanyKey("gusto", connection["company_id"]))
    deployed.queue.drain()
    assert OLD in owned(deployed)
    assert Person(deployed, "globex").connect(login=OWEN).outcome == {"error": "cannot_connect"}


@pytest.mark.parametrize("field", ["id", "connection_id"])
def test_answer_about_another_token_is_reported_and_shown_as_unknown(
    deployed: InProcess, capsys: pytest.CaptureFixture[str], field: str
) -> None:
    acme = connected(deployed)
    answers_name(deployed, **{field: "another"})
    reports(capsys)
    check(deployed)
    assert reports(capsys) == {Report.FINCH_CONTRADICTS}
    shown = acme.connection()
    assert shown["status"] == "unknown"
    assert shown["logins"][0]["status_detail"] == "another_token"
    assert vend(deployed)["reason"] == "reauth"
    deployed.finch.faults.clear()
    check(deployed)
    assert acme.connection()["status"] == "connected"
    assert "token" in vend(deployed)
