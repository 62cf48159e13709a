"""Disconnects a connection or a single entity of it: at Finch first, and only then in the row."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.dynamodb import Conflict
from finch_connections.aws.ownership_table import OwnershipTable
from finch_connections.aws.token_vault import TokenVault
from finch_connections.domain.connection import (
    TRANSFERRED,
    CompanyKey,
    Connection,
    ConnectionBusy,
    ConnectionNotFound,
    ConnectionStatus,
    disconnect_refused,
    disconnected,
    disconnecting,
    entity_disconnected,
    entity_disconnecting,
    entity_refused,
    is_pair_id,
    key_fields,
    noted,
    partly_ended,
    refused_for_days,
)
from finch_connections.domain.health import dead_for_good, found_alive, found_dead
from finch_connections.domain.history import HistoryEntry, Step, added
from finch_connections.domain.ownership import Ownership, freed
from finch_connections.domain.secret import SecretText
from finch_connections.finch.client import FinchClient
from finch_connections.finch.errors import (
    NOT_ABOUT_THE_TOKEN,
    FinchFailure,
    FinchMisconfigured,
    FinchUnavailable,
    TokenDead,
    UnknownAnswer,
)
from finch_connections.log import logger

if TYPE_CHECKING:
    from finch_connections.aws.dynamodb import Write

_ATTEMPTS = 5


class Services(NamedTuple):
    """Everything that a disconnect reads and writes."""

    connections: ConnectionTable
    ownerships: OwnershipTable
    vault: TokenVault
    finch: FinchClient
    kept: Callable[[str, Collection[str]], Iterable[SecretText]] | None = None
    """Decrypts the tokens of a Finch connection (first argument) that the sessions (second) keep in escrow.

    None in a function that may not decrypt escrowed tokens.
    """


def disconnect(
    customer_id: str, key: CompanyKey, *, now: datetime, services: Services
) -> Connection:
    """Ends all Finch connections of a connection, and returns the connection.

    It is `disconnected` if Finch has confirmed the end of each. Otherwise it is `disconnecting`, keeps
    all tokens, and a work item continues, also if AWS fails after the connection was marked. If another
    call has ended it in the meantime, the result is the connection as it is now, with any new login
    untouched. Raises `ConnectionNotFound`, and `ConnectionBusy` if other requests keep changing the
    connection.
    """
    connection = begin(customer_id, key, now=now, connections=services.connections)
    try:
        return _resume(connection, now, services)
    except (ClientError, BotoCoreError):
        logger.exception("disconnect continues later")
        return connection


def disconnect_entity(
    customer_id: str, key: CompanyKey, entity_id: str, *, now: datetime, services: Services
) -> Connection:
    """Ends one entity of a connection at Finch, and returns the connection.

    The last entity ends the whole connection. If Finch has not confirmed the end, the entity is
    `disconnecting`, and a work item continues, also if AWS fails after the entity was marked. Raises
    `ConnectionNotFound`, also for an entity that the connection does not have, and `ConnectionBusy`.
    """
    connection = begin(
        customer_id, key, now=now, connections=services.connections, entity_id=entity_id
    )
    try:
        if connection.status is ConnectionStatus.DISCONNECTING:
            return _resume(connection, now, services)
        return _end_entities(connection, [entity_id], now, services)
    except (ClientError, BotoCoreError):
        logger.exception("disconnect continues later")
        return connection


def resume(
    customer_id: str, key: CompanyKey, *, now: datetime, services: Services
) -> Connection | None:
    """Continues the disconnect of a connection or of its entities, and returns the connection.

    Changes nothing if none is under way. If Finch has refused for days, the customer gets the connection
    back as `reauth` with the problem `disconnect_refused`, or the entity back with the problem
    `entity_disconnect_refused`. Raises `ConnectionBusy`.
    """
    connection = services.connections.get(customer_id, key)
    if connection is None:
        return None
    connection = _end_entities(connection, list(connection.ending_entities), now, services)
    if connection.status is not ConnectionStatus.DISCONNECTING:
        return connection
    return _resume(connection, now, services)


def begin(
    customer_id: str,
    key: CompanyKey,
    *,
    now: datetime,
    connections: ConnectionTable,
    entity_id: str | None = None,
) -> Connection:
    """Marks a connection or an entity as `disconnecting`, which makes it due soon; returns the connection.

    What is `disconnecting` or `disconnected` already stays unchanged. Raises `ConnectionNotFound`, and
    `ConnectionBusy` if other requests keep changing the connection.
    """
    for _ in range(_ATTEMPTS):
        before = _existing(customer_id, key, connections)
        # Decided again after each conflict: of two requests for the last two entities, one ends the rest.
        if entity_id is not None:
            after = entity_disconnecting(before, entity_id, now)
        elif before.status in (ConnectionStatus.DISCONNECTING, ConnectionStatus.DISCONNECTED):
            after = before
        else:
            after = disconnecting(before, now)
        if after is before:
            return before
        try:
            connections.write(after)
        except Conflict:
            continue
        return after
    raise ConnectionBusy


def _resume(connection: Connection, now: datetime, services: Services) -> Connection:
    customer_id, key = connection.customer_id, connection.key
    conflict, confirmed = False, dict[str, str | None]()
    refusals: list[HistoryEntry] = []
    for _ in range(_ATTEMPTS):
        if connection.status is not ConnectionStatus.DISCONNECTING:
            # Another call has ended it. This call must not end a login that was connected later.
            return connection
        try:
            connection, refused = _end_each(connection, confirmed, refusals, now, services)
            connection = replace(connection, history=added(connection.history, *refusals))
            if connection.ended.issuperset(connection.connection_ids):
                after = disconnected(connection, now)
            elif (
                refused
                and connection.problem != TRANSFERRED
                and refused_for_days(connection.disconnecting_since, now)
            ):
                after = disconnect_refused(connection, now)
            else:
                logger.warning("disconnect unfinished", extra=key_fields(customer_id, key))
                return _remembered(connection, refusals, services)
            owned = freed(connection, after)
            # Usually the records have no holders. So the first attempt does not read the records.
            freeing = (
                free_as_read(owned, services.ownerships)
                if conflict
                else [services.ownerships.freeing(one, held=False) for one in owned]
            )
            services.connections.write(after, together_with=freeing)
        except Conflict:
            connection, conflict = _existing(customer_id, key, services.connections), True
            continue
        if after.status is ConnectionStatus.DISCONNECTED:
            logger.info("disconnected", extra=key_fields(customer_id, key))
        else:
            logger.error("disconnect refused", extra=key_fields(customer_id, key))
        return after
    raise ConnectionBusy


def _end_entities(
    connection: Connection, entity_ids: Iterable[str], now: datetime, services: Services
) -> Connection:
    """Ends these entities as far as Finch allows now, and returns the connection."""
    try:
        for entity_id in entity_ids:
            connection = _end_entity(connection, entity_id, now, services)
    except NOT_ABOUT_THE_TOKEN as error:
        logger.warning("disconnect stopped", reason=type(error).__name__)
    return connection


def _end_entity(
    connection: Connection, entity_id: str, now: datetime, services: Services
) -> Connection:
    """Ends an entity that is marked, and returns the connection.

    Every Finch connection with the entity must confirm it. Where Finch calls all tokens dead, the health
    check decides: it believes it an hour later, and drops the tokens. Raises `ConnectionBusy` and
    `NOT_ABOUT_THE_TOKEN`.
    """
    fields = key_fields(connection.customer_id, connection.key)
    for _ in range(_ATTEMPTS):
        since = connection.ending_entities.get(entity_id)
        if since is None:
            # Another call has ended it, or the whole connection is on its way.
            return connection
        refusals: list[HistoryEntry] = []
        confirmed, refused = _confirmed(connection, entity_id, refusals, now, services)
        connection = replace(connection, history=added(connection.history, *refusals))
        after = entity_disconnected(connection, entity_id, confirmed, now)
        if entity_id in after.ending_entities and not confirmed:
            if not (refused and refused_for_days(since, now)):
                logger.warning("entity disconnect unfinished", extra=fields, entity_id=entity_id)
                return _remembered(connection, refusals, services)
            after = entity_refused(connection, entity_id, now)
        try:
            services.connections.write(after)
        except Conflict:
            connection = _existing(connection.customer_id, connection.key, services.connections)
            continue
        if entity_id in after.refused_entities:
            logger.error("entity disconnect refused", extra=fields, entity_id=entity_id)
        elif entity_id not in after.ending_entities:
            logger.info("entity disconnected", extra=fields, entity_id=entity_id)
        return after
    raise ConnectionBusy


def _remembered(
    connection: Connection, refusals: Sequence[HistoryEntry], services: Services
) -> Connection:
    """Stores what Finch has just refused, unless the connection has changed. Returns the connection."""
    if refusals:
        with suppress(Conflict):
            after = noted(connection)
            services.connections.write(after)
            return after
    return connection


def _confirmed(
    connection: Connection,
    entity_id: str,
    refusals: list[HistoryEntry],
    now: datetime,
    services: Services,
) -> tuple[set[str], bool]:
    """The Finch connections that have confirmed the end of an entity, and whether another has refused it.

    Adds an entry for each refusal to `refusals`.
    """
    confirmed, refused = set[str](), False
    ids = {one.connection_id for one in connection.tokens if entity_id in one.living_entities}
    for connection_id in sorted(ids):
        results = (
            _entity_ended(token, entity_id, services.finch)
            for token in _newest_first(connection, connection_id, services.vault)
        )
        try:
            if all(list(results)) if is_pair_id(connection_id) else any(results):
                confirmed.add(connection_id)
                continue
            failure: FinchFailure = TokenDead(services.finch.request_id)
        except NOT_ABOUT_THE_TOKEN:
            raise
        except FinchFailure as error:
            refused = refused or not isinstance(error, FinchUnavailable)
            failure = error
        logger.warning(
            "entity disconnect not confirmed",
            connection_id=connection_id,
            reason=type(failure).__name__,
        )
        refusals.append(failure.entry(now, Step.ENTITY_NOT_ENDED))
    return confirmed, refused


def _entity_ended(token: SecretText, entity_id: str, finch: FinchClient) -> bool:
    """Whether Finch confirms the end of an entity; False if it calls the token dead.

    Finch refuses an entity that has ended before, as after a lost response. `/introspect` then says so.
    Raises `FinchFailure`.
    """
    try:
        finch.disconnect_entity(token, entity_id)
    except (FinchUnavailable, FinchMisconfigured):
        raise
    except FinchFailure as error:
        try:
            if finch.is_disconnected(token, entity_id):
                return True
        except TokenDead:
            return False
        if isinstance(error, TokenDead):
            raise UnknownAnswer from None
        raise
    return True


def _newest_first(
    connection: Connection, connection_id: str, vault: TokenVault
) -> Iterator[SecretText]:
    """The decrypted tokens of a Finch connection, the newest first."""
    return (
        vault.decrypt_stored(
            connection.ciphertexts[token.id], connection.customer_id, connection.key
        )
        for token in reversed(connection.tokens)
        if token.connection_id == connection_id
    )


def _existing(customer_id: str, key: CompanyKey, connections: ConnectionTable) -> Connection:
    connection = connections.get(customer_id, key)
    if connection is None:
        raise ConnectionNotFound
    return connection


def _end_each(
    connection: Connection,
    confirmed: dict[str, str | None],
    refusals: list[HistoryEntry],
    now: datetime,
    services: Services,
) -> tuple[Connection, bool]:
    """The connection with the ids that Finch has confirmed so far, and whether Finch refused the rest.

    Writes after each id except the last, so that many logins come to an end even if Finch is slow.
    Adds the ids that a token has ended to `confirmed`, with the id of Finch's response, for the next
    attempt after a conflict, and an entry for each id that Finch has not ended to `refusals`. An id
    counts as ended without that if Finch calls all its tokens dead, and has called them dead an hour
    before; the next attempt checks this again, because the other write may have added a token. Raises
    `Conflict`.
    """
    refused = False
    for connection_id in connection.connection_ids:
        if connection_id in connection.ended:
            continue
        try:
            if connection_id not in confirmed and _end(connection, connection_id, services):
                confirmed[connection_id] = services.finch.request_id
            elif connection_id not in confirmed and not dead_for_good(
                connection, connection_id, now
            ):
                logger.warning("disconnect not confirmed", connection_id=connection_id)
                dead = TokenDead(services.finch.request_id)
                refusals.append(dead.entry(now, Step.NOT_ENDED))
                connection = _noted(
                    found_dead(connection, connection_id, now), connection, services
                )
                continue
        except NOT_ABOUT_THE_TOKEN as error:
            logger.warning("disconnect stopped", reason=type(error).__name__)
            refusals.append(error.entry(now, Step.NOT_ENDED))
            return connection, False
        except FinchFailure as error:
            logger.warning(
                "disconnect not confirmed",
                connection_id=connection_id,
                reason=type(error).__name__,
                finch_request_id=error.finch_request_id,
            )
            refusals.append(error.entry(now, Step.NOT_ENDED))
            refused = refused or not isinstance(error, FinchUnavailable)
            if not_dead(error):
                connection = _noted(found_alive(connection, connection_id), connection, services)
            continue
        ended = partly_ended(
            connection, connection.ended | {connection_id}, now, confirmed.get(connection_id)
        )
        if ended.ended.issuperset(connection.connection_ids):
            # The caller's write ends the connection and includes this id.
            return replace(connection, ended=ended.ended, history=ended.history), False
        services.connections.write(ended)
        connection = ended
    return connection, refused


def _noted(after: Connection, before: Connection, services: Services) -> Connection:
    """Writes what Finch said of the tokens, if it is new, and returns the connection."""
    if after is not before:
        services.connections.write(after)
    return after


def _end(connection: Connection, connection_id: str, services: Services) -> bool:
    """Ends a Finch connection: True if a token ended it, False if all its tokens are dead.

    A 200 for any token ends the connection for all of them, but only Finch's own id shows which tokens
    they are: behind a pair id, each token of the connection must end, and tokens that sessions keep in
    escrow are other logins. Otherwise dead tokens count only if all are dead, including the tokens that
    sessions keep in escrow: Finch may have revoked only this token, or a repair may have replaced it.
    Raises `FinchFailure` in any other case.
    """
    newest_first = _newest_first(connection, connection_id, services.vault)
    results = (_ended(token, services.finch) for token in newest_first)
    if is_pair_id(connection_id):
        # A list, so that every token is tried.
        return all(list(results))
    if any(results):
        return True
    record = services.ownerships.of_connection_id(connection_id)
    if record is None or not record.holders:
        return False
    if services.kept is None:
        raise FinchUnavailable
    kept = services.kept(connection_id, record.holders)
    return any(_ended(token, services.finch) for token in kept)


def _ended(token: SecretText, finch: FinchClient) -> bool:
    """Whether the token has ended its Finch connection; False if Finch calls the token dead."""
    try:
        end_connection(token, finch)
    except TokenDead:
        return False
    return True


def end_connection(token: SecretText, finch: FinchClient) -> None:
    """Ends the token's Finch connection for good, with all of its tokens.

    Raises `FinchFailure`. After `AnswerLost`, the connection may have ended. Raises `TokenDead` only if
    `/introspect` says so too. Both answers can be wrong in the same moment, so the caller believes it
    only when Finch repeats it an hour later: Finch would bill the connection for ever.
    """
    try:
        finch.disconnect(token)
    except TokenDead:
        finch.introspect(token)
        raise UnknownAnswer from None


def not_dead(error: FinchFailure) -> bool:
    """Whether Finch's response shows that it does not call the token dead any more."""
    return isinstance(error, UnknownAnswer) or not isinstance(error, FinchUnavailable | TokenDead)


def free_as_read(owned: Iterable[Ownership], ownerships: OwnershipTable) -> "list[Write]":
    """Reads the records of these ownerships, and returns the writes that free them."""
    records = [(one, ownerships.get(one.owned_id)) for one in owned]
    return [
        ownerships.freeing(one, held=bool(record.holders))
        for one, record in records
        if record and record.owner == one
    ]
