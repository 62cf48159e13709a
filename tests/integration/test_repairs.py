"""Repairs that end elsewhere, or that revoke what was there: whose token is whose, and what covers what."""

from datetime import timedelta

import pytest

from finch_connections.aws.session_table import SessionTable
from local.fake_finch.seed_world import HARBOR_LANE, JUNIPER_VALE, MAYA, OWEN, TALLY
from tests.integration.test_operating import erase
from tests.integration.test_process_work import phases
from tests.integration.test_publish_events import look
from tests.integration.test_races import before_once
from tests.support.in_process import InProcess
from tests.support.invariants import Watch, broken
from tests.support.person import FinchPage, Person

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def live(deployed: InProcess) -> list[str]:
    """The companies that Finch has a connection to."""
    return sorted(one.company_id for one in deployed.finch.connections() if one.live)


def end_at_finch(deployed: InProcess, company_id: str) -> None:
    """Somebody ends a connection at Finch's dashboard."""
    ids = {one.id for one in deployed.finch.connections() if one.company_id == company_id}
    [token] = [one for one in deployed.finch.live_tokens() if one.connection_id in ids]
    deployed.finch.disconnect(token.access_token)


@pytest.fixture
def wandering(deployed: InProcess) -> InProcess:
    """A repair may end at another company."""
    deployed.finch.change_switches(reauth_may_change_company=True)
    return deployed


@pytest.mark.parametrize("owner", ["globex", "acme"])
def test_a_disconnect_shows_finch_no_token_of_another_connection(
    wandering: InProcess, owner: str
) -> None:
    acme, other = Person(wandering, "acme"), Person(wandering, owner)
    acme.connect(login=TALLY)
    other.connect(login=TALLY, company_id=JUNIPER_VALE.id)
    wandering.queue.drain()
    # Held where it is another customer's, and waiting for its confirmation where it is their own.
    elsewhere = Person(wandering, "acme", same_site=False)
    elsewhere.repair(login=TALLY, company_id=JUNIPER_VALE.id)
    end_at_finch(wandering, HARBOR_LANE.id)
    assert acme.disconnect().status == 202
    wandering.queue.pass_time(HOUR)
    assert acme.connection()["status"] == "disconnected"
    assert live(wandering) == [JUNIPER_VALE.id]
    assert other.connection(company_id=JUNIPER_VALE.id)["status"] == "connected"


def test_a_token_of_another_connection_covers_nothing(wandering: InProcess) -> None:
    wandering.finch.change_switches(reauth_kills_old_tokens=True)
    here, elsewhere = Person(wandering, "acme"), Person(wandering, "acme", same_site=False)
    here.connect(login=TALLY)
    wandering.queue.drain()
    elsewhere.repair(login=TALLY)
    wandering.queue.pass_time(HOUR)
    elsewhere.repair(login=TALLY, company_id=JUNIPER_VALE.id)
    wandering.queue.pass_time(DAY - HOUR / 2)
    assert phases(wandering) == ["complete", "escrowed", "held"]
    # What was revoked is looked at once a day.
    revoked = {one.id for one in wandering.finch.connections()}
    assert broken(wandering, Watch(), at_rest=False, lost_at_finch=revoked) == []


def clicked_before_another_is_worse(
    deployed: InProcess, acme: Person, later: timedelta
) -> tuple[str, FinchPage]:
    """A link to repair the worst of two logins, where its click led, and then the other one is worse."""
    acme.connect(login=MAYA)
    acme.connect(login=OWEN)
    mayas, owens = (one.id for one in deployed.finch.connections())
    deployed.finch.set_connection_status(mayas, "reauth")
    deployed.queue.pass_time(HOUR)
    look(deployed)
    link = acme.repair_link()
    page = acme.click(link)
    deployed.finch.set_connection_status(mayas, "connected")
    deployed.finch.set_connection_status(owens, "reauth")
    deployed.queue.pass_time(later)
    look(deployed)
    return link, page


def test_a_second_click_repairs_what_the_first_may_still_have_repaired(
    deployed: InProcess,
) -> None:
    deployed.finch.change_switches(reauth_kills_old_tokens=True)
    acme = Person(deployed, "acme")
    link, first = clicked_before_another_is_worse(deployed, acme, timedelta(minutes=55))
    acme.click(link)
    deployed.finch.faults.add("POST", "/auth/token", drop="after_effect")
    url = acme.log_in(first, login=MAYA)
    assert acme.come_back(url).outcome == {"error": "exchange_uncertain"}
    acme.disconnect()
    deployed.queue.pass_time(DAY)
    # Finch has revoked the only token of one of them that is kept, and has another that nobody has.
    assert acme.connection()["status"] == "disconnecting"
    assert broken(deployed, Watch(), at_rest=False) == []


def test_a_later_click_repairs_what_is_worst_by_then(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    link, _ = clicked_before_another_is_worse(deployed, acme, timedelta(minutes=71))
    landing = acme.come_back(acme.log_in(acme.click(link), login=OWEN))
    assert landing.outcome["repaired"] == "true"
    assert acme.connection()["status"] == "connected"


def test_a_wrong_code_of_a_repair_is_no_more_than_that_when_its_connection_ends_meanwhile(
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


def test_of_a_customer_who_is_erased_no_token_is_dropped_that_lives_alone(
    deployed: InProcess,
) -> None:
    """Where Finch revokes older tokens at any login, also at another customer's."""
    deployed.finch.change_switches(login_kills_old_tokens=True)
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect()
    assert globex.connect().outcome == {"error": "cannot_connect"}
    deployed.queue.pass_time(HOUR)
    [left] = erase(deployed, "globex")
    assert left["reason"] == "a person must decide"
    assert broken(deployed, Watch(), at_rest=False) == []
    # Another token of it lives where Finch revokes none.
    deployed.finch.change_switches(login_kills_old_tokens=False)
    acme.connect()
    assert erase(deployed, "globex") == []
    assert len(deployed.finch.live_tokens()) == 2
