"""Reads all pages of Finch's directory for a connection ("Directory" in Finch's API reference)."""

import os

import httpx

from finch_tokens import VendedToken

PAGE = 100
API_VERSION = "2020-09-17"


class NotReady(Exception):
    """Finch has no data yet (202). This is not an empty directory."""


def individual_ids(token: VendedToken, finch: httpx.Client) -> list[str]:
    """The distinct ids of all individuals in all readable entities. Raises `NotReady` and httpx's errors."""
    found: dict[str, None] = {}
    # Only a connection without entities is read without an entity.
    without = () if token.left_out else (None,)
    for entity_id in token.entity_ids or without:
        found |= _of_entity(entity_id, token, finch)
    return list(found)


def _of_entity(entity_id: str | None, token: VendedToken, finch: httpx.Client) -> dict[str, None]:
    found: dict[str, None] = {}
    while True:
        # Finch takes at most one entity for each call, and requires it if there are several.
        entity = {"entity_ids[]": entity_id} if entity_id else {}
        answer = finch.get(
            "/employer/directory",
            params={"limit": PAGE, "offset": len(found), **entity},
            headers={"Authorization": f"Bearer {token.access_token.reveal()}"},
        )
        if answer.status_code == httpx.codes.ACCEPTED:
            raise NotReady
        body = answer.raise_for_status().json()
        page = {one["id"]: None for one in body["individuals"]}
        nothing_new = page.keys() <= found.keys()
        found |= page
        # Finch may leave out the count. Then a page that is not full is the last page.
        count = body["paging"].get("count")
        if nothing_new or (len(page) < PAGE if count is None else len(found) >= count):
            return found


def from_settings() -> httpx.Client:
    """A new client of the Finch API for one reading, so that no cookie reaches another customer's call."""
    return httpx.Client(
        base_url=os.environ["FINCH_API_URL"],
        headers={"Finch-API-Version": API_VERSION},
        timeout=httpx.Timeout(5, read=30),
        trust_env=False,
    )
