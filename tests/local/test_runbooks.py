"""The commands of the runbooks, run in the local world.

The tests take the commands from the text. `finch-connections` runs as it does for an operator. For `aws`, the
test sends the same request with boto3.
"""

import io
import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.fake_finch.records import Token
from local.fake_finch.seed_world import CEDARLINE, HARBOR_LANE, IRIS, JUNIPER_VALE, LENA, MAYA, OWEN
from local.world import STACK_NAME, World
from operations import __main__ as operations
from operations import reencrypt
from tests.local.conftest import until
from tests.local.test_recovery import Queue, pass_time, phases, ringing
from tests.support.deployed import Deployed
from tests.support.invariants import ConnectionHistory, broken
from tests.support.person import Person
from tests.support.runbooks import commands, sections

TO_DO, ALARMS = sections("Tasks of a person"), sections("Alarms")
DONE, PERSON_NEEDED, FAILED, NOT_FINISHED = 0, 1, 2, 3


@dataclass
class Operator:
    """An operator at a terminal who follows the runbooks."""

    world: World
    screen: str = ""
    answers: list[Any] = field(default_factory=list)

    def operations(self, *words: str) -> int:
        """Runs the program and returns its exit code; `screen` gets its output."""
        output = io.StringIO()
        where = ["--local", "--aws-port", str(self.world.ports.aws)]
        with redirect_stdout(output), redirect_stderr(output):
            code = operations.main([*where, *words])
        self.screen = output.getvalue()
        return code

    def faults(self) -> list[str]:
        """The faults that `doctor` finds, without alarms: earlier tests may have raised them."""
        self.operations("doctor")
        lines = self.screen.splitlines()
        assert lines[-1] == "All is well." or "faults" in lines[-1], self.screen
        found = [line for line in lines if line.startswith("WRONG")]
        return [line for line in found if not line.endswith(": rings")]

    def follow(self, section: str, **values: str) -> list[int]:
        """Runs every command of a section in order; returns the exit codes of `finch-connections`."""
        named = self.world._outputs | {"stack": STACK_NAME} | values
        return [code for line in commands(section, named) if (code := self.run(line)) is not None]

    def run(self, line: list[str]) -> int | None:
        """Runs a command; returns the exit code of `finch-connections`, otherwise None."""
        match line:
            case ["finch-connections", *words]:
                return self.operations(*words)
            case ["curl", "-s", url, *headers]:
                self.answers.append(self._get(url, headers).json())
            case ["aws", service, operation, *options]:
                self.answers.append(self._aws(service, operation, options))
            case _:
                raise AssertionError(line)
        return None

    def _get(self, url: str, headers: list[str]) -> httpx.Response:
        path = url.removeprefix("https://api.tryfinch.com")
        pairs = [one.split(": ", 1) for one in headers if one != "-H"]
        return httpx.get(self.world.finch_url + path, headers=dict(pairs), timeout=30)

    def _aws(self, service: str, operation: str, options: list[str]) -> Any:
        client = self.world.aws.client(service)
        method = operation.replace("-", "_")
        name = client.meta.method_to_api_mapping[method]
        members = client.meta.service_model.operation_model(name).input_shape.members
        cases = {one.lower(): one for one in members}
        arguments: dict[str, Any] = {}
        words = iter([*options, "--"])
        option = next(words)
        while option != "--":
            following = next(words)
            member = cases[option.removeprefix("--").replace("-", "")]
            if following.startswith("--"):
                arguments[member], option = True, following
            else:
                number = members[member].type_name == "integer"
                arguments[member] = int(following) if number else following
                option = next(words)
        return getattr(client, method)(**arguments)


@pytest.fixture
def operator(world: World, deployed: Deployed) -> Operator:
    """The operator on duty."""
    return Operator(world)


@pytest.fixture
def queue(world: World, deployed: Deployed) -> Queue:
    """The work queue, to make work items due."""
    return Queue(world, deployed)


@pytest.fixture
def application(world: World) -> Iterator[dict[str, str]]:
    """The content of the Finch secret. It is restored after the test."""
    before, secrets = world.finch.application, world.aws.client("secretsmanager")
    arn = world.output("FinchSecretArn")
    kept = secrets.get_secret_value(SecretId=arn)["SecretString"]
    yield {
        "client_id": before.client_id,
        "client_secret": before.client_secret,
        "webhook_secret": before.webhook_secrets[0],
    }
    world.finch.replace_application(
        client_secret=before.client_secret, webhook_secrets=before.webhook_secrets
    )
    secrets.put_secret_value(SecretId=arn, SecretString=kept)


def live(deployed: Deployed) -> list[Token]:
    return deployed.finch.live_tokens()


def test_doctor_finds_no_fault_in_a_working_stack(operator: Operator) -> None:
    assert operator.faults() == []


def test_doctor_names_each_fault_and_its_fix(
    world: World, operator: Operator, application: Mapping[str, str]
) -> None:
    aws, name = world.aws, world.output
    aws.client("secretsmanager").put_secret_value(
        SecretId=name("FinchSecretArn"), SecretString='{"client_id": "", "client_secret": ""}'
    )
    aws.client("kms").disable_key_rotation(KeyId=name("TokenKeyArn"))
    schedule = world.physical_id("ScheduleChecksSchedule")
    scheduler = aws.client("scheduler")
    stated = scheduler.get_schedule(Name=schedule)
    kept = {member: stated[member] for member in ("Name", "ScheduleExpression", "Target")}
    kept["FlexibleTimeWindow"] = stated["FlexibleTimeWindow"]
    scheduler.update_schedule(**kept, State="DISABLED")
    [mapping] = aws.client("lambda").list_event_source_mappings(
        FunctionName=world.alias("ProcessWork")
    )["EventSourceMappings"]
    aws.client("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    aws.client("sqs").send_message(
        QueueUrl=name("EventsDeadLetterQueueUrl"), MessageBody='{"not": "a dead letter"}'
    )
    gateway, api = aws.client("apigatewayv2"), name("ApiId")
    # A deployment has this effect when API Gateway cannot read the issuer.
    [listing] = [
        route
        for route in gateway.get_routes(ApiId=api)["Items"]
        if route["RouteKey"] == "GET /connections"
    ]
    gateway.delete_route(ApiId=api, RouteId=listing.pop("RouteId"))
    try:
        faults = operator.faults()
    finally:
        gateway.create_route(ApiId=api, **listing)
        aws.client("kms").enable_key_rotation(KeyId=name("TokenKeyArn"))
        scheduler.update_schedule(**kept, State="ENABLED")
        aws.client("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
        aws.client("sqs").purge_queue(QueueUrl=name("EventsDeadLetterQueueUrl"))
    for line in (
        "WRONG  Finch: credentials_unreadable",
        f"-> fill in client_id and client_secret in the secret {name('FinchSecretArn')}",
        "WRONG  webhook secrets: 0 are usable",
        "WRONG  key: does not rotate",
        "WRONG  scheduled check: its schedule is DISABLED",
        "WRONG  ProcessWork: its event source mapping is Disabled",
        "WRONG  EventsDeadLetterQueue: 1 dead letters",
        f"WRONG  API: {world.api_url} answers 404 without an access token",
        "-> API Gateway could not read the issuer during deployment: correct JwtIssuer, deploy again",
    ):
        assert line in operator.screen, operator.screen
    assert len(faults) == 7


def test_doctor_distinguishes_a_wrong_secret_from_a_wrong_redirect_uri(
    world: World, operator: Operator, application: Mapping[str, str]
) -> None:
    uris = world.finch.application.redirect_uris
    world.finch.replace_application(redirect_uris=["https://elsewhere.example.com/callback"])
    assert operator.operations("doctor") == PERSON_NEEDED
    assert f"-> register {world.api_url}/callback as a redirect URI" in operator.screen
    world.finch.replace_application(redirect_uris=uris, client_secret="another")
    assert operator.operations("doctor") == PERSON_NEEDED
    assert "WRONG  Finch: invalid_client" in operator.screen


def test_replacing_the_client_secret_loses_no_connection(
    world: World, deployed: Deployed, operator: Operator, application: dict[str, str]
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect()
    on_the_way = globex.log_in(globex.click(globex.link()), login=IRIS, company_id=JUNIPER_VALE.id)
    world.finch.replace_application(client_secret="a-new-one")
    early = globex.come_back(on_the_way)
    assert early.outcome == {"error": "finch_misconfigured"}
    values = application | {"client_secret": "a-new-one"}
    operator.follow(TO_DO["Replace the client secret"], **values)
    assert operator.faults() == []
    assert globex.come_back(on_the_way).outcome["status"] == "connected"
    assert acme.disconnect().status == 200
    assert broken(deployed, ConnectionHistory(), at_rest=False) == []


def test_replacing_a_webhook_secret_refuses_no_webhook(
    world: World, deployed: Deployed, operator: Operator, application: dict[str, str]
) -> None:
    Person(deployed, "acme").connect()
    connection_id = live(deployed)[0].connection_id

    def answered() -> int | None:
        event_id = deployed.finch.send_webhook("account.updated", connection_id)
        [first, *_] = until(
            lambda: [
                answer for answer in deployed.finch.outbox.answers() if answer.event_id == event_id
            ]
        )
        return first.status

    assert answered() == 200
    new = deployed.finch.rotate_webhook_secret()
    assert answered() == 200
    values = application | {"new_webhook_secret": new}
    operator.follow(TO_DO["Replace a webhook secret"], **values)
    assert operator.faults() == []
    assert "webhook secrets: 2 are usable" in operator.screen
    deployed.finch.replace_application(webhook_secrets=[new])
    assert answered() == 200


def test_replacing_the_kms_key_keeps_all_connections_working(
    world: World,
    deployed: Deployed,
    operator: Operator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acme = Person(deployed, "acme")
    unconfirmed = Person(deployed, "globex", same_site=False)
    acme.connect(login=MAYA)
    acme.connect(login=OWEN)
    landing = unconfirmed.connect(login=IRIS, company_id=JUNIPER_VALE.id)
    old = world.output("TokenKeyArn")
    section = TO_DO["Replace the KMS key"]
    known = {"new_key_arn": "not-yet", "old_key_arn": old}
    create, enable, run_again, disable = commands(section, known)
    operator.run(create)
    new = operator.answers[-1]["KeyMetadata"]["Arn"]
    operator.run([*enable[:-1], new])
    world.redeploy(TokenKeyArn=new, OldTokenKeyArn=old)
    assert world.output("TokenKeyArn") == new
    assert operator.run(run_again) == NOT_FINISHED, operator.screen
    assert "3 reencrypted" in operator.screen
    assert [line for line in operator.faults() if f"functions may still decrypt with {old}" in line]
    monkeypatch.setattr(reencrypt, "OLD_FUNCTIONS_END_AFTER", timedelta())
    assert operator.run(run_again) == DONE, operator.screen
    world.redeploy(OldTokenKeyArn="")
    operator.run(disable)
    assert landing.completion
    assert unconfirmed.confirm(landing.completion).json["status"] == "connected"
    assert acme.disconnect().status == 200
    assert broken(deployed, ConnectionHistory(), at_rest=False) == []
    assert operator.faults() == []


def test_restore_takes_back_live_tokens_and_leaves_revoked_tokens_dead(
    deployed: Deployed, operator: Operator, queue: Queue
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect(login=MAYA)
    acme.connect(provider_id="justworks", login=MAYA)
    globex.connect(login=IRIS, company_id=JUNIPER_VALE.id)
    unconfirmed = Person(deployed, "initech", same_site=False)
    unconfirmed.connect(provider_id="rippling", login=LENA, company_id=CEDARLINE.id)
    first, second, restore, *rest = commands(
        TO_DO["Restore from a point in time"], operator.world._outputs | {"stack": STACK_NAME}
    )
    operator.run(first)
    operator.run(second)
    assert acme.disconnect("justworks").status == 200
    tables = deployed.tables
    for table, key in (
        (tables.connections, ("customer_id", "provider_id#company_id")),
        (tables.sessions, ("handle_hash",)),
        (tables.ownerships, ("owned_id",)),
    ):
        for item in tables.items(table):
            if item.get("customer_id") in ({"S": "acme"}, {"S": "initech"}) or "holders" in item:
                tables.dynamodb.delete_item(TableName=table, Key={name: item[name] for name in key})
    assert acme.connections() == []
    assert operator.run(restore) == DONE, operator.screen
    assert "1 restored" in operator.screen
    assert "1 held for a person" in operator.screen
    assert [shown["status"] for shown in acme.connections()] == ["connected"]
    assert operator.run(restore) == DONE
    assert "held" not in operator.screen
    assert "restored" not in operator.screen.replace("restored tables", "")
    for line in rest:
        operator.run(line)
    left = operator.world.aws.client("dynamodb").list_tables()["TableNames"]
    assert not [name for name in left if "restored" in name]
    assert operator.faults() == []
    queue.fall_due()
    until(lambda: len(queue.waiting()) <= 1)
    assert broken(deployed, ConnectionHistory(), at_rest=True) == []
    assert globex.connection(company_id=JUNIPER_VALE.id)["status"] == "connected"


def test_all_work_finishes_by_itself_after_finch_was_down_for_a_day(
    deployed: Deployed, operator: Operator, queue: Queue
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add("*", "*", status=500, times=None)
    assert acme.disconnect().status == 202
    pass_time(deployed, timedelta(days=1))
    assert operator.operations("doctor") == PERSON_NEEDED
    assert "WRONG  Finch: server_error" in operator.screen
    assert operator.operations("resolve", "list") == PERSON_NEEDED
    assert "disconnecting" in operator.screen
    deployed.finch.faults.clear()
    queue.fall_due()
    until(lambda: acme.connection()["status"] == "disconnected")
    _, listed, redriven = operator.follow(TO_DO["Finch is down for a day"])
    assert (listed, redriven) == (DONE, DONE)
    assert operator.faults() == []


def test_leaked_token_is_found_and_revoked(deployed: Deployed, operator: Operator) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    [token] = live(deployed)
    assert deployed.invoke
    where = {"customer_id": "acme", "provider_id": "gusto", "company_id": HARBOR_LANE.id}
    request = {**where, "products": [], "purpose": "test", "caller": "careless-backend"}
    deployed.invoke("vend_token", request)
    codes = operator.follow(
        TO_DO["A token has leaked"],
        token=token.access_token,
        connection_id=token.connection_id,
        customer="acme",
        provider="gusto",
        company=HARBOR_LANE.id,
    )
    assert operator.answers[0]["connection_id"] == token.connection_id
    assert codes == [DONE] * 4
    until(lambda: acme.connection()["status"] == "disconnected")
    assert live(deployed) == []
    operator.operations("resolve", "audit", "acme")
    assert "careless-backend" in operator.screen
    assert operator.operations("inspect", "--connection", token.connection_id) == FAILED


def test_customer_is_exported_and_erased_with_a_report(
    deployed: Deployed, operator: Operator, tmp_path: Path
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect(login=MAYA)
    acme.connect(login=OWEN)
    other_site = Person(deployed, "acme", same_site=False)
    landing = other_site.connect(provider_id="justworks", login=MAYA)
    globex.connect(login=IRIS, company_id=JUNIPER_VALE.id)
    where = {"customer_id": "acme", "provider_id": "gusto", "company_id": HARBOR_LANE.id}
    request = {**where, "products": [], "purpose": "test", "caller": "payroll-sync"}
    assert deployed.invoke
    assert "token" in deployed.invoke("vend_token", request)
    assert operator.operations("inspect", "acme") == DONE
    assert "login" in operator.screen
    assert "escrowed" in operator.screen
    to = tmp_path / "acme.json"
    codes = operator.follow(TO_DO["Erase a customer"], customer="acme", file=str(to))
    assert codes == [DONE, DONE, DONE], operator.screen
    assert operator.screen == "acme\n  nothing is stored\n"
    assert acme.connections() == []
    assert [token.connection_id for token in live(deployed)] == [
        globex.connection(company_id=JUNIPER_VALE.id)["logins"][0]["connection_id"]
    ]
    assert broken(deployed, ConnectionHistory(), at_rest=False) == []

    assert to.stat().st_mode & 0o077 == 0
    exported = json.loads(to.read_text())
    assert {row["status"] for row in exported["connections"]} == {"connected"}
    assert len(exported["connections"][0]["tokens"]) == 2
    assert [record["caller"] for record in exported["token_requests"]] == ["payroll-sync"]
    assert "escrowed" in {session["phase"] for session in exported["sessions"]}
    assert landing.completion
    secrets = [token.access_token for token in deployed.finch.tokens()]
    secrets += [*acme.browser.cookies.values(), landing.completion.partition(".")[2]]
    text = to.read_text()
    assert not [secret for secret in secrets if secret in text]
    assert "globex" not in text
    assert secret_fields(exported) == []


def secret_fields(exported: dict[str, Any]) -> list[str]:
    """Exported fields that contain ciphertexts, codes or hashes of secrets."""
    wanted = ("ciphertexts", "ciphertext", "completion", "binding", "code_hash", "connect_url")
    text = json.dumps(exported)
    return [name for name in wanted if f'"{name}' in text]


def test_operator_sees_and_compares_what_finch_bills(
    world: World, deployed: Deployed, operator: Operator, tmp_path: Path
) -> None:
    Person(deployed, "acme").connect(login=MAYA)
    Person(deployed, "globex").connect(login=IRIS, company_id=JUNIPER_VALE.id)
    assert deployed.invoke
    where = {"customer_id": "acme", "provider_id": "gusto", "company_id": HARBOR_LANE.id}
    request = {**where, "products": [], "purpose": "test", "caller": "payroll-sync"}
    used = deployed.invoke("vend_token", request)["token"]["connection_id"]
    assert operator.operations("billing", "--price", "50") == DONE
    lines = operator.screen.splitlines()
    assert "Live connections: 2, of them idle: 0." in lines
    assert [line.split()[-4:] for line in lines if used in line] == [["0", "days", "ago", "50.00"]]

    [unused] = {one.connection_id for one in live(deployed)} - {used}
    export = tmp_path / "export.csv"
    export.write_text(f"Connection ID;Customer\n{used};acme\nlost-one;unknown\n")
    assert operator.operations("billing", "--compare", str(export), "--json") == PERSON_NEEDED
    compared = json.loads(operator.screen.partition("\n")[2])["compared"]
    [at_finch], [here] = compared["at_finch_only"], compared["here_only"]
    assert (at_finch["connection_id"], here["connection_id"]) == ("lost-one", unused)
    assert operator.run(shlex.split(at_finch["fix"])) == FAILED
    assert operator.screen == "No token of this connection is stored here.\n"
    assert operator.run(shlex.split(here["fix"])) == DONE
    assert operator.operations("billing", "--compare", __file__) == FAILED
    assert "a usable file begins with: connection_id" in operator.screen

    # The daily run, as its schedule starts it.
    schedule = world.physical_id("ScheduleChecksCount")
    target = world.aws.client("scheduler").get_schedule(Name=schedule)["Target"]
    before = len(world.function_log("ScheduleChecks"))
    deployed.invoke("schedule_checks", json.loads(target["Input"]))
    counted = until(
        lambda: [
            json.loads(line)
            for line in world.function_log("ScheduleChecks")[before:]
            if '"counted"' in line
        ]
    )
    assert [(one["live"], one["idle"], one["unattached"]) for one in counted] == [(2, 0, 0)]


def test_operator_decides_about_a_held_token(
    deployed: Deployed, operator: Operator, queue: Queue
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect(login=MAYA)
    assert globex.connect(login=OWEN).outcome == {"error": "cannot_connect"}
    pass_time(deployed, timedelta(hours=2))
    assert operator.operations("resolve", "list", "--json") == PERSON_NEEDED
    [held] = json.loads(operator.screen)["sessions"]
    assert operator.operations("resolve", "list") == PERSON_NEEDED
    heads, row = operator.screen.splitlines()
    assert heads.split() == [
        *("SINCE", "PHASE", "REASON", "CUSTOMER", "PROVIDER", "COMPANY", "SESSION")
    ]
    assert row.split()[2:] == [
        *("held", "cannot_connect", "globex", "gusto", HARBOR_LANE.id, held["session"])
    ]
    _, attach, disconnect = commands(ALARMS["A token is held"], {"session": held["session"]})
    # Without a terminal, the program cannot ask and does nothing.
    assert operator.run(attach) == FAILED
    assert operator.run([*attach, "--yes"]) == FAILED
    assert globex.connections() == []
    assert operator.run([*disconnect, "--yes"]) == DONE
    assert "would_be_cut_off" in operator.screen
    assert phases(deployed)["ended"] == 1
    assert len(live(deployed)) == 1
    assert acme.connection()["status"] == "connected"


def test_operator_gives_a_company_to_the_customer_of_a_held_token(
    deployed: Deployed, operator: Operator, queue: Queue
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect(login=MAYA)
    assert globex.connect(login=OWEN).outcome == {"error": "cannot_connect"}
    pass_time(deployed, timedelta(hours=2))
    [held] = [one for one in deployed.tables.all_sessions() if one["phase"]["S"] == "held"]
    values = {"session": held["handle_hash"]["S"], "customer": "globex"}
    listing, transfer, inspect = commands(
        TO_DO["A company is connected by another customer"], values
    )
    assert operator.run(listing) == PERSON_NEEDED
    assert values["session"] in operator.screen
    # Without a terminal, the program cannot ask and does nothing.
    assert operator.run(transfer) == FAILED
    assert globex.connections() == []
    assert operator.run([*transfer, "--yes"]) == DONE
    assert "status: transferred" in operator.screen
    assert operator.run(inspect) == DONE
    assert HARBOR_LANE.id in operator.screen
    assert globex.connection()["status"] == "connected"
    queue.fall_due()
    until(lambda: acme.connection()["status"] == "disconnected")
    assert acme.connection()["problem"] == "transferred"
    assert [token.login for token in live(deployed)] == [OWEN]


def test_role_without_decrypt_permission_raises_alarms_and_loses_no_token(
    world: World, deployed: Deployed
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    iam, role = world.aws.client("iam"), world.physical_id("DisconnectRole")
    policy = {"RoleName": role, "PolicyName": "disconnect"}
    allowed = iam.get_role_policy(**policy)["PolicyDocument"]
    statements = [each for each in allowed["Statement"] if each["Sid"] != "DecryptStoredTokens"]
    narrower = json.dumps(allowed | {"Statement": statements})
    iam.put_role_policy(**policy, PolicyDocument=narrower)
    try:
        assert acme.disconnect().status == 202
    finally:
        iam.put_role_policy(**policy, PolicyDocument=json.dumps(allowed))
    until(lambda: "KmsFailingAlarm" in ringing(world))
    assert acme.disconnect().status == 200


def test_redrive_puts_dead_letters_back_into_the_queue(
    world: World, deployed: Deployed, operator: Operator
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    deployed.finch.faults.add("POST", "/disconnect", status=500)
    assert acme.disconnect().status == 202
    work_item = {"customer_id": "acme", "provider_id": "gusto", "company_id": HARBOR_LANE.id}
    now = "2026-01-01T00:00:00+00:00"
    dead_letter = json.dumps({**work_item, "asked_at": now, "scheduled": False})
    world.aws.client("sqs").send_message(
        QueueUrl=world.output("WorkDeadLetterQueueUrl"), MessageBody=dead_letter
    )
    assert operator.follow(ALARMS["A work item is given up"]) == [DONE]
    assert "1 work items are in the queue again." in operator.screen
    until(lambda: acme.connection()["status"] == "disconnected")
