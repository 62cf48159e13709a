"""Reads a JSON body into a model, for the functions that take one."""

from pydantic import BaseModel, ValidationError

from finch_connections.refusal import InvalidRequest


def parse[M: BaseModel](model: type[M], body: bytes) -> M:
    """The body as `model`; raises `InvalidRequest` that names the fields, never their values."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False, include_context=False)
        raise InvalidRequest(
            "; ".join(
                ": ".join(filter(None, [".".join(map(str, one["loc"])), one["msg"]]))
                for one in problems[:5]
            )
        ) from None
