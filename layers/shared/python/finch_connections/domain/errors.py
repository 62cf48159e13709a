"""The base of everything that we refuse on purpose; each kind stands beside the rule that raises it."""

from typing import ClassVar


class Refusal(Exception):
    """A request that our rules refuse.

    The message is fit for the caller's eyes: no secret and nothing of another customer. `code` is
    the stable word that clients and stored outcomes use; it never changes once released.
    """

    code: ClassVar[str]

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or (self.__doc__ or "").strip().splitlines()[0])


class InvalidRequest(Refusal):
    """The request is not what this route takes."""

    code = "invalid_request"


class InternalError(Refusal):
    """Something went wrong on our side; it has been noted."""

    code = "internal_error"
