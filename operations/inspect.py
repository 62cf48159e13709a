"""`inspect`: the connections, unfinished sessions and token requests of a customer."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from finch_connections.aws.audit_table import AuditTable
from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.ownership_table import OwnershipTable
from finch_connections.aws.session_table import SessionTable
from finch_connections.domain.connect_session import Complete, Ended, Started
from finch_connections.domain.connection import ConnectionStatus
from operations.stack import CannotOperate, Stack

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


def picture(stack: Stack, customer_id: str, now: datetime) -> Iterator[str]:
    """Lines for the operator: the customer's connections, unfinished work, and the next step for each."""
    client = stack.client("dynamodb")
    connections = ConnectionTable(client, stack.outputs["ConnectionsTableName"])
    sessions = SessionTable(client, stack.outputs["ConnectSessionsTableName"])
    audit = AuditTable(client, stack.outputs["AuditTableName"])
    yield customer_id
    nothing = True
    for connection in connections.every(customer_id):
        nothing = False
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
    after: Mapping[str, str] | None = None
    while True:
        found, after = sessions.of_customer(customer_id, after)
        for session in found:
            if not isinstance(session, Started | Complete | Ended):
                nothing = False
                since = f"{session.consumption.consumed_at:%Y-%m-%d %H:%M}"
                yield f"  session {session.attempt.handle_hash}: {session.phase} since {since}"
        if after is None:
            break
    for record in audit.of_customer(customer_id, limit=_SHOWN_RECORDS):
        nothing = False
        subject = f"{record.provider_id} {record.company_id}" if record.provider_id else "nothing"
        yield (
            f"  {record.at:%Y-%m-%d %H:%M} {record.caller or 'an unnamed caller'} requested "
            f"{subject}: {record.outcome}"
        )
    if nothing:
        yield "  nothing is stored"


def _ago(now: datetime, moment: datetime) -> str:
    hours = (now - moment).total_seconds() / 3600
    return f"{hours * 60:.0f} minutes ago" if hours < 1 else f"{hours:.0f} hours ago"
