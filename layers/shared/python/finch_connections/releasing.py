"""The flow that releases: a kept token that nobody wants is used once more, to end its connection."""

from datetime import datetime

from finch_connections.claim import Release, release_of
from finch_connections.connect_session import (
    CannotConnect,
    ConnectSession,
    Phase,
    SessionExpired,
    refused_for_days,
)
from finch_connections.connecting import Outsiders, open_escrow
from finch_connections.connection import CompanyKey
from finch_connections.finch_failure import FinchFailure, FinchUnavailable, TokenDead
from finch_connections.log import logger


def give_up(
    session: ConnectSession,
    key: CompanyKey | None,
    *,
    regardless: bool = False,
    now: datetime,
    outside: Outsiders,
) -> ConnectSession | None:
    """The session with its token given up, to be ended at Finch; None where that must not be.

    Nobody else's connection is cut off: where another token of the connection is kept this one is
    dropped, where somebody owns the company the token is held for a person; unless a person has
    decided `regardless`. Raises `dynamodb.Conflict` where others have come or gone meanwhile.
    """
    escrow, handle_hash = session.escrow, session.handle_hash
    if escrow is None:
        return None
    connection_id = escrow.grant.connection_id
    decision = Release.ASK
    if connection_id and key:
        there = outside.claims.of_connection_id(connection_id)
        decision = release_of(handle_hash, there, outside.claims.of_company(key))
    if decision is Release.END and key:
        marks = outside.claims.releasing(connection_id, key, handle_hash)
        return outside.sessions.release(session, SessionExpired.code, now, key, marks)
    if regardless:
        return outside.sessions.release(session, SessionExpired.code, now)
    if decision is Release.DROP:
        leaving = outside.claims.leaving(connection_id, handle_hash)
        outside.sessions.end(session, SessionExpired.code, now, leaving)
        logger.info("token dropped, another of its connection is kept", connection_id=connection_id)
    else:
        outside.sessions.hold(session, CannotConnect.code)
        logger.error("token held", customer_id=session.customer_id, reason="company owned")
    return None


def release(session: ConnectSession, *, now: datetime, outside: Outsiders) -> None:
    """Ends at Finch what was given up, and then the session.

    What Finch refuses to end for days is held for a person. Raises `FinchFailure` where Finch has
    not confirmed, and `dynamodb.Conflict` where others have come or gone meanwhile.
    """
    escrow, handle_hash = session.escrow, session.handle_hash
    if escrow is None or session.phase is not Phase.RELEASING:
        return
    connection_id = escrow.grant.connection_id
    code = session.error or SessionExpired.code
    reopening = [outside.claims.reopening(session.key, handle_hash)] if session.key else []
    try:
        outside.finch.finch.disconnect(open_escrow(session, escrow, outside))
    except TokenDead:
        # No other token of this connection is kept, or the one who decided knew of them.
        logger.info("token to release is dead", connection_id=connection_id)
    except FinchFailure as error:
        if isinstance(error, FinchUnavailable) or not refused_for_days(session, now):
            raise
        if session.key:
            reopening.append(outside.claims.keeping(connection_id, handle_hash))
        outside.sessions.hold(session, code, reopening)
        logger.error("token held", customer_id=session.customer_id, reason=type(error).__name__)
        return
    leaving = outside.claims.leaving(connection_id, handle_hash)
    outside.sessions.end(session, code, now, [*leaving, *reopening])
    logger.info("released", customer_id=session.customer_id, connection_id=connection_id)
