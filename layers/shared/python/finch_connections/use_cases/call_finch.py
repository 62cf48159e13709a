"""Calls Finch for a backend: records the call first, and keeps the connection's token to itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from finch_connections import metrics
from finch_connections.aws.call_counter import CallCounter, TooManyCalls
from finch_connections.domain.finch_call import FinchCall, with_entity
from finch_connections.domain.token_request import Outcome, Refused, TokenRequest
from finch_connections.finch.client import CONNECT_SECONDS, FinchClient, bearer
from finch_connections.finch.errors import AnswerLost, NotReached, TooLarge
from finch_connections.log import logger
from finch_connections.use_cases import vend_token
from finch_connections.use_cases.vend_token import Vended

if TYPE_CHECKING:
    import httpx

# Finch ends a call after six minutes ("408" in its error types).
READ_SECONDS = 360.0
# Time for the report of a 401 when AWS is slow.
AWS_SECONDS = 30.0
# Most calls of Finch take less. With less time left, a call is not repeated.
LEAST_SECONDS = 10.0
# The response of a function has at most 6 MB, with the headers and the escapes of the text.
MOST_BYTES = 6_000_000


class Services(NamedTuple):
    """Everything that a call reads and writes."""

    vending: vend_token.Services
    counter: CallCounter
    finch: FinchClient


@dataclass(frozen=True)
class CallRequest:
    """A backend's request for a call. `asked` has the call and the products that it reads."""

    asked: TokenRequest
    call: FinchCall
    query: Mapping[str, Any]
    body: Any = None


class Allowed(NamedTuple):
    """The paths that backends may call."""

    reading: tuple[str, ...]
    writing: tuple[str, ...]


def call(
    request: CallRequest,
    *,
    allowed: Allowed,
    seconds_left: Callable[[], float],
    now: datetime,
    services: Services,
) -> "httpx.Response | Refused":
    """Finch's response, or the reason why there is none. The call is recorded before it is made."""
    asked, vending = request.asked, services.vending
    if not request.call.is_allowed(*allowed):
        refused = Refused(Outcome.PATH_NOT_ALLOWED)
        return vend_token.refuse(asked, refused, now=now, services=vending)
    found = vend_token.find(asked, now=now, services=vending)
    if isinstance(found, Refused):
        return found
    query = with_entity(request.query, found.token.entity_ids, found.readable)
    if query is None:
        refused = Refused(Outcome.ENTITY_NEEDED, entity_ids=found.readable)
        return vend_token.refuse(asked, refused, now=now, services=vending)
    try:
        # Before the record, so that a call that is not made is not in the records.
        services.counter.count(request.call.limit, now)
    except TooManyCalls as error:
        return without_answer(Refused(Outcome.RATE_LIMITED, retry_after=error.retry_after))
    vended = vend_token.take(
        asked,
        found,
        in_time=lambda: seconds_left() > AWS_SECONDS + LEAST_SECONDS,
        now=now,
        services=vending,
    )
    began = seconds_left()
    response = _send(request, query, vended, seconds_left=seconds_left, now=now, services=services)
    if isinstance(response, Refused):
        return without_answer(response)
    if response.status_code == 401:
        passed = timedelta(seconds=began - seconds_left())
        _report(asked, vended, now + passed, services)
    if response.status_code == 202:
        return without_answer(Refused(Outcome.NOT_READY))
    return response


def _send(
    request: CallRequest,
    query: Mapping[str, Any],
    vended: Vended,
    *,
    seconds_left: Callable[[], float],
    now: datetime,
    services: Services,
) -> "httpx.Response | Refused":
    """Makes the call. Repeats it once if that is safe: a lost call may have had its effect."""
    began = seconds_left()
    for is_last in (False, True):
        in_time = seconds_left() - AWS_SECONDS - 2 * CONNECT_SECONDS
        content = {} if request.body is None else {"json": request.body}
        try:
            return services.finch.exchange(
                request.call.method,
                request.call.path,
                read_seconds=min(READ_SECONDS, in_time),
                most_bytes=MOST_BYTES,
                params=query,
                headers=bearer(vended.text),
                **content,
            )
        except TooLarge:
            return Refused(Outcome.TOO_LARGE)
        except (NotReached, AnswerLost) as error:
            is_safe = request.call.reads or isinstance(error, NotReached)
            enough = seconds_left() > AWS_SECONDS + 2 * CONNECT_SECONDS + LEAST_SECONDS
            if is_last or not is_safe or not enough:
                break
        try:
            passed = timedelta(seconds=began - seconds_left())
            services.counter.count(request.call.limit, now + passed)
        except TooManyCalls:
            break
    return Refused(Outcome.FINCH_UNAVAILABLE)


def _report(asked: TokenRequest, vended: Vended, now: datetime, services: Services) -> None:
    """Queues a health check."""
    try:
        vend_token.report(asked, vended.token.id, now=now, services=services.vending)
    except Exception:
        # The backend gets Finch's 401 nevertheless. The scheduled check finds the dead token later.
        logger.exception("401 not reported")


def without_answer(refused: Refused) -> Refused:
    """Counts a refusal that is not recorded: no call was made, or its record is written."""
    metrics.count(vend_token.CALL_ROUTE, refused.reason)
    logger.info("no answer of finch", outcome=refused.reason)
    return refused
