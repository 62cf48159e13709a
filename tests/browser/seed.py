"""Writes connections directly into the table, for states that take too long to reach."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.domain import connection as rules
from finch_connections.domain.connection import CompanyKey, Connection, ConnectionStatus, Token
from local.fake_finch.seed_world import seed_id
from tests.support.deployed import Deployed

BEGAN = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
PRODUCTS = frozenset({"company", "directory", "employment", "individual", "payment"})


def table(deployed: Deployed) -> ConnectionTable:
    """The table of the deployed product."""
    return ConnectionTable(deployed.tables.dynamodb, deployed.tables.connections)


def login(name: str, status: str = "connected", **fields: Any) -> Token:
    """A login at the provider. Fields override the defaults."""
    plain = Token(
        id=seed_id("token", name),
        connection_id=seed_id("connection", name),
        products=PRODUCTS,
        status=ConnectionStatus(status),
        connected_at=BEGAN,
        account_id=seed_id("account", name),
    )
    return replace(plain, **fields)


def new_login(name: str, status: str = "connected") -> Token:
    """A login that was just connected, as a return from Finch brings it."""
    return login(name, status, connected_at=datetime.now(UTC))


def connection(
    company: str,
    provider: tuple[str, str | None] = ("gusto", "Gusto"),
    status: str = "connected",
    *logins: Token,
    **fields: Any,
) -> Connection:
    """A connection of the customer `acme`, with one login unless logins are given."""
    provider_id, provider_name = provider
    ended = status == "disconnected"
    tokens = () if ended else logins or (login(f"{company}-{provider_id}", status),)
    now = datetime.now(UTC)
    plain = Connection(
        customer_id="acme",
        key=CompanyKey(provider_id, seed_id("company", company)),
        tokens=tokens,
        status=ConnectionStatus(status),
        created_at=BEGAN,
        updated_at=BEGAN,
        revision=1,
        checked_at=now - timedelta(minutes=40),
        disconnecting_since=now if status == "disconnecting" else None,
        provider_name=provider_name,
        company_name=company,
        ciphertexts={one.id: b"encrypted" for one in tokens},
    )
    return replace(plain, **fields)


def write(deployed: Deployed, connections: Iterable[Connection]) -> None:
    """Writes new connections."""
    for one in connections:
        table(deployed).write(one)


def change(deployed: Deployed, provider_id: str, company_id: str, status: str) -> None:
    """Sets the status of a connection and of all its logins."""
    stored = table(deployed).get("acme", CompanyKey(provider_id, company_id))
    assert stored
    new_status = ConnectionStatus(status)
    tokens = tuple(replace(one, status=new_status) for one in stored.tokens)
    after = replace(stored, status=new_status, tokens=tokens, revision=stored.revision + 1)
    table(deployed).write(after)


def named(
    deployed: Deployed, provider_id: str, company_id: str, provider: str, company: str
) -> Connection:
    """Sets the names of a connection, as a work item does a minute after it was made."""
    stored = table(deployed).get("acme", CompanyKey(provider_id, company_id))
    assert stored
    after = rules.with_names(stored, provider, company, "")
    table(deployed).write(after)
    return after


def age_suspicions(deployed: Deployed, provider_id: str, company_id: str) -> bool:
    """Makes each suspected status of a connection two minutes older; returns whether it has any.

    The product believes a worse status when Finch repeats it a minute later.
    """
    stored = table(deployed).get("acme", CompanyKey(provider_id, company_id))
    assert stored
    tokens = tuple(
        replace(one, suspected_since=one.suspected_since - timedelta(minutes=2))
        if one.suspected_since
        else one
        for one in stored.tokens
    )
    if tokens == stored.tokens:
        return False
    table(deployed).write(replace(stored, tokens=tokens, revision=stored.revision + 1))
    return True
