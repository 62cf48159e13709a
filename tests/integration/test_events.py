"""The example events, each sent unchanged to its function."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.deployed import ROOT, TEMPLATE, Deployed
from tests.support.in_process import routes_of_template

FUNCTIONS = {
    resource["Properties"]["Handler"].rpartition(".")[2]
    for resource in TEMPLATE["Resources"].values()
    if resource["Type"] == "AWS::Serverless::Function"
}


def test_every_function_has_an_event_and_every_event_a_function() -> None:
    assert {path.stem for path in (ROOT / "events").glob("*.json")} == FUNCTIONS


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("start_connect", 400),  # Its return page belongs to the local world.
        ("finish_connect", 302),
        ("list_connections", 200),
        ("disconnect", 404),
        ("receive_webhook", 401),  # Its signature is genuine, but from 2023.
    ],
)
def test_event_gets_the_expected_status(deployed: Deployed, name: str, status: int) -> None:
    event: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text())
    [handler] = {route.handler for route in routes_of_template() if route.event_file.stem == name}
    assert handler(event, SimpleNamespace(aws_request_id="r"))["statusCode"] == status
