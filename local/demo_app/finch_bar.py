"""The bar below the page, which breaks and heals things at the fake Finch. It is no part of the product.

It speaks to the fake Finch's control endpoints, see `fake_finch/control.py`.
"""

from collections.abc import Callable
from typing import Any

import httpx
from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from local.fake_finch.seed_world import COMPANIES, PROVIDERS

# Finch's faults for all requests, by the name of the button.
FAULTS: dict[str, dict[str, Any]] = {
    "down": {"error": "server_error"},
    "slow": {"delay_seconds": 5},
}
_NAMES = {one.id: one.legal_name for one in COMPANIES}
_NAMES |= {one.id: one.display_name for one in PROVIDERS}


def blueprint(finch_url: str) -> Blueprint:
    """The server side of the bar, under `/finch-bar`."""
    bar = Blueprint("finch_bar", __name__, url_prefix="/finch-bar")
    finch = httpx.Client(base_url=f"{finch_url}/_fake_finch/", timeout=10)

    def ask(method: str, path: str, body: Any = None) -> httpx.Response:
        return finch.request(method, path, json=body).raise_for_status()

    def live() -> list[dict[str, Any]]:
        return [one for one in ask("GET", "truth").json()["connections"] if one["live"]]

    def require_login(connection_id: str) -> None:
        ask("PUT", f"connections/{connection_id}/status", {"status": "reauth"})

    def end(connection_id: str) -> None:
        ask("DELETE", f"connections/{connection_id}")

    def switch(fault: str) -> None:
        ordered = fault in ordered_faults()
        ask("DELETE", "faults")
        if not ordered:
            ask("POST", "faults", {"action": FAULTS[fault], "times": None})

    def heal() -> None:
        ask("DELETE", "faults")
        ask("PATCH", "switches", {"disconnect_fails_for": None})
        for one in live():
            if one["status"] != "connected":
                ask("PUT", f"connections/{one['id']}/status", {"status": "connected"})

    def ordered_faults() -> list[str]:
        actions = [one["action"] for one in ask("GET", "faults").json()]
        return [
            name
            for name, fields in FAULTS.items()
            if any(fields.items() <= action.items() for action in actions)
        ]

    actions: dict[str, Callable[[str], None]] = {
        "require-login": require_login,
        "end": end,
        "down": lambda _: switch("down"),
        "slow": lambda _: switch("slow"),
        "heal": lambda _: heal(),
    }

    def state() -> ResponseReturnValue:
        connections = [
            {"id": one["id"], "name": _name(one), "status": one["status"]} for one in live()
        ]
        return jsonify(connections=connections, faults=ordered_faults())

    @bar.get("")
    def show() -> ResponseReturnValue:
        return state()

    @bar.post("/<action>")
    def act(action: str) -> ResponseReturnValue:
        # A form of another site cannot send JSON.
        stated = request.get_json()
        if action not in actions:
            return jsonify(error="No such action."), 404
        actions[action](str(stated.get("connection_id", "")))
        return state()

    return bar


def _name(connection: dict[str, Any]) -> str:
    company, provider = connection["company_id"], connection["provider_id"]
    return f"{_NAMES.get(provider, provider)}: {_NAMES.get(company, company)}"
