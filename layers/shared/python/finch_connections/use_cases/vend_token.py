"""Vends a token to a backend: decrypts it, and stores an audit record before it returns the token."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from finch_connections import metrics
from finch_connections.aws.audit_table import AuditTable
from finch_connections.aws.connection_table import ConnectionTable, Page
from finch_connections.aws.dynamodb import Conflict
from finch_connections.aws.token_vault import TokenVault
from finch_connections.aws.work_queue import WorkQueue
from finch_connections.domain.connection import CompanyKey, Connection, Token, key_fields
from finch_connections.domain.secret import SecretText
from finch_connections.domain.token_request import (
    AuditRecord,
    Outcome,
    Refused,
    TokenRequest,
    choose,
    readable_entities,
)
from finch_connections.domain.work_item import ConnectionSubject, WorkItem
from finch_connections.log import logger

# The `route` of the outcomes in the metrics, for tokens and for calls of Finch.
ROUTE = "vend_token"
CALL_ROUTE = "call_finch"
# Finch's ids are short, so a list of so many connections fits into a response of Lambda.
PAGE = 1_000


class Services(NamedTuple):
    """Everything that vending reads and writes."""

    connections: ConnectionTable
    audit: AuditTable
    vault: TokenVault
    queue: WorkQueue


class Vended(NamedTuple):
    """A token, its decrypted text, and the entities that it can read."""

    token: Token
    text: SecretText
    readable: frozenset[str]


class Found(NamedTuple):
    """The token that a request gets, with its connection."""

    token: Token
    connection: Connection

    @property
    def readable(self) -> frozenset[str]:
        """The entities that the token can read."""
        return readable_entities(self.token, self.connection)


def vend(
    request: TokenRequest, *, in_time: Callable[[], bool], now: datetime, services: Services
) -> Vended | Refused:
    """A token that covers the request, or the reason to refuse. Both are recorded before this returns."""
    found = find(request, now=now, services=services)
    if isinstance(found, Refused):
        return found
    return take(request, found, in_time=in_time, now=now, services=services)


def find(request: TokenRequest, *, now: datetime, services: Services) -> Found | Refused:
    """The token that covers the request, still encrypted, or the reason to refuse, which is recorded."""
    connection = services.connections.get(request.customer_id, request.key)
    if connection is None:
        return refuse(request, Refused(Outcome.NOT_FOUND), now=now, services=services)
    choice = choose(connection, request.products)
    if isinstance(choice, Refused):
        return refuse(request, choice, now=now, services=services)
    return Found(choice, connection)


def take(
    request: TokenRequest,
    found: Found,
    *,
    in_time: Callable[[], bool],
    now: datetime,
    services: Services,
) -> Vended:
    """Decrypts the token. The request is recorded before this returns.

    The first token of a Finch connection on a day also updates its last use. The response does not depend
    on this write, so it needs time: `in_time` says whether enough is left.
    """
    token, connection = found
    ciphertext = connection.ciphertexts[token.id]
    text = services.vault.decrypt_stored(ciphertext, request.customer_id, request.key)
    _record(request, Outcome.CALLED if request.call else Outcome.VENDED, token, now, services)
    if in_time():
        _note_use(connection, token.connection_id, now, services)
    return Vended(token, text, found.readable)


def report(
    request: TokenRequest, token_id: str, *, now: datetime, services: Services
) -> Refused | None:
    """Records a backend's report that Finch refused a token, and queues a health check.

    Returns a refusal, without a check, if the connection has no such token any more.
    """
    connection = services.connections.show(request.customer_id, request.key)
    tokens = connection.tokens if connection else ()
    token = next((one for one in tokens if one.id == token_id), None)
    if token is None:
        return refuse(request, Refused(Outcome.NOT_FOUND), now=now, services=services)
    _record(request, Outcome.REPORTED, token, now, services)
    work_item = WorkItem(ConnectionSubject(request.customer_id, request.key), now)
    services.queue.send(work_item)
    return None


def list_connections(
    customer_id: str,
    caller: str,
    purpose: str,
    *,
    after: CompanyKey | None,
    now: datetime,
    services: Services,
) -> Page:
    """Some of the customer's connections without ciphertexts. The request is recorded before this returns."""
    page = services.connections.page(customer_id, limit=PAGE, after=after)
    services.audit.write(AuditRecord(customer_id, now, Outcome.LISTED, caller, purpose))
    metrics.count(ROUTE, Outcome.LISTED)
    logger.info(
        "connections asked for", customer_id=customer_id, caller=caller, count=len(page.connections)
    )
    return page


def record_invalid(
    customer_id: str, caller: str | None, *, now: datetime, services: Services
) -> None:
    """Records an invalid request in which at least the customer and the caller are readable."""
    record = AuditRecord(customer_id, now, Outcome.INVALID_REQUEST, caller)
    services.audit.write(record)


def _note_use(
    connection: Connection, connection_id: str, now: datetime, services: Services
) -> None:
    used_at = connection.used_at.get(connection_id)
    if used_at and used_at.date() >= now.date():
        return
    try:
        services.connections.note_use(connection, connection_id, now)
    except Conflict:
        # Another write came first. The next token of this day tries again.
        return
    except Exception:
        # The token is recorded already, so this is no reason to refuse it.
        logger.exception("use not noted")


def refuse(
    request: TokenRequest, refused: Refused, *, now: datetime, services: Services
) -> Refused:
    """Records a refusal, and returns it."""
    _record(request, refused.reason, None, now, services)
    return refused


def _record(
    request: TokenRequest, outcome: Outcome, token: Token | None, now: datetime, services: Services
) -> None:
    record = AuditRecord(
        customer_id=request.customer_id,
        at=now,
        outcome=outcome,
        caller=request.caller,
        purpose=request.purpose,
        provider_id=request.key.provider_id,
        company_id=request.key.company_id,
        products=request.products,
        connection_id=token.connection_id if token else None,
        token_id=token.id if token else None,
        call=str(request.call) if request.call else None,
    )
    services.audit.write(record)
    metrics.count(CALL_ROUTE if request.call else ROUTE, outcome)
    logger.info(
        "call of finch asked for" if request.call else "token asked for",
        extra=key_fields(request.customer_id, request.key),
        outcome=outcome,
        caller=request.caller,
        token_id=record.token_id,
    )
