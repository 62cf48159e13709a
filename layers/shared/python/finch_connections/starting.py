"""The flow that starts: a connect session, and the hop from its link to Finch Connect."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from finch_connections.claim_table import ClaimTable
from finch_connections.connect_session import (
    ConnectSession,
    Mode,
    NewSession,
    SessionNotFound,
    SessionUsed,
    next_finch_customer_id,
    require_handle,
    require_link,
    return_url,
    unguessed_finch_customer_id,
    with_query,
)
from finch_connections.connection import IDENTIFIER
from finch_connections.connection_table import ConnectionTable
from finch_connections.dynamodb import Conflict
from finch_connections.finch_connect import FinchConnect, FinchSession
from finch_connections.finch_failure import (
    ConnectionAlreadyExists,
    FinchFailure,
    RequestRefused,
)
from finch_connections.log import logger
from finch_connections.refusal import InternalError, Refusal
from finch_connections.secret_text import SecretText
from finch_connections.session_table import SessionTable


@dataclass(frozen=True)
class Hop:
    """Where a click on the link goes, and the handle that the finding cookie keeps, if there is one."""

    url: str
    handle: SecretText | None = None


def start(
    new: NewSession,
    *,
    sessions: SessionTable,
    connections: ConnectionTable,
    claims: ClaimTable,
    finch: FinchConnect,
) -> str | None:
    """Writes a new session and answers Finch's session id where the embedded flow needs one now.

    Raises `FinchFailure` for the embedded flow.
    """
    session, session_id = new.session, None
    if session.mode is Mode.EMBEDDED:
        began = session.created_at
        name, finch_session = _open_finch_session(session, began, connections, claims, finch)
        session = replace(session, finch_customer_id=name)
        session_id = finch_session.session_id
    sessions.add(session)
    logger.info("connect session started", customer_id=session.customer_id, mode=session.mode)
    return session_id


def hop(
    handle_text: str,
    *,
    allowed_return_urls: Sequence[str],
    now: datetime,
    sessions: SessionTable,
    connections: ConnectionTable,
    claims: ClaimTable,
    finch: FinchConnect,
) -> Hop:
    """Where the browser goes when a person clicks the link: Finch Connect, or back with the reason.

    The Finch session is made at the first click and used again by a second one while it lives.
    """
    session = None
    try:
        handle = require_handle(handle_text)
        session = sessions.get(handle.digest())
        if session is None:
            raise SessionNotFound
        require_link(session, now)
        url = session.reusable_connect_url(now)
        if url is None:
            name, finch_session = _open_finch_session(session, now, connections, claims, finch)
            url = finch_session.connect_url
            try:
                sessions.opened(session, name, url, now)
            except Conflict:
                raise SessionUsed from None
    except (Refusal, FinchFailure) as error:
        logger.info("connect link refused", code=error.code)
        return Hop(return_url(session, allowed_return_urls, {"error": error.code}))
    except Exception:
        # A person in a browser is better off on the application's page, whatever went wrong.
        logger.exception("connect link failed")
        return Hop(return_url(session, allowed_return_urls, {"error": InternalError.code}))
    return Hop(with_query(url, {"state": handle.reveal()}), handle)


def _open_finch_session(
    session: ConnectSession,
    now: datetime,
    connections: ConnectionTable,
    claims: ClaimTable,
    finch: FinchConnect,
) -> tuple[str, FinchSession]:
    """A Finch session and the name that Finch was told of the customer. Three calls at most.

    A connection that Finch has under a name of this customer and of which nobody here has a token
    was lost between Finch and us: the person is led to log in to it again, so that its next token
    is kept and it can be ended ("Reauthenticate session" in Finch's API reference).
    """
    names = _names(session.customer_id, connections)
    for name in names:
        try:
            return name, finch.create_session(session, name)
        except ConnectionAlreadyExists as error:
            lost = error.connection_id
        if lost is None or not IDENTIFIER.fullmatch(lost):
            continue
        with suppress(Conflict, RequestRefused):
            claims.offer_recovery(lost, session.handle_hash, now)
            logger.warning("recovery offered", customer_id=session.customer_id, connection_id=lost)
            # Takes the place of the next name.
            next(names, None)
            return name, finch.reauthenticate(session, lost)
    raise ConnectionAlreadyExists(None)


def _names(customer_id: str, connections: ConnectionTable) -> Iterator[str]:
    """Names for a customer at Finch: the plain one, the next by what is connected, one for sure.

    Finch refuses a second connection under one name, and attempts that were never finished may have
    taken names that we do not see.
    """
    yield customer_id
    in_use = {
        token.finch_customer_id
        for connection in connections.every(customer_id)
        for token in connection.tokens
        if token.finch_customer_id
    }
    yield next_finch_customer_id(customer_id, {customer_id, *in_use})
    yield unguessed_finch_customer_id(customer_id)
