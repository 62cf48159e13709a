"""The product, deployed in its own local world, over real HTTP."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest

from local.world import Ports, World
from tests.support.deployed import Deployed, Reply, Tables

PATIENCE = timedelta(seconds=60)
# Otherwise httpx reads the certificates of all authorities for each request.
TLS = httpx.create_ssl_context()


def until[T](look: Callable[[], T]) -> T:
    """Returns the first true value of `look`; fails after a minute."""
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while not (seen := look()):
        assert time.monotonic() < deadline, "the expected state was not reached"
        time.sleep(0.1)
    return seen


@dataclass(frozen=True)
class HttpApi:
    """The API over HTTP, with a new network connection for each request."""

    url: str

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """Sends a request."""
        answer = httpx.request(
            method, self.url + path, headers=headers, content=body, timeout=60, verify=TLS
        )
        cookies = answer.headers.get_list("set-cookie")
        named = {name: value for name, value in answer.headers.items() if name != "set-cookie"}
        return Reply(answer.status_code, named, cookies, answer.text)


_RUNNING = pytest.StashKey[World]()


def running_world(session: pytest.Session, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The only local world of this test session. It runs until the session ends.

    It has its own ports, so a developer's world may run at the same time. It is open to containers.
    """
    if _RUNNING not in session.stash:
        world = World(
            tmp_path_factory.mktemp("world"), Ports.free(), bridge="127.0.0.2", keep=False
        )
        session.stash[_RUNNING] = world.__enter__()
        session.addfinalizer(lambda: world.__exit__(None, None, None))
    return session.stash[_RUNNING]


@pytest.fixture(scope="session")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The local world of this session."""
    return running_world(request.session, tmp_path_factory)


def product(world: World) -> Deployed:
    """The product deployed in a world, with the data of that world."""

    def invoke(name: str, payload: Any) -> Any:
        name, _, alias = name.partition(":")
        function = world.alias(name.title().replace("_", ""), alias or "live")
        answer = world.aws.client("lambda").invoke(
            FunctionName=function, Payload=json.dumps(payload)
        )
        content = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, content
        return content

    return Deployed(
        api=HttpApi(world.api_url),
        finch=world.finch,
        tables=Tables(
            world.aws.client("dynamodb"),
            connections=world.output("ConnectionsTableName"),
            sessions=world.output("ConnectSessionsTableName"),
            ownerships=world.output("OwnershipTableName"),
            audit=world.output("AuditTableName"),
            grants=world.output("GrantsTableName"),
        ),
        kms=world.aws.client("kms"),
        secrets=world.aws.client("secretsmanager"),
        secret_arn=world.output("FinchSecretArn"),
        return_urls=(world.page_url, world.other_site_page_url),
        token=world.issuer.token,
        invoke=invoke,
    )


@pytest.fixture
def deployed(world: World) -> Deployed:
    """The deployed product without data."""
    return deploy_nothing_in(world)


def deploy_nothing_in(world: World) -> Deployed:
    """The deployed product of a world, after deletion of all data."""
    deployed = product(world)
    sqs = world.aws.client("sqs")
    for queue in ("WorkQueueUrl", "WorkDeadLetterQueueUrl"):
        sqs.purge_queue(QueueUrl=world.output(queue))
    deployed.tables.clear()
    world.finch.reset()
    # The tests decide when Finch sends webhooks. Otherwise a webhook could finish the work early.
    world.finch.change_switches(webhook_on_disconnect=False)
    return deployed
