"""The strict validation, on which the other contract tests rely, finds broken answers."""

import finch
import pytest
from finch.types import CreateAccessTokenResponse, Introspection
from pydantic import JsonValue, ValidationError

from local.fake_finch import FinchState
from tests.contract.conftest import Customers, Wire
from tests.contract.strict_answers import NotInContract

REQUIRED = [name for name, x in CreateAccessTokenResponse.model_fields.items() if x.is_required()]


@pytest.mark.parametrize("name", REQUIRED)
def test_missing_required_field_is_found_although_the_sdk_accepts_it(
    customers: Customers, wire: Wire, fake_finch: FinchState, name: str
) -> None:
    fake_finch.faults.add("POST", "/auth/token", edit={"remove": [name]})
    token = customers.connect().token
    assert getattr(token, name) is None
    with pytest.raises(ValidationError, match=name):
        wire.conforms(CreateAccessTokenResponse)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("products", "company"),
        ("connection_id", 17),
        ("connection_id", None),
        ("entity_ids", [1, 2]),
        ("client_type", "toy"),
        ("company_id", 17),
    ],
)
def test_field_of_a_wrong_type_is_found(
    customers: Customers, wire: Wire, fake_finch: FinchState, name: str, value: JsonValue
) -> None:
    fake_finch.faults.add("POST", "/auth/token", edit={"set": {name: value}})
    customers.connect()
    with pytest.raises(ValidationError, match=name):
        wire.conforms(CreateAccessTokenResponse)


def test_error_in_a_nested_field_is_found(
    customers: Customers, wire: Wire, fake_finch: FinchState
) -> None:
    connected = customers.connect()
    fake_finch.faults.add(
        "GET", "/introspect", edit={"set": {"connection_status": {"message": "no status"}}}
    )
    connected.sdk.account.introspect()
    with pytest.raises(ValidationError, match=r"connection_status\.status"):
        wire.conforms(Introspection)
    entities: JsonValue = [{"id": "e", "status": "connected", "colour": "red"}]
    fake_finch.faults.add("GET", "/introspect", edit={"set": {"entities": entities}})
    connected.sdk.account.introspect()
    with pytest.raises(NotInContract, match=r"entities\[0\]\.colour"):
        wire.conforms(Introspection)


def test_recorded_requests_show_method_path_headers_and_body(
    customers: Customers, sdk: finch.Finch, fake_finch: FinchState, wire: Wire
) -> None:
    customers.connect().sdk.account.introspect()
    by_the_sdk = wire.sent()
    assert (by_the_sdk.method, by_the_sdk.path, by_the_sdk.query) == ("GET", "/introspect", "")
    assert by_the_sdk.headers["finch-api-version"] == "2020-09-17"
    assert by_the_sdk.headers["authorization"] == "Bearer"
    sdk.connect.sessions.new(customer_id="c-1", customer_name="Acme", products=["company"])
    session = wire.sent()
    assert session.headers["authorization"] == "Basic"
    assert session.json == {
        "customer_id": "c-1",
        "customer_name": "Acme",
        "products": ["company"],
    }
    assert "Acme" not in repr(fake_finch.requests.all())
