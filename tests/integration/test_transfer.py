"""A company that another customer has connected: retries, its release, and an operator's transfer."""

from collections.abc import Callable
from typing import Any

import pytest

from finch_connections.aws.ownership_table import OwnershipTable
from finch_connections.aws.session_table import SessionTable
from finch_connections.use_cases.process_work import Report
from local.fake_finch.seed_world import MAYA, OWEN
from tests.integration.test_operating import delete_rows
from tests.integration.test_races import DAY, HOUR, MINUTE, before_once
from tests.support.in_process import InProcess
from tests.support.invariants import ConnectionHistory, StoredState, broken
from tests.support.metrics import outcomes
from tests.support.person import Person

REFUSED = {"error": "cannot_connect"}


def held(deployed: InProcess) -> list[dict[str, Any]]:
    return [one for one in deployed.tables.all_sessions() if one["phase"]["S"] == "held"]


def two_customers(deployed: InProcess, login: str = MAYA) -> tuple[Person, Person]:
    """`acme` owns the company. `globex` has tried to connect it with this login."""
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect(login=MAYA)
    assert globex.connect(login=login).outcome == REFUSED
    return acme, globex


def promises_hold(deployed: InProcess) -> bool:
    deployed.queue.pass_time(3 * HOUR)
    assert broken(deployed, ConnectionHistory(), at_rest=True) == []
    return True


def show(deployed: InProcess, action: str = "transfer") -> dict[str, Any]:
    assert deployed.invoke
    [session] = held(deployed)
    command = {"action": action, "session": session["handle_hash"]["S"]}
    shown: dict[str, Any] = deployed.invoke("resolve_unfinished", command)
    return shown


def transfer(deployed: InProcess, shown: dict[str, Any]) -> dict[str, Any]:
    assert deployed.invoke
    seen = shown["result"]
    command = {"action": "transfer", "session": seen["session"], "decision": seen["decision"]}
    answer: dict[str, Any] = deployed.invoke("resolve_unfinished", command)
    return answer


# Retries


@pytest.mark.parametrize(
    "switches", [{}, {"token_company_id": "absent"}, {"answers": "old"}], ids=str
)
def test_retries_of_a_login_leave_one_held_token(
    deployed: InProcess, capsys: pytest.CaptureFixture[str], switches: dict[str, Any]
) -> None:
    deployed.finch.change_switches(**switches)
    _, globex = two_customers(deployed, OWEN)
    for _ in range(4):
        deployed.clock.advance(MINUTE)
        assert globex.connect(login=OWEN).outcome == REFUSED
    newest = deployed.finch.tokens()[-1].access_token
    [place] = [one for one in StoredState(deployed).places() if isinstance(one.row, str)]
    assert place.text == newest
    deployed.queue.pass_time(10 * MINUTE)
    capsys.readouterr()
    deployed.queue.pass_time(HOUR)
    assert outcomes(capsys.readouterr().out, "process_work").count(Report.TOKEN_HELD) == 1


def test_reload_of_a_repeated_attempt_gets_the_same_outcome(deployed: InProcess) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect()
    url = globex.log_in(globex.click(globex.link()))
    assert globex.come_back(url).outcome == REFUSED
    assert globex.connect().outcome == REFUSED
    assert len(held(deployed)) == 1
    assert globex.come_back(url).outcome == REFUSED


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"login": MAYA}, {"login": OWEN}),
        ({"products": ["company", "directory"]}, {"products": ["company"]}),
    ],
    ids=["another login", "fewer products"],
)
def test_attempt_that_repeats_no_earlier_attempt_is_held_too(
    deployed: InProcess, first: dict[str, Any], second: dict[str, Any]
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect()
    for choices in (first, second):
        assert globex.connect(**choices).outcome == REFUSED
    assert len(held(deployed)) == 2
    assert promises_hold(deployed)


def test_attempts_of_two_customers_are_held_apart(deployed: InProcess) -> None:
    two_customers(deployed)
    assert Person(deployed, "initech").connect().outcome == REFUSED
    assert len(held(deployed)) == 2


def test_attempt_without_proof_does_not_replace_a_proven_one(deployed: InProcess) -> None:
    two_customers(deployed)
    assert Person(deployed, "globex", same_site=False).connect().outcome == REFUSED
    assert sorted(one["escrow"]["M"]["browser_bound"]["BOOL"] for one in held(deployed)) == [
        False,
        True,
    ]


def test_pair_without_an_account_id_shows_no_repetition(deployed: InProcess) -> None:
    """Each login behind a pair id may be a Finch connection that only its own token can end."""
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    for path in ("/auth/token", "/introspect"):
        edit = {"remove": ["connection_id", "account_id"]}
        deployed.finch.faults.add("*", path, edit=edit, times=None)
    acme.connect()
    for _ in range(2):
        assert globex.connect(login=OWEN).outcome == REFUSED
    assert len(held(deployed)) == 2


def test_finch_failure_while_another_customer_owns_the_company_is_pending(
    deployed: InProcess,
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect()
    url = globex.log_in(globex.click(globex.link()))
    deployed.finch.faults.add("GET", "/introspect", status=500)
    assert globex.come_back(url).outcome == {"status": "pending"}
    assert globex.come_back(url).outcome == REFUSED
    assert promises_hold(deployed)


# The owner disconnects


def test_held_token_of_a_proven_browser_is_attached_when_the_owner_disconnects(
    deployed: InProcess,
) -> None:
    acme, globex = two_customers(deployed, OWEN)
    deployed.queue.pass_time(3 * HOUR)
    assert globex.connections() == []
    assert acme.disconnect().json["status"] == "disconnected"
    deployed.queue.pass_time(HOUR + 10 * MINUTE)
    assert globex.connection()["status"] == "connected"
    assert held(deployed) == []
    assert promises_hold(deployed)


def test_reload_after_the_owner_has_disconnected_connects_at_once(deployed: InProcess) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect(login=MAYA)
    url = globex.log_in(globex.click(globex.link()), login=OWEN)
    assert globex.come_back(url).outcome == REFUSED
    acme.disconnect()
    assert globex.come_back(url).outcome["status"] == "connected"
    assert promises_hold(deployed)


def test_held_token_that_dies_with_the_owners_connection_asks_to_connect_again(
    deployed: InProcess,
) -> None:
    """Both customers logged in with the same account, so Finch has one connection for both."""
    acme, globex = two_customers(deployed)
    acme.disconnect()
    deployed.queue.pass_time(4 * HOUR)
    assert StoredState(deployed).phases() == {"complete": 1, "ended": 1}
    shown = globex.connection()
    assert (shown["status"], shown["problem"]) == ("disconnected", "connect_again")
    assert promises_hold(deployed)
    assert globex.connect().outcome["status"] == "connected"
    assert globex.connection()["problem"] is None


def test_customer_who_connects_before_the_held_token_dies_is_not_asked_again(
    deployed: InProcess,
) -> None:
    acme, globex = two_customers(deployed)
    acme.disconnect()
    assert globex.connect().outcome["status"] == "connected"
    deployed.queue.pass_time(4 * HOUR)
    assert globex.connection()["problem"] is None
    assert held(deployed) == []
    assert promises_hold(deployed)


def test_confirmed_token_is_attached_when_the_owner_disconnects(deployed: InProcess) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex", same_site=False)
    acme.connect(login=MAYA)
    landing = globex.connect(login=OWEN)
    assert globex.confirm(str(landing.completion)).code == "cannot_connect"
    acme.disconnect()
    deployed.queue.pass_time(HOUR + 10 * MINUTE)
    assert globex.connection()["status"] == "connected"
    assert promises_hold(deployed)


def test_held_token_without_proof_is_ended_and_its_customer_sees_nothing(
    deployed: InProcess,
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex", same_site=False)
    acme.connect()
    assert globex.connect().outcome == REFUSED
    acme.disconnect()
    deployed.queue.pass_time(4 * HOUR)
    assert StoredState(deployed).phases() == {"complete": 1, "ended": 1}
    assert globex.connections() == []
    assert promises_hold(deployed)


def test_held_token_waits_for_its_customer_only_for_a_month(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    acme, globex = two_customers(deployed, OWEN)
    deployed.queue.clear()
    deployed.clock.advance(31 * DAY)
    acme.disconnect()
    assert deployed.invoke
    deployed.invoke("schedule_checks", {})
    deployed.queue.pass_time(2 * HOUR)
    assert globex.connections() == []
    assert Report.TOKEN_HELD in outcomes(capsys.readouterr().out, "process_work")


def test_first_of_two_waiting_customers_gets_the_company(deployed: InProcess) -> None:
    acme, globex = two_customers(deployed, OWEN)
    initech = Person(deployed, "initech")
    assert initech.connect(login=OWEN).outcome == REFUSED
    acme.disconnect()
    deployed.queue.pass_time(3 * HOUR)
    connected = [one for one in (globex, initech) if one.connections()]
    assert len(connected) == len(held(deployed)) == 1
    assert promises_hold(deployed)


def test_company_taken_while_a_held_token_is_attached_is_waited_for_again(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, globex = two_customers(deployed, OWEN)
    acme.disconnect()
    before_once(monkeypatch, SessionTable, "complete", lambda: acme.connect(login=MAYA))
    deployed.queue.pass_time(2 * HOUR)
    assert globex.connections() == []
    assert len(held(deployed)) == 1
    acme.disconnect()
    deployed.queue.pass_time(2 * HOUR)
    assert globex.connection()["status"] == "connected"
    assert promises_hold(deployed)


# An operator transfers the company


def test_transfer_drops_the_tokens_that_the_held_token_covers(deployed: InProcess) -> None:
    acme, globex = two_customers(deployed)
    shown = show(deployed)
    assert shown["result"]["from"]["customer_id"] == "acme"
    assert shown["result"]["logins_to_end_at_finch"] == []
    assert len(shown["result"]["logins_covered_by_the_held_token"]) == 1
    assert transfer(deployed, shown)["result"]["status"] == "transferred"
    lost = acme.connection()
    assert (lost["status"], lost["problem"]) == ("disconnected", "transferred")
    assert globex.connection()["status"] == "connected"
    assert deployed.finch.requests.count("POST", "/disconnect") == 0
    assert promises_hold(deployed)
    assert globex.disconnect().json["status"] == "disconnected"
    assert deployed.finch.live_tokens() == []


def test_transfer_ends_the_other_logins_of_the_former_customer(deployed: InProcess) -> None:
    acme, globex = two_customers(deployed, OWEN)
    shown = show(deployed)
    assert len(shown["result"]["logins_to_end_at_finch"]) == 1
    deployed.finch.faults.add("POST", "/disconnect", status=500)
    assert transfer(deployed, shown)["result"]["status"] == "transferred"
    assert globex.connection()["status"] == "connected"
    assert (acme.connection()["status"], acme.connection()["problem"]) == (
        "disconnecting",
        "transferred",
    )
    deployed.queue.pass_time(HOUR)
    assert (acme.connection()["status"], acme.connection()["problem"]) == (
        "disconnected",
        "transferred",
    )
    assert [one.login for one in deployed.finch.live_tokens()] == [OWEN]
    assert promises_hold(deployed)


def test_former_customer_never_gets_a_transferred_company_back(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    acme, _ = two_customers(deployed, OWEN)
    transfer(deployed, show(deployed))
    deployed.finch.faults.add("POST", "/disconnect", error="insufficient_scope_error", times=None)
    deployed.queue.pass_time(5 * DAY)
    assert acme.connection()["status"] == "disconnecting"
    assert Report.UNFINISHED in outcomes(capsys.readouterr().out, "process_work")
    deployed.finch.faults.clear()
    deployed.queue.pass_time(DAY)
    assert acme.connection()["status"] == "disconnected"


def test_restored_disconnect_of_a_transferred_company_continues(deployed: InProcess) -> None:
    acme, globex = two_customers(deployed, OWEN)
    deployed.finch.faults.add("POST", "/disconnect", status=500)
    transfer(deployed, show(deployed))
    backup = deployed.back_up()
    delete_rows(deployed, "acme")
    deployed.queue.clear()
    result = deployed.run_round("restore_backup", **backup)
    assert (result.done["restored"], result.open) == (1, [])
    deployed.queue.drain()
    [lost] = acme.connections()
    assert (lost["status"], lost["problem"]) == ("disconnected", "transferred")
    assert globex.connection()["status"] == "connected"
    assert [one.login for one in deployed.finch.live_tokens()] == [OWEN]


@pytest.mark.parametrize("login", [MAYA, OWEN])
def test_transfer_where_finch_names_no_connection(deployed: InProcess, login: str) -> None:
    deployed.finch.change_switches(answers="old")
    acme, globex = two_customers(deployed, login)
    assert transfer(deployed, show(deployed))["result"]["status"] == "transferred"
    deployed.queue.pass_time(HOUR)
    assert acme.connection()["status"] == "disconnected"
    assert len(globex.connection()["logins"]) == 1
    assert {one.login for one in deployed.finch.live_tokens()} == {login}
    assert globex.disconnect().json["status"] == "disconnected"
    assert deployed.finch.live_tokens() == []
    assert deployed.tables.items(deployed.tables.ownerships) == []


def late_change(change: str) -> Callable[[Person, Person], Any]:
    return {
        "the owner disconnects": lambda acme, globex: acme.disconnect(),
        "the owner adds a login": lambda acme, globex: acme.connect(login=OWEN),
        "the other customer tries again": lambda acme, globex: globex.connect(),
    }[change]


CHANGES = (
    "the owner disconnects",
    "the owner adds a login",
    "the other customer tries again",
)


@pytest.mark.parametrize("change", CHANGES)
def test_transfer_after_a_change_is_refused_and_moves_nothing(
    deployed: InProcess, change: str
) -> None:
    acme, globex = two_customers(deployed)
    shown = show(deployed)
    late_change(change)(acme, globex)
    assert "error" in transfer(deployed, shown)
    assert globex.connections() == []
    assert promises_hold(deployed)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("method", ["with_connection", "held_by"])
def test_change_in_the_middle_of_a_transfer_prevents_it(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch, change: str, method: str
) -> None:
    acme, globex = two_customers(deployed)
    shown = show(deployed)
    before_once(monkeypatch, OwnershipTable, method, lambda: late_change(change)(acme, globex))
    assert transfer(deployed, shown)["error"] in ("changed", "connection_ended", "finch_refused")
    monkeypatch.undo()
    assert globex.connections() == []
    assert promises_hold(deployed)


def test_two_transfers_at_the_same_moment_move_the_company_once(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, globex = two_customers(deployed)
    shown, answers = show(deployed), []
    before_once(
        monkeypatch, SessionTable, "complete", lambda: answers.append(transfer(deployed, shown))
    )
    assert transfer(deployed, shown)["error"] == "changed"
    assert answers[0]["result"]["status"] == "transferred"
    assert len(globex.connection()["logins"]) == 1
    assert acme.connection()["status"] == "disconnected"
    assert promises_hold(deployed)


def test_owner_who_disconnects_in_the_middle_of_a_transfer_ends_the_connection(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, globex = two_customers(deployed)
    shown = show(deployed)
    before_once(monkeypatch, OwnershipTable, "taking", acme.disconnect)
    assert transfer(deployed, shown)["error"] == "changed"
    assert acme.connection()["problem"] is None
    deployed.queue.pass_time(4 * HOUR)
    assert globex.connection()["problem"] == "connect_again"
    assert promises_hold(deployed)


def test_transfer_while_the_owner_disconnects_is_refused(deployed: InProcess) -> None:
    acme, _ = two_customers(deployed)
    deployed.finch.faults.add("POST", "/disconnect", status=500)
    acme.disconnect()
    assert show(deployed)["error"] == "connection_busy"


def test_transfer_without_proof_of_the_browser_is_refused(deployed: InProcess) -> None:
    Person(deployed, "acme").connect()
    assert Person(deployed, "globex", same_site=False).connect().outcome == REFUSED
    assert show(deployed)["error"] == "not_proven"


def test_transfer_of_a_dead_token_is_refused(deployed: InProcess) -> None:
    two_customers(deployed, OWEN)
    token = deployed.finch.tokens()[-1]
    deployed.finch.disconnect(token.access_token)
    assert show(deployed)["error"] == "not_proven"


def test_transfer_of_a_token_held_for_another_reason_is_refused(deployed: InProcess) -> None:
    deployed.finch.switches.introspect_customer_id_override = "globex"
    assert Person(deployed, "acme").connect().outcome == REFUSED
    assert show(deployed)["error"] == "session_used"


def test_transfer_of_a_company_that_is_free_is_refused(deployed: InProcess) -> None:
    acme, _ = two_customers(deployed, OWEN)
    acme.disconnect()
    assert show(deployed)["error"] == "session_used"


def test_token_with_another_customers_name_is_not_transferred(deployed: InProcess) -> None:
    two_customers(deployed, OWEN)
    shown = show(deployed)
    deployed.finch.switches.introspect_customer_id_override = "acme"
    assert transfer(deployed, shown)["error"] == "changed"
    assert transfer(deployed, show(deployed))["error"] == "cannot_connect"


def test_operators_disconnect_of_a_token_that_waits_ends_it(deployed: InProcess) -> None:
    two_customers(deployed, OWEN)
    shown = show(deployed, "disconnect")["result"]
    command = {"action": "disconnect", "session": shown["session"], "decision": shown["decision"]}
    deployed.finch.faults.add("POST", "/disconnect", status=500)
    assert deployed.invoke
    assert deployed.invoke("resolve_unfinished", command)["error"] == "finch_unavailable"
    deployed.queue.pass_time(HOUR)
    assert held(deployed) == []
    assert len(deployed.finch.live_tokens()) == 1
    assert promises_hold(deployed)


# Finch names the connection for one customer, and not for the other


@pytest.mark.parametrize("owner_named", [True, False])
@pytest.mark.parametrize("login", [MAYA, OWEN])
def test_company_has_one_owner_where_finch_names_the_connection_for_one_customer_only(
    deployed: InProcess, login: str, owner_named: bool
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    for person, its_login, named in ((acme, MAYA, owner_named), (globex, login, not owner_named)):
        if not named:
            for path in ("/auth/token", "/introspect"):
                edit = {"remove": ["connection_id"]}
                deployed.finch.faults.add("*", path, edit=edit, times=None)
        person.connect(login=its_login)
        deployed.finch.faults.clear()
    assert globex.connections() == []
    answer = transfer(deployed, show(deployed))
    if answer.get("error") == "changed":
        # Finch named the connection of the held token only now.
        answer = transfer(deployed, show(deployed))
    assert answer["result"]["status"] == "transferred"
    deployed.queue.pass_time(3 * HOUR)
    assert acme.connection()["status"] == "disconnected"
    assert len(globex.connection()["logins"]) == 1
    assert {one.login for one in deployed.finch.live_tokens()} == {login}
    assert promises_hold(deployed)
