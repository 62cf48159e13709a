"""Finishes a connection: Finch's redirect, the embedded flow, and a person's confirmation."""

import time
from datetime import UTC, datetime
from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field, RootModel

from finch_connections import (
    api,
    claim_table,
    cold_start,
    connecting,
    connection_table,
    finch_connect,
    request_body,
    session_table,
    settings,
    tend_queue,
    token_vault,
)
from finch_connections.api import Request, Response
from finch_connections.connecting import Finished, Outsiders, Status
from finch_connections.secret_text import SecretText


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
    done = connecting.finish_redirect(
        request.query,
        request.cookies,
        allowed_return_urls=settings.read().allowed_return_urls,
        now=datetime.now(UTC),
        outside=_outside(),
    )
    return api.redirect(
        done.url,
        [api.cookie(done.spent_cookie, "", 0)] if done.spent_cookie else [],
        done.outcome,
    )


def _finish(request: Request) -> Response:
    customer_id = request.customer_id
    body = request_body.parse(FinishRequest, request.body).root
    now, outside = datetime.now(UTC), _outside()
    if isinstance(body, Confirmation):
        done = connecting.confirm(
            SecretText(body.completion), customer_id, look=body.look, now=now, outside=outside
        )
    else:
        code = SecretText(body.code)
        done = connecting.finish_embedded(code, body.state, customer_id, now=now, outside=outside)
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


def _outside() -> Outsiders:
    return Outsiders(
        sessions=session_table.connect(),
        connections=connection_table.connect(),
        claims=claim_table.connect(),
        vault=token_vault.connect(),
        finch=finch_connect.connect(),
        queue=tend_queue.connect(),
        pause=time.sleep,
    )


finish_connect = api.function({"GET /callback": _callback, "POST /callback": _finish})

cold_start.ready(_outside)
