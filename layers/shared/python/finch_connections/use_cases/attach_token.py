"""Attaches the token of a connect session to its connection, when Finch and the customer approve."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, NamedTuple, assert_never

from finch_connections.aws.dynamodb import Conflict
from finch_connections.domain.connect_session import (
    CannotConnect,
    Complete,
    ConnectionEnded,
    ConnectSession,
    Discarding,
    Ended,
    Escrowed,
    ExchangeUncertain,
    Exchanging,
    Held,
    SessionExpired,
    SessionUsed,
    Started,
    Uncertain,
    behind,
    dead_for_good,
    repair_result,
    require_same,
    require_theirs,
)
from finch_connections.domain.connection import (
    CompanyKey,
    Connection,
    ConnectionBusy,
    ConnectionStatus,
    TooManyLogins,
    UnusableIdentifier,
    attach,
    not_repaired,
    refused_for_days,
)
from finch_connections.domain.errors import Refusal
from finch_connections.domain.ownership import (
    OwnedByAnother,
    Ownership,
    OwnershipRecord,
    freed,
    learned,
    require_free,
    row_of,
)
from finch_connections.domain.secret import SecretText
from finch_connections.domain.token_response import (
    Introspection,
    TokenResponse,
    company_key,
    finch_name_of,
    require_usable_ids,
    token_of,
)
from finch_connections.domain.work_item import SessionSubject, WorkItem
from finch_connections.finch.errors import FinchFailure, TokenDead
from finch_connections.log import logger
from finch_connections.use_cases.exchange_code import Services, decrypt_escrow, reread

if TYPE_CHECKING:
    from finch_connections.aws.dynamodb import Write

# How often `settle` reads again after a conflict, before the outcome is "pending".
_ATTEMPTS = 8

# The refusals after which a session can never connect, by the code that the session stores.
ENDS: Mapping[str, type[Refusal]] = {
    kind.code: kind
    for kind in (CannotConnect, TooManyLogins, ExchangeUncertain, SessionExpired, ConnectionEnded)
}


class Approval(Enum):
    """The role that approves, in this call, that the session's customer gets the token."""

    NONE = auto()
    """A work item, a preview, or a browser that did not begin the session."""
    CUSTOMER = auto()
    """The browser that began the session, or the customer's JWT (with a completion code, or embedded)."""
    OPERATOR = auto()
    """An operator, who may also attach a held token."""


class Status(StrEnum):
    """The outcome so far."""

    CONNECTED = "connected"
    CONFIRM = "confirm"
    PENDING = "pending"


class Finished(NamedTuple):
    """The outcome of a code: the connection, or the next step.

    `key` is the company, or None until Finch has named it. `completion` is the completion code for the
    browser that returned, if its user must confirm or may try again. `repaired` says whether a repair
    reached the connection that it was started for. `entity_names` are for the user who must confirm.
    """

    session: ConnectSession
    status: Status
    key: CompanyKey | None = None
    completion: SecretText | None = None
    repaired: bool | None = None
    entity_names: tuple[str, ...] = ()


class _Place(NamedTuple):
    """Where a token belongs: the key of its connection, and that connection if it exists."""

    key: CompanyKey
    connection: Connection | None
    # The record of the company under the name that Finch gave.
    company: OwnershipRecord | None = None


class _Verified(NamedTuple):
    """A token that Finch has described and that fits its session."""

    place: _Place
    token_response: TokenResponse
    introspection: Introspection


def settle(
    session: ConnectSession,
    approval: Approval,
    *,
    completion: SecretText | None = None,
    token: SecretText | None = None,
    now: datetime,
    services: Services,
) -> Finished:
    """Attaches the token of a session whose code was consumed, if the rules allow it; returns the outcome.

    It can run again after a stop at any point, and skips the steps that are done. `token` is the text of
    the token in escrow, if the caller has it. Raises `Refusal`.
    """
    key: CompanyKey | None = None
    for _ in range(_ATTEMPTS):
        if not (
            isinstance(session, Escrowed)
            or (approval is Approval.OPERATOR and isinstance(session, Held))
        ):
            return _outcome(session, now)
        customer_id = session.attempt.customer_id
        try:
            token = token or decrypt_escrow(session, services)
            place = _place(customer_id, session.escrow.token_response, services)
            key = place and place.key
            verified = _verify(session, place, token, approval, now, services)
            if approval is Approval.NONE and not session.escrow.browser_bound:
                names = tuple(sorted(verified.introspection.entity_names.values()))
                key = verified.place.key
                session = _identified(session, verified.token_response, services)
                return Finished(session, Status.CONFIRM, key, completion, entity_names=names)
            repaired = _commit(session, verified, token, now, services)
            return Finished(session, Status.CONNECTED, verified.place.key, repaired=repaired)
        except TokenDead as error:
            _store_dead(session, now, services)
            raise ConnectionEnded from error
        except FinchFailure as error:
            logger.warning("introspection failed", code=error.code, reason=type(error).__name__)
            break
        except ConnectionBusy:
            break
        except (CannotConnect, OwnedByAnother, TooManyLogins, UnusableIdentifier) as error:
            if completion:
                # A user's request: the session's own work item may come only a day later, and the
                # operator must get the report of the held token soon.
                _queue(session, now, services)
            try:
                services.sessions.hold(session, error.code)
            except Conflict:
                session = reread(session, services)
                continue
            logger.error("token held", customer_id=customer_id, reason=type(error).__name__)
            raise
        except Conflict:
            session = reread(session, services)
    if (
        approval is not Approval.NONE
        and isinstance(session, Escrowed | Held)
        and not session.escrow.browser_bound
    ):
        # The approval is stored, so that the work item can finish without the user.
        _queue(session, now, services)
        with suppress(Conflict):
            services.sessions.bind(session)
    return Finished(session, Status.PENDING, key, completion)


def _queue(session: Escrowed | Held, now: datetime, services: Services) -> None:
    subject = SessionSubject(session.attempt.handle_hash)
    services.queue.send(WorkItem.first(subject, now), now)


def _outcome(session: ConnectSession, now: datetime) -> Finished:
    """The outcome of a session whose token is not to be attached in this call; raises `Refusal`."""
    match session:
        case Complete():
            return Finished(session, Status.CONNECTED, session.key, repaired=session.repaired)
        case Exchanging() if not session.abandoned(now):
            # Without a completion code, because the exchange has no result yet.
            return Finished(session, Status.PENDING)
        case Exchanging() | Uncertain():
            raise ExchangeUncertain
        case Held() | Discarding() | Ended():
            raise ENDS.get(session.error, SessionUsed)
        case Started() | Escrowed():
            raise SessionUsed
        case _:
            assert_never(session)


def _store_dead(session: Escrowed | Held, now: datetime, services: Services) -> None:
    """Stores when Finch first called the token dead. Ends the session if Finch repeats it an hour later.

    The ciphertext stays until then.
    """
    logger.warning("token dead before it was attached", customer_id=session.attempt.customer_id)
    with suppress(Conflict):
        if dead_for_good(session, now):
            handle_hash = session.attempt.handle_hash
            held = services.ownerships.held_by(handle_hash, behind(session))
            leaving = services.ownerships.leaving(held, handle_hash)
            services.sessions.end(session, ConnectionEnded.code, now, leaving)
        elif session.dead_since is None:
            services.sessions.found_dead(session, now)


def _identified(
    session: Escrowed | Held, token_response: TokenResponse, services: Services
) -> Escrowed | Held:
    """The session, which holds the Finch connection that the introspection has named.

    A session that waits must be seen by others that would end the connection. Raises `Conflict`.
    """
    known = session.escrow.token_response.connection_id
    if known == token_response.connection_id:
        return session
    ownerships, handle_hash = services.ownerships, session.attempt.handle_hash
    left = ownerships.held_by(handle_hash, {known} - {"", session.attempt.repairs_id or ""})
    return services.sessions.identify(
        session,
        token_response,
        [
            ownerships.holding(token_response.connection_id, handle_hash),
            *ownerships.leaving(left, handle_hash),
        ],
    )


def _place(customer_id: str, token_response: TokenResponse, services: Services) -> _Place | None:
    """The place of the token, or None if Finch has not named it yet. Raises the same errors as `row_of`.

    The caller reads it before it asks Finch, so that the write fails if the row changes in the meantime.
    """
    connection_id = token_response.connection_id
    if not token_response.names_connection:
        return None
    try:
        expected = company_key(token_response)
    except UnusableIdentifier:
        record = services.ownerships.of_connection_id(connection_id)
        key = row_of(token_response, customer_id, record, None)
        return _Place(key, services.connections.get(customer_id, key))
    record, company, connection = services.ownerships.with_connection(
        connection_id, services.connections, customer_id, expected
    )
    key = row_of(token_response, customer_id, record, company)
    if key != expected:
        connection = services.connections.get(customer_id, key)
    return _Place(key, connection, company)


def _verify(
    session: Escrowed | Held,
    place: _Place | None,
    token: SecretText,
    approval: Approval,
    now: datetime,
    services: Services,
) -> _Verified:
    """The token as Finch describes it now.

    Raises `FinchFailure` and the refusals of the rules.
    """
    customer_id, token_response = session.attempt.customer_id, session.escrow.token_response
    while True:
        introspection = _described(session, token, now, services)
        if session.dead_since:
            with suppress(Conflict):
                services.sessions.found_alive(session)
        require_same(token_response, introspection, services.finch.client_id())
        if approval is not Approval.OPERATOR:
            require_theirs(customer_id, session.escrow, introspection)
        completed = token_response.completed(introspection)
        require_usable_ids(completed, introspection)
        if completed == token_response:
            if place is None:
                raise UnusableIdentifier
            return _Verified(place, token_response, introspection)
        # Only the introspection names the company or the connection: it may be another connection.
        token_response = completed
        place = _place(customer_id, token_response, services)


def _described(
    session: Escrowed | Held, token: SecretText, now: datetime, services: Services
) -> Introspection:
    """Finch's description of the token. Raises `FinchFailure`.

    Raises `CannotConnect` if Finch has not described the token for days: then no answer will.
    """
    try:
        return services.finch.introspect(token)
    except TokenDead:
        raise
    except FinchFailure as error:
        if isinstance(session, Held) or not refused_for_days(session.consumption.consumed_at, now):
            raise
        logger.error("token not described for days", reason=type(error).__name__)
        raise CannotConnect from error


def _commit(
    session: Escrowed | Held,
    verified: _Verified,
    token: SecretText,
    now: datetime,
    services: Services,
) -> bool | None:
    """Writes connection, ownership and session together, and returns the result of a repair.

    Raises `Conflict` if another request wrote first, and the refusals of the rules.
    """
    attempt, consumption = session.attempt, session.consumption
    (key, existing, named), token_response, introspection = verified
    customer_id, connection_id = attempt.customer_id, token_response.connection_id
    name = attempt.finch_customer_id or customer_id
    repaired = repair_result(attempt, key, connection_id)
    after = attach(
        existing,
        customer_id,
        key,
        token_of(token_response, introspection, name, consumption.consumed_at),
        services.vault.encrypt_stored(token, customer_id, key),
        now,
        repairing=repaired is True,
        entity_names=introspection.entity_names,
    )
    ownerships, handle_hash = services.ownerships, attempt.handle_hash
    renaming: list[Write] = []
    new_name = finch_name_of(key, token_response)
    if new_name not in (key, after.finch_key) and not (named and named.owner):
        renamed = replace(after, finch_key=new_name)
        renaming = [ownerships.freeing(one, held=False) for one in freed(after, renamed)]
        renaming += [ownerships.taking(one) for one in learned(after, renamed)]
        after = renamed
    company = Ownership.of_company(customer_id, key)
    connection = Ownership.of_connection_id(connection_id, customer_id, key)
    left = ownerships.held_by(handle_hash, behind(session) - {connection_id})
    writes = [
        services.connections.writing(after),
        *renaming,
        ownerships.taking(company),
        ownerships.taking(connection, held_by=handle_hash),
        *ownerships.leaving(left, handle_hash),
    ]
    if attempt.repairs and attempt.repairs != key:
        broken = services.connections.get(customer_id, attempt.repairs)
        if broken and broken.tokens and broken.status is not ConnectionStatus.DISCONNECTING:
            noted = not_repaired(broken, now)
            if noted is not broken:
                writes.append(services.connections.writing(noted))
    try:
        services.sessions.complete(session, key, now, writes, repaired=repaired)
    except Conflict:
        require_free(company, ownerships.get(company.owned_id))
        raise
    logger.info(
        "connected",
        customer_id=customer_id,
        provider_id=key.provider_id,
        company_id=key.company_id,
        connection_id=connection_id,
    )
    return repaired
