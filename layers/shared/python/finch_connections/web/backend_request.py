"""The fields that every other backend of the application sends."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from finch_connections.domain.connection import CompanyKey, UnusableIdentifier
from finch_connections.domain.errors import InvalidRequest
from finch_connections.web import request_body
from finch_connections.web.request_body import CustomerId, FinchId

# The name of a function or the ARN of a role.
type Caller = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:/@+=,-]{1,200}$")]
type Purpose = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9 _.,:/()-]{0,99}$")]


def backend_of(invoked_arn: str) -> str | None:
    """The backend whose alias was invoked. None for `live`, and for the function without an alias."""
    qualifier = "".join(invoked_arn.split(":")[7:])
    return None if qualifier in ("", "live", "$LATEST") else qualifier


class Requester(BaseModel):
    """The fields that even the audit record of an invalid request needs."""

    customer_id: CustomerId
    caller: Caller


def requester_of(event: Any) -> Requester | None:
    """The customer and the caller of an invalid request, or None if they are not readable."""
    try:
        return request_body.validate(Requester, event)
    except InvalidRequest:
        return None


class Company(BaseModel):
    """A company at a provider."""

    model_config = ConfigDict(extra="forbid")

    provider_id: FinchId
    company_id: FinchId

    @model_validator(mode="after")
    def _ids_fit_together(self) -> Self:
        try:
            CompanyKey(self.provider_id, self.company_id)
        except UnusableIdentifier:
            raise ValueError("provider_id and company_id are too long together") from None
        return self

    @property
    def key(self) -> CompanyKey:
        return CompanyKey(self.provider_id, self.company_id)
