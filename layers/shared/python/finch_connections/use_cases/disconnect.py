"""The flow that disconnects: Finch first, and only then do we forget the tokens."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.dynamodb import Conflict
from finch_connections.aws.ownership_table import OwnershipTable
from finch_connections.aws.token_vault import TokenVault
from finch_connections.aws.work_queue import WorkQueue
from finch_connections.background import in_background
from finch_connections.domain.connection import (
    CompanyKey,
    Connection,
    ConnectionBusy,
    ConnectionNotFound,
    ConnectionStatus,
    Token,
    disconnect_refused,
    disconnected,
    disconnecting,
    partly_ended,
    refused_for_days,
)
from finch_connections.domain.ownership import Ownership
from finch_connections.domain.secret import SecretText
from finch_connections.domain.work_item import ConnectionSubject, WorkItem
from finch_connections.finch.client import FinchClient
from finch_connections.finch.errors import (
    FinchFailure,
    FinchMisconfigured,
    FinchUnavailable,
    NotReached,
    RateLimited,
    TokenDead,
    UnknownAnswer,
)
from finch_connections.log import logger

if TYPE_CHECKING:
    from finch_connections.aws.dynamodb import Write

_ATTEMPTS = 5
# Not about one connection: the next one would fare no better, and it would be one call too many.
_NOT_ABOUT_ONE = (NotReached, RateLimited, FinchMisconfigured)


# What waits for the texts of tokens that are being opened, by their ciphertexts.
type _Opening = dict[bytes, Callable[[], SecretText]]


class Services(NamedTuple):
    """Everything outside that disconnecting touches."""

    connections: ConnectionTable
    ownerships: OwnershipTable
    vault: TokenVault
    finch: FinchClient
    queue: WorkQueue
    kept: Callable[[str, Collection[str]], Iterable[SecretText]] | None = None
    """The tokens of a Finch connection that attempts keep, by their `handle_hash`; None for who may
    open none."""


def disconnect(
    customer_id: str, key: CompanyKey, *, now: datetime, services: Services
) -> Connection:
    """The connection after Finch was told to end every one of its connection ids.

    It is `disconnected` once Finch has confirmed all of them, else still `disconnecting` with all of
    its tokens kept, and its task goes on. Where another call ended it meanwhile, what has been
    connected since is left alone and answered. Raises `ConnectionNotFound`, and `ConnectionBusy`
    where others keep writing the connection.
    """
    opening: _Opening = {}
    connection = begin(
        customer_id,
        key,
        now=now,
        connections=services.connections,
        queue=services.queue,
        meanwhile=lambda there: _open_first(there, services, opening),
    )
    return _resume(connection, now, services, opening)


def resume(
    customer_id: str, key: CompanyKey, *, now: datetime, services: Services
) -> Connection | None:
    """The connection after another try, where it is on its way out; else nothing is done.

    What Finch has refused to end for days goes back to its customer, and to whoever is on duty.
    Raises `ConnectionBusy`.
    """
    connection = services.connections.get(customer_id, key)
    if connection is None or connection.status is not ConnectionStatus.DISCONNECTING:
        return connection
    return _resume(connection, now, services, {})


def begin(
    customer_id: str,
    key: CompanyKey,
    *,
    now: datetime,
    connections: ConnectionTable,
    queue: WorkQueue,
    meanwhile: Callable[[Connection], object] = lambda _: None,
) -> Connection:
    """The connection marked as on its way out, by this call or by one before; or as it ended.

    Its task goes on from there. `meanwhile` is begun with what is about to be marked. Raises
    `ConnectionNotFound`, and `ConnectionBusy` where others keep writing the connection.
    """
    watched = False
    for _ in range(_ATTEMPTS):
        connection = _there(customer_id, key, connections)
        if connection.status in (ConnectionStatus.DISCONNECTING, ConnectionStatus.DISCONNECTED):
            return connection
        meanwhile(connection)
        if not watched:
            queue.send(WorkItem.first(ConnectionSubject(customer_id, key), now), now)
            watched = True
        connection = disconnecting(connection, now)
        try:
            connections.write(connection)
        except Conflict:
            continue
        return connection
    raise ConnectionBusy


def _resume(
    connection: Connection, now: datetime, services: Services, opening: _Opening
) -> Connection:
    customer_id, key = connection.customer_id, connection.key
    sure, confirmed = False, set[str]()
    for _ in range(_ATTEMPTS):
        if connection.status is not ConnectionStatus.DISCONNECTING:
            # Ended by another call. What was connected since then is not this call's to end.
            return connection
        try:
            connection, refused = _end_each(connection, confirmed, now, services, opening)
            if connection.ended.issuperset(connection.connection_ids):
                gone = disconnected(connection, now)
            elif refused and refused_for_days(connection.disconnecting_since, now):
                gone = disconnect_refused(connection, now)
            else:
                logger.warning("disconnect unfinished", extra=_fields(connection))
                return connection
            freed = freeing(connection, gone, services.ownerships, sure=sure)
            services.connections.write(gone, together_with=freed)
        except Conflict:
            connection, sure = _there(customer_id, key, services.connections), True
            continue
        if gone.status is ConnectionStatus.DISCONNECTED:
            logger.info("disconnected", extra=_fields(connection))
        else:
            logger.error("disconnect refused", extra=_fields(connection))
        return gone
    raise ConnectionBusy


def _there(customer_id: str, key: CompanyKey, connections: ConnectionTable) -> Connection:
    connection = connections.get(customer_id, key)
    if connection is None:
        raise ConnectionNotFound
    return connection


def _end_each(
    connection: Connection,
    confirmed: set[str],
    now: datetime,
    services: Services,
    opening: _Opening,
) -> tuple[Connection, bool]:
    """The connection with what Finch has confirmed so far, and whether Finch refused the rest.

    Written after each but the last, so that many logins come to an end however slow Finch is.
    `confirmed` grows by what a token has ended, written or not: that all are dead is looked at anew
    where others have written meanwhile, for one of them may have another. Raises `Conflict`.
    """
    refused = False
    for connection_id in connection.connection_ids:
        if connection_id in connection.ended:
            continue
        try:
            if connection_id not in confirmed:
                by_a_token = _end(connection, connection_id, services, opening)
                if by_a_token:
                    confirmed.add(connection_id)
        except _NOT_ABOUT_ONE as error:
            logger.warning("disconnect stopped", reason=type(error).__name__)
            return connection, False
        except FinchFailure as error:
            logger.warning(
                "disconnect not confirmed",
                connection_id=connection_id,
                reason=type(error).__name__,
                finch_request_id=error.finch_request_id,
            )
            refused = refused or not isinstance(error, FinchUnavailable)
            continue
        ended = partly_ended(connection, connection.ended | {connection_id}, now)
        if ended.ended.issuperset(connection.connection_ids):
            # The write that says so is the one that ends the connection.
            return replace(connection, ended=ended.ended), False
        services.connections.write(ended)
        connection = ended
    return connection, refused


def _end(connection: Connection, connection_id: str, services: Services, opening: _Opening) -> bool:
    """Has Finch end one connection id; whether it has by one of its tokens, or all of them are dead.

    A 200 is its word for all tokens of the connection id. That a token is dead counts only when all
    of them are, those of attempts that are not over included: the one tried may have been revoked
    alone, or by the repair that made another. Nothing else counts: raises `FinchFailure`.
    """
    ours = (_open(connection, one, services, opening) for one in _newest(connection, connection_id))
    if _ended_by((text() for text in ours), services.finch):
        return True
    there = services.ownerships.of_connection_id(connection_id)
    if there is None or not there.holders:
        return False
    if services.kept is None:
        raise UnknownAnswer
    return _ended_by(services.kept(connection_id, there.holders), services.finch)


def _ended_by(tokens: Iterable[SecretText], finch: FinchClient) -> bool:
    """Whether Finch has ended a connection by one of its tokens, and does not call all of them dead."""
    for token in tokens:
        try:
            finch.disconnect(token)
        except TokenDead:
            continue
        return True
    return False


def end_connection(token: SecretText, finch: FinchClient) -> None:
    """Ends the token's Finch connection for good, with all of its tokens; raises `FinchFailure`."""
    finch.disconnect(token)


def _newest(connection: Connection, connection_id: str) -> list[Token]:
    """The tokens of one of its connection ids, the newest first."""
    return [one for one in reversed(connection.tokens) if one.connection_id == connection_id]


def _open_first(connection: Connection, services: Services, opening: _Opening) -> None:
    """Begins to open the token that Finch will be shown first."""
    for connection_id in connection.connection_ids[:1]:
        _open(connection, _newest(connection, connection_id)[0], services, opening)


def _open(
    connection: Connection, token: Token, services: Services, opening: _Opening
) -> Callable[[], SecretText]:
    """What waits for the text of a token, which is opened beside other calls, and once."""
    ciphertext = connection.ciphertexts[token.id]
    if ciphertext not in opening:
        customer_id, key = connection.customer_id, connection.key
        opening[ciphertext] = in_background(
            partial(services.vault.decrypt_stored, ciphertext, customer_id, key)
        )
    return opening[ciphertext]


def freeing(
    before: Connection, after: Connection, ownerships: OwnershipTable, *, sure: bool
) -> "list[Write]":
    """The writes that free what the connection no longer holds.

    Most often nobody else holds it. To be `sure`, each claim is read first.
    """
    customer_id, key = before.customer_id, before.key
    owned = [
        Ownership.of_connection_id(connection_id, customer_id, key)
        for connection_id in before.connection_ids
        if connection_id not in after.connection_ids
    ]
    if not after.tokens:
        owned.append(Ownership.of_company(customer_id, key))
    if not sure:
        return [ownerships.freeing(one, held=False) for one in owned]
    there = [(one, ownerships.get(one.owned_id)) for one in owned]
    return [
        ownerships.freeing(one, held=bool(record.holders))
        for one, record in there
        if record and record.owner == one
    ]


def _fields(connection: Connection) -> dict[str, str]:
    return {
        "customer_id": connection.customer_id,
        "provider_id": connection.key.provider_id,
        "company_id": connection.key.company_id,
    }
