"""The invented providers, employers, logins and employees of a new fake Finch.

Every id is the uuid5 of a name, so it is the same in every run.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid5

_NAMESPACE = UUID("5f1b6a0e-6c5a-5d0f-9d6a-0c2f5b1e7a44")

# Section 8 of the API reference: every product that a session may request.
PRODUCTS: tuple[str, ...] = (
    "benefits",
    "company",
    "deduction",
    "directory",
    "documents",
    "employment",
    "individual",
    "payment",
    "pay_statement",
    "plans",
    "plans_dependents",
    "plans_enrollments",
    "recordkeeping",
    "ssn",
)


# Characters that separate, escape or end something in a key, path, query or header.
_HOSTILE = " %2F../?a=b&c#d;'\"\\<é>%~23|𝔞:+,"
# The longest id of Finch that the product accepts.
_LONGEST_ID = 255


def seed_id(*names: str) -> str:
    """The UUID of these names, always the same."""
    return str(uuid5(_NAMESPACE, "/".join(names)))


def hostile_id(id_: str) -> str:
    """The id between characters that have a meaning elsewhere, as long as the product accepts.

    Different ids stay different and in their order.
    """
    return (f" ../{id_}{_HOSTILE}" + "/.." * _LONGEST_ID)[: _LONGEST_ID - 1] + " "


@dataclass(frozen=True)
class Provider:
    """A payroll or HR system. The page uses the first authentication method."""

    id: str
    display_name: str
    methods: tuple[str, ...]
    products: tuple[str, ...]
    primary_color: str
    mfa_required: bool = False
    beta: bool = False

    @property
    def assisted_only(self) -> bool:
        return self.methods == ("assisted",)


@dataclass(frozen=True)
class Entity:
    """A legal entity of an employer. `source_id` is the provider's id of it."""

    name: str
    source_id: str
    headcount: int


@dataclass(frozen=True)
class Company:
    """An employer. Its id is the same at every provider that it uses."""

    id: str
    legal_name: str
    entities: tuple[Entity, ...]
    ein: str = "00-0000000"
    entity_type: str = "corporation"
    email_domain: str = "example.com"
    city: str = "Portland"
    state: str = "OR"


@dataclass(frozen=True)
class Login:
    """A user's credentials at a provider, and the companies that they reach there."""

    provider_id: str
    username: str
    company_ids: tuple[str, ...]


@dataclass(frozen=True)
class Person:
    """An employee, with all data of the data endpoints."""

    id: str
    first_name: str
    middle_name: str | None
    last_name: str
    department: str
    title: str
    manager_id: str | None
    is_active: bool
    email: str
    phone: str
    street: str
    postal_code: str
    dob: date
    start_date: date
    yearly_cents: int
    ssn: str = field(repr=False)


_ORGANISATION = ("company", "directory", "individual", "employment", "ssn")
_PAYROLL = (*_ORGANISATION, "payment", "pay_statement", "benefits", "deduction", "documents")

PROVIDERS: tuple[Provider, ...] = (
    Provider("gusto", "Gusto", ("oauth", "credential"), _PAYROLL, "#f45d48", mfa_required=True),
    Provider("justworks", "Justworks", ("credential",), _PAYROLL, "#2f7de1", mfa_required=True),
    Provider("bamboo_hr", "BambooHR", ("api_token", "credential"), _ORGANISATION, "#5a9a1f"),
    Provider("rippling", "Rippling", ("credential", "api_token"), _PAYROLL, "#7a005d"),
    Provider("adp_run", "RUN Powered by ADP", ("credential",), _PAYROLL, "#c8102e"),
    Provider("paychex_flex", "Paychex Flex", ("credential",), _PAYROLL, "#0b5ca8"),
    Provider("trinet", "TriNet", ("assisted",), _PAYROLL, "#e0572a", beta=True),
)


def _company(slug: str, legal_name: str, *entities: Entity, **details: str) -> Company:
    return Company(
        id=seed_id("company", slug),
        legal_name=legal_name,
        entities=entities,
        email_domain=f"{slug}.example",
        **details,
    )


HARBOR_LANE = _company(
    "harborlane",
    "Harbor Lane Coffee Roasters, Inc.",
    Entity("Harbor Lane Coffee Roasters, Inc.", "HLC-1", 24),
    ein="91-4410277",
    city="Tacoma",
    state="WA",
)
JUNIPER_VALE = _company(
    "junipervale",
    "Juniper & Vale Outfitters LLC",
    Entity("Juniper & Vale Outfitters LLC", "JVO-100", 38),
    ein="84-2093115",
    entity_type="llc",
    city="Boulder",
    state="CO",
)
# Larger than the default page of the directory.
CEDARLINE = _company(
    "cedarline",
    "Cedarline Robotics, Inc.",
    Entity("Cedarline Robotics, Inc.", "CDR", 130),
    ein="46-7718290",
    city="Ann Arbor",
    state="MI",
)
# An employer with several legal entities.
NORTHFOLD = _company(
    "northfold",
    "Northfold Clinics Group, Inc.",
    Entity("Northfold Clinics East LLC", "NFC-EAST", 18),
    Entity("Northfold Clinics West LLC", "NFC-WEST", 12),
    Entity("Northfold Diagnostics, Inc.", "NFC-DX", 9),
    ein="27-5560143",
    city="Burlington",
    state="VT",
)
COMPANIES: tuple[Company, ...] = (HARBOR_LANE, JUNIPER_VALE, CEDARLINE, NORTHFOLD)

MAYA = "maya@harborlane.example"
OWEN = "owen@harborlane.example"
IRIS = "iris@junipervale.example"
LENA = "lena@cedarline.example"
DANA = "dana@northfold.example"
# An external bookkeeper with several clients.
TALLY = "books@tallyworks.example"

LOGINS: tuple[Login, ...] = (
    Login("gusto", MAYA, (HARBOR_LANE.id,)),
    Login("gusto", OWEN, (HARBOR_LANE.id,)),
    Login("gusto", IRIS, (JUNIPER_VALE.id,)),
    Login("gusto", DANA, (NORTHFOLD.id,)),
    Login("gusto", TALLY, (HARBOR_LANE.id, JUNIPER_VALE.id, NORTHFOLD.id)),
    Login("justworks", MAYA, (HARBOR_LANE.id,)),
    Login("justworks", LENA, (CEDARLINE.id,)),
    Login("justworks", TALLY, (HARBOR_LANE.id, CEDARLINE.id)),
    Login("bamboo_hr", IRIS, (JUNIPER_VALE.id,)),
    Login("bamboo_hr", LENA, (CEDARLINE.id,)),
    Login("rippling", IRIS, (JUNIPER_VALE.id,)),
    Login("rippling", LENA, (CEDARLINE.id,)),
    Login("rippling", DANA, (NORTHFOLD.id,)),
    Login("adp_run", OWEN, (HARBOR_LANE.id,)),
    Login("adp_run", DANA, (NORTHFOLD.id,)),
    Login("paychex_flex", TALLY, (JUNIPER_VALE.id, CEDARLINE.id)),
    Login("trinet", LENA, (CEDARLINE.id,)),
)

_FIRST = (
    "Amara",
    "Beatriz",
    "Caleb",
    "Dimitri",
    "Elena",
    "Farid",
    "Greta",
    "Hiro",
    "Imani",
    "Jonas",
    "Keiko",
    "Lucia",
    "Mateo",
    "Nadia",
    "Oskar",
    "Priya",
    "Quentin",
    "Rosa",
    "Samir",
    "Thandi",
    "Ulla",
    "Viktor",
    "Wanda",
    "Xavier",
    "Yara",
    "Zeno",
)
_MIDDLE = (None, "Ann", None, "James", None, "Lee", None, None)
_LAST = (
    "Abara",
    "Brandt",
    "Castillo",
    "Dubois",
    "Eriksen",
    "Fontaine",
    "Galloway",
    "Hoshino",
    "Iyer",
    "Jankowski",
    "Kaplan",
    "Lindqvist",
    "Moreau",
    "Nakamura",
    "Okafor",
    "Petrov",
    "Quigley",
    "Rahimi",
    "Sorensen",
    "Tavares",
    "Ueda",
    "Vance",
    "Whitfield",
    "Xu",
    "Yilmaz",
    "Zielinski",
)
DEPARTMENTS = ("Operations", "Sales", "Finance", "People", "Engineering")
_TITLES = ("Associate", "Specialist", "Coordinator", "Analyst", "Lead")


def _pick[T](options: Sequence[T], *seed: str) -> T:
    digest = hashlib.sha256("/".join(seed).encode()).digest()
    return options[int.from_bytes(digest[:4]) % len(options)]


@lru_cache(maxsize=256)
def people(company: Company, entity: Entity) -> tuple[Person, ...]:
    """The employees of an entity. The first employee manages all others."""
    seed = (company.id, entity.source_id)
    ids = [seed_id("person", *seed, str(number)) for number in range(entity.headcount)]
    return tuple(
        _person(company, ids[number], manager_id=ids[0] if number else None, number=number)
        for number in range(entity.headcount)
    )


@lru_cache(maxsize=256)
def people_at(provider_id: str, company: Company, entity: Entity) -> tuple[Person, ...]:
    """The same employees as a provider knows them: each system has its own spelling and errors."""
    change = _SPELLINGS.get(provider_id)
    found = people(company, entity)
    return tuple(change(one, at) for at, one in enumerate(found)) if change else found


def _in_hr(person: Person, _: int) -> Person:
    """The HR system has the personal e-mail address, no middle name, and phone numbers as people write."""
    return replace(
        person,
        middle_name=None,
        email=f"{person.first_name}.{person.last_name}.{person.postal_code}@mail.example".lower(),
        phone=f"({person.phone[2:5]}) {person.phone[5:8]}-{person.phone[8:]}",
        street=person.street.replace("Street", "St."),
    )


def _in_payroll(person: Person, number: int) -> Person:
    """The payroll system has capital letters, and typing errors in some birth dates and names."""
    wrong_date = number % 13 == 12 and person.dob.day < 28
    return replace(
        person,
        first_name=person.first_name[:-1] if number % 9 == 8 else person.first_name,
        last_name=person.last_name.upper(),
        dob=person.dob + timedelta(days=1) if wrong_date else person.dob,
    )


def _in_benefits(person: Person, number: int) -> Person:
    """The benefits system has new last names after marriages, and old addresses."""
    return replace(
        person,
        last_name=_pick(_LAST, person.id, "married") if number % 11 == 10 else person.last_name,
        street="1 Former Road" if number % 7 == 6 else person.street,
    )


_SPELLINGS = {
    "bamboo_hr": _in_hr,
    "adp_run": _in_payroll,
    "paychex_flex": _in_payroll,
    "justworks": _in_benefits,
    "trinet": _in_benefits,
}


def _person(company: Company, person_id: str, *, manager_id: str | None, number: int) -> Person:
    first = _pick(_FIRST, person_id, "first")
    last = _pick(_LAST, person_id, "last")
    return Person(
        id=person_id,
        first_name=first,
        middle_name=_pick(_MIDDLE, person_id, "middle"),
        last_name=last,
        department=_pick(DEPARTMENTS, person_id, "department"),
        title=_pick(_TITLES, person_id, "title") if manager_id else "General Manager",
        manager_id=manager_id,
        is_active=number % 17 != 16,
        email=f"{first}.{last}{number}@{company.email_domain}".lower(),
        phone=f"+1555010{number % 10000:04d}",
        street=f"{_pick(range(1, 400), person_id, 'house')} {_pick(_LAST, person_id, 'street')} Street",
        postal_code=f"{_pick(range(10_000, 99_999), person_id, 'postal code')}",
        dob=date(1962, 1, 1) + timedelta(days=_pick(range(14000), person_id, "dob")),
        start_date=date(2015, 1, 1) + timedelta(days=_pick(range(3600), person_id, "start")),
        yearly_cents=_pick(range(3_900_000, 18_000_000, 50_000), person_id, "income"),
        # The Social Security Administration never issues numbers that begin with 9.
        ssn=f"900{_pick(range(10, 99), person_id, 'ssn')}{number % 10000:04d}",
    )


def supported_fields() -> dict[str, Any]:
    """The fields of the data endpoints, as `/providers` lists them."""
    return {
        "company": {
            "id": True,
            "legal_name": True,
            "entity": {"type": True, "subtype": True},
            "ein": True,
            "primary_email": True,
            "primary_phone_number": True,
            "departments": {"name": True, "parent": {"name": False}},
            "locations": {"city": True, "state": True, "country": True},
            "accounts": {"routing_number": True, "account_number": True},
        },
        "directory": {
            "paging": {"count": True, "offset": True},
            "individuals": {
                "id": True,
                "first_name": True,
                "middle_name": True,
                "last_name": True,
                "manager": {"id": True},
                "department": True,
                "is_active": True,
            },
        },
        "individual": {"id": True, "first_name": True, "last_name": True, "dob": True},
        "employment": {"id": True, "title": True, "start_date": True, "is_active": True},
    }
