"""The connections that a new local world begins with."""

from collections.abc import Iterator

import pytest

from local import seeds
from local.world import World
from tests.local.conftest import until
from tests.support.deployed import Deployed
from tests.support.person import Person


@pytest.fixture
def seeded(world: World, deployed: Deployed) -> Iterator[Deployed]:
    """The product after the first start of a world."""
    note = world.state_dir / "seeded"
    note.unlink(missing_ok=True)
    seeds.plant(world)
    yield deployed
    note.unlink()


def statuses(customer: Person) -> dict[str, str]:
    return {one["provider_id"]: one["status"] for one in customer.connections()}


def test_first_customer_has_a_connection_of_each_kind_and_the_second_has_none(
    seeded: Deployed,
) -> None:
    acme = Person(seeded, "acme")
    assert statuses(acme) == {
        "adp_run": "reauth",
        "justworks": "connected",
        "paychex_flex": "disconnecting",
        "rippling": "connected",
    }
    [clinics] = [one for one in acme.connections() if one["provider_id"] == "rippling"]
    [login] = clinics["logins"]
    assert len(login["entities"]) == 3
    assert Person(seeded, "globex").connections() == []
    # Finch and the product agree.
    at_finch = {one.provider_id: one.status for one in seeded.finch.connections()}
    assert at_finch["adp_run"] == "reauth"
    # Every other customer can connect as the documents say.
    assert Person(seeded, "globex").connect().outcome["status"] == "connected"


def test_second_start_makes_nothing_again(world: World, seeded: Deployed) -> None:
    acme = Person(seeded, "acme")
    justworks = next(one for one in acme.connections() if one["provider_id"] == "justworks")
    assert acme.disconnect("justworks", justworks["company_id"]).status == 200
    sessions = len(seeded.finch.sessions())
    seeds.plant(world)
    assert len(seeded.finch.sessions()) == sessions
    assert statuses(acme)["justworks"] == "disconnected"


def test_interrupted_first_start_goes_on_where_it_stopped(world: World, seeded: Deployed) -> None:
    (world.state_dir / "seeded").unlink()
    sessions = len(seeded.finch.sessions())
    seeds.plant(world)
    assert len(seeded.finch.sessions()) == sessions
    assert (world.state_dir / "seeded").exists()


def test_stuck_disconnect_ends_once_the_provider_answers(seeded: Deployed) -> None:
    acme = Person(seeded, "acme")
    [stuck] = [one for one in acme.connections() if one["status"] == "disconnecting"]
    seeded.finch.change_switches(disconnect_fails_for=None)
    acme.disconnect(stuck["provider_id"], stuck["company_id"])
    until(lambda: statuses(acme)["paychex_flex"] == "disconnected")
