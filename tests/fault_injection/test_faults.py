"""A share of `make fault-injection`: every call of every function with every kind of fault."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from finch_connections.aws import session_table
from finch_connections.aws.session_table import SessionTable
from finch_connections.finch.client import FinchClient
from finch_connections.finch.connect_api import ConnectApi
from finch_connections.finch.errors import AnswerLost
from tests.fault_injection.faults import Fault
from tests.fault_injection.harness import Harness, Step, Trial, harness, share, summary
from tests.fault_injection.scenarios import SCENARIOS

# A scenario without a trial in the share runs every n-th of its trials.
_STRIDE = 97


@pytest.fixture(scope="module")
def runner() -> Iterator[Harness]:
    """One harness for all trials of this module."""
    with harness() as runner:
        yield runner


@pytest.fixture(scope="module")
def trials(runner: Harness) -> dict[str, list[Trial]]:
    """A quarter of the share, and some trials of each scenario; `make fault-injection` runs all."""
    every = {one.name: runner.trials(one) for one in SCENARIOS}
    some = defaultdict(list)
    for trial in share([trial for each in every.values() for trial in each])[::4]:
        some[trial.scenario.name].append(trial)
    return {name: some[name] or each[::_STRIDE] for name, each in every.items()}


@pytest.mark.parametrize("name", [one.name for one in SCENARIOS])
def test_no_promise_is_broken_after_a_fault(
    runner: Harness, trials: dict[str, list[Trial]], name: str
) -> None:
    results = [runner.run(trial) for trial in trials[name]]
    assert results
    assert not [result for result in results if result.lost], summary(results)


@pytest.mark.parametrize("name", [one.name for one in SCENARIOS])
def test_message_that_is_delivered_twice_changes_nothing(runner: Harness, name: str) -> None:
    """In this test, background work also runs eagerly. This must change nothing either."""
    [scenario] = [one for one in SCENARIOS if one.name == name]
    runner.world.queue.twice = runner.world.border.background.at_once = True
    try:
        result = runner.run(Trial(scenario, *no_fault(runner, name)))
    finally:
        runner.world.queue.twice = runner.world.border.background.at_once = False
    assert (result.outcome, result.lost) == ("finished", ())


# The next tests break the product on purpose, to show that the harness notices it.


def no_fault(runner: Harness, name: str) -> tuple[Step, Fault]:
    """The first call of a scenario, with a fault that does nothing."""
    [scenario] = [one for one in SCENARIOS if one.name == name]
    fault = Fault("nothing", lambda world, call, send: send())
    return runner.trials(scenario)[0].step, fault


def trial_of(runner: Harness, name: str, operation: str, fault: str) -> Trial:
    """One trial of a scenario."""
    [scenario] = [one for one in SCENARIOS if one.name == name]
    return next(
        trial
        for trial in runner.trials(scenario)
        if trial.step.call.operation == operation and trial.fault_name == fault
    )


def test_the_harness_finds_an_exchange_that_the_table_does_not_bring_back(
    runner: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The session never gets into the index by due time.
    monkeypatch.setattr(session_table, "due", lambda *_: {})
    trial = trial_of(runner, "connect", "POST /auth/token", "stop after")
    lost = runner.run(trial).lost
    assert "I1: a session is left exchanging" in lost
    assert "I1: a live token is lost and not reported: gusto, maya@harborlane.example" in lost


def test_the_harness_finds_a_live_token_of_a_disconnected_connection(
    runner: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    [scenario] = [one for one in SCENARIOS if one.name == "disconnect"]
    step, fault = no_fault(runner, "disconnect")
    monkeypatch.setattr(FinchClient, "disconnect", lambda *_: None)
    lost = runner.run(Trial(scenario, step, fault)).lost
    assert "I3: acme's gusto is shown as disconnected and lives at Finch" in lost
    assert any(one.startswith("still billed") for one in lost)


def test_the_harness_finds_a_code_that_is_exchanged_twice(
    runner: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = trial_of(runner, "connect", "POST /auth/token", "500 server_error")
    real = ConnectApi.exchange

    def again(*arguments: Any) -> Any:
        try:
            return real(*arguments)
        except AnswerLost:
            return real(*arguments)

    monkeypatch.setattr(ConnectApi, "exchange", again)
    assert "I2: a code was exchanged 2 times" in runner.run(trial).lost


def test_the_harness_finds_a_token_that_is_forgotten_too_early(
    runner: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = SessionTable.discard

    def forgetful(table: SessionTable, session: Any, error: str, now: Any, *more: Any) -> Any:
        discarded = real(table, session, error, now, *more)
        table.end(discarded, error, now)
        return discarded

    monkeypatch.setattr(SessionTable, "discard", forgetful)
    trial = trial_of(
        runner,
        "process work: end an unconfirmed connection",
        "POST /disconnect",
        "500 server_error",
    )
    lost = runner.run(trial).lost
    assert any(one.startswith("I1: a live token is lost") for one in lost)
