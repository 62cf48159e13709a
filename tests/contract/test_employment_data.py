"""The data endpoints: company, directory, individuals, employment, and their refusals."""

import finch
import httpx
import pytest
from finch.pagination import SyncIndividualsPage, SyncResponsesPage
from finch.types.hris import (
    Company,
    EmploymentDataResponse,
    IndividualInDirectory,
    IndividualResponse,
)
from finch.types.hris.employment_data import BatchError as EmploymentError
from finch.types.hris.individual import BatchError, IndividualResponseBody

from local.fake_finch import FinchState
from local.fake_finch.seed_world import CEDARLINE, DANA, HARBOR_LANE, LENA, NORTHFOLD
from tests.contract.conftest import PRODUCTS, Connected, Customers, Wire

Directory = SyncIndividualsPage[IndividualInDirectory]
DATA_CALLS = ["company", "directory", "individual", "employment"]


def call(connected: Connected, product: str, **more: list[str]) -> object:
    """A data call of this product."""
    hris = connected.sdk.hris
    unknown = [{"individual_id": "unknown"}]
    match product:
        case "company":
            return hris.company.retrieve(**more)  # type: ignore[arg-type]
        case "directory":
            return hris.directory.list(**more)  # type: ignore[arg-type]
        case "individual":
            return hris.individuals.retrieve_many(requests=unknown, **more)  # type: ignore[arg-type]
        case _:
            return hris.employments.retrieve_many(requests=unknown, **more)  # type: ignore[arg-type]


def name_of(refused: finch.APIStatusError) -> tuple[str, str | None]:
    assert isinstance(refused.body, dict)
    return refused.body["name"], refused.body.get("finch_code")


def test_company_is_the_connected_employer(customers: Customers, wire: Wire) -> None:
    customers.connect().sdk.hris.company.retrieve()
    answer = wire.conforms(Company)
    assert set(wire.last.json()) == set(Company.model_fields)
    assert (answer.id, answer.legal_name) == (HARBOR_LANE.id, HARBOR_LANE.legal_name)
    assert wire.last.headers["Finch-Last-Attempted-Update-Result"] == "success"
    assert "Finch-Data-Retrieved" in wire.last.headers


def test_directory_has_all_employees_of_a_small_company(customers: Customers, wire: Wire) -> None:
    page = customers.connect().sdk.hris.directory.list()
    wire.conforms(Directory)
    assert len(page.individuals) == HARBOR_LANE.entities[0].headcount
    assert page.paging.count == len(page.individuals)
    managers = [person for person in page.individuals if person.manager is None]
    assert len(managers) == 1


def test_directory_page_has_a_hundred_employees_by_default(
    customers: Customers, fake_finch: FinchState
) -> None:
    directory = customers.connect(LENA, "rippling").sdk.hris.directory
    headcount = CEDARLINE.entities[0].headcount
    assert len(directory.list().individuals) == 100
    assert len(directory.list(offset=100).individuals) == headcount - 100
    assert len(directory.list(limit=7, offset=3).individuals) == 7
    assert directory.list(offset=headcount).individuals == []
    before = fake_finch.requests.count("GET", "/employer/directory")
    ids = [person.id for person in directory.list()]
    assert len(set(ids)) == headcount
    assert fake_finch.requests.count("GET", "/employer/directory") == before + 2


def test_sdk_stops_after_a_page_without_a_count(
    customers: Customers, wire: Wire, fake_finch: FinchState
) -> None:
    fake_finch.switches.omit_paging_count = True
    ids = list(customers.connect(LENA, "rippling").sdk.hris.directory.list())
    assert wire.last.json()["paging"] == {"offset": 0}
    assert len(ids) == 100


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=10001", "limit=ten", "offset=-1", "limit=1e3", "offset=0.5"]
)
def test_paging_out_of_range_is_a_bad_request(
    customers: Customers, http: httpx.Client, query: str
) -> None:
    token = customers.connect().token.access_token
    answer = http.get(f"/employer/directory?{query}", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["name"]) == (400, "bad_request")


def test_individuals_have_separate_answers_and_errors(customers: Customers, wire: Wire) -> None:
    connected = customers.connect()
    individual = connected.sdk.hris.directory.list().individuals[0]
    connected.sdk.hris.individuals.retrieve_many(
        requests=[{"individual_id": individual.id}, {"individual_id": "unknown"}]
    )
    found, missing = wire.conforms(SyncResponsesPage[IndividualResponse]).responses
    assert wire.last.status_code == 200
    assert (found.code, missing.code) == (200, 404)
    assert isinstance(found.body, IndividualResponseBody)
    assert (found.body.id, found.body.first_name) == (individual.id, individual.first_name)
    assert found.body.ssn is None
    assert isinstance(missing.body, BatchError)
    assert missing.body.finch_code == "individual_not_found"


def test_employments_have_separate_answers_and_errors(customers: Customers, wire: Wire) -> None:
    connected = customers.connect()
    individual = connected.sdk.hris.directory.list().individuals[3]
    connected.sdk.hris.employments.retrieve_many(
        requests=[{"individual_id": individual.id}, {"individual_id": "unknown"}]
    )
    found, missing = wire.conforms(SyncResponsesPage[EmploymentDataResponse]).responses
    assert (found.code, missing.code) == (200, 404)
    assert found.body.to_dict()["is_active"] is individual.is_active
    assert isinstance(missing.body, EmploymentError)


def test_social_security_numbers_require_product_and_option(
    customers: Customers, wire: Wire
) -> None:
    without = customers.connect()
    granted = customers.connect(products=[*PRODUCTS, "ssn"])
    batch = [{"individual_id": without.sdk.hris.directory.list().individuals[0].id}]
    with pytest.raises(finch.PermissionDeniedError) as caught:
        without.sdk.hris.individuals.retrieve_many(requests=batch, options={"include": ["ssn"]})  # type: ignore[arg-type]
    assert name_of(caught.value)[0] == "insufficient_scope_error"
    granted.sdk.hris.individuals.retrieve_many(requests=batch)  # type: ignore[arg-type]
    assert "ssn" not in wire.last.json()["responses"][0]["body"]
    granted.sdk.hris.individuals.retrieve_many(requests=batch, options={"include": ["ssn"]})  # type: ignore[arg-type]
    wire.conforms(SyncResponsesPage[IndividualResponse])
    # No real number begins with 9.
    assert wire.last.json()["responses"][0]["body"]["ssn"].startswith("9")


def test_individual_has_the_same_id_in_every_connection(customers: Customers) -> None:
    gusto = customers.connect(DANA, "adp_run", entities=[NORTHFOLD.entities[0].name])
    rippling = customers.connect(DANA, "rippling", entities=[NORTHFOLD.entities[0].name])
    ours, theirs = (
        [person.id for person in connected.sdk.hris.directory.list()]
        for connected in (gusto, rippling)
    )
    assert ours == theirs


@pytest.mark.parametrize("product", DATA_CALLS)
def test_product_that_was_not_granted_is_an_insufficient_scope(
    customers: Customers, product: str
) -> None:
    connected = customers.connect(products=[x for x in PRODUCTS if x != product])
    with pytest.raises(finch.PermissionDeniedError) as caught:
        call(connected, product)
    assert name_of(caught.value)[0] == "insufficient_scope_error"


@pytest.mark.parametrize("product", DATA_CALLS)
@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        ("reauth", (401, "authentication_error", "reauthenticate_user")),
        ("error_no_account_setup", (401, "authentication_error", "account_setup_required")),
        ("error_permissions", (403, "error_permissions", "insufficient_account_permissions")),
    ],
)
def test_status_that_requires_a_user_refuses_data_with_its_own_error(
    customers: Customers,
    fake_finch: FinchState,
    product: str,
    status: str,
    refusal: tuple[int, str, str],
) -> None:
    connected = customers.connect()
    fake_finch.set_connection_status(connected.connection_id, status)
    with pytest.raises(finch.APIStatusError) as caught:
        call(connected, product)
    assert (caught.value.status_code, *name_of(caught.value)) == refusal
    assert connected.sdk.account.introspect().connection_status.status == status


@pytest.mark.parametrize("product", DATA_CALLS)
def test_dead_token_and_missing_token_have_different_errors(
    customers: Customers, http: httpx.Client, product: str
) -> None:
    connected = customers.connect()
    connected.sdk.account.disconnect()
    with pytest.raises(finch.AuthenticationError) as caught:
        call(connected, product)
    assert name_of(caught.value) == ("invalid_token_error", None)
    method = "GET" if product in ("company", "directory") else "POST"
    answer = http.request(method, f"/employer/{product}", json={"requests": []})
    assert answer.json()["name"] == "unauthorized_request_error"


@pytest.mark.parametrize("product", DATA_CALLS)
def test_data_calls_of_several_entities_must_name_an_entity(
    customers: Customers, fake_finch: FinchState, wire: Wire, product: str
) -> None:
    connected = customers.connect(DANA, company_id=NORTHFOLD.id)
    entity_ids = connected.token.entity_ids
    for too_few_or_many in ([], entity_ids[:2]):
        with pytest.raises(finch.BadRequestError) as caught:
            call(connected, product, entity_ids=too_few_or_many)
        assert name_of(caught.value)[0] == "invalid_request_error"
    call(connected, product, entity_ids=entity_ids[:1])
    assert wire.sent().query == f"entity_ids%5B%5D={entity_ids[0]}"
    with pytest.raises(finch.NotFoundError):
        call(connected, product, entity_ids=["3a3ff2d2-0000-4000-8000-000000000000"])
    fake_finch.switches.invalid_request_status = 401
    with pytest.raises(finch.AuthenticationError) as unauthorized:
        call(connected, product)
    assert name_of(unauthorized.value)[0] == "invalid_request_error"


def test_each_entity_has_its_own_name_and_employees(customers: Customers) -> None:
    connected = customers.connect(DANA, company_id=NORTHFOLD.id)
    seen = {
        connected.sdk.hris.company.retrieve(entity_ids=[x]).legal_name: len(
            connected.sdk.hris.directory.list(entity_ids=[x]).individuals
        )
        for x in connected.token.entity_ids
    }
    assert seen == {entity.name: entity.headcount for entity in NORTHFOLD.entities}


@pytest.mark.parametrize("brackets", ["entity_ids[]", "entity_ids%5B%5D"])
def test_entity_ids_need_brackets_which_may_be_encoded(
    customers: Customers, http: httpx.Client, brackets: str
) -> None:
    token = customers.connect(DANA, company_id=NORTHFOLD.id).token
    headers = {"Authorization": f"Bearer {token.access_token}"}
    with_them = http.get(f"/employer/company?{brackets}={token.entity_ids[0]}", headers=headers)
    without = http.get(f"/employer/company?entity_ids={token.entity_ids[0]}", headers=headers)
    assert (with_them.status_code, without.status_code) == (200, 400)


def test_data_call_may_omit_a_single_entity(customers: Customers) -> None:
    connected = customers.connect()
    named = connected.sdk.hris.company.retrieve(entity_ids=connected.token.entity_ids)
    assert named == connected.sdk.hris.company.retrieve()


@pytest.mark.parametrize("status", ["pending", "processing"])
def test_data_that_is_still_syncing_is_answered_with_202(
    customers: Customers, wire: Wire, fake_finch: FinchState, status: str
) -> None:
    connected = customers.connect()
    fake_finch.set_connection_status(connected.connection_id, status)
    # The SDK returns an empty list and raises no error.
    assert list(connected.sdk.hris.directory.list()) == []
    assert wire.last.status_code == 202
    assert wire.last.json()["name"] == "accepted"
    assert wire.last.json()["finch_code"] == "data_sync_in_progress"


def test_202_can_be_forced_and_can_have_no_body_by_switch(
    customers: Customers, wire: Wire, fake_finch: FinchState
) -> None:
    connected = customers.connect()
    fake_finch.switches.data_sync = "in_progress"
    list(connected.sdk.hris.directory.list())
    assert wire.last.status_code == 202
    fake_finch.switches.accepted_with_body = False
    connected.sdk.hris.directory.with_raw_response.list()
    assert (wire.last.status_code, wire.last.content) == (202, b"")


@pytest.mark.parametrize("body", [{}, {"requests": []}, {"requests": [{"id": "x"}]}])
def test_batch_without_individuals_is_a_bad_request(
    customers: Customers, http: httpx.Client, body: dict[str, object]
) -> None:
    token = customers.connect().token.access_token
    headers = {"Authorization": f"Bearer {token}"}
    for path in ("/employer/individual", "/employer/employment"):
        assert http.post(path, json=body, headers=headers).status_code == 400
