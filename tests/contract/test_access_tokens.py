"""The exchange of codes for access tokens."""

from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import finch
import httpx
import pytest
from finch.types import CreateAccessTokenResponse

from local.fake_finch import FinchState
from local.fake_finch.seed_world import DANA, HARBOR_LANE, MAYA, NORTHFOLD
from local.fake_finch.switches import Presence
from tests.contract.conftest import CALLBACK, PRODUCTS, Clock, Customers, SdkFor, Wire


def refusal_of(caught: pytest.ExceptionInfo[finch.APIStatusError]) -> str:
    assert isinstance(caught.value.body, dict)
    return str(caught.value.body["name"])


def test_exchange_returns_a_token_with_its_connection_and_products(
    customers: Customers, wire: Wire, fake_finch: FinchState
) -> None:
    customers.connect(customer_id="c-1")
    answer = wire.conforms(CreateAccessTokenResponse)
    assert set(wire.last.json()) == set(CreateAccessTokenResponse.model_fields)
    for name in ("access_token", "connection_id", "account_id", "company_id"):
        assert UUID(getattr(answer, name))
    assert answer.token_type == "bearer"
    assert (answer.provider_id, answer.company_id) == ("gusto", HARBOR_LANE.id)
    assert (answer.customer_id, answer.customer_name) == ("c-1", "Acme Benefits")
    assert (answer.products, len(answer.entity_ids)) == (PRODUCTS, 1)
    assert (answer.client_type, answer.connection_type) == ("sandbox", "provider")
    assert [token.access_token for token in fake_finch.live_tokens()] == [answer.access_token]


def test_credentials_are_sent_only_in_the_body(customers: Customers, wire: Wire) -> None:
    customers.connect()
    sent = wire.sent()
    assert (sent.method, sent.path) == ("POST", "/auth/token")
    assert "authorization" not in sent.headers
    assert set(sent.json) == {"code", "client_id", "client_secret", "redirect_uri"}


def test_authorization_header_of_an_exchange_is_ignored(
    customers: Customers, http: httpx.Client, fake_finch: FinchState
) -> None:
    code = customers.authorize(customers.start()).code
    application = fake_finch.application
    answer = http.post(
        "/auth/token",
        headers={"Authorization": "Bearer nonsense"},
        json={
            "code": code,
            "client_id": application.client_id,
            "client_secret": application.client_secret,
            "redirect_uri": CALLBACK,
        },
    )
    assert answer.status_code == 200


def test_token_has_the_products_that_the_user_granted(
    customers: Customers, fake_finch: FinchState
) -> None:
    session_id = customers.start(products=["company", "directory", "plans"])
    authorized = fake_finch.authorize(
        session_id, provider_id="gusto", login=MAYA, products=["directory"]
    )
    assert customers.exchange(authorized.code).token.products == ["directory"]
    everything = fake_finch.authorize(session_id, provider_id="gusto", login=MAYA)
    # Gusto has no product `plans` here, so a user cannot grant it.
    assert customers.exchange(everything.code).token.products == ["company", "directory"]


def test_code_can_be_exchanged_once(customers: Customers, fake_finch: FinchState) -> None:
    code = customers.authorize(customers.start()).code
    assert UUID(code)
    connected = customers.exchange(code)
    with pytest.raises(finch.BadRequestError, match="authorization code is invalid") as caught:
        customers.exchange(code)
    assert refusal_of(caught) == "invalid_grant_error"
    assert connected.sdk.account.introspect().connection_id == connected.connection_id
    assert (fake_finch.code(code).attempts, fake_finch.code(code).exchanges) == (2, 1)


def test_code_can_be_exchanged_several_times_by_switch(
    customers: Customers, fake_finch: FinchState
) -> None:
    fake_finch.switches.code_single_use = False
    code = customers.authorize(customers.start()).code
    first, second = customers.exchange(code), customers.exchange(code)
    assert first.token.access_token != second.token.access_token
    assert first.connection_id == second.connection_id


def test_code_expires_after_exactly_ten_minutes(
    customers: Customers, clock: Clock, fake_finch: FinchState
) -> None:
    early = customers.authorize(customers.start()).code
    late = customers.authorize(customers.start()).code
    clock.advance(minutes=10, seconds=-1)
    assert customers.exchange(early)
    clock.advance(seconds=1)
    with pytest.raises(finch.BadRequestError, match="expired") as caught:
        customers.exchange(late)
    assert refusal_of(caught) == "invalid_grant_error"
    assert len(fake_finch.tokens()) == 1


@pytest.mark.parametrize("wrong", [None, f"{CALLBACK}/", "https://elsewhere.example"])
def test_exchange_in_the_redirect_flow_requires_the_redirect_uri(
    customers: Customers, fake_finch: FinchState, wrong: str | None
) -> None:
    code = customers.authorize(customers.start()).code
    with pytest.raises(finch.BadRequestError) as caught:
        customers.exchange(code, redirect_uri=wrong)
    assert refusal_of(caught) == "invalid_grant_error"
    assert fake_finch.connections() == []
    assert customers.exchange(code)


def test_exchange_in_the_embedded_flow_refuses_a_redirect_uri(
    customers: Customers, fake_finch: FinchState
) -> None:
    authorized = customers.authorize(customers.start(redirect_uri=None))
    assert authorized.redirect_to is None
    with pytest.raises(finch.BadRequestError) as caught:
        customers.exchange(authorized.code, redirect_uri=CALLBACK)
    assert refusal_of(caught) == "invalid_grant_error"
    assert fake_finch.connections() == []
    assert customers.exchange(authorized.code, redirect_uri=None)


@pytest.mark.parametrize("overrides", [{"client_secret": "wrong"}, {"client_id": "wrong"}])
def test_exchange_with_wrong_credentials_does_not_use_up_the_code(
    customers: Customers, sdk_for: SdkFor, overrides: dict[str, str]
) -> None:
    code = customers.authorize(customers.start()).code
    with pytest.raises(finch.AuthenticationError) as caught:
        sdk_for(**overrides).access_tokens.create(code=code, redirect_uri=CALLBACK)
    assert refusal_of(caught) == "invalid_client_error"
    assert customers.exchange(code)


def test_exchange_without_credentials_is_an_invalid_client(
    customers: Customers, http: httpx.Client
) -> None:
    code = customers.authorize(customers.start()).code
    answer = http.post("/auth/token", json={"code": code, "redirect_uri": CALLBACK})
    assert (answer.status_code, answer.json()["name"]) == (401, "invalid_client_error")


def test_exchange_without_a_code_is_a_bad_request(http: httpx.Client) -> None:
    answer = http.post("/auth/token", json={"redirect_uri": CALLBACK})
    assert (answer.status_code, answer.json()["name"]) == (400, "bad_request")


def test_unknown_code_is_an_invalid_grant(customers: Customers) -> None:
    with pytest.raises(finch.BadRequestError) as caught:
        customers.exchange("7a0fb9f8-6a59-4d3c-8ad1-0a4b3f1c2d3e")
    assert refusal_of(caught) == "invalid_grant_error"


def test_another_client_cannot_exchange_a_code(
    customers: Customers, fake_finch: FinchState, sdk_for: SdkFor
) -> None:
    code = customers.authorize(customers.start()).code
    fake_finch.replace_application(client_id="another-application")
    with pytest.raises(finch.BadRequestError) as caught:
        sdk_for(client_id="another-application").access_tokens.create(
            code=code, redirect_uri=CALLBACK
        )
    assert refusal_of(caught) == "invalid_grant_error"


def test_redirect_has_the_code_and_by_switch_the_state(
    customers: Customers, fake_finch: FinchState
) -> None:
    session_id = customers.start()
    sent = fake_finch.authorize(session_id, provider_id="gusto", login=MAYA, state="s&=1")
    assert sent.redirect_to is not None
    assert sent.redirect_to.startswith(f"{CALLBACK}?")
    assert parse_qs(urlsplit(sent.redirect_to).query) == {"code": [sent.code], "state": ["s&=1"]}
    fake_finch.switches.echo_state = False
    without = fake_finch.authorize(session_id, provider_id="gusto", login=MAYA, state="s")
    assert parse_qs(urlsplit(without.redirect_to or "").query) == {"code": [without.code]}


def test_refusal_redirects_with_an_error_and_by_switch_the_state(
    customers: Customers, fake_finch: FinchState
) -> None:
    session_id = customers.start()
    query = parse_qs(urlsplit(fake_finch.refuse(session_id, state="s") or "").query)
    assert set(query) == {"error", "error_description", "state"}
    assert query["error"] == ["access_denied"]
    fake_finch.switches.echo_state_on_error = False
    query = parse_qs(urlsplit(fake_finch.refuse(session_id, state="s") or "").query)
    assert set(query) == {"error", "error_description"}


def test_redirect_keeps_the_query_of_the_redirect_uri(
    customers: Customers, fake_finch: FinchState
) -> None:
    fake_finch.replace_application(redirect_uris=[f"{CALLBACK}?tenant=7"])
    authorized = customers.authorize(customers.start(redirect_uri=f"{CALLBACK}?tenant=7"))
    assert parse_qs(urlsplit(authorized.redirect_to or "").query) == {
        "tenant": ["7"],
        "code": [authorized.code],
    }


def test_employer_with_several_entities_has_several_entity_ids(customers: Customers) -> None:
    token = customers.connect(DANA, company_id=NORTHFOLD.id).token
    assert len(set(token.entity_ids)) == 3


def test_session_in_the_finch_sandbox_creates_a_generated_connection(customers: Customers) -> None:
    assert customers.connect(sandbox="finch").token.connection_type == "finch"


@pytest.mark.parametrize(
    "name", ["company_id", "account_id", "customer_id", "customer_name", "entity_ids"]
)
@pytest.mark.parametrize("presence", ["null", "absent"])
def test_fields_of_the_token_response_can_be_null_or_absent(
    customers: Customers, wire: Wire, fake_finch: FinchState, name: str, presence: Presence
) -> None:
    fake_finch.change_switches(**{f"token_{name}": presence})
    customers.connect()
    answer = wire.last.json()
    assert set(CreateAccessTokenResponse.model_fields) - set(answer) <= {name}
    assert (name in answer) is (presence == "null")
    assert answer.get(name) is None


def test_token_response_can_name_another_customer(
    customers: Customers, fake_finch: FinchState
) -> None:
    fake_finch.switches.token_customer_id_override = "another-customer"
    connected = customers.connect(customer_id="c-1")
    assert connected.token.customer_id == "another-customer"
    assert connected.sdk.account.introspect().customer_id == "c-1"


def test_token_response_can_have_unknown_fields(
    customers: Customers, wire: Wire, fake_finch: FinchState
) -> None:
    fake_finch.switches.extra_fields = True
    customers.connect()
    assert set(wire.last.json()) > set(CreateAccessTokenResponse.model_fields)
