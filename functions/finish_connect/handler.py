"""Finishes a connection: Finch's redirect, the embedded flow, and the user's confirmation."""

import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from finch_connections import cold_start, metrics, settings
from finch_connections.aws import (
    connection_table,
    ownership_table,
    session_table,
    token_vault,
)
from finch_connections.domain.connect_session import Mode
from finch_connections.domain.secret import SecretText
from finch_connections.finch import connect_api
from finch_connections.use_cases import finish_connect as use_case
from finch_connections.use_cases.attach_token import Finished, Status
from finch_connections.use_cases.exchange_code import Services
from finch_connections.use_cases.finish_connect import Failed
from finch_connections.web import api, cookies, redirects
from finch_connections.web.api import Request, Response


def _callback(request: Request) -> Response:
    query = request.query
    done = use_case.finish_redirect(
        state=query.get("state"),
        code=query.get("code"),
        error=query.get("error"),
        last_handles=cookies.clicked(request.cookies),
        bindings=cookies.bindings(request.cookies),
        now=datetime.now(UTC),
        services=_services(),
    )
    attempt = done.session.attempt if done.session else None
    if isinstance(done, Failed):
        outcome, completion, counted, over = {"error": done.code}, None, done.code, done.over
    else:
        outcome, completion, counted = _outcome(done), done.completion, done.status.value
        over = done.status is Status.CONNECTED
        if done.repaired is not None:
            outcome["repaired"] = str(done.repaired).lower()
    if attempt and counted != Status.CONNECTED:
        outcome["reference"] = attempt.reference
    return_to = attempt.return_to if attempt else None
    allowed = settings.read().allowed_return_urls
    url = redirects.return_url(return_to, allowed, outcome, completion)
    # Without an echoed state, another tab of the browser may need the binding.
    echoed = (query.get("state") or "").strip(",")
    spent = (
        [cookies.spent_binding_cookie(attempt.binding_id)] if attempt and over and echoed else []
    )
    return api.redirect(url, spent, counted)


def _check(request: Request) -> Response:
    url = redirects.return_url(None, settings.read().allowed_return_urls, {})
    return api.redirect(url, [], metrics.OK)


def _finish(request: Request) -> Response:
    customer_id = request.customer_id
    # Only these requests need pydantic, which takes a quarter of a callback's cold start.
    from . import finish_request  # noqa: PLC0415

    body = finish_request.parse(request.body)
    now, services = datetime.now(UTC), _services()
    if isinstance(body, finish_request.Confirmation):
        done = use_case.confirm(
            SecretText(body.completion), customer_id, look=body.look, now=now, services=services
        )
    else:
        code = SecretText(body.code)
        done = use_case.finish_embedded(code, body.state, customer_id, now=now, services=services)
    return _answer(done)


def _answer(done: Finished) -> Response:
    connected = done.status is Status.CONNECTED
    body: dict[str, Any] = {
        **_outcome(done),
        **({} if connected else {"reference": done.session.attempt.reference}),
        **({"entity_names": list(done.entity_names)} if done.entity_names else {}),
        **({"completion": done.completion.reveal()} if done.completion else {}),
        **({} if done.repaired is None else {"repaired": done.repaired}),
    }
    spent = [cookies.spent_binding_cookie(done.session.attempt.binding_id)] if connected else []
    status = HTTPStatus.OK if connected else HTTPStatus.ACCEPTED
    return api.answer(status, body, spent, done.status)


def _outcome(done: Finished) -> dict[str, str]:
    key = done.key
    company = {"provider_id": key.provider_id, "company_id": key.company_id} if key else {}
    return {"status": done.status.value, **company}


def _services() -> Services:
    return Services(
        sessions=session_table.from_settings(),
        connections=connection_table.from_settings(),
        ownerships=ownership_table.from_settings(),
        vault=token_vault.from_settings(),
        finch=connect_api.from_settings(),
        pause=time.sleep,
        max_connections=int(settings.read().max_connections),
    )


def _read_bodies() -> None:
    """Loads pydantic if every user of the embedded mode needs it."""
    if Mode.EMBEDDED in settings.read().allowed_modes:
        from . import finish_request  # noqa: F401, PLC0415


finish_connect = api.function(
    {"GET /callback": _callback, "HEAD /callback": _check, "POST /callback": _finish}
)

cold_start.ready(_services, _read_bodies)
