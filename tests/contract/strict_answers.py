"""Strict validation of Finch's answers with the models of the official SDK.

The SDK itself validates nothing: it reads a missing field as None. Here pydantic's strict mode
validates the raw JSON with the same models, and an unknown field is an error too.
"""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, TypeAdapter


class NotInContract(AssertionError):
    """The answer has a field that the SDK's model does not have."""


def conforming[M](kind: type[M], raw: bytes) -> M:
    """The answer as `kind`, with every value of its declared type.

    Raises pydantic's ValidationError for a missing or mistyped field, NotInContract for an
    unknown one.
    """
    answer = TypeAdapter(kind).validate_json(raw, strict=True)
    unknown = sorted(_unknown_fields(answer, kind.__name__))
    if unknown:
        raise NotInContract(f"fields that the SDK does not know: {', '.join(unknown)}")
    return answer


def _unknown_fields(value: Any, where: str) -> Iterable[str]:
    if isinstance(value, BaseModel):
        for name in value.model_extra or {}:
            yield f"{where}.{name}"
        for name in type(value).model_fields:
            yield from _unknown_fields(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown_fields(item, f"{where}[{index}]")
