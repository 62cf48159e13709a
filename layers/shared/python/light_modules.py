"""Replaces modules of packages in a build that load much and that no function uses.

Usage: `python3.13 light_modules.py <packages>`. Each cold start would load them: `importlib.metadata`
for a version that urllib3 needs only for HTTP/2, an HTML parser for the `help()` of botocore's clients,
and `importlib.resources` for the place of certifi's file.
"""

import shutil
import sys
from pathlib import Path

_HTTP2 = '''"""urllib3's HTTP/2, which only a call of its `inject_into_urllib3` would turn on."""
'''
_DOCSTRING = '''"""The docstrings of botocore's clients, without texts."""


class ClientMethodDocstring(str):
    def __new__(cls, **_):
        return super().__new__(cls)


PaginatorDocstring = WaiterDocstring = ClientMethodDocstring
'''
_CERTIFI = '''"""The place of certifi's bundle, which is a file in a layer."""

import os


def where():
    return os.path.join(os.path.dirname(__file__), "cacert.pem")


def contents():
    with open(where(), encoding="ascii") as bundle:
        return bundle.read()
'''
_REPLACED = {
    "urllib3/http2/__init__.py": _HTTP2,
    "botocore/docs/__init__.py": "",
    "botocore/docs/docstring.py": _DOCSTRING,
    "certifi/core.py": _CERTIFI,
}
# botocore's event handlers need these names.
_KEPT_DOCS = {"__init__.py", "docstring.py", "utils.py"}


def lighten(packages: Path) -> None:
    """Replaces the modules in `packages`."""
    for name, text in _REPLACED.items():
        if (packages / name.partition("/")[0]).exists():
            # Fails if the package has no such module any more.
            (packages / name).read_text()
            (packages / name).write_text(text)
    docs = packages / "botocore" / "docs"
    if docs.exists():
        for unused in docs.iterdir():
            if unused.is_dir():
                shutil.rmtree(unused)
            elif unused.name not in _KEPT_DOCS:
                unused.unlink()


if __name__ == "__main__":
    lighten(Path(sys.argv[1]))
