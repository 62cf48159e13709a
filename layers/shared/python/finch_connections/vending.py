"""The flow that vends: opens one token for a backend, after the record of it is there."""

from datetime import datetime
from typing import NamedTuple

from finch_connections import metrics
from finch_connections.audit_table import AuditTable
from finch_connections.connection import Token
from finch_connections.connection_table import ConnectionTable
from finch_connections.log import logger
from finch_connections.secret_text import SecretText
from finch_connections.task import ConnectionTask, Task
from finch_connections.tend_queue import TendQueue
from finch_connections.token_request import AuditRecord, Outcome, Refused, TokenRequest, choose
from finch_connections.token_vault import TokenVault

# What its outcomes are counted under.
ROUTE = "vend_token"


class Outsiders(NamedTuple):
    """Everything outside that vending touches."""

    connections: ConnectionTable
    audit: AuditTable
    vault: TokenVault
    queue: TendQueue


class Vended(NamedTuple):
    """A token with its text."""

    token: Token
    text: SecretText


def vend(request: TokenRequest, *, now: datetime, outside: Outsiders) -> Vended | Refused:
    """A token for what is asked, or why there is none; either is recorded before it is said."""
    connection = outside.connections.get(request.customer_id, request.key)
    if connection is None:
        return _refuse(request, Refused(Outcome.NOT_FOUND), now, outside)
    choice = choose(connection, request.products)
    if isinstance(choice, Refused):
        return _refuse(request, choice, now, outside)
    ciphertext = connection.sealed[choice.id]
    opened = outside.vault.open_stored(ciphertext, request.customer_id, request.key)
    _record(request, Outcome.VENDED, choice, now, outside)
    return Vended(choice, opened)


def report(
    request: TokenRequest, token_id: str, *, now: datetime, outside: Outsiders
) -> Refused | None:
    """Queues a look at a connection whose token Finch has refused to a backend, who may be wrong.

    Of a token that is not there any more nothing is to be seen.
    """
    connection = outside.connections.show(request.customer_id, request.key)
    tokens = connection.tokens if connection else ()
    token = next((one for one in tokens if one.id == token_id), None)
    if token is None:
        return _refuse(request, Refused(Outcome.NOT_FOUND), now, outside)
    _record(request, Outcome.REPORTED, token, now, outside)
    task = Task.at_once(ConnectionTask(request.customer_id, request.key), now)
    outside.queue.send(task, now)
    return None


def refuse_unreadable(
    customer_id: str, caller: str | None, *, now: datetime, outside: Outsiders
) -> None:
    """Records a request about a customer that could not be understood otherwise."""
    record = AuditRecord(customer_id, now, Outcome.INVALID_REQUEST, caller)
    outside.audit.write(record)


def _refuse(request: TokenRequest, refused: Refused, now: datetime, outside: Outsiders) -> Refused:
    _record(request, refused.reason, None, now, outside)
    return refused


def _record(
    request: TokenRequest, outcome: Outcome, token: Token | None, now: datetime, outside: Outsiders
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
    )
    outside.audit.write(record)
    metrics.count(ROUTE, outcome)
    logger.info(
        "token asked for",
        outcome=outcome,
        caller=request.caller,
        customer_id=request.customer_id,
        provider_id=request.key.provider_id,
        company_id=request.key.company_id,
        token_id=record.token_id,
    )
