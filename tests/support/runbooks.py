"""The sections of docs/runbooks.md and the commands in them."""

import re
import shlex
from collections.abc import Mapping

from tests.support.deployed import ROOT

RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text()


def sections(part: str) -> dict[str, str]:
    """The text of each section of a part, by its heading."""
    text = RUNBOOKS.split(f"\n## {part}\n", 1)[1].split("\n## ", 1)[0]
    found = {}
    for section in text.split("\n### ")[1:]:
        heading, _, body = section.partition("\n")
        found[heading] = body.strip()
    return found


def commands(text: str, values: Mapping[str, str] | None = None) -> list[list[str]]:
    """The commands of a text, each as a list of arguments.

    With `values`, each name in angle brackets is replaced by its value. A name without a value fails.
    """
    found = []
    for block in re.findall(r"^ *```\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if values is not None:
                line = re.sub(r"<(\w+)>", lambda name: values[name[1]], line)  # noqa: PLW2901
            found.append(shlex.split(line, comments=True))
    return found
