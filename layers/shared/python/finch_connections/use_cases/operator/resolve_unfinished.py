"""The flow that resolves: an operator sees what needs a person, and decides about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from finch_connections.domain.connect_session import (
    ConnectSession,
    Escrow,
    ExchangeUncertain,
    Mode,
    Phase,
    SessionNotFound,
    SessionUsed,
    begin,
)
from finch_connections.domain.connection import (
    CompanyKey,
    Connection,
    ConnectionNotFound,
    Product,
    UnusableIdentifier,
)
from finch_connections.domain.ownership import Ownership
from finch_connections.domain.token_response import Introspection
from finch_connections.domain.work_item import (
    STUCK_AFTER,
    ConnectionSubject,
    SessionSubject,
    WorkItem,
)
from finch_connections.finch.errors import FinchFailure, TokenDead
from finch_connections.log import logger
from finch_connections.use_cases import disconnect as disconnect_use_case
from finch_connections.use_cases.discard_token import begin_discard, discard
from finch_connections.use_cases.finish_connect import Finished, Services, decrypt_escrow, settle

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
            [(one.owned_id, one.customer_id, str(one.key)) for one in self.owners],
            self.holders,
            says and (says.token_id, says.connection_id, says.customer_id, says.status.value),
        )
        return sha256(repr(seen).encode()).hexdigest()[:16]


def unfinished(limit: int, *, now: datetime, services: Services) -> Unfinished:
    """At most `limit` sessions and as many connections that a person may have to look at."""
    before = now - STUCK_AFTER
    sessions = services.sessions.unfinished(before, now, limit)
    return Unfinished(
        sessions,
        services.connections.unfinished(before, now, limit),
        frozenset(one.handle_hash for one in sessions if _seems_recovered(one, services)),
    )


def _seems_recovered(session: ConnectSession, services: Services) -> bool:
    return session.phase is Phase.UNCERTAIN and any(
        token.finch_customer_id == session.finch_customer_id
        and session.consumed_at is not None
        and token.connected_at > session.consumed_at
        for connection in services.connections.every(session.customer_id)
        for token in connection.tokens
    )


def picture(handle_hash: str, *, services: Services) -> Picture:
    """What there is to know of a kept token.

    Raises `SessionNotFound`, `SessionUsed` where the session keeps none, and `FinchFailure`.
    """
    session = _session(handle_hash, services)
    if session.escrow is None:
        raise SessionUsed("This session keeps no token.")
    says = None
    try:
        says = services.finch.introspect(decrypt_escrow(session, session.escrow, services))
    except TokenDead:
        logger.info("kept token is dead", customer_id=session.customer_id)
    key = _company(session.escrow, says)
    connection_id = session.escrow.token_response.connection_id or (
        says.connection_id if says else ""
    )
    there = [
        services.ownerships.of_connection_id(connection_id) if connection_id else None,
        services.ownerships.of_company(key) if key else None,
    ]
    ownerships = [record for record in there if record]
    return Picture(
        session=session,
        says=says,
        key=key,
        owners=tuple(record.owner for record in ownerships if record.owner),
        holders=tuple(
            sorted({one for record in ownerships for one in record.holders} - {handle_hash})
        ),
    )


def attach(handle_hash: str, decision: str, *, now: datetime, services: Services) -> Finished:
    """Attaches a kept token to the customer of its session, as a person has decided.

    What another customer owns stays theirs: they must disconnect first. Raises `NotAsShown`,
    `Refusal` and `FinchFailure`.
    """
    seen = _decided(handle_hash, "attach", decision, services)
    return settle(seen.session, None, None, bound=True, approved=True, now=now, services=services)


def disconnect(handle_hash: str, decision: str, *, now: datetime, services: Services) -> None:
    """Ends at Finch the connection of a kept token, as a person has decided who saw whom it hits.

    Raises `NotAsShown`, `Refusal`, `FinchFailure` where Finch has not confirmed yet (it is tried
    again until it has), and `dynamodb.Conflict` where others have come or gone meanwhile.
    """
    seen = _decided(handle_hash, "disconnect", decision, services)
    services.queue.send(WorkItem.first(SessionSubject(handle_hash), now), now)
    given_up = (
        seen.session
        if seen.session.phase is Phase.DISCARDING
        else begin_discard(seen.session, seen.key, regardless=True, now=now, services=services)
    )
    if given_up:
        discard(given_up, now=now, services=services)


def dismiss(handle_hash: str, *, now: datetime, services: Services) -> None:
    """Ends the session of an uncertain exchange, where a person knows that nothing is left of it.

    Raises `SessionNotFound`, and `SessionUsed` where it is not uncertain.
    """
    session = _session(handle_hash, services)
    if session.phase is not Phase.UNCERTAIN:
        raise SessionUsed("This session is not uncertain.")
    held = services.ownerships.held_by(handle_hash, session.behind)
    leaving = services.ownerships.leaving(held, handle_hash)
    services.sessions.end(session, session.error or ExchangeUncertain.code, now, leaving)


def retry_session(handle_hash: str, *, now: datetime, services: Services) -> None:
    """Queues a session again, as when its task was lost; raises `SessionNotFound`."""
    _session(handle_hash, services)
    services.queue.send(WorkItem.instead(SessionSubject(handle_hash), now), now)


def retry_connection(
    customer_id: str, key: CompanyKey, *, now: datetime, services: Services
) -> None:
    """Queues a connection again, as when its task was lost; raises `ConnectionNotFound`."""
    if services.connections.show(customer_id, key) is None:
        raise ConnectionNotFound
    services.queue.send(WorkItem.instead(ConnectionSubject(customer_id, key), now), now)


def end(customer_id: str, key: CompanyKey, *, now: datetime, services: Services) -> Connection:
    """The connection on its way out, as when its customer disconnects it; its task does the rest.

    Raises `ConnectionNotFound`, and `ConnectionBusy` where others keep writing the connection.
    """
    connection = disconnect_use_case.begin(
        customer_id, key, now=now, connections=services.connections, queue=services.queue
    )
    services.queue.send(WorkItem.at_once(ConnectionSubject(customer_id, key), now), now)
    return connection


def examine(callback_url: str, *, now: datetime, services: Services) -> dict[str, Any]:
    """What Finch says to our credentials and to where it shall send browsers back to, in one word.

    It is asked for a session as a click on a link makes one; nobody goes there, and it expires.
    """
    secret, said, webhook_secrets = services.finch.secret, "ok", 0
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
        services.finch.create_session(new.session, _NOBODY)
    except FinchFailure as error:
        said = error.kind
    return {"finch": said, "webhook_secrets": webhook_secrets}


def _session(handle_hash: str, services: Services) -> ConnectSession:
    session = services.sessions.get(handle_hash)
    if session is None:
        raise SessionNotFound
    return session


def _company(escrow: Escrow, says: Introspection | None) -> CompanyKey | None:
    """The company that a kept token is of, where anybody says."""
    token_response = escrow.token_response
    known = token_response.company_id or (says and says.company_id) or token_response.connection_id
    try:
        return CompanyKey(token_response.provider_id, known or "")
    except UnusableIdentifier:
        return None


def _decided(handle_hash: str, verb: str, decision: str, services: Services) -> Picture:
    seen = picture(handle_hash, services=services)
    if seen.decision(verb) != decision:
        raise NotAsShown
    return seen
