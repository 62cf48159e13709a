"""A connection as its customer sees it."""

from collections.abc import Mapping
from typing import TypedDict

from finch_connections.domain.connection import Connection, ConnectionStatus, Token


class EntityResponse(TypedDict):
    """A legal entity of a login. `status_detail` is Finch's text for a status that we do not know."""

    id: str
    name: str | None
    status: ConnectionStatus
    status_detail: str | None


class AuthenticationMethodResponse(TypedDict):
    """How a login is connected. `status_detail` is Finch's text for a status that we do not know."""

    type: str
    status: ConnectionStatus
    status_detail: str | None


class LoginResponse(TypedDict):
    """One token of a connection."""

    id: str
    connection_id: str
    account_id: str | None
    products: list[str]
    entity_ids: list[str]
    status: ConnectionStatus
    status_detail: str | None
    connected_at: str
    entities: list[EntityResponse]
    authentication_methods: list[AuthenticationMethodResponse]


class ConnectionResponse(TypedDict):
    """One connection. Times are in ISO 8601. A name or icon is null until Finch has given it."""

    provider_id: str
    company_id: str
    provider_name: str | None
    provider_icon: str | None
    company_name: str | None
    status: ConnectionStatus
    problem: str | None
    created_at: str
    updated_at: str
    checked_at: str | None
    logins: list[LoginResponse]


def connection_response(connection: Connection) -> ConnectionResponse:
    """The JSON of one connection, without ciphertexts and other internal fields."""
    return {
        "provider_id": connection.key.provider_id,
        "company_id": connection.key.company_id,
        "provider_name": connection.provider_name or None,
        "provider_icon": connection.provider_icon or None,
        "company_name": connection.best_company_name,
        "status": connection.status,
        "problem": connection.shown_problem,
        "created_at": connection.created_at.isoformat(),
        "updated_at": connection.updated_at.isoformat(),
        "checked_at": connection.checked_at.isoformat() if connection.checked_at else None,
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
                    {
                        "id": one,
                        "name": connection.entity_names.get(one),
                        "status": ConnectionStatus.DISCONNECTING
                        if one in connection.ending_entities
                        else status,
                        "status_detail": detail,
                    }
                    for one, status, detail in _parts(_entities(token))
                ],
                "authentication_methods": [
                    {"type": one, "status": status, "status_detail": detail}
                    for one, status, detail in _parts(token.methods)
                ],
            }
            for token in connection.tokens
        ],
    }


def _entities(token: Token) -> Mapping[str, str]:
    """Finch's status of each entity. If Finch gives none, an entity has the status of its login."""
    return {**dict.fromkeys(token.entity_ids, str(token.status)), **token.entities}


def _parts(statuses: Mapping[str, str]) -> list[tuple[str, ConnectionStatus, str | None]]:
    """Each part of a login with its status, and Finch's text for a status that we do not know."""
    parts = []
    for part, text in sorted(statuses.items()):
        status = ConnectionStatus.of_part(text)
        parts.append((part, status, text if status is ConnectionStatus.UNKNOWN else None))
    return parts
