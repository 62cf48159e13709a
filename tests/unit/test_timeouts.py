"""The timeouts add up: whoever waits gets an answer, and a token that exists is kept."""

from typing import Any

from finch_connections import aws, connect_session, connecting, finch, finch_connect
from tests.deployed import TEMPLATE

GATEWAY = 30.0
# botocore waits up to a second before it tries again.
AWS_CALL = aws.ATTEMPTS * (aws.CONNECT_SECONDS + aws.READ_SECONDS) + 1


def function(name: str) -> float:
    properties: dict[str, Any] = TEMPLATE["Resources"][name]["Properties"]
    return float(properties["Timeout"])


def finch_call(read_seconds: float = finch.READ_SECONDS) -> float:
    return 2 * finch.CONNECT_SECONDS + read_seconds


def test_an_exchange_in_the_slowest_world_still_keeps_its_token() -> None:
    """Session, secret, consume, two exchanges around a changed secret, seal, escrow."""
    slowest = 6 * AWS_CALL + 2 * finch_call(finch_connect.EXCHANGE_READ_SECONDS)
    assert slowest < function("FinishConnect")
    assert function("FinishConnect") < connect_session.EXCHANGE_LIMIT.total_seconds()
    assert finch_connect.EXCHANGE_READ_SECONDS > GATEWAY


def test_a_click_has_time_for_all_that_finch_may_be_asked() -> None:
    assert 3 * finch_call(finch_connect.SESSION_READ_SECONDS) < function("StartConnect") < GATEWAY


def test_a_callback_that_waits_is_answered_before_the_gateway_gives_up() -> None:
    waited = connecting.WAITS * connecting.WAIT_SECONDS
    assert waited + finch_call() < GATEWAY


def test_a_listing_and_a_disconnect_have_time_for_their_calls() -> None:
    assert function("ListConnections") > AWS_CALL
    assert 6 * AWS_CALL + finch_call() < function("Disconnect")
