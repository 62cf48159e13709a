"""A state machine of everything that can happen: users, Finch, AWS, the queue, time, an operator."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any, ClassVar

import httpx
from botocore.exceptions import ClientError
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.utilities import dynamo_to_dict
from moto.sqs.models import Message

from finch_connections.aws.connection_table import SORT_KEY
from finch_connections.domain.connect_session import issued_to
from finch_connections.domain.token_response import DEAD_AGAIN_AFTER
from functions.process_work import handler as process_work_handler
from local.fake_finch.records import CannotAuthorize, Connection
from local.fake_finch.refusals import ReauthenticateUser
from local.fake_finch.seed_world import (
    DANA,
    HARBOR_LANE,
    JUNIPER_VALE,
    MAYA,
    NORTHFOLD,
    OWEN,
    TALLY,
)
from tests.fault_injection.faults import faults_of
from tests.stateful.oracle import Authorization, Oracle
from tests.support.deployed import Api, Reply
from tests.support.in_process import Call, InProcess, Stopped
from tests.support.invariants import Row, StoredState, broken, entities_of
from tests.support.person import FinchPage, Landing, Person, connection_path, without_state

REGION = "eu-west-1"

type Send = Callable[[], Any]

# The second id looks like the first customer's name for a second connection at Finch.
CUSTOMERS = ("auth0|acme", "auth0|acme~2")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BOTH = ("company", "directory")
PAUSES = (MINUTE, 5 * MINUTE, HOUR, 3 * HOUR, DAY, 3 * DAY, 8 * DAY)
# After this time a second click makes a new Finch session, although the old session lives for an hour.
_FINCH_SESSION_REUSE = timedelta(minutes=51)
# The maximum number of rounds of the cleanup at the end.
_ROUNDS = 10


@dataclass(frozen=True)
class Place:
    """The input of a user at Finch Connect."""

    provider_id: str
    login: str
    company_id: str


PLACES = (
    Place("gusto", MAYA, HARBOR_LANE.id),
    Place("gusto", OWEN, HARBOR_LANE.id),
    Place("gusto", TALLY, HARBOR_LANE.id),
    Place("gusto", TALLY, JUNIPER_VALE.id),
    Place("justworks", MAYA, HARBOR_LANE.id),
    # Its connection has several entities.
    Place("gusto", DANA, NORTHFOLD.id),
)
# Behaviours of Finch that its documentation leaves open. The first is the default of the fake Finch.
FINCH_VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"echo_state": False},
    {"other_login_same_connection": True},
    {"disconnect_scope": "employer_provider"},
    {"disconnect_in_reauth": "reauthenticate_user"},
    {"reauth_kills_old_tokens": True},
    {"session_single_use": True},
    {"token_company_id": "absent"},
    {"token_company_id": "absent", "introspect_company_id": "absent"},
    {"token_customer_id": "absent", "introspect_customer_id": "absent"},
    {"introspect_names_first_customer": True, "reauth_may_change_company": True},
    {"reauth_may_change_company": True},
    {"reauth_may_change_company": True, "reauth_kills_old_tokens": True},
)
# Finch's wrong answer that the product believes if Finch repeats it an hour later.
_LIE = "401 invalid_token_error, wrongly"
# Faults of Finch that last for a while: the end of the path, and the name of the fault.
OUTAGES = (
    ("", "not reached"),
    ("", "500 server_error"),
    ("", "429 finch_api_ip_rl"),
    ("", "timeout"),
    ("", "timeout after"),
    ("/introspect", "500 server_error"),
    ("/auth/token", "timeout after"),
    ("/disconnect", "timeout after"),
    ("/disconnect", "502 upstream_provider_error"),
    ("/disconnect", "403 insufficient_account_permissions"),
    ("/disconnect", "403 insufficient_scope_error"),
    ("/disconnect", "200 html"),
    ("", _LIE),
)


@dataclass(frozen=True)
class Trouble:
    """A fault in a step.

    It happens at the `at`-th call: of the calls to Finch, of the writes, or of all calls, as `to` says.
    Depending on `kind`, the process stops, the call has the `pick`-th of its faults, its response is
    lost, or another process acts at that moment. With `on`, later calls of the same kind fail too.
    """

    at: int
    kind: str
    to: str = ""
    pick: int = 0
    on: bool = False

    def is_about(self, call: Call) -> bool:
        """Whether this call is counted."""
        match self.to:
            case "finch":
                return call.service == "finch"
            case "writes":
                return call.service != "finch" and call.operation.startswith(_WRITES)
        return True


_WRITES = ("Put", "Update", "Delete", "Transact", "Send", "Encrypt")
_AFTER = (" after", "truncated", "html", "truly", "timeout")
_KINDS = st.sampled_from(
    ("stop before", "stop after", "fault", "lost", "meanwhile before", "meanwhile after")
)
_PICKS = st.integers(0, 40)
TROUBLES = st.one_of(
    st.none(),
    st.builds(Trouble, st.integers(1, 18), _KINDS, st.just(""), _PICKS, st.booleans()),
    st.builds(Trouble, st.integers(1, 4), _KINDS, st.just("finch"), _PICKS, st.booleans()),
    st.builds(Trouble, st.integers(1, 9), _KINDS, st.just("writes"), _PICKS, st.booleans()),
)
LOST_AT_FINCH = st.builds(Trouble, st.integers(1, 2), st.just("lost"), st.just("finch"), _PICKS)
CUSTOMER = st.sampled_from(CUSTOMERS)
INDEX = st.integers(0, 5)
PRODUCTS = st.sampled_from((BOTH, ("company",), ("directory",)))
SAME_SITE = st.sampled_from((True, True, False))


@dataclass
class Attempt:
    """A link or an embedded session, and the page of Finch Connect that it led to."""

    customer_id: str
    link: str | None
    page: FinchPage | None = None
    repairs: bool = False


@dataclass(frozen=True)
class _TimedApi:
    """The API; advances the clock before each request."""

    world: InProcess

    def send(self, method: str, path: str, **request: Any) -> Reply:
        self.world.clock.advance(timedelta(seconds=1))
        return self.world.api.send(method, path, **request)


@dataclass
class _CachingKms:
    """A KMS client that caches decryptions, which the checks repeat very often."""

    kms: Any
    decrypted: dict[tuple[bytes, str], Any] = field(default_factory=dict)

    def decrypt(self, **asked: Any) -> Any:
        name = (bytes(asked["CiphertextBlob"]), repr(sorted(asked["EncryptionContext"].items())))
        if name not in self.decrypted:
            self.decrypted[name] = self._decrypt(asked)
        if isinstance(self.decrypted[name], ClientError):
            raise self.decrypted[name]
        return self.decrypted[name]

    def _decrypt(self, asked: Any) -> Any:
        try:
            return self.kms.decrypt(**asked)
        except ClientError as error:
            return error


class PromiseBroken(AssertionError):
    """A promise is broken."""


class Model(RuleBasedStateMachine):
    """Finch Connections, its users and its services. The test sets `world` and `seed`."""

    world: ClassVar[InProcess]
    seed: ClassVar[Callable[[], None]]
    steps: ClassVar[int] = 0
    examples: ClassVar[int] = 0
    ran: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.world.reset()
        Model.seed()
        kms: Any = _CachingKms(self.world.kms)
        self.oracle = Oracle(self.world, replace(self.world, kms=kms))
        api: Api = _TimedApi(self.world)
        deployed = replace(self.world, api=api)
        self.people = {
            (customer_id, same_site): Person(deployed, customer_id, same_site=same_site)
            for customer_id in CUSTOMERS
            for same_site in (True, False)
        }
        self.attempts: list[Attempt] = []
        self.authorizations: list[Authorization] = []
        self.messages: list[Message] = []
        self.stored = StoredState(self.oracle.deployed)
        self.outage: tuple[str, str] | None = None
        self._trouble: Trouble | None = None
        self._calls = 0
        self._injected: Call | None = None
        self._depth = 0
        self._delivering = False
        self._hidden_messages: list[Message] = []
        self._in_step = False
        self._lied_at: datetime | None = None
        # The Finch connections of an erased customer that a restore reports to the operator.
        self._reported: set[str] = set()
        self.world.border.guard = self._guard

    @initialize(switches=st.sampled_from(FINCH_VARIANTS))
    def finch_variant(self, switches: dict[str, Any]) -> None:
        self.world.finch.change_switches(**switches)

    # Faults

    def _guard(self, call: Call, send: Send) -> Any:
        send = self._observed(call, send)
        if self._depth:
            return self._send_in_outage(call, send)
        trouble, injected = self._trouble, self._injected
        if trouble is None or not trouble.is_about(call):
            return self._send_in_outage(call, send)
        self._calls += 1
        if self._calls == trouble.at:
            self._injected = call
        elif not (
            trouble.on
            and injected
            and (call.service, call.operation) == (injected.service, injected.operation)
        ):
            return self._send_in_outage(call, send)
        match trouble.kind:
            case "stop before":
                raise Stopped
            case "stop after":
                with suppress(Exception):
                    self._send_in_outage(call, send)
                raise Stopped
            case "fault" | "lost":
                return self._inject(trouble, call, send)
            case "meanwhile before":
                self._meanwhile(trouble.pick)
                return self._send_in_outage(call, send)
            case _:
                answer = self._send_in_outage(call, send)
                self._meanwhile(trouble.pick)
                return answer

    def _inject(self, trouble: Trouble, call: Call, send: Send) -> Any:
        faults = list(faults_of(call))
        if trouble.kind == "lost":
            faults = [one for one in faults if one.name.endswith(_AFTER)] or faults
        fault = faults[trouble.pick % len(faults)]
        if fault.name == _LIE and not self._may_lie():
            return self._send_in_outage(call, send)
        inject = fault.inject
        if fault.name.endswith("truly"):
            return self.oracle.finch_may_end(lambda: inject(self.world, call, send))
        return inject(self.world, call, send)

    def _send_in_outage(self, call: Call, send: Send) -> Any:
        if self.outage and call.service == "finch":
            path, name = self.outage
            if call.operation.endswith(path):
                for fault in faults_of(call):
                    if fault.name == name and (name != _LIE or self._may_lie()):
                        return fault.inject(self.world, call, send)
        return send()

    def _may_lie(self) -> bool:
        """Whether Finch may give a wrong answer: within an hour of the first, about any token."""
        now = self.world.clock.now
        self._lied_at = self._lied_at or now
        return now < self._lied_at + DEAD_AGAIN_AFTER - MINUTE

    def _observed(self, call: Call, send: Send) -> Send:
        """Returns a function that sends the call and lets the oracle record its effect."""
        if call.operation == "GetItem" and "ProjectionExpression" not in call.arguments:
            return lambda: _get_item(call.arguments)
        if call.operation == "POST /auth/token":
            request: httpx.Request = call.arguments
            code = _json(request)["code"]
            return lambda: self.oracle.exchange(request, code, send)
        if call.operation == "TransactWriteItems":

            def observed() -> Any:
                answer = send()
                self.oracle.record()
                return answer

            return observed
        return send

    def _meanwhile(self, pick: int) -> None:
        """Another process acts between two calls of the current process."""
        authorization = self.authorizations[-1] if self.authorizations else None
        customer_id = authorization.customer_id if authorization else CUSTOMERS[0]
        self._depth += 1
        try:
            match pick % 6:
                case 0 if authorization:
                    self._finish_callback(authorization, self.people[customer_id, True])
                case 1:
                    self._disconnect_every(customer_id)
                case 2 if not self._delivering:
                    self.world.clock.advance(MINUTE)
                    self._deliver()
                case 2:
                    self._deliver_in_parallel()
                case 3 if authorization and authorization.completion:
                    self._confirm(authorization, customer_id)
                case 4:
                    self._connect(customer_id, True, PLACES[0], BOTH)
                case 5:
                    other = next(one for one in CUSTOMERS if one != customer_id)
                    self._connect(other, True, PLACES[0], BOTH)
        finally:
            self._depth -= 1

    @contextmanager
    def _step(self, name: str, trouble: Trouble | None = None) -> Iterator[None]:
        """Runs one step with its fault, and then checks every promise."""
        Model.steps += 1
        Model.ran[name] += 1
        self._in_step = True
        self.world.queue.deliveries[0] = 0
        self._trouble, self._calls, self._injected = trouble, 0, None
        yield
        self._trouble = None
        if trouble and self._injected:
            Model.ran[f"({trouble.kind})"] += 1
        self._check()
        self._in_step = False

    def _check(self, *, at_rest: bool = False) -> None:
        self.stored = kept = self.oracle.record()
        found = broken(
            self.oracle.deployed,
            self.oracle.history,
            self.world.border.exchanges,
            at_rest=at_rest,
            reported=self._reported,
            lost_at_finch=self.oracle.excused(),
        )
        found += self.oracle.broken(kept)
        if found:
            raise PromiseBroken("; ".join(found))

    # Users

    def _stopped(self, reply: Reply) -> bool:
        # The gateway does not wait for a function that takes long: it answers 503.
        return reply.status in (500, 503) and "problem" not in reply.headers.get("content-type", "")

    def _start(
        self, customer_id: str, same_site: bool, place: Place | None, embedded: bool
    ) -> Attempt | None:
        person = self.people[customer_id, same_site]
        asked: dict[str, Any] = {"mode": "embedded"} if embedded else {}
        reply = person.start(**asked)
        if reply.status != 201:
            assert self._stopped(reply) or reply.code, reply
            return None
        link, page = reply.json.get("connect_url"), None
        if embedded:
            page = FinchPage(reply.json["session_id"], reply.json["state"])
        attempt = Attempt(customer_id, link, page)
        self.attempts.append(attempt)
        return attempt

    def _click(self, attempt: Attempt, person: Person) -> None:
        assert attempt.link
        reply = person.browser.navigate(attempt.link)
        if self._stopped(reply):
            return
        if "/authorize?" in reply.headers["location"]:
            attempt.page = FinchPage.at(reply.headers["location"])
        else:
            assert "error" in Landing.of(reply).outcome

    def _log_in(
        self, attempt: Attempt, place: Place | None, products: Sequence[str]
    ) -> Authorization | None:
        """Completes Finch Connect.

        In a repair the user logs in to the repaired connection, or at another place that Finch
        allows.
        """
        page, finch = attempt.page, self.world.finch
        if page is None:
            return None
        repaired = finch.session(page.session_id).reauthenticates
        if repaired and not (place and self._may_repair_at(place, finch.connection(repaired))):
            place = _place_of(finch.connection(repaired))
        assert place
        try:
            done = finch.authorize(
                page.session_id,
                provider_id=place.provider_id,
                login=place.login,
                company_id=place.company_id,
                products=products,
                state=page.state,
            )
        except CannotAuthorize:
            return None
        authorization = Authorization(attempt.customer_id, done.code, page.state, done.redirect_to)
        authorization.repairs = repaired if attempt.repairs else None
        self.authorizations.append(authorization)
        self.oracle.authorizations[done.code] = authorization
        return authorization

    def _may_repair_at(self, place: Place, repaired: Connection) -> bool:
        """Whether Finch allows the user of a repair to log in at this place."""
        return place.provider_id == repaired.provider_id and (
            place.company_id == repaired.company_id
            or self.world.finch.switches.reauth_may_change_company
        )

    def _finish_callback(self, authorization: Authorization, person: Person) -> str:
        if authorization.url is None:
            body = {"code": authorization.code, "state": authorization.state}
            if person.customer_id == authorization.customer_id:
                self.oracle.proven.add(authorization.code)
            return self._check_response(
                authorization, person, person.call("POST", "/callback", body)
            )
        if person.same_site and person.customer_id == authorization.customer_id:
            self.oracle.proven.add(authorization.code)
        reply = person.browser.navigate(authorization.url)
        if self._stopped(reply):
            return "stopped"
        landing = Landing.of(reply)
        if landing.completion and person.customer_id == authorization.customer_id:
            authorization.completion = landing.completion
        return self._check_outcome(authorization, landing.outcome)

    def _confirm(self, authorization: Authorization, customer_id: str) -> str:
        person = self.people[customer_id, False]
        if customer_id == authorization.customer_id:
            self.oracle.proven.add(authorization.code)
        assert authorization.completion
        return self._check_response(authorization, person, person.confirm(authorization.completion))

    def _check_response(self, authorization: Authorization, person: Person, reply: Reply) -> str:
        if self._stopped(reply):
            return "stopped"
        if reply.status not in (200, 202):
            return reply.code
        if person.customer_id != authorization.customer_id:
            raise PromiseBroken(
                f"M4: {person.customer_id} gets the outcome of {authorization.customer_id}'s session"
            )
        return self._check_outcome(authorization, reply.json)

    def _check_outcome(self, authorization: Authorization, outcome: Any) -> str:
        if outcome.get("status") == "connected":
            where = outcome["provider_id"], outcome["company_id"]
            if not self.oracle.was_attached(authorization.code, *where):
                raise PromiseBroken(
                    f"M4: {authorization.customer_id} gets connected, but nothing was attached"
                )
            repaired = str(outcome.get("repaired")).lower()
            if (
                authorization.repairs
                and repaired != str(self.oracle.has_repaired(authorization)).lower()
            ):
                raise PromiseBroken(
                    f"M4: {authorization.customer_id} gets a wrong repaired={repaired}"
                )
        word = str(outcome.get("error") or outcome.get("status"))
        Model.ran[f"({word})"] += 1
        return word

    def _connect(
        self,
        customer_id: str,
        same_site: bool,
        place: Place,
        products: Sequence[str],
        *,
        confirms: bool = True,
    ) -> str:
        """Connects from the start to the outcome, with confirmation if required."""
        person = self.people[customer_id, same_site]
        attempt = self._start(customer_id, same_site, place, embedded=False)
        if attempt is None:
            return "not started"
        self._click(attempt, person)
        authorization = self._log_in(attempt, place, products)
        if authorization is None:
            return "not at Finch"
        seen = self._finish_callback(authorization, person)
        if seen == "confirm" and authorization.completion and confirms:
            seen = self._confirm(authorization, customer_id)
        return seen

    def _start_repair(self, row: Row, same_site: bool) -> Attempt | None:
        """Starts a repair and follows its link to Finch Connect."""
        customer_id, key = row
        person = self.people[customer_id, same_site]
        path = connection_path(*key.split("#")) + "/reauthenticate"
        reply = person.call("POST", path, {"return_to": self.world.return_urls[0]})
        if reply.status != 201:
            assert self._stopped(reply) or reply.code, reply
            return None
        attempt = Attempt(customer_id, reply.json["connect_url"], repairs=True)
        self.attempts.append(attempt)
        self._click(attempt, person)
        return attempt

    def _repair(self, row: Row, same_site: bool, confirms: bool, place: Place | None = None) -> str:
        """Repairs from the start to the outcome, with confirmation if required."""
        customer_id = row[0]
        person = self.people[customer_id, same_site]
        attempt = self._start_repair(row, same_site)
        if attempt is None:
            return "not started"
        authorization = self._log_in(attempt, place, BOTH)
        if authorization is None:
            return "not at Finch"
        seen = self._finish_callback(authorization, person)
        if seen == "confirm" and authorization.completion and confirms:
            seen = self._confirm(authorization, customer_id)
        return seen

    def _disconnect(self, row: Row) -> str:
        customer_id, key = row
        before, lived = set(self.oracle.history.seen(row)), self.oracle.live()
        self.oracle.customer_ends(row)
        path = connection_path(*key.split("#"))
        reply = self.people[customer_id, True].call("DELETE", path)
        # A token that was attached during the disconnect may have been ended with it.
        self.oracle.record()
        self.oracle.customer_ends(row)
        if self._stopped(reply):
            return "stopped"
        if reply.status not in (200, 202):
            return reply.code
        status = str(reply.json["status"])
        if before & lived:
            Model.ran[f"({status})"] += 1
        if status == "disconnected" and before & self.oracle.live():
            raise PromiseBroken(f"M5: {customer_id} gets disconnected, but it lives at Finch")
        return status

    def _entities(self) -> list[tuple[Row, str]]:
        """The connections with their entities, the living entities of several last."""
        return sorted(
            {
                (row, entity_id)
                for row, item in self.stored.connections.items()
                for token in item["tokens"]["M"].values()
                for entity_id in entities_of(token)
            },
            key=lambda one: (one[0][1].endswith(NORTHFOLD.id), one),
        )

    def _disconnect_entity(self, row: Row, entity_id: str) -> str:
        customer_id, key = row
        before = set(self.oracle.history.seen(row))
        provider_id, company_id = key.split("#")
        reply = self.people[customer_id, True].disconnect_entity(entity_id, provider_id, company_id)
        # The last entity ends the connection, also if the response was lost.
        item = StoredState(self.oracle.deployed).connections[row]
        if item["status"]["S"] in ("disconnecting", "disconnected"):
            self.oracle.record()
            self.oracle.customer_ends(row)
        if self._stopped(reply):
            return "stopped"
        if reply.status not in (200, 202):
            return reply.code
        if reply.json["status"] == "disconnected" and before & self.oracle.live():
            raise PromiseBroken(f"M5: {customer_id} gets disconnected, but it lives at Finch")
        return f"{reply.status}"

    def _with_tokens(self) -> list[Row]:
        """The connections that still have a Finch connection."""
        return [row for row in self.stored.connections if self.stored.connection_ids(row)]

    def _several(self) -> list[Row]:
        """The connections with several Finch connections."""
        return [row for row in self.stored.connections if len(self.stored.connection_ids(row)) > 1]

    def _disconnect_every(self, customer_id: str) -> None:
        for row in StoredState(self.oracle.deployed).connections:
            if row[0] == customer_id:
                self._disconnect(row)

    def _deliver(self, *, twice: bool = False) -> None:
        self._delivering = True
        try:
            self.world.queue.deliver(twice=twice)
        finally:
            self._delivering = False

    def _deliver_alone(self, *, twice: bool) -> None:
        """Delivers one visible message; another process may get the others meanwhile."""
        queue = self.world.queue._queue
        first = queue.messages[:1]
        self._hidden_messages = [one for one in queue._messages if one not in first]
        queue._messages = first
        try:
            self._deliver(twice=twice)
        finally:
            queue._messages += self._hidden_messages
            self._hidden_messages = []

    def _deliver_in_parallel(self) -> None:
        """Delivers the other messages while the first, which is hidden, is still processed."""
        queue = self.world.queue._queue
        queue._messages += self._hidden_messages
        self._hidden_messages = []
        batch, process_work_handler._batch = (
            process_work_handler._batch,
            deepcopy(process_work_handler._batch),
        )
        try:
            self.world.queue.deliver()
        finally:
            process_work_handler._batch = batch

    def _operate(self, **command: Any) -> Any:
        return self._invoke("resolve_unfinished", command)

    def _schedule_checks(self) -> None:
        self._invoke("schedule_checks", {})

    def _invoke(self, function: str, event: Any) -> Any:
        assert self.world.invoke
        try:
            return self.world.invoke(function, event)
        except (Stopped, Exception) as error:
            if not (self._injected or self.outage):
                raise
            return {"error": type(error).__name__}

    # Rules

    @rule(
        who=CUSTOMER,
        same_site=SAME_SITE,
        confirms=st.booleans(),
        place=st.sampled_from(PLACES),
        products=PRODUCTS,
        trouble=TROUBLES,
    )
    def connect(
        self,
        who: str,
        same_site: bool,
        confirms: bool,
        place: Place,
        products: Sequence[str],
        trouble: Trouble | None,
    ) -> None:
        with self._step("connect", trouble):
            self._connect(who, same_site, place, products, confirms=confirms)

    @rule(who=CUSTOMER, place=st.sampled_from(PLACES[:2]), trouble=TROUBLES)
    def connect_in_the_usual_way(self, who: str, place: Place, trouble: Trouble | None) -> None:
        with self._step("connect", trouble):
            self._connect(who, True, place, BOTH)

    @rule(who=CUSTOMER, same_site=SAME_SITE, embedded=st.booleans(), trouble=TROUBLES)
    def start(self, who: str, same_site: bool, embedded: bool, trouble: Trouble | None) -> None:
        with self._step("start", trouble):
            attempt = self._start(who, same_site, None, embedded)
            if attempt and attempt.link:
                self._click(attempt, self.people[who, same_site])

    @precondition(lambda self: any(one.link for one in self.attempts))
    @rule(which=INDEX, who=CUSTOMER, same_site=SAME_SITE, trouble=TROUBLES)
    def click_again(self, which: int, who: str, same_site: bool, trouble: Trouble | None) -> None:
        with self._step("click again", trouble):
            self._click(
                _latest([one for one in self.attempts if one.link], which),
                self.people[who, same_site],
            )

    @precondition(lambda self: any(one.page for one in self.attempts))
    @rule(which=INDEX, place=st.sampled_from(PLACES), products=PRODUCTS)
    def log_in_at_finch(self, which: int, place: Place, products: Sequence[str]) -> None:
        with self._step("log in at finch"):
            attempt = _latest([one for one in self.attempts if one.page], which)
            self._log_in(attempt, place, products)

    @precondition(lambda self: self.authorizations)
    @rule(
        which=INDEX,
        who=st.sampled_from((None, None, None, *CUSTOMERS)),
        same_site=SAME_SITE,
        trouble=TROUBLES,
    )
    def finish_callback(
        self, which: int, who: str | None, same_site: bool, trouble: Trouble | None
    ) -> None:
        with self._step("finish callback", trouble):
            authorization = _latest(self.authorizations, which)
            self._finish_callback(
                authorization, self.people[who or authorization.customer_id, same_site]
            )

    @precondition(lambda self: self.authorizations)
    @rule(trouble=TROUBLES)
    def reload(self, trouble: Trouble | None) -> None:
        with self._step("reload", trouble):
            self._finish_callback(
                self.authorizations[-1], self.people[self.authorizations[-1].customer_id, True]
            )

    @precondition(lambda self: any(one.completion for one in self.authorizations))
    @rule(which=INDEX, who=st.sampled_from((None, None, *CUSTOMERS)), trouble=TROUBLES)
    def confirm(self, which: int, who: str | None, trouble: Trouble | None) -> None:
        with self._step("confirm", trouble):
            authorization = _latest([one for one in self.authorizations if one.completion], which)
            self._confirm(authorization, who or authorization.customer_id)

    @precondition(lambda self: self._with_tokens())
    @rule(
        which=INDEX,
        same_site=st.booleans(),
        confirms=st.booleans(),
        place=st.one_of(st.none(), st.sampled_from(PLACES)),
        trouble=TROUBLES,
    )
    def repair(
        self,
        which: int,
        same_site: bool,
        confirms: bool,
        place: Place | None,
        trouble: Trouble | None,
    ) -> None:
        with self._step("repair", trouble):
            self._repair(_latest(self._with_tokens(), which), same_site, confirms, place)

    @rule(who=CUSTOMER, place=st.sampled_from(PLACES[:2]), times=st.integers(1, 2))
    def leave_unconfirmed(self, who: str, place: Place, times: int) -> None:
        with self._step("leave unconfirmed"):
            for _ in range(times):
                self._connect(who, False, place, BOTH, confirms=False)

    @precondition(lambda self: self._with_tokens())
    @rule(which=INDEX, place=st.one_of(st.none(), st.sampled_from(PLACES)), times=st.integers(1, 2))
    def leave_repairs_unconfirmed(self, which: int, place: Place | None, times: int) -> None:
        """With two repairs, the first user logs in to the repaired connection, and the last at `place`."""
        with self._step("leave repairs unconfirmed"):
            row = _latest(self._with_tokens(), which)
            for one in (None, place)[-times:]:
                self._repair(row, False, False, one)

    @precondition(lambda self: self._with_tokens())
    @rule(
        which=INDEX,
        same_site=SAME_SITE,
        place=st.sampled_from(PLACES),
        repair_first=st.booleans(),
        trouble=TROUBLES,
    )
    def return_in_two_tabs_without_a_state(
        self, which: int, same_site: bool, place: Place, repair_first: bool, trouble: Trouble | None
    ) -> None:
        """A repair and a connect are open in two tabs, and Finch does not echo the state of either."""
        with self._step("return in two tabs", trouble):
            customer_id, _ = row = _latest(self._with_tokens(), which)
            person = self.people[customer_id, same_site]
            repair = self._start_repair(row, same_site)
            connect = self._start(customer_id, same_site, place, embedded=False)
            if repair is None or connect is None:
                return
            self._click(connect, person)
            done = [self._log_in(repair, None, BOTH), self._log_in(connect, place, BOTH)]
            for authorization in done if repair_first else reversed(done):
                if authorization and authorization.url:
                    authorization.url = without_state(authorization.url)
                    self._finish_callback(authorization, person)

    @precondition(lambda self: self._several())
    @rule(
        which=INDEX,
        second=st.booleans(),
        same_site=SAME_SITE,
        trouble=st.one_of(TROUBLES, LOST_AT_FINCH),
    )
    def repair_after_another_click(
        self, which: int, second: bool, same_site: bool, trouble: Trouble | None
    ) -> None:
        """Another login's status becomes worse while Finch Connect is open, or before its code is used."""
        with self._step("click a repair again"):
            customer_id, _ = row = _latest(self._several(), which)
            attempt = self._start_repair(row, same_site)
            if attempt is None or attempt.page is None:
                return
            self.world.clock.advance(_FINCH_SESSION_REUSE)
            first = self._log_in(attempt, None, BOTH)
            repaired = self.world.finch.session(attempt.page.session_id).reauthenticates
            for connection in self.world.finch.connections():
                if connection.live and connection.id in self.stored.connection_ids(row) - {
                    repaired
                }:
                    self.world.finch.set_connection_status(connection.id, "reauth")
            self.world.deliver_webhooks()
            # The product shows a worse status when Finch repeats it.
            self.world.queue.pass_time(3 * MINUTE)
            self._click(attempt, self.people[customer_id, same_site])
            authorization = self._log_in(attempt, None, BOTH) if second else first
        with self._step("finish callback after another click", trouble):
            if authorization:
                self._finish_callback(authorization, self.people[customer_id, same_site])

    @precondition(lambda self: self._with_tokens())
    @rule(which=INDEX, at=st.integers(1, 3), pick=_PICKS)
    def repair_and_lose_a_response(self, which: int, at: int, pick: int) -> None:
        with self._step("repair and lose a response", Trouble(at, "lost", "finch", pick)):
            self._repair(_latest(self._with_tokens(), which), True, True)

    @precondition(lambda self: self._with_tokens())
    @rule(which=INDEX, outage=st.sampled_from(OUTAGES))
    def disconnect_while_finch_fails(self, which: int, outage: tuple[str, str]) -> None:
        with self._step("disconnect while finch fails"):
            self.outage = outage
            self._disconnect(_latest(self._with_tokens(), which))

    @rule(who=CUSTOMER, place=st.sampled_from(PLACES), at=st.integers(1, 4), pick=_PICKS)
    def connect_and_lose_a_response(self, who: str, place: Place, at: int, pick: int) -> None:
        with self._step("connect and lose a response", Trouble(at, "lost", "finch", pick)):
            self._connect(who, True, place, BOTH)

    @precondition(lambda self: self.oracle.attached)
    @rule(who=CUSTOMER, trouble=TROUBLES)
    def disconnect_all(self, who: str, trouble: Trouble | None) -> None:
        with self._step("disconnect all", trouble):
            self._disconnect_every(who)

    @precondition(lambda self: self.oracle.attached)
    @rule(which=INDEX, trouble=TROUBLES)
    def disconnect(self, which: int, trouble: Trouble | None) -> None:
        with self._step("disconnect", trouble):
            self._disconnect(_latest(self._with_tokens() or list(self.oracle.attached), which))

    @precondition(lambda self: self._entities())
    @rule(which=INDEX, trouble=TROUBLES)
    def disconnect_an_entity(self, which: int, trouble: Trouble | None) -> None:
        with self._step("disconnect an entity", trouble):
            self._disconnect_entity(*_latest(self._entities(), which))

    @precondition(lambda self: self.oracle.attached)
    @rule(who=CUSTOMER, which=INDEX)
    def read_connections(self, who: str, which: int) -> None:
        """A customer sees exactly their own connections."""
        with self._step("read connections"):
            person = self.people[who, True]
            shown = {(one["provider_id"], one["company_id"]) for one in person.connections()}
            rows = {row for row in StoredState(self.oracle.deployed).connections if row[0] == who}
            if {f"{provider}#{company}" for provider, company in shown} != {key for _, key in rows}:
                raise PromiseBroken(f"M4: the list of {who} is not exactly their connections")
            _, key = row = _latest(list(self.oracle.attached), which)
            reply = person.call("GET", connection_path(*key.split("#")))
            if (reply.status == 200) != ((who, key) in rows):
                raise PromiseBroken(f"M4: {who} gets {reply.status} for a connection of {row[0]}")

    # The queue and time

    @precondition(lambda self: self.world.queue.waiting())
    @rule(turn=INDEX, twice=st.booleans(), alone=st.booleans(), trouble=TROUBLES)
    def deliver(self, turn: int, twice: bool, alone: bool, trouble: Trouble | None) -> None:
        with self._step("deliver", trouble):
            self._rotate(turn)
            (self._deliver_alone if alone else self._deliver)(twice=twice)

    @precondition(lambda self: len(self.world.queue.waiting()) > 1)
    @rule(
        turn=INDEX,
        waits=st.booleans(),
        at=st.integers(1, 12),
        kind=st.sampled_from(("meanwhile before", "meanwhile after")),
    )
    def deliver_in_parallel(self, turn: int, waits: bool, at: int, kind: str) -> None:
        """Two processes work on the queue, immediately or when the longest wait is over."""
        if waits:
            with self._step("wait until unfinished work is due, and queue it"):
                self.world.queue.pass_time(2 * MINUTE)
                self.world.clock.advance(HOUR)
                self._schedule_checks()
                self.world.clock.advance(MINUTE)
        with self._step("deliver in parallel", Trouble(at, kind, pick=2)):
            self._rotate(turn)
            self._deliver_alone(twice=False)

    def _rotate(self, turn: int) -> None:
        """Changes the order of the messages."""
        waiting = self.world.queue._queue._messages
        waiting[:] = waiting[turn:] + waiting[:turn]
        self.messages += deepcopy(waiting)

    @precondition(lambda self: self.messages)
    @rule(which=st.integers(0, 30))
    def deliver_a_processed_message_again(self, which: int) -> None:
        """SQS delivers a message again, long after it was processed."""
        with self._step("deliver a processed message again"):
            message = deepcopy(_latest(self.messages, which))
            message.id = f"{message.id}-{self._now()}"
            message.visible_at = message.delayed_until = 0
            message.approximate_receive_count = 0
            self.world.queue._queue._messages.append(message)
            self._deliver()

    @precondition(lambda self: self.authorizations)
    @rule(by=st.sampled_from(PAUSES), works=st.booleans())
    def time_passes(self, by: timedelta, works: bool) -> None:
        """Lets time pass, with or without work of the queue."""
        with self._step("time passes"):
            if works:
                self.world.queue.pass_time(min(by, DAY))
            else:
                self.world.clock.advance(by)

    @precondition(lambda self: self.authorizations)
    @rule(trouble=TROUBLES)
    def scheduled_check(self, trouble: Trouble | None) -> None:
        with self._step("scheduled check", trouble):
            self._schedule_checks()

    # Finch

    @precondition(lambda self: self.authorizations)
    @rule(trouble=TROUBLES)
    def webhooks_arrive(self, trouble: Trouble | None) -> None:
        with self._step("webhooks arrive", trouble):
            self.world.deliver_webhooks()

    @precondition(lambda self: self.authorizations)
    @rule(outage=st.one_of(st.none(), st.sampled_from(OUTAGES)))
    def outage_starts_or_ends(self, outage: tuple[str, str] | None) -> None:
        with self._step("outage starts or ends"):
            self.outage = None if self.outage else outage

    @precondition(lambda self: self.oracle.code_of)
    @rule(which=INDEX, end=st.booleans())
    def finch_ends_a_connection_or_requires_a_login(self, which: int, end: bool) -> None:
        with self._step("finch ends a connection or requires a login"):
            finch = self.world.finch
            if live := [one for one in finch.connections() if one.live]:
                connection = _latest(live, which)
                token = next(
                    (one for one in finch.tokens(connection.id) if one.live),
                    None,
                )
                if token and end:
                    with suppress(ReauthenticateUser):
                        self.oracle.finch_may_end(lambda: finch.disconnect(token.access_token))
                elif token:
                    finch.set_connection_status(connection.id, "reauth")

    # The operator

    @precondition(lambda self: any("escrow" in one for one in self.stored.sessions.values()))
    @rule(which=INDEX, attach=st.booleans(), trouble=TROUBLES)
    def operator_decides(self, which: int, attach: bool, trouble: Trouble | None) -> None:
        with self._step("operator decides", trouble):
            self._operate(action="list")
            sessions = StoredState(self.oracle.deployed).sessions
            keeping = [one for one, item in sessions.items() if "escrow" in item]
            held = [one for one in keeping if sessions[one]["phase"]["S"] == "held"]
            if held or keeping:
                chosen = _latest(held or keeping, which)
                self._decide(chosen, sessions[chosen], "attach" if attach else "disconnect")

    def _decide(self, handle_hash: str, item: Any, action: str) -> Any:
        seen = self._operate(action=action, session=handle_hash)
        if "error" in seen:
            return seen
        if action == "attach":
            self.oracle.proven |= {
                authorization.code
                for authorization in self.authorizations
                if _hash(authorization.code) == item["code_hash"]["S"]
            }
        decision = seen["result"]["decision"]

        def decide() -> Any:
            return self._operate(action=action, session=handle_hash, decision=decision)

        if action != "disconnect":
            return decide()
        self.oracle.ended_by_operator.add(item["escrow"]["M"]["connection_id"]["S"])
        return self.oracle.finch_may_end(decide)

    @precondition(lambda self: self.stored.phases()["held"])
    @rule(which=INDEX, trouble=TROUBLES)
    def operator_transfers(self, which: int, trouble: Trouble | None) -> None:
        """Gives the company of a held token to its customer."""
        with self._step("operator transfers", trouble):
            sessions = StoredState(self.oracle.deployed).sessions
            held = [one for one, item in sessions.items() if item["phase"]["S"] == "held"]
            if held:
                chosen = _latest(held, which)
                seen = self._operate(action="transfer", session=chosen)
                if "error" not in seen:
                    decision = seen["result"]["decision"]
                    answer = self._operate(action="transfer", session=chosen, decision=decision)
                    Model.ran[f"({answer.get('error', 'transferred')})"] += 1

    @precondition(lambda self: self.stored.phases()["uncertain"])
    @rule(which=INDEX, trouble=TROUBLES)
    def operator_dismisses(self, which: int, trouble: Trouble | None) -> None:
        """Dismisses an exchange without a token, as the operator sees in Finch's dashboard."""
        with self._step("operator dismisses", trouble):
            self._dismiss(which)

    @precondition(lambda self: self._with_tokens() and not self.outage)
    @rule(who=CUSTOMER, place=st.one_of(st.none(), st.sampled_from(PLACES)), trouble=TROUBLES)
    def operator_erases_and_restores(
        self, who: str, place: Place | None, trouble: Trouble | None
    ) -> None:
        """Erases a customer, and restores a backup from before. Rows of the other customer are lost.

        The other customer may connect at `place` in between.
        """
        [other] = {*CUSTOMERS} - {who}
        if trouble and trouble.kind.startswith("meanwhile"):
            # A customer who connects at each write of an erasure has always one more session to erase.
            trouble = replace(trouble, on=False)
        backup, before = self.world.back_up(), self.stored
        with self._step("operator erases a customer", trouble):
            erased = self._erase(who)
        if place:
            with self._step("connect"):
                self._connect(other, True, place, BOTH)
        with self._step("operator restores a backup"):
            had = StoredState(self.oracle.deployed)
            for row in sorted(had.connections.keys() & before.connections):
                tokens = [one.connections[row]["tokens"]["M"].keys() for one in (before, had)]
                if row[0] == other and tokens[0] == tokens[1]:
                    self._lose(row, had)
            result = self.world.run_round("restore_backup", **backup)
            for one in result.open:
                if "connection_id" in one:
                    self._reported.add(one["connection_id"])
                elif "provider_id" in one and "session" not in one:
                    # The whole row could not be restored.
                    row = one["customer_id"], f"{one['provider_id']}#{one['company_id']}"
                    self._reported |= before.connection_ids(row)
            kept = StoredState(self.oracle.deployed)
            rows = [{row for row in each.connections if row[0] == who} for each in (kept, had)]
            hashes = [
                {one for one, item in each.sessions.items() if item["customer_id"]["S"] == who}
                for each in (kept, had)
            ]
            if rows[0] != rows[1] or hashes[0] != hashes[1]:
                raise PromiseBroken(f"M6: {who} is erased, and a restore brings rows back")
            if erased and (rows[0] or hashes[0]):
                raise PromiseBroken(f"M6: {who} is erased, and has rows")
            Model.ran["(restored)"] += result.done["restored"]

    def _erase(self, customer_id: str) -> bool:
        """Repeats the rounds of an erasure, and returns whether nothing is left of the customer."""
        for _ in range(_ROUNDS):
            self._note_ends_of(customer_id)
            try:
                result = self.world.run_round("erase_customer", customer_id=customer_id)
            except (Stopped, Exception):
                if not self._injected:
                    raise
                continue
            self._note_ends_of(customer_id)
            if not result.open and not sum(result.done.values()):
                return True
            if not result.waits():
                return False
            self._pass(2 * HOUR)
        return False

    def _note_ends_of(self, customer_id: str) -> None:
        """Records that an erasure may end what only this customer has."""
        kept = StoredState(self.oracle.deployed)
        theirs, others = set[str](), set[str]()
        for item in kept.sessions.values():
            if "escrow" in item:
                mine = item["customer_id"]["S"] == customer_id
                (theirs if mine else others).add(item["escrow"]["M"]["connection_id"]["S"])
        for row in kept.connections:
            if row[0] == customer_id:
                self.oracle.customer_ends(row)
            else:
                others |= kept.connection_ids(row)
        self.oracle.asked_to_end |= theirs - others

    def _lose(self, row: Row, kept: StoredState) -> None:
        """A connection is lost with its ownership records, unless a session has a token of it too."""
        records = {
            owned_id: item
            for owned_id, item in kept.ownerships.items()
            if (item.get("customer_id"), item.get("key")) == ({"S": row[0]}, {"S": row[1]})
        }
        if not records or any("holders" in item for item in records.values()):
            return
        tables = self.world.tables
        for owned_id in records:
            tables.dynamodb.delete_item(
                TableName=tables.ownerships, Key={"owned_id": {"S": owned_id}}
            )
        key = {"customer_id": {"S": row[0]}, SORT_KEY: {"S": row[1]}}
        tables.dynamodb.delete_item(TableName=tables.connections, Key=key)

    def _dismiss(self, which: int) -> bool:
        left = {
            _hash(self.oracle.code_of.get(one.id, "")) for one in self.world.finch.live_tokens()
        }
        gone = [
            handle_hash
            for handle_hash, item in StoredState(self.oracle.deployed).sessions.items()
            if item["phase"]["S"] == "uncertain" and item["code_hash"]["S"] not in left
        ]
        if gone:
            self._operate(action="dismiss", session=_latest(gone, which))
        return bool(gone)

    # The end

    def teardown(self) -> None:
        """Ends the faults, lets the queue finish, and lets every customer disconnect everything."""
        try:
            if not self._in_step:
                Model.examples += 1
                self._trouble = self.outage = None
                self._come_to_rest()
                self._disconnect_everything()
        finally:
            self.world.border.open()

    def _come_to_rest(self) -> None:
        queue = self.world.queue
        queue.deliveries[0] = 0
        # SQS makes a message that failed too often a dead letter only when it would deliver it again, so
        # the faults of the last step can leave a dead letter after the first redrive.
        for _ in range(2):
            queue.redrive()
            if not queue.drain():
                raise PromiseBroken("I1: the queue does not come to rest")
        if queue.dead():
            raise PromiseBroken("I6: a dead letter that comes again")
        self._check(at_rest=True)

    def _disconnect_everything(self) -> None:
        seen: list[str] = []
        for _ in range(_ROUNDS):
            self.world.queue.deliveries[0] = 0
            kept = StoredState(self.oracle.deployed)
            for handle_hash, item in kept.sessions.items():
                if item["phase"]["S"] == "held":
                    seen.append(str(self._decide(handle_hash, item, "disconnect")))
            for row, item in kept.connections.items():
                if kept.status(row) != "disconnected":
                    seen += self._end(row, item)
            self._pass(2 * HOUR)
            kept = StoredState(self.oracle.deployed)
            if any(kept.status(row) == "disconnecting" for row in kept.connections):
                self._pass(4 * DAY)
            stored = {one for row in kept.connections for one in kept.connection_ids(row)}
            for connection in self.world.finch.connections():
                escrowed = {
                    item["escrow"]["M"]["connection_id"]["S"]
                    for item in StoredState(self.oracle.deployed).sessions.values()
                    if "escrow" in item
                }
                lost = connection.live and connection.id not in stored | escrowed
                if lost or (connection.live and connection.status == "reauth"):
                    customer_id = self._customer_of(connection)
                    outcome = self._connect(customer_id, True, _place_of(connection), BOTH)
                    seen.append(f"{customer_id} {outcome}")
            self._pass(2 * HOUR)
            while self._dismiss(0):
                pass
            if not self.oracle.live() and not self._left():
                break
        self._pass(2 * HOUR)
        self._check(at_rest=True)
        if live := self.oracle.live():
            raise PromiseBroken(f"still billed: {len(live)} live, after {seen[-12:]}")
        if left := self._left():
            raise PromiseBroken(f"unfinished without a live connection: {left}, after {seen[-12:]}")

    def _end(self, row: Row, item: dict[str, Any]) -> Iterator[str]:
        if item.get("problem") == {"S": "disconnect_refused"}:
            # The message of the problem says: connect again, then disconnect again.
            yield f"{row[0]} {self._repair(row, True, True)}"
        yield f"{row[0]} {self._disconnect(row)}"

    def _pass(self, by: timedelta) -> None:
        self.world.queue.deliveries[0] = 0
        self.world.queue.pass_time(by)
        self.world.queue.redrive()

    def _left(self) -> list[str]:
        """The sessions, connections and ownership records that are unfinished."""
        kept = StoredState(self.oracle.deployed)
        phases = kept.phases()
        left = [phase for phase in phases if phase not in ("started", "complete", "ended")]
        left += [kept.status(row) for row in kept.connections if kept.connection_ids(row)]
        left += [one for one, item in kept.ownerships.items() if not item.keys() & {"offered_to"}]
        return left

    def _customer_of(self, connection: Connection) -> str:
        named = [connection.customer, *(t.customer for t in self.world.finch.tokens(connection.id))]
        issued = (who for one in named if one for who in CUSTOMERS if issued_to(one.id, who))
        return next(issued, CUSTOMERS[0])

    def _now(self) -> str:
        return self.world.clock.now.isoformat()


def _latest[T](items: Sequence[T], which: int) -> T:
    return items[-1 - which % len(items)]


def _get_item(arguments: Any) -> dict[str, Any]:
    """Reads an item from moto's memory, because the API is too slow for so many reads."""
    table = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[arguments["TableName"]]
    keys: Any = [DynamoType(value) for value in arguments["Key"].values()]
    found = table.get_item(*keys)
    return {"Item": {name: dynamo_to_dict(it) for name, it in found.attrs.items()}} if found else {}


def _place_of(connection: Connection) -> Place:
    return Place(connection.provider_id, connection.logins[0], connection.company_id)


def _json(request: httpx.Request) -> Any:
    return json.loads(request.content)


@cache
def _hash(code: str) -> str:
    return sha256(code.encode()).hexdigest()
