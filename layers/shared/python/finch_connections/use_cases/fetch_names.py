"""Fetches the names of a connection's provider and company from Finch, and the provider's icon."""

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
from finch_connections.finch.names_api import NamesApi, Provider
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
    provider_icon = connection.provider_icon
    if provider_name is None or provider_icon is None:
        provider_id = (connection.finch_key or connection.key).provider_id
        provider, later = _fetched(lambda: services.names.of_provider(provider_id), Provider())
        if provider:
            provider_name = provider.name if provider_name is None else provider_name
            provider_icon = provider.icon
    token = token_for_name(connection)
    if company_name is None and token:
        text = services.vault.decrypt_stored(
            connection.ciphertexts[token.id], connection.customer_id, connection.key
        )
        company_name, company_later = _fetched(lambda: services.names.of_company(text), "")
        later = later or company_later
    after = with_names(connection, provider_name, company_name, provider_icon)
    if after is not connection:
        try:
            services.connections.write(after)
        except Conflict:
            return True
    return later


def _fetched[T](call: Callable[[], T | None], nothing: T) -> tuple[T | None, bool]:
    """Finch's answer, `nothing` if Finch has none, or None after a failure; and whether to try again."""
    try:
        return call() or nothing, False
    except (RequestRefused, Forbidden) as error:
        logger.info("name not fetched", reason=type(error).__name__)
        return nothing, False
    except FinchFailure as error:
        logger.info("name not fetched", reason=type(error).__name__)
        return None, isinstance(error, FinchUnavailable)
