"""Checks the project's prose: `python -m tests.support.prose [PATH...]`.

It reads docstrings, comments, names of tests, descriptions in the template, and Markdown outside of
code. Each fault is a line `file:line: word: the line`. The word list below catches habits that make
English hard to read. proselint checks Markdown in addition.
"""

import ast
import io
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
# Folders, and files that a command writes.
LEFT_OUT = {"node_modules", "__pycache__", "openapi.ts"}

WORDS = {
    "whoever": r"who(?:so)?(?:m)?ever|whose(?:so)?ever",
    "whatever": r"whatever|whatsoever",
    "whichever": r"whichever",
    "nobody": r"nobody(?:'s)?|no one(?:'s)?",
    "somebody": r"(?:some|any|every)(?:body|one)(?:'s)?",
    "one (pronoun)": (
        r"ones|oneself|one's"
        r"|one (?:of|that|who|which|whose|is|was|has|had|does|did|can|may|must|will|would|comes)"
        r"|one (?:alone|after another)"
        r"|(?:this|each|every|such an?|another|which|whose|no|any) one"
        r"(?! (?:hour|day|minute|second|call|request)s?)"
        r"|(?:the|an?|old|new|other|first|second|last|next|same|right|wrong|only|real|good|dead) one"
        r"(?=\s*(?:[.,;:)?!]|$|(?:for|in|by|before|after|at|from|with|and|or|as|to|whose|there)\b))"
    ),
    "for want of": r"for want of",
    "lest": r"lest",
    "be it": r"be it",
    "save for": r"save (?:for|that|where|when)",
    "beside": r"beside",
    "besides": r"besides(?= *[.,;:)]|$)",
    "anew": r"anew",
    "stand-in": r"stand-ins?|(?:stands?|stood) in for",
    "tend": r"tend(?:s|ed|ing)?",
    "seal": r"(?:un)?seal(?:s|ed|ing)?",
    "sweep": r"sweep(?:s|ing)?|swept",
    "mend": r"mend(?:s|ed|ing)?",
    "tell": r"tell(?:s|ing)?(?!(?: \w+)? apart)|told(?!(?: \w+)? apart)",
    "hands": r"in (?:the|its|our|their|your|other|the same|nobody's|somebody's) hands?|at hand",
    "word of": r"(?:its|their|his|finch's|kms's|aws's|wrong|last|no|own) words?|words? (?:of|for it)",
    "as it was": (
        r"as (?:it|they) (?:was|were|is|are)(?= *[.,;:)]|$)"
        r"|as (?:it|they) (?:was|were) (?:read|written|found|shown)"
    ),
    "to the letter": r"to the letter",
    "letter": r"(?<!dead )(?<!dead-)letters?(?= (?:that|says?|in|is|of a))",
    "what there is": r"what there (?:is|was|are|were)|what is there",
    "is there": r"(?:is|are|was|were|be|been) there(?= *[.,;:)]|$)",
    "but for": r"but for",
    "whence": r"whence|thereof|thereby|therein|hereof|wherein|whereof|hitherto|henceforth|albeit",
}
# A phrase may be broken over two lines.
_GAP, _ANY_GAP = r"(?<=[\w)']) (?=[\w(])", r"\\s+"
_WORDS = {
    word: re.compile(rf"\b(?:{re.sub(_GAP, _ANY_GAP, pattern)})(?![\w-])", re.IGNORECASE)
    for word, pattern in WORDS.items()
}
# Only at the start of a docstring, a comment or a sentence.
_STARTS = {
    "What ... (start)": re.compile(r"(?:^|(?<=[.!?]\s))What\b(?![^.?!]*\?)"),
    "Who ... (start)": re.compile(r"(?:^|(?<=[.!?]\s))Whom?\b(?![^.?!]*\?)"),
    "Nor (start)": re.compile(r"(?:^|(?<=[.!?]\s))Nor\b"),
}
_TEST_STARTS = re.compile(r"(?:what|who|whom|nor|how|where|whose)\b")
_NOT_PROSE = re.compile(r"^(?:noqa|type:|pragma|pylint|mypy|fmt:|ruff:|nosec|checkov:|!|-\*-)")

# AWS's term is "point in time"; proselint calls it redundant.
NOT_PROSELINT = ("redundancy.misc.after_the_deadline",)
# Without the checks that are about typography, dates, people or fiction.
PROSELINT = (
    "archaism",
    "cliches",
    "hedging",
    "industrial_language",
    "lexical_illusions",
    "malapropisms",
    "misc.but",
    "misc.latin",
    "misc.many_a",
    "misc.metadiscourse",
    "misc.narcissism",
    "misc.pretension",
    "misc.suddenly",
    "misc.whence",
    "mixed_metaphors",
    "mondegreens",
    "needless_variants",
    "nonwords",
    "oxymorons",
    "redundancy",
    "spelling",
    "terms",
    "uncomparables",
    "weasel_words",
)


class Piece(NamedTuple):
    """A text that people read, with the line on which it starts and its kind."""

    line: int
    text: str
    kind: str = "prose"


class Fault(NamedTuple):
    """A finding in a file."""

    path: Path
    line: int
    word: str

    def __str__(self) -> str:
        text = self.path.read_text().splitlines()[self.line - 1].strip()
        here = Path.cwd()
        path = self.path.relative_to(here) if self.path.is_relative_to(here) else self.path
        return f"{path}:{self.line}: {self.word}: {text}"


def pieces(path: Path) -> Iterator[Piece]:
    """The texts of a file. The file's name decides how it is parsed."""
    text = path.read_text()
    match path.suffix:
        case ".py":
            yield from _python(text)
        case ".md":
            yield from _markdown(text)
        case ".yaml" | ".yml":
            yield from _comments(text)
            yield from _descriptions(text)
        case ".js" | ".mjs" | ".ts" | ".css":
            yield from _script(text)
        case ".toml" | ".sh" | "":
            yield from _comments(text)
            if path.name == "Makefile":
                for number, line in enumerate(text.splitlines(), 1):
                    if said := re.search(r"echo '(.*?)'", line):
                        yield Piece(number, said[1])
        case _:
            return


def _python(text: str) -> Iterator[Piece]:
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Module(body=body) | ast.ClassDef(body=body) | ast.FunctionDef(body=body):
                match body:
                    case [ast.Expr(ast.Constant(str() as docstring), lineno=line), *_]:
                        yield Piece(line, docstring)
        match node:
            case ast.FunctionDef(name=name, lineno=line) if name.startswith("test_"):
                yield Piece(line, name.removeprefix("test_").replace("_", " "), "test")
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    yield from _joined(
        (token.start[0], token.string.lstrip("#").strip(), not token.line[: token.start[1]].strip())
        for token in tokens
        if token.type == tokenize.COMMENT
    )


def _joined(comments: Iterable[tuple[int, str, bool]]) -> Iterator[Piece]:
    """Comments as pieces. Adjacent lines that contain only a comment become one piece."""
    first, last, lines = 0, 0, list[str]()
    for number, comment, alone in comments:
        if _NOT_PROSE.match(comment):
            continue
        if lines and alone and number == last + 1:
            lines.append(comment)
        else:
            if lines:
                yield Piece(first, "\n".join(lines))
            first, lines = number, [comment]
        last = number if alone else -1
    if lines:
        yield Piece(first, "\n".join(lines))


def _comments(text: str) -> Iterator[Piece]:
    """The comments of YAML, TOML, a Makefile or a shell script."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if comment := re.search(r"(?:^|\s)#(?!!) ?(.*)$", line):
            before = line[: comment.start()]
            if before.count('"') % 2 == 0 and before.count("'") % 2 == 0:
                found.append((number, comment[1].strip(), not before.strip()))
    yield from _joined(found)


def _descriptions(text: str) -> Iterator[Piece]:
    def walk(node: yaml.Node) -> Iterator[Piece]:
        if isinstance(node, yaml.SequenceNode):
            for child in node.value:
                yield from walk(child)
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                scalar = isinstance(value, yaml.ScalarNode)
                if scalar and str(key.value).endswith("Description"):
                    yield Piece(value.start_mark.line + 1, value.value)
                yield from walk(value)

    for document in yaml.compose_all(text, Loader=yaml.SafeLoader):
        yield from walk(document)


_SCRIPT = re.compile(
    r"""
    (?P<string> "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | `(?:\\.|[^`\\])*` )
    | (?P<block> /\*.*?\*/ )
    | (?P<line> (?<![:\\/])//[^\n]* )
    """,
    re.VERBOSE | re.DOTALL,
)


def _script(text: str) -> Iterator[Piece]:
    """The comments of JavaScript, TypeScript or CSS, and the names of tests in them."""
    lines = []
    for found in _SCRIPT.finditer(text):
        number = text.count("\n", 0, found.start()) + 1
        if found["block"]:
            inner = found["block"].removeprefix("/*").removesuffix("*/")
            yield Piece(number, re.sub(r"(?m)^[ \t*]+", "", inner))
        elif found["line"]:
            start = text.rfind("\n", 0, found.start()) + 1
            alone = not text[start : found.start()].strip()
            lines.append((number, found["line"].lstrip("/").strip(), alone))
        elif re.search(r"\b(?:test|it|describe)\($", text[: found.start()][-12:]):
            yield Piece(number, found["string"][1:-1], "test")
    yield from _joined(lines)


def blanked(text: str) -> str:
    """Markdown with its code, URLs and HTML replaced. All other characters keep their places."""

    def blank(found: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", found[0])

    text = re.sub(r"\A---\n.*?\n---\n", blank, text, flags=re.DOTALL)
    text = re.sub(r"(?ms)^ *(```|~~~).*?^ *\1[^\n]*$", blank, text)
    text = re.sub(r"(?s)<!--.*?-->|<[a-z/][^>\n]*>", blank, text)
    text = re.sub(r"(?<=\])\([^)\n]*\)|(?<=\])\[[^]\n]*\]|(?m:^\[[^]]+\]: .*$)", blank, text)
    return re.sub(r"`[^`\n]*`|https?://\S+|(?m:\{[#.:][^}]*\})", _code, text)


def _code(found: re.Match[str]) -> str:
    """Code as a word to which no rule applies, so that a sentence may start with code."""
    return "X" * len(found[0])


def _markdown(text: str) -> Iterator[Piece]:
    first, lines = 0, list[str]()
    for number, line in enumerate([*blanked(text).splitlines(), ""], 1):
        mark = re.match(r"\s*(?:#+|[-*]|\d+\.|\||>|!!!.*|\?\?\?.*)(?=\s)", line)
        if lines and (mark or not line.strip()):
            yield Piece(first, "\n".join(lines))
            lines = []
        if mark and "#" in mark[0]:
            yield Piece(number, line[mark.end() :].strip(), "heading")
        elif mark and "|" in mark[0]:
            for cell in line.split("|"):
                yield Piece(number, cell.strip(), "cell")
        elif line.strip():
            first = first if lines else number
            lines.append(line[mark.end() :].strip() if mark else line.strip())


def faults(path: Path) -> Iterator[Fault]:
    """The faults of a file, in any order."""
    for piece in pieces(path):
        text = piece.text if path.suffix == ".md" else re.sub(r"`[^`]*`", _code, piece.text)
        offset = len(text) - len(text.lstrip())
        text = text.lstrip()
        line = piece.line + piece.text[:offset].count("\n")
        rules = dict(_WORDS)
        if piece.kind == "prose":
            rules |= _STARTS
        if piece.kind == "test" and (start := _TEST_STARTS.match(text)):
            yield Fault(path, line, f"{start[0]} ... (start)")
        for word, pattern in rules.items():
            for found in pattern.finditer(text):
                yield Fault(path, line + text.count("\n", 0, found.start()), word)
    if path.suffix == ".md":
        yield from _proselint(path)


def _proselint(path: Path) -> Iterator[Fault]:
    # Imported here: its import takes half a second, and only Markdown needs it.
    from proselint.checks import __register__
    from proselint.config import DEFAULT
    from proselint.registry import CheckRegistry
    from proselint.tools import LintFile

    registry = CheckRegistry()
    if not registry.checks:
        registry.register_many(__register__)
    # A section may repeat its heading.
    text = re.sub(r"(?m)^#+ .*$", "", blanked(path.read_text()))
    # proselint takes the first entry with which the name of a check begins.
    config = {
        **DEFAULT,
        "checks": dict.fromkeys(NOT_PROSELINT, False) | dict.fromkeys(PROSELINT, True),
    }
    for result in LintFile(path, content=text).lint(config):
        found = result.check_result
        start = max(found.span[0] - 1, 0)
        yield Fault(
            path, text.count("\n", 0, start + 1) + 1, f"{found.check_path}: {found.message}"
        )


def files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files to check in these files and folders."""
    for path in paths:
        if path.is_dir():
            yield from (
                one
                for one in sorted(path.rglob("*"))
                if one.is_file()
                and not LEFT_OUT & set(one.parts)
                and (one.suffix in {".py", ".md", ".yaml", ".js", ".mjs", ".ts", ".css"})
            )
        else:
            yield path


def main(arguments: list[str]) -> int:
    """Prints the faults of the paths, by default of those in pyproject.toml; the count goes to stderr."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text()) if not arguments else {}
    stated = [ROOT / path for path in settings.get("tool", {}).get("prose", {}).get("paths", ())]
    found = sorted(
        {
            fault
            for path in files(map(Path, arguments) if arguments else stated)
            for fault in faults(path)
        }
    )
    for fault in found:
        print(fault)
    print(f"{len(found)} faults", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
