"""The prose check finds each kind of text, and nothing in code."""

from pathlib import Path

import pytest

from tests.support import prose

FILES = {
    "module.py": '''"""Stores it for whoever asks."""
# A comment about nobody
# over two lines, one of them bad.
KEY = "whoever"  # whatever comes
def test_what_is_wrong():
    """A `whoever` in code."""
''',
    "page.ts": """const url = "https://whoever.example"; // the one that is shown
/* Nothing, lest it break. */
test("somebody signs in", () => {});
""",
    "template.yaml": """# Whoever reads this.
Description: Told to nobody.
Other: "whoever # whatever"
""",
    "page.md": """# What can go wrong

A line for whoever. `whoever`

```
whoever
```

| whoever | [text](whoever.md) |
""",
}
FOUND = {
    "module.py": {
        (1, "whoever"),
        (2, "nobody"),
        (3, "one (pronoun)"),
        (4, "whatever"),
        (5, "what ... (start)"),
    },
    "page.ts": {(1, "one (pronoun)"), (2, "lest"), (3, "somebody")},
    "template.yaml": {(1, "whoever"), (2, "tell"), (2, "nobody")},
    "page.md": {(3, "whoever"), (9, "whoever")},
}


@pytest.mark.parametrize("name", FILES)
def test_faults_are_found_in_text_and_not_in_code(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FILES[name])
    assert {(one.line, one.word) for one in prose.faults(tmp_path / name)} == FOUND[name]


def test_proselint_checks_markdown(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# Title\n\nThis is very unique.\n")
    assert {one.line for one in prose.faults(tmp_path / "page.md")} == {3}
