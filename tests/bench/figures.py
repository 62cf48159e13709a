"""Writes the figures of a run as a table, as a table of goals, as a picture and as JSON."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from tests.bench.costs import REQUESTS

HERE = Path(__file__).parent
JSON, PICTURE = HERE / "figures.json", HERE / "figures.svg"
PAGE = HERE.parents[1] / "docs" / "performance.md"

type Found = Mapping[str, Any]

_SHOWN = {
    "list_connections": "GET /connections",
    "finish_connect": "GET /callback",
    "disconnect": "DELETE /connections/…",
}
_KINDS = ("typical", "bare", "ours")
_COLOURS = {"typical": "#b6bcc6", "bare": "#b6bcc6", "ours": "#2563c9"}


@dataclass(frozen=True)
class Goal:
    """A figure with its upper limit. `reached` is the measured figure, or None if it was not measured."""

    name: str
    limit: float
    reached: float | None


def _case(kind: str, name: str) -> str:
    return name if kind == "ours" else f"{kind} {name}"


def _cost(found: Found, case: str, part: str = "whole") -> float | None:
    """Millions of instructions, or milliseconds of CPU if they were not counted."""
    if counts := found.get("instructions", {}).get(case):
        return float(sum(counts.values()) if part == "whole" else counts[part])
    timed = found.get("cold", {}).get(case)
    return float(timed["cpu_ms"]["median"]) if timed and part == "whole" else None


def _ratio(one: float | None, other: float | None) -> float | None:
    return round(one / other, 3) if one is not None and other else None


def goals(found: Found) -> list[Goal]:
    """The goals with the reached figures."""

    def cold(case: str, to: str, part: str = "whole") -> float | None:
        return _ratio(_cost(found, case, part), _cost(found, to, part))

    def at_512(case: str) -> float | None:
        timed = found.get("cold_at_512_mb", {}).get(case)
        return float(timed["whole_ms"]["median"]) if timed else None

    warm: Mapping[str, Any] = found.get("warm", {})
    own = warm.get("finish_connect", {}).get("own_ms", {}).get("median")
    lists = [
        warm.get(one, {}).get("p50_ms") for one in ("list_connections", "bare list_connections")
    ]
    opened = found.get("connections", {})
    layers = found.get("layers", {})
    megabytes = {name: round(size / 1e6, 2) for name, size in layers.items()}
    return [
        Goal("list cold, of bare list", 0.50, cold("list_connections", "bare list_connections")),
        Goal("list cold, of typical", 0.40, cold("list_connections", "typical list_connections")),
        Goal("callback cold, of bare list", 0.90, cold("finish_connect", "bare list_connections")),
        Goal("callback cold, of typical", 0.45, cold("finish_connect", "typical finish_connect")),
        Goal("disconnect cold, of bare list", 0.70, cold("disconnect", "bare list_connections")),
        Goal("start cold, of bare list", 0.80, cold("start_connect", "bare list_connections")),
        Goal("hop cold, of bare list", 0.80, cold("hop", "bare list_connections")),
        Goal("disconnect cold, of typical", 0.42, cold("disconnect", "typical disconnect")),
        Goal(
            "list, first call alone, of bare",
            0.20,
            cold("list_connections", "bare list_connections", "first"),
        ),
        Goal(
            "callback, first call alone, of typical",
            0.12,
            cold("finish_connect", "typical finish_connect", "first"),
        ),
        Goal(
            "callback cold at 512 MB, of typical",
            0.35,
            _ratio(at_512("finish_connect"), at_512("typical finish_connect")),
        ),
        Goal("list warm, of bare", 1.00, _ratio(*lists)),
        Goal("callback warm without Finch, ms", 40, own),
        Goal(
            "an AWS call on a fresh connection, of a kept one",
            3,
            _ratio(
                opened.get("fresh_ms", {}).get("median"), opened.get("kept_ms", {}).get("median")
            ),
        ),
        Goal("layers zipped without .pyc, MB", 4.7, megabytes.get("zipped_without_pyc")),
        Goal("layers zipped, MB", 7.5, megabytes.get("zipped")),
    ]


def table(found: Found) -> str:
    """The tables of functions and goals in Markdown."""
    return "\n".join([*_functions(found), "", *_goals(found), "", size_table(found)])


def _functions(found: Found) -> Iterator[str]:
    yield (
        "| function | M instructions: init | first call | ms: init | first call | CPU ms | peak MB "
        "| modules | warm p50 ms | p95 ms | AWS | Finch |"
    )
    yield "| --- |" + " ---: |" * 11
    for case, timed in found["cold"].items():
        counts = found.get("instructions", {}).get(case, {})
        warm = found["warm"].get(case, {})
        asked = warm.get("calls", {}).get("warm", {})
        cells = [
            case,
            counts.get("init", "-"),
            counts.get("first", "-"),
            *(
                f"{timed[one]['median']:.0f}"
                for one in ("init_ms", "first_ms", "cpu_ms", "peak_mb")
            ),
            found["modules"][case],
            *(f"{warm[one]:.1f}" if one in warm else "-" for one in ("p50_ms", "p95_ms")),
            *(len(asked[one]) if asked else "-" for one in ("aws", "finch")),
        ]
        yield f"| {' | '.join(map(str, cells))} |"


def _goals(found: Found) -> Iterator[str]:
    yield "| goal | at most | reached |"
    yield "| --- | ---: | ---: |"
    for goal in goals(found):
        reached = "-" if goal.reached is None else f"{goal.reached:g}"
        missed = goal.reached is not None and goal.reached > goal.limit
        yield f"| {goal.name} | {goal.limit:g} | {reached}{' (missed)' if missed else ''} |"


def size_table(found: Found) -> str:
    """The times and the price of Lambda for each size of memory."""
    lines = [
        "| request | MB | cold ms | warm ms | dollars a million, warm |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    # The JSON file has its keys in alphabetical order.
    for case, title in _SHOWN.items():
        sizes = found.get("sizes", {}).get(case, {})
        for megabytes in sorted(sizes, key=int):
            cold, warm = sizes[megabytes]["cold_ms"], sizes[megabytes]["warm_ms"]
            dollars = REQUESTS[title].lambda_dollars(warm / 1000, int(megabytes))
            lines.append(f"| {title} | {megabytes} | {cold:.0f} | {warm:.0f} | {dollars:.2f} |")
    return "\n".join(lines)


def picture(found: Found) -> str:
    """A bar chart of the cold starts with references: init, then the first call."""
    costs = {
        (name, kind): found["instructions"][_case(kind, name)]
        for name in _SHOWN
        for kind in _KINDS
        if _case(kind, name) in found["instructions"]
    }
    longest = max(sum(one.values()) for one in costs.values())
    scale, left, y = 520 / longest, 150, 56
    parts = []
    for name, title in _SHOWN.items():
        parts.append(_text(left, y, title, weight="600"))
        y += 12
        for kind in _KINDS:
            if (name, kind) not in costs:
                continue
            init, first = costs[name, kind]["init"], costs[name, kind]["first"]
            colour = _COLOURS[kind]
            parts += [
                _text(left - 10, y + 14, kind, anchor="end"),
                _bar(left, y, init * scale, colour, 1),
                _bar(left + init * scale, y, first * scale, colour, 0.55),
                _text(left + (init + first) * scale + 8, y + 14, f"{init + first:,}"),
            ]
            y += 24
        y += 24
    title = "A cold start: init, and the first call (paler), in millions of instructions"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{y}" viewBox="0 0 760 {y}" '
            f'font-family="system-ui, sans-serif" font-size="13">',
            f"<title>{escape(title)}</title>",
            f'<rect width="760" height="{y}" fill="#ffffff"/>',
            _text(20, 26, title, weight="600"),
            *parts,
            "</svg>",
            "",
        ]
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "400") -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-weight="{weight}" '
        f'fill="#1b1f24">{escape(text)}</text>'
    )


def _bar(x: float, y: float, width: float, colour: str, opacity: float) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="18" fill="{colour}" '
        f'fill-opacity="{opacity}"/>'
    )


def goal_table(found: Found) -> str:
    """The table of goals as it is in the documentation."""
    return "\n".join(_goals(found))


def write(found: Found) -> None:
    """Updates the goals in docs/performance.md, the JSON file and the picture."""
    page = _with_table(PAGE.read_text(), "goal", goal_table(found))
    PAGE.write_text(_with_table(page, "request | MB", size_table(found)))
    JSON.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    PICTURE.write_text(picture(found))


def _with_table(page: str, first_cells: str, table: str) -> str:
    """The page with this table instead of the table that begins with these cells."""
    rows = rf"(\| {re.escape(first_cells)} \|[^\n]*\n)(\|[^\n]*\n)+"
    return re.sub(rows, lambda _: f"{table}\n", page)
