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

from tests.fault_injection.harness import Harness, Trial, harness, share
from tests.fault_injection.scenarios import SCENARIOS, Scenario
from tests.security.examples import FUZZ
from tests.security.sensitive_text import Allowed, Leak, SensitiveText, company_texts, leaks
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
    # StoredState as hashes, to know them again.
    ("code", "SHA-256"): ["tables"],
    ("binding cookie", "SHA-256"): ["tables"],
    # Shown by Finch Connect, which is told it when a person clicks.
    ("customer name", "plain"): ["tables"],
    # StoredState on the connection, and shown to its customer.
    ("company", "plain"): ["tables", "answers"],
}
[CONFIRMING] = [one for one in SCENARIOS if one.name == "connect, confirm"]
# In a log the hash stands where an operator has named a session, and nowhere else.
HASH_IN_A_LOG = re.compile(r'"message":"operator".*"session":"[0-9a-f]{64}"')


@dataclass
class OutputCapture:
    """Hears everything that leaves the product, and learns what is secret in it."""

    harness: Harness
    texts: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    sensitive: set[SensitiveText] = field(default_factory=set)

    def clear(self) -> None:
        """Before something else is played."""
        self.texts.clear()
        self.sensitive = {
            SensitiveText("client secret", "our-secret"),
            SensitiveText("webhook secret", WEBHOOK_SECRET),
            SensitiveText("customer name", "Canary & Söhne"),
        }

    def call(self, service: str, operation: str, arguments: Any) -> None:
        """One call of the product to AWS or to Finch."""
        match service, operation:
            case "finch", _:
                self.texts["URLs of Finch"].append(str(arguments.url))
                if operation == "POST /auth/token":
                    self._add("code", json.loads(arguments.content)["code"])
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
            self._add(kind, value)
            self.texts["headers"].append(name)
        location = reply.headers.get("location", "")
        fragment = parse_qs(urlsplit(location).fragment)
        for completion in fragment.get("completion", []):
            self._add("completion", completion)
        for handle in re.findall(
            r'/connect/([A-Za-z0-9_-]{43})"|"state": "([^"]{43})"', reply.text
        ):
            self._add("handle", "".join(handle))
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
        """What was captured and should not have been."""
        for token in self.harness.world.finch.tokens():
            self._add("access token", token.access_token)
        self.texts["log"].append(self.harness._log.getvalue())
        captured = {where: "\n".join(texts) for where, texts in self.texts.items()}
        found = leaks(self.sensitive | company_texts(), captured, ALLOWED)
        return found + list(self._hashes_in_the_log(captured["log"]))

    def _hashes_in_the_log(self, log: str) -> Iterator[Leak]:
        hashes = {
            sha256(one.text.encode()).hexdigest() for one in self.sensitive if one.kind == "handle"
        }
        for line in log.splitlines():
            if any(one in line for one in hashes) and not HASH_IN_A_LOG.search(line):
                yield Leak("handle", "SHA-256", "log", line[:200])

    def _add(self, kind: str, text: str) -> None:
        if len(text) > 5:
            self.sensitive.add(SensitiveText(kind, text))


@pytest.fixture(scope="module")
def capture() -> Iterator[OutputCapture]:
    """The world of the crash harness, with an capture in it."""
    with harness() as harness_, pytest.MonkeyPatch.context() as monkeypatch:
        capture = OutputCapture(harness_)
        border, api = harness_.world.border, harness_.world.api.world.api  # type: ignore[attr-defined]
        cross, send, invoke = border.cross, api.send, harness_.world.invoke
        assert invoke

        def crossed(service: str, operation: str, arguments: Any, go: Callable[[], Any]) -> Any:
            capture.call(service, operation, arguments)
            return cross(service, operation, arguments, go)

        def sent(*arguments: Any, **named: Any) -> Reply:
            reply: Reply = send(*arguments, **named)
            capture.reply(reply)
            return reply

        def invoked(function: str, event: Any) -> Any:
            answer = invoke(function, event)
            capture.invoked(function, answer)
            return answer

        monkeypatch.setattr(border, "cross", crossed)
        monkeypatch.setattr(api, "send", sent)
        harness_.world = harness_._scenario_run.world = replace(harness_.world, invoke=invoked)
        yield capture


@pytest.fixture(scope="module")
def trials(capture: OutputCapture) -> list[Trial]:
    """Some of what can go wrong with some scenarios; `make fuzz` tries all that the crash tests share."""
    scenarios, stride = (SCENARIOS, 1) if FUZZ > 1 else (SCENARIOS[::4], 12)
    return share([trial for one in scenarios for trial in capture.harness.trials(one)])[::stride]


def play(capture: OutputCapture, scenario: Scenario) -> None:
    """A scenario in which nothing goes wrong, and what the queue does after it."""
    harness_ = capture.harness
    capture.clear()
    harness_._begin(scenario)
    with redirect_stdout(harness_._log):
        scenario.play(harness_._scenario_run, harness_._person)
        harness_.world.queue.drain()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_no_flow_tells_what_is_nobodys_business(capture: OutputCapture, scenario: Scenario) -> None:
    play(capture, scenario)
    assert capture.leaks() == []


def test_nothing_that_goes_wrong_makes_a_flow_tell_it(
    capture: OutputCapture, trials: Sequence[Trial]
) -> None:
    assert trials
    for trial in trials:
        capture.clear()
        capture.harness.run(trial)
        assert capture.leaks() == [], trial


# An capture that hears nothing would say the same as a product that tells nothing.


def test_every_kind_of_secret_was_there_to_be_heard(capture: OutputCapture) -> None:
    play(capture, CONFIRMING)
    capture.leaks()
    kinds = {one.kind for one in capture.sensitive}
    assert kinds >= {
        "access token",
        "binding cookie",
        "client secret",
        "code",
        "completion",
        "handle",
    }
    assert capture.texts.keys() >= {"answers", "encryption contexts", "log", "messages", "tables"}


def test_it_hears_a_secret_in_whatever_form_it_is_told(capture: OutputCapture) -> None:
    play(capture, CONFIRMING)
    capture.leaks()
    for kind in ("access token", "code", "binding cookie", "handle"):
        secret = next(one for one in capture.sensitive if one.kind == kind)
        for form, told in secret.forms():
            found = leaks([secret], {"log": f"before {told} after"}, {})
            assert [(leak.kind, leak.where) for leak in found[:1]] == [(kind, "log")], form


def test_it_hears_a_name(capture: OutputCapture) -> None:
    play(capture, CONFIRMING)
    name = next(one for one in company_texts() if one.kind == "company")
    capture.texts["messages"].append(f"of {name.text}")
    assert [leak for leak in capture.leaks() if leak.kind == "company"]
