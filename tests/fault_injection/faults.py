"""The faults of one call to AWS or Finch, before or after its effect."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

import httpx
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from local.fake_finch.refusals import DOCUMENTED_ERRORS, documented_error, error_body
from tests.support.in_process import Call, InProcess, Stopped

type Send = Callable[[], Any]
type Kind = Literal["stopped before", "stopped after", "refused", "contended", "lost", "nonsense"]

_WRITES = ("Put", "Update", "Delete", "Transact", "Send")
_THROTTLED = {
    "dynamodb": "ThrottlingException",
    "kms": "ThrottlingException",
    "secretsmanager": "ThrottlingException",
    "sqs": "RequestThrottled",
}
_ANSWER_LOST = (500, 502)
# Longer than an unconfirmed connection is kept.
A_DAY = timedelta(hours=30)
# Longer than a message lives: five receives, each 20 minutes after the last. Meanwhile the scheduled check
# queues the same row again, so a longer stop only repeats this.
_HOURS = timedelta(hours=6)
# Longer than the product retries a disconnect that Finch refuses.
_DAYS = timedelta(days=4)


@dataclass(frozen=True)
class Fault:
    """A named fault. `inject` handles a call; its return value or exception goes to the product.

    A trial injects it once, and a second trial for as long as it `lasts`, if set. `kind` is the
    effect that the caller sees.
    """

    name: str
    inject: Callable[[InProcess, Call, Send], Any] = field(repr=False)
    lasts: timedelta | None = None
    kind: Kind = "refused"


def _stop_before(world: InProcess, call: Call, send: Send) -> Any:
    raise Stopped


def _stop_after(world: InProcess, call: Call, send: Send) -> Any:
    # The process ends, so its own result or error does not matter.
    with suppress(Exception):
        send()
    raise Stopped


STOPS = (
    Fault("stop before", _stop_before, _HOURS, "stopped before"),
    Fault("stop after", _stop_after, _HOURS, "stopped after"),
)


def faults_of(call: Call) -> Iterator[Fault]:
    """Every fault that this call can have."""
    yield from STOPS
    yield from _finch(call) if call.service == "finch" else _aws(call)


# AWS


def _aws(call: Call) -> Iterator[Fault]:
    """The errors of a service, and lost responses.

    botocore retries a call that was throttled, failed or timed out; these faults are the final
    result after its retries.
    """
    writes = call.operation.startswith(_WRITES)
    yield _refused("throttled", _THROTTLED[call.service], 400, lasts=A_DAY)
    yield _refused("access denied", "AccessDeniedException", 400, lasts=A_DAY)
    yield _refused("internal error", "InternalServerError", 500)
    yield Fault("not reached", _not_connected)
    yield Fault("timeout", _timeout, kind="lost")
    if writes:
        failed_after = _after(_client_error("InternalServerError", 500))
        yield Fault("internal error after", failed_after, kind="lost")
        yield Fault("timeout after", _timeout_after, A_DAY, "lost")
        yield Fault("timeout, late effect", _late(_timeout), kind="lost")
        yield Fault("sent twice", _twice, kind="contended")
    if call.service == "dynamodb":
        yield from _dynamodb(call)


def _dynamodb(call: Call) -> Iterator[Fault]:
    if call.operation == "TransactWriteItems":
        writes = [next(iter(one.values())) for one in call.arguments["TransactItems"]]
        conflict = _cancelled(len(writes), 0, "TransactionConflict")
        yield Fault("transaction conflict", conflict, kind="contended")
        yield Fault("transaction throttled", _cancelled(len(writes), 0, "ThrottlingError"), A_DAY)
        for place, write in enumerate(writes):
            if "ConditionExpression" in write:
                name = f"condition of {write['TableName'].removesuffix('Table')} failed"
                inject = _cancelled(len(writes), place, "ConditionalCheckFailed")
                yield Fault(name + f" ({place + 1})", inject, kind="contended")
    elif call.operation in ("PutItem", "UpdateItem", "DeleteItem"):
        yield _refused("transaction conflict", "TransactionConflictException", 400)
        if "ConditionExpression" in call.arguments:
            yield _refused("condition failed", "ConditionalCheckFailedException", 400)


def _client_error(code: str, status: int, **more: Any) -> Callable[[Call], Exception]:
    def make(call: Call) -> Exception:
        response: Any = {
            "Error": {"Code": code, "Message": "On demand"},
            "ResponseMetadata": {"HTTPStatusCode": status},
            **more,
        }
        return ClientError(response, call.operation)

    return make


def _refused(name: str, code: str, status: int, *, lasts: timedelta | None = None) -> Fault:
    make = _client_error(code, status)

    def inject(world: InProcess, call: Call, send: Send) -> Any:
        raise make(call)

    return Fault(name, inject, lasts)


def _cancelled(writes: int, place: int, code: str) -> Callable[[InProcess, Call, Send], Any]:
    reasons = [{"Code": code if place == n else "None"} for n in range(writes)]
    make = _client_error("TransactionCanceledException", 400, CancellationReasons=reasons)

    def inject(world: InProcess, call: Call, send: Send) -> Any:
        raise make(call)

    return inject


def _after(make: Callable[[Call], Exception]) -> Callable[[InProcess, Call, Send], Any]:
    def inject(world: InProcess, call: Call, send: Send) -> Any:
        send()
        raise make(call)

    return inject


def _not_connected(world: InProcess, call: Call, send: Send) -> Any:
    raise ConnectTimeoutError(endpoint_url=f"https://{call.service}.example")


def _timeout(world: InProcess, call: Call, send: Send) -> Any:
    raise ReadTimeoutError(endpoint_url=f"https://{call.service}.example")


def _timeout_after(world: InProcess, call: Call, send: Send) -> Any:
    send()
    return _timeout(world, call, send)


def _late(
    inject: Callable[[InProcess, Call, Send], Any],
) -> Callable[[InProcess, Call, Send], Any]:
    """Sends the call only after the function has ended."""

    def inject_and_send_late(world: InProcess, call: Call, send: Send) -> Any:
        world.border.late.append(send)
        return inject(world, call, send)

    return inject_and_send_late


def _twice(world: InProcess, call: Call, send: Send) -> Any:
    """Sends the call twice, as botocore does when the first response was lost; returns the second."""
    send()
    return send()


# Finch


def _finch(call: Call) -> Iterator[Fault]:
    reads = call.operation.startswith("GET")
    yield Fault("not reached", _finch_not_reached, lasts=A_DAY)
    yield Fault("timeout", _finch_timeout, kind="lost")
    yield Fault("read error", _finch_read_error, kind="lost")
    for status, name, code in DOCUMENTED_ERRORS:
        if name == "invalid_token_error" or (code or "") in _EMPLOYEE_DATA_CODES:
            continue
        yield Fault(
            f"{status} {code or name}", _finch_error(name, code), _DURATIONS.get(code or name)
        )
    yield Fault("401 without a name", _finch_answer(401, b"{}"))
    yield Fault("504 without a body", _finch_answer(504, b""))
    if call.operation.endswith("/connect/sessions"):
        yield Fault("400 an unknown connection exists", _unknown_connection_exists)
    if "authorization" in call.arguments.headers and not call.operation.endswith("/sessions"):
        yield Fault("401 invalid_token_error, truly", _ended_at_finch)
        yield Fault("401 invalid_token_error, wrongly", _finch_error("invalid_token_error", None))
    if not reads:
        yield Fault("timeout after", _finch_timeout_after, A_DAY, "lost")
        yield Fault("timeout, late effect", _late(_finch_timeout), kind="lost")
        for status in _ANSWER_LOST:
            yield Fault(f"{status} after", _finch_answer(status, b"{}", after=True), kind="lost")
    for name, body in {
        "not json": b"certainly not json",
        "[]": b"[]",
        "null": b"null",
        "html": b"<h1>It works</h1>",
    }.items():
        lasts = A_DAY if name == "html" else None
        inject = _finch_answer(200, body, after=not reads)
        yield Fault(f"200 {name}", inject, lasts, "nonsense")
    yield Fault("200 truncated", _truncated, kind="nonsense")


_DURATIONS = {
    "finch_application_rl": A_DAY,
    "server_error": A_DAY,
    "invalid_client_error": A_DAY,
    "item_not_found": _DAYS,
    "reauthenticate_user": _DAYS,
    "insufficient_account_permissions": _DAYS,
}
# Errors about employee data, which this product does not request.
_EMPLOYEE_DATA_CODES = (
    "benefit_not_found",
    "individual_not_found",
    "payment_not_found",
    "enrollment_not_found",
    "invalid_employee_enrollment",
)


def _finch_not_reached(world: InProcess, call: Call, send: Send) -> Any:
    raise httpx.ConnectError("on demand", request=call.arguments)


def _finch_timeout(world: InProcess, call: Call, send: Send) -> Any:
    raise httpx.ReadTimeout("on demand", request=call.arguments)


def _finch_read_error(world: InProcess, call: Call, send: Send) -> Any:
    raise httpx.ReadError("on demand", request=call.arguments)


def _finch_timeout_after(world: InProcess, call: Call, send: Send) -> Any:
    send().read()
    return _finch_timeout(world, call, send)


def _finch_answer(
    status: int, body: bytes, *, after: bool = False
) -> Callable[[InProcess, Call, Send], Any]:
    def inject(world: InProcess, call: Call, send: Send) -> Any:
        if after:
            send().read()
        return httpx.Response(status, content=body)

    return inject


def _finch_error(name: str, code: str | None) -> Callable[[InProcess, Call, Send], Any]:
    body = documented_error(name, code)

    def inject(world: InProcess, call: Call, send: Send) -> Any:
        return httpx.Response(body["status"], json=body)

    return inject


def _truncated(world: InProcess, call: Call, send: Send) -> Any:
    answer = send()
    body = answer.read()
    return httpx.Response(answer.status_code, content=body[: len(body) // 2])


def _unknown_connection_exists(world: InProcess, call: Call, send: Send) -> Any:
    body = error_body(
        400,
        "bad_request",
        "A connection already exists",
        finch_code="connection_already_exists",
        context={"connection_id": "00000000-0000-4000-8000-000000000000"},
    )
    return httpx.Response(400, json=body)


def _ended_at_finch(world: InProcess, call: Call, send: Send) -> Any:
    """An operator has ended the connection in Finch's dashboard."""
    token = call.arguments.headers["authorization"].removeprefix("Bearer ")
    if any(one.access_token == token for one in world.finch.live_tokens()):
        world.finch.disconnect(token)
    return send()
