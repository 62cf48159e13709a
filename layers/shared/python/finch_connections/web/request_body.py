"""Parses input into pydantic models."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from finch_connections.domain.errors import InvalidRequest
from finch_connections.domain.identifier import LONGEST_FINCH_ID, customer_id_fault, is_finch_id

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# The name of an unknown field may be a secret, or very long.
_FIELD = re.compile("[A-Za-z_]{1,40}")


def _customer_id(value: str) -> str:
    if fault := customer_id_fault(value):
        raise ValueError(fault)
    return value


def _finch_id(value: str) -> str:
    if not is_finch_id(value):
        raise ValueError("has characters that are not printable")
    return value


CustomerId = Annotated[str, AfterValidator(_customer_id)]
FinchId = Annotated[
    str, Field(min_length=1, max_length=LONGEST_FINCH_ID), AfterValidator(_finch_id)
]


def parse[M: BaseModel](model: type[M], body: bytes) -> M:
    """The body as `model`; raises `InvalidRequest`, which names the fields but never their values."""
    return _validated(lambda: model.model_validate_json(body))


def validate[M: BaseModel](model: type[M], value: Any) -> M:
    """The value as `model`; raises `InvalidRequest`, which names the fields but never their values."""
    return _validated(lambda: model.model_validate(value))


def _validated[M: BaseModel](read: Callable[[], M]) -> M:
    try:
        return read()
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False, include_context=False)
        raise InvalidRequest("; ".join(_problem(one) for one in problems[:5])) from None


def _problem(problem: "ErrorDetails") -> str:
    *parents, name = [str(one) for one in problem["loc"]] or [""]
    if problem["type"] == "extra_forbidden" and not _FIELD.fullmatch(name):
        name = "…"
    return ": ".join(filter(None, [".".join([*parents, name]), problem["msg"]]))
