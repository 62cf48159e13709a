"""What a function does while Lambda starts it, on a whole core, so that its first call need not."""

import gc
from collections.abc import Callable

from finch_connections import settings
from finch_connections.log import logger


def begin() -> None:
    """Before a handler is loaded: what it loads stays, so nobody need look for garbage in it."""
    if settings.in_lambda():
        gc.disable()


def ready(*connects: Callable[[], object]) -> None:
    """After a handler is loaded: makes the clients that it will use, each a cached `connect`.

    What fails here fails again in the first call, which answers in our one shape.
    """
    if not settings.in_lambda():
        return
    try:
        for connect in connects:
            connect()
        # Which the first connection would load.
        "localhost".encode("idna")
    except Exception:
        logger.exception("not ready")
    # What there is now is never looked at again.
    gc.freeze()
    gc.enable()
