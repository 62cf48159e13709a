"""Rules of a connection's health."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finch_connections.domain.connection import (
    ANOTHER_COMPANY,
    DISCONNECT_REFUSED,
    MAX_SHOWN_BYTES,
    CompanyKey,
    Connection,
    ConnectionStatus,
    Token,
    pair_id,
    unused_since,
    urgency,
    with_idle,
)
from finch_connections.domain.connection_event import EventKind, event_between
from finch_connections.domain.health import (
    WAITS_FOR,
    Finding,
    dead_for_good,
    found_alive,
    found_dead,
    look_again_at,
    waits_for_days,
    with_findings,
)
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


def test_finding_has_all_that_finch_describes() -> None:
    entities, methods, names = {"e1": "connected"}, {"oauth": "connected"}, {"e1": "East"}
    described = replace(
        INTROSPECTION,
        products=frozenset({"ssn"}),
        status=ConnectionStatus.UNKNOWN,
        status_detail="a new word",
        entities=entities,
        methods=methods,
        entity_names=names,
    )
    assert Finding.of(described) == Finding(
        ConnectionStatus.UNKNOWN,
        "a new word",
        entities,
        methods,
        frozenset({"ssn"}),
        names,
        "connection-1",
    )
    unusable = Finding.of(replace(described, entities={"": "connected"}))
    assert (unusable.entities, unusable.methods) == (None, methods)


def test_check_stores_all_that_finch_describes_and_publishes_it() -> None:
    before, name = connection(GOOD, GOOD), CompanyKey("gusto", "company-9")
    found = Finding(
        GOOD,
        entities={"e1": "connected"},
        methods={"oauth": "connected"},
        products=frozenset({"ssn"}),
        entity_names={"e1": "East"},
        connection_id="connection-9",
        finch_key=name,
    )
    after = with_findings(before, {"token-0": found, "token-1": Finding(GOOD)}, NOW + HOUR)
    described = replace(
        before.tokens[0],
        entities={"e1": "connected"},
        entity_ids=frozenset({"e1"}),
        methods={"oauth": "connected"},
        products=frozenset({"ssn"}),
    )
    assert after == replace(
        before,
        tokens=(described, before.tokens[1]),
        entity_names={"e1": "East"},
        finch_key=name,
        checked_at=NOW + HOUR,
        updated_at=NOW + HOUR,
        revision=2,
    )
    assert after.quiet_revision is None
    assert check_all(after, GOOD, 2 * HOUR) == replace(after, checked_at=NOW + 2 * HOUR, revision=3)


def test_check_without_details_keeps_the_stored_details() -> None:
    stored = replace(
        connection(GOOD).tokens[0],
        entities={"e1": "disconnected", "e2": "connected"},
        entity_ids=frozenset({"e1", "e2"}),
        methods={"oauth": "connected"},
    )
    before = replace(connection(GOOD), tokens=(stored,), entity_names={"e1": "East", "e2": "West"})
    kept = with_findings(before, {"token-0": Finding(GOOD, entities={}, methods={})}, NOW + HOUR)
    assert kept.tokens == (replace(stored, methods={}),)
    for without in (Finding(GOOD), Finding(GOOD, methods={})):
        after = with_findings(before, {"token-0": without}, NOW + HOUR)
        assert after == replace(before, checked_at=NOW + HOUR, revision=2)


def test_check_keeps_the_stored_entities_where_new_entities_do_not_fit() -> None:
    stored = replace(connection(GOOD).tokens[0], entities={"e1": "connected"})
    before = replace(connection(GOOD), tokens=(stored,))
    found = Finding(BAD, entities={"e" * MAX_SHOWN_BYTES: "connected"}, methods={})
    once = with_findings(before, {"token-0": found}, NOW + HOUR)
    suspected = replace(stored, suspected=BAD, suspected_since=NOW + HOUR)
    # Compared here, because pytest would print megabytes.
    kept = (once.tokens, once.checked_at) == ((suspected,), NOW + HOUR)
    assert kept


def test_suspicion_is_stored_without_an_event() -> None:
    before = connection(GOOD)
    after = check_all(before, BAD, HOUR)
    suspected = replace(before.tokens[0], suspected=BAD, suspected_since=NOW + HOUR)
    assert after == replace(
        before,
        tokens=(suspected,),
        checked_at=NOW + HOUR,
        due_at=NOW + HOUR + MINUTE,
        revision=2,
    )
    assert after.quiet_revision == 2
    dead = check_all(before, DEAD, HOUR)
    assert (dead.due_at, dead.quiet_revision) == (NOW + 2 * HOUR, 2)


def test_other_worse_status_confirms_a_suspicion_and_keeps_its_time() -> None:
    once = check_all(connection(GOOD), BAD, HOUR)
    other = check_all(once, ConnectionStatus.ERROR_PERMISSIONS, HOUR + MINUTE / 2)
    suspected = other.tokens[0]
    assert suspected.suspected is ConnectionStatus.ERROR_PERMISSIONS
    assert suspected.suspected_since == NOW + HOUR
    assert check_all(other, BAD, HOUR + MINUTE).status is BAD


def test_status_of_the_same_urgency_counts_at_once_and_clears_the_suspicion() -> None:
    unknown = ConnectionStatus.UNKNOWN
    before = check_all(connection(unknown), BAD, MINUTE)
    found = Finding(unknown, "a new word")
    after = with_findings(before, {"token-0": found}, NOW + HOUR)
    assert after.tokens == (replace(connection(unknown).tokens[0], status_detail="a new word"),)
    assert after.updated_at == NOW + HOUR


def test_connection_without_tokens_is_disconnected_at_the_time_of_the_check() -> None:
    gone = check_all(check_all(connection(GOOD), DEAD, HOUR), DEAD, 2 * HOUR)
    assert (gone.status, gone.updated_at) == (DEAD, NOW + 2 * HOUR)


@pytest.mark.parametrize("connection_id", ["pair#gusto#company-1", "connection-1"])
def test_only_a_token_without_a_connection_id_of_finch_gets_one(connection_id: str) -> None:
    before = connection(GOOD)
    before = replace(before, tokens=(replace(before.tokens[0], connection_id=connection_id),))
    for named in ("connection-9", None):
        found = Finding(GOOD, connection_id=named)
        [token] = with_findings(before, {"token-0": found}, NOW).tokens
        new = named if named and connection_id.startswith("pair#") else connection_id
        assert token == replace(before.tokens[0], connection_id=new)


def test_connection_that_needs_its_customer_waits_for_days_after_a_week() -> None:
    late = NOW + WAITS_FOR
    for status in ConnectionStatus:
        before = replace(connection(GOOD), status=status)
        needs = status in (BAD, "error_permissions", "error_no_account_setup")
        assert waits_for_days(before, late) is needs
        assert not waits_for_days(before, late - timedelta(seconds=1))


def test_call_that_finch_calls_a_token_dead_is_noted_once_for_each_finch_connection() -> None:
    before = connection(GOOD, GOOD)
    [first, second] = before.tokens
    once = found_dead(before, "connection-0", NOW)
    suspected = replace(first, suspected=DEAD, suspected_since=NOW)
    assert once == replace(before, tokens=(suspected, second), revision=2)
    assert once.quiet_revision == 2
    assert found_dead(once, "connection-0", NOW + HOUR) is once
    bad = replace(first, suspected=BAD, suspected_since=NOW - HOUR)
    worse = found_dead(replace(before, tokens=(bad, second)), "connection-0", NOW)
    assert worse.tokens == (suspected, second)


def test_answer_that_a_token_lives_clears_only_the_suspicion_that_it_is_dead() -> None:
    before = connection(GOOD, GOOD)
    once = found_dead(before, "connection-0", NOW)
    alive = found_alive(once, "connection-0")
    assert alive == replace(before, revision=3)
    assert alive.quiet_revision == 3
    assert found_alive(once, "connection-1") is once
    bad = check_all(before, BAD, HOUR)
    assert found_alive(bad, "connection-0") is bad


def test_finch_connection_is_dead_when_all_its_tokens_were_called_dead_for_an_hour() -> None:
    before = connection(GOOD, GOOD, GOOD)
    [first, second, third] = before.tokens
    same = replace(second, connection_id="connection-0")
    once = found_dead(replace(before, tokens=(first, same, third)), "connection-0", NOW)
    assert not dead_for_good(once, "connection-0", NOW + HOUR - MINUTE)
    assert dead_for_good(once, "connection-0", NOW + HOUR)
    assert not dead_for_good(once, "connection-2", NOW + HOUR)
    for other in (same, replace(same, suspected=BAD, suspected_since=NOW)):
        mixed = replace(once, tokens=(once.tokens[0], other, third))
        assert not dead_for_good(mixed, "connection-0", NOW + 2 * HOUR)


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


# Idle connections


def used(one: Connection, connection_id: str, at: timedelta) -> Connection:
    return replace(one, used_at={**one.used_at, connection_id: NOW + at})


def test_finch_connection_is_idle_after_its_last_use_or_its_oldest_login() -> None:
    before = used(connection(GOOD, GOOD), "connection-1", HOUR)
    assert (unused_since(before, "connection-0"), unused_since(before, "connection-1")) == (
        NOW,
        NOW + HOUR,
    )
    # A use of a former login is older than the login that replaced it.
    assert unused_since(used(before, "connection-0", -HOUR), "connection-0") == NOW
    checked = check_all(before, GOOD, 2 * HOUR)
    for idle_before, idle in (
        (NOW - MINUTE, set()),
        (NOW, {"connection-0"}),
        (NOW + HOUR, {"connection-0", "connection-1"}),
    ):
        assert with_idle(checked, idle_before).idle == idle


def test_new_mark_waits_for_a_check_that_finds_no_other_change() -> None:
    before = replace(connection(BAD, BAD), idle=frozenset({"connection-0"}))
    repaired = with_idle(check_all(before, GOOD, HOUR), NOW)
    assert repaired.status is GOOD
    assert repaired.idle == {"connection-0"}
    found = with_idle(check_all(repaired, GOOD, 2 * HOUR), NOW)
    assert found.idle == {"connection-0", "connection-1"}
    event = event_between(repaired, found, "write")
    assert event is not None
    assert (event.kind, event.connection_ids) == (EventKind.IDLE, ("connection-1",))
    # Only a write with news passes the stream's filter.
    assert found.quiet_revision is None
    again = with_idle(check_all(found, GOOD, 3 * HOUR), NOW)
    assert (again.idle, again.quiet_revision) == (found.idle, again.revision)
    assert event_between(found, again, "write") is None
    assert with_idle(check_all(again, GOOD, 4 * HOUR), NOW - MINUTE).idle == set()


def test_use_of_a_connection_stays_known_when_finch_names_the_connection() -> None:
    [token] = connection(GOOD).tokens
    pair = pair_id("gusto", "company-1")
    unnamed = replace(connection(GOOD), tokens=(replace(token, connection_id=pair),))
    named = {token.id: Finding(GOOD, connection_id="connection-7")}
    after = with_findings(used(unnamed, pair, HOUR), named, NOW + 2 * HOUR)
    assert after.used_at == {"connection-7": NOW + HOUR}
