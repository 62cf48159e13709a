"""The link that starts Finch Connect: its lifetime, and the effect of a second click."""

from datetime import timedelta
from urllib.parse import quote, urlsplit

from tests.acceptance.outcomes import connected
from tests.support.deployed import Deployed
from tests.support.person import Person


def test_used_link_is_refused(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    link = acme.link()
    acme.go_through(link)
    assert acme.come_back(link).outcome == {"error": "session_used"}


def test_second_click_reuses_the_finch_session_until_it_expires(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    link = acme.link()
    first, second = acme.click(link), acme.click(link)
    assert first == second
    deployed.tables.age_sessions(timedelta(hours=1))
    third = acme.click(link)
    assert third.session_id != first.session_id
    assert acme.come_back(acme.log_in(third)).outcome == connected(deployed)


def test_link_expires_after_seven_days_but_a_started_login_finishes(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    link = acme.link()
    deployed.tables.age_sessions(timedelta(days=6, hours=23))
    page = acme.click(link)
    deployed.tables.age_sessions(timedelta(hours=1))
    assert acme.come_back(link).outcome == {"error": "session_expired"}
    assert acme.come_back(acme.log_in(page)).outcome == connected(deployed)


def test_link_still_works_after_finch_was_down_at_the_first_click(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    link = acme.link()
    deployed.finch.faults.add("POST", "/connect/sessions", status=503)
    assert acme.come_back(link).outcome == {"error": "finch_unavailable"}
    assert acme.go_through(link).outcome == connected(deployed)


def test_products_that_finch_refuses_redirect_with_finch_refused(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    link = acme.link()
    deployed.finch.faults.add("POST", "/connect/sessions", error="bad_request")
    assert acme.come_back(link).outcome == {"error": "finch_refused"}


def test_product_that_only_finch_knows_goes_to_finch(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    products = ["company", "a_product_of_tomorrow"]
    assert acme.come_back(acme.link(products=products)).outcome == {"error": "finch_refused"}
    refused = acme.start(products=products, mode="embedded")
    assert (refused.status, refused.code) == (422, "finch_refused")
    assert deployed.finch.requests.count("POST", "/connect/sessions") == 2


def test_unknown_link_redirects_to_the_application_with_an_error(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    for handle in ("A" * 43, "short", quote("<script>", safe=""), "A" * 44):
        landing = acme.come_back(f"/connect/{handle}")
        assert landing.outcome == {"error": "session_not_found"}


def test_head_request_on_a_link_says_whether_it_works_and_changes_nothing(
    deployed: Deployed,
) -> None:
    acme = Person(deployed, "auth0|acme")
    page = deployed.return_urls[1]
    link = acme.link(return_to=page)
    path = urlsplit(link).path
    before = deployed.tables.all_sessions()
    checked = deployed.api.send("HEAD", path)
    assert (checked.status, checked.headers["location"]) == (302, page)
    assert (checked.text, checked.set_cookies) == ("", [])
    assert deployed.tables.all_sessions() == before
    assert deployed.finch.requests.count("POST", "/connect/sessions") == 0
    assert acme.go_through(link).outcome["status"] == "connected"
    for dead, error in ((path, "session_used"), ("/connect/x", "session_not_found")):
        assert f"error={error}" in deployed.api.send("HEAD", dead).headers["location"]
