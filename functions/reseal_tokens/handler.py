"""Brings sealed tokens under the key that seals now, one step for each invocation."""

from typing import Any

from finch_connections import (
    connection_table,
    request_body,
    resealing,
    session_table,
    step_request,
    token_vault,
)
from finch_connections.log import logger
from finch_connections.resealing import Outsiders
from finch_connections.step_request import StepRequest


def reseal_tokens(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers what this step has done, and the `cursor` for the next one."""
    logger.append_keys(request_id=context.aws_request_id)
    asked = request_body.validate(StepRequest, event)
    step = resealing.reseal(
        asked.at,
        in_time=step_request.in_time(),
        outside=Outsiders(
            sessions=session_table.connect(),
            connections=connection_table.connect(),
            vault=token_vault.connect(),
        ),
    )
    logger.warning("resealed", done=dict(step.done), left=len(step.open))
    return step_request.answer(step)
