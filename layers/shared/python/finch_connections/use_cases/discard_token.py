"""Discards a token that its user did not confirm: ends its connection at Finch, then forgets the token."""

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from finch_connections.aws.dynamodb import Conflict
from finch_connections.domain.connect_session import (
    CannotConnect,
    Discarding,
    Keeping,
    SessionExpired,
    behind,
    dead_for_good,
)
from finch_connections.domain.connection import CompanyKey, is_pair_id, refused_for_days
from finch_connections.domain.history import Step
from finch_connections.domain.ownership import Discard, OwnershipRecord, discard_of, others
from finch_connections.domain.secret import SecretText
from finch_connections.domain.token_response import same_connection
from finch_connections.finch.errors import AnswerLost, FinchFailure, FinchUnavailable, TokenDead
from finch_connections.log import logger
from finch_connections.use_cases.check_health import STATUS_BY_FAILURE
from finch_connections.use_cases.disconnect import end_connection, not_dead
from finch_connections.use_cases.exchange_code import Services, decrypt_escrow, escrowed_tokens

if TYPE_CHECKING:
    from finch_connections.aws.dynamodb import Write

# Do not drop the last working token on one erroneous response.
_DOUBTFUL: tuple[type[FinchFailure], ...] = (TokenDead, *STATUS_BY_FAILURE)


def discard(
    session: Keeping,
    key: CompanyKey | None,
    *,
    approved: frozenset[str] | None = None,
    now: datetime,
    services: Services,
) -> None:
    """Has Finch end the connection of a session's token, and then ends the session.

    Each call decides again whether the connection may be ended, because others may have connected
    since an earlier call. Where an operator decided to end it, `approved` are the owners and holders
    that the operator saw. Where Finch refuses for days, the token is held for an operator. Raises
    `FinchFailure` where Finch has not confirmed, or does not say which token is alive, and
    `dynamodb.Conflict` where holders or owners changed meanwhile.
    """
    discarding = _decide(session, key, approved, now, services)
    if discarding:
        _end(discarding, now, services)


def _decide(
    session: Keeping,
    key: CompanyKey | None,
    approved: frozenset[str] | None,
    now: datetime,
    services: Services,
) -> Discarding | None:
    """Decides about an escrowed token. Returns the session if Finch must end its connection, else None.

    If we keep another live token of the connection, this token is dropped. If that other token is dead,
    or a customer owns the company, this token is held for an operator. So no connection of another login
    or customer is ended.
    """
    ownerships, handle_hash = services.ownerships, session.attempt.handle_hash
    connection_id, since = session.escrow.token_response.connection_id, now
    error = SessionExpired.code
    if isinstance(session, Discarding):
        key, since, error = session.key, session.discarding_since, session.error
        approved = session.approved if key is None else None
    decision, record, company = Discard.ASK, None, None
    if connection_id:
        record = ownerships.of_connection_id(connection_id)
    if connection_id and key:
        company = ownerships.of_company(key)
        decision = discard_of(handle_hash, record, company)
        if decision is Discard.DROP and is_pair_id(connection_id):
            # The other tokens may be of other logins, and do not cover this token.
            decision = Discard.ASK
        if decision is Discard.END and named_otherwise(session, services):
            decision = Discard.ASK
    if decision is Discard.END and key:
        marks = ownerships.discarding(connection_id, key, handle_hash)
        return services.sessions.discard(session, error, since, now, key, marks)
    if approved is not None and others(handle_hash, record) <= approved:
        return services.sessions.discard(session, error, since, now, approved=approved)
    marked = company is not None and company.discarding == handle_hash
    unlocking = [ownerships.reopening(key, handle_hash)] if key and marked else []
    if (
        decision is Discard.DROP
        and record
        and covered(connection_id, record, services, but=handle_hash)
    ):
        held = ownerships.held_by(handle_hash, behind(session) - {connection_id})
        leaving = ownerships.leaving(held, handle_hash)
        left = ownerships.leaving_to_others(record, handle_hash)
        services.sessions.end(session, error, now, [left, *leaving, *unlocking])
        logger.info("token dropped, another of its connection is kept", connection_id=connection_id)
    else:
        if record and record.discarding == handle_hash:
            unlocking.append(ownerships.keeping(connection_id, handle_hash))
        services.sessions.hold(session, CannotConnect.code, now, unlocking)
        customer_id = session.attempt.customer_id
        logger.error("token held", customer_id=customer_id, reason="company owned")
    return None


def named_otherwise(session: Keeping, services: Services) -> frozenset[str]:
    """The other sessions whose token may be of the same Finch connection, although its id differs.

    Finch named the connection of the one token, and not of the other: then only the company is equal.
    """
    ownerships, mine = services.ownerships, session.escrow.token_response
    if not mine.usable_company_id:
        return frozenset()
    if is_pair_id(mine.connection_id):
        holders = ownerships.held_at(mine.usable_company_id)
    else:
        unnamed = ownerships.of_connection_id(mine.pair_id)
        holders = unnamed.holders if unnamed else frozenset()
    kept = (services.sessions.get(one) for one in holders - {session.attempt.handle_hash})
    return frozenset(
        one.attempt.handle_hash
        for one in kept
        if isinstance(one, Keeping) and one.escrow.token_response.pair_id == mine.pair_id
    )


def covered(
    connection_id: str, record: OwnershipRecord, services: Services, *, but: str = ""
) -> bool:
    """Whether we keep a live token of a Finch connection, without the token of the session `but`.

    Asks Finch about each token, because a repair may have revoked the earlier tokens. Raises
    `FinchFailure` if Finch does not say whether a token is alive.
    """
    owner = record.owner
    connection = services.connections.get(owner.customer_id, owner.key) if owner else None
    for token in connection.tokens if connection else ():
        if connection and token.connection_id == connection_id:
            ciphertext, customer_id = connection.ciphertexts[token.id], connection.customer_id
            text = services.vault.decrypt_stored(ciphertext, customer_id, connection.key)
            if _alive(text, connection_id, services):
                return True
    with suppress(TokenDead):
        others = escrowed_tokens(connection_id, record.holders - {but}, services)
        return any(_alive(text, connection_id, services) for text in others)
    return False


def _alive(token: SecretText, connection_id: str, services: Services) -> bool:
    try:
        return same_connection(connection_id, services.finch.introspect(token))
    except _DOUBTFUL:
        return False


def _end(session: Discarding, now: datetime, services: Services) -> None:
    handle_hash, customer_id = session.attempt.handle_hash, session.attempt.customer_id
    connection_id = session.escrow.token_response.connection_id
    reopening = [services.ownerships.reopening(session.key, handle_hash)] if session.key else []
    try:
        end_connection(decrypt_escrow(session, services), services.finch.finch)
    except FinchFailure as error:
        dead = isinstance(error, TokenDead)
        # No other token of this connection is kept, or the operator knew of them.
        if dead and dead_for_good(session, now):
            logger.info("token to discard is dead", connection_id=connection_id)
            _over(session, reopening, now, services)
            return
        if dead and session.dead_since is None:
            services.sessions.found_dead(session, now)
        if session.dead_since and not_dead(error):
            services.sessions.found_alive(session)
        if session.key:
            reopening.append(services.ownerships.keeping(connection_id, handle_hash))
        if (
            not dead
            and not isinstance(error, FinchUnavailable)
            and refused_for_days(session.discarding_since, now)
        ):
            services.sessions.hold(session, session.error, now, reopening)
            logger.error("token held", customer_id=customer_id, reason=type(error).__name__)
            return
        if session.key and not isinstance(error, AnswerLost):
            # Finch has ended nothing. Others need not wait for the next try, which decides again.
            with suppress(Conflict):
                services.sessions.discard(
                    *(session, session.error, session.discarding_since, now, session.key),
                    reopening,
                    entry=error.entry(now, Step.NOT_ENDED),
                )
        raise
    _over(session, reopening, now, services, services.finch.finch.request_id)
    logger.info("token discarded", customer_id=customer_id, connection_id=connection_id)


def _over(
    session: Discarding,
    reopening: "list[Write]",
    now: datetime,
    services: Services,
    finch_request_id: str | None = None,
) -> None:
    handle_hash = session.attempt.handle_hash
    held = services.ownerships.held_by(handle_hash, behind(session))
    leaving = services.ownerships.leaving(held, handle_hash)
    writes = [*leaving, *reopening]
    services.sessions.end(session, session.error, now, writes, finch_request_id)
