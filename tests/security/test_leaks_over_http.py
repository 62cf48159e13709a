"""No secret and no name in anything that the deployed product and its world write down."""

import json
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from local.fake_finch.seed_world import HARBOR_LANE, JUNIPER_VALE
from local.world import World
from tests.local.conftest import until
from tests.security.canaries import Allowed, Canary, companies, employees, leaks
from tests.security.ear import Ear
from tests.security.exercises import EXERCISES, Stage
from tests.support.deployed import Deployed
from tests.support.person import Person

CUSTOMER_NAME = "Canary & Söhne"
# The fake Finch's own memory, its secret and the sign-in's key: nothing of the product's.
OTHERS_OWN = {"finch.json", "webhook-secret", "issuer.pem"}

# The name of a session stands in the log, and in the emulator's copy of it, where an operator has
# named one, and in the message that brings it. All else, and every other form, is a leak.
LOGS = ["log of ResolveUnfinished", "file log/aws.log"]
ALLOWED: Allowed = {
    ("handle", "plain"): ["addresses", "answers"],
    ("handle", "SHA-256"): ["addresses", "answers", "messages", *LOGS],
    ("completion", "plain"): ["addresses", "answers"],
    # Shown to the customer of the connection.
    ("company", "plain"): ["answers"],
}


@pytest.fixture(scope="module")
def heard(world: World, stage: Stage, ear: Ear) -> Ear:
    """What was heard while everybody did everything: each flow, each function, and attacks."""
    for exercise in EXERCISES:
        stage.restore()
        exercise.act(stage)
    Person(stage.deployed, "acme").link(customer_name=CUSTOMER_NAME)
    _fail(stage.deployed)
    secret = world.finch.application
    ear.canaries |= {Canary("client secret", secret.client_secret)}
    ear.canaries |= {Canary("webhook secret", one) for one in secret.webhook_secrets}
    ear.canaries |= {Canary("access token", one.access_token) for one in world.finch.tokens()}
    ear.canaries.add(Canary("customer name", CUSTOMER_NAME))
    ear.canaries |= companies() | employees(HARBOR_LANE) | employees(JUNIPER_VALE)
    until(lambda: any("refused" in line for line in world.function_log("ReceiveWebhook")))
    return ear


def _fail(deployed: Deployed) -> None:
    """Requests that are refused with something in them that must not be repeated."""
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
    """Everything that the world has written into its folder, by name, as far as it is text."""
    found = {}
    for path in sorted(world.state_dir.rglob("*")):
        if path.is_file() and path.name not in OTHERS_OWN and not _is_code(path):
            found[str(path.relative_to(world.state_dir))] = path.read_bytes().decode(
                errors="replace"
            )
    return found


def _is_code(path: Path) -> bool:
    """What was built and deployed, and not written since."""
    unpacked = any(part.startswith("layer-") for part in path.parts)
    return unpacked or "s3" in path.parts or path.suffix in (".py", ".pyc")


def queued(world: World) -> str:
    """Every message of every queue, dead letters too."""
    outputs = ("WorkQueueUrl", "WorkDeadLetterQueueUrl", "EventsDeadLetterQueueUrl")
    url = f"{world.aws.endpoint_url}/_ministack/sqs/messages"
    asked = [{"QueueUrl": world.output(one)} for one in outputs]
    return "\n".join(httpx.get(url, params=one, timeout=30).text for one in asked)


def test_nothing_that_is_written_down_holds_a_secret_or_a_name(world: World, heard: Ear) -> None:
    texts = {f"log of {path.stem}": path.read_text() for path in world.function_log_dir.iterdir()}
    texts |= {
        f"file {name}": text for name, text in files(world).items() if "functions/" not in name
    }
    texts["events"] = json.dumps(world.connection_events())
    texts["answers"] = "\n".join(heard.answers)
    texts["refusals"] = "\n".join(heard.refusals)
    texts["addresses"] = "\n".join(heard.addresses)
    texts["messages"] = queued(world)
    assert texts.keys() >= {"log of FinishConnect", "log of ProcessWork", "file log/aws.log"}
    assert leaks(heard.canaries, texts, ALLOWED) == []


def test_a_session_is_named_in_a_log_by_an_operator_alone(world: World, heard: Ear) -> None:
    hashes = {
        sha256(one.text.encode()).hexdigest() for one in heard.canaries if one.kind == "handle"
    }
    for log in (*world.function_log_dir.iterdir(), world.log_dir / "aws.log"):
        naming = [
            line for line in log.read_text().splitlines() if any(one in line for one in hashes)
        ]
        assert all('"message":"operator"' in line for line in naming), log
        assert naming or log.stem not in ("ResolveUnfinished", "aws")


def test_what_was_refused_is_not_repeated(heard: Ear) -> None:
    assert heard.refusals
    told = [*heard.answers, *heard.refusals, *heard.addresses]
    assert not [one for one in told if "canary-4711" in one]


def test_every_kind_of_secret_was_there_to_be_found(heard: Ear) -> None:
    kinds = {one.kind for one in heard.canaries}
    assert kinds >= {
        *("access token", "access token of ours", "binding cookie", "client secret", "code"),
        *("company", "completion", "customer name", "handle", "person", "signature", "username"),
        "webhook secret",
    }
