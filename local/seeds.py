"""The connections that a new local world begins with, so that its page has something to show.

The product makes them itself, as it does for a customer with a browser.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from local.fake_finch.seed_world import (
    DANA,
    HARBOR_LANE,
    JUNIPER_VALE,
    MAYA,
    NORTHFOLD,
    OWEN,
    TALLY,
    Company,
)
from local.visitor import visit
from local.world import World

CUSTOMER = "acme"
PRODUCTS = ("company", "directory", "employment", "individual", "payment")


@dataclass(frozen=True)
class Seed:
    """A connection to make. `status` is its status at Finch."""

    provider_id: str
    username: str
    company: Company
    status: str = "connected"
    disconnects: bool = False

    @property
    def path(self) -> str:
        """The path of the connection in the API."""
        return f"/connections/{self.provider_id}/{quote(self.company.id, safe='')}"


# None at the first provider that Finch Connect offers, so every other customer can connect there.
SEEDS = (
    Seed("justworks", MAYA, HARBOR_LANE),
    Seed("adp_run", OWEN, HARBOR_LANE, status="reauth"),
    Seed("rippling", DANA, NORTHFOLD),
    Seed("paychex_flex", TALLY, JUNIPER_VALE, disconnects=True),
)


def plant(world: World) -> None:
    """Makes the seeds in a world that was never seeded. Every world starts its listing function."""
    bearer = {"authorization": f"Bearer {world.issuer.token(CUSTOMER)}"}
    planted = world.state_dir / "seeded"
    with httpx.Client(base_url=world.api_url, headers=bearer, timeout=60) as api:
        # The first call of a function is slow. It must not be the first that a person sees.
        listed = _answer(api.get("/connections"))["connections"]
        if planted.exists():
            return
        existing = {(one["provider_id"], one["company_id"]) for one in listed}
        for seed in SEEDS:
            if (seed.provider_id, seed.company.id) not in existing:
                _make(world, api, seed)
    planted.touch()


def _make(world: World, api: httpx.Client, seed: Seed) -> None:
    # The first status counts at once. A status that gets worse counts a minute later. A status that gets
    # better counts at once for each seed, so only a seed with another status needs the override.
    if seed.status != "connected":
        world.finch.change_switches(introspect_status_override=seed.status)
    try:
        asked = {"products": PRODUCTS, "return_to": world.page_url}
        link = _answer(api.post("/connect-sessions", json=asked))["connect_url"]
        entities = [entity.name for entity in seed.company.entities]
        page = visit(
            link,
            seed.provider_id,
            seed.username,
            seed.company.id,
            product=PRODUCTS,
            entity=entities,
        )
        [completion] = parse_qs(urlsplit(page).fragment)["completion"]
        _answer(api.post("/callback", json={"completion": completion}))
        [login] = _answer(api.get(seed.path))["logins"]
        # Before the override ends: a check in between would find the login connected.
        world.finch.set_connection_status(login["connection_id"], seed.status)
    finally:
        world.finch.change_switches(introspect_status_override=None)
    if seed.disconnects:
        world.finch.change_switches(disconnect_fails_for=login["connection_id"])
        _answer(api.delete(seed.path))


def _answer(reply: httpx.Response) -> Any:
    return reply.raise_for_status().json()
