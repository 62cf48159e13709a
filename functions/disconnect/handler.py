"""Disconnects a connection at Finch, then forgets its tokens."""

from datetime import UTC, datetime
from http import HTTPStatus

from finch_connections import (
    api,
    claim_table,
    cold_start,
    connection_table,
    disconnecting,
    finch,
    tend_queue,
    token_vault,
)
from finch_connections.api import Request, Response
from finch_connections.connection import (
    DISCONNECT_REFUSED,
    ConnectionStatus,
    DisconnectRefused,
    require_key,
)
from finch_connections.connection_view import connection_view
from finch_connections.disconnecting import Outsiders


def _disconnect(request: Request) -> Response:
    connection = disconnecting.disconnect(
        request.customer_id,
        require_key(request.path["provider_id"], request.path["company_id"]),
        now=datetime.now(UTC),
        outside=_outside(),
    )
    if connection.problem == DISCONNECT_REFUSED:
        raise DisconnectRefused
    under_way = connection.status is ConnectionStatus.DISCONNECTING
    status = HTTPStatus.ACCEPTED if under_way else HTTPStatus.OK
    return api.answer(status, connection_view(connection), outcome=connection.status)


def _outside() -> Outsiders:
    return Outsiders(
        connections=connection_table.connect(),
        claims=claim_table.connect(),
        vault=token_vault.connect(),
        finch=finch.connect(),
        queue=tend_queue.connect(),
    )


disconnect = api.function({"DELETE /connections/{provider_id}/{company_id}": _disconnect})

cold_start.ready(_outside)
