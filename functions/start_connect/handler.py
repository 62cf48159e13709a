"""Begins a connection: a connect session for the frontend, and the link that leads to Finch Connect."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from finch_connections import (
    api,
    claim_table,
    cold_start,
    connection_table,
    finch_connect,
    request_body,
    session_table,
    settings,
    starting,
)
from finch_connections.api import Request, Response
from finch_connections.connect_session import (
    COOKIE_LIFETIME,
    FINDING_COOKIE,
    Mode,
    NewSession,
    begin,
)
from finch_connections.connection import IDENTIFIER, Product, require_key

_COOKIE_SECONDS = int(COOKIE_LIFETIME.total_seconds())


class StartRequest(BaseModel):
    """The body of `POST /connect-sessions`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    products: Annotated[list[Product], Field(min_length=1, max_length=len(Product))]
    mode: Mode = Mode.REDIRECT
    provider_id: Annotated[str, Field(pattern=f"^(?:{IDENTIFIER.pattern})$")] | None = None
    return_to: Annotated[str, Field(max_length=2000)] | None = None
    customer_name: Annotated[str, Field(min_length=1, max_length=255)] | None = None


class RepairRequest(BaseModel):
    """The body of `POST /connections/{provider_id}/{company_id}/reauthenticate`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    mode: Mode = Mode.REDIRECT
    return_to: Annotated[str, Field(max_length=2000)] | None = None


def _start(request: Request) -> Response:
    customer_id = request.customer_id
    body = request_body.parse(StartRequest, request.body)
    new = begin(
        customer_id=customer_id,
        customer_name=body.customer_name,
        mode=body.mode,
        products=tuple(body.products),
        provider_id=body.provider_id,
        return_to=body.return_to,
        allowed_return_urls=settings.read().allowed_return_urls,
        callback_url=request.callback_url,
        now=datetime.now(UTC),
    )
    return _begun(new, request)


def _repair(request: Request) -> Response:
    customer_id = request.customer_id
    key = require_key(request.path["provider_id"], request.path["company_id"])
    body = request_body.parse(RepairRequest, request.body)
    starting.require_repairable(customer_id, key, connection_table.connect())
    new = begin(
        customer_id=customer_id,
        customer_name=None,
        mode=body.mode,
        products=(),
        provider_id=key.provider_id,
        return_to=body.return_to,
        allowed_return_urls=settings.read().allowed_return_urls,
        callback_url=request.callback_url,
        repairs=key,
        now=datetime.now(UTC),
    )
    return _begun(new, request)


def _begun(new: NewSession, request: Request) -> Response:
    session_id = starting.start(
        new,
        sessions=session_table.connect(),
        connections=connection_table.connect(),
        claims=claim_table.connect(),
        finch=finch_connect.connect(),
    )
    handle = new.handle.reveal()
    where = (
        {"session_id": session_id, "state": handle}
        if new.session.mode is Mode.EMBEDDED
        else {"connect_url": f"{request.callback_url.removesuffix('/callback')}/connect/{handle}"}
    )
    cookie = api.cookie(new.session.binding_cookie, new.binding.reveal(), _COOKIE_SECONDS)
    expires_at = new.session.useful_until.isoformat()
    return api.answer(HTTPStatus.CREATED, {**where, "expires_at": expires_at}, [cookie])


def _hop(request: Request) -> Response:
    hop = starting.hop(
        request.path["handle"],
        allowed_return_urls=settings.read().allowed_return_urls,
        now=datetime.now(UTC),
        sessions=session_table.connect(),
        connections=connection_table.connect(),
        claims=claim_table.connect(),
        finch=finch_connect.connect(),
    )
    cookies = (
        [api.cookie(FINDING_COOKIE, hop.handle.reveal(), _COOKIE_SECONDS)] if hop.handle else []
    )
    return api.redirect(hop.url, cookies, hop.outcome)


start_connect = api.function(
    {
        "POST /connect-sessions": _start,
        "POST /connections/{provider_id}/{company_id}/reauthenticate": _repair,
        "GET /connect/{handle}": _hop,
    }
)

cold_start.ready(
    claim_table.connect, connection_table.connect, finch_connect.connect, session_table.connect
)
