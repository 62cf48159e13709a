"""Reads the employees of all connections, at a Finch and a VendToken that answer what the test says."""

import json
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import httpx
import pytest
from botocore.exceptions import EndpointConnectionError

from finch_employees import Finch, LeftOut, Part, read, reading
from finch_tokens import TokenClient, VendingFailed

type Answer = Callable[[httpx.Request], httpx.Response]
PRODUCTS = ["directory", "employment", "individual"]


class Backend:
    """VendToken with these connections, and Finch with three employees in each entity."""

    def __init__(self, *connections: str, products: list[str] = PRODUCTS) -> None:
        self.connections, self.products = connections, products
        self.entity_ids: list[str] = []
        self.left_out: list[str] = []
        self.refused: dict[str, Any] = {}
        self.employees = 3
        self.has_count = True
        self.answers: dict[tuple[str, str], Answer] = {}
        self.asked: list[dict[str, Any]] = []
        self.sent: list[httpx.Request] = []
        self.now, self.slept = 0.0, list[float]()

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        request = json.loads(Payload)
        self.asked.append(request)
        answer = self._vend(request)
        if isinstance(answer, Exception):
            raise answer
        failed = {"FunctionError": "Unhandled"} if answer == "failed" else {}
        return {"Payload": BytesIO(json.dumps(answer).encode()), **failed}

    def _vend(self, request: dict[str, Any]) -> Any:
        if "list_connections" in request:
            return self._page(request["after"])
        if "report" in request:
            return {"reported": True}
        provider_id = request["provider_id"]
        if provider_id in self.refused:
            return self.refused[provider_id]
        if not set(request["products"]) <= set(self.products):
            return {"reason": "missing_products", "missing": ["ssn"]}
        token = {
            "access_token": f"token-{provider_id}",
            "token_id": "t",
            "connection_id": f"k-{provider_id}",
            "provider_id": provider_id,
            "company_id": "c",
            "products": self.products,
            "entity_ids": self.entity_ids,
            "left_out_entity_ids": self.left_out,
        }
        return {"token": token}

    def _page(self, after: dict[str, str] | None) -> dict[str, Any]:
        """Two connections at once."""
        start = self.connections.index(after["provider_id"]) + 1 if after else 0
        page = self.connections[start : start + 2]
        shown = [
            {
                "provider_id": one,
                "company_id": "c",
                "status": "connected",
                "products": self.products,
            }
            for one in page
        ]
        more = self.connections[start + 2 :]
        return {
            "connections": shown,
            "next": {"provider_id": page[-1], "company_id": "c"} if more else None,
        }

    def finch(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        provider_id = request.headers["authorization"].removeprefix("Bearer token-")
        product = request.url.path.rpartition("/")[2]
        entity_id = request.url.params.get("entity_ids[]", "")
        for key in ((provider_id, product), (entity_id, product)):
            if key in self.answers:
                return self.answers[key](request)
        if product == "directory":
            offset, limit = (int(request.url.params[one]) for one in ("offset", "limit"))
            ids = [f"{entity_id}{at}" for at in range(self.employees)][offset : offset + limit]
            paging = {"offset": offset, **({"count": self.employees} if self.has_count else {})}
            entries = [{"id": one, "first_name": f"Name{one}"} for one in ids]
            return httpx.Response(200, json={"paging": paging, "individuals": entries})
        body = json.loads(request.content)
        with_ssn = "ssn" in body.get("options", {}).get("include", ())
        return httpx.Response(
            200,
            json={
                "responses": [
                    {
                        "individual_id": one["individual_id"],
                        "code": 200,
                        "body": {"ssn": "123456780"} if with_ssn else {"title": "Cook"},
                    }
                    for one in body["requests"]
                ]
            },
        )

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def read(self, **options: Any) -> Iterator[Part | LeftOut]:
        client = httpx.Client(
            base_url="https://finch.example.com", transport=httpx.MockTransport(self.finch)
        )
        return read(
            customer_id="acme",
            purpose="test",
            client=TokenClient(self, "vend", "sync"),  # type: ignore[arg-type]
            finch=Finch(client, clock=lambda: self.now, sleep=self.sleep),
            **options,
        )

    def all(self, **options: Any) -> tuple[list[Part], list[LeftOut]]:
        found = list(self.read(**options))
        parts = [one for one in found if isinstance(one, Part)]
        return parts, [one for one in found if isinstance(one, LeftOut)]


def status(code: int, body: Any = None) -> Answer:
    return lambda _: httpx.Response(code, json=body or {})


def test_all_connections_are_read_with_progress() -> None:
    backend = Backend("adp_run", "gusto", "rippling")
    parts, left_out = backend.all()
    assert left_out == []
    assert [(part.connection, part.connections) for part in parts] == [(1, 3), (2, 3), (3, 3)]
    assert [(part.read, part.of) for part in parts] == [(3, 3)] * 3
    record = parts[1].records[0]
    assert (record.source.provider_id, record.source.connection_id) == ("gusto", "k-gusto")
    assert (record.individual_id, record.first_name, record.title) == ("0", "Name0", "Cook")
    listed = [one for one in backend.asked if "list_connections" in one]
    assert [one["after"] for one in listed] == [None, {"provider_id": "gusto", "company_id": "c"}]
    assert {(one["customer_id"], one["purpose"], one["caller"]) for one in backend.asked} == {
        ("acme", "test", "sync")
    }


def test_each_entity_is_read_with_its_own_calls_and_left_out_entities_are_named() -> None:
    backend = Backend("gusto")
    backend.entity_ids, backend.left_out = ["e1", "e2"], ["e3"]
    parts, left_out = backend.all()
    assert [part.source.entity_id for part in parts] == ["e1", "e2"]
    assert left_out == [LeftOut("gusto", "c", "entity_needs_user", "e3")]
    assert {one.url.params["entity_ids[]"] for one in backend.sent} == {"e1", "e2"}


def test_connection_whose_entities_are_all_left_out_is_not_read_without_an_entity() -> None:
    backend = Backend("gusto")
    backend.left_out = ["e3"]
    parts, _ = backend.all()
    assert parts == []
    assert backend.sent == []


@pytest.mark.parametrize("has_count", [True, False])
def test_directory_is_read_in_pages_and_individuals_in_batches(
    monkeypatch: pytest.MonkeyPatch, has_count: bool
) -> None:
    monkeypatch.setattr(reading, "PAGE", 2)
    backend = Backend("gusto")
    backend.employees, backend.has_count = 5, has_count
    parts, _ = backend.all()
    assert [len(part.records) for part in parts] == [2, 2, 1]
    assert [(part.read, part.of) for part in parts] == [
        (read_now, 5 if has_count else None) for read_now in (2, 4, 5)
    ]
    batches = [json.loads(one.content)["requests"] for one in backend.sent if one.method == "POST"]
    assert [len(batch) for batch in batches] == [2, 2, 2, 2, 1, 1]


@pytest.mark.parametrize(
    ("granted", "asked", "read_ssn"),
    [(True, True, True), (True, False, False), (False, True, False)],
)
def test_ssn_is_read_only_where_it_was_granted_and_asked_for(
    granted: bool, asked: bool, read_ssn: bool
) -> None:
    backend = Backend("gusto", products=[*PRODUCTS, "ssn"] if granted else PRODUCTS)
    [part], left_out = backend.all(ssn=asked)
    assert (part.records[0].ssn is not None) is read_ssn
    assert left_out == []


def test_without_a_login_for_the_ssn_and_the_rest_the_rest_is_read() -> None:
    backend = Backend("gusto", products=[*PRODUCTS, "ssn"])
    vend = backend._vend

    def other_logins(request: dict[str, Any]) -> Any:
        if "ssn" in request.get("products", ()):
            return {"reason": "missing_products", "missing": ["ssn"]}
        return vend(request)

    backend._vend = other_logins  # type: ignore[method-assign]
    [part], left_out = backend.all()
    assert (part.records[0].ssn, left_out) == (None, [])


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (
            {"reason": "reauth", "status": "reauth"},
            LeftOut("adp_run", "c", "reauth", None, "reauth"),
        ),
        (
            {"reason": "missing_products", "missing": ["individual"]},
            LeftOut("adp_run", "c", "missing_products", None, None, ("individual",)),
        ),
        ("failed", LeftOut("adp_run", "c", "vending_failed")),
        (
            EndpointConnectionError(endpoint_url="https://lambda.example.com"),
            LeftOut("adp_run", "c", "vending_failed"),
        ),
    ],
)
def test_connection_without_a_token_is_left_out_and_the_others_are_read(
    refused: Any, told: LeftOut
) -> None:
    backend = Backend("adp_run", "gusto")
    backend.refused = {"adp_run": refused}
    parts, left_out = backend.all()
    assert [part.source.provider_id for part in parts] == ["gusto"]
    assert left_out == [told]


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status(202), "not_ready"),
        (status(401), "unauthorized"),
        (status(403), "finch_refused"),
        (status(499), "finch_refused"),
        (status(502), "finch_unavailable"),
        (status(200, {"unusual": True}), "finch_unreadable"),
        (lambda _: httpx.Response(200, content=b"["), "finch_unreadable"),
        (lambda _: httpx.Response(200, json=[]), "finch_unreadable"),
    ],
)
def test_failure_at_finch_leaves_out_its_connection_only(
    product: str, answer: Answer, reason: str
) -> None:
    backend = Backend("adp_run", "gusto")
    backend.answers = {("adp_run", product): answer}
    parts, left_out = backend.all()
    assert [part.source.provider_id for part in parts] == ["gusto"]
    assert [(one.provider_id, one.reason) for one in left_out] == [("adp_run", reason)]
    reports = [one for one in backend.asked if "report" in one]
    assert len(reports) == (reason == "unauthorized")


def test_broken_line_to_finch_leaves_out_its_connection_only() -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("", request=request)

    backend = Backend("adp_run", "gusto")
    backend.answers = {("adp_run", "directory"): broken}
    parts, left_out = backend.all()
    assert len(parts) == 1
    assert left_out == [LeftOut("adp_run", "c", "finch_unavailable")]


def test_broken_entity_does_not_hide_the_others_of_its_connection() -> None:
    backend = Backend("gusto")
    backend.entity_ids = ["e1", "e2"]
    backend.answers = {("e1", "directory"): status(500)}
    parts, left_out = backend.all()
    assert [part.source.entity_id for part in parts] == ["e2"]
    assert left_out == [LeftOut("gusto", "c", "finch_unavailable", "e1")]


def test_individual_that_finch_fails_has_the_directorys_fields_and_is_counted() -> None:
    failed = [{"individual_id": str(at), "code": 404, "body": {"code": 404}} for at in range(3)]
    backend = Backend("gusto")
    backend.answers = {("gusto", "individual"): status(200, {"responses": failed})}
    [part], left_out = backend.all()
    assert part.records[0].first_name == "Name0"
    assert left_out == [LeftOut("gusto", "c", "individuals_failed", individuals=3)]


def test_at_most_twenty_calls_a_minute_are_made_for_each_product() -> None:
    backend = Backend("gusto")
    backend.entity_ids = [f"e{at}" for at in range(45)]
    parts, left_out = backend.all()
    assert (len(parts), left_out) == (45, [])
    assert len(backend.sent) == 3 * 45
    assert sum(backend.slept) == 120


def test_rate_limited_call_is_tried_again_after_a_minute() -> None:
    backend = Backend("gusto")
    limited = iter([429, 429])

    def answer(request: httpx.Request) -> httpx.Response:
        if code := next(limited, None):
            return httpx.Response(code, json={"finch_code": "finch_application_rl"})
        del backend.answers["gusto", "directory"]
        return backend.finch(request)

    backend.answers = {("gusto", "directory"): answer}
    parts, left_out = backend.all()
    assert (len(parts), left_out) == (1, [])
    assert backend.slept == [60, 60]


@pytest.mark.parametrize(
    ("finch_code", "tries"), [("finch_application_rl", 3), ("finch_api_ip_rl", 1)]
)
def test_lasting_rate_limit_leaves_out_the_connection_and_a_blocked_address_is_not_tried_again(
    finch_code: str, tries: int
) -> None:
    backend = Backend("gusto")
    backend.answers = {("gusto", "directory"): status(429, {"finch_code": finch_code})}
    parts, left_out = backend.all()
    assert (parts, left_out) == ([], [LeftOut("gusto", "c", "rate_limited")])
    assert len(backend.sent) == tries


def test_failed_list_of_connections_is_an_error() -> None:
    backend = Backend("gusto")
    backend._page = lambda after: "failed"  # type: ignore[assignment, method-assign, return-value]
    with pytest.raises(VendingFailed):
        backend.all()


def test_reading_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        Backend("adp_run", "gusto").all()
    assert caplog.records == []
