"""The flow that starts: a connect session, and the hop from its link to Finch Connect."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from finch_connections import metrics
from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.dynamodb import Conflict
from finch_connections.aws.ownership_table import OwnershipTable
from finch_connections.aws.session_table import SessionTable
from finch_connections.background import in_background
from finch_connections.domain.connect_session import (
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
from finch_connections.domain.connection import (
    IDENTIFIER,
    CompanyKey,
    ConnectionNotFound,
    to_repair,
)
from finch_connections.domain.errors import InternalError, Refusal
from finch_connections.domain.secret import SecretText
from finch_connections.finch.connect_api import ConnectApi, FinchSession
from finch_connections.finch.errors import (
    ConnectionAlreadyExists,
    FinchFailure,
    RequestRefused,
)
from finch_connections.log import logger


class OpenedLink(NamedTuple):
    """Where a click on the link goes, and the handle that the finding cookie keeps, if there is one.

    `outcome` is the stable word for how it ended.
    """

    url: str
    outcome: str
    handle: SecretText | None = None


def start(
    new: NewSession,
    *,
    sessions: SessionTable,
    connections: ConnectionTable,
    ownerships: OwnershipTable,
    finch: ConnectApi,
) -> str | None:
    """Writes a new session and answers Finch's session id where the embedded flow needs one now.

    Raises `FinchFailure` for the embedded flow.
    """
    session, session_id = new.session, None
    if session.mode is Mode.EMBEDDED:
        session, finch_session = _open_finch_session(
            session, session.created_at, connections, ownerships, finch
        )
        session_id = finch_session.session_id
    sessions.add(session)
    logger.info("connect session started", customer_id=session.customer_id, mode=session.mode)
    return session_id


def open_link(
    handle_text: str,
    *,
    allowed_return_urls: Sequence[str],
    now: datetime,
    sessions: SessionTable,
    connections: ConnectionTable,
    ownerships: OwnershipTable,
    finch: ConnectApi,
) -> OpenedLink:
    """Where the browser goes when a person clicks the link: Finch Connect, or back with the reason.

    The Finch session is made at the first click and used again by a second one while it lives.
    """
    session = None
    try:
        handle = require_handle(handle_text)
        prepared = in_background(finch.prepare)
        session = sessions.get(handle.digest())
        if session is None:
            raise SessionNotFound
        require_link(session, now)
        url = session.reusable_connect_url(now)
        if url is None:
            prepared()
            session, finch_session = _open_finch_session(
                session, now, connections, ownerships, finch
            )
            url = finch_session.connect_url
            try:
                sessions.opened(session, url, now)
            except Conflict:
                raise SessionUsed from None
    except (Refusal, FinchFailure) as error:
        logger.info("connect link refused", code=error.code)
        return OpenedLink(
            return_url(session, allowed_return_urls, {"error": error.code}), error.code
        )
    except Exception:
        # A person in a browser is better off on the application's page, whatever went wrong.
        logger.exception("connect link failed")
        code = InternalError.code
        return OpenedLink(return_url(session, allowed_return_urls, {"error": code}), code)
    return OpenedLink(with_query(url, {"state": handle.reveal()}), metrics.OK, handle)


def _open_finch_session(
    session: ConnectSession,
    now: datetime,
    connections: ConnectionTable,
    ownerships: OwnershipTable,
    finch: ConnectApi,
) -> tuple[ConnectSession, FinchSession]:
    """The session with what Finch was told, and Finch's for it. Three calls at most.

    A connection that Finch has under a name of this customer and of which nobody here has a token
    was lost between Finch and us: the person is led to log in to it again, so that its next token
    is kept and it can be ended ("Reauthenticate session" in Finch's API reference).
    """
    if session.repairs:
        return _open_repair(session, session.repairs, now, connections, finch)
    names = _names(session.customer_id, connections)
    for name in names:
        named = replace(session, finch_customer_id=name)
        try:
            return named, finch.create_session(session, name)
        except ConnectionAlreadyExists as error:
            lost = error.connection_id
        if lost is None or not IDENTIFIER.fullmatch(lost):
            continue
        with suppress(Conflict, RequestRefused):
            ownerships.offer_recovery(lost, session.handle_hash, now)
            logger.warning("recovery offered", customer_id=session.customer_id, connection_id=lost)
            # Takes the place of the next name.
            next(names, None)
            return named, finch.reauthenticate(lost, session.products, session.redirect_uri)
    raise ConnectionAlreadyExists(None)


def _open_repair(
    session: ConnectSession,
    key: CompanyKey,
    now: datetime,
    connections: ConnectionTable,
    finch: ConnectApi,
) -> tuple[ConnectSession, FinchSession]:
    """The same for the login of a connection that needs the person most.

    While an earlier click may still lead to a code, for the same one again: a session may have a
    token of what it repairs, and nothing else. With the products that the login has: what is not asked
    for again may be lost.
    """
    connection = connections.show(session.customer_id, key)
    if connection is None:
        raise ConnectionNotFound
    token = to_repair(connection, session.under_repair(now))
    products = sorted(
        {product for one in connection.tokens if one.same_login(token) for product in one.products}
    )
    named = replace(
        session, finch_customer_id=token.finch_customer_id, repairs_id=token.connection_id
    )
    finch_session = finch.reauthenticate(token.connection_id, products, session.redirect_uri)
    return named, finch_session


def require_repairable(customer_id: str, key: CompanyKey, connections: ConnectionTable) -> None:
    """Refuses to repair what is not there or on its way out.

    Raises `ConnectionNotFound` and `ConnectionBusy`.
    """
    connection = connections.show(customer_id, key)
    if connection is None:
        raise ConnectionNotFound
    to_repair(connection)


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
