"""Resolves unfinished work: an operator sees the facts, and decides."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.work_queue import WorkQueue
from finch_connections.domain.connect_session import (
    ConnectSession,
    Consumed,
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
from finch_connections.domain.ownership import Ownership, others
from finch_connections.domain.token_response import (
    Introspection,
    TokenResponse,
    company_key,
    contradict,
)
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
from finch_connections.use_cases.discard_token import discard, named_otherwise
from finch_connections.use_cases.exchange_code import Services, decrypt_escrow

# A customer's id cannot contain a tilde.
_NO_CUSTOMER = "~examined"


class AnswersDiffer(Exception):
    """Finch's responses name different connections for this token, so it must not be ended."""


class NotAsShown(Exception):
    """The decision was about a state that has changed since it was shown."""


@dataclass(frozen=True)
class Unfinished:
    """Unfinished sessions and connections whose work began more than an hour ago, oldest first.

    `seems_recovered` are the hashes of uncertain sessions whose customer has connected since, under
    the same name at Finch. If several sessions used that name, the new token recovers only one session.
    """

    sessions: Sequence[Consumed]
    connections: Sequence[Connection]
    seems_recovered: frozenset[str]


@dataclass(frozen=True)
class Picture:
    """All facts for the decision to attach a token or to end its connection.

    `says` is what Finch says of the token, None where it calls it dead. `owners` and `holders` are
    the connections and sessions that have a token of the Finch connection or own the company: they
    would be cut off with it. `cut_off` has a name for each of them. `answers_differ` says that the
    token response and the introspection name different connections or companies: `owners` and
    `holders` are then those of both, and the connection must not be ended.
    """

    session: Keeping
    says: Introspection | None
    key: CompanyKey | None
    owners: tuple[Ownership, ...]
    holders: tuple[str, ...]
    cut_off: frozenset[str]
    answers_differ: bool = False

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
    """At most `limit` sessions, and as many connections, that may need an operator's decision."""
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

    Raises `SessionNotFound`, `SessionUsed` if the session has no token in escrow, and `FinchFailure`.
    """
    session = _session(handle_hash, services)
    if not isinstance(session, Keeping):
        raise SessionUsed("This session has no token in escrow.")
    says = None
    try:
        says = services.finch.introspect(decrypt_escrow(session, services))
    except TokenDead:
        logger.info("kept token is dead", customer_id=session.attempt.customer_id)
    token_response = session.escrow.token_response
    completed = token_response.completed(says) if says else token_response
    # The connection as each of Finch's responses names it.
    named = [completed]
    if says:
        named.append(
            replace(
                completed,
                connection_id=says.connection_id or completed.connection_id,
                provider_id=says.provider_id or completed.provider_id,
                company_id=says.company_id or completed.company_id,
            )
        )
    connection_ids = {token_response.connection_id, *(one.connection_id for one in named)} - {""}
    keys = [_company_of(one) for one in named]
    records = [
        *(services.ownerships.of_connection_id(one) for one in sorted(connection_ids)),
        *(services.ownerships.of_company(one) for one in dict.fromkeys(keys) if one),
    ]
    ownerships = [record for record in records if record]
    unnamed = named_otherwise(session, services)
    holders = unnamed.union(*(record.holders for record in ownerships)) - {handle_hash}
    return Picture(
        session=session,
        says=says,
        key=keys[0],
        owners=tuple(record.owner for record in ownerships if record.owner),
        holders=tuple(sorted(holders)),
        cut_off=others(handle_hash, *ownerships) | unnamed,
        answers_differ=says is not None and contradict(token_response, says),
    )


def attach(handle_hash: str, decision: str, *, now: datetime, services: Services) -> Finished:
    """Attaches a token in escrow to the customer of its session, as an operator has decided.

    If another customer owns the company, they must disconnect it first. Raises `NotAsShown`, `Refusal`
    and `FinchFailure`.
    """
    seen = _decided(handle_hash, "attach", decision, services)
    return settle(seen.session, Approval.OPERATOR, now=now, services=services)


def disconnect(handle_hash: str, decision: str, *, now: datetime, services: Services) -> None:
    """Ends the Finch connection of a token in escrow, as an operator has decided.

    The operator has seen which connections end with it. Raises `NotAsShown`, `AnswersDiffer`, `Refusal`,
    `FinchFailure` where Finch has not confirmed yet (a work item tries again), and
    `dynamodb.Conflict` where holders or owners changed meanwhile.
    """
    seen = _decided(handle_hash, "disconnect", decision, services)
    if seen.answers_differ:
        raise AnswersDiffer
    discard(seen.session, seen.key, approved=seen.cut_off, now=now, services=services)


def dismiss(handle_hash: str, *, now: datetime, services: Services) -> None:
    """Ends the session of an uncertain exchange, if an operator knows that it left no token at Finch.

    Raises `SessionNotFound`, and `SessionUsed` if the session is not uncertain.
    """
    session = _session(handle_hash, services)
    if not isinstance(session, Uncertain):
        raise SessionUsed("This session is not uncertain.")
    held = services.ownerships.held_by(handle_hash, behind(session))
    leaving = services.ownerships.leaving(held, handle_hash)
    services.sessions.end(session, session.error, now, leaving)


def retry_session(handle_hash: str, *, now: datetime, services: Services, queue: WorkQueue) -> None:
    """Queues a session at once; raises `SessionNotFound`."""
    _session(handle_hash, services)
    queue.send(WorkItem(SessionSubject(handle_hash), now))


def retry_connection(
    customer_id: str,
    key: CompanyKey,
    *,
    now: datetime,
    connections: ConnectionTable,
    queue: WorkQueue,
) -> None:
    """Queues a connection at once; raises `ConnectionNotFound`."""
    if connections.show(customer_id, key) is None:
        raise ConnectionNotFound
    queue.send(WorkItem(ConnectionSubject(customer_id, key), now))


def end(
    customer_id: str,
    key: CompanyKey,
    *,
    now: datetime,
    connections: ConnectionTable,
    queue: WorkQueue,
) -> Connection:
    """Begins a disconnect as the customer could, and returns the connection. A work item continues.

    Raises `ConnectionNotFound`, and `ConnectionBusy` if other requests keep changing the connection.
    """
    connection = disconnect_use_case.begin(customer_id, key, now=now, connections=connections)
    queue.send(WorkItem(ConnectionSubject(customer_id, key), now))
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


def _company_of(token_response: TokenResponse) -> CompanyKey | None:
    """The company of a token; None if Finch has not named it."""
    try:
        return company_key(token_response)
    except UnusableIdentifier:
        return None


def _decided(handle_hash: str, verb: str, decision: str, services: Services) -> Picture:
    seen = picture(handle_hash, services=services)
    if seen.decision(verb) != decision:
        raise NotAsShown
    return seen
