"""Ends and erases everything of a customer, one batch for each invocation."""

import time
from datetime import UTC, datetime
from typing import Any

from finch_connections import settings
from finch_connections.aws import (
    audit_table,
    connection_table,
    erasure_record,
    ownership_table,
    session_table,
    token_vault,
    work_queue,
)
from finch_connections.finch import connect_api
from finch_connections.log import logger
from finch_connections.use_cases import exchange_code
from finch_connections.use_cases.operator import erase_customer as use_case
from finch_connections.use_cases.operator.erase_customer import Services
from finch_connections.web import batch_request, request_body
from finch_connections.web.batch_request import BatchRequest
from finch_connections.web.request_body import CustomerId


class EraseRequest(BatchRequest):
    """The customer to erase."""

    customer_id: CustomerId


def erase_customer(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Returns the result of this batch, with the `cursor` for the next."""
    logger.append_keys(request_id=context.aws_request_id)
    request = request_body.validate(EraseRequest, event)
    batch = use_case.erase(
        request.customer_id,
        request.at,
        now=datetime.now(UTC),
        in_time=batch_request.in_time(),
        services=Services(
            _connecting(),
            work_queue.from_settings(),
            audit_table.from_settings(),
            erasure_record.from_settings(),
        ),
    )
    logger.warning("erased", done=dict(batch.done), left=len(batch.open))
    return batch_request.answer(batch)


def _connecting() -> exchange_code.Services:
    return exchange_code.Services(
        sessions=session_table.from_settings(),
        connections=connection_table.from_settings(),
        ownerships=ownership_table.from_settings(),
        vault=token_vault.from_settings(),
        finch=connect_api.from_settings(),
        pause=time.sleep,
        max_connections=int(settings.read().max_connections),
    )
