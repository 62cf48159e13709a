"""The tables store every field of their dataclasses."""

from dataclasses import fields

from finch_connections.aws import audit_table, connection_table
from finch_connections.domain.connection import Connection, Token
from finch_connections.domain.token_request import AuditRecord


def names(dataclass: type) -> set[str]:
    """The names of the fields of a dataclass."""
    return {field.name for field in fields(dataclass)}


def test_every_field_of_a_connection_is_stored() -> None:
    # The key is stored as the primary key, and quiet_revision as the attribute "news".
    other_attributes = {"customer_id", "key", "quiet_revision"}
    assert names(Connection) - other_attributes == set(connection_table._FIELDS)
    assert names(Token) - {"id"} == set(connection_table._TOKEN_FIELDS)


def test_every_field_of_an_audit_record_is_stored() -> None:
    assert names(AuditRecord) - {"at"} == set(audit_table._FIELDS)
