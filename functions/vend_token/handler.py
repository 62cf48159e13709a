"""Vends a token to another backend of the application, or returns the reason to refuse it."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ConfigDict, Field, model_validator

from finch_connections import cold_start, metrics
from finch_connections.aws import (
    audit_table,
    connection_table,
    grant_table,
    token_vault,
    work_queue,
)
from finch_connections.domain.connection import CompanyKey, ConnectionStatus
from finch_connections.domain.errors import InternalError, InvalidRequest
from finch_connections.domain.grant import EVERY, Grant
from finch_connections.domain.token_request import Outcome, Refused, TokenRequest
from finch_connections.log import logger
from finch_connections.use_cases import vend_token as use_case
from finch_connections.use_cases.vend_token import Services, Vended
from finch_connections.web import request_body
from finch_connections.web.backend_request import (
    Company,
    Purpose,
    Requester,
    backend_of,
    requester_of,
)
from finch_connections.web.request_body import FinchId

# To note the use of a connection can take this long when DynamoDB is slow. With less time left, we do not.
NOTE_SECONDS = 10


class ListRequest(Requester):
    """A backend's request for the customer's connections, or those after another."""

    model_config = ConfigDict(extra="forbid")

    list_connections: Literal[True]
    purpose: Purpose
    after: Company | None = None


class VendRequest(Requester, Company):
    """A backend's request for a token, or its report that Finch answered 401 to `token_id`."""

    model_config = ConfigDict(extra="forbid")

    products: Annotated[list[Annotated[str, Field(pattern="^[a-z_]{1,64}$")]], Field(max_length=50)]
    purpose: Purpose
    report: Literal["unauthorized"] | None = None
    token_id: FinchId | None = None

    @model_validator(mode="after")
    def _report_has_token_id(self) -> Self:
        if (self.report is None) != (self.token_id is None):
            raise ValueError("report and token_id must be given together")
        return self


def vend_token(event: Any, context: Any) -> dict[str, Any]:
    """Returns a `token`, the `reason` to refuse it, `reported` after a report, or `connections`.

    If AWS fails, the invocation fails with `InternalError`: an error of AWS names our resources.
    """
    logger.append_keys(request_id=context.aws_request_id)
    try:
        return _answer(event, context)
    except (ClientError, BotoCoreError):
        logger.exception("vending failed")
        raise InternalError from None


def _answer(event: Any, context: Any) -> dict[str, Any]:
    now, services = datetime.now(UTC), _services()
    backend = backend_of(context.invoked_function_arn)
    grant = services.grants.of(backend) if backend else None
    listing = isinstance(event, dict) and "list_connections" in event
    try:
        if listing:
            return _list(request_body.validate(ListRequest, event), grant, now, services)
        parsed = request_body.validate(VendRequest, event)
    except InvalidRequest as error:
        _record_invalid(event, now, services)
        return {"reason": Outcome.INVALID_REQUEST, "detail": str(error)}
    request = TokenRequest(
        customer_id=parsed.customer_id,
        key=parsed.key,
        products=frozenset(parsed.products),
        purpose=parsed.purpose,
        caller=parsed.caller,
        grant=grant,
    )
    if parsed.token_id is None:
        result = use_case.vend(
            request,
            in_time=lambda: context.get_remaining_time_in_millis() > NOTE_SECONDS * 1000,
            now=now,
            services=services,
        )
        return _token(result, request.key) if isinstance(result, Vended) else _reason(result)
    refused = use_case.report(request, parsed.token_id, now=now, services=services)
    return _reason(refused) if refused else {"reported": True}


def _list(
    asked: ListRequest, grant: Grant | None, now: datetime, services: Services
) -> dict[str, Any]:
    page = use_case.list_connections(
        asked.customer_id,
        asked.caller,
        asked.purpose,
        after=asked.after.key if asked.after else None,
        grant=grant,
        now=now,
        services=services,
    )
    if isinstance(page, Refused):
        return _reason(page)
    connections = []
    for one in page.connections:
        products = frozenset[str]().union(*(token.products for token in one.tokens))
        products = grant.within(products) if grant else products
        is_granted = grant is None or products or EVERY in grant.products
        if is_granted and one.status is not ConnectionStatus.DISCONNECTED:
            shown = {"status": one.status, "products": sorted(products)}
            connections.append(_company(one.key) | shown)
    return {"connections": connections, "next": _company(page.last) if page.last else None}


def _company(key: CompanyKey) -> dict[str, str]:
    return {"provider_id": key.provider_id, "company_id": key.company_id}


def _token(vended: Vended, key: CompanyKey) -> dict[str, Any]:
    token, readable = vended.token, vended.readable
    return {
        "token": {
            "access_token": vended.text.reveal(),
            "token_id": token.id,
            "connection_id": token.connection_id,
            **_company(key),
            "products": sorted(token.products),
            "entity_ids": sorted(readable),
            "left_out_entity_ids": sorted(token.entity_ids - readable),
        }
    }


def _reason(refused: Refused) -> dict[str, Any]:
    return {
        "reason": refused.reason,
        **({"status": refused.status} if refused.status else {}),
        **({"missing": sorted(refused.missing)} if refused.missing else {}),
    }


def _record_invalid(event: Any, now: datetime, services: Services) -> None:
    metrics.count(use_case.ROUTE, Outcome.INVALID_REQUEST)
    logger.info("token asked for", outcome=Outcome.INVALID_REQUEST)
    if readable := requester_of(event):
        use_case.record_invalid(readable.customer_id, readable.caller, now=now, services=services)


def _services() -> Services:
    return Services(
        connections=connection_table.from_settings(),
        audit=audit_table.from_settings(),
        vault=token_vault.from_settings(),
        queue=work_queue.from_settings(),
        grants=grant_table.from_settings(),
    )


cold_start.ready(_services)
