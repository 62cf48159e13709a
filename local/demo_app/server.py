"""The server of Acme Benefits: its page, its sign-in, and the documents of its token issuer."""

from pathlib import Path

from flask import Flask, Response, jsonify, redirect, request, send_file, send_from_directory
from flask.typing import ResponseReturnValue

from local.demo_app import finch_bar
from local.identity_provider import CUSTOMERS, LIFETIME, Issuer

PAGE_DIR = Path(__file__).with_name("page")
FRONTEND = Path(__file__).parents[2] / "frontend"


def create_app(issuer: Issuer, api_url: str, finch_url: str) -> Flask:
    """The application: the page with the Connections element, `/sign-in`, and the issuer's keys."""
    application = Flask(__name__, static_folder=None)
    application.register_blueprint(finch_bar.blueprint(finch_url))

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
            finch_url=finch_url,
            customers=[
                {"id": key, "name": name, "person": person}
                for key, (name, person) in CUSTOMERS.items()
            ],
        )

    @application.get("/finch-connections.js")
    def element() -> ResponseReturnValue:
        return send_file(FRONTEND / "finch-connections.js")

    @application.get("/finch-return.js")
    def take_return() -> ResponseReturnValue:
        return send_file(FRONTEND / "finch-return.js")

    @application.get("/finch-connect.js")
    def finch_sdk() -> ResponseReturnValue:
        # The real SDK is on Finch's CDN.
        return redirect(f"{finch_url}/connect/static/sdk.js")

    @application.get("/")
    def page() -> ResponseReturnValue:
        return send_from_directory(PAGE_DIR, "index.html")

    @application.get("/<path:name>")
    def asset(name: str) -> ResponseReturnValue:
        return send_from_directory(PAGE_DIR, name)

    @application.after_request
    def protect(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = (
            f"default-src 'none'; script-src 'self' {finch_url}; style-src 'self'; "
            f"img-src 'self' {finch_url}; connect-src 'self' {api_url}; "
            f"frame-src {finch_url}; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
        )
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return application
