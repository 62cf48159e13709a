"""The product in this process: real handlers and events, moto for AWS, the fake Finch for Finch.

Time is simulated. Every call from a handler to AWS or Finch passes a border. At the border a test can
record the call, refuse it, lose its response, or stop the process.
"""

import base64
import importlib
import json
import os
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial, partialmethod
from hashlib import sha256
from io import BytesIO
from itertools import count
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import boto3
import httpx
import pytest
import time_machine
from botocore.client import BaseClient
from moto import mock_aws
from moto.core.model_instances import reset_model_data
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends, utilities
from moto.sqs.models import Message, Queue, SQSBackend, sqs_backends
from moto.sqs.responses import SQSResponse

import finch_connections
from finch_connections import background, settings
from finch_connections.domain.connection import CHECKED_EVERY, TRANSFERRED, refused_for_days
from finch_connections.finch import client as finch_client
from finch_connections.finch import credentials, names_api
from finch_connections.use_cases import schedule_checks
from local.fake_finch import FinchState, InProcessTransport, create_app
from local.fake_finch.webhooks import Delivery
from operations.stack import Round, go_through
from tests.support import direct_moto
from tests.support.api_description import decoded_path
from tests.support.deployed import ROOT, TEMPLATE, Deployed, Reply, Tables
from tests.support.direct_moto import TRACE_HEADER, TRACE_VARIABLE

API_URL = "https://api.example.com"
RETURN_URLS = ("https://app.example.com/payroll", "https://app.example.com/settings?tab=payroll")
WEBHOOK_SECRET = "5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH"
BEGINNING = datetime(2026, 11, 22, 10, tzinfo=UTC)
_REGION = "eu-west-1"
# The folder of the output of `sam build`, if the tests run against it.
BUILT = os.environ.get("BUILT")
# No test needs so many deliveries or so many messages: the queue would be in a loop.
_MAX_DELIVERIES = 5000
_MAX_MESSAGES = 200
_REQUESTS = count(1)
# Longer than the pause between two reports of the same problem.
_REMINDER_INTERVAL = timedelta(minutes=90)
# Lambda stops a chain of invocations that one event caused after about 16 ("Use Lambda recursive loop
# detection to prevent infinite loops" in its developer guide).
LONGEST_CHAIN = 16
# "Quotas for configuring and running an HTTP API" in API Gateway's guide: bytes of the request line and
# the headers together, and the time for an integration.
LARGEST_HEADERS = 10_240
_LONGEST_INTEGRATION = timedelta(seconds=30)
# "Lambda quotas" in Lambda's guide: bytes of the response of a synchronous invocation.
LARGEST_RESPONSE = 6 * 1024 * 1024
# "Quotas in Amazon DynamoDB" in its guide: bytes of all items of a transaction.
LARGEST_TRANSACTION = 4 * 1024 * 1024
_RESOURCES: dict[str, Any] = TEMPLATE["Resources"]

type Handler = Callable[[dict[str, Any], Any], Any]


class QueueOverload(AssertionError):
    """The queue creates more work than it finishes."""


class Stopped(BaseException):
    """The process of a function ends here, as when Lambda's host dies. No code may catch this."""


@dataclass(frozen=True)
class Call:
    """A call that leaves the product. `service` is an AWS service name or `finch`."""

    function: str
    service: str
    operation: str
    arguments: Any = field(repr=False)


@dataclass(frozen=True)
class Exchange:
    """The result of a request with a code, as its sender saw it. `status` is None without an answer."""

    code_hash: str
    status: int | None
    sent: bool

    @property
    def may_have_had_an_effect(self) -> bool:
        """Whether its sender must assume that Finch may have made a token."""
        if self.status is None:
            return self.sent
        return self.status == 408 or not 400 <= self.status < 500


type Guard = Callable[[Call, Callable[[], Any]], Any]


@dataclass(eq=False)
class _Invocation:
    """`chain` is the number of invocations that one event has caused, with this invocation."""

    function: str
    chain: int
    stopped: bool = False


class DeterministicExecutor(Executor):
    """Deterministic executor for background work: runs eagerly (`at_once`) or lazily.

    It makes the same calls in the same order in every run. This is realistic enough: two parallel calls
    also reach a server one after the other.
    """

    def __init__(self) -> None:
        self.at_once = False

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
        """Returns an object whose `result` method returns the result, or starts lazy work."""
        waiting = cache(partial(_tried, partial(work, *arguments, **named)))
        if self.at_once:
            waiting()

        def result() -> Any:
            return waiting()()

        return SimpleNamespace(result=result)


def _tried(work: Callable[[], Any]) -> Callable[[], Any]:
    """Does the work; returns a function that returns its result or raises its error."""
    try:
        value = work()
    except Exception as error:
        failure = error

        def fail() -> Any:
            raise failure

        return fail
    return lambda: value


class Border:
    """The point where every call of a handler leaves the product.

    `guard` gets each call and a function that sends it; the product gets the guard's return value
    or exception. After `Stopped`, the process makes no other call. `exchanges` are all requests with
    a code. `late` are calls whose caller no longer waits, but which still have their effect. With
    `apart`, functions share no memory, as in Lambda. Most tests let them share memory, to test the
    caches of a process too. `background` runs the product's background work. `longest_chain` is the
    number of invocations in the longest chain that one event has caused.
    """

    def __init__(self) -> None:
        self._running: ContextVar[_Invocation | None] = ContextVar("running", default=None)
        self._last: str | None = None
        self.apart = False
        self.background = DeterministicExecutor()
        self.guard: Guard = let_through
        self.exchanges: list[Exchange] = []
        self.late: list[Callable[[], Any]] = []
        self.longest_chain = 0

    @contextmanager
    def invocation(self, function: str, after: int = 0) -> Iterator[None]:
        """Attributes the calls in its block to this function; afterwards sends the late calls.

        `after` is the number of earlier invocations in the chain. As in Lambda, the environment has the
        number, and botocore passes it on.
        """
        if self.apart and function != self._last:
            forget_process_memory()
        self._last = function
        outer = self._running.get()
        chain = (outer.chain if outer else after) + 1
        self.longest_chain = max(self.longest_chain, chain)
        running = self._running.set(_Invocation(function, chain))
        trace = os.environ.get(TRACE_VARIABLE)
        os.environ[TRACE_VARIABLE] = f"Root=1-0-0;Parent=0;Sampled=0;Lineage=1:0:{chain}"
        try:
            yield
        finally:
            self._running.reset(running)
            os.environ.pop(TRACE_VARIABLE, None)
            if trace:
                os.environ[TRACE_VARIABLE] = trace
            while self.late:
                with suppress(Exception):
                    self.late.pop(0)()

    def cross(self, service: str, operation: str, arguments: Any, send: Callable[[], Any]) -> Any:
        """Passes one call to the guard. Calls of the test itself do not pass the guard."""
        invocation = self._running.get()
        if invocation is None:
            return send()
        if invocation.stopped:
            raise Stopped
        try:
            return self.guard(Call(invocation.function, service, operation, arguments), send)
        except Stopped:
            invocation.stopped = True
            forget_process_memory()
            raise

    @property
    def inside(self) -> bool:
        """Whether a function makes the current call, and not the test."""
        return self._running.get() is not None

    def open(self) -> None:
        """Removes the guard and forgets the earlier calls."""
        self.guard = let_through
        self.exchanges.clear()
        self.late.clear()
        self.longest_chain = 0
        # Invocations in several threads may leave a wrong number.
        os.environ.pop(TRACE_VARIABLE, None)


def let_through(call: Call, send: Callable[[], Any]) -> Any:
    """The guard that sends every call unchanged."""
    return send()


def forget_process_memory() -> None:
    """Drops the values that a function process caches between requests, as a new process starts."""
    secret = credentials.from_settings()
    secret._cached = secret._read_again_at = None
    names_api.from_settings.cache_clear()


class _FinchTransport(httpx.BaseTransport):
    """An httpx transport to the fake Finch that passes the border."""

    def __init__(self, border: Border, transport: httpx.BaseTransport) -> None:
        self._border = border
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        operation = f"{request.method} {request.url.path}"
        sent = False

        def send() -> httpx.Response:
            nonlocal sent
            sent = True
            return self._transport.handle_request(request)

        status = None
        try:
            response: httpx.Response = self._border.cross("finch", operation, request, send)
            status = response.status_code
            return response
        except (httpx.ReadTimeout, httpx.ReadError):
            sent = True
            raise
        finally:
            if operation == "POST /auth/token":
                code = str(json.loads(request.content)["code"])
                digest = sha256(code.encode()).hexdigest()
                self._border.exchanges.append(Exchange(digest, status, sent))


class Clock:
    """The simulated time that the product, moto and the fake Finch read."""

    def __init__(self, traveller: time_machine.Traveller) -> None:
        self._traveller = traveller

    @property
    def now(self) -> datetime:
        """The simulated moment."""
        return datetime.now(UTC)

    def advance(self, by: timedelta) -> None:
        """Lets time pass."""
        self._traveller.shift(by)

    def sleep(self, seconds: float) -> None:
        """Replaces `time.sleep`: moves the clock instead of waiting."""
        self.advance(timedelta(seconds=seconds))

    def move_to(self, moment: datetime) -> None:
        """Sets the clock, forwards or backwards."""
        self._traveller.move_to(moment)

    def reset(self) -> None:
        """Sets the clock back to the beginning."""
        self.move_to(BEGINNING)


def _name_of(resource: Mapping[str, Any]) -> str:
    return str(resource["Properties"]["Handler"].rpartition(".")[2])


@cache
def _functions() -> dict[str, dict[str, Any]]:
    """The functions of the template by the names of their handlers."""
    return {
        _name_of(resource): resource
        for resource in _RESOURCES.values()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def handler_of(name: str) -> Handler:
    """The handler of a function; raises ModuleNotFoundError."""
    handler: Handler = getattr(importlib.import_module(f"functions.{name}.handler"), name)
    return handler


@dataclass(frozen=True)
class Route:
    """One route of the template: its function, and whether it needs an access token."""

    key: str
    handler: Handler
    event_file: Path
    needs_token: bool

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The path parameters, or None if the route does not match this request."""
        route_method, _, route_path = self.key.partition(" ")
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(route_path))
        found = re.fullmatch(pattern, path)
        if route_method != method or found is None:
            return None
        return found.groupdict()


def routes_of_template() -> list[Route]:
    """The routes as API Gateway would make them, with the default route last."""
    routes = []
    for name, resource in _functions().items():
        for event in resource["Properties"].get("Events", {}).values():
            if event["Type"] != "HttpApi":
                continue
            properties = event["Properties"]
            key = (
                f"{properties['Method']} {properties['Path']}"
                if "Path" in properties
                else "$default"
            )
            needs_token = "Auth" in properties
            file = ROOT / "events" / f"{name}.json"
            routes.append(Route(key, handler_of(name), file, needs_token))
    return sorted(routes, key=lambda route: route.key == "$default")


def context(name: str, alias: str = "live") -> SimpleNamespace:
    """The Lambda context object of an invocation."""
    properties = _functions().get(name, {}).get("Properties", {})
    return SimpleNamespace(
        aws_request_id=str(UUID(int=next(_REQUESTS))),
        function_name=name,
        invoked_function_arn=f"arn:aws:lambda:eu-west-1:123456789012:function:{name}:{alias}",
        get_remaining_time_in_millis=lambda: 1000 * int(properties.get("Timeout", 60)),
    )


@dataclass
class InProcessApi:
    """The part of API Gateway that our functions see: routing, JWT authorizer, payload 2.0.

    A custom domain may map `base_path` to the API. Neither the routes nor `rawPath` contain it ("Create
    AWS Lambda proxy integrations for HTTP APIs" in API Gateway's guide).
    """

    routes: list[Route]
    border: Border
    base_path: str = ""

    def token(self, customer_id: str) -> str:
        """An access token that the authorizer of `send` accepts."""
        return f"token of {customer_id}"

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """Sends one request through the function that the template routes it to."""
        headers = dict(headers or {})
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {headers[name]}" for name in headers)]
        if len("\r\n".join(lines).encode()) > LARGEST_HEADERS:
            return _of_gateway(431, "Request Header Fields Too Large")
        url = urlsplit(path)
        decoded = decoded_path(url.path).removeprefix(self.base_path)
        route, parameters = self._route(method, decoded)
        event = json.loads(route.event_file.read_text())
        for name in ("cookies", "body", "pathParameters", "queryStringParameters"):
            event.pop(name, None)
        event |= {"routeKey": route.key, "rawPath": decoded, "rawQueryString": url.query}
        event["requestContext"].pop("authorizer", None)
        event["requestContext"]["http"] |= {"method": method, "path": decoded}
        if route.needs_token:
            customer_id = headers.pop("authorization").removeprefix("Bearer token of ")
            claims = {"sub": customer_id}
            event["requestContext"]["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
        if cookie := headers.pop("cookie", None):
            event["cookies"] = cookie.split("; ")
        if parameters:
            event["pathParameters"] = parameters
        if url.query:
            pairs: dict[str, str] = {}
            for key, value in parse_qsl(url.query, keep_blank_values=True):
                pairs[key] = f"{pairs[key]},{value}" if key in pairs else value
            event["queryStringParameters"] = pairs
        if body is not None:
            event |= _body(body)
        event["headers"] = {
            name: value for name, value in event["headers"].items() if not name.startswith("finch-")
        } | {name.lower(): value for name, value in headers.items()}
        name = route.event_file.stem
        began = datetime.now(UTC)
        try:
            with self.border.invocation(name):
                answer = route.handler(event, context(name))
        except Stopped:
            return _of_gateway(500, "Internal Server Error")
        if datetime.now(UTC) - began > _LONGEST_INTEGRATION:
            return _of_gateway(503, "Service Unavailable")
        if len(json.dumps(answer)) > LARGEST_RESPONSE:
            return _of_gateway(500, "Internal Server Error")
        return Reply(
            answer["statusCode"],
            {name.lower(): value for name, value in answer["headers"].items()},
            answer.get("cookies", []),
            answer.get("body", ""),
        )

    def _route(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        for route in self.routes:
            parameters = route.match(method, path)
            if parameters is not None:
                return route, parameters
        return self.routes[-1], {}


def _of_gateway(status: int, message: str) -> Reply:
    """A response of API Gateway itself."""
    return Reply(status, {"content-type": "application/json"}, [], json.dumps({"message": message}))


def _body(body: bytes) -> dict[str, Any]:
    try:
        return {"body": body.decode(), "isBase64Encoded": False}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


@dataclass
class InProcessQueue:
    """The queue of work items, Lambda's event source mapping that processes it, and the schedule.

    The scheduled check runs at each whole minute in which a row is due. A message whose handler failed is
    hidden for the queue's visibility timeout and is delivered again; after too many deliveries it becomes
    a dead letter. SQS may deliver a message `twice`. `expired` are messages that were deleted at the end
    of the queue's retention period.
    """

    name: str
    url: str
    border: Border
    clock: Clock
    tables: Tables
    twice: bool = False
    failed: list[Exception] = field(default_factory=list)
    deliveries: list[int] = field(default_factory=lambda: [0])
    expired: list[dict[str, Any]] = field(default_factory=list)
    checked_at: datetime | None = None

    def waiting(self) -> list[dict[str, Any]]:
        """The messages that are not processed yet, including hidden messages."""
        return [json.loads(message.body) for message in self._queue._messages]

    def dead(self) -> list[dict[str, Any]]:
        """The dead letters."""
        return [json.loads(message.body) for message in self._dead_letters._messages]

    def redrive(self) -> None:
        """Moves the dead letters back, as an operator does when the cause is fixed."""
        for message in self._dead_letters._messages:
            message.approximate_receive_count = 0
            message.visible_at = 0
            # SQS sends a new message ("Moving messages out of a dead-letter queue" in its guide).
            message.sent_timestamp = int(self.clock.now.timestamp() * 1000)  # type: ignore[assignment]
        self._queue._messages += self._dead_letters._messages
        self._dead_letters._messages = []

    def clear(self) -> None:
        """Empties both queues."""
        for queue in (self._queue, self._dead_letters):
            queue._messages = []
            queue.pending_messages.clear()
            queue.deleted_messages.clear()
        self.failed.clear()
        self.expired.clear()
        self.deliveries[0] = 0
        self.checked_at = None

    def snapshot(self) -> list[list[Message]]:
        """The messages of both queues, for `restore`."""
        return [deepcopy(queue._messages) for queue in (self._queue, self._dead_letters)]

    def restore(self, messages: list[list[Message]]) -> None:
        """Restores the messages of a `snapshot`."""
        self.clear()
        for queue, saved in zip((self._queue, self._dead_letters), messages, strict=True):
            queue._messages = deepcopy(saved)

    def deliver(self, *, twice: bool = False) -> int:
        """Invokes the function with the messages that are visible now; returns their number.

        Processed messages are deleted, unless SQS delivers them `twice`.
        """
        mapping = _mapping()
        self.deliveries[0] += 1
        if self.deliveries[0] >= _MAX_DELIVERIES:
            raise QueueOverload("the queue delivers without end")
        if len(self._queue._messages) >= _MAX_MESSAGES:
            raise QueueOverload("the queue gets more and more messages")
        self._expire()
        self._stop_long_chains()
        # A standard queue keeps no order ("Amazon SQS standard queues" in its guide).
        self._queue._messages.reverse()
        batch = sqs_backends[DEFAULT_ACCOUNT_ID][_REGION].receive_message(
            self.name,
            min(int(mapping.get("BatchSize", 10)), 10),
            wait_seconds_timeout=0,
            visibility_timeout=self._queue.visibility_timeout,  # type: ignore[attr-defined]
        )
        if not batch:
            return 0
        try:
            unfinished = self._invoke(batch)
        except Stopped:
            return len(batch)
        except Exception as error:
            self.failed.append(error)
            return len(batch)
        if "ReportBatchItemFailures" not in mapping.get("FunctionResponseTypes", ()):
            unfinished = set()
        for message in batch:
            if message.id not in unfinished:
                if twice or (self.twice and message.approximate_receive_count < 2):
                    self._redeliver_now(message.id)
                elif message.receipt_handle:
                    self._queue.delete_message(message.receipt_handle)
        return len(batch)

    def drain(self, within: timedelta = timedelta(days=14)) -> bool:
        """Delivers messages and runs the scheduled check, and lets time pass, until no work is left.

        Returns whether no work was left in this time, except problems that wait for an operator.
        """
        end = self.clock.now + within
        while True:
            while not self.at_rest():
                if not self._step(end):
                    return self.at_rest()
            soon = self.clock.now + _REMINDER_INTERVAL
            if not any(at < soon for at, _ in self._due()):
                return True
            # A check can find new work, for example a token that Finch calls dead for the first time.
            self.pass_time(_REMINDER_INTERVAL)
            if self.at_rest():
                return True

    def pass_time(self, by: timedelta) -> None:
        """Lets time pass, delivers the messages that become visible, and runs the scheduled check."""
        end = self.clock.now + by
        while self._step(end):
            pass
        self.clock.advance(max(end - self.clock.now, timedelta()))

    def at_rest(self) -> bool:
        """Whether no message waits, and no row except for an operator, the daily check and a confirmation."""
        return not self.waiting() and not any(works for _, works in self._due())

    def _due(self) -> list[tuple[datetime, bool]]:
        """When each row is due, and whether it is unfinished work of the product."""
        found = []
        for item in self.tables.items(self.tables.sessions):
            if "due_at" in item:
                found.append((_due_at(item), item["phase"]["S"] not in ("held", "uncertain")))
        for item in self.tables.items(self.tables.connections):
            if "due_at" in item:
                checked_at = item.get("checked_at", item["created_at"])["S"]
                usual = datetime.fromisoformat(checked_at) + CHECKED_EVERY
                # Finch has refused for days to end the connection or an entity: reported each hour.
                refused = item.keys() & {"problem", "refused_entities"}
                waits = refused and "ending_entities" not in item
                early = not waits and _due_at(item) < usual
                found.append((_due_at(item), early or self._is_ending(item)))
        return found

    def _is_ending(self, item: Mapping[str, Any]) -> bool:
        """Whether a connection is being disconnected, and does not only wait for Finch's consent.

        The customer cannot repair a transferred connection that Finch refuses to end, so it is tried and
        reported each hour.
        """
        if "disconnecting_since" not in item:
            return False
        since = datetime.fromisoformat(item["disconnecting_since"]["S"])
        return item.get("problem") != {"S": TRANSFERRED} or not refused_for_days(
            since, self.clock.now
        )

    def _step(self, end: datetime) -> bool:
        """Does what happens next: a delivery, or a scheduled check. False if that is after `end`."""
        if self.deliver():
            return True
        # At the exact end of the visibility timeout, moto still hides the message.
        visible = [
            datetime.fromtimestamp(max(one.visible_at, one.delayed_until) / 1000, UTC)
            + timedelta(milliseconds=2)
            for one in self._queue._messages
        ]
        check = self._next_check()
        soonest = min([*visible, *check], default=None)
        if soonest is None or soonest > end:
            return False
        self.clock.advance(max(soonest - self.clock.now, timedelta(milliseconds=1)))
        if check and check[0] <= self.clock.now:
            self._check()
        return True

    def _next_check(self) -> list[datetime]:
        """The next whole minute at which the scheduled check finds a due row."""
        now, period = self.clock.now, schedule_checks.PERIOD
        soonest = min((at for at, _ in self._due()), default=None)
        if soonest is None:
            return []
        soonest = max(soonest, now)
        if self.checked_at and self.checked_at <= now:
            soonest = max(soonest, self.checked_at + period)
        late = (soonest - BEGINNING) % period
        return [soonest + period - late if late else soonest]

    def _check(self) -> None:
        # Within its minute, because a real run takes part of a second.
        self.checked_at = self.clock.now - (self.clock.now - BEGINNING) % schedule_checks.PERIOD
        name = "schedule_checks"
        # The next run does what a failed run did not do.
        with suppress(Exception, Stopped), self.border.invocation(name):
            handler_of(name)({}, context(name))

    def _stop_long_chains(self) -> None:
        """Moves the messages of long chains to the dead letters, as Lambda does."""
        long = [one for one in self._queue._messages if _chain(one) >= LONGEST_CHAIN]
        for message in long:
            self._queue._messages.remove(message)
            self._dead_letters._messages.append(message)

    def _invoke(self, batch: list[Message]) -> set[str]:
        """The ids of the messages that the function did not process; raises its errors."""
        name = "process_work"
        handler, event = handler_of(name), _sqs_event(batch, self._queue)
        # AWS does not document which message of a batch counts. The longest chain is the strictest choice.
        with self.border.invocation(name, after=max(map(_chain, batch))):
            answer = handler(event, context(name)) or {}
        named = {item["itemIdentifier"] for item in answer.get("batchItemFailures", ())}
        # Lambda counts the whole batch as failed if the answer names an id that is not in the batch.
        ids = {message.id for message in batch}
        return named if named <= ids else ids

    def _expire(self) -> None:
        """Deletes expired messages. The age of a dead letter counts from the original message."""
        for queue in (self._queue, self._dead_letters):
            kept_seconds: int = queue.message_retention_period  # type: ignore[attr-defined]
            oldest = (self.clock.now.timestamp() - kept_seconds) * 1000
            old = [one for one in queue._messages if one.sent_timestamp <= oldest]  # type: ignore[operator]
            if old:
                self.expired += [json.loads(message.body) for message in old]
                queue._messages = [one for one in queue._messages if one not in old]

    def _redeliver_now(self, message_id: str) -> None:
        for message in self._queue._messages:
            if message.id == message_id:
                message.visible_at = 0

    @property
    def _queue(self) -> Queue:
        return sqs_backends[DEFAULT_ACCOUNT_ID][_REGION].queues[self.name]

    @property
    def _dead_letters(self) -> Queue:
        queue = self._queue.dead_letter_queue
        assert queue is not None
        return queue


def _due_at(item: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(int(item["due_at"]["N"]), UTC)


def _chain(message: Message) -> int:
    """The number of invocations that led to a message, from the `Lineage` of its trace header."""
    header = (message.system_attributes or {}).get("AWSTraceHeader", {}).get("string_value", "")
    found = re.search(r"Lineage=\d+:\w+:(\d+)", header)
    return int(found[1]) if found else 0


def keep_trace_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has moto store the trace header of a call with its messages ("Message attributes" in SQS's guide)."""
    header: ContextVar[str | None] = ContextVar("trace header", default=None)
    send = SQSBackend.send_message

    def noted(response: SQSResponse, method: Callable[[SQSResponse], Any]) -> Any:
        header.set(response.headers.get(TRACE_HEADER))
        return method(response)

    def sent(*arguments: Any, **named: Any) -> Message:
        message = send(*arguments, **named)
        if trace := header.get():
            value = {"string_value": trace, "data_type": "String"}
            message.system_attributes = {"AWSTraceHeader": value}
        return message

    for name in ("send_message", "send_message_batch"):
        method = getattr(SQSResponse, name)
        monkeypatch.setattr(SQSResponse, name, partialmethod(noted, method))
    monkeypatch.setattr(SQSBackend, "send_message", sent)


def _mapping() -> dict[str, Any]:
    """The event source mapping of `process_work` in the template."""
    events = _functions().get("process_work", {}).get("Properties", {}).get("Events", {})
    for event in events.values():
        if event["Type"] == "SQS":
            properties: dict[str, Any] = event["Properties"]
            return properties
    return {"BatchSize": 10, "FunctionResponseTypes": ["ReportBatchItemFailures"]}


def _sqs_event(batch: list[Message], queue: Queue) -> dict[str, Any]:
    """The event with which Lambda passes messages ("Using Lambda with Amazon SQS" in its guide)."""
    example = ROOT / "events" / "process_work.json"
    shape = json.loads(example.read_text())["Records"][0] if example.exists() else {}
    return {
        "Records": [
            shape
            | {
                "messageId": message.id,
                "receiptHandle": message.receipt_handle,
                "body": message.body,
                "attributes": {
                    "ApproximateReceiveCount": str(message.approximate_receive_count),
                    "SentTimestamp": str(message.sent_timestamp),
                    "SenderId": message.sender_id,
                    "ApproximateFirstReceiveTimestamp": str(
                        message.approximate_first_receive_timestamp
                    ),
                },
                "messageAttributes": {},
                "md5OfBody": message.body_md5,
                "eventSource": "aws:sqs",
                "eventSourceARN": queue.queue_arn,
                "awsRegion": _REGION,
            }
            for message in batch
        ]
    }


def _invoked(arguments: Mapping[str, Any], border: Border) -> dict[str, Any]:
    """Lambda's response when a function invokes another function, by the name of its handler."""
    name, _, alias = arguments["FunctionName"].partition(":")
    event = json.loads(arguments["Payload"])
    failed = {}
    try:
        with border.invocation(name):
            answer = handler_of(name)(event, context(name, alias or "live"))
    except Exception as error:
        failed = {"FunctionError": "Unhandled"}
        answer = {"errorType": type(error).__name__, "errorMessage": str(error)}
    return {"StatusCode": 200, "Payload": BytesIO(json.dumps(answer).encode()), **failed}


class MotoTables(Tables):
    """The tables, read from moto's memory, because the API is too slow for so many reads."""

    def items(self, table: str) -> list[dict[str, Any]]:
        """All items of a table."""
        found = dynamodb_backends[DEFAULT_ACCOUNT_ID][_REGION].tables[table].all_items()
        return [
            {name: utilities.dynamo_to_dict(value) for name, value in item.attrs.items()}
            for item in found
        ]


@cache
def _shipped(service: str) -> set[str]:
    """The operations of a service in the built botocore models."""
    data = ROOT / str(BUILT) / "AwsLayer" / "python" / "botocore" / "data"
    [path] = (data / service).glob("*/service-2.json")
    return set(json.loads(path.read_text())["operations"])


def require_shipped(service: str, operation: str) -> None:
    """Fails if a test of the build calls an operation that the built botocore does not have."""
    assert not BUILT or operation in _shipped(service), f"{service} {operation} is not built"


def make_table(client: Any, logical_id: str) -> str:
    """Creates a table with the schema of the template; returns its name."""
    properties = _RESOURCES[logical_id]["Properties"]
    schema = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    wanted = {name: properties[name] for name in schema if name in properties}
    client.create_table(TableName=logical_id, **wanted)
    return logical_id


def make_queue(client: Any, logical_id: str) -> str:
    """Creates a queue and its dead-letter queue with the template's attributes; returns the URL."""
    properties = _RESOURCES[logical_id]["Properties"]
    [dead_id, _] = properties["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"]
    kept = {
        "MessageRetentionPeriod": str(_RESOURCES[dead_id]["Properties"]["MessageRetentionPeriod"])
    }
    dead_letters = client.create_queue(QueueName=dead_id, Attributes=kept)["QueueUrl"]
    arn = client.get_queue_attributes(QueueUrl=dead_letters, AttributeNames=["QueueArn"])
    redrive = {
        "deadLetterTargetArn": arn["Attributes"]["QueueArn"],
        "maxReceiveCount": properties["RedrivePolicy"]["maxReceiveCount"],
    }
    attributes = {
        "VisibilityTimeout": str(properties["VisibilityTimeout"]),
        "MessageRetentionPeriod": str(properties["MessageRetentionPeriod"]),
        "RedrivePolicy": json.dumps(redrive),
    }
    return str(client.create_queue(QueueName=logical_id, Attributes=attributes)["QueueUrl"])


def _modules() -> list[ModuleType]:
    found = pkgutil.walk_packages(finch_connections.__path__, "finch_connections.")
    return [importlib.import_module(one.name) for one in found]


def clear_caches() -> None:
    """Clears every cached function of the package, as when Lambda has just loaded it."""
    for module in _modules():
        for value in list(vars(module).values()):
            if getattr(value, "__module__", None) == module.__name__ and hasattr(
                value, "cache_clear"
            ):
                value.cache_clear()


@dataclass(frozen=True, kw_only=True)
class InProcess(Deployed):
    """The product in this process, with access to its queue, border and clock."""

    queue: InProcessQueue
    border: Border
    clock: Clock

    def deliver_webhooks(self) -> list[int]:
        """Sends the webhooks that Finch has waiting; returns the statuses of the responses."""
        statuses: list[int] = []

        def post(delivery: Delivery) -> int:
            statuses.append(self.receive(delivery.headers, delivery.body).status)
            return statuses[-1]

        self.finch.deliver_webhooks(post)
        return statuses

    def receive(self, headers: Mapping[str, str], body: bytes) -> Reply:
        """Sends one webhook."""
        return self.api.send("POST", "/webhooks/finch", headers=headers, body=body)

    def back_up(self) -> dict[str, str]:
        """Copies two tables to new tables, as point-in-time recovery does; returns the new names."""
        client, names = self.tables.dynamodb, {}
        for part, table in (
            ("connections", self.tables.connections),
            ("sessions", self.tables.sessions),
        ):
            names[part] = f"finch-connections-restored-{part}"
            with suppress(client.exceptions.ResourceNotFoundException):
                client.delete_table(TableName=names[part])
            client.restore_table_to_point_in_time(
                SourceTableName=table, TargetTableName=names[part], UseLatestRestorableTime=True
            )
        return names

    def run_round(self, function: str, **event: Any) -> Round:
        """Runs one round of long work, as the operator's program does."""

        def invoke(name: str, event: dict[str, Any]) -> Any:
            assert self.invoke
            return self.invoke(name, event)["result"]

        stack: Any = SimpleNamespace(invoke=invoke)
        return go_through(stack, function, event, lambda line: None)

    def reset(self) -> None:
        """Empties everything, and sets the clock to the beginning."""
        for table in self._moto_tables():
            table.items.clear()
        # moto keeps a copy of each table before each transaction.
        reset_model_data()
        self.queue.clear()
        self.finch.reset()
        self.border.open()
        self.clock.reset()
        self.limit_connections(0)
        forget_process_memory()

    def limit_connections(self, number: int) -> None:
        """Changes how many connections a customer may have, until the next reset; 0 is any number."""
        os.environ["MAX_CONNECTIONS"] = str(number)
        settings.read.cache_clear()

    def snapshot(self) -> Callable[[], None]:
        """Saves the state and returns a function that restores it, without the fake Finch's faults."""
        items = [direct_moto.copied_items(table.items) for table in self._moto_tables()]
        messages = self.queue.snapshot()
        world, offset = deepcopy(self.finch._world), self.finch._offset
        exchanges, now = list(self.border.exchanges), self.clock.now
        limit = int(settings.read().max_connections)

        def restore() -> None:
            self.reset()
            for table, saved in zip(self._moto_tables(), items, strict=True):
                table.items = direct_moto.copied_items(saved)
            self.queue.restore(messages)
            self.finch._world, self.finch._offset = deepcopy(world), offset
            self.border.exchanges += exchanges
            self.limit_connections(limit)
            self.clock.move_to(now)

        return restore

    def _moto_tables(self) -> list[Any]:
        backend = dynamodb_backends[DEFAULT_ACCOUNT_ID][_REGION]
        kept = self.tables
        names = (kept.connections, kept.sessions, kept.ownerships, kept.audit, kept.grants)
        return [backend.tables[name] for name in names]


def check_transaction(client: Any, arguments: Any) -> None:
    """Refuses a transaction that is too large for DynamoDB, and that moto would write."""
    if len(repr(arguments["TransactItems"]).encode()) > LARGEST_TRANSACTION:
        message = "Member must have length less than or equal to 4 MB"
        error = {"Error": {"Code": "ValidationException", "Message": message}}
        raise client.exceptions.ClientError(error, "TransactWriteItems")


@contextmanager
def deploy(*, ticks: bool = True) -> Iterator[InProcess]:
    """Deploys the product; without `ticks` time passes only when the test moves the clock."""
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        time_machine.travel(BEGINNING, tick=ticks) as traveller,
        mock_aws(),
    ):
        yield _deploy(monkeypatch, Clock(traveller))


def _deploy(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> InProcess:
    for one in settings.Settings._fields:
        monkeypatch.setenv(one.upper(), "not-in-this-test")
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": _REGION,
        "FINCH_API_URL": "https://finch.example.com",
        "FINCH_SANDBOX": "",
        "API_URL": API_URL,
        "RETURN_URLS": ",".join(RETURN_URLS),
        "CONNECT_MODES": "redirect,embedded",
        "CUSTOMER_CLAIM": "sub",
        "EVENT_BUS": "changes",
        "VEND_TOKEN_FUNCTION": "vend_token",
        "AWS_LAMBDA_FUNCTION_NAME": "read_directory",
        "CHECKS_PER_MINUTE": "100",
        # Tests connect as one customer more often than a person does.
        "ATTEMPTS_PER_CUSTOMER": "100000",
        "IDLE_DAYS": "30",
        "MAX_CONNECTIONS": "0",
        "CALL_FINCH_FUNCTION": "call_finch",
        "CALL_FINCH_READS": "/employer",
        "CALL_FINCH_WRITES": "",
        "POWERTOOLS_SERVICE_NAME": "finch-connections",
        "OLD_TOKEN_KEY_ARN": "",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    keep_trace_headers(monkeypatch)
    border = Border()
    make_api_call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def cross_border(client: Any, operation: str, arguments: Any) -> Any:
        service = client.meta.service_model.service_name
        if border.inside:
            require_shipped(service, operation)
        if operation == "TransactWriteItems":
            check_transaction(client, arguments)

        def usual() -> Any:
            return make_api_call(client, operation, arguments)

        def send() -> Any:
            if service == "lambda":
                return _invoked(arguments, border)
            return direct_moto.call(client, operation, arguments, usual)

        return border.cross(service, operation, arguments, send)

    monkeypatch.setattr(BaseClient, "_make_api_call", cross_border)
    monkeypatch.setattr(background, "_threads", lambda: border.background)
    dynamodb, kms = boto3.client("dynamodb"), boto3.client("kms")
    secrets = boto3.client("secretsmanager")
    tables = MotoTables(
        dynamodb,
        connections=make_table(dynamodb, "ConnectionsTable"),
        sessions=make_table(dynamodb, "ConnectSessionsTable"),
        ownerships=make_table(dynamodb, "OwnershipTable"),
        audit=make_table(dynamodb, "AuditTable"),
        grants=make_table(dynamodb, "GrantsTable"),
    )
    queue_url = make_queue(boto3.client("sqs"), "WorkQueue")
    key_arn = kms.create_key()["KeyMetadata"]["Arn"]
    erasure_key = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    monkeypatch.setenv("ERASURE_KEY_ARN", erasure_key["KeyMetadata"]["Arn"])
    application = {
        "client_id": "our-client",
        "client_secret": "our-secret",
        "webhook_secrets": [WEBHOOK_SECRET],
    }
    secret = secrets.create_secret(Name="finch", SecretString=json.dumps(application))
    monkeypatch.setenv("CONNECTIONS_TABLE", tables.connections)
    monkeypatch.setenv("CONNECT_SESSIONS_TABLE", tables.sessions)
    monkeypatch.setenv("OWNERSHIP_TABLE", tables.ownerships)
    monkeypatch.setenv("AUDIT_TABLE", tables.audit)
    monkeypatch.setenv("GRANTS_TABLE", tables.grants)
    monkeypatch.setenv("TOKEN_KEY_ARN", key_arn)
    monkeypatch.setenv("FINCH_SECRET_ARN", secret["ARN"])
    monkeypatch.setenv("WORK_QUEUE_URL", queue_url)
    clear_caches()
    state = FinchState(
        "our-client",
        "our-secret",
        [f"{API_URL}/callback"],
        sleep=lambda _: None,
        webhook_url=f"{API_URL}/webhooks/finch",
        webhook_secrets=[WEBHOOK_SECRET],
    )
    transport = _FinchTransport(border, InProcessTransport(create_app(state)))
    fake_finch = finch_client.FinchClient("https://finch.example.com", transport)
    monkeypatch.setattr(finch_client, "from_settings", lambda: fake_finch)
    api = InProcessApi(routes_of_template(), border)

    def invoke(name: str, payload: Any) -> Any:
        name, _, alias = name.partition(":")
        with border.invocation(name):
            return handler_of(name)(payload, context(name, alias or "live"))

    return InProcess(
        api=api,
        finch=state,
        tables=tables,
        kms=kms,
        secrets=secrets,
        secret_arn=secret["ARN"],
        return_urls=RETURN_URLS,
        token=api.token,
        invoke=invoke,
        queue=InProcessQueue("WorkQueue", queue_url, border, clock, tables),
        border=border,
        clock=clock,
    )


def take_deliveries(deployed: InProcess) -> list[Delivery]:
    """Takes the webhooks that Finch would send now, so that the test can send them itself."""
    found: list[Delivery] = []

    def post(delivery: Delivery) -> int:
        found.append(delivery)
        return 200

    deployed.finch.deliver_webhooks(post)
    return found
