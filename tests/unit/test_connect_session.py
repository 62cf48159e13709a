"""Rules of connect sessions."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finch_connections.domain.connect_session import (
    EXCHANGE_LIMIT,
    KINDS,
    LINK_LIFETIME,
    NEXT,
    CannotConnect,
    CodeNote,
    CodeRejected,
    ConnectSession,
    Consumed,
    Consumption,
    Escrow,
    Exchanging,
    Mode,
    Phase,
    ReturnToNotAllowed,
    SessionExpired,
    SessionNotFound,
    SessionUsed,
    Started,
    begin,
    issued_to,
    next_finch_customer_id,
    require_code,
    require_completion,
    require_handle,
    require_link,
    require_return_to,
    require_same,
    require_theirs,
    require_unspent,
    session_of_completion,
    unguessed_finch_customer_id,
)
from finch_connections.domain.connection import CompanyKey, ConnectionStatus
from finch_connections.domain.secret import SecretText
from finch_connections.domain.token_response import Introspection, TokenResponse
from finch_connections.web import cookies
from finch_connections.web.redirects import return_url

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CODE = SecretText("the-code")
ALLOWED = ("https://app.example.com/", "https://app.example.com/payroll")


def started(mode: Mode = Mode.REDIRECT) -> Started:
    return begin(
        customer_id="acme",
        customer_name=None,
        mode=mode,
        products=("company",),
        provider_id=None,
        return_to=ALLOWED[0] if mode is Mode.REDIRECT else None,
        allowed_return_urls=ALLOWED,
        callback_url="https://api.example.com/callback",
        now=NOW,
    ).session


def consumed(phase: Phase = Phase.EXCHANGING) -> Consumed:
    attempt = started().attempt
    consumption = Consumption("request", CODE.digest(), attempt.completion(CODE).digest(), NOW)
    needed = {
        "escrow": escrow(state_echoed=True),
        "error": "cannot_connect",
        "discarding_since": NOW,
        "key": CompanyKey("gusto", "company-1"),
    }
    kind: Any = KINDS[phase]
    names = {one.name for one in fields(kind)}
    session: Consumed = kind(
        attempt, consumption, **{name: one for name, one in needed.items() if name in names}
    )
    return session


def test_each_phase_has_its_own_type_and_leads_to_existing_phases() -> None:
    assert [kind.phase for kind in get_args(ConnectSession)] == list(KINDS)
    assert KINDS.keys() == NEXT.keys() == set(Phase)
    assert all(kind.__name__.lower() == phase for phase, kind in KINDS.items())
    assert set().union(*NEXT.values()) == set(Phase)


def test_every_session_has_its_own_secrets_and_stores_only_hashes() -> None:
    new = [
        begin(
            customer_id="acme",
            customer_name="Acme",
            mode=Mode.REDIRECT,
            products=("company",),
            provider_id=None,
            return_to=ALLOWED[0],
            allowed_return_urls=ALLOWED,
            callback_url="https://api.example.com/callback",
            now=NOW,
        )
        for _ in range(2)
    ]
    secrets = [one.handle.reveal() for one in new] + [one.binding.reveal() for one in new]
    assert len({*secrets, *(one.session.attempt.completion_key for one in new)}) == 6
    assert all(len(secret) == 43 for secret in secrets)
    for one in new:
        assert one.handle.matches(one.session.attempt.handle_hash)
        assert not any(secret in repr(one) for secret in secrets)


def test_embedded_session_has_no_redirect_uri() -> None:
    assert started(Mode.EMBEDDED).attempt.redirect_uri is None
    assert started().attempt.redirect_uri == "https://api.example.com/callback"


@pytest.mark.parametrize(
    "return_to",
    [None, "", ALLOWED[0][:-1], ALLOWED[0] + "?a=b", ALLOWED[1].upper(), "//evil.example"],
)
def test_return_to_must_equal_a_configured_page(return_to: str | None) -> None:
    with pytest.raises(ReturnToNotAllowed):
        require_return_to(return_to, ALLOWED)
    assert require_return_to(ALLOWED[1], ALLOWED) == ALLOWED[1]


@given(st.text())
def test_text_that_is_not_a_handle_is_not_found(text: str) -> None:
    with pytest.raises(SessionNotFound):
        require_handle(text)


def test_only_the_cookie_of_the_session_proves_the_browser() -> None:
    new = begin(
        customer_id="acme",
        customer_name=None,
        mode=Mode.REDIRECT,
        products=("company",),
        provider_id=None,
        return_to=ALLOWED[0],
        allowed_return_urls=ALLOWED,
        callback_url="https://api.example.com/callback",
        now=NOW,
    )
    attempt = new.session.attempt
    [cookie] = cookies.binding_cookies(attempt.binding_id, new.binding, NOW, {})
    pair = cookie.partition(";")[0]
    name, _, value = pair.partition("=")
    another, _, _ = cookies.spent_binding_cookie(started().attempt.binding_id).partition("=")
    assert attempt.bound(cookies.bindings({name: value}))
    assert not attempt.bound(cookies.bindings({}))
    assert not attempt.bound(cookies.bindings({name: value[:42]}))
    assert not attempt.bound(cookies.bindings({name: ""}))
    assert not attempt.bound(cookies.bindings({name: attempt.binding_hash}))
    assert not attempt.bound(cookies.bindings({another: value}))
    assert not attempt.bound(cookies.bindings({name.upper(): value}))


def test_link_works_for_exactly_seven_days() -> None:
    session = started()
    require_link(session, NOW + LINK_LIFETIME - timedelta(seconds=1))
    with pytest.raises(SessionExpired):
        require_link(session, NOW + LINK_LIFETIME)


def test_user_who_clicked_in_time_can_return_after_the_link_expires() -> None:
    session = started()
    late = session.attempt.expires_at
    assert late == NOW + LINK_LIFETIME + timedelta(hours=1, minutes=10)
    require_code(session, CODE, late - timedelta(seconds=1))
    with pytest.raises(SessionExpired):
        require_code(session, CODE, late)


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.STARTED])
def test_used_session_accepts_only_its_own_code(phase: Phase) -> None:
    session = consumed(phase)
    require_code(session, CODE, NOW + timedelta(days=1000))
    with pytest.raises(SessionUsed):
        require_link(session, NOW)
    if phase is Phase.EXCHANGING:
        # Finch may reject the code that is being exchanged, so another code waits.
        require_code(session, SecretText("another"), NOW)
    else:
        with pytest.raises(SessionUsed):
            require_code(session, SecretText("another"), NOW)


def test_code_of_another_session_or_rejected_by_finch_is_refused() -> None:
    session = started()
    require_unspent(None, session)
    require_unspent(CodeNote(session.attempt.handle_hash, rejected=False), session)
    for note in (
        CodeNote(session.attempt.handle_hash, rejected=True),
        CodeNote("x", rejected=False),
    ):
        with pytest.raises(CodeRejected):
            require_unspent(note, session)


@pytest.mark.parametrize("page", [None, "https://dropped.example.com/"])
def test_return_to_that_is_no_longer_configured_uses_the_default_page(page: str | None) -> None:
    assert return_url(page, ALLOWED, {"a": "b"}) == ALLOWED[0] + "?finch=return&a=b"
    assert return_url(ALLOWED[1], ALLOWED, {"a": "b"}) == ALLOWED[1] + "?finch=return&a=b"


def test_embedded_session_is_useful_as_long_as_finchs_session() -> None:
    assert started(Mode.EMBEDDED).attempt.useful_until == NOW + timedelta(hours=1)
    assert started().attempt.useful_until == NOW + LINK_LIFETIME


def test_exchange_is_abandoned_after_the_timeout_of_its_function() -> None:
    session = consumed()
    assert isinstance(session, Exchanging)
    assert not session.abandoned(NOW + EXCHANGE_LIMIT - timedelta(seconds=1))
    assert session.abandoned(NOW + EXCHANGE_LIMIT)


def test_completion_code_depends_on_the_session_and_the_code() -> None:
    attempt = consumed().attempt
    completion = attempt.completion(CODE)
    assert completion == attempt.completion(SecretText("the-code"))
    assert completion != attempt.completion(SecretText("another"))
    assert completion != consumed().attempt.completion(CODE)
    assert session_of_completion(completion) == attempt.handle_hash


def test_completion_code_works_only_for_the_customer_of_the_session() -> None:
    session = consumed()
    completion = session.attempt.completion(CODE)
    assert require_completion(session, completion, "acme") is session
    for refused, customer_id in (
        (completion, "globex"),
        (session.attempt.completion(SecretText("another")), "acme"),
        (SecretText(completion.reveal()[:-1] + "g"), "acme"),
    ):
        with pytest.raises(SessionNotFound):
            require_completion(session, refused, customer_id)
    for without in (None, Started(session.attempt)):
        with pytest.raises(SessionNotFound):
            require_completion(without, completion, "acme")


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("acme", True),
        ("acme~2", True),
        ("acme~13", True),
        ("acme~", False),
        ("acme~x", False),
        ("acme~2~3", False),
        ("acme2", False),
        ("globex", False),
        ("globex~2", False),
        ("acme~~2", False),
        ("~2", False),
        ("acme~2 ", False),
        ("ACME", False),
        ("", False),
    ],
)
def test_name_at_finch_belongs_to_the_customer_it_was_issued_to(name: str, ours: bool) -> None:
    assert issued_to(name, "acme") is ours


def test_next_name_is_the_first_free_name() -> None:
    assert next_finch_customer_id("acme", ()) == "acme"
    assert next_finch_customer_id("acme", {"acme", "acme~2", "acme~4"}) == "acme~3"
    many = {"acme", *(f"acme~{n}" for n in range(2, 1000))}
    assert next_finch_customer_id("acme", many) == "acme~1000"


def test_random_name_is_new_each_time_and_belongs_to_the_customer() -> None:
    names = {unguessed_finch_customer_id("acme") for _ in range(100)}
    assert len(names) == 100
    assert all(issued_to(name, "acme") for name in names)


TOKEN_RESPONSE = TokenResponse("connection-1", "gusto", frozenset({"company"}), customer_id="acme")
INTROSPECTION = Introspection(
    "token-1",
    "our-client",
    "connection-1",
    "gusto",
    frozenset({"company"}),
    ConnectionStatus.CONNECTED,
    customer_id="acme",
)


def escrow(state_echoed: bool, token_response: TokenResponse = TOKEN_RESPONSE) -> Escrow:
    return Escrow(b"", token_response, state_echoed=state_echoed, browser_bound=True)


def require_ours(
    session: Started, kept: Escrow, introspection: Introspection, client_id: str
) -> None:
    require_same(kept.token_response, introspection, client_id)
    require_theirs(session.attempt.customer_id, kept, introspection)


def test_token_tied_to_the_session_is_accepted() -> None:
    unnamed = replace(TOKEN_RESPONSE, customer_id=None)
    require_ours(started(), escrow(True), INTROSPECTION, "our-client")
    require_ours(started(), escrow(False), INTROSPECTION, "our-client")
    require_ours(started(), escrow(False, unnamed), INTROSPECTION, "our-client")
    require_ours(
        started(), escrow(True, unnamed), replace(INTROSPECTION, customer_id=None), "our-client"
    )


@pytest.mark.parametrize(
    ("state_echoed", "token_response", "introspection", "client_id"),
    [
        (True, TOKEN_RESPONSE, INTROSPECTION, "another-client"),
        (True, TOKEN_RESPONSE, replace(INTROSPECTION, customer_id="globex"), "our-client"),
        (True, replace(TOKEN_RESPONSE, customer_id="globex"), INTROSPECTION, "our-client"),
        (True, TOKEN_RESPONSE, replace(INTROSPECTION, connection_id="connection-2"), "our-client"),
        (True, TOKEN_RESPONSE, replace(INTROSPECTION, provider_id="justworks"), "our-client"),
        (
            True,
            replace(TOKEN_RESPONSE, company_id="company-1"),
            replace(INTROSPECTION, company_id="company-2"),
            "our-client",
        ),
        (
            False,
            replace(TOKEN_RESPONSE, customer_id=None),
            replace(INTROSPECTION, customer_id=None),
            "our-client",
        ),
    ],
)
def test_token_that_could_belong_to_another_customer_is_refused(
    state_echoed: bool, token_response: TokenResponse, introspection: Introspection, client_id: str
) -> None:
    with pytest.raises(CannotConnect):
        require_ours(started(), escrow(state_echoed, token_response), introspection, client_id)
