"""The wheels for other backends, installed by a program that is neither Lambda nor ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.fake_finch.seed_world import HARBOR_LANE, people
from local.world import CREDENTIALS, World
from tests.support.deployed import ROOT, Deployed
from tests.support.environment import new_environment
from tests.support.person import Person

BACKEND = Path(__file__).parent / "backend" / "backend.py"
PRODUCTS = ("company", "directory", "individual", "employment")
PACKAGES = ("finch_tokens", "finch_employees")


@pytest.fixture(scope="session")
def environment(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheels, Finch's SDK, and only the packages that these declare."""
    folder = tmp_path_factory.mktemp("backend") / "environment"
    wanted = ("finch-connections-tokens[http]", "finch-connections-employees", "finch-api")
    new_environment(folder, built.glob("*.whl"), *wanted)
    return folder


def test_backend_outside_of_lambda_reads_employees_with_the_wheels(
    world: World, deployed: Deployed, environment: Path
) -> None:
    Person(deployed, "acme").connect(PRODUCTS)
    settings = {
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": world.aws.endpoint_url,
        "FINCH_API_URL": world.finch_url,
        "FINCH_CALLER": "payroll-report",
        "VEND_TOKEN_FUNCTION": world.output("VendTokenArn"),
    }
    done = subprocess.run(
        [environment / "bin" / "python", BACKEND, "acme"],
        env=settings,
        cwd=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    count = sum(len(people(HARBOR_LANE, entity)) for entity in HARBOR_LANE.entities)
    lines = [f"gusto {count}", f"people {count} []", "not_found"]
    assert done.stdout.splitlines() == lines, done.stderr
    assert {record["caller"]["S"] for record in deployed.tables.items(deployed.tables.audit)} == {
        "payroll-report"
    }


def test_types_of_the_wheels_are_strict(environment: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from finch_tokens.http import finch_connections_client\n"
        "finch_connections_client(customer_id='acme', provider='gusto')\n"
    )
    python = str(environment / "bin" / "python")
    options = ("--strict", "--python-version", "3.12", "--python-executable", python)
    check = [sys.executable, "-m", "mypy", "--config-file", os.devnull, *options]
    for file, wanted in ((BACKEND, "Success"), (wrong, 'Unexpected keyword argument "provider"')):
        done = subprocess.run(
            [*check, file], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )
        assert wanted in done.stdout, done.stdout


def test_wheels_have_each_module_and_nothing_else_of_ours(environment: Path) -> None:
    [packages] = environment.glob("lib/python*/site-packages")
    for name in PACKAGES:
        sources = ROOT / "layers" / "shared" / "python" / name
        wanted = {file.name for file in sources.iterdir() if file.name != "__pycache__"}
        assert {"__init__.py", "py.typed"} <= wanted
        assert {file.name for file in (packages / name).iterdir()} - {"__pycache__"} == wanted
    assert not (packages / "finch_connections").exists()
    assert not (packages / "aws_lambda_powertools").exists()


@pytest.mark.parametrize(
    ("wanted", "module"),
    [
        ("finch-connections-tokens", "finch_tokens"),
        ("finch-connections-tokens[http]", "finch_tokens.http"),
        ("finch-connections-employees", "finch_employees"),
    ],
)
def test_wheel_needs_only_the_packages_that_it_declares(
    built: Path, tmp_path: Path, wanted: str, module: str
) -> None:
    new_environment(tmp_path, built.glob("*.whl"), wanted)
    python = tmp_path / "bin" / "python"
    subprocess.run([python, "-I", "-W", "error", "-c", f"import {module}"], check=True, timeout=60)
