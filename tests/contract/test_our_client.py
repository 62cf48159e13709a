"""The requests of our Finch client, compared with those of Finch's SDK."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import finch as finch_sdk
import pytest

from finch_connections.domain.connect_session import Attempt, Mode, begin
from finch_connections.domain.secret import SecretText
from finch_connections.finch.client import FinchClient
from finch_connections.finch.connect_api import ConnectApi
from finch_connections.finch.credentials import Credentials
from finch_connections.finch.errors import (
    ConnectionAlreadyExists,
    InvalidClient,
    InvalidGrant,
    TokenDead,
)
from finch_connections.finch.names_api import NamesApi
from local.fake_finch import FinchState
from local.fake_finch.request_log import RecordedRequest
from tests.contract.conftest import CALLBACK, CLIENT_ID, CLIENT_SECRET, Customers, SdkFor

# Headers that differ between clients and that Finch ignores.
IRRELEVANT = {"host", "connection", "user-agent", "accept", "accept-encoding", "content-length"}


@dataclass
class Secret:
    """The application's credentials; `read_again` returns the changed credentials."""

    kept: Credentials
    changed: Credentials

    def credentials(self) -> Credentials:
        return self.kept

    def read_again(self) -> Credentials:
        self.kept = self.changed
        return self.kept


OURS = Credentials(CLIENT_ID, SecretText(CLIENT_SECRET))
OLD = Credentials(CLIENT_ID, SecretText("rotated-away"))


@pytest.fixture
def ours(base_url: str) -> ConnectApi:
    return ConnectApi(FinchClient(base_url), Secret(OURS, OURS), "")  # type: ignore[arg-type]


def session(mode: Mode = Mode.REDIRECT, provider_id: str | None = None) -> Attempt:
    return begin(
        customer_id="acme",
        customer_name="Acme Anvils",
        mode=mode,
        products=("company", "directory"),
        provider_id=provider_id,
        return_to="https://app.example.com/",
        allowed_return_urls=["https://app.example.com/"],
        callback_url=CALLBACK,
        now=datetime.now(UTC),
    ).session.attempt


def meaning(request: RecordedRequest) -> dict[str, Any]:
    """The parts of a request that Finch uses."""
    headers = {
        name: value
        for name, value in request.headers.items()
        if name not in IRRELEVANT and not name.startswith("x-stainless")
    }
    if not request.body:
        # The SDK sends a content type even without a body.
        headers.pop("content-type", None)
    return {
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "headers": headers,
        "json": request.json,
    }


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("provider_id", [None, "gusto"])
def test_create_session_sends_the_same_request_as_the_sdk(
    fake_finch: FinchState,
    sdk: finch_sdk.Finch,
    ours: ConnectApi,
    mode: Mode,
    provider_id: str | None,
) -> None:
    created = ours.create_session(session(mode, provider_id), "acme")
    sent = fake_finch.requests.last()
    assert created.connect_url.endswith(f"session={created.session_id}")
    answer = sdk.connect.sessions.new(
        customer_id="acme",
        customer_name="Acme Anvils",
        products=["company", "directory"],
        minutes_to_expire=60,
        redirect_uri=CALLBACK if mode is Mode.REDIRECT else finch_sdk.omit,
        integration={"provider": provider_id} if provider_id else finch_sdk.omit,
    )
    assert meaning(sent) == meaning(fake_finch.requests.last())
    assert answer.session_id != created.session_id


@pytest.mark.parametrize("redirect_uri", [CALLBACK, None])
def test_exchange_sends_the_same_request_as_the_sdk(
    fake_finch: FinchState,
    customers: Customers,
    sdk: finch_sdk.Finch,
    ours: ConnectApi,
    redirect_uri: str | None,
) -> None:
    first, second = (
        customers.authorize(customers.start(redirect_uri=redirect_uri)).code for _ in range(2)
    )
    token, response = ours.exchange(SecretText(first), redirect_uri)
    sent = meaning(fake_finch.requests.last())
    answer = sdk.access_tokens.create(code=second, redirect_uri=redirect_uri or finch_sdk.omit)
    theirs = meaning(fake_finch.requests.last())
    assert sent["json"].pop("code") == first
    assert theirs["json"].pop("code") == second
    assert sent == theirs
    assert token.reveal() in {live.access_token for live in fake_finch.live_tokens()}
    assert response.provider_id == answer.provider_id
    assert response.company_id == answer.company_id
    assert response.products == set(answer.products)
    assert response.connection_id == answer.connection_id
    assert response.entity_ids == set(answer.entity_ids)
    assert response.account_id == answer.account_id


def test_introspect_sends_the_same_request_and_reads_the_same_as_the_sdk(
    fake_finch: FinchState, customers: Customers, ours: ConnectApi
) -> None:
    connected = customers.connect(customer_id="acme")
    theirs = connected.sdk.account.introspect()
    expected = meaning(fake_finch.requests.last())
    read = ours.introspect(SecretText(connected.token.access_token))
    assert meaning(fake_finch.requests.last()) == expected
    assert read.token_id == theirs.id
    assert read.client_id == theirs.client_id == CLIENT_ID
    assert read.connection_id == theirs.connection_id
    assert (read.provider_id, read.company_id) == (theirs.provider_id, theirs.company_id)
    assert read.customer_id == theirs.customer_id == "acme"
    assert read.products == set(theirs.products)
    assert read.status == theirs.connection_status.status
    assert read.entity_ids == {entity.id for entity in theirs.entities or ()}


def test_disconnect_sends_the_same_request_as_the_sdk(
    fake_finch: FinchState, customers: Customers, ours: ConnectApi
) -> None:
    customers.connect().sdk.account.disconnect()
    expected = meaning(fake_finch.requests.last())
    token = SecretText(customers.connect().token.access_token)
    ours.finch.disconnect(token)
    assert meaning(fake_finch.requests.last()) == expected
    assert fake_finch.live_tokens() == []
    for dead in (ours.finch.disconnect, ours.introspect):
        with pytest.raises(TokenDead):
            dead(token)


def test_names_api_sends_the_same_requests_and_reads_the_same_as_the_sdk(
    fake_finch: FinchState, customers: Customers, ours: ConnectApi
) -> None:
    connected, names = customers.connect(), NamesApi(ours.finch)
    company = connected.sdk.hris.company.retrieve()
    expected = meaning(fake_finch.requests.last())
    assert names.of_company(SecretText(connected.token.access_token)) == company.legal_name
    assert meaning(fake_finch.requests.last()) == expected
    listed = list(connected.sdk.providers.list())
    expected = meaning(fake_finch.requests.last())
    assert {provider.id: names.of_provider(provider.id) for provider in listed} == {
        provider.id: (provider.display_name, provider.icon or "") for provider in listed
    }
    assert meaning(fake_finch.requests.last()) == expected
    assert names.of_provider("unknown") is None


def test_entity_names_are_the_same_as_in_the_sdk(customers: Customers, ours: ConnectApi) -> None:
    connected = customers.connect()
    theirs = connected.sdk.account.introspect().entities or ()
    read = ours.introspect(SecretText(connected.token.access_token))
    assert read.entity_names == {entity.id: entity.name for entity in theirs}


def test_refusals_become_the_right_exceptions(
    customers: Customers, ours: ConnectApi, sdk_for: SdkFor
) -> None:
    with pytest.raises(InvalidGrant):
        ours.exchange(SecretText("made-up"), CALLBACK)
    connected = customers.connect(customer_id="acme")
    with pytest.raises(ConnectionAlreadyExists) as caught:
        ours.create_session(session(), "acme")
    assert caught.value.connection_id == connected.connection_id


def test_numeric_customer_id_is_read_as_text(
    fake_finch: FinchState, customers: Customers, ours: ConnectApi
) -> None:
    fake_finch.switches.introspect_customer_id_as_number = True
    connected = customers.connect(customer_id="4711")
    assert ours.introspect(SecretText(connected.token.access_token)).customer_id == "4711"


@pytest.mark.parametrize("missing", ["null", "absent"])
def test_missing_and_null_fields_are_none(
    fake_finch: FinchState, customers: Customers, ours: ConnectApi, missing: str
) -> None:
    names = ("company_id", "account_id", "customer_id")
    fake_finch.change_switches(**{f"token_{name}": missing for name in names})
    fake_finch.change_switches(**{f"introspect_{name}": missing for name in names})
    code = customers.authorize(customers.start()).code
    token, response = ours.exchange(SecretText(code), CALLBACK)
    read = ours.introspect(token)
    for answer in (response, read):
        assert (answer.company_id, answer.account_id, answer.customer_id) == (None, None, None)


def test_changed_credentials_are_read_once_and_wrong_credentials_not_retried(
    fake_finch: FinchState, customers: Customers, base_url: str
) -> None:
    rotated = ConnectApi(FinchClient(base_url), Secret(OLD, OURS), "")  # type: ignore[arg-type]
    code = customers.authorize(customers.start()).code
    token, _ = rotated.exchange(SecretText(code), CALLBACK)
    assert fake_finch.code(code).exchanges == 1
    assert rotated.introspect(token).client_id == CLIENT_ID
    wrong = ConnectApi(FinchClient(base_url), Secret(OLD, OLD), "")  # type: ignore[arg-type]
    calls = fake_finch.requests.count("POST", "/connect/sessions")
    with pytest.raises(InvalidClient):
        wrong.create_session(session(), "acme")
    assert fake_finch.requests.count("POST", "/connect/sessions") == calls + 1
