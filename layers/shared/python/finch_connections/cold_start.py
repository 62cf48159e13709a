"""Work during a function's cold start, when it has a whole core, to save time in its first call."""

import gc
import random
from collections.abc import Callable

from finch_connections import settings


def begin() -> None:
    """Pauses garbage collection before the handler is loaded, because loaded modules are never garbage."""
    if settings.started_by_lambda():
        gc.disable()


def ready(*factories: Callable[[], object]) -> None:
    """Creates the handler's clients after it is loaded, by calling these cached functions.

    An error is only logged: the first call raises it again and returns a proper error response.
    """
    if not settings.started_by_lambda():
        return
    try:
        for create in factories:
            create()
        # Loads a codec that the first TLS connection needs.
        "localhost".encode("idna")
    except Exception:
        # Not at the top: the package loads this module first, and the logger is large.
        from finch_connections.log import logger  # noqa: PLC0415

        logger.exception("not ready")
    if settings.started_by_lambda() == "snap-start":
        _reseed_on_restore()
    # Exclude loaded objects from future garbage collection.
    gc.freeze()
    gc.enable()


def _reseed_on_restore() -> None:
    """Reseeds `random` whenever Lambda restores a snapshot.

    Otherwise all copies of a snapshot share one sequence ("Handling uniqueness with Lambda SnapStart" in
    Lambda's guide). Only botocore's pauses between retries use it; our random secrets come from the
    operating system. Nothing else must be made new: calls create the connections and read the secrets.
    The snapshot's credentials of the role end soon, and botocore fetches others.
    """
    # Only Lambda's runtime provides this module.
    from snapshot_restore_py import register_after_restore  # noqa: PLC0415

    register_after_restore(random.seed)
