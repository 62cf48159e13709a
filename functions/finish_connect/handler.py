"""Finishes a connection: Finch's redirect, the embedded flow, and a person's confirmation."""

import time
from datetime import UTC, datetime
from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field, RootModel

from finch_connections import cold_start, settings
from finch_connections.aws import (
    connection_table,
    ownership_table,
    session_table,
    token_vault,
    work_queue,
)
from finch_connections.domain.secret import SecretText
from finch_connections.finch import connect_api
from finch_connections.use_cases import finish_connect as use_case
from finch_connections.use_cases.finish_connect import Finished, Services, Status
from finch_connections.web import api, request_body
from finch_connections.web.api import Request, Response


class Embedded(BaseModel):
    """What Finch's SDK gave to the page."""

    model_config = ConfigDict(extra="forbid")

    code: str = Field(min_length=1, max_length=500)
    state: str


class Confirmation(BaseModel):
    """A person's click on what the return from Finch Connect showed them.

    With `look`, the page's question what there is to show.
    """

    model_config = ConfigDict(extra="forbid")

    completion: str
    look: bool = False


class FinishRequest(RootModel[Confirmation | Embedded]):
    """The body of `POST /callback`."""

    model_config = ConfigDict(hide_input_in_errors=True)


def _callback(request: Request) -> Response:
    done = use_case.finish_redirect(
        request.query,
        request.cookies,
        allowed_return_urls=settings.read().allowed_return_urls,
        now=datetime.now(UTC),
        services=_services(),
    )
    return api.redirect(
        done.url,
        [api.cookie(done.spent_cookie, "", 0)] if done.spent_cookie else [],
        done.outcome,
    )


def _finish(request: Request) -> Response:
    customer_id = request.customer_id
    body = request_body.parse(FinishRequest, request.body).root
    now, services = datetime.now(UTC), _services()
    if isinstance(body, Confirmation):
        done = use_case.confirm(
            SecretText(body.completion), customer_id, look=body.look, now=now, services=services
        )
    else:
        code = SecretText(body.code)
        done = use_case.finish_embedded(code, body.state, customer_id, now=now, services=services)
    return _answer(done)


def _answer(done: Finished) -> Response:
    connected = done.status is Status.CONNECTED
    body = {
        "status": done.status,
        **(
            {"provider_id": done.key.provider_id, "company_id": done.key.company_id}
            if done.key
            else {}
        ),
        **({"entity_names": list(done.entity_names)} if done.entity_names else {}),
        **({"completion": done.completion.reveal()} if done.completion else {}),
        **({} if done.repaired is None else {"repaired": done.repaired}),
    }
    cookies = [api.cookie(done.session.binding_cookie, "", 0)] if connected else []
    status = HTTPStatus.OK if connected else HTTPStatus.ACCEPTED
    return api.answer(status, body, cookies, done.status)


def _services() -> Services:
    return Services(
        sessions=session_table.from_settings(),
        connections=connection_table.from_settings(),
        ownerships=ownership_table.from_settings(),
        vault=token_vault.from_settings(),
        finch=connect_api.from_settings(),
        queue=work_queue.from_settings(),
        pause=time.sleep,
    )


finish_connect = api.function({"GET /callback": _callback, "POST /callback": _finish})

cold_start.ready(_services)
