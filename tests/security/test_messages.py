"""Attacks by a sender with an AWS permission: messages, events and commands."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finch_connections.aws import work_queue
from finch_connections.domain.work_item import WorkItem
from local.fake_finch.seed_world import HARBOR_LANE
from tests.security.examples import examples
from tests.support.in_process import InProcess
from tests.support.person import Person

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC).isoformat()
WHEN = {"asked_at": NOW}
CANARY = "canary-4711"

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=10,
)
messages = st.fixed_dictionaries(
    {},
    optional={
        name: st.one_of(anything, st.just(value))
        for name, value in {
            "session": "0" * 64,
            "connection_id": "connection-1",
            "customer_id": "acme",
            "provider_id": "gusto",
            "company_id": HARBOR_LANE.id,
            "scheduled": True,
            **WHEN,
        }.items()
    },
)

_COMPANY = {"provider_id": "gusto", "company_id": HARBOR_LANE.id}
WORK_ITEMS = [
    json.dumps({**subject, **WHEN})
    for subject in (
        {"session": "0" * 64},
        {"connection_id": "connection-1"},
        {"finch_company_id": HARBOR_LANE.id},
        {"customer_id": "acme", **_COMPANY},
    )
]


@examples(300)
@given(
    st.one_of(
        st.text(),
        messages.map(json.dumps),
        anything.map(json.dumps),
        st.sampled_from(WORK_ITEMS),
    )
)
def test_any_message_is_a_work_item_or_refused(message: str) -> None:
    try:
        work_item = work_queue.read(message)
    except work_queue.NotAWorkItem:
        assert message not in WORK_ITEMS
        return
    assert isinstance(work_item, WorkItem)
    assert work_queue.read(work_queue.write(work_item)) == work_item


NOT_WORK_ITEMS: list[Any] = [
    {"session": CANARY, **WHEN},
    {"session": f"code#{'0' * 64}", **WHEN},
    {"session": "", **WHEN},
    {"customer_id": "", "provider_id": "gusto", "company_id": "x", **WHEN},
    {"customer_id": "acme\n", "provider_id": "gusto", "company_id": "x", **WHEN},
    {"customer_id": "acme", "provider_id": "gusto\n", "company_id": "x", **WHEN},
    {"connection_id": f"{CANARY}\n", **WHEN},
    {"session": "0" * 64, **WHEN, "asked_at": CANARY},
    {"session": "0" * 64, **WHEN, "asked_at": "2026-11-22T10:00:00"},
    {"session": "0" * 64, **WHEN, "asked_at": float("inf")},
    [CANARY],
    CANARY,
]


def send(deployed: InProcess, *bodies: Any) -> None:
    """Puts messages into the work queue."""
    client = work_queue.from_settings()
    for body in bodies:
        client.client.send_message(QueueUrl=client.url, MessageBody=json.dumps(body))


@pytest.mark.parametrize("body", NOT_WORK_ITEMS, ids=str)
def test_a_forged_message_becomes_a_dead_letter_and_is_not_logged(
    deployed: InProcess, log: StringIO, body: Any
) -> None:
    send(deployed, body)
    deployed.queue.pass_time(timedelta(hours=4))
    assert deployed.queue.waiting() == []
    assert deployed.queue.dead() == [json.loads(json.dumps(body))]
    assert '"message":"message failed"' in log.getvalue()
    assert CANARY not in log.getvalue()
    assert deployed.finch.requests.count("GET", "/introspect") == 0


def test_a_forged_message_about_a_connection_changes_nothing(
    deployed: InProcess,
) -> None:
    """At worst, a forged message causes a call to Finch."""
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    before, [login] = acme.connection(), acme.connection()["logins"]
    key = {"provider_id": "gusto", "company_id": HARBOR_LANE.id}
    now = deployed.clock.now.isoformat()
    when = {"asked_at": now, "scheduled": True}
    send(
        deployed,
        {"customer_id": "acme", **key, **when},
        {"customer_id": "globex", **key, **when},
        {"connection_id": login["connection_id"], **when},
        {"connection_id": "nobodys", **when},
        {"session": "0" * 64, **when},
        {"customer_id": "acme", **key, **when, "status": "disconnected", "tokens": {}},
    )
    deployed.queue.drain()
    assert acme.connection() | {"checked_at": None} == before | {"checked_at": None}
    assert deployed.queue.dead() == []
    assert deployed.finch.requests.count("POST", "/disconnect") == 0


# An operator's function


@examples(150)
@given(st.one_of(anything, st.dictionaries(st.sampled_from(["action", "session"]), anything)))
def test_any_invalid_command_is_refused(in_process: InProcess, command: Any) -> None:
    assert in_process.invoke
    answer = in_process.invoke("resolve_unfinished", command)
    assert answer["error"] == "invalid_request"


@pytest.mark.parametrize(
    "command",
    [
        {"action": "attach", "session": CANARY},
        {"action": "attach", "session": f"code#{'0' * 64}"},
        {"action": "disconnect", "session": "", "decision": ""},
        {"action": "dismiss", "session": "0" * 63},
        {"action": "retry", "session": "0" * 65},
        {"action": "retry", "customer_id": "", "provider_id": "gusto", "company_id": "x"},
        {
            "action": "retry",
            "customer_id": CANARY + "\n",
            "provider_id": "gusto",
            "company_id": "x",
        },
        {"action": "audit", "customer_id": CANARY + "\n"},
        {"action": "audit", "customer_id": "acme", "since": CANARY},
        {"action": "audit", "customer_id": "acme", "limit": 10**9},
        {"action": "erase", "customer_id": "acme"},
        {"action": "list", CANARY: 1},
    ],
    ids=str,
)
def test_a_mistyped_command_is_refused_and_not_logged(
    deployed: InProcess, log: StringIO, command: Any
) -> None:
    assert deployed.invoke
    answer = deployed.invoke("resolve_unfinished", command)
    assert answer["error"] == "invalid_request"
    assert CANARY not in str(answer) + log.getvalue()
    assert deployed.queue.waiting() == []


@pytest.mark.parametrize("action", ["attach", "disconnect", "transfer"])
def test_a_wrong_decision_is_refused_and_changes_nothing(deployed: InProcess, action: str) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect()
    globex.connect()
    [held] = [one for one in deployed.tables.all_sessions() if one["phase"]["S"] == "held"]
    assert deployed.invoke
    command = {"action": action, "session": held["handle_hash"]["S"]}
    shown = deployed.invoke("resolve_unfinished", command)["result"]
    others = {"attach", "disconnect", "transfer"} - {action}
    for decision in ("", "0" * 16, shown["decision"].upper(), shown["decision"][:-1]):
        answer = deployed.invoke("resolve_unfinished", command | {"decision": decision})
        assert answer["error"] == "changed", decision
    for other in others:
        wrong_action = {**command, "action": other, "decision": shown["decision"]}
        assert deployed.invoke("resolve_unfinished", wrong_action)["error"] == "changed"
    assert len(deployed.finch.live_tokens()) == 2
    assert globex.connections() == []


# Vending tokens


def test_the_caller_name_of_a_backend_gives_no_access(deployed: InProcess) -> None:
    """The name is recorded but decides nothing: IAM decides who may invoke."""
    Person(deployed, "acme").connect()
    assert deployed.invoke
    asked = {
        "customer_id": "globex",
        "provider_id": "gusto",
        "company_id": HARBOR_LANE.id,
        "products": ["directory"],
        "purpose": "test",
        "caller": "arn:aws:iam::123456789012:role/root",
    }
    assert deployed.invoke("vend_token", asked) == {"reason": "not_found"}
    for forged in ({"outcome": "vended"}, {"vended_at#id": "0"}, {"at": "2020-01-01T00:00:00Z"}):
        answer = deployed.invoke("vend_token", asked | {"customer_id": "acme"} | forged)
        assert answer["reason"] == "invalid_request"
    records = deployed.tables.items(deployed.tables.audit)
    outcomes = Counter(one["outcome"]["S"] for one in records)
    assert outcomes == {"not_found": 1, "invalid_request": 3}
