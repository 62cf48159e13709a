"""Shows an operator what is not over and needs a person, and carries out what they decide."""

import time
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, RootModel

from finch_connections import (
    audit_table,
    claim_table,
    cold_start,
    connection_table,
    finch_connect,
    request_body,
    resolving,
    session_table,
    tend_queue,
    token_vault,
)
from finch_connections.connect_session import ConnectSession, confirm_until
from finch_connections.connecting import Outsiders
from finch_connections.connection import IDENTIFIER, Connection, require_key
from finch_connections.dynamodb import Conflict
from finch_connections.finch_failure import FinchFailure
from finch_connections.log import logger
from finch_connections.refusal import Refusal
from finch_connections.resolving import NotAsShown, Picture
from finch_connections.token_request import AuditRecord

# What is logged of a command is what these let through: no token that was pasted in haste.
type SessionHash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
type Identifier = Annotated[str, Field(pattern=f"^(?:{IDENTIFIER.pattern})$")]


class _Command(BaseModel):
    model_config = ConfigDict(extra="forbid")


class List(_Command):
    """What began more than an hour ago and is not over."""

    action: Literal["list"]
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class Decide(_Command):
    """Attach a kept token, or have its connection ended; without `decision`, see what that means."""

    action: Literal["attach", "disconnect"]
    session: SessionHash
    decision: str | None = None


class Dismiss(_Command):
    """No connection is left of an uncertain exchange."""

    action: Literal["dismiss"]
    session: SessionHash


class RetrySession(_Command):
    """Look at a session now."""

    action: Literal["retry"]
    session: SessionHash


class RetryConnection(_Command):
    """Look at a connection now."""

    action: Literal["retry"]
    customer_id: Identifier
    provider_id: Identifier
    company_id: Identifier


class End(_Command):
    """End a connection at Finch, as its customer could."""

    action: Literal["end"]
    customer_id: str
    provider_id: str
    company_id: str


class Examine(_Command):
    """Whether Finch takes our credentials, and where it sends browsers back to."""

    action: Literal["examine"]
    callback_url: Annotated[str, Field(pattern="^https?://[^?#]+$")]


class Audit(_Command):
    """Who got a token of a customer, or asked for one, newest first; page on with `until`."""

    action: Literal["audit"]
    customer_id: Identifier
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 50


class Command(
    RootModel[List | Decide | Dismiss | RetrySession | RetryConnection | End | Examine | Audit]
):
    """What an operator asks for."""


def resolve_unfinished(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers `result`, or `error` with a `detail`: whoever invokes it is a person at a terminal."""
    logger.append_keys(request_id=context.aws_request_id)
    try:
        command = request_body.validate(Command, event).root
        logger.warning("operator", command=command.model_dump(exclude={"decision"}))
        return {"result": _do(command, datetime.now(UTC), _outside())}
    except (Refusal, FinchFailure) as error:
        return {"error": error.code, "detail": str(error)}
    except (NotAsShown, Conflict):
        detail = "It has changed since it was shown. Look again and decide again."
        return {"error": "changed", "detail": detail}


def _do(command: Any, now: datetime, outside: Outsiders) -> Any:
    match command:
        case List(limit=limit):
            found = resolving.unfinished(limit, now=now, outside=outside)
            return {
                "sessions": [
                    _session(one) | {"seems_recovered": one.handle_hash in found.seems_recovered}
                    for one in found.sessions
                ],
                "connections": [_connection(one) for one in found.connections],
            }
        case Decide(action=action, session=session, decision=None):
            return _picture(resolving.picture(session, outside=outside), action)
        case Decide(action="attach", session=session, decision=str(decision)):
            done = resolving.attach(session, decision, now=now, outside=outside)
            return {"status": done.status, **_company(done.key)}
        case Decide(session=session, decision=str(decision)):
            resolving.disconnect(session, decision, now=now, outside=outside)
            return {"status": "disconnected"}
        case Dismiss(session=session):
            resolving.dismiss(session, now=now, outside=outside)
            return {"status": "dismissed"}
        case RetrySession(session=session):
            resolving.retry_session(session, now=now, outside=outside)
        case RetryConnection():
            key = require_key(command.provider_id, command.company_id)
            resolving.retry_connection(command.customer_id, key, now=now, outside=outside)
        case End():
            key = require_key(command.provider_id, command.company_id)
            ending = resolving.end(command.customer_id, key, now=now, outside=outside)
            return {"status": ending.status}
        case Examine(callback_url=callback_url):
            return resolving.examine(callback_url, now=now, outside=outside)
        case Audit(customer_id=customer_id):
            records = audit_table.connect().of_customer(
                customer_id, since=command.since, until=command.until, limit=command.limit
            )
            return {"records": [_record(one) for one in records]}
    return {"status": "queued"}


def _session(session: ConnectSession) -> dict[str, Any]:
    grant = session.escrow.grant if session.escrow else None
    return {
        "session": session.handle_hash,
        "phase": session.phase,
        "reason": session.error,
        "customer_id": session.customer_id,
        "since": session.consumed_at.isoformat() if session.consumed_at else None,
        "confirm_until": confirm_until(session).isoformat(),
        "finch_customer_id": session.finch_customer_id,
        "connection_id": grant and grant.connection_id,
        "provider_id": grant and grant.provider_id,
        "company_id": grant and grant.company_id,
    }


def _connection(connection: Connection) -> dict[str, Any]:
    since = connection.disconnecting_since or connection.updated_at
    return {
        "customer_id": connection.customer_id,
        **_company(connection.key),
        "status": connection.status,
        "problem": connection.problem,
        "since": since.isoformat(),
        "connection_ids": list(connection.connection_ids),
    }


def _picture(seen: Picture, action: str) -> dict[str, Any]:
    """What an operator reads before deciding; `decision` goes into the next invocation."""
    says = seen.says
    hit = [{"customer_id": one.customer_id, **_company(one.key)} for one in seen.owners]
    if action == "attach":
        warning = "The token will be attached to this customer, who can then read this company."
    elif hit or seen.holders:
        warning = "This ends the connection at Finch for good, also for all of would_be_cut_off."
    else:
        warning = "This ends the connection at Finch for good. Nobody else is known to use it."
    return {
        **_session(seen.session),
        **(_company(seen.key) if seen.key else {}),
        "finch_says": {
            "connection_id": says.connection_id,
            "status": says.status,
            "customer_id": says.customer_id,
            "products": sorted(says.products),
        }
        if says
        else "the token is dead",
        "would_be_cut_off": {"connections": hit, "sessions": list(seen.holders)},
        "warning": warning,
        "decision": seen.decision(action),
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
    }


def _company(key: Any) -> dict[str, Any]:
    return {"provider_id": key.provider_id, "company_id": key.company_id} if key else {}


def _outside() -> Outsiders:
    return Outsiders(
        sessions=session_table.connect(),
        connections=connection_table.connect(),
        claims=claim_table.connect(),
        vault=token_vault.connect(),
        finch=finch_connect.connect(),
        queue=tend_queue.connect(),
        pause=time.sleep,
    )


cold_start.ready(_outside)
