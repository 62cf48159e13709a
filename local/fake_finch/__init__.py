"""A fake Finch: its API and the Finch Connect page, with state, rules and faults, without real payrolls.

`FinchState` has the state and the rules. `create_app` adds HTTP, `InProcessTransport` lets an httpx
client call it without a socket, and `serve` runs it on loopback.
"""

from local.fake_finch.api import create_app
from local.fake_finch.in_process import InProcessTransport
from local.fake_finch.records import Authorized, CannotAuthorize, Customer
from local.fake_finch.serving import serve
from local.fake_finch.state import FinchState
from local.fake_finch.switches import Switches

__all__ = [
    "Authorized",
    "CannotAuthorize",
    "Customer",
    "FinchState",
    "InProcessTransport",
    "Switches",
    "create_app",
    "serve",
]
