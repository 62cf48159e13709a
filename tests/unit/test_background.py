"""Work beside other work, in threads."""

import threading
from contextvars import ContextVar

import pytest

from finch_connections import background as module
from finch_connections.background import in_background

asked_by: ContextVar[str] = ContextVar("asked_by")


def test_work_goes_on_while_its_result_is_not_wanted_yet() -> None:
    began, may_end = threading.Event(), threading.Event()

    def work() -> str:
        began.set()
        assert may_end.wait(10)
        return "done"

    result = in_background(work)
    assert began.wait(10)
    may_end.set()
    assert (result(), result()) == ("done", "done")


def test_what_went_wrong_is_raised_where_the_result_is_wanted() -> None:
    def fail() -> None:
        raise LookupError("beside")

    result = in_background(fail)
    with pytest.raises(LookupError, match="beside"):
        result()


def test_work_knows_on_whose_behalf_it_is_done() -> None:
    asked_by.set("acme")
    assert in_background(asked_by.get)() == "acme"


def test_without_a_thread_the_work_is_done_when_its_result_is_wanted(
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
