"""Finch's webhooks, from the fake Finch over HTTP through the deployed API."""

import time

from local.fake_finch.webhooks import Answer, Waiting
from local.world import World
from tests.support.deployed import Deployed
from tests.support.person import Person

PATH = "/webhooks/finch"


def answer_to(world: World, event_id: str) -> Answer:
    """The first answer to an event. The local world sends webhooks by itself."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for answer in world.finch.outbox.answers():
            if answer.event_id == event_id:
                return answer
        time.sleep(0.1)
    raise AssertionError("the webhook was not sent")


def test_webhook_reaches_the_deployed_function(world: World, deployed: Deployed) -> None:
    Person(deployed, "acme").connect()
    [token] = deployed.finch.live_tokens()
    event_id = deployed.finch.send_webhook("account.updated", token.connection_id)
    assert answer_to(world, event_id).status == 200
    lines = [line for line in world.function_log("ReceiveWebhook") if event_id in line]
    assert any(token.connection_id in line for line in lines)


def test_test_event_is_accepted_and_forged_event_is_refused(
    world: World, deployed: Deployed
) -> None:
    assert answer_to(world, deployed.finch.send_webhook("test")).status == 200
    now = deployed.finch.now()
    waiting = Waiting("msg_forged", b'{"event_type":"test"}', now, now)
    genuine = deployed.finch.signed_webhook(waiting)
    assert deployed.api.send("POST", PATH, headers=genuine.headers, body=genuine.body).status == 200
    altered = genuine.body.replace(b"test", b"account.updated")
    refused = deployed.api.send("POST", PATH, headers=genuine.headers, body=altered)
    assert (refused.status, refused.code) == (401, "signature_invalid")
    refused = deployed.api.send("POST", PATH, body=genuine.body)
    assert (refused.status, refused.code) == (401, "signature_invalid")
