"""Mutation testing: mutmut changes the rules and the decisions, and a test must fail for each change.

Each module has a folder of its own in `.local/mutation`, so a run goes on where the last one stopped.
"""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.mutation import conditions
from tests.mutation.accepted import passes

ROOT = Path(__file__).parents[2]
WORK = ROOT / ".local/mutation"
PACKAGE = Path("layers/shared/python/finch_connections")
BIN = ROOT / ".venv-mutation/bin"
# Only unit tests count for a rule: those of its module, and of modules that show the same rules. They
# are quick, and name the rule that is broken.
MORE_UNIT = {
    "connection": ["connection_changes", "display_name"],
    "secret": ["webhook"],
}
# Seconds each. Quick tests check the same sizes exactly.
SLOW = ["connection.py::test_largest_connection", "connection.py::test_entities_of_one_large_login"]
FOLDERS = ("domain", "aws", "use_cases")
# The exit codes of killed mutants: a test failed, pytest failed, or a test did not end.
KILLED = (1, 3, 24, -24, 36, 152, 255)
COPIED = ("functions", "local", "operations", "events", "template.yaml")
# A text for a reader is no rule.
PATTERNS = r"""['InvalidRequest\(', 'raise \w+\(f?"', 'logger\.']"""
# In the environment of mutmut. One process for all survivors: it takes a second to start.
SHOW = """
import json, sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
print(json.dumps({name: get_diff_for_mutant(name) for name in sys.argv[1:]}))
"""
SETTINGS = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = ["src/finch_connections/{module}.py"]
also_copy = {copied}
pytest_add_cli_args_test_selection = {tests}
do_not_mutate_patterns = {patterns}
use_git_change_detection = false
# 15 times as many seconds for the quickest test: a busy machine must not look like an endless test.
timeout_constant = 3.0

[tool.pytest.ini_options]
# The profile makes the examples of hypothesis the same in each run, without a time limit.
addopts = "{options} {slow} -p no:cacheprovider -p _hypothesis_pytestplugin --hypothesis-profile=ci"
filterwarnings = ["error"]
"""


def tests_of(module: str) -> list[str]:
    """The files with the tests that must fail for a mutant of the module."""
    folder, _, name = module.partition("/")
    if folder != "domain":
        return conditions.TESTS
    return [f"tests/unit/test_{one}.py" for one in (name, *MORE_UNIT.get(name, ()))]


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
    settings = SETTINGS.format(
        module=module,
        patterns=PATTERNS,
        copied=json.dumps(COPIED),
        tests=json.dumps(tests_of(module)),
        options=project["tool"]["pytest"]["ini_options"]["addopts"],
        slow=" ".join(f"--deselect=tests/unit/test_{name}" for name in SLOW),
    )
    stored = folder / "pyproject.toml"
    if stored.exists() and PATTERNS not in stored.read_text():
        # mutmut would keep the results, but the numbers of the mutants are others.
        shutil.rmtree(folder / "mutants", ignore_errors=True)
    stored.write_text(settings)
    return folder


def run(module: str) -> bool:
    """Tests the mutants of a module that no test has killed yet. False if one survives unaccepted."""
    folder = lay_out(module)
    meta = folder / f"mutants/src/finch_connections/{module}.py.meta"
    if meta.exists():
        # The tests may have changed since: survivors are tested again, with new statistics.
        content = json.loads(meta.read_text())
        codes = content["exit_code_by_key"]
        codes.update(dict.fromkeys(name for name in codes if codes[name] not in KILLED))
        meta.write_text(json.dumps(content))
        (folder / "mutants/mutmut-stats.json").unlink(missing_ok=True)
    print(f"{module} ...", flush=True)
    with (folder / "mutmut.log").open("w") as log:
        command: list[str | Path] = [BIN / "mutmut", "run", "--max-children", "1"]
        # Each mutant would load all plugins.
        env = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        ran = subprocess.run(command, check=False, cwd=folder, env=env, stdout=log, stderr=log)
    if ran.returncode:
        sys.exit(f"mutmut failed: {log.name}")
    codes = json.loads(meta.read_text())["exit_code_by_key"]
    survived = [name for name, code in codes.items() if code not in KILLED]
    return passes(module, len(codes), texts_of(survived, folder))


def texts_of(names: list[str], folder: Path) -> list[str]:
    """The functions of mutants with their changed lines, as `urgency: return 0 -> return 1`."""
    command: list[str | Path] = [BIN / "python", "-c", SHOW, *names]
    shown = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    return [text_of(name, shown) for name, shown in json.loads(shown).items()]


def text_of(name: str, diff: str) -> str:
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    before, after = (
        " ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+"
    )
    function = name.rpartition(".")[2].partition("__mutmut_")[0].removeprefix("x")
    function = function.replace("ǁ", ".").strip(".") if "ǁ" in function else function[1:]
    return f"{function}: {before} -> {after or 'nothing'}"


def main(wanted: list[str]) -> None:
    """Runs the wanted modules or folders; the rules and the conditions without an argument.

    Exits with 1 if a mutant survives that is not accepted, or if an accepted mutant does not survive.
    """
    passed, wanted = True, wanted or ["domain", "conditions"]
    if "conditions" in wanted:
        passed = conditions.main()
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        module = path.relative_to(ROOT / PACKAGE).with_suffix("").as_posix()
        folder = module.partition("/")[0]
        chosen = module in wanted or folder in wanted
        if chosen and folder in FOLDERS and path.stem != "__init__":
            passed &= run(module)
    if not passed:
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
