"""Each field of `/auth/token` and `/introspect`, absent, null, retyped or unknown: never pending for ever."""

from itertools import combinations
from typing import Any

import pytest

from finch_connections.use_cases.process_work import Report
from tests.acceptance.outcomes import connected
from tests.integration.test_finchs_answers import without
from tests.integration.test_process_work import reports
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
    change(deployed, "/introspect", "entities", [{"id": str(n)} for n in range(1001)])
    assert outcome(deployed, capsys) == {"error": "cannot_connect"}
