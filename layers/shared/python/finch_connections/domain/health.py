"""The health of a connection: what becomes of its status when Finch is asked about its tokens."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from finch_connections.domain.connection import (
    ANOTHER_COMPANY,
    DISCONNECT_REFUSED,
    Connection,
    ConnectionStatus,
    Token,
    disconnected,
    most_urgent,
    urgency,
    with_entity_names,
)
from finch_connections.domain.token_response import DEAD_AGAIN_AFTER, Introspection, status_of

# One bad answer does not flip a connection: it counts when it is said again after this.
WORSE_AGAIN_AFTER = timedelta(minutes=1)
# Somebody who does not log in again for longer has not seen that they should.
WAITS_FOR = timedelta(days=7)

_DEAD = ConnectionStatus.DISCONNECTED
_NEEDS_A_PERSON = {
    ConnectionStatus.REAUTH,
    ConnectionStatus.ERROR_PERMISSIONS,
    ConnectionStatus.ERROR_NO_ACCOUNT_SETUP,
}


@dataclass(frozen=True)
class Finding:
    """What Finch said of one token. `status` is `disconnected` where it called the token dead.

    The parts are None where it refused the token instead of describing it.
    """

    status: ConnectionStatus
    detail: str | None = None
    entities: Mapping[str, str] | None = None
    methods: Mapping[str, str] | None = None
    products: frozenset[str] = frozenset()
    entity_names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, introspection: Introspection) -> Self:
        """The finding in an introspection."""
        status, detail = status_of(introspection)
        return cls(
            status,
            detail,
            introspection.entities,
            introspection.methods,
            introspection.products,
            introspection.entity_names,
        )


def with_findings(
    connection: Connection, findings: Mapping[str, Finding], now: datetime
) -> Connection:
    """The connection after Finch was asked about its tokens, by token id.

    A token without a finding stays as it is, and the connection counts as not checked. What is
    better counts at once, what is worse when it is found again a minute later, that a token is dead
    an hour later; until then its ciphertext stays.
    A token that is dead for good is dropped; when none is left the connection is disconnected.
    """
    looked_at = (_looked_at(token, findings.get(token.id), now) for token in connection.tokens)
    tokens = tuple(token for token in looked_at if token.status is not _DEAD)
    if not tokens:
        return disconnected(connection, now)
    status = most_urgent(token.status for token in tokens)
    if connection.problem == DISCONNECT_REFUSED:
        # To be repaired, whatever it can read meanwhile.
        status = ConnectionStatus.REAUTH
    problem = connection.problem
    if problem == ANOTHER_COMPANY and status is ConnectionStatus.CONNECTED:
        problem = None
    shown = [_shown(token) for token in tokens] != [_shown(token) for token in connection.tokens]
    quiet = not shown and (status, problem) == (connection.status, connection.problem)
    names = {
        entity_id: name
        for finding in findings.values()
        for entity_id, name in finding.entity_names.items()
    }
    return replace(
        with_entity_names(replace(connection, tokens=tokens), names),
        ciphertexts={token.id: connection.ciphertexts[token.id] for token in tokens},
        status=status,
        problem=problem,
        quiet_revision=connection.revision + 1 if quiet else None,
        checked_at=now if findings.keys() >= set(connection.ciphertexts) else connection.checked_at,
        updated_at=connection.updated_at if quiet else now,
        revision=connection.revision + 1,
    )


def look_again_at(connection: Connection) -> datetime | None:
    """When a suspicion can be confirmed, where there is one."""
    waiting = [
        token.suspected_since + _again_after(token.suspected)
        for token in connection.tokens
        if token.suspected and token.suspected_since
    ]
    return min(waiting, default=None)


def waits_for_days(connection: Connection, now: datetime) -> bool:
    """Whether a connection has waited for its person, and nothing of it has changed, for too long."""
    return connection.status in _NEEDS_A_PERSON and now >= connection.updated_at + WAITS_FOR


def _looked_at(token: Token, finding: Finding | None, now: datetime) -> Token:
    if finding is None:
        return token
    calm = replace(token, suspected=None, suspected_since=None)
    if finding.entities is not None and finding.methods is not None:
        calm = replace(
            calm,
            entities=finding.entities,
            methods=finding.methods,
            entity_ids=frozenset(finding.entities) or token.entity_ids,
            products=finding.products or token.products,
        )
    believed = replace(calm, status=finding.status, status_detail=finding.detail)
    if urgency(finding.status) >= urgency(token.status):
        return believed
    dead = finding.status is _DEAD
    if token.suspected and token.suspected_since and (token.suspected is _DEAD) == dead:
        if now >= token.suspected_since + _again_after(finding.status):
            return believed
        return replace(calm, suspected=finding.status, suspected_since=token.suspected_since)
    return replace(calm, suspected=finding.status, suspected_since=now)


def _again_after(status: ConnectionStatus) -> timedelta:
    return DEAD_AGAIN_AFTER if status is _DEAD else WORSE_AGAIN_AFTER


def _shown(token: Token) -> Token:
    return replace(token, suspected=None, suspected_since=None)
