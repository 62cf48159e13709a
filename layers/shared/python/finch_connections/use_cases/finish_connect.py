"""The flow that connects: from the return with a code to the connection, or to a confirmation."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.dynamodb import Conflict
from finch_connections.aws.ownership_table import OwnershipTable
from finch_connections.aws.session_table import SessionTable
from finch_connections.aws.token_vault import TokenVault
from finch_connections.aws.work_queue import WorkQueue
from finch_connections.background import in_background
from finch_connections.domain.connect_session import (
    FINDING_COOKIE,
    CannotConnect,
    CodeRejected,
    ConnectionEnded,
    ConnectSession,
    Escrow,
    ExchangeUncertain,
    Mode,
    Phase,
    SessionExpired,
    SessionNotFound,
    SessionUsed,
    dead_for_good,
    exchange_abandoned,
    mended,
    require_code,
    require_completion,
    require_handle,
    require_same,
    require_theirs,
    require_unspent,
    return_url,
    session_of_completion,
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
)
from finch_connections.domain.errors import InternalError, InvalidRequest, Refusal
from finch_connections.domain.ownership import (
    OwnedByAnother,
    Ownership,
    OwnershipRecord,
    require_free,
    row_of,
)
from finch_connections.domain.secret import SecretText
from finch_connections.domain.token_response import (
    TokenResponse,
    company_key,
    require_usable_ids,
    token_of,
)
from finch_connections.domain.work_item import SessionSubject, WorkItem
from finch_connections.finch.connect_api import ConnectApi
from finch_connections.finch.errors import (
    AnswerLost,
    FinchFailure,
    RequestRefused,
    TokenDead,
)
from finch_connections.log import logger

if TYPE_CHECKING:
    from finch_connections.aws.dynamodb import Write

# How often and how long a second callback waits for the first one's outcome, within API Gateway's 30 s.
WAIT_SECONDS = 0.5
WAITS = 24
# How often a lost race is run again before the answer is "pending".
_ATTEMPTS = 8
# A token in our hands is not given up while the function has time to keep it.
KEEPING_PAUSES = (0.1, 0.5, 1.0, 2.0, 4.0)

_ENDS: Mapping[str, type[Refusal]] = {
    kind.code: kind
    for kind in (CannotConnect, TooManyLogins, ExchangeUncertain, SessionExpired, ConnectionEnded)
}


class Status(StrEnum):
    """How a callback ended for now."""

    CONNECTED = "connected"
    CONFIRM = "confirm"
    PENDING = "pending"


class Finished(NamedTuple):
    """What became of a code: the connection, or what is still to be done for it.

    `key` is the employer that it is about, where Finch has said; `completion` is for the browser
    that returned, where a person must confirm or may try again. `repaired` says of a repair whether
    it mended what it was for. `entity_names` are for whoever must confirm.
    """

    session: ConnectSession
    status: Status
    key: CompanyKey | None = None
    completion: SecretText | None = None
    repaired: bool | None = None
    entity_names: tuple[str, ...] = ()


class Return(NamedTuple):
    """Where the browser goes after Finch Connect, and the binding cookie that has served its time.

    `outcome` is the stable word for how it ended.
    """

    url: str
    outcome: str
    spent_cookie: str | None = None


class _Found(NamedTuple):
    """What is there for a grant: the claim on its `connection_id`, and what is in the row `key`."""

    record: OwnershipRecord | None
    key: CompanyKey | None
    connection: Connection | None


class Services(NamedTuple):
    """Everything outside that finishing a connection touches."""

    sessions: SessionTable
    connections: ConnectionTable
    ownerships: OwnershipTable
    vault: TokenVault
    finch: ConnectApi
    queue: WorkQueue
    pause: Callable[[float], None]


def finish_redirect(
    query: Mapping[str, str],
    cookies: Mapping[str, str],
    *,
    allowed_return_urls: Sequence[str],
    now: datetime,
    services: Services,
) -> Return:
    """Where the browser goes after Finch sent it back: always to the application, with the outcome.

    The session is found by the echoed `state`; where Finch did not echo it, by a code that was here
    before, or by the finding cookie. A callback that carries an error does not end the session for
    the true code.
    """
    session = None
    try:
        session = services.sessions.get(_session_of(query, cookies, services))
        if session is None or session.mode is not Mode.REDIRECT:
            raise SessionNotFound
        if "error" in query:
            logger.info("consent refused", customer_id=session.customer_id)
            code = "access_denied" if query["error"] == "access_denied" else "finch_refused"
            return Return(return_url(session, allowed_return_urls, {"error": code}), code)
        if not query.get("code"):
            raise InvalidRequest("The callback carries neither a code nor an error.")
        finished = _finish(
            session,
            SecretText(query["code"]),
            state_echoed="state" in query,
            bound=session.bound(cookies),
            now=now,
            services=services,
        )
    except (Refusal, FinchFailure) as error:
        logger.info("callback refused", code=error.code)
        return Return(
            return_url(session, allowed_return_urls, {"error": error.code}),
            error.code,
            session.binding_cookie if session and error.code in _ENDS else None,
        )
    except Exception:
        # A person in a browser is better off on the application's page, whatever went wrong.
        logger.exception("callback failed")
        code = InternalError.code
        return Return(return_url(session, allowed_return_urls, {"error": code}), code)
    outcome = {"status": finished.status.value}
    if finished.key:
        outcome |= {"provider_id": finished.key.provider_id, "company_id": finished.key.company_id}
    if finished.repaired is not None:
        outcome["repaired"] = str(finished.repaired).lower()
    url = return_url(session, allowed_return_urls, outcome)
    if finished.completion:
        url += "#" + urlencode({"completion": finished.completion.reveal()})
    done = finished.status is Status.CONNECTED
    return Return(url, finished.status, session.binding_cookie if done else None)


def _session_of(query: Mapping[str, str], cookies: Mapping[str, str], services: Services) -> str:
    """The `handle_hash` that a callback is about; raises `SessionNotFound`."""
    if "state" in query:
        return require_handle(query["state"]).digest()
    note = services.sessions.noted(SecretText(query["code"])) if query.get("code") else None
    return note.handle_hash if note else require_handle(cookies.get(FINDING_COOKIE)).digest()


def finish_embedded(
    code: SecretText, state: str, customer_id: str, *, now: datetime, services: Services
) -> Finished:
    """What became of a code that Finch's SDK gave to the page; the caller's token binds the browser.

    Raises `Refusal` and `FinchFailure`.
    """
    session = services.sessions.get(require_handle(state).digest())
    if session is None or session.customer_id != customer_id or session.mode is not Mode.EMBEDDED:
        raise SessionNotFound
    return _finish(session, code, state_echoed=True, bound=True, now=now, services=services)


def confirm(
    completion: SecretText,
    customer_id: str,
    *,
    look: bool = False,
    now: datetime,
    services: Services,
) -> Finished:
    """Finishes what waited for a person to confirm, or what could not be finished before.

    The completion code was handed only to the browser that returned; together with an access token
    of the session's customer it shows that the browser is theirs. A `look` confirms nothing: it says
    what there is to confirm, so that nobody has to believe the address they came back to. Raises
    `Refusal`.
    """
    session = services.sessions.get(session_of_completion(completion))
    if session is None:
        raise SessionNotFound
    require_completion(session, completion, customer_id)
    return settle(session, None, completion, bound=not look, now=now, services=services)


def _finish(
    session: ConnectSession,
    code: SecretText,
    *,
    state_echoed: bool,
    bound: bool,
    now: datetime,
    services: Services,
) -> Finished:
    """Exchanges the code if nobody has, and settles; every callback with one code ends the same."""
    token, found, watched = None, None, False
    prepared = in_background(services.finch.prepare)
    for _ in range(WAITS):
        require_code(session, code, now)
        if session.phase is Phase.STARTED:
            if not watched:
                work_item = WorkItem.first(SessionSubject(session.handle_hash), now)
                services.queue.send(work_item, now)
                watched = True
            try:
                session = services.sessions.consume(session, code, now, _holding(session, services))
            except Conflict:
                require_unspent(services.sessions.noted(code), session)
                session = _again(session, services)
                continue
            prepared()
            session, token, found = _exchange(session, code, state_echoed, bound, services)
        if session.phase is not Phase.EXCHANGING or exchange_abandoned(session, now):
            break
        services.pause(WAIT_SECONDS)
        session = _again(session, services)
    require_code(session, code, now)
    if session.code_hash != code.digest():
        if exchange_abandoned(session, now):
            raise SessionUsed
        # Another code is still at work, or was until now: whether this one counts is not decided.
        return Finished(session, Status.PENDING)
    completion = session.completion(code)
    try:
        return settle(
            session, token, completion, bound=bound, found=found, now=now, services=services
        )
    except (Refusal, FinchFailure):
        raise
    except Exception:
        # The token is kept and its task queued: that this request fails costs nothing but time.
        logger.exception("settling failed")
        return Finished(session, Status.PENDING)


def _holding(session: ConnectSession, services: Services) -> "list[Write]":
    """What notes beside the code that a repair may soon have a token: it may revoke those before it."""
    return [services.ownerships.holding(one, session.handle_hash) for one in session.behind]


def _leaving(session: ConnectSession, services: Services) -> "list[Write]":
    """What notes that a session has no token, nor may have."""
    held = services.ownerships.held_by(session.handle_hash, session.behind)
    return services.ownerships.leaving(held, session.handle_hash)


def _again(session: ConnectSession, services: Services) -> ConnectSession:
    there = services.sessions.get(session.handle_hash)
    if there is None:
        raise SessionNotFound
    return there


def _exchange(
    session: ConnectSession,
    code: SecretText,
    state_echoed: bool,
    bound: bool,
    services: Services,
) -> tuple[ConnectSession, SecretText, Callable[[], _Found]]:
    """The session with its token sealed into it, the token, and what is there for its grant.

    The code is sent exactly once.
    """
    try:
        token, token_response = services.finch.exchange(code, session.redirect_uri)
    except RequestRefused as error:
        _nothing_came(session, partial(services.sessions.reject, session, code), services)
        raise CodeRejected from error
    except AnswerLost as error:
        raise _lost(session, services) from error
    except FinchFailure:
        _nothing_came(session, partial(services.sessions.give_back, session), services)
        raise
    try:
        found = in_background(partial(_find, session.customer_id, token_response, services))
        return _keep(session, token, token_response, state_echoed, bound, services), token, found
    except Exception as error:
        logger.exception("token not kept")
        raise _lost(session, services) from error


def _nothing_came(
    session: ConnectSession, note: "Callable[[list[Write]], None]", services: Services
) -> None:
    """Notes that the session has no token, whoever else comes to what it repairs or goes meanwhile."""
    for _ in range(_ATTEMPTS):
        with suppress(Conflict):
            note(_leaving(session, services))
            return
        there = services.sessions.get(session.handle_hash)
        if there is None or (there.phase, there.attempt) != (session.phase, session.attempt):
            return


def _lost(session: ConnectSession, services: Services) -> ExchangeUncertain:
    """What is said of an exchange whose token, if there is one, is in nobody's hands."""
    logger.error("exchange uncertain", customer_id=session.customer_id)
    try:
        services.sessions.uncertain(session, ExchangeUncertain.code)
    except Exception:
        # Its task finds the exchange abandoned, and says the same.
        logger.exception("exchange not noted as uncertain")
    return ExchangeUncertain()


def _keep(
    session: ConnectSession,
    token: SecretText,
    token_response: TokenResponse,
    state_echoed: bool,
    bound: bool,
    services: Services,
) -> ConnectSession:
    """The session with the token sealed into it and noted as held. Tries for as long as it may."""
    escrow = None
    pauses = iter(KEEPING_PAUSES)
    while True:
        try:
            if escrow is None:
                ciphertext = services.vault.encrypt_escrow(
                    token, session.handle_hash, session.customer_id
                )
                escrow = Escrow(
                    ciphertext, token_response, state_echoed=state_echoed, browser_bound=bound
                )
            # Of an unreadable grant no connection id is known.
            held = (
                [services.ownerships.holding(token_response.connection_id, session.handle_hash)]
                if token_response.connection_id
                else []
            )
            return services.sessions.escrow(session, escrow, held)
        except Exception as error:
            pause = next(pauses, None)
            if pause is None:
                raise
            logger.warning("token not kept yet", reason=type(error).__name__)
            services.pause(pause)
            # Written after all, or called uncertain by somebody who thought us dead.
            with suppress(Exception):
                there = _again(session, services)
                session = there if there.attempt == session.attempt else session
            if session.phase is Phase.ESCROWED:
                return session


def settle(
    session: ConnectSession,
    token: SecretText | None,
    completion: SecretText | None,
    *,
    bound: bool,
    approved: bool = False,
    found: Callable[[], _Found] | None = None,
    now: datetime,
    services: Services,
) -> Finished:
    """The outcome of a session whose code was consumed; a kept token is attached if it may be.

    Runs again from any point: what was done before is found done. A token that is held is attached
    only when a person has `approved` it. `found` waits for what was looked for beside other calls.
    Raises `Refusal`.
    """
    key: CompanyKey | None = None
    for _ in range(_ATTEMPTS):
        escrow = session.escrow
        open_to_all = session.phase is Phase.ESCROWED or (approved and session.phase is Phase.HELD)
        if not open_to_all or escrow is None:
            return _outcome(session, now)
        if token is None:
            token = decrypt_escrow(session, escrow, services)
        try:
            there = (
                found() if found else _find(session.customer_id, escrow.token_response, services)
            )
            # Another attempt wants to know what has changed.
            found = None
            key = row_of(escrow.token_response, session.customer_id, there.record)
            done = _attach(
                session,
                escrow,
                key,
                there,
                token,
                bound=bound,
                approved=approved,
                now=now,
                services=services,
            )
        except TokenDead as error:
            dead(session, escrow, now, services)
            raise ConnectionEnded from error
        except FinchFailure as error:
            logger.warning("introspection failed", code=error.code, reason=type(error).__name__)
            break
        except ConnectionBusy:
            break
        except (CannotConnect, OwnedByAnother, TooManyLogins, UnusableIdentifier) as error:
            if completion:
                # Somebody came, and the task of what waits for a confirmation may come a day later.
                services.queue.send(WorkItem.first(SessionSubject(session.handle_hash), now), now)
            try:
                services.sessions.hold(session, error.code)
            except Conflict:
                session = _again(session, services)
                continue
            logger.error("token held", customer_id=session.customer_id, reason=type(error).__name__)
            raise
        except Conflict:
            session = _again(session, services)
            continue
        if not done.attached:
            names = tuple(sorted(done.entity_names))
            return Finished(session, Status.CONFIRM, done.key, completion, entity_names=names)
        return Finished(session, Status.CONNECTED, done.key, repaired=done.repaired)
    if bound and session.escrow and not session.escrow.browser_bound:
        # Whoever has confirmed need not come again: the task does the rest.
        services.queue.send(WorkItem.first(SessionSubject(session.handle_hash), now), now)
        with suppress(Conflict):
            services.sessions.bind(session)
    return Finished(session, Status.PENDING, key, completion)


def decrypt_escrow(session: ConnectSession, escrow: Escrow, services: Services) -> SecretText:
    """The token that a session keeps."""
    return services.vault.decrypt_escrow(
        escrow.ciphertext, session.handle_hash, session.customer_id
    )


def kept(
    connection_id: str, handle_hashes: Collection[str], services: Services
) -> Iterator[SecretText]:
    """The tokens of a Finch connection that attempts keep, whoever's: Finch ends it for all of them.

    What a repair keeps may be of another connection than it was for. Raises `TokenDead` in the end
    where one may have a token that nobody could open.
    """
    unknown = False
    for handle_hash in sorted(handle_hashes):
        session = services.sessions.get(handle_hash)
        if session is None:
            continue
        if session.escrow and session.escrow.token_response.connection_id == connection_id:
            yield decrypt_escrow(session, session.escrow, services)
        unreadable = session.escrow and not session.escrow.token_response.connection_id
        unknown |= bool(unreadable) or session.phase in (Phase.EXCHANGING, Phase.UNCERTAIN)
    if unknown:
        raise TokenDead


def dead(session: ConnectSession, escrow: Escrow, now: datetime, services: Services) -> bool:
    """Notes that Finch calls the kept token dead; whether that ended the session.

    It does when Finch says so again an hour later: until then the ciphertext stays.
    """
    logger.warning("token dead before it was attached", customer_id=session.customer_id)
    with suppress(Conflict):
        if dead_for_good(session, now):
            services.sessions.end(session, ConnectionEnded.code, now, _leaving(session, services))
            return True
        if session.dead_since is None:
            services.sessions.found_dead(session, now)
    return False


def _outcome(session: ConnectSession, now: datetime) -> Finished:
    """What became of a session that keeps no token which could be attached; raises `Refusal`."""
    if session.phase is Phase.COMPLETE:
        return Finished(session, Status.CONNECTED, session.key, repaired=session.repaired)
    if session.phase is Phase.EXCHANGING:
        if exchange_abandoned(session, now):
            raise ExchangeUncertain
        # Without a completion code: nobody could be shown yet what it would complete.
        return Finished(session, Status.PENDING)
    raise _ENDS.get(session.error or "", SessionUsed)


def _find(customer_id: str, token_response: TokenResponse, services: Services) -> _Found:
    """What is there, and in the row that the grant would make if nobody had claimed its connection."""
    try:
        key = company_key(token_response)
    except UnusableIdentifier:
        return _Found(
            services.ownerships.of_connection_id(token_response.connection_id), None, None
        )
    record, connection = services.ownerships.with_connection(
        token_response.connection_id, services.connections, customer_id, key
    )
    return _Found(record, key, connection)


class _Attached(NamedTuple):
    """The key of the connection, whether the token was attached or waits, and what a repair mended."""

    key: CompanyKey
    attached: bool
    repaired: bool | None = None
    entity_names: Collection[str] = ()


def _attach(
    session: ConnectSession,
    escrow: Escrow,
    key: CompanyKey,
    found: _Found,
    token: SecretText,
    *,
    bound: bool,
    approved: bool,
    now: datetime,
    services: Services,
) -> _Attached:
    """Attaches the token to its connection if it may be.

    Raises `FinchFailure`, the refusals of the rules, and `Conflict` where somebody else wrote first.
    """
    customer_id, token_response = session.customer_id, escrow.token_response
    attaches = bound or approved or escrow.browser_bound
    while True:
        # Read before Finch is asked, so that the write fails if its answer is no longer true.
        there = found.connection if found.key == key else services.connections.get(customer_id, key)
        encrypt = partial(services.vault.encrypt_stored, token, customer_id, key)
        encrypted = in_background(encrypt) if attaches else None
        introspection = services.finch.introspect(token)
        if session.dead_since:
            with suppress(Conflict):
                services.sessions.found_alive(session)
        require_same(token_response, introspection, services.finch.client_id())
        if not approved:
            require_theirs(session, escrow, introspection)
        require_usable_ids(token_response, introspection)
        if token_response.company_id or not introspection.company_id:
            break
        # Only the introspection names the company, so it may be another row.
        token_response = replace(token_response, company_id=introspection.company_id)
        found = _find(customer_id, token_response, services)
        key = row_of(token_response, customer_id, found.record)
    if encrypted is None:
        return _Attached(key, False, entity_names=introspection.entity_names.values())
    name = session.finch_customer_id or customer_id
    described = token_of(token_response, introspection, name, session.consumed_at or now)
    ciphertext = encrypted()
    company = Ownership.of_company(customer_id, key)
    connection = Ownership.of_connection_id(token_response.connection_id, customer_id, key)
    repaired = mended(session, key, token_response.connection_id)
    after = attach(
        there,
        customer_id,
        key,
        described,
        ciphertext,
        now,
        repairing=repaired is True,
        entity_names=introspection.entity_names,
    )
    left = services.ownerships.held_by(
        session.handle_hash, session.behind - {token_response.connection_id}
    )
    writes = [
        services.connections.writing(after),
        services.ownerships.taking(company),
        services.ownerships.taking(connection, held_by=session.handle_hash),
        *services.ownerships.leaving(left, session.handle_hash),
    ]
    if session.repairs and session.repairs != key:
        broken = services.connections.get(customer_id, session.repairs)
        if broken and broken.tokens and broken.status is not ConnectionStatus.DISCONNECTING:
            noted = not_repaired(broken, now)
            if noted is not broken:
                writes.append(services.connections.writing(noted))
    try:
        services.sessions.complete(session, key, now, writes, repaired=repaired)
    except Conflict:
        require_free(company, services.ownerships.get(company.owned_id))
        raise
    logger.info(
        "connected",
        customer_id=customer_id,
        provider_id=key.provider_id,
        company_id=key.company_id,
        connection_id=token_response.connection_id,
    )
    return _Attached(key, True, repaired)
