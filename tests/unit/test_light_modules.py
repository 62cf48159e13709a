"""The modules that a build replaces: shorter, and with the same functions for our code."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import light_modules

# Uses the replaced modules, and checks that the large modules are not loaded.
USED = """
import sys
import botocore.session, certifi
client = botocore.session.Session().create_client("dynamodb", region_name="eu-west-1")
assert "BEGIN CERTIFICATE" in certifi.contents() == open(certifi.where()).read()
assert client.get_paginator("query").paginate.__doc__ == ""
assert not sys.modules.keys() & {"importlib.metadata", "importlib.resources", "html.parser"}
"""


def installed(package: str) -> Path:
    spec = find_spec(package)
    assert spec
    assert spec.origin
    return Path(spec.origin).parent


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """The packages of the layers, as pip installs them."""
    for package in ("urllib3", "certifi", "botocore"):
        unpacked = tmp_path / package
        shutil.copytree(installed(package), unpacked, ignore=shutil.ignore_patterns("data"))
    data = tmp_path / "botocore" / "data"
    data.mkdir()
    for of_all_services in (installed("botocore") / "data").glob("*.json"):
        shutil.copy(of_all_services, data)
    shutil.copytree(installed("botocore") / "data" / "dynamodb", data / "dynamodb")
    return tmp_path


def test_replaced_modules_do_the_same_and_load_less(packages: Path) -> None:
    script = f"import sys; sys.path.insert(0, {str(packages)!r})\n{USED}"
    before = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    light_modules.lighten(packages)
    after = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (before.returncode, after.returncode) == (1, 0), after.stderr.decode()


def test_build_fails_if_a_package_has_no_such_module_any_more(packages: Path) -> None:
    (packages / "urllib3" / "http2" / "__init__.py").unlink()
    with pytest.raises(FileNotFoundError):
        light_modules.lighten(packages)
