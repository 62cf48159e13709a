"""Disconnects a connection at Finch and deletes its tokens, or disconnects a single entity of it."""

from datetime import UTC, datetime
from http import HTTPStatus

from finch_connections import cold_start
from finch_connections.aws import connection_table, ownership_table, token_vault
from finch_connections.domain.connection import (
    DISCONNECT_REFUSED,
    Connection,
    ConnectionStatus,
    DisconnectRefused,
    require_key,
)
from finch_connections.finch import client as finch_client
from finch_connections.use_cases import disconnect as use_case
from finch_connections.use_cases.disconnect import Services
from finch_connections.web import api
from finch_connections.web.api import Request, Response
from finch_connections.web.connection_response import connection_response


def _disconnect(request: Request) -> Response:
    connection = use_case.disconnect(
        request.customer_id,
        require_key(request.path["provider_id"], request.path["company_id"]),
        now=datetime.now(UTC),
        services=_services(),
    )
    if connection.problem == DISCONNECT_REFUSED:
        raise DisconnectRefused
    return _answer(connection, connection.status)


def _disconnect_entity(request: Request) -> Response:
    entity_id = request.path["entity_id"]
    connection = use_case.disconnect_entity(
        request.customer_id,
        require_key(request.path["provider_id"], request.path["company_id"]),
        entity_id,
        now=datetime.now(UTC),
        services=_services(),
    )
    if connection.problem == DISCONNECT_REFUSED or entity_id in connection.refused_entities:
        raise DisconnectRefused
    if (
        connection.status is ConnectionStatus.DISCONNECTING
        or entity_id in connection.ending_entities
    ):
        return _answer(connection, ConnectionStatus.DISCONNECTING)
    return _answer(connection, ConnectionStatus.DISCONNECTED)


def _answer(connection: Connection, outcome: ConnectionStatus) -> Response:
    unfinished = outcome is ConnectionStatus.DISCONNECTING
    status = HTTPStatus.ACCEPTED if unfinished else HTTPStatus.OK
    return api.answer(status, connection_response(connection), outcome=outcome)


def _services() -> Services:
    return Services(
        connections=connection_table.from_settings(),
        ownerships=ownership_table.from_settings(),
        vault=token_vault.from_settings(),
        finch=finch_client.from_settings(),
    )


disconnect = api.function(
    {
        "DELETE /connections/{provider_id}/{company_id}": _disconnect,
        "DELETE /connections/{provider_id}/{company_id}/entities/{entity_id}": _disconnect_entity,
    }
)

cold_start.ready(_services)
