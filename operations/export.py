"""`export`: all data that is stored about a customer, as JSON for the customer."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from boto3.dynamodb.types import Binary, TypeDeserializer

from finch_connections.domain.connection import unpacked
from operations.stack import CannotOperate, Say, Stack, progress

# Parts of a token or of a browser's secret, and hashes of them. They are of use to a thief, but not to
# the customer.
WITHHELD = {
    *("ciphertexts", "ciphertext", "completion_key", "completion_hash"),
    *("binding_hash", "code_hash", "attempt", "moved_by", "finch_connect_url", "session"),
}


def write(exported: dict[str, Any], to: Path | None, say: Say) -> None:
    """Writes the data to a new file that only its owner may read, or to the terminal."""
    text = json.dumps(exported, indent=2)
    if to is None:
        say(text)
        return
    try:
        # Personal data: a file that exists may be readable by others, or be a link to such a file.
        with open(to, "x", opener=_private) as file:
            file.write(text + "\n")
    except FileExistsError as error:
        raise CannotOperate(f"{to} exists already. Name a new file, or remove it first.") from error
    except OSError as error:
        raise CannotOperate(f"{to} cannot be written: {error.strerror}.") from error
    say(f"Written to {to}.")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def export(stack: Stack, customer_id: str, now: datetime) -> dict[str, Any]:
    """All data that is stored about a customer as JSON, without ciphertexts and secrets."""
    client = stack.client("dynamodb")
    values = {":customer": {"S": customer_id}}
    by_key = {"KeyConditionExpression": "customer_id = :customer"}
    by_member = {"FilterExpression": "contains(customers, :customer)"}
    by_filter = {"FilterExpression": "customer_id = :customer"}

    def items(operation: str, output: str, how: Mapping[str, str]) -> list[Any]:
        progress(f"Reading {stack.outputs[output]}.")
        pages = client.get_paginator(operation).paginate(
            TableName=stack.outputs[output],
            ExpressionAttributeValues=values,
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
        # A grant names other customers, too.
        "granted_backends": [one["backend"] for one in items("scan", "GrantsTableName", by_member)],
    }


def _readable(item: Mapping[str, Any]) -> Any:
    read = TypeDeserializer().deserialize
    return _plain({name: read(value) for name, value in item.items()})


def _unpacked(name: str, value: Any) -> Any:
    if name not in ("entities", "entity_ids") or not isinstance(value, Binary):
        return value
    content: Any = value
    statuses = unpacked(content.value)
    return statuses if name == "entities" else set(statuses)


def _plain(value: Any) -> Any:
    """A value as JSON, without withheld and binary attributes (ciphertexts and keys)."""
    match value:
        case dict():
            value = {name: _unpacked(name, member) for name, member in value.items()}
            return {
                name: _plain(member)
                for name, member in value.items()
                if name not in WITHHELD and not isinstance(member, Binary)
            }
        case list():
            return [_plain(member) for member in value]
        case set():
            return sorted(value)
        case Decimal():
            return int(value) if value == int(value) else float(value)
    return value
