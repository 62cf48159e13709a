"""Faults that tests order: errors, delays, dropped connections and nonsense."""

import json
import threading
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator
from werkzeug.wrappers import Response

from local.fake_finch.refusals import documented_error

Nonsense = Literal["not json", "empty body", "html page", "array", "null", "truncated json"]


class Edit(BaseModel):
    """A change of top-level fields of the true answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    set: dict[str, JsonValue] = Field(default_factory=dict)
    remove: tuple[str, ...] = ()


class Action(BaseModel):
    """An effect on a request: instead of, before or after its true answer.

    For `status`, `error` and `nonsense`, `when` says whether Finch processes the request ("after") or
    not ("before"). For `delay_seconds`, it says whether the delay comes before or after that.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: int | None = None
    body: JsonValue = None
    headers: dict[str, str] = Field(default_factory=dict)
    error: str | None = None
    """A documented error name, which gives the status and the body."""
    finch_code: str | None = None
    nonsense: Nonsense | None = None
    edit: Edit | None = None
    delay_seconds: float = Field(default=0, ge=0)
    when: Literal["before", "after"] = "before"
    drop: Literal["before_effect", "after_effect"] | None = None

    @model_validator(mode="after")
    def _one_outcome(self) -> Self:
        outcomes = (self.status, self.error, self.nonsense, self.edit, self.drop)
        if sum(outcome is not None for outcome in outcomes) > 1:
            raise ValueError("a fault has at most one of status, error, nonsense, edit and drop")
        if self.error is not None:
            documented_error(self.error, self.finch_code)
        return self

    @property
    def replaces_the_request(self) -> bool:
        """Whether the request has no effect, because only the fault answers."""
        if self.when == "after" or self.nonsense == "truncated json":
            return False
        return self.status is not None or self.error is not None or self.nonsense is not None

    def applied_to(self, answer: Response | None) -> Response:
        """The answer to send. `answer` is the true answer, or None if the request had no effect."""
        if self.error is not None:
            body = documented_error(self.error, self.finch_code)
            return _json(body["status"], json.dumps(body), self.headers)
        if self.status is not None:
            text = "" if self.body is None else json.dumps(self.body)
            return _json(self.status, text, self.headers)
        if self.nonsense is not None:
            return _nonsense(self.nonsense, answer)
        if answer is None:
            raise ValueError("this fault needs the true answer")
        if self.edit is not None:
            fields = json.loads(answer.get_data())
            edited = {**fields, **self.edit.set}
            for name in self.edit.remove:
                edited.pop(name, None)
            answer.set_data(json.dumps(edited))
        answer.headers.extend(self.headers)
        return answer


class Fault(BaseModel):
    """An action that waits for its request. `times` is how often it applies; None: always."""

    model_config = ConfigDict(extra="forbid")

    method: str = "*"
    path: str = "*"
    action: Action
    times: int | None = Field(default=1, ge=1)

    def matches(self, method: str, path: str) -> bool:
        return self.method.upper() in ("*", method.upper()) and self.path in ("*", path)


class Faults:
    """The waiting faults, oldest first. At most one applies to a request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []

    def add(self, method: str, path: str, *, times: int | None = 1, **action: Any) -> Fault:
        """Add a fault; the keywords are the fields of `Action`.

        Raises pydantic's ValueError for an invalid action.
        """
        return self.put(
            Fault(method=method, path=path, action=Action.model_validate(action), times=times)
        )

    def put(self, fault: Fault) -> Fault:
        with self._lock:
            self._waiting.append(fault)
        return fault

    def take(self, method: str, path: str) -> Action | None:
        """The action for this request, which counts as used."""
        with self._lock:
            for fault in self._waiting:
                if fault.matches(method, path):
                    if fault.times is not None:
                        fault.times -= 1
                        if fault.times == 0:
                            self._waiting.remove(fault)
                    return fault.action
        return None

    def waiting(self) -> list[Fault]:
        with self._lock:
            return [fault.model_copy() for fault in self._waiting]

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()


def _json(status: int, text: str, headers: dict[str, str]) -> Response:
    return Response(text, status=status, headers=headers, mimetype="application/json")


def _nonsense(kind: Nonsense, answer: Response | None) -> Response:
    match kind:
        case "not json":
            return _json(200, "certainly not json", {})
        case "empty body":
            return _json(200, "", {})
        case "html page":
            return Response("<h1>Bad gateway</h1>", status=502, mimetype="text/html")
        case "array":
            return _json(200, "[]", {})
        case "null":
            return _json(200, "null", {})
        case "truncated json":
            text = answer.get_data(as_text=True) if answer else "{}"
            return _json(200, text[: len(text) // 2], {})
