"""Which tokens belong to the same connection, and the end of a connection."""

import finch
import pytest
from finch.types import CreateAccessTokenResponse, DisconnectEntityResponse, DisconnectResponse

from local.fake_finch import CannotAuthorize, FinchState
from local.fake_finch.seed_world import CEDARLINE, DANA, HARBOR_LANE, MAYA, NORTHFOLD, OWEN, TALLY
from tests.contract.conftest import CALLBACK, Connected, Customers, Wire


def is_live(connected: Connected) -> bool:
    """Whether the token is live. A dead token must give `invalid_token_error`."""
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


def test_same_login_again_gives_another_token_of_the_same_connection(
    customers: Customers,
) -> None:
    first = customers.connect(products=["company"])
    again = customers.connect(products=["directory"])
    assert again.connection_id == first.connection_id
    assert again.token.access_token != first.token.access_token
    assert again.token.account_id == first.token.account_id
    assert again.token.entity_ids == first.token.entity_ids
    assert (first.token.products, again.token.products) == (["company"], ["directory"])
    assert is_live(first)


def test_another_login_creates_another_connection(customers: Customers) -> None:
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
    assert not is_live(maya)


def test_customers_with_the_same_login_share_the_connection(customers: Customers) -> None:
    ours = customers.connect(customer_id="c-1")
    theirs = customers.connect(customer_id="c-2")
    assert ours.connection_id == theirs.connection_id
    assert (ours.token.customer_id, theirs.token.customer_id) == ("c-1", "c-2")


def test_employer_has_the_same_company_id_at_every_provider(customers: Customers) -> None:
    gusto = customers.connect(MAYA, "gusto")
    justworks = customers.connect(MAYA, "justworks")
    assert gusto.token.company_id == justworks.token.company_id == HARBOR_LANE.id
    assert gusto.connection_id != justworks.connection_id
    gusto.sdk.account.disconnect()
    assert not is_live(gusto)
    assert is_live(justworks)


def test_another_company_of_the_same_login_creates_another_connection(
    customers: Customers,
) -> None:
    harbor = customers.connect(TALLY, company_id=HARBOR_LANE.id)
    northfold = customers.connect(TALLY, company_id=NORTHFOLD.id)
    assert harbor.connection_id != northfold.connection_id
    northfold.sdk.account.disconnect()
    assert is_live(harbor)


def test_disconnect_revokes_only_the_tokens_of_the_connection(
    customers: Customers, wire: Wire, fake_finch: FinchState
) -> None:
    first, second, other = customers.connect(), customers.connect(), customers.connect(OWEN)
    first.sdk.account.disconnect()
    assert wire.conforms(DisconnectResponse).status == "success"
    assert wire.last.status_code == 200
    assert [is_live(x) for x in (first, second, other)] == [False, False, True]
    assert not fake_finch.connection(first.connection_id).live


def test_sdk_disconnects_with_an_empty_body_and_a_json_content_type(
    customers: Customers, wire: Wire
) -> None:
    customers.connect().sdk.account.disconnect()
    assert wire.sent().body == b""
    assert wire.sent().headers["content-type"] == "application/json"


def test_second_disconnect_is_an_invalid_token(customers: Customers) -> None:
    connected = customers.connect()
    connected.sdk.account.disconnect()
    with pytest.raises(finch.AuthenticationError) as caught:
        connected.sdk.account.disconnect()
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["name"] == "invalid_token_error"


def test_disconnect_ends_all_connections_of_employer_and_provider_by_switch(
    customers: Customers, fake_finch: FinchState
) -> None:
    fake_finch.switches.disconnect_scope = "employer_provider"
    maya, owen = customers.connect(MAYA), customers.connect(OWEN)
    elsewhere = customers.connect(MAYA, "justworks")
    other_company = customers.connect(TALLY, company_id=NORTHFOLD.id)
    maya.sdk.account.disconnect()
    assert [is_live(x) for x in (maya, owen, elsewhere, other_company)] == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_ending_connections_of_a_company_keeps_its_other_provider(
    customers: Customers, chosen: int
) -> None:
    connected = [
        customers.connect(MAYA, products=["company"]),
        customers.connect(MAYA, products=["company", "directory"]),
        customers.connect(OWEN),
    ]
    other_provider = customers.connect(MAYA, "justworks")
    # An application with all three tokens may start with any of them.
    for each in [connected[chosen], *connected]:
        if is_live(each):
            each.sdk.account.disconnect()
    assert [is_live(x) for x in connected] == [False, False, False]
    assert is_live(other_provider)


def test_same_login_after_a_disconnect_creates_a_new_connection(customers: Customers) -> None:
    before = customers.connect(customer_id="c-1")
    before.sdk.account.disconnect()
    after = customers.connect(customer_id="c-1")
    assert after.connection_id != before.connection_id
    assert after.token.company_id == before.token.company_id
    assert not is_live(before)


def test_reauthentication_keeps_the_connection_and_gives_a_new_token(
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
    assert is_live(before)


def test_reauthentication_revokes_the_old_tokens_by_switch(
    customers: Customers, fake_finch: FinchState
) -> None:
    fake_finch.switches.reauth_kills_old_tokens = True
    before = customers.connect()
    after = customers.repair(before.connection_id)
    assert not is_live(before)
    assert is_live(after)


def test_login_that_joins_a_connection_revokes_the_old_tokens_by_switch(
    customers: Customers, fake_finch: FinchState
) -> None:
    fake_finch.switches.login_kills_old_tokens = True
    before, other = customers.connect(customer_id="c-1"), customers.connect(OWEN)
    after = customers.connect(customer_id="c-2")
    assert after.connection_id == before.connection_id
    assert [is_live(x) for x in (before, after, other)] == [False, True, True]
    repaired = customers.repair(after.connection_id)
    assert is_live(after)
    assert is_live(repaired)


def test_reauthentication_by_another_user_keeps_the_connection(
    customers: Customers,
) -> None:
    before = customers.connect(MAYA)
    after = customers.repair(before.connection_id, OWEN)
    assert after.connection_id == before.connection_id
    assert after.token.account_id != before.token.account_id


def test_reauthentication_requires_a_login_that_reaches_the_company(customers: Customers) -> None:
    before = customers.connect(MAYA)
    with pytest.raises(CannotAuthorize, match="does not reach"):
        customers.repair(before.connection_id, DANA)


def test_reauthentication_may_end_at_another_company_by_switch(
    customers: Customers, fake_finch: FinchState
) -> None:
    fake_finch.switches.reauth_may_change_company = True
    before = customers.connect(MAYA, customer_id="c-1")
    fake_finch.set_connection_status(before.connection_id, "reauth")
    after = customers.repair(before.connection_id, TALLY, company_id=NORTHFOLD.id)
    assert after.connection_id != before.connection_id
    assert (after.token.company_id, after.token.customer_id) == (NORTHFOLD.id, "c-1")
    assert before.sdk.account.introspect().connection_status.status == "reauth"


def test_reauthentication_of_a_disconnected_connection_is_refused(
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


def test_new_login_repairs_a_connection_in_reauth(
    customers: Customers, fake_finch: FinchState
) -> None:
    before = customers.connect()
    fake_finch.set_connection_status(before.connection_id, "reauth")
    customers.connect()
    assert before.sdk.account.introspect().connection_status.status == "connected"


def test_connection_in_reauth_can_be_disconnected(
    customers: Customers, fake_finch: FinchState
) -> None:
    connected = customers.connect()
    fake_finch.set_connection_status(connected.connection_id, "reauth")
    assert connected.sdk.account.disconnect().status == "success"
    assert not is_live(connected)


def test_disconnect_in_reauth_is_refused_by_switch(
    customers: Customers, fake_finch: FinchState
) -> None:
    fake_finch.switches.disconnect_in_reauth = "reauthenticate_user"
    connected = customers.connect()
    fake_finch.set_connection_status(connected.connection_id, "reauth")
    with pytest.raises(finch.AuthenticationError) as caught:
        connected.sdk.account.disconnect()
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["finch_code"] == "reauthenticate_user"
    assert is_live(connected)


def test_single_entities_can_be_disconnected(customers: Customers, wire: Wire) -> None:
    connected = customers.connect(DANA, company_id=NORTHFOLD.id)
    removed, *left = connected.token.entity_ids
    connected.sdk.account.disconnect_entity(entity_ids=[removed])
    assert wire.conforms(DisconnectEntityResponse).status == "success"
    assert is_live(connected)
    entities = connected.sdk.account.introspect().entities or []
    assert {e.id: e.status for e in entities} == {
        removed: "disconnected",
        **dict.fromkeys(left, "connected"),
    }
    with pytest.raises(finch.NotFoundError):
        connected.sdk.hris.company.retrieve(entity_ids=[removed])
    assert connected.sdk.hris.company.retrieve(entity_ids=[left[0]])


def test_reauthentication_reconnects_entities_and_removes_none(customers: Customers) -> None:
    connected = customers.connect(DANA, company_id=NORTHFOLD.id)
    connected.sdk.account.disconnect_entity(entity_ids=connected.token.entity_ids[:1])
    repaired = customers.repair(connected.connection_id, DANA)
    assert repaired.token.entity_ids == connected.token.entity_ids


def test_reauthentication_may_add_entities(customers: Customers) -> None:
    east = NORTHFOLD.entities[0].name
    narrow = customers.connect(DANA, company_id=NORTHFOLD.id, entities=[east])
    assert len(narrow.token.entity_ids) == 1
    wide = customers.repair(narrow.connection_id, DANA)
    assert wide.token.entity_ids[0] == narrow.token.entity_ids[0]
    assert len(wide.token.entity_ids) == 3


@pytest.mark.parametrize("entity_ids", [[], ["3a3ff2d2-0000-4000-8000-000000000000"]])
def test_entities_to_disconnect_must_belong_to_the_connection(
    customers: Customers, entity_ids: list[str]
) -> None:
    connected = customers.connect(DANA, company_id=NORTHFOLD.id)
    with pytest.raises(finch.BadRequestError):
        connected.sdk.account.disconnect_entity(entity_ids=entity_ids)
    entities = connected.sdk.account.introspect().entities or []
    assert {entity.status for entity in entities} == {"connected"}


def test_two_added_employers_with_the_same_name_are_two_companies(
    customers: Customers, fake_finch: FinchState
) -> None:
    first, second = fake_finch.add_company("Twin LLC"), fake_finch.add_company("Twin LLC")
    fake_finch.add_login("rippling", "twins@example.com", [first, second])
    connections = [
        customers.connect("twins@example.com", "rippling", company) for company in (first, second)
    ]
    assert len({connected.connection_id for connected in connections}) == 2
    assert len({connected.token.company_id for connected in connections}) == 2
    assert CEDARLINE.id not in (first, second)


def test_employer_can_end_a_connection_at_the_provider(
    customers: Customers, fake_finch: FinchState
) -> None:
    maya, owen = customers.connect(MAYA), customers.connect(OWEN)
    fake_finch.end(maya.connection_id)
    assert not is_live(maya)
    assert is_live(owen)


def test_disconnect_of_one_connection_fails_by_switch(
    customers: Customers, fake_finch: FinchState
) -> None:
    maya, owen = customers.connect(MAYA), customers.connect(OWEN)
    fake_finch.switches.disconnect_fails_for = maya.connection_id
    with pytest.raises(finch.InternalServerError):
        maya.sdk.account.disconnect()
    assert is_live(maya)
    owen.sdk.account.disconnect()
    assert not is_live(owen)
