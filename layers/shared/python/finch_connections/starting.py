"""The flow that starts: a connect session, and the hop from its link to Finch Connect."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

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
from finch_connections.connection_table import ConnectionTable
from finch_connections.dynamodb import Conflict
from finch_connections.finch_connect import FinchConnect, FinchSession
from finch_connections.finch_failure import ConnectionAlreadyExists, FinchFailure
from finch_connections.log import logger
from finch_connections.refusal import Refusal
from finch_connections.secret_text import SecretText
from finch_connections.session_table import SessionTable


@dataclass(frozen=True)
class Hop:
    """Where a click on the link goes, and the handle that the finding cookie keeps, if there is one."""

    url: str
    handle: SecretText | None = None


def start(
    new: NewSession, sessions: SessionTable, connections: ConnectionTable, finch: FinchConnect
) -> str | None:
    """Writes a new session and answers Finch's session id where the embedded flow needs one now.

    Raises `FinchFailure` for the embedded flow.
    """
    session, session_id = new.session, None
    if session.mode is Mode.EMBEDDED:
        name, finch_session = _open_finch_session(session, connections, finch)
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
            name, finch_session = _open_finch_session(session, connections, finch)
            url = finch_session.connect_url
            try:
                sessions.opened(session, name, url, now)
            except Conflict:
                raise SessionUsed from None
    except (Refusal, FinchFailure) as error:
        logger.info("connect link refused", code=error.code)
        return Hop(return_url(session, allowed_return_urls, {"error": error.code}))
    return Hop(with_query(url, {"state": handle.reveal()}), handle)


def _open_finch_session(
    session: ConnectSession, connections: ConnectionTable, finch: FinchConnect
) -> tuple[str, FinchSession]:
    """A Finch session and the name that Finch was told of the customer."""
    for name in _names(session.customer_id, connections):
        with suppress(ConnectionAlreadyExists):
            return name, finch.create_session(session, name)
    raise ConnectionAlreadyExists(None)


def _names(customer_id: str, connections: ConnectionTable) -> Iterator[str]:
    """Names for a customer at Finch: the plain one, the next by what is connected, one for sure.

    Finch refuses a second connection under one name, and attempts that were never finished may have
    taken names that we do not see.
    """
    yield customer_id
    in_use = {customer_id, *_names_in_use(customer_id, connections)}
    yield next_finch_customer_id(customer_id, in_use)
    yield unguessed_finch_customer_id(customer_id)


def _names_in_use(customer_id: str, connections: ConnectionTable) -> set[str]:
    names: set[str] = set()
    after = None
    while True:
        page = connections.page(customer_id, limit=1000, after=after)
        names |= {
            token.finch_customer_id
            for connection in page.connections
            for token in connection.tokens
            if token.finch_customer_id
        }
        after = page.last
        if after is None:
            return names
