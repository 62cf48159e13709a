"""A connect session: one attempt to connect, with one type for each phase, and the rules of sessions."""

import hmac
import re
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import ClassVar, NamedTuple, Self, get_args

from finch_connections.domain.connection import CompanyKey, is_pair_id
from finch_connections.domain.errors import Refusal
from finch_connections.domain.history import History, HistoryEntry
from finch_connections.domain.identifier import finch_name
from finch_connections.domain.secret import SecretText
from finch_connections.domain.token_response import (
    DEAD_AGAIN_AFTER,
    Introspection,
    TokenResponse,
    same_connection,
)

# The link to connect can be sent by mail, so it works for days.
LINK_LIFETIME = timedelta(days=7)
# How long the user has in Finch Connect after a click (`minutes_to_expire`, 1 to 129600).
FINCH_SESSION_LIFETIME = timedelta(hours=1)
# A second click reuses the Finch session while enough time is left to complete it.
FINCH_SESSION_REUSE = timedelta(minutes=50)
# The lifetime of a code ("Redirect to Connect" in Finch's guide).
CODE_LIFETIME = timedelta(minutes=10)
# Longer than the function that exchanges a code can run.
EXCHANGE_LIMIT = timedelta(minutes=4)
# A token that its user does not confirm within this time is disconnected at Finch.
CONFIRM_WITHIN = timedelta(hours=24)
# A customer who waits this long for another customer's company may not want it any more.
WANTED_FOR = timedelta(days=30)
# A session is kept this long after it ends or expires, so that a reload gets the same outcome.
KEPT_AFTER_END = timedelta(days=30)
# A stranger can make up codes, so rows that only a refused code has written are not kept for long.
KEPT_AFTER_REFUSAL = timedelta(days=1)

# "New session" in Finch's API reference.
_LONGEST_CUSTOMER_NAME = 255
# Enough for a person to name the attempt to support. The rest of the hash is not needed to find it.
_REFERENCE_LENGTH = 12
_HANDLE = re.compile(r"[A-Za-z0-9_-]{43}")
_COMPLETION = re.compile(r"([0-9a-f]{64})\.([0-9a-f]{64})")


class SessionNotFound(Refusal):
    """This connect session does not exist. Please start again."""

    code = "session_not_found"


class SessionExpired(Refusal):
    """This connect session has expired. Please start again."""

    code = "session_expired"


class SessionUsed(Refusal):
    """This connect session has already been used. Please start again."""

    code = "session_used"


class CodeRejected(Refusal):
    """Finch does not accept this code. Please start again."""

    code = "code_rejected"


class ExchangeUncertain(Refusal):
    """Finch's response was lost. Please start again; the earlier attempt will not block you."""

    code = "exchange_uncertain"


class CannotConnect(Refusal):
    """This company cannot be connected to your account."""

    code = "cannot_connect"


class ReturnToNotAllowed(Refusal):
    """return_to is not among the return URLs that this application allows."""

    code = "return_to_not_allowed"


class ModeNotAllowed(Refusal):
    """The parameter ConnectModes of this deployment does not allow this mode."""

    code = "mode_not_allowed"


class ConnectionEnded(Refusal):
    """This connection ended at Finch before it was complete. Please start again."""

    code = "connection_ended"


class Mode(StrEnum):
    """How the user goes through Finch Connect: by redirects, or inside the page by Finch's SDK."""

    REDIRECT = "redirect"
    EMBEDDED = "embedded"


class Phase(StrEnum):
    """The phase of a session. Each phase has a class of the same name below."""

    STARTED = "started"
    EXCHANGING = "exchanging"
    ESCROWED = "escrowed"
    COMPLETE = "complete"
    HELD = "held"
    UNCERTAIN = "uncertain"
    DISCARDING = "discarding"
    ENDED = "ended"

    def leads_to(self, later: Self) -> bool:
        """Whether a session in this phase may move to `later`."""
        return later in NEXT[self]


# The phases that may follow each phase; this rule is only here. A move to the same phase changes fields.
NEXT: Mapping[Phase, Collection[Phase]] = {
    Phase.STARTED: {Phase.STARTED, Phase.EXCHANGING},
    # Back to `started` if Finch did not receive the code or rejected it: another code may follow.
    Phase.EXCHANGING: {Phase.STARTED, Phase.ESCROWED, Phase.UNCERTAIN},
    Phase.UNCERTAIN: {Phase.ESCROWED, Phase.ENDED},
    Phase.ESCROWED: {Phase.ESCROWED, Phase.COMPLETE, Phase.HELD, Phase.DISCARDING, Phase.ENDED},
    Phase.HELD: {Phase.HELD, Phase.COMPLETE, Phase.DISCARDING, Phase.ENDED},
    Phase.DISCARDING: {Phase.DISCARDING, Phase.HELD, Phase.ENDED},
    Phase.COMPLETE: (),
    Phase.ENDED: (),
}


# Without `__eq__` and `__repr__`: we do not use them, and Python would compile them at every cold start.
@dataclass(frozen=True, eq=False, repr=False)
class Attempt:
    """The facts of the attempt. All phases have them.

    A click changes them, and so does the token of a code without an echoed `state`: see `meant_by`.

    The handle and the binding are stored only as hashes. `repairs` is the key of the connection whose
    login the session repairs, and `repairs_id` is the Finch connection of that login.
    `finch_customer_id` is the customer id that we sent to Finch. `repairs_id` and `finch_customer_id`
    are None until Finch has created its session. `apart` marks a session for a single code: see `apart`
    below. `adds_login_to` is the key of the connection that gets another login. `history` is for support;
    `tried` says how the last try in the background ended that left the session unfinished.
    """

    handle_hash: str
    customer_id: str
    customer_name: str
    mode: Mode
    products: tuple[str, ...]
    binding_hash: str
    completion_key: bytes
    created_at: datetime
    provider_id: str | None = None
    return_to: str | None = None
    redirect_uri: str | None = None
    repairs: CompanyKey | None = None
    repairs_id: str | None = None
    finch_customer_id: str | None = None
    apart: bool = False
    adds_login_to: CompanyKey | None = None
    history: History = ()
    tried: HistoryEntry | None = None

    @property
    def reference(self) -> str:
        """Names the attempt to support. The API takes it nowhere, and it says nothing about the handle."""
        return self.handle_hash[:_REFERENCE_LENGTH]

    @property
    def link_expires_at(self) -> datetime:
        """When the link to connect stops working."""
        return self.created_at + LINK_LIFETIME

    @property
    def useful_until(self) -> datetime:
        """The time until which the user can open Finch Connect. An embedded session cannot be renewed."""
        embedded = self.created_at + FINCH_SESSION_LIFETIME
        return embedded if self.mode is Mode.EMBEDDED else self.link_expires_at

    @property
    def expires_at(self) -> datetime:
        """When a callback stops working. A user who clicks the link in its last minute has time to finish."""
        return self.link_expires_at + FINCH_SESSION_LIFETIME + CODE_LIFETIME

    @property
    def binding_id(self) -> str:
        """Identifies the attempt in the name of its binding cookie."""
        return self.binding_hash[:16]

    def bound(self, bindings: Mapping[str, SecretText]) -> bool:
        """Whether the browser that sent these bindings (by `binding_id`) has begun the session."""
        binding = bindings.get(self.binding_id)
        return binding is not None and binding.matches(self.binding_hash)

    def completion(self, code: SecretText) -> SecretText:
        """The completion code for the browser that returned with `code`. A reload gets the same text."""
        mac = hmac.new(self.completion_key, code.reveal().encode(), sha256).hexdigest()
        return SecretText(f"{self.handle_hash}.{mac}")


class Consumption(NamedTuple):
    """The code that was consumed, and when. `attempt` is the id of the only request that exchanges it."""

    attempt: str
    code_hash: str
    completion_hash: str
    consumed_at: datetime

    @property
    def confirm_until(self) -> datetime:
        """The time until which the user may confirm the connection."""
        return self.consumed_at + CONFIRM_WITHIN


# Not a tuple: the log's JSON would list the members of a tuple.
@dataclass(frozen=True, eq=False, repr=False)
class Click:
    """The Finch session that the last click on the link created."""

    finch_connect_url: str
    finch_session_made_at: datetime


@dataclass(frozen=True, eq=False, repr=False)
class Escrow:
    """The encrypted token that a session keeps until its connection is written.

    `state_echoed` and `browser_bound` say what the callback proved (RFC 9700 section 4.7).
    """

    ciphertext: bytes
    token_response: TokenResponse
    state_echoed: bool
    browser_bound: bool


@dataclass(frozen=True, eq=False, repr=False)
class Started:
    """The session waits for a code."""

    phase: ClassVar = Phase.STARTED
    attempt: Attempt
    click: Click | None = None

    def reusable_connect_url(self, now: datetime) -> str | None:
        """Finch Connect's URL of an earlier click, while enough time is left to complete it."""
        click = self.click
        reusable = click and now < click.finch_session_made_at + FINCH_SESSION_REUSE
        return click.finch_connect_url if click and reusable else None

    def under_repair(self, now: datetime) -> str | None:
        """The Finch connection that an earlier click repairs, while that click may still lead to a code."""
        click = self.click
        over = FINCH_SESSION_LIFETIME + CODE_LIFETIME
        return (
            self.attempt.repairs_id if click and now < click.finch_session_made_at + over else None
        )


@dataclass(frozen=True, eq=False, repr=False)
class Exchanging:
    """A single request exchanges the code. From now on, the session may be the only record of a token."""

    phase: ClassVar = Phase.EXCHANGING
    attempt: Attempt
    consumption: Consumption

    def abandoned(self, now: datetime) -> bool:
        """Whether the request that exchanges the code can no longer be running."""
        return now >= self.consumption.consumed_at + EXCHANGE_LIMIT


@dataclass(frozen=True, eq=False, repr=False)
class Uncertain:
    """Finch's response was lost: a token may exist that we never received. An operator must decide."""

    phase: ClassVar = Phase.UNCERTAIN
    attempt: Attempt
    consumption: Consumption
    error: str = ExchangeUncertain.code


@dataclass(frozen=True, eq=False, repr=False)
class Escrowed:
    """The token is in escrow. `dead_since` is when Finch first called it dead."""

    phase: ClassVar = Phase.ESCROWED
    attempt: Attempt
    consumption: Consumption
    escrow: Escrow
    dead_since: datetime | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Held:
    """The token is in escrow and must not be attached without an operator. `error` says why.

    `key` is the company, if the only reason is that another connection owns it. Finch has then confirmed
    which connection the token belongs to, and the token may be attached when the company is free.
    """

    phase: ClassVar = Phase.HELD
    attempt: Attempt
    consumption: Consumption
    escrow: Escrow
    error: str
    dead_since: datetime | None = None
    key: CompanyKey | None = None

    def waits_for_company(self, now: datetime) -> bool:
        """Whether the session may still get the company without an operator."""
        return self.key is not None and now < self.consumption.consumed_at + WANTED_FOR

    def is_repeated_by(self, later: "Held | Escrowed") -> bool:
        """Whether `later` has a token of the same login and customer, with at least its products and proof.

        A session that waits for its company knows the Finch connection of its token, so the later token
        covers it. Behind a pair id, only an equal account shows that.
        """
        mine, other = self.escrow.token_response, later.escrow.token_response
        return (
            self.key is not None
            and self.attempt.customer_id == later.attempt.customer_id
            and self.consumption.consumed_at <= later.consumption.consumed_at
            and self.escrow.browser_bound <= later.escrow.browser_bound
            and mine.products <= other.products
            and (mine.connection_id, mine.account_id) == (other.connection_id, other.account_id)
            and not (is_pair_id(mine.connection_id) and mine.account_id is None)
        )


@dataclass(frozen=True, eq=False, repr=False)
class Discarding:
    """The token must not be attached any more, and Finch must end its connection.

    `key` is the company that no customer may connect during a try. It is None where an operator decided:
    `approved` are the owners and holders that the operator has agreed to cut off.
    """

    phase: ClassVar = Phase.DISCARDING
    attempt: Attempt
    consumption: Consumption
    escrow: Escrow
    error: str
    discarding_since: datetime
    key: CompanyKey | None = None
    approved: frozenset[str] = frozenset()
    dead_since: datetime | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Complete:
    """The token is attached to the connection `key`. `repaired` is None if the session was no repair."""

    phase: ClassVar = Phase.COMPLETE
    attempt: Attempt
    consumption: Consumption
    key: CompanyKey
    repaired: bool | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Ended:
    """The token is revoked, or another token of its Finch connection is kept."""

    phase: ClassVar = Phase.ENDED
    attempt: Attempt
    consumption: Consumption
    error: str


# Plain unions, because `isinstance` accepts no `type` alias.
Keeping = Escrowed | Held | Discarding
Consumed = Exchanging | Uncertain | Keeping | Complete | Ended
ConnectSession = Started | Consumed
KINDS: Mapping[Phase, type[ConnectSession]] = {
    kind.phase: kind for kind in get_args(ConnectSession)
}


class CodeNote(NamedTuple):
    """The session that consumed a code, and whether Finch rejected the code."""

    handle_hash: str
    rejected: bool


class NewSession(NamedTuple):
    """A new session, with the two secrets that are not stored: its handle and its binding."""

    session: Started
    handle: SecretText
    binding: SecretText


def begin(
    *,
    customer_id: str,
    customer_name: str | None,
    mode: Mode,
    products: tuple[str, ...],
    provider_id: str | None,
    return_to: str | None,
    allowed_return_urls: Collection[str],
    callback_url: str,
    repairs: CompanyKey | None = None,
    adds_login_to: CompanyKey | None = None,
    now: datetime,
) -> NewSession:
    """A new session with a 256-bit handle and a 256-bit binding; raises `ReturnToNotAllowed`.

    Finch requires a customer name. Without `customer_name`, it gets the customer id.
    """
    if mode is Mode.REDIRECT or return_to is not None:
        require_return_to(return_to, allowed_return_urls)
    handle, binding = new_secret(), new_secret()
    attempt = Attempt(
        handle_hash=handle.digest(),
        customer_id=customer_id,
        customer_name=customer_name or customer_id[:_LONGEST_CUSTOMER_NAME],
        mode=mode,
        products=products,
        provider_id=provider_id,
        return_to=return_to,
        redirect_uri=callback_url if mode is Mode.REDIRECT else None,
        binding_hash=binding.digest(),
        completion_key=secrets.token_bytes(32),
        created_at=now,
        repairs=repairs,
        history=(HistoryEntry.of(now, Phase.STARTED),),
        adds_login_to=adds_login_to,
    )
    return NewSession(Started(attempt), handle, binding)


def new_secret() -> SecretText:
    """A random text of 256 bits that fits into URLs and cookies."""
    return SecretText(secrets.token_urlsafe(32))


def behind(session: ConnectSession) -> frozenset[str]:
    """The ids of the Finch connections of which a session may have a token: in escrow, or from a repair."""
    kept = session.escrow.token_response.connection_id if isinstance(session, Keeping) else None
    return frozenset(filter(None, (kept, session.attempt.repairs_id)))


def kept_alive(session: Exchanging | Uncertain | Keeping) -> str:
    """The Finch connection that an unfinished session keeps alive; the session's hash if it is unknown."""
    attempt = session.attempt
    known = (
        session.escrow.token_response.connection_id
        if isinstance(session, Keeping)
        else attempt.repairs_id
    )
    return known or attempt.handle_hash


def require_mode(mode: Mode, allowed: Collection[str]) -> None:
    """Raises `ModeNotAllowed` if a session may not start in this mode."""
    if mode not in allowed:
        raise ModeNotAllowed


def require_return_to(return_to: str | None, allowed: Collection[str]) -> str:
    """The page to return to. It must be a configured page (RFC 9700 section 4.11).

    Raises `ReturnToNotAllowed`.
    """
    if return_to is None or return_to not in allowed:
        raise ReturnToNotAllowed
    return return_to


def require_handle(text: str | None) -> SecretText:
    """The handle in a link, a `state` or a cookie; raises `SessionNotFound`."""
    if text is None or not _HANDLE.fullmatch(text):
        raise SessionNotFound
    return SecretText(text)


def session_of_completion(completion: SecretText) -> str:
    """The `handle_hash` of the session that a completion code belongs to; raises `SessionNotFound`."""
    match = _COMPLETION.fullmatch(completion.reveal())
    if match is None:
        raise SessionNotFound
    return match[1]


def require_link(session: ConnectSession | None, now: datetime) -> Started:
    """The session whose link works.

    Raises `SessionNotFound`, `SessionUsed` and `SessionExpired`.
    """
    if session is None or session.attempt.mode is not Mode.REDIRECT:
        raise SessionNotFound
    if not isinstance(session, Started):
        raise SessionUsed
    if now >= session.attempt.link_expires_at:
        raise SessionExpired
    return session


def require_code(session: ConnectSession, code: SecretText, now: datetime) -> None:
    """Refuses a code that must not be exchanged in this session.

    The code that the session consumed is always accepted, even much later: it gets the same outcome
    again. While the session exchanges another code, no code is refused, because Finch may still reject
    the other code. Raises `SessionUsed` and `SessionExpired`.
    """
    match session:
        case Started():
            if now >= session.attempt.expires_at:
                raise SessionExpired
        case Exchanging():
            pass
        case _:
            if code.digest() != session.consumption.code_hash:
                raise SessionUsed


def apart(session: Started, code: SecretText) -> Started:
    """A session of its own for a code that only a cookie ties to `session`.

    Any page can send the browser to the callback with a code of an attacker (RFC 9700 section 4.7), so
    such a code must not use up the session. The same code always gets the same session, whose binding
    is that of `session`.
    """
    attempt = session.attempt
    handle_hash = sha256(f"{attempt.handle_hash} {code.digest()}".encode()).hexdigest()
    return Started(replace(attempt, handle_hash=handle_hash, apart=True), session.click)


def meant_by(token_response: TokenResponse, attempts: Sequence[Attempt]) -> Attempt:
    """The attempt of a browser that a token belongs to, where Finch did not echo the `state`.

    The connection decides for a repair, and the customer's name at Finch for another attempt. The first
    attempt is the default.
    """
    return min(
        attempts,
        key=lambda one: (
            one.repairs_id is None or one.repairs_id != token_response.connection_id,
            one.finch_customer_id != token_response.customer_id,
            one.repairs is not None,
        ),
    )


def require_unspent(note: CodeNote | None, session: ConnectSession) -> None:
    """Refuses a code that Finch rejected or that another session consumed; raises `CodeRejected`.

    A code is exchanged at most once, because a second exchange may revoke the token of the first
    (RFC 6749 section 4.1.2).
    """
    if note is not None and (note.rejected or note.handle_hash != session.attempt.handle_hash):
        raise CodeRejected


def repair_result(attempt: Attempt, key: CompanyKey, connection_id: str) -> bool | None:
    """Whether a repair reached the connection that it was started for; None if this is not a repair.

    Finch keeps the `connection_id` of a repaired connection ("Reauthenticate session" in its
    reference): another `connection_id` means another login, or another company.
    """
    if attempt.repairs is None:
        return None
    return key == attempt.repairs and (
        connection_id == attempt.repairs_id or is_pair_id(attempt.repairs_id or "")
    )


def dead_for_good(session: Keeping, now: datetime) -> bool:
    """Whether Finch first called the token dead long enough ago to believe it now."""
    return session.dead_since is not None and now >= session.dead_since + DEAD_AGAIN_AFTER


def require_completion(
    session: ConnectSession | None, completion: SecretText, customer_id: str
) -> Consumed:
    """The session, if the caller is its customer and has its completion code.

    Raises `SessionNotFound` in all other cases: for the caller, another customer's session does not exist.
    """
    if (
        session is None
        or isinstance(session, Started)
        or session.attempt.customer_id != customer_id
        or not completion.matches(session.consumption.completion_hash)
    ):
        raise SessionNotFound
    return session


def newest_number(names: Iterable[str | None], customer_id: str) -> int:
    """The highest number in a customer's names at Finch: 1 if there is only the plain name.

    Random numbers do not count. They have 13 digits.
    """
    prefix = f"{finch_name(customer_id)}~"
    numbers = (name.removeprefix(prefix) for name in names if name and name.startswith(prefix))
    return max([1, *(int(one) for one in numbers if one.isdecimal() and len(one) < 13)])


def unguessed_finch_customer_id(customer_id: str) -> str:
    """A name with a random number, which no earlier attempt has, complete or not."""
    return finch_name(customer_id, 10**12 + secrets.randbelow(10**12))


def issued_to(finch_customer_id: str, customer_id: str) -> bool:
    """Whether we made this name at Finch for this customer."""
    plain = finch_name(customer_id)
    number = finch_customer_id.removeprefix(f"{plain}~")
    return finch_customer_id == plain or (number != finch_customer_id and number.isdecimal())


def require_same(
    token_response: TokenResponse, introspection: Introspection, client_id: str
) -> None:
    """Refuses a token of another application, or of another connection than its token response.

    Compares only the fields that Finch names. Raises `CannotConnect`.
    """
    missing = (None, "")
    if not (
        introspection.client_id in (None, client_id)
        and (
            token_response.connection_id == ""
            or same_connection(token_response.connection_id, introspection)
        )
        and len({token_response.provider_id, introspection.provider_id}.difference(missing)) <= 1
        and len({token_response.company_id, introspection.company_id}.difference(missing)) <= 1
    ):
        raise CannotConnect


def require_theirs(customer_id: str, escrow: Escrow, introspection: Introspection) -> None:
    """Refuses a token without proof that it belongs to the session's customer; raises `CannotConnect`.

    The proof is the echoed `state` or the customer that Finch names. A code that an attacker puts into
    another user's browser has neither (RFC 9700 sections 4.5 and 4.7). Each customer that Finch names
    must be this customer.
    """
    names = [
        name for name in (escrow.token_response.customer_id, introspection.customer_id) if name
    ]
    if not (all(issued_to(name, customer_id) for name in names) and (escrow.state_echoed or names)):
        raise CannotConnect
