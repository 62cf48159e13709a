"""The instructions of a cold start with its first call stay at the recorded counts."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import figures
from tests.bench.__main__ import COMPARED, cases, made_with
from tests.bench.bench_world import BenchWorld, bench_world
from tests.bench.function import instructions

RECORDED = json.loads(figures.JSON.read_text())
# Two counts of the same code differ by 0.1 %.
MOST = 1.01

pytestmark = [
    pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is missing"),
    pytest.mark.skipif(
        RECORDED["made_with"] != made_with(), reason="the counts are of another Python or OpenSSL"
    ),
]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BenchWorld]:
    with bench_world(tmp_path_factory.mktemp("bench")) as world:
        yield world


@pytest.mark.parametrize("name", COMPARED)
def test_cold_start_takes_at_most_one_percent_more_instructions(
    bench: BenchWorld, tmp_path: Path, name: str
) -> None:
    [case] = [one for one in cases(bench) if one.name == name]
    counted = instructions(case.function, case.prepare(), tmp_path / "log") / 10**6
    assert counted <= MOST * sum(RECORDED["instructions"][name].values())
