"""Background work in threads."""

import threading
from contextvars import ContextVar

import pytest

from finch_connections import background as module
from finch_connections.background import in_background

asked_by: ContextVar[str] = ContextVar("asked_by")


def test_work_runs_before_its_result_is_requested() -> None:
    began, may_end = threading.Event(), threading.Event()

    def work() -> str:
        began.set()
        assert may_end.wait(10)
        return "done"

    result = in_background(work)
    assert began.wait(10)
    may_end.set()
    assert (result(), result()) == ("done", "done")


def test_exception_is_raised_where_the_result_is_requested() -> None:
    def fail() -> None:
        raise LookupError("failed")

    result = in_background(fail)
    with pytest.raises(LookupError, match="failed"):
        result()


def test_work_runs_in_the_context_of_its_caller() -> None:
    asked_by.set("acme")
    assert in_background(asked_by.get)() == "acme"


def test_work_runs_on_request_when_no_thread_can_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Exhausted:
        def submit(self, *work: object) -> None:
            raise RuntimeError("can't start new thread")

    done: list[str] = []
    monkeypatch.setattr(module, "_threads", Exhausted)
    result = in_background(lambda: done.append("done"))
    assert not done
    result()
    assert done == ["done"]
