"""Runs every function, so that together the exercises use all permissions of the roles.

The state is prepared once; every exercise starts from it, in process and in the local world.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from copy import deepcopy
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.fake_finch.seed_world import (
    CEDARLINE,
    DANA,
    HARBOR_LANE,
    IRIS,
    JUNIPER_VALE,
    LENA,
    NORTHFOLD,
    OWEN,
    TALLY,
)
from local.fake_finch.webhooks import Waiting
from tests.security.permissions import Need
from tests.support.deployed import ROOT, Deployed
from tests.support.person import Landing, Person, connection_path

_SHARED = "needed-permissions.json"
_LONG_AGO = timedelta(days=2)
_STALE = timedelta(seconds=3600)
_LOST = "00000000-0000-4000-8000-000000000000"


_ASKED = {
    "provider_id": "gusto",
    "company_id": HARBOR_LANE.id,
    "products": ["directory"],
    "purpose": "test",
}


@dataclass
class PreparedWorld:
    """A product with a customer in every state, each with its own company."""

    deployed: Deployed
    acme: Person
    callback: str
    nameless_callback: str
    unconfirmed: Landing
    dead: Landing
    shared: Person
    escrowed: str
    to_discard: str
    held: str
    waiting: str
    failed_batch: Mapping[str, str]
    old_key: Callable[[], AbstractContextManager[str]]
    _kept: list[tuple[str, list[dict[str, Any]]]] = field(repr=False)
    _finch: Any = field(repr=False)

    def restore(self) -> None:
        """Restores the prepared state."""
        self.deployed.finch.faults.clear()
        self.deployed.finch._world = deepcopy(self._finch)
        for table, items in self._kept:
            _put_back(self.deployed, table, items)

    def invoke(self, function: str, event: Any) -> Any:
        """Invokes a function by the name of its handler."""
        assert self.deployed.invoke
        return self.deployed.invoke(function, event)

    def process(self, **subject: str) -> None:
        """Invokes `process_work` with one work item."""
        event = json.loads((ROOT / "events" / "process_work.json").read_text())
        now = datetime.now(UTC).isoformat()
        work_item = {**subject, "asked_at": now}
        event["Records"][0]["body"] = json.dumps(work_item)
        self.invoke("process_work", event)


def _put_back(deployed: Deployed, table: str, items: list[dict[str, Any]]) -> None:
    client = deployed.tables.dynamodb
    schema = client.describe_table(TableName=table)["Table"]["KeySchema"]
    names = [part["AttributeName"] for part in schema]
    present = deployed.tables.items(table)
    kept = [[item[name] for name in names] for item in items]
    requests: list[Any] = [
        {"DeleteRequest": {"Key": {name: item[name] for name in names}}}
        for item in present
        if [item[name] for name in names] not in kept
    ]
    requests += [{"PutRequest": {"Item": item}} for item in items if item not in present]
    for begin in range(0, len(requests), 25):
        client.batch_write_item(RequestItems={table: requests[begin : begin + 25]})


def prepare_world(
    deployed: Deployed, old_key: Callable[[], AbstractContextManager[str]]
) -> PreparedWorld:
    """Prepares the state for the exercises.

    `old_key` makes a key. Inside its context, the functions have this key as the old key.
    """
    finch = deployed.finch
    # Stale webhooks start no health check, which would do the work of an exercise.
    finch.change_switches(webhook_timestamp_offset_seconds=-3600)
    acme = Person(deployed, "acme")
    acme.connect()
    [connected] = finch.live_tokens()
    finch.set_connection_status(connected.connection_id, "reauth")
    # A connection that is disconnected while another of its tokens waits for confirmation.
    shared = Person(deployed, "shared")
    choice = {"provider_id": "justworks", "login": LENA, "company_id": CEDARLINE.id}
    shared.connect(**choice)
    Person(deployed, "shared", same_site=False).connect(**choice)
    # Unfinished: a code without a callback yet, and a token that could not be introspected.
    choice = {"provider_id": "gusto", "login": IRIS, "company_id": JUNIPER_VALE.id}
    coming = Person(deployed, "coming")
    callback = coming.log_in(coming.click(coming.link()), **choice)
    nameless_callback = _callback_without_company(deployed)
    finch.faults.add("GET", "/introspect", status=500)
    choice = {"provider_id": "bamboo_hr", "login": IRIS, "company_id": JUNIPER_VALE.id}
    Person(deployed, "escrowed").connect(**choice)
    # Three unconfirmed sessions: a new session, a session of days ago, and a session with a dead token.
    choice = {"provider_id": "gusto", "login": DANA, "company_id": NORTHFOLD.id}
    unconfirmed = Person(deployed, "unconfirmed", same_site=False).connect(**choice)
    choice = {"provider_id": "bamboo_hr", "login": LENA, "company_id": CEDARLINE.id}
    _connect_unnamed(Person(deployed, "to-discard", same_site=False), choice)
    dead = Person(deployed, "dead", same_site=False).connect(provider_id="justworks")
    finch.disconnect(finch.tokens()[-1].access_token)
    # Half done: a disconnect that Finch has not confirmed, and an exchange whose response was lost.
    leaving = Person(deployed, "leaving")
    choice = {"provider_id": "rippling", "login": IRIS, "company_id": JUNIPER_VALE.id}
    leaving.connect(**choice)
    finch.faults.add("POST", "/disconnect", status=500)
    leaving.disconnect("rippling", JUNIPER_VALE.id)
    finch.faults.add("POST", "/auth/token", status=500, when="after")
    choice = {"provider_id": "rippling", "login": LENA, "company_id": CEDARLINE.id}
    Person(deployed, "uncertain").connect(**choice)
    # A disconnected connection, and a vended token.
    gone = Person(deployed, "gone")
    gone.connect(provider_id="adp_run", login=OWEN)
    gone.disconnect("adp_run")
    assert deployed.invoke
    deployed.invoke("vend_token", {**_ASKED, "customer_id": "acme", "caller": "test"})
    # Held, because another customer has a token of the same Finch connection.
    choice = {"provider_id": "paychex_flex", "login": TALLY, "company_id": CEDARLINE.id}
    assert Person(deployed, "early").connect(**choice).outcome["status"] == "connected"
    assert Person(deployed, "late").connect(**choice).outcome == {"error": "cannot_connect"}
    # Held for an operator, because Finch names another customer.
    finch.change_switches(introspect_customer_id_override="another-customer")
    choice = {"provider_id": "rippling", "login": DANA, "company_id": NORTHFOLD.id}
    _connect_unnamed(Person(deployed, "held"), choice)
    finch.change_switches(introspect_customer_id_override=None)
    hashes = {item["customer_id"]["S"]: item["handle_hash"]["S"] for item in _sessions(deployed)}
    for customer in ("escrowed", "uncertain", "to-discard"):
        _age(deployed, hashes[customer], "consumed_at", "due_at")
    _age(deployed, hashes["dead"], "dead_since")
    _age_disconnect(deployed, "leaving")
    tables = deployed.tables
    names = (tables.connections, tables.sessions, tables.ownerships, tables.audit)
    return PreparedWorld(
        deployed,
        acme,
        callback,
        nameless_callback,
        unconfirmed,
        dead,
        shared,
        hashes["escrowed"],
        hashes["to-discard"],
        hashes["held"],
        hashes["late"],
        {"streamArn": "stream", "shardId": "shard", "startSequenceNumber": "1"}
        | {"endSequenceNumber": "1"},
        old_key,
        [(name, tables.items(name)) for name in names],
        deepcopy(finch._world),
    )


def _connect_unnamed(person: Person, choice: dict[str, str]) -> None:
    """Connects while Finch names no connection, so other tokens of it are found by its company."""
    for path in ("/auth/token", "/introspect"):
        person.deployed.finch.faults.add("*", path, edit={"remove": ["connection_id"]})
    person.connect(**choice)


def _callback_without_company(deployed: Deployed) -> str:
    """A callback for a connection that was made before Finch knew the company.

    The key of such a row contains the id of the Finch connection, and stays the same.
    """
    finch, nameless = deployed.finch, Person(deployed, "nameless")
    choice = {"provider_id": "paychex_flex", "login": TALLY, "company_id": JUNIPER_VALE.id}
    finch.change_switches(token_company_id="absent", introspect_company_id="absent")
    nameless.connect(**choice)
    finch.change_switches(token_company_id="present", introspect_company_id="present")
    return nameless.log_in(nameless.click(nameless.link()), **choice)


def _sessions(deployed: Deployed) -> list[dict[str, Any]]:
    return deployed.tables.all_sessions()


def _age(deployed: Deployed, handle_hash: str, *names: str) -> None:
    key = {"handle_hash": {"S": handle_hash}}
    _set(deployed, deployed.tables.sessions, key, names)


def _age_disconnect(deployed: Deployed, customer_id: str) -> None:
    key = {
        "customer_id": {"S": customer_id},
        "provider_id#company_id": {"S": f"rippling#{JUNIPER_VALE.id}"},
    }
    _set(deployed, deployed.tables.connections, key, ("disconnecting_since", "due_at"))


def _set(deployed: Deployed, table: str, key: Mapping[str, Any], names: tuple[str, ...]) -> None:
    then = datetime.now(UTC) - _LONG_AGO
    moment = {"S": then.isoformat()}, {"N": str(int(then.timestamp()))}
    for name in names:
        deployed.tables.dynamodb.update_item(
            TableName=table,
            Key=key,
            UpdateExpression="SET #name = :then",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":then": moment[name == "due_at"]},
        )


@dataclass(frozen=True)
class Exercise:
    """One invocation of one function."""

    function: str
    name: str
    act: Callable[[PreparedWorld], None] = field(repr=False)


EXERCISES: list[Exercise] = []
# The permissions that each exercise used in process, so that tests can try the likeliest exercise first.
NEEDED: dict[Exercise, set[Need]] = {}


def share_needed(folder: Path) -> None:
    """Writes `NEEDED` for the other processes of a parallel run, which share this folder."""
    needed = {one.name: [astuple(need) for need in sorted(NEEDED[one])] for one in NEEDED}
    (folder / _SHARED).write_text(json.dumps(needed))


def read_needed(folder: Path) -> None:
    """Fills `NEEDED`, if another process of a parallel run has written it."""
    if not NEEDED and (folder / _SHARED).exists():
        needed = json.loads((folder / _SHARED).read_text())
        for one in EXERCISES:
            NEEDED[one] = {Need(*need) for need in needed.get(one.name, ())}


type Act = Callable[[PreparedWorld], None]


def exercise(function: str) -> Callable[[Act], Act]:
    """Registers an exercise of a function. The quickest exercise of a function is registered first."""

    def add(act: Act) -> Act:
        EXERCISES.append(Exercise(function, act.__name__, act))
        return act

    return add


@exercise("ListConnections")
def list_connections(prepared: PreparedWorld) -> None:
    prepared.acme.call("GET", "/connections")


@exercise("ListConnections")
def show_connection(prepared: PreparedWorld) -> None:
    prepared.acme.call("GET", connection_path("gusto", HARBOR_LANE.id))


@exercise("StartConnect")
def repair(prepared: PreparedWorld) -> None:
    path = connection_path("gusto", HARBOR_LANE.id) + "/reauthenticate"
    prepared.acme.call("POST", path, {"mode": "embedded"})


@exercise("StartConnect")
def recover_a_lost_connection(prepared: PreparedWorld) -> None:
    link = prepared.acme.start().json.get("connect_url", "/connect/none")
    body = {"code": 400, "name": "bad_request", "message": ""}
    exists = {"finch_code": "connection_already_exists", "context": {"connection_id": _LOST}}
    prepared.deployed.finch.faults.add("POST", "/connect/sessions", status=400, body=body | exists)
    prepared.acme.browser.navigate(link)


@exercise("FinishConnect")
def confirm(prepared: PreparedWorld) -> None:
    assert prepared.unconfirmed.completion
    person = Person(prepared.deployed, "unconfirmed", same_site=False)
    person.confirm(prepared.unconfirmed.completion)


@exercise("FinishConnect")
def confirm_a_dead_token(prepared: PreparedWorld) -> None:
    assert prepared.dead.completion
    Person(prepared.deployed, "dead", same_site=False).confirm(prepared.dead.completion)


@exercise("FinishConnect")
def finish_the_callback(prepared: PreparedWorld) -> None:
    Person(prepared.deployed, "coming").browser.navigate(prepared.callback)


@exercise("FinishConnect")
def finish_the_callback_without_company(prepared: PreparedWorld) -> None:
    Person(prepared.deployed, "nameless").browser.navigate(prepared.nameless_callback)


@exercise("Disconnect")
def disconnect(prepared: PreparedWorld) -> None:
    prepared.shared.disconnect("justworks", CEDARLINE.id)


@exercise("ReceiveWebhook")
def receive_a_webhook(prepared: PreparedWorld) -> None:
    finch = prepared.deployed.finch
    [connection, *_] = [one for one in finch.connections() if one.live]
    event = {"event_type": "account.updated", "connection_id": connection.id}
    now = finch.now() + _STALE
    sent = finch.signed_webhook(Waiting("msg_1", json.dumps(event).encode(), now, now))
    prepared.deployed.api.send("POST", "/webhooks/finch", headers=sent.headers, body=sent.body)


@exercise("ProcessWork")
def finish_an_escrowed_token(prepared: PreparedWorld) -> None:
    prepared.process(session=prepared.escrowed)


@exercise("ProcessWork")
def check_health(prepared: PreparedWorld) -> None:
    company = {"provider_id": "gusto", "company_id": HARBOR_LANE.id}
    prepared.process(customer_id="acme", **company)


@exercise("ProcessWork")
def check_health_without_an_answer(prepared: PreparedWorld) -> None:
    prepared.deployed.finch.faults.add("GET", "/introspect", status=500)
    prepared.process(customer_id="acme", provider_id="gusto", company_id=HARBOR_LANE.id)


@exercise("ProcessWork")
def find_the_connections_of_a_company(prepared: PreparedWorld) -> None:
    prepared.process(finch_company_id=HARBOR_LANE.id)


@exercise("ProcessWork")
def end_an_unconfirmed_connection(prepared: PreparedWorld) -> None:
    prepared.process(session=prepared.to_discard)


@exercise("ScheduleChecks")
def schedule_checks(prepared: PreparedWorld) -> None:
    prepared.invoke("schedule_checks", {})


@exercise("ScheduleChecks")
def count_connections(prepared: PreparedWorld) -> None:
    prepared.invoke("schedule_checks", {"count": True})


@exercise("PublishEvents")
def publish_events(prepared: PreparedWorld) -> None:
    event = json.loads((ROOT / "events" / "publish_events.json").read_text())
    prepared.invoke("publish_events", event)


@exercise("PublishEvents")
def publish_a_failed_batch(prepared: PreparedWorld) -> None:
    with suppress(Exception):
        prepared.invoke("publish_events", {"DDBStreamBatchInfo": prepared.failed_batch})


@exercise("ResolveUnfinished")
def list_unfinished(prepared: PreparedWorld) -> None:
    prepared.invoke("resolve_unfinished", {"action": "list"})


@exercise("ResolveUnfinished")
def read_the_audit(prepared: PreparedWorld) -> None:
    prepared.invoke("resolve_unfinished", {"action": "audit", "customer_id": "acme"})


@exercise("ResolveUnfinished")
def operator_retries(prepared: PreparedWorld) -> None:
    command = {"action": "retry", "session": prepared.escrowed}
    prepared.invoke("resolve_unfinished", command)


def _decide(prepared: PreparedWorld, action: str, session: str) -> None:
    command = {"action": action, "session": session}
    shown = prepared.invoke("resolve_unfinished", command)
    decision = shown["result"]["decision"]
    prepared.invoke("resolve_unfinished", command | {"decision": decision})


@exercise("ResolveUnfinished")
def attach_a_held_token(prepared: PreparedWorld) -> None:
    _decide(prepared, "attach", prepared.held)


@exercise("ResolveUnfinished")
def end_a_held_token(prepared: PreparedWorld) -> None:
    _decide(prepared, "disconnect", prepared.held)


@exercise("ResolveUnfinished")
def transfer_a_company(prepared: PreparedWorld) -> None:
    _decide(prepared, "transfer", prepared.waiting)


def _vend(prepared: PreparedWorld, **more: str) -> None:
    asked = _ASKED | {"customer_id": "acme", "caller": "test"} | more
    prepared.invoke("vend_token", asked)


@exercise("EraseCustomer")
def erase_a_disconnected_customer(prepared: PreparedWorld) -> None:
    prepared.invoke("erase_customer", {"customer_id": "gone"})


@exercise("EraseCustomer")
def erase_a_connected_customer(prepared: PreparedWorld) -> None:
    prepared.invoke("erase_customer", {"customer_id": "acme"})


@exercise("EraseCustomer")
def erase_an_unconfirmed_customer(prepared: PreparedWorld) -> None:
    prepared.invoke("erase_customer", {"customer_id": "to-discard"})


@exercise("EraseCustomer")
def erase_a_customer_of_a_shared_connection(prepared: PreparedWorld) -> None:
    prepared.invoke("erase_customer", {"customer_id": "late"})


@exercise("ReencryptTokens")
def reencrypt(prepared: PreparedWorld) -> None:
    with prepared.old_key() as old_key:
        _encrypt_with(prepared, old_key)
        prepared.invoke("reencrypt_tokens", {})


def _encrypt_with(prepared: PreparedWorld, key_arn: str) -> None:
    """Encrypts a connection's token and an escrowed token with an older key."""
    tables, kms = prepared.deployed.tables, prepared.deployed.kms
    row = {"customer_id": {"S": "acme"}, "provider_id#company_id": {"S": f"gusto#{HARBOR_LANE.id}"}}
    item = tables.dynamodb.get_item(TableName=tables.connections, Key=row)["Item"]
    [token_id] = item["ciphertexts"]["M"]
    stored = {"purpose": "stored", "customer_id": "acme", "provider_id": "gusto"}
    session = {"purpose": "escrow", "session": prepared.to_discard, "customer_id": "to-discard"}
    texts = {one.id: one.access_token for one in prepared.deployed.finch.tokens()}
    for table, key, path, names, context, text in (
        (
            *(tables.connections, row, "ciphertexts.#id", {"#id": token_id}),
            *(stored | {"company_id": HARBOR_LANE.id}, texts[token_id]),
        ),
        (
            *(tables.sessions, {"handle_hash": {"S": prepared.to_discard}}, "escrow.#id"),
            *({"#id": "ciphertext"}, session, "any text"),
        ),
    ):
        ciphertext = kms.encrypt(KeyId=key_arn, Plaintext=text.encode(), EncryptionContext=context)
        tables.dynamodb.update_item(
            TableName=table,
            Key=key,
            UpdateExpression=f"SET {path} = :encrypted",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={":encrypted": {"B": ciphertext["CiphertextBlob"]}},
        )


@exercise("RestoreBackup")
def restore_a_backup(prepared: PreparedWorld) -> None:
    tables, restored = prepared.deployed.tables, {}
    kept = dict(prepared._kept)
    lost = {
        "connections": [
            one for one in kept[tables.connections] if one["customer_id"]["S"] == "acme"
        ],
        "sessions": [
            one
            for one in kept[tables.sessions]
            if _hash(one) == prepared.held or one.get("phase") == {"S": "complete"}
        ],
    }
    for part, name, key in (
        ("connections", tables.connections, ("customer_id", "provider_id#company_id")),
        ("sessions", tables.sessions, ("handle_hash",)),
    ):
        restored[part] = _copied(
            prepared.deployed, f"finch-connections-restored-{part}", key, lost[part]
        )
        for item in lost[part]:
            tables.dynamodb.delete_item(TableName=name, Key={one: item[one] for one in key})
    # The connection of a complete session is nowhere.
    for row in tables.items(tables.connections):
        whole = {name: row[name] for name in ("customer_id", "provider_id#company_id")}
        tables.dynamodb.delete_item(TableName=tables.connections, Key=whole)
    for record in tables.items(tables.ownerships):
        tables.dynamodb.delete_item(
            TableName=tables.ownerships, Key={"owned_id": record["owned_id"]}
        )
    try:
        prepared.invoke("restore_backup", restored)
    finally:
        for name in restored.values():
            tables.dynamodb.delete_table(TableName=name)


def _hash(item: Mapping[str, Any]) -> str:
    return str(item["handle_hash"]["S"])


def _copied(
    deployed: Deployed, name: str, key: tuple[str, ...], items: Sequence[Mapping[str, Any]]
) -> str:
    """Creates a table with these items, as a restore by DynamoDB does; returns its name."""
    client = deployed.tables.dynamodb
    kinds: Any = ("HASH", "RANGE")
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in key],
        KeySchema=[
            {"AttributeName": one, "KeyType": kind} for one, kind in zip(key, kinds, strict=False)
        ],
    )
    for item in items:
        client.put_item(TableName=name, Item=item)
    return name


@exercise("VendToken")
def vend(prepared: PreparedWorld) -> None:
    # The first token of this connection, whose use is noted.
    _vend(prepared, customer_id="early", provider_id="paychex_flex", company_id=CEDARLINE.id)


@exercise("VendToken")
def report_an_unauthorized_token(prepared: PreparedWorld) -> None:
    [login] = prepared.acme.connection()["logins"]
    _vend(prepared, report="unauthorized", token_id=login["id"])


def _call(prepared: PreparedWorld, **row: str) -> None:
    asked = {"customer_id": "acme", "provider_id": "gusto", "company_id": HARBOR_LANE.id} | row
    call = {"caller": "test", "purpose": "test", "method": "GET", "path": "/employer/directory"}
    prepared.invoke("call_finch", asked | call)


@exercise("CallFinch")
def call_finch(prepared: PreparedWorld) -> None:
    # The first use of this connection, which is noted.
    _call(prepared, customer_id="early", provider_id="paychex_flex", company_id=CEDARLINE.id)


@exercise("CallFinch")
def call_finch_with_an_unauthorized_token(prepared: PreparedWorld) -> None:
    prepared.deployed.finch.faults.add("GET", "/employer/directory", error="invalid_token_error")
    _call(prepared)


@exercise("ReadDirectory")
def read_a_directory(prepared: PreparedWorld) -> None:
    company = {"provider_id": "gusto", "company_id": HARBOR_LANE.id}
    prepared.invoke("read_directory", {"customer_id": "acme", **company})


@exercise("VendToken")
def list_connections_for_a_backend(prepared: PreparedWorld) -> None:
    asked = {"customer_id": "acme", "caller": "test", "purpose": "test", "list_connections": True}
    assert prepared.invoke("vend_token", asked)["connections"]


@exercise("VendToken")
def vend_to_a_backend_without_a_grant(prepared: PreparedWorld) -> None:
    request = _ASKED | {"customer_id": "acme", "caller": "test"}
    assert prepared.invoke("vend_token:payroll", request)["reason"] == "not_granted"


@exercise("CallFinch")
def call_finch_for_a_backend_without_a_grant(prepared: PreparedWorld) -> None:
    asked = {"customer_id": "acme", "provider_id": "gusto", "company_id": HARBOR_LANE.id}
    call = {"caller": "test", "purpose": "test", "method": "GET", "path": "/employer/directory"}
    prepared.invoke("call_finch:payroll", asked | call)


@exercise("ListEmployees")
def list_the_employees(prepared: PreparedWorld) -> None:
    asked = {"customer_id": "acme", "caller": "test", "purpose": "test"}
    prepared.invoke("list_employees", asked)
