"""The deployed product and its local world write no secret and no name."""

import json
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from local.fake_finch.seed_world import HARBOR_LANE, JUNIPER_VALE
from local.world import World
from tests.local.conftest import until
from tests.security.exercises import EXERCISES, PreparedWorld
from tests.security.recording_api import RecordingApi
from tests.security.sensitive_text import (
    Allowed,
    SensitiveText,
    company_texts,
    employee_texts,
    leaks,
)
from tests.support.deployed import Deployed
from tests.support.person import Person

CUSTOMER_NAME = "Canary & Söhne"
# Files of the fake Finch and the identity provider, not of the product.
NOT_OF_THE_PRODUCT = {"finch.json", "webhook-secret", "issuer.pem"}

# The id of a session occurs in the log line of an operator's command, in the emulator's copy of that
# log, and in queue messages. Any other place or form is a leak.
LOGS = ["log of ResolveUnfinished", "file log/aws.log"]
ALLOWED: Allowed = {
    ("handle", "plain"): ["addresses", "answers"],
    ("handle", "SHA-256"): ["addresses", "answers", "messages", *LOGS],
    ("completion", "plain"): ["addresses", "answers"],
    # Shown to the customer of the connection.
    ("company", "plain"): ["answers"],
}


@pytest.fixture(scope="module")
def recorded(world: World, prepared: PreparedWorld, recording_api: RecordingApi) -> RecordingApi:
    """The recording of every exercise and of some refused requests."""
    for exercise in EXERCISES:
        prepared.restore()
        exercise.act(prepared)
    Person(prepared.deployed, "acme").link(customer_name=CUSTOMER_NAME)
    _send_refused_requests(prepared.deployed)
    secret = world.finch.application
    recording_api.sensitive |= {SensitiveText("client secret", secret.client_secret)}
    recording_api.sensitive |= {
        SensitiveText("webhook secret", one) for one in secret.webhook_secrets
    }
    recording_api.sensitive |= {
        SensitiveText("access token", one.access_token) for one in world.finch.tokens()
    }
    recording_api.sensitive.add(SensitiveText("customer name", CUSTOMER_NAME))
    recording_api.sensitive |= (
        company_texts() | employee_texts(HARBOR_LANE) | employee_texts(JUNIPER_VALE)
    )
    until(lambda: any("refused" in line for line in world.function_log("ReceiveWebhook")))
    return recording_api


def _send_refused_requests(deployed: Deployed) -> None:
    """Sends requests that are refused, with texts that no response may repeat."""
    acme = Person(deployed, "acme")
    for body in (b'{"products": ["canary-4711"]}', b'{"canary-4711": 1}', b"canary-4711"):
        acme.call("POST", "/connect-sessions", body)
    acme.browser.navigate("/callback?code=canary-4711-code&state=canary-4711-state")
    acme.browser.navigate("/connect/" + "canary-4711".ljust(43, "x"))
    signed = {
        "finch-event-id": "msg_1",
        "finch-timestamp": "1",
        "finch-signature": "v1,canary-4711",
    }
    deployed.api.send("POST", "/webhooks/finch", headers=signed, body=b"canary-4711")


def files(world: World) -> dict[str, str]:
    """The files that the local world has written, by name, as text."""
    found = {}
    for path in sorted(world.state_dir.rglob("*")):
        if path.is_file() and path.name not in NOT_OF_THE_PRODUCT and not _is_code(path):
            found[str(path.relative_to(world.state_dir))] = path.read_bytes().decode(
                errors="replace"
            )
    return found


def _is_code(path: Path) -> bool:
    """Whether the file is deployed code, and not written at run time."""
    unpacked = any(part.startswith("layer-") for part in path.parts)
    return unpacked or "s3" in path.parts or path.suffix in (".py", ".pyc")


def queued(world: World) -> str:
    """Every message of every queue, including dead letters."""
    outputs = ("WorkQueueUrl", "WorkDeadLetterQueueUrl", "EventsDeadLetterQueueUrl")
    url = f"{world.aws.endpoint_url}/_ministack/sqs/messages"
    queues = [{"QueueUrl": world.output(one)} for one in outputs]
    return "\n".join(httpx.get(url, params=one, timeout=30).text for one in queues)


def test_logs_files_queues_and_responses_contain_no_secret_or_name(
    world: World, recorded: RecordingApi
) -> None:
    texts = {f"log of {path.stem}": path.read_text() for path in world.function_log_dir.iterdir()}
    texts |= {
        f"file {name}": text for name, text in files(world).items() if "functions/" not in name
    }
    texts["events"] = json.dumps(world.connection_events())
    texts["answers"] = "\n".join(recorded.answers)
    texts["refusals"] = "\n".join(recorded.refusals)
    texts["addresses"] = "\n".join(recorded.addresses)
    texts["messages"] = queued(world)
    assert texts.keys() >= {"log of FinishConnect", "log of ProcessWork", "file log/aws.log"}
    assert leaks(recorded.sensitive, texts, ALLOWED) == []


def test_only_operator_log_lines_name_a_session(world: World, recorded: RecordingApi) -> None:
    hashes = {
        sha256(one.text.encode()).hexdigest() for one in recorded.sensitive if one.kind == "handle"
    }
    for log in (*world.function_log_dir.iterdir(), world.log_dir / "aws.log"):
        lines = [
            line for line in log.read_text().splitlines() if any(one in line for one in hashes)
        ]
        assert all('"message":"operator"' in line for line in lines), log
        assert lines or log.stem not in ("ResolveUnfinished", "aws")


def test_refused_input_is_not_echoed(recorded: RecordingApi) -> None:
    assert recorded.refusals
    texts = [*recorded.answers, *recorded.refusals, *recorded.addresses]
    assert not [one for one in texts if "canary-4711" in one]


def test_the_recording_recognizes_every_kind_of_secret(recorded: RecordingApi) -> None:
    kinds = {one.kind for one in recorded.sensitive}
    assert kinds >= {
        *("access token", "application access token", "binding cookie", "client secret", "code"),
        *("company", "completion", "customer name", "handle", "person", "signature", "username"),
        "webhook secret",
    }
