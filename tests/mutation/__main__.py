"""Mutation testing: mutmut changes the rules and the decisions, and a test must fail for each change.

Each module has a folder of its own in `.local/mutation`, so a run goes on where the last one stopped.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.mutation import conditions

ROOT = Path(__file__).parents[2]
WORK = ROOT / ".local/mutation"
PACKAGE = Path("layers/shared/python/finch_connections")
MUTMUT = ROOT / ".venv-mutation/bin/mutmut"
# Only unit tests count for the rules: they are quick, and name the rule that is broken.
UNIT = [
    f"tests/unit/test_{name}.py"
    for name in [
        "batch",
        "connect_session",
        "connection",
        "connection_event",
        "display_name",
        "health",
        "identifier",
        "ownership",
        "secret",
        "session_table",
        "stored_fields",
        "token_request",
        "token_response",
        "webhook",
        "work_item",
    ]
]
TESTS = {"domain": UNIT, "aws": conditions.TESTS, "use_cases": conditions.TESTS}
COPIED = ("functions", "local", "operations", "events", "template.yaml")
SETTINGS = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = ["src/finch_connections/{module}.py"]
also_copy = {copied}
pytest_add_cli_args_test_selection = {tests}
# A text for a reader is no rule.
do_not_mutate_patterns = ['InvalidRequest\\(', 'logger\\.']
use_git_change_detection = false

[tool.pytest.ini_options]
addopts = "{options} -p no:cacheprovider"
filterwarnings = ["error"]
"""


def lay_out(module: str) -> Path:
    """The folder from which mutmut runs: it must find the package in `src`, and copies the rest."""
    folder = WORK / module.replace("/", ".")
    (folder / "tests").mkdir(parents=True, exist_ok=True)
    sources = {name: ROOT / name for name in COPIED}
    sources |= {
        f"tests/{name}": ROOT / "tests" / name for name in ("unit", "integration", "support")
    }
    sources |= {"src": ROOT / PACKAGE.parent, "tests/conftest.py": ROOT / "tests/conftest.py"}
    for name, source in sources.items():
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(source)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    tests = [one for one in TESTS[module.partition("/")[0]] if (ROOT / one).exists()]
    settings = SETTINGS.format(
        module=module,
        copied=json.dumps(COPIED),
        tests=json.dumps(tests),
        options=project["tool"]["pytest"]["ini_options"]["addopts"],
    )
    (folder / "pyproject.toml").write_text(settings)
    return folder


def run(module: str) -> None:
    """Tests the mutants of a module that have no result yet, and prints the survivors and the score."""
    folder = lay_out(module)
    subprocess.run([MUTMUT, "run", "--max-children", "1"], cwd=folder, check=True)
    meta = folder / f"mutants/src/finch_connections/{module}.py.meta"
    codes = json.loads(meta.read_text())["exit_code_by_key"]
    # 0: all tests passed; 5 and 33: no test calls the function; None: not tested yet.
    survived = [name for name, code in codes.items() if code in (0, 5, 33)]
    waiting = sum(code is None for code in codes.values())
    for name in survived:
        shown = subprocess.run(
            [MUTMUT, "show", name], cwd=folder, check=True, capture_output=True, text=True
        )
        print(shown.stdout)
    killed = len(codes) - len(survived) - waiting
    print(f"{module}: {len(codes)} mutants, {killed} killed, {waiting} not tested yet")


def main(wanted: list[str]) -> None:
    """Runs the wanted modules or folders; all of them without an argument."""
    if wanted in ([], ["conditions"]):
        conditions.main()
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        module = path.relative_to(ROOT / PACKAGE).with_suffix("").as_posix()
        folder = module.partition("/")[0]
        chosen = not wanted or module in wanted or folder in wanted
        if chosen and folder in TESTS and path.stem != "__init__":
            run(module)


if __name__ == "__main__":
    main(sys.argv[1:])
