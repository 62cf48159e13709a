"""What Finch can answer instead of what was asked.

FinchFailure
├── FinchUnavailable                 try again later
│   ├── NotReached                   the request was never sent: nothing has happened at Finch
│   ├── RateLimited                  429: nothing has happened at Finch
│   └── AnswerLost                   no usable answer: it may have happened at Finch
│       ├── ServerError              500, 502 and the rest of 5xx, and 408
│       └── UnknownAnswer            an answer that Finch's reference does not know
├── FinchMisconfigured               our set-up at Finch is wrong, a person must look
│   ├── InvalidClient                401 invalid_client_error
│   ├── CredentialsUnreadable        our secret cannot be read, so nothing was asked
│   ├── TokenNotSent                 401 unauthorized_request_error
│   └── PaymentRequired              402
├── RequestRefused                   400, 404, 409, 422, 501: Finch will not do this
│   ├── InvalidGrant                 400 invalid_grant_error: the code is wrong, used or too old
│   └── ConnectionAlreadyExists      400 connection_already_exists
├── Unauthorized                     the other 401s: about the token
│   ├── ReauthenticationNeeded       401 reauthenticate_user: the person must log in again
│   ├── AccountSetupRequired         401 account_setup_required
│   └── TokenDead                    401 invalid_token_error: unknown or revoked
└── Forbidden                        403
    ├── InsufficientPermissions      403 error_permissions: the person's role at the provider
    └── InsufficientScope            403 insufficient_scope_error: the product was not granted

Source: "Error Types" of Finch's API reference.
"""

import re
from typing import ClassVar


class FinchFailure(Exception):
    """Any failure of a call to Finch. `code` is the stable word that callers of ours see."""

    code: ClassVar[str]
    detail: ClassVar[str]

    def __init__(self, finch_request_id: str | None = None) -> None:
        super().__init__(self.detail)
        self.finch_request_id = finch_request_id

    @property
    def kind(self) -> str:
        """Its own word, finer than `code`: for counting."""
        return re.sub("(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()


class FinchUnavailable(FinchFailure):
    """Finch did not answer as it should; it may do so later."""

    code = "finch_unavailable"
    detail = "Finch cannot be reached at the moment; try again later."


class NotReached(FinchUnavailable):
    """The request was never sent, so nothing has happened at Finch."""


class RateLimited(FinchUnavailable):
    """Finch asks for fewer requests; nothing has happened at Finch."""


class AnswerLost(FinchUnavailable):
    """The request was sent and no usable answer came: it may have happened at Finch."""


class ServerError(AnswerLost):
    """Finch failed."""


class UnknownAnswer(AnswerLost):
    """Finch answered in a way that its reference does not know."""


class FinchMisconfigured(FinchFailure):
    """Our set-up at Finch is wrong; retrying does not help."""

    code = "finch_misconfigured"
    detail = "Finch does not accept this application at the moment; its operators must look."


class InvalidClient(FinchMisconfigured):
    """Our client id or secret is wrong. It says nothing about any connection."""


class CredentialsUnreadable(FinchMisconfigured):
    """The secret with our client id and secret cannot be read; Finch was not asked."""


class TokenNotSent(FinchMisconfigured):
    """Finch saw no token: a bug of ours."""


class PaymentRequired(FinchMisconfigured):
    """The Finch plan does not cover this."""


class RequestRefused(FinchFailure):
    """Finch will not do this."""

    code = "finch_refused"
    detail = "Finch does not take this request; another provider or other products may work."


class InvalidGrant(RequestRefused):
    """The code is wrong, was used or is too old, or was made for another redirect URI."""


class ConnectionAlreadyExists(RequestRefused):
    """This `customer_id` already has a connection at Finch, named by `connection_id`."""

    def __init__(self, connection_id: str | None, finch_request_id: str | None = None) -> None:
        super().__init__(finch_request_id)
        self.connection_id = connection_id


class Unauthorized(FinchFailure):
    """Finch refuses this token."""

    code = "finch_refused"
    detail = "Finch does not accept this connection's access at the moment."


class ReauthenticationNeeded(Unauthorized):
    """The person must log in at the provider again; the connection lives."""


class AccountSetupRequired(Unauthorized):
    """The person must finish setting up at the provider."""


class TokenDead(Unauthorized):
    """The token is unknown at Finch, or its connection was disconnected."""


class Forbidden(FinchFailure):
    """The token may not do this."""

    code = "finch_refused"
    detail = "Finch does not allow this for the connection."


class InsufficientPermissions(Forbidden):
    """The person's role at the provider is too low."""


class InsufficientScope(Forbidden):
    """The product was not granted."""


# Failures that say nothing about the token of the call: a call with another token fails too.
NOT_ABOUT_THE_TOKEN = (NotReached, RateLimited, FinchMisconfigured)
