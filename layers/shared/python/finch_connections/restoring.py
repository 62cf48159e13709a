"""The flow that restores: of a backup of the tables comes back what Finch says is alive, and no more.

A backup is older than what is there now: since then connections were made, repaired and ended, and
companies have changed hands. So what is there now stays, every token is asked about at Finch, and
claims are taken anew, never restored.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from botocore.exceptions import ClientError

from finch_connections import connecting, refreshing
from finch_connections.claim import Ownership
from finch_connections.connect_session import CannotConnect, ConnectSession, Phase
from finch_connections.connection import (
    Connection,
    ConnectionBusy,
    ConnectionStatus,
    Token,
    restored,
)
from finch_connections.connection_table import ConnectionTable
from finch_connections.dynamodb import Conflict, Item, scan
from finch_connections.finch_failure import FinchFailure, TokenDead
from finch_connections.health import Finding
from finch_connections.log import logger
from finch_connections.releasing import covered
from finch_connections.session_table import read_backup
from finch_connections.step import Cursor, Step
from finch_connections.task import ConnectionTask, SessionTask, Task
from finch_connections.token_vault import SealedByAnother, about_this_one

CONNECTIONS, SESSIONS = "connections", "sessions"
RESTORED, DEAD, COVERED, THERE = "restored", "dead at Finch", "covered", "there already"


@dataclass(frozen=True)
class Backup:
    """The tables that were restored beside those in use; either may be left out."""

    connections: ConnectionTable | None
    sessions: str | None


def restore(
    backup: Backup,
    cursor: Cursor | None,
    *,
    now: datetime,
    in_time: Callable[[], bool],
    outside: connecting.Outsiders,
) -> Step:
    """One step through a backup. It may be run again from any point, and as often as one likes."""
    step = Step(cursor or Cursor(CONNECTIONS))
    while step.next and in_time():
        step.next = _page(step, backup, step.next, now, outside)
    return step


def _page(
    step: Step, backup: Backup, at: Cursor, now: datetime, outside: connecting.Outsiders
) -> Cursor | None:
    if at.part == CONNECTIONS:
        if backup.connections is None:
            return Cursor(SESSIONS)
        connections, last = backup.connections.everybodys(at.after)
        for connection in connections:
            _connection(step, connection, now, outside)
        return Cursor(CONNECTIONS, last) if last else Cursor(SESSIONS)
    if backup.sessions is None:
        return None
    items, last = scan(outside.sessions.client, backup.sessions, at.after)
    for item in items:
        session = read_backup(item)
        if session:
            _session(step, session, item, now, outside)
    return Cursor(SESSIONS, last) if last else None


def _connection(
    step: Step, backup: Connection, now: datetime, outside: connecting.Outsiders
) -> None:
    customer_id, key = backup.customer_id, backup.key
    row = {"customer_id": customer_id, "provider_id": key.provider_id, "company_id": key.company_id}
    there = outside.connections.get(customer_id, key)
    behind = there.connection_ids if there else ()
    alive: list[Token] = []
    try:
        for token in backup.tokens:
            if there and token.id in there.sealed:
                step.done[THERE] += 1
            elif token.connection_id in behind or _covered(token.connection_id, outside):
                step.done[COVERED] += 1
            elif said := refreshing.finding(backup, token, outside):
                if said.status is ConnectionStatus.DISCONNECTED:
                    step.done[DEAD] += 1
                else:
                    alive.append(_as_found(token, said))
            else:
                step.leave("Finch says nothing of use", **row, connection_id=token.connection_id)
        if alive:
            _write(restored(there, backup, alive, now), alive, now, outside)
            step.done[RESTORED] += len(alive)
    except (FinchFailure, ConnectionBusy, Conflict) as error:
        step.leave(type(error).__name__, **row)
    except (ClientError, SealedByAnother) as error:
        step.leave(about_this_one(error), **row)


def _covered(connection_id: str, outside: connecting.Outsiders) -> bool:
    """Whether anybody has a token of a Finch connection that lives: the claim alone may be left of it."""
    claim = outside.claims.of_connection_id(connection_id)
    return bool(claim and covered(connection_id, claim, outside))


def _as_found(token: Token, said: Finding) -> Token:
    return replace(
        token,
        status=said.status,
        status_detail=said.detail,
        entities=token.entities if said.entities is None else said.entities,
        methods=token.methods if said.methods is None else said.methods,
        suspected=None,
        suspected_since=None,
    )


def _write(
    after: Connection, alive: list[Token], now: datetime, outside: connecting.Outsiders
) -> None:
    """Writes a connection with its claims, or nothing: raises `Conflict` where one is another's."""
    customer_id, key = after.customer_id, after.key
    task = Task.first(ConnectionTask(customer_id, key), now)
    outside.queue.send(task, now)
    taking = [Ownership.of_company(customer_id, key)]
    taking += [
        Ownership.of_connection_id(one, customer_id, key)
        for one in dict.fromkeys(token.connection_id for token in alive)
    ]
    outside.connections.write(after, [outside.claims.taking(one) for one in taking])
    logger.warning("connection restored", customer_id=customer_id, provider_id=key.provider_id)


def _session(
    step: Step, backup: ConnectSession, item: Item, now: datetime, outside: connecting.Outsiders
) -> None:
    """Puts back what only a person can decide about: a token that nobody has, or may have."""
    handle_hash, escrow = backup.handle_hash, backup.escrow
    if escrow is None and backup.phase not in (Phase.EXCHANGING, Phase.UNCERTAIN):
        return
    if outside.sessions.get(handle_hash):
        step.done[THERE] += 1
        return
    try:
        if escrow:
            connection_id = escrow.grant.connection_id
            if connection_id and _covered(connection_id, outside):
                step.done[COVERED] += 1
                return
            outside.finch.introspect(connecting.open_escrow(backup, escrow, outside))
            backup = replace(backup, phase=Phase.HELD, error=CannotConnect.code)
        holding = [outside.claims.holding(one, handle_hash) for one in backup.behind]
        outside.queue.send(Task.first(SessionTask(handle_hash), now), now)
        outside.sessions.put_back(backup, item, now, holding)
    except TokenDead:
        step.done[DEAD] += 1
    except (FinchFailure, Conflict) as error:
        step.leave(type(error).__name__, session=handle_hash)
    except (ClientError, SealedByAnother) as error:
        step.leave(about_this_one(error), session=handle_hash)
    else:
        step.done["held for a person"] += 1
