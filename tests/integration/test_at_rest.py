"""The stored rows: their keys, and ciphertexts that decrypt in no other row."""

import base64
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import boto3
import pytest
import time_machine
from botocore.exceptions import ClientError

from finch_connections.aws import token_vault
from finch_connections.domain.connection import CompanyKey
from finch_connections.domain.secret import SecretText
from finch_connections.finch.credentials import FinchSecret
from local.fake_finch.seed_world import HARBOR_LANE, JUNIPER_VALE
from tests.support.deployed import Deployed
from tests.support.in_process import Call, InProcess
from tests.support.person import Person

TOKEN = SecretText("canary-token")
KEY = CompanyKey("gusto", "company-1")


def test_ciphertext_decrypts_only_in_the_row_it_was_written_to(deployed: Deployed) -> None:
    vault = token_vault.from_settings()
    stored = vault.encrypt_stored(TOKEN, "acme", KEY)
    escrowed = vault.encrypt_escrow(TOKEN, "session-1", "acme")
    assert vault.decrypt_stored(stored, "acme", KEY) == TOKEN
    assert vault.decrypt_escrow(escrowed, "session-1", "acme") == TOKEN
    moves: list[Callable[[], object]] = [
        lambda: vault.decrypt_stored(stored, "globex", KEY),
        lambda: vault.decrypt_stored(stored, "acme", CompanyKey("gusto", "company-2")),
        lambda: vault.decrypt_stored(stored, "acme", CompanyKey("justworks", "company-1")),
        lambda: vault.decrypt_escrow(stored, "session-1", "acme"),
        lambda: vault.decrypt_escrow(escrowed, "session-2", "acme"),
        lambda: vault.decrypt_escrow(escrowed, "session-1", "globex"),
        lambda: vault.decrypt_stored(escrowed, "acme", KEY),
        lambda: vault.decrypt_stored(stored[:-1] + bytes([stored[-1] ^ 1]), "acme", KEY),
    ]
    for moved in moves:
        with pytest.raises(ClientError, match="InvalidCiphertext"):
            moved()


def test_ciphertext_moved_to_another_row_disconnects_nothing(
    deployed: Deployed,
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    acme.connect(
        provider_id="rippling", login="iris@junipervale.example", company_id=JUNIPER_VALE.id
    )
    tables = deployed.tables
    first, second = tables.items(tables.connections)
    [stolen], [token_id] = first["ciphertexts"]["M"].values(), second["ciphertexts"]["M"]
    tables.dynamodb.update_item(
        TableName=tables.connections,
        Key={name: second[name] for name in ("customer_id", "provider_id#company_id")},
        UpdateExpression="SET ciphertexts.#id = :stolen",
        ExpressionAttributeNames={"#id": token_id},
        ExpressionAttributeValues={":stolen": stolen},
    )
    accepted = acme.disconnect("rippling", JUNIPER_VALE.id)
    assert (accepted.status, accepted.json["status"]) == (202, "disconnecting")
    assert deployed.finch.requests.count("POST", "/disconnect") == 0
    assert len(deployed.finch.live_tokens()) == 2


def test_ciphertext_moved_to_another_session_is_not_attached(deployed: InProcess) -> None:
    acme = Person(deployed, "acme", same_site=False)
    globex = Person(deployed, "globex", same_site=False)
    landing = acme.connect()
    globex.connect(provider_id="justworks")
    tables = deployed.tables
    sessions = {row["customer_id"]["S"]: row for row in tables.all_sessions()}
    tables.dynamodb.update_item(
        TableName=tables.sessions,
        Key={"handle_hash": sessions["acme"]["handle_hash"]},
        UpdateExpression="SET escrow.ciphertext = :stolen",
        ExpressionAttributeValues={":stolen": sessions["globex"]["escrow"]["M"]["ciphertext"]},
    )
    assert landing.completion
    assert acme.confirm(landing.completion).code == "internal_error"
    deployed.queue.pass_time(timedelta(days=2))
    assert acme.connections() == []
    [left] = deployed.finch.live_tokens()
    assert deployed.finch.connection(left.connection_id).provider_id == "gusto"


def test_connections_and_ownerships_have_the_promised_keys(deployed: Deployed) -> None:
    Person(deployed, "acme").connect()
    [item] = deployed.tables.items(deployed.tables.connections)
    assert item["customer_id"] == {"S": "acme"}
    assert item["provider_id#company_id"] == {"S": f"gusto#{HARBOR_LANE.id}"}
    owned = {row["owned_id"]["S"] for row in deployed.tables.items(deployed.tables.ownerships)}
    [token] = deployed.finch.live_tokens()
    assert owned == {f"company#gusto#{HARBOR_LANE.id}", f"connection#{token.connection_id}"}


def test_disconnected_connection_keeps_no_ciphertext_and_no_ownership(deployed: Deployed) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    acme.disconnect()
    [item] = deployed.tables.items(deployed.tables.connections)
    assert item["ciphertexts"] == {"M": {}}
    assert deployed.tables.items(deployed.tables.ownerships) == []
    [session] = deployed.tables.all_sessions()
    assert "escrow" not in session


def test_unfinished_and_unchecked_rows_are_in_the_due_index(
    deployed: InProcess,
) -> None:
    def due() -> list[str]:
        tables = deployed.tables
        return [
            f"{name} {item['due_shard']['S'].rstrip('01234567')}"
            for name, table in (("session", tables.sessions), ("connection", tables.connections))
            for item in tables.dynamodb.scan(TableName=table, IndexName="due")["Items"]
        ]

    acme = Person(deployed, "acme", same_site=False)
    landing = acme.connect()
    assert due() == ["session unfinished"]
    assert landing.completion
    acme.confirm(landing.completion)
    # Its first look comes before the daily checks of others.
    assert due() == ["connection unfinished"]
    deployed.queue.drain()
    assert due() == ["connection unchecked"]
    deployed.finch.faults.add("POST", "/disconnect", status=500)
    acme.disconnect()
    assert due() == ["connection unfinished"]
    acme.disconnect()
    assert due() == []


def test_session_has_a_ttl_only_while_it_cannot_have_a_token(deployed: Deployed) -> None:
    def ttl() -> bool:
        [session] = deployed.tables.all_sessions()
        return "ttl" in session

    acme = Person(deployed, "acme", same_site=False)
    url = acme.log_in(acme.click(acme.link()))
    assert ttl()
    deployed.finch.faults.add("POST", "/auth/token", error="rate_limit_exceeded_error")
    acme.come_back(url)
    assert ttl()
    landing = acme.come_back(url)
    assert not ttl()
    assert landing.completion
    acme.confirm(landing.completion)
    assert ttl()


def test_secret_is_cached_for_five_minutes_even_if_lambda_freezes_the_function(
    deployed: Deployed,
) -> None:
    """Only the wall clock moves here, as in a frozen function."""
    began = datetime.now(UTC)
    reads: list[str] = []

    class Counting:
        def get_secret_value(self, SecretId: str) -> Any:
            reads.append(SecretId)
            return boto3.client("secretsmanager").get_secret_value(SecretId=SecretId)

    secret = FinchSecret(Counting(), deployed.secret_arn)  # type: ignore[arg-type]
    for seconds in (0, 299, 300, 301):
        with time_machine.travel(began + timedelta(seconds=seconds), tick=False):
            assert secret.credentials().client_id == "our-client"
    assert len(reads) == 2


def test_no_secret_is_written_to_the_log(
    deployed: Deployed, log: StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    acme, other_site = Person(deployed, "acme"), Person(deployed, "globex", same_site=False)
    link = acme.link(customer_name="Canary Industries")
    callback = acme.log_in(acme.click(link))
    cookies = dict(acme.browser.cookies)
    acme.come_back(callback)
    landing = other_site.connect(provider_id="justworks")
    assert landing.completion
    other_site.confirm(landing.completion)
    deployed.finch.faults.add("POST", "/auth/token", nonsense="truncated json", when="after")
    lost = acme.log_in(acme.click(acme.link()), provider_id="justworks")
    acme.come_back(lost)
    deployed.finch.faults.add("POST", "/disconnect", drop="after_effect")
    acme.disconnect()
    acme.disconnect()
    other_site.disconnect("justworks")
    logged = log.getvalue() + caplog.text
    assert '"message":"connected"' in logged
    assert '"message":"disconnected"' in logged
    secrets = [token.access_token for token in deployed.finch.tokens()]
    secrets += [code.split("code=")[1].split("&")[0] for code in (callback, lost)]
    secrets += [link.rpartition("/")[2], *cookies.values(), landing.completion, "our-secret"]
    secrets += ["Canary Industries"]
    for secret in secrets:
        encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
        assert secret not in logged
        assert encoded not in logged
    assert all(json.loads(line) for line in log.getvalue().splitlines())


@pytest.mark.parametrize("purpose", ["escrow", "stored"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"CiphertextBlob": b""},
        {"CiphertextBlob": b"short"},
        {"KeyId": "arn:aws:kms:eu-west-1:123456789012:key/another"},
        {"CiphertextBlob": None},
    ],
    ids=["empty", "short", "another key", "plaintext"],
)
def test_wrong_response_of_kms_is_not_stored_as_a_ciphertext(
    deployed: InProcess, purpose: str, wrong: dict[str, Any]
) -> None:
    times = [1]

    def guard(call: Call, send: Callable[[], Any]) -> Any:
        answer = send()
        if (
            call.operation == "Encrypt"
            and call.arguments["EncryptionContext"]["purpose"] == purpose
            and times
        ):
            times.clear()
            plaintext = b"v1 " + call.arguments["Plaintext"]
            changed = {name: plaintext if one is None else one for name, one in wrong.items()}
            return answer | changed
        return answer

    deployed.border.guard = guard
    Person(deployed, "acme").connect()
    assert not times
    deployed.queue.drain()
    [row] = deployed.tables.items(deployed.tables.connections)
    vault = token_vault.from_settings()
    key = CompanyKey("gusto", HARBOR_LANE.id)
    [text] = [
        vault.decrypt_stored(one["B"], "acme", key).reveal()
        for one in row["ciphertexts"]["M"].values()
    ]
    assert text == deployed.finch.live_tokens()[0].access_token
