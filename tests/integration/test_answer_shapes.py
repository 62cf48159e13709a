"""Each field of `/auth/token` and `/introspect`, absent, null, retyped or unknown: never pending for ever."""

from datetime import timedelta
from itertools import combinations
from typing import Any, get_args
from uuid import NAMESPACE_OID, uuid5

import pytest

from finch_connections.use_cases.process_work import Report
from local.fake_finch.faults import Nonsense
from local.fake_finch.seed_world import JUNIPER_VALE, TALLY
from tests.acceptance.outcomes import connected
from tests.integration.test_finchs_answers import without
from tests.integration.test_health import request_check
from tests.integration.test_process_work import operate, reports
from tests.integration.test_vend_token import vend
from tests.support.in_process import InProcess
from tests.support.person import Person

TOKEN_FIELDS = (
    "token_type",
    "connection_id",
    "connection_type",
    "client_type",
    "entity_ids",
    "products",
    "provider_id",
    "account_id",
    "company_id",
    "customer_id",
    "customer_name",
)
INTROSPECTION_FIELDS = (
    "id",
    "client_id",
    "client_type",
    "connection_id",
    "connection_type",
    "connection_status",
    "products",
    "provider_id",
    "payroll_provider_id",
    "account_id",
    "company_id",
    "customer_id",
    "customer_name",
    "customer_email",
    "authentication_methods",
    "entities",
    "manual",
    "username",
)
UNREAD = {
    "client_type",
    "connection_type",
    "customer_name",
    "customer_email",
    "manual",
    "username",
}
ABSENT = object()
RETYPED: tuple[Any, ...] = (True, [], [None, {}], {}, {"status": 1}, 1.5, "")
# Another value in these fields contradicts the other answer or our request.
IDENTITY = {"connection_id", "provider_id", "company_id", "customer_id", "client_id"}
# No key or log line can have such an id.
STORED = IDENTITY | {"account_id", "id"}
UNUSABLE = "\ud800\u00a0" * 300


def change(deployed: InProcess, path: str, field: str, value: Any) -> None:
    edit = {"remove": [field]} if value is ABSENT else {"set": {field: value}}
    deployed.finch.faults.add("*", path, times=None, edit=edit)


def outcome(deployed: InProcess, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The outcome of a login, which is clear at once, also after all work items are done."""
    acme = Person(deployed, "acme")
    landed = acme.connect().outcome
    reports(capsys)
    deployed.queue.drain()
    seen = reports(capsys)
    [session] = deployed.tables.all_sessions()
    if landed.get("status") == "connected":
        assert session["phase"]["S"] == "complete"
        assert acme.connections() != []
        assert seen == set()
    else:
        assert session["phase"]["S"] == "held"
        assert acme.connections() == []
        assert seen == {Report.TOKEN_HELD}
    return landed


FIELDS = [("/auth/token", one) for one in TOKEN_FIELDS] + [
    ("/introspect", one) for one in INTROSPECTION_FIELDS
]


@pytest.mark.parametrize(("path", "field"), FIELDS)
def test_missing_null_or_retyped_field_never_prevents_a_connection(
    deployed: InProcess, capsys: pytest.CaptureFixture[str], path: str, field: str
) -> None:
    for value in (ABSENT, None, *RETYPED):
        deployed.reset()
        change(deployed, path, field, value)
        assert outcome(deployed, capsys) == connected(deployed), value


@pytest.mark.parametrize(("path", "field"), FIELDS)
@pytest.mark.parametrize(
    ("value", "held"),
    [("another", IDENTITY), (7, IDENTITY), (UNUSABLE, STORED)],
    ids=["text", "number", "unusable"],
)
def test_unknown_value_connects_or_is_held_with_a_report(
    deployed: InProcess,
    capsys: pytest.CaptureFixture[str],
    path: str,
    field: str,
    value: Any,
    held: set[str],
) -> None:
    change(deployed, path, field, value)
    expected = {"error": "cannot_connect"} if field in held else connected(deployed)
    assert outcome(deployed, capsys) == expected


@pytest.mark.parametrize("field", sorted(set(TOKEN_FIELDS) & set(INTROSPECTION_FIELDS)))
def test_field_that_both_answers_lack_never_prevents_a_connection(
    deployed: InProcess, capsys: pytest.CaptureFixture[str], field: str
) -> None:
    fields = [field, "payroll_provider_id"] if field == "provider_id" else [field]
    without(deployed, *fields)
    expected = {"status": "connected"}
    if field == "provider_id":
        # Without a provider there is no connection to store.
        expected = {"error": "cannot_connect"}
    landed = outcome(deployed, capsys)
    assert expected.items() <= landed.items()


@pytest.mark.parametrize(
    "pair", list(combinations(sorted(set(INTROSPECTION_FIELDS) - UNREAD), 2)), ids=str
)
def test_two_fields_that_both_answers_lack_leave_a_connection_or_a_report(
    deployed: InProcess, capsys: pytest.CaptureFixture[str], pair: tuple[str, str]
) -> None:
    without(deployed, *pair)
    landed = outcome(deployed, capsys)
    # A connection needs a provider, and a company or Finch's id of the connection.
    needed = [{"provider_id", "payroll_provider_id"}, {"connection_id", "company_id"}]
    if set(pair) in needed:
        assert landed == {"error": "cannot_connect"}
    else:
        assert landed["status"] == "connected"


def test_token_of_which_finch_names_neither_connection_nor_company_is_held(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    without(deployed, "connection_id", "company_id")
    assert outcome(deployed, capsys) == {"error": "cannot_connect"}


def test_too_many_entities_are_held_with_a_report(
    deployed: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    change(deployed, "/introspect", "entities", [{"id": str(n)} for n in range(10_001)])
    assert outcome(deployed, capsys) == {"error": "cannot_connect"}


def test_ten_thousand_entities_are_stored_listed_checked_and_vended(deployed: InProcess) -> None:
    ids = sorted(str(uuid5(NAMESPACE_OID, str(n))) for n in range(10_000))
    entities = [{"id": one, "status": "error_no_account_setup"} for one in ids]
    change(deployed, "/introspect", "entities", [*entities[1:], {"id": ids[0]}])
    acme = Person(deployed, "acme")
    for choice in (
        {"provider_id": "gusto"},
        {"provider_id": "justworks"},
        {"login": TALLY, "company_id": JUNIPER_VALE.id},
    ):
        assert acme.connect(**choice).outcome["status"] == "connected"
    deployed.queue.drain()
    listed, cursor, pages = [], "", 0
    while cursor is not None:
        reply = acme.call("GET", f"/connections?cursor={cursor}" if cursor else "/connections")
        assert len(reply.text) < 4_100_000
        listed += reply.json["connections"]
        cursor, pages = reply.json["next_cursor"], pages + 1
    assert (len(listed), pages) == (3, 2)
    assert all(one["logins"][0]["entity_ids"] == ids for one in listed)
    deployed.finch.faults.clear()
    change(deployed, "/introspect", "entities", [{"id": one, "status": "connected"} for one in ids])
    request_check(deployed)
    deployed.queue.drain()
    shown = acme.connection()["logins"][0]["entities"]
    assert [one["status"] for one in shown] == ["connected"] * 10_000
    assert vend(deployed)["token"]["entity_ids"] == ids


def test_connection_keeps_its_entities_when_finch_names_more_than_fit(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    before = acme.connection()["logins"][0]["entity_ids"]
    entities = [{"id": f"{n:0250}", "status": "connected"} for n in range(9000)]
    change(deployed, "/introspect", "entities", entities)
    request_check(deployed)
    deployed.queue.drain()
    after = acme.connection()
    assert after["logins"][0]["entity_ids"] == before
    assert (after["status"], after["checked_at"] is not None) == ("connected", True)


BODIES: tuple[Any, ...] = (None, [], "text", {"name": "unheard_of"}, {"statusCode": 200})
REPLIES: list[dict[str, Any]] = [
    *({"nonsense": kind} for kind in get_args(Nonsense)),
    *({"status": 200, "body": body} for body in BODIES),
    *({"status": status} for status in (201, 202, 204, 301, 418, 429, 500, 503)),
    *(
        {"status": status, "body": {"name": "unheard_of"}}
        for status in (400, 401, 402, 403, 404, 408, 409, 422, 501)
    ),
    {"status": 403, "body": {"name": "error_permissions"}},
    {"error": "invalid_token_error"},
    *(
        {"error": "authentication_error", "finch_code": code}
        for code in ("reauthenticate_user", "account_setup_required")
    ),
    {"error": "invalid_client_error"},
    {"error": "unauthorized_request_error"},
    {"drop": "after_effect"},
]


# Every second session waits for a confirmation.
@pytest.mark.parametrize(
    ("reply", "bound"), [(reply, bool(n % 2)) for n, reply in enumerate(REPLIES)], ids=str
)
def test_session_ends_or_is_held_while_finch_repeats_the_same_answer(
    deployed: InProcess, capsys: pytest.CaptureFixture[str], reply: dict[str, Any], bound: bool
) -> None:
    deployed.finch.faults.add("GET", "/introspect", times=None, **reply)
    Person(deployed, "acme", same_site=bound).connect()
    deployed.queue.pass_time(timedelta(days=3, hours=8))
    reports(capsys)
    # A session that waits for an operator is reported each hour.
    deployed.queue.pass_time(timedelta(hours=2))
    seen = reports(capsys)
    [session] = deployed.tables.all_sessions()
    assert session["phase"]["S"] in ("complete", "held", "ended")
    if session["phase"]["S"] == "held":
        assert Report.TOKEN_HELD in seen


def test_token_held_for_a_nameless_answer_can_be_attached_when_finch_describes_it(
    deployed: InProcess,
) -> None:
    deployed.finch.faults.add("GET", "/introspect", times=None, nonsense="array")
    acme = Person(deployed, "acme")
    landing = acme.connect()
    assert landing.outcome["status"] == "pending"
    deployed.queue.pass_time(timedelta(days=3) - timedelta(hours=7))
    assert [one["phase"]["S"] for one in deployed.tables.all_sessions()] == ["escrowed"]
    deployed.queue.pass_time(timedelta(hours=15))
    assert landing.completion
    assert acme.confirm(landing.completion).code == "cannot_connect"
    deployed.finch.faults.clear()
    [session] = deployed.tables.all_sessions()
    asked = {"action": "attach", "session": session["handle_hash"]["S"]}
    decision = operate(deployed, **asked)["result"]["decision"]
    assert operate(deployed, **asked, decision=decision)["result"]["status"] == "connected"
    assert acme.connection()["status"] == "connected"
