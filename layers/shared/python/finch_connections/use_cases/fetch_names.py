"""Fetches the display names of a connection's provider and company from Finch, and stores them."""

from collections.abc import Callable
from typing import NamedTuple

from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.dynamodb import Conflict
from finch_connections.aws.token_vault import TokenVault
from finch_connections.domain.connection import (
    Connection,
    ConnectionStatus,
    token_for_name,
    with_names,
)
from finch_connections.finch.errors import (
    FinchFailure,
    FinchUnavailable,
    Forbidden,
    RequestRefused,
)
from finch_connections.finch.names_api import NamesApi
from finch_connections.log import logger


class Services(NamedTuple):
    """Everything that fetching names reads and writes."""

    connections: ConnectionTable
    vault: TokenVault
    names: NamesApi


def fetch(connection: Connection, *, services: Services) -> bool:
    """Fetches the missing names of a connection. Returns whether to try again soon.

    True if Finch has no data yet, limits requests or is down, or if another write of the connection
    came first; then nothing is written. False if Finch refuses to give a name. Then an empty name is
    stored, so that the name is not asked for at each check; Finch refuses it for a company with several
    entities, unless the company has a name of its own. A connection that is `disconnecting` or has no
    token stays unchanged.
    """
    if connection.status is ConnectionStatus.DISCONNECTING or not connection.tokens:
        return False
    later, provider_name, company_name = False, connection.provider_name, connection.company_name
    if provider_name is None:
        provider_id = (connection.finch_key or connection.key).provider_id
        fetched = _fetched(lambda: services.names.of_provider(provider_id))
        provider_name, later = fetched.name, fetched.later
    token = token_for_name(connection)
    if company_name is None and token:
        text = services.vault.decrypt_stored(
            connection.ciphertexts[token.id], connection.customer_id, connection.key
        )
        fetched = _fetched(lambda: services.names.of_company(text))
        company_name, later = fetched.name, later or fetched.later
    after = with_names(connection, provider_name, company_name)
    if after is not connection:
        try:
            services.connections.write(after)
        except Conflict:
            return True
    return later


class _Fetched(NamedTuple):
    name: str | None = None
    later: bool = False


def _fetched(call: Callable[[], str | None]) -> _Fetched:
    try:
        return _Fetched(call() or "")
    except (RequestRefused, Forbidden) as error:
        logger.info("name not fetched", reason=type(error).__name__)
        return _Fetched("")
    except FinchFailure as error:
        logger.info("name not fetched", reason=type(error).__name__)
        return _Fetched(later=isinstance(error, FinchUnavailable))
