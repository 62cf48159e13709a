"""Every command in the runbooks exists."""

import argparse
import json

import botocore.session
import pytest

from operations.__main__ import parser
from tests.support.runbooks import RUNBOOKS, commands, sections

LINES = [line for line in commands(RUNBOOKS) if line[0] not in ("make", "export")]


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_command_exists_and_accepts_its_options(line: list[str]) -> None:
    program, *words = line
    if program == "finch-connections":
        written = ["3f" * 32 if word == "<session>" else word for word in words]
        assert isinstance(parser().parse_args(written), argparse.Namespace)
        return
    if program == "curl":
        return
    assert program == "aws"
    service, operation, *options = words
    loader = botocore.session.get_session().get_service_model(service)
    name = "".join(part.capitalize() for part in operation.split("-"))
    shape = loader.operation_model(name).input_shape
    assert shape is not None
    taken = {one.lower() for one in shape.members}
    for option in options:
        if option.startswith("--"):
            assert option.removeprefix("--").replace("-", "") in taken, option


def test_secret_strings_are_json() -> None:
    for line in LINES:
        if "--secret-string" in line:
            secret = json.loads(line[line.index("--secret-string") + 1])
            assert secret.keys() == {"client_id", "client_secret", "webhook_secrets"}


def test_every_task_of_a_person_has_a_section() -> None:
    assert set(sections("Tasks of a person")) == {
        "Replace the client secret",
        "Replace a webhook secret",
        "Replace the KMS key",
        "Restore from a point in time",
        "Finch is down for a day",
        "A token has leaked",
        "A company is connected by another customer",
        "Erase a customer",
    }
