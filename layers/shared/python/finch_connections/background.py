"""Background work: a call in a thread while the function waits for another call."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import cache


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(4)


def in_background[T](work: Callable[[], T]) -> Callable[[], T]:
    """Starts `work` in a thread. The returned function waits for its result, or raises its error.

    Use it only for work without effects, because the caller may never read the result. If no thread is
    available, the work runs when the caller asks for its result.
    """
    with suppress(RuntimeError):
        return _threads().submit(copy_context().run, work).result
    return work
