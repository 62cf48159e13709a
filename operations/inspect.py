"""`inspect`: the connections, unfinished sessions and token requests of a customer."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from finch_connections.aws.audit_table import AuditTable
from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.ownership_table import OwnershipTable
from finch_connections.aws.session_table import SessionTable
from finch_connections.domain.connect_session import Complete, Consumed, Ended, Started
from finch_connections.domain.connection import Connection, ConnectionStatus
from finch_connections.domain.token_request import AuditRecord
from finch_connections.web.connection_response import connection_response
from operations.stack import CannotOperate, Say, Stack

_SHOWN_RECORDS = 5

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


def inspect(stack: Stack, customer_id: str, now: datetime, say: Say, *, as_json: bool) -> None:
    """Shows the data of a customer."""
    stored = Stored.read(stack, customer_id)
    if as_json:
        say(json.dumps(stored.facts(), indent=2))
        return
    for line in stored.picture(now):
        say(line)


@dataclass(frozen=True)
class Stored:
    """The data of a customer: connections, unfinished sessions, and the newest token requests."""

    customer_id: str
    connections: Sequence[Connection]
    sessions: Sequence[Consumed]
    requests: Sequence[AuditRecord]

    @classmethod
    def read(cls, stack: Stack, customer_id: str) -> Self:
        """Reads the tables of a stack."""
        client = stack.client("dynamodb")
        connections = ConnectionTable(client, stack.outputs["ConnectionsTableName"])
        sessions = SessionTable(client, stack.outputs["ConnectSessionsTableName"])
        audit = AuditTable(client, stack.outputs["AuditTableName"])
        unfinished: list[Consumed] = []
        after: Mapping[str, str] | None = None
        while True:
            found, after = sessions.of_customer(customer_id, after)
            unfinished += [one for one in found if not isinstance(one, Started | Complete | Ended)]
            if after is None:
                break
        requests = audit.of_customer(customer_id, limit=_SHOWN_RECORDS)
        return cls(customer_id, list(connections.every(customer_id)), unfinished, requests)

    def facts(self) -> dict[str, Any]:
        """The data as JSON."""
        return {
            "customer_id": self.customer_id,
            "connections": [connection_response(one) for one in self.connections],
            "sessions": [
                {
                    "session": one.attempt.handle_hash,
                    "phase": one.phase,
                    "since": one.consumption.consumed_at.isoformat(),
                }
                for one in self.sessions
            ],
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
        """Lines for the operator: the data, and the next step for each connection."""
        yield self.customer_id
        for connection in self.connections:
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
        for session in self.sessions:
            since = f"{session.consumption.consumed_at:%Y-%m-%d %H:%M}"
            yield f"  session {session.attempt.handle_hash}: {session.phase} since {since}"
        for one in self.requests:
            subject = f"{one.provider_id} {one.company_id}" if one.provider_id else "nothing"
            yield (
                f"  {one.at:%Y-%m-%d %H:%M} {one.caller or 'an unnamed caller'} requested "
                f"{subject}: {one.outcome}"
            )
        if not (self.connections or self.sessions or self.requests):
            yield "  nothing is stored"


def _ago(now: datetime, moment: datetime) -> str:
    hours = (now - moment).total_seconds() / 3600
    return f"{hours * 60:.0f} minutes ago" if hours < 1 else f"{hours:.0f} hours ago"
