"""Long waits: each ends on time, and no event causes a long chain of invocations, because Lambda stops it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from finch_connections.aws import work_queue
from finch_connections.domain.connection import CompanyKey
from finch_connections.domain.work_item import ConnectionSubject, WorkItem
from finch_connections.finch.client import FinchClient
from finch_connections.use_cases import process_work
from local.fake_finch.seed_world import HARBOR_LANE, OWEN
from tests.integration.test_process_work import live_token_ids, operate, phases, reports
from tests.support import direct_moto
from tests.support.in_process import LONGEST_CHAIN, InProcess, Stopped
from tests.support.person import Person

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
INTROSPECT, DISCONNECT, CODE = (
    ("GET", "/introspect"),
    ("POST", "/disconnect"),
    ("POST", "/auth/token"),
)
# The API or the schedule, its work item, and two more for what a later change may need.
ALLOWED_CHAIN = 5


def webhooks(deployed: InProcess, status: str = "connected") -> None:
    for token in deployed.finch.live_tokens():
        deployed.finch.set_connection_status(token.connection_id, status)
    deployed.deliver_webhooks()


def finch_down(deployed: InProcess) -> None:
    deployed.finch.faults.add(*INTROSPECT, status=500, times=None)
    assert Person(deployed, "acme").connect().outcome["status"] == "pending"
    deployed.queue.pass_time(2 * DAY)


def never_confirmed(deployed: InProcess) -> None:
    Person(deployed, "acme", same_site=False).connect()
    deployed.finch.faults.add(*DISCONNECT, status=500, times=None)
    deployed.queue.pass_time(2 * DAY)


def initial_sync(deployed: InProcess) -> None:
    body = {"code": 202, "name": "accepted"}
    deployed.finch.faults.add("GET", "/employer/company", status=202, body=body, times=None)
    deployed.finch.faults.add(*INTROSPECT, times=None, edit={"set": {"entities": [{"id": "e"}]}})
    Person(deployed, "acme").connect()
    deployed.queue.pass_time(30 * HOUR)


def disconnect_unanswered(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add(*DISCONNECT, status=500, times=None)
    acme.disconnect()
    for _ in range(4):
        webhooks(deployed)
        deployed.queue.pass_time(12 * HOUR)


def disconnect_refused(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add(*DISCONNECT, error="error_permissions", times=None)
    acme.disconnect()
    deployed.queue.pass_time(4 * DAY)


def held_and_uncertain(deployed: InProcess) -> None:
    Person(deployed, "acme").connect()
    Person(deployed, "globex").connect(login=OWEN)
    initech = Person(deployed, "initech")
    deployed.finch.faults.add(*CODE, drop="after_effect")
    initech.come_back(initech.log_in(initech.click(initech.link()), provider_id="justworks"))
    deployed.queue.pass_time(2 * DAY)


def token_dies(deployed: InProcess) -> None:
    Person(deployed, "acme").connect()
    webhooks(deployed, "reauth")
    deployed.queue.pass_time(HOUR)
    deployed.finch.faults.add(*INTROSPECT, error="invalid_token_error", times=None)
    webhooks(deployed)
    deployed.queue.pass_time(2 * DAY)


def secret_refused(deployed: InProcess) -> None:
    Person(deployed, "acme").connect()
    deployed.finch.faults.add(*INTROSPECT, error="invalid_client_error", times=None)
    webhooks(deployed)
    deployed.queue.pass_time(2 * DAY)


def operator_retries(deployed: InProcess) -> None:
    finch_down(deployed)
    [listed] = operate(deployed, action="list")["result"]["sessions"]
    operate(deployed, action="retry", session=listed["session"])
    deployed.queue.pass_time(DAY)


FLOWS: list[Callable[[InProcess], None]] = [
    finch_down,
    never_confirmed,
    initial_sync,
    disconnect_unanswered,
    disconnect_refused,
    held_and_uncertain,
    token_dies,
    secret_refused,
    operator_retries,
]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.__name__)
def test_no_flow_causes_a_long_chain_of_invocations_or_a_dead_letter(
    deployed: InProcess, flow: Callable[[InProcess], None]
) -> None:
    flow(deployed)
    print(f"longest chain of {flow.__name__}: {deployed.border.longest_chain}")
    assert 2 <= deployed.border.longest_chain <= ALLOWED_CHAIN
    assert deployed.queue.dead() == []


def test_a_function_that_sends_to_its_own_queue_is_stopped_after_16_invocations(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The client itself passes on the header with the chain.
    monkeypatch.setattr(direct_moto, "call", lambda client, operation, arguments, send: send())
    work_item = WorkItem(
        ConnectionSubject("acme", CompanyKey("gusto", HARBOR_LANE.id)), deployed.clock.now
    )
    runs = []

    def send_again(*_: Any, **__: Any) -> process_work.Processed:
        runs.append(deployed.clock.now)
        work_queue.from_settings().send(work_item, 15 * MINUTE)
        return process_work.Processed()

    monkeypatch.setattr(process_work, "process", send_again)
    work_queue.from_settings().send(work_item)
    deployed.queue.pass_time(DAY)
    assert len(runs) == LONGEST_CHAIN
    assert deployed.queue.waiting() == []
    assert len(deployed.queue.dead()) == 1


def test_unconfirmed_token_ends_minutes_after_24_hours(deployed: InProcess) -> None:
    Person(deployed, "acme", same_site=False).connect()
    deployed.queue.pass_time(DAY - MINUTE)
    assert phases(deployed) == ["escrowed"]
    deployed.queue.pass_time(4 * MINUTE)
    assert phases(deployed) == ["ended"]
    assert live_token_ids(deployed) == set()


def test_disconnect_ends_within_an_hour_after_finch_was_down_for_six(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add(*DISCONNECT, status=502, times=None)
    assert acme.disconnect().status == 202
    deployed.queue.pass_time(6 * HOUR)
    assert acme.connection()["status"] == "disconnecting"
    deployed.finch.faults.clear()
    deployed.queue.pass_time(HOUR + 2 * MINUTE)
    assert acme.connection()["status"] == "disconnected"
    assert deployed.queue.dead() == []


def test_short_failure_of_finch_delays_a_connection_by_minutes(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    deployed.finch.faults.add(*INTROSPECT, status=500, times=None)
    assert acme.connect().outcome["status"] == "pending"
    deployed.queue.pass_time(7 * MINUTE)
    deployed.finch.faults.clear()
    # The third look comes 8 to 11 minutes after the callback.
    deployed.queue.pass_time(6 * MINUTE)
    assert acme.connection()["status"] == "connected"


def test_problem_for_an_operator_is_reported_each_hour_for_days(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    Person(deployed, "acme").connect()
    assert Person(deployed, "globex").connect(login=OWEN).outcome == {"error": "cannot_connect"}
    deployed.queue.pass_time(HOUR)
    for _ in range(3 * 24):
        reports(capsys)
        deployed.queue.pass_time(HOUR + MINUTE)
        assert reports(capsys) == {"token_held"}
    assert deployed.queue.waiting() == deployed.queue.dead() == []


def test_work_that_has_no_time_left_in_its_batch_is_done_a_minute_later(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.process_work.handler.TASK_SECONDS", 10_000)
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add(*DISCONNECT, status=500)
    assert acme.disconnect().status == 202
    deployed.queue.pass_time(MINUTE)
    monkeypatch.undo()
    assert deployed.queue.waiting() == []
    deployed.queue.pass_time(MINUTE)
    assert acme.connection()["status"] == "disconnected"


def fail_for_days(
    deployed: InProcess, owner: object, name: str, fail: Callable[..., object]
) -> None:
    """Lets a function fail for 30 hours, which leaves few dead letters, and then work for four hours."""
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(owner, name, fail)
        deployed.queue.pass_time(30 * HOUR)
    assert 5 < len(deployed.queue.dead()) < 20
    deployed.queue.clear()
    deployed.queue.pass_time(4 * HOUR)


def test_function_that_fails_for_days_leaves_few_dead_letters_and_then_continues(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    deployed.finch.faults.add(*INTROSPECT, status=500)
    assert acme.connect().outcome["status"] == "pending"

    def fail(*_: Any, **__: Any) -> process_work.Processed:
        raise MemoryError

    fail_for_days(deployed, process_work, "process", fail)
    assert acme.connection()["status"] == "connected"
    # If its next work item is lost, the row is due after 15 minutes again.
    assert all("lease" not in one for one in deployed.tables.items(deployed.tables.connections))


def test_function_that_dies_in_each_discard_leaves_few_dead_letters(deployed: InProcess) -> None:
    Person(deployed, "acme", same_site=False).connect()
    deployed.queue.pass_time(DAY - HOUR)

    def die(*_: Any) -> None:
        raise Stopped

    fail_for_days(deployed, FinchClient, "disconnect", die)
    assert deployed.finch.live_tokens() == []


def test_lost_work_item_of_the_end_of_a_confirmation_comes_again_after_15_minutes(
    deployed: InProcess,
) -> None:
    Person(deployed, "acme", same_site=False).connect()
    deployed.queue.pass_time(DAY - MINUTE)
    deployed.clock.advance(3 * MINUTE)
    assert deployed.invoke
    deployed.invoke("schedule_checks", {})
    assert len(deployed.queue.waiting()) == 1
    deployed.queue.clear()
    deployed.queue.pass_time(17 * MINUTE)
    assert deployed.finch.live_tokens() == []


def confirmed_while_finch_fails(deployed: InProcess, completion: str) -> None:
    deployed.finch.faults.add(*INTROSPECT, status=500)
    assert Person(deployed, "acme").confirm(completion).status == 202


def held_at_its_confirmation(deployed: InProcess, completion: str) -> None:
    Person(deployed, "globex").connect(login=OWEN)
    assert Person(deployed, "acme").confirm(completion).code == "cannot_connect"


def ended_by_an_operator_while_finch_fails(deployed: InProcess, _: str) -> None:
    [listed] = operate(deployed, action="list")["result"]["sessions"]
    command = {"action": "disconnect", "session": listed["session"]}
    deployed.finch.faults.add(*DISCONNECT, status=500)
    decision = operate(deployed, **command)["result"]["decision"]
    assert "error" in operate(deployed, **command, decision=decision)


@pytest.mark.parametrize(
    ("request_", "result"),
    [
        (confirmed_while_finch_fails, "complete"),
        (held_at_its_confirmation, "held"),
        (ended_by_an_operator_while_finch_fails, "ended"),
    ],
)
def test_request_that_leaves_work_is_continued_within_minutes(
    deployed: InProcess,
    capsys: pytest.CaptureFixture[str],
    request_: Callable[[InProcess, str], None],
    result: str,
) -> None:
    landing = Person(deployed, "acme", same_site=False).connect()
    deployed.queue.pass_time(2 * HOUR)
    assert landing.completion
    request_(deployed, landing.completion)
    reports(capsys)
    deployed.queue.pass_time(3 * MINUTE)
    assert result in phases(deployed)
    assert ("token_held" in reports(capsys)) == (result == "held")
