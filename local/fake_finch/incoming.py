"""Checks of requests to Finch's endpoints: credentials, version and JSON body."""

from collections.abc import Sequence
from typing import Annotated, Literal

from flask import request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local.fake_finch import seed_world
from local.fake_finch.refusals import BadRequest, InvalidClient, UnauthorizedRequest
from local.fake_finch.state import FinchState

API_VERSION = "2020-09-17"

Products = Annotated[list[str], Field(min_length=1)]
Method = Literal["assisted", "credential", "oauth", "api_token"]


class RequestBody(BaseModel):
    """A JSON body. Unknown fields are ignored. Values are never converted."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)


def body_of[B: RequestBody](kind: type[B]) -> B:
    """The JSON body as `kind`; raises BadRequest with the field's name, never with its value."""
    if request.mimetype != "application/json":
        raise BadRequest("The body must be JSON")
    try:
        return kind.model_validate_json(request.get_data())
    except ValidationError as invalid:
        first = invalid.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise BadRequest(f"{where}: {first['msg']}") from None


def check_products(products: Sequence[str] | None) -> None:
    """Raise BadRequest for a product that Finch does not have."""
    for product in products or ():
        if product not in seed_world.PRODUCTS:
            raise BadRequest(f"{product} is an invalid product")


def check_version(finch: FinchState) -> None:
    """Raise BadRequest unless the request names the version of the API (by switch)."""
    version = request.headers.get("Finch-API-Version")
    if finch.switches.require_api_version and version != API_VERSION:
        raise BadRequest(f"Finch-API-Version must be {API_VERSION}")


def check_application(finch: FinchState) -> None:
    """Raise InvalidClient without the application's Basic credentials.

    A bearer token or no credentials count as an unknown client.
    """
    given = request.authorization
    if given is None or given.type != "basic":
        raise InvalidClient
    finch.check_client(given.username, given.password)


def check_sandbox_application(finch: FinchState) -> None:
    """Like `check_application`; also raises BadRequest for a non-sandbox application."""
    check_application(finch)
    check_sandbox(finch)


def check_sandbox(finch: FinchState) -> None:
    if finch.application.client_type != "sandbox":
        raise BadRequest("Only sandbox applications can do this")


def access_token() -> str:
    """The bearer token; raises UnauthorizedRequest without a token."""
    given = request.authorization
    if given is None or given.type != "bearer" or not given.token:
        raise UnauthorizedRequest
    return given.token
