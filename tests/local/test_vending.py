"""Vending in the deployed stack: real invocations, real roles, a directory with several pages."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest
from botocore.exceptions import ClientError

from finch_tokens import TokenClient
from local import example_backend
from local.fake_finch.seed_world import CEDARLINE, LENA, people
from local.world import STACK_NAME, EmulatedAws, World
from operations.__main__ import main as operate
from tests.support.deployed import Deployed
from tests.support.person import Person

CEDARLINES: Any = {"customer_id": "acme", "provider_id": "rippling", "company_id": CEDARLINE.id}
REQUEST = {**CEDARLINES, "products": ["directory"], "purpose": "test", "caller": "payroll-sync"}


def invoke(world: World, aws: EmulatedAws, function: str, event: Any, alias: str = "live") -> Any:
    answer = aws.client("lambda").invoke(
        FunctionName=world.alias(function, alias), Payload=json.dumps(event)
    )
    content = json.load(answer["Payload"])
    assert "FunctionError" not in answer, content
    return content


@contextmanager
def backend_that_may_invoke(world: World, arn: str) -> Iterator[EmulatedAws]:
    """The emulated AWS with a role whose only permission is to invoke this alias."""
    iam, role = world.aws.client("iam"), "backend"
    statement = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": arn}
    like = iam.get_role(RoleName=world.physical_id("ReadDirectoryRole"))["Role"]
    trust = json.dumps(like["AssumeRolePolicyDocument"])
    role_arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName="invoke", PolicyDocument=policy)
    sts = world.aws.client("sts")
    assumed = sts.assume_role(RoleArn=role_arn, RoleSessionName=role)["Credentials"]
    try:
        yield EmulatedAws(
            world.aws.endpoint_url,
            assumed["AccessKeyId"],
            assumed["SecretAccessKey"],
            assumed["SessionToken"],
        )
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="invoke")
        iam.delete_role(RoleName=role)


@pytest.fixture
def acme(deployed: Deployed) -> Person:
    person = Person(deployed, "acme")
    person.connect(provider_id="rippling", login=LENA, company_id=CEDARLINE.id)
    return person


def test_backend_reads_a_directory_with_several_pages(
    world: World, deployed: Deployed, acme: Person
) -> None:
    answer = invoke(world, world.aws, "ReadDirectory", CEDARLINES)
    individual_ids = [person.id for person in people(CEDARLINE, CEDARLINE.entities[0])]
    assert answer["count"] == len(individual_ids) > 100
    assert answer["individual_ids"] == individual_ids
    assert deployed.finch.requests.count("GET", "/employer/directory") == 2
    request = {"action": "audit", "customer_id": "acme"}
    [record] = invoke(world, world.aws, "ResolveUnfinished", request)["result"]["records"]
    assert (record["outcome"], record["products"]) == ("vended", ["directory"])
    assert record["caller"] == world.physical_id("ReadDirectory")
    assert record["token_id"] == acme.connection("rippling", CEDARLINE.id)["logins"][0]["id"]


def test_backend_reports_a_401_and_the_report_is_audited(
    world: World, deployed: Deployed, acme: Person
) -> None:
    deployed.finch.faults.add("GET", "/employer/directory", error="invalid_token_error")
    answer = invoke(world, world.aws, "ReadDirectory", CEDARLINES)
    assert answer == {"reason": "unauthorized"}
    request = {"action": "audit", "customer_id": "acme"}
    records = invoke(world, world.aws, "ResolveUnfinished", request)["result"]["records"]
    assert [record["outcome"] for record in records] == ["reported", "vended"]


def test_backend_gets_the_reason_of_a_refusal(
    world: World, deployed: Deployed, acme: Person
) -> None:
    acme.disconnect("rippling", CEDARLINE.id)
    answer = invoke(world, world.aws, "ReadDirectory", CEDARLINES)
    assert (answer["reason"], answer["status"]) == ("disconnected", "disconnected")


def test_no_token_is_in_a_log_or_an_audit_record(
    world: World, deployed: Deployed, acme: Person
) -> None:
    invoke(world, world.aws, "ReadDirectory", CEDARLINES)
    vended = invoke(world, world.aws, "VendToken", REQUEST)["token"]["access_token"]
    lines = world.function_log("VendToken") + world.function_log("ReadDirectory")
    assert '"message":"token asked for"' in "\n".join(lines)
    assert vended == deployed.finch.live_tokens()[0].access_token
    assert vended not in "\n".join(lines)
    assert vended not in str(deployed.tables.items(deployed.tables.audit))


def test_backend_role_may_invoke_vend_token_and_nothing_else(
    world: World, deployed: Deployed, acme: Person
) -> None:
    backend = world.as_role("ReadDirectoryRole")
    assert "token" in invoke(world, backend, "VendToken", REQUEST)
    denied: list[tuple[str, str, dict[str, Any]]] = [
        ("lambda", "invoke", {"FunctionName": world.physical_id("VendToken")}),
        ("lambda", "invoke", {"FunctionName": world.alias("ResolveUnfinished")}),
        ("lambda", "invoke", {"FunctionName": world.alias("ReadDirectory")}),
        ("dynamodb", "scan", {"TableName": world.output("ConnectionsTableName")}),
        ("dynamodb", "scan", {"TableName": world.output("AuditTableName")}),
        ("sqs", "send_message", {"QueueUrl": world.output("WorkQueueUrl"), "MessageBody": "{}"}),
        ("kms", "decrypt", ciphertext(world, "stored")),
        ("secretsmanager", "get_secret_value", {"SecretId": world.output("FinchSecretArn")}),
    ]
    for service, operation, arguments in denied:
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(backend.client(service), operation)(**arguments)


def test_vend_token_role_may_decrypt_stored_tokens_and_add_records_only(world: World) -> None:
    role = world.as_role("VendTokenRole")
    decrypted = role.client("kms").decrypt(**ciphertext(world, "stored"))
    assert decrypted["Plaintext"] == b"canary"
    connections, audit = world.output("ConnectionsTableName"), world.output("AuditTableName")
    row = {"customer_id": {"S": "acme"}, "provider_id#company_id": {"S": "gusto#x"}}
    record = {"customer_id": {"S": "acme"}, "vended_at#id": {"S": "2026"}}
    role.client("dynamodb").put_item(TableName=audit, Item=record)
    query = {
        "KeyConditionExpression": "customer_id = :customer",
        "ExpressionAttributeValues": {":customer": {"S": "acme"}},
    }
    key = {"KeyId": world.output("TokenKeyArn"), "Plaintext": b"canary"}
    denied: list[tuple[str, str, dict[str, Any]]] = [
        ("dynamodb", "put_item", {"TableName": connections, "Item": row}),
        ("dynamodb", "delete_item", {"TableName": connections, "Key": row}),
        ("dynamodb", "query", {"TableName": connections, **query}),
        ("dynamodb", "query", {"TableName": audit, **query}),
        ("dynamodb", "get_item", {"TableName": audit, "Key": record}),
        ("dynamodb", "delete_item", {"TableName": audit, "Key": record}),
        ("kms", "decrypt", ciphertext(world, "escrow")),
        (
            "kms",
            "encrypt",
            {**key, "EncryptionContext": ciphertext(world, "stored")["EncryptionContext"]},
        ),
        ("secretsmanager", "get_secret_value", {"SecretId": world.output("FinchSecretArn")}),
        ("lambda", "invoke", {"FunctionName": world.alias("VendToken")}),
    ]
    for service, operation, arguments in denied:
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(role.client(service), operation)(**arguments)


def ciphertext(world: World, purpose: str) -> dict[str, Any]:
    """Arguments of a KMS Decrypt call, with a ciphertext that the root user encrypted."""
    context = {"purpose": purpose, "customer_id": "acme"}
    key = {"KeyId": world.output("TokenKeyArn"), "Plaintext": b"canary"}
    answer = world.aws.client("kms").encrypt(**key, EncryptionContext=context)
    return {"CiphertextBlob": answer["CiphertextBlob"], "EncryptionContext": context}


def test_employees_of_two_providers_are_listed_as_one_person_each(
    world: World, deployed: Deployed
) -> None:
    person = Person(deployed, "acme")
    products = ["company", "directory", "individual", "employment"]
    for provider_id in ("rippling", "bamboo_hr"):
        person.connect(
            provider_id=provider_id, login=LENA, company_id=CEDARLINE.id, products=products
        )
    asked = {"customer_id": "acme", "purpose": "test", "caller": "benefits"}
    answer = invoke(world, world.aws, "ListEmployees", asked)
    assert answer["left_out"] == []
    employees = people(CEDARLINE, CEDARLINE.entities[0])
    assert len(answer["people"]) == len(employees)
    assert {len(one["members"]) for one in answer["people"]} == {2}
    log = "\n".join(world.function_log("ListEmployees") + world.function_log("VendToken"))
    assert "employees listed" in log
    assert not any(one.email in log or one.street in log for one in employees)
    with pytest.raises(ClientError, match="AccessDenied"):
        world.as_role("ListEmployeesRole").client("dynamodb").scan(
            TableName=world.output("ConnectionsTableName")
        )


@pytest.mark.parametrize("through", ["vend_token", "call_finch"])
def test_finchs_own_sdk_reads_a_directory_both_ways(
    world: World,
    deployed: Deployed,
    acme: Person,
    monkeypatch: pytest.MonkeyPatch,
    through: Literal["vend_token", "call_finch"],
) -> None:
    monkeypatch.setenv("FINCH_API_URL", world.finch_url)
    function = {"vend_token": "VendToken", "call_finch": "CallFinch"}[through]
    client = TokenClient(world.aws.client("lambda"), world.alias(function), "payroll-sync")
    assert example_backend.count(client, through, CEDARLINES) == len(
        people(CEDARLINE, CEDARLINE.entities[0])
    )
    request = {"action": "audit", "customer_id": "acme"}
    records = invoke(world, world.aws, "ResolveUnfinished", request)["result"]["records"]
    expected = ["vended"] if through == "vend_token" else ["called", "called"]
    assert [record["outcome"] for record in records] == expected
    [token] = deployed.finch.live_tokens()
    assert token.access_token not in "\n".join(world.function_log(function))


def test_role_that_may_call_finch_needs_no_permission_to_vend(
    world: World, deployed: Deployed, acme: Person
) -> None:
    """Each way has its own permission."""
    call = {key: REQUEST[key] for key in (*CEDARLINES, "purpose", "caller")}
    call |= {"method": "GET", "path": "/employer/directory"}
    with backend_that_may_invoke(world, world.alias("CallFinch")) as backend:
        assert invoke(world, backend, "CallFinch", call)["status_code"] == 200
        with pytest.raises(ClientError, match="AccessDenied"):
            invoke(world, backend, "VendToken", REQUEST)
    with pytest.raises(ClientError, match="AccessDenied"):
        invoke(world, world.as_role("ReadDirectoryRole"), "CallFinch", call)


def test_payroll_backend_reads_what_is_granted_and_no_ssn(
    world: World, deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    """IAM allows the role one alias. The grant of this alias is the operator's."""
    products = ["company", "directory", "individual", "ssn"]
    person = Person(deployed, "acme")
    person.connect(provider_id="rippling", login=LENA, company_id=CEDARLINE.id, products=products)
    granted = ["--products", "directory", "individual", "--reads", "/employer"]
    local = ["--local", "--aws-port", str(world.ports.aws), "--stack", STACK_NAME]
    assert operate([*local, "grants", "set", "payroll", "--customers", "acme", *granted]) == 0
    call = {key: REQUEST[key] for key in (*CEDARLINES, "purpose", "caller")}
    directory = {**call, "method": "GET", "path": "/employer/directory"}
    with backend_that_may_invoke(world, world.alias("CallFinch", "payroll")) as backend:
        read = invoke(world, backend, "CallFinch", directory, "payroll")
        [first, *_] = json.loads(read["body"])["individuals"]
        body: dict[str, Any] = {"requests": [{"individual_id": first["id"]}]}
        individual = {**call, "method": "POST", "path": "/employer/individual", "body": body}
        answer = invoke(world, backend, "CallFinch", individual, "payroll")
        assert answer["status_code"] == 200
        assert '"ssn"' not in answer["body"]
        body["options"] = {"include": ["ssn"]}
        answer = invoke(world, backend, "CallFinch", individual, "payroll")
        assert answer == {"reason": "not_granted", "missing": ["ssn"]}
        other = invoke(world, backend, "CallFinch", {**directory, "customer_id": "x"}, "payroll")
        assert other == {"reason": "not_granted"}
        name = world.physical_id("CallFinch")
        for function in (
            *(world.alias("CallFinch"), name, f"{name}:$LATEST"),
            *(world.alias("VendToken"), world.alias("VendToken", "payroll")),
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                backend.client("lambda").invoke(FunctionName=function, Payload=b"{}")
        with pytest.raises(ClientError, match="AccessDenied"):
            backend.client("lambda").invoke(FunctionName=name, Qualifier="live", Payload=b"{}")
        with pytest.raises(ClientError, match="AccessDenied"):
            backend.client("dynamodb").put_item(
                TableName=world.output("GrantsTableName"), Item={"backend": {"S": "payroll"}}
            )
    # The same call through `live`.
    answer = invoke(world, world.aws, "CallFinch", individual)
    assert '"ssn"' in answer["body"]
    token = invoke(world, world.aws, "VendToken", REQUEST, "payroll")
    assert (token["reason"], token["missing"]) == ("not_granted", ["company", "ssn"])
    assert capsys.readouterr().out.startswith("BACKEND")
