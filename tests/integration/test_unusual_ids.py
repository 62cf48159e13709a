"""Unusual ids of a customer, provider and company, in messages, commands, tokens, events and erasure."""

from datetime import timedelta
from typing import Any

import pytest

from local.fake_finch.seed_world import NORTHFOLD, TALLY
from tests.integration.test_operating import erase
from tests.integration.test_publish_events import Subscriber, bus, subscriber
from tests.support.in_process import InProcess
from tests.support.person import Person, rename_at_finch

__all__ = ["bus", "subscriber"]

KEY = {"provider_id": "a/b #~2", "company_id": "100%23 é'\"\\<日本>~7E"}


@pytest.mark.parametrize(
    "customer_id", ["auth0|64ab12", "ada@acme.com", "ü #~2 \"x\\'$(id)", " " + "𝔞" * 254 + " "]
)
def test_ids_arrive_unchanged_everywhere(
    deployed: InProcess, subscriber: Subscriber, customer_id: str
) -> None:
    person, row = Person(deployed, customer_id), {"customer_id": customer_id, **KEY}

    def invoke(name: str, **event: Any) -> Any:
        assert deployed.invoke
        return deployed.invoke(name, event)

    rename_at_finch(deployed, **KEY)
    assert person.connect().outcome == {"status": "connected", **KEY}
    asked = {**row, "products": ["directory"], "purpose": "test", "caller": "test"}
    token = invoke("vend_token", **asked)["token"]
    assert {name: token[name] for name in KEY} == KEY
    [record] = invoke("resolve_unfinished", action="audit", customer_id=customer_id)["result"][
        "records"
    ]
    assert {name: record[name] for name in KEY} == KEY
    deployed.queue.drain()
    before = person.connection(**KEY)["checked_at"]
    deployed.clock.advance(timedelta(minutes=5))
    assert invoke("resolve_unfinished", action="retry", **row)["result"] == {"status": "queued"}
    deployed.queue.drain()
    assert person.connection(**KEY)["checked_at"] > before
    deployed.finch.faults.add("POST", "/disconnect", status=500, times=2)
    assert person.disconnect(**KEY).status == 202
    deployed.queue.pass_time(timedelta(hours=1))
    assert person.connection(**KEY)["status"] == "disconnected"
    details = [event["detail"] for event in subscriber.publish()]
    assert len(details) >= 2
    assert all({name: one[name] for name in row} == row for one in details)
    assert deployed.queue.dead() == []
    assert erase(deployed, customer_id) == []
    assert person.connections() == []


def test_hostile_ids_of_entities_and_of_webhooks_arrive_unchanged(deployed: InProcess) -> None:
    deployed.finch.reset(ids="hostile")
    acme = Person(deployed, " /../auth0|#%2F")
    acme.connect(login=TALLY, company_id=NORTHFOLD.id)
    [login] = acme.connection(company_id=NORTHFOLD.id)["logins"]
    first, *others = login["entity_ids"]
    deployed.finch.faults.add("POST", "/disconnect-entity", status=500)
    assert acme.disconnect_entity(first, company_id=NORTHFOLD.id).status == 202
    deployed.queue.drain()
    [at_finch] = deployed.finch.connections()
    assert {one.id for one in at_finch.present_entities} == set(others)
    deployed.finch.set_connection_status(at_finch.id, "reauth")
    assert set(deployed.deliver_webhooks()) == {200}
    deployed.queue.drain()
    shown = acme.connection(company_id=NORTHFOLD.id)
    assert shown["status"] == "reauth"
    assert shown["provider_name"] == "Gusto"
    assert {one["id"]: one["status"] for one in shown["logins"][0]["entities"]} == {
        first: "disconnected",
        **dict.fromkeys(others, "reauth"),
    }
