"""The README says what is there, and all of it."""

import json
import pkgutil
import re
from importlib import import_module
from typing import Any

import finch_connections
from finch_connections import metrics
from finch_connections.domain.connection import ConnectionStatus
from finch_connections.domain.errors import Refusal
from finch_connections.finch.errors import FinchFailure
from finch_connections.web import api
from tests.bench import costs, figures
from tests.support.deployed import ROOT, TEMPLATE

README = (ROOT / "README.md").read_text()
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]


def rows(heading: str) -> list[list[str]]:
    """The cells of the table whose head begins so."""
    table = README.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    lines = [line.strip() for line in table.splitlines()[2:]]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def words(text: str) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)))


def kinds(base: type[Any]) -> set[type[Any]]:
    """A class and all that come from it, wherever in our package."""
    for module in pkgutil.walk_packages(finch_connections.__path__, "finch_connections."):
        import_module(module.name)
    return {base} | {one for kind in base.__subclasses__() for one in kinds(kind)}


def test_the_table_of_functions_is_the_templates() -> None:
    stated = {folder.strip("`"): words(routes) for routes, folder, _ in rows("route")}
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


def test_every_line_of_what_can_go_wrong_is_shown_by_a_test() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    for case, _, tests in rows("what goes wrong"):
        assert words(tests), case
        for test in words(tests):
            assert f"def {test}(" in sources, test


def test_every_protection_is_shown_by_an_attack() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    for what, _, tests in rows("what"):
        assert words(tests), what
        for test in words(tests):
            assert f"def {test}(" in sources, test


def test_a_function_has_one_name_in_five_places() -> None:
    for name, resource in RESOURCES.items():
        if resource["Type"] == "AWS::Serverless::Function":
            folder = resource["Properties"]["CodeUri"].removeprefix("functions/")
            assert name == folder.title().replace("_", "")
            assert resource["Properties"]["Handler"] == f"functions.{folder}.handler.{folder}"
            assert (ROOT / "events" / f"{folder}.json").exists()


def test_every_failure_is_in_the_table_with_its_status() -> None:
    stated = {code.strip("`"): status for code, status, _ in rows("code")}
    answered: dict[str, set[str]] = {}
    for kind in kinds(Refusal) | kinds(FinchFailure):
        if kind not in (Refusal, FinchFailure):
            answered.setdefault(kind.code, set()).add(str(int(api.STATUS[kind.code])))
    assert {code: {status} for code, status in stated.items() if status.isdecimal()} == answered
    assert {code for code, status in stated.items() if not status.isdecimal()} == {"access_denied"}


def test_every_parameter_is_explained() -> None:
    assert {word for cells in rows("parameter") for word in words(cells[0])} == set(
        TEMPLATE["Parameters"]
    )


def test_every_output_that_is_named_exists() -> None:
    named = set(re.findall(r"output `(\w+)`", README)) | set(re.findall(r"<(\w+Arn)>", README))
    assert named
    assert named <= set(TEMPLATE["Outputs"])


def test_the_tables_and_their_keys_are_the_templates() -> None:
    stated = {table.strip("`"): words(key) for table, key, _ in rows("table")}
    built = {
        name: {key["AttributeName"] for key in resource["Properties"]["KeySchema"]}
        for name, resource in RESOURCES.items()
        if resource["Type"] == "AWS::DynamoDB::Table"
    }
    assert stated == built


def test_every_status_is_named() -> None:
    assert {status.value for status in ConnectionStatus} <= words(README)


def test_every_module_that_is_named_exists_and_every_command_is_there() -> None:
    [row] = [cells[1] for cells in rows("room") if "finch_connections" in cells[0]]
    assert words(row) == {one.name for one in pkgutil.iter_modules(finch_connections.__path__)}
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make ([\w-]+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_every_command_of_an_operator_is_explained() -> None:
    from operations.__main__ import parser

    [commands] = [one.choices for one in parser()._actions if isinstance(one.choices, dict)]
    assert {cells[0].strip("`") for cells in rows("command")} == set(commands)
    [resolve] = [
        one.choices for one in commands["resolve"]._actions if isinstance(one.choices, dict)
    ]
    [row] = [cells[1] for cells in rows("command") if cells[0] == "`resolve`"]
    assert words(row) == set(resolve)


def test_every_alarm_and_every_metric_is_named() -> None:
    stated = {word for cells in rows("alarm") for word in words(cells[0])}
    alarms = {name for name, one in RESOURCES.items() if one["Type"] == "AWS::CloudWatch::Alarm"}
    assert stated == alarms
    written = {metrics.OUTCOMES, metrics.FINCH_FAILURES, metrics.FINCH_TIME, metrics.AWS_FAILURES}
    assert {word for cells in rows("metric") for word in words(cells[0])} == written


ELEMENT = (ROOT / "frontend" / "finch-connections.js").read_text()


def test_every_setting_of_the_page_is_explained() -> None:
    read = set(re.findall(r'\b(?:get|has)Attribute\(\s*"([\w-]+)"', ELEMENT)) | {"lang"}
    assert {word for cells in rows("attribute") for word in words(cells[0])} == read
    settable = {*re.findall(r"^  set (\w+)\(", ELEMENT, re.MULTILINE), "refresh()"}
    assert {word for cells in rows("property") for word in words(cells[0])} == settable


def test_every_event_of_the_page_is_explained() -> None:
    told = set(re.findall(r'#dispatch\("(finch-[\w-]+)"', ELEMENT))
    assert {word for cells in rows("told by") for word in words(cells[0])} == told


def test_every_style_and_part_of_the_page_is_named() -> None:
    styles = set(re.findall(r"var\((--finch-[\w-]+)", ELEMENT))
    assert {word for word in words(README) if word.startswith("--finch-")} == styles
    [sentence] = re.findall(r"For more there are the parts (.*?)\.\n", README, re.DOTALL)
    parts = set(re.findall(r'\bpart(?::| =) "([\w -]+)"', ELEMENT))
    parts |= set(re.findall(r"\$\{part\} ([\w-]+)", ELEMENT))
    assert words(sentence) == {one for part in parts for one in part.split()}


def test_every_promise_of_the_page_has_its_test() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "tests/browser").glob("test_*.py"))
    for promise, tests in rows("promise"):
        assert words(tests), promise
        for test in words(tests):
            assert f"def {test}(" in sources, test


def test_every_picture_is_there() -> None:
    named = set(re.findall(r"\((frontend/screenshots/[\w-]+\.png)\)", README))
    there = {str(one.relative_to(ROOT)) for one in ROOT.glob("frontend/screenshots/*")}
    assert named == there
    for one in there:
        assert (ROOT / one).stat().st_size < 150_000, one


def test_the_figures_are_those_of_the_last_run_and_the_costs_those_of_the_calls() -> None:
    found = json.loads(figures.JSON.read_text())
    assert figures.goal_table(found) in README
    assert figures.picture(found) == figures.PICTURE.read_text()
    assert costs.table() in README
    assert re.search(r"`(.*tests\.bench\.costs)`", README)
