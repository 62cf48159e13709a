"""The models of a build: of what our code calls, all, and the same as in the whole botocore."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape

import trim_models
from tests.support.deployed import ROOT

LAYER = ROOT / "layers" / "shared" / "python"
PACKAGES = [LAYER / "finch_connections", LAYER / "finch_tokens"]
SERVICES, METHODS = trim_models.called(PACKAGES)


def model(service: str) -> Any:
    """The whole model of a service."""
    return Loader().load_service_model(service, "service-2")


def operations(whole: Any) -> set[str]:
    """Those of a model that our code calls."""
    return {name for name in whole["operations"] if xform_name(name) in METHODS}


def described(shape: Shape | None, seen: frozenset[str] = frozenset()) -> Any:
    """All that botocore reads of a shape and of what is in it."""
    if shape is None or shape.name in seen:
        return shape and shape.name
    seen |= {shape.name}
    parts = {**getattr(shape, "members", {})}
    parts |= {
        part: getattr(shape, part) for part in ("member", "key", "value") if hasattr(shape, part)
    }
    return (
        shape.name,
        shape.type_name,
        shape.serialization,
        shape.metadata,
        {name: described(one, seen) for name, one in parts.items()},
    )


def test_every_service_that_has_a_client_is_there() -> None:
    assert {
        "dynamodb",
        "dynamodbstreams",
        "events",
        "kms",
        "lambda",
        "secretsmanager",
        "sqs",
    } == SERVICES


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_what_is_called_is_there_as_botocore_knows_it(service: str) -> None:
    whole = model(service)
    names = operations(whole)
    assert names
    before = ServiceModel(whole, service)
    after = ServiceModel(trim_models.trimmed(whole, names), service)
    assert set(after.operation_names) == names
    assert after.metadata == before.metadata
    for name in names:
        one, other = before.operation_model(name), after.operation_model(name)
        assert one.http == other.http
        assert one.idempotent_members == other.idempotent_members
        for shapes in zip(_shapes(one), _shapes(other), strict=True):
            assert described(shapes[0]) == described(shapes[1])


def _shapes(operation: Any) -> Iterator[Shape | None]:
    yield from (operation.input_shape, operation.output_shape, *operation.error_shapes)


def test_what_is_not_called_is_not_there() -> None:
    whole = model("dynamodb")
    kept = trim_models.trimmed(whole, operations(whole))
    assert "CreateTable" not in kept["operations"]
    assert "CreateTableInput" not in kept["shapes"]
    assert "documentation" not in kept["operations"]["GetItem"]


def test_a_member_that_is_called_documentation_stays() -> None:
    shapes = {
        "In": {"type": "structure", "members": {"documentation": {"shape": "Text"}}},
        "Text": {"type": "string", "documentation": "goes"},
        "Other": {"type": "string"},
    }
    whole = {"operations": {"Do": {"input": {"shape": "In"}}, "Not": {}}, "shapes": shapes}
    assert trim_models.trimmed(whole, {"Do"}) == {
        "operations": {"Do": {"input": {"shape": "In"}}},
        "shapes": {"In": shapes["In"], "Text": {"type": "string"}},
    }


def test_a_call_is_found_wherever_it_stands(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("x = clients.client('kms')\ny = self.client.encrypt(KeyId=1)")
    (tmp_path / "two.py").write_text("client.get_paginator('query').paginate()")
    services, methods = trim_models.called([tmp_path])
    assert services == {"kms"}
    assert {"encrypt", "query"} <= methods
