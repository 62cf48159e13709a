"""Strangers who send ten times what their routes admit, and customers who work at the same time."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from local.fake_finch.seed_world import HARBOR_LANE, MAYA
from local.world import World
from tests.support.deployed import Deployed, Reply
from tests.support.person import Person

# So low that a small machine can send ten times as much.
RATE, BURST = 0.5, 10
TIMES = 10
TOO_MANY = '{"message":"Too Many Requests"}'
ROUTES = {
    "GET /connect/{handle}": ("GET", f"/connect/{'a' * 43}"),
    "HEAD /connect/{handle}": ("HEAD", f"/connect/{'a' * 43}"),
    "GET /callback": ("GET", "/callback?code=made-up"),
    "HEAD /callback": ("HEAD", "/callback?code=made-up"),
    "POST /webhooks/finch": ("POST", "/webhooks/finch"),
    "$default": ("GET", "/made-up"),
}
PROVIDERS = {"acme": "gusto", "globex": "justworks"}
# A customer's pause after each connection, so that the customer's own budget lasts.
PAUSE = 1.0


@dataclass
class Siege:
    """The answers to strangers and customers by status, and the broken rules."""

    strangers: Counter[int] = field(default_factory=Counter)
    customers: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def besiege(world: World, deployed: Deployed, seconds: float) -> Siege:
    """Lets strangers and customers work for some seconds, with the strangers' limits lowered.

    The customers use only routes with an access token, so they connect in the embedded mode.
    """
    siege = Siege()
    exchanged = world.finch.requests.count("POST", "/auth/token")
    rows = len(deployed.tables.all_sessions())
    with _lower_limits(world), ThreadPoolExecutor(len(ROUTES) + len(PROVIDERS)) as threads:
        floods = [threads.submit(_flood, world, siege, route, seconds) for route in ROUTES]
        work = [threads.submit(_work, deployed, name, siege, floods) for name in PROVIDERS]
        for flood in floods:
            flood.result()
        connects = sum(one.result() for one in work)
    exchanges = world.finch.requests.count("POST", "/auth/token") - exchanged
    if exchanges != connects:
        siege.faults.append(f"{exchanges} codes reached Finch for {connects} connects")
    if (made := len(deployed.tables.all_sessions()) - rows) != connects:
        siege.faults.append(f"{made} sessions for {connects} connects")
    return siege


@contextmanager
def _lower_limits(world: World) -> Iterator[None]:
    client, api_id = world.aws.client("apigatewayv2"), world.output("ApiId")
    stated = client.get_stage(ApiId=api_id, StageName="$default")["RouteSettings"]
    assert stated.keys() == ROUTES.keys()
    low: Any = {"ThrottlingRateLimit": RATE, "ThrottlingBurstLimit": BURST}
    client.update_stage(
        ApiId=api_id, StageName="$default", RouteSettings=dict.fromkeys(ROUTES, low)
    )
    try:
        yield
    finally:
        client.update_stage(ApiId=api_id, StageName="$default", RouteSettings=stated)


def _flood(world: World, siege: Siege, route: str, seconds: float) -> None:
    """Sends requests to a route until they are ten times what it admits, and for some seconds."""
    method, path = ROUTES[route]
    began, sent, admitted = time.monotonic(), 0, 0
    with httpx.Client(base_url=world.api_url, timeout=60) as client:
        while True:
            elapsed = time.monotonic() - began
            if elapsed >= seconds and sent >= TIMES * (BURST + RATE * elapsed):
                break
            answer = client.request(method, path)
            sent += 1
            siege.strangers[answer.status_code] += 1
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                admitted += 1
            elif answer.text != (TOO_MANY if method != "HEAD" else ""):
                siege.faults.append(f"{route} was throttled with {answer.text}")
    if admitted > BURST + RATE * (time.monotonic() - began) + 1:
        siege.faults.append(f"{route} admitted {admitted} of {sent} requests")


def _work(deployed: Deployed, name: str, siege: Siege, floods: list[Future[None]]) -> int:
    """Connects, lists and disconnects until the strangers have ended; returns the number of connects."""
    provider_id, company_id = PROVIDERS[name], HARBOR_LANE.id
    person, connects = Person(deployed, name), 0

    def seen(reply: Reply, expected: int) -> Reply:
        siege.customers[reply.status] += 1
        if reply.status != expected:
            siege.faults.append(f"{name} got {reply.status}: {reply.text}")
        return reply

    while not connects or not all(flood.done() for flood in floods):
        connects += 1
        started = seen(person.start(mode="embedded", return_to=None), 201)
        if started.status != 201:
            continue
        code = deployed.finch.authorize(
            started.json["session_id"],
            provider_id=provider_id,
            login=MAYA,
            company_id=company_id,
        ).code
        body = {"code": code, "state": started.json["state"]}
        seen(person.call("POST", "/callback", body), 200)
        seen(person.call("GET", "/connections"), 200)
        seen(person.disconnect(provider_id), 200)
        time.sleep(PAUSE)
    return connects
