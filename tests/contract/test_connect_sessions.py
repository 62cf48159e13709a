"""Connect sessions: creation, refusals and lifetimes."""

from urllib.parse import urlsplit
from uuid import UUID

import finch
import httpx
import pytest
from finch.types.connect import SessionNewResponse, SessionReauthenticateResponse

from local.fake_finch import CannotAuthorize, FinchState
from local.fake_finch.seed_world import PRODUCTS as ALL_PRODUCTS
from tests.contract.conftest import (
    CALLBACK,
    CLIENT_ID,
    CLIENT_SECRET,
    Clock,
    Customers,
    SdkFor,
    Wire,
)

BASIC = (CLIENT_ID, CLIENT_SECRET)
MINIMAL = {"customer_id": "c-1", "customer_name": "Acme", "products": ["company"]}


def test_new_session_is_answered_with_201_and_its_connect_url(
    sdk: finch.Finch, wire: Wire, fake_finch: FinchState
) -> None:
    sdk.connect.sessions.new(
        customer_id="c-1",
        customer_name="Acme",
        products=["company", "directory"],
        customer_email="owner@acme.example",
        redirect_uri=CALLBACK,
        integration={"provider": "gusto", "auth_method": "oauth"},
        minutes_to_expire=30,
        sandbox="provider",
        manual=False,
    )
    answer = wire.conforms(SessionNewResponse)
    assert wire.last.status_code == 201
    assert UUID(answer.session_id)
    assert answer.connect_url == f"{fake_finch.base_url}/authorize?session={answer.session_id}"
    stored = fake_finch.session(answer.session_id)
    assert stored.customer is not None
    assert stored.customer.email == "owner@acme.example"
    assert (stored.provider_id, stored.auth_method) == ("gusto", "oauth")
    assert (stored.redirect_uri, stored.sandbox) == (CALLBACK, "provider")
    assert stored.products == ("company", "directory")


def test_session_may_request_every_documented_product(
    sdk: finch.Finch, fake_finch: FinchState
) -> None:
    answer = sdk.connect.sessions.new(
        customer_id="c-1",
        customer_name="Acme",
        products=list(ALL_PRODUCTS),  # type: ignore[arg-type]
    )
    assert fake_finch.session(answer.session_id).products == ALL_PRODUCTS


def test_refusal_names_the_unknown_product(sdk: finch.Finch, fake_finch: FinchState) -> None:
    with pytest.raises(finch.BadRequestError, match="payroll is an invalid product"):
        sdk.connect.sessions.new(
            customer_id="c-1",
            customer_name="Acme",
            products=["payroll"],  # type: ignore[list-item]
        )
    assert fake_finch.sessions() == []


@pytest.mark.parametrize(
    "change",
    [
        {"customer_id": ""},
        {"customer_id": "x" * 256},
        {"customer_id": 17},
        {"customer_id": None},
        {"customer_name": ""},
        {"customer_name": "x" * 256},
        {"products": []},
        {"products": "company"},
        {"customer_email": "not an address"},
        {"minutes_to_expire": 0},
        {"minutes_to_expire": 129_601},
        {"minutes_to_expire": "30"},
        {"sandbox": "yes"},
        {"manual": "true"},
        {"integration": {"auth_method": "oauth"}},
        {"integration": {"provider": "no_such_provider"}},
        {"integration": {"provider": "gusto", "auth_method": "telepathy"}},
        {"recordkeeping": {"recordkeeper": "voya"}},
        {"redirect_uri": "https://elsewhere.example/callback"},
        {"redirect_uri": f"{CALLBACK}/"},
        {"redirect_uri": f"{CALLBACK}?next=1"},
    ],
    ids=str,
)
def test_invalid_session_request_is_a_bad_request(
    http: httpx.Client, fake_finch: FinchState, change: dict[str, object]
) -> None:
    answer = http.post("/connect/sessions", auth=BASIC, json={**MINIMAL, **change})
    assert answer.status_code == 400
    assert (answer.json()["name"], answer.json()["finch_code"]) == (
        "bad_request",
        "invalid_request",
    )
    assert fake_finch.sessions() == []


@pytest.mark.parametrize("missing", ["customer_id", "customer_name", "products"])
def test_session_request_without_a_required_field_is_a_bad_request(
    http: httpx.Client, missing: str
) -> None:
    body = {name: value for name, value in MINIMAL.items() if name != missing}
    answer = http.post("/connect/sessions", auth=BASIC, json=body)
    assert answer.status_code == 400
    assert missing in answer.json()["message"]


@pytest.mark.parametrize(
    "optional",
    [
        {"minutes_to_expire": 1},
        {"minutes_to_expire": 129_600},
        {"minutes_to_expire": 1.5},
        {"minutes_to_expire": None, "manual": None, "sandbox": None, "integration": None},
        {"redirect_uri": None, "customer_email": None, "recordkeeping": None},
        {"products": ["recordkeeping"], "recordkeeping": {"recordkeeper": "voya"}},
    ],
    ids=str,
)
def test_limits_of_the_documented_ranges_are_accepted(
    http: httpx.Client, optional: dict[str, object]
) -> None:
    answer = http.post("/connect/sessions", auth=BASIC, json={**MINIMAL, **optional})
    assert answer.status_code == 201


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"'])
def test_body_without_a_json_object_is_a_bad_request(http: httpx.Client, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = http.post("/connect/sessions", auth=BASIC, content=body, headers=headers)
    assert answer.status_code == 400


def test_form_body_is_a_bad_request(http: httpx.Client) -> None:
    answer = http.post("/connect/sessions", auth=BASIC, data={"customer_id": "c-1"})
    assert answer.status_code == 400


def test_session_with_wrong_credentials_is_an_invalid_client(
    sdk_for: SdkFor, fake_finch: FinchState
) -> None:
    with pytest.raises(finch.AuthenticationError, match="Unable to validate credentials") as caught:
        sdk_for(client_secret="wrong").connect.sessions.new(
            customer_id="c-1", customer_name="Acme", products=["company"]
        )
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["name"] == "invalid_client_error"
    assert fake_finch.sessions() == []


@pytest.mark.parametrize("path", ["/connect/sessions", "/connect/sessions/reauthenticate"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer token"}])
def test_sessions_require_basic_credentials(
    http: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    answer = http.post(path, json=MINIMAL, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["name"] == "invalid_client_error"


def test_session_expires_exactly_after_its_minutes(customers: Customers, clock: Clock) -> None:
    session_id = customers.start(minutes_to_expire=5)
    clock.advance(minutes=5, seconds=-1)
    customers.authorize(session_id)
    clock.advance(seconds=1)
    with pytest.raises(CannotAuthorize, match="expired"):
        customers.authorize(session_id)


def test_connect_and_reauthentication_sessions_have_default_lifetimes(
    sdk: finch.Finch, customers: Customers, fake_finch: FinchState, clock: Clock
) -> None:
    first = sdk.connect.sessions.new(customer_id="c", customer_name="C", products=["company"])
    connection_id = customers.connect().connection_id
    repair = sdk.connect.sessions.reauthenticate(connection_id=connection_id)
    ninety_days = fake_finch.session(first.session_id).expires_at - clock()
    thirty_days = fake_finch.session(repair.session_id).expires_at - clock()
    assert (ninety_days.days, thirty_days.days) == (90, 30)


def test_reauthentication_is_answered_with_201_and_its_connect_url(
    sdk: finch.Finch, customers: Customers, wire: Wire, fake_finch: FinchState
) -> None:
    connection_id = customers.connect().connection_id
    sdk.connect.sessions.reauthenticate(
        connection_id=connection_id,
        redirect_uri=CALLBACK,
        products=["company"],
        minutes_to_expire=10,
    )
    answer = wire.conforms(SessionReauthenticateResponse)
    assert wire.last.status_code == 201
    assert urlsplit(answer.connect_url).query == f"session={answer.session_id}"
    assert fake_finch.session(answer.session_id).reauthenticates == connection_id


def test_unknown_or_ended_connection_cannot_be_reauthenticated(
    sdk: finch.Finch, customers: Customers
) -> None:
    with pytest.raises(finch.NotFoundError):
        sdk.connect.sessions.reauthenticate(connection_id="5c0f0a52-0000-4000-8000-000000000000")
    connected = customers.connect()
    connected.sdk.account.disconnect()
    with pytest.raises(finch.NotFoundError):
        sdk.connect.sessions.reauthenticate(connection_id=connected.connection_id)


def test_second_session_of_a_connected_customer_names_the_connection(
    sdk: finch.Finch, customers: Customers
) -> None:
    connected = customers.connect(customer_id="c-1")
    with pytest.raises(finch.BadRequestError) as caught:
        sdk.connect.sessions.new(customer_id="c-1", customer_name="Acme", products=["company"])
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["finch_code"] == "connection_already_exists"
    assert caught.value.body["context"] == {"connection_id": connected.connection_id}
    assert sdk.connect.sessions.new(customer_id="c-1~2", customer_name="Acme", products=["company"])


def test_every_customer_id_of_a_connection_is_refused_a_new_session(customers: Customers) -> None:
    customers.connect(customer_id="c-1")
    customers.connect(customer_id="c-1~2")
    with pytest.raises(Exception, match="already exists"):
        customers.start(customer_id="c-1~2")


def test_customer_may_start_again_after_the_connection_ended(customers: Customers) -> None:
    customers.connect(customer_id="c-1").sdk.account.disconnect()
    assert customers.start(customer_id="c-1")


def test_customer_id_may_have_several_connections_by_switch(
    customers: Customers, fake_finch: FinchState
) -> None:
    fake_finch.switches.one_connection_per_customer_id = False
    customers.connect(customer_id="c-1")
    assert customers.start(customer_id="c-1")


def test_session_is_usable_until_it_expires_or_once_by_switch(
    customers: Customers, fake_finch: FinchState
) -> None:
    session_id = customers.start()
    assert customers.authorize(session_id).code != customers.authorize(session_id).code
    fake_finch.switches.session_single_use = True
    with pytest.raises(CannotAuthorize, match="used"):
        customers.authorize(session_id)


def test_rotated_credentials_are_effective_immediately(
    sdk: finch.Finch, sdk_for: SdkFor, fake_finch: FinchState
) -> None:
    fake_finch.replace_application(
        client_secret="the next one", redirect_uris=["https://new.example"]
    )
    with pytest.raises(finch.AuthenticationError):
        sdk.connect.sessions.new(customer_id="c", customer_name="C", products=["company"])
    renewed = sdk_for(client_secret="the next one")
    with pytest.raises(finch.BadRequestError, match="redirect_uri"):
        renewed.connect.sessions.new(
            customer_id="c", customer_name="C", products=["company"], redirect_uri=CALLBACK
        )
    assert renewed.connect.sessions.new(
        customer_id="c", customer_name="C", products=["company"], redirect_uri="https://new.example"
    )
