"""The timeouts fit together: each caller gets a response, and each new token is stored."""

from typing import Any

from finch_connections.aws import clients
from finch_connections.domain import connect_session, connection
from finch_connections.finch import client as finch_client
from finch_connections.finch import connect_api, names_api
from finch_connections.use_cases import call_finch, exchange_code, finish_connect
from finch_tokens import http as finch_http
from functions.process_work import handler as process_work
from functions.vend_token import handler as vend_token
from tests.support.deployed import TEMPLATE

GATEWAY = 30.0
# botocore waits up to a second before a retry.
AWS_CALL = clients.ATTEMPTS * (clients.CONNECT_SECONDS + clients.READ_SECONDS) + 1


def function(name: str) -> float:
    properties: dict[str, Any] = TEMPLATE["Resources"][name]["Properties"]
    return float(properties["Timeout"])


def finch_call(read_seconds: float = finch_client.READ_SECONDS) -> float:
    return 2 * finch_client.CONNECT_SECONDS + read_seconds


def test_slowest_exchange_still_stores_its_token() -> None:
    """Counts the calls of a callback.

    Session, secret, consume, and two exchanges because the secret has changed. Then encrypt
    and escrow, twice.
    """
    slowest = 3 * AWS_CALL + 2 * finch_call(connect_api.EXCHANGE_READ_SECONDS)
    keeping = 2 * (3 * AWS_CALL) + sum(exchange_code.KEEPING_PAUSES)
    assert slowest + keeping < function("FinishConnect")
    assert function("FinishConnect") < connect_session.EXCHANGE_LIMIT.total_seconds()
    assert connect_api.EXCHANGE_READ_SECONDS > GATEWAY


def test_click_has_time_for_all_its_finch_calls() -> None:
    assert 3 * finch_call(connect_api.SESSION_READ_SECONDS) < function("StartConnect") < GATEWAY


def test_waiting_callback_responds_before_the_gateway_times_out() -> None:
    waited = finish_connect.WAITS * finish_connect.WAIT_SECONDS
    assert waited + finch_call() < GATEWAY


def test_session_is_due_after_its_code_was_consumed() -> None:
    waited = finish_connect.WAITS * finish_connect.WAIT_SECONDS
    assert waited + 3 * AWS_CALL < connection.FIRST_LOOK.total_seconds()


def test_work_item_finishes_before_it_is_delivered_again() -> None:
    """Counts the calls of a discard and of a health check.

    Discard: session, token, ownership, row, introspect, two ownerships, mark, disconnect, ownership, end.
    Health check: ownership, row twice, two tokens, two failing introspections, write; then a token, two
    names, write.
    """
    slowest = 9 * AWS_CALL + 2 * finch_call()
    names = 2 * AWS_CALL + 2 * finch_call(names_api.READ_SECONDS)
    check = 6 * AWS_CALL + 2 * finch_call() + names
    assert max(slowest, check) < process_work.TASK_SECONDS < function("ProcessWork")
    queue = TEMPLATE["Resources"]["WorkQueue"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * function("ProcessWork")


def test_slowest_webhook_responds_in_time() -> None:
    """Counts the calls: the secret twice, and the queue."""
    assert 3 * AWS_CALL < function("ReceiveWebhook") < GATEWAY


def test_slow_note_of_a_use_never_stops_a_token() -> None:
    """Counts the calls: the grant, the connection, its token, the record. Only then is the use noted."""
    assert AWS_CALL < vend_token.NOTE_SECONDS
    assert function("VendToken") > 4 * AWS_CALL


def test_slowest_call_of_finch_ends_in_time_for_the_report_of_a_401() -> None:
    """Counts the calls: the grant, the connection and its token, the count, the record and the use."""
    before = 7 * AWS_CALL
    slowest = finch_call(call_finch.READ_SECONDS) + call_finch.AWS_SECONDS
    assert call_finch.AWS_SECONDS > 3 * AWS_CALL
    assert slowest < function("CallFinch")
    # With a slow start, Finch gets less time, but always enough for most calls.
    assert function("CallFinch") - before > slowest - call_finch.READ_SECONDS + 300
    assert function("CallFinch") < finch_http.CALL_SECONDS < 900


def test_list_and_disconnect_have_time_for_their_calls() -> None:
    assert function("ListConnections") > AWS_CALL
    assert 7 * AWS_CALL + finch_call() < function("Disconnect")
