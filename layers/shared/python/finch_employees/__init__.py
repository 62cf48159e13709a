"""Employees of a customer, from all connections: reads them at Finch, and finds who is who.

The package is for other backends. It imports nothing of `finch_connections`, and it stores and logs no
employee.
"""

from finch_employees.reading import Finch, LeftOut, Part, read
from finch_employees.reconcile import Join, Person, Possible, Reconciliation, Value, reconcile
from finch_employees.record import Address, Member, Record, Source

__all__ = [
    "Address",
    "Finch",
    "Join",
    "LeftOut",
    "Member",
    "Part",
    "Person",
    "Possible",
    "Reconciliation",
    "Record",
    "Source",
    "Value",
    "read",
    "reconcile",
]
