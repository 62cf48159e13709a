"""The files for `sam local` match the template, the deployed functions and the README."""

import json
import re
import shlex
import socket
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.sam_local import relay
from local.sam_local import template as sam_local
from local.sam_local_demo import ANSWERS
from tests.support.deployed import ROOT, TEMPLATE

FUNCTIONS = {
    name
    for name, resource in TEMPLATE["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
}
ENVIRONMENTS = {name: {"API_URL": f"http://{name}", "AWS_REGION": "here"} for name in FUNCTIONS}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The folder for `sam local`, from a template as `sam build` writes it: with relative code paths."""
    content = json.loads(json.dumps(TEMPLATE))
    for name, resource in content["Resources"].items():
        for folder in resource.get("Properties", {}).keys() & {"CodeUri", "ContentUri"}:
            resource["Properties"][folder] = name
    built = tmp_path / "build" / "template.yaml"
    built.parent.mkdir()
    built.write_text(yaml.safe_dump(content))
    folder = tmp_path / "sam-local"
    sam_local.write(folder, built, {"Architecture": "x86_64"}, ENVIRONMENTS)
    return folder


def read(written: Path) -> Any:
    return yaml.safe_load((written / "template.yaml").read_text())


def test_environment_of_every_function_is_in_template_and_samconfig(
    written: Path,
) -> None:
    resources = read(written)["Resources"]
    assert {
        name: resources[name]["Properties"]["Environment"]["Variables"] for name in FUNCTIONS
    } == ENVIRONMENTS
    settings = tomllib.loads((written / "samconfig.toml").read_text())
    stated = Path(settings["default"]["global"]["parameters"]["env_vars"])
    assert json.loads(stated.read_text()) == ENVIRONMENTS


def test_code_and_layer_have_absolute_paths(written: Path) -> None:
    built = written.parent / "build"
    found = {
        name: resource["Properties"].get("CodeUri") or resource["Properties"].get("ContentUri")
        for name, resource in read(written)["Resources"].items()
        if resource["Type"] in ("AWS::Serverless::Function", "AWS::Serverless::LayerVersion")
    }
    assert found == {name: str(built / name) for name in FUNCTIONS | {"AwsLayer", "SharedLayer"}}


def test_parameters_come_from_the_deployment_and_the_rest_from_the_build(written: Path) -> None:
    content = read(written)
    assert content["Parameters"]["Architecture"]["Default"] == "x86_64"
    assert content["Globals"] == json.loads(json.dumps(TEMPLATE["Globals"]))
    for name in FUNCTIONS:
        stated, built = content["Resources"][name], TEMPLATE["Resources"][name]
        assert stated["Properties"].get("Events") == built["Properties"].get("Events")
        assert stated["Properties"]["Handler"] == built["Properties"]["Handler"]


@pytest.mark.parametrize(
    ("machine", "expected"),
    [("x86_64", "x86_64"), ("aarch64", "arm64"), ("arm64", "arm64")],
)
def test_machine_architecture_has_lambdas_name(
    machine: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert sam_local.architecture() == expected
    assert expected in TEMPLATE["Parameters"]["Architecture"]["AllowedValues"]


def test_relay_copies_all_bytes_and_the_end_of_the_stream() -> None:
    client, taken = socket.socketpair()
    passed_on, server = socket.socketpair()
    with client, taken, passed_on, server:
        client.sendall(b"every byte")
        client.shutdown(socket.SHUT_WR)
        relay.copy(taken, passed_on)
        assert server.recv(100) == b"every byte"
        assert server.recv(100) == b""


def test_sam_local_commands_of_the_docs_name_existing_files() -> None:
    page = (ROOT / "docs" / "index.md").read_text()
    commands = re.findall(r"^\.venv/bin/(sam local .*)$", page, re.MULTILINE)
    assert [command.split()[2] for command in commands] == ["invoke", "start-api"]
    for command in commands:
        words = shlex.split(command)
        assert words[words.index("-t") + 1] == ".local/sam-local/template.yaml"
    invoke = shlex.split(commands[0])
    assert invoke[3] in FUNCTIONS
    assert (ROOT / invoke[invoke.index("-e") + 1]).exists()


def test_every_function_has_an_event_and_an_expected_answer() -> None:
    assert {name.title().replace("_", "") for name in ANSWERS} == FUNCTIONS
    for name in ANSWERS:
        assert (ROOT / "events" / f"{name}.json").exists()
