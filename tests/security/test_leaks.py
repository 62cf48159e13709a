"""No secret and no name leaks in any flow, also with faults at its calls.

The fault injection harness plays the flows; these tests search all output of the product.
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

# The places in which each text may occur, with the reason. Any other place or form is a leak.
ALLOWED: Allowed = {
    # A link contains its handle. Finch's page and, in the embedded flow, the SDK get the handle as `state`.
    ("handle", "plain"): ["addresses", "answers"],
    # The hash of the handle is the id of the session. Only the user with the link has the handle itself.
    ("handle", "SHA-256"): [
        *("tables", "messages", "encryption contexts", "operator", "log", "addresses", "answers"),
    ],
    # The returning browser gets it, and its page sends it back. It is stored as a hash.
    ("completion", "plain"): ["addresses", "answers"],
    ("completion", "SHA-256"): ["tables"],
    # Stored as hashes, to recognize them.
    ("code", "SHA-256"): ["tables"],
    ("binding cookie", "SHA-256"): ["tables"],
    # Finch Connect gets it when a user clicks, and shows it.
    ("customer name", "plain"): ["tables"],
    # Stored on the connection, and shown to its customer.
    ("company", "plain"): ["tables", "answers"],
}
[CONFIRMING] = [one for one in SCENARIOS if one.name == "connect, confirm"]
# The log contains the hash only in the line of an operator's command about that session.
HASH_IN_A_LOG = re.compile(r'"message":"operator".*"session":"[0-9a-f]{64}"')


@dataclass
class OutputCapture:
    """Captures all output of the product, and collects the secrets in it."""

    harness: Harness
    texts: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    sensitive: set[SensitiveText] = field(default_factory=set)

    def clear(self) -> None:
        """Deletes the captured output before the next scenario."""
        self.texts.clear()
        self.sensitive = {
            SensitiveText("client secret", "our-secret"),
            SensitiveText("webhook secret", WEBHOOK_SECRET),
            SensitiveText("customer name", "Canary & Söhne"),
        }

    def call(self, service: str, operation: str, arguments: Any) -> None:
        """Captures a call of the product to AWS or Finch."""
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
                self.texts["encryption contexts"].append(repr(arguments.get("EncryptionContext")))
            case "dynamodb", _:
                self.texts["tables"].append(repr(arguments))

    def reply(self, reply: Reply) -> None:
        """Captures a response of the API."""
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
        """Captures the result of an invocation, except of `vend_token`, whose result is a token."""
        if function != "vend_token":
            self.texts["answers" if function == "call_finch" else "operator"].append(repr(answer))

    def leaks(self) -> list[Leak]:
        """The leaks in the captured output."""
        for token in self.harness.world.finch.tokens():
            self._add("access token", token.access_token)
        self.texts["log"].append(self.harness._log.getvalue())
        # No text is allowed here, not even those that other attributes of the tables may contain.
        tables = self.harness.world.tables
        for item in (*tables.all_sessions(), *tables.items(tables.connections)):
            self.texts["histories"] += [repr(item.get(name)) for name in ("history", "tried")]
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
    """The fault injection harness, with its output captured."""
    with harness() as runner, pytest.MonkeyPatch.context() as monkeypatch:
        capture = OutputCapture(runner)
        border, api = runner.world.border, runner.world.api.world.api  # type: ignore[attr-defined]
        cross, send, invoke = border.cross, api.send, runner.world.invoke
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
        runner.world = runner._scenario_run.world = replace(runner.world, invoke=invoked)
        yield capture


@pytest.fixture(scope="module")
def trials(capture: OutputCapture) -> list[Trial]:
    """Some faults in some scenarios; `make fuzz` tries the whole share of the fault injection tests."""
    scenarios, stride = (SCENARIOS, 1) if FUZZ > 1 else (SCENARIOS[::4], 12)
    return share([trial for one in scenarios for trial in capture.harness.trials(one)])[::stride]


def play(capture: OutputCapture, scenario: Scenario) -> None:
    """Plays a scenario without faults, and processes the queue."""
    runner = capture.harness
    capture.clear()
    runner._begin(scenario)
    with redirect_stdout(runner._log):
        scenario.play(runner._scenario_run, runner._person)
        runner.world.queue.drain()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_no_flow_leaks_a_secret_or_a_name(capture: OutputCapture, scenario: Scenario) -> None:
    play(capture, scenario)
    assert capture.leaks() == []


def test_no_fault_makes_a_flow_leak(capture: OutputCapture, trials: Sequence[Trial]) -> None:
    assert trials
    for trial in trials:
        capture.clear()
        capture.harness.run(trial)
        assert capture.leaks() == [], trial


# The next tests show that the capture finds leaks.


def test_the_capture_recognizes_every_kind_of_secret(capture: OutputCapture) -> None:
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
    assert "escrowed" in str(capture.texts["histories"])


def test_a_secret_is_found_in_every_form(capture: OutputCapture) -> None:
    play(capture, CONFIRMING)
    capture.leaks()
    for kind in ("access token", "code", "binding cookie", "handle"):
        secret = next(one for one in capture.sensitive if one.kind == kind)
        for form, text in secret.forms():
            found = leaks([secret], {"log": f"before {text} after"}, {})
            assert [(leak.kind, leak.where) for leak in found[:1]] == [(kind, "log")], form


def test_a_company_name_is_found(capture: OutputCapture) -> None:
    play(capture, CONFIRMING)
    name = next(one for one in company_texts() if one.kind == "company")
    capture.texts["messages"].append(f"of {name.text}")
    assert [leak for leak in capture.leaks() if leak.kind == "company"]
