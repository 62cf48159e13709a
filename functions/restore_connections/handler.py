"""Takes back from restored tables what Finch says is alive, one step for each invocation."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from finch_connections import (
    claim_table,
    connection_table,
    finch_connect,
    request_body,
    restoring,
    session_table,
    step_request,
    tend_queue,
    token_vault,
)
from finch_connections.connecting import Outsiders
from finch_connections.log import logger
from finch_connections.restoring import Backup
from finch_connections.step_request import StepRequest

type TableName = Annotated[str, Field(pattern="^[A-Za-z0-9_.-]{3,255}$")]


class RestoreRequest(StepRequest):
    """The names of the tables that were restored beside those in use."""

    connections: TableName | None = None
    sessions: TableName | None = None


def restore_connections(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers what this step has done and what it left, and the `cursor` for the next one."""
    logger.append_keys(request_id=context.aws_request_id)
    asked = request_body.validate(RestoreRequest, event)
    connections = connection_table.connect()
    step = restoring.restore(
        Backup(
            replace(connections, name=asked.connections) if asked.connections else None,
            asked.sessions,
        ),
        asked.at,
        now=datetime.now(UTC),
        in_time=step_request.in_time(),
        outside=Outsiders(
            sessions=session_table.connect(),
            connections=connections,
            claims=claim_table.connect(),
            vault=token_vault.connect(),
            finch=finch_connect.connect(),
            queue=tend_queue.connect(),
            pause=time.sleep,
        ),
    )
    logger.warning("restored", done=dict(step.done), left=len(step.open))
    return step_request.answer(step)
