"""The cookies of a connect session, which bind it to the browser that began it."""

from collections.abc import Mapping
from datetime import timedelta

from finch_connections.domain.secret import SecretText

# The handle of the browser's last click. It identifies the session if Finch does not echo the `state`.
FINDING = "__Host-finch-connect-last"
_PREFIX = "__Host-finch-connect-"
_LIFETIME = timedelta(hours=1)


def finding_cookie(handle: SecretText) -> str:
    """The cookie that keeps the handle of a click."""
    return _cookie(FINDING, handle.reveal(), _LIFETIME)


def binding_cookie(binding_id: str, binding: SecretText) -> str:
    """The cookie that keeps the binding of a session."""
    return _cookie(_PREFIX + binding_id, binding.reveal(), _LIFETIME)


def spent_binding_cookie(binding_id: str) -> str:
    """The cookie that removes the binding of a session, after which the session cannot connect any more."""
    return _cookie(_PREFIX + binding_id, "", timedelta())


def bindings(cookies: Mapping[str, str]) -> dict[str, SecretText]:
    """The bindings that a browser sent, by the `binding_id` of their sessions."""
    return {
        name.removeprefix(_PREFIX): SecretText(value)
        for name, value in cookies.items()
        if name.startswith(_PREFIX)
    }


def _cookie(name: str, value: str, lifetime: timedelta) -> str:
    """A cookie that the browser sends only to this host and only over HTTPS, and that no script can read.

    It is Lax, so that the browser sends it after Finch's redirect (RFC 6265bis section 5.6.7).
    """
    seconds = int(lifetime.total_seconds())
    return f"{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax"
