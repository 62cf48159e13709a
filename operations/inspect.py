"""`inspect`: the connections, attempts to connect and token requests of a customer."""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from finch_connections.aws.audit_table import AuditTable
from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.ownership_table import OwnershipTable
from finch_connections.aws.session_table import SessionTable
from finch_connections.domain.connect_session import Complete, ConnectSession, Ended, Started
from finch_connections.domain.connection import Connection, ConnectionStatus
from finch_connections.domain.history import History
from finch_connections.domain.token_request import AuditRecord
from finch_connections.web.connection_response import connection_response
from operations import timeline
from operations.stack import CannotOperate, Say, Stack

_SHOWN_RECORDS = 5
# Of the attempts that are over, or that wait for a login.
_SHOWN_ATTEMPTS = 10

_ADVICE = {
    ConnectionStatus.REAUTH: "the customer must log in again",
    ConnectionStatus.ERROR_PERMISSIONS: "the customer needs more rights at the provider",
    ConnectionStatus.ERROR_NO_ACCOUNT_SETUP: "the customer must finish the set-up at the provider",
    ConnectionStatus.DISCONNECTING: "Finch has not confirmed the end; `resolve retry` asks now",
    ConnectionStatus.UNKNOWN: "Finch reports a status that is not in its reference",
}


def owner(stack: Stack, connection_id: str) -> str:
    """The customer who owns a Finch connection; raises `CannotOperate` if no customer owns it."""
    ownerships = OwnershipTable(stack.client("dynamodb"), stack.outputs["OwnershipTableName"])
    record = ownerships.of_connection_id(connection_id)
    if record and record.owner:
        return record.owner.customer_id
    if record and record.holders:
        holders = ", ".join(sorted(record.holders))
        raise CannotOperate(
            f"No customer owns this connection yet. Session {holders} keeps its token. See `resolve list`."
        )
    raise CannotOperate("No token of this connection is stored here.")


def inspect(options: argparse.Namespace, stack: Stack, now: datetime, say: Say) -> None:
    """Shows the data of a customer, or a single attempt; raises `CannotOperate` if there is none."""
    if options.reference:
        _inspect_attempt(stack, options.reference, say, as_json=options.json)
        return
    stored = Stored.read(stack, options.customer_id or owner(stack, options.connection))
    if options.json:
        say(json.dumps(stored.facts(), indent=2))
        return
    for line in stored.picture(now):
        say(line)


def _inspect_attempt(stack: Stack, reference: str, say: Say, *, as_json: bool) -> None:
    found = list(_sessions(stack).attempts_named(reference))
    if not found:
        raise CannotOperate(
            "No attempt has this reference. An attempt is kept for 30 days after its end."
        )
    if as_json:
        facts = [{"customer_id": one.attempt.customer_id, **_facts(one)} for one in found]
        say(json.dumps({"attempts": facts}, indent=2))
        return
    for one in found:
        say(one.attempt.customer_id)
        for line in _picture(one):
            say(line)


@dataclass(frozen=True)
class Stored:
    """The data of a customer: connections with their histories, attempts, and the newest token requests."""

    customer_id: str
    connections: Sequence[tuple[Connection, History]]
    attempts: Sequence[ConnectSession]
    requests: Sequence[AuditRecord]

    @classmethod
    def read(cls, stack: Stack, customer_id: str) -> Self:
        """Reads the tables of a stack. The oldest attempt is the first."""
        client = stack.client("dynamodb")
        table = ConnectionTable(client, stack.outputs["ConnectionsTableName"])
        audit = AuditTable(client, stack.outputs["AuditTableName"])
        return cls(
            customer_id,
            [(one, table.history(customer_id, one.key)) for one in table.every(customer_id)],
            sorted(
                _sessions(stack).attempts_of(customer_id), key=lambda one: one.attempt.created_at
            ),
            audit.of_customer(customer_id, limit=_SHOWN_RECORDS),
        )

    def facts(self) -> dict[str, Any]:
        """The data as JSON."""
        return {
            "customer_id": self.customer_id,
            "connections": [
                {**connection_response(one), "history": timeline.facts(history)}
                for one, history in self.connections
            ],
            "attempts": [_facts(one) for one in self.attempts],
            "token_requests": [
                {
                    "at": one.at.isoformat(),
                    "caller": one.caller,
                    "provider_id": one.provider_id,
                    "company_id": one.company_id,
                    "outcome": one.outcome,
                }
                for one in self.requests
            ],
        }

    def picture(self, now: datetime) -> Iterator[str]:
        """Lines for the operator: the data in UTC, and the next step for each connection."""
        yield self.customer_id
        for connection, history in self.connections:
            key, checked_at = connection.key, connection.checked_at
            checked = f"checked {_ago(now, checked_at)}" if checked_at else "not checked yet"
            problem = f" ({connection.shown_problem})" if connection.shown_problem else ""
            yield f"  {key.provider_id} {key.company_id}: {connection.status}{problem}, {checked}"
            for token in connection.tokens:
                products = ", ".join(sorted(token.products))
                yield f"    login {token.id} of connection {token.connection_id}: {token.status}"
                yield f"      since {token.connected_at:%Y-%m-%d %H:%M}, for {products}"
                for entity_id in sorted(token.entity_ids.union(token.entities)):
                    status = token.entities.get(entity_id, "no status")
                    if start := connection.ending_entities.get(entity_id):
                        status = f"disconnecting since {start:%Y-%m-%d %H:%M}"
                    elif entity_id in connection.refused_entities:
                        status = f"{status}, Finch refuses to end it"
                    yield f"      entity {entity_id}: {status}"
            if connection.status in _ADVICE:
                yield f"    -> {_ADVICE[connection.status]}"
            for line in timeline.lines(history):
                yield f"    {line}"
        over = [one for one in self.attempts if not _unfinished(one)]
        if len(over) > _SHOWN_ATTEMPTS:
            yield f"  {len(over) - _SHOWN_ATTEMPTS} older attempts, which --json shows"
        for session in self.attempts:
            if session not in over[:-_SHOWN_ATTEMPTS]:
                yield from _picture(session)
        for one in self.requests:
            subject = f"{one.provider_id} {one.company_id}" if one.provider_id else "nothing"
            yield (
                f"  {one.at:%Y-%m-%d %H:%M} {one.caller or 'an unnamed caller'} requested "
                f"{subject}: {one.outcome}"
            )
        if not (self.connections or self.attempts or self.requests):
            yield "  nothing is stored"


def _sessions(stack: Stack) -> SessionTable:
    return SessionTable(stack.client("dynamodb"), stack.outputs["ConnectSessionsTableName"])


def _unfinished(session: ConnectSession) -> bool:
    return not isinstance(session, Started | Complete | Ended)


def _facts(session: ConnectSession) -> dict[str, Any]:
    return {
        "reference": session.attempt.reference,
        "session": session.attempt.handle_hash,
        "phase": session.phase,
        "unfinished": _unfinished(session),
        "created_at": session.attempt.created_at.isoformat(),
        "history": timeline.facts(timeline.history_of(session)),
    }


def _picture(session: ConnectSession) -> Iterator[str]:
    yield f"  attempt {session.attempt.reference}: {session.phase}"
    if _unfinished(session):
        # The commands of `resolve` take it.
        yield f"    session {session.attempt.handle_hash}"
    for line in timeline.lines(timeline.history_of(session)):
        yield f"    {line}"


def _ago(now: datetime, moment: datetime) -> str:
    hours = (now - moment).total_seconds() / 3600
    return f"{hours * 60:.0f} minutes ago" if hours < 1 else f"{hours:.0f} hours ago"
