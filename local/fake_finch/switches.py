"""Switches of the fake Finch for behaviour that Finch does not document, or documents differently."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Presence = Literal["present", "null", "absent"]
_PRESENT: Presence = "present"


class Switches(BaseModel):
    """A field for each open question about Finch.

    Assigning an unknown name or an impossible value raises ValueError.
    """

    model_config = ConfigDict(extra="forbid", strict=True, validate_assignment=True)

    # Requests.
    require_api_version: bool = True
    """Refuse requests without `Finch-API-Version: 2020-09-17`."""

    # The redirect.
    echo_state: bool = True
    """Return `state` in the success redirect. The API schema never had this parameter."""
    echo_state_on_error: bool = True
    """Return `state` in the error redirect too."""

    # Sessions and codes.
    one_connection_per_customer_id: bool = True
    """Answer `connection_already_exists` while the `customer_id` has a live connection."""
    session_single_use: bool = False
    """Close a Connect session after its first code. Off: usable until it expires."""
    code_single_use: bool = True
    """Off: a code may be exchanged again until it expires, for another token each time."""

    # Connections.
    other_login_same_connection: bool = False
    """Another user's credentials at the same company and provider join the connection
    (with another `account_id`), as older pages say. Off: they create a second connection."""
    reauth_kills_old_tokens: bool = False
    """The exchange after a reauthentication revokes the connection's older tokens."""
    login_kills_old_tokens: bool = False
    """A login also revokes the connection's older tokens if it joins a connection: in an ordinary
    session, or in a reauthentication that ends at another connection."""
    reauth_may_change_company: bool = False
    """A reauthentication may end at another company, which gets its own connection.
    Off: the login must reach the original company."""
    disconnect_scope: Literal["connection", "employer_provider"] = "connection"
    """`employer_provider`: also end every other connection of that company and provider."""
    disconnect_in_reauth: Literal["ok", "reauthenticate_user"] = "ok"
    """How `/disconnect` and `/disconnect-entity` answer while the connection is in `reauth`."""
    disconnect_fails_for: str | None = None
    """`/disconnect` answers a server error for the connection with this id."""

    # Fields of the token response, the introspection and the webhooks.
    answers: Literal["current", "sparse", "old"] = "current"
    """`sparse`: only the fields that Finch's SDK requires. `old`: the fields of Finch's first
    reference, which has no `connection_id`, no id of a token and no status."""

    # Ids of providers, companies, connections, entities, tokens and accounts.
    ids: Literal["usual", "hostile"] = "usual"
    """`hostile`: long, with characters that separate, escape or end something elsewhere. Pass it to
    `reset`, which also makes the ids of the seed data."""

    # Fields of the token response.
    token_company_id: Presence = _PRESENT
    token_account_id: Presence = _PRESENT
    token_customer_id: Presence = _PRESENT
    token_customer_name: Presence = _PRESENT
    token_entity_ids: Presence = _PRESENT
    token_customer_id_override: str | None = None
    """Name this customer instead of the session's."""

    # Fields of the introspection.
    introspect_company_id: Presence = _PRESENT
    introspect_account_id: Presence = _PRESENT
    introspect_customer_id: Presence = _PRESENT
    introspect_customer_name: Presence = _PRESENT
    introspect_customer_id_override: str | None = None
    introspect_customer_id_as_number: bool = False
    """Answer a numeric `customer_id` as a JSON number, as one documented example does."""
    introspect_names_first_customer: bool = False
    """Name the customer who created the connection, not the customer of this token's session."""
    introspect_client_id_override: str | None = None
    introspect_status_override: str | None = None
    """Any status, e.g. a value that no document lists."""
    extra_fields: bool = False
    """Add undocumented fields to the token response and the introspection."""

    # Webhooks.
    webhook_on_disconnect: bool = True
    """Send `disconnected` when a whole connection is disconnected."""
    webhook_on_new_connection: bool = False
    """Also send the first status of a connection, before the exchange returns its token."""
    webhook_authentication_method: Literal["object", "string"] = "object"
    """`object`: as in the official SDK. `string`: as in the example of the documentation."""
    webhook_connection_id: Presence = _PRESENT
    webhook_v2_signature: bool = False
    """Put a signature of an unknown version before the others."""
    webhook_copies: int = Field(default=1, ge=1, le=100)
    """How often each event is sent. Finch only promises at least once."""
    webhook_order: Literal["sent", "reversed"] = "sent"
    """`reversed`: of events that are due together, the newest first."""
    webhook_timestamp_refreshed: bool = False
    """A retry is signed again with its own time. Off: it has the time of the event, so later
    retries are stale."""
    webhook_timestamp_offset_seconds: int = 0
    """How far the clock of Finch's sender is ahead."""

    # Data.
    data_sync: Literal["done", "in_progress"] = "done"
    """`in_progress`: data calls answer 202 without data."""
    accepted_with_body: bool = True
    """Off: a 202 has an empty body."""
    omit_paging_count: bool = False
    invalid_request_status: Literal[400, 401] = 400
    """The status of `invalid_request_error`, which two Finch pages give differently."""
