"""What is kept about one customer: shown to an operator, or exported for the customer."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import Binary, TypeDeserializer

from finch_connections.aws.audit_table import AuditTable
from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.ownership_table import OwnershipTable
from finch_connections.aws.session_table import SessionTable
from finch_connections.domain.connect_session import Complete, Ended, Started
from finch_connections.domain.connection import ConnectionStatus
from operations.stack import CannotOperate, Stack

# Of a token or of a browser, or made to recognise one: of no use to a customer, and of use to a thief.
WITHHELD = {
    *("ciphertexts", "ciphertext", "completion_key", "completion_hash"),
    *("binding_hash", "code_hash", "attempt", "moved_by", "finch_connect_url", "session"),
}
_SHOWN_RECORDS = 5

_WHAT_TO_DO = {
    ConnectionStatus.REAUTH: "the customer must log in again",
    ConnectionStatus.ERROR_PERMISSIONS: "the customer needs more rights at the provider",
    ConnectionStatus.ERROR_NO_ACCOUNT_SETUP: "the customer must finish the set-up at the provider",
    ConnectionStatus.DISCONNECTING: "Finch has not confirmed the end: `resolve retry` looks at once",
    ConnectionStatus.UNKNOWN: "Finch says a word that is not in its reference",
}


def owner(stack: Stack, connection_id: str) -> str:
    """The customer who has one of Finch's connections; raises `CannotOperate` where nobody has."""
    ownerships = OwnershipTable(stack.client("dynamodb"), stack.outputs["OwnershipTableName"])
    record = ownerships.of_connection_id(connection_id)
    if record and record.owner:
        return record.owner.customer_id
    if record and record.holders:
        held = ", ".join(sorted(record.holders))
        raise CannotOperate(f"Kept for nobody yet, by session {held}: see `resolve list`.")
    raise CannotOperate("Nobody here has a token of this connection.")


def picture(stack: Stack, customer_id: str, now: datetime) -> Iterator[str]:
    """Lines for a person: what the customer has, what is not over, what to do about it."""
    client = stack.client("dynamodb")
    connections = ConnectionTable(client, stack.outputs["ConnectionsTableName"])
    sessions = SessionTable(client, stack.outputs["ConnectSessionsTableName"])
    audit = AuditTable(client, stack.outputs["AuditTableName"])
    yield customer_id
    nothing = True
    for one in connections.every(customer_id):
        nothing = False
        checked = f"checked {_ago(now, one.checked_at)}" if one.checked_at else "not checked yet"
        problem = f" ({one.problem})" if one.problem else ""
        yield f"  {one.key.provider_id} {one.key.company_id}: {one.status}{problem}, {checked}"
        for token in one.tokens:
            products = ", ".join(sorted(token.products))
            yield f"    login {token.id} of connection {token.connection_id}: {token.status}"
            yield f"      since {token.connected_at:%Y-%m-%d %H:%M}, for {products}"
        if one.status in _WHAT_TO_DO:
            yield f"    -> {_WHAT_TO_DO[one.status]}"
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
        where = f"{record.provider_id} {record.company_id}" if record.provider_id else "nothing"
        yield (
            f"  {record.at:%Y-%m-%d %H:%M} {record.caller or 'somebody'} asked for {where}: "
            f"{record.outcome}"
        )
    if nothing:
        yield "  nothing is kept"


def export(stack: Stack, customer_id: str, now: datetime) -> dict[str, Any]:
    """Everything that is kept about a customer as JSON, without ciphertexts and secrets."""
    client = stack.client("dynamodb")
    theirs = {":customer": {"S": customer_id}}
    by_key = {"KeyConditionExpression": "customer_id = :customer"}
    by_filter = {"FilterExpression": "customer_id = :customer"}

    def items(operation: str, output: str, how: Mapping[str, str]) -> list[Any]:
        pages = client.get_paginator(operation).paginate(
            TableName=stack.outputs[output],
            ExpressionAttributeValues=theirs,
            ConsistentRead=True,
            **how,
        )
        return [_readable(item) for page in pages for item in page["Items"]]

    return {
        "customer_id": customer_id,
        "exported_at": now.astimezone(UTC).isoformat(),
        "connections": items("query", "ConnectionsTableName", by_key),
        "sessions": items("scan", "ConnectSessionsTableName", by_filter),
        "ownerships": items("scan", "OwnershipTableName", by_filter),
        "token_requests": items("query", "AuditTableName", by_key),
    }


def _readable(item: Mapping[str, Any]) -> Any:
    read = TypeDeserializer().deserialize
    return _plain({name: read(value) for name, value in item.items()})


def _plain(value: Any) -> Any:
    """As JSON has it, without what is withheld; whatever is binary is a ciphertext or a key."""
    match value:
        case dict():
            return {
                name: _plain(one)
                for name, one in value.items()
                if name not in WITHHELD and not isinstance(one, Binary)
            }
        case list():
            return [_plain(one) for one in value]
        case set():
            return sorted(value)
        case Decimal():
            return int(value) if value == int(value) else float(value)
    return value


def _ago(now: datetime, moment: datetime) -> str:
    hours = (now - moment).total_seconds() / 3600
    return f"{hours * 60:.0f} minutes ago" if hours < 1 else f"{hours:.0f} hours ago"
