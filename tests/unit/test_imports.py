"""The import rule of each folder that import-linter cannot state, and the imports of a cold start."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.deployed import ROOT

LAYER = ROOT / "layers" / "shared" / "python"
PACKAGE = LAYER / "finch_connections"
MODULES = sorted(LAYER.glob("finch_*/**/*.py"))
HANDLERS = sorted((ROOT / "functions").rglob("*.py"))
LOCAL_ONLY = {"functions", "local", "operations", "tests"}


def imported(path: Path) -> set[str]:
    """The modules that a file imports, at any place in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def packages(path: Path) -> set[str]:
    """The top-level packages that a file imports."""
    return {name.split(".")[0] for name in imported(path)}


def name_of(path: Path) -> str:
    """The path of a file below the repository, as a test id."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", sorted((PACKAGE / "domain").glob("*.py")), ids=name_of)
def test_domain_imports_only_itself_and_the_standard_library(path: Path) -> None:
    assert packages(path) - {"finch_connections"} <= sys.stdlib_module_names


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_layer_imports_no_other_folder_of_the_repository(path: Path) -> None:
    assert not packages(path) & LOCAL_ONLY


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=name_of)
def test_only_settings_reads_the_environment(path: Path) -> None:
    assert path.stem == "settings" or "os" not in imported(path)


@pytest.mark.parametrize("path", HANDLERS, ids=name_of)
def test_function_imports_no_other_function_and_no_local_tool(path: Path) -> None:
    assert not packages(path) & LOCAL_ONLY


USE_CASES = "finch_connections.use_cases"


@pytest.mark.parametrize(
    ("function", "unused"),
    [
        ("list_connections", {"httpx", "pydantic", "boto3", "finch_connections.finch.client"}),
        ("disconnect", {"pydantic", "boto3"}),
        ("receive_webhook", {"httpx", "pydantic", "boto3", f"{USE_CASES}.process_work"}),
        ("start_connect", {"boto3", f"{USE_CASES}.finish_connect"}),
        ("finish_connect", {"boto3", "pydantic", f"{USE_CASES}.start_connect"}),
        (
            "process_work",
            {"boto3", "pydantic", "finch_connections.web.api", f"{USE_CASES}.start_connect"},
        ),
        ("publish_events", {"boto3", "httpx", "pydantic", "finch_connections.web.api"}),
        (
            "resolve_unfinished",
            {"boto3", "finch_connections.web.api", f"{USE_CASES}.start_connect"},
        ),
        ("reencrypt_tokens", {"boto3", "httpx", "finch_connections.web.api"}),
        ("erase_customer", {"boto3", "finch_connections.web.api", f"{USE_CASES}.start_connect"}),
        ("restore_backup", {"boto3", "finch_connections.web.api", f"{USE_CASES}.start_connect"}),
        (
            "vend_token",
            {
                *("boto3", "httpx", "finch_connections.web.api"),
                "finch_connections.domain.finch_call",
            },
        ),
        ("call_finch", {"boto3", "finch_connections.web.api", f"{USE_CASES}.check_health"}),
        ("list_employees", {"boto3", "pydantic", "finch_connections"}),
        ("read_directory", {"boto3", "pydantic", "finch_connections"}),
    ],
)
def test_function_loads_no_unused_module(function: str, unused: set[str]) -> None:
    script = f"import sys, functions.{function}.handler; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": os.pathsep.join([str(LAYER), str(ROOT)])},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert "aws_lambda_powertools.logging.logger" in loaded
    assert not unused & set(loaded)
