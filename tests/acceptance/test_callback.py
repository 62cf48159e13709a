"""The callback of Finch Connect: the session that it belongs to, reloads and refusals."""

from datetime import timedelta
from urllib.parse import urlencode, urlsplit

import pytest

from tests.acceptance.outcomes import connected, exchange_count
from tests.support.deployed import Deployed
from tests.support.person import Landing, Person, without_state


def test_callback_without_a_session_redirects_with_session_not_found(deployed: Deployed) -> None:
    visitor = Person(deployed, "auth0|acme")
    for query in ("code=c&state=" + "A" * 43, "code=c&state=short", "code=c", "state=", ""):
        landing = visitor.come_back(f"/callback?{query}")
        assert landing.page == deployed.return_urls[0]
        assert landing.outcome == {"error": "session_not_found"}
    assert exchange_count(deployed) == 0


@pytest.mark.parametrize("query", ["state={0}&state={0}", "state=&state={0}", "state={0}&state="])
def test_state_sent_twice_with_one_value_is_one_state(deployed: Deployed, query: str) -> None:
    acme = Person(deployed, "auth0|acme")
    page = acme.click(acme.link())
    url = without_state(acme.log_in(page))
    assert acme.come_back(f"{url}&{query.format(page.state)}").outcome == connected(deployed)
    assert acme.browser.cookies.keys() == {"__Host-finch-connect-last"}


def test_two_different_states_are_refused_and_the_code_stays_usable(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    page, other = acme.click(acme.link()), acme.click(acme.link())
    url = acme.log_in(page)
    assert acme.come_back(f"{url}&state={other.state}").outcome == {"error": "invalid_request"}
    assert exchange_count(deployed) == 0
    assert acme.come_back(url).outcome == connected(deployed)


def test_expired_session_is_refused_and_its_code_is_not_exchanged(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.tables.age_sessions(timedelta(days=8))
    assert acme.come_back(url).outcome == {"error": "session_expired"}
    assert exchange_count(deployed) == 0
    assert acme.connections() == []


def test_user_who_refuses_consent_can_log_in_afterwards(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    page = acme.click(acme.link())
    refusal = deployed.finch.refuse(page.session_id, state=page.state)
    assert refusal is not None
    assert acme.come_back(refusal).outcome == {"error": "access_denied"}
    assert acme.connections() == []
    assert acme.come_back(acme.log_in(page)).outcome == connected(deployed)


def test_error_text_from_finch_connect_is_not_passed_to_the_page(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    page = acme.click(acme.link())
    query = urlencode({"state": page.state, "error": "<script>", "error_description": "secret"})
    assert acme.come_back(f"/callback?{query}").outcome == {"error": "finch_refused"}


def test_reloaded_callback_gets_the_first_outcome(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    url = acme.log_in(acme.click(acme.link()))
    first = acme.come_back(url)
    assert acme.come_back(url) == first
    deployed.tables.age_sessions(timedelta(days=20))
    assert acme.come_back(url) == first
    assert exchange_count(deployed) == 1
    assert len(acme.connection()["logins"]) == 1


def test_reloaded_callback_gets_the_same_completion_code(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme", same_site=False)
    url = acme.log_in(acme.click(acme.link()))
    first = acme.come_back(url)
    assert first.completion is not None
    assert acme.come_back(url) == first
    assert exchange_count(deployed) == 1


def test_reloaded_callback_finishes_a_pending_connect(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.finch.faults.add("GET", "/introspect", status=500)
    assert acme.come_back(url).outcome["status"] == "pending"
    assert acme.come_back(url).outcome == connected(deployed)
    assert exchange_count(deployed) == 1


def test_head_request_on_the_callback_changes_nothing(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    url = acme.log_in(acme.click(acme.link()))
    before = deployed.tables.all_sessions()
    cookie = "; ".join(map("=".join, acme.browser.cookies.items()))
    parts = urlsplit(url)
    checked = deployed.api.send("HEAD", f"{parts.path}?{parts.query}", headers={"cookie": cookie})
    assert checked.status == 302
    assert Landing.of(checked).page == deployed.return_urls[0]
    assert (checked.text, checked.set_cookies) == ("", [])
    assert deployed.tables.all_sessions() == before
    assert exchange_count(deployed) == 0
    assert acme.come_back(url).outcome == connected(deployed)
