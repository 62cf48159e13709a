"""What a function does while Lambda starts it, on a whole core, so that its first call need not."""

import gc
import random
from collections.abc import Callable

from finch_connections import settings


def begin() -> None:
    """Before a handler is loaded: what it loads stays, so nobody need look for garbage in it."""
    if settings.started_by_lambda():
        gc.disable()


def ready(*connects: Callable[[], object]) -> None:
    """After a handler is loaded: makes the clients that it will use, each a cached `connect`.

    What fails here fails again in the first call, which answers in our one shape.
    """
    if not settings.started_by_lambda():
        return
    try:
        for connect in connects:
            connect()
        # Which the first connection would load.
        "localhost".encode("idna")
    except Exception:
        # Loaded by the handler, and no sooner: `begin` comes before all that is large.
        from finch_connections.log import logger  # noqa: PLC0415

        logger.exception("not ready")
    if settings.started_by_lambda() == "snap-start":
        _restore_what_must_differ()
    # What there is now is never looked at again.
    gc.freeze()
    gc.enable()


def _restore_what_must_differ() -> None:
    """Has what a snapshot must not share made anew wherever it is restored.

    Secrets are read and connections opened by calls alone, so that there are none in a snapshot, and
    what is to be unguessable comes from the operating system. The rest are the pauses before botocore
    tries again ("Handling uniqueness with Lambda SnapStart" in Lambda's guide).
    """
    # Lambda's runtime brings it, and nobody else.
    from snapshot_restore_py import register_after_restore  # noqa: PLC0415

    register_after_restore(random.seed)
