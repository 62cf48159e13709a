"""A customer's names at Finch: a start reads few items, and meets a connection whose token was lost."""

from collections.abc import Callable
from typing import Any

import pytest

from finch_connections.aws import session_table
from tests.integration.test_operating import delete_rows, erase
from tests.integration.test_pair_ids import unnamed
from tests.integration.test_process_work import connect_with_lost_response
from tests.integration.test_races import DAY, HOUR
from tests.support.in_process import Call, InProcess, let_through
from tests.support.person import FinchPage, Person

REAUTHENTICATE = ("POST", "/connect/sessions/reauthenticate")
# A start of a later connection reads the session, the record of ownership and the newest name.
FEW = ["GetItem"] * 3


@pytest.fixture
def acme(deployed: InProcess) -> Person:
    """A customer without connections."""
    return Person(deployed, "acme")


def company(deployed: InProcess) -> dict[str, str]:
    """The choices at Finch of a person who logs in to a new company."""
    company_id = deployed.finch.add_company("Another Company, Inc.")
    login = deployed.finch.add_login("gusto", f"{company_id}@example.com", [company_id])
    return {"login": login.username, "company_id": company_id}


def connect(person: Person, times: int = 1) -> None:
    """Connects new companies."""
    assert isinstance(person.deployed, InProcess)
    for _ in range(times):
        assert person.connect(**company(person.deployed)).outcome["status"] == "connected"


def name(person: Person, page: FinchPage | None = None) -> str:
    """The customer's name at Finch in a new Finch session, or in that of `page`."""
    page = page or person.click(person.link())
    customer = person.deployed.finch.open_session(page.session_id).customer
    assert customer
    return customer.id


def is_random(name: str) -> bool:
    return int(name.removeprefix("acme~")) >= 10**12


def reads(person: Person) -> list[str]:
    """The reads of a start, and of the click on its link: one for each item of a query."""
    deployed, seen = person.deployed, list[str]()
    assert isinstance(deployed, InProcess)

    def note(call: Call, send: Callable[[], Any]) -> Any:
        answer = send()
        if call.operation in ("GetItem", "Query"):
            seen.extend([call.operation] * len(answer.get("Items", [None])))
        return answer

    deployed.border.guard = note
    person.click(person.link())
    deployed.border.guard = let_through
    return seen


def rows(deployed: InProcess) -> list[dict[str, Any]]:
    """The rows with the newest names of customers."""
    items = deployed.tables.items(deployed.tables.sessions)
    return [one for one in items if one["handle_hash"]["S"].startswith("names#")]


def newest(customer_id: str = "acme") -> int | None:
    return session_table.from_settings().newest_name(customer_id)


def lose_a_token(person: Person) -> str:
    """Connects a company, but the token is lost; returns the id of the Finch connection."""
    assert isinstance(person.deployed, InProcess)
    connect_with_lost_response(person.deployed, person, **company(person.deployed))
    return person.deployed.finch.connections()[-1].id


# Reads


def test_start_reads_as_many_items_at_the_thirtieth_connection_as_at_the_third(
    deployed: InProcess, acme: Person
) -> None:
    connect(acme, 2)
    third = reads(acme)
    connect(acme, 27)
    assert reads(acme) == third == FEW
    connect(acme)
    names = [one.customer.id for one in deployed.finch.connections() if one.customer]
    assert names == ["acme", *(f"acme~{number}" for number in range(2, 31))]
    assert newest() == 30


def test_first_connection_reads_and_writes_no_name(deployed: InProcess, acme: Person) -> None:
    assert reads(acme) == ["GetItem"]
    connect(acme)
    assert rows(deployed) == []


def test_second_connection_reads_the_first_one_once(acme: Person) -> None:
    connect(acme)
    assert reads(acme) == [*FEW, "Query"]
    assert reads(acme) == FEW


def test_missing_row_makes_the_next_start_read_all_connections_once(
    deployed: InProcess, acme: Person
) -> None:
    connect(acme, 4)
    session_table.from_settings().forget_names("acme")
    assert reads(acme) == [*FEW, *["Query"] * 4]
    assert reads(acme) == FEW
    assert (newest(), name(acme)) == (4, "acme~5")


def test_row_of_a_customers_names_has_no_customer_id_and_never_expires(
    deployed: InProcess, acme: Person
) -> None:
    connect(acme, 2)
    [row] = rows(deployed)
    assert row.keys() == {"handle_hash", "newest"}
    assert "acme" not in str(row)


def test_token_in_escrow_under_the_next_name_makes_no_start_read_all_connections(
    deployed: InProcess, acme: Person
) -> None:
    connect(acme, 3)
    other_site = Person(deployed, "acme", same_site=False)
    assert other_site.connect(**company(deployed)).completion
    assert reads(acme) == [*FEW, "GetItem"]
    assert deployed.finch.requests.count(*REAUTHENTICATE) == 0
    assert newest() == 3


# Lost tokens


def test_next_start_meets_a_connection_with_a_numbered_name_whose_token_was_lost(
    deployed: InProcess, acme: Person
) -> None:
    connect(acme, 3)
    lost = lose_a_token(acme)
    assert newest() == 3
    login = deployed.finch.connections()[-1].customer
    assert login
    assert login.id == "acme~4"
    page = acme.click(acme.link())
    assert deployed.finch.open_session(page.session_id).reauthenticates == lost
    company_id = deployed.finch.connection(lost).company_id
    url = acme.log_in(page, login=f"{company_id}@example.com", company_id=company_id)
    assert acme.come_back(url).outcome["status"] == "connected"
    [found] = [one for one in acme.connections() if one["company_id"] == company_id]
    assert [one["connection_id"] for one in found["logins"]] == [lost]
    assert (newest(), name(acme)) == (4, "acme~5")
    assert reads(acme) == FEW


def test_name_of_a_lost_token_is_used_again_a_day_after_its_recovery_was_not_finished(
    deployed: InProcess, acme: Person
) -> None:
    connect(acme, 2)
    lost = lose_a_token(acme)
    acme.click(acme.link())
    assert is_random(name(acme))
    connect(acme)
    assert newest() == 2
    deployed.clock.advance(DAY + HOUR)
    page = acme.click(acme.link())
    assert deployed.finch.open_session(page.session_id).reauthenticates == lost


# A number that is too low


def end_in_another_order(deployed: InProcess, acme: Person) -> None:
    """Two sessions end in another order than they began. The earlier session has the lower number."""
    connect(acme)
    early, late = (acme.click(acme.link()) for _ in range(2))
    assert name(acme, early) == name(acme, late) == "acme~2"
    acme.come_back(acme.log_in(late, **company(deployed)))
    connect(acme)
    assert newest() == 3
    url = acme.log_in(early, **company(deployed))
    assert acme.come_back(url).outcome["status"] == "connected"


def test_sessions_that_end_in_another_order_cost_the_next_start_one_read_of_all_connections(
    deployed: InProcess, acme: Person
) -> None:
    end_in_another_order(deployed, acme)
    assert newest() == 2
    called = deployed.finch.requests.count("POST", "/connect/sessions")
    assert is_random(name(acme))
    assert deployed.finch.requests.count("POST", "/connect/sessions") - called == 3
    assert (newest(), name(acme)) == (3, "acme~4")
    assert reads(acme) == FEW


def test_start_that_corrects_the_number_connects(deployed: InProcess, acme: Person) -> None:
    end_in_another_order(deployed, acme)
    assert reads(acme) == [*FEW, "GetItem", *["Query"] * 4]
    connect(acme, 2)
    assert len(acme.connections()) == 6
    assert deployed.finch.requests.count(*REAUTHENTICATE) == 0
    assert newest() == 5


def test_lost_token_is_met_after_the_number_was_corrected(
    deployed: InProcess, acme: Person
) -> None:
    connect(acme, 3)
    lost = lose_a_token(acme)
    session_table.from_settings().store_newest_name("acme", 2)
    assert is_random(name(acme))
    page = acme.click(acme.link())
    assert deployed.finch.open_session(page.session_id).reauthenticates == lost


def test_name_of_a_connection_without_an_id_is_skipped_and_corrects_the_number(
    deployed: InProcess, acme: Person
) -> None:
    connect(acme)
    with unnamed(deployed):
        connect(acme)
    assert newest() == 2
    session_table.from_settings().store_newest_name("acme", 1)
    assert is_random(name(acme))
    assert (newest(), name(acme)) == (2, "acme~3")
    assert deployed.finch.requests.count(*REAUTHENTICATE) == 0


def test_name_that_finch_reports_in_another_way_is_used_once(
    deployed: InProcess, acme: Person
) -> None:
    connect(acme)
    named = {"token_customer_id_override": "acme", "introspect_customer_id_override": "acme"}
    deployed.finch.change_switches(**named)
    connect(acme)
    assert newest() == 1
    assert is_random(name(acme))
    assert (newest(), name(acme)) == (2, "acme~3")


def test_start_works_while_a_session_stores_its_number(deployed: InProcess, acme: Person) -> None:
    connect(acme)

    def conflict(call: Call, send: Callable[[], Any]) -> Any:
        if call.operation == "UpdateItem" and "names#" in str(call.arguments["Key"]):
            kind = deployed.tables.dynamodb.exceptions.TransactionConflictException
            raise kind({"Error": {"Code": "TransactionConflictException"}}, "UpdateItem")
        return send()

    deployed.border.guard = conflict
    assert name(acme) == "acme~2"
    deployed.border.guard = let_through
    assert newest() is None


def test_repair_of_an_older_connection_keeps_the_number(deployed: InProcess, acme: Person) -> None:
    choices = [company(deployed) for _ in range(3)]
    for one in choices:
        acme.connect(**one)
    old = choices[1]
    repaired = acme.go_through(acme.repair_link(company_id=old["company_id"]), **old)
    assert repaired.outcome["repaired"] == "true"
    assert newest() == 3


def test_login_that_finch_already_knows_keeps_the_number(deployed: InProcess, acme: Person) -> None:
    choices = [company(deployed) for _ in range(3)]
    for one in choices:
        acme.connect(**one)
    deployed.finch.change_switches(introspect_names_first_customer=True)
    edit = {"remove": ["customer_id"]}
    deployed.finch.faults.add("POST", "/auth/token", edit=edit)
    assert acme.connect(**choices[1]).outcome["status"] == "connected"
    assert newest() == 3


def test_name_of_an_ended_connection_is_not_used_again(deployed: InProcess, acme: Person) -> None:
    connect(acme)
    last = company(deployed)
    acme.connect(**last)
    acme.disconnect(company_id=last["company_id"])
    deployed.queue.drain()
    assert name(acme) == "acme~3"


# Erasure and backup


def test_erasure_deletes_the_row_of_one_customer_and_can_be_repeated(
    deployed: InProcess, acme: Person
) -> None:
    globex = Person(deployed, "globex")
    connect(acme, 3)
    connect(globex, 2)
    assert erase(deployed) == []
    assert (newest(), newest("globex")) == (None, 2)
    assert erase(deployed) == []
    assert len(rows(deployed)) == 1
    connect(acme, 2)
    assert newest() == 2


def test_erasure_deletes_the_row_that_a_start_and_a_callback_write_after_a_round(
    deployed: InProcess, acme: Person
) -> None:
    connect(acme, 2)
    deleted: list[int | None] = []

    def connect_again(call: Call, send: Callable[[], Any]) -> Any:
        answer = send()
        if call.function == "erase_customer" and call.operation == "DeleteItem":
            deployed.border.guard = let_through
            deleted.append(newest())
            page = acme.click(acme.link())
            deleted.append(newest())
            url = acme.log_in(page, **company(deployed))
            assert acme.come_back(url).outcome["status"] == "connected"
            deleted.append(newest())
        return answer

    deployed.border.guard = connect_again
    assert erase(deployed) == []
    assert deleted == [None, 2, 3]
    assert rows(deployed) == []


@pytest.mark.parametrize("row", [None, 2], ids=["lost", "older"])
def test_start_after_a_restore_counts_the_names_once(
    deployed: InProcess, acme: Person, row: int | None
) -> None:
    connect(acme, 5)
    deployed.queue.drain(HOUR)
    backup = deployed.back_up()
    delete_rows(deployed, "acme", "connections", "ownerships")
    session_table.from_settings().forget_names("acme")
    if row:
        session_table.from_settings().store_newest_name("acme", row)
    assert deployed.run_round("restore_backup", **backup).open == []
    assert len(acme.connections()) == 5
    acme.click(acme.link())
    assert (newest(), name(acme)) == (5, "acme~6")
    assert reads(acme) == FEW
    assert deployed.finch.requests.count(*REAUTHENTICATE) == 0
