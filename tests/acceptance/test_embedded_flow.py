"""The embedded flow: the page gets the code from Finch's SDK and sends it with its JWT."""

from urllib.parse import urlencode

import pytest

from local.fake_finch.seed_world import HARBOR_LANE, MAYA
from tests.acceptance.outcomes import connected, exchange_count
from tests.support.deployed import Deployed
from tests.support.person import FinchPage, Person


def log_in_embedded(deployed: Deployed, person: Person) -> tuple[str, str]:
    """Logs in through Finch's SDK; returns the code and the state of its session."""
    started = person.start(mode="embedded").json
    page = FinchPage(started["session_id"], started["state"])
    authorized = deployed.finch.authorize(
        page.session_id,
        provider_id=deployed.finch_id("gusto"),
        login=MAYA,
        company_id=deployed.finch_id(HARBOR_LANE.id),
    )
    assert authorized.redirect_to is None
    return authorized.code, page.state


@pytest.mark.parametrize("same_site", [True, False])
def test_embedded_flow_connects(deployed: Deployed, same_site: bool) -> None:
    acme = Person(deployed, "auth0|acme", same_site=same_site)
    code, state = log_in_embedded(deployed, acme)
    done = acme.call("POST", "/callback", {"code": code, "state": state})
    assert (done.status, done.json) == (200, connected(deployed))
    again = acme.call("POST", "/callback", {"code": code, "state": state})
    assert again.json == done.json
    assert exchange_count(deployed) == 1
    assert len(acme.connections()) == 1


def test_embedded_session_of_another_customer_is_not_found(deployed: Deployed) -> None:
    acme, globex = Person(deployed, "auth0|acme"), Person(deployed, "ada@globex.example")
    code, state = log_in_embedded(deployed, acme)
    refused = globex.call("POST", "/callback", {"code": code, "state": state})
    assert (refused.status, refused.code) == (404, "session_not_found")
    assert exchange_count(deployed) == 0


def test_redirect_and_embedded_flow_refuse_each_others_sessions(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    code, state = log_in_embedded(deployed, acme)
    query = urlencode({"code": code, "state": state})
    assert acme.come_back(f"/callback?{query}").outcome == {"error": "session_not_found"}
    page = acme.click(acme.link())
    refused = acme.call("POST", "/callback", {"code": code, "state": page.state})
    assert refused.code == "session_not_found"
    assert exchange_count(deployed) == 0
