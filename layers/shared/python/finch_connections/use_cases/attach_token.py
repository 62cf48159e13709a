"""Attaches the token of a connect session to its connection, when Finch and the customer approve."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from enum import Enum, StrEnum, auto
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, assert_never

from finch_connections.aws.dynamodb import Conflict
from finch_connections.background import in_background
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
    Phase,
    SessionExpired,
    SessionUsed,
    Started,
    Uncertain,
    behind,
    dead_for_good,
    newest_number,
    repair_result,
    require_same,
    require_theirs,
)
from finch_connections.domain.connection import (
    CompanyKey,
    Connection,
    ConnectionBusy,
    ConnectionLimit,
    ConnectionStatus,
    Token,
    TooManyLogins,
    UnusableIdentifier,
    attach,
    free_to_connect,
    not_repaired,
    refused_for_days,
    require_room,
)
from finch_connections.domain.errors import Refusal
from finch_connections.domain.history import HistoryEntry, Step
from finch_connections.domain.ownership import (
    OwnedByAnother,
    Ownership,
    freed,
    learned,
    require_free,
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
from finch_connections.finch.errors import FinchFailure, TokenDead
from finch_connections.log import logger
from finch_connections.use_cases.exchange_code import Exchanged, Services, decrypt_escrow, reread
from finch_connections.use_cases.token_place import Place, place_of

if TYPE_CHECKING:
    from finch_connections.aws.dynamodb import Write

# How often `settle` reads again after a conflict, before the outcome is "pending".
_ATTEMPTS = 8

# The refusals after which a session can never connect, by the code that the session stores.
ENDS: Mapping[str, type[Refusal]] = {
    kind.code: kind
    for kind in (
        *(CannotConnect, TooManyLogins, ConnectionLimit),
        *(ExchangeUncertain, SessionExpired, ConnectionEnded),
    )
}

# The refusals by the rules of a token that Finch has described.
REFUSED = (CannotConnect, ConnectionLimit, OwnedByAnother, TooManyLogins, UnusableIdentifier)


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
    `because` is the failure that makes it pending, if any.
    """

    session: ConnectSession
    status: Status
    key: CompanyKey | None = None
    completion: SecretText | None = None
    repaired: bool | None = None
    entity_names: tuple[str, ...] = ()
    because: Refusal | FinchFailure | None = None


class _Verified(NamedTuple):
    """A token that Finch has described and that fits its session, which names the same connection."""

    session: Escrowed | Held
    place: Place
    introspection: Introspection


def settle(
    session: ConnectSession,
    approval: Approval,
    *,
    completion: SecretText | None = None,
    exchanged: Exchanged | None = None,
    now: datetime,
    services: Services,
) -> Finished:
    """Attaches the token of a session whose code was consumed, if the rules allow it; returns the outcome.

    It can run again after a stop at any point, and skips the steps that are done. `exchanged` is the
    result of the exchange, if the caller has just made it. Raises `Refusal`.
    """
    token = exchanged.token if exchanged else None
    places = iter([exchanged.place] if exchanged else [])
    key: CompanyKey | None = None
    because: Refusal | FinchFailure | None = None
    for _ in range(_ATTEMPTS):
        if not (
            isinstance(session, Escrowed)
            or (isinstance(session, Held) and approval is Approval.OPERATOR)
            or (isinstance(session, Held) and company_is_free(session, now, services))
        ):
            return _outcome(session, now)
        customer_id = session.attempt.customer_id
        try:
            token = token or decrypt_escrow(session, services)
            place = None
            with suppress(OwnedByAnother):
                # Finch first says to which connection the token belongs. `_verify` raises this again.
                place = next(places, partial(_place, session, services))()
            key = place and place.key
            encrypted = None
            if key and (approval is not Approval.NONE or session.escrow.browser_bound):
                encrypted = in_background(
                    partial(services.vault.encrypt_stored, token, customer_id, key)
                )
            verified = _verify(session, place, token, approval, now, services)
            session = verified.session
            if verified.place.key != key:
                encrypted, key = None, verified.place.key
            if approval is Approval.NONE and not session.escrow.browser_bound:
                names = tuple(sorted(verified.introspection.entity_names.values()))
                return Finished(session, Status.CONFIRM, key, completion, entity_names=names)
            ciphertext = (
                encrypted()
                if encrypted
                else services.vault.encrypt_stored(token, customer_id, verified.place.key)
            )
            repaired = _commit(verified, ciphertext, approval, now, services)
            return Finished(session, Status.CONNECTED, key, repaired=repaired)
        except TokenDead as error:
            _store_dead(session, now, services)
            raise ConnectionEnded from error
        except FinchFailure as error:
            logger.warning("introspection failed", code=error.code, reason=type(error).__name__)
            because = error
            break
        except ConnectionBusy as error:
            because = error
            break
        except REFUSED as error:
            try:
                _refuse(session, error, key, approval, now, services)
            except Conflict:
                session = reread(session, services)
                continue
            raise
        except Conflict:
            session = reread(session, services)
    if (
        approval is not Approval.NONE
        and isinstance(session, Escrowed | Held)
        and not session.escrow.browser_bound
    ):
        # The approval is stored, so that a work item can finish without the user.
        with suppress(Conflict):
            services.sessions.bind(session, now)
    return Finished(session, Status.PENDING, key, completion, because=because)


def company_is_free(session: Held, now: datetime, services: Services) -> bool:
    """Whether no other customer owns the company that a held session waits for."""
    if session.key is None or not session.waits_for_company(now):
        return False
    connection_id = session.escrow.token_response.connection_id
    records = (
        services.ownerships.of_company(session.key),
        services.ownerships.of_connection_id(connection_id),
    )
    owners = {record.owner.customer_id for record in records if record and record.owner}
    return owners <= {session.attempt.customer_id}


def _refuse(
    session: Escrowed | Held,
    error: Refusal,
    key: CompanyKey | None,
    approval: Approval,
    now: datetime,
    services: Services,
) -> None:
    """Holds a token that the rules refuse, or discards it over the limit of connections. Raises `Conflict`.

    An operator whose decision is over the limit may disconnect another connection, and decide again.
    """
    customer_id, reason = session.attempt.customer_id, type(error).__name__
    if not isinstance(error, ConnectionLimit):
        _hold(session, error, approval, now, services)
        logger.error("token held", customer_id=customer_id, reason=reason)
    elif approval is not Approval.OPERATOR:
        # The session's work item has Finch end the connection.
        services.sessions.discard(session, error.code, now, now, key)
        logger.warning("token refused", customer_id=customer_id, reason=reason)


def _hold(
    session: Escrowed | Held,
    error: Refusal,
    approval: Approval,
    now: datetime,
    services: Services,
) -> None:
    """Holds the token for an operator, or until its company is free. Raises `Conflict`.

    A token that waits keeps the customer's approval, and ends earlier held sessions that it repeats.
    """
    if not isinstance(error, OwnedByAnother):
        services.sessions.hold(session, error.code, now)
        return
    if approval is Approval.CUSTOMER and not session.escrow.browser_bound:
        services.sessions.bind(session, now)
    # Finch may just have named the connection.
    latest = reread(session, services)
    if not isinstance(latest, Escrowed | Held):
        raise Conflict
    token_response, handle_hash = latest.escrow.token_response, latest.attempt.handle_hash
    record = services.ownerships.of_connection_id(token_response.connection_id)
    repeated, writes = _repeated(latest, record.holders if record else frozenset(), now, services)
    if repeated:
        connection_id = token_response.connection_id
        writes.append(services.ownerships.leaving_to(connection_id, handle_hash, repeated))
    key = None
    with suppress(UnusableIdentifier):
        key = company_key(token_response)
    services.sessions.hold(latest, error.code, now, writes, key=key)


def _repeated(
    session: Escrowed | Held, holders: Collection[str], now: datetime, services: Services
) -> "tuple[list[str], list[Write]]":
    """The held sessions among `holders` that this session repeats, and the writes that end them.

    The caller removes them from the holders of the Finch connection, in the same transaction.
    """
    repeated: list[str] = []
    writes: list[Write] = []
    for handle_hash in sorted({*holders} - {session.attempt.handle_hash}):
        earlier = services.sessions.get(handle_hash)
        if isinstance(earlier, Held) and earlier.is_repeated_by(session):
            repeated.append(handle_hash)
            others = behind(earlier) - {session.escrow.token_response.connection_id}
            held = services.ownerships.held_by(handle_hash, others)
            writes += services.ownerships.leaving(held, handle_hash)
            # A reload of its callback gets the same outcome as before.
            writes.append(services.sessions.ending(earlier, earlier.error, now))
    return repeated, writes


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

    The ciphertext stays until then. A customer who waited for the company then sees that they can connect
    it again, if the browser was theirs.
    """
    customer_id = session.attempt.customer_id
    logger.warning("token dead before it was attached", customer_id=customer_id)
    with suppress(Conflict):
        if dead_for_good(session, now):
            handle_hash = session.attempt.handle_hash
            held = services.ownerships.held_by(handle_hash, behind(session))
            writes = services.ownerships.leaving(held, handle_hash)
            key = session.key if isinstance(session, Held) else None
            if key and session.escrow.browser_bound:
                existing = services.connections.get(customer_id, key)
                if free := free_to_connect(existing, customer_id, key, now):
                    writes.append(services.connections.writing(free))
            services.sessions.end(session, ConnectionEnded.code, now, writes)
        elif session.dead_since is None:
            services.sessions.found_dead(session, now)


def _identified(
    session: Escrowed | Held, token_response: TokenResponse, services: Services
) -> Escrowed | Held:
    """The session, which holds the Finch connection that the introspection has named.

    A session that waits must be seen by others that would end the connection. Raises `Conflict`.
    """
    known, connection_id = session.escrow.token_response, token_response.connection_id
    if known == token_response:
        return session
    ownerships, handle_hash = services.ownerships, session.attempt.handle_hash
    writes: list[Write] = []
    if connection_id != known.connection_id:
        left = {known.connection_id} - {"", session.attempt.repairs_id or ""}
        writes = ownerships.leaving(ownerships.held_by(handle_hash, left), handle_hash)
    if connection_id:
        company_id = token_response.usable_company_id
        writes.append(ownerships.holding(connection_id, handle_hash, company_id))
    return services.sessions.identify(session, token_response, writes)


def take_over(
    session: Held, former: str, losing: "Sequence[Write]", *, now: datetime, services: Services
) -> CompanyKey:
    """Attaches a held token together with its company, which belongs to the customer `former`.

    `losing` are the writes for that customer, in the same transaction. The operator decides only about
    the company: token and browser must be proven as in `settle`. Raises `Conflict`, `Refusal` and
    `FinchFailure`.
    """
    customer_id, token_response = session.attempt.customer_id, session.escrow.token_response
    if session.key is None or not session.escrow.browser_bound:
        raise CannotConnect
    record, company, existing = services.ownerships.with_connection(
        token_response.connection_id, services.connections, customer_id, session.key
    )
    place = Place(session.key, existing, record.holders if record else frozenset(), company)
    token = decrypt_escrow(session, services)
    try:
        verified = _verify(session, place, token, Approval.CUSTOMER, now, services)
    except OwnedByAnother as error:
        # Finch names the connection of the token only now, so the operator has not seen it.
        raise Conflict from error
    ciphertext = services.vault.encrypt_stored(token, customer_id, verified.place.key)
    _commit(verified, ciphertext, Approval.OPERATOR, now, services, former, losing)
    return verified.place.key


def _place(session: Escrowed | Held, services: Services) -> Place | None:
    return place_of(
        session.attempt.customer_id,
        session.escrow.token_response,
        services.ownerships,
        services.connections,
    )


def _verify(
    session: Escrowed | Held,
    place: Place | None,
    token: SecretText,
    approval: Approval,
    now: datetime,
    services: Services,
) -> _Verified:
    """The token as Finch describes it now, and its place, which is `place` if Finch names no other.

    Raises `FinchFailure`, `Conflict` and the refusals of the rules.
    """
    customer_id = session.attempt.customer_id
    while True:
        token_response = session.escrow.token_response
        introspection = _described(session, token, now, services)
        if session.dead_since:
            with suppress(Conflict):
                services.sessions.found_alive(session)
        require_same(token_response, introspection, services.finch.client_id())
        if approval is not Approval.OPERATOR:
            require_theirs(customer_id, session.escrow, introspection)
        completed = token_response.completed(introspection)
        require_usable_ids(completed, introspection)
        if place and completed == token_response:
            return _Verified(session, place, introspection)
        # Only the introspection names the company or the connection: it may be another connection.
        session = _identified(session, completed, services)
        place = _place(session, services)
        if place is None:
            raise UnusableIdentifier


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
    verified: _Verified,
    ciphertext: bytes,
    approval: Approval,
    now: datetime,
    services: Services,
    former: str | None = None,
    together_with: "Sequence[Write]" = (),
) -> bool | None:
    """Writes connection, ownership and session together, and returns the result of a repair.

    `former` is the customer from whom an operator takes the company. Raises `Conflict` if another
    request wrote first, and the refusals of the rules.
    """
    session, (key, existing, holders, named), introspection = verified
    adding = _adding(session, key, existing, now, services)
    attempt, consumption, token_response = (
        session.attempt,
        session.consumption,
        session.escrow.token_response,
    )
    customer_id, connection_id = attempt.customer_id, token_response.connection_id
    name = attempt.finch_customer_id or customer_id
    entries = _entries(session, approval, now, services)
    repaired = repair_result(attempt, key, connection_id)
    new = token_of(token_response, introspection, name, consumption.consumed_at)
    after = attach(
        existing,
        customer_id,
        key,
        new,
        ciphertext,
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
    repeated, ending = _repeated(session, holders, now, services)
    writes = [
        services.connections.writing(after),
        *renaming,
        ownerships.taking(company, former=former),
        ownerships.taking(connection, held_by=(handle_hash, *repeated), former=former),
        *ownerships.leaving(left, handle_hash),
        *ending,
        *adding,
        *_naming(session, new, services),
        *together_with,
    ]
    if attempt.repairs and attempt.repairs != key:
        broken = services.connections.get(customer_id, attempt.repairs)
        if broken and broken.tokens and broken.status is not ConnectionStatus.DISCONNECTING:
            noted = not_repaired(broken, now)
            if noted is not broken:
                writes.append(services.connections.writing(noted))
    try:
        services.sessions.complete(session, key, now, writes, repaired=repaired, entries=entries)
    except Conflict:
        if former is None:
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


def _entries(
    session: Escrowed | Held, approval: Approval, now: datetime, services: Services
) -> list[HistoryEntry]:
    """The entries for an attached token, just after Finch has described it."""
    request_id = services.finch.finch.request_id
    attached = [
        HistoryEntry.of(now, Step.VERIFIED, None, request_id),
        HistoryEntry.of(now, Phase.COMPLETE),
    ]
    if session.escrow.browser_bound and approval is not Approval.OPERATOR:
        return attached
    return [HistoryEntry.of(now, Step.CONFIRMED, approval.name.lower()), *attached]


def _adding(
    session: Escrowed | Held,
    key: CompanyKey,
    existing: Connection | None,
    now: datetime,
    services: Services,
) -> "list[Write]":
    """The write that lets one session at a time add a connection, if the number of connections is limited.

    Without it, two sessions could each find room for their own connection. Raises `ConnectionLimit`.
    """
    limit, attempt = services.max_connections, session.attempt
    if limit == 0 or (existing and existing.status is not ConnectionStatus.DISCONNECTED):
        return []
    # Before the connections: a session that adds a connection after this read changes the row.
    last = services.sessions.last_added(attempt.customer_id)
    require_room(services.connections.every(attempt.customer_id), key, limit)
    return [services.sessions.adding(attempt, last, now)]


def _naming(session: Escrowed | Held, token: Token, services: Services) -> "list[Write]":
    """The write that stores the number in the token's name at Finch, so that the next start uses another.

    A repair has an older name, and so has the token of a login that Finch knew before.
    """
    attempt, name = session.attempt, token.finch_customer_id
    number = newest_number([name], attempt.customer_id)
    if number == 1 or attempt.repairs or name != attempt.finch_customer_id:
        return []
    return [services.sessions.naming(attempt.customer_id, number)]
