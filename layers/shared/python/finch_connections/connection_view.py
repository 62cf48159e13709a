"""A connection as its customer sees it."""

from typing import Any

from finch_connections.connection import Connection


def connection_view(connection: Connection) -> dict[str, Any]:
    """The JSON of one connection: no ciphertext, nothing of how we keep it."""
    return {
        "provider_id": connection.key.provider_id,
        "company_id": connection.key.company_id,
        "status": connection.status,
        "problem": connection.problem,
        "created_at": connection.created_at.isoformat(),
        "updated_at": connection.updated_at.isoformat(),
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
            }
            for token in connection.tokens
        ],
    }
