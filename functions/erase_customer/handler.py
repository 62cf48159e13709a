"""Ends and erases everything of a customer, one step for each invocation."""

import time
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from finch_connections import (
    audit_table,
    claim_table,
    connecting,
    connection_table,
    erasing,
    finch_connect,
    request_body,
    session_table,
    step_request,
    tend_queue,
    token_vault,
)
from finch_connections.connection import IDENTIFIER
from finch_connections.erasing import Outsiders
from finch_connections.log import logger
from finch_connections.step_request import StepRequest


class EraseRequest(StepRequest):
    """Whom to erase."""

    customer_id: Annotated[str, Field(pattern=f"^(?:{IDENTIFIER.pattern})$")]


def erase_customer(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers what this step has done and what is not over, and the `cursor` for the next one."""
    logger.append_keys(request_id=context.aws_request_id)
    asked = request_body.validate(EraseRequest, event)
    step = erasing.erase(
        asked.customer_id,
        asked.at,
        now=datetime.now(UTC),
        in_time=step_request.in_time(),
        outside=Outsiders(_connecting(), audit_table.connect()),
    )
    logger.warning("erased", done=dict(step.done), left=len(step.open))
    return step_request.answer(step)


def _connecting() -> connecting.Outsiders:
    return connecting.Outsiders(
        sessions=session_table.connect(),
        connections=connection_table.connect(),
        claims=claim_table.connect(),
        vault=token_vault.connect(),
        finch=finch_connect.connect(),
        queue=tend_queue.connect(),
        pause=time.sleep,
    )
