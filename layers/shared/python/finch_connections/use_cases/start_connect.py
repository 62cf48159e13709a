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
from finch_connections.domain.budget import Spending
from finch_connections.domain.connect_session import (
    Attempt,
    Click,
    Mode,
    NewSession,
    SessionUsed,
    Started,
    newest_number,
    require_handle,
    require_link,
    unguessed_finch_customer_id,
)
from finch_connections.domain.connection import (
    CompanyKey,
    ConnectionNotFound,
    Token,
    is_pair_id,
    require_room,
    to_repair,
)
from finch_connections.domain.errors import InternalError, Refusal
from finch_connections.domain.history import HistoryEntry, Step, added
from finch_connections.domain.identifier import finch_name, is_finch_id
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
    """A failed click: the code of its error, and the attempt, which is None if it was not found."""

    code: str
    attempt: Attempt | None


def start(
    new: NewSession,
    *,
    sessions: SessionTable,
    connections: ConnectionTable,
    ownerships: OwnershipTable,
    finch: ConnectApi,
    max_connections: int,
) -> str | None:
    """Writes a new session. Returns Finch's session id in the embedded flow, else None.

    Raises `ConnectionLimit` and `TooManyRequests`, and `FinchFailure` for the embedded flow.
    """
    session, session_id = new.session, None
    mode, customer_id = session.attempt.mode, session.attempt.customer_id
    sessions.spend(Spending.START, session.attempt, session.attempt.created_at)
    _require_room(session.attempt, connections, max_connections)
    if mode is Mode.EMBEDDED:
        session, finch_session = _open_finch_session(
            session, session.attempt.created_at, sessions, connections, ownerships, finch
        )
        session_id = finch_session.session_id
        sent = HistoryEntry.of(session.attempt.created_at, Step.SENT, None, finch.finch.request_id)
        history = added(session.attempt.history, sent)
        session = Started(replace(session.attempt, history=history))
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
    max_connections: int,
) -> Opened | NotOpened:
    """The destination of a click on the link. Raises nothing, so that the browser always gets a page.

    The first click creates the Finch session. A later click reuses it while enough time is left.
    """
    session = None
    try:
        handle = require_handle(handle_text)
        prepared = in_background(finch.prepare)
        session = sessions.get(handle.digest())
        started = require_link(session, now)
        url = started.reusable_connect_url(now)
        if url is None:
            sessions.spend(Spending.CLICK, started.attempt, now)
            _require_room(started.attempt, connections, max_connections)
            prepared()
            try:
                started, finch_session = _open_finch_session(
                    started, now, sessions, connections, ownerships, finch
                )
            except FinchFailure as error:
                sessions.note(started, error.entry(now, Step.NOT_SENT))
                raise
            url = finch_session.connect_url
            try:
                sessions.opened(started, Click(url, now), finch.finch.request_id)
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
    return NotOpened(code, session.attempt if session else None)


def check_link(handle_text: str, *, now: datetime, sessions: SessionTable) -> Started | NotOpened:
    """The session of a link that works, for a program that checks links. Only reads the session."""
    session = None
    try:
        session = sessions.get(require_handle(handle_text).digest())
        return require_link(session, now)
    except Refusal as error:
        return NotOpened(error.code, session.attempt if session else None)


def _require_room(attempt: Attempt, connections: ConnectionTable, limit: int) -> None:
    """Refuses an attempt that can only add a connection, if the customer may have no more.

    The user then does not log in at Finch in vain. Only the write of the connection is exact. Raises
    `ConnectionLimit`.
    """
    if not attempt.repairs:
        require_room(connections.every(attempt.customer_id), attempt.adds_login_to, limit)


def _open_finch_session(
    session: Started,
    now: datetime,
    sessions: SessionTable,
    connections: ConnectionTable,
    ownerships: OwnershipTable,
    finch: ConnectApi,
) -> tuple[Started, FinchSession]:
    """Creates a Finch session with at most three calls. Returns it after the session with its name at Finch.

    Finch may already have a connection under a name of this customer although we have no token of it,
    because the token was lost on its way to us. The user then logs in to that connection again. So we get
    a token that can end it ("Reauthenticate session" in Finch's API reference).
    """
    attempt = session.attempt
    if attempt.repairs:
        return _open_repair(session, attempt.repairs, now, connections, finch)
    customer_id = attempt.customer_id
    names = _names(customer_id, sessions, connections)
    for name in names:
        with_name = replace(session, attempt=replace(attempt, finch_customer_id=name))
        try:
            return with_name, finch.create_session(attempt, name)
        except ConnectionAlreadyExists as error:
            lost = error.connection_id
        if not is_finch_id(lost):
            continue
        record = ownerships.of_connection_id(lost)
        if record and record.holders:
            # A session keeps a token of it.
            continue
        if (record and record.owner) or _has_pair_id(customer_id, name, connections):
            if name != finch_name(customer_id):
                # The stored number is too low.
                _count_names(customer_id, name, sessions, connections)
            continue
        with suppress(Conflict, RequestRefused):
            ownerships.offer_recovery(lost, attempt.handle_hash, now)
            logger.warning("recovery offered", customer_id=customer_id, connection_id=lost)
            # This call replaces the call with the next name.
            next(names, None)
            return with_name, finch.reauthenticate(lost, attempt.products, attempt.redirect_uri)
    raise ConnectionAlreadyExists(None)


def _open_repair(
    session: Started,
    key: CompanyKey,
    now: datetime,
    connections: ConnectionTable,
    finch: ConnectApi,
) -> tuple[Started, FinchSession]:
    """Creates a Finch session that repairs the login with the most urgent status; returns both sessions.

    While an earlier click may still lead to a code, it repairs the same login again, because a session
    can be the holder of only one repaired connection. It requests all products of the login, because
    Finch may drop products that are not requested again.
    """
    attempt = session.attempt
    connection = connections.show(attempt.customer_id, key)
    if connection is None:
        raise ConnectionNotFound
    token = to_repair(connection, session.under_repair(now))
    # A token without an account id and a `connection_id` of Finch is a login of its own.
    login = [one for one in connection.tokens if one is token or one.same_login(token)]
    products = sorted({product for one in login for product in one.products})
    repairing = replace(
        attempt, finch_customer_id=token.finch_customer_id, repairs_id=token.connection_id
    )
    finch_session = _repair_session(repairing, products, finch)
    return replace(session, attempt=repairing), finch_session


def _repair_session(attempt: Attempt, products: list[str], finch: ConnectApi) -> FinchSession:
    """A Finch session for the login of `repairs_id`. At most two calls.

    Finch repairs a connection by its `connection_id`. Without one, the user logs in to the provider
    again; Finch may then answer with the `connection_id`.
    """
    connection_id = attempt.repairs_id or ""
    if is_pair_id(connection_id):
        try:
            again = replace(attempt, products=tuple(products))
            return finch.create_session(again, attempt.finch_customer_id or attempt.customer_id)
        except ConnectionAlreadyExists as error:
            if error.connection_id is None:
                name = unguessed_finch_customer_id(attempt.customer_id)
                return finch.create_session(again, name)
            connection_id = error.connection_id
    return finch.reauthenticate(connection_id, products, attempt.redirect_uri)


def _has_pair_id(customer_id: str, name: str, connections: ConnectionTable) -> bool:
    """Whether we have tokens of a connection under this name, and do not know its id."""
    return any(
        token.finch_customer_id == name and is_pair_id(token.connection_id)
        for token in _tokens(customer_id, connections)
    )


def _tokens(customer_id: str, connections: ConnectionTable) -> Iterator[Token]:
    """The tokens of a customer. Reads all connections."""
    return (token for one in connections.every(customer_id) for token in one.tokens)


def require_connected(customer_id: str, key: CompanyKey, connections: ConnectionTable) -> None:
    """Refuses another login or a repair of a connection that does not exist or is being disconnected.

    Raises `ConnectionNotFound` and `ConnectionBusy`.
    """
    connection = connections.show(customer_id, key)
    if connection is None:
        raise ConnectionNotFound
    to_repair(connection)


def _names(customer_id: str, sessions: SessionTable, connections: ConnectionTable) -> Iterator[str]:
    """Names for a customer at Finch: the plain id, the next number, and a random number.

    Finch refuses a second connection under the same name. The next number stays the same until a token
    under it is stored: then Finch names a connection whose token was lost.
    """
    plain = finch_name(customer_id)
    yield plain
    newest = sessions.newest_name(customer_id) or _count_names(
        customer_id, plain, sessions, connections
    )
    yield finch_name(customer_id, newest + 1)
    yield unguessed_finch_customer_id(customer_id)


def _count_names(
    customer_id: str, in_use: str, sessions: SessionTable, connections: ConnectionTable
) -> int:
    """Stores and returns the number in the customer's newest name at Finch. Reads all connections."""
    names = [in_use, *(token.finch_customer_id for token in _tokens(customer_id, connections))]
    newest = newest_number(names, customer_id)
    # In a conflict, a session stores a token and its number. The next start counts again if it must.
    with suppress(Conflict):
        sessions.store_newest_name(customer_id, newest)
    return newest
