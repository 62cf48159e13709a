"""The failures of a call to Finch.

FinchFailure
├── FinchUnavailable                 try again later
│   ├── NotReached                   the request was not sent, so it had no effect
│   ├── RateLimited                  429: the request had no effect
│   └── AnswerLost                   no usable response: the request may have had its effect
│       ├── ServerError              5xx except 501, and 408
│       ├── TooLarge                 a response with too many bytes
│       └── UnknownAnswer            a response that is not in Finch's reference
├── FinchMisconfigured               our account or secret is wrong: the operator must act
│   ├── InvalidClient                401 invalid_client_error
│   ├── CredentialsUnreadable        our secret is unreadable, so we sent no request
│   ├── TokenNotSent                 401 unauthorized_request_error
│   └── PaymentRequired              402
├── RequestRefused                   400, 404, 409, 422, 501
│   ├── InvalidGrant                 400 invalid_grant_error: the code is wrong, used or too old
│   └── ConnectionAlreadyExists      400 connection_already_exists
├── Unauthorized                     the other 401s, which are about the token
│   ├── ReauthenticationNeeded       401 reauthenticate_user: the customer must log in again
│   ├── AccountSetupRequired         401 account_setup_required
│   └── TokenDead                    401 invalid_token_error: unknown or revoked
└── Forbidden                        403
    ├── InsufficientPermissions      403 error_permissions: the customer's role at the provider
    └── InsufficientScope            403 insufficient_scope_error: the product was not granted

Source: "Error Types" in Finch's API reference.
"""

import re
from datetime import datetime
from typing import ClassVar

from finch_connections.domain.history import HistoryEntry, Step


class FinchFailure(Exception):
    """Any failure of a call to Finch. Our callers see `code`, which never changes, and `detail`.

    `reference` names the attempt to connect that failed to support.
    """

    code: ClassVar[str]
    detail: ClassVar[str]
    reference: str | None = None

    def __init__(self, finch_request_id: str | None = None) -> None:
        super().__init__(self.detail)
        self.finch_request_id = finch_request_id

    @property
    def kind(self) -> str:
        """The name of the class in snake case, more precise than `code`, for metrics and histories."""
        return re.sub("(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    def entry(self, at: datetime, step: Step) -> HistoryEntry:
        """The entry of a history for a step that failed."""
        return HistoryEntry.of(at, step, self.kind, self.finch_request_id)


class FinchUnavailable(FinchFailure):
    """Finch did not give a usable response. The same request may succeed later."""

    code = "finch_unavailable"
    detail = "Finch is not available at the moment. Please try again later."


class NotReached(FinchUnavailable):
    """The request was not sent, so it had no effect."""


class RateLimited(FinchUnavailable):
    """Finch limits our requests. The request had no effect."""


class AnswerLost(FinchUnavailable):
    """No usable response came, so the request may have had its effect."""


class ServerError(AnswerLost):
    """Finch reported an error of its own."""


class TooLarge(AnswerLost):
    """Finch's response has too many bytes."""


class UnknownAnswer(AnswerLost):
    """Finch sent a response that is not in its reference."""


class FinchMisconfigured(FinchFailure):
    """Our account at Finch or our secret is wrong. A retry does not help."""

    code = "finch_misconfigured"
    detail = "Finch does not accept this application at the moment. Its operator must fix this."


class InvalidClient(FinchMisconfigured):
    """Our client id or client secret is wrong. This says nothing about any connection."""


class CredentialsUnreadable(FinchMisconfigured):
    """Our secret in Secrets Manager is unreadable, so we sent no request."""


class TokenNotSent(FinchMisconfigured):
    """Finch received no token, which is a bug of ours."""


class PaymentRequired(FinchMisconfigured):
    """Our Finch plan does not include this request."""


class RequestRefused(FinchFailure):
    """Finch refused the request."""

    code = "finch_refused"
    detail = "Finch does not accept this request. Another provider or other products may work."


class InvalidGrant(RequestRefused):
    """The code is wrong, used, too old, or for another redirect URI."""


class ConnectionAlreadyExists(RequestRefused):
    """This `customer_id` already has a connection at Finch, whose id is `connection_id` if Finch names it."""

    def __init__(self, connection_id: str | None, finch_request_id: str | None = None) -> None:
        super().__init__(finch_request_id)
        self.connection_id = connection_id


class Unauthorized(FinchFailure):
    """Finch refused the token."""

    code = "finch_refused"
    detail = "Finch does not accept the access token of this connection at the moment."


class ReauthenticationNeeded(Unauthorized):
    """The customer must log in at the provider again. The connection still exists."""


class AccountSetupRequired(Unauthorized):
    """The customer must finish the account setup at the provider."""


class TokenDead(Unauthorized):
    """Finch does not know the token, or its connection has ended."""


class Forbidden(FinchFailure):
    """The token does not allow this request."""

    code = "finch_refused"
    detail = "Finch does not allow this request for the connection."


class InsufficientPermissions(Forbidden):
    """The customer's role at the provider does not allow this."""


class InsufficientScope(Forbidden):
    """The token does not include the product."""


# Failures that do not depend on the token: a call with another token would fail too.
NOT_ABOUT_THE_TOKEN = (NotReached, RateLimited, FinchMisconfigured)
