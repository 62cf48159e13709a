"""Mutation testing of DynamoDB conditions: without one clause of a condition, a test must fail.

The first run of the tests records each condition that the product sends, and the tests that send it.
The clauses are taken from these texts, so a new condition is tested without a change here.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient

# The tests that send conditions to moto. The other integration tests send the same conditions.
TESTS = [
    f"tests/integration/test_{name}.py"
    for name in [
        "health",
        "operating",
        "process_work",
        "races",
        "repairs",
        "vend_token",
        "webhooks",
        "fetch_names",
        "publish_events",
        "at_rest",
    ]
] + ["tests/unit/test_session_table.py"]
_RECORD = Path(".local/mutation/conditions.json")
_KINDS = ("ConditionExpression", "FilterExpression")
# A survivor takes this long at most: the quickest tests run first.
_SECONDS = 300

type Requests = Iterator[tuple[str, dict[str, Any]]]


def without_a_clause(condition: str) -> Iterator[str]:
    """All texts that lack one clause of a condition; an empty text if there is only one clause."""
    inner = condition.strip()
    while inner.startswith("(") and len(_split(inner, None)) == 1:
        inner = inner[1:-1].strip()
    for operator in (" OR ", " AND "):
        clauses = _split(inner, operator)
        if len(clauses) == 1:
            continue
        for n, clause in enumerate(clauses):
            before, after = clauses[:n], clauses[n + 1 :]
            yield operator.join([*before, *after])
            for shorter in filter(None, without_a_clause(clause)):
                yield operator.join([*before, f"({shorter})", *after])
        return
    yield ""


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


class Plugin:
    """Records the conditions of each test; with a mutant, also cuts its condition."""

    def __init__(self, mutant: tuple[str, str] | None = None) -> None:
        self.mutant = mutant
        self.tests: dict[str, dict[str, float]] = {}
        self._sent: set[str] = set()
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
                        condition = _name(name, kind, request)
                        self._sent.add(condition)
                        if self.mutant and condition == self.mutant[0]:
                            _cut(request, kind, self.mutant[1])
        return self._send(client, operation, arguments)

    @pytest.hookimpl
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Notes which test sent which conditions."""
        if call.when == "call":
            for condition in self._sent:
                self.tests.setdefault(condition, {})[item.nodeid] = call.duration
        if call.when == "teardown":
            self._sent.clear()


def _pytest(tests: list[str], plugin: Plugin) -> int:
    quiet = ["-q", "-x", "--no-header", "-p", "no:cacheprovider", "--show-capture=no", "--tb=no"]
    return int(pytest.main([*quiet, *tests], plugins=[plugin]))


def _survives(mutant: tuple[str, str], tests: list[str]) -> bool:
    """Whether all tests pass with this mutant, in a process of its own."""
    child = os.fork()
    if child == 0:
        import signal

        signal.alarm(_SECONDS)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os._exit(_pytest(tests, Plugin(mutant)))
    return os.waitpid(child, 0)[1] == 0


def main() -> None:
    """Tests each mutant that has no result yet, and prints the survivors and the score."""
    done: dict[str, Any] = json.loads(_RECORD.read_text()) if _RECORD.exists() else {}
    if "tests" not in done:
        plugin = Plugin()
        if _pytest(TESTS, plugin):
            sys.exit("The tests fail without a mutant.")
        done = {"tests": plugin.tests, "survived": {}}
        _RECORD.parent.mkdir(parents=True, exist_ok=True)
        _RECORD.write_text(json.dumps(done))
    survived: dict[str, bool] = done["survived"]
    for condition, tests in sorted(done["tests"].items()):
        text = condition.partition(": ")[2]
        for mutant in without_a_clause(text):
            name = f"{condition} -> {mutant or 'no condition'}"
            if name not in survived:
                survived[name] = _survives((condition, mutant), sorted(tests, key=tests.get))
                _RECORD.write_text(json.dumps(done))
            if survived[name]:
                print("survived:", name, flush=True)
    killed = len(survived) - sum(survived.values())
    print(f"conditions: {len(survived)} mutants, {killed} killed")


if __name__ == "__main__":
    main()
