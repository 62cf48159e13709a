"""Reads input into a model, for the functions that take one."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError

from finch_connections.refusal import InvalidRequest


def parse[M: BaseModel](model: type[M], body: bytes) -> M:
    """The body as `model`; raises `InvalidRequest` that names the fields, never their values."""
    return _told(lambda: model.model_validate_json(body))


def validate[M: BaseModel](model: type[M], value: Any) -> M:
    """The value as `model`; raises `InvalidRequest` that names the fields, never their values."""
    return _told(lambda: model.model_validate(value))


def _told[M: BaseModel](read: Callable[[], M]) -> M:
    try:
        return read()
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False, include_context=False)
        raise InvalidRequest(
            "; ".join(
                ": ".join(filter(None, [".".join(map(str, one["loc"])), one["msg"]]))
                for one in problems[:5]
            )
        ) from None
