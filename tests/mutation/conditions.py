"""Mutation testing of DynamoDB conditions: without one clause of a condition, a test must fail.

The first run of the tests records each condition that the product sends. The clauses are taken from these
texts, so a new condition is tested without a change here. It also records for each mutant in which tests
it decides differently from its condition, given the stored item: no other test can kill it.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, Item

from tests.mutation.accepted import passes

# The tests that send conditions to moto. The other integration tests send the same conditions.
TESTS = [
    f"tests/{name}.py"
    for name in [
        "integration/test_conditions",
        "integration/test_races",
        "integration/test_transfer",
        "integration/test_operating",
        "integration/test_process_work",
        "unit/test_session_table",
        "integration/test_budgets",
        "integration/test_waiting",
        "integration/test_health",
        "integration/test_repairs",
        "integration/test_pair_ids",
        "integration/test_renamed_at_finch",
        "integration/test_disconnect_entity",
        "integration/test_vend_token",
        "integration/test_call_finch",
        "integration/test_webhooks",
        "integration/test_fetch_names",
        "integration/test_publish_events",
        "integration/test_at_rest",
    ]
]
_RECORD = Path(".local/mutation/conditions.json")
_PART = _RECORD.with_name("conditions-part.json")
_KINDS = ("ConditionExpression", "FilterExpression")
# The limit for the tests of a mutant, next to the recorded time: a busy machine is slower.
_SECONDS, _SLOWER = 60, 10

type Requests = Iterator[tuple[str, dict[str, Any]]]


def without_a_clause(condition: str) -> Iterator[str]:
    """All texts that lack one clause of a condition; an empty text if there is only one clause."""
    inner = _bare(condition)
    for operator in (" OR ", " AND "):
        clauses = _split(inner, operator)
        if len(clauses) == 1:
            continue
        for n, clause in enumerate(clauses):
            before, after = clauses[:n], clauses[n + 1 :]
            yield operator.join([*before, *after])
            for shorter in filter(None, without_a_clause(clause)):
                yield operator.join([*before, f"({_bare(shorter)})", *after])
        return
    yield ""


def _bare(condition: str) -> str:
    """A condition without parentheses around all of it: DynamoDB refuses redundant parentheses."""
    while condition.startswith("(") and len(_split(condition, None)) == 1:
        condition = condition[1:-1]
    return condition


def _split(text: str, operator: str | None) -> list[str]:
    """The parts between the operators outside of parentheses; without an operator, the groups."""
    parts, depth, start = [], 0, 0
    for n, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0 and operator and text.startswith(operator, n):
            parts.append(text[start:n])
            start = n + len(operator)
        elif depth == 0 and operator is None and character == ")" and n + 1 < len(text):
            parts.append(text[start : n + 1])
            start = n + 1
    return [*parts, text[start:]]


def _requests(operation: str, arguments: dict[str, Any]) -> Requests:
    """The parts of a call that can have a condition, with the names of their operations."""
    yield operation, arguments
    for write in arguments.get("TransactItems", ()):
        yield from write.items()


def _name(operation: str, kind: str, request: dict[str, Any]) -> str:
    table = request["TableName"].rpartition("-")[2]
    return f"{table} {operation.removesuffix('Item')}: {request[kind]}"


def _cut(request: dict[str, Any], kind: str, text: str) -> None:
    """Replaces the condition, and drops the names and values that no expression needs any more."""
    request[kind] = text
    if not text:
        del request[kind]
    used = " ".join(str(value) for name, value in request.items() if name.endswith("Expression"))
    words = set(used.translate(str.maketrans("(),.=<>", " " * 7)).split())
    for field in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
        kept = {name: one for name, one in request.get(field, {}).items() if name in words}
        request.pop(field, None)
        if kept:
            request[field] = kept


def _differs(request: dict[str, Any], kind: str, mutant: str) -> bool:
    """Whether a mutant decides differently from its condition about the stored item."""
    if kind == "FilterExpression":
        return True
    table = dynamodb_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"].tables[request["TableName"]]
    key = request.get("Key") or request["Item"]
    names = [one for one in (table.hash_key_attr, table.range_key_attr) if one]
    keys: Any = [DynamoType(key[name]) for name in names]
    found = table.get_item(*keys)
    item = found or Item(DynamoType({"S": ""}), None, {})
    values = (request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues"))
    before = get_filter_expression(request[kind], *values).expr(item)
    return bool(before) != bool(not mutant or get_filter_expression(mutant, *values).expr(item))


class Plugin:
    """Records the mutants of each test; with a mutant, also cuts its condition."""

    def __init__(self, mutant: str | None = None) -> None:
        self.mutant = mutant
        # The tests in which a mutant decides differently, with their seconds.
        self.tests: dict[str, dict[str, float]] = {}
        self._differ: set[str] = set()
        self._send = BaseClient._make_api_call  # type: ignore[attr-defined]

        # A function, unlike a bound method, gets the client as its first argument.
        def call(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
            return self._call(client, operation, arguments)

        BaseClient._make_api_call = call  # type: ignore[attr-defined]

    def _call(self, client: Any, operation: str, arguments: dict[str, Any]) -> Any:
        if client.meta.service_model.service_name == "dynamodb":
            for name, request in _requests(operation, arguments):
                for kind in _KINDS:
                    if kind in request:
                        self._condition(name, request, kind)
        return self._send(client, operation, arguments)

    def _condition(self, operation: str, request: dict[str, Any], kind: str) -> None:
        for text in without_a_clause(request[kind]):
            name = f"{_name(operation, kind, request)} -> {text or 'no condition'}"
            if self.mutant is None:
                self.tests.setdefault(name, {})
                if name not in self._differ and _differs(request, kind, text):
                    self._differ.add(name)
            elif name == self.mutant:
                _cut(request, kind, text)
                return

    @pytest.hookimpl
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Notes in which test mutants decide differently."""
        if call.when == "call":
            for mutant in self._differ:
                self.tests[mutant][item.nodeid] = call.duration
        if call.when == "teardown":
            self._differ.clear()


def _pytest(tests: list[str], plugin: Plugin) -> int:
    quiet = ["-q", "-x", "--no-header", "-p", "no:cacheprovider", "--show-capture=no", "--tb=no"]
    return int(pytest.main([*quiet, *tests], plugins=[plugin]))


def _in_a_process(work: Callable[[], int], seconds: float = 0) -> int:
    """The exit code of the work in a process of its own, without its output; not 0 or 1 if it did not end."""
    child = os.fork()
    if child == 0:
        signal.alarm(int(seconds))
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os._exit(work())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _record(file: str, done: dict[str, Any]) -> None:
    """Adds the mutants that the tests of a file know."""

    def work() -> int:
        plugin = Plugin()
        code = _pytest([file], plugin)
        _PART.write_text(json.dumps(plugin.tests))
        return code

    if _in_a_process(work):
        sys.exit(f"The tests fail without a mutant: {file}")
    for known in done["tests"].values():
        for test in [one for one in known if one.startswith(f"{file}::")]:
            del known[test]
    for mutant, tests in json.loads(_PART.read_text()).items():
        done["tests"].setdefault(mutant, {}).update(tests)
        if tests and done["survived"].get(mutant):
            # The new tests may kill it.
            del done["survived"][mutant]
    done["files"][file] = _digest(file)


def _digest(file: str) -> str:
    return sha256(Path(file).read_bytes()).hexdigest()


def _verdict(mutant: str, tests: dict[str, float]) -> bool:
    """Whether a mutant survives all tests in which it decides differently, the quickest first.

    A run that takes too long has killed nothing.
    """
    if not tests:
        return True
    quickest = sorted(tests, key=lambda test: tests[test])
    limit = _SECONDS + _SLOWER * sum(tests.values())
    return _in_a_process(lambda: _pytest(quickest, Plugin(mutant)), limit) != 1


def main(files: Sequence[str] = TESTS) -> bool:
    """Tests each mutant that no test has killed yet; returns whether all other survivors are accepted."""
    _RECORD.parent.mkdir(parents=True, exist_ok=True)
    done: dict[str, Any] = {"files": {}, "tests": {}, "survived": {}}
    if _RECORD.exists():
        done = json.loads(_RECORD.read_text())
    for file in files:
        if done["files"].get(file) != _digest(file):
            _record(file, done)
            _RECORD.write_text(json.dumps(done))
    # Loads the tests once, for the processes of all mutants.
    _pytest(["--collect-only", "-qq", *files], Plugin())
    survived: dict[str, bool] = done["survived"]
    for mutant, tests in sorted(done["tests"].items()):
        if mutant not in survived:
            survived[mutant] = _verdict(mutant, tests)
            _RECORD.write_text(json.dumps(done))
    return passes("conditions", len(survived), [one for one in survived if survived[one]])


if __name__ == "__main__":
    sys.exit(not main(sys.argv[1:] or TESTS))
