"""The operator's work on all rows: reencrypt tokens, erase a customer, restore a backup."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Literal

import boto3
import pytest

from finch_connections import settings
from finch_connections.aws import dynamodb, token_vault
from finch_connections.aws.session_table import SessionTable
from finch_connections.web import batch_request
from local.fake_finch.seed_world import CEDARLINE, HARBOR_LANE, IRIS, JUNIPER_VALE, LENA, MAYA, OWEN
from tests.integration.test_process_work import Killed, kill
from tests.support.in_process import Call, InProcess, let_through
from tests.support.invariants import ConnectionHistory, StoredState, broken
from tests.support.person import Person

GONE: dict[str, list[Any]] = {"connections": [], "sessions": [], "audit": []}
VEND = {
    "customer_id": "acme",
    "provider_id": "gusto",
    "company_id": HARBOR_LANE.id,
    "products": [],
    "purpose": "test",
    "caller": "test",
}


def erase(deployed: InProcess, customer_id: str = "acme") -> list[dict[str, Any]]:
    """Repeats rounds, and drains the queue between them; returns the rows that are still open."""
    for _ in range(8):
        result = deployed.run_round("erase_customer", customer_id=customer_id)
        if result.open and not result.waits():
            return result.open
        if not result.open and not sum(result.done.values()):
            return []
        deployed.queue.drain(timedelta(hours=1))
    return result.open


def kept(deployed: InProcess, customer_id: str = "acme") -> dict[str, list[Any]]:
    """All rows of a customer, by table."""
    tables = deployed.tables
    found = {
        name: [one for one in tables.items(table) if one.get("customer_id") == {"S": customer_id}]
        for name, table in (
            ("connections", tables.connections),
            ("sessions", tables.sessions),
            ("audit", tables.audit),
        )
    }
    owned = [
        one for one in tables.items(tables.ownerships) if one.get("customer_id") == {"S": "acme"}
    ]
    assert not owned or found["connections"]
    return found


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes each batch one page, and each page one row."""

    def once() -> Callable[[], bool]:
        left = [True]
        return lambda: bool(left and left.pop())

    monkeypatch.setattr(batch_request, "in_time", once)
    monkeypatch.setattr(dynamodb, "_SCANNED_AT_ONCE", 1)


# Reencrypting tokens


@pytest.fixture
def new_key(deployed: InProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Sets a new key as the template's parameters do; with `old=None` no old key is configured."""
    before = settings.read().token_key_arn

    def bring(*, old: str | None = before) -> str:
        arn = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
        monkeypatch.setenv("TOKEN_KEY_ARN", arn)
        monkeypatch.setenv("OLD_TOKEN_KEY_ARN", old or "")
        clear_caches()
        return str(arn)

    yield bring
    monkeypatch.undo()
    clear_caches()


def clear_caches() -> None:
    settings.read.cache_clear()
    token_vault.from_settings.cache_clear()


def keys_in_use(deployed: InProcess) -> set[str]:
    """The keys that the stored ciphertexts need."""
    found = []
    tables = deployed.tables
    for item in tables.items(tables.connections):
        provider_id, _, company_id = item["provider_id#company_id"]["S"].partition("#")
        context = {"purpose": "stored", "customer_id": item["customer_id"]["S"]}
        context |= {"provider_id": provider_id, "company_id": company_id}
        found += [(one["B"], context) for one in item["ciphertexts"]["M"].values()]
    for item in tables.all_sessions():
        if "escrow" in item:
            context = {"purpose": "escrow", "session": item["handle_hash"]["S"]}
            context["customer_id"] = item["customer_id"]["S"]
            found.append((item["escrow"]["M"]["ciphertext"]["B"], context))
    return {
        deployed.kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)["KeyId"]
        for blob, context in found
    }


def connect_four_tokens(deployed: InProcess) -> list[Person]:
    """Makes four tokens in three rows: two logins of one connection, another customer's, an escrow."""
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    unconfirmed = Person(deployed, "initech", same_site=False)
    acme.connect(login=MAYA)
    acme.connect(login=OWEN)
    globex.connect(login=IRIS, company_id=JUNIPER_VALE.id)
    unconfirmed.connect(provider_id="justworks", login=LENA, company_id=CEDARLINE.id)
    return [acme, globex, unconfirmed]


@pytest.mark.usefixtures("small_batches")
def test_every_token_is_reencrypted_without_being_decrypted(
    deployed: InProcess, new_key: Callable[..., str]
) -> None:
    acme, globex, _ = connect_four_tokens(deployed)
    before = [acme.connection(), globex.connections()]
    old = keys_in_use(deployed)
    new = new_key()
    operations: list[str] = []

    def note(call: Call, send: Callable[[], Any]) -> Any:
        if call.service == "kms":
            operations.append(call.operation)
        return send()

    deployed.border.guard = note
    first = deployed.run_round("reencrypt_tokens")
    deployed.border.guard = let_through
    assert (first.done, first.open) == ({"reencrypted": 4}, [])
    assert set(operations) == {"ReEncrypt"}
    assert keys_in_use(deployed) == {new} != old
    assert deployed.run_round("reencrypt_tokens").done == {"already": 4}
    assert [acme.connection(), globex.connections()] == before
    deployed.queue.drain()
    assert broken(deployed, ConnectionHistory(), at_rest=False) == []
    assert acme.disconnect().status == 200


def test_old_key_decrypts_and_new_key_encrypts_until_reencryption(
    deployed: InProcess, new_key: Callable[..., str]
) -> None:
    acme, globex, _ = connect_four_tokens(deployed)
    new = new_key()
    assert acme.disconnect().status == 200
    acme.connect(provider_id="justworks", login=MAYA)
    [connected] = [row for row in acme.connections() if row["status"] == "connected"]
    assert connected["provider_id"] == "justworks"
    assert new in keys_in_use(deployed)
    assert globex.disconnect(company_id=JUNIPER_VALE.id).status == 200


def test_key_that_is_not_configured_decrypts_nothing(
    deployed: InProcess, new_key: Callable[..., str]
) -> None:
    acme, *_ = connect_four_tokens(deployed)
    new_key(old=None)
    assert acme.disconnect().code == "internal_error"
    left = deployed.run_round("reencrypt_tokens").open
    assert {one["reason"] for one in left} == {"encrypted with a key that is not ours"}
    assert len(left) == 3
    assert len(deployed.finch.live_tokens()) == 4


def test_reencryption_does_not_overwrite_a_concurrent_connect(
    deployed: InProcess, new_key: Callable[..., str]
) -> None:
    acme, *_ = connect_four_tokens(deployed)
    new = new_key()
    struck: list[Call] = []

    def interfere(call: Call, send: Callable[[], Any]) -> Any:
        answer = send()
        stored = (
            call.service == "kms"
            and call.operation == "ReEncrypt"
            and (call.arguments["SourceEncryptionContext"].get("customer_id") == "acme")
        )
        if stored and not struck:
            struck.append(call)
            deployed.border.guard = let_through
            acme.connect(login=MAYA, products=["company", "directory"])
        return answer

    deployed.border.guard = interfere
    first = deployed.run_round("reencrypt_tokens")
    assert struck
    assert [one["reason"] for one in first.open] == ["changed meanwhile"]
    assert deployed.run_round("reencrypt_tokens").open == []
    assert keys_in_use(deployed) == {new}
    assert len(acme.connection()["logins"]) == 2
    deployed.queue.drain()
    assert broken(deployed, ConnectionHistory(), at_rest=False) == []


def test_moved_ciphertext_is_reported_and_the_others_are_reencrypted(
    deployed: InProcess, new_key: Callable[..., str]
) -> None:
    connect_four_tokens(deployed)
    tables = deployed.tables
    changed_row, other_row = tables.items(tables.connections)
    stolen = next(iter(other_row["ciphertexts"]["M"].values()))
    tables.dynamodb.update_item(
        TableName=tables.connections,
        Key={name: changed_row[name] for name in ("customer_id", "provider_id#company_id")},
        UpdateExpression="SET ciphertexts.#id = :stolen",
        ExpressionAttributeNames={"#id": next(iter(changed_row["ciphertexts"]["M"]))},
        ExpressionAttributeValues={":stolen": stolen},
    )
    new_key()
    result = deployed.run_round("reencrypt_tokens")
    assert [one["reason"] for one in result.open] == ["does not decrypt in its row"]
    assert result.open[0]["customer_id"] == changed_row["customer_id"]["S"]
    assert result.done["reencrypted"] == (3 if len(changed_row["ciphertexts"]["M"]) == 1 else 2)


# Erasing a customer


@pytest.mark.usefixtures("small_batches")
def test_erasure_ends_and_deletes_all_data_of_one_customer_only(
    deployed: InProcess,
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect(login=MAYA)
    acme.connect(login=OWEN)
    acme.connect(provider_id="justworks", login=MAYA)
    acme.link()
    other_site = Person(deployed, "acme", same_site=False)
    other_site.connect(provider_id="rippling", login=LENA, company_id=CEDARLINE.id)
    globex.connect(login=IRIS, company_id=JUNIPER_VALE.id)
    assert deployed.invoke
    assert "token" in deployed.invoke("vend_token", VEND)
    before = globex.connections()
    assert erase(deployed) == []
    assert kept(deployed) == GONE
    left = [deployed.finch.connection(one.connection_id) for one in deployed.finch.live_tokens()]
    assert [one.company_id for one in left] == [JUNIPER_VALE.id]
    [still] = globex.connections()
    assert (still["status"], still["logins"]) == ("connected", before[0]["logins"])
    notes = [one for one in deployed.tables.items(deployed.tables.sessions) if "session" in one]
    assert len(notes) == 1
    assert broken(deployed, ConnectionHistory(), at_rest=True) == []


def test_erasure_deletes_nothing_while_finch_is_down(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    deployed.finch.faults.add("*", "*", status=500, times=None)
    result = deployed.run_round("erase_customer", customer_id="acme")
    deployed.queue.pass_time(timedelta(hours=3))
    result = deployed.run_round("erase_customer", customer_id="acme")
    assert [one["reason"] for one in result.open] == ["under way"]
    assert result.waits()
    assert acme.connection()["status"] == "disconnecting"
    assert len(deployed.finch.live_tokens()) == 1
    deployed.finch.faults.clear()
    deployed.queue.pass_time(timedelta(hours=7))
    assert erase(deployed) == []
    assert kept(deployed) == GONE
    assert deployed.finch.live_tokens() == []


def test_connect_that_finishes_during_erasure_is_erased_too(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    url = acme.log_in(acme.click(acme.link()), provider_id="justworks")
    struck: list[Call] = []

    def come_back(call: Call, send: Callable[[], Any]) -> Any:
        # During the scan of the sessions, the user returns from Finch Connect.
        if call.function == "erase_customer" and call.operation == "Scan" and len(struck) < 2:
            struck.append(call)
            if len(struck) == 2:
                deployed.border.guard = let_through
                assert acme.come_back(url).outcome["status"] == "connected"
        return send()

    deployed.border.guard = come_back
    assert erase(deployed) == []
    assert kept(deployed) == GONE
    assert deployed.finch.live_tokens() == []


def test_erased_connect_link_is_not_found(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    link = acme.link()
    url = acme.log_in(acme.click(acme.link()))
    assert erase(deployed) == []
    assert "session_not_found" in acme.browser.navigate(link).headers["location"]
    assert acme.come_back(url).outcome == {"error": "session_not_found"}
    assert deployed.finch.requests.count("POST", "/auth/token") == 0


def test_erasure_leaves_an_uncertain_exchange_to_the_operator(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.finch.faults.add("POST", "/auth/token", drop="after_effect")
    acme.come_back(url)
    [left] = erase(deployed)
    assert (left["reason"], left["phase"]) == ("a person must decide", "uncertain")
    assert left["finch_customer_id"] == "acme"
    assert deployed.invoke
    deployed.invoke("resolve_unfinished", {"action": "dismiss", "session": left["session"]})
    assert erase(deployed) == []
    assert kept(deployed) == GONE


def test_erasure_of_a_held_token_waits_while_another_customer_is_the_owner(
    deployed: InProcess,
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    globex.connect(login=OWEN)
    assert acme.connect(login=MAYA).outcome == {"error": "cannot_connect"}
    [left] = erase(deployed)
    assert (left["reason"], left["phase"]) == ("a person must decide", "held")
    assert globex.connection()["status"] == "connected"
    assert len(deployed.finch.live_tokens()) == 2
    globex.disconnect()
    assert erase(deployed) == []
    assert kept(deployed) == GONE
    assert deployed.finch.live_tokens() == []


@pytest.mark.parametrize("field", ["connection_id", "company_id"])
def test_token_with_differing_ids_is_ended_by_no_erasure_and_no_operator(
    deployed: InProcess, field: str
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    globex.connect(login=MAYA)
    [theirs] = deployed.finch.connections()
    # The token response names an unused id, and the introspection names the true id.
    deployed.finch.faults.add("POST", "/auth/token", edit={"set": {field: "unowned"}})
    assert acme.connect(login=MAYA).outcome == {"error": "cannot_connect"}
    [left] = erase(deployed)
    assert (left["reason"], left["phase"]) == ("a person must decide", "held")
    assert deployed.invoke
    command = {"action": "disconnect", "session": left["session"]}
    seen = deployed.invoke("resolve_unfinished", command)["result"]
    assert seen["answers_differ"] is True
    assert seen["finch_says"]["connection_id"] == theirs.id
    assert seen["finch_says"]["company_id"] == HARBOR_LANE.id
    owner = {"customer_id": "globex", "provider_id": "gusto", "company_id": HARBOR_LANE.id}
    assert owner in seen["would_be_cut_off"]["connections"]
    done = deployed.invoke("resolve_unfinished", command | {"decision": seen["decision"]})
    assert done["error"] == "answers_differ"
    assert deployed.finch.requests.count("POST", "/disconnect") == 0
    assert globex.connection()["status"] == "connected"
    assert broken(deployed, ConnectionHistory(), at_rest=False) == []
    # When Finch has ended the token, nothing differs any more.
    deployed.finch.disconnect(deployed.finch.live_tokens()[-1].access_token)
    seen = deployed.invoke("resolve_unfinished", command)["result"]
    assert seen["finch_says"] == "the token is dead"
    deployed.invoke("resolve_unfinished", command | {"decision": seen["decision"]})
    deployed.queue.pass_time(timedelta(hours=2))
    assert erase(deployed) == []
    assert kept(deployed) == GONE


def test_erasure_reports_a_connection_that_only_finch_can_end(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.finch.faults.add("POST", "/auth/token", drop="after_effect")
    acme.come_back(url)
    # The next attempt leads to the lost connection, but the user does not finish it.
    acme.click(acme.link())
    [lost] = [one for one in deployed.finch.connections() if one.live]
    result = deployed.run_round("erase_customer", customer_id="acme")
    reported = [row for row in result.open if row["reason"] == "only Finch can end it"]
    assert [row["connection_id"] for row in reported] == [lost.id]
    assert deployed.tables.items(deployed.tables.ownerships) == []


def test_operator_can_disconnect_a_connection(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    assert deployed.invoke
    where = {"customer_id": "acme", "provider_id": "gusto", "company_id": HARBOR_LANE.id}
    answer = deployed.invoke("resolve_unfinished", {"action": "end", **where})
    assert answer == {"result": {"status": "disconnecting"}}
    deployed.queue.drain()
    assert acme.connection()["status"] == "disconnected"
    assert deployed.finch.live_tokens() == []
    unknown = deployed.invoke("resolve_unfinished", {"action": "end", **where, "company_id": "x"})
    assert unknown["error"] == "connection_not_found"


# Restoring a backup


def delete_rows(
    deployed: InProcess, customer_id: str, *names: Literal["connections", "sessions", "ownerships"]
) -> None:
    """Deletes a customer's rows from the given tables, or from all."""
    tables = deployed.tables
    for name in names or ("connections", "sessions", "ownerships"):
        table = getattr(tables, name)
        schema = tables.dynamodb.describe_table(TableName=table)["Table"]["KeySchema"]
        for item in tables.items(table):
            if item.get("customer_id") == {"S": customer_id} or "holders" in item:
                key = {part["AttributeName"]: item[part["AttributeName"]] for part in schema}
                tables.dynamodb.delete_item(TableName=table, Key=key)


@pytest.mark.usefixtures("small_batches")
def test_restore_brings_back_lost_rows_but_no_revoked_tokens(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=MAYA)
    acme.connect(login=OWEN)
    acme.connect(provider_id="justworks", login=MAYA)
    before = acme.connection()
    backup = deployed.back_up()
    assert acme.disconnect("justworks").status == 200
    deployed.queue.drain()
    delete_rows(deployed, "acme")
    assert acme.connections() == []
    result = deployed.run_round("restore_backup", **backup)
    assert (dict(result.done), result.open) == ({"restored": 2, "dead at Finch": 1}, [])
    [back] = acme.connections()
    logins = {one["id"] for one in before["logins"]}
    assert {one["id"] for one in back["logins"]} == logins
    assert back["status"] == "connected"
    deployed.queue.drain()
    assert broken(deployed, ConnectionHistory(), at_rest=True) == []
    again = deployed.run_round("restore_backup", **backup)
    assert again.done == {"there already": 2, "dead at Finch": 1}
    assert acme.disconnect().status == 200
    assert deployed.finch.live_tokens() == []


def test_restored_connection_is_checked_within_minutes(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    backup = deployed.back_up()
    delete_rows(deployed, "acme")
    assert deployed.run_round("restore_backup", **backup).done["restored"] == 1
    assert acme.connection()["provider_name"] is None
    deployed.queue.pass_time(timedelta(minutes=3))
    assert acme.connection()["provider_name"] == "Gusto"


def test_restore_does_not_bring_an_erased_customer_back(deployed: InProcess) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect()
    other_site = Person(deployed, "acme", same_site=False)
    other_site.connect(provider_id="justworks", login=MAYA)
    globex.connect(login=IRIS, company_id=JUNIPER_VALE.id)
    deployed.queue.drain(timedelta(hours=1))
    tables = deployed.back_up()
    assert erase(deployed) == []
    delete_rows(deployed, "globex", "connections", "ownerships")
    deployed.clock.advance(timedelta(minutes=1))
    result = deployed.run_round("restore_backup", **tables)
    assert result.open == []
    assert acme.connections() == []
    assert kept(deployed) == GONE
    assert len(globex.connections()) == 1
    [record] = [
        one
        for one in deployed.tables.items(deployed.tables.audit)
        if one["customer_id"]["S"].startswith("erased#")
    ]
    assert record.keys() == {"customer_id", "vended_at#id", "erased_at"}
    assert "acme" not in repr(record)


def test_erased_token_that_lives_is_reported_and_not_restored(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    tables = deployed.back_up()
    # The erasure stops after its first batch, and the rows are lost.
    assert deployed.invoke
    deployed.finch.faults.add("POST", "/disconnect", status=500, times=None)
    deployed.invoke("erase_customer", {"customer_id": "acme"})
    delete_rows(deployed, "acme")
    deployed.queue.clear()
    result = deployed.run_round("restore_backup", **tables)
    [token] = deployed.finch.live_tokens()
    reason = "its customer is erased, but it is alive: ask Finch to end it"
    assert result.open == [{"reason": reason, "connection_id": token.connection_id}]
    assert acme.connections() == []


def test_customer_who_connects_after_the_erasure_is_restored(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    assert erase(deployed) == []
    deployed.clock.advance(timedelta(minutes=1))
    acme.connect()
    deployed.queue.drain()
    tables = deployed.back_up()
    delete_rows(deployed, "acme")
    result = deployed.run_round("restore_backup", **tables)
    assert result.open == []
    assert acme.connection()["status"] == "connected"


def test_complete_session_without_a_connection_is_named(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    delete_rows(deployed, "acme", "connections", "ownerships")
    result = deployed.run_round("restore_backup", **deployed.back_up())
    [row] = result.open
    assert row["reason"] == "its connection is neither in the table nor in the backup"
    assert (row["customer_id"], row["company_id"]) == ("acme", HARBOR_LANE.id)


def test_restore_does_not_change_rows_that_exist(deployed: InProcess) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect(login=MAYA)
    globex.connect(login=IRIS, company_id=JUNIPER_VALE.id)
    backup = deployed.back_up()
    # After the backup, both connections end, and each customer connects the other's company.
    acme.disconnect()
    globex.disconnect(company_id=JUNIPER_VALE.id)
    globex.connect(login=MAYA)
    acme.connect(login=IRIS, company_id=JUNIPER_VALE.id)
    deployed.queue.drain()
    now = [acme.connections(), globex.connections()]
    result = deployed.run_round("restore_backup", **backup)
    assert (dict(result.done), result.open) == ({"dead at Finch": 2}, [])
    assert [acme.connections(), globex.connections()] == now
    assert broken(deployed, ConnectionHistory(), at_rest=True) == []


@pytest.mark.parametrize("kept_in", ["connection", "session"])
def test_restore_brings_back_no_token_of_a_connection_whose_newer_token_is_kept(
    deployed: InProcess, kept_in: str
) -> None:
    """The older token still works at Finch, but the kept token can end the connection."""
    deployed.finch.change_switches(one_connection_per_customer_id=False)
    acme = Person(deployed, "acme", same_site=kept_in == "connection")
    before = acme.connect()
    backup = deployed.back_up()
    if kept_in == "session":
        assert before.completion is not None
        delete_rows(deployed, "acme", "sessions", "ownerships")
    assert acme.connect().outcome["status"] in ("connected", "confirm")
    result = deployed.run_round("restore_backup", **backup)
    assert (dict(result.done), result.open) == ({"covered": 1}, [])
    assert len(deployed.finch.live_tokens()) == 2


def test_restore_does_not_take_a_company_from_its_new_owner(deployed: InProcess) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect(login=MAYA)
    backup = deployed.back_up()
    delete_rows(deployed, "acme")
    globex.connect(login=OWEN)
    result = deployed.run_round("restore_backup", **backup)
    assert result.done["restored"] == 0
    [left] = result.open
    assert (left["reason"], left["customer_id"]) == ("Conflict", "acme")
    assert acme.connections() == []
    assert globex.connection()["status"] == "connected"


def test_restore_reports_connections_while_finch_is_down(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    backup = deployed.back_up()
    delete_rows(deployed, "acme")
    deployed.finch.faults.add("GET", "/introspect", status=500, times=None)
    result = deployed.run_round("restore_backup", **backup)
    assert (result.done["restored"], len(result.open)) == (0, 1)
    assert acme.connections() == []
    deployed.finch.faults.clear()
    assert deployed.run_round("restore_backup", **backup).done["restored"] == 1


def test_restored_disconnect_continues(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add("POST", "/disconnect", status=500)
    assert acme.disconnect().status == 202
    backup = deployed.back_up()
    delete_rows(deployed, "acme")
    deployed.queue.clear()
    deployed.run_round("restore_backup", **backup)
    assert acme.connection()["status"] == "disconnecting"
    deployed.queue.drain()
    assert acme.connection()["status"] == "disconnected"
    assert deployed.finch.live_tokens() == []


def test_restored_escrow_is_held_for_the_operator(deployed: InProcess) -> None:
    acme = Person(deployed, "acme", same_site=False)
    acme.connect()
    backup = deployed.back_up()
    delete_rows(deployed, "acme")
    deployed.queue.clear()
    result = deployed.run_round("restore_backup", **backup)
    assert (dict(result.done), result.open) == ({"held for a person": 1}, [])
    assert StoredState(deployed).phases() == {"held": 1}
    assert deployed.run_round("restore_backup", **backup).done == {"there already": 1}
    deployed.queue.pass_time(timedelta(hours=2))
    assert broken(deployed, ConnectionHistory(), at_rest=True) == []
    [session] = deployed.tables.all_sessions()
    asked = {"action": "attach", "session": session["handle_hash"]["S"]}
    assert deployed.invoke
    decision = deployed.invoke("resolve_unfinished", asked)["result"]["decision"]
    done = deployed.invoke("resolve_unfinished", asked | {"decision": decision})
    assert done["result"]["status"] == "connected"
    assert acme.connection()["status"] == "connected"


def test_restored_disconnect_does_not_end_a_newer_connection(deployed: InProcess) -> None:
    deployed.finch.change_switches(one_connection_per_customer_id=False)
    acme = Person(deployed, "acme")
    acme.connect(login=MAYA)
    deployed.finch.faults.add("POST", "/disconnect", status=500)
    assert acme.disconnect().status == 202
    backup = deployed.back_up()
    delete_rows(deployed, "acme")
    deployed.queue.clear()
    assert acme.connect(login=OWEN).outcome["status"] == "connected"
    deployed.run_round("restore_backup", **backup)
    deployed.queue.drain()
    assert acme.connection()["status"] == "connected"
    assert len(acme.connection()["logins"]) == len(deployed.finch.live_tokens()) == 2


def test_restored_unfinished_exchange_becomes_uncertain(
    deployed: InProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    with monkeypatch.context() as crash:
        crash.setattr(SessionTable, "escrow", kill)
        with pytest.raises(Killed):
            acme.come_back(url)
    assert len(deployed.finch.live_tokens()) == 1
    backup = deployed.back_up()
    delete_rows(deployed, "acme")
    deployed.queue.clear()
    deployed.run_round("restore_backup", **backup)
    deployed.queue.pass_time(timedelta(hours=2))
    assert deployed.invoke is not None
    listed = deployed.invoke("resolve_unfinished", {"action": "list"})["result"]
    assert [one["phase"] for one in listed["sessions"]] == ["uncertain"]


def test_ownership_without_a_connection_does_not_block_the_restore(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    backup = deployed.back_up()
    delete_rows(deployed, "acme", "connections")
    result = deployed.run_round("restore_backup", **backup)
    assert (dict(result.done), result.open) == ({"restored": 1}, [])
    deployed.queue.drain()
    assert acme.connection()["status"] == "connected"
    assert broken(deployed, ConnectionHistory(), at_rest=True) == []


@pytest.mark.parametrize("revokes", [False, True])
def test_ownership_without_a_session_does_not_block_the_restore(
    deployed: InProcess, *, revokes: bool
) -> None:
    """With or without a connection of the same company whose token Finch has revoked."""
    deployed.finch.change_switches(login_kills_old_tokens=revokes)
    same_site, other_site = Person(deployed, "acme"), Person(deployed, "acme", same_site=False)
    if revokes:
        same_site.connect()
        deployed.queue.drain()
    other_site.connect()
    backup = deployed.back_up()
    delete_rows(deployed, "acme", "sessions")
    result = deployed.run_round("restore_backup", **backup)
    assert (result.done["held for a person"], result.open) == (1, [])
    assert StoredState(deployed).phases()["held"] == 1
    # No check has seen the revoked tokens yet.
    revoked = {one.id for one in deployed.finch.connections()} if revokes else set()
    assert broken(deployed, ConnectionHistory(), at_rest=False, lost_at_finch=revoked) == []


def test_failed_introspection_is_retried_in_the_next_restore_round(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    url = acme.log_in(acme.click(acme.repair_link()))
    deployed.finch.faults.add("POST", "/auth/token", drop="after_effect")
    assert acme.come_back(url).outcome == {"error": "exchange_uncertain"}
    backup = deployed.back_up()
    delete_rows(deployed, "acme")
    deployed.finch.faults.add("GET", "/introspect", status=500)
    first = deployed.run_round("restore_backup", **backup)
    # The uncertain session may have a token of this connection, so it is a holder of it.
    assert (first.done["held for a person"], first.done["restored"]) == (1, 0)
    assert deployed.run_round("restore_backup", **backup).done["restored"] == 1
    assert acme.connection()["status"] == "connected"
