"""No secret and no name where it must not be, whatever goes wrong: every flow, and faults at its calls.

The crash harness plays the flows; here everything that leaves the product meanwhile is read.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.fault_injection.cells import Harness, Trial, harness, share
from tests.fault_injection.scenarios import SCENARIOS, Scenario
from tests.security.canaries import Allowed, Canary, Leak, companies, leaks
from tests.security.examples import FUZZ
from tests.support.deployed import Reply
from tests.support.in_process import WEBHOOK_SECRET

# Where each may be after all, and why. All else, and every other form of these, is a leak.
ALLOWED: Allowed = {
    # A link carries its handle; Finch's page, and the SDK in the embedded flow, carry it as `state`.
    ("handle", "plain"): ["addresses", "answers"],
    # The name of a session to everybody but the person who has its link.
    ("handle", "SHA-256"): [
        *("tables", "messages", "encryption contexts", "operator", "log", "addresses", "answers"),
    ],
    # Handed to the browser that returned, for its page to give back; kept as a hash.
    ("completion", "plain"): ["addresses", "answers"],
    ("completion", "SHA-256"): ["tables"],
    # Kept as hashes, to know them again.
    ("code", "SHA-256"): ["tables"],
    ("binding cookie", "SHA-256"): ["tables"],
    # Shown by Finch Connect, which is told it when a person clicks.
    ("customer name", "plain"): ["tables"],
    # Kept on the connection, and shown to its customer.
    ("company", "plain"): ["tables", "answers"],
}
[CONFIRMING] = [one for one in SCENARIOS if one.name == "connect, confirm"]
# In a log the hash stands where an operator has named a session, and nowhere else.
HASH_IN_A_LOG = re.compile(r'"message":"operator".*"session":"[0-9a-f]{64}"')


@dataclass
class Ear:
    """Hears everything that leaves the product, and learns what is secret in it."""

    harness: Harness
    texts: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    canaries: set[Canary] = field(default_factory=set)

    def forget(self) -> None:
        """Before something else is played."""
        self.texts.clear()
        self.canaries = {
            Canary("client secret", "our-secret"),
            Canary("webhook secret", WEBHOOK_SECRET),
            Canary("customer name", "Canary & Söhne"),
        }

    def call(self, service: str, operation: str, arguments: Any) -> None:
        """One call of the product to AWS or to Finch."""
        match service, operation:
            case "finch", _:
                self.texts["URLs of Finch"].append(str(arguments.url))
                if operation == "POST /auth/token":
                    self._secret("code", json.loads(arguments.content)["code"])
            case "sqs", _:
                self.texts["messages"].append(repr(arguments))
            case "events", _:
                self.texts["events"].append(repr(arguments))
            case "kms", _:
                self.texts["encryption contexts"].append(repr(arguments["EncryptionContext"]))
            case "dynamodb", _:
                self.texts["tables"].append(repr(arguments))

    def reply(self, reply: Reply) -> None:
        """One answer of the API."""
        for cookie in reply.set_cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            kind = "handle" if name.endswith("-last") else "binding cookie"
            self._secret(kind, value)
            self.texts["headers"].append(name)
        location = reply.headers.get("location", "")
        fragment = parse_qs(urlsplit(location).fragment)
        for completion in fragment.get("completion", []):
            self._secret("completion", completion)
        for handle in re.findall(
            r'/connect/([A-Za-z0-9_-]{43})"|"state": "([^"]{43})"', reply.text
        ):
            self._secret("handle", "".join(handle))
        failed = "errors" if reply.status >= 400 else "answers"
        self.texts["addresses"].append(location)
        self.texts[failed].append(reply.text)
        self.texts["headers"] += [
            text for name, text in reply.headers.items() if name != "location"
        ]

    def invoked(self, function: str, answer: Any) -> None:
        """The answer of a function to whoever invoked it; a token is what one of them is for."""
        if function != "vend_token":
            self.texts["operator"].append(repr(answer))

    def leaks(self) -> list[Leak]:
        """What was heard and should not have been."""
        for token in self.harness.world.finch.tokens():
            self._secret("access token", token.access_token)
        self.texts["log"].append(self.harness._log.getvalue())
        heard = {where: "\n".join(texts) for where, texts in self.texts.items()}
        found = leaks(self.canaries | companies(), heard, ALLOWED)
        return found + list(self._hashes_in_the_log(heard["log"]))

    def _hashes_in_the_log(self, log: str) -> Iterator[Leak]:
        hashes = {
            sha256(one.text.encode()).hexdigest() for one in self.canaries if one.kind == "handle"
        }
        for line in log.splitlines():
            if any(one in line for one in hashes) and not HASH_IN_A_LOG.search(line):
                yield Leak("handle", "SHA-256", "log", line[:200])

    def _secret(self, kind: str, text: str) -> None:
        if len(text) > 5:
            self.canaries.add(Canary(kind, text))


@pytest.fixture(scope="module")
def ear() -> Iterator[Ear]:
    """The world of the crash harness, with an ear in it."""
    with harness() as there, pytest.MonkeyPatch.context() as monkeypatch:
        ear = Ear(there)
        border, api = there.world.border, there.world.api.world.api  # type: ignore[attr-defined]
        cross, send, invoke = border.cross, api.send, there.world.invoke
        assert invoke

        def crossed(service: str, operation: str, arguments: Any, go: Callable[[], Any]) -> Any:
            ear.call(service, operation, arguments)
            return cross(service, operation, arguments, go)

        def sent(*arguments: Any, **named: Any) -> Reply:
            reply: Reply = send(*arguments, **named)
            ear.reply(reply)
            return reply

        def invoked(function: str, event: Any) -> Any:
            answer = invoke(function, event)
            ear.invoked(function, answer)
            return answer

        monkeypatch.setattr(border, "cross", crossed)
        monkeypatch.setattr(api, "send", sent)
        there.world = there._stage.world = replace(there.world, invoke=invoked)
        yield ear


@pytest.fixture(scope="module")
def struck(ear: Ear) -> list[Trial]:
    """Some of what can go wrong with some scenarios; `make fuzz` tries all that the crash tests share."""
    scenarios, stride = (SCENARIOS, 1) if FUZZ > 1 else (SCENARIOS[::4], 12)
    return share([trial for one in scenarios for trial in ear.harness.trials(one)])[::stride]


def play(ear: Ear, scenario: Scenario) -> None:
    """A scenario in which nothing goes wrong, and what the queue does after it."""
    there = ear.harness
    ear.forget()
    there._begin(scenario)
    with redirect_stdout(there._log):
        scenario.play(there._stage, there._person)
        there.world.queue.drain()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_no_flow_tells_what_is_nobodys_business(ear: Ear, scenario: Scenario) -> None:
    play(ear, scenario)
    assert ear.leaks() == []


def test_nothing_that_goes_wrong_makes_a_flow_tell_it(ear: Ear, struck: Sequence[Trial]) -> None:
    assert struck
    for trial in struck:
        ear.forget()
        ear.harness.run(trial)
        assert ear.leaks() == [], trial


# An ear that hears nothing would say the same as a product that tells nothing.


def test_every_kind_of_secret_was_there_to_be_heard(ear: Ear) -> None:
    play(ear, CONFIRMING)
    ear.leaks()
    kinds = {one.kind for one in ear.canaries}
    assert kinds >= {
        "access token",
        "binding cookie",
        "client secret",
        "code",
        "completion",
        "handle",
    }
    assert ear.texts.keys() >= {"answers", "encryption contexts", "log", "messages", "tables"}


def test_it_hears_a_secret_in_whatever_form_it_is_told(ear: Ear) -> None:
    play(ear, CONFIRMING)
    ear.leaks()
    for kind in ("access token", "code", "binding cookie", "handle"):
        secret = next(one for one in ear.canaries if one.kind == kind)
        for form, told in secret.forms():
            found = leaks([secret], {"log": f"before {told} after"}, {})
            assert [(leak.kind, leak.where) for leak in found[:1]] == [(kind, "log")], form


def test_it_hears_a_name(ear: Ear) -> None:
    play(ear, CONFIRMING)
    name = next(one for one in companies() if one.kind == "company")
    ear.texts["messages"].append(f"of {name.text}")
    assert [leak for leak in ear.leaks() if leak.kind == "company"]
