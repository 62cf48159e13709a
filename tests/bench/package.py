"""The packages as `sam deploy` uploads them: their size, and whether Python must compile them."""

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.deployed import ROOT, TEMPLATE

BUILT = ROOT / ".aws-sam" / "local"
LAYERS = ("SharedLayer", "AwsLayer")
FUNCTIONS = {
    name: resource["Properties"]["Handler"].rpartition(".")[0]
    for name, resource in TEMPLATE["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
}
# The environment variables that the functions read during init.
ENVIRONMENT = {
    **dict.fromkeys(TEMPLATE["Globals"]["Function"]["Environment"]["Variables"], "not-here"),
    "ATTEMPTS_PER_CUSTOMER": "60",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_LAMBDA_FUNCTION_NAME": "not-here",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_SECRET_ACCESS_KEY": "test",
    "FINCH_API_URL": "https://api.tryfinch.com",
    "GRANTS_TABLE": "not-here",
    "IDLE_DAYS": "30",
    "MAX_CONNECTIONS": "0",
    "POWERTOOLS_LOG_LEVEL": "INFO",
    "PYDANTIC_DISABLE_PLUGINS": "true",
    "VEND_TOKEN_FUNCTION": "not-here",
}
# SAM writes this date for every file of a package.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def resource(name: str) -> dict[str, Any]:
    """A resource of the template."""
    found: dict[str, Any] = TEMPLATE["Resources"][name]
    return found


def zipped(folders: Sequence[Path], *, compiled: bool = True) -> bytes:
    """A zip of the folders, with or without compiled files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as package:
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and (compiled or path.suffix != ".pyc"):
                    name = zipfile.ZipInfo(str(path.relative_to(folder)), _EPOCH)
                    name.compress_type = zipfile.ZIP_DEFLATED
                    package.writestr(name, path.read_bytes())
    return content.getvalue()


def layers() -> dict[str, int]:
    """The sizes of both layers in bytes: zipped with and without compiled files, and unzipped."""
    folders = [BUILT / name for name in LAYERS]
    return {
        "zipped": len(zipped(folders)),
        "zipped_without_pyc": len(zipped(folders, compiled=False)),
        "unzipped": sum(path.stat().st_size for one in folders for path in one.rglob("*")),
    } | {f"{one.name}_zipped": len(zipped([one])) for one in folders}


def unpacked(name: str, folder: Path) -> Path:
    """Unpacks a function's code as Lambda does, with the date of 1980."""
    return _unpacked([BUILT / name], folder)


def unpacked_layers(folder: Path) -> Path:
    """Unpacks both layers as Lambda does, with the date of 1980; returns the packages folder."""
    return _unpacked([BUILT / one for one in LAYERS], folder) / "python"


def _unpacked(what: Sequence[Path], folder: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(zipped(what))) as package:
        package.extractall(folder)
    for path in folder.rglob("*"):
        os.utime(path, (315532800, 315532800))
    return folder


def recompiled(name: str, task: Path, packages: Path) -> list[str]:
    """The source files that Python compiles whenever it loads a function."""
    script = f"import sys; sys.path[:0] = {[str(task), str(packages)]}\nimport {FUNCTIONS[name]}"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-v", "-c", script],
        env=ENVIRONMENT,
        check=True,
        capture_output=True,
        text=True,
    )
    # For a file that was compiled before, Python prints the name of the compiled file.
    found = [line for line in done.stderr.splitlines() if line.startswith("# code object from ")]
    ours = [line for line in found if str(task) in line or str(packages) in line]
    return [line for line in ours if line.strip("'").endswith(".py")]
