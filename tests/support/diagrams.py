"""The diagrams of the documents, as SVG files: `python -m tests.support.diagrams` writes them.

The state diagrams come from the rules in the code. The sequence diagrams are written here.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple
from xml.sax.saxutils import escape

from finch_connections.domain.connect_session import Phase
from finch_connections.domain.connection import (
    CompanyKey,
    Connection,
    ConnectionBusy,
    ConnectionStatus,
    Token,
    attach,
    disconnect_refused,
    disconnected,
    disconnecting,
)
from finch_connections.domain.health import Finding, with_findings
from finch_connections.domain.token_response import DEAD_AGAIN_AFTER
from tests.support.deployed import ROOT

FOLDER = ROOT / "docs" / "diagrams"
INK, SOFT, LINE, FILL = "#1b1f24", "#57606a", "#8c959f", "#eef2fb"

type Edges = Mapping[tuple[str, str], str]


class Message(NamedTuple):
    """A message of a sequence diagram; `reply` draws it dashed."""

    sender: str
    receiver: str
    text: str
    reply: bool = False


BROWSER, CODE, FINCH, STORE, QUEUE = "Browser", "Functions", "Finch", "Tables, KMS", "Queue"
SEQUENCES: Mapping[str, Sequence[Message]] = {
    "connect": (
        Message(BROWSER, CODE, "POST /connect-sessions"),
        Message(CODE, STORE, "write the session"),
        Message(CODE, BROWSER, "link, binding cookie", reply=True),
        Message(BROWSER, CODE, "GET /connect/{handle}"),
        Message(CODE, FINCH, "create a Connect session"),
        Message(CODE, BROWSER, "redirect to Finch Connect", reply=True),
        Message(BROWSER, FINCH, "the user logs in"),
        Message(FINCH, BROWSER, "redirect with code and state", reply=True),
        Message(BROWSER, CODE, "GET /callback"),
        Message(CODE, STORE, "consume the session with the code"),
        Message(CODE, FINCH, "exchange the code"),
        Message(CODE, STORE, "encrypted token into escrow"),
        Message(CODE, FINCH, "introspect the token"),
        Message(CODE, STORE, "connection, ownership, session: one transaction"),
        Message(CODE, BROWSER, "redirect to return_to: connected", reply=True),
    ),
    "repair": (
        Message(FINCH, CODE, "webhook: account.updated"),
        Message(CODE, QUEUE, "work item: check health"),
        Message(QUEUE, CODE, "a minute later"),
        Message(CODE, FINCH, "introspect every token"),
        Message(CODE, STORE, "status reauth"),
        Message(BROWSER, CODE, "POST …/reauthenticate"),
        Message(CODE, BROWSER, "link", reply=True),
        Message(BROWSER, CODE, "GET /connect/{handle}"),
        Message(CODE, FINCH, "create a reauthentication session"),
        Message(CODE, BROWSER, "redirect to Finch Connect", reply=True),
        Message(BROWSER, CODE, "GET /callback, as in connect"),
        Message(CODE, STORE, "new token replaces the login's old token"),
        Message(CODE, BROWSER, "redirect to return_to: repaired=true", reply=True),
    ),
    "disconnect": (
        Message(BROWSER, CODE, "DELETE /connections/…"),
        Message(CODE, STORE, "mark disconnecting"),
        Message(CODE, STORE, "decrypt the tokens"),
        Message(CODE, FINCH, "disconnect each Finch connection"),
        Message(FINCH, CODE, "confirmed", reply=True),
        Message(CODE, STORE, "remove tokens, free ownership: one transaction"),
        Message(CODE, BROWSER, "200 disconnected", reply=True),
        Message(CODE, BROWSER, "or 202 disconnecting: not confirmed yet", reply=True),
        Message(QUEUE, CODE, "work item: try again until confirmed"),
    ),
}

NONE = "no connection"
WORKS, NEEDS_USER = "pending, processing, connected", "reauth, error_…, unknown"
_GROUPS = {
    ConnectionStatus.PENDING: WORKS,
    ConnectionStatus.PROCESSING: WORKS,
    ConnectionStatus.CONNECTED: WORKS,
    ConnectionStatus.REAUTH: NEEDS_USER,
    ConnectionStatus.ERROR_PERMISSIONS: NEEDS_USER,
    ConnectionStatus.ERROR_NO_ACCOUNT_SETUP: NEEDS_USER,
    ConnectionStatus.UNKNOWN: NEEDS_USER,
    ConnectionStatus.DISCONNECTING: "disconnecting",
    ConnectionStatus.DISCONNECTED: "disconnected",
}
# The causes of a move, each with its line: a colour and dashes.
LOGIN, CHECK, DISCONNECT = "a login", "a check", "a disconnect"
CONFIRMED, REFUSED = "Finch confirms", "Finch refuses for 3 days"
CAUSES = {
    LOGIN: ("#1a7f37", ""),
    CHECK: ("#57606a", "2 3"),
    DISCONNECT: ("#0a58ca", "7 3"),
    CONFIRMED: ("#0a58ca", ""),
    REFUSED: ("#b42318", "7 3"),
}


def session_edges() -> Edges:
    """The moves of a connect session between phases, by the rule that allows them."""
    return {
        (before.value, after.value): ""
        for before in Phase
        for after in Phase
        if before is not after and before.leads_to(after)
    }


def connection_edges() -> Edges:
    """The moves of a connection between groups of statuses, by the rules applied to each status."""
    found: dict[tuple[str, str], str] = {}
    for before, after, cause in _moves():
        start = _GROUPS[before.status] if before else NONE
        end = _GROUPS[after.status]
        if start != end:
            found.setdefault((start, end), cause)
    return found


def _moves() -> Iterator[tuple[Connection | None, Connection, str]]:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    key = CompanyKey("provider", "company")
    finch = [one for one in ConnectionStatus if not one.startswith("disconnect")]
    token = Token("token-1", "connection-1", frozenset(), ConnectionStatus.CONNECTED, now)
    fresh = [attach(None, "acme", key, replace(token, status=one), b"", now) for one in finch]
    ending = [disconnecting(one, now) for one in fresh]
    ended = [disconnected(one, now) for one in ending]
    for made in fresh:
        yield None, made, LOGIN
        yield made, disconnecting(made, now), DISCONNECT
        for word in (*finch, ConnectionStatus.DISCONNECTED):
            doubted = with_findings(made, {token.id: Finding(word)}, now)
            later = now + DEAD_AGAIN_AFTER
            yield made, with_findings(doubted, {token.id: Finding(word)}, later), CHECK
    for before in (*fresh, *ending, *ended):
        for status in finch:
            login = replace(token, status=status)
            try:
                yield before, attach(before, "acme", key, login, b"", now), LOGIN
            except ConnectionBusy:
                assert before in ending
    for before in ending:
        yield before, disconnected(before, now), CONFIRMED
        yield before, disconnect_refused(before, now), REFUSED


def states(title: str, order: Sequence[str], edges: Edges) -> str:
    """A state diagram: the states in a column, moves down on the right, moves up on the left."""
    box, height, gap, reach = 230, 34, 34, 36
    spans = [order.index(end) - order.index(start) for start, end in edges]
    x = reach * max((-one for one in spans), default=0) + 30
    causes = [one for one in CAUSES if one in edges.values()]
    right = reach * max(spans) + (250 if causes else 30)
    tops = {name: 20 + place * (height + gap) for place, name in enumerate(order)}
    parts = []
    for (start, end), cause in edges.items():
        span = order.index(end) - order.index(start)
        if span == 1:
            middle = x + box / 2
            ends = (middle, tops[start] + height, middle, tops[end])
            parts.append(_path("M{:.0f} {:.0f} L{:.0f} {:.0f}".format(*ends), cause))
            continue
        y1, y2 = (
            tops[start] + height * (0.5 + 0.09 * span),
            tops[end] + height * (0.5 - 0.09 * span),
        )
        side = x + box if span > 0 else x
        bend = side + reach * span * 1.25
        curve = (side, y1, bend, y1, bend, y2, side, y2)
        parts.append(
            _path("M{:.0f} {:.1f} C{:.0f} {:.1f} {:.0f} {:.1f} {:.0f} {:.1f}".format(*curve), cause)
        )
    for name, top in tops.items():
        parts.append(
            f'<rect x="{x}" y="{top}" width="{box}" height="{height}" rx="8" fill="{FILL}" '
            f'stroke="{LINE}"/>'
        )
        parts.append(_text(x + box / 2, top + height / 2 + 5, name, anchor="middle"))
    width = x + box + right
    for place, cause in enumerate(causes):
        left, y = width - 215, 37 + 26 * place
        parts += [_path(f"M{left} {y} L{left + 40} {y}", cause), _text(left + 50, y + 4, cause)]
    return _svg(title, width, 6 + len(order) * (height + gap), parts)


def _path(path: str, cause: str) -> str:
    colour, dashes = CAUSES.get(cause, (SOFT, ""))
    return (
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.3" '
        f'stroke-dasharray="{dashes or "none"}" marker-end="url(#head)"/>'
    )


def sequence(title: str, messages: Sequence[Message]) -> str:
    """A sequence diagram: a column for each participant, a row for each message."""
    names = (BROWSER, CODE, FINCH, STORE, QUEUE)
    used = [one for one in names if any(one in (m.sender, m.receiver) for m in messages)]
    column, row, head = 184, 36, 60
    width = column * len(used)
    centre = {name: column * place + column / 2 for place, name in enumerate(used)}
    height = head + row * len(messages) + 20
    parts = []
    for name, x in centre.items():
        parts += [
            f'<line x1="{x:.0f}" y1="{head - 14}" x2="{x:.0f}" y2="{height - 10}" stroke="{LINE}" '
            'stroke-dasharray="2 4"/>',
            f'<rect x="{x - 65:.0f}" y="12" width="130" height="34" rx="8" fill="{FILL}" '
            f'stroke="{LINE}"/>',
            _text(x, 34, name, anchor="middle", weight="600"),
        ]
    for place, message in enumerate(messages):
        start, end = centre[message.sender], centre[message.receiver]
        y = head + row * (place + 1) - 8
        parts.append(_arrow(start, y, end, y, dashed=message.reply))
        # Next to the sender's line, where it fits.
        parts.append(_text((start + end) / 2, y - 7, message.text, anchor="middle", small=True))
    return _svg(title, width, height, parts)


def _arrow(x1: float, y1: float, x2: float, y2: float, *, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    return (
        f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" stroke="{SOFT}"{dash} '
        'marker-end="url(#head)"/>'
    )


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    weight: str = "400",
    small: bool = False,
) -> str:
    if not text:
        return ""
    size, colour = (12, SOFT) if small else (13, INK)
    # The white outline keeps a text readable on a line.
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-weight="{weight}" '
        f'font-size="{size}" fill="{colour}" stroke="#ffffff" stroke-width="4" '
        f'paint-order="stroke">{escape(text)}</text>'
    )


def _svg(title: str, width: float, height: float, parts: Sequence[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="system-ui, sans-serif">',
            f"<title>{escape(title)}</title>",
            '<defs><marker id="head" markerWidth="9" markerHeight="8" refX="8" refY="4" '
            'orient="auto"><path d="M0 0 L9 4 L0 8 z" fill="context-stroke"/></marker></defs>',
            f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
            *filter(None, parts),
            "</svg>",
            "",
        ]
    )


def diagrams() -> dict[str, str]:
    """The content of each file in docs/diagrams."""
    groups = [NONE, *dict.fromkeys(_GROUPS.values())]
    phases = [
        *(Phase.STARTED, Phase.EXCHANGING, Phase.UNCERTAIN, Phase.ESCROWED),
        *(Phase.COMPLETE, Phase.HELD, Phase.DISCARDING, Phase.ENDED),
    ]
    assert set(phases) == set(Phase)
    return {
        "session-states.svg": states(
            "States of a connect session", [one.value for one in phases], session_edges()
        ),
        "connection-states.svg": states("States of a connection", groups, connection_edges()),
        **{
            f"{name}.svg": sequence(f"Sequence: {name}", messages)
            for name, messages in SEQUENCES.items()
        },
    }


if __name__ == "__main__":
    for file, content in diagrams().items():
        (FOLDER / file).write_text(content)
        sys.stdout.write(f"docs/diagrams/{file} is written.\n")
