"""The built packages, and the local world in which they are tried."""

from pathlib import Path

import pytest

from packages.__main__ import FOLDER
from tests.browser.conftest import deployed, world
from tests.support.deployed import ROOT

__all__ = ["built", "deployed", "world"]

_SOURCES = (
    *("packages/*.py", "packages/*/*", "frontend/finch-*.js", "frontend/src/**/*.ts"),
    *("functions/openapi.json", "layers/shared/python/finch_[te]*/*.py"),
)


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the packages, which are not older than their sources."""
    sources = (file for pattern in _SOURCES for file in ROOT.glob(pattern))
    ready = FOLDER / "ready"
    newest = max(file.stat().st_mtime for file in sources if file.parent.name != "node_modules")
    assert ready.exists() and ready.stat().st_mtime >= newest, "Run `make packages` first."  # noqa: PT018
    return FOLDER
