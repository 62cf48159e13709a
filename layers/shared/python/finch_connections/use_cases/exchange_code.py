"""Exchanges a code for its token, once, and keeps the token in escrow until it is attached."""

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.dynamodb import Conflict
from finch_connections.aws.ownership_table import OwnershipTable
from finch_connections.aws.session_table import SessionTable
from finch_connections.aws.token_vault import TokenVault
from finch_connections.background import in_background
from finch_connections.domain.connect_session import (
    Attempt,
    CodeRejected,
    ConnectSession,
    Escrow,
    Escrowed,
    ExchangeUncertain,
    Exchanging,
    Keeping,
    Phase,
    SessionNotFound,
    Uncertain,
    behind,
)
from finch_connections.domain.history import HistoryEntry, Step
from finch_connections.domain.secret import SecretText
from finch_connections.domain.token_response import TokenResponse
from finch_connections.finch.connect_api import ConnectApi
from finch_connections.finch.errors import AnswerLost, FinchFailure, RequestRefused, TokenDead
from finch_connections.log import logger
from finch_connections.use_cases.token_place import Place, place_of

if TYPE_CHECKING:
    from finch_connections.aws.dynamodb import Write

# How often we try to store that no token came, if other writes conflict.
_ATTEMPTS = 8
# The pauses in seconds between attempts to store a received token, for as long as the function has time.
KEEPING_PAUSES = (0.1, 0.5, 1.0, 2.0, 4.0)


class Services(NamedTuple):
    """Everything that connecting reads and writes, and the function that waits.

    A customer may have `max_connections` connections; 0 is no limit.
    """

    sessions: SessionTable
    connections: ConnectionTable
    ownerships: OwnershipTable
    vault: TokenVault
    finch: ConnectApi
    pause: Callable[[float], None]
    max_connections: int


class Exchanged(NamedTuple):
    """The result of an exchange: the session with its token in escrow, the token, and its place.

    `place` returns the place, which was read while the token was stored, or raises its error.
    """

    session: Escrowed
    token: SecretText
    place: Callable[[], Place | None]


def reread(session: ConnectSession, services: Services) -> ConnectSession:
    """The latest state of the session; raises `SessionNotFound`."""
    latest = services.sessions.get(session.attempt.handle_hash)
    if latest is None:
        raise SessionNotFound
    return latest


def exchange(
    session: Exchanging,
    code: SecretText,
    *,
    state_echoed: bool,
    meant: Callable[[TokenResponse], Attempt],
    bound: Callable[[Attempt], bool],
    now: datetime,
    services: Services,
) -> Exchanged:
    """Sends the code to Finch exactly once. Returns the session with its token in escrow, and the token.

    `meant` returns the attempt that the token belongs to; `bound` says whether the browser began it.
    Raises `CodeRejected`, `ExchangeUncertain` if a token may exist that we do not have, and
    `FinchFailure` if Finch did not receive the code.
    """
    sessions = services.sessions
    try:
        token, token_response = services.finch.exchange(code, session.attempt.redirect_uri)
    except RequestRefused as error:
        entry = error.entry(now, Step.NOT_EXCHANGED)
        _store_no_token(session, partial(sessions.reject, session, code, entry), services)
        raise CodeRejected from error
    except AnswerLost as error:
        raise _uncertain(session, error.finch_request_id, now, services) from error
    except FinchFailure as error:
        entry = error.entry(now, Step.NOT_EXCHANGED)
        _store_no_token(session, partial(sessions.give_back, session, entry), services)
        raise
    entry = HistoryEntry.of(now, Phase.ESCROWED, None, services.finch.finch.request_id)
    try:
        attempt = meant(token_response)
        # The ciphertext follows in `_keep`.
        escrow = Escrow(b"", token_response, state_echoed, bound(attempt))
        place = in_background(
            partial(
                place_of,
                *(attempt.customer_id, token_response),
                *(services.ownerships, services.connections),
            )
        )
        return Exchanged(_keep(session, attempt, token, escrow, entry, services), token, place)
    except Exception as error:
        logger.exception("token not kept")
        raise _uncertain(session, entry.finch_request_id, now, services) from error


def _store_no_token(
    session: Exchanging, store: "Callable[[list[Write]], None]", services: Services
) -> None:
    """Stores that no token came. Tries again if another session changes the holders at the same time."""
    handle_hash = session.attempt.handle_hash
    for _ in range(_ATTEMPTS):
        with suppress(Conflict):
            held = services.ownerships.held_by(handle_hash, behind(session))
            store(services.ownerships.leaving(held, handle_hash))
            return
        latest = services.sessions.get(handle_hash)
        if not isinstance(latest, Exchanging) or not _same_request(session, latest):
            return


def _same_request(
    session: Exchanging | Uncertain, latest: Exchanging | Uncertain | Escrowed
) -> bool:
    return session.consumption.attempt == latest.consumption.attempt


def _uncertain(
    session: Exchanging, finch_request_id: str | None, now: datetime, services: Services
) -> ExchangeUncertain:
    """The error for an exchange whose response was lost: a token may exist that we never received."""
    logger.error("exchange uncertain", customer_id=session.attempt.customer_id)
    try:
        services.sessions.uncertain(session, now, finch_request_id)
    except Exception:
        # The session's work item finds the exchange abandoned, and stores the same.
        logger.exception("exchange not noted as uncertain")
    return ExchangeUncertain()


def _keep(
    session: Exchanging | Uncertain,
    attempt: Attempt,
    token: SecretText,
    escrow: Escrow,
    entry: HistoryEntry,
    services: Services,
) -> Escrowed:
    """Stores the token in escrow, and the session as a holder; returns the session. Repeats failed steps."""
    handle_hash, connection_id = attempt.handle_hash, escrow.token_response.connection_id
    ownerships = services.ownerships
    company_id = escrow.token_response.usable_company_id
    # An unreadable token response names no connection id.
    holding = [ownerships.holding(connection_id, handle_hash, company_id)] if connection_id else []
    # The session was a holder for the repair of another attempt.
    unmeant = {session.attempt.repairs_id or ""} - {attempt.repairs_id, connection_id, ""}
    pauses = iter(KEEPING_PAUSES)
    while True:
        try:
            if not escrow.ciphertext:
                ciphertext = services.vault.encrypt_escrow(token, handle_hash, attempt.customer_id)
                escrow = replace(escrow, ciphertext=ciphertext)
            left = ownerships.leaving(ownerships.held_by(handle_hash, unmeant), handle_hash)
            return services.sessions.escrow(session, attempt, escrow, entry, [*holding, *left])
        except Exception as error:
            pause = next(pauses, None)
            if pause is None:
                raise
            logger.warning("token not kept yet", reason=type(error).__name__)
            services.pause(pause)
            with suppress(Exception):
                latest = reread(session, services)
                if isinstance(latest, Escrowed) and _same_request(session, latest):
                    # The write succeeded, and only its response was lost.
                    return latest
                if isinstance(latest, Uncertain) and _same_request(session, latest):
                    # A work item found that this request took too long.
                    session = latest


def decrypt_escrow(session: Keeping, services: Services) -> SecretText:
    """The token that a session keeps in escrow."""
    return services.vault.decrypt_escrow(
        session.escrow.ciphertext, session.attempt.handle_hash, session.attempt.customer_id
    )


def escrowed_tokens(
    connection_id: str, handle_hashes: Collection[str], services: Services
) -> Iterator[SecretText]:
    """The tokens of a Finch connection that these sessions keep in escrow, also of other customers.

    Skips the tokens of other Finch connections: a repair can lead to another Finch connection than the
    repaired connection. Raises `TokenDead` after the last token if a session may have a token that we
    cannot decrypt.
    """
    unknown = False
    for handle_hash in sorted(handle_hashes):
        session = services.sessions.get(handle_hash)
        if isinstance(session, Keeping):
            kept = session.escrow.token_response.connection_id
            if kept == connection_id:
                yield decrypt_escrow(session, services)
            unknown |= not kept
        elif isinstance(session, Exchanging | Uncertain):
            unknown = True
    if unknown:
        raise TokenDead
