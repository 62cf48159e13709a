"""What the product promises, as stories of people; run in process and over HTTP alike."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest

from local.fake_finch.seed_world import (
    CEDARLINE,
    DANA,
    HARBOR_LANE,
    IRIS,
    JUNIPER_VALE,
    MAYA,
    NORTHFOLD,
    OWEN,
    TALLY,
)
from tests.support.deployed import Deployed
from tests.support.person import FinchPage, Person, connection_path, without_state

CONNECTED = {"status": "connected", "provider_id": "gusto", "company_id": HARBOR_LANE.id}


def exchanges(deployed: Deployed) -> int:
    return deployed.finch.requests.count("POST", "/auth/token")


def live(deployed: Deployed) -> int:
    return len(deployed.finch.live_tokens())


# The main job


def test_a_person_connects_sees_the_connection_and_disconnects(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    landing = acme.connect()
    assert landing.page == deployed.return_urls[0]
    assert landing.outcome == CONNECTED
    assert acme.browser.cookies.keys() == {"__Host-finch-connect-last"}
    [shown] = acme.connections()
    assert shown == acme.connection()
    assert (shown["status"], shown["company_id"]) == ("connected", HARBOR_LANE.id)
    [login] = shown["logins"]
    [token] = deployed.finch.live_tokens()
    assert login["id"] == token.id
    assert login["connection_id"] == token.connection_id
    assert acme.disconnect().status == 200
    assert [one["status"] for one in acme.connections()] == ["disconnected"]
    assert live(deployed) == 0


def test_products_are_shown_as_granted_not_as_asked_for(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    link = acme.link(products=["company", "directory", "employment"])
    acme.go_through(link, products=["company"])
    assert acme.connection()["logins"][0]["products"] == ["company"]


def test_no_token_lies_readable_in_any_table(deployed: Deployed) -> None:
    acme, other_site = Person(deployed, "acme"), Person(deployed, "globex", same_site=False)
    acme.connect()
    other_site.connect(provider_id="justworks", login=MAYA)
    tables = deployed.tables
    kept = repr(
        [tables.items(one) for one in (tables.connections, tables.sessions, tables.ownerships)]
    )
    for token in deployed.finch.live_tokens():
        assert token.access_token not in kept
    for cookie in (acme.browser.cookies | other_site.browser.cookies).values():
        assert cookie not in kept


# The three cases that define a connection


def test_multi_account_is_one_connection_whose_disconnect_ends_every_token(
    deployed: Deployed,
) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=MAYA)
    acme.connect(login=OWEN)
    [shown] = acme.connections()
    assert len(shown["logins"]) == 2
    assert live(deployed) == 2
    assert acme.disconnect().status == 200
    assert live(deployed) == 0


def test_multi_provider_is_two_connections_that_end_apart(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    acme.connect(provider_id="gusto")
    acme.connect(provider_id="justworks")
    assert [one["provider_id"] for one in acme.connections()] == ["gusto", "justworks"]
    assert acme.disconnect("gusto").status == 200
    assert acme.connection("gusto")["status"] == "disconnected"
    assert acme.connection("justworks")["status"] == "connected"
    [left] = deployed.finch.live_tokens()
    assert deployed.finch.connection(left.connection_id).provider_id == "justworks"


def test_multi_entity_is_two_connections_that_end_apart(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=TALLY, company_id=HARBOR_LANE.id)
    acme.connect(login=TALLY, company_id=JUNIPER_VALE.id)
    assert {one["company_id"] for one in acme.connections()} == {HARBOR_LANE.id, JUNIPER_VALE.id}
    assert acme.disconnect(company_id=JUNIPER_VALE.id).status == 200
    assert acme.connection(company_id=JUNIPER_VALE.id)["status"] == "disconnected"
    assert acme.connection(company_id=HARBOR_LANE.id)["status"] == "connected"
    [left] = deployed.finch.live_tokens()
    assert deployed.finch.connection(left.connection_id).company_id == HARBOR_LANE.id


def test_one_connection_with_several_entities_shows_them(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=TALLY, company_id=NORTHFOLD.id)
    [shown] = acme.connections()
    assert len(shown["logins"][0]["entity_ids"]) == 3


@pytest.mark.parametrize("same_connection", [False, True])
def test_the_story_of_four_connects(deployed: Deployed, same_connection: bool) -> None:
    deployed.finch.switches.other_login_same_connection = same_connection
    acme = Person(deployed, "acme")
    acme.connect(login=MAYA, products=["company", "directory"])
    acme.connect(login=MAYA, products=["employment"])
    acme.connect(login=OWEN, products=["company"])
    first_three = {token.id for token in deployed.finch.live_tokens()}
    acme.connect(provider_id="justworks", login=MAYA)
    gusto, justworks = acme.connections()
    assert {login["id"] for login in gusto["logins"]} == first_three
    assert len(first_three) == 3
    assert len({login["connection_id"] for login in gusto["logins"]}) == (
        1 if same_connection else 2
    )
    assert acme.disconnect("gusto").status == 200
    [left] = deployed.finch.live_tokens()
    assert left.id == justworks["logins"][0]["id"]
    assert acme.connection("justworks")["status"] == "connected"


def test_the_same_login_with_the_same_products_again_replaces_its_token(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    acme.connect()
    [shown] = acme.connections()
    [login] = shown["logins"]
    newest = max(deployed.finch.tokens(), key=lambda token: token.created_at)
    assert login["id"] == newest.id
    assert deployed.finch.requests.count("POST", "/disconnect") == 0
    assert acme.disconnect().status == 200
    assert live(deployed) == 0


def test_a_connection_can_be_made_again_after_it_was_disconnected(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    [before] = acme.connection()["logins"]
    acme.disconnect()
    assert acme.connect().outcome == CONNECTED
    [after] = acme.connection()["logins"]
    assert after["connection_id"] != before["connection_id"]
    assert acme.connection()["status"] == "connected"
    assert acme.disconnect().status == 200
    assert live(deployed) == 0


def test_a_customer_with_connections_gets_the_next_free_name_at_finch(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    for company in (HARBOR_LANE, JUNIPER_VALE, NORTHFOLD):
        acme.connect(login=TALLY, company_id=company.id)
    calls = deployed.finch.requests.count("POST", "/connect/sessions")
    acme.connect(provider_id="justworks", login=TALLY, company_id=CEDARLINE.id)
    names = [one.customer.id for one in deployed.finch.connections() if one.customer]
    assert names == ["acme", "acme~2", "acme~3", "acme~4"]
    assert deployed.finch.requests.count("POST", "/connect/sessions") - calls == 2


@pytest.mark.parametrize(("token", "introspect"), [("absent", "present"), ("present", "absent")])
def test_a_company_id_that_finch_names_only_once_is_enough(
    deployed: Deployed, token: str, introspect: str
) -> None:
    deployed.finch.change_switches(token_company_id=token, introspect_company_id=introspect)
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    assert acme.connect(login=MAYA).outcome == CONNECTED
    assert acme.connect(login=OWEN).outcome == CONNECTED
    assert len(acme.connection()["logins"]) == 2
    assert globex.connect(login=TALLY).outcome == {"error": "cannot_connect"}


@pytest.mark.parametrize("absent", ["null", "absent"])
def test_without_a_company_id_the_connection_id_stands_in(deployed: Deployed, absent: str) -> None:
    deployed.finch.change_switches(token_company_id=absent, introspect_company_id=absent)
    acme = Person(deployed, "acme")
    landing = acme.connect()
    [token] = deployed.finch.live_tokens()
    assert landing.outcome["company_id"] == token.connection_id
    deployed.finch.change_switches(token_company_id="present", introspect_company_id="present")
    again = acme.connect(products=["employment"])
    assert again.outcome["company_id"] == token.connection_id
    [shown] = acme.connections()
    assert len(shown["logins"]) == 2
    assert acme.disconnect(company_id=token.connection_id).status == 200
    assert live(deployed) == 0


# Two customers


def test_two_customers_cannot_see_or_end_each_others_connections(deployed: Deployed) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect()
    globex.connect(provider_id="justworks")
    assert [one["provider_id"] for one in acme.connections()] == ["gusto"]
    assert [one["provider_id"] for one in globex.connections()] == ["justworks"]
    for method in ("GET", "DELETE"):
        theirs = globex.call(method, connection_path("gusto", HARBOR_LANE.id))
        nobodys = globex.call(method, connection_path("gusto", "nobodys"))
        assert (theirs.status, theirs.code) == (nobodys.status, nobodys.code)
        assert theirs.code == "connection_not_found"
    assert live(deployed) == 2


def test_a_cursor_of_one_customer_shows_another_only_their_own(deployed: Deployed) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect(provider_id="adp_run", login=OWEN)
    acme.connect(provider_id="gusto")
    globex.connect(provider_id="justworks")
    cursor = acme.call("GET", "/connections?limit=1").json["next_cursor"]
    shown = globex.call("GET", f"/connections?cursor={cursor}").json["connections"]
    assert [one["provider_id"] for one in shown] == ["justworks"]


def test_a_company_that_another_customer_holds_is_refused_and_they_keep_it(
    deployed: Deployed,
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect()
    before = acme.connection()
    landing = globex.connect()
    assert landing.outcome == {"error": "cannot_connect"}
    assert landing.completion is None
    assert globex.connections() == []
    assert acme.connection() == before
    [held] = [one for one in deployed.tables.all_sessions() if one["phase"]["S"] == "held"]
    assert "escrow" in held
    assert "ttl" not in held
    assert live(deployed) == 2


def test_the_holder_may_disconnect_and_then_another_customer_may_connect(
    deployed: Deployed,
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect()
    acme.disconnect()
    assert globex.connect().outcome == CONNECTED
    assert acme.connection()["status"] == "disconnected"
    assert deployed.tables.items(deployed.tables.ownerships)[0]["customer_id"]["S"] == "globex"


# Whose browser it is


def test_who_is_lured_through_anothers_link_is_attached_to_nobody(deployed: Deployed) -> None:
    attacker, victim = Person(deployed, "acme"), Person(deployed, "globex")
    landing = victim.go_through(attacker.link())
    assert landing.outcome["status"] == "confirm"
    assert landing.completion is not None
    refused = victim.confirm(landing.completion)
    assert (refused.status, refused.code) == (404, "session_not_found")
    assert attacker.connections() == []
    assert victim.connections() == []


def test_the_attacker_cannot_confirm_without_the_completion_code(deployed: Deployed) -> None:
    attacker, victim = Person(deployed, "acme"), Person(deployed, "globex")
    landing = victim.go_through(attacker.link())
    assert landing.completion is not None
    session, _, mac = landing.completion.partition(".")
    for forged in (session, f"{session}.", f"{session}.{'0' * 64}", f"{'0' * 64}.{mac}", "", "."):
        refused = attacker.confirm(forged)
        assert (refused.status, refused.code) == (404, "session_not_found")
    assert attacker.connections() == []


def test_an_attackers_code_in_a_victims_browser_is_kept_from_the_victim(deployed: Deployed) -> None:
    attacker, victim = Person(deployed, "acme"), Person(deployed, "globex")
    planted = without_state(attacker.log_in(attacker.click(attacker.link())))
    victim.click(victim.link())
    landing = victim.come_back(planted)
    assert landing.outcome == {"error": "cannot_connect"}
    assert victim.connections() == []
    assert attacker.connections() == []


def test_an_attackers_callback_with_its_own_state_attaches_nothing_to_a_victim(
    deployed: Deployed,
) -> None:
    attacker, victim = Person(deployed, "acme"), Person(deployed, "globex")
    planted = attacker.log_in(attacker.click(attacker.link()))
    victim.click(victim.link())
    landing = victim.come_back(planted)
    assert landing.outcome["status"] == "confirm"
    assert landing.completion is not None
    assert victim.confirm(landing.completion).code == "session_not_found"
    assert victim.connections() == []


@pytest.mark.parametrize("state", [True, False], ids=["state", "no state"])
@pytest.mark.parametrize("customer", ["present", "absent"])
@pytest.mark.parametrize("bound", [True, False], ids=["bound", "unbound"])
def test_cookie_state_and_customer_decide_together(
    deployed: Deployed, state: bool, customer: str, bound: bool
) -> None:
    """The echoed state or Finch's customer id must tie the code to the session; the cookie binds."""
    deployed.finch.change_switches(token_customer_id=customer, introspect_customer_id=customer)
    acme = Person(deployed, "acme", same_site=bound)
    url = acme.log_in(acme.click(acme.link()))
    landing = acme.come_back(url if state else without_state(url))
    if not state and customer == "absent":
        assert landing.outcome == {"error": "cannot_connect"}
        assert acme.connections() == []
    elif bound:
        assert landing.outcome == CONNECTED
        assert len(acme.connections()) == 1
    else:
        assert landing.outcome == CONNECTED | {"status": "confirm"}
        assert acme.connections() == []
        assert landing.completion is not None
        assert acme.confirm(landing.completion).json["status"] == "connected"
        assert len(acme.connections()) == 1


def test_a_finch_that_names_another_customer_is_not_believed(deployed: Deployed) -> None:
    deployed.finch.switches.introspect_customer_id_override = "globex"
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    assert acme.connect().outcome == {"error": "cannot_connect"}
    assert acme.connections() == globex.connections() == []


def test_a_token_of_another_application_is_not_attached(deployed: Deployed) -> None:
    deployed.finch.switches.introspect_client_id_override = "somebody-else"
    acme = Person(deployed, "acme")
    assert acme.connect().outcome == {"error": "cannot_connect"}
    assert acme.connections() == []


def test_a_confirmation_by_two_clicks_ends_the_same_and_changes_nothing(deployed: Deployed) -> None:
    acme = Person(deployed, "acme", same_site=False)
    landing = acme.connect()
    assert landing.completion is not None
    first, second = acme.confirm(landing.completion), acme.confirm(landing.completion)
    assert (first.status, first.json) == (200, CONNECTED)
    assert second.json == first.json
    [shown] = acme.connections()
    assert len(shown["logins"]) == 1


def test_a_stranger_without_any_session_is_sent_to_the_application(deployed: Deployed) -> None:
    stranger = Person(deployed, "acme")
    for query in ("code=c&state=" + "A" * 43, "code=c&state=short", "code=c", "state=", ""):
        landing = stranger.come_back(f"/callback?{query}")
        assert landing.page == deployed.return_urls[0]
        assert landing.outcome == {"error": "session_not_found"}
    assert exchanges(deployed) == 0


def test_two_sessions_in_one_browser_end_apart(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    first, second = acme.click(acme.link()), acme.click(acme.link())
    back_first = acme.log_in(first, provider_id="gusto")
    back_second = acme.log_in(second, provider_id="justworks")
    assert acme.come_back(back_second).outcome["provider_id"] == "justworks"
    assert acme.come_back(back_first).outcome["provider_id"] == "gusto"
    assert len(acme.connections()) == 2


# The embedded flow


def embedded(deployed: Deployed, person: Person) -> tuple[str, str]:
    """A code from Finch's SDK, and the state of the session it belongs to."""
    started = person.start(mode="embedded").json
    page = FinchPage(started["session_id"], started["state"])
    authorized = deployed.finch.authorize(
        page.session_id, provider_id="gusto", login=MAYA, company_id=HARBOR_LANE.id
    )
    assert authorized.redirect_to is None
    return authorized.code, page.state


@pytest.mark.parametrize("same_site", [True, False])
def test_the_embedded_flow_connects(deployed: Deployed, same_site: bool) -> None:
    acme = Person(deployed, "acme", same_site=same_site)
    code, state = embedded(deployed, acme)
    done = acme.call("POST", "/callback", {"code": code, "state": state})
    assert (done.status, done.json) == (200, CONNECTED)
    again = acme.call("POST", "/callback", {"code": code, "state": state})
    assert again.json == done.json
    assert exchanges(deployed) == 1
    assert len(acme.connections()) == 1


def test_anothers_embedded_session_does_not_exist(deployed: Deployed) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    code, state = embedded(deployed, acme)
    refused = globex.call("POST", "/callback", {"code": code, "state": state})
    assert (refused.status, refused.code) == (404, "session_not_found")
    assert exchanges(deployed) == 0


def test_each_flow_refuses_the_others_sessions(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    code, state = embedded(deployed, acme)
    query = urlencode({"code": code, "state": state})
    assert acme.come_back(f"/callback?{query}").outcome == {"error": "session_not_found"}
    page = acme.click(acme.link())
    refused = acme.call("POST", "/callback", {"code": code, "state": page.state})
    assert refused.code == "session_not_found"
    assert exchanges(deployed) == 0


# What can go wrong on the way


def test_a_return_to_that_is_not_configured_is_refused(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    allowed = deployed.return_urls[0]
    host = urlsplit(allowed).netloc
    for return_to in (
        "https://evil.example.com/",
        allowed + "x",
        allowed + "?next=https://evil.example.com",
        allowed.rstrip("/") + "@evil.example.com",
        f"//{host}/",
        allowed.upper(),
        "javascript:alert(1)",
        "",
        None,
    ):
        refused = acme.start(return_to=return_to)
        assert (refused.status, refused.code) == (400, "return_to_not_allowed"), return_to
    assert deployed.tables.all_sessions() == []


def test_the_browser_returns_to_the_page_that_was_asked_for(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    reply = acme.browser.navigate(
        acme.log_in(acme.click(acme.link(return_to=deployed.return_urls[1])))
    )
    joint = "&" if "?" in deployed.return_urls[1] else "?"
    assert reply.headers["location"].startswith(
        deployed.return_urls[1] + joint + "status=connected&"
    )


def test_a_second_code_on_a_used_session_is_refused(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    page = acme.click(acme.link())
    first, second = acme.log_in(page), acme.log_in(page, login=OWEN)
    assert acme.come_back(first).outcome == CONNECTED
    assert acme.come_back(second).outcome == {"error": "session_used"}
    assert exchanges(deployed) == 1
    assert len(acme.connection()["logins"]) == 1


def test_a_used_link_cannot_be_used_again(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    link = acme.link()
    acme.go_through(link)
    assert acme.come_back(link).outcome == {"error": "session_used"}


def test_a_second_click_reuses_the_session_at_finch_while_it_lives(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    link = acme.link()
    first, second = acme.click(link), acme.click(link)
    assert first == second
    deployed.tables.age_sessions(timedelta(hours=1))
    third = acme.click(link)
    assert third.session_id != first.session_id
    assert acme.come_back(acme.log_in(third)).outcome == CONNECTED


def test_a_link_is_good_for_days_and_then_refused(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    link = acme.link()
    deployed.tables.age_sessions(timedelta(days=6, hours=23))
    page = acme.click(link)
    deployed.tables.age_sessions(timedelta(hours=1))
    assert acme.come_back(link).outcome == {"error": "session_expired"}
    assert acme.come_back(acme.log_in(page)).outcome == CONNECTED


def test_an_expired_session_is_refused_and_its_code_is_not_exchanged(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.tables.age_sessions(timedelta(days=8))
    assert acme.come_back(url).outcome == {"error": "session_expired"}
    assert exchanges(deployed) == 0
    assert acme.connections() == []


def test_a_refused_consent_comes_back_and_the_person_may_change_their_mind(
    deployed: Deployed,
) -> None:
    acme = Person(deployed, "acme")
    page = acme.click(acme.link())
    refusal = deployed.finch.refuse(page.session_id, state=page.state)
    assert refusal is not None
    assert acme.come_back(refusal).outcome == {"error": "access_denied"}
    assert acme.connections() == []
    assert acme.come_back(acme.log_in(page)).outcome == CONNECTED


def test_an_error_of_finch_connect_is_not_repeated_to_the_page(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    page = acme.click(acme.link())
    query = urlencode({"state": page.state, "error": "<script>", "error_description": "secret"})
    assert acme.come_back(f"/callback?{query}").outcome == {"error": "finch_refused"}


def test_a_code_that_finch_rejects_leaves_the_session_to_the_true_one(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    page = acme.click(acme.link())
    wrong = f"/callback?{urlencode({'code': 'made-up', 'state': page.state})}"
    assert acme.come_back(wrong).outcome == {"error": "code_rejected"}
    assert acme.come_back(wrong).outcome == {"error": "code_rejected"}
    assert exchanges(deployed) == 1
    assert acme.come_back(acme.log_in(page)).outcome == CONNECTED


@pytest.mark.parametrize("state", [True, False], ids=["state", "no state"])
def test_a_page_that_sends_wrong_codes_here_does_not_end_the_session(
    deployed: Deployed, state: bool
) -> None:
    acme = Person(deployed, "acme")
    page = acme.click(acme.link())
    for n in range(10):
        junk = f"/callback?{urlencode({'code': f'made-up-{n}'})}"
        assert acme.come_back(junk).outcome == {"error": "code_rejected"}
        assert acme.come_back(junk).outcome == {"error": "code_rejected"}
    assert exchanges(deployed) == 10
    true = acme.log_in(page)
    assert acme.come_back(true if state else without_state(true)).outcome == CONNECTED


def test_a_code_is_exchanged_once_whatever_session_it_is_brought_to(deployed: Deployed) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    used = acme.log_in(acme.click(acme.link()))
    assert acme.come_back(without_state(used)).outcome == CONNECTED
    code = dict(parse_qsl(urlsplit(used).query))["code"]
    page = acme.click(acme.link())
    # Without a state the code finds its own session, whichever link was clicked last.
    assert acme.come_back(without_state(used)).outcome == CONNECTED
    for person, other in ((acme, page), (globex, globex.click(globex.link()))):
        elsewhere = f"/callback?{urlencode({'code': code, 'state': other.state})}"
        assert person.come_back(elsewhere).outcome == {"error": "code_rejected"}
        login = person.log_in(
            other,
            provider_id="justworks" if person is acme else "adp_run",
            login=MAYA if person is acme else OWEN,
        )
        assert person.come_back(login).outcome["status"] == "connected"
    assert exchanges(deployed) == 3


def test_a_reload_of_the_callback_gives_the_first_outcome(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    first = acme.come_back(url)
    assert acme.come_back(url) == first
    deployed.tables.age_sessions(timedelta(days=20))
    assert acme.come_back(url) == first
    assert exchanges(deployed) == 1
    assert len(acme.connection()["logins"]) == 1


def test_a_reload_that_waits_for_confirmation_gives_the_same_completion_code(
    deployed: Deployed,
) -> None:
    acme = Person(deployed, "acme", same_site=False)
    url = acme.log_in(acme.click(acme.link()))
    first = acme.come_back(url)
    assert first.completion is not None
    assert acme.come_back(url) == first
    assert exchanges(deployed) == 1


# Finch slow, down, lying


def test_finch_down_at_the_click_sends_the_person_back_and_the_link_stays_good(
    deployed: Deployed,
) -> None:
    acme = Person(deployed, "acme")
    link = acme.link()
    deployed.finch.faults.add("POST", "/connect/sessions", status=503)
    assert acme.come_back(link).outcome == {"error": "finch_unavailable"}
    assert acme.go_through(link).outcome == CONNECTED


def test_products_that_finch_refuses_send_the_person_back(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    link = acme.link()
    deployed.finch.faults.add("POST", "/connect/sessions", error="bad_request")
    assert acme.come_back(link).outcome == {"error": "finch_refused"}


@pytest.mark.parametrize(
    "fault",
    [{"error": "rate_limit_exceeded_error"}, {"error": "payment_required"}],
    ids=["limited", "unpaid"],
)
def test_an_exchange_that_did_not_happen_can_be_run_again(
    deployed: Deployed, fault: dict[str, Any]
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.finch.faults.add("POST", "/auth/token", **fault)
    assert acme.come_back(url).outcome["error"].startswith("finch_")
    assert acme.connections() == []
    assert acme.come_back(url).outcome == CONNECTED


@pytest.mark.parametrize(
    "fault",
    [
        {"drop": "after_effect"},
        {"status": 500, "when": "after"},
        {"nonsense": "not json", "when": "after"},
        {"nonsense": "null", "when": "after"},
        {"nonsense": "truncated json", "when": "after"},
    ],
    ids=str,
)
def test_an_exchange_whose_answer_was_lost_says_so_and_is_never_run_again(
    deployed: Deployed, fault: dict[str, Any]
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.finch.faults.add("POST", "/auth/token", **fault)
    assert acme.come_back(url).outcome == {"error": "exchange_uncertain"}
    assert acme.come_back(url).outcome == {"error": "exchange_uncertain"}
    assert exchanges(deployed) == 1
    assert acme.connections() == []
    [session] = deployed.tables.all_sessions()
    assert session["phase"]["S"] == "uncertain"
    assert "ttl" not in session
    assert "due_at" in session


@pytest.mark.parametrize(
    "edit",
    [
        {"entity_ids": ["é" * 250] * 900},
        {"entity_ids": [str(n) for n in range(2000)]},
        {"products": ["x" * 300]},
        {"company_id": {"a": 1}},
    ],
    ids=["bytes", "many", "long", "object"],
)
def test_a_token_beside_whatever_else_finch_sends_is_kept(
    deployed: Deployed, edit: dict[str, Any]
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.finch.faults.add("POST", "/auth/token", edit={"set": edit})
    assert acme.come_back(url).outcome == {"error": "cannot_connect"}
    [session] = deployed.tables.all_sessions()
    assert "escrow" in session
    assert session["phase"]["S"] == "held"
    assert acme.browser.cookies.keys() == {"__Host-finch-connect-last"}


@pytest.mark.parametrize("token", ["x" * 5000, "é", "", "a b", 7])
def test_what_cannot_be_a_token_leaves_the_exchange_uncertain(
    deployed: Deployed, token: object
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    edit = {"set": {"access_token": token if isinstance(token, str) else None}}
    deployed.finch.faults.add("POST", "/auth/token", edit=edit)
    assert acme.come_back(url).outcome == {"error": "exchange_uncertain"}
    assert acme.come_back(url).outcome == {"error": "exchange_uncertain"}
    assert exchanges(deployed) == 1


@pytest.mark.parametrize("remove", ["provider_id", "connection_id"])
def test_a_token_in_an_answer_that_cannot_be_read_is_kept(deployed: Deployed, remove: str) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.finch.faults.add("POST", "/auth/token", edit={"remove": [remove]})
    assert acme.come_back(url).outcome == {"error": "cannot_connect"}
    [session] = deployed.tables.all_sessions()
    assert session["phase"]["S"] == "held"
    assert "escrow" in session


@pytest.mark.parametrize("name", ["company_id", "connection_id", "provider_id", "account_id"])
@pytest.mark.parametrize("hostile", ["a#b", "a/b", "a b", "ü", "x" * 201])
def test_ids_that_could_be_mistaken_for_others_are_refused(
    deployed: Deployed, name: str, hostile: str
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    for path in ("/auth/token", "/introspect"):
        deployed.finch.faults.add("*", path, edit={"set": {name: hostile}})
    assert acme.come_back(url).outcome == {"error": "cannot_connect"}
    assert acme.connections() == []
    assert live(deployed) == 1


def pending_faults() -> list[dict[str, Any]]:
    return [
        {"status": "503"},
        {"drop": "before_effect"},
        {"nonsense": "array"},
        {"error": "authentication_error", "finch_code": "reauthenticate_user"},
    ]


@pytest.mark.parametrize("fault", pending_faults(), ids=str)
def test_a_token_that_cannot_be_asked_about_now_is_kept_and_finished_later(
    deployed: Deployed, fault: dict[str, Any]
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.finch.faults.add("GET", "/introspect", times=2, **fault)
    landing = acme.come_back(url)
    assert landing.outcome == CONNECTED | {"status": "pending"}
    assert landing.completion is not None
    assert acme.confirm(landing.completion).status == 202
    assert acme.connections() == []
    assert acme.confirm(landing.completion).json == CONNECTED
    assert exchanges(deployed) == 1


def test_a_reload_finishes_what_was_pending(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.finch.faults.add("GET", "/introspect", status=500)
    assert acme.come_back(url).outcome["status"] == "pending"
    assert acme.come_back(url).outcome == CONNECTED
    assert exchanges(deployed) == 1


def test_a_token_that_died_before_it_was_attached_says_so(deployed: Deployed) -> None:
    acme = Person(deployed, "acme", same_site=False)
    url = acme.log_in(acme.click(acme.link()))
    landing = acme.come_back(url)
    assert landing.completion is not None
    [token] = deployed.finch.live_tokens()
    deployed.finch.disconnect(token.access_token)
    refused = acme.confirm(landing.completion)
    assert (refused.status, refused.code) == (410, "connection_ended")
    assert acme.come_back(url).outcome == {"error": "connection_ended"}
    assert acme.connections() == []


def test_a_secret_that_cannot_be_read_costs_no_code(deployed: Deployed) -> None:
    """The codes that wait for the secret are exchanged when it can be read again."""
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    kept = deployed.secrets.get_secret_value(SecretId=deployed.secret_arn)["SecretString"]
    deployed.finch.faults.add("POST", "/auth/token", error="invalid_client_error")
    deployed.secrets.put_secret_value(SecretId=deployed.secret_arn, SecretString="not json")
    try:
        assert acme.come_back(url).outcome == {"error": "finch_misconfigured"}
    finally:
        deployed.secrets.put_secret_value(SecretId=deployed.secret_arn, SecretString=kept)
    assert acme.come_back(url).outcome == CONNECTED


@pytest.mark.parametrize("name", ["invalid_grant", "invalid_grant: code expired"])
def test_a_rejected_code_is_known_by_the_names_seen_in_the_wild(
    deployed: Deployed, name: str
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    body = {"statusCode": 400, "status": 400, "code": 400, "name": name, "message": "Invalid grant"}
    deployed.finch.faults.add("POST", "/auth/token", status=400, body=body)
    assert acme.come_back(url).outcome == {"error": "code_rejected"}


def test_names_taken_by_attempts_that_never_ended_do_not_stop_the_next(deployed: Deployed) -> None:
    elsewhere, acme = Person(deployed, "acme", same_site=False), Person(deployed, "acme")
    companies = ((MAYA, HARBOR_LANE), (IRIS, JUNIPER_VALE), (DANA, NORTHFOLD), (TALLY, HARBOR_LANE))
    for login, company in companies:
        landing = elsewhere.connect(login=login, company_id=company.id)
        assert landing.outcome["status"] == "confirm"
    calls = deployed.finch.requests.count("POST", "/connect/sessions")
    assert acme.connect(provider_id="justworks").outcome["status"] == "connected"
    assert deployed.finch.requests.count("POST", "/connect/sessions") - calls == 3


def test_a_status_that_no_document_lists_is_unknown_with_finchs_word(deployed: Deployed) -> None:
    deployed.finch.change_switches(introspect_status_override="error_reauth", extra_fields=True)
    acme = Person(deployed, "acme")
    acme.connect()
    shown = acme.connection()
    assert shown["status"] == "unknown"
    assert shown["logins"][0]["status_detail"] == "error_reauth"


def test_a_changed_client_secret_is_read_again_and_nothing_is_lost(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    kept = deployed.secrets.get_secret_value(SecretId=deployed.secret_arn)["SecretString"]
    old = deployed.finch.application.client_secret
    try:
        deployed.finch.replace_application(client_secret="rotated")
        deployed.secrets.put_secret_value(
            SecretId=deployed.secret_arn, SecretString=kept.replace(old, "rotated")
        )
        assert acme.connect(provider_id="justworks").outcome["status"] == "connected"
    finally:
        deployed.finch.replace_application(client_secret=old)
        deployed.secrets.put_secret_value(SecretId=deployed.secret_arn, SecretString=kept)


def test_a_secret_of_the_wrong_shape_says_so(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    kept = deployed.secrets.get_secret_value(SecretId=deployed.secret_arn)["SecretString"]
    link = acme.link()
    deployed.finch.faults.add("POST", "/connect/sessions", times=3, error="invalid_client_error")
    try:
        for wrong in ('{"client_id": "x", "client_secret": null}', '{"client_id": ""}', "[]"):
            deployed.secrets.put_secret_value(SecretId=deployed.secret_arn, SecretString=wrong)
            assert acme.come_back(link).outcome == {"error": "finch_misconfigured"}
    finally:
        deployed.secrets.put_secret_value(SecretId=deployed.secret_arn, SecretString=kept)
    deployed.finch.faults.clear()
    assert acme.go_through(link).outcome == CONNECTED


def test_wrong_credentials_of_ours_change_nothing_and_say_so(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.finch.faults.add("POST", "/auth/token", times=None, error="invalid_client_error")
    assert acme.come_back(url).outcome == {"error": "finch_misconfigured"}
    assert acme.connections() == []
    deployed.finch.faults.clear()
    assert acme.come_back(url).outcome == CONNECTED


# Disconnecting


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"drop": "before_effect"},
        {"error": "rate_limit_exceeded_error"},
        {"error": "authentication_error", "finch_code": "reauthenticate_user"},
        {"error": "invalid_client_error"},
        {"nonsense": "not json"},
        {"nonsense": "array"},
        {"status": 200, "body": {"status": "queued"}},
    ],
    ids=str,
)
def test_what_finch_has_not_confirmed_is_not_called_disconnected(
    deployed: Deployed, fault: dict[str, Any]
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add("POST", "/disconnect", **fault)
    reply = acme.disconnect()
    assert (reply.status, reply.json["status"]) == (202, "disconnecting")
    assert live(deployed) == 1
    assert acme.connection()["status"] == "disconnecting"
    assert len(acme.connection()["logins"]) == 1
    assert acme.disconnect().json["status"] == "disconnected"
    assert live(deployed) == 0


def test_a_disconnect_whose_answer_was_lost_ends_at_the_second_try(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    acme.connect(products=["company"])
    acme.connect(products=["directory"])
    deployed.finch.faults.add("POST", "/disconnect", drop="after_effect")
    assert acme.disconnect().status == 202
    calls = deployed.finch.requests.count("POST", "/disconnect")
    assert acme.disconnect().json["status"] == "disconnected"
    # A dead token counts only when every token of its connection was tried.
    assert deployed.finch.requests.count("POST", "/disconnect") - calls == 2


def test_one_unconfirmed_login_keeps_the_whole_connection(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=MAYA)
    acme.connect(login=OWEN)
    deployed.finch.faults.add("POST", "/disconnect", status=500)
    assert acme.disconnect().status == 202
    assert len(acme.connection()["logins"]) == 2
    assert acme.disconnect().status == 200
    assert live(deployed) == 0


def test_a_limited_finch_is_asked_once_and_not_for_every_login(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=MAYA)
    acme.connect(login=OWEN)
    deployed.finch.faults.add("POST", "/disconnect", times=None, error="rate_limit_exceeded_error")
    assert acme.disconnect().status == 202
    assert deployed.finch.requests.count("POST", "/disconnect") == 1
    deployed.finch.faults.clear()
    assert acme.disconnect().status == 200


def test_disconnecting_twice_answers_the_same(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    first = acme.disconnect()
    second = acme.disconnect()
    assert first.status == second.status == 200
    assert first.json == second.json
    assert deployed.finch.requests.count("POST", "/disconnect") == 1


def test_a_connect_during_a_disconnect_waits_and_is_finished_after_it(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=MAYA)
    deployed.finch.faults.add("POST", "/disconnect", status=500)
    acme.disconnect()
    landing = acme.connect(login=OWEN)
    assert landing.outcome["status"] == "pending"
    assert landing.completion is not None
    assert acme.disconnect().status == 200
    assert acme.confirm(landing.completion).json == CONNECTED
    [login] = acme.connection()["logins"]
    assert [token.id for token in deployed.finch.live_tokens()] == [login["id"]]


# Listing


def test_a_listing_is_paged_and_filtered(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    assert acme.call("GET", "/connections").json == {"connections": [], "next_cursor": None}
    acme.connect(provider_id="adp_run", login=OWEN)
    acme.connect(provider_id="gusto")
    acme.connect(provider_id="justworks")
    acme.disconnect("gusto")
    assert [one["provider_id"] for one in acme.connections(limit=1)] == [
        "adp_run",
        "gusto",
        "justworks",
    ]
    assert [one["provider_id"] for one in acme.connections(status="disconnected")] == ["gusto"]
    chosen = acme.connections(status="connected,reauth", limit=1)
    assert [one["provider_id"] for one in chosen] == ["adp_run", "justworks"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=ten",
        "limit=1.5",
        "limit=%D9%A3",
        "limit=",
        "limit=99999",
        "limit=00010",
        "limit=0001" + "9" * 4400,
        "status=lost",
        "status=",
        "status=connected,",
        "status=Connected",
        "cursor=x",
        "cursor=%00",
        "cursor=Z3VzdG8",
        "cursor=Z3VzdG8jYS9i",
        "cursor=",
        "cursor=%C3%BC",
    ],
)
def test_a_listing_refuses_what_it_cannot_read(deployed: Deployed, query: str) -> None:
    refused = Person(deployed, "acme").call("GET", f"/connections?{query}")
    assert (refused.status, refused.code) == (400, "invalid_request")


@pytest.mark.parametrize("hostile", ["a#b", "ü", "%", "a b", "x" * 201, "nobodys"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_ids_that_nothing_can_have_are_not_found(
    deployed: Deployed, method: str, hostile: str
) -> None:
    refused = Person(deployed, "acme").call(method, connection_path("gusto", hostile))
    assert (refused.status, refused.code) == (404, "connection_not_found")


# Requests that no page sends


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff",
        b'{"products": []}',
        b'{"products": "company"}',
        b'{"products": ["payroll"]}',
        b'{"products": ["company"], "mode": "popup"}',
        b'{"products": ["company"], "provider_id": "a/b"}',
        b'{"products": ["company"], "customer_id": "globex"}',
        b'{"products": ["company"], "customer_name": ""}',
    ],
)
def test_a_bad_body_is_refused_and_no_session_begins(deployed: Deployed, body: bytes) -> None:
    refused = Person(deployed, "acme").call("POST", "/connect-sessions", body)
    assert (refused.status, refused.code) == (400, "invalid_request")
    assert deployed.tables.all_sessions() == []


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"code": "c"}', b'{"code": "", "state": ""}', b'{"completion": 1}']
)
def test_a_bad_confirmation_is_refused(deployed: Deployed, body: bytes) -> None:
    refused = Person(deployed, "acme").call("POST", "/callback", body)
    assert (refused.status, refused.code) == (400, "invalid_request")


def test_a_rejected_value_is_not_repeated(deployed: Deployed) -> None:
    body = b'{"products": ["company"], "mode": "canary-value"}'
    refused = Person(deployed, "acme").call("POST", "/connect-sessions", body)
    assert "canary" not in refused.text


@pytest.mark.parametrize(
    "path", ["/", "/connection", "/connections/gusto", "/connect", "/favicon.ico"]
)
def test_an_unknown_route_gets_the_one_shape(deployed: Deployed, path: str) -> None:
    refused = deployed.api.send("GET", path)
    assert (refused.status, refused.code) == (404, "route_not_found")


@pytest.mark.parametrize(
    "customer_id", ["", "a#b", "a/b", "acme~2", "a b", "ü", "x" * 201, "acme\n"]
)
def test_a_customer_id_that_cannot_be_a_key_is_refused(
    deployed: Deployed, customer_id: str
) -> None:
    refused = Person(deployed, customer_id).call("GET", "/connections")
    assert (refused.status, refused.code) == (403, "customer_unknown")


def test_links_that_nobody_gave_out_lead_to_the_application(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    for handle in ("A" * 43, "short", quote("<script>", safe=""), "A" * 44):
        landing = acme.come_back(f"/connect/{handle}")
        assert landing.outcome == {"error": "session_not_found"}
