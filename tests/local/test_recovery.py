"""Interrupted work finishes by itself: killed processes, and Finch slow or down, over real HTTP.

The delays of the queue are a minute and more. The tests send its messages again, and make rows older
and due. Everything else is the deployed product.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any

import httpx
import pytest

from finch_connections.aws.work_queue import write
from finch_connections.domain.connection import CompanyKey
from finch_connections.domain.work_item import ConnectionSubject, WorkItem
from local.fake_finch.seed_world import (
    CEDARLINE,
    DANA,
    HARBOR_LANE,
    IRIS,
    JUNIPER_VALE,
    LENA,
    MAYA,
    NORTHFOLD,
    OWEN,
)
from local.world import World
from tests.local.conftest import PATIENCE, until
from tests.support.deployed import Deployed, Reply
from tests.support.invariants import ConnectionHistory, broken
from tests.support.person import Person

# Four customers, each with an employer, so that they can use Finch Connect at the same time.
CHOICES: dict[str, dict[str, Any]] = {
    "acme": {"provider_id": "gusto", "login": MAYA, "company_id": HARBOR_LANE.id},
    "globex": {"provider_id": "gusto", "login": IRIS, "company_id": JUNIPER_VALE.id},
    "initech": {"provider_id": "rippling", "login": DANA, "company_id": NORTHFOLD.id},
    "umbrella": {"provider_id": "justworks", "login": LENA, "company_id": CEDARLINE.id},
}


@dataclass(frozen=True)
class Queue:
    """The deployed work queue and its dead letters."""

    world: World
    deployed: Deployed

    def waiting(self) -> list[dict[str, Any]]:
        """The work items that are not done, also while delayed or hidden."""
        return [json.loads(body) for body in self._bodies("WorkQueueUrl")]

    def dead(self) -> list[str]:
        """The messages that failed too often."""
        return self._bodies("WorkDeadLetterQueueUrl")

    def send(self, *bodies: str) -> None:
        """Sends messages that arrive now and together."""
        client, url = self.world.aws.client("sqs"), self.world.output("WorkQueueUrl")
        for batch in batched(bodies, 10, strict=False):
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(batch)]
            client.send_message_batch(QueueUrl=url, Entries=entries)

    def fall_due(self) -> None:
        """Queues every row that waits, and sends every work item now, as if their time had come."""
        items, tables = self.waiting(), self.deployed.tables
        url = self.world.output("WorkQueueUrl")
        self.world.aws.client("sqs").purge_queue(QueueUrl=url)
        for table, key in (
            (tables.sessions, ("handle_hash",)),
            (tables.connections, ("customer_id", "provider_id#company_id")),
        ):
            for item in tables.items(table):
                with suppress(tables.dynamodb.exceptions.ConditionalCheckFailedException):
                    tables.dynamodb.update_item(
                        TableName=table,
                        Key={name: item[name] for name in key},
                        UpdateExpression="SET due_at = :now",
                        ConditionExpression="attribute_exists(due_at)",
                        ExpressionAttributeValues={":now": {"N": "0"}},
                    )
        self.send(*map(json.dumps, items))
        assert self.deployed.invoke
        self.deployed.invoke("schedule_checks", {})

    def hide(self, seconds: int) -> None:
        """Sets how long a message stays hidden after a failure."""
        self.world.aws.client("sqs").set_queue_attributes(
            QueueUrl=self.world.output("WorkQueueUrl"),
            Attributes={"VisibilityTimeout": str(seconds)},
        )

    def _bodies(self, output: str) -> list[str]:
        url = self.world.output(output)
        seen = httpx.get(
            f"{self.world.aws.endpoint_url}/_ministack/sqs/messages",
            params={"QueueUrl": url},
            timeout=30,
        )
        [[queues]] = [regions.values() for regions in seen.json()["messages"].values()]
        return [message["Body"] for message in queues[url]]


class Gate:
    """Keeps requests that a fault delays, until it opens."""

    def __init__(self) -> None:
        self._arrived = threading.Semaphore(0)
        self._opened = threading.Event()

    def wait(self, seconds: float) -> None:
        """The fake Finch calls this instead of sleeping."""
        self._arrived.release()
        self._opened.wait(seconds)

    def wait_for(self, number: int) -> None:
        """Returns when this number of further requests waits here."""
        for _ in range(number):
            assert self._arrived.acquire(timeout=PATIENCE.total_seconds())

    def open(self) -> None:
        """Releases all requests."""
        self._opened.set()


@pytest.fixture
def queue(world: World, deployed: Deployed) -> Iterator[Queue]:
    """The work queue. Its settings are restored after the test."""
    client, url = world.aws.client("sqs"), world.output("WorkQueueUrl")
    names = ["VisibilityTimeout"]
    kept = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    yield Queue(world, deployed)
    client.set_queue_attributes(QueueUrl=url, Attributes=kept)


@pytest.fixture
def gate(deployed: Deployed) -> Iterator[Gate]:
    """A gate: delays of the fake Finch last until it opens."""
    gate, sleep = Gate(), deployed.finch.sleep
    deployed.finch.sleep = gate.wait
    yield gate
    gate.open()
    deployed.finch.sleep = sleep


def phases(deployed: Deployed) -> Counter[str]:
    return Counter(item["phase"]["S"] for item in deployed.tables.all_sessions())


def live(deployed: Deployed) -> int:
    return len(deployed.finch.live_tokens())


def pass_time(deployed: Deployed, by: timedelta) -> None:
    """Makes every row older, as if everything had happened earlier."""
    tables = deployed.tables
    for table in (tables.sessions, tables.connections):
        for item in tables.items(table):
            for name, value in item.items():
                if name == "due_at":
                    item[name] = {"N": str(int(value["N"]) - int(by.total_seconds()))}
                elif name.endswith(("_at", "_since")) and "S" in value:
                    moment = datetime.fromisoformat(value["S"]) - by
                    item[name] = {"S": moment.isoformat()}
            for token in item.get("tokens", {"M": {}})["M"].values():
                if since := token["M"].get("suspected_since"):
                    since["S"] = (datetime.fromisoformat(since["S"]) - by).isoformat()
            tables.dynamodb.put_item(TableName=table, Item=item)


def until_dead_once(deployed: Deployed, queue: Queue) -> None:
    """Waits until Finch has called a token dead once in each disconnect that is left."""
    tables = deployed.tables

    def waits_for_the_second_time() -> bool:
        items = tables.items(tables.connections)
        unfinished = [item for item in items if "disconnecting_since" in item]
        dead_once = [
            item
            for item in unfinished
            if any("suspected" in token["M"] for token in item["tokens"]["M"].values())
        ]
        # The function may still run.
        return 0 < len(dead_once) == len(unfinished) and queue.waiting() == []

    until(waits_for_the_second_time)


def ringing(world: World) -> set[str]:
    """The alarms in state ALARM, by their logical ids."""
    alarms = world.aws.client("cloudwatch").describe_alarms(StateValue="ALARM")["MetricAlarms"]
    return {alarm["AlarmName"].split("-")[-2] for alarm in alarms}


def at_once(*requests: Callable[[], Reply]) -> "list[Callable[[], Reply]]":
    """Sends requests at the same time; each returned function waits for its answer."""
    threads = ThreadPoolExecutor(len(requests))
    futures = [threads.submit(request) for request in requests]
    threads.shutdown(wait=False)
    return [future.result for future in futures]


def test_hundred_identical_callbacks_exchange_once_with_one_outcome(
    deployed: Deployed,
) -> None:
    acme = Person(deployed, "acme")
    url = acme.log_in(acme.click(acme.link()))
    cookies = dict(acme.browser.cookies)
    together = threading.Barrier(100)
    # The environments of a function share a core or two here, and start more slowly than API Gateway
    # waits. So they are started first.
    for started in at_once(*[lambda: deployed.api.send("GET", "/callback")] * 16):
        started()

    def tab(_: int) -> str:
        person = Person(deployed, "acme")
        person.browser.cookies = dict(cookies)
        together.wait()
        return str(person.come_back(url))

    with ThreadPoolExecutor(100) as threads:
        landings = list(threads.map(tab, range(100)))
    assert len(set(landings)) == 1
    assert "'status': 'connected'" in landings[0]
    assert deployed.finch.requests.count("POST", "/auth/token") == 1
    assert [len(shown["logins"]) for shown in acme.connections()] == [1]
    assert broken(deployed, ConnectionHistory(), at_rest=True) == []


def test_callbacks_killed_at_each_call_to_finch_lose_no_token(
    world: World, deployed: Deployed, queue: Queue, gate: Gate
) -> None:
    people = {name: Person(deployed, name) for name in CHOICES}
    urls = {
        name: person.log_in(person.click(person.link()), **CHOICES[name])
        for name, person in people.items()
    }
    for method, path in (("POST", "/auth/token"), ("GET", "/introspect")):
        for when in ("before", "after"):
            deployed.finch.faults.add(method, path, delay_seconds=600, when=when)
    replies = at_once(
        *[lambda name=name: people[name].browser.navigate(urls[name]) for name in people]
    )
    gate.wait_for(4)
    world.kill_execution_environments()
    assert [reply().status for reply in replies] == [500] * 4
    assert phases(deployed) == {"exchanging": 2, "escrowed": 2}
    assert [person.connections() for person in people.values()] == [[]] * 4
    # Finch carries out the requests although their callers are gone.
    gate.open()
    until(lambda: live(deployed) == 4)

    pass_time(deployed, timedelta(minutes=5))
    queue.fall_due()
    until(lambda: phases(deployed) == {"uncertain": 2, "complete": 2})
    until(lambda: "ExchangeUncertainAlarm" in ringing(world))
    lost = [name for name, person in people.items() if not person.connections()]
    assert len(lost) == 2
    for name in lost:
        assert people[name].come_back(urls[name]).outcome == {"error": "exchange_uncertain"}
        assert people[name].connect(**CHOICES[name]).outcome["status"] == "connected"
    # An operator sees that they are recovered, and dismisses them.
    pass_time(deployed, timedelta(hours=2))
    assert deployed.invoke
    uncertain = deployed.invoke("resolve_unfinished", {"action": "list"})["result"]["sessions"]
    assert [session["seems_recovered"] for session in uncertain] == [True, True]
    for session in uncertain:
        deployed.invoke("resolve_unfinished", {"action": "dismiss", "session": session["session"]})
    queue.fall_due()
    until(lambda: queue.waiting() == [])
    assert phases(deployed) == {"ended": 2, "complete": 4}
    assert broken(deployed, ConnectionHistory(), at_rest=True) == []
    codes = deployed.finch.truth()["codes"]
    assert [code["exchanges"] for code in codes] == [1] * 6
    for name, person in people.items():
        [shown] = person.connections()
        assert shown["status"] == "connected"
        company = {key: CHOICES[name][key] for key in ("provider_id", "company_id")}
        assert person.disconnect(**company).status == 200
    assert live(deployed) == 0


def test_disconnects_killed_before_or_after_finch_acts_still_finish(
    world: World, deployed: Deployed, queue: Queue, gate: Gate
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect(login=MAYA)
    acme.connect(login=OWEN)
    globex.connect(**CHOICES["globex"])
    for when in ("before", "after"):
        deployed.finch.faults.add("POST", "/disconnect", delay_seconds=600, when=when)
    finished = ["disconnected", "disconnected"]
    replies = at_once(acme.disconnect, lambda: globex.disconnect(company_id=JUNIPER_VALE.id))
    gate.wait_for(2)
    world.kill_execution_environments()
    assert [reply().status for reply in replies] == [500] * 2
    for person in (acme, globex):
        [shown] = person.connections()
        assert shown["status"] == "disconnecting"
        assert shown["logins"]
    gate.open()

    queue.fall_due()
    # Finch must repeat an hour later that the token, whose disconnect it did, is dead.
    until_dead_once(deployed, queue)
    pass_time(deployed, timedelta(hours=2))
    queue.fall_due()
    until(lambda: [acme.connections()[0]["status"], globex.connections()[0]["status"]] == finished)
    until(lambda: queue.waiting() == [])
    assert live(deployed) == 0
    assert broken(deployed, ConnectionHistory(), at_rest=True) == []


def test_disconnect_keeps_the_ownership_row_while_a_session_keeps_a_token(
    deployed: Deployed,
) -> None:
    deployed.finch.change_switches(other_login_same_connection=True)
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")
    acme.connect(login=MAYA)
    assert globex.connect(login=OWEN).outcome == {"error": "cannot_connect"}
    assert acme.disconnect().status == 200
    [ownership] = deployed.tables.items(deployed.tables.ownerships)
    assert "holders" in ownership
    assert "customer_id" not in ownership
    assert broken(deployed, ConnectionHistory(), at_rest=True) == []


def test_work_item_of_a_killed_process_is_received_again_and_finished(
    world: World, deployed: Deployed, queue: Queue, gate: Gate
) -> None:
    acme = Person(deployed, "acme")
    acme.connect()
    queue.fall_due()
    until(lambda: queue.waiting() == [])
    deployed.finch.faults.add("POST", "/disconnect", status=500)
    assert acme.disconnect().status == 202
    # The warm function responds in this time. A new process has five deliveries to start in.
    queue.hide(seconds=5)
    deployed.finch.faults.add("POST", "/disconnect", delay_seconds=600, when="after")
    queue.fall_due()
    gate.wait_for(1)
    assert world.kill_execution_environments() > 0
    gate.open()
    until_dead_once(deployed, queue)
    pass_time(deployed, timedelta(hours=2))
    queue.fall_due()
    until(lambda: acme.connection()["status"] == "disconnected")
    until(lambda: queue.waiting() == [])
    assert live(deployed) == 0


@pytest.mark.parametrize("down", [{"status": 500}, {"drop": "before_effect"}], ids=str)
def test_disconnect_while_finch_is_down_finishes_when_finch_is_back(
    deployed: Deployed, queue: Queue, down: dict[str, Any]
) -> None:
    acme = Person(deployed, "acme")
    acme.connect(login=MAYA)
    acme.connect(login=OWEN)
    deployed.finch.faults.add("*", "*", times=None, **down)
    for _ in range(3):
        reply = acme.disconnect()
        assert (reply.status, reply.json["status"]) == (202, "disconnecting")
    queue.fall_due()
    until(lambda: queue.waiting() == [])
    [shown] = acme.connections()
    assert (shown["status"], len(shown["logins"])) == ("disconnecting", 2)
    assert live(deployed) == 2

    deployed.finch.faults.clear()
    queue.fall_due()
    until(lambda: acme.connections()[0]["status"] == "disconnected")
    until(lambda: queue.waiting() == [])
    assert live(deployed) == 0
    assert broken(deployed, ConnectionHistory(), at_rest=True) == []


def test_session_without_confirmation_for_a_day_is_ended_at_finch(
    deployed: Deployed, queue: Queue
) -> None:
    acme = Person(deployed, "acme", same_site=False)
    landing = acme.connect()
    assert landing.completion
    pass_time(deployed, timedelta(hours=25))
    queue.fall_due()
    until(lambda: phases(deployed) == {"ended": 1})
    assert live(deployed) == 0
    assert acme.confirm(landing.completion).code == "session_expired"
    assert broken(deployed, ConnectionHistory(), at_rest=True) == []


@pytest.mark.parametrize("by", ["customer", "queue"])
def test_token_that_stays_dead_is_discarded(deployed: Deployed, queue: Queue, by: str) -> None:
    acme = Person(deployed, "acme", same_site=False)
    landing = acme.connect()
    assert landing.completion
    [token] = deployed.finch.live_tokens()
    deployed.finch.disconnect(token.access_token)
    assert acme.confirm(landing.completion).code == "connection_ended"
    assert phases(deployed) == {"escrowed": 1}
    pass_time(deployed, timedelta(hours=2))
    if by == "queue":
        queue.fall_due()
    else:
        assert acme.confirm(landing.completion).code == "connection_ended"
    until(lambda: phases(deployed) == {"ended": 1})
    assert broken(deployed, ConnectionHistory(), at_rest=True) == []


def test_operator_gets_alarms_sees_unfinished_work_and_decides(
    world: World, deployed: Deployed, queue: Queue
) -> None:
    acme, globex = Person(deployed, "acme"), Person(deployed, "globex")

    def operate(action: str, **named: str) -> Any:
        assert deployed.invoke
        return deployed.invoke("resolve_unfinished", {"action": action, **named})

    def decide(action: str, session: str) -> Any:
        decision = operate(action, session=session)["result"]["decision"]
        return operate(action, session=session, decision=decision)

    acme.connect(login=MAYA)
    assert globex.connect(login=OWEN).outcome == {"error": "cannot_connect"}
    queue.fall_due()
    until(lambda: "TokenHeldAlarm" in ringing(world))
    pass_time(deployed, timedelta(hours=2))
    [held] = operate("list")["result"]["sessions"]
    assert (held["phase"], held["customer_id"]) == ("held", "globex")
    assert decide("attach", held["session"])["error"] == "cannot_connect"
    acme.disconnect()
    assert decide("attach", held["session"])["result"]["status"] == "connected"
    assert [shown["status"] for shown in globex.connections()] == ["connected"]

    assert acme.connect(login=MAYA).outcome == {"error": "cannot_connect"}
    pass_time(deployed, timedelta(hours=2))
    [held] = operate("list")["result"]["sessions"]
    assert decide("disconnect", held["session"]) == {"result": {"status": "disconnected"}}
    assert live(deployed) == 1

    deployed.finch.faults.add("POST", "/auth/token", drop="before_effect")
    lost = acme.connect(provider_id="justworks", login=MAYA)
    assert lost.outcome == {"error": "exchange_uncertain"}
    pass_time(deployed, timedelta(hours=2))
    [uncertain] = operate("list")["result"]["sessions"]
    assert operate("retry", session=uncertain["session"]) == {"result": {"status": "queued"}}
    dismissed = operate("dismiss", session=uncertain["session"])
    assert dismissed == {"result": {"status": "dismissed"}}

    deployed.finch.faults.add("POST", "/disconnect", status=500)
    assert globex.disconnect().status == 202
    pass_time(deployed, timedelta(hours=2))
    [stuck] = operate("list")["result"]["connections"]
    where = {name: stuck[name] for name in ("customer_id", "provider_id", "company_id")}
    assert operate("retry", **where) == {"result": {"status": "queued"}}
    until(lambda: globex.connection()["status"] == "disconnected")
    assert live(deployed) == 0
    assert operate("list") == {"result": {"sessions": [], "connections": []}}
    assert broken(deployed, ConnectionHistory(), at_rest=True) == []


def check_of_acme() -> dict[str, Any]:
    """A work item about the connection that acme makes without a choice."""
    subject = ConnectionSubject("acme", CompanyKey("gusto", HARBOR_LANE.id))
    work_item: dict[str, Any] = json.loads(write(WorkItem(subject, datetime.now(UTC))))
    return work_item


def test_unreadable_messages_alone_become_dead_letters_and_raise_an_alarm(
    world: World, deployed: Deployed, queue: Queue
) -> None:
    Person(deployed, "acme").connect()
    work_item = check_of_acme()
    queue.hide(seconds=2)
    strange = ["not json", json.dumps(work_item | {"asked_at": "soon"}), json.dumps({"session": 1})]
    queue.send(strange[0], json.dumps(work_item), *strange[1:])
    until(lambda: sorted(queue.dead()) == sorted(strange))
    assert queue.waiting() == []
    until(lambda: "DeadLetterAlarm" in ringing(world))


def test_message_of_a_long_chain_of_invocations_is_stopped_as_in_lambda(
    world: World, deployed: Deployed, queue: Queue
) -> None:
    Person(deployed, "acme").connect()
    # After the first look, the connection is due tomorrow.
    queue.fall_due()
    until(lambda: queue.waiting() == [])
    work_item = check_of_acme()
    client, url = world.aws.client("sqs"), world.output("WorkQueueUrl")
    client.purge_queue(QueueUrl=url)
    before = deployed.finch.requests.count("GET", "/introspect")

    def send(invocations: int) -> None:
        trace = f"Root=1-0-0;Parent=0;Sampled=0;Lineage=1:0:{invocations}"
        header: Any = {"AWSTraceHeader": {"DataType": "String", "StringValue": trace}}
        client.send_message(
            QueueUrl=url, MessageBody=json.dumps(work_item), MessageSystemAttributes=header
        )

    send(15)
    until(lambda: deployed.finch.requests.count("GET", "/introspect") == before + 1)
    send(16)
    until(lambda: queue.dead() == [json.dumps(work_item)])
    assert deployed.finch.requests.count("GET", "/introspect") == before + 1
    until(lambda: "LoopStoppedAlarm" in ringing(world))
