"""The timeouts add up: whoever waits gets an answer, and a token that exists is kept."""

from typing import Any

from finch_connections.aws import clients
from finch_connections.domain import connect_session, work_item
from finch_connections.finch import client as finch_client
from finch_connections.finch import connect_api, names_api
from finch_connections.use_cases import exchange_code, finish_connect
from functions.process_work import handler as process_work
from tests.support.deployed import TEMPLATE

GATEWAY = 30.0
# botocore waits up to a second before it tries again.
AWS_CALL = clients.ATTEMPTS * (clients.CONNECT_SECONDS + clients.READ_SECONDS) + 1


def function(name: str) -> float:
    properties: dict[str, Any] = TEMPLATE["Resources"][name]["Properties"]
    return float(properties["Timeout"])


def finch_call(read_seconds: float = finch_client.READ_SECONDS) -> float:
    return 2 * finch_client.CONNECT_SECONDS + read_seconds


def test_an_exchange_in_the_slowest_world_still_keeps_its_token() -> None:
    """Session, task, secret, consume, two exchanges around a changed secret; seal, escrow, again."""
    slowest = 4 * AWS_CALL + 2 * finch_call(connect_api.EXCHANGE_READ_SECONDS)
    keeping = 2 * (3 * AWS_CALL) + sum(exchange_code.KEEPING_PAUSES)
    assert slowest + keeping < function("FinishConnect")
    assert function("FinishConnect") < connect_session.EXCHANGE_LIMIT.total_seconds()
    assert connect_api.EXCHANGE_READ_SECONDS > GATEWAY


def test_a_click_has_time_for_all_that_finch_may_be_asked() -> None:
    assert 3 * finch_call(connect_api.SESSION_READ_SECONDS) < function("StartConnect") < GATEWAY


def test_a_callback_that_waits_is_answered_before_the_gateway_gives_up() -> None:
    waited = finish_connect.WAITS * finish_connect.WAIT_SECONDS
    assert waited + finch_call() < GATEWAY


def test_a_task_arrives_after_the_code_was_consumed_for_which_it_was_queued() -> None:
    waited = finish_connect.WAITS * finish_connect.WAIT_SECONDS
    assert waited + 3 * AWS_CALL < work_item.FIRST_LOOK.total_seconds()


def test_a_task_that_is_begun_is_finished_and_comes_again_only_after_that() -> None:
    """A release: session, token, claim, row, introspect, two claims, mark, disconnect, claim, end.

    A look: claim, row twice, two tokens, two introspections that fail, write; then a token, two names, write.
    """
    slowest = 9 * AWS_CALL + 2 * finch_call()
    names = 2 * AWS_CALL + 2 * finch_call(names_api.READ_SECONDS)
    look = 6 * AWS_CALL + 2 * finch_call() + names
    assert max(slowest, look) < process_work.TASK_SECONDS < function("ProcessWork")
    queue = TEMPLATE["Resources"]["WorkQueue"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * function("ProcessWork")


def test_a_webhook_is_answered_in_the_slowest_world() -> None:
    """The secret, the secret again, the queue."""
    assert 3 * AWS_CALL < function("ReceiveWebhook") < GATEWAY


def test_a_listing_and_a_disconnect_have_time_for_their_calls() -> None:
    assert function("ListConnections") > AWS_CALL
    assert 7 * AWS_CALL + finch_call() < function("Disconnect")
