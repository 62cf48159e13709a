"""Starts a connection: the connect session for the frontend, and its link to Finch Connect."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from finch_connections import cold_start, metrics, settings
from finch_connections.aws import connection_table, ownership_table, session_table
from finch_connections.domain.connect_session import Mode, NewSession, begin, require_mode
from finch_connections.domain.connection import require_key
from finch_connections.finch import connect_api
from finch_connections.use_cases import start_connect as use_case
from finch_connections.use_cases.start_connect import NotOpened
from finch_connections.web import api, cookies, redirects, request_body
from finch_connections.web.api import Request, Response
from finch_connections.web.request_body import FinchId


class StartRequest(BaseModel):
    """The body of `POST /connect-sessions`."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"dependentRequired": {"company_id": ["provider_id"]}},
    )

    # Finch refuses a product that it does not know, and adds products over time.
    products: Annotated[
        list[Annotated[str, Field(pattern="^[a-z_]{1,64}$")]], Field(min_length=1, max_length=50)
    ]
    mode: Mode = Mode.REDIRECT
    provider_id: FinchId | None = None
    # With `provider_id`: the connection that gets another login.
    company_id: FinchId | None = None
    return_to: Annotated[str, Field(max_length=2000)] | None = None
    customer_name: Annotated[str, Field(min_length=1, max_length=255)] | None = None

    @model_validator(mode="after")
    def _name_a_connection(self) -> Self:
        if self.company_id and not self.provider_id:
            raise ValueError("company_id needs provider_id")
        return self


class RepairRequest(BaseModel):
    """The body of `POST /connections/{provider_id}/{company_id}/reauthenticate`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    mode: Mode = Mode.REDIRECT
    return_to: Annotated[str, Field(max_length=2000)] | None = None


def _start(request: Request) -> Response:
    customer_id = request.customer_id
    body = request_body.parse(StartRequest, request.body)
    adds_login_to = None
    if body.provider_id and body.company_id:
        adds_login_to = require_key(body.provider_id, body.company_id)
        use_case.require_connected(customer_id, adds_login_to, connection_table.from_settings())
    new = begin(
        customer_id=customer_id,
        customer_name=body.customer_name,
        mode=body.mode,
        products=tuple(body.products),
        provider_id=body.provider_id,
        return_to=body.return_to,
        allowed_return_urls=settings.read().allowed_return_urls,
        callback_url=request.callback_url,
        adds_login_to=adds_login_to,
        now=datetime.now(UTC),
    )
    return _started(new, request)


def _repair(request: Request) -> Response:
    customer_id = request.customer_id
    key = require_key(request.path["provider_id"], request.path["company_id"])
    body = request_body.parse(RepairRequest, request.body)
    use_case.require_connected(customer_id, key, connection_table.from_settings())
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
    return _started(new, request)


def _started(new: NewSession, request: Request) -> Response:
    require_mode(new.session.attempt.mode, settings.read().allowed_modes)
    session_id = use_case.start(
        new,
        sessions=session_table.from_settings(),
        connections=connection_table.from_settings(),
        ownerships=ownership_table.from_settings(),
        finch=connect_api.from_settings(),
        max_connections=int(settings.read().max_connections),
    )
    attempt, handle = new.session.attempt, new.handle.reveal()
    where = (
        {"session_id": session_id, "state": handle}
        if attempt.mode is Mode.EMBEDDED
        else {"connect_url": f"{request.callback_url.removesuffix('/callback')}/connect/{handle}"}
    )
    expires_at = attempt.useful_until.isoformat()
    body = {**where, "expires_at": expires_at, "reference": attempt.reference}
    set_cookies = cookies.binding_cookies(
        attempt.binding_id, new.binding, attempt.created_at, request.cookies
    )
    return api.answer(HTTPStatus.CREATED, body, set_cookies)


def _open_link(request: Request) -> Response:
    opened = use_case.open_link(
        request.path["handle"],
        now=datetime.now(UTC),
        sessions=session_table.from_settings(),
        connections=connection_table.from_settings(),
        ownerships=ownership_table.from_settings(),
        finch=connect_api.from_settings(),
        max_connections=int(settings.read().max_connections),
    )
    if isinstance(opened, NotOpened):
        return _not_opened(opened)
    url = redirects.with_query(opened.connect_url, {"state": opened.handle.reveal()})
    return api.redirect(url, [cookies.finding_cookie(opened.handle, request.cookies)], metrics.OK)


def _check_link(request: Request) -> Response:
    checked = use_case.check_link(
        request.path["handle"], now=datetime.now(UTC), sessions=session_table.from_settings()
    )
    if isinstance(checked, NotOpened):
        return _not_opened(checked)
    return_to, allowed = checked.attempt.return_to, settings.read().allowed_return_urls
    return api.redirect(redirects.return_url(return_to, allowed, {}), [], metrics.OK)


def _not_opened(failed: NotOpened) -> Response:
    allowed = settings.read().allowed_return_urls
    attempt = failed.attempt
    outcome = {"error": failed.code, **({"reference": attempt.reference} if attempt else {})}
    url = redirects.return_url(attempt.return_to if attempt else None, allowed, outcome)
    return api.redirect(url, [], failed.code)


start_connect = api.function(
    {
        "POST /connect-sessions": _start,
        "POST /connections/{provider_id}/{company_id}/reauthenticate": _repair,
        "GET /connect/{handle}": _open_link,
        "HEAD /connect/{handle}": _check_link,
    }
)

cold_start.ready(
    ownership_table.from_settings,
    connection_table.from_settings,
    connect_api.from_settings,
    session_table.from_settings,
)
