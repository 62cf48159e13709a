"""Re-encrypts tokens under the current key, one batch for each invocation."""

from typing import Any

from finch_connections.aws import connection_table, session_table, token_vault
from finch_connections.log import logger
from finch_connections.use_cases.operator import reencrypt_tokens as use_case
from finch_connections.use_cases.operator.reencrypt_tokens import Services
from finch_connections.web import batch_request, request_body
from finch_connections.web.batch_request import BatchRequest


def reencrypt_tokens(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Returns the result of this batch, with the `cursor` for the next."""
    logger.append_keys(request_id=context.aws_request_id)
    request = request_body.validate(BatchRequest, event)
    batch = use_case.reencrypt(
        request.at,
        in_time=batch_request.in_time(),
        services=Services(
            sessions=session_table.from_settings(),
            connections=connection_table.from_settings(),
            vault=token_vault.from_settings(),
        ),
    )
    logger.warning("reencrypted", done=dict(batch.done), left=len(batch.open))
    return batch_request.answer(batch)
