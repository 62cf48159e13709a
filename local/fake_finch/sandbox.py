"""Finch's sandbox endpoints: connections without a user, and any status."""

from typing import Any

from flask import Blueprint
from pydantic import Field

from local.fake_finch.incoming import (
    Method,
    Products,
    RequestBody,
    access_token,
    body_of,
    check_products,
    check_sandbox,
    check_sandbox_application,
)
from local.fake_finch.records import STATUSES, Connection, Token
from local.fake_finch.refusals import BadRequest
from local.fake_finch.state import FinchState


class _SandboxConnection(RequestBody):
    provider_id: str
    authentication_type: Method | None = None
    products: Products | None = None
    employee_size: int = Field(default=20, ge=1, le=10_000)


class _SandboxAccount(RequestBody):
    company_id: str
    provider_id: str
    authentication_type: Method | None = None
    products: Products | None = None


class _SandboxStatus(RequestBody):
    connection_status: str | None = None


def blueprint(finch: FinchState) -> Blueprint:
    api = Blueprint("sandbox", __name__)

    @api.post("/sandbox/connections")
    def sandbox_connection() -> dict[str, Any]:
        check_sandbox_application(finch)
        body = body_of(_SandboxConnection)
        check_products(body.products)
        token, connection = finch.new_sandbox_connection(
            body.provider_id,
            products=body.products,
            method=body.authentication_type,
            employee_size=body.employee_size,
        )
        answer = _sandbox_answer(token, connection)
        return {**answer, "access_token": token.access_token, "token_type": "bearer"}

    @api.post("/sandbox/connections/accounts")
    def sandbox_account() -> dict[str, Any]:
        check_sandbox_application(finch)
        body = body_of(_SandboxAccount)
        check_products(body.products)
        token, connection = finch.new_sandbox_account(
            body.company_id,
            body.provider_id,
            products=body.products,
            method=body.authentication_type,
        )
        return {**_sandbox_answer(token, connection), "access_token": token.access_token}

    @api.put("/sandbox/connections/accounts")
    def sandbox_status() -> dict[str, Any]:
        token, connection = finch.look_up(access_token())
        check_sandbox(finch)
        status = body_of(_SandboxStatus).connection_status
        if status is not None:
            if status not in STATUSES:
                raise BadRequest("connection_status is not one of the documented values")
            finch.set_connection_status(connection.id, status)
        return _sandbox_answer(token, connection)

    return api


def _sandbox_answer(token: Token, connection: Connection) -> dict[str, Any]:
    return {
        "connection_id": connection.id,
        "entity_id": connection.entities[0].id,
        "account_id": token.account_id,
        "company_id": connection.company_id,
        "provider_id": connection.provider_id,
        "authentication_type": connection.method,
        "products": list(token.products),
    }
