"""The flow that refreshes: asks Finch about every token of a connection, and writes what is true now."""

from collections.abc import Mapping
from datetime import datetime

from finch_connections.aws.dynamodb import Conflict
from finch_connections.domain.connection import CompanyKey, Connection, ConnectionStatus, Token
from finch_connections.domain.health import Finding, look_again_at, with_findings
from finch_connections.domain.token_response import Introspection
from finch_connections.finch.errors import (
    AccountSetupRequired,
    FinchFailure,
    FinchMisconfigured,
    InsufficientPermissions,
    NotReached,
    RateLimited,
    ReauthenticationNeeded,
    TokenDead,
)
from finch_connections.log import logger
from finch_connections.use_cases.disconnect import freeing
from finch_connections.use_cases.exchange_code import Services

_ATTEMPTS = 3
# Each silence of Finch takes long, and a function has its time: the other tokens are asked later.
_PATIENCE = 2
# Not about one token: the next one would fare no better, and it would be one call too many.
_NOT_ABOUT_ONE = (NotReached, RateLimited, FinchMisconfigured)
# What a failure says of a token that is not dead.
STATUS_BY_FAILURE: Mapping[type[FinchFailure], ConnectionStatus] = {
    ReauthenticationNeeded: ConnectionStatus.REAUTH,
    AccountSetupRequired: ConnectionStatus.ERROR_NO_ACCOUNT_SETUP,
    InsufficientPermissions: ConnectionStatus.ERROR_PERMISSIONS,
}


class Unanswered(Exception):
    """Finch did not say how it is with some of the tokens; the others are written."""


def check(
    customer_id: str, key: CompanyKey, *, asked_at: datetime, now: datetime, services: Services
) -> Connection | None:
    """The connection as Finch sees it now, or as somebody has found it since `asked_at`.

    A webhook and a caller's 401 are hints, Finch's introspection is the truth. One that is on its
    way out, or over, is left alone. Raises `FinchFailure` and `Unanswered` where it is to be done
    again.
    """
    for _ in range(_ATTEMPTS):
        connection = services.connections.get(customer_id, key)
        if connection is None or not connection.tokens:
            return connection
        if connection.status is ConnectionStatus.DISCONNECTING:
            return connection
        suspicion = look_again_at(connection)
        looked_at_since = connection.checked_at and connection.checked_at >= asked_at
        if looked_at_since and (suspicion is None or suspicion > now):
            return connection
        findings: dict[str, Finding] = {}
        unanswered = 0
        for token in _in_turn(connection, now):
            if said := finding(connection, token, services):
                findings[token.id] = said
            elif (unanswered := unanswered + 1) == _PATIENCE:
                break
        after = with_findings(connection, findings, now)
        try:
            freed = freeing(connection, after, services.ownerships, sure=True)
            services.connections.write(after, together_with=freed)
        except Conflict:
            continue
        if after.status is not connection.status:
            logger.info(
                "status changed",
                customer_id=customer_id,
                provider_id=key.provider_id,
                company_id=key.company_id,
                status=after.status,
            )
        if len(findings) < len(connection.tokens):
            raise Unanswered
        return after
    raise Conflict


def _in_turn(connection: Connection, now: datetime) -> tuple[Token, ...]:
    """Its tokens, from another one each hour: those that Finch says nothing of hide none for long."""
    first = int(now.timestamp() // 3600) % len(connection.tokens)
    return connection.tokens[first:] + connection.tokens[:first]


def finding(connection: Connection, token: Token, services: Services) -> Finding | None:
    """What Finch says of one token; None where it says nothing of use. Raises what is not about it."""
    text = services.vault.decrypt_stored(
        connection.ciphertexts[token.id], connection.customer_id, connection.key
    )
    try:
        introspection = services.finch.introspect(text)
    except _NOT_ABOUT_ONE:
        raise
    except TokenDead:
        kept = services.ownerships.of_connection_id(token.connection_id)
        if kept and kept.holders:
            # By a repair, it may be, whose own token waits in its attempt for somebody to confirm.
            return Finding(ConnectionStatus.REAUTH)
        return Finding(ConnectionStatus.DISCONNECTED)
    except FinchFailure as error:
        for kind, status in STATUS_BY_FAILURE.items():
            if isinstance(error, kind):
                return Finding(status)
        logger.warning("introspection failed", reason=type(error).__name__)
        return None
    if not _is_about(introspection, token, connection.key):
        logger.error("finch spoke of another token", connection_id=token.connection_id)
        return None
    return Finding.of(introspection)


def _is_about(introspection: Introspection, token: Token, key: CompanyKey) -> bool:
    """Whether Finch speaks of this token, and of the company that it was stored for.

    Where Finch named no company before, the connection id stands in for it.
    """
    return (
        introspection.token_id == token.id
        and introspection.connection_id == token.connection_id
        and introspection.provider_id == key.provider_id
        and (
            introspection.company_id in (None, "", key.company_id)
            or key.company_id == token.connection_id
        )
    )
