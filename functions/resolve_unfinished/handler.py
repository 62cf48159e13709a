"""Shows an operator the unfinished work that needs a decision, and carries out the decision."""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, RootModel

from finch_connections import cold_start, settings
from finch_connections.aws import (
    audit_table,
    connection_table,
    ownership_table,
    session_table,
    token_vault,
    work_queue,
)
from finch_connections.aws.dynamodb import Conflict
from finch_connections.domain.connect_session import Consumed, Discarding, Held, Keeping, Uncertain
from finch_connections.domain.connection import Connection, key_fields, require_key
from finch_connections.domain.errors import InvalidRequest, Refusal
from finch_connections.domain.token_request import AuditRecord
from finch_connections.finch import connect_api
from finch_connections.finch.errors import FinchFailure
from finch_connections.log import logger
from finch_connections.use_cases.exchange_code import Services
from finch_connections.use_cases.operator import resolve_unfinished as use_case
from finch_connections.use_cases.operator import transfer_company
from finch_connections.use_cases.operator.resolve_unfinished import (
    AnswersDiffer,
    NotAsShown,
    Picture,
)
from finch_connections.use_cases.operator.transfer_company import NotProven
from finch_connections.web import request_body
from finch_connections.web.request_body import CustomerId, FinchId

# The log names the session of each command. The pattern keeps out a token that was pasted by mistake.
type SessionHash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Command(BaseModel):
    model_config = ConfigDict(extra="forbid")


class List(_Command):
    """List the unfinished work that began more than an hour ago."""

    action: Literal["list"]
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class Decide(_Command):
    """Decide about a token in escrow; without `decision`, only show the facts.

    Attach it, end its connection, or transfer its company from another customer.
    """

    action: Literal["attach", "disconnect", "transfer"]
    session: SessionHash
    decision: str | None = None


class Dismiss(_Command):
    """Dismiss an uncertain exchange that left no connection."""

    action: Literal["dismiss"]
    session: SessionHash


class RetrySession(_Command):
    """Process a session now."""

    action: Literal["retry"]
    session: SessionHash


class RetryConnection(_Command):
    """Process a connection now."""

    action: Literal["retry"]
    customer_id: CustomerId
    provider_id: FinchId
    company_id: FinchId


class End(_Command):
    """End a connection at Finch, as its customer could."""

    action: Literal["end"]
    customer_id: CustomerId
    provider_id: FinchId
    company_id: FinchId


class Examine(_Command):
    """Ask whether Finch accepts our credentials and this callback URL."""

    action: Literal["examine"]
    callback_url: Annotated[str, Field(pattern="^https?://[^?#]+$")]


class Audit(_Command):
    """List the requests for a customer's tokens, newest first.

    For the next page, send the last `at` as `until`.
    """

    action: Literal["audit"]
    customer_id: CustomerId
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 50


_OF_SESSION = {"session": "0123…cdef (64 hexadecimal digits)"}
_OF_CONNECTION = {"customer_id": "acme", "provider_id": "gusto", "company_id": "company-1"}
# A correct command of each action, without the action.
_EXAMPLES: Mapping[str, Mapping[str, str | int]] = {
    "list": {"limit": 50},
    "attach": _OF_SESSION,
    "disconnect": _OF_SESSION,
    "dismiss": _OF_SESSION,
    "retry": _OF_SESSION,
    "end": _OF_CONNECTION,
    "examine": {"callback_url": "https://api.example.com/callback"},
    "audit": {"customer_id": "acme", "since": "2026-01-31T00:00:00Z"},
}


class Command(
    RootModel[List | Decide | Dismiss | RetrySession | RetryConnection | End | Examine | Audit]
):
    """An operator's command."""


def resolve_unfinished(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Returns `result`, or `error` with a `detail` for the operator."""
    logger.append_keys(request_id=context.aws_request_id)
    try:
        command = _command(event)
        # An id of a connection can be any text, also a pasted token. It is logged once it is found.
        logger.warning("operator", command=command.model_dump(include={"action", "session"}))
        return {"result": _do(command, datetime.now(UTC), _services())}
    except (Refusal, FinchFailure) as error:
        return {"error": error.code, "detail": str(error)}
    except AnswersDiffer:
        detail = "Finch's responses name different connections for this token. Ask Finch to end it."
        return {"error": "answers_differ", "detail": detail}
    except NotProven:
        detail = (
            "The token is dead, or its customer's browser was never proven. "
            "Ask that customer to sign in and to connect the company again."
        )
        return {"error": "not_proven", "detail": detail}
    except (NotAsShown, Conflict):
        detail = "The state has changed since it was shown. Look at it again and decide again."
        return {"error": "changed", "detail": detail}


def _command(event: Any) -> Any:
    """The command in an event. Raises `InvalidRequest` with an example of the same action."""
    try:
        return request_body.validate(Command, event).root
    except InvalidRequest:
        action = event.get("action") if isinstance(event, dict) else None
        known = action if isinstance(action, str) and action in _EXAMPLES else "list"
        example = json.dumps({"action": known, **_EXAMPLES[known]}, ensure_ascii=False)
        raise InvalidRequest(f"This is not a valid command; a valid one is {example}.") from None


def _do(command: Any, now: datetime, services: Services) -> Any:
    match command:
        case List(limit=limit):
            found = use_case.unfinished(limit, now=now, services=services)
            return {
                "sessions": [
                    _session(one)
                    | {"seems_recovered": one.attempt.handle_hash in found.seems_recovered}
                    for one in found.sessions
                ],
                "connections": [_connection(one) for one in found.connections],
            }
        case Decide(action="transfer", session=session, decision=decision):
            return _transfer(session, decision, now, services)
        case Decide(action=action, session=session, decision=None):
            return _picture(use_case.picture(session, services=services), action)
        case Decide(action="attach", session=session, decision=str(decision)):
            done = use_case.attach(session, decision, now=now, services=services)
            return {"status": done.status, **_company(done.key)}
        case Decide(session=session, decision=str(decision)):
            use_case.disconnect(session, decision, now=now, services=services)
            return {"status": "disconnected"}
        case Dismiss(session=session):
            use_case.dismiss(session, now=now, services=services)
            return {"status": "dismissed"}
        case RetrySession(session=session):
            use_case.retry_session(
                session, now=now, services=services, queue=work_queue.from_settings()
            )
        case RetryConnection():
            key = require_key(command.provider_id, command.company_id)
            use_case.retry_connection(
                command.customer_id,
                key,
                now=now,
                connections=services.connections,
                queue=work_queue.from_settings(),
            )
            logger.warning(
                "operator found the connection", extra=key_fields(command.customer_id, key)
            )
        case End():
            key = require_key(command.provider_id, command.company_id)
            ending = use_case.end(
                command.customer_id,
                key,
                now=now,
                connections=services.connections,
                queue=work_queue.from_settings(),
            )
            logger.warning(
                "operator found the connection", extra=key_fields(command.customer_id, key)
            )
            return {"status": ending.status}
        case Examine(callback_url=callback_url):
            return use_case.examine(callback_url, now=now, services=services)
        case Audit(customer_id=customer_id):
            records = audit_table.from_settings().of_customer(
                customer_id, since=command.since, until=command.until, limit=command.limit
            )
            if records:
                logger.warning("operator found the records", customer_id=customer_id)
            return {"records": [_record(one) for one in records]}
    return {"status": "queued"}


def _session(session: Consumed) -> dict[str, Any]:
    attempt, consumption = session.attempt, session.consumption
    token_response = session.escrow.token_response if isinstance(session, Keeping) else None
    return {
        "session": attempt.handle_hash,
        "phase": session.phase,
        "reason": session.error if isinstance(session, Held | Uncertain | Discarding) else None,
        "customer_id": attempt.customer_id,
        "since": consumption.consumed_at.isoformat(),
        "confirm_until": consumption.confirm_until.isoformat(),
        "finch_customer_id": attempt.finch_customer_id,
        "connection_id": token_response and token_response.connection_id,
        "provider_id": token_response and token_response.provider_id,
        "company_id": token_response and token_response.company_id,
    }


def _connection(connection: Connection) -> dict[str, Any]:
    since = connection.unfinished_since or connection.updated_at
    return {
        "customer_id": connection.customer_id,
        **_company(connection.key),
        "status": connection.status,
        "problem": connection.shown_problem,
        "since": since.isoformat(),
        "connection_ids": list(connection.connection_ids),
    }


def _picture(seen: Picture, action: str) -> dict[str, Any]:
    """The facts for a decision. The next invocation must repeat `decision`."""
    says = seen.says
    cut_off = [{"customer_id": one.customer_id, **_company(one.key)} for one in seen.owners]
    if action == "disconnect" and seen.answers_differ:
        warning = (
            "Finch's responses name different connections for this token. It cannot be ended here."
        )
    elif action == "attach":
        warning = "The token will be attached to this customer, who can then read this company."
    elif cut_off or seen.holders:
        warning = (
            "This ends the connection at Finch for good, also for all that would_be_cut_off lists."
        )
    else:
        warning = "This ends the connection at Finch for good. No other user of it is known."
    return {
        **_session(seen.session),
        **(_company(seen.key) if seen.key else {}),
        "finch_says": {
            "connection_id": says.connection_id,
            "provider_id": says.provider_id,
            "company_id": says.company_id,
            "status": says.status,
            "customer_id": says.customer_id,
            "products": sorted(says.products),
        }
        if says
        else "the token is dead",
        "answers_differ": seen.answers_differ,
        "would_be_cut_off": {"connections": cut_off, "sessions": list(seen.holders)},
        "warning": warning,
        "decision": seen.decision(action),
    }


def _transfer(
    session: str, decision: str | None, now: datetime, services: Services
) -> dict[str, Any]:
    """Transfers a company; without a `decision`, only shows the effect and the decision to repeat."""
    if decision is not None:
        key = transfer_company.transfer(session, decision, now=now, services=services)
        return {"status": "transferred", **_company(key)}
    shown = transfer_company.show(session, now=now, services=services)
    ending = {token.id for token in shown.after.tokens}
    return {
        **_picture(shown.seen, "transfer"),
        "from": _connection(shown.former),
        "logins_covered_by_the_held_token": [
            token.id for token in shown.former.tokens if token.id not in ending
        ],
        "logins_to_end_at_finch": sorted(ending),
        "warning": (
            "The company moves to the customer of this session. The customer in `from` loses it for good."
        ),
        "decision": shown.decision,
    }


def _record(record: AuditRecord) -> dict[str, Any]:
    return {
        "at": record.at.isoformat(),
        "outcome": record.outcome,
        "caller": record.caller,
        "purpose": record.purpose,
        "provider_id": record.provider_id,
        "company_id": record.company_id,
        "products": sorted(record.products),
        "connection_id": record.connection_id,
        "token_id": record.token_id,
        "call": record.call,
        "backend": record.backend,
    }


def _company(key: Any) -> dict[str, Any]:
    return {"provider_id": key.provider_id, "company_id": key.company_id} if key else {}


def _services() -> Services:
    return Services(
        sessions=session_table.from_settings(),
        connections=connection_table.from_settings(),
        ownerships=ownership_table.from_settings(),
        vault=token_vault.from_settings(),
        finch=connect_api.from_settings(),
        pause=time.sleep,
        max_connections=int(settings.read().max_connections),
    )


cold_start.ready(_services)
