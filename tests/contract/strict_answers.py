"""A strict reading of Finch's answers against the official SDK's models.

The SDK itself validates nothing: a missing field reads as None there. Here the raw JSON is held
against the same models with pydantic's strict mode, and a field they do not have is a fault too.
"""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, TypeAdapter


class NotInContract(AssertionError):
    """The answer has a field that the SDK's model does not have."""


def conforming[M](kind: type[M], raw: bytes) -> M:
    """The answer as `kind`, every value of its declared type.

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
