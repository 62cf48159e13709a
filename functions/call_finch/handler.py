"""Calls Finch for another backend of the application, which never sees the token."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ConfigDict, Field, field_validator

from finch_connections import cold_start, metrics, settings
from finch_connections.aws import (
    audit_table,
    call_counter,
    connection_table,
    grant_table,
    token_vault,
    work_queue,
)
from finch_connections.domain.errors import InternalError, InvalidRequest
from finch_connections.domain.finch_call import FinchCall
from finch_connections.domain.token_request import Outcome, Refused, TokenRequest
from finch_connections.finch import client as finch_client
from finch_connections.log import logger
from finch_connections.use_cases import call_finch as use_case
from finch_connections.use_cases import vend_token
from finch_connections.use_cases.call_finch import Allowed, CallRequest, Services
from finch_connections.web import request_body
from finch_connections.web.backend_request import (
    Company,
    Purpose,
    Requester,
    backend_of,
    requester_of,
)

_TOO_LARGE = (
    "Finch's answer has more than 6 MB. Ask for less, by limit and offset or in smaller batches."
)
# "Rate Limits" in Finch's reference: the limits count a minute. Finch blocks an address for an hour.
_WAITS = {"finch_api_ip_rl": "3600"}
_WAIT = "60"


class CallFinchRequest(Requester, Company):
    """A backend's request for a call of Finch."""

    model_config = ConfigDict(extra="forbid")

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: Annotated[str, Field(min_length=1, max_length=500)]
    query: Annotated[
        dict[
            Annotated[str, Field(pattern=r"^[A-Za-z_]{1,64}(\[\])?$")], int | str | list[int | str]
        ],
        Field(max_length=50, default_factory=dict),
    ]
    body: dict[str, Any] | list[Any] | None = None
    purpose: Purpose

    @field_validator("query")
    @classmethod
    def _name_of_entities(cls, query: dict[str, Any]) -> dict[str, Any]:
        # Finch must not see an entity that we do not see.
        if any("entity_id" in name.lower() and name != "entity_ids[]" for name in query):
            raise ValueError("entities are named by entity_ids[]")
        return query


def call_finch(event: Any, context: Any) -> dict[str, Any]:
    """Returns Finch's `status_code`, `headers` and `body`, or the `reason` why there is no answer.

    If AWS fails before the call, the invocation fails with `InternalError`: an error of AWS names our
    resources.
    """
    logger.append_keys(request_id=context.aws_request_id)
    try:
        return _answer(event, context)
    except (ClientError, BotoCoreError):
        logger.exception("call failed")
        raise InternalError from None


def _answer(event: Any, context: Any) -> dict[str, Any]:
    now, services = datetime.now(UTC), _services()
    try:
        parsed = request_body.validate(CallFinchRequest, event)
    except InvalidRequest as error:
        _record_invalid(event, now, services)
        return {"reason": Outcome.INVALID_REQUEST, "detail": str(error)}
    call = FinchCall(parsed.method, parsed.path)
    backend = backend_of(context.invoked_function_arn)
    asked = TokenRequest(
        customer_id=parsed.customer_id,
        key=parsed.key,
        products=call.products(parsed.body),
        purpose=parsed.purpose,
        caller=parsed.caller,
        call=call,
        grant=services.vending.grants.of(backend) if backend else None,
    )
    result = use_case.call(
        CallRequest(asked, call, parsed.query, parsed.body),
        allowed=Allowed(*settings.called_paths()),
        seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
        now=now,
        services=services,
    )
    if isinstance(result, Refused):
        return _reason(result)
    headers = {name: one for name, one in result.headers.items() if name != "content-length"}
    if result.status_code == 429 and "retry-after" not in headers:
        # Finch does not promise the header.
        known = [wait for code, wait in _WAITS.items() if code in result.text]
        headers["retry-after"] = known[0] if known else _WAIT
    if not call.reads and (result.status_code in (408, 409) or result.is_server_error):
        # Without this header, Finch's SDK repeats any call, also a change.
        headers["x-should-retry"] = "false"
    answer = {"status_code": result.status_code, "headers": headers, "body": result.text}
    if len(json.dumps(answer)) > use_case.MOST_BYTES:
        return _reason(use_case.without_answer(Refused(Outcome.TOO_LARGE)))
    return answer


def _reason(refused: Refused) -> dict[str, Any]:
    return {
        "reason": refused.reason,
        **({"status": refused.status} if refused.status else {}),
        **({"missing": sorted(refused.missing)} if refused.missing else {}),
        **({"entity_ids": sorted(refused.entity_ids)} if refused.entity_ids else {}),
        **({"retry_after": refused.retry_after} if refused.retry_after else {}),
        **({"detail": _TOO_LARGE} if refused.reason == Outcome.TOO_LARGE else {}),
    }


def _record_invalid(event: Any, now: datetime, services: Services) -> None:
    metrics.count(vend_token.CALL_ROUTE, Outcome.INVALID_REQUEST)
    logger.info("call of finch asked for", outcome=Outcome.INVALID_REQUEST)
    if readable := requester_of(event):
        vend_token.record_invalid(
            readable.customer_id, readable.caller, now=now, services=services.vending
        )


def _services() -> Services:
    return Services(
        vending=vend_token.Services(
            connections=connection_table.from_settings(),
            audit=audit_table.from_settings(),
            vault=token_vault.from_settings(),
            queue=work_queue.from_settings(),
            grants=grant_table.from_settings(),
        ),
        counter=call_counter.from_settings(),
        finch=finch_client.from_settings(),
    )


cold_start.ready(_services)
