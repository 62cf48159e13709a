"""Rules of a connection's health."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finch_connections.domain.connection import (
    ANOTHER_COMPANY,
    DISCONNECT_REFUSED,
    CompanyKey,
    Connection,
    ConnectionStatus,
    Token,
    urgency,
)
from finch_connections.domain.health import Finding, look_again_at, with_findings
from finch_connections.domain.token_response import Introspection

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
GOOD, BAD = ConnectionStatus.CONNECTED, ConnectionStatus.REAUTH
DEAD = ConnectionStatus.DISCONNECTED
INTROSPECTION = Introspection(
    "token-1", "us", "connection-1", "gusto", frozenset(), ConnectionStatus.CONNECTED
)


def connection(*statuses: ConnectionStatus) -> Connection:
    tokens = tuple(
        Token(f"token-{n}", f"connection-{n}", frozenset({"company"}), status, NOW)
        for n, status in enumerate(statuses)
    )
    return Connection(
        "acme",
        CompanyKey("gusto", "company-1"),
        tokens,
        min(statuses, key=urgency),
        NOW,
        NOW,
        revision=1,
        ciphertexts={token.id: b"encrypted" for token in tokens},
    )


def check_all(before: Connection, status: ConnectionStatus, after: timedelta) -> Connection:
    return with_findings(
        before, {token.id: Finding(status) for token in before.tokens}, NOW + after
    )


def test_worse_status_is_shown_when_it_is_repeated_after_a_minute() -> None:
    once = check_all(connection(GOOD), BAD, HOUR)
    assert once.status is GOOD
    assert look_again_at(once) == NOW + HOUR + MINUTE
    too_soon = check_all(once, BAD, HOUR + MINUTE / 2)
    assert (too_soon.status, look_again_at(too_soon)) == (GOOD, NOW + HOUR + MINUTE)
    again = check_all(too_soon, BAD, HOUR + MINUTE)
    assert (again.status, again.tokens[0].status, look_again_at(again)) == (BAD, BAD, None)


def test_good_response_between_two_bad_responses_clears_the_suspicion() -> None:
    calm = check_all(check_all(connection(GOOD), BAD, HOUR), GOOD, 2 * HOUR)
    assert look_again_at(calm) is None
    assert check_all(calm, BAD, 3 * HOUR).status is GOOD


def test_better_status_is_shown_at_once() -> None:
    for status in (BAD, ConnectionStatus.ERROR_PERMISSIONS, ConnectionStatus.UNKNOWN):
        assert check_all(connection(status), GOOD, MINUTE).status is GOOD


def test_dead_token_is_removed_after_an_hour_and_the_last_token_disconnects() -> None:
    before = connection(GOOD, GOOD)
    once = with_findings(before, {"token-0": Finding(DEAD), "token-1": Finding(GOOD)}, NOW)
    assert len(once.ciphertexts) == 2
    later = with_findings(once, {"token-0": Finding(DEAD)}, NOW + MINUTE)
    assert len(later.tokens) == 2
    gone = with_findings(later, {"token-0": Finding(DEAD)}, NOW + HOUR)
    assert gone.ciphertexts.keys() == {"token-1"}
    assert gone.status is GOOD
    last = check_all(check_all(gone, DEAD, HOUR), DEAD, 2 * HOUR)
    assert (last.status, last.tokens, dict(last.ciphertexts)) == (DEAD, (), {})


def test_dead_response_and_other_bad_response_do_not_confirm_each_other() -> None:
    dead_once = check_all(connection(GOOD), DEAD, MINUTE)
    assert check_all(dead_once, BAD, 2 * HOUR).status is GOOD
    assert check_all(check_all(connection(GOOD), BAD, MINUTE), DEAD, 2 * HOUR).tokens


def test_connection_is_checked_when_all_its_tokens_are_checked() -> None:
    before = connection(GOOD, GOOD)
    assert with_findings(before, {"token-0": Finding(GOOD)}, NOW + HOUR).checked_at is None
    assert check_all(before, GOOD, HOUR).checked_at == NOW + HOUR


def test_only_a_visible_change_sets_updated_at() -> None:
    before = connection(GOOD)
    assert check_all(before, GOOD, HOUR).updated_at == before.updated_at
    assert check_all(before, BAD, HOUR).updated_at == before.updated_at
    assert check_all(connection(BAD), GOOD, HOUR).updated_at == NOW + HOUR


def test_problem_is_cleared_when_it_no_longer_exists() -> None:
    another = replace(connection(BAD), problem=ANOTHER_COMPANY)
    assert check_all(another, BAD, HOUR).problem == ANOTHER_COMPANY
    assert check_all(another, GOOD, HOUR).problem is None
    refused = check_all(replace(connection(BAD), problem=DISCONNECT_REFUSED), GOOD, HOUR)
    assert (refused.status, refused.problem) == (BAD, DISCONNECT_REFUSED)


@pytest.mark.parametrize(
    ("entities", "methods", "status"),
    [
        ({}, {}, "connected"),
        ({"a": "connected", "b": "reauth"}, {}, "reauth"),
        ({"a": "connected", "b": "disconnected"}, {}, "connected"),
        ({"a": "disconnected", "b": "disconnected"}, {"oauth": "connected"}, "reauth"),
        ({"a": "connected"}, {"oauth": "error_permissions"}, "error_permissions"),
        ({"a": "a new word"}, {}, "unknown"),
        ({"a": "pending"}, {"oauth": "reauth"}, "reauth"),
    ],
)
def test_token_shows_the_most_urgent_status_of_its_parts(
    entities: dict[str, str], methods: dict[str, str], status: str
) -> None:
    finding = Finding.of(replace(INTROSPECTION, entities=entities, methods=methods))
    assert finding.status == status
    assert (finding.entities, finding.methods) == (entities, methods)


@given(
    st.lists(st.sampled_from([GOOD, BAD, ConnectionStatus.PENDING]), min_size=1, max_size=3),
    st.lists(
        st.tuples(
            st.integers(1, 300),
            st.lists(st.sampled_from([*ConnectionStatus, None]), min_size=3, max_size=3),
        ),
        max_size=12,
    ),
)
def test_token_is_dropped_only_after_finch_called_it_dead_for_an_hour(
    statuses: list[ConnectionStatus],
    checks: list[tuple[int, list[ConnectionStatus | None]]],
) -> None:
    seen: dict[str, list[timedelta]] = {}
    after, at = connection(*statuses), timedelta()
    for minutes, responses in checks:
        at += minutes * MINUTE
        findings = {
            f"token-{n}": Finding(word)
            for n, word in enumerate(responses)
            if word not in (None, ConnectionStatus.DISCONNECTING)
        }
        for id_, finding in findings.items():
            seen[id_] = [*seen.get(id_, []), at] if finding.status is DEAD else []
        before = after
        after = with_findings(before, findings, NOW + at) if before.tokens else before
        for token in before.tokens:
            if token.id not in after.ciphertexts:
                times = seen[token.id]
                assert times[-1] - times[0] >= HOUR
        assert after.status is DEAD or after.status is min(
            (token.status for token in after.tokens), key=urgency
        )
