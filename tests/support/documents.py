"""The documents as tests read them: texts, tables and words in code."""

import pkgutil
import re
from importlib import import_module
from typing import Any

import finch_connections
from tests.support.deployed import ROOT

README = (ROOT / "README.md").read_text()
PAGES = {path.stem: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of every table of a text whose first column has this head."""
    found = []
    for table in text.split(f"\n| {heading} |")[1:]:
        lines = table.split("\n\n", 1)[0].splitlines()[2:]
        found += [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    assert found, heading
    return found


def words(text: str) -> set[str]:
    """The inline code of a text, outside of code blocks."""
    return set(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)))


def slug(heading: str) -> str:
    """The anchor of a heading, on the site as in the repository."""
    return re.sub(r"[^a-z0-9 _-]", "", heading.lower()).strip().replace(" ", "-")


def anchors(text: str) -> set[str]:
    """The anchors of a text's headings."""
    plain = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", plain, re.MULTILINE)}


def kinds(base: type[Any]) -> set[type[Any]]:
    """A class and all of its subclasses in finch_connections."""
    for module in pkgutil.walk_packages(finch_connections.__path__, "finch_connections."):
        import_module(module.name)
    return {base} | {sub for kind in base.__subclasses__() for sub in kinds(kind)}
