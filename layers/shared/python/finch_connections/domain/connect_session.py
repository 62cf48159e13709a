"""A connect session: one attempt to connect, from start to outcome, and the rules that bind it."""

import hmac
import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from itertools import count
from typing import NamedTuple, Self
from urllib.parse import urlencode, urlsplit, urlunsplit

from finch_connections.domain.connection import CompanyKey
from finch_connections.domain.errors import Refusal
from finch_connections.domain.secret import SecretText
from finch_connections.domain.token_response import DEAD_AGAIN_AFTER, Introspection, TokenResponse

# A link to connect can be mailed and is good for days.
LINK_LIFETIME = timedelta(days=7)
# How long a Finch session may be open once a person clicked (`minutes_to_expire`, 1 to 129600).
FINCH_SESSION_LIFETIME = timedelta(hours=1)
# A second click reuses the Finch session while there is time left to go through it.
FINCH_SESSION_REUSE = timedelta(minutes=50)
# Finch's codes live ten minutes ("Redirect to Connect" in Finch's guide).
CODE_LIFETIME = timedelta(minutes=10)
COOKIE_LIFETIME = timedelta(hours=1)
# Longer than the function that exchanges a code can run.
EXCHANGE_LIMIT = timedelta(minutes=4)
# A token that nobody confirms until then is disconnected at Finch.
CONFIRM_WITHIN = timedelta(hours=24)
# How long an ended session still answers a reload, and one that nobody used is kept.
KEPT_AFTER_END = timedelta(days=30)

FINDING_COOKIE = "__Host-finch-connect-last"
_HANDLE = re.compile(r"[A-Za-z0-9_-]{43}")
_COMPLETION = re.compile(r"([0-9a-f]{64})\.([0-9a-f]{64})")


class SessionNotFound(Refusal):
    """There is no such connect session; start again."""

    code = "session_not_found"


class SessionExpired(Refusal):
    """This connect session has expired; start again."""

    code = "session_expired"


class SessionUsed(Refusal):
    """This connect session has been used already; start again."""

    code = "session_used"


class CodeRejected(Refusal):
    """Finch does not accept this code; start again."""

    code = "code_rejected"


class ExchangeUncertain(Refusal):
    """Finch's answer was lost on the way; start again, nothing that you did is in the way."""

    code = "exchange_uncertain"


class CannotConnect(Refusal):
    """This company cannot be connected to your account."""

    code = "cannot_connect"


class ReturnToNotAllowed(Refusal):
    """return_to is not one of the pages that this application returns to."""

    code = "return_to_not_allowed"


class ConnectionEnded(Refusal):
    """This connection ended at Finch before it was finished; start again."""

    code = "connection_ended"


class Mode(StrEnum):
    """How the person goes through Finch Connect: by redirects, or inside the page by Finch's SDK."""

    REDIRECT = "redirect"
    EMBEDDED = "embedded"


class Phase(StrEnum):
    """How far a session is. From `exchanging` on, it may be the only thing that knows of a token.

    `uncertain`: there may be a token that nobody has. `held`: a person must look at the token.
    `discarding`: nobody confirmed in time, and Finch is told to end the connection. `ended`: the
    token is revoked, or another one of its connection id is kept.
    """

    STARTED = "started"
    EXCHANGING = "exchanging"
    ESCROWED = "escrowed"
    COMPLETE = "complete"
    HELD = "held"
    UNCERTAIN = "uncertain"
    DISCARDING = "discarding"
    ENDED = "ended"

    def leads_to(self, later: Self) -> bool:
        """Whether a session in this phase may be moved to a later one."""
        return later in _NEXT[self]


_NEXT: Mapping[Phase, Collection[Phase]] = {
    # Another code may be consumed where the first one was wrong, or was never sent.
    Phase.STARTED: {Phase.STARTED, Phase.EXCHANGING},
    Phase.EXCHANGING: {Phase.STARTED, Phase.ESCROWED, Phase.UNCERTAIN},
    Phase.UNCERTAIN: {Phase.ESCROWED, Phase.ENDED},
    Phase.ESCROWED: {Phase.ESCROWED, Phase.COMPLETE, Phase.HELD, Phase.DISCARDING, Phase.ENDED},
    Phase.HELD: {Phase.HELD, Phase.COMPLETE, Phase.DISCARDING, Phase.ENDED},
    Phase.DISCARDING: {Phase.HELD, Phase.ENDED},
    Phase.COMPLETE: (),
    Phase.ENDED: (),
}


@dataclass(frozen=True)
class Escrow:
    """The sealed token that a session keeps until its connection is written, and what came with it.

    `state_echoed` and `browser_bound` are what the callback proved (RFC 9700 section 4.7).
    """

    ciphertext: bytes = field(repr=False)
    token_response: TokenResponse
    state_echoed: bool
    browser_bound: bool


@dataclass(frozen=True)
class ConnectSession:
    """One attempt of a customer to connect. Its handle is stored as `handle_hash` only.

    `attempt` names the request that consumed the code, so that no other moves on from there.
    `repairs` is the connection whose login it shall mend, `repairs_id` Finch's connection behind it.
    `dead_since` is when Finch first called the kept token dead, `discarding_since` when it was given up,
    `next_look` when its task comes again.
    """

    handle_hash: str
    customer_id: str
    customer_name: str
    mode: Mode
    products: tuple[str, ...]
    provider_id: str | None
    return_to: str | None
    redirect_uri: str | None
    binding_hash: str
    completion_key: bytes = field(repr=False)
    created_at: datetime
    phase: Phase = Phase.STARTED
    repairs: CompanyKey | None = None
    repairs_id: str | None = None
    finch_customer_id: str | None = None
    finch_connect_url: str | None = field(default=None, repr=False)
    finch_session_made_at: datetime | None = None
    attempt: str | None = None
    consumed_at: datetime | None = None
    code_hash: str | None = None
    completion_hash: str | None = None
    escrow: Escrow | None = None
    dead_since: datetime | None = None
    discarding_since: datetime | None = None
    next_look: datetime | None = None
    key: CompanyKey | None = None
    repaired: bool | None = None
    error: str | None = None

    @property
    def behind(self) -> frozenset[str]:
        """The Finch connections that it may have a token of: what it keeps, and what it repairs."""
        kept = self.escrow.token_response.connection_id if self.escrow else None
        return frozenset(one for one in (kept, self.repairs_id) if one)

    @property
    def binding_cookie(self) -> str:
        """The name of the cookie that proves that the browser which comes back is the one that began."""
        return binding_cookie(self.handle_hash)

    @property
    def link_expires_at(self) -> datetime:
        """When the link to connect stops working."""
        return self.created_at + LINK_LIFETIME

    @property
    def useful_until(self) -> datetime:
        """How long a person may still go to Finch Connect: an embedded session cannot be renewed."""
        embedded = self.created_at + FINCH_SESSION_LIFETIME
        return embedded if self.mode is Mode.EMBEDDED else self.link_expires_at

    @property
    def expires_at(self) -> datetime:
        """When a callback stops working: who clicked the link last minute still has time to finish."""
        return self.link_expires_at + FINCH_SESSION_LIFETIME + CODE_LIFETIME

    def reusable_connect_url(self, now: datetime) -> str | None:
        """Finch Connect's URL of an earlier click, while it leaves time to go through it."""
        made = self.finch_session_made_at
        return self.finch_connect_url if made and now < made + FINCH_SESSION_REUSE else None

    def under_repair(self, now: datetime) -> str | None:
        """Finch's connection of an earlier click, while that one may still lead to a code."""
        made = self.finch_session_made_at
        alive = made and now < made + FINCH_SESSION_LIFETIME + CODE_LIFETIME
        return self.repairs_id if alive else None

    def bound(self, cookies: Mapping[str, str]) -> bool:
        """Whether these cookies prove that the browser is the one that began the session."""
        value = cookies.get(self.binding_cookie)
        return value is not None and SecretText(value).matches(self.binding_hash)

    def completion(self, code: SecretText) -> SecretText:
        """The completion code for whoever returned with `code`: the same each time for the same code."""
        mac = hmac.new(self.completion_key, code.reveal().encode(), sha256).hexdigest()
        return SecretText(f"{self.handle_hash}.{mac}")


class CodeNote(NamedTuple):
    """Which session consumed a code, and whether Finch rejected it."""

    handle_hash: str
    rejected: bool


class NewSession(NamedTuple):
    """A session just begun, with the two secrets that are not stored: its handle and its binding."""

    session: ConnectSession
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
    now: datetime,
) -> NewSession:
    """A new session with a 256-bit handle and a 256-bit binding; raises `ReturnToNotAllowed`.

    Finch wants a name of the customer; without one it is told the id.
    """
    if mode is Mode.REDIRECT or return_to is not None:
        require_return_to(return_to, allowed_return_urls)
    handle, binding = new_secret(), new_secret()
    session = ConnectSession(
        handle_hash=handle.digest(),
        customer_id=customer_id,
        customer_name=customer_name or customer_id,
        mode=mode,
        products=products,
        provider_id=provider_id,
        return_to=return_to,
        redirect_uri=callback_url if mode is Mode.REDIRECT else None,
        binding_hash=binding.digest(),
        completion_key=secrets.token_bytes(32),
        created_at=now,
        repairs=repairs,
    )
    return NewSession(session, handle, binding)


def new_secret() -> SecretText:
    """A random text of 256 bits, fit for URLs and cookies."""
    return SecretText(secrets.token_urlsafe(32))


def binding_cookie(handle_hash: str) -> str:
    """The name of a session's binding cookie."""
    return f"__Host-finch-connect-{handle_hash[:16]}"


def require_return_to(return_to: str | None, allowed: Collection[str]) -> str:
    """The page to return to, which must be exactly one of the configured ones (RFC 9700 section 4.11)."""
    if return_to is None or return_to not in allowed:
        raise ReturnToNotAllowed
    return return_to


def require_handle(text: str | None) -> SecretText:
    """The handle that a link, a `state` or the finding cookie carries; raises `SessionNotFound`."""
    if text is None or not _HANDLE.fullmatch(text):
        raise SessionNotFound
    return SecretText(text)


def session_of_completion(completion: SecretText) -> str:
    """The `handle_hash` of the session that a completion code belongs to; raises `SessionNotFound`."""
    match = _COMPLETION.fullmatch(completion.reveal())
    if match is None:
        raise SessionNotFound
    return match[1]


def require_link(session: ConnectSession, now: datetime) -> None:
    """Refuses a link that was used or is too old; raises `SessionUsed` and `SessionExpired`."""
    if session.mode is not Mode.REDIRECT:
        raise SessionNotFound
    if session.phase is not Phase.STARTED:
        raise SessionUsed
    if now >= session.link_expires_at:
        raise SessionExpired


def require_code(session: ConnectSession, code: SecretText, now: datetime) -> None:
    """Refuses a code that must not be exchanged in this session.

    The code that a session has consumed is always welcome: it gets the outcome of its first time,
    also long after. While another code is being exchanged nothing is decided, for that one may be
    wrong. Raises `SessionUsed` and `SessionExpired`.
    """
    if session.phase is Phase.STARTED:
        if now >= session.expires_at:
            raise SessionExpired
    elif session.phase is not Phase.EXCHANGING and code.digest() != session.code_hash:
        raise SessionUsed


def require_unspent(note: CodeNote | None, session: ConnectSession) -> None:
    """Refuses a code that Finch rejected or that another session consumed; raises `CodeRejected`.

    A code is exchanged at most once, for a second time may revoke the first one's token (RFC 6749
    section 4.1.2).
    """
    if note is not None and (note.rejected or note.handle_hash != session.handle_hash):
        raise CodeRejected


def exchange_abandoned(session: ConnectSession, now: datetime) -> bool:
    """Whether the exchange that a session waits for can no longer be under way."""
    consumed_at = session.consumed_at
    return (
        session.phase is Phase.EXCHANGING
        and consumed_at is not None
        and now >= consumed_at + EXCHANGE_LIMIT
    )


def mended(session: ConnectSession, key: CompanyKey, connection_id: str) -> bool | None:
    """Whether a repair ended in the connection that it was for; None where nothing was to repair.

    Finch keeps the `connection_id` of what is repaired ("Reauthenticate session" in its reference):
    another one is another login, or another company.
    """
    if session.repairs is None:
        return None
    return key == session.repairs and connection_id == session.repairs_id


def confirm_until(session: ConnectSession) -> datetime:
    """How long a person may confirm what they connected."""
    return (session.consumed_at or session.created_at) + CONFIRM_WITHIN


def dead_for_good(session: ConnectSession, now: datetime) -> bool:
    """Whether a token that Finch calls dead now was dead long enough ago to believe it."""
    return session.dead_since is not None and now >= session.dead_since + DEAD_AGAIN_AFTER


def require_completion(session: ConnectSession, completion: SecretText, customer_id: str) -> None:
    """Refuses whoever is not the session's customer or did not return with its code.

    Raises `SessionNotFound` for both: a session of another customer does not exist.
    """
    expected = session.completion_hash
    if session.customer_id != customer_id or expected is None or not completion.matches(expected):
        raise SessionNotFound


def next_finch_customer_id(customer_id: str, taken: Collection[str]) -> str:
    """The first name for a customer that is not among `taken`.

    Finch refuses a second connection under one `customer_id` (`connection_already_exists`), so the
    later ones are numbered: `~` cannot stand in a customer's id, so it is never another customer's.
    """
    if customer_id not in taken:
        return customer_id
    return next(name for n in count(2) if (name := f"{customer_id}~{n}") not in taken)


def unguessed_finch_customer_id(customer_id: str) -> str:
    """A name with a number that no attempt, finished or not, has been given."""
    return f"{customer_id}~{10**12 + secrets.randbelow(10**12)}"


def issued_to(finch_customer_id: str, customer_id: str) -> bool:
    """Whether Finch's name for a customer is one that we made for this customer."""
    name, tilde, number = finch_customer_id.partition("~")
    return name == customer_id and (not tilde or number.isdecimal())


def require_same(
    token_response: TokenResponse, introspection: Introspection, client_id: str
) -> None:
    """Refuses a token that is not of our application or not of the connection it came for.

    Raises `CannotConnect`.
    """
    companies = {token_response.company_id, introspection.company_id} - {None, ""}
    if not (
        introspection.client_id == client_id
        and introspection.connection_id == token_response.connection_id
        and introspection.provider_id == token_response.provider_id
        and len(companies) <= 1
    ):
        raise CannotConnect


def require_theirs(session: ConnectSession, escrow: Escrow, introspection: Introspection) -> None:
    """Refuses a token that nothing shows to be of the session's customer; raises `CannotConnect`.

    Either the echoed `state` or the customer that Finch names must tie it to this session: a code
    that an attacker put into another person's browser carries neither (RFC 9700 sections 4.5 and
    4.7). Whatever Finch names must be theirs.
    """
    named = [one for one in (escrow.token_response.customer_id, introspection.customer_id) if one]
    if not (
        all(issued_to(one, session.customer_id) for one in named) and (escrow.state_echoed or named)
    ):
        raise CannotConnect


def return_url(
    session: ConnectSession | None, allowed_return_urls: Sequence[str], outcome: Mapping[str, str]
) -> str:
    """The page to return to with the outcome.

    The first of the configured ones takes whoever has no session, or one whose page is configured
    no longer.
    """
    page = session.return_to if session else None
    if page is None or page not in allowed_return_urls:
        page = allowed_return_urls[0]
    return with_query(page, outcome)


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """The URL with parameters added to those it has."""
    parts = urlsplit(url)
    query = "&".join(filter(None, [parts.query, urlencode(parameters)]))
    return urlunsplit(parts._replace(query=query))
