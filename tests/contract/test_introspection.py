"""The introspection of a token."""

from typing import get_args
from uuid import UUID

import finch
import httpx
import pytest
from finch.types import CreateAccessTokenResponse, Introspection
from pydantic import BaseModel

from local.fake_finch import FinchState
from local.fake_finch.records import STATUSES
from local.fake_finch.seed_world import DANA, HARBOR_LANE, LENA, MAYA, NORTHFOLD
from local.fake_finch.switches import Presence
from tests.contract.conftest import CLIENT_ID, PRODUCTS, Customers, Wire


def test_introspection_has_every_field_of_the_sdk(customers: Customers, wire: Wire) -> None:
    connected = customers.connect(customer_id="c-1")
    connected.sdk.account.introspect()
    answer = wire.conforms(Introspection)
    assert set(wire.last.json()) == set(Introspection.model_fields)
    assert UUID(answer.id)
    assert answer.id not in (connected.token.access_token, connected.connection_id)
    assert (answer.client_id, answer.client_type) == (CLIENT_ID, "sandbox")
    assert answer.connection_id == connected.connection_id
    assert answer.connection_status.status == "connected"
    assert (answer.provider_id, answer.company_id) == ("gusto", HARBOR_LANE.id)
    assert (answer.customer_id, answer.customer_name, answer.customer_email) == (
        "c-1",
        "Acme Benefits",
        "a@acme.example",
    )
    assert (answer.username, answer.products, answer.manual) == (MAYA, PRODUCTS, False)
    assert [e.id for e in answer.entities or []] == connected.token.entity_ids


def test_two_tokens_of_a_connection_have_different_ids(customers: Customers) -> None:
    first, second = (customers.connect().sdk.account.introspect() for _ in range(2))
    assert first.connection_id == second.connection_id
    assert first.id != second.id


def test_introspection_names_the_customer_of_the_tokens_session(
    customers: Customers, fake_finch: FinchState
) -> None:
    customers.connect(customer_id="c-1")
    second = customers.connect(customer_id="c-1~2")
    assert second.sdk.account.introspect().customer_id == "c-1~2"
    fake_finch.switches.introspect_names_first_customer = True
    assert second.sdk.account.introspect().customer_id == "c-1"


def test_introspection_names_all_entities(customers: Customers) -> None:
    entities = customers.connect(DANA, company_id=NORTHFOLD.id).sdk.account.introspect().entities
    assert [entity.name for entity in entities or []] == [e.name for e in NORTHFOLD.entities]


@pytest.mark.parametrize("status", STATUSES)
def test_introspection_of_a_live_token_has_every_status(
    customers: Customers, wire: Wire, fake_finch: FinchState, status: str
) -> None:
    connected = customers.connect()
    fake_finch.set_connection_status(connected.connection_id, status, "Finch says why")
    connected.sdk.account.introspect()
    answer = wire.conforms(Introspection)
    assert wire.last.status_code == 200
    assert (answer.connection_status.status, answer.connection_status.message) == (
        status,
        "Finch says why",
    )


@pytest.mark.parametrize("spelling", ["error_no_accout_setup", "error_reauth", "hibernating"])
def test_status_can_be_undocumented(
    customers: Customers, wire: Wire, fake_finch: FinchState, spelling: str
) -> None:
    connected = customers.connect()
    fake_finch.switches.introspect_status_override = spelling
    assert connected.sdk.account.introspect().connection_status.status == spelling
    with pytest.raises(ValueError, match="connection_status"):
        wire.conforms(Introspection)


@pytest.mark.parametrize("name", ["company_id", "account_id", "customer_id", "customer_name"])
@pytest.mark.parametrize("presence", ["null", "absent"])
def test_optional_fields_can_be_null_or_absent(
    customers: Customers, wire: Wire, fake_finch: FinchState, name: str, presence: Presence
) -> None:
    connected = customers.connect()
    fake_finch.change_switches(**{f"introspect_{name}": presence})
    assert getattr(connected.sdk.account.introspect(), name) is None
    wire.conforms(Introspection)
    assert (name in wire.last.json()) is (presence == "null")


def test_numeric_customer_id_can_be_a_json_number(
    customers: Customers, wire: Wire, fake_finch: FinchState
) -> None:
    fake_finch.switches.introspect_customer_id_as_number = True
    customers.connect(customer_id="12345").sdk.account.introspect()
    assert wire.last.json()["customer_id"] == 12345
    customers.connect(customer_id="c-1").sdk.account.introspect()
    assert wire.last.json()["customer_id"] == "c-1"


def test_introspection_can_name_another_customer_or_client(
    customers: Customers, fake_finch: FinchState
) -> None:
    connected = customers.connect(customer_id="c-1")
    fake_finch.change_switches(
        introspect_customer_id_override="another-customer",
        introspect_client_id_override="another-app",
    )
    answer = connected.sdk.account.introspect()
    assert (answer.customer_id, answer.client_id) == ("another-customer", "another-app")


def test_introspection_can_have_unknown_fields(
    customers: Customers, wire: Wire, fake_finch: FinchState
) -> None:
    fake_finch.switches.extra_fields = True
    customers.connect().sdk.account.introspect()
    with pytest.raises(AssertionError, match="a_field_of_tomorrow"):
        wire.conforms(Introspection)


def test_assisted_connection_has_a_token_before_it_has_data(
    customers: Customers, fake_finch: FinchState
) -> None:
    connected = customers.connect(LENA, "trinet", manual=True)
    answer = connected.sdk.account.introspect()
    assert (answer.manual, answer.connection_status.status) == (True, "pending")
    fake_finch.set_connection_status(connected.connection_id, "connected")
    assert connected.sdk.hris.directory.list().individuals


@pytest.mark.parametrize("authorization", [None, "Basic Zm9vOmJhcg==", "Bearer", "token"])
def test_request_without_a_token_is_unauthorized(
    http: httpx.Client, authorization: str | None
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = http.get("/introspect", headers=headers)
    assert (answer.status_code, answer.json()["name"]) == (401, "unauthorized_request_error")


def test_unknown_token_is_invalid(sdk: finch.Finch) -> None:
    with pytest.raises(finch.AuthenticationError, match="unknown or has been revoked") as caught:
        sdk.with_options(access_token="f6f4bb34-0000-4000-8000-000000000000").account.introspect()
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["name"] == "invalid_token_error"


def test_sparse_answers_have_exactly_the_fields_that_the_sdk_requires(
    customers: Customers, wire: Wire, fake_finch: FinchState
) -> None:
    fake_finch.switches.answers = "sparse"
    connected = customers.connect(customer_id="c-1")
    wire.conforms(CreateAccessTokenResponse)
    assert set(wire.last.json()) == required(CreateAccessTokenResponse)
    connected.sdk.account.introspect()
    wire.conforms(Introspection)
    assert set(wire.last.json()) == required(Introspection)
    assert set(wire.last.json()["connection_status"]) == {"status"}


def test_old_introspection_has_the_fields_of_finchs_first_reference(
    customers: Customers, wire: Wire, fake_finch: FinchState
) -> None:
    connected = customers.connect(customer_id="c-1")
    fake_finch.switches.answers = "old"
    connected.sdk.account.introspect()
    assert set(wire.last.json()) == {
        "account_id",
        "client_id",
        "company_id",
        "payroll_provider_id",
        "products",
    }


def test_hostile_ids_are_in_every_answer_and_usable_in_requests(
    customers: Customers, wire: Wire, fake_finch: FinchState
) -> None:
    fake_finch.reset(ids="hostile")
    provider_id, company_id = map(fake_finch.id_of, ("gusto", NORTHFOLD.id))
    session = customers.start()
    code = customers.authorize(session, DANA, provider_id, company_id).code
    connected = customers.exchange(code)
    connected.sdk.account.introspect()
    answer = wire.conforms(Introspection)
    assert (answer.provider_id, answer.company_id) == (provider_id, company_id)
    entity_ids = [entity.id for entity in answer.entities or []]
    ids = [answer.id, answer.connection_id, provider_id, company_id, answer.account_id, *entity_ids]
    assert len(set(ids)) == len(ids) == 8
    for one in ids:
        assert one is not None
        assert (len(one), one[:4], one[-1]) == (255, " ../", " ")
    connected.sdk.account.disconnect_entity(entity_ids=entity_ids[:1])
    [at_finch] = fake_finch.connections()
    assert [one.id for one in at_finch.present_entities] == entity_ids[1:]


def required(kind: type[BaseModel]) -> set[str]:
    """The fields that a model of the SDK requires and that cannot be null."""
    return {
        name
        for name, field in kind.model_fields.items()
        if field.is_required() and type(None) not in get_args(field.annotation)
    }
