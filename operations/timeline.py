"""A history in plain words, and as JSON."""

from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any

from finch_connections.domain.connect_session import ConnectSession
from finch_connections.domain.connection import ConnectionStatus
from finch_connections.domain.history import MOST_ENTRIES, HistoryEntry

# By step, or by step and code.
_WORDS: Mapping[str, str] = {
    "started": "The link was made.",
    "sent": "The link was opened, and the browser was sent to Finch Connect.",
    "not_sent": "The link was opened, but Finch made no session.",
    "denied": "The browser came back without a code.",
    "denied access_denied": "The user gave no access at Finch Connect.",
    "exchanging": "A browser came back with a code.",
    "exchanging browser_bound": "The browser that began the attempt came back with a code.",
    "exchanging browser_not_bound": (
        "A browser came back with a code. Nothing shows that it began the attempt."
    ),
    "not_exchanged": "Finch did not exchange the code.",
    "escrowed": "Finch exchanged the code, and the token was encrypted.",
    "uncertain": "Finch's response to the code was lost. A token may exist at Finch.",
    "tried": "The attempt could not be finished. It is tried again.",
    "awaited": "Finch described the token. The user must confirm.",
    "confirmed": "The user confirmed the connection.",
    "confirmed customer": "The user confirmed the connection.",
    "confirmed operator": "An operator decided to attach the token.",
    "verified": "Finch described the token, and it may be attached.",
    "complete": "The token was attached to the connection.",
    "dead": "Finch called the token dead for the first time.",
    "held": "The token was held.",
    "discarding": "The token must not be attached any more. Finch is asked to end its connection.",
    "ended": "The attempt ended, and its token was forgotten.",
    "restored": "An operator restored this from a backup.",
    "not_ended": "Finch did not confirm the end.",
    "login_added": "A login was added.",
    "login_renewed": "A login got a new token.",
    "login_gone": "A login was removed.",
    "problem": "A problem was found.",
    "ended_at_finch": "Finch confirmed the end of a login.",
    "entity_ending": "The disconnect of an entity began.",
    "entity_ended": "An entity is disconnected.",
    "entity_not_ended": "Finch did not confirm the end of an entity.",
    "entity_refused": "Finch has refused for days to end an entity.",
    **{status: f"The status became {status}." for status in ConnectionStatus},
    "disconnecting": "The disconnect began.",
    "disconnected": "The connection is disconnected.",
}


def history_of(session: ConnectSession) -> list[HistoryEntry]:
    """The entries of a session in the order of their times."""
    attempt = session.attempt
    entries = [*attempt.history, *([attempt.tried] if attempt.tried else [])]
    return sorted(entries, key=attrgetter("at"))


def lines(history: Iterable[HistoryEntry]) -> Iterator[str]:
    """A line for each entry. The times are in UTC."""
    entries = list(history)
    for entry in entries:
        yield f"{entry.at:%Y-%m-%d %H:%M:%S}  {text(entry)}"
    if len(entries) >= MOST_ENTRIES:
        yield "Some entries between the first and the newest are left out."


def facts(history: Iterable[HistoryEntry]) -> list[dict[str, Any]]:
    """The entries as JSON."""
    return [{**one._asdict(), "at": one.at.isoformat(), "text": text(one)} for one in history]


def text(entry: HistoryEntry) -> str:
    """An entry in plain words, with the code of its outcome and Finch's id of the response."""
    words = _WORDS.get(f"{entry.step} {entry.code}")
    request = f"Finch request {entry.finch_request_id}" if entry.finch_request_id else None
    details = [one for one in (None if words else entry.code, request) if one]
    words = words or _WORDS.get(entry.step, entry.step)
    return f"{words} ({', '.join(details)})" if details else words
