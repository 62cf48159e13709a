"""The fake Finch as a Flask app: its endpoints and the shape of its errors."""

from flask import Blueprint, Flask, Response, jsonify
from werkzeug.exceptions import HTTPException

from local.fake_finch import (
    connect_page,
    control,
    employment_data,
    management,
    payroll_data,
    sandbox,
)
from local.fake_finch.front import Front
from local.fake_finch.incoming import check_version
from local.fake_finch.records import NotReady
from local.fake_finch.refusals import NotFound, Refused, ServerError, error_body
from local.fake_finch.state import FinchState


def create_app(finch: FinchState) -> Flask:
    """The whole fake Finch as a WSGI app: API, Finch Connect page and control endpoints."""
    app = Flask("local.fake_finch", static_folder=None, template_folder="templates")
    # Fields keep the order of the API reference.
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["PROPAGATE_EXCEPTIONS"] = False
    for endpoints in (management, employment_data, payroll_data, sandbox):
        app.register_blueprint(_versioned(endpoints.blueprint(finch), finch))
    app.register_blueprint(control.blueprint(finch))
    app.register_blueprint(connect_page.blueprint(finch))
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(NotReady, lambda _: _accepted(finch))
    app.wsgi_app = Front(app.wsgi_app, finch)  # type: ignore[method-assign]
    return app


def _versioned(endpoints: Blueprint, finch: FinchState) -> Blueprint:
    endpoints.before_request(lambda: check_version(finch))
    return endpoints


def _refused(refused: Refused) -> tuple[Response, int]:
    return jsonify(refused.body()), refused.status


def _http_error(error: HTTPException) -> tuple[Response, int]:
    status = error.code or 500
    if status == 404:
        return _refused(NotFound("No such endpoint"))
    if status >= 500:
        return _refused(ServerError("The fake Finch failed; see its log"))
    return jsonify(error_body(status, "bad_request", error.description or "")), status


def _accepted(finch: FinchState) -> tuple[Response | str, int]:
    if not finch.switches.accepted_with_body:
        return "", 202
    message = "The data is still being synced; try again later"
    body = {"code": 202, "name": "accepted", "finch_code": "data_sync_in_progress"}
    return jsonify({**body, "message": message}), 202
