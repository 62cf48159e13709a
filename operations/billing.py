"""`billing`: every Finch connection that is billed, why it lives, its last use, and what to fix."""

import csv
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path

from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.dynamodb import FOR_EVER, Due
from finch_connections.aws.session_table import SessionTable
from finch_connections.domain.connect_session import (
    Escrowed,
    Exchanging,
    Held,
    Keeping,
    Uncertain,
    kept_alive,
)
from finch_connections.domain.connection import (
    DISCONNECT_REFUSED,
    Connection,
    ConnectionStatus,
    is_pair_id,
    status_of_tokens,
    unused,
)
from finch_connections.domain.identifier import is_finch_id
from finch_connections.domain.work_item import STUCK_AFTER
from operations.stack import CannotOperate, ExitCode, Say, Stack, progress, table

_READERS = 10
_HEADS = ("CUSTOMER", "PROVIDER", "COMPANY", "CONNECTION", "WHY", "AGE", "LAST USE")
# These are worse than an idle connection.
_NOT_ENDED = {ConnectionStatus.DISCONNECTING.value, DISCONNECT_REFUSED}

# Finch does not document the format of its export. The names are compared without case and signs, and an
# earlier name wins.
_ID_NAMES = ("connectionid", "finchconnectionid", "connection", "id")
_STATUS_NAMES = ("connectionstatus", "status")
_DELIMITERS = ",;\t|"
# A title or a line such as `sep=;` may come before the header.
_HEADER_WITHIN = 10
_EXAMPLE = "connection_id,customer_id,status"


@dataclass(frozen=True)
class Billed:
    """A Finch connection that is billed. `fix` is the command for what is wrong with it, if anything is.

    `connection_id` is None if Finch has not named it. `session` is the session that keeps a connection
    which no customer has.
    """

    customer_id: str
    provider_id: str | None
    company_id: str | None
    connection_id: str | None
    session: str | None
    why: str
    since: datetime
    used_at: datetime | None
    idle: bool
    retry: str
    fix: str | None

    def cells(self, now: datetime) -> list[str]:
        """The columns of the table."""
        used = f"{_days(now - self.used_at)} ago" if self.used_at else "never"
        return [
            *(self.customer_id, self.provider_id or "-", self.company_id or "-"),
            *(self.connection_id or "-", self.why, _days(now - self.since)),
            f"{used}, idle" if self.idle else used,
        ]


@dataclass(frozen=True)
class Compared:
    """The differences to Finch's export: ids that only Finch has, and connections that only we have.

    `left_out` is the number of our connections that Finch has not named, so they cannot be compared.
    """

    at_finch_only: Sequence[str]
    here_only: Sequence[Billed]
    left_out: int


def billing(
    stack: Stack,
    now: datetime,
    say: Say,
    *,
    price: Decimal | None,
    compare: Path | None,
    as_json: bool,
) -> ExitCode:
    """Shows what Finch bills; the exit code says whether there is anything to fix."""
    export = read_export(compare) if compare else None
    found = read(stack, now)
    compared = None if export is None else difference(found, export)
    if as_json:
        say(json.dumps(_facts(found, compared, price), indent=2, default=datetime.isoformat))
    else:
        for line in _picture(found, compared, price, now):
            say(line)
    different = compared and (compared.at_finch_only or compared.here_only)
    wrong = any(one.fix for one in found) or different
    return ExitCode.PERSON_NEEDED if wrong else ExitCode.DONE


def read(stack: Stack, now: datetime) -> list[Billed]:
    """Every Finch connection once, those of customers first."""
    client = stack.client("dynamodb")
    connections = ConnectionTable(client, stack.outputs["ConnectionsTableName"])
    sessions = SessionTable(client, stack.outputs["ConnectSessionsTableName"])
    idle_before = now - timedelta(days=int(stack.parameters["IdleDays"]))
    keys = {row for kind in Due for row in connections.due(kind, now + FOR_EVER)}
    progress(f"Reading the connections, {len(keys)} in all.")
    with ThreadPoolExecutor(_READERS) as pool:
        rows = list(pool.map(lambda row: connections.show(*row), sorted(keys, key=str)))
    found = {
        one.connection_id: one for row in rows if row for one in _attached(row, idle_before, now)
    }
    attached = {id_ for row in rows if row for id_ in row.connection_ids}
    for session in sessions.keeping_alive(now):
        id_ = kept_alive(session)
        if id_ not in attached and id_ not in found:
            found[id_] = _unattached(session, now)
    return list(found.values())


def _attached(connection: Connection, idle_before: datetime, now: datetime) -> Iterator[Billed]:
    """The Finch connections of a customer's connection that Finch has not ended."""
    customer_id, key = connection.customer_id, connection.key
    live = connection.live_connection_ids
    idle = unused(connection, idle_before).intersection(live)
    names = (
        f"--customer={customer_id}",
        f"--provider={key.provider_id}",
        f"--company={key.company_id}",
    )
    retry = _command("resolve", "retry", *names)
    inspect = _command("inspect", *(["--"] if customer_id.startswith("-") else []), customer_id)
    since = connection.disconnecting_since
    for connection_id in live:
        tokens = [one for one in connection.tokens if one.connection_id == connection_id]
        why, fix = status_of_tokens(tokens).value, None
        if since:
            why = ConnectionStatus.DISCONNECTING.value
            fix = retry if now >= since + STUCK_AFTER else None
        elif connection.problem == DISCONNECT_REFUSED:
            why, fix = DISCONNECT_REFUSED, inspect
        elif connection_id in idle:
            # The command ends all Finch connections of the row.
            fix = _command("resolve", "end", *names) if idle.issuperset(live) else inspect
        yield Billed(
            customer_id,
            key.provider_id,
            key.company_id,
            connection_id,
            None,
            why,
            min(one.connected_at for one in tokens),
            connection.used_at.get(connection_id),
            connection_id in idle,
            retry,
            fix,
        )


def _unattached(session: Exchanging | Uncertain | Keeping, now: datetime) -> Billed:
    """The Finch connection that a session keeps, or may keep, for no customer's connection."""
    attempt, since = session.attempt, session.consumption.consumed_at
    response = session.escrow.token_response if isinstance(session, Keeping) else None
    retry = _command("resolve", "retry", attempt.handle_hash)
    why, waits_until = session.phase.value, since
    if isinstance(session, Escrowed) and not session.escrow.browser_bound:
        why, waits_until = "unconfirmed", session.consumption.confirm_until
    fix = retry if now >= waits_until + STUCK_AFTER else None
    if isinstance(session, Held):
        fix = _command("resolve", "disconnect", attempt.handle_hash)
    elif isinstance(session, Uncertain):
        fix = _command("resolve", "list")
    known = kept_alive(session)
    return Billed(
        attempt.customer_id,
        response.provider_id if response else None,
        response.company_id if response else None,
        None if known == attempt.handle_hash else known,
        attempt.handle_hash,
        why,
        since,
        None,
        False,
        retry,
        fix,
    )


def read_export(path: Path) -> set[str]:
    """The ids of the live connections in an export of Finch's dashboard; raises `CannotOperate`."""
    try:
        text = _decoded(path.read_bytes())
    except OSError as error:
        raise CannotOperate(f"{path} cannot be read: {error.strerror}.") from error
    for delimiter in _DELIMITERS:
        try:
            rows = list(csv.reader(StringIO(text, newline=""), delimiter=delimiter))
        except csv.Error:
            continue
        for number, heads in enumerate(rows[:_HEADER_WITHIN]):
            if (place := _place(heads, _ID_NAMES)) is not None:
                found = set(_ids(rows[number + 1 :], place, _place(heads, _STATUS_NAMES)))
                if not found:
                    raise CannotOperate(
                        f"{path} has the column {heads[place].strip()} and no connection in it. "
                        f"Export the connections again; a usable file begins with: {_EXAMPLE}"
                    )
                return found
    raise CannotOperate(
        f"{path} has no column with connection ids. Export the connections of Finch's dashboard as CSV; "
        f"a usable file begins with: {_EXAMPLE}"
    )


def _decoded(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Older spreadsheets. Ids have the same bytes in all of these.
        return content.decode("latin-1")


def _place(heads: Sequence[str], names: Iterable[str]) -> int | None:
    plain = ["".join(filter(str.isalnum, head.casefold())) for head in heads]
    return next((plain.index(name) for name in names if name in plain), None)


def _ids(rows: Iterable[Sequence[str]], place: int, status: int | None) -> Iterator[str]:
    for row in rows:
        id_ = row[place].strip() if place < len(row) else ""
        ended = (
            status is not None
            and status < len(row)
            and (row[status].strip().casefold() == ConnectionStatus.DISCONNECTED)
        )
        # An id from the file is printed, so it must not control the terminal.
        if is_finch_id(id_) and not ended:
            yield id_


def difference(found: Sequence[Billed], export: set[str]) -> Compared:
    """The differences between our connections and Finch's export."""
    named = [one for one in found if one.connection_id and not is_pair_id(one.connection_id)]
    ours = {one.connection_id for one in named}
    return Compared(
        sorted(export - ours),
        [one for one in named if one.connection_id not in export],
        len(found) - len(named),
    )


def _facts(
    found: Sequence[Billed], compared: Compared | None, price: Decimal | None
) -> Mapping[str, object]:
    idle = sum(one.idle for one in found)
    return {
        "live": len(found),
        "idle": idle,
        "monthly_cost": None if price is None else float(price * len(found)),
        "monthly_cost_of_idle": None if price is None else float(price * idle),
        "connections": [asdict(one) for one in found],
        "compared": compared
        and {
            "at_finch_only": [
                {"connection_id": one, "fix": _command("inspect", f"--connection={one}")}
                for one in compared.at_finch_only
            ],
            "here_only": [
                {"connection_id": one.connection_id, "fix": one.retry} for one in compared.here_only
            ],
            "left_out": compared.left_out,
        },
    }


def _picture(
    found: Sequence[Billed], compared: Compared | None, price: Decimal | None, now: datetime
) -> Iterator[str]:
    cost = [] if price is None else [f"{price:.2f}"]
    heads = (*_HEADS, *(["A MONTH"] if cost else []))
    if found:
        yield from table(heads, [[*one.cells(now), *cost] for one in found])
    idle = sum(one.idle for one in found)
    yield f"Live connections: {len(found)}, of them idle: {idle}."
    if price is not None:
        yield f"They cost {price * len(found):.2f} a month, the idle connections {price * idle:.2f}."
    for one in found:
        if one.fix:
            problem = "idle" if one.idle and one.why not in _NOT_ENDED else one.why
            yield f"{one.connection_id or one.session} is {problem} -> {one.fix}"
    if compared is None:
        return
    for id_ in compared.at_finch_only:
        yield f"{id_} is only at Finch -> {_command('inspect', f'--connection={id_}')}"
    if compared.at_finch_only:
        yield (
            "Only Finch can end a connection without a token here. If `resolve list` has an uncertain "
            "exchange, its customer gets the connection back by connecting again."
        )
    for one in compared.here_only:
        yield f"{one.connection_id} is only here -> {one.retry}"
    if compared.left_out:
        yield f"Not compared, because Finch has not named them: {compared.left_out}."
    if not (compared.at_finch_only or compared.here_only):
        yield "Finch's export has the same connections."


def _command(*words: str) -> str:
    return shlex.join(("finch-connections", *words))


def _days(length: timedelta) -> str:
    return "1 day" if length.days == 1 else f"{length.days} days"
