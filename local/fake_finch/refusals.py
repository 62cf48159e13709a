"""Finch's documented errors: an exception for each, and its body.

Refused                         any request that Finch refuses
|- BadRequest                   400 bad_request
|  `- ConnectionAlreadyExists   400, seen in practice, not documented
|- InvalidGrant                 400 invalid_grant_error
|- InvalidRequest               400 invalid_request_error
|- InvalidToken                 401 invalid_token_error: unknown or revoked
|- UnauthorizedRequest          401 unauthorized_request_error: no token sent
|- InvalidClient                401 invalid_client_error
|- ReauthenticateUser           401 authentication_error / reauthenticate_user
|- AccountSetupRequired         401 authentication_error / account_setup_required
|- InsufficientPermissions      403 error_permissions
|- InsufficientScope            403 insufficient_scope_error
|- NotFound                     404 not_found_error
`- ServerError                  500 server_error
"""

from collections.abc import Mapping
from typing import Any


class Refused(Exception):
    """A request that Finch answers with an error in its documented shape."""

    status = 400
    name = "bad_request"
    finch_code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        finch_code: str | None = None,
        context: Mapping[str, Any] | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.context = context
        self.status = status or self.status
        self.finch_code = finch_code or self.finch_code

    def body(self) -> dict[str, Any]:
        return error_body(
            self.status, self.name, self.message, finch_code=self.finch_code, context=self.context
        )


class BadRequest(Refused):
    finch_code = "invalid_request"


class ConnectionAlreadyExists(Refused):
    finch_code = "connection_already_exists"

    def __init__(self, connection_id: str) -> None:
        super().__init__(
            "A connection already exists for this customer",
            context={"connection_id": connection_id},
        )


class InvalidGrant(Refused):
    name = "invalid_grant_error"


class InvalidRequest(Refused):
    name = "invalid_request_error"


class InvalidToken(Refused):
    status = 401
    name = "invalid_token_error"

    def __init__(self) -> None:
        super().__init__("The access token is unknown or has been revoked")


class UnauthorizedRequest(Refused):
    status = 401
    name = "unauthorized_request_error"

    def __init__(self) -> None:
        super().__init__("No access token was sent")


class InvalidClient(Refused):
    status = 401
    name = "invalid_client_error"

    def __init__(self) -> None:
        super().__init__("Invalid client: Unable to validate credentials.")


class ReauthenticateUser(Refused):
    status = 401
    name = "authentication_error"
    finch_code = "reauthenticate_user"

    def __init__(self) -> None:
        super().__init__("The user must log in to the provider again")


class AccountSetupRequired(Refused):
    status = 401
    name = "authentication_error"
    finch_code = "account_setup_required"

    def __init__(self) -> None:
        super().__init__("The user must finish the account setup at the provider")


class InsufficientPermissions(Refused):
    status = 403
    name = "error_permissions"
    finch_code = "insufficient_account_permissions"

    def __init__(self) -> None:
        super().__init__("The user's role at the provider does not allow this")


class InsufficientScope(Refused):
    status = 403
    name = "insufficient_scope_error"

    def __init__(self, product: str) -> None:
        super().__init__(f"The access token does not cover the product {product}")


class NotFound(Refused):
    status = 404
    name = "not_found_error"


class ServerError(Refused):
    status = 500
    name = "server_error"


# (status, name, finch_code) from the Error-Types page. A fault names an error and needs no body.
DOCUMENTED_ERRORS: tuple[tuple[int, str, str | None], ...] = (
    (400, "invalid_grant_error", None),
    (400, "bad_request", "invalid_request"),
    (400, "invalid_request_error", None),
    (401, "authentication_error", "reauthenticate_user"),
    (401, "authentication_error", "account_setup_required"),
    (401, "invalid_token_error", None),
    (401, "unauthorized_request_error", None),
    (401, "invalid_client_error", None),
    (402, "payment_required", None),
    (403, "error_permissions", "insufficient_account_permissions"),
    (403, "insufficient_scope_error", None),
    (404, "not_found_error", "item_not_found"),
    (404, "not_found_error", "benefit_not_found"),
    (404, "not_found_error", "individual_not_found"),
    (404, "not_found_error", "payment_not_found"),
    (404, "bad_request", "enrollment_not_found"),
    (408, "client_connection_closed", None),
    (422, "unprocessable_request_error", "unsupported_parameters"),
    (422, "unprocessable_request_error", "invalid_employee_enrollment"),
    (429, "rate_limit_exceeded_error", "finch_application_rl"),
    (429, "rate_limit_exceeded_error", "finch_api_ip_rl"),
    (429, "rate_limit_exceeded_error", "finch_auth_ip_rl"),
    (429, "rate_limit_exceeded_error", "upstream_rate_limit_exceeded"),
    (500, "server_error", None),
    (501, "not_implemented_error", None),
    (502, "bad_gateway_error", "upstream_provider_error"),
)


def error_body(
    status: int,
    name: str,
    message: str,
    *,
    finch_code: str | None = None,
    context: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The JSON of an error: the documented fields and two more that real answers have."""
    body: dict[str, Any] = {
        "statusCode": status,
        "status": status,
        "code": status,
        "name": name,
        "message": message,
    }
    if finch_code:
        body["finch_code"] = finch_code
    if context:
        body["context"] = dict(context)
    return body


def documented_error(name: str, finch_code: str | None = None) -> dict[str, Any]:
    """The body of the documented error with this name (and this code, if given).

    Raises ValueError for a pair that Finch does not document.
    """
    for status, known_name, known_code in DOCUMENTED_ERRORS:
        if known_name == name and finch_code in (None, known_code):
            message = (
                "Too many requests for token"
                if name == "rate_limit_exceeded_error"
                else f"Refused by a fault: {name}"
            )
            return error_body(status, name, message, finch_code=known_code)
    raise ValueError(f"Finch documents no error {name} / {finch_code}")
