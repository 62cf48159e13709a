"""Repairs that end at another company or revoke older tokens: which token belongs to which connection."""

from datetime import timedelta

import pytest

from finch_connections.aws.session_table import SessionTable
from local.fake_finch.seed_world import HARBOR_LANE, JUNIPER_VALE, MAYA, OWEN, TALLY
from tests.integration.test_operating import erase
from tests.integration.test_process_work import phases
from tests.integration.test_publish_events import check_health
from tests.integration.test_races import before_once
from tests.support.in_process import InProcess
from tests.support.invariants import ConnectionHistory, broken
from tests.support.person import FinchPage, Person

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def live(deployed: InProcess) -> list[str]:
    """The company ids of the live connections at Finch."""
    return sorted(one.company_id for one in deployed.finch.connections() if one.live)


def end_at_finch(deployed: InProcess, company_id: str) -> None:
    """Ends a company's connection at Finch, as a user of Finch's dashboard does."""
    ids = {one.id for one in deployed.finch.connections() if one.company_id == company_id}
    [token] = [one for one in deployed.finch.live_tokens() if one.connection_id in ids]
    deployed.finch.disconnect(token.access_token)


@pytest.fixture
def changing_company(deployed: InProcess) -> InProcess:
    """Finch lets a repair end at another company."""
    deployed.finch.change_switches(reauth_may_change_company=True)
    return deployed


@pytest.mark.parametrize("owner", ["globex", "acme"])
def test_disconnect_sends_finch_no_token_of_another_connection(
    changing_company: InProcess, owner: str
) -> None:
    acme, other = Person(changing_company, "acme"), Person(changing_company, owner)
    acme.connect(login=TALLY)
    other.connect(login=TALLY, company_id=JUNIPER_VALE.id)
    changing_company.queue.drain()
    # The token is held if the company is another customer's. Otherwise it waits for its confirmation.
    other_site = Person(changing_company, "acme", same_site=False)
    other_site.repair(login=TALLY, company_id=JUNIPER_VALE.id)
    end_at_finch(changing_company, HARBOR_LANE.id)
    assert acme.disconnect().status == 202
    changing_company.queue.pass_time(2 * HOUR)
    assert acme.connection()["status"] == "disconnected"
    assert live(changing_company) == [JUNIPER_VALE.id]
    assert other.connection(company_id=JUNIPER_VALE.id)["status"] == "connected"


def test_token_of_another_connection_covers_no_dropped_token(changing_company: InProcess) -> None:
    changing_company.finch.change_switches(reauth_kills_old_tokens=True)
    same_site, other_site = (
        Person(changing_company, "acme"),
        Person(changing_company, "acme", same_site=False),
    )
    same_site.connect(login=TALLY)
    changing_company.queue.drain()
    other_site.repair(login=TALLY)
    changing_company.queue.pass_time(HOUR)
    other_site.repair(login=TALLY, company_id=JUNIPER_VALE.id)
    changing_company.queue.pass_time(DAY - HOUR / 2)
    assert phases(changing_company) == ["complete", "escrowed", "held"]
    # Revoked tokens are checked once a day.
    revoked = {one.id for one in changing_company.finch.connections()}
    assert broken(changing_company, ConnectionHistory(), at_rest=False, lost_at_finch=revoked) == []


def click_before_another_login_is_worse(
    deployed: InProcess, acme: Person, later: timedelta
) -> tuple[str, FinchPage]:
    """Clicks a link to repair the worse of two logins; then the other login becomes the worse.

    Returns the link and the page that the click led to.
    """
    acme.connect(login=MAYA)
    acme.connect(login=OWEN)
    mayas, owens = (one.id for one in deployed.finch.connections())
    deployed.finch.set_connection_status(mayas, "reauth")
    deployed.queue.pass_time(HOUR)
    check_health(deployed)
    link = acme.repair_link()
    page = acme.click(link)
    deployed.finch.set_connection_status(mayas, "connected")
    deployed.finch.set_connection_status(owens, "reauth")
    deployed.queue.pass_time(later)
    check_health(deployed)
    return link, page


def test_second_click_repairs_the_login_of_the_first_click(
    deployed: InProcess,
) -> None:
    deployed.finch.change_switches(reauth_kills_old_tokens=True)
    acme = Person(deployed, "acme")
    link, first = click_before_another_login_is_worse(deployed, acme, timedelta(minutes=55))
    acme.click(link)
    deployed.finch.faults.add("POST", "/auth/token", drop="after_effect")
    url = acme.log_in(first, login=MAYA)
    assert acme.come_back(url).outcome == {"error": "exchange_uncertain"}
    acme.disconnect()
    deployed.queue.pass_time(DAY)
    # Finch has revoked the only kept token of a login, and made a token that we never received.
    assert acme.connection()["status"] == "disconnecting"
    assert broken(deployed, ConnectionHistory(), at_rest=False) == []


def test_later_click_repairs_the_login_with_the_worst_status(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    link, _ = click_before_another_login_is_worse(deployed, acme, timedelta(minutes=71))
    landing = acme.come_back(acme.log_in(acme.click(link), login=OWEN))
    assert landing.outcome["repaired"] == "true"
    assert acme.connection()["status"] == "connected"


def test_wrong_repair_code_is_rejected_after_its_connection_ended(
    deployed: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    page = acme.click(acme.repair_link())
    before_once(monkeypatch, SessionTable, "reject", acme.disconnect)
    callback = f"/callback?code=never-issued&state={page.state}"
    assert acme.come_back(callback).outcome == {"error": "code_rejected"}
    assert phases(deployed) == ["complete", "started"]
    assert deployed.tables.items(deployed.tables.ownerships) == []


def test_erasure_does_not_drop_the_only_live_token_of_a_connection(
    deployed: InProcess,
) -> None:
    """Applies to a Finch that revokes older tokens at each login, also at another customer's."""
    deployed.finch.change_switches(login_kills_old_tokens=True)
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect()
    assert globex.connect().outcome == {"error": "cannot_connect"}
    deployed.queue.pass_time(HOUR)
    [left] = erase(deployed, "globex")
    assert left["reason"] == "a person must decide"
    assert broken(deployed, ConnectionHistory(), at_rest=False) == []
    # If Finch revokes no tokens, another token of the connection is live.
    deployed.finch.change_switches(login_kills_old_tokens=False)
    acme.connect()
    assert erase(deployed, "globex") == []
    assert len(deployed.finch.live_tokens()) == 2
