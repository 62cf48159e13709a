"""Trims the botocore of a build to what our code calls: of 20 MB of models, 0.2.

`python3.13 trim_models.py <packages> <our packages...>`, with the packages to import from. The services
are those that `clients.client` or botocore's `create_client` is called with, the operations those whose
methods are called anywhere in our packages: a new call is in the next build by itself.
"""

import ast
import gzip
import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from botocore import xform_name

type Model = dict[str, Any]

# What botocore reads of no service in particular.
_OF_ALL = ("_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json")


def called(packages: Iterable[Path]) -> tuple[set[str], set[str]]:
    """The services that our code makes clients of, and the names of all methods that it calls."""
    services: set[str] = set()
    methods: set[str] = set()
    for path in (path for package in packages for path in package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            words = {one.value for one in node.args if isinstance(one, ast.Constant)}
            texts = {word for word in words if isinstance(word, str)}
            methods.add(node.func.attr)
            if node.func.attr == "get_paginator":
                methods |= texts
            if node.func.attr == "create_client" or ast.unparse(node.func) == "clients.client":
                services |= texts
    return services, methods


def trimmed(model: Model, operations: set[str]) -> Model:
    """A service's model with these operations alone, and the shapes that they need."""
    kept = {name: one for name, one in model["operations"].items() if name in operations}
    shapes: set[str] = set()
    ahead = list(_named_shapes(kept))
    while ahead:
        name = ahead.pop()
        if name not in shapes:
            shapes.add(name)
            ahead += _named_shapes(model["shapes"][name])
    rest = {name: one for name, one in model["shapes"].items() if name in shapes}
    less: Model = _undocumented({**model, "operations": kept, "shapes": rest})
    return less


def _named_shapes(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for name, one in part.items():
            if name == "shape" and isinstance(one, str):
                yield one
            else:
                yield from _named_shapes(one)
    elif isinstance(part, list):
        for one in part:
            yield from _named_shapes(one)


def _undocumented(part: Any) -> Any:
    if isinstance(part, list):
        return [_undocumented(one) for one in part]
    if not isinstance(part, dict):
        return part
    return {
        name: _undocumented(one)
        for name, one in part.items()
        # A member of a shape may have this name too, and is no text.
        if name != "documentation" or not isinstance(one, str)
    }


def _read(folder: Path, name: str) -> Any:
    plain, packed = folder / f"{name}.json", folder / f"{name}.json.gz"
    return json.loads(
        plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())
    )


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, separators=(",", ":")))


def trim(packages: Path, ours: Iterable[Path]) -> None:
    """Replaces the models of the botocore in `packages`."""
    services, methods = called(ours)
    data, less = packages / "botocore" / "data", packages / "botocore" / "less"
    for service in sorted(services):
        # As botocore does where nobody names a version.
        newest = max(one.parent for one in (data / service).glob("*/service-2.json*"))
        to = less / service / newest.name
        model = _read(newest, "service-2")
        operations = {name for name in model["operations"] if xform_name(name) in methods}
        if not operations:
            sys.exit(f"Nothing of {service} is called.")
        _write(to / "service-2.json", trimmed(model, operations))
        _write(to / "endpoint-rule-set-1.json", _read(newest, "endpoint-rule-set-1"))
        pages = _read(newest, "paginators-1")["pagination"]
        paged = {name: one for name, one in pages.items() if name in operations}
        if paged:
            _write(to / "paginators-1.json", {"pagination": paged})
        for extra in newest.glob("service-2.sdk-extras.json"):
            shutil.copy(extra, to)
    for name in _OF_ALL:
        shutil.copy(data / name, less / name)
    endpoints = _read(data, "endpoints")
    # Where a service is, its rules say; of this, botocore still reads partitions and their regions.
    for partition in endpoints["partitions"]:
        partition["services"] = {}
    _write(less / "endpoints.json", endpoints)
    shutil.rmtree(data)
    less.rename(data)


if __name__ == "__main__":
    trim(Path(sys.argv[1]), [Path(each) for each in sys.argv[2:]])
