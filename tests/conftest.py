"""Puts the tested code on the path: the sources, or with BUILT the result of `sam build`."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILT = os.environ.get("BUILT")

if BUILT:
    built = (ROOT / BUILT).resolve()
    sys.path[:0] = [
        str(folder) for folder in [built / "SharedLayer" / "python", *sorted(built.iterdir())]
    ]
else:
    sys.path[:0] = [str(ROOT / "layers" / "shared" / "python")]
# The sources come last: the tests need modules that no build contains, for example `local`.
sys.path += [str(ROOT), str(ROOT / "layers" / "shared" / "python")]


def pytest_report_header() -> str:
    """Reports which code is tested."""
    import finch_connections

    return f"finch_connections of {Path(finch_connections.__path__[0]).relative_to(ROOT)}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs the tests in the local world last, in each process of a parallel run too.

    That world lasts from its first test to the end of the session. Other tests simulate time and
    forbid sockets for the whole process. The acceptance tests in that world are short, so they come at
    the end, when the processes share the last tests.
    """
    items.sort(key=lambda item: (needs_local_world(item), is_deployed_acceptance(item)))


def needs_local_world(item: pytest.Item) -> bool:
    """True if this test runs in the local world: it uses `world`, or is an acceptance test there."""
    return "world" in getattr(item, "fixturenames", ()) or is_deployed_acceptance(item)


def is_deployed_acceptance(item: pytest.Item) -> bool:
    """True if this is an acceptance test in the local world."""
    callspec = getattr(item, "callspec", None)
    return callspec is not None and callspec.params.get("empty_product") == "deployed"
