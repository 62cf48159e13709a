"""A record: one employee, as one source of Finch's data describes the employee."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# More texts, or longer texts, than this are no data of an employee.
_LONGEST = 200
_MOST = 10


class Source(NamedTuple):
    """A legal entity of a connection. Only a connection without entities has no `entity_id`."""

    provider_id: str
    company_id: str
    connection_id: str
    entity_id: str | None


class Member(NamedTuple):
    """Where a record is at Finch."""

    provider_id: str
    company_id: str
    connection_id: str
    entity_id: str | None
    individual_id: str


@dataclass(frozen=True, slots=True)
class Address:
    """A residence, as Finch gives it."""

    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """An employee of a source, with Finch's names of the fields. It prints its ids only."""

    source: Source
    individual_id: str
    first_name: str | None = field(default=None, repr=False)
    middle_name: str | None = field(default=None, repr=False)
    last_name: str | None = field(default=None, repr=False)
    preferred_name: str | None = field(default=None, repr=False)
    dob: str | None = field(default=None, repr=False)
    ssn: str | None = field(default=None, repr=False)
    emails: tuple[str, ...] = field(default=(), repr=False)
    phone_numbers: tuple[str, ...] = field(default=(), repr=False)
    residence: Address | None = field(default=None, repr=False)
    title: str | None = field(default=None, repr=False)
    department: str | None = field(default=None, repr=False)
    employment_status: str | None = field(default=None, repr=False)
    is_active: bool | None = field(default=None, repr=False)
    start_date: str | None = field(default=None, repr=False)
    end_date: str | None = field(default=None, repr=False)
    latest_rehire_date: str | None = field(default=None, repr=False)

    @property
    def member(self) -> Member:
        return Member(*self.source, self.individual_id)


def from_finch(
    source: Source,
    in_directory: Mapping[str, Any],
    individual: Mapping[str, Any],
    employment: Mapping[str, Any],
) -> Record:
    """The record from an entry of Finch's directory and the bodies of the two batch endpoints.

    A missing, null or unusual field is left out. The names come from the most detailed answer that has
    them.
    """
    named = {**_given(in_directory), **_given(employment), **_given(individual)}
    active = employment.get("is_active", in_directory.get("is_active"))
    return Record(
        source=source,
        individual_id=in_directory["id"],
        first_name=_text(named.get("first_name")),
        middle_name=_text(named.get("middle_name")),
        last_name=_text(named.get("last_name")),
        preferred_name=_text(individual.get("preferred_name")),
        dob=_text(individual.get("dob")),
        ssn=_text(individual.get("ssn")),
        emails=_data(individual.get("emails")),
        phone_numbers=_data(individual.get("phone_numbers")),
        residence=_address(individual.get("residence")),
        title=_text(employment.get("title")),
        department=_text(_mapping(named.get("department")).get("name")),
        employment_status=_text(employment.get("employment_status")),
        is_active=active if isinstance(active, bool) else None,
        start_date=_text(employment.get("start_date")),
        end_date=_text(employment.get("end_date")),
        latest_rehire_date=_text(employment.get("latest_rehire_date")),
    )


def _given(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value}


def _text(value: Any) -> str | None:
    return value[:_LONGEST].strip() or None if isinstance(value, str) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _data(values: Any) -> tuple[str, ...]:
    """The `data` of a list of e-mail addresses or phone numbers."""
    entries = values[:_MOST] if isinstance(values, list) else []
    found = (_text(_mapping(entry).get("data")) for entry in entries)
    return tuple(one for one in found if one)


def _address(value: Any) -> Address | None:
    names = ("line1", "line2", "city", "state", "postal_code", "country")
    parts = {name: _text(_mapping(value).get(name)) for name in names}
    return Address(**parts) if any(parts.values()) else None
