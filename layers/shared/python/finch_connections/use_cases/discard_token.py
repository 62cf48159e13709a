"""Discards a token that its user did not confirm: ends its connection at Finch, then forgets the token."""

from contextlib import suppress
from datetime import datetime

from finch_connections.domain.connect_session import (
    CannotConnect,
    Discarding,
    Escrowed,
    Held,
    SessionExpired,
    behind,
)
from finch_connections.domain.connection import CompanyKey, is_pair_id, refused_for_days
from finch_connections.domain.ownership import Discard, OwnershipRecord, discard_of
from finch_connections.domain.secret import SecretText
from finch_connections.domain.token_response import same_connection
from finch_connections.finch.errors import FinchFailure, FinchUnavailable, TokenDead
from finch_connections.log import logger
from finch_connections.use_cases.check_health import STATUS_BY_FAILURE
from finch_connections.use_cases.disconnect import end_connection
from finch_connections.use_cases.exchange_code import Services, decrypt_escrow, escrowed_tokens

# Do not drop the last working token on one erroneous response.
_DOUBTFUL: tuple[type[FinchFailure], ...] = (TokenDead, *STATUS_BY_FAILURE)


def begin_discard(
    session: Escrowed | Held,
    key: CompanyKey | None,
    *,
    regardless: bool = False,
    now: datetime,
    services: Services,
) -> Discarding | None:
    """The session whose connection Finch must now end; None where it must not be ended.

    No connection of another login or customer is cut off. Where another token of the connection is
    kept and alive, this token is dropped. Where that token is dead, or a customer owns the company,
    this token is held for an operator. An operator may decide to end the connection `regardless`.
    Raises `FinchFailure` where Finch does not say which token is alive, and `dynamodb.Conflict` where
    holders or owners changed meanwhile.
    """
    handle_hash = session.attempt.handle_hash
    connection_id = session.escrow.token_response.connection_id
    decision, record = Discard.ASK, None
    if connection_id and key:
        record = services.ownerships.of_connection_id(connection_id)
        decision = discard_of(handle_hash, record, services.ownerships.of_company(key))
        if decision is Discard.DROP and is_pair_id(connection_id):
            # The other tokens may be of other logins, and do not cover this token.
            decision = Discard.ASK
    if decision is Discard.END and key:
        marks = services.ownerships.discarding(connection_id, key, handle_hash)
        return services.sessions.discard(session, SessionExpired.code, now, key, marks)
    if regardless:
        return services.sessions.discard(session, SessionExpired.code, now)
    if (
        decision is Discard.DROP
        and record
        and covered(connection_id, record, services, but=handle_hash)
    ):
        held = services.ownerships.held_by(handle_hash, behind(session) - {connection_id})
        leaving = services.ownerships.leaving(held, handle_hash)
        left = services.ownerships.leaving_to_others(record, handle_hash)
        services.sessions.end(session, SessionExpired.code, now, [left, *leaving])
        logger.info("token dropped, another of its connection is kept", connection_id=connection_id)
    else:
        services.sessions.hold(session, CannotConnect.code)
        customer_id = session.attempt.customer_id
        logger.error("token held", customer_id=customer_id, reason="company owned")
    return None


def covered(
    connection_id: str, record: OwnershipRecord, services: Services, *, but: str = ""
) -> bool:
    """Whether a token of a Finch connection is alive, other than that of the session `but`.

    A repair may have revoked the earlier tokens. Raises `FinchFailure` where Finch does not say.
    """
    owner = record.owner
    connection = services.connections.get(owner.customer_id, owner.key) if owner else None
    for token in connection.tokens if connection else ():
        if connection and token.connection_id == connection_id:
            ciphertext, customer_id = connection.ciphertexts[token.id], connection.customer_id
            text = services.vault.decrypt_stored(ciphertext, customer_id, connection.key)
            if _alive(text, connection_id, services):
                return True
    with suppress(TokenDead):
        others = escrowed_tokens(connection_id, record.holders - {but}, services)
        return any(_alive(text, connection_id, services) for text in others)
    return False


def _alive(token: SecretText, connection_id: str, services: Services) -> bool:
    try:
        return same_connection(connection_id, services.finch.introspect(token))
    except _DOUBTFUL:
        return False


def discard(session: Discarding, *, now: datetime, services: Services) -> None:
    """Has Finch end the connection, and then ends the session.

    Where Finch refuses for days, the token is held for an operator. Raises `FinchFailure` where Finch
    has not confirmed, and `dynamodb.Conflict` where holders or owners changed meanwhile.
    """
    handle_hash, customer_id = session.attempt.handle_hash, session.attempt.customer_id
    connection_id = session.escrow.token_response.connection_id
    reopening = [services.ownerships.reopening(session.key, handle_hash)] if session.key else []
    try:
        end_connection(decrypt_escrow(session, services), services.finch.finch)
    except TokenDead:
        # No other token of this connection is kept, or the operator knew of them.
        logger.info("token to release is dead", connection_id=connection_id)
    except FinchFailure as error:
        if isinstance(error, FinchUnavailable) or not refused_for_days(
            session.discarding_since, now
        ):
            raise
        if session.key:
            reopening.append(services.ownerships.keeping(connection_id, handle_hash))
        services.sessions.hold(session, session.error, reopening)
        logger.error("token held", customer_id=customer_id, reason=type(error).__name__)
        return
    held = services.ownerships.held_by(handle_hash, behind(session))
    leaving = services.ownerships.leaving(held, handle_hash)
    services.sessions.end(session, session.error, now, [*leaving, *reopening])
    logger.info("released", customer_id=customer_id, connection_id=connection_id)
