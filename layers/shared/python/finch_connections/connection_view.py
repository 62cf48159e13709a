"""A connection as its customer sees it."""

from collections.abc import Mapping
from typing import Any

from finch_connections.connection import Connection, ConnectionStatus


def connection_view(connection: Connection) -> dict[str, Any]:
    """The JSON of one connection: no ciphertext, nothing of how we keep it."""
    return {
        "provider_id": connection.key.provider_id,
        "company_id": connection.key.company_id,
        "provider_name": connection.provider_name,
        "company_name": connection.best_company_name,
        "status": connection.status,
        "problem": connection.problem,
        "created_at": connection.created_at.isoformat(),
        "updated_at": connection.updated_at.isoformat(),
        "checked_at": connection.checked_at and connection.checked_at.isoformat(),
        "logins": [
            {
                "id": token.id,
                "connection_id": token.connection_id,
                "account_id": token.account_id,
                "products": sorted(token.products),
                "entity_ids": sorted(token.entity_ids),
                "status": token.status,
                "status_detail": token.status_detail,
                "connected_at": token.connected_at.isoformat(),
                "entities": [
                    {"id": one["id"], "name": connection.entity_names.get(one["id"]), **one}
                    for one in _parts("id", token.entities)
                ],
                "authentication_methods": _parts("type", token.methods),
            }
            for token in connection.tokens
        ],
    }


def _parts(name: str, words: Mapping[str, str]) -> list[dict[str, Any]]:
    """The status of each part of a login, with Finch's own word where it is not known."""
    parts = []
    for one, word in sorted(words.items()):
        status = ConnectionStatus.of_part(word)
        detail = word if status is ConnectionStatus.UNKNOWN else None
        parts.append({name: one, "status": status, "status_detail": detail})
    return parts
