"""What is undocumented about Finch, or differs between its pages, as switches of the fake Finch."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Presence = Literal["present", "null", "absent"]
_PRESENT: Presence = "present"


class Switches(BaseModel):
    """One field per question on which Finch could be either way.

    A misspelt name or an impossible value raises ValueError at the assignment.
    """

    model_config = ConfigDict(extra="forbid", strict=True, validate_assignment=True)

    # Requests.
    require_api_version: bool = True
    """Refuse requests without `Finch-API-Version: 2020-09-17`."""

    # The redirect.
    echo_state: bool = True
    """Give `state` back on the success redirect. The API schema never had the parameter."""
    echo_state_on_error: bool = True
    """The same for the error redirect."""

    # Sessions and codes.
    one_connection_per_customer_id: bool = True
    """Answer `connection_already_exists` while the `customer_id` holds a live connection."""
    session_single_use: bool = False
    """Close a Connect session at its first code. Off: usable until it expires."""
    code_single_use: bool = True
    """Off: a code may be exchanged again until it expires, for another token each time."""

    # What a connection is.
    other_login_same_connection: bool = False
    """Another user's credentials at the same company and provider join the connection
    (with another `account_id`), as older pages say, instead of making a second one."""
    reauth_kills_old_tokens: bool = False
    """The exchange after a reauthentication revokes the connection's older tokens."""
    login_kills_old_tokens: bool = False
    """The same for a login in an ordinary session that joins a connection, or in a
    reauthentication that ends at another one."""
    reauth_may_change_company: bool = False
    """A reauthentication may end at another company, which becomes its own connection.
    Off: the login must reach the original company."""
    disconnect_scope: Literal["connection", "employer_provider"] = "connection"
    """`employer_provider`: also end every other connection of that company and provider."""
    disconnect_in_reauth: Literal["ok", "reauthenticate_user"] = "ok"
    """How `/disconnect` answers while the connection is in `reauth`."""

    # Fields of the token answer.
    token_company_id: Presence = _PRESENT
    token_account_id: Presence = _PRESENT
    token_customer_id: Presence = _PRESENT
    token_customer_name: Presence = _PRESENT
    token_entity_ids: Presence = _PRESENT
    token_customer_id_override: str | None = None
    """Finch names another customer than the session's."""

    # Fields of the introspection.
    introspect_company_id: Presence = _PRESENT
    introspect_account_id: Presence = _PRESENT
    introspect_customer_id: Presence = _PRESENT
    introspect_customer_name: Presence = _PRESENT
    introspect_customer_id_override: str | None = None
    introspect_customer_id_as_number: bool = False
    """Answer a numeric `customer_id` as a JSON number, as one documented example does."""
    introspect_names_first_customer: bool = False
    """Name the customer who made the connection, not the one whose session made this token."""
    introspect_client_id_override: str | None = None
    introspect_status_override: str | None = None
    """A status value of any spelling, e.g. one that no document lists."""
    extra_fields: bool = False
    """Add fields that no document names to the token answer and the introspection."""

    # Webhooks.
    webhook_on_disconnect: bool = True
    """Tell `disconnected` when a connection is disconnected as a whole."""
    webhook_on_new_connection: bool = False
    """Tell the first status of a connection too, before anybody has its token."""
    webhook_authentication_method: Literal["object", "string"] = "object"
    """As in the official SDK, or as in the example of the documentation."""
    webhook_connection_id: Presence = _PRESENT
    webhook_v2_signature: bool = False
    """Put a signature of a version that nobody knows before the others."""
    webhook_copies: int = Field(default=1, ge=1, le=100)
    """How often each event is sent: at least once is all that Finch promises."""
    webhook_order: Literal["sent", "reversed"] = "sent"
    """`reversed`: of what is due together, the newest first."""
    webhook_timestamp_refreshed: bool = False
    """A retry is signed anew at its own time. Off: it carries the time of the event, so that the
    later ones are stale."""
    webhook_timestamp_offset_seconds: int = 0
    """How far the clock of Finch's sender is ahead."""

    # Data.
    data_sync: Literal["done", "in_progress"] = "done"
    """`in_progress`: data calls answer 202 and hold no data yet."""
    accepted_with_body: bool = True
    """Off: a 202 has an empty body."""
    omit_paging_count: bool = False
    invalid_request_status: Literal[400, 401] = 400
    """The status of `invalid_request_error`, which two Finch pages give differently."""
