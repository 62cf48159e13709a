"""The data endpoints for payroll: payments, and the pay statements of each payment."""

from typing import Any

import finch
import httpx
import pytest
from finch.pagination import SyncResponsesPage, SyncSinglePage
from finch.types.hris import PayStatementData, PayStatementResponse
from finch.types.hris.pay_statement_response import BodyBatchError
from finch.types.hris.payment import Payment
from pydantic import TypeAdapter

from local.fake_finch import FinchState
from local.fake_finch.seed_world import DANA, NORTHFOLD
from tests.contract.conftest import Connected, Customers, Wire

PRODUCTS = ["payment", "pay_statement"]
FEBRUARY: Any = {"start_date": "2026-02-01", "end_date": "2026-02-28"}


@pytest.fixture
def connected(customers: Customers) -> Connected:
    return customers.connect(products=PRODUCTS)


def payments(connected: Connected) -> SyncSinglePage[Payment]:
    return connected.sdk.hris.payments.list(**FEBRUARY)


def test_payments_are_those_with_a_pay_date_in_the_range(connected: Connected, wire: Wire) -> None:
    found = payments(connected).items
    TypeAdapter(list[Payment]).validate_json(wire.last.content, strict=True)
    assert {name for one in wire.last.json() for name in one} == set(Payment.model_fields)
    assert [one.pay_date for one in found] == ["2026-02-15", "2026-02-28"]
    assert len({one.id for one in found}) == 2
    # The clock of the test is at 2 March.
    later = connected.sdk.hris.payments.list(start_date="2026-02-28", end_date="2027-01-01")
    assert [one.pay_date for one in later.items] == ["2026-02-28"]


def test_pay_statements_add_up_to_their_payment_and_come_in_pages(
    connected: Connected, wire: Wire
) -> None:
    payment = payments(connected).items[0]
    asked = [
        {"payment_id": payment.id, "limit": 2},
        {"payment_id": payment.id, "offset": 2},
        {"payment_id": "unknown"},
    ]
    connected.sdk.hris.pay_statements.retrieve_many(requests=asked)  # type: ignore[arg-type]
    first, second, missing = wire.conforms(SyncResponsesPage[PayStatementResponse]).responses
    assert isinstance(first.body, PayStatementData)
    assert isinstance(second.body, PayStatementData)
    assert payment.individual_ids
    assert first.body.paging.count == len(payment.individual_ids)
    statements = [*first.body.pay_statements, *second.body.pay_statements]
    assert len(first.body.pay_statements) == 2
    assert [one.individual_id for one in statements] == payment.individual_ids
    assert payment.net_pay
    assert (
        sum(one.net_pay.amount or 0 for one in statements if one.net_pay) == payment.net_pay.amount
    )
    assert isinstance(missing.body, BodyBatchError)
    assert (missing.code, missing.body.finch_code) == (404, "payment_not_found")


def test_payroll_needs_its_products_and_one_entity(customers: Customers) -> None:
    without = customers.connect(products=["directory"])
    with pytest.raises(finch.PermissionDeniedError):
        payments(without)
    several = customers.connect(DANA, company_id=NORTHFOLD.id, products=PRODUCTS)
    with pytest.raises(finch.BadRequestError):
        payments(several)
    entity_ids = several.token.entity_ids[:1]
    assert several.sdk.hris.payments.list(**FEBRUARY, entity_ids=entity_ids).items


@pytest.mark.parametrize("query", ["", "start_date=2026-02-01", "start_date=x&end_date=2026-02-28"])
def test_payments_need_a_range(connected: Connected, http: httpx.Client, query: str) -> None:
    headers = {"Authorization": f"Bearer {connected.token.access_token}"}
    assert http.get(f"/employer/payment?{query}", headers=headers).status_code == 400


def test_batch_of_pay_statements_has_at_most_ten_payments(
    connected: Connected, fake_finch: FinchState
) -> None:
    with pytest.raises(finch.BadRequestError):
        connected.sdk.hris.pay_statements.retrieve_many(requests=[{"payment_id": "x"}] * 11)
    fake_finch.switches.data_sync = "in_progress"
    assert payments(connected).items is None
