"""The flow that names: asks Finch what provider and company are called, and keeps what it says."""

from collections.abc import Callable
from typing import NamedTuple

from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.aws.dynamodb import Conflict
from finch_connections.aws.token_vault import TokenVault
from finch_connections.domain.connection import (
    Connection,
    ConnectionStatus,
    named,
    token_for_name,
)
from finch_connections.finch.errors import FinchFailure, FinchUnavailable
from finch_connections.finch.names_api import NamesApi
from finch_connections.log import logger


class Services(NamedTuple):
    """Everything outside that naming touches."""

    connections: ConnectionTable
    vault: TokenVault
    names: NamesApi


def fetch(connection: Connection, *, services: Services) -> bool:
    """Asks for the names that a connection lacks; whether another try soon may bring more.

    That Finch has no data yet, is busy or down means later; what it will not tell is not asked again
    soon. One that is on its way out is left alone, also where that began meanwhile: nothing is
    written where somebody wrote the connection since it was read.
    """
    if connection.status is ConnectionStatus.DISCONNECTING or not connection.tokens:
        return False
    later, provider_name, company_name = False, connection.provider_name, connection.company_name
    if provider_name is None:
        asked = _asked(lambda: services.names.of_provider(connection.key.provider_id))
        provider_name, later = asked.name, asked.later
    token = token_for_name(connection)
    if company_name is None and token:
        text = services.vault.decrypt_stored(
            connection.ciphertexts[token.id], connection.customer_id, connection.key
        )
        asked = _asked(lambda: services.names.of_company(text))
        company_name, later = asked.name, later or asked.later
    after = named(connection, provider_name, company_name)
    if after is not connection:
        try:
            services.connections.write(after)
        except Conflict:
            return True
    return later


class _Asked(NamedTuple):
    name: str | None = None
    later: bool = False


def _asked(ask: Callable[[], str | None]) -> _Asked:
    try:
        return _Asked(ask())
    except FinchFailure as error:
        logger.info("name not told", reason=type(error).__name__)
        return _Asked(later=isinstance(error, FinchUnavailable))
