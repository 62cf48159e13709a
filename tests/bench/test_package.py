"""The built packages: no compilation at a cold start, no unused packages, no calls during init."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

import trust_stores
from tests.bench import endpoints, package

SHARED = package.BUILT / "SharedLayer" / "python"
AWS = package.BUILT / "AwsLayer" / "python"
# The maximum number of modules of each function after init, without those of the runtime.
MAX_MODULES = {
    "ListConnections": 410,
    "Disconnect": 485,
    "ReceiveWebhook": 410,
    "PublishEvents": 410,
    "ScheduleChecks": 410,
    "VendToken": 470,
    "CallFinch": 560,
    "StartConnect": 545,
    "FinishConnect": 550,
    "ResolveUnfinished": 555,
    "ProcessWork": 630,
    "ReadDirectory": 430,
    "ListEmployees": 520,
    "EraseCustomer": 600,
    "ReencryptTokens": 600,
    "RestoreBackup": 600,
}
# Powertools' batch utility imports it only if pydantic is already loaded.
_IMPORTED_WITH_PYDANTIC = {"aws_lambda_powertools.utilities.parser"}
# Starts a function as Lambda does; prints its loaded modules and its network connections.
STARTED = """
import json, socket, sys
called = []
socket.socket.connect = lambda _, address: called.append(address)
import {module}
print(json.dumps([sorted(sys.modules), called]))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Every function unpacked as in Lambda, all with the same layers."""
    opt = package.unpacked_layers(tmp_path_factory.mktemp("opt"))
    return {
        name: (package.unpacked(name, tmp_path_factory.mktemp(name)), opt)
        for name in package.FUNCTIONS
    }


@pytest.fixture(scope="module")
def started(unpacked: dict[str, tuple[Path, Path]]) -> dict[str, tuple[set[str], list[str]]]:
    """The modules that each function has loaded after init, and the network connections that it opened."""
    found = {}
    for name, (task, opt) in unpacked.items():
        script = STARTED.format(module=package.FUNCTIONS[name])
        done = subprocess.run(
            [
                sys.executable,
                "-I",
                "-S",
                "-c",
                f"import sys; sys.path[:0] = {[str(task), str(opt)]}\n{script}",
            ],
            env=package.ENVIRONMENT,
            check=True,
            capture_output=True,
            text=True,
        )
        assert "not ready" not in done.stdout, done.stdout
        modules, called = json.loads(done.stdout.splitlines()[-1])
        found[name] = (set(modules), called)
    return found


@pytest.mark.parametrize("name", sorted(package.FUNCTIONS))
def test_a_cold_start_compiles_nothing(unpacked: dict[str, tuple[Path, Path]], name: str) -> None:
    assert package.recompiled(name, *unpacked[name]) == []


def test_the_compilation_check_finds_a_missing_pyc(
    unpacked: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    _, opt = unpacked["ListConnections"]
    task = package.unpacked("ListConnections", tmp_path)
    [compiled] = task.rglob("handler.*.pyc")
    compiled.unlink()
    [found] = package.recompiled("ListConnections", task, opt)
    assert "list_connections/handler.py" in found


def test_every_function_has_a_module_limit() -> None:
    assert MAX_MODULES.keys() == package.FUNCTIONS.keys()


@pytest.mark.parametrize("name", sorted(package.FUNCTIONS))
def test_a_function_loads_no_more_modules_than_its_limit(
    started: dict[str, tuple[set[str], list[str]]], name: str
) -> None:
    modules, _ = started[name]
    assert len(modules) <= MAX_MODULES[name]


@pytest.mark.parametrize("name", sorted(package.FUNCTIONS))
def test_a_function_opens_no_connection_during_init(
    started: dict[str, tuple[set[str], list[str]]], name: str
) -> None:
    _, called = started[name]
    assert called == []


def test_the_layers_contain_no_unused_package(
    started: dict[str, tuple[set[str], list[str]]],
) -> None:
    loaded = set[str]().union(*(modules for modules, _ in started.values()))
    unused = [one for layer in (SHARED, AWS) for one in _unused(layer, layer, loaded)]
    assert unused == []


def _unused(layer: Path, folder: Path, loaded: set[str]) -> Iterator[str]:
    """The topmost packages in a folder without a loaded module, except small packages."""
    for one in sorted(folder.iterdir()):
        if not one.is_dir() or one.suffix == ".dist-info" or not (one / "__init__.py").exists():
            continue
        name = ".".join(one.relative_to(layer).parts)
        if any(module == name or module.startswith(f"{name}.") for module in loaded):
            yield from _unused(layer, one, loaded)
        elif name in _IMPORTED_WITH_PYDANTIC:
            continue
        elif sum(path.stat().st_size for path in one.rglob("*.py")) > 50_000:
            yield name


def test_the_layers_stay_below_their_size_limits() -> None:
    sizes = package.layers()
    # The package that compares names has 0.35 MB.
    assert sizes["zipped_without_pyc"] <= 4_700_000
    assert sizes["zipped"] <= 7_500_000


def test_the_trust_stores_match_certifi() -> None:
    bundle = trust_stores.certificates((SHARED / "certifi" / "cacert.pem").read_text())
    ours = SHARED / "finch_connections"
    kept = [path.read_text() for path in (ours / "roots").iterdir()]
    assert sorted(one for text in kept for one in trust_stores.certificates(text)) == sorted(bundle)
    amazon = trust_stores.certificates((ours / "amazon.pem").read_text())
    assert len(amazon) == len(trust_stores.AMAZON)


def test_the_built_botocore_is_the_tested_version() -> None:
    [built] = AWS.glob("botocore-*.dist-info")
    assert built.name == f"botocore-{version('botocore')}.dist-info"
    assert not list((AWS / "botocore" / "data").rglob("*.gz"))


def test_trimmed_botocore_models_resolve_the_same_endpoints() -> None:
    script = Path(endpoints.__file__).read_text()

    def places(*packages: Path) -> dict[str, list[str]]:
        path = f"import sys; sys.path[:0] = {[str(one) for one in packages]}\n"
        done = subprocess.run(
            [sys.executable, "-c", path + script],
            env={},
            check=True,
            capture_output=True,
            text=True,
        )
        found: dict[str, list[str]] = json.loads(done.stdout)
        return found

    built = places(AWS, SHARED)
    assert built == places()
    assert len(built) == len(endpoints.REGIONS) * len(endpoints.CALLS)


def test_every_own_function_has_the_layer_with_botocore() -> None:
    without = {
        name
        for name in package.FUNCTIONS
        if {"Ref": "AwsLayer"} not in package.resource(name)["Properties"].get("Layers", [])
    }
    # The example is another backend's function.
    assert without == {"ReadDirectory"}
