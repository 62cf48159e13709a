"""The rules of a connection's health."""

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
        ciphertexts={token.id: b"sealed" for token in tokens},
    )


def found(before: Connection, status: ConnectionStatus, after: timedelta) -> Connection:
    return with_findings(
        before, {token.id: Finding(status) for token in before.tokens}, NOW + after
    )


def test_what_is_worse_is_believed_when_it_is_said_again_a_minute_later() -> None:
    once = found(connection(GOOD), BAD, HOUR)
    assert once.status is GOOD
    assert look_again_at(once) == NOW + HOUR + MINUTE
    too_soon = found(once, BAD, HOUR + MINUTE / 2)
    assert (too_soon.status, look_again_at(too_soon)) == (GOOD, NOW + HOUR + MINUTE)
    again = found(too_soon, BAD, HOUR + MINUTE)
    assert (again.status, again.tokens[0].status, look_again_at(again)) == (BAD, BAD, None)


def test_a_good_answer_between_two_bad_ones_calms_the_suspicion() -> None:
    calm = found(found(connection(GOOD), BAD, HOUR), GOOD, 2 * HOUR)
    assert look_again_at(calm) is None
    assert found(calm, BAD, 3 * HOUR).status is GOOD


def test_what_is_better_is_believed_at_once() -> None:
    for status in (BAD, ConnectionStatus.ERROR_PERMISSIONS, ConnectionStatus.UNKNOWN):
        assert found(connection(status), GOOD, MINUTE).status is GOOD


def test_a_dead_token_goes_after_an_hour_and_the_last_one_takes_the_connection() -> None:
    before = connection(GOOD, GOOD)
    once = with_findings(before, {"token-0": Finding(DEAD), "token-1": Finding(GOOD)}, NOW)
    assert len(once.ciphertexts) == 2
    later = with_findings(once, {"token-0": Finding(DEAD)}, NOW + MINUTE)
    assert len(later.tokens) == 2
    gone = with_findings(later, {"token-0": Finding(DEAD)}, NOW + HOUR)
    assert gone.ciphertexts.keys() == {"token-1"}
    assert gone.status is GOOD
    last = found(found(gone, DEAD, HOUR), DEAD, 2 * HOUR)
    assert (last.status, last.tokens, dict(last.ciphertexts)) == (DEAD, (), {})


def test_a_suspicion_of_death_is_no_suspicion_of_less() -> None:
    dead_once = found(connection(GOOD), DEAD, MINUTE)
    assert found(dead_once, BAD, 2 * HOUR).status is GOOD
    assert found(found(connection(GOOD), BAD, MINUTE), DEAD, 2 * HOUR).tokens


def test_a_connection_counts_as_checked_when_all_of_its_tokens_were() -> None:
    before = connection(GOOD, GOOD)
    assert with_findings(before, {"token-0": Finding(GOOD)}, NOW + HOUR).checked_at is None
    assert found(before, GOOD, HOUR).checked_at == NOW + HOUR


def test_only_what_is_shown_makes_an_update() -> None:
    before = connection(GOOD)
    assert found(before, GOOD, HOUR).updated_at == before.updated_at
    assert found(before, BAD, HOUR).updated_at == before.updated_at
    assert found(connection(BAD), GOOD, HOUR).updated_at == NOW + HOUR


def test_a_problem_goes_when_it_is_none_any_more() -> None:
    another = replace(connection(BAD), problem=ANOTHER_COMPANY)
    assert found(another, BAD, HOUR).problem == ANOTHER_COMPANY
    assert found(another, GOOD, HOUR).problem is None
    refused = found(replace(connection(BAD), problem=DISCONNECT_REFUSED), GOOD, HOUR)
    assert (refused.status, refused.problem) == (BAD, DISCONNECT_REFUSED)


@pytest.mark.parametrize(
    ("entities", "methods", "status"),
    [
        ({}, {}, "connected"),
        ({"a": "connected", "b": "reauth"}, {}, "reauth"),
        ({"a": "connected", "b": "disconnected"}, {}, "connected"),
        ({"a": "connected"}, {"oauth": "error_permissions"}, "error_permissions"),
        ({"a": "a new word"}, {}, "unknown"),
        ({"a": "pending"}, {"oauth": "reauth"}, "reauth"),
    ],
)
def test_a_token_shows_the_most_urgent_of_its_parts(
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
def test_no_history_of_answers_loses_a_token_that_was_not_called_dead_twice(
    statuses: list[ConnectionStatus],
    looks: list[tuple[int, list[ConnectionStatus | None]]],
) -> None:
    seen: dict[str, list[timedelta]] = {}
    one, at = connection(*statuses), timedelta()
    for minutes, said in looks:
        at += minutes * MINUTE
        findings = {
            f"token-{n}": Finding(word)
            for n, word in enumerate(said)
            if word not in (None, ConnectionStatus.DISCONNECTING)
        }
        for id_, finding in findings.items():
            seen[id_] = [*seen.get(id_, []), at] if finding.status is DEAD else []
        before, one = one, with_findings(one, findings, NOW + at) if one.tokens else one
        for token in before.tokens:
            if token.id not in one.ciphertexts:
                times = seen[token.id]
                assert times[-1] - times[0] >= HOUR
        assert one.status is DEAD or one.status is min(
            (token.status for token in one.tokens), key=urgency
        )
