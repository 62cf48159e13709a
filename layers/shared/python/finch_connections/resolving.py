"""The flow that resolves: an operator sees what needs a person, and decides about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from finch_connections import disconnecting
from finch_connections.claim import Ownership
from finch_connections.connect_session import (
    ConnectSession,
    Escrow,
    ExchangeUncertain,
    Mode,
    Phase,
    SessionNotFound,
    SessionUsed,
    begin,
)
from finch_connections.connecting import Finished, Outsiders, open_escrow, settle
from finch_connections.connection import (
    CompanyKey,
    Connection,
    ConnectionNotFound,
    Product,
    UnusableIdentifier,
)
from finch_connections.finch_failure import FinchFailure, TokenDead
from finch_connections.grant import Introspection
from finch_connections.log import logger
from finch_connections.releasing import give_up, release
from finch_connections.task import STUCK_AFTER, ConnectionTask, SessionTask, Task

# No customer has a tilde in their id.
_NOBODY = "~examined"


class NotAsShown(Exception):
    """The decision was about something that has changed since it was shown."""


@dataclass(frozen=True)
class Unfinished:
    """What began more than an hour ago and is not over, oldest first.

    `seems_recovered` are the hashes of uncertain sessions whose customer has connected since under
    the name that Finch was told: one of them, where several were told the same name at once.
    """

    sessions: Sequence[ConnectSession]
    connections: Sequence[Connection]
    seems_recovered: frozenset[str]


@dataclass(frozen=True)
class Picture:
    """All that there is to know before a token is attached or its connection ended.

    `says` is what Finch says of the token, None where it calls it dead. `owners` and `holders` are
    who else has a token of the connection or owns the company, and would be cut off with it.
    """

    session: ConnectSession
    says: Introspection | None
    key: CompanyKey | None
    owners: tuple[Ownership, ...]
    holders: tuple[str, ...]

    def decision(self, verb: str) -> str:
        """The word that a decision about exactly this carries."""
        says = self.says
        seen = (
            verb,
            self.session.handle_hash,
            self.session.phase.value,
            str(self.key),
            [(one.claimed, one.customer_id, str(one.key)) for one in self.owners],
            self.holders,
            says and (says.token_id, says.connection_id, says.customer_id, says.status.value),
        )
        return sha256(repr(seen).encode()).hexdigest()[:16]


def unfinished(limit: int, *, now: datetime, outside: Outsiders) -> Unfinished:
    """At most `limit` sessions and as many connections that a person may have to look at."""
    before = now - STUCK_AFTER
    sessions = outside.sessions.unfinished(before, now, limit)
    return Unfinished(
        sessions,
        outside.connections.unfinished(before, now, limit),
        frozenset(one.handle_hash for one in sessions if _seems_recovered(one, outside)),
    )


def _seems_recovered(session: ConnectSession, outside: Outsiders) -> bool:
    return session.phase is Phase.UNCERTAIN and any(
        token.finch_customer_id == session.finch_customer_id
        and session.consumed_at is not None
        and token.connected_at > session.consumed_at
        for connection in outside.connections.every(session.customer_id)
        for token in connection.tokens
    )


def picture(handle_hash: str, *, outside: Outsiders) -> Picture:
    """What there is to know of a kept token.

    Raises `SessionNotFound`, `SessionUsed` where the session keeps none, and `FinchFailure`.
    """
    session = _session(handle_hash, outside)
    if session.escrow is None:
        raise SessionUsed("This session keeps no token.")
    says = None
    try:
        says = outside.finch.introspect(open_escrow(session, session.escrow, outside))
    except TokenDead:
        logger.info("kept token is dead", customer_id=session.customer_id)
    key = _company(session.escrow, says)
    connection_id = session.escrow.grant.connection_id or (says.connection_id if says else "")
    there = [
        outside.claims.of_connection_id(connection_id) if connection_id else None,
        outside.claims.of_company(key) if key else None,
    ]
    claims = [claim for claim in there if claim]
    return Picture(
        session=session,
        says=says,
        key=key,
        owners=tuple(claim.owner for claim in claims if claim.owner),
        holders=tuple(sorted({one for claim in claims for one in claim.holders} - {handle_hash})),
    )


def attach(handle_hash: str, decision: str, *, now: datetime, outside: Outsiders) -> Finished:
    """Attaches a kept token to the customer of its session, as a person has decided.

    What another customer owns stays theirs: they must disconnect first. Raises `NotAsShown`,
    `Refusal` and `FinchFailure`.
    """
    seen = _decided(handle_hash, "attach", decision, outside)
    return settle(seen.session, None, None, bound=True, approved=True, now=now, outside=outside)


def disconnect(handle_hash: str, decision: str, *, now: datetime, outside: Outsiders) -> None:
    """Ends at Finch the connection of a kept token, as a person has decided who saw whom it hits.

    Raises `NotAsShown`, `Refusal`, `FinchFailure` where Finch has not confirmed yet (it is tried
    again until it has), and `dynamodb.Conflict` where others have come or gone meanwhile.
    """
    seen = _decided(handle_hash, "disconnect", decision, outside)
    outside.queue.send(Task.first(SessionTask(handle_hash), now), now)
    given_up = (
        seen.session
        if seen.session.phase is Phase.RELEASING
        else give_up(seen.session, seen.key, regardless=True, now=now, outside=outside)
    )
    if given_up:
        release(given_up, now=now, outside=outside)


def dismiss(handle_hash: str, *, now: datetime, outside: Outsiders) -> None:
    """Ends the session of an uncertain exchange, where a person knows that nothing is left of it.

    Raises `SessionNotFound`, and `SessionUsed` where it is not uncertain.
    """
    session = _session(handle_hash, outside)
    if session.phase is not Phase.UNCERTAIN:
        raise SessionUsed("This session is not uncertain.")
    leaving = outside.claims.leaving(session.behind, handle_hash)
    outside.sessions.end(session, session.error or ExchangeUncertain.code, now, leaving)


def retry_session(handle_hash: str, *, now: datetime, outside: Outsiders) -> None:
    """Queues a session again, as when its task was lost; raises `SessionNotFound`."""
    _session(handle_hash, outside)
    outside.queue.send(Task.instead(SessionTask(handle_hash), now), now)


def retry_connection(
    customer_id: str, key: CompanyKey, *, now: datetime, outside: Outsiders
) -> None:
    """Queues a connection again, as when its task was lost; raises `ConnectionNotFound`."""
    if outside.connections.show(customer_id, key) is None:
        raise ConnectionNotFound
    outside.queue.send(Task.instead(ConnectionTask(customer_id, key), now), now)


def end(customer_id: str, key: CompanyKey, *, now: datetime, outside: Outsiders) -> Connection:
    """The connection on its way out, as when its customer disconnects it; its task does the rest.

    Raises `ConnectionNotFound`, and `ConnectionBusy` where others keep writing the connection.
    """
    connection = disconnecting.begin(
        customer_id, key, now=now, connections=outside.connections, queue=outside.queue
    )
    outside.queue.send(Task.at_once(ConnectionTask(customer_id, key), now), now)
    return connection


def examine(callback_url: str, *, now: datetime, outside: Outsiders) -> dict[str, Any]:
    """What Finch says to our credentials and to where it shall send browsers back to, in one word.

    It is asked for a session as a click on a link makes one; nobody goes there, and it expires.
    """
    secret, said, webhook_secrets = outside.finch.secret, "ok", 0
    new = begin(
        customer_id=_NOBODY,
        customer_name=None,
        mode=Mode.REDIRECT,
        products=(Product.COMPANY,),
        provider_id=None,
        return_to=callback_url,
        allowed_return_urls=[callback_url],
        callback_url=callback_url,
        now=now,
    )
    try:
        # Not what was read five minutes ago.
        secret.read_again()
        webhook_secrets = len(secret.webhook_secrets())
        outside.finch.create_session(new.session, _NOBODY)
    except FinchFailure as error:
        said = error.kind
    return {"finch": said, "webhook_secrets": webhook_secrets}


def _session(handle_hash: str, outside: Outsiders) -> ConnectSession:
    session = outside.sessions.get(handle_hash)
    if session is None:
        raise SessionNotFound
    return session


def _company(escrow: Escrow, says: Introspection | None) -> CompanyKey | None:
    """The company that a kept token is of, where anybody says."""
    grant = escrow.grant
    known = grant.company_id or (says and says.company_id) or grant.connection_id
    try:
        return CompanyKey(grant.provider_id, known or "")
    except UnusableIdentifier:
        return None


def _decided(handle_hash: str, verb: str, decision: str, outside: Outsiders) -> Picture:
    seen = picture(handle_hash, outside=outside)
    if seen.decision(verb) != decision:
        raise NotAsShown
    return seen
