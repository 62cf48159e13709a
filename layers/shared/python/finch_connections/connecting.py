"""The flow that connects: from the return with a code to the connection, or to a confirmation."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlencode

from finch_connections.claim import Claim, ClaimedByAnother, claimed_connection_id, row_of
from finch_connections.claim_table import ClaimTable
from finch_connections.connect_session import (
    FINDING_COOKIE,
    CannotConnect,
    CodeRejected,
    ConnectionEnded,
    ConnectSession,
    Escrow,
    ExchangeUncertain,
    Mode,
    Phase,
    SessionNotFound,
    SessionUsed,
    exchange_abandoned,
    require_code,
    require_completion,
    require_handle,
    require_ours,
    require_unspent,
    return_url,
    session_of_completion,
)
from finch_connections.connection import (
    CompanyKey,
    ConnectionBusy,
    Grant,
    TooManyLogins,
    UnusableIdentifier,
    attach,
    require_usable_ids,
    token_of,
)
from finch_connections.connection_table import ConnectionTable
from finch_connections.dynamodb import Conflict
from finch_connections.finch_connect import FinchConnect
from finch_connections.finch_failure import (
    AnswerLost,
    FinchFailure,
    RequestRefused,
    TokenDead,
)
from finch_connections.log import logger
from finch_connections.refusal import InvalidRequest, Refusal
from finch_connections.secret_text import SecretText
from finch_connections.session_table import SessionTable
from finch_connections.token_vault import TokenVault

# How often and how long a second callback waits for the first one's outcome, within API Gateway's 30 s.
WAIT_SECONDS = 0.5
WAITS = 24
# How often a lost race is run again before the answer is "pending".
_ATTEMPTS = 8

_HELD: Mapping[str, type[Refusal]] = {
    kind.code: kind for kind in (CannotConnect, TooManyLogins, ExchangeUncertain)
}


class Status(StrEnum):
    """How a callback ended for now."""

    CONNECTED = "connected"
    CONFIRM = "confirm"
    PENDING = "pending"


@dataclass(frozen=True)
class Finished:
    """What became of a code: the connection, or what is still to be done for it.

    `key` is the employer that it is about, where Finch has said; `completion` is for the browser
    that returned, where a person must confirm or may try again.
    """

    session: ConnectSession
    status: Status
    key: CompanyKey | None = None
    completion: SecretText | None = None


@dataclass(frozen=True)
class Return:
    """Where the browser goes after Finch Connect, and the binding cookie that has served its time."""

    url: str
    spent_cookie: str | None = None


@dataclass(frozen=True)
class Outsiders:
    """Everything outside that finishing a connection touches."""

    sessions: SessionTable
    connections: ConnectionTable
    claims: ClaimTable
    vault: TokenVault
    finch: FinchConnect
    pause: Callable[[float], None]


def finish_redirect(
    query: Mapping[str, str],
    cookies: Mapping[str, str],
    *,
    allowed_return_urls: Sequence[str],
    now: datetime,
    outside: Outsiders,
) -> Return:
    """Where the browser goes after Finch sent it back: always to the application, with the outcome.

    The session is found by the echoed `state`; where Finch did not echo it, by a code that was here
    before, or by the finding cookie. A callback that carries an error does not end the session for
    the true code.
    """
    session = None
    try:
        session = outside.sessions.get(_session_of(query, cookies, outside))
        if session is None or session.mode is not Mode.REDIRECT:
            raise SessionNotFound
        if "error" in query:
            logger.info("consent refused", customer_id=session.customer_id)
            code = "access_denied" if query["error"] == "access_denied" else "finch_refused"
            return Return(return_url(session, allowed_return_urls, {"error": code}))
        if not query.get("code"):
            raise InvalidRequest("The callback carries neither a code nor an error.")
        finished = _finish(
            session,
            SecretText(query["code"]),
            state_echoed="state" in query,
            bound=session.bound(cookies),
            now=now,
            outside=outside,
        )
    except (Refusal, FinchFailure) as error:
        logger.info("callback refused", code=error.code)
        return Return(
            return_url(session, allowed_return_urls, {"error": error.code}),
            session.binding_cookie if session and error.code in _HELD else None,
        )
    outcome = {"status": finished.status.value}
    if finished.key:
        outcome |= {"provider_id": finished.key.provider_id, "company_id": finished.key.company_id}
    url = return_url(session, allowed_return_urls, outcome)
    if finished.completion:
        url += "#" + urlencode({"completion": finished.completion.reveal()})
    done = finished.status is Status.CONNECTED
    return Return(url, session.binding_cookie if done else None)


def _session_of(query: Mapping[str, str], cookies: Mapping[str, str], outside: Outsiders) -> str:
    """The `handle_hash` that a callback is about; raises `SessionNotFound`."""
    if "state" in query:
        return require_handle(query["state"]).digest()
    note = outside.sessions.noted(SecretText(query["code"])) if query.get("code") else None
    return note.handle_hash if note else require_handle(cookies.get(FINDING_COOKIE)).digest()


def finish_embedded(
    code: SecretText, state: str, customer_id: str, *, now: datetime, outside: Outsiders
) -> Finished:
    """What became of a code that Finch's SDK gave to the page; the caller's token binds the browser.

    Raises `Refusal` and `FinchFailure`.
    """
    session = outside.sessions.get(require_handle(state).digest())
    if session is None or session.customer_id != customer_id or session.mode is not Mode.EMBEDDED:
        raise SessionNotFound
    return _finish(session, code, state_echoed=True, bound=True, now=now, outside=outside)


def confirm(
    completion: SecretText, customer_id: str, *, now: datetime, outside: Outsiders
) -> Finished:
    """Finishes what waited for a person to confirm, or what could not be finished before.

    The completion code was handed only to the browser that returned; together with an access token
    of the session's customer it shows that the browser is theirs. Raises `Refusal`.
    """
    session = outside.sessions.get(session_of_completion(completion))
    if session is None:
        raise SessionNotFound
    require_completion(session, completion, customer_id)
    return _settle(session, None, completion, bound=True, now=now, outside=outside)


def _finish(
    session: ConnectSession,
    code: SecretText,
    *,
    state_echoed: bool,
    bound: bool,
    now: datetime,
    outside: Outsiders,
) -> Finished:
    """Exchanges the code if nobody has, and settles; every callback with one code ends the same."""
    token = None
    for _ in range(WAITS):
        require_code(session, code, now)
        if session.phase is Phase.STARTED:
            # The place of the watchdog: a message that finds this session if all after it crashes.
            try:
                session = outside.sessions.consume(session, code, now)
            except Conflict:
                require_unspent(outside.sessions.noted(code), session)
                session = _again(session, outside)
                continue
            session, token = _exchange(session, code, state_echoed, bound, now, outside)
        if session.phase is not Phase.EXCHANGING or exchange_abandoned(session, now):
            break
        outside.pause(WAIT_SECONDS)
        session = _again(session, outside)
    require_code(session, code, now)
    if session.code_hash != code.digest():
        if exchange_abandoned(session, now):
            raise SessionUsed
        # Another code is still at work, or was until now: whether this one counts is not decided.
        return Finished(session, Status.PENDING)
    return _settle(session, token, session.completion(code), bound=bound, now=now, outside=outside)


def _again(session: ConnectSession, outside: Outsiders) -> ConnectSession:
    there = outside.sessions.get(session.handle_hash)
    if there is None:
        raise SessionNotFound
    return there


def _exchange(
    session: ConnectSession,
    code: SecretText,
    state_echoed: bool,
    bound: bool,
    now: datetime,
    outside: Outsiders,
) -> tuple[ConnectSession, SecretText]:
    """The session with its token sealed into it, and the token. The code is sent exactly once."""
    try:
        token, grant = outside.finch.exchange(code, session.redirect_uri)
    except RequestRefused as error:
        with suppress(Conflict):
            outside.sessions.reject(session, code)
        raise CodeRejected from error
    except AnswerLost as error:
        logger.error("exchange uncertain", customer_id=session.customer_id)
        with suppress(Conflict):
            outside.sessions.uncertain(session, ExchangeUncertain.code, now)
        raise ExchangeUncertain from error
    except FinchFailure:
        with suppress(Conflict):
            outside.sessions.give_back(session)
        raise
    ciphertext = outside.vault.seal_escrow(token, session.handle_hash, session.customer_id)
    escrow = Escrow(ciphertext, grant, state_echoed=state_echoed, browser_bound=bound)
    return outside.sessions.escrow(session, escrow, now), token


def _settle(
    session: ConnectSession,
    token: SecretText | None,
    completion: SecretText,
    *,
    bound: bool,
    now: datetime,
    outside: Outsiders,
) -> Finished:
    """The outcome of a session whose code was consumed; a kept token is attached if it may be.

    Runs again from any point: what was done before is found done.
    """
    key: CompanyKey | None = None
    for _ in range(_ATTEMPTS):
        escrow = session.escrow
        if session.phase is not Phase.ESCROWED or escrow is None:
            return _outcome(session, now)
        if token is None:
            token = outside.vault.open_escrow(
                escrow.ciphertext, session.handle_hash, session.customer_id
            )
        try:
            key = _row(session, escrow.grant, outside)
            key, attached = _attach(
                session, escrow, key, token, bound=bound, now=now, outside=outside
            )
        except TokenDead as error:
            logger.warning("token dead before it was attached", customer_id=session.customer_id)
            raise ConnectionEnded from error
        except FinchFailure as error:
            logger.warning("introspection failed", code=error.code, reason=type(error).__name__)
            break
        except ConnectionBusy:
            break
        except (CannotConnect, ClaimedByAnother, TooManyLogins, UnusableIdentifier) as error:
            try:
                outside.sessions.hold(session, error.code, now)
            except Conflict:
                session = _again(session, outside)
                continue
            logger.error("token held", customer_id=session.customer_id, reason=type(error).__name__)
            raise
        except Conflict:
            session = _again(session, outside)
            continue
        if not attached:
            return Finished(session, Status.CONFIRM, key, completion)
        return Finished(session, Status.CONNECTED, key)
    return Finished(session, Status.PENDING, key, completion)


def _outcome(session: ConnectSession, now: datetime) -> Finished:
    """What became of a session that keeps no token which could be attached; raises `Refusal`."""
    if session.phase is Phase.COMPLETE:
        return Finished(session, Status.CONNECTED, session.key)
    if session.phase is Phase.EXCHANGING:
        if exchange_abandoned(session, now):
            raise ExchangeUncertain
        # Without a completion code: nobody could be shown yet what it would complete.
        return Finished(session, Status.PENDING)
    raise _HELD.get(session.error or "", SessionUsed)


def _row(session: ConnectSession, grant: Grant, outside: Outsiders) -> CompanyKey:
    """The key of the connection that a grant belongs to.

    Raises `ClaimedByAnother` and `UnusableIdentifier`.
    """
    claim = outside.claims.get(claimed_connection_id(grant.connection_id))
    return row_of(grant, session.customer_id, claim)


def _attach(
    session: ConnectSession,
    escrow: Escrow,
    key: CompanyKey,
    token: SecretText,
    *,
    bound: bool,
    now: datetime,
    outside: Outsiders,
) -> tuple[CompanyKey, bool]:
    """The key of the connection, and whether the token was attached or waits for a confirmation.

    Raises `FinchFailure`, the refusals of the rules, and `Conflict` where somebody else wrote first.
    """
    customer_id, grant = session.customer_id, escrow.grant
    while True:
        # Read before Finch is asked, so that the write fails if its answer is no longer true.
        there = outside.connections.get(customer_id, key)
        introspection = outside.finch.introspect(token)
        require_ours(session, escrow, introspection, outside.finch.client_id())
        require_usable_ids(grant, introspection)
        if grant.company_id or not introspection.company_id:
            break
        # Only the introspection names the company, so it may be another row.
        grant = replace(grant, company_id=introspection.company_id)
        key = _row(session, grant, outside)
    if not (bound or escrow.browser_bound):
        return key, False
    name = session.finch_customer_id or customer_id
    described = token_of(grant, introspection, name, session.consumed_at or now)
    ciphertext = outside.vault.seal_stored(token, customer_id, key)
    company = Claim.of_company(customer_id, key)
    writes = [
        outside.connections.writing(attach(there, customer_id, key, described, ciphertext, now)),
        outside.claims.taking(company),
        outside.claims.taking(Claim.of_connection_id(grant.connection_id, customer_id, key)),
    ]
    try:
        outside.sessions.complete(session, key, now, writes)
    except Conflict:
        outside.claims.require_free(company)
        raise
    logger.info(
        "connected",
        customer_id=customer_id,
        provider_id=key.provider_id,
        company_id=key.company_id,
        connection_id=grant.connection_id,
    )
    return key, True
