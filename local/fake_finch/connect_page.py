"""The Finch Connect page: the user chooses a provider, logs in, and allows or refuses access.

`GET /authorize?session=...&state=...` opens it. Every step is a form that posts to `/authorize` with
all earlier answers. The page asks for the first answer that is missing, so a test may go through the
steps or post all answers together:

session, state   from the link; also `sdk_host_url` if the embedding SDK added it
provider         a provider id; optional if the session names a provider
username         a login of the provider (seed_world.LOGINS)
password         any text; it is ignored
company          a company id; optional if the login reaches a single company
entity           names of the company's entities, repeated; optional for a single entity
product          granted products, repeated
decision         `allow` or `refuse`; `refuse` works in any step

Allowed: 302 to the session's redirect_uri with `code` (and `state`, by switch). Refused: 302 with
`error` and `error_description`. "Leave" is a link to a page without a way back: Finch documents no
redirect for users who leave. Without a redirect_uri, the last page sends the result to the
embedding window by `postMessage`, as Finch's own page does, and shows it.
"""

import json
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from local.fake_finch.records import (
    CannotAuthorize,
    NotOffered,
    SessionOver,
    SessionUnknown,
    WrongLogin,
)
from local.fake_finch.seed_world import Company
from local.fake_finch.state import FinchState

PRODUCT_LABELS = {
    "benefits": "Benefits and deductions",
    "company": "Company details",
    "deduction": "Benefits and deductions",
    "directory": "Employee directory",
    "documents": "Documents",
    "employment": "Jobs and income",
    "individual": "Personal details",
    "payment": "Payroll totals",
    "pay_statement": "Pay statements",
    "plans": "Benefit plans",
    "plans_dependents": "Dependents on benefit plans",
    "plans_enrollments": "Enrollments in benefit plans",
    "recordkeeping": "Retirement recordkeeping",
    "ssn": "Social Security numbers",
}


@dataclass(frozen=True)
class _Answers:
    """The user's answers so far."""

    session: str
    state: str | None
    sdk_host_url: str | None
    provider: str | None
    username: str | None
    company: str | None
    entities: tuple[str, ...]
    products: tuple[str, ...]
    decision: str | None

    @classmethod
    def given(cls) -> "_Answers":
        values = request.values
        return cls(
            session=values.get("session", ""),
            state=values.get("state"),
            sdk_host_url=values.get("sdk_host_url"),
            provider=values.get("provider") or None,
            username=values.get("username", "").strip() or None,
            company=values.get("company") or None,
            entities=tuple(values.getlist("entity")),
            products=tuple(values.getlist("product")),
            decision=values.get("decision"),
        )


def blueprint(finch: FinchState) -> Blueprint:
    page = Blueprint("connect", __name__, static_folder="static", static_url_path="/connect/static")

    @page.after_request
    def _harmless(answer: Response) -> Response:
        # The page contains codes. `frame-ancestors` is missing, because the embedded flow is a frame.
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
            "base-uri 'none'"
        )
        return answer

    @page.errorhandler(CannotAuthorize)
    def _stopped(stopped: CannotAuthorize) -> tuple[str, int]:
        return render_template("stopped.html", problem=str(stopped)), stopped.status

    @page.get("/authorize")
    def opened() -> str:
        # A link contains only session and state. The other answers are posted.
        answers = _Answers.given()
        return _step(finch, answers)

    @page.post("/authorize")
    def answered() -> BaseResponse | str | tuple[str, int]:
        answers = _Answers.given()
        session = finch.open_session(answers.session)
        if answers.decision == "refuse":
            address = finch.refuse(answers.session, state=answers.state)
            return _redirected(address) if address else _result_page(answers, _refusal())
        if answers.decision != "allow":
            try:
                return _step(finch, answers)
            except (SessionUnknown, SessionOver):
                raise
            except CannotAuthorize as problem:
                return _again(finch, answers, problem)
        try:
            authorized = finch.authorize(
                answers.session,
                provider_id=answers.provider or session.provider_id,
                login=answers.username or "",
                company_id=answers.company,
                products=answers.products,
                entities=_granted_entities(finch, answers),
                state=answers.state,
            )
        except (SessionUnknown, SessionOver):
            raise
        except CannotAuthorize as problem:
            return _again(finch, answers, problem)
        if authorized.redirect_to is not None:
            return _redirected(authorized.redirect_to)
        message = {"name": "finch-auth-message-v2", "kind": "success", "code": authorized.code}
        if answers.state is not None and finch.switches.echo_state:
            message["state"] = answers.state
        return _result_page(answers, message)

    @page.get("/authorize/left")
    def left() -> str:
        message = {"name": "finch-auth-message-v2", "kind": "closed"}
        return render_template("left.html", message=json.dumps(message), target="*")

    @page.get("/connect/logos/<provider_id>.svg")
    def logo(provider_id: str) -> BaseResponse | tuple[str, int]:
        provider = finch.provider(provider_id)
        if provider is None:
            return "", 404
        drawn = make_response(render_template("logo.svg", provider=provider))
        drawn.mimetype = "image/svg+xml"
        return drawn

    return page


def _step(finch: FinchState, answers: _Answers, problem: str | None = None) -> str:
    """The page for the first missing answer; raises CannotAuthorize for a wrong answer."""
    session = finch.open_session(answers.session)
    facts: dict[str, Any] = {"answers": answers, "session": session, "problem": problem}
    providers = finch.providers_for(answers.session)
    provider_id = answers.provider or session.provider_id
    facts["customer_name"] = session.customer.name if session.customer else None
    if provider_id is None:
        return render_template("provider.html", providers=providers, **facts)
    provider = next((p for p in providers if p.id == provider_id), None)
    if provider is None:
        raise NotOffered("This provider is not offered here.")
    facts["provider"] = provider
    if answers.username is None:
        logins = [(x.username, _names(finch, x.company_ids)) for x in finch.logins_at(provider_id)]
        return render_template("login.html", logins=logins, **facts)
    companies = finch.log_in(answers.session, provider_id, answers.username)
    company = _chosen(companies, answers.company)
    if company is None:
        return render_template("company.html", companies=companies, **facts)
    products = finch.products_for(answers.session, provider_id)
    return render_template(
        "grant.html", company=company, products=products, labels=PRODUCT_LABELS, **facts
    )


def _again(finch: FinchState, answers: _Answers, problem: CannotAuthorize) -> tuple[str, int]:
    """The step to repeat, with the problem."""
    repeated = replace(answers, entities=(), products=(), decision=None)
    try:
        return _step(finch, repeated, str(problem)), problem.status
    except WrongLogin:
        login = replace(repeated, username=None, company=None)
        return _step(finch, login, str(problem)), problem.status
    except CannotAuthorize:
        # The earlier answers are not valid either: start from the beginning.
        first = replace(repeated, provider=None, username=None, company=None)
        return _step(finch, first, str(problem)), problem.status


def _chosen(companies: list[Company], company_id: str | None) -> Company | None:
    if company_id is None:
        return companies[0] if len(companies) == 1 else None
    return next((company for company in companies if company.id == company_id), None)


def _granted_entities(finch: FinchState, answers: _Answers) -> tuple[str, ...] | None:
    # Without a ticked entity nothing is granted, except if the page had no entities to tick.
    provider_id = answers.provider or finch.open_session(answers.session).provider_id
    companies = finch.log_in(answers.session, provider_id or "", answers.username or "")
    company = _chosen(companies, answers.company)
    if not answers.entities and (company is None or len(company.entities) == 1):
        return None
    return answers.entities


def _names(finch: FinchState, company_ids: tuple[str, ...]) -> str:
    return ", ".join(finch.company(company_id).legal_name for company_id in company_ids)


def _refusal() -> dict[str, Any]:
    return {
        "name": "finch-auth-message-v2",
        "kind": "error",
        "error": {
            "shouldClose": True,
            "message": "The user did not grant access",
            "type": "employer_connection_error",
        },
    }


def _result_page(answers: _Answers, message: dict[str, Any]) -> str:
    # Only the embedding page may receive the code, if its SDK has named its origin.
    host = urlsplit(answers.sdk_host_url or "")
    target = f"{host.scheme}://{host.netloc}" if host.scheme and host.netloc else "*"
    return render_template(
        "result.html",
        message=json.dumps(message),
        code=message.get("code"),
        target=target,
    )


def _redirected(address: str) -> BaseResponse:
    return redirect(address, 302)
