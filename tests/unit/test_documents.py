"""The documents name everything that exists, and nothing else."""

import json
import pkgutil
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import finch_connections
from finch_connections import metrics
from finch_connections.domain.connect_session import Phase
from finch_connections.domain.connection import ConnectionStatus
from finch_connections.domain.connection_event import EventKind
from finch_connections.domain.errors import Refusal
from finch_connections.finch.errors import FinchFailure
from finch_connections.web import api
from tests.bench import costs, figures
from tests.support import diagrams
from tests.support.deployed import ROOT, TEMPLATE
from tests.support.documents import PAGES, README, anchors, kinds, rows, words

RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
ALL = "\n".join([README, *PAGES.values()])
FILES = {
    name: (ROOT / name).read_text()
    for name in (
        *("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"),
        *(f"docs/{page}.md" for page in PAGES),
    )
}


def sources(folder: str) -> str:
    return "".join(path.read_text() for path in (ROOT / folder).rglob("*.py"))


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120


def test_function_table_matches_the_template() -> None:
    stated = {folder.strip("`"): words(routes) for routes, folder, _ in rows(README, "trigger")}
    built = {}
    for resource in RESOURCES.values():
        if resource["Type"] == "AWS::Serverless::Function":
            events = resource["Properties"].get("Events", {}).values()
            built[resource["Properties"]["CodeUri"]] = {_trigger(event) for event in events}
    assert stated == built


def _trigger(event: dict[str, Any]) -> str:
    properties = event["Properties"]
    if event["Type"] == "ScheduleV2":
        return str(properties["ScheduleExpression"])
    if event["Type"] == "DynamoDB":
        return str(properties["Stream"]["Fn::GetAtt"][0])
    if event["Type"] == "SQS":
        return str(properties["Queue"]["Fn::GetAtt"][0])
    return f"{properties['Method']} {properties['Path']}" if "Path" in properties else "$default"


@pytest.mark.parametrize(
    ("page", "heading", "folder"),
    [
        ("reliability", "failure", "tests"),
        ("security", "subject", "tests"),
        ("embed", "promise", "tests/browser"),
    ],
)
def test_every_claim_has_a_test_that_exists(page: str, heading: str, folder: str) -> None:
    code = sources(folder)
    for *claim, tests in rows(PAGES[page], heading):
        assert words(tests), claim
        for test in words(tests):
            assert f"def {test}(" in code, test


def test_every_behaviour_of_aws_is_enforced_by_something_or_not_called_enforced() -> None:
    listed = rows(PAGES["aws"], "behaviour")
    states = Counter(state for _, _, state, _ in listed)
    assert (
        f"{len(listed)} behaviours: {states['enforced']} enforced, {states['argued']} argued, "
        f"{states['OPEN']} OPEN."
    ) in PAGES["aws"]
    assert states.keys() == {"enforced", "argued", "OPEN"}
    for behaviour, source, state, how in listed:
        assert (
            ("](https://docs.aws.amazon.com/" in source) or state == "OPEN" or "same page" in source
        )
        assert words(how) or state != "enforced", behaviour


def test_every_named_test_exists() -> None:
    code = sources("tests")
    for test in (word for word in words(ALL) if word.startswith("test_")):
        assert f"def {test}(" in code, test


def test_function_has_the_same_name_in_five_places() -> None:
    for name, resource in RESOURCES.items():
        if resource["Type"] == "AWS::Serverless::Function":
            folder = resource["Properties"]["CodeUri"].removeprefix("functions/")
            assert name == folder.title().replace("_", "")
            assert resource["Properties"]["Handler"] == f"functions.{folder}.handler.{folder}"
            assert (ROOT / "events" / f"{folder}.json").exists()


def test_every_failure_is_in_the_table_with_its_status() -> None:
    stated = {code.strip("`"): status for code, status, _ in rows(PAGES["api"], "code")}
    answered: dict[str, set[str]] = {}
    for kind in kinds(Refusal) | kinds(FinchFailure):
        if kind not in (Refusal, FinchFailure):
            answered.setdefault(kind.code, set()).add(str(int(api.STATUS[kind.code])))
    assert {code: {status} for code, status in stated.items() if status.isdecimal()} == answered
    assert {code for code, status in stated.items() if not status.isdecimal()} == {"access_denied"}


def test_every_route_is_described() -> None:
    described = json.loads((ROOT / "functions" / "openapi.json").read_text())["paths"]
    routes = {f"{method.upper()} {path}" for path, ways in described.items() for method in ways}
    assert routes <= words(PAGES["api"])


def test_every_parameter_is_explained() -> None:
    stated = {word for cells in rows(PAGES["deploy"], "parameter") for word in words(cells[0])}
    assert stated == set(TEMPLATE["Parameters"])


def test_every_named_output_exists() -> None:
    named = set(re.findall(r"outputs? `(\w+)`", ALL)) | set(re.findall(r"<(\w+Arn)>", ALL))
    assert named
    assert named <= set(TEMPLATE["Outputs"])


def test_documented_tables_and_keys_match_the_template() -> None:
    stated = {
        table.strip("`"): words(key) for table, key, _ in rows(PAGES["architecture"], "table")
    }
    built = {
        name: {key["AttributeName"] for key in resource["Properties"]["KeySchema"]}
        for name, resource in RESOURCES.items()
        if resource["Type"] == "AWS::DynamoDB::Table"
    }
    assert stated == built


def test_every_status_is_explained() -> None:
    listed = [cells[0].strip("`") for cells in rows(PAGES["concepts"], "status")]
    assert len(set(listed)) == len(listed)
    assert {*listed, "disconnecting", "disconnected"} == {one.value for one in ConnectionStatus}


def test_glossary_is_short() -> None:
    assert len(rows(PAGES["concepts"], "word")) <= 12


def test_every_phase_of_a_session_is_explained_with_its_moves() -> None:
    stated = {
        phase.strip("`"): words(later) for phase, _, later in rows(PAGES["architecture"], "phase")
    }
    assert stated == {
        phase.value: {later.value for later in Phase if phase.leads_to(later)} for phase in Phase
    }


@pytest.mark.parametrize("name", diagrams.diagrams())
def test_diagrams_match_the_code(name: str) -> None:
    written = (ROOT / "docs" / "diagrams" / name).read_text()
    assert written == diagrams.diagrams()[name], "python -m tests.support.diagrams"
    assert f"(diagrams/{name})" in PAGES["architecture"]


def test_every_folder_and_module_of_the_layer_is_named() -> None:
    modules = {module.name for module in pkgutil.iter_modules(finch_connections.__path__)}
    [row] = [
        cells[1]
        for cells in rows(PAGES["architecture"], "folder")
        if "finch_connections/" in cells[0]
    ]
    assert words(row) == modules


def test_import_rule_equals_the_checked_contract() -> None:
    stated: dict[str, set[str]] = {}
    for number, folders, _ in rows(PAGES["architecture"], "row"):
        stated.setdefault(number, set()).update(words(folders))
    checked = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = checked["contracts"][0]["layers"]
    assert list(stated.values()) == [set(one.split(" | ")) for one in layers]


def test_every_named_command_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make ([\w-]+)", ALL, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_every_command_of_an_operator_is_explained() -> None:
    from operations.__main__ import parser

    table = rows(PAGES["operate"], "command")
    [commands] = [one.choices for one in parser()._actions if isinstance(one.choices, dict)]
    assert {cells[0].strip("`") for cells in table} == set(commands)
    [resolve] = [
        one.choices for one in commands["resolve"]._actions if isinstance(one.choices, dict)
    ]
    [row] = [cells[1] for cells in table if cells[0] == "`resolve`"]
    assert words(row) == set(resolve)


def test_every_alarm_and_every_metric_is_named() -> None:
    stated = {word for cells in rows(PAGES["operate"], "alarm") for word in words(cells[0])}
    alarms = {name for name, one in RESOURCES.items() if one["Type"] == "AWS::CloudWatch::Alarm"}
    assert stated == alarms
    written = {
        *(metrics.OUTCOMES, metrics.FINCH_FAILURES, metrics.FINCH_TIME, metrics.AWS_FAILURES),
        *(metrics.LIVE_CONNECTIONS, metrics.IDLE_CONNECTIONS),
    }
    named = {word for cells in rows(PAGES["operate"], "metric") for word in words(cells[0])}
    assert named == written


def test_every_kind_of_event_is_named() -> None:
    stated = {cells[0].strip("`") for cells in rows(PAGES["events"], "event")}
    assert stated == set(EventKind)


ELEMENT = (ROOT / "frontend" / "finch-connections.js").read_text()


def test_every_setting_of_the_page_is_explained() -> None:
    read = set(re.findall(r'\b(?:get|has)Attribute\(\s*"([\w-]+)"', ELEMENT)) | {"lang", "dir"}
    attributes = {word for cells in rows(PAGES["embed"], "attribute") for word in words(cells[0])}
    assert attributes == read
    settable = {*re.findall(r"^  set (\w+)\(", ELEMENT, re.MULTILINE), "refresh()"}
    properties = {word for cells in rows(PAGES["embed"], "property") for word in words(cells[0])}
    assert properties == settable


def test_every_event_of_the_page_is_explained() -> None:
    dispatched = set(re.findall(r'#(?:tell|dispatch)\("(finch-[\w-]+)"', ELEMENT))
    stated = {word for cells in rows(PAGES["embed"], "DOM event") for word in words(cells[0])}
    assert stated == dispatched


def test_every_style_and_part_of_the_page_is_named() -> None:
    styles = set(re.findall(r"var\((--finch-[\w-]+)", ELEMENT))
    assert {word for word in words(PAGES["embed"]) if word.startswith("--finch-")} == styles
    [sentence] = re.findall(r"possible with the parts (.*?)\.\n", PAGES["embed"], re.DOTALL)
    parts = set(re.findall(r'\bpart(?::| =) "([\w -]+)"', ELEMENT))
    parts |= set(re.findall(r"\$\{part\} ([\w-]+)", ELEMENT))
    assert words(sentence) == {one for part in parts for one in part.split()}


def test_every_picture_of_the_page_is_shown() -> None:
    shown = set(re.findall(r"frontend/screenshots/[\w-]+\.png", PAGES["embed"] + README))
    pictures = {str(path.relative_to(ROOT)) for path in ROOT.glob("frontend/screenshots/*")}
    assert shown == pictures
    for picture in pictures:
        assert (ROOT / picture).stat().st_size < 150_000, picture


@pytest.mark.parametrize("name", FILES)
def test_every_link_in_the_repository_has_a_target(name: str) -> None:
    plain = re.sub(r"```.*?```", "", FILES[name], flags=re.DOTALL)
    here = Path(name)
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", plain):
        path, _, anchor = target.partition("#")
        file = ROOT / here.parent / path if path else ROOT / here
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file.read_text()), target


def test_documented_figures_and_costs_match_the_last_run() -> None:
    found = json.loads(figures.JSON.read_text())
    assert figures.goal_table(found) in PAGES["performance"]
    assert figures.size_table(found) in PAGES["performance"]
    assert figures.picture(found) == figures.PICTURE.read_text()
    assert costs.table() in PAGES["performance"]
    assert re.search(r"`(.*tests\.bench\.costs)`", PAGES["performance"])
