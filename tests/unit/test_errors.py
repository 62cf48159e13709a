"""The texts of refusals."""

from finch_connections.domain.errors import InternalError, InvalidRequest, Refusal


def test_refusal_shows_its_detail_or_else_the_first_line_of_its_docstring() -> None:
    assert str(InvalidRequest("limit must be a number.")) == "limit must be a number."
    assert str(InternalError()) == "Something went wrong on our side. We have logged the error."
    assert str(Refusal()) == "A request that our rules refuse."
    assert Refusal().retry_after is None
