"""Finishes a connection: from the return with a code to the connection, or to a confirmation."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from finch_connections.aws.dynamodb import Conflict
from finch_connections.background import in_background
from finch_connections.domain.connect_session import (
    ConnectSession,
    Exchanging,
    Mode,
    SessionNotFound,
    SessionUsed,
    Started,
    apart,
    behind,
    require_code,
    require_completion,
    require_handle,
    require_unspent,
    session_of_completion,
)
from finch_connections.domain.errors import InternalError, InvalidRequest, Refusal
from finch_connections.domain.secret import SecretText
from finch_connections.domain.work_item import FIRST_LOOK, SessionSubject, WorkItem
from finch_connections.finch.errors import FinchFailure
from finch_connections.log import logger
from finch_connections.use_cases.attach_token import ENDS, Approval, Finished, Status, settle
from finch_connections.use_cases.exchange_code import Services, exchange, reread

# How long and how often a callback waits for the outcome of another callback, within API Gateway's 30 s.
WAIT_SECONDS = 0.5
WAITS = 24


class Failed(NamedTuple):
    """A failed callback, with the code of its error.

    `session` is None if it was not found. `over` means that the session can never connect.
    """

    code: str
    session: ConnectSession | None
    over: bool = False


class _Return(NamedTuple):
    """A browser's return with a code, and its proofs."""

    code: SecretText
    state_echoed: bool
    bound: bool
    now: datetime

    @property
    def approval(self) -> Approval:
        return Approval.CUSTOMER if self.bound else Approval.NONE


def finish_redirect(
    *,
    state: str | None,
    code: str | None,
    error: str | None,
    last_handle: str | None,
    bindings: Mapping[str, SecretText],
    now: datetime,
    services: Services,
) -> Finished | Failed:
    """The outcome after Finch sent the browser back. Raises nothing, so that the browser always gets a page.

    The echoed `state` identifies the session; an empty state is none. If Finch did not echo it, a code
    that was used before identifies its session, or else `last_handle` does: the handle of the browser's
    last click. A code that only `last_handle` ties to a session gets a session of its own, and the clicked
    session stays open. An `error` does not end the session, because the right code may still come.
    """
    session, state = None, state or None
    try:
        note = services.sessions.noted(SecretText(code)) if code and state is None else None
        handle_hash = note.handle_hash if note else require_handle(state or last_handle).digest()
        session = services.sessions.get(handle_hash)
        if session is None or session.attempt.mode is not Mode.REDIRECT:
            raise SessionNotFound
        if error is not None:
            logger.info("consent refused", customer_id=session.attempt.customer_id)
            return Failed(error if error == "access_denied" else "finch_refused", session)
        if not code:
            raise InvalidRequest("The callback has neither a code nor an error.")
        bound = session.attempt.bound(bindings)
        if state is None and note is None and isinstance(session, Started):
            require_code(session, SecretText(code), now)
            session = services.sessions.add_apart(apart(session, SecretText(code)))
        return _finish(session, _Return(SecretText(code), state is not None, bound, now), services)
    except (Refusal, FinchFailure) as failure:
        logger.info("callback refused", code=failure.code)
        # Without an echoed state, the binding may be needed for the clicked session.
        return Failed(failure.code, session, over=state is not None and failure.code in ENDS)
    except Exception:
        logger.exception("callback failed")
        return Failed(InternalError.code, session)


def finish_embedded(
    code: SecretText, state: str, customer_id: str, *, now: datetime, services: Services
) -> Finished:
    """The outcome of a code that Finch's SDK gave to the page. The caller's JWT binds the browser.

    Raises `Refusal` and `FinchFailure`.
    """
    session = services.sessions.get(require_handle(state).digest())
    if (
        session is None
        or session.attempt.customer_id != customer_id
        or session.attempt.mode is not Mode.EMBEDDED
    ):
        raise SessionNotFound
    return _finish(session, _Return(code, state_echoed=True, bound=True, now=now), services)


def confirm(
    completion: SecretText,
    customer_id: str,
    *,
    look: bool = False,
    now: datetime,
    services: Services,
) -> Finished:
    """Finishes a session that its user must confirm, or that could not be finished before.

    Only the browser that returned has the completion code. Together with a JWT of the session's
    customer, the code proves that the browser belongs to the customer. With `look`, the call confirms
    nothing. It returns the company to confirm, so that the page does not have to trust its own URL.
    Raises `Refusal`.
    """
    session = require_completion(
        services.sessions.get(session_of_completion(completion)), completion, customer_id
    )
    approval = Approval.NONE if look else Approval.CUSTOMER
    return settle(session, approval, completion=completion, now=now, services=services)


def _finish(session: ConnectSession, back: _Return, services: Services) -> Finished:
    """The outcome of a code, the same for each callback with it. A single request exchanges it."""
    queued, prepared = False, in_background(services.finch.prepare)
    for _ in range(WAITS):
        require_code(session, back.code, back.now)
        if isinstance(session, Started):
            if not queued:
                subject = SessionSubject(session.attempt.handle_hash)
                services.queue.send(WorkItem(subject, back.now), FIRST_LOOK)
                queued = True
            exchanging = _consume(session, back, services)
            if exchanging:
                prepared()
                return _exchange(exchanging, back, services)
            session = reread(session, services)
        elif isinstance(session, Exchanging) and not session.abandoned(back.now):
            services.pause(WAIT_SECONDS)
            session = reread(session, services)
        else:
            break
    return _join(session, back, services)


def _consume(session: Started, back: _Return, services: Services) -> Exchanging | None:
    """Consumes the code. Returns the session, or None if another request wrote first.

    Also makes a repairing session a holder: it may soon have the only token that works, because a repair
    may revoke earlier tokens. Raises `CodeRejected`.
    """
    handle_hash = session.attempt.handle_hash
    holding = [services.ownerships.holding(one, handle_hash) for one in behind(session)]
    try:
        return services.sessions.consume(session, back.code, back.now, holding)
    except Conflict:
        require_unspent(services.sessions.noted(back.code), session)
        return None


def _exchange(session: Exchanging, back: _Return, services: Services) -> Finished:
    """The outcome for the request that consumed the code."""
    escrowed, token = exchange(
        session, back.code, state_echoed=back.state_echoed, bound=back.bound, services=services
    )
    return _settle(escrowed, token, back, services)


def _join(session: ConnectSession, back: _Return, services: Services) -> Finished:
    """The outcome after another request has consumed this code or another code of the session."""
    require_code(session, back.code, back.now)
    if isinstance(session, Started) or session.consumption.code_hash != back.code.digest():
        if isinstance(session, Exchanging) and session.abandoned(back.now):
            raise SessionUsed
        # Another code is being exchanged, or was until now: this code may still be needed.
        return Finished(session, Status.PENDING)
    return _settle(session, None, back, services)


def _settle(
    session: ConnectSession, token: SecretText | None, back: _Return, services: Services
) -> Finished:
    completion = session.attempt.completion(back.code)
    try:
        return settle(
            session,
            back.approval,
            completion=completion,
            token=token,
            now=back.now,
            services=services,
        )
    except (Refusal, FinchFailure):
        raise
    except Exception:
        # The token is in escrow and its work item is queued, so this failure costs only time.
        logger.exception("settling failed")
        return Finished(session, Status.PENDING)
