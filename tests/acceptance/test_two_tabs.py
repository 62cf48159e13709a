"""Attempts in several tabs of one browser, and two codes of one attempt."""

import pytest

from local.fake_finch.seed_world import OWEN, TALLY
from tests.acceptance.outcomes import connected, current_answers, exchange_count, live_token_count
from tests.support.deployed import Deployed
from tests.support.person import Person, without_state

# Without a state, a login needs the customer that Finch names.
pytestmark = current_answers


@pytest.mark.parametrize("last_first", [True, False], ids=["last first", "first first"])
def test_two_tabs_without_an_echoed_state_both_connect(
    deployed: Deployed, last_first: bool
) -> None:
    acme = Person(deployed, "auth0|acme")
    pages = [acme.click(acme.link()), acme.click(acme.link())]
    urls = [
        without_state(acme.log_in(page, provider_id=provider_id))
        for page, provider_id in zip(pages, ("gusto", "justworks"), strict=True)
    ]
    outcomes = [connected(deployed), connected(deployed, "justworks")]
    steps = list(zip(urls, outcomes, strict=True))
    for url, outcome in reversed(steps) if last_first else steps:
        assert acme.come_back(url).outcome == outcome
    for url, outcome in steps:
        assert acme.come_back(url).outcome == outcome
    assert len(acme.connections()) == exchange_count(deployed) == 2


def test_tab_without_a_state_connects_after_the_last_tab_was_used(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    first, second, third = (acme.click(acme.link()) for _ in range(3))
    back = without_state(acme.log_in(first))
    assert acme.come_back(acme.log_in(third, "justworks")).outcome == connected(
        deployed, "justworks"
    )
    assert acme.come_back(back).outcome == connected(deployed)
    assert acme.come_back(acme.log_in(second, "adp_run", OWEN)).outcome["status"] == "connected"
    assert len(acme.connections()) == 3


@pytest.mark.parametrize("same_site", [True, False], ids=["bound", "unbound"])
@pytest.mark.parametrize("repair_first", [True, False], ids=["repair first", "connect first"])
@pytest.mark.parametrize("click_first", [True, False], ids=["click repair first", "click it last"])
def test_repair_and_connect_in_two_tabs_without_a_state_both_finish(
    deployed: Deployed, same_site: bool, repair_first: bool, click_first: bool
) -> None:
    Person(deployed, "auth0|acme").connect()
    acme = Person(deployed, "auth0|acme", same_site=same_site)
    if click_first:
        repair, connect = acme.click(acme.repair_link()), acme.click(acme.link())
    else:
        connect, repair = acme.click(acme.link()), acme.click(acme.repair_link())
    steps = [
        (without_state(acme.log_in(repair)), connected(deployed) | {"repaired": "true"}),
        (
            without_state(acme.log_in(connect, provider_id="justworks")),
            connected(deployed, "justworks"),
        ),
    ]
    for url, outcome in steps if repair_first else reversed(steps):
        landing = acme.come_back(url)
        if same_site:
            assert landing.outcome == outcome
        else:
            assert landing.completion is not None
            answer = acme.confirm(landing.completion).json
            assert answer.get("repaired") == (True if "repaired" in outcome else None)
    assert {one["provider_id"]: one["problem"] for one in acme.connections()} == {
        deployed.finch_id("gusto"): None,
        deployed.finch_id("justworks"): None,
    }
    assert acme.disconnect().json["status"] == "disconnected"
    assert acme.disconnect("justworks").json["status"] == "disconnected"
    assert live_token_count(deployed) == 0
    assert deployed.tables.items(deployed.tables.ownerships) == []


def test_reload_after_finch_took_no_code_still_finds_the_right_tab(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    acme.connect()
    acme.click(acme.repair_link())
    back = without_state(acme.log_in(acme.click(acme.link()), provider_id="justworks"))
    deployed.finch.faults.add("POST", "/auth/token", error="rate_limit_exceeded_error")
    assert acme.come_back(back).outcome == {"error": "finch_unavailable"}
    assert acme.come_back(back).outcome == connected(deployed, "justworks")
    assert acme.connection()["problem"] is None


def test_two_customers_in_one_browser_without_a_state_get_their_own_logins(
    deployed: Deployed,
) -> None:
    acme, globex = Person(deployed, "auth0|acme"), Person(deployed, "ada@globex.example")
    globex.browser = acme.browser
    first, second = acme.click(acme.link()), globex.click(globex.link())
    back_first = without_state(acme.log_in(first))
    back_second = without_state(globex.log_in(second, provider_id="justworks"))
    assert acme.come_back(back_first).outcome == connected(deployed)
    assert globex.come_back(back_second).outcome == connected(deployed, "justworks")
    assert [one["provider_id"] for one in acme.connections()] == [deployed.finch_id("gusto")]
    assert [one["provider_id"] for one in globex.connections()] == [deployed.finch_id("justworks")]


def test_page_of_the_attempt_gets_the_return_without_a_state(deployed: Deployed) -> None:
    acme, globex = Person(deployed, "auth0|acme"), Person(deployed, "ada@globex.example")
    globex.browser = acme.browser
    first = acme.click(acme.link(return_to=deployed.return_urls[1]))
    globex.click(globex.link())
    reply = acme.browser.navigate(without_state(acme.log_in(first)))
    assert reply.headers["location"].startswith(deployed.return_urls[1])


@pytest.mark.parametrize("same_browser", [True, False], ids=["link clicked", "link not clicked"])
def test_attackers_code_without_state_is_attached_to_none_of_the_victims_tabs(
    deployed: Deployed, same_browser: bool
) -> None:
    attacker, victim = Person(deployed, "auth0|acme"), Person(deployed, "ada@globex.example")
    page = attacker.click(link := attacker.link())
    planted = without_state(attacker.log_in(page))
    first, second = victim.click(victim.link()), victim.click(victim.link())
    if same_browser:
        victim.click(link)
    landing = victim.come_back(planted)
    if same_browser:
        assert landing.outcome["status"] == "confirm"
        assert victim.confirm(str(landing.completion)).code == "session_not_found"
    else:
        assert landing.outcome == {"error": "cannot_connect"}
    assert victim.connections() == attacker.connections() == []
    back_first = without_state(victim.log_in(first, "justworks"))
    back_second = without_state(victim.log_in(second, "adp_run", OWEN))
    assert victim.come_back(back_first).outcome["status"] == "connected"
    assert victim.come_back(back_second).outcome["status"] == "connected"


def test_browser_with_many_attempts_keeps_the_cookies_of_the_newest_ten(
    deployed: Deployed,
) -> None:
    acme = Person(deployed, "auth0|acme")
    pages = [acme.click(acme.link()) for _ in range(13)]
    assert len(acme.browser.cookies) == 11
    assert len("; ".join(map("=".join, acme.browser.cookies.items()))) < 2000
    assert acme.come_back(acme.log_in(pages[2])).outcome["status"] == "confirm"
    assert acme.come_back(acme.log_in(pages[3])).outcome == connected(deployed)
    back = without_state(acme.log_in(pages[4], "justworks", TALLY))
    assert acme.come_back(back).outcome["status"] == "connected"


def test_second_code_of_a_pending_attempt_ends_with_the_first(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    page = acme.click(acme.link())
    first, second = acme.log_in(page), acme.log_in(page, login=OWEN)
    deployed.finch.faults.add("GET", "/introspect", status=500)
    assert acme.come_back(first).outcome["status"] == "pending"
    assert acme.come_back(second).outcome == connected(deployed)
    assert exchange_count(deployed) == 1
    [login] = acme.connection()["logins"]
    assert login["id"] in {token.id for token in deployed.finch.live_tokens()}


def test_second_code_of_an_attempt_does_not_confirm_the_first(deployed: Deployed) -> None:
    """The first code came from a browser that did not begin the attempt."""
    acme, other = Person(deployed, "auth0|acme"), Person(deployed, "auth0|acme", same_site=False)
    page = acme.click(acme.link())
    first, second = acme.log_in(page), acme.log_in(page, login=OWEN)
    assert other.come_back(first).outcome["status"] == "confirm"
    assert acme.come_back(second).outcome == {"error": "session_used"}
    assert acme.connections() == []
