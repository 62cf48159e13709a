"""The flow that releases: a kept token that nobody wants is used once more, to end its connection."""

from contextlib import suppress
from datetime import datetime

from finch_connections.domain.connect_session import (
    CannotConnect,
    ConnectSession,
    Phase,
    SessionExpired,
)
from finch_connections.domain.connection import CompanyKey, refused_for_days
from finch_connections.domain.ownership import Discard, OwnershipRecord, discard_of
from finch_connections.domain.secret import SecretText
from finch_connections.finch.errors import FinchFailure, FinchUnavailable, TokenDead
from finch_connections.log import logger
from finch_connections.use_cases.check_health import STATUS_BY_FAILURE
from finch_connections.use_cases.disconnect import end_connection
from finch_connections.use_cases.finish_connect import Services, decrypt_escrow, kept

# One wrong word of Finch must not drop the only token that lives.
_DOUBTFUL: tuple[type[FinchFailure], ...] = (TokenDead, *STATUS_BY_FAILURE)


def begin_discard(
    session: ConnectSession,
    key: CompanyKey | None,
    *,
    regardless: bool = False,
    now: datetime,
    services: Services,
) -> ConnectSession | None:
    """The session with its token given up, to be ended at Finch; None where that must not be.

    Nobody else's connection is cut off: where another token of the connection is kept this one is
    dropped, if that one is alive; where it is not, or somebody owns the company, the token is held for
    a person; unless a person has decided `regardless`. Raises `FinchFailure` where Finch does not say
    what is alive, and `dynamodb.Conflict` where others have come or gone meanwhile.
    """
    escrow, handle_hash = session.escrow, session.handle_hash
    if escrow is None:
        return None
    connection_id = escrow.token_response.connection_id
    decision, there = Discard.ASK, None
    if connection_id and key:
        there = services.ownerships.of_connection_id(connection_id)
        decision = discard_of(handle_hash, there, services.ownerships.of_company(key))
    if decision is Discard.END and key:
        marks = services.ownerships.discarding(connection_id, key, handle_hash)
        return services.sessions.discard(session, SessionExpired.code, now, key, marks)
    if regardless:
        return services.sessions.discard(session, SessionExpired.code, now)
    if (
        decision is Discard.DROP
        and there
        and covered(connection_id, there, services, but=handle_hash)
    ):
        held = services.ownerships.held_by(handle_hash, session.behind - {connection_id})
        leaving = services.ownerships.leaving(held, handle_hash)
        left = services.ownerships.leaving_to_others(there, handle_hash)
        services.sessions.end(session, SessionExpired.code, now, [left, *leaving])
        logger.info("token dropped, another of its connection is kept", connection_id=connection_id)
    else:
        services.sessions.hold(session, CannotConnect.code)
        logger.error("token held", customer_id=session.customer_id, reason="company owned")
    return None


def covered(
    connection_id: str, there: OwnershipRecord, services: Services, *, but: str = ""
) -> bool:
    """Whether a token of a connection is alive that is not kept by the session `but`.

    A repair may have revoked those before it. Raises `FinchFailure` where Finch does not say.
    """
    owner = there.owner
    connection = services.connections.get(owner.customer_id, owner.key) if owner else None
    for token in connection.tokens if connection else ():
        if connection and token.connection_id == connection_id:
            ciphertext, customer_id = connection.ciphertexts[token.id], connection.customer_id
            text = services.vault.decrypt_stored(ciphertext, customer_id, connection.key)
            if _alive(text, connection_id, services):
                return True
    with suppress(TokenDead):
        others = kept(connection_id, there.holders - {but}, services)
        return any(_alive(text, connection_id, services) for text in others)
    return False


def _alive(token: SecretText, connection_id: str, services: Services) -> bool:
    try:
        return services.finch.introspect(token).connection_id == connection_id
    except _DOUBTFUL:
        return False


def discard(session: ConnectSession, *, now: datetime, services: Services) -> None:
    """Ends at Finch what was given up, and then the session.

    What Finch refuses to end for days is held for a person. Raises `FinchFailure` where Finch has
    not confirmed, and `dynamodb.Conflict` where others have come or gone meanwhile.
    """
    escrow, handle_hash = session.escrow, session.handle_hash
    if escrow is None or session.phase is not Phase.DISCARDING:
        return
    connection_id = escrow.token_response.connection_id
    code = session.error or SessionExpired.code
    reopening = [services.ownerships.reopening(session.key, handle_hash)] if session.key else []
    try:
        end_connection(decrypt_escrow(session, escrow, services), services.finch.finch)
    except TokenDead:
        # No other token of this connection is kept, or the one who decided knew of them.
        logger.info("token to release is dead", connection_id=connection_id)
    except FinchFailure as error:
        if isinstance(error, FinchUnavailable) or not refused_for_days(
            session.discarding_since, now
        ):
            raise
        if session.key:
            reopening.append(services.ownerships.keeping(connection_id, handle_hash))
        services.sessions.hold(session, code, reopening)
        logger.error("token held", customer_id=session.customer_id, reason=type(error).__name__)
        return
    held = services.ownerships.held_by(handle_hash, session.behind)
    leaving = services.ownerships.leaving(held, handle_hash)
    services.sessions.end(session, code, now, [*leaving, *reopening])
    logger.info("released", customer_id=session.customer_id, connection_id=connection_id)
