"""The body of `POST /callback`."""

from pydantic import BaseModel, ConfigDict, Field, RootModel

from finch_connections.web import request_body


class Embedded(BaseModel):
    """The code and the state that Finch's SDK gave to the page."""

    model_config = ConfigDict(extra="forbid")

    code: str = Field(min_length=1, max_length=500)
    state: str


class Confirmation(BaseModel):
    """The user's confirmation of the company that the page showed after Finch Connect.

    With `look`, the request confirms nothing: the response has the company that the page must show.
    """

    model_config = ConfigDict(extra="forbid")

    completion: str
    look: bool = False


class FinishRequest(RootModel[Confirmation | Embedded]):
    """The body of `POST /callback`."""

    model_config = ConfigDict(hide_input_in_errors=True)


def parse(body: bytes) -> Confirmation | Embedded:
    """The parsed body. Raises `InvalidRequest`."""
    return request_body.parse(FinishRequest, body).root
