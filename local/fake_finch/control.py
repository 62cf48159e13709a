"""The control endpoints under /_fake_finch, for clients that reach the fake Finch by HTTP only.

GET, PATCH   switches                     read all; change some (unknown names are refused)
GET, POST, DELETE  faults                 list waiting faults; add a `faults.Fault`; delete all
GET          truth                        sessions, codes, connections, tokens, request counts
GET          requests                     received requests, without secret values
GET, PUT     application                  client_id, client_secret, redirect_uris, client_type,
                                          webhook_url, webhook_secrets
POST         application/webhook_secret   create a secret; the previous secret signs for another day
GET, POST, DELETE  webhooks               list waiting webhooks and answers; send {"event_type",
                                          "connection_id"?, "data"?}; delete all
PUT          connections/<id>/status      {"status", "message"?}: set any status of a connection
DELETE       connections/<id>             end a connection, as an employer can at the provider
POST         authorize                    as `FinchState.authorize`: {"code", "redirect_to"}
POST         refuse                       {"session_id", "state"?}: {"redirect_to"}
POST         clock                        {"advance_seconds"}: advance the fake Finch's clock
POST         reset                        restore the seeded world

The real Finch has none of these. An invalid request is answered 400 {"problem"}.
"""

import json
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, jsonify, request
from pydantic import ValidationError

from local.fake_finch.faults import Fault
from local.fake_finch.records import CannotAuthorize
from local.fake_finch.state import FinchState


def blueprint(finch: FinchState) -> Blueprint:
    control = Blueprint("control", __name__, url_prefix="/_fake_finch")

    @control.errorhandler(ValueError)
    @control.errorhandler(TypeError)
    @control.errorhandler(KeyError)
    def invalid(error: Exception) -> tuple[dict[str, str], int]:
        if isinstance(error, ValidationError):
            return {"problem": str(error.errors(include_url=False, include_context=False))}, 400
        return {"problem": f"{type(error).__name__}: {error}"}, 400

    @control.errorhandler(CannotAuthorize)
    def cannot(error: CannotAuthorize) -> tuple[dict[str, str], int]:
        return {"problem": str(error)}, error.status

    @control.get("/switches")
    def switches() -> dict[str, Any]:
        return finch.switches.model_dump()

    @control.patch("/switches")
    def change_switches() -> dict[str, Any]:
        return finch.change_switches(**_fields()).model_dump()

    @control.get("/faults")
    def faults() -> Response:
        return jsonify([fault.model_dump(mode="json") for fault in finch.faults.waiting()])

    @control.post("/faults")
    def add_fault() -> tuple[dict[str, Any], int]:
        fault = Fault.model_validate(_fields())
        # The answer is a copy, because requests count down the waiting fault.
        answer = fault.model_dump(mode="json")
        finch.faults.put(fault)
        return answer, 201

    @control.delete("/faults")
    def clear_faults() -> tuple[str, int]:
        finch.faults.clear()
        return "", 204

    @control.get("/truth")
    def truth() -> dict[str, Any]:
        return finch.truth()

    @control.get("/requests")
    def requests() -> Response:
        return jsonify([recorded.outline() for recorded in finch.requests.all()])

    @control.get("/application")
    def application() -> dict[str, Any]:
        return asdict(finch.application)

    @control.put("/application")
    def replace_application() -> dict[str, Any]:
        return asdict(finch.replace_application(**_fields()))

    @control.post("/application/webhook_secret")
    def rotate_webhook_secret() -> dict[str, Any]:
        return {"webhook_secret": finch.rotate_webhook_secret()}

    @control.get("/webhooks")
    def webhooks() -> dict[str, Any]:
        waiting = [
            {
                "event_id": webhook.event_id,
                "attempt": webhook.attempt,
                "due_at": webhook.due_at.isoformat(),
                "event": json.loads(webhook.body),
            }
            for webhook in finch.outbox.waiting()
        ]
        answers = [asdict(answer) for answer in finch.outbox.answers()]
        return {"waiting": waiting, "answers": answers}

    @control.post("/webhooks")
    def send_webhook() -> tuple[dict[str, Any], int]:
        return {"event_id": finch.send_webhook(**_fields())}, 201

    @control.delete("/webhooks")
    def clear_webhooks() -> tuple[str, int]:
        finch.outbox.clear()
        return "", 204

    @control.put("/connections/<connection_id>/status")
    def set_status(connection_id: str) -> dict[str, Any]:
        fields = _fields()
        connection = finch.set_connection_status(
            connection_id, fields["status"], fields.get("message")
        )
        return {"connection_id": connection.id, "status": connection.status}

    @control.delete("/connections/<connection_id>")
    def end(connection_id: str) -> tuple[str, int]:
        finch.end(connection_id)
        return "", 204

    @control.post("/authorize")
    def authorize() -> dict[str, Any]:
        authorized = finch.authorize(**_fields())
        return {"code": authorized.code, "redirect_to": authorized.redirect_to}

    @control.post("/refuse")
    def refuse() -> dict[str, Any]:
        return {"redirect_to": finch.refuse(**_fields())}

    @control.post("/clock")
    def advance() -> dict[str, Any]:
        return {"now": finch.advance(timedelta(seconds=_fields()["advance_seconds"])).isoformat()}

    @control.post("/reset")
    def reset() -> tuple[str, int]:
        finch.reset()
        return "", 204

    return control


def _fields() -> dict[str, Any]:
    fields = request.get_json()
    if not isinstance(fields, dict):
        raise ValueError("the body must be a JSON object")
    return fields
