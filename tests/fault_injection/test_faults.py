"""Some of what `make crash` tries: every call of every function, and every kind of fault at it."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from finch_connections.aws.session_table import SessionTable
from finch_connections.aws.work_queue import WorkQueue
from finch_connections.finch.client import FinchClient
from finch_connections.finch.connect_api import ConnectApi
from finch_connections.finch.errors import AnswerLost
from tests.fault_injection.faults import Fault
from tests.fault_injection.harness import Harness, Step, Trial, harness, share, summary
from tests.fault_injection.scenarios import SCENARIOS

# Of a scenario that has no place in the share, a few trials.
_STRIDE = 97


@pytest.fixture(scope="module")
def runner() -> Iterator[Harness]:
    """The world for all results of this module."""
    with harness() as runner:
        yield runner


@pytest.fixture(scope="module")
def trials(runner: Harness) -> dict[str, list[Trial]]:
    """Every fourth of the share of all trials, and some of each scenario: the rest is for `make crash`."""
    every = {one.name: runner.trials(one) for one in SCENARIOS}
    some = defaultdict(list)
    for trial in share([trial for each in every.values() for trial in each])[::4]:
        some[trial.scenario.name].append(trial)
    return {name: some[name] or each[::_STRIDE] for name, each in every.items()}


@pytest.mark.parametrize("name", [one.name for one in SCENARIOS])
def test_nothing_is_lost(runner: Harness, trials: dict[str, list[Trial]], name: str) -> None:
    results = [runner.run(trial) for trial in trials[name]]
    assert results
    assert not [result for result in results if result.lost], summary(results)


@pytest.mark.parametrize("name", [one.name for one in SCENARIOS])
def test_a_message_that_comes_twice_does_no_harm(runner: Harness, name: str) -> None:
    """Nor does it matter here that what is done beside other work comes before that, not after."""
    [scenario] = [one for one in SCENARIOS if one.name == name]
    runner.world.queue.twice = runner.world.border.background.at_once = True
    try:
        result = runner.run(Trial(scenario, *nothing_at_first(runner, name)))
    finally:
        runner.world.queue.twice = runner.world.border.background.at_once = False
    assert (result.outcome, result.lost) == ("finished", ())


# A harness that sees nothing would say the same as a product that loses nothing.


def nothing_at_first(runner: Harness, name: str) -> tuple[Step, Fault]:
    """The first call of a scenario, and nothing that goes wrong with it."""
    [scenario] = [one for one in SCENARIOS if one.name == name]
    fault = Fault("nothing", lambda world, call, send: send())
    return runner.trials(scenario)[0].step, fault


def of(runner: Harness, name: str, operation: str, fault: str) -> Trial:
    """One trial of a scenario."""
    [scenario] = [one for one in SCENARIOS if one.name == name]
    return next(
        trial
        for trial in runner.trials(scenario)
        if trial.step.call.operation == operation and trial.fault_name == fault
    )


def test_it_sees_an_exchange_that_nobody_looks_after(
    runner: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WorkQueue, "send", lambda *_: None)
    trial = of(runner, "connect", "POST /auth/token", "stop after")
    lost = runner.run(trial).lost
    assert "I1: a session is left exchanging" in lost
    assert "I1: a live token is nowhere and nobody knows: gusto, maya@harborlane.example" in lost


def test_it_sees_a_token_that_is_only_said_to_be_ended(
    runner: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    [scenario] = [one for one in SCENARIOS if one.name == "disconnect"]
    step, fault = nothing_at_first(runner, "disconnect")
    monkeypatch.setattr(FinchClient, "disconnect", lambda *_: None)
    lost = runner.run(Trial(scenario, step, fault)).lost
    assert "I3: acme's gusto is called disconnected and lives at Finch" in lost
    assert any(one.startswith("the bill cannot be stopped") for one in lost)


def test_it_sees_a_code_that_is_sent_again(
    runner: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = of(runner, "connect", "POST /auth/token", "500 server_error")
    real = ConnectApi.exchange

    def again(*arguments: Any) -> Any:
        try:
            return real(*arguments)
        except AnswerLost:
            return real(*arguments)

    monkeypatch.setattr(ConnectApi, "exchange", again)
    assert "I2: a code was exchanged 2 times" in runner.run(trial).lost


def test_it_sees_a_token_that_is_forgotten_too_early(
    runner: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = SessionTable.discard

    def forgetful(table: SessionTable, session: Any, error: str, now: Any, *more: Any) -> Any:
        released = real(table, session, error, now, *more)
        table.end(released, error, now)
        return released

    monkeypatch.setattr(SessionTable, "discard", forgetful)
    trial = of(runner, "tend: end what nobody confirms", "POST /disconnect", "500 server_error")
    lost = runner.run(trial).lost
    assert any(one.startswith("I1: a live token is nowhere") for one in lost)
