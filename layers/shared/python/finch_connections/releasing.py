"""The flow that releases: a kept token that nobody wants is used once more, to end its connection."""

from contextlib import suppress
from datetime import datetime

from finch_connections.claim import Claim, Release, release_of
from finch_connections.connect_session import (
    CannotConnect,
    ConnectSession,
    Phase,
    SessionExpired,
    refused_for_days,
)
from finch_connections.connecting import Outsiders, kept, open_escrow
from finch_connections.connection import CompanyKey
from finch_connections.finch_failure import FinchFailure, FinchUnavailable, TokenDead
from finch_connections.log import logger
from finch_connections.refreshing import SAID_BY
from finch_connections.secret_text import SecretText

# One wrong word of Finch must not drop the only token that lives.
_DOUBTFUL: tuple[type[FinchFailure], ...] = (TokenDead, *SAID_BY)


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
    dropped, if that one is alive; where it is not, or somebody owns the company, the token is held for
    a person; unless a person has decided `regardless`. Raises `FinchFailure` where Finch does not say
    what is alive, and `dynamodb.Conflict` where others have come or gone meanwhile.
    """
    escrow, handle_hash = session.escrow, session.handle_hash
    if escrow is None:
        return None
    connection_id = escrow.grant.connection_id
    decision, there = Release.ASK, None
    if connection_id and key:
        there = outside.claims.of_connection_id(connection_id)
        decision = release_of(handle_hash, there, outside.claims.of_company(key))
    if decision is Release.END and key:
        marks = outside.claims.releasing(connection_id, key, handle_hash)
        return outside.sessions.release(session, SessionExpired.code, now, key, marks)
    if regardless:
        return outside.sessions.release(session, SessionExpired.code, now)
    if (
        decision is Release.DROP
        and there
        and covered(connection_id, there, outside, but=handle_hash)
    ):
        leaving = outside.claims.leaving(session.behind - {connection_id}, handle_hash)
        left = outside.claims.leaving_to_others(there, handle_hash)
        outside.sessions.end(session, SessionExpired.code, now, [left, *leaving])
        logger.info("token dropped, another of its connection is kept", connection_id=connection_id)
    else:
        outside.sessions.hold(session, CannotConnect.code)
        logger.error("token held", customer_id=session.customer_id, reason="company owned")
    return None


def covered(connection_id: str, there: Claim, outside: Outsiders, *, but: str = "") -> bool:
    """Whether a token of a connection is alive that is not kept by the session `but`.

    A repair may have revoked those before it. Raises `FinchFailure` where Finch does not say.
    """
    owner = there.owner
    connection = outside.connections.get(owner.customer_id, owner.key) if owner else None
    for token in connection.tokens if connection else ():
        if connection and token.connection_id == connection_id:
            sealed, customer_id = connection.sealed[token.id], connection.customer_id
            text = outside.vault.open_stored(sealed, customer_id, connection.key)
            if _alive(text, connection_id, outside):
                return True
    with suppress(TokenDead):
        others = kept(connection_id, there.holders - {but}, outside)
        return any(_alive(text, connection_id, outside) for text in others)
    return False


def _alive(token: SecretText, connection_id: str, outside: Outsiders) -> bool:
    try:
        return outside.finch.introspect(token).connection_id == connection_id
    except _DOUBTFUL:
        return False


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
    leaving = outside.claims.leaving(session.behind, handle_hash)
    outside.sessions.end(session, code, now, [*leaving, *reopening])
    logger.info("released", customer_id=session.customer_id, connection_id=connection_id)
