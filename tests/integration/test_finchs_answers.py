"""A connection whose Finch names no `connection_id`: health, webhooks, and what Finch names later."""

from collections.abc import Sequence
from datetime import timedelta

from finch_connections.domain.connection import CompanyKey
from local.fake_finch.seed_world import OWEN
from tests.integration.test_health import request_check
from tests.support.in_process import InProcess
from tests.support.person import Person

BOTH = ("/auth/token", "/introspect")


def without(deployed: InProcess, *fields: str, paths: Sequence[str] = BOTH) -> None:
    """Removes these fields from every answer of these paths."""
    for path in paths:
        deployed.finch.faults.add("*", path, times=None, edit={"remove": list(fields)})


def connected(deployed: InProcess, customer_id: str = "acme") -> Person:
    person = Person(deployed, customer_id)
    assert person.connect().outcome["status"] == "connected"
    deployed.queue.drain()
    return person


def owned(deployed: InProcess) -> set[str]:
    return {item["owned_id"]["S"] for item in deployed.tables.items(deployed.tables.ownerships)}


def test_connection_without_connection_id_is_checked_and_a_dead_token_is_found(
    deployed: InProcess,
) -> None:
    without(deployed, "connection_id", "id")
    acme = connected(deployed)
    before = acme.connection()
    request_check(deployed)
    deployed.queue.drain()
    after = acme.connection()
    assert after["checked_at"] > before["checked_at"]
    assert after["status"] == "connected"
    [token] = deployed.finch.live_tokens()
    deployed.finch.disconnect(token.access_token)
    request_check(deployed)
    deployed.queue.drain()
    assert acme.connection()["status"] == "disconnected"
    assert owned(deployed) == set()


def test_row_learns_the_connection_id_that_finch_names_later(deployed: InProcess) -> None:
    without(deployed, "connection_id", "id")
    acme = connected(deployed)
    [token] = deployed.finch.live_tokens()
    assert f"connection#{token.connection_id}" not in owned(deployed)
    deployed.finch.faults.clear()
    request_check(deployed)
    deployed.queue.drain()
    shown = acme.connection()
    assert shown["logins"][0]["connection_id"] == token.connection_id
    assert shown["status"] == "connected"
    company = f"company#gusto#{shown['company_id']}"
    assert owned(deployed) == {company, f"connection#{token.connection_id}"}
    # From now on a webhook finds it.
    deployed.finch.set_connection_status(token.connection_id, "reauth")
    deployed.deliver_webhooks()
    deployed.queue.drain()
    assert acme.connection()["status"] == "reauth"
    assert acme.disconnect().json["status"] == "disconnected"
    assert owned(deployed) == set()


def test_connection_id_of_another_customer_is_never_learned(deployed: InProcess) -> None:
    globex = connected(deployed, "globex")
    theirs = globex.connection()["logins"][0]["connection_id"]
    without(deployed, "connection_id")
    acme = Person(deployed, "acme")
    assert acme.connect(provider_id="justworks").outcome["status"] == "connected"
    deployed.queue.drain()
    deployed.finch.faults.clear()
    before = acme.connections()
    edit = {"set": {"connection_id": theirs}}
    deployed.finch.faults.add("GET", "/introspect", times=None, edit=edit)
    request_check(deployed, CompanyKey("justworks", before[0]["company_id"]))
    deployed.queue.pass_time(timedelta(hours=2))
    after = acme.connections()
    assert [one["logins"][0]["connection_id"] for one in after] == [
        one["logins"][0]["connection_id"] for one in before
    ]
    assert globex.connection()["logins"][0]["connection_id"] == theirs


def test_unconfirmed_second_login_without_connection_id_is_held(deployed: InProcess) -> None:
    without(deployed, "connection_id")
    acme = connected(deployed)
    lured = Person(deployed, "acme", same_site=False)
    assert lured.connect(login=OWEN).outcome["status"] == "confirm"
    deployed.queue.drain()
    # The first token does not cover the second, which may be of another connection at Finch.
    assert sorted(one["phase"]["S"] for one in deployed.tables.all_sessions()) == [
        "complete",
        "held",
    ]
    assert len(deployed.finch.live_tokens()) == 2
    assert acme.connection()["status"] == "connected"


def test_unconfirmed_token_without_connection_id_is_ended_after_a_day(deployed: InProcess) -> None:
    without(deployed, "connection_id", "provider_id", "company_id", paths=BOTH[:1])
    acme = Person(deployed, "acme", same_site=False)
    assert acme.connect().outcome["status"] == "confirm"
    # The session holds the connection that only the introspection has named.
    [token] = deployed.finch.live_tokens()
    assert owned(deployed) == {f"connection#{token.connection_id}"}
    deployed.queue.drain()
    assert deployed.finch.live_tokens() == []
    assert owned(deployed) == set()
    assert [one["phase"]["S"] for one in deployed.tables.all_sessions()] == ["ended"]


def test_disconnect_with_a_dead_token_ends_no_login_that_another_customer_holds(
    deployed: InProcess,
) -> None:
    """Without a `connection_id`, each login is a Finch connection that only its own token can end."""
    without(deployed, "connection_id")
    acme, globex = connected(deployed), Person(deployed, "globex")
    [token] = deployed.finch.live_tokens()
    assert globex.connect(login=OWEN).outcome == {"error": "cannot_connect"}
    deployed.finch.disconnect(token.access_token)
    assert len(deployed.finch.live_tokens()) == 1
    assert acme.disconnect().json["status"] == "disconnecting"
    deployed.queue.pass_time(timedelta(hours=3))
    assert acme.connection()["status"] == "disconnected"
    assert len(deployed.finch.live_tokens()) == 1
