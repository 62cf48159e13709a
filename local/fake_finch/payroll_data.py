"""Finch's data endpoints for payroll: payments twice a month, and the pay statements of a payment."""

from calendar import monthrange
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from flask import Blueprint, Response, request
from pydantic import Field

from local.fake_finch.employment_data import batch_error, data, entity_ids
from local.fake_finch.incoming import RequestBody, access_token, body_of
from local.fake_finch.records import Reading
from local.fake_finch.refusals import BadRequest
from local.fake_finch.seed_world import Person, seed_id
from local.fake_finch.state import FinchState

# The first pay period of the invented payrolls.
_FIRST = date(2025, 1, 1)


class _Asked(RequestBody):
    payment_id: str
    limit: int = Field(default=100, ge=1, le=5_000)
    offset: int = Field(default=0, ge=0)


class _Batch(RequestBody):
    requests: list[_Asked] = Field(min_length=1, max_length=10)


def blueprint(finch: FinchState) -> Blueprint:
    api = Blueprint("payroll_data", __name__)

    @api.get("/employer/payment")
    def payments() -> Response:
        reading = finch.read(access_token(), "payment", entity_ids())
        start, end = _date("start_date"), _date("end_date")
        return data(
            finch,
            [
                _payment(reading, since, until)
                for since, until in _periods(finch.now().date())
                if start <= until <= end
            ],
        )

    @api.post("/employer/pay-statement")
    def pay_statements() -> Response:
        bearer = access_token()
        requested = body_of(_Batch)
        reading = finch.read(bearer, "pay_statement", entity_ids())
        known = {_payment_id(reading, until): until for _, until in _periods(finch.now().date())}
        return data(
            finch,
            {"responses": [_statements(reading, asked, known) for asked in requested.requests]},
        )

    return api


def _date(name: str) -> date:
    try:
        return date.fromisoformat(request.args[name])
    except (KeyError, ValueError):
        raise BadRequest(f"{name} must be a date") from None


def _periods(today: date) -> Iterator[tuple[date, date]]:
    """The first and the last day of each pay period that has ended. The last day is the pay date."""
    since = _FIRST
    while True:
        last = monthrange(since.year, since.month)[1]
        until = since.replace(day=15 if since.day == 1 else last)
        if until > today:
            return
        yield since, until
        since = until + timedelta(days=1)


def _payment_id(reading: Reading, pay_date: date) -> str:
    names = reading.company.id, reading.entity.name, pay_date.isoformat()
    return seed_id("payment", reading.connection.provider_id, *names)


def _paid(reading: Reading, pay_date: date) -> Sequence[Person]:
    return [one for one in reading.people if one.is_active and one.start_date <= pay_date]


def _payment(reading: Reading, since: date, until: date) -> dict[str, Any]:
    paid = _paid(reading, until)
    gross = sum(map(_gross, paid))
    employee_taxes, employer_taxes = sum(map(_withheld, paid)), sum(map(_fica, paid))
    return {
        "id": _payment_id(reading, until),
        "pay_period": {"start_date": since.isoformat(), "end_date": until.isoformat()},
        "pay_date": until.isoformat(),
        "debit_date": (until - timedelta(days=2)).isoformat(),
        "company_debit": _money(gross + employer_taxes),
        "gross_pay": _money(gross),
        "net_pay": _money(gross - employee_taxes),
        "employer_taxes": _money(employer_taxes),
        "employee_taxes": _money(employee_taxes),
        "individual_ids": [one.id for one in paid],
        "pay_group_ids": [],
        "pay_frequencies": ["semi_monthly"],
    }


def _statements(reading: Reading, asked: _Asked, known: dict[str, date]) -> dict[str, Any]:
    until = known.get(asked.payment_id)
    if until is None:
        body = batch_error("payment_not_found", "No such payment")
        return {"payment_id": asked.payment_id, "code": 404, "body": body}
    paid = _paid(reading, until)
    page = paid[asked.offset : asked.offset + asked.limit]
    body = {
        "paging": {"count": len(paid), "offset": asked.offset},
        "pay_statements": [_statement(one) for one in page],
    }
    return {"payment_id": asked.payment_id, "code": 200, "body": body}


def _statement(person: Person) -> dict[str, Any]:
    gross, income_tax, fica = _gross(person), _withheld(person) - _fica(person), _fica(person)
    return {
        "individual_id": person.id,
        "type": "regular_payroll",
        "payment_method": "direct_deposit",
        "total_hours": 86.67,
        "gross_pay": _money(gross),
        "net_pay": _money(gross - income_tax - fica),
        "earnings": [
            {"type": "salary", "name": "Salary", "amount": gross, "currency": "usd", "hours": 86.67}
        ],
        "taxes": [
            _tax_line("federal", "Federal Income Tax", income_tax, employer=False),
            _tax_line("fica", "Social Security and Medicare", fica, employer=False),
            _tax_line("fica", "Social Security and Medicare", fica, employer=True),
        ],
        "employee_deductions": [],
        "employer_contributions": [],
    }


def _tax_line(kind: str, name: str, amount: int, *, employer: bool) -> dict[str, Any]:
    return {"type": kind, "name": name, "amount": amount, "currency": "usd", "employer": employer}


def _gross(person: Person) -> int:
    return person.yearly_cents // 24


def _fica(person: Person) -> int:
    return _gross(person) * 765 // 10_000


def _withheld(person: Person) -> int:
    return _gross(person) * 12 // 100 + _fica(person)


def _money(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "usd"}
