"""What makes two tokens one connection, and what ends a connection."""

import finch
import pytest
from finch.types import CreateAccessTokenResponse, DisconnectEntityResponse, DisconnectResponse

from local.fake_finch import CannotAuthorize, FinchState
from local.fake_finch.seed_world import CEDARLINE, DANA, HARBOR_LANE, MAYA, NORTHFOLD, OWEN, TALLY
from tests.contract.conftest import CALLBACK, Connected, Customers, Wire


def is_alive(connected: Connected) -> bool:
    """Whether Finch still knows the token. A dead one is `invalid_token_error`, nothing else."""
    try:
        connected.sdk.account.introspect()
    except finch.AuthenticationError as refused:
        refusal = refused.body
    else:
        return True
    assert isinstance(refusal, dict)
    assert refusal["name"] == "invalid_token_error"
    assert "finch_code" not in refusal
    return False


def test_the_same_login_again_is_another_token_of_the_same_connection(
    customers: Customers,
) -> None:
    first = customers.connect(products=["company"])
    again = customers.connect(products=["directory"])
    assert again.connection_id == first.connection_id
    assert again.token.access_token != first.token.access_token
    assert again.token.account_id == first.token.account_id
    assert again.token.entity_ids == first.token.entity_ids
    assert (first.token.products, again.token.products) == (["company"], ["directory"])
    assert is_alive(first)


def test_another_login_is_another_connection(customers: Customers) -> None:
    maya, owen = customers.connect(MAYA), customers.connect(OWEN)
    assert maya.token.company_id == owen.token.company_id
    assert maya.connection_id != owen.connection_id
    assert maya.token.account_id != owen.token.account_id


def test_another_login_joins_the_connection_by_switch(
    customers: Customers, fake_finch: FinchState
) -> None:
    fake_finch.switches.other_login_same_connection = True
    maya, owen = customers.connect(MAYA), customers.connect(OWEN)
    assert maya.connection_id == owen.connection_id
    assert maya.token.account_id != owen.token.account_id
    owen.sdk.account.disconnect()
    assert not is_alive(maya)


def test_another_customer_with_the_same_login_shares_the_connection(customers: Customers) -> None:
    ours = customers.connect(customer_id="c-1")
    theirs = customers.connect(customer_id="c-2")
    assert ours.connection_id == theirs.connection_id
    assert (ours.token.customer_id, theirs.token.customer_id) == ("c-1", "c-2")


def test_the_same_employer_has_one_company_id_at_every_provider(customers: Customers) -> None:
    gusto = customers.connect(MAYA, "gusto")
    justworks = customers.connect(MAYA, "justworks")
    assert gusto.token.company_id == justworks.token.company_id == HARBOR_LANE.id
    assert gusto.connection_id != justworks.connection_id
    gusto.sdk.account.disconnect()
    assert not is_alive(gusto)
    assert is_alive(justworks)


def test_another_company_behind_the_same_login_is_another_connection(
    customers: Customers,
) -> None:
    harbor = customers.connect(TALLY, company_id=HARBOR_LANE.id)
    northfold = customers.connect(TALLY, company_id=NORTHFOLD.id)
    assert harbor.connection_id != northfold.connection_id
    northfold.sdk.account.disconnect()
    assert is_alive(harbor)


def test_disconnecting_kills_every_token_of_the_connection_and_no_other(
    customers: Customers, wire: Wire, fake_finch: FinchState
) -> None:
    first, second, other = customers.connect(), customers.connect(), customers.connect(OWEN)
    first.sdk.account.disconnect()
    assert wire.conforms(DisconnectResponse).status == "success"
    assert wire.last.status_code == 200
    assert [is_alive(x) for x in (first, second, other)] == [False, False, True]
    assert not fake_finch.connection(first.connection_id).live


def test_the_sdk_disconnects_with_an_empty_body_that_calls_itself_json(
    customers: Customers, wire: Wire
) -> None:
    customers.connect().sdk.account.disconnect()
    assert wire.sent().body == b""
    assert wire.sent().headers["content-type"] == "application/json"


def test_disconnecting_twice_is_an_invalid_token(customers: Customers) -> None:
    connected = customers.connect()
    connected.sdk.account.disconnect()
    with pytest.raises(finch.AuthenticationError) as caught:
        connected.sdk.account.disconnect()
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["name"] == "invalid_token_error"


def test_an_older_document_ends_all_of_the_employer_at_the_provider_by_switch(
    customers: Customers, fake_finch: FinchState
) -> None:
    fake_finch.switches.disconnect_scope = "employer_provider"
    maya, owen = customers.connect(MAYA), customers.connect(OWEN)
    elsewhere = customers.connect(MAYA, "justworks")
    other_company = customers.connect(TALLY, company_id=NORTHFOLD.id)
    maya.sdk.account.disconnect()
    assert [is_alive(x) for x in (maya, owen, elsewhere, other_company)] == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_ending_each_connection_of_a_company_leaves_its_other_provider_working(
    customers: Customers, chosen: int
) -> None:
    connected = [
        customers.connect(MAYA, products=["company"]),
        customers.connect(MAYA, products=["company", "directory"]),
        customers.connect(OWEN),
    ]
    other_provider = customers.connect(MAYA, "justworks")
    # An application that holds all three tokens begins with the one at hand.
    for held in [connected[chosen], *connected]:
        if is_alive(held):
            held.sdk.account.disconnect()
    assert [is_alive(x) for x in connected] == [False, False, False]
    assert is_alive(other_provider)


def test_after_a_disconnect_the_same_login_makes_a_new_connection(customers: Customers) -> None:
    before = customers.connect(customer_id="c-1")
    before.sdk.account.disconnect()
    after = customers.connect(customer_id="c-1")
    assert after.connection_id != before.connection_id
    assert after.token.company_id == before.token.company_id
    assert not is_alive(before)


def test_a_reauthentication_keeps_the_connection_and_gives_a_new_token(
    customers: Customers, fake_finch: FinchState, wire: Wire
) -> None:
    before = customers.connect(customer_id="c-1")
    fake_finch.set_connection_status(before.connection_id, "reauth")
    after = customers.repair(before.connection_id)
    wire.conforms(CreateAccessTokenResponse)
    changed = {
        name
        for name, value in after.token.to_dict().items()
        if value != before.token.to_dict()[name]
    }
    assert changed == {"access_token"}
    assert after.sdk.account.introspect().connection_status.status == "connected"
    assert is_alive(before)


def test_a_reauthentication_kills_the_old_tokens_by_switch(
    customers: Customers, fake_finch: FinchState
) -> None:
    fake_finch.switches.reauth_kills_old_tokens = True
    before = customers.connect()
    after = customers.repair(before.connection_id)
    assert not is_alive(before)
    assert is_alive(after)


def test_a_login_that_joins_a_connection_kills_the_old_tokens_by_switch(
    customers: Customers, fake_finch: FinchState
) -> None:
    fake_finch.switches.login_kills_old_tokens = True
    before, other = customers.connect(customer_id="c-1"), customers.connect(OWEN)
    after = customers.connect(customer_id="c-2")
    assert after.connection_id == before.connection_id
    assert [is_alive(x) for x in (before, after, other)] == [False, True, True]
    repaired = customers.repair(after.connection_id)
    assert is_alive(after)
    assert is_alive(repaired)


def test_a_reauthentication_by_another_user_stays_the_same_connection(
    customers: Customers,
) -> None:
    before = customers.connect(MAYA)
    after = customers.repair(before.connection_id, OWEN)
    assert after.connection_id == before.connection_id
    assert after.token.account_id != before.token.account_id


def test_a_reauthentication_needs_a_login_that_reaches_the_company(customers: Customers) -> None:
    before = customers.connect(MAYA)
    with pytest.raises(CannotAuthorize, match="does not reach"):
        customers.repair(before.connection_id, DANA)


def test_a_reauthentication_may_end_at_another_company_by_switch(
    customers: Customers, fake_finch: FinchState
) -> None:
    fake_finch.switches.reauth_may_change_company = True
    before = customers.connect(MAYA, customer_id="c-1")
    fake_finch.set_connection_status(before.connection_id, "reauth")
    after = customers.repair(before.connection_id, TALLY, company_id=NORTHFOLD.id)
    assert after.connection_id != before.connection_id
    assert (after.token.company_id, after.token.customer_id) == (NORTHFOLD.id, "c-1")
    assert before.sdk.account.introspect().connection_status.status == "reauth"


def test_a_reauthentication_ends_with_its_connection(
    customers: Customers, sdk: finch.Finch, fake_finch: FinchState
) -> None:
    connected = customers.connect()
    session = sdk.connect.sessions.reauthenticate(
        connection_id=connected.connection_id, redirect_uri=CALLBACK
    )
    code = fake_finch.authorize(session.session_id, login=MAYA).code
    connected.sdk.account.disconnect()
    with pytest.raises(CannotAuthorize, match="disconnected"):
        fake_finch.authorize(session.session_id, login=MAYA)
    with pytest.raises(finch.BadRequestError):
        customers.exchange(code)
    assert fake_finch.live_tokens() == []


def test_a_fresh_login_mends_a_connection_in_reauth(
    customers: Customers, fake_finch: FinchState
) -> None:
    before = customers.connect()
    fake_finch.set_connection_status(before.connection_id, "reauth")
    customers.connect()
    assert before.sdk.account.introspect().connection_status.status == "connected"


def test_a_connection_in_reauth_can_be_disconnected(
    customers: Customers, fake_finch: FinchState
) -> None:
    connected = customers.connect()
    fake_finch.set_connection_status(connected.connection_id, "reauth")
    assert connected.sdk.account.disconnect().status == "success"
    assert not is_alive(connected)


def test_a_connection_in_reauth_refuses_to_be_disconnected_by_switch(
    customers: Customers, fake_finch: FinchState
) -> None:
    fake_finch.switches.disconnect_in_reauth = "reauthenticate_user"
    connected = customers.connect()
    fake_finch.set_connection_status(connected.connection_id, "reauth")
    with pytest.raises(finch.AuthenticationError) as caught:
        connected.sdk.account.disconnect()
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["finch_code"] == "reauthenticate_user"
    assert is_alive(connected)


def test_entities_can_be_taken_off_a_connection_one_by_one(
    customers: Customers, wire: Wire
) -> None:
    connected = customers.connect(DANA, company_id=NORTHFOLD.id)
    gone, *left = connected.token.entity_ids
    connected.sdk.account.disconnect_entity(entity_ids=[gone])
    assert wire.conforms(DisconnectEntityResponse).status == "success"
    assert is_alive(connected)
    entities = connected.sdk.account.introspect().entities or []
    assert {e.id: e.status for e in entities} == {
        gone: "disconnected",
        **dict.fromkeys(left, "connected"),
    }
    with pytest.raises(finch.NotFoundError):
        connected.sdk.hris.company.retrieve(entity_ids=[gone])
    assert connected.sdk.hris.company.retrieve(entity_ids=[left[0]])


def test_a_reauthentication_brings_entities_back_and_removes_none(customers: Customers) -> None:
    connected = customers.connect(DANA, company_id=NORTHFOLD.id)
    connected.sdk.account.disconnect_entity(entity_ids=connected.token.entity_ids[:1])
    repaired = customers.repair(connected.connection_id, DANA)
    assert repaired.token.entity_ids == connected.token.entity_ids


def test_a_reauthentication_may_add_entities(customers: Customers) -> None:
    east = NORTHFOLD.entities[0].name
    narrow = customers.connect(DANA, company_id=NORTHFOLD.id, entities=[east])
    assert len(narrow.token.entity_ids) == 1
    wide = customers.repair(narrow.connection_id, DANA)
    assert wide.token.entity_ids[0] == narrow.token.entity_ids[0]
    assert len(wide.token.entity_ids) == 3


@pytest.mark.parametrize("entity_ids", [[], ["3a3ff2d2-0000-4000-8000-000000000000"]])
def test_entities_to_disconnect_must_be_some_of_the_connections_own(
    customers: Customers, entity_ids: list[str]
) -> None:
    connected = customers.connect(DANA, company_id=NORTHFOLD.id)
    with pytest.raises(finch.BadRequestError):
        connected.sdk.account.disconnect_entity(entity_ids=entity_ids)
    entities = connected.sdk.account.introspect().entities or []
    assert {entity.status for entity in entities} == {"connected"}


def test_two_employers_that_were_made_up_are_two_companies(
    customers: Customers, fake_finch: FinchState
) -> None:
    first, second = fake_finch.add_company("Twin LLC"), fake_finch.add_company("Twin LLC")
    fake_finch.add_login("rippling", "twins@example.com", [first, second])
    one = customers.connect("twins@example.com", "rippling", first)
    two = customers.connect("twins@example.com", "rippling", second)
    assert one.connection_id != two.connection_id
    assert one.token.company_id != two.token.company_id
    assert CEDARLINE.id not in (first, second)
