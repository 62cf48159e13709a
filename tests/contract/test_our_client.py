"""What our own client of Finch sends, beside what Finch's SDK sends for the same."""

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

# What differs from client to client and means nothing to Finch.
IRRELEVANT = {"host", "connection", "user-agent", "accept", "accept-encoding", "content-length"}


@dataclass
class Secret:
    """The application's credentials; `read_again` answers the changed ones."""

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
    """What Finch acts upon in a request."""
    headers = {
        name: value
        for name, value in request.headers.items()
        if name not in IRRELEVANT and not name.startswith("x-stainless")
    }
    if not request.body:
        # The SDK names a content type even where it sends no content.
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
def test_a_connect_session_is_asked_for_as_the_sdk_does(
    fake_finch: FinchState,
    sdk: finch_sdk.Finch,
    ours: ConnectApi,
    mode: Mode,
    provider_id: str | None,
) -> None:
    made = ours.create_session(session(mode, provider_id), "acme")
    sent = fake_finch.requests.last()
    assert made.connect_url.endswith(f"session={made.session_id}")
    answer = sdk.connect.sessions.new(
        customer_id="acme",
        customer_name="Acme Anvils",
        products=["company", "directory"],
        minutes_to_expire=60,
        redirect_uri=CALLBACK if mode is Mode.REDIRECT else finch_sdk.omit,
        integration={"provider": provider_id} if provider_id else finch_sdk.omit,
    )
    assert meaning(sent) == meaning(fake_finch.requests.last())
    assert answer.session_id != made.session_id


@pytest.mark.parametrize("redirect_uri", [CALLBACK, None])
def test_a_code_is_exchanged_as_the_sdk_does(
    fake_finch: FinchState,
    customers: Customers,
    sdk: finch_sdk.Finch,
    ours: ConnectApi,
    redirect_uri: str | None,
) -> None:
    first, second = (
        customers.authorize(customers.start(redirect_uri=redirect_uri)).code for _ in range(2)
    )
    token, grant = ours.exchange(SecretText(first), redirect_uri)
    sent = meaning(fake_finch.requests.last())
    answer = sdk.access_tokens.create(code=second, redirect_uri=redirect_uri or finch_sdk.omit)
    theirs = meaning(fake_finch.requests.last())
    assert sent["json"].pop("code") == first
    assert theirs["json"].pop("code") == second
    assert sent == theirs
    assert token.reveal() in {one.access_token for one in fake_finch.live_tokens()}
    assert grant.provider_id == answer.provider_id
    assert grant.company_id == answer.company_id
    assert grant.products == set(answer.products)
    assert grant.connection_id == answer.connection_id
    assert grant.entity_ids == set(answer.entity_ids)
    assert grant.account_id == answer.account_id


def test_a_token_is_introspected_as_the_sdk_does_and_read_the_same(
    fake_finch: FinchState, customers: Customers, ours: ConnectApi
) -> None:
    connected = customers.connect(customer_id="acme")
    theirs = connected.sdk.account.introspect()
    asked = meaning(fake_finch.requests.last())
    read = ours.introspect(SecretText(connected.token.access_token))
    assert meaning(fake_finch.requests.last()) == asked
    assert read.token_id == theirs.id
    assert read.client_id == theirs.client_id == CLIENT_ID
    assert read.connection_id == theirs.connection_id
    assert (read.provider_id, read.company_id) == (theirs.provider_id, theirs.company_id)
    assert read.customer_id == theirs.customer_id == "acme"
    assert read.products == set(theirs.products)
    assert read.status == theirs.connection_status.status
    assert read.entity_ids == {entity.id for entity in theirs.entities or ()}


def test_a_connection_is_disconnected_as_the_sdk_does(
    fake_finch: FinchState, customers: Customers, ours: ConnectApi
) -> None:
    customers.connect().sdk.account.disconnect()
    asked = meaning(fake_finch.requests.last())
    token = SecretText(customers.connect().token.access_token)
    ours.finch.disconnect(token)
    assert meaning(fake_finch.requests.last()) == asked
    assert fake_finch.live_tokens() == []
    for dead in (ours.finch.disconnect, ours.introspect):
        with pytest.raises(TokenDead):
            dead(token)


def test_names_are_asked_for_as_the_sdk_does_and_read_the_same(
    fake_finch: FinchState, customers: Customers, ours: ConnectApi
) -> None:
    connected, names = customers.connect(), NamesApi(ours.finch)
    told = connected.sdk.hris.company.retrieve()
    asked = meaning(fake_finch.requests.last())
    assert names.of_company(SecretText(connected.token.access_token)) == told.legal_name
    assert meaning(fake_finch.requests.last()) == asked
    listed = list(connected.sdk.providers.list())
    asked = meaning(fake_finch.requests.last())
    assert {one.id: names.of_provider(one.id) for one in listed} == {
        one.id: one.display_name for one in listed
    }
    assert meaning(fake_finch.requests.last()) == asked
    assert names.of_provider("nobodys") is None


def test_the_names_of_entities_are_those_that_the_sdk_reads(
    customers: Customers, ours: ConnectApi
) -> None:
    connected = customers.connect()
    theirs = connected.sdk.account.introspect().entities or ()
    read = ours.introspect(SecretText(connected.token.access_token))
    assert read.entity_names == {one.id: one.name for one in theirs}


def test_refusals_of_the_fake_finch_are_understood(
    customers: Customers, ours: ConnectApi, sdk_for: SdkFor
) -> None:
    with pytest.raises(InvalidGrant):
        ours.exchange(SecretText("made-up"), CALLBACK)
    connected = customers.connect(customer_id="acme")
    with pytest.raises(ConnectionAlreadyExists) as caught:
        ours.create_session(session(), "acme")
    assert caught.value.connection_id == connected.connection_id


def test_a_number_for_a_customer_id_is_read_as_text(
    fake_finch: FinchState, customers: Customers, ours: ConnectApi
) -> None:
    fake_finch.switches.introspect_customer_id_as_number = True
    connected = customers.connect(customer_id="4711")
    assert ours.introspect(SecretText(connected.token.access_token)).customer_id == "4711"


@pytest.mark.parametrize("missing", ["null", "absent"])
def test_what_finch_leaves_out_is_none(
    fake_finch: FinchState, customers: Customers, ours: ConnectApi, missing: str
) -> None:
    names = ("company_id", "account_id", "customer_id")
    fake_finch.change_switches(**{f"token_{name}": missing for name in names})
    fake_finch.change_switches(**{f"introspect_{name}": missing for name in names})
    code = customers.authorize(customers.start()).code
    token, grant = ours.exchange(SecretText(code), CALLBACK)
    read = ours.introspect(token)
    for one in (grant, read):
        assert (one.company_id, one.account_id, one.customer_id) == (None, None, None)


def test_changed_credentials_are_used_at_once_and_wrong_ones_are_not_tried_again(
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
