"""Checks a connection's health: asks Finch about each token, and stores the result."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from finch_connections.aws.dynamodb import Conflict
from finch_connections.domain.connection import (
    CompanyKey,
    Connection,
    ConnectionStatus,
    Token,
    UnusableIdentifier,
    is_pair_id,
    key_fields,
    with_idle,
)
from finch_connections.domain.health import (
    DESCRIBES_ANOTHER,
    Finding,
    look_again_at,
    with_findings,
)
from finch_connections.domain.identifier import is_finch_id
from finch_connections.domain.ownership import Ownership, freed, learned
from finch_connections.domain.token_response import Introspection, describes, finch_name_of
from finch_connections.finch.errors import (
    NOT_ABOUT_THE_TOKEN,
    AccountSetupRequired,
    FinchFailure,
    InsufficientPermissions,
    ReauthenticationNeeded,
    TokenDead,
)
from finch_connections.log import logger
from finch_connections.use_cases.disconnect import free_as_read
from finch_connections.use_cases.exchange_code import Services

_ATTEMPTS = 3
# A call without an answer takes long. After this many, the other tokens wait for the next check.
_UNANSWERED_LIMIT = 2
# The status that a failure means for a token that is not dead.
STATUS_BY_FAILURE: Mapping[type[FinchFailure], ConnectionStatus] = {
    ReauthenticationNeeded: ConnectionStatus.REAUTH,
    AccountSetupRequired: ConnectionStatus.ERROR_NO_ACCOUNT_SETUP,
    InsufficientPermissions: ConnectionStatus.ERROR_PERMISSIONS,
}


class Unanswered(Exception):
    """Finch gave no usable answer about some of the tokens. The result for the others is stored."""


class Checked(NamedTuple):
    """A connection after a check. If it is `contradicted`, Finch's answer needs an operator."""

    connection: Connection | None
    contradicted: bool = False


def check(
    customer_id: str,
    key: CompanyKey,
    *,
    hinted_at: datetime | None,
    newest_hint: datetime | None,
    idle_after: timedelta,
    now: datetime,
    services: Services,
) -> Checked:
    """The connection after a check at Finch, or after another check that covers a hint of `hinted_at`.

    The check covers all hints until `newest_hint`. Both times are of the queue's clock. A Finch connection
    without a vended token for `idle_after` becomes idle.

    A webhook or a caller's 401 is only a hint: Finch's introspection decides. A connection that is
    `disconnecting` or has no token stays unchanged. Raises `FinchFailure`, `Unanswered` and
    `dynamodb.Conflict` if the check must run again.
    """
    for _ in range(_ATTEMPTS):
        connection = services.connections.get(customer_id, key)
        if connection is None or not connection.tokens:
            return Checked(connection)
        if connection.status is ConnectionStatus.DISCONNECTING:
            return Checked(connection)
        suspicion = look_again_at(connection)
        covered_until = connection.hints_until
        covered = hinted_at and covered_until and hinted_at <= covered_until
        if covered and (suspicion is None or suspicion > now):
            return Checked(connection)
        findings: dict[str, Finding] = {}
        unanswered = 0
        for token in _in_turn(connection, now):
            if found := finding(connection, token, services):
                findings[token.id] = found
            elif (unanswered := unanswered + 1) == _UNANSWERED_LIMIT:
                break
        after = with_findings(connection, findings, now)
        if len(findings) == len(connection.tokens):
            after = replace(with_idle(after, now - idle_after), hints_until=newest_hint)
        try:
            owned = free_as_read(freed(connection, after), services.ownerships)
            owned += [services.ownerships.taking(one) for one in learned(connection, after)]
            services.connections.write(after, together_with=owned)
        except Conflict:
            continue
        if after.status is not connection.status:
            logger.info("status changed", extra=key_fields(customer_id, key), status=after.status)
        if len(findings) < len(connection.tokens):
            raise Unanswered
        return Checked(after, any(one.contradicted for one in findings.values()))
    raise Conflict


def _in_turn(connection: Connection, now: datetime) -> tuple[Token, ...]:
    """The tokens, starting with another each hour, so that failing tokens do not block the rest for long."""
    first = int(now.timestamp() // 3600) % len(connection.tokens)
    return connection.tokens[first:] + connection.tokens[:first]


def finding(connection: Connection, token: Token, services: Services) -> Finding | None:
    """Finch's answer about a token, or None without a usable answer. Raises `NOT_ABOUT_THE_TOKEN`."""
    text = services.vault.decrypt_stored(
        connection.ciphertexts[token.id], connection.customer_id, connection.key
    )
    try:
        introspection = services.finch.introspect(text)
    except NOT_ABOUT_THE_TOKEN:
        raise
    except TokenDead:
        record = services.ownerships.of_connection_id(token.connection_id)
        if record and record.holders and not _not_needed(token, connection):
            # A repair may have replaced it with a token that waits in escrow for a confirmation.
            return Finding(ConnectionStatus.REAUTH)
        return Finding(ConnectionStatus.DISCONNECTED)
    except FinchFailure as error:
        for kind, status in STATUS_BY_FAILURE.items():
            if isinstance(error, kind):
                return Finding(status)
        logger.warning("introspection failed", reason=type(error).__name__)
        return None
    key, names = connection.key, {connection.key, connection.finch_key or connection.key}
    if not describes(introspection, token, names):
        logger.error("introspection describes another token", connection_id=token.connection_id)
        return DESCRIBES_ANOTHER
    found = Finding.of(introspection)
    if found.connection_id and found.connection_id != token.connection_id:
        # Finch names the connection for the first time.
        mine = Ownership.of_connection_id(found.connection_id, connection.customer_id, key)
        if is_pair_id(found.connection_id) or not is_finch_id(found.connection_id):
            found = replace(found, connection_id=None)
        elif _owner(mine, services) not in (None, mine):
            logger.error(
                "introspection names another's connection", connection_id=found.connection_id
            )
            return DESCRIBES_ANOTHER
    return _with_new_name(found, introspection, connection, services)


def _not_needed(token: Token, connection: Connection) -> bool:
    """Whether a dead token may be dropped, although sessions keep tokens with the same id.

    Behind a pair id, these may be other logins, also of other customers, who must not keep a connection
    in `reauth` that has another working login.
    """
    return is_pair_id(token.connection_id) and any(
        other.status is ConnectionStatus.CONNECTED and other.suspected is None
        for other in connection.tokens
        if other is not token
    )


def _with_new_name(
    found: Finding, introspection: Introspection, connection: Connection, services: Services
) -> Finding:
    """The finding with Finch's new name of the company, if the connection may take it."""
    customer_id, key = connection.customer_id, connection.key
    try:
        name = finch_name_of(connection.finch_key or key, introspection)
    except UnusableIdentifier:
        logger.warning("new name unusable", extra=key_fields(customer_id, key))
        return found
    if name in (key, connection.finch_key):
        return found
    mine = Ownership.of_company(customer_id, key, name)
    owner = _owner(mine, services)
    if owner in (None, mine):
        logger.warning("company renamed at finch", extra=key_fields(customer_id, key))
        return replace(found, finch_key=name)
    if owner.customer_id == customer_id:
        return found
    logger.error("introspection names another's company", extra=key_fields(customer_id, key))
    return replace(found, contradicted=True)


def _owner(wanted: Ownership, services: Services) -> Ownership | None:
    record = services.ownerships.get(wanted.owned_id)
    return record.owner if record else None
