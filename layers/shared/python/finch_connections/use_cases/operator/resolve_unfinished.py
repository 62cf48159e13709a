"""Resolves unfinished work: an operator sees what needs a decision, and decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from finch_connections.domain.connect_session import (
    ConnectSession,
    Consumed,
    Discarding,
    Escrow,
    Keeping,
    Mode,
    SessionNotFound,
    SessionUsed,
    Uncertain,
    begin,
    behind,
)
from finch_connections.domain.connection import (
    CompanyKey,
    Connection,
    ConnectionNotFound,
    Product,
    UnusableIdentifier,
)
from finch_connections.domain.ownership import Ownership
from finch_connections.domain.token_response import Introspection, company_key
from finch_connections.domain.work_item import (
    STUCK_AFTER,
    ConnectionSubject,
    SessionSubject,
    WorkItem,
)
from finch_connections.finch.errors import FinchFailure, TokenDead
from finch_connections.log import logger
from finch_connections.use_cases import disconnect as disconnect_use_case
from finch_connections.use_cases.attach_token import Approval, Finished, settle
from finch_connections.use_cases.discard_token import begin_discard, discard
from finch_connections.use_cases.exchange_code import Services, decrypt_escrow

# A customer's id cannot contain a tilde.
_NO_CUSTOMER = "~examined"


class NotAsShown(Exception):
    """The decision was about a state that has changed since it was shown."""


@dataclass(frozen=True)
class Unfinished:
    """Sessions and connections that began more than an hour ago and are not over, oldest first.

    `seems_recovered` are the hashes of uncertain sessions whose customer has connected since, under
    the same name at Finch. Where several sessions used that name at once, a single session is recovered.
    """

    sessions: Sequence[Consumed]
    connections: Sequence[Connection]
    seems_recovered: frozenset[str]


@dataclass(frozen=True)
class Picture:
    """All facts for the decision to attach a token or to end its connection.

    `says` is what Finch says of the token, None where it calls it dead. `owners` and `holders` are
    the connections and sessions that have a token of the Finch connection or own the company: they
    would be cut off with it.
    """

    session: Keeping
    says: Introspection | None
    key: CompanyKey | None
    owners: tuple[Ownership, ...]
    holders: tuple[str, ...]

    def decision(self, verb: str) -> str:
        """A digest of these facts, which the decision must repeat."""
        says = self.says
        seen = (
            verb,
            self.session.attempt.handle_hash,
            self.session.phase.value,
            str(self.key),
            [(one.owned_id, one.customer_id, str(one.key)) for one in self.owners],
            self.holders,
            says and (says.token_id, says.connection_id, says.customer_id, says.status.value),
        )
        return sha256(repr(seen).encode()).hexdigest()[:16]


def unfinished(limit: int, *, now: datetime, services: Services) -> Unfinished:
    """At most `limit` sessions and as many connections that an operator may have to look at."""
    before = now - STUCK_AFTER
    sessions = services.sessions.unfinished(before, now, limit)
    return Unfinished(
        sessions,
        services.connections.unfinished(before, now, limit),
        frozenset(
            one.attempt.handle_hash
            for one in sessions
            if isinstance(one, Uncertain) and _seems_recovered(one, services)
        ),
    )


def _seems_recovered(session: Uncertain, services: Services) -> bool:
    attempt = session.attempt
    return any(
        token.finch_customer_id == attempt.finch_customer_id
        and token.connected_at > session.consumption.consumed_at
        for connection in services.connections.every(attempt.customer_id)
        for token in connection.tokens
    )


def picture(handle_hash: str, *, services: Services) -> Picture:
    """The facts about a token in escrow.

    Raises `SessionNotFound`, `SessionUsed` where the session keeps none, and `FinchFailure`.
    """
    session = _session(handle_hash, services)
    if not isinstance(session, Keeping):
        raise SessionUsed("This session has no token in escrow.")
    says = None
    try:
        says = services.finch.introspect(decrypt_escrow(session, services))
    except TokenDead:
        logger.info("kept token is dead", customer_id=session.attempt.customer_id)
    key = _company(session.escrow, says)
    token_response = session.escrow.token_response
    completed = token_response.completed(says) if says else token_response
    connection_ids = dict.fromkeys((token_response.connection_id, completed.connection_id))
    there = [
        *(services.ownerships.of_connection_id(one) for one in connection_ids if one),
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
    """Attaches a token in escrow to the customer of its session, as an operator has decided.

    A company that another customer owns stays theirs: they must disconnect first. Raises `NotAsShown`,
    `Refusal` and `FinchFailure`.
    """
    seen = _decided(handle_hash, "attach", decision, services)
    return settle(seen.session, Approval.OPERATOR, now=now, services=services)


def disconnect(handle_hash: str, decision: str, *, now: datetime, services: Services) -> None:
    """Ends at Finch the connection of a token in escrow, as an operator has decided.

    The operator has seen which connections end with it. Raises `NotAsShown`, `Refusal`,
    `FinchFailure` where Finch has not confirmed yet (the work item tries again), and
    `dynamodb.Conflict` where holders or owners changed meanwhile.
    """
    seen = _decided(handle_hash, "disconnect", decision, services)
    services.queue.send(WorkItem.first(SessionSubject(handle_hash), now), now)
    discarding = (
        seen.session
        if isinstance(seen.session, Discarding)
        else begin_discard(seen.session, seen.key, regardless=True, now=now, services=services)
    )
    if discarding:
        discard(discarding, now=now, services=services)


def dismiss(handle_hash: str, *, now: datetime, services: Services) -> None:
    """Ends the session of an uncertain exchange, where an operator knows that no token is left of it.

    Raises `SessionNotFound`, and `SessionUsed` where it is not uncertain.
    """
    session = _session(handle_hash, services)
    if not isinstance(session, Uncertain):
        raise SessionUsed("This session is not uncertain.")
    held = services.ownerships.held_by(handle_hash, behind(session))
    leaving = services.ownerships.leaving(held, handle_hash)
    services.sessions.end(session, session.error, now, leaving)


def retry_session(handle_hash: str, *, now: datetime, services: Services) -> None:
    """Queues a session again, as if its work item was lost; raises `SessionNotFound`."""
    _session(handle_hash, services)
    services.queue.send(WorkItem.instead(SessionSubject(handle_hash), now), now)


def retry_connection(
    customer_id: str, key: CompanyKey, *, now: datetime, services: Services
) -> None:
    """Queues a connection again, as if its work item was lost; raises `ConnectionNotFound`."""
    if services.connections.show(customer_id, key) is None:
        raise ConnectionNotFound
    services.queue.send(WorkItem.instead(ConnectionSubject(customer_id, key), now), now)


def end(customer_id: str, key: CompanyKey, *, now: datetime, services: Services) -> Connection:
    """The connection, marked as its customer's disconnect does; its work item does the rest.

    Raises `ConnectionNotFound`, and `ConnectionBusy` where other requests keep writing it.
    """
    connection = disconnect_use_case.begin(
        customer_id, key, now=now, connections=services.connections, queue=services.queue
    )
    services.queue.send(WorkItem.at_once(ConnectionSubject(customer_id, key), now), now)
    return connection


def examine(callback_url: str, *, now: datetime, services: Services) -> dict[str, Any]:
    """Whether Finch accepts our credentials and our callback URL, and how many webhook secrets we have.

    Creates a Finch session as a click on a link does. No browser opens it, and it expires.
    """
    secret, said, webhook_secrets = services.finch.secret, "ok", 0
    new = begin(
        customer_id=_NO_CUSTOMER,
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
        # The secret may have changed within the last five minutes.
        secret.read_again()
        webhook_secrets = len(secret.webhook_secrets())
        services.finch.create_session(new.session.attempt, _NO_CUSTOMER)
    except FinchFailure as error:
        said = error.kind
    return {"finch": said, "webhook_secrets": webhook_secrets}


def _session(handle_hash: str, services: Services) -> ConnectSession:
    session = services.sessions.get(handle_hash)
    if session is None:
        raise SessionNotFound
    return session


def _company(escrow: Escrow, says: Introspection | None) -> CompanyKey | None:
    """The company of a token in escrow, where the token response or Finch names it."""
    token_response = escrow.token_response.completed(says) if says else escrow.token_response
    try:
        return company_key(token_response)
    except UnusableIdentifier:
        return None


def _decided(handle_hash: str, verb: str, decision: str, services: Services) -> Picture:
    seen = picture(handle_hash, services=services)
    if seen.decision(verb) != decision:
        raise NotAsShown
    return seen
