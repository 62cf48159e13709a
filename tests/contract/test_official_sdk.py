"""Finch's own SDK, unchanged, with the clients of `finch_tokens.http` at the fake Finch."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from inspect import isawaitable
from io import BytesIO
from typing import Any

import finch
import httpx
import pytest
import time_machine

from finch_tokens import TokenClient, TokenRefused, VendingFailed
from finch_tokens import http as finch_http
from finch_tokens.http import (
    EntityNeeded,
    NotReady,
    async_finch_connections_client,
    finch_connections_client,
)
from local.fake_finch import FinchState
from local.fake_finch.seed_world import CEDARLINE, DANA, HARBOR_LANE, LENA, NORTHFOLD
from tests.contract.conftest import Connected, Customers
from tests.support.deployed import ROOT

PRODUCTS = ["company", "directory", "individual", "employment", "payment", "pay_statement"]
ASKED: Any = {
    "customer_id": "acme",
    "provider_id": "gusto",
    "company_id": "c",
    "purpose": "nightly sync",
}
DIRECTORY = "/employer/directory"


class VendToken:
    """A fake Lambda client with VendToken, which vends the token of a connection."""

    def __init__(self, connected: Connected) -> None:
        token = connected.token
        self.vended: dict[str, Any] = {
            "access_token": token.access_token,
            "token_id": "t1",
            "connection_id": token.connection_id,
            "provider_id": token.provider_id,
            "company_id": "c",
            "products": token.products,
            "entity_ids": token.entity_ids,
            "left_out_entity_ids": [],
        }
        self.instead: dict[str, Any] | None = None
        self.requests: list[dict[str, Any]] = []

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        request = json.loads(Payload)
        self.requests.append(request)
        answer = self.instead or {"token": self.vended}
        if "report" in request:
            answer = {"reported": True}
        failed = {"FunctionError": "Unhandled"} if "errorType" in answer else {}
        return {"Payload": BytesIO(json.dumps(answer).encode()), **failed}


class Backend:
    """A backend that uses the SDK, either the usual one or the async one in an event loop."""

    def __init__(self, vend_token: VendToken, runner: asyncio.Runner | None) -> None:
        self.vend_token, self._runner = vend_token, runner
        self.options: dict[str, Any] = {"client": TokenClient(vend_token, "vend", "sync")}  # type: ignore[arg-type]
        self.http: httpx.Client | httpx.AsyncClient | None = None
        self._sdk: Any = None

    def call(self, use: Callable[[Any], Any]) -> Any:
        """The result of a use of the SDK."""
        if self._runner is None:
            if self._sdk is None:
                self.http = finch_connections_client(**ASKED, **self.options)
                self._sdk = finch.Finch(access_token="", http_client=self.http)
            return use(self._sdk)

        async def run() -> Any:
            if self._sdk is None:
                self.http = async_finch_connections_client(**ASKED, **self.options)
                self._sdk = finch.AsyncFinch(access_token="", http_client=self.http)
            used = use(self._sdk)
            return await used if isawaitable(used) else used

        return self._runner.run(run())

    def all(self, use: Callable[[Any], Any]) -> list[Any]:
        """The items of all pages."""
        if self._runner is None:
            return list(self.call(use))

        async def collect(sdk: Any) -> list[Any]:
            return [one async for one in use(sdk)]

        found: list[Any] = self.call(collect)
        return found

    def close(self) -> None:
        if isinstance(self.http, httpx.Client):
            self.http.close()
        elif self.http and self._runner:
            self._runner.run(self.http.aclose())


@pytest.fixture(params=["sync", "async"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner | None]:
    if request.param == "sync":
        yield None
        return
    with asyncio.Runner() as runner:
        yield runner


type BackendFor = Callable[..., Backend]


@pytest.fixture
def backend_for(
    runner: asyncio.Runner | None,
    customers: Customers,
    base_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[BackendFor]:
    """Connects a company, and gives a backend that reads it."""
    monkeypatch.setenv("FINCH_API_URL", base_url)
    opened: list[Backend] = []

    def connect(*arguments: Any, **choices: Any) -> Backend:
        connected = customers.connect(*arguments, products=PRODUCTS, **choices)
        opened.append(Backend(VendToken(connected), runner))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


@pytest.fixture
def backend(backend_for: BackendFor) -> Backend:
    return backend_for()


def directory(sdk: Any) -> Any:
    return sdk.hris.directory.list()


def test_directory_with_several_pages_is_read_with_one_token(backend_for: BackendFor) -> None:
    backend = backend_for(LENA, "rippling")
    assert backend.vend_token.requests == []
    people = backend.all(directory)
    assert len({one.id for one in people}) == CEDARLINE.entities[0].headcount > 100
    assert backend.vend_token.requests == [{**ASKED, "products": [], "caller": "sync"}]


def test_individuals_employments_and_pay_statements_are_read(backend: Backend) -> None:
    person = backend.all(directory)[0]
    asked = [{"individual_id": person.id}]
    individual = backend.all(lambda sdk: sdk.hris.individuals.retrieve_many(requests=asked))[0]
    employment = backend.all(lambda sdk: sdk.hris.employments.retrieve_many(requests=asked))[0]
    assert individual.body.first_name == employment.body.first_name == person.first_name
    period = {"start_date": "2026-02-01", "end_date": "2026-02-28"}
    payment = backend.all(lambda sdk: sdk.hris.payments.list(**period))[0]
    paid = backend.all(
        lambda sdk: sdk.hris.pay_statements.retrieve_many(requests=[{"payment_id": payment.id}])
    )[0]
    assert person.id in [one.individual_id for one in paid.body.pay_statements]
    assert len(backend.vend_token.requests) == 1


def test_token_is_asked_for_again_after_five_minutes(backend: Backend) -> None:
    backend.options["products"] = ["directory"]
    with time_machine.travel(datetime(2026, 3, 2, tzinfo=UTC)) as clock:
        for seconds, asked in ((0, 1), (290, 1), (20, 2)):
            clock.shift(seconds)
            backend.call(directory)
            assert len(backend.vend_token.requests) == asked
    assert backend.vend_token.requests[1]["products"] == ["directory"]


def test_requests_at_the_same_time_ask_for_one_token(backend: Backend) -> None:
    async def gather(sdk: Any) -> None:
        await asyncio.gather(*(sdk.hris.company.retrieve() for _ in range(5)))

    def in_threads(sdk: Any) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda _: sdk.hris.company.retrieve(), range(5)))

    backend.call(in_threads if backend._runner is None else gather)
    assert len(backend.vend_token.requests) == 1


@pytest.mark.parametrize("body", [True, False])
def test_202_is_not_an_empty_directory(
    backend: Backend, fake_finch: FinchState, body: bool
) -> None:
    fake_finch.switches.data_sync = "in_progress"
    fake_finch.switches.accepted_with_body = body
    with pytest.raises(NotReady):
        backend.all(directory)
    assert fake_finch.requests.count("GET", DIRECTORY) == 1
    fake_finch.switches.data_sync = "done"
    assert len(backend.all(directory)) == HARBOR_LANE.entities[0].headcount


def test_401_is_reported_once_and_then_nothing_is_sent(
    backend: Backend, fake_finch: FinchState
) -> None:
    fake_finch.set_connection_status(backend.vend_token.vended["connection_id"], "reauth")
    with pytest.raises(finch.AuthenticationError) as caught:
        backend.call(directory)
    assert caught.value.body["finch_code"] == "reauthenticate_user"  # type: ignore[index]
    with pytest.raises(TokenRefused, match="unauthorized"):
        backend.call(directory)
    assert [one.get("report") for one in backend.vend_token.requests] == [None, "unauthorized"]
    assert backend.vend_token.requests[1]["token_id"] == "t1"
    assert fake_finch.requests.count("GET", DIRECTORY) == 1


def test_429_is_repeated_by_the_sdk_after_the_time_that_finch_asks_for(
    backend: Backend, fake_finch: FinchState, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("finch._base_client.time.sleep", slept.append)
    monkeypatch.setattr("finch._base_client.anyio.sleep", sleep)
    fake_finch.faults.add(
        "GET", DIRECTORY, error="rate_limit_exceeded_error", headers={"Retry-After": "7"}
    )
    assert backend.all(directory)
    assert slept == [7]
    assert fake_finch.requests.count("GET", DIRECTORY) == 2


def test_refusal_of_the_token_is_raised_as_it_is_and_not_repeated(
    backend: Backend, fake_finch: FinchState
) -> None:
    backend.vend_token.instead = {"reason": "missing_products", "missing": ["payment"]}
    with pytest.raises(TokenRefused) as caught:
        backend.call(directory)
    assert (caught.value.reason, caught.value.missing) == ("missing_products", ("payment",))
    assert len(backend.vend_token.requests) == 1
    assert fake_finch.requests.count("GET", DIRECTORY) == 0


def test_failed_vending_is_raised_as_it_is_and_the_next_call_tries_again(backend: Backend) -> None:
    backend.vend_token.instead = {"errorType": "InternalError"}
    with pytest.raises(VendingFailed):
        backend.call(directory)
    backend.vend_token.instead = None
    assert backend.all(directory)


def test_entity_of_several_is_named_by_the_client_or_by_the_request(
    backend_for: BackendFor, fake_finch: FinchState
) -> None:
    backend = backend_for(DANA, company_id=NORTHFOLD.id)
    with pytest.raises(EntityNeeded) as caught:
        backend.call(directory)
    assert caught.value.entity_ids == tuple(backend.vend_token.vended["entity_ids"])
    assert fake_finch.requests.count("GET", DIRECTORY) == 0

    def read_all(sdk: Any, entity_id: str) -> Any:
        return sdk.hris.directory.list(entity_ids=[entity_id])

    read = {len(backend.all(partial(read_all, entity_id=one))) for one in caught.value.entity_ids}
    assert read == {entity.headcount for entity in NORTHFOLD.entities}
    other = Backend(backend.vend_token, backend._runner)
    other.options["entity_id"] = caught.value.entity_ids[1]
    assert len(other.all(directory)) in read
    assert fake_finch.requests.last().query.endswith(caught.value.entity_ids[1])
    other.close()


def test_entity_that_is_left_out_is_not_read_and_the_only_other_entity_is_named(
    backend_for: BackendFor, fake_finch: FinchState
) -> None:
    backend = backend_for(DANA, company_id=NORTHFOLD.id)
    vended = backend.vend_token.vended
    readable, left_out, other = vended["entity_ids"]
    vended |= {"entity_ids": [readable], "left_out_entity_ids": [left_out, other]}
    backend.call(directory)
    assert fake_finch.requests.last().query == f"entity_ids%5B%5D={readable}"
    sent = len(fake_finch.requests.all())
    with pytest.raises(EntityNeeded):
        backend.call(lambda sdk: sdk.hris.directory.list(entity_ids=[left_out]))
    assert len(fake_finch.requests.all()) == sent


@pytest.mark.parametrize(
    "use",
    [
        lambda sdk: sdk.account.disconnect(),
        lambda sdk: sdk.account.introspect(),
        lambda sdk: sdk.providers.list(),
        lambda sdk: sdk.access_tokens.create(code="c", client_id="i", client_secret="s"),
    ],
)
def test_calls_that_read_no_data_are_refused_and_need_no_token(
    backend: Backend, fake_finch: FinchState, use: Callable[[Any], Awaitable[Any]]
) -> None:
    sent = len(fake_finch.requests.all())
    with pytest.raises(TokenRefused, match="path_not_allowed"):
        backend.call(use)
    assert len(fake_finch.requests.all()) == sent
    assert backend.vend_token.requests == []


def test_token_is_in_no_error_and_in_no_text(
    backend: Backend, fake_finch: FinchState, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    fake_finch.faults.add("GET", DIRECTORY, error="bad_request")
    with pytest.raises(finch.BadRequestError) as caught:
        backend.call(directory)
    request = caught.value.request
    assert request.headers["Authorization"] == "Bearer "
    assert caught.value.response.request is request
    text = backend.vend_token.vended["access_token"]
    seen = (caught.value, caught.value.body, backend.http, vars(backend.http), caplog.text)
    assert text not in str(seen)
    assert fake_finch.requests.count("GET", DIRECTORY) == 1


def test_every_request_goes_to_finch(backend: Backend, fake_finch: FinchState) -> None:
    """The SDK's own address is that of the real Finch."""
    backend.call(directory)
    assert str(backend._sdk.base_url) == "https://api.tryfinch.com"
    host = fake_finch.base_url.removeprefix("http://")
    assert fake_finch.requests.last().headers["host"] == host


def test_plain_httpx_gets_the_same_errors(backend: Backend, fake_finch: FinchState) -> None:
    backend.call(directory)
    fake_finch.switches.data_sync = "in_progress"

    def get(_: Any) -> Any:
        assert backend.http
        return backend.http.get(f"https://any.example.com{DIRECTORY}")

    fake_finch.switches.require_api_version = False
    response = backend.call(get)
    assert (response.status_code, response.content) == (202, b"")
    with pytest.raises(NotReady):
        response.raise_for_status()


def test_first_lines_of_the_documents_work(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "tokens.md").read_text()
    lines = page.partition("```python\n")[2].partition("```")[0]
    monkeypatch.setattr(finch_http, "from_settings", lambda: backend.options["client"])
    names: dict[str, Any] = {}
    exec(lines, names)  # noqa: S102
    names["http"].close()
    assert len(capsys.readouterr().out.split()) == HARBOR_LANE.entities[0].headcount
