"""Finishes a connection: from the return with a code to the connection, or to a confirmation."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from finch_connections.aws.dynamodb import Conflict
from finch_connections.background import in_background
from finch_connections.domain.budget import Spending, TooManyRequests
from finch_connections.domain.connect_session import (
    Attempt,
    ConnectSession,
    Consumed,
    Escrowed,
    Exchanging,
    Mode,
    SessionNotFound,
    SessionUsed,
    Started,
    apart,
    behind,
    meant_by,
    require_code,
    require_completion,
    require_handle,
    require_unspent,
    session_of_completion,
)
from finch_connections.domain.errors import InternalError, InvalidRequest, Refusal
from finch_connections.domain.history import HistoryEntry, Step
from finch_connections.domain.secret import SecretText
from finch_connections.domain.token_response import TokenResponse
from finch_connections.finch.errors import FinchFailure
from finch_connections.log import logger
from finch_connections.use_cases.attach_token import ENDS, Approval, Finished, Status, settle
from finch_connections.use_cases.exchange_code import Exchanged, Services, exchange, reread

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
    bound: Callable[[Attempt], bool]
    now: datetime
    # Without an echoed state, the attempts of the browser that the code may belong to.
    clicked: Sequence[Attempt] = ()


def finish_redirect(
    *,
    state: str | None,
    code: str | None,
    error: str | None,
    last_handles: Collection[str],
    bindings: Mapping[str, SecretText],
    now: datetime,
    services: Services,
) -> Finished | Failed:
    """The outcome after Finch sent the browser back. Raises nothing, so that the browser always gets a page.

    The echoed `state` identifies the session; an empty state is none, and API Gateway joins several states
    with commas. If Finch did not echo it, a code that was used before identifies its session, or else
    `last_handles` do: the handles of the browser's last clicks, newest first. A code that only they tie to
    a session gets a session of its own, and the clicked sessions stay open. An `error` does not end the
    session, because the right code may still come.
    """
    session, states = None, set(filter(None, (state or "").split(",")))
    state = states.pop() if states else None
    try:
        if states:
            raise InvalidRequest("The callback has two different states.")
        note = services.sessions.noted(SecretText(code)) if code and state is None else None
        clicked: list[Started] = []
        if state:
            session = services.sessions.get(require_handle(state).digest())
        elif note is None:
            session, clicked = _clicked(last_handles, now, services)
        else:
            session = services.sessions.get(note.handle_hash)
            if isinstance(session, Started) and not note.rejected:
                # Finch took no code, so it may still belong to any of the clicks.
                _, clicked = _clicked(last_handles, now, services)
        if session is None or session.attempt.mode is not Mode.REDIRECT:
            raise SessionNotFound
        if error is not None:
            logger.info("consent refused", customer_id=session.attempt.customer_id)
            reason = error if error == "access_denied" else "finch_refused"
            newest = session.attempt.history[-1:]
            # A person who has the link cannot cause a write with each request.
            if isinstance(session, Started) and all(one.step != Step.DENIED for one in newest):
                services.sessions.note(session, HistoryEntry.of(now, Step.DENIED, reason))
            return Failed(reason, session)
        if not code:
            raise InvalidRequest("The callback has neither a code nor an error.")
        require_unspent(note, session)
        back = _Return(
            SecretText(code),
            state_echoed=state is not None,
            bound=lambda attempt: attempt.bound(bindings),
            now=now,
            clicked=[one.attempt for one in clicked],
        )
        if isinstance(session, Started) and clicked and note is None:
            session = services.sessions.add_apart(apart(session, back.code), now)
        return _finish(session, back, services)
    except (Refusal, FinchFailure) as failure:
        logger.info("callback refused", code=failure.code)
        return Failed(failure.code, session, over=failure.code in ENDS)
    except Exception:
        logger.exception("callback failed")
        return Failed(InternalError.code, session)


def _clicked(
    handles: Collection[str], now: datetime, services: Services
) -> tuple[ConnectSession | None, list[Started]]:
    """The session for a code without a state, and all sessions of the browser that wait for a code.

    A repair comes first, because the session must become a holder of the connection to repair.
    """
    found = [services.sessions.get(SecretText(handle).digest()) for handle in handles]
    known = [one for one in found if one and one.attempt.mode is Mode.REDIRECT]
    waiting = [one for one in known if isinstance(one, Started) and now < one.attempt.expires_at]
    waiting.sort(key=lambda one: one.attempt.repairs_id is None)
    return next(iter([*waiting, *known]), None), waiting


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
    back = _Return(code, state_echoed=True, bound=lambda _: True, now=now)
    with _referring_to(session):
        return _finish(session, back, services)


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
    with _referring_to(session):
        return settle(session, approval, completion=completion, now=now, services=services)


@contextmanager
def _referring_to(session: ConnectSession) -> Iterator[None]:
    """Adds the reference of the session to what its customer learns of a failure."""
    try:
        yield
    except (Refusal, FinchFailure) as failure:
        failure.reference = session.attempt.reference
        raise


def _finish(session: ConnectSession, back: _Return, services: Services) -> Finished:
    """The outcome of a code, the same for each callback with it. A single request exchanges it."""
    waits, prepared = False, in_background(services.finch.prepare)
    for _ in range(WAITS):
        if isinstance(session, Started):
            require_code(session, back.code, back.now)
            exchanging = _consume(session, back, services)
            if exchanging:
                prepared()
                return _exchange(exchanging, back, services)
            session = reread(session, services)
        elif isinstance(session, Exchanging) and not session.abandoned(back.now):
            waits = waits or _may_wait(session, back, services)
            if not waits:
                break
            services.pause(WAIT_SECONDS)
            session = reread(session, services)
        else:
            break
    return _join(session, back, waits, services)


def _may_wait(session: Exchanging, back: _Return, services: Services) -> bool:
    """Whether another callback may wait for the outcome, and occupy a function meanwhile."""
    try:
        services.sessions.spend(Spending.WAIT, session.attempt, back.now)
    except TooManyRequests:
        return False
    return True


def _consume(session: Started, back: _Return, services: Services) -> Exchanging | None:
    """Consumes the code. Returns the session, or None if another request wrote first.

    Also makes a repairing session a holder: it may soon have the only token that works, because a repair
    may revoke earlier tokens. Raises `CodeRejected` and `TooManyRequests`.
    """
    handle_hash = session.attempt.handle_hash
    holding = [services.ownerships.holding(one, handle_hash) for one in behind(session)]
    try:
        bound = back.bound(session.attempt)
        return services.sessions.consume(session, back.code, back.now, holding, browser_bound=bound)
    except Conflict:
        require_unspent(services.sessions.noted(back.code), session)
        return None


def _exchange(session: Exchanging, back: _Return, services: Services) -> Finished:
    """The outcome for the request that consumed the code."""

    def meant(token_response: TokenResponse) -> Attempt:
        own = session.attempt
        attempt = meant_by(token_response, [own, *back.clicked])
        key = own.completion_key
        return replace(attempt, handle_hash=own.handle_hash, completion_key=key, apart=own.apart)

    exchanged = exchange(
        *(session, back.code),
        state_echoed=back.state_echoed,
        meant=meant,
        bound=back.bound,
        now=back.now,
        services=services,
    )
    # The escrow says whether the browser is bound: the token may belong to another attempt.
    return _settle(exchanged.session, Approval.NONE, exchanged, back, services)


def _join(session: ConnectSession, back: _Return, waited: bool, services: Services) -> Finished:
    """The outcome after another request has consumed this code or another code of the session.

    A browser may return twice with two codes. The second return, which arrives while the first connects,
    gets the first outcome, if both are bound: the completion code is only for the browser that returned
    with the first code. Raises `SessionUsed`.
    """
    bound = back.bound(session.attempt)
    if isinstance(session, Started):
        # Another code was exchanged until now: this code may still be needed.
        return Finished(session, Status.PENDING)
    if session.consumption.code_hash == back.code.digest():
        approval = Approval.CUSTOMER if bound else Approval.NONE
        return _settle(session, approval, None, back, services)
    if isinstance(session, Exchanging) and not session.abandoned(back.now):
        return Finished(session, Status.PENDING)
    connecting = session.escrow.browser_bound if isinstance(session, Escrowed) else waited
    if isinstance(session, Exchanging) or not (bound and connecting):
        raise SessionUsed
    return _settle(session, Approval.NONE, None, back, services)


def _settle(
    session: Consumed,
    approval: Approval,
    exchanged: Exchanged | None,
    back: _Return,
    services: Services,
) -> Finished:
    own = session.consumption.code_hash == back.code.digest()
    completion = session.attempt.completion(back.code) if own else None
    try:
        return settle(
            session,
            approval,
            completion=completion,
            exchanged=exchanged,
            now=back.now,
            services=services,
        )
    except (Refusal, FinchFailure):
        raise
    except Exception:
        # The token is in escrow and its session is due soon, so this failure costs only time.
        logger.exception("settling failed")
        return Finished(session, Status.PENDING)
