"""The cookies of a connect session, which bind it to the browser that began it."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from finch_connections.domain.secret import SecretText

# The handles of the browser's last clicks. They find the session if Finch does not echo the `state`.
_FINDING = "__Host-finch-connect-last"
_PREFIX = "__Host-finch-connect-"
_BINDING = re.compile(f"{_PREFIX}([0-9a-f]{{16}})")
_LIFETIME = timedelta(hours=1)
# API Gateway refuses each request with more than 10,240 bytes of headers ("Quotas for configuring and
# running an HTTP API"), so a browser must not collect too many cookies.
_KEPT = 10


def finding_cookie(handle: SecretText, cookies: Mapping[str, str]) -> str:
    """The cookie that keeps the handle of a click, before those that the browser sent."""
    others = (one for one in clicked(cookies) if one != handle.reveal())
    return _cookie(_FINDING, ".".join([handle.reveal(), *others][:_KEPT]), _LIFETIME)


def clicked(cookies: Mapping[str, str]) -> list[str]:
    """The handles of the last clicks of the browser that sent these cookies, newest first."""
    return list(filter(None, cookies.get(_FINDING, "").split(".")))[:_KEPT]


def binding_cookies(
    binding_id: str, binding: SecretText, now: datetime, cookies: Mapping[str, str]
) -> list[str]:
    """The cookie that keeps the binding of a session and its time, and the removal of the oldest cookies.

    The browser keeps the newest ten.
    """
    names = sorted(filter(_BINDING.fullmatch, cookies), key=lambda name: _split(cookies[name])[1])
    new = _cookie(_PREFIX + binding_id, f"{binding.reveal()}.{int(now.timestamp())}", _LIFETIME)
    return [new, *(_cookie(name, "", timedelta()) for name in names[: 1 - _KEPT])]


def spent_binding_cookie(binding_id: str) -> str:
    """The cookie that removes the binding of a session, after which the session cannot connect any more."""
    return _cookie(_PREFIX + binding_id, "", timedelta())


def bindings(cookies: Mapping[str, str]) -> dict[str, SecretText]:
    """The bindings that a browser sent, by the `binding_id` of their sessions."""
    names = ((_BINDING.fullmatch(name), value) for name, value in cookies.items())
    return {found[1]: SecretText(_split(value)[0]) for found, value in names if found}


def _split(value: str) -> tuple[str, str]:
    """The binding, and its time in digits."""
    binding, _, time = value.partition(".")
    return binding, time


def _cookie(name: str, value: str, lifetime: timedelta) -> str:
    """A cookie that the browser sends only to this host and only over HTTPS, and that no script can read.

    It is Lax, so that the browser sends it after Finch's redirect (RFC 6265bis section 5.6.7).
    """
    seconds = int(lifetime.total_seconds())
    return f"{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax"
