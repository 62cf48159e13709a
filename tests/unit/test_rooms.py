"""What may import what, and what a function loads while it starts."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deployed import ROOT

PACKAGE = ROOT / "layers" / "shared" / "python" / "finch_connections"
RULES = {
    "change",
    "claim",
    "connect_session",
    "connection",
    "connection_view",
    "finch_failure",
    "grant",
    "refusal",
    "secret_text",
    "step",
    "health",
    "names",
    "task",
    "token_request",
    "webhook",
}
FLOWS = {
    "starting",
    "connecting",
    "disconnecting",
    "releasing",
    "resolving",
    "tending",
    "naming",
    "refreshing",
    "resealing",
    "erasing",
    "restoring",
    "sweeping",
    "vending",
    "receiving",
    "publishing",
}


def imported(path: Path) -> set[str]:
    """The modules that a file names in its imports, wherever they stand."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def ours(path: Path) -> set[str]:
    """The modules of our package that a file imports, by their short names."""
    names = {name.split(".")[1] for name in imported(path) if name.startswith("finch_connections.")}
    return {name for name in names if (PACKAGE / f"{name}.py").exists()}


@pytest.mark.parametrize("name", sorted(RULES))
def test_rules_import_the_standard_library_and_other_rules_alone(name: str) -> None:
    path = PACKAGE / f"{name}.py"
    outside = {one.split(".")[0] for one in imported(path)} - {"finch_connections"}
    assert outside <= sys.stdlib_module_names
    assert ours(path) <= RULES


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_nothing_in_the_layer_points_up(path: Path) -> None:
    assert not {name.split(".")[0] for name in imported(path)} & {"functions", "local", "tests"}
    built_on_others = ("refreshing", "releasing", "resolving", "tending", "erasing", "restoring")
    if path.stem not in built_on_others:
        assert not ours(path) & FLOWS
    if path.stem != "settings":
        assert "os" not in imported(path)


@pytest.mark.parametrize("path", sorted((ROOT / "functions").glob("*/handler.py")), ids=str)
def test_functions_know_neither_each_other_nor_the_local_world(path: Path) -> None:
    assert not {name.split(".")[0] for name in imported(path)} & {"functions", "local", "tests"}


@pytest.mark.parametrize(
    ("function", "unused"),
    [
        ("list_connections", {"httpx", "pydantic", "boto3", "finch_connections.finch"}),
        ("disconnect", {"pydantic", "boto3"}),
        ("receive_webhook", {"httpx", "pydantic", "boto3", "finch_connections.tending"}),
        ("start_connect", {"boto3", "finch_connections.connecting"}),
        ("finish_connect", {"boto3", "finch_connections.starting"}),
        ("tend_connection", {"boto3", "finch_connections.api", "finch_connections.starting"}),
        ("publish_changes", {"boto3", "httpx", "pydantic", "finch_connections.api"}),
        ("resolve_unfinished", {"boto3", "finch_connections.api", "finch_connections.starting"}),
        ("reseal_tokens", {"boto3", "httpx", "finch_connections.api"}),
        ("erase_customer", {"boto3", "finch_connections.api", "finch_connections.starting"}),
        ("restore_connections", {"boto3", "finch_connections.api", "finch_connections.starting"}),
        ("vend_token", {"boto3", "httpx", "finch_connections.api"}),
        ("read_directory", {"boto3", "pydantic", "finch_connections.vending"}),
    ],
)
def test_a_function_loads_nothing_that_it_does_not_use(function: str, unused: set[str]) -> None:
    script = f"import sys, functions.{function}.handler; print(*sys.modules)"
    path = os.pathsep.join([str(PACKAGE.parent), str(ROOT)])
    loaded = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": path},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert "finch_connections.log" in loaded
    assert not unused & set(loaded)
