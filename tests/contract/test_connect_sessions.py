"""Connect sessions: creating them, what is refused, how long they live."""

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


def test_a_new_session_is_answered_201_with_its_connect_url(
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
    remembered = fake_finch.session(answer.session_id)
    assert remembered.customer is not None
    assert remembered.customer.email == "owner@acme.example"
    assert (remembered.provider_id, remembered.auth_method) == ("gusto", "oauth")
    assert (remembered.redirect_uri, remembered.sandbox) == (CALLBACK, "provider")
    assert remembered.products == ("company", "directory")


def test_every_documented_product_may_be_asked_for(
    sdk: finch.Finch, fake_finch: FinchState
) -> None:
    answer = sdk.connect.sessions.new(
        customer_id="c-1",
        customer_name="Acme",
        products=list(ALL_PRODUCTS),  # type: ignore[arg-type]
    )
    assert fake_finch.session(answer.session_id).products == ALL_PRODUCTS


def test_a_product_that_finch_does_not_have_is_named_in_the_refusal(
    sdk: finch.Finch, fake_finch: FinchState
) -> None:
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
def test_a_session_request_out_of_shape_is_a_bad_request(
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
def test_a_required_field_is_required(http: httpx.Client, missing: str) -> None:
    asked = {name: value for name, value in MINIMAL.items() if name != missing}
    answer = http.post("/connect/sessions", auth=BASIC, json=asked)
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
def test_the_edges_of_the_documented_ranges_are_accepted(
    http: httpx.Client, optional: dict[str, object]
) -> None:
    answer = http.post("/connect/sessions", auth=BASIC, json={**MINIMAL, **optional})
    assert answer.status_code == 201


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"'])
def test_a_body_that_is_no_json_object_is_a_bad_request(http: httpx.Client, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = http.post("/connect/sessions", auth=BASIC, content=body, headers=headers)
    assert answer.status_code == 400


def test_a_form_is_not_json(http: httpx.Client) -> None:
    answer = http.post("/connect/sessions", auth=BASIC, data={"customer_id": "c-1"})
    assert answer.status_code == 400


def test_wrong_credentials_are_an_invalid_client(sdk_for: SdkFor, fake_finch: FinchState) -> None:
    with pytest.raises(finch.AuthenticationError, match="Unable to validate credentials") as caught:
        sdk_for(client_secret="wrong").connect.sessions.new(
            customer_id="c-1", customer_name="Acme", products=["company"]
        )
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["name"] == "invalid_client_error"
    assert fake_finch.sessions() == []


@pytest.mark.parametrize("path", ["/connect/sessions", "/connect/sessions/reauthenticate"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer token"}])
def test_sessions_want_basic_credentials(
    http: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    answer = http.post(path, json=MINIMAL, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["name"] == "invalid_client_error"


def test_a_session_lives_for_its_minutes_and_not_a_second_longer(
    customers: Customers, clock: Clock
) -> None:
    session_id = customers.start(minutes_to_expire=5)
    clock.advance(minutes=5, seconds=-1)
    customers.authorize(session_id)
    clock.advance(seconds=1)
    with pytest.raises(CannotAuthorize, match="expired"):
        customers.authorize(session_id)


def test_the_two_kinds_of_session_have_different_default_lifetimes(
    sdk: finch.Finch, customers: Customers, fake_finch: FinchState, clock: Clock
) -> None:
    first = sdk.connect.sessions.new(customer_id="c", customer_name="C", products=["company"])
    connection_id = customers.connect().connection_id
    repair = sdk.connect.sessions.reauthenticate(connection_id=connection_id)
    ninety_days = fake_finch.session(first.session_id).expires_at - clock()
    thirty_days = fake_finch.session(repair.session_id).expires_at - clock()
    assert (ninety_days.days, thirty_days.days) == (90, 30)


def test_a_reauthentication_names_a_connection_and_is_answered_201(
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


def test_a_connection_that_is_unknown_or_over_cannot_be_reauthenticated(
    sdk: finch.Finch, customers: Customers
) -> None:
    with pytest.raises(finch.NotFoundError):
        sdk.connect.sessions.reauthenticate(connection_id="5c0f0a52-0000-4000-8000-000000000000")
    connected = customers.connect()
    connected.sdk.account.disconnect()
    with pytest.raises(finch.NotFoundError):
        sdk.connect.sessions.reauthenticate(connection_id=connected.connection_id)


def test_a_customer_who_holds_a_connection_is_told_which_one(
    sdk: finch.Finch, customers: Customers
) -> None:
    connected = customers.connect(customer_id="c-1")
    with pytest.raises(finch.BadRequestError) as caught:
        sdk.connect.sessions.new(customer_id="c-1", customer_name="Acme", products=["company"])
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["finch_code"] == "connection_already_exists"
    assert caught.value.body["context"] == {"connection_id": connected.connection_id}
    assert sdk.connect.sessions.new(customer_id="c-1~2", customer_name="Acme", products=["company"])


def test_every_customer_id_that_led_to_a_connection_holds_it(customers: Customers) -> None:
    customers.connect(customer_id="c-1")
    customers.connect(customer_id="c-1~2")
    with pytest.raises(Exception, match="already exists"):
        customers.start(customer_id="c-1~2")


def test_a_customer_whose_connection_ended_may_start_again(customers: Customers) -> None:
    customers.connect(customer_id="c-1").sdk.account.disconnect()
    assert customers.start(customer_id="c-1")


def test_several_connections_per_customer_id_are_allowed_by_switch(
    customers: Customers, fake_finch: FinchState
) -> None:
    fake_finch.switches.one_connection_per_customer_id = False
    customers.connect(customer_id="c-1")
    assert customers.start(customer_id="c-1")


def test_a_session_may_be_used_again_until_it_expires_unless_switched(
    customers: Customers, fake_finch: FinchState
) -> None:
    session_id = customers.start()
    assert customers.authorize(session_id).code != customers.authorize(session_id).code
    fake_finch.switches.session_single_use = True
    with pytest.raises(CannotAuthorize, match="used"):
        customers.authorize(session_id)


def test_rotated_credentials_take_effect_at_once(
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
