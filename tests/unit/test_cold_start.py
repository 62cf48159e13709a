"""The cold start of a function: clients and garbage collection."""

import gc
import random
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from finch_connections import cold_start
from finch_connections.settings import SettingMissing


@pytest.fixture
def in_lambda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Makes this process look like a starting Lambda function."""
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    yield
    gc.enable()
    gc.unfreeze()


@pytest.mark.usefixtures("in_lambda")
def test_garbage_collection_is_off_until_everything_is_loaded() -> None:
    cold_start.begin()
    assert not gc.isenabled()
    cold_start.ready()
    assert gc.isenabled()
    assert gc.get_freeze_count()


@pytest.mark.usefixtures("in_lambda")
def test_every_client_is_created() -> None:
    made: list[str] = []
    cold_start.ready(lambda: made.append("table"), lambda: made.append("vault"))
    assert made == ["table", "vault"]


@pytest.mark.usefixtures("in_lambda")
def test_failure_to_create_a_client_is_left_to_the_first_call() -> None:
    def fail() -> None:
        raise SettingMissing("The environment variable X is not set.")

    cold_start.ready(fail)
    assert gc.isenabled()


def test_no_client_is_created_outside_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_LAMBDA_INITIALIZATION_TYPE", raising=False)
    made: list[str] = []
    cold_start.begin()
    assert gc.isenabled()
    cold_start.ready(lambda: made.append("table"))
    assert not made


@pytest.mark.usefixtures("in_lambda")
def test_restored_snapshots_have_different_random_states(monkeypatch: pytest.MonkeyPatch) -> None:
    restored: list[Callable[[], None]] = []
    hooks = SimpleNamespace(register_after_restore=restored.append)
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", hooks)
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")
    cold_start.ready()
    frozen = random.getstate()
    [restore] = restored
    restore()
    assert random.getstate() != frozen
