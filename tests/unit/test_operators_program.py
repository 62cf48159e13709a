"""The operator's program as it is called: its installation, help, completion and refusals."""

import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from operations import doctor
from operations.__main__ import Parser, main, parser
from operations.stack import CannotOperate, Stack, explained, go_through, table
from operations.verify import Customer, Landing
from tests.support.deployed import ROOT
from tests.support.environment import new_environment

FAILED = 2


def leaves(command: Any = None) -> dict[str, Parser]:
    """The commands that have no commands below them, by name."""
    command = command or parser()
    found: dict[str, Parser] = {}
    for action in command._subparsers._group_actions if command._subparsers else ():
        for name, one in action.choices.items():
            below = leaves(one)
            found |= {f"{name} {words}": leaf for words, leaf in below.items()} or {name: one}
    return found


COMMANDS = leaves()
READING = {
    "doctor",
    "verify",
    "inspect",
    "billing",
    "export",
    "resolve list",
    "resolve audit",
    "grants list",
}


@pytest.fixture(autouse=True)
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Removes credentials and region from the environment."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The only line that the program prints, when it ends with 2."""
    try:
        code = main(words)
    except SystemExit as ended:
        code = ended.code  # type: ignore[assignment]
    printed = capsys.readouterr()
    assert (code, printed.out) == (FAILED, "")
    [line] = printed.err.splitlines()
    return line


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_has_a_sentence_and_an_example_that_it_accepts(words: str) -> None:
    text = COMMANDS[words].format_help()
    assert str(COMMANDS[words].description) in text
    [example] = re.findall("^Example: finch-connections (.+)$", text, re.MULTILINE)
    assert example.startswith(words)
    parser().parse_args(example.split())


@pytest.mark.parametrize("words", COMMANDS)
def test_every_reading_command_prints_json_for_programs(words: str) -> None:
    takes_json = any("--json" in action.option_strings for action in COMMANDS[words]._actions)
    assert takes_json == (words in READING)


def test_stack_is_named_before_or_after_the_command_or_in_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = parser().parse_args(["--stack", "payroll", "--local", "doctor"])
    after = parser().parse_args(["doctor", "--stack", "payroll", "--local"])
    assert before == after
    assert parser().parse_args(["doctor"]).stack == "finch-connections"
    monkeypatch.setenv("FINCH_CONNECTIONS_STACK", "payroll")
    assert parser().parse_args(["doctor"]).stack == "payroll"


@pytest.mark.parametrize("command", ["doctor", "redrive"])
def test_missing_region_is_one_sentence(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert refused(capsys, command) == (
        "No AWS region is set. Set it, for example: export AWS_REGION=eu-west-1"
    )


def test_missing_credentials_are_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert refused(capsys, "doctor") == (
        "No AWS credentials are set. Choose a profile, for example: export AWS_PROFILE=payroll"
    )


@pytest.mark.parametrize("action", ["resolve attach", "resolve retry", "transfer"])
def test_wrong_session_is_refused_in_one_sentence_with_an_example(
    capsys: pytest.CaptureFixture[str], action: str
) -> None:
    line = refused(capsys, *action.split(), "xyz")
    assert line.startswith("Argument session: 'xyz' is not a session, which has 64 hexadecimal")
    assert f"Example: finch-connections {action} 3f3f" in line


def test_retry_without_a_session_needs_the_whole_connection(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = refused(capsys, "resolve", "retry", "--customer", "acme")
    assert line.startswith("Name a session, or --customer, --provider and --company. Example: ")


class Denied:
    """A client of an AWS service that refuses every call."""

    def __getattr__(self, operation: str) -> Any:
        action = f"service:{operation}"

        def refuse(**arguments: Any) -> None:
            text = f"User: arn:aws:iam::1:role/me is not authorized to perform: {action} on all"
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": text}}, operation)

        return refuse


class Unreadable(Stack):
    """A stack in which the operator's AWS role may do nothing."""

    def client(self, service: str) -> Any:
        """A client of an AWS service."""
        return Denied()


def test_doctor_says_missing_permissions_once() -> None:
    checks = (doctor._key, doctor._tables, doctor._queues)
    stack = Unreadable("payroll", boto3.Session(region_name="eu-west-1"))
    named: Any = defaultdict(str)
    stack.__dict__.update(outputs=named, parameters=named, resources=named)
    assert [*doctor.findings(stack, checks)] == [
        doctor.Finding(
            "permissions",
            "your AWS role may not service:describe_key, service:describe_table, "
            "service:get_queue_attributes",
            "use a role that may",
        )
    ]


def test_doctor_says_once_that_a_stack_is_not_complete() -> None:
    stack = Stack("payroll", boto3.Session("id", "key", region_name="eu-west-1"))
    stack.__dict__["described"] = {"StackStatus": "ROLLBACK_COMPLETE"}
    found = [*doctor.findings(stack, (doctor._stack, doctor._key, doctor._alarms))]
    assert [(one.about, one.state) for one in found] == [
        ("stack", "ROLLBACK_COMPLETE"),
        ("stack", "it has no TokenKeyArn, AlarmTopicArn"),
    ]


def test_credentials_that_aws_refuses_are_one_sentence() -> None:
    error = ClientError({"Error": {"Code": "ExpiredToken", "Message": "…"}}, "DescribeStacks")
    assert explained(error) == (
        "AWS does not accept your credentials (ExpiredToken). Log in again: aws sso login"
    )


def test_progress_of_long_work_is_not_part_of_the_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    batch: Any = {"done": {"reencrypted": 3}, "open": [], "cursor": None}
    stack: Any = SimpleNamespace(invoke=lambda function, event: batch)
    go_through(stack, "ReencryptTokens", {})
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "  finished: 3 reencrypted\n")


@pytest.mark.parametrize(
    ("address", "landing"),
    [
        (
            "https://app.example.com/payroll?tab=2&finch=return&status=confirm&company_id=1#completion=c",
            Landing({"status": "confirm", "company_id": "1"}, "c"),
        ),
        (
            "https://app.example.com/?finch=return&error=code_rejected",
            Landing({"error": "code_rejected"}),
        ),
        ("https://app.example.com/?status=connected", None),
        ("no address", None),
    ],
)
def test_address_where_a_browser_ends_is_read(address: str, landing: Landing | None) -> None:
    assert Landing.of(f" {address}\n") == landing


@pytest.mark.parametrize(
    ("landing", "usable"),
    [
        (Landing({"status": "connected"}), True),
        (Landing({"error": "code_rejected"}), True),
        (Landing({"status": "confirm"}, "c"), True),
        (Landing({"status": "confirm"}), False),
        (Landing({"status": "pending"}), False),
    ],
)
def test_address_without_its_completion_code_is_not_enough(landing: Landing, usable: bool) -> None:
    assert landing.usable is usable


def test_text_that_is_no_jwt_is_refused_without_showing_it() -> None:
    with pytest.raises(CannotOperate, match="FINCH_CONNECTIONS_TOKEN is not a JWT") as refusal:
        Customer.of("FINCH_CONNECTIONS_TOKEN", "opaque-secret")
    assert "opaque-secret" not in str(refusal.value)


def test_columns_of_a_table_are_aligned() -> None:
    assert table(("SINCE", "ID"), [("today", "1"), ("yesterday", "22")]) == [
        "SINCE      ID",
        "today      1",
        "yesterday  22",
    ]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the program, installed into a new environment with only what it declares."""
    folder = tmp_path_factory.mktemp("installed")
    source, environment = folder / "source", folder / "environment"
    source.mkdir()
    for name in ("pyproject.toml", "operations", "layers"):
        (source / name).symlink_to(ROOT / name)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, folder], cwd=source, check=True, timeout=60)
    new_environment(environment, folder.glob("*.whl"), "finch-connections")
    return environment / "bin"


def run(installed: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the installed program in its own folder, with nothing of the sources on the path."""
    return subprocess.run(
        [installed / "finch-connections", *words],
        cwd=installed,
        env={"PATH": os.defpath, "AWS_CONFIG_FILE": os.devnull, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_installed_program_has_all_modules_of_the_sources(installed: Path) -> None:
    [packages] = installed.parent.glob("lib/python*/site-packages")
    for folder in (ROOT / "operations", ROOT / "layers/shared/python/finch_connections"):
        for module in folder.rglob("*.py"):
            assert (packages / module.relative_to(folder.parent)).exists(), module


def test_installed_program_runs_with_only_the_packages_that_it_declares(installed: Path) -> None:
    shown = run(installed, "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("usage: finch-connections ")
    ended = run(installed, "doctor")
    assert (ended.returncode, ended.stderr.partition(".")[0]) == (FAILED, "No AWS region is set")


def test_shell_completes_commands_and_options(installed: Path, tmp_path: Path) -> None:
    code = run(installed, "completion", "bash").stdout
    assert "complete -o nospace -o default -o bashdefault -F _python_argcomplete finch-conn" in code

    def completed(line: str) -> set[str]:
        to = tmp_path / "completions"
        asked = {
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(to),
            "_ARGCOMPLETE_IFS": " ",
        }
        run(installed, COMP_LINE=line, COMP_POINT=str(len(line)), **asked)
        return set(to.read_text().split())

    assert completed("finch-connections re") == {"resolve", "redrive", "reencrypt", "restore"}
    assert completed("finch-connections resolve att") == {"attach"}
    assert completed("finch-connections doctor --js") == {"--json"}
