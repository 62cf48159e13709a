"""A new environment of Python that has some wheels and only the packages that they declare."""

import subprocess
import sys
import venv
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def new_environment(folder: Path, wheels: Iterable[Path], *wanted: str) -> Path:
    """Makes an environment with the wheels and what `wanted` needs; returns its site-packages.

    Other packages come from the environment of the tests, so that nothing is downloaded.
    """
    venv.create(folder)
    [packages] = folder.glob("lib/python*/site-packages")
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps"]
    subprocess.run([*install, "--python", folder / "bin" / "python", *wheels], check=True)
    for distribution in _needed(wanted, [str(packages), *sys.path]):
        for name in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            if not (packages / name).exists():
                (packages / name).symlink_to(str(distribution.locate_file(name)))
    return packages


def _needed(wanted: Iterable[str], path: list[str]) -> list[metadata.Distribution]:
    """The distributions of these requirements, and those that they need, directly or not."""
    found: dict[tuple[str, frozenset[str]], metadata.Distribution] = {}
    waiting = [Requirement(one) for one in wanted]
    while waiting:
        asked = waiting.pop()
        key = canonicalize_name(asked.name), frozenset(asked.extras)
        distribution = next(iter(metadata.distributions(name=asked.name, path=path)), None)
        if key in found or distribution is None:
            continue
        found[key] = distribution
        waiting += [
            needed
            for needed in map(Requirement, distribution.requires or ())
            if not needed.marker
            or any(needed.marker.evaluate({"extra": extra}) for extra in asked.extras or {""})
        ]
    return [*found.values()]
