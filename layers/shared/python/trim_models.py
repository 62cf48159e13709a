"""Trims the service models of botocore in a build to what our code calls: 0.2 MB of 20.

Usage: `python3.13 trim_models.py <packages> <our packages...>`, with the packages on the import path. It
keeps the services that our code passes to `clients.client` or to botocore's `create_client`, and the
operations whose methods our code calls anywhere. The next build includes a new call without further
changes.
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

# The files that botocore reads for all services.
_OF_ALL = ("_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json")


def called(packages: Iterable[Path]) -> tuple[set[str], set[str]]:
    """The services that our code creates clients for, and the names of all methods that it calls."""
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
    """A service's model with only these operations and the shapes that they need."""
    kept = {name: one for name, one in model["operations"].items() if name in operations}
    shapes: set[str] = set()
    ahead = list(_named_shapes(kept))
    while ahead:
        name = ahead.pop()
        if name not in shapes:
            shapes.add(name)
            ahead += _named_shapes(model["shapes"][name])
    rest = {name: one for name, one in model["shapes"].items() if name in shapes}
    smaller: Model = _undocumented({**model, "operations": kept, "shapes": rest})
    return smaller


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
        # A member of a shape can have this name too, and is not a string.
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
    """Replaces the models of botocore in `packages`."""
    services, methods = called(ours)
    data, smaller = packages / "botocore" / "data", packages / "botocore" / "trimmed"
    for service in sorted(services):
        # botocore's default version.
        newest = max(one.parent for one in (data / service).glob("*/service-2.json*"))
        to = smaller / service / newest.name
        model = _read(newest, "service-2")
        operations = {name for name in model["operations"] if xform_name(name) in methods}
        if not operations:
            sys.exit(f"The code creates a client of {service}, but calls no operation of it.")
        _write(to / "service-2.json", trimmed(model, operations))
        _write(to / "endpoint-rule-set-1.json", _read(newest, "endpoint-rule-set-1"))
        pages = _read(newest, "paginators-1")["pagination"]
        paged = {name: one for name, one in pages.items() if name in operations}
        if paged:
            _write(to / "paginators-1.json", {"pagination": paged})
        for extra in newest.glob("service-2.sdk-extras.json"):
            shutil.copy(extra, to)
    for name in _OF_ALL:
        shutil.copy(data / name, smaller / name)
    endpoints = _read(data, "endpoints")
    # botocore reads only partitions and regions from this file: each service has its own endpoint rules.
    for partition in endpoints["partitions"]:
        partition["services"] = {}
    _write(smaller / "endpoints.json", endpoints)
    shutil.rmtree(data)
    smaller.rename(data)


if __name__ == "__main__":
    trim(Path(sys.argv[1]), [Path(each) for each in sys.argv[2:]])
