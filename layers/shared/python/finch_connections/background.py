"""Work beside other work: a call to one while the function waits for the answer of another."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import cache


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(4)


def in_background[T](work: Callable[[], T]) -> Callable[[], T]:
    """Begins `work`, and answers what waits for its result, or raises what it raised.

    Only for what changes nothing anywhere: whoever began it may never come to look. Where no thread
    is to be had, the work is done when its result is wanted.
    """
    with suppress(RuntimeError):
        return _threads().submit(copy_context().run, work).result
    return work
