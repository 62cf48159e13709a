"""Reads the employees of all connections of a customer at Finch.

Nothing is stored or logged. Finch's limits are in "Rate Limits" of its API reference: 20 successful calls in
60 seconds for each product, of all functions of the application together.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import httpx
from botocore.exceptions import BotoCoreError, ClientError

from finch_employees.record import Record, Source, from_finch
from finch_tokens import (
    CustomerConnection,
    TokenClient,
    TokenRefused,
    VendedToken,
    VendingFailed,
    connections_of,
    token_for,
)

PRODUCTS = ("directory", "individual", "employment")
# Finch takes up to 10,000. Half of them are some megabytes.
PAGE = 5_000
API_VERSION = "2020-09-17"
CALLS, SECONDS = 20, 60.0
# Finch blocks an address for an hour.
_BLOCKED = "finch_api_ip_rl"
_TRIES = 3
# Finch ends a call after six minutes ("408" in its error types).
_TIMEOUT = httpx.Timeout(5, read=360)


class Part(NamedTuple):
    """Some employees of a source, and the progress of the reading.

    Connection number `connection` of `connections` is being read, and `read` of the source's employees
    were. `of` is Finch's count of them, which Finch may leave out.
    """

    source: Source
    records: tuple[Record, ...]
    connection: int
    connections: int
    read: int
    of: int | None


class LeftOut(NamedTuple):
    """A connection or an entity that was not read, or not completely, and why.

    A reason of `TokenRefused`; or `not_ready` (Finch has no data yet, which is no empty directory),
    `unauthorized` (reported to VendToken), `entity_needs_user`, `rate_limited`, `finch_refused`,
    `finch_unavailable`, `finch_unreadable`, `vending_failed`; or `individuals_failed` with their number.
    """

    provider_id: str
    company_id: str
    reason: str
    entity_id: str | None = None
    status: str | None = None
    missing: tuple[str, ...] = ()
    individuals: int = 0


class _NotReady(Exception):
    """Finch answered 202."""


class Finch:
    """Finch's data endpoints, within Finch's limits. `client` is only for a single reading."""

    def __init__(
        self,
        client: httpx.Client,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client, self._clock, self._sleep = client, clock, sleep
        self._calls: dict[str, deque[float]] = {
            product: deque(maxlen=CALLS) for product in PRODUCTS
        }

    def call(
        self, product: str, token: VendedToken, entity_id: str | None, **request: Any
    ) -> dict[str, Any]:
        """The body of Finch's answer; raises `_NotReady` and httpx's errors."""
        # Finch takes at most one entity for each call, and requires it if there are several.
        params = {**request.pop("params", {}), **({"entity_ids[]": entity_id} if entity_id else {})}
        headers = {"Authorization": f"Bearer {token.access_token.reveal()}"}
        for left in reversed(range(_TRIES)):
            self._wait(product)
            answer = self._client.request(
                "POST" if "json" in request else "GET",
                f"/employer/{product}",
                params=params,
                headers=headers,
                **request,
            )
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS or not left:
                break
            if _BLOCKED in answer.text:
                break
            # Finch documents no Retry-After.
            self._sleep(SECONDS)
        if answer.status_code == httpx.codes.ACCEPTED:
            raise _NotReady
        body = answer.raise_for_status().json()
        if not isinstance(body, dict):
            raise ValueError("not an object")
        return body

    def _wait(self, product: str) -> None:
        calls = self._calls[product]
        if len(calls) == CALLS:
            self._sleep(max(0.0, calls[0] + SECONDS - self._clock()))
        calls.append(self._clock())


def read(
    *,
    customer_id: str,
    purpose: str,
    ssn: bool = True,
    client: TokenClient | None = None,
    finch: Finch | None = None,
) -> Iterator[Part | LeftOut]:
    """The employees of the customer's connections, part by part, and what was left out.

    With `ssn`, SSNs are read where they were granted. A connection that fails does not end the reading.
    Raises `VendingFailed` and the errors of boto if the connections cannot be listed.
    """
    with ExitStack() as stack:
        finch = finch or Finch(stack.enter_context(_client()))
        asked: dict[str, Any] = {
            "customer_id": customer_id,
            "purpose": purpose,
            "client": client,
        }
        connections = list(connections_of(**asked))
        for at, connection in enumerate(connections, start=1):
            yield from _connection(connection, asked, ssn, finch, (at, len(connections)))


def _connection(
    connection: CustomerConnection,
    asked: Mapping[str, Any],
    ssn: bool,
    finch: Finch,
    place: tuple[int, int],
) -> Iterator[Part | LeftOut]:
    where = connection.provider_id, connection.company_id
    with_ssn = ssn and "ssn" in connection.products
    products = (*PRODUCTS, "ssn") if with_ssn else PRODUCTS
    try:
        with token_for(
            provider_id=connection.provider_id,
            company_id=connection.company_id,
            products=products,
            **asked,
        ) as token:
            for left_out in token.left_out:
                yield LeftOut(*where, "entity_needs_user", left_out)
            # Only a connection without entities is read without an entity.
            without = () if token.left_out else (None,)
            for entity_id in token.entity_ids or without:
                yield from _entity(token, entity_id, with_ssn, finch, place)
    except TokenRefused as refused:
        if with_ssn and refused.reason == "missing_products":
            # One login covers the SSN, and another covers the rest.
            yield from _connection(connection, asked, False, finch, place)
            return
        yield LeftOut(*where, refused.reason, None, refused.status, refused.missing)
    except httpx.HTTPStatusError as error:
        yield LeftOut(*where, _reason(error))
    except (VendingFailed, ClientError, BotoCoreError):
        yield LeftOut(*where, "vending_failed")


def _entity(
    token: VendedToken,
    entity_id: str | None,
    ssn: bool,
    finch: Finch,
    place: tuple[int, int],
) -> Iterator[Part | LeftOut]:
    """The employees of an entity. Raises httpx's error only for a 401, which concerns the whole token."""
    where = token.provider_id, token.company_id
    source = Source(*where, token.connection_id, entity_id)
    failed = 0
    try:
        for entries, read_now, count in _directory(token, entity_id, finch):
            ids = [entry["id"] for entry in entries]
            options: dict[str, Any] = {"options": {"include": ["ssn"]}} if ssn else {}
            individuals = _batch("individual", token, entity_id, ids, finch, options)
            employments = _batch("employment", token, entity_id, ids, finch, {})
            failed += sum(one not in individuals or one not in employments for one in ids)
            records = tuple(
                from_finch(
                    source,
                    entry,
                    individuals.get(entry["id"], {}),
                    employments.get(entry["id"], {}),
                )
                for entry in entries
            )
            yield Part(source, records, *place, read_now, count)
    except _NotReady:
        yield LeftOut(*where, "not_ready", entity_id)
    except httpx.HTTPStatusError as error:
        if error.response.status_code == httpx.codes.UNAUTHORIZED:
            raise
        yield LeftOut(*where, _reason(error), entity_id)
    except httpx.TransportError:
        yield LeftOut(*where, "finch_unavailable", entity_id)
    except (ValueError, KeyError, TypeError, AttributeError):
        yield LeftOut(*where, "finch_unreadable", entity_id)
    if failed:
        yield LeftOut(*where, "individuals_failed", entity_id, individuals=failed)


def _directory(
    token: VendedToken, entity_id: str | None, finch: Finch
) -> Iterator[tuple[list[dict[str, Any]], int, int | None]]:
    """The new entries of each page, the number of entries until now, and Finch's count."""
    found: dict[str, None] = {}
    while True:
        params = {"limit": PAGE, "offset": len(found)}
        body = finch.call("directory", token, entity_id, params=params)
        page = {entry["id"]: entry for entry in body["individuals"]}
        new = [entry for id_, entry in page.items() if id_ not in found]
        found |= dict.fromkeys(page)
        count = (body.get("paging") or {}).get("count")
        if new:
            yield new, len(found), count
        # Finch may leave out the count. Then a page that is not full is the last page.
        if not new or (len(page) < PAGE if count is None else len(found) >= count):
            return


def _batch(
    product: str,
    token: VendedToken,
    entity_id: str | None,
    ids: Sequence[str],
    finch: Finch,
    options: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """The bodies of the individuals that Finch answered; each item of the batch has its own code."""
    asked = {"requests": [{"individual_id": one} for one in ids], **options}
    body = finch.call(product, token, entity_id, json=asked)
    return {
        one["individual_id"]: one["body"]
        for one in body["responses"]
        if one["code"] == httpx.codes.OK and isinstance(one["body"], dict)
    }


def _reason(error: httpx.HTTPStatusError) -> str:
    status = error.response.status_code
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return "finch_unavailable"
    return {401: "unauthorized", 429: "rate_limited"}.get(status, "finch_refused")


def _client() -> httpx.Client:
    """A new client for one reading, so that no cookie reaches another customer's call."""
    return httpx.Client(
        base_url=os.environ.get("FINCH_API_URL", "https://api.tryfinch.com"),
        headers={"Finch-API-Version": API_VERSION},
        timeout=_TIMEOUT,
        trust_env=False,
    )
