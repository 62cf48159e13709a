"""Finch's data endpoints: the company, its directory, individuals and their employment."""

import re
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify, request
from pydantic import Field

from local.fake_finch import seed_world
from local.fake_finch.incoming import RequestBody, access_token, body_of
from local.fake_finch.records import Reading
from local.fake_finch.refusals import BadRequest, InsufficientScope
from local.fake_finch.seed_world import Company, Person
from local.fake_finch.state import FinchState


class _BatchItem(RequestBody):
    individual_id: str


class _BatchOptions(RequestBody):
    include: list[str] = Field(default_factory=list)


class _Batch(RequestBody):
    requests: list[_BatchItem] = Field(min_length=1, max_length=10_000)
    options: _BatchOptions | None = None


def blueprint(finch: FinchState) -> Blueprint:
    api = Blueprint("employment_data", __name__)

    @api.get("/employer/company")
    def company() -> Response:
        reading = finch.read(access_token(), "company", entity_ids())
        return data(finch, _company(reading.company, reading))

    @api.get("/employer/directory")
    def directory() -> Response:
        reading = finch.read(access_token(), "directory", entity_ids())
        limit = _whole_number("limit", default=100, lowest=1, highest=10_000)
        offset = _whole_number("offset", default=0, lowest=0)
        paging = {"count": len(reading.people), "offset": offset}
        if finch.switches.omit_paging_count:
            del paging["count"]
        page = reading.people[offset : offset + limit]
        return data(
            finch, {"paging": paging, "individuals": [_directory_entry(person) for person in page]}
        )

    def batch(
        product: str, describe: Callable[[Reading, Person, bool], dict[str, Any]]
    ) -> Response:
        bearer = access_token()
        requested = body_of(_Batch)
        reading = finch.read(bearer, product, entity_ids())
        with_ssn = requested.options is not None and "ssn" in requested.options.include
        if with_ssn and "ssn" not in finch.look_up(bearer)[0].products:
            raise InsufficientScope("ssn")
        by_id = {person.id: person for person in reading.people}
        responses: list[dict[str, Any]] = []
        for item in requested.requests:
            person = by_id.get(item.individual_id)
            found = person is not None
            body = (
                describe(reading, person, with_ssn)
                if person is not None
                else batch_error("individual_not_found", "No such individual")
            )
            responses.append(
                {
                    "individual_id": item.individual_id,
                    "code": 200 if found else 404,
                    "body": body,
                }
            )
        return data(finch, {"responses": responses})

    @api.post("/employer/individual")
    def individual() -> Response:
        return batch("individual", _individual)

    @api.post("/employer/employment")
    def employment() -> Response:
        return batch("employment", _employment)

    return api


def entity_ids() -> list[str]:
    """The entities that the request names."""
    # The SDK writes the name with brackets. Finch does not know a plain `entity_ids`.
    return request.args.getlist("entity_ids[]")


def _whole_number(name: str, *, default: int, lowest: int, highest: int = 10**9) -> int:
    text = request.args.get(name, str(default))
    if not re.fullmatch(r"\d{1,9}", text) or not lowest <= int(text) <= highest:
        raise BadRequest(f"{name} must be a whole number of at least {lowest}")
    return int(text)


def data(finch: FinchState, body: Any) -> Response:
    """The answer with this body, and Finch's headers about the age of the data."""
    answer = jsonify(body)
    answer.headers["Finch-Data-Retrieved"] = finch.now().isoformat()
    answer.headers["Finch-Last-Attempted-Update-Date"] = finch.now().isoformat()
    answer.headers["Finch-Last-Attempted-Update-Result"] = "success"
    return answer


def _location(company: Company) -> dict[str, Any]:
    return {
        "line1": "100 Example Street",
        "line2": None,
        "city": company.city,
        "state": company.state,
        "postal_code": "00100",
        "country": "US",
    }


def _company(company: Company, reading: Reading) -> dict[str, Any]:
    corporation = company.entity_type == "corporation"
    return {
        "id": company.id,
        "legal_name": reading.entity.name,
        "entity": {
            "type": company.entity_type,
            "subtype": "c_corporation" if corporation else None,
        },
        "ein": company.ein,
        "primary_email": f"payroll@{company.email_domain}",
        "primary_phone_number": "+15550100000",
        "departments": [{"name": name, "parent": None} for name in seed_world.DEPARTMENTS],
        "locations": [_location(company)],
        "accounts": [
            {
                "account_name": "Payroll",
                "account_number": "000123456789",
                "account_type": "checking",
                "institution_name": "Bank of Nowhere",
                "routing_number": "000000000",
            }
        ],
    }


def _directory_entry(person: Person) -> dict[str, Any]:
    return {
        "id": person.id,
        "first_name": person.first_name,
        "middle_name": person.middle_name,
        "last_name": person.last_name,
        "manager": {"id": person.manager_id} if person.manager_id else None,
        "department": {"name": person.department},
        "is_active": person.is_active,
    }


def _individual(reading: Reading, person: Person, with_ssn: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": person.id,
        "first_name": person.first_name,
        "middle_name": person.middle_name,
        "last_name": person.last_name,
        "preferred_name": None,
        "emails": [{"data": person.email, "type": "work"}],
        "phone_numbers": [{"data": person.phone, "type": "work"}],
        "gender": None,
        "ethnicity": None,
        "marital_status": None,
        "dob": person.dob.isoformat(),
        "residence": {
            **_location(reading.company),
            "line1": person.street,
            "postal_code": person.postal_code,
        },
    }
    if with_ssn:
        body["ssn"] = person.ssn
        body["encrypted_ssn"] = None
    return body


def _employment(reading: Reading, person: Person, _: bool) -> dict[str, Any]:
    since = person.start_date.isoformat()
    income = {
        "unit": "yearly",
        "amount": person.yearly_cents,
        "currency": "usd",
        "effective_date": since,
    }
    return {
        "id": person.id,
        "first_name": person.first_name,
        "middle_name": person.middle_name,
        "last_name": person.last_name,
        "title": person.title,
        "manager": {"id": person.manager_id} if person.manager_id else None,
        "department": {"name": person.department},
        "employment": {"type": "employee", "subtype": "full_time"},
        "employment_status": "active" if person.is_active else "terminated",
        "start_date": since,
        "end_date": None if person.is_active else "2026-03-31",
        "latest_rehire_date": None,
        "is_active": person.is_active,
        "class_code": None,
        "location": _location(reading.company),
        "income": income,
        "income_history": [income],
        "custom_fields": [],
        "source_id": person.id[:8],
    }


def batch_error(finch_code: str, message: str) -> dict[str, Any]:
    """The body of an item of a batch that Finch does not find."""
    return {"code": 404, "name": "not_found_error", "finch_code": finch_code, "message": message}
