"""Least privilege: the functions use exactly the permissions that the template grants.

`test_least_privilege.py` shows that a function fails if its role loses a permission.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest

from finch_connections import settings
from finch_connections.aws import connection_table, token_vault
from tests.security.exercises import EXERCISES, NEEDED, Exercise, prepare_world, share_needed
from tests.security.permissions import BY_LAMBDA, Need, Permission, needs, permissions
from tests.support.deployed import TEMPLATE
from tests.support.in_process import Call, InProcess, forget_process_memory


@contextmanager
def old_key() -> Iterator[str]:
    """Makes a key that the functions know as the old key."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        arn = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
        monkeypatch.setenv("OLD_TOKEN_KEY_ARN", arn)
        for kept in (settings.read, token_vault.from_settings):
            kept.cache_clear()
        yield arn
    for kept in (settings.read, token_vault.from_settings):
        kept.cache_clear()


@pytest.fixture(scope="module")
def needed(
    in_process: InProcess, tmp_path_factory: pytest.TempPathFactory
) -> dict[Exercise, set[Need]]:
    """The permissions that each exercise uses."""
    in_process.reset()
    # Without a limit, no function counts connections.
    in_process.limit_connections(1000)
    prepared = prepare_world(in_process, old_key)
    NEEDED.clear()
    for one in EXERCISES:
        prepared.restore()
        forget_process_memory()
        seen = NEEDED[one] = set()

        def note(call: Call, send: Callable[[], Any], seen: set[Need] = seen) -> Any:
            seen |= set(needs(call))
            # moto has no streams for these tables.
            return {"ShardIterator": "x"} if call.service == "dynamodbstreams" else send()

        in_process.border.guard = note
        one.act(prepared)
    share_needed(tmp_path_factory.getbasetemp().parent)
    return NEEDED


def test_no_function_uses_a_permission_that_its_role_lacks(
    needed: dict[Exercise, set[Need]],
) -> None:
    allowed = {permission.need for permission in permissions()}
    assert set().union(*needed.values()) <= allowed


def test_no_role_has_a_permission_that_its_function_does_not_use(
    needed: dict[Exercise, set[Need]],
) -> None:
    every = set().union(*needed.values())
    unused = [one for one in permissions() if not one.by_lambda and one.need not in every]
    assert unused == []


def test_roles_have_exactly_the_permissions_of_lambda_itself() -> None:
    allowed = {(one.need.function, one.action) for one in permissions() if one.by_lambda}
    functions = [name for name, one in TEMPLATE["Resources"].items() if _is_function(one)]
    logging = {
        (one, f"logs:{what}") for one in functions for what in ("CreateLogStream", "PutLogEvents")
    }
    assert allowed == logging | {(one, what) for one, done in BY_LAMBDA.items() for what in done}


def _is_function(resource: dict[str, Any]) -> bool:
    return bool(resource["Type"] == "AWS::Serverless::Function")


# No statement is general


def statements() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{role}.{statement['Sid']}", statement)
        for role, resource in TEMPLATE["Resources"].items()
        if resource["Type"] == "AWS::IAM::Role"
        for policy in resource["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def test_every_statement_names_its_actions_and_resources() -> None:
    for one in permissions():
        assert re.fullmatch(r"[a-z]+:[A-Za-z]+", one.action), one
        assert "*" not in one.resource.removesuffix("/stream/*"), one
    assert all(statement["Effect"] == "Allow" for _, statement in statements())
    roles = [one for one in TEMPLATE["Resources"].values() if one["Type"] == "AWS::IAM::Role"]
    assert all("ManagedPolicyArns" not in role["Properties"] for role in roles)


def test_every_key_permission_requires_a_purpose_and_a_customer() -> None:
    using = [
        (name, statement.get("Condition"))
        for name, statement in statements()
        if "kms:" in str(statement["Action"]) and "ErasureKey" not in str(statement["Resource"])
    ]
    assert using
    for name, condition in using:
        assert condition, name
        assert condition["StringEquals"].keys() == {"kms:EncryptionContext:purpose"}, name
        assert condition["Null"] == {"kms:EncryptionContext:customer_id": "false"}, name


def test_roles_without_decrypt_cannot_read_stored_ciphertexts() -> None:
    """Except roles that write connections, because the item that they write contains it."""
    shown = re.findall(r"#?[a-z_]+", connection_table._SHOWN)
    attributes = {connection_table._NAMES.get(one, one) for one in shown}
    assert "ciphertexts" not in attributes
    decrypting = {one.role for one in permissions() if _decrypts_stored(one)}
    writing = {one.role for one in permissions() if _on_connections(one, "PutItem")}
    for name, statement in statements():
        role = name.partition(".")[0]
        actions = str(statement["Action"])
        reads = any(
            f"dynamodb:{one}" in actions for one in ("GetItem", "BatchGetItem", "Query", "Scan")
        )
        if not reads or statement["Resource"] != {"Fn::GetAtt": ["ConnectionsTable", "Arn"]}:
            continue
        if role in decrypting | writing:
            continue
        condition = statement["Condition"]
        assert set(condition["ForAllValues:StringEquals"]["dynamodb:Attributes"]) == attributes
        assert condition["StringEqualsIfExists"] == {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"}
    restricted = {name for name, one in statements() if "ForAllValues:StringEquals" in str(one)}
    assert restricted == {
        *("StartConnectRole.ReadConnections", "ListConnectionsRole.ReadConnections"),
        "VendTokenRole.ListConnections",
        *("FinishConnectRole.CountConnections", "ProcessWorkRole.CountConnections"),
        # To write only the last use of a connection.
        *("VendTokenRole.NoteUse", "CallFinchRole.NoteUse"),
    }


def _decrypts_stored(one: Permission) -> bool:
    return (one.action, one.purpose) == ("kms:Decrypt", "stored")


def _on_connections(one: Permission, operation: str) -> bool:
    return (one.action, one.resource) == (f"dynamodb:{operation}", "ConnectionsTable")
