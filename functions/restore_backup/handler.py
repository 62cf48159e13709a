"""Restores the tokens that are alive at Finch from restored tables, one batch for each invocation."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from finch_connections import settings
from finch_connections.aws import (
    connection_table,
    erasure_record,
    ownership_table,
    session_table,
    token_vault,
)
from finch_connections.finch import connect_api
from finch_connections.log import logger
from finch_connections.use_cases.exchange_code import Services
from finch_connections.use_cases.operator import restore_backup as use_case
from finch_connections.use_cases.operator.restore_backup import Backup
from finch_connections.web import batch_request, request_body
from finch_connections.web.batch_request import BatchRequest

type TableName = Annotated[str, Field(pattern="^[A-Za-z0-9_.-]{3,255}$")]


class RestoreRequest(BatchRequest):
    """The names of the restored tables, which exist next to the tables in use."""

    connections: TableName | None = None
    sessions: TableName | None = None


def restore_backup(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Returns the result of this batch, with the `cursor` for the next."""
    logger.append_keys(request_id=context.aws_request_id)
    request = request_body.validate(RestoreRequest, event)
    connections = connection_table.from_settings()
    batch = use_case.restore(
        Backup(
            replace(connections, name=request.connections) if request.connections else None,
            request.sessions,
            erasure_record.from_settings(),
        ),
        request.at,
        now=datetime.now(UTC),
        in_time=batch_request.in_time(),
        services=Services(
            sessions=session_table.from_settings(),
            connections=connections,
            ownerships=ownership_table.from_settings(),
            vault=token_vault.from_settings(),
            finch=connect_api.from_settings(),
            pause=time.sleep,
            max_connections=int(settings.read().max_connections),
        ),
    )
    logger.warning("restored", done=dict(batch.done), left=len(batch.open))
    return batch_request.answer(batch)
