"""The health of a connection: how its status changes after Finch was asked about its tokens."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from finch_connections.domain.connection import (
    ANOTHER_COMPANY,
    ANOTHER_TOKEN,
    DISCONNECT_REFUSED,
    NEEDS_CUSTOMER,
    CompanyKey,
    Connection,
    ConnectionStatus,
    Token,
    disconnected,
    fits,
    is_pair_id,
    status_of_tokens,
    urgency,
    with_entity_names,
    with_living_marks,
)
from finch_connections.domain.history import remembering
from finch_connections.domain.token_response import (
    DEAD_AGAIN_AFTER,
    Introspection,
    status_of,
    usable_entities,
)

# A single bad answer does not change a connection. We believe it if Finch repeats it after this time.
WORSE_AGAIN_AFTER = timedelta(minutes=1)
# A customer who has not acted for this long has probably not seen that they should.
WAITS_FOR = timedelta(days=7)

_DEAD = ConnectionStatus.DISCONNECTED


@dataclass(frozen=True)
class Finding:
    """Finch's answer about one token. A dead token has the status `disconnected`.

    `entities` and `methods` are None if Finch refused the token instead of describing it. `connection_id`
    is None if Finch does not name it. `finch_key` is a new name of the company that the connection may
    take. `contradicted` means that the operator must look: the answer is about another token, or names
    another customer's company.
    """

    status: ConnectionStatus
    detail: str | None = None
    entities: Mapping[str, str] | None = None
    methods: Mapping[str, str] | None = None
    products: frozenset[str] = frozenset()
    entity_names: Mapping[str, str] = field(default_factory=dict)
    connection_id: str | None = None
    finch_key: CompanyKey | None = None
    contradicted: bool = False

    @classmethod
    def of(cls, introspection: Introspection) -> Self:
        """The finding from an introspection."""
        status, detail = status_of(introspection)
        return cls(
            status,
            detail,
            introspection.entities if usable_entities(introspection) else None,
            introspection.methods,
            introspection.products,
            introspection.entity_names,
            introspection.connection_id,
        )


DESCRIBES_ANOTHER = Finding(ConnectionStatus.UNKNOWN, ANOTHER_TOKEN, contradicted=True)


def with_findings(
    connection: Connection, findings: Mapping[str, Finding], now: datetime
) -> Connection:
    """The connection after a check, with the findings by token id.

    A better status counts at once. A worse status counts if Finch repeats it a minute later, and a dead
    token an hour later; the ciphertext stays until then. A dead token is dropped, and a connection
    without tokens becomes `disconnected`. A token without a finding stays unchanged, and the connection
    then counts as not checked. If the new entities and methods do not fit into the item, it keeps
    the stored entities and methods.
    """
    after = _with_findings(connection, findings, now)
    if fits(after):
        return after
    without = {id_: replace(one, entities=None) for id_, one in findings.items()}
    return _with_findings(connection, without, now)


def _with_findings(
    connection: Connection, findings: Mapping[str, Finding], now: datetime
) -> Connection:
    checked = (_checked(token, findings.get(token.id), now) for token in connection.tokens)
    tokens = tuple(token for token in checked if token.status is not _DEAD)
    if not tokens:
        return disconnected(connection, now)
    status = status_of_tokens(tokens)
    if connection.problem == DISCONNECT_REFUSED:
        # The customer must repair it before the disconnect, even if its tokens work.
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
    ids = {token.id: token.connection_id for token in connection.tokens}
    # Finch may have named a connection for the first time.
    named = {ids[token.id]: token.connection_id for token in tokens}
    new_names = [one.finch_key for one in findings.values() if one.finch_key]
    before, connection = connection, replace(connection, tokens=tokens)
    after = replace(
        with_living_marks(with_entity_names(connection, names)),
        finch_key=new_names[0] if new_names else connection.finch_key,
        used_at={named.get(one, one): at for one, at in connection.used_at.items()},
        ciphertexts={token.id: connection.ciphertexts[token.id] for token in tokens},
        status=status,
        problem=problem,
        quiet_revision=connection.revision + 1 if quiet else None,
        checked_at=now if findings.keys() >= set(connection.ciphertexts) else connection.checked_at,
        due_at=look_again_at(connection),
        updated_at=connection.updated_at if quiet else now,
        revision=connection.revision + 1,
    )
    return remembering(before, after, now)


def found_dead(connection: Connection, connection_id: str, now: datetime) -> Connection:
    """The connection after Finch called all tokens of a Finch connection dead, without an event.

    The same object if Finch has called all of them dead before.
    """
    tokens = tuple(
        replace(one, suspected=_DEAD, suspected_since=now)
        if one.connection_id == connection_id and one.suspected is not _DEAD
        else one
        for one in connection.tokens
    )
    return _quietly(connection, tokens)


def found_alive(connection: Connection, connection_id: str) -> Connection:
    """The connection after Finch did not repeat that the tokens of a Finch connection are dead.

    The same object if none was suspected.
    """
    tokens = tuple(
        replace(one, suspected=None, suspected_since=None)
        if one.connection_id == connection_id and one.suspected is _DEAD
        else one
        for one in connection.tokens
    )
    return _quietly(connection, tokens)


def dead_for_good(connection: Connection, connection_id: str, now: datetime) -> bool:
    """Whether Finch first called each token of a Finch connection dead long enough ago."""
    return all(
        one.suspected is _DEAD
        and one.suspected_since is not None
        and now >= one.suspected_since + DEAD_AGAIN_AFTER
        for one in connection.tokens
        if one.connection_id == connection_id
    )


def _quietly(connection: Connection, tokens: tuple[Token, ...]) -> Connection:
    if tokens == connection.tokens:
        return connection
    revision = connection.revision + 1
    return replace(connection, tokens=tokens, revision=revision, quiet_revision=revision)


def look_again_at(connection: Connection) -> datetime | None:
    """When the earliest suspected status can be confirmed; None if no status is suspected."""
    waiting = [
        token.suspected_since + _again_after(token.suspected)
        for token in connection.tokens
        if token.suspected and token.suspected_since
    ]
    return min(waiting, default=None)


def waits_for_days(connection: Connection, now: datetime) -> bool:
    """Whether a connection has needed its customer, without any change, for `WAITS_FOR` or longer."""
    return connection.status in NEEDS_CUSTOMER and now >= connection.updated_at + WAITS_FOR


def _checked(token: Token, finding: Finding | None, now: datetime) -> Token:
    if finding is None:
        return token
    cleared = replace(token, suspected=None, suspected_since=None)
    if finding.connection_id and is_pair_id(token.connection_id):
        cleared = replace(cleared, connection_id=finding.connection_id)
    if finding.entities is not None and finding.methods is not None:
        cleared = replace(
            cleared,
            # Without any, Finch does not describe them. A disconnected entity must stay known as such.
            entities=finding.entities or token.entities,
            methods=finding.methods,
            entity_ids=frozenset(finding.entities) or token.entity_ids,
            products=finding.products or token.products,
        )
    believed = replace(cleared, status=finding.status, status_detail=finding.detail)
    if urgency(finding.status) >= urgency(token.status):
        return believed
    dead = finding.status is _DEAD
    if token.suspected and token.suspected_since and (token.suspected is _DEAD) == dead:
        if now >= token.suspected_since + _again_after(finding.status):
            return believed
        return replace(cleared, suspected=finding.status, suspected_since=token.suspected_since)
    return replace(cleared, suspected=finding.status, suspected_since=now)


def _again_after(status: ConnectionStatus) -> timedelta:
    return DEAD_AGAIN_AFTER if status is _DEAD else WORSE_AGAIN_AFTER


def _shown(token: Token) -> Token:
    return replace(token, suspected=None, suspected_since=None)
