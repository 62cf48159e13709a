"""The host application: the product whose customers connect their payroll, with its sign-in."""

from pathlib import Path

from flask import Flask, Response, jsonify, request, send_from_directory
from flask.typing import ResponseReturnValue

from local.issuer import CUSTOMERS, LIFETIME, Issuer

PAGE_DIR = Path(__file__).with_name("page")


def create_app(issuer: Issuer, api_url: str) -> Flask:
    """The Connections page, `/sign-in` and what an authorizer asks of an issuer."""
    application = Flask(__name__, static_folder=None)

    @application.get("/.well-known/openid-configuration")
    def discovery() -> ResponseReturnValue:
        return jsonify(issuer.discovery)

    @application.get("/.well-known/jwks.json")
    def public_keys() -> ResponseReturnValue:
        return jsonify(keys=[issuer.public_key])

    @application.post("/sign-in")
    def sign_in() -> ResponseReturnValue:
        stated = request.get_json(silent=True)
        customer_id = stated.get("customer") if isinstance(stated, dict) else None
        if not isinstance(customer_id, str) or customer_id not in CUSTOMERS:
            return jsonify(error="No such customer."), 404
        return jsonify(
            access_token=issuer.token(customer_id),
            token_type="Bearer",  # noqa: S106
            expires_in=int(LIFETIME.total_seconds()),
        )

    @application.get("/config.json")
    def configuration() -> ResponseReturnValue:
        return jsonify(
            api_url=api_url,
            customers=[{"id": key, "name": name} for key, name in CUSTOMERS.items()],
        )

    @application.get("/")
    def page() -> ResponseReturnValue:
        return send_from_directory(PAGE_DIR, "index.html")

    @application.get("/<path:name>")
    def asset(name: str) -> ResponseReturnValue:
        return send_from_directory(PAGE_DIR, name)

    @application.after_request
    def protect(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
            f"connect-src 'self' {api_url}; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return application
