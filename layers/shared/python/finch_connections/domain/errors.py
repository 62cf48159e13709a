"""The base of all refusals. Each subclass is defined next to the rule that raises it."""

from typing import ClassVar


class Refusal(Exception):
    """A request that our rules refuse.

    The message is safe to show to the caller: it contains no secret and no data of another customer.
    Without a `detail`, it is the first line of the class's docstring. Clients and stored outcomes use
    `code`, which never changes after its release. The caller may try again after `retry_after` seconds,
    if that is known. `reference` names the attempt to support, if the refusal ends or delays one.
    """

    code: ClassVar[str]
    retry_after: int | None = None
    reference: str | None = None

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or (self.__doc__ or "").strip().splitlines()[0])


class InvalidRequest(Refusal):
    """This route does not accept the request."""

    code = "invalid_request"


class InternalError(Refusal):
    """Something went wrong on our side. We have logged the error."""

    code = "internal_error"
