"""What an operator has done to everything: sealed anew, erased, taken back from a backup."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Literal

import boto3
import pytest

from finch_connections import settings
from finch_connections.aws import dynamodb, token_vault
from finch_connections.aws.session_table import SessionTable
from finch_connections.web import batch_request
from local.fake_finch.seed_world import CEDARLINE, HARBOR_LANE, IRIS, JUNIPER_VALE, LENA, MAYA, OWEN
from operations.long_work import Round, go_through
from tests.integration.test_process_work import Killed, kill
from tests.support.in_process import Call, InProcess, let_through
from tests.support.invariants import Kept, Watch, broken
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


def said(line: str) -> None:
    """Nobody reads the progress here."""


def go(deployed: InProcess, function: str, **event: Any) -> Round:
    """One round of long work, as the operator's program drives it."""
    names = {
        "ReencryptTokens": "reencrypt_tokens",
        "EraseCustomer": "erase_customer",
        "RestoreBackup": "restore_backup",
    }

    def invoke(name: str, event: Any) -> Any:
        assert deployed.invoke is not None
        return deployed.invoke(names[name], event)["result"]

    stack: Any = SimpleNamespace(invoke=invoke)
    return go_through(stack, function, event, said)


def erase(deployed: InProcess, customer_id: str = "acme") -> list[dict[str, Any]]:
    """Rounds until nothing is found, the queue being worked off between them; what is still open."""
    for _ in range(8):
        this = go(deployed, "EraseCustomer", customer_id=customer_id)
        if this.open and not this.waits():
            return this.open
        if not this.open and not sum(this.done.values()):
            return []
        deployed.queue.drain(timedelta(hours=1))
    return this.open


def kept(deployed: InProcess, customer_id: str = "acme") -> dict[str, list[Any]]:
    """All that is kept about a customer."""
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
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step is one page, and a page is one row."""

    def once() -> Callable[[], bool]:
        left = [True]
        return lambda: bool(left and left.pop())

    monkeypatch.setattr(batch_request, "in_time", once)
    monkeypatch.setattr(dynamodb, "_SCANNED_AT_ONCE", 1)


# Sealing anew


@pytest.fixture
def new_key(deployed: InProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Brings a key in as the template's parameters do; without `old` none is named beside it."""
    before = settings.read().token_key_arn

    def bring(*, old: str | None = before) -> str:
        arn = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
        monkeypatch.setenv("TOKEN_KEY_ARN", arn)
        monkeypatch.setenv("OLD_TOKEN_KEY_ARN", old or "")
        forget()
        return str(arn)

    yield bring
    monkeypatch.undo()
    forget()


def forget() -> None:
    settings.read.cache_clear()
    token_vault.from_settings.cache_clear()


def keys_in_use(deployed: InProcess) -> set[str]:
    """The keys that any ciphertext needs."""
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


def many(deployed: InProcess) -> list[Person]:
    """Four tokens in three rows: two logins of one connection, another customer's, one in escrow."""
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    unconfirmed = Person(deployed, "initech", same_site=False)
    acme.connect(login=MAYA)
    acme.connect(login=OWEN)
    globex.connect(login=IRIS, company_id=JUNIPER_VALE.id)
    unconfirmed.connect(provider_id="justworks", login=LENA, company_id=CEDARLINE.id)
    return [acme, globex, unconfirmed]


@pytest.mark.usefixtures("small_steps")
def test_every_token_comes_under_the_new_key_and_nobody_sees_it_opened(
    deployed: InProcess, new_key: Callable[..., str]
) -> None:
    acme, globex, _ = many(deployed)
    before = [acme.connection(), globex.connections()]
    old = keys_in_use(deployed)
    new = new_key()
    operations: list[str] = []

    def note(call: Call, send: Callable[[], Any]) -> Any:
        if call.service == "kms":
            operations.append(call.operation)
        return send()

    deployed.border.guard = note
    first = go(deployed, "ReencryptTokens")
    deployed.border.guard = let_through
    assert (first.done, first.open) == ({"reencrypted": 4}, [])
    assert set(operations) == {"ReEncrypt"}
    assert keys_in_use(deployed) == {new} != old
    assert go(deployed, "ReencryptTokens").done == {"already": 4}
    assert [acme.connection(), globex.connections()] == before
    deployed.queue.drain()
    assert broken(deployed, Watch(), at_rest=False) == []
    assert acme.disconnect().status == 200


def test_until_it_is_sealed_anew_the_old_key_opens_and_the_new_one_seals(
    deployed: InProcess, new_key: Callable[..., str]
) -> None:
    acme, globex, _ = many(deployed)
    new = new_key()
    assert acme.disconnect().status == 200
    acme.connect(provider_id="justworks", login=MAYA)
    [there] = [one for one in acme.connections() if one["status"] == "connected"]
    assert there["provider_id"] == "justworks"
    assert new in keys_in_use(deployed)
    assert globex.disconnect(company_id=JUNIPER_VALE.id).status == 200


def test_a_key_that_is_named_nowhere_opens_nothing(
    deployed: InProcess, new_key: Callable[..., str]
) -> None:
    acme, *_ = many(deployed)
    new_key(old=None)
    assert acme.disconnect().code == "internal_error"
    left = go(deployed, "ReencryptTokens").open
    assert {one["reason"] for one in left} == {"encrypted with a key that is not ours"}
    assert len(left) == 3
    assert len(deployed.finch.live_tokens()) == 4


def test_what_others_change_while_it_is_sealed_anew_stays_theirs(
    deployed: InProcess, new_key: Callable[..., str]
) -> None:
    acme, *_ = many(deployed)
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
    first = go(deployed, "ReencryptTokens")
    assert struck
    assert [one["reason"] for one in first.open] == ["changed meanwhile"]
    assert go(deployed, "ReencryptTokens").open == []
    assert keys_in_use(deployed) == {new}
    assert len(acme.connection()["logins"]) == 2
    deployed.queue.drain()
    assert broken(deployed, Watch(), at_rest=False) == []


def test_a_ciphertext_that_lies_elsewhere_is_named_and_the_others_are_sealed_anew(
    deployed: InProcess, new_key: Callable[..., str]
) -> None:
    many(deployed)
    tables = deployed.tables
    theirs, other = tables.items(tables.connections)
    stolen = next(iter(other["ciphertexts"]["M"].values()))
    tables.dynamodb.update_item(
        TableName=tables.connections,
        Key={name: theirs[name] for name in ("customer_id", "provider_id#company_id")},
        UpdateExpression="SET ciphertexts.#id = :stolen",
        ExpressionAttributeNames={"#id": next(iter(theirs["ciphertexts"]["M"]))},
        ExpressionAttributeValues={":stolen": stolen},
    )
    new_key()
    this = go(deployed, "ReencryptTokens")
    assert [one["reason"] for one in this.open] == ["does not decrypt in its row"]
    assert this.open[0]["customer_id"] == theirs["customer_id"]["S"]
    assert this.done["reencrypted"] == (3 if len(theirs["ciphertexts"]["M"]) == 1 else 2)


# Erasing


@pytest.mark.usefixtures("small_steps")
def test_everything_of_a_customer_ends_at_finch_and_is_erased_and_nothing_of_another(
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
    assert broken(deployed, Watch(), at_rest=True) == []


def test_while_finch_is_down_nothing_is_called_gone(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    deployed.finch.faults.add("*", "*", status=500, times=None)
    this = go(deployed, "EraseCustomer", customer_id="acme")
    deployed.queue.pass_time(timedelta(hours=3))
    this = go(deployed, "EraseCustomer", customer_id="acme")
    assert [one["reason"] for one in this.open] == ["under way"]
    assert this.waits()
    assert acme.connection()["status"] == "disconnecting"
    assert len(deployed.finch.live_tokens()) == 1
    deployed.finch.faults.clear()
    deployed.queue.pass_time(timedelta(hours=7))
    assert erase(deployed) == []
    assert kept(deployed) == GONE
    assert deployed.finch.live_tokens() == []


def test_a_connect_that_is_under_way_meanwhile_is_ended_too(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    url = acme.log_in(acme.click(acme.link()), provider_id="justworks")
    struck: list[Call] = []

    def come_back(call: Call, send: Callable[[], Any]) -> Any:
        # While the sessions are gone through, the person returns from Finch Connect.
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


def test_a_link_that_was_erased_leads_nowhere(deployed: InProcess) -> None:
    acme = Person(deployed, "acme")
    link = acme.link()
    url = acme.log_in(acme.click(acme.link()))
    assert erase(deployed) == []
    assert "session_not_found" in acme.browser.navigate(link).headers["location"]
    assert acme.come_back(url).outcome == {"error": "session_not_found"}
    assert deployed.finch.requests.count("POST", "/auth/token") == 0


def test_what_is_uncertain_waits_for_a_person_and_is_named(deployed: InProcess) -> None:
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


def test_a_held_token_is_ended_and_the_company_of_another_is_left_to_a_person(
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


def test_a_connection_that_only_finch_can_end_is_told_before_its_trace_is_erased(
    deployed: InProcess,
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.finch.faults.add("POST", "/auth/token", drop="after_effect")
    acme.come_back(url)
    # The next attempt leads to the connection that was lost, and is not gone through with.
    acme.click(acme.link())
    [lost] = [one for one in deployed.finch.connections() if one.live]
    this = go(deployed, "EraseCustomer", customer_id="acme")
    told = [one for one in this.open if one["reason"] == "only Finch can end it"]
    assert [one["connection_id"] for one in told] == [lost.id]
    assert deployed.tables.items(deployed.tables.ownerships) == []


def test_an_operator_ends_a_connection_as_its_customer_could(deployed: InProcess) -> None:
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


# Restoring


@pytest.fixture
def back_up(deployed: InProcess) -> Iterator[Callable[[], dict[str, str]]]:
    """Copies the tables as they are now to tables beside them, as DynamoDB restores a moment."""
    client = deployed.tables.dynamodb
    made: list[str] = []

    def copy() -> dict[str, str]:
        names = {}
        for name, table in (
            ("connections", deployed.tables.connections),
            ("sessions", deployed.tables.sessions),
        ):
            properties = client.describe_table(TableName=table)["Table"]
            copied = f"finch-connections-restored-{name}"
            client.create_table(
                TableName=copied,
                KeySchema=properties["KeySchema"],
                AttributeDefinitions=[
                    one
                    for one in properties["AttributeDefinitions"]
                    if one["AttributeName"] in {k["AttributeName"] for k in properties["KeySchema"]}
                ],
                BillingMode="PAY_PER_REQUEST",
            )
            made.append(copied)
            for item in deployed.tables.items(table):
                client.put_item(TableName=copied, Item=item)
            names[name] = copied
        return names

    yield copy
    for table in made:
        client.delete_table(TableName=table)


def lose(
    deployed: InProcess, customer_id: str, *which: Literal["connections", "sessions", "ownerships"]
) -> None:
    """A customer's rows are gone, whoever did it: of some of the tables, or of all."""
    tables = deployed.tables
    for name in which or ("connections", "sessions", "ownerships"):
        table = getattr(tables, name)
        schema = tables.dynamodb.describe_table(TableName=table)["Table"]["KeySchema"]
        for item in tables.items(table):
            if item.get("customer_id") == {"S": customer_id} or "holders" in item:
                key = {part["AttributeName"]: item[part["AttributeName"]] for part in schema}
                tables.dynamodb.delete_item(TableName=table, Key=key)


@pytest.mark.usefixtures("small_steps")
def test_what_was_lost_comes_back_with_its_claims_and_what_was_revoked_does_not(
    deployed: InProcess, back_up: Callable[[], dict[str, str]]
) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=MAYA)
    acme.connect(login=OWEN)
    acme.connect(provider_id="justworks", login=MAYA)
    before = acme.connection()
    backup = back_up()
    assert acme.disconnect("justworks").status == 200
    deployed.queue.drain()
    lose(deployed, "acme")
    assert acme.connections() == []
    this = go(deployed, "RestoreBackup", **backup)
    assert (dict(this.done), this.open) == ({"restored": 2, "dead at Finch": 1}, [])
    [back] = acme.connections()
    logins = {one["id"] for one in before["logins"]}
    assert {one["id"] for one in back["logins"]} == logins
    assert back["status"] == "connected"
    deployed.queue.drain()
    assert broken(deployed, Watch(), at_rest=True) == []
    again = go(deployed, "RestoreBackup", **backup)
    assert again.done == {"there already": 2, "dead at Finch": 1}
    assert acme.disconnect().status == 200
    assert deployed.finch.live_tokens() == []


def test_what_is_there_now_is_newer_than_any_backup_and_stays(
    deployed: InProcess, back_up: Callable[[], dict[str, str]]
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect(login=MAYA)
    globex.connect(login=IRIS, company_id=JUNIPER_VALE.id)
    backup = back_up()
    # Since then one was ended and is another's now, and one was given a new token.
    acme.disconnect()
    globex.disconnect(company_id=JUNIPER_VALE.id)
    globex.connect(login=MAYA)
    acme.connect(login=IRIS, company_id=JUNIPER_VALE.id)
    deployed.queue.drain()
    now = [acme.connections(), globex.connections()]
    this = go(deployed, "RestoreBackup", **backup)
    assert (dict(this.done), this.open) == ({"dead at Finch": 2}, [])
    assert [acme.connections(), globex.connections()] == now
    assert broken(deployed, Watch(), at_rest=True) == []


def test_a_company_that_is_anothers_by_now_is_not_taken_from_them(
    deployed: InProcess, back_up: Callable[[], dict[str, str]]
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect(login=MAYA)
    backup = back_up()
    lose(deployed, "acme")
    globex.connect(login=OWEN)
    this = go(deployed, "RestoreBackup", **backup)
    assert this.done["restored"] == 0
    [left] = this.open
    assert (left["reason"], left["customer_id"]) == ("Conflict", "acme")
    assert acme.connections() == []
    assert globex.connection()["status"] == "connected"


def test_finch_down_or_silent_restores_nothing_and_says_so(
    deployed: InProcess, back_up: Callable[[], dict[str, str]]
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    backup = back_up()
    lose(deployed, "acme")
    deployed.finch.faults.add("GET", "/introspect", status=500, times=None)
    this = go(deployed, "RestoreBackup", **backup)
    assert (this.done["restored"], len(this.open)) == (0, 1)
    assert acme.connections() == []
    deployed.finch.faults.clear()
    assert go(deployed, "RestoreBackup", **backup).done["restored"] == 1


def test_a_disconnect_that_had_begun_goes_on(
    deployed: InProcess, back_up: Callable[[], dict[str, str]]
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add("POST", "/disconnect", status=500)
    assert acme.disconnect().status == 202
    backup = back_up()
    lose(deployed, "acme")
    deployed.queue.clear()
    go(deployed, "RestoreBackup", **backup)
    assert acme.connection()["status"] == "disconnecting"
    deployed.queue.drain()
    assert acme.connection()["status"] == "disconnected"
    assert deployed.finch.live_tokens() == []


def test_a_token_that_was_in_escrow_is_held_for_a_person(
    deployed: InProcess, back_up: Callable[[], dict[str, str]]
) -> None:
    acme = Person(deployed, "acme", same_site=False)
    acme.connect()
    backup = back_up()
    lose(deployed, "acme")
    deployed.queue.clear()
    this = go(deployed, "RestoreBackup", **backup)
    assert (dict(this.done), this.open) == ({"held for a person": 1}, [])
    assert Kept(deployed).phases() == {"held": 1}
    assert go(deployed, "RestoreBackup", **backup).done == {"there already": 1}
    deployed.queue.pass_time(timedelta(hours=2))
    assert broken(deployed, Watch(), at_rest=True) == []
    [session] = deployed.tables.all_sessions()
    asked = {"action": "attach", "session": session["handle_hash"]["S"]}
    assert deployed.invoke
    decision = deployed.invoke("resolve_unfinished", asked)["result"]["decision"]
    done = deployed.invoke("resolve_unfinished", asked | {"decision": decision})
    assert done["result"]["status"] == "connected"
    assert acme.connection()["status"] == "connected"


def test_a_disconnect_that_had_begun_does_not_end_what_was_connected_since(
    deployed: InProcess, back_up: Callable[[], dict[str, str]]
) -> None:
    deployed.finch.change_switches(one_connection_per_customer_id=False)
    acme = Person(deployed, "acme")
    acme.connect(login=MAYA)
    deployed.finch.faults.add("POST", "/disconnect", status=500)
    assert acme.disconnect().status == 202
    backup = back_up()
    lose(deployed, "acme")
    deployed.queue.clear()
    assert acme.connect(login=OWEN).outcome["status"] == "connected"
    go(deployed, "RestoreBackup", **backup)
    deployed.queue.drain()
    assert acme.connection()["status"] == "connected"
    assert len(acme.connection()["logins"]) == len(deployed.finch.live_tokens()) == 2


def test_an_exchange_that_was_under_way_is_named(
    deployed: InProcess,
    back_up: Callable[[], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    with monkeypatch.context() as crash:
        crash.setattr(SessionTable, "escrow", kill)
        with pytest.raises(Killed):
            acme.come_back(url)
    assert len(deployed.finch.live_tokens()) == 1
    backup = back_up()
    lose(deployed, "acme")
    deployed.queue.clear()
    go(deployed, "RestoreBackup", **backup)
    deployed.queue.pass_time(timedelta(hours=2))
    assert deployed.invoke is not None
    listed = deployed.invoke("resolve_unfinished", {"action": "list"})["result"]
    assert [one["phase"] for one in listed["sessions"]] == ["uncertain"]


def test_a_claim_that_is_left_of_a_connection_is_no_token_of_it(
    deployed: InProcess, back_up: Callable[[], dict[str, str]]
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    backup = back_up()
    lose(deployed, "acme", "connections")
    this = go(deployed, "RestoreBackup", **backup)
    assert (dict(this.done), this.open) == ({"restored": 1}, [])
    deployed.queue.drain()
    assert acme.connection()["status"] == "connected"
    assert broken(deployed, Watch(), at_rest=True) == []


@pytest.mark.parametrize("revokes", [False, True])
def test_a_claim_that_is_left_of_an_attempt_is_no_token_of_it(
    deployed: InProcess, back_up: Callable[[], dict[str, str]], *, revokes: bool
) -> None:
    """With a connection beside it whose own token has been revoked, or without one."""
    deployed.finch.change_switches(login_kills_old_tokens=revokes)
    here, elsewhere = Person(deployed, "acme"), Person(deployed, "acme", same_site=False)
    if revokes:
        here.connect()
        deployed.queue.drain()
    elsewhere.connect()
    backup = back_up()
    lose(deployed, "acme", "sessions")
    this = go(deployed, "RestoreBackup", **backup)
    assert (this.done["held for a person"], this.open) == (1, [])
    assert Kept(deployed).phases()["held"] == 1
    # What was revoked has not been looked at yet.
    revoked = {one.id for one in deployed.finch.connections()} if revokes else set()
    assert broken(deployed, Watch(), at_rest=False, lost_at_finch=revoked) == []


def test_what_finch_did_not_say_in_one_round_is_restored_in_the_next(
    deployed: InProcess, back_up: Callable[[], dict[str, str]]
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.queue.drain()
    url = acme.log_in(acme.click(acme.repair_link()))
    deployed.finch.faults.add("POST", "/auth/token", drop="after_effect")
    assert acme.come_back(url).outcome == {"error": "exchange_uncertain"}
    backup = back_up()
    lose(deployed, "acme")
    deployed.finch.faults.add("GET", "/introspect", status=500)
    first = go(deployed, "RestoreBackup", **backup)
    # What may be a token of the connection holds it by now.
    assert (first.done["held for a person"], first.done["restored"]) == (1, 0)
    assert go(deployed, "RestoreBackup", **backup).done["restored"] == 1
    assert acme.connection()["status"] == "connected"
