"""Puts what is tested on the path: the sources, or with BUILT what `sam build` made of them."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILT = os.environ.get("BUILT")

if BUILT:
    built = (ROOT / BUILT).resolve()
    sys.path[:0] = [
        str(one) for one in [built / "SharedLayer" / "python", *sorted(built.iterdir())]
    ]
else:
    sys.path[:0] = [str(ROOT / "layers" / "shared" / "python")]
# Last what makes a build, and is in none.
sys.path += [str(ROOT), str(ROOT / "layers" / "shared" / "python")]


def pytest_report_header() -> str:
    """Says which code is tested."""
    import finch_connections

    return f"finch_connections of {Path(finch_connections.__path__[0]).relative_to(ROOT)}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs last what needs the local world: other tests simulate time, and forbid sockets, for all.

    It lasts from its first test to the end of the session.
    """
    items.sort(key=lambda item: "world" in getattr(item, "fixturenames", ()))
