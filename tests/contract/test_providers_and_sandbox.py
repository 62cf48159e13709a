"""The list of providers, and sandbox connections without a user."""

import finch
import httpx
import pytest
from finch.types import ProviderListResponse
from finch.types.sandbox import ConnectionCreateResponse
from finch.types.sandbox.connections import AccountCreateResponse, AccountUpdateResponse

from local.fake_finch import FinchState
from local.fake_finch.records import STATUSES
from local.fake_finch.seed_world import HARBOR_LANE, PROVIDERS
from tests.contract.conftest import Customers, SdkFor, Wire


def test_providers_are_an_array_and_require_no_credentials(
    sdk: finch.Finch, wire: Wire, http: httpx.Client
) -> None:
    listed = sdk.providers.list()
    answer = wire.conforms(list[ProviderListResponse])
    assert "authorization" not in wire.sent().headers
    assert [provider.id for provider in listed.items] == [p.id for p in PROVIDERS]
    assert {"gusto", "justworks"} <= {provider.id for provider in answer}
    for provider in wire.last.json():
        # A provider may have no logo.
        assert {*provider, "icon", "logo"} == set(ProviderListResponse.model_fields)
    logo = answer[0].logo
    assert logo is not None
    assert http.get(logo).headers["content-type"].startswith("image/svg+xml")


def test_providers_may_be_requested_with_credentials(http: httpx.Client) -> None:
    assert http.get("/providers", auth=("any", "credentials")).status_code == 200


def test_every_provider_has_a_login(fake_finch: FinchState) -> None:
    assert all(fake_finch.logins_at(provider.id) for provider in PROVIDERS)


def test_sandbox_connection_requires_no_code(sdk: finch.Finch, wire: Wire, sdk_for: SdkFor) -> None:
    created = sdk.sandbox.connections.create(
        provider_id="gusto", authentication_type="credential", employee_size=7
    )
    answer = wire.conforms(ConnectionCreateResponse)
    assert set(wire.last.json()) == set(ConnectionCreateResponse.model_fields)
    assert answer.authentication_type == "credential"
    assert answer.products == ["company", "directory", "employment", "individual"]
    connected = sdk_for(created.access_token)
    assert connected.account.introspect().connection_id == created.connection_id
    assert len(connected.hris.directory.list().individuals) == 7


def test_sandbox_account_is_another_connection_to_the_same_employer(
    sdk: finch.Finch, wire: Wire, sdk_for: SdkFor
) -> None:
    first = sdk.sandbox.connections.accounts.create(
        company_id=HARBOR_LANE.id, provider_id="gusto", products=["company"]
    )
    answer = wire.conforms(AccountCreateResponse)
    assert set(wire.last.json()) == set(AccountCreateResponse.model_fields)
    assert (answer.company_id, answer.products) == (HARBOR_LANE.id, ["company"])
    second = sdk.sandbox.connections.accounts.create(company_id=HARBOR_LANE.id, provider_id="gusto")
    assert first.connection_id != second.connection_id
    assert first.account_id != second.account_id
    assert sdk_for(second.access_token).hris.company.retrieve().id == HARBOR_LANE.id


@pytest.mark.parametrize("status", STATUSES)
def test_sandbox_token_sets_the_status_of_its_connection(
    customers: Customers, wire: Wire, status: str
) -> None:
    connected = customers.connect()
    connected.sdk.sandbox.connections.accounts.update(connection_status=status)  # type: ignore[arg-type]
    answer = wire.conforms(AccountUpdateResponse)
    assert set(wire.last.json()) == set(AccountUpdateResponse.model_fields)
    assert answer.connection_id == connected.connection_id
    assert wire.sent().headers["authorization"] == "Bearer"
    assert connected.sdk.account.introspect().connection_status.status == status


def test_undocumented_sandbox_status_is_refused(customers: Customers) -> None:
    connected = customers.connect()
    with pytest.raises(finch.BadRequestError):
        connected.sdk.sandbox.connections.accounts.update(connection_status="asleep")  # type: ignore[arg-type]
    assert connected.sdk.account.introspect().connection_status.status == "connected"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"provider_id": "no_such_provider"}, 400),
        ({}, 400),
        ({"provider_id": "gusto", "products": ["payroll"]}, 400),
        ({"provider_id": "gusto", "employee_size": 0}, 400),
    ],
)
def test_invalid_sandbox_connection_is_refused(
    http: httpx.Client, fake_finch: FinchState, body: dict[str, object], status: int
) -> None:
    basic = (fake_finch.application.client_id, fake_finch.application.client_secret)
    answer = http.post("/sandbox/connections", auth=basic, json=body)
    assert answer.status_code == status
    assert fake_finch.connections() == []


def test_sandbox_account_of_an_unknown_company_is_not_found(sdk: finch.Finch) -> None:
    with pytest.raises(finch.NotFoundError):
        sdk.sandbox.connections.accounts.create(
            company_id="3a3ff2d2-0000-4000-8000-000000000000", provider_id="gusto"
        )


def test_only_a_sandbox_application_may_use_sandbox_endpoints(
    customers: Customers, sdk: finch.Finch, fake_finch: FinchState
) -> None:
    connected = customers.connect()
    fake_finch.replace_application(client_type="production")
    with pytest.raises(finch.BadRequestError, match="sandbox"):
        sdk.sandbox.connections.create(provider_id="gusto")
    with pytest.raises(finch.BadRequestError, match="sandbox"):
        connected.sdk.sandbox.connections.accounts.update(connection_status="reauth")
    answer = connected.sdk.account.introspect()
    assert (answer.client_type, answer.connection_status.status) == ("production", "connected")


def test_sandbox_connections_require_basic_credentials(customers: Customers) -> None:
    connected = customers.connect()
    with pytest.raises(finch.AuthenticationError) as caught:
        connected.sdk.with_options(client_id="wrong").sandbox.connections.create(
            provider_id="gusto"
        )
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["name"] == "invalid_client_error"
