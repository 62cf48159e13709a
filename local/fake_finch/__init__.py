"""A fake Finch API: state, rules, faults and the Finch Connect page, no real payroll.

`FinchState` is the truth, `create_app` puts HTTP around it, `InProcessTransport` lets an httpx
client call it without a socket, `serve` runs it on loopback.
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
