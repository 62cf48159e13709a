"""Finch's management endpoints: sessions, tokens, introspection, disconnecting, providers."""

import re
from typing import Any, Literal

from flask import Blueprint, Response, jsonify
from pydantic import Field, field_validator, model_validator

from local.fake_finch import seed_world
from local.fake_finch.incoming import (
    Method,
    Products,
    RequestBody,
    access_token,
    body_of,
    check_application,
    check_products,
)
from local.fake_finch.records import Connection, Customer, Session, Token
from local.fake_finch.seed_world import Provider
from local.fake_finch.state import FinchState

# The fields in each shape of `Switches.answers`; all fields in any other.
_TOKEN_FIELDS = {
    "sparse": (
        "access_token token_type connection_id connection_type client_type entity_ids products "
        "provider_id"
    ),
    "old": "access_token account_id company_id products provider_id",
}
_INTROSPECTION_FIELDS = {
    "sparse": (
        "id client_id client_type connection_id connection_status connection_type products "
        "provider_id"
    ),
    "old": "account_id client_id company_id payroll_provider_id products",
}


class _Integration(RequestBody):
    provider: str
    auth_method: Method | None = None


class _Recordkeeping(RequestBody):
    recordkeeper: Literal["voya", "empower", "fidelity", "transamerica"]
    plan_id: str | None = None


class _NewSession(RequestBody):
    customer_id: str = Field(min_length=1, max_length=255)
    customer_name: str = Field(min_length=1, max_length=255)
    products: Products
    customer_email: str | None = None
    redirect_uri: str | None = None
    minutes_to_expire: float | None = Field(default=None, ge=1, le=129_600)
    sandbox: Literal["finch", "provider"] | None = None
    manual: bool | None = None
    integration: _Integration | None = None
    recordkeeping: _Recordkeeping | None = None

    @field_validator("customer_email")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+", value):
            raise ValueError("must be an email address")
        return value

    @model_validator(mode="after")
    def _recordkeeping_is_requested(self) -> "_NewSession":
        if self.recordkeeping is not None and "recordkeeping" not in self.products:
            raise ValueError("recordkeeping needs the recordkeeping product")
        return self


class _ReauthSession(RequestBody):
    connection_id: str
    redirect_uri: str | None = None
    minutes_to_expire: int = Field(default=43_200, ge=1, le=129_600)
    products: Products | None = None


class _TokenRequest(RequestBody):
    code: str
    client_id: str | None = None
    client_secret: str | None = None
    redirect_uri: str | None = None


class _EntityIds(RequestBody):
    entity_ids: list[str] = Field(min_length=1)


def blueprint(finch: FinchState) -> Blueprint:
    api = Blueprint("management", __name__)

    @api.post("/connect/sessions")
    def new_session() -> tuple[dict[str, Any], int]:
        check_application(finch)
        body = body_of(_NewSession)
        check_products(body.products)
        session = finch.new_session(
            Customer(body.customer_id, body.customer_name, body.customer_email),
            body.products,
            redirect_uri=body.redirect_uri,
            minutes_to_expire=body.minutes_to_expire or 129_600,
            provider_id=body.integration.provider if body.integration else None,
            auth_method=body.integration.auth_method if body.integration else None,
            manual=bool(body.manual),
            sandbox=body.sandbox,
        )
        return _session_answer(finch, session), 201

    @api.post("/connect/sessions/reauthenticate")
    def new_reauth_session() -> tuple[dict[str, Any], int]:
        check_application(finch)
        body = body_of(_ReauthSession)
        check_products(body.products)
        session = finch.new_reauth_session(
            body.connection_id,
            body.products,
            redirect_uri=body.redirect_uri,
            minutes_to_expire=body.minutes_to_expire,
        )
        return _session_answer(finch, session), 201

    @api.post("/auth/token")
    def create_access_token() -> dict[str, Any]:
        body = body_of(_TokenRequest)
        token, connection = finch.exchange(
            body.code,
            client_id=body.client_id,
            client_secret=body.client_secret,
            redirect_uri=body.redirect_uri,
        )
        return _token_answer(finch, token, connection)

    @api.get("/introspect")
    def introspect() -> dict[str, Any]:
        token, connection = finch.look_up(access_token())
        return _introspection(finch, token, connection)

    @api.post("/disconnect")
    def disconnect() -> dict[str, Any]:
        finch.disconnect(access_token())
        return {"status": "success"}

    @api.post("/disconnect-entity")
    def disconnect_entity() -> dict[str, Any]:
        bearer = access_token()
        finch.disconnect_entities(bearer, body_of(_EntityIds).entity_ids)
        return {"status": "success"}

    @api.get("/providers")
    def providers() -> Response:
        return jsonify([_provider(finch, provider) for provider in finch.providers()])

    return api


def _session_answer(finch: FinchState, session: Session) -> dict[str, Any]:
    return {"session_id": session.id, "connect_url": finch.connect_url(session)}


def _token_answer(finch: FinchState, token: Token, connection: Connection) -> dict[str, Any]:
    switches = finch.switches
    customer = token.customer
    customer_id = switches.token_customer_id_override or (customer.id if customer else None)
    answer: dict[str, Any] = {
        "access_token": token.access_token,
        "token_type": "bearer",
        "connection_id": connection.id,
        "connection_type": connection.connection_type,
        "client_type": finch.application.client_type,
        "entity_ids": [entity.id for entity in connection.present_entities],
        "products": list(token.products),
        "provider_id": connection.provider_id,
        "account_id": token.account_id,
        "company_id": connection.company_id,
        "customer_id": customer_id,
        "customer_name": customer.name if customer else None,
    }
    for name in ("company_id", "account_id", "customer_id", "customer_name", "entity_ids"):
        _set_presence(answer, name, getattr(switches, f"token_{name}"))
    return _with_extras(finch, _shaped(answer, _TOKEN_FIELDS.get(switches.answers)))


def _introspection(finch: FinchState, token: Token, connection: Connection) -> dict[str, Any]:
    switches = finch.switches
    customer = connection.customer if switches.introspect_names_first_customer else token.customer
    customer_id = switches.introspect_customer_id_override or (customer.id if customer else None)
    as_number = switches.introspect_customer_id_as_number and (customer_id or "").isdecimal()
    status = {
        "status": switches.introspect_status_override or connection.status,
        "last_successful_sync": finch.now().isoformat(),
        "message": connection.message,
    }
    answer: dict[str, Any] = {
        "id": token.id,
        "client_id": switches.introspect_client_id_override or finch.application.client_id,
        "client_type": finch.application.client_type,
        "connection_id": connection.id,
        "connection_type": connection.connection_type,
        "connection_status": status,
        "products": list(token.products),
        "provider_id": connection.provider_id,
        "payroll_provider_id": connection.provider_id,
        "account_id": token.account_id,
        "company_id": connection.company_id,
        "customer_id": int(customer_id) if customer_id and as_number else customer_id,
        "customer_name": customer.name if customer else None,
        "customer_email": customer.email if customer else None,
        "authentication_methods": [
            {
                "type": connection.method,
                "connection_status": status,
                "products": list(token.products),
            }
        ],
        "entities": [
            {
                "id": entity.id,
                "name": entity.name,
                "source_id": entity.source_id,
                "status": "disconnected" if entity.disconnected else status["status"],
            }
            for entity in connection.entities
        ],
        "manual": connection.method == "assisted",
        "username": token.login,
    }
    for name in ("company_id", "account_id", "customer_id", "customer_name"):
        _set_presence(answer, name, getattr(switches, f"introspect_{name}"))
    if switches.answers == "sparse":
        answer["connection_status"] = {"status": status["status"]}
    return _with_extras(finch, _shaped(answer, _INTROSPECTION_FIELDS.get(switches.answers)))


def _shaped(answer: dict[str, Any], fields: str | None) -> dict[str, Any]:
    if fields is None:
        return answer
    return {name: value for name, value in answer.items() if name in fields.split()}


def _set_presence(answer: dict[str, Any], name: str, presence: str) -> None:
    if presence == "null":
        answer[name] = None
    elif presence == "absent":
        del answer[name]


def _with_extras(finch: FinchState, answer: dict[str, Any]) -> dict[str, Any]:
    if finch.switches.extra_fields:
        answer["a_field_of_tomorrow"] = {"nested": [1, "two", None]}
    return answer


def _provider(finch: FinchState, provider: Provider) -> dict[str, Any]:
    logo = f"{finch.base_url}/connect/logos/{provider.id}.svg"
    return {
        "id": provider.id,
        "display_name": provider.display_name,
        "products": list(provider.products),
        "authentication_methods": [
            {
                "type": method,
                "benefits_support": {},
                "supported_fields": seed_world.supported_fields(),
            }
            for method in provider.methods
        ],
        "beta": provider.beta,
        # A new provider has no logo yet.
        **({} if provider.beta else {"icon": logo, "logo": logo}),
        "manual": provider.assisted_only,
        "mfa_required": provider.mfa_required,
        "primary_color": provider.primary_color,
    }
