"""Starts a connection: the connect session, and the way from its link to Finch Connect."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.dynamodb import Conflict
from finch_connections.aws.ownership_table import OwnershipTable
from finch_connections.aws.session_table import SessionTable
from finch_connections.background import in_background
from finch_connections.domain.connect_session import (
    Click,
    Mode,
    NewSession,
    SessionUsed,
    Started,
    next_finch_customer_id,
    require_handle,
    require_link,
    unguessed_finch_customer_id,
)
from finch_connections.domain.connection import (
    CompanyKey,
    ConnectionNotFound,
    to_repair,
)
from finch_connections.domain.errors import InternalError, Refusal
from finch_connections.domain.identifier import is_finch_id
from finch_connections.domain.secret import SecretText
from finch_connections.finch.connect_api import ConnectApi, FinchSession
from finch_connections.finch.errors import (
    ConnectionAlreadyExists,
    FinchFailure,
    RequestRefused,
)
from finch_connections.log import logger


class Opened(NamedTuple):
    """Finch Connect's URL for a click on the link, and the session's handle, which is its `state`."""

    connect_url: str
    handle: SecretText


class NotOpened(NamedTuple):
    """The code of the error that a click failed with, and the page to return to, where it is known."""

    code: str
    return_to: str | None


def start(
    new: NewSession,
    *,
    sessions: SessionTable,
    connections: ConnectionTable,
    ownerships: OwnershipTable,
    finch: ConnectApi,
) -> str | None:
    """Writes a new session. Returns Finch's session id, which only the embedded flow needs now.

    Raises `FinchFailure` for the embedded flow.
    """
    session, session_id = new.session, None
    mode, customer_id = session.attempt.mode, session.attempt.customer_id
    if mode is Mode.EMBEDDED:
        session, finch_session = _open_finch_session(
            session, session.attempt.created_at, connections, ownerships, finch
        )
        session_id = finch_session.session_id
    sessions.add(session)
    logger.info("connect session started", customer_id=customer_id, mode=mode)
    return session_id


def open_link(
    handle_text: str,
    *,
    now: datetime,
    sessions: SessionTable,
    connections: ConnectionTable,
    ownerships: OwnershipTable,
    finch: ConnectApi,
) -> Opened | NotOpened:
    """Where a click on the link leads; raises nothing, so that the browser always has a page.

    The first click creates the Finch session, and a second click reuses it while it lives.
    """
    session = None
    try:
        handle = require_handle(handle_text)
        prepared = in_background(finch.prepare)
        session = sessions.get(handle.digest())
        started = require_link(session, now)
        url = started.reusable_connect_url(now)
        if url is None:
            prepared()
            started, finch_session = _open_finch_session(
                started, now, connections, ownerships, finch
            )
            url = finch_session.connect_url
            try:
                sessions.opened(started, Click(url, now))
            except Conflict:
                raise SessionUsed from None
    except (Refusal, FinchFailure) as error:
        logger.info("connect link refused", code=error.code)
        code = error.code
    except Exception:
        logger.exception("connect link failed")
        code = InternalError.code
    else:
        return Opened(url, handle)
    return NotOpened(code, session.attempt.return_to if session else None)


def _open_finch_session(
    session: Started,
    now: datetime,
    connections: ConnectionTable,
    ownerships: OwnershipTable,
    finch: ConnectApi,
) -> tuple[Started, FinchSession]:
    """The session with the name that Finch got, and its Finch session. At most three calls.

    Finch may have a connection under a name of this customer of which we have no token: its token was
    lost between Finch and us. The user then logs in to it again, so that its next token is kept and
    the connection can be ended ("Reauthenticate session" in Finch's API reference).
    """
    attempt = session.attempt
    if attempt.repairs:
        return _open_repair(session, attempt.repairs, now, connections, finch)
    names = _names(attempt.customer_id, connections)
    for name in names:
        named = replace(session, attempt=replace(attempt, finch_customer_id=name))
        try:
            return named, finch.create_session(attempt, name)
        except ConnectionAlreadyExists as error:
            lost = error.connection_id
        if not is_finch_id(lost):
            continue
        with suppress(Conflict, RequestRefused):
            ownerships.offer_recovery(lost, attempt.handle_hash, now)
            logger.warning("recovery offered", customer_id=attempt.customer_id, connection_id=lost)
            # This call replaces the call with the next name.
            next(names, None)
            return named, finch.reauthenticate(lost, attempt.products, attempt.redirect_uri)
    raise ConnectionAlreadyExists(None)


def _open_repair(
    session: Started,
    key: CompanyKey,
    now: datetime,
    connections: ConnectionTable,
    finch: ConnectApi,
) -> tuple[Started, FinchSession]:
    """The same for the login of a connection that most needs its user.

    While an earlier click may still lead to a code, the same login again: a session may have a token
    of the connection that it repairs, and of no other. With all products of the login, because Finch
    may drop products that are not requested again.
    """
    attempt = session.attempt
    connection = connections.show(attempt.customer_id, key)
    if connection is None:
        raise ConnectionNotFound
    token = to_repair(connection, session.under_repair(now))
    products = sorted(
        {product for one in connection.tokens if one.same_login(token) for product in one.products}
    )
    named = replace(
        attempt, finch_customer_id=token.finch_customer_id, repairs_id=token.connection_id
    )
    finch_session = finch.reauthenticate(token.connection_id, products, attempt.redirect_uri)
    return replace(session, attempt=named), finch_session


def require_repairable(customer_id: str, key: CompanyKey, connections: ConnectionTable) -> None:
    """Refuses to repair a connection that does not exist or is being disconnected.

    Raises `ConnectionNotFound` and `ConnectionBusy`.
    """
    connection = connections.show(customer_id, key)
    if connection is None:
        raise ConnectionNotFound
    to_repair(connection)


def _names(customer_id: str, connections: ConnectionTable) -> Iterator[str]:
    """Names for a customer at Finch: the plain id, the next free number, and a random number.

    Finch refuses a second connection under the same name, and unfinished attempts may have used names
    that we do not know.
    """
    plain = next_finch_customer_id(customer_id, ())
    yield plain
    in_use = {
        token.finch_customer_id
        for connection in connections.every(customer_id)
        for token in connection.tokens
        if token.finch_customer_id
    }
    yield next_finch_customer_id(customer_id, {plain, *in_use})
    yield unguessed_finch_customer_id(customer_id)
