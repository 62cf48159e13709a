"""Rules of connect sessions."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finch_connections.domain.connect_session import (
    EXCHANGE_LIMIT,
    FINCH_SESSION_REUSE,
    KINDS,
    LINK_LIFETIME,
    NEXT,
    WANTED_FOR,
    Attempt,
    CannotConnect,
    Click,
    CodeNote,
    CodeRejected,
    ConnectSession,
    Consumed,
    Consumption,
    Escrow,
    Escrowed,
    Exchanging,
    Held,
    Mode,
    ModeNotAllowed,
    Phase,
    ReturnToNotAllowed,
    SessionExpired,
    SessionNotFound,
    SessionUsed,
    Started,
    apart,
    begin,
    behind,
    dead_for_good,
    issued_to,
    meant_by,
    newest_number,
    repair_result,
    require_code,
    require_completion,
    require_handle,
    require_link,
    require_mode,
    require_return_to,
    require_same,
    require_theirs,
    require_unspent,
    session_of_completion,
    unguessed_finch_customer_id,
)
from finch_connections.domain.connection import CompanyKey, ConnectionStatus
from finch_connections.domain.secret import SecretText
from finch_connections.domain.token_response import (
    DEAD_AGAIN_AFTER,
    Introspection,
    TokenResponse,
)
from finch_connections.web import cookies
from finch_connections.web.redirects import return_url

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CODE = SecretText("the-code")
ALLOWED = ("https://app.example.com/", "https://app.example.com/payroll")


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


def test_session_stores_what_the_caller_asked_for() -> None:
    repairs = CompanyKey("gusto", "company-1")
    attempt = begin(
        customer_id="acme",
        customer_name="Acme Inc.",
        mode=Mode.EMBEDDED,
        products=("company", "ssn"),
        provider_id="gusto",
        return_to=ALLOWED[1],
        allowed_return_urls=ALLOWED,
        callback_url="https://api.example.com/callback",
        repairs=repairs,
        now=NOW,
    ).session.attempt
    stored = {
        "customer_id": "acme",
        "customer_name": "Acme Inc.",
        "mode": Mode.EMBEDDED,
        "products": ("company", "ssn"),
        "provider_id": "gusto",
        "return_to": ALLOWED[1],
        "redirect_uri": None,
        "repairs": repairs,
        "repairs_id": None,
        "finch_customer_id": None,
        "created_at": NOW,
        "apart": False,
    }
    assert {name: getattr(attempt, name) for name in stored} == stored
    assert len(attempt.completion_key) == 32


def test_customer_without_a_name_gets_the_start_of_the_customer_id() -> None:
    new = begin(
        customer_id="a" * 256,
        customer_name="",
        mode=Mode.EMBEDDED,
        products=("company",),
        provider_id=None,
        return_to=None,
        allowed_return_urls=ALLOWED,
        callback_url="",
        now=NOW,
    )
    assert new.session.attempt.customer_name == "a" * 255


@pytest.mark.parametrize(
    ("mode", "return_to"),
    [(Mode.REDIRECT, None), (Mode.REDIRECT, "//evil"), (Mode.EMBEDDED, "//evil")],
)
def test_session_needs_an_allowed_page_unless_it_is_embedded_without_a_page(
    mode: Mode, return_to: str | None
) -> None:
    with pytest.raises(ReturnToNotAllowed):
        begin(
            customer_id="acme",
            customer_name=None,
            mode=mode,
            products=("company",),
            provider_id=None,
            return_to=return_to,
            allowed_return_urls=ALLOWED,
            callback_url="",
            now=NOW,
        )


def test_only_allowed_modes_start_a_session() -> None:
    require_mode(Mode.EMBEDDED, ["redirect", "embedded"])
    with pytest.raises(ModeNotAllowed):
        require_mode(Mode.EMBEDDED, ["redirect"])


def test_phase_leads_only_to_the_listed_phases() -> None:
    for phase in Phase:
        assert {later for later in Phase if phase.leads_to(later)} == set(NEXT[phase])


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


@given(st.text() | st.none())
def test_text_that_is_not_a_handle_is_not_found(text: str | None) -> None:
    with pytest.raises(SessionNotFound):
        require_handle(text)


def test_handle_is_read_unchanged() -> None:
    assert require_handle("aZ0_-" + "x" * 38) == SecretText("aZ0_-" + "x" * 38)


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


def test_link_works_only_for_a_started_session_with_redirects() -> None:
    session = started()
    assert require_link(session, NOW) is session
    for missing in (None, started(Mode.EMBEDDED)):
        with pytest.raises(SessionNotFound):
            require_link(missing, NOW)


def test_click_is_reused_for_a_while_and_its_repair_lasts_longer() -> None:
    attempt = replace(started().attempt, repairs_id="connection-1")
    session = Started(attempt, Click("https://connect.example.com/", NOW))
    reusable, last = NOW + FINCH_SESSION_REUSE, NOW + timedelta(hours=1, minutes=10)
    second = timedelta(seconds=1)
    assert session.reusable_connect_url(reusable - second) == "https://connect.example.com/"
    assert session.reusable_connect_url(reusable) is None
    assert session.under_repair(last - second) == "connection-1"
    assert session.under_repair(last) is None
    without = Started(attempt)
    assert (without.reusable_connect_url(NOW), without.under_repair(NOW)) == (None, None)


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


def test_code_that_only_a_cookie_ties_to_a_session_gets_a_session_of_its_own() -> None:
    session = Started(started().attempt, Click("https://connect.example.com/", NOW))
    one, other = apart(session, CODE), apart(session, SecretText("another"))
    assert apart(session, CODE).attempt.handle_hash == one.attempt.handle_hash
    assert one.click is session.click
    hashes = {attempt.handle_hash for attempt in (session.attempt, one.attempt, other.attempt)}
    assert len(hashes) == 3
    changed = {
        field.name
        for field in fields(Attempt)
        if getattr(one.attempt, field.name) != getattr(session.attempt, field.name)
    }
    assert changed == {"handle_hash", "apart"}
    assert one.attempt.apart is True
    # The text is stored, so that it stays the same in later versions.
    stored = replace(session, attempt=replace(session.attempt, handle_hash="a" * 64))
    expected = sha256(f"{'a' * 64} {CODE.digest()}".encode()).hexdigest()
    assert apart(stored, CODE).attempt.handle_hash == expected


def test_token_without_state_belongs_to_its_repair_or_else_to_its_customer() -> None:
    plain = started().attempt
    key = CompanyKey("gusto", "company-1")
    named = replace(plain, finch_customer_id="acme~2")
    repair = replace(plain, repairs=key, repairs_id="connection-1", finch_customer_id="acme")
    response = TokenResponse("connection-1", "gusto", customer_id="acme~2")
    assert meant_by(response, [plain, named]) is named
    assert meant_by(response, [named, repair]) is repair
    assert meant_by(replace(response, connection_id="c9"), [plain, repair, named]) is named
    assert meant_by(replace(response, customer_id="acme~3"), [plain, named]) is plain
    # A repair that reached no connection of its own is the last choice.
    both = [replace(repair, finch_customer_id="acme~2"), named]
    assert meant_by(replace(response, connection_id="c9"), both) is named


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
    ("key", "connection_id", "repairs_id", "result"),
    [
        (CompanyKey("gusto", "company-1"), "connection-1", "connection-1", True),
        (CompanyKey("gusto", "company-1"), "connection-2", "connection-1", False),
        (CompanyKey("gusto", "company-2"), "connection-1", "connection-1", False),
        (CompanyKey("gusto", "company-1"), "connection-1", "pair#gusto#company-1", True),
        (CompanyKey("gusto", "company-2"), "connection-1", "pair#gusto#company-1", False),
        (CompanyKey("gusto", "company-1"), "connection-1", None, False),
    ],
)
def test_repair_succeeds_if_it_reaches_the_connection_that_it_was_started_for(
    key: CompanyKey, connection_id: str, repairs_id: str | None, result: bool
) -> None:
    repairs = CompanyKey("gusto", "company-1")
    attempt = replace(started().attempt, repairs=repairs, repairs_id=repairs_id)
    assert repair_result(attempt, key, connection_id) is result
    assert repair_result(replace(attempt, repairs=None), key, connection_id) is None


def test_token_in_escrow_is_dead_for_good_an_hour_after_finch_first_said_so() -> None:
    session = consumed(Phase.ESCROWED)
    assert isinstance(session, Escrowed)
    assert not dead_for_good(session, NOW)
    dead = replace(session, dead_since=NOW)
    assert not dead_for_good(dead, NOW + DEAD_AGAIN_AFTER - timedelta(seconds=1))
    assert dead_for_good(dead, NOW + DEAD_AGAIN_AFTER)


def test_session_may_have_a_token_of_its_escrow_and_of_its_repair() -> None:
    repair = replace(started().attempt, repairs_id="connection-9")
    assert behind(Started(started().attempt)) == frozenset()
    assert behind(Started(repair)) == {"connection-9"}
    kept = replace(consumed(Phase.HELD), attempt=repair)
    assert behind(kept) == {"connection-1", "connection-9"}
    assert behind(replace(consumed(Phase.COMPLETE), attempt=repair)) == {"connection-9"}


def test_session_waits_for_a_company_that_another_connection_owns() -> None:
    session = consumed(Phase.HELD)
    assert isinstance(session, Held)
    assert session.waits_for_company(NOW + WANTED_FOR - timedelta(seconds=1))
    assert not session.waits_for_company(NOW + WANTED_FOR)
    assert not replace(session, key=None).waits_for_company(NOW)


def waiting(
    response: dict[str, Any] | None = None,
    customer_id: str = "acme",
    later: timedelta = timedelta(),
    bound: bool = True,
) -> Held:
    session = consumed(Phase.HELD)
    assert isinstance(session, Held)
    token_response = replace(TOKEN_RESPONSE, **{"account_id": "account-1"} | (response or {}))
    return replace(
        session,
        attempt=replace(session.attempt, customer_id=customer_id),
        consumption=session.consumption._replace(consumed_at=NOW + later),
        escrow=replace(session.escrow, token_response=token_response, browser_bound=bound),
    )


PAIR = {"connection_id": "pair#gusto#company-1"}
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("first", "later", "repeated"),
    [
        (waiting(), waiting(), True),
        (waiting(), waiting(later=SECOND), True),
        (waiting(), waiting({"products": frozenset({"company", "ssn"})}), True),
        (waiting(bound=False), waiting(), True),
        (waiting(PAIR), waiting(PAIR), True),
        (waiting({"account_id": None}), waiting({"account_id": None}), True),
        (waiting(), replace(waiting(), key=None), True),
        (replace(waiting(), key=None), waiting(), False),
        (waiting(), waiting(customer_id="globex"), False),
        (waiting(later=SECOND), waiting(), False),
        (waiting(), waiting(bound=False), False),
        (waiting(), waiting({"products": frozenset({"ssn"})}), False),
        (waiting(), waiting({"connection_id": "connection-2"}), False),
        (waiting(), waiting({"account_id": "account-2"}), False),
        (waiting({**PAIR, "account_id": None}), waiting({**PAIR, "account_id": None}), False),
    ],
)
def test_waiting_session_is_repeated_by_a_later_token_that_covers_it(
    first: Held, later: Held, repeated: bool
) -> None:
    assert first.is_repeated_by(later) is repeated


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


@pytest.mark.parametrize(
    ("names", "number"),
    [
        ([], 1),
        ([None, "acme"], 1),
        (["acme~2", "acme", "acme~4", None], 4),
        (["acme~9", "acme~10"], 10),
        (["acme~3", f"acme~{10**12}"], 3),
        (["acme~3", f"acme~{10**12 - 1}"], 10**12 - 1),
        (["globex~7", "acme~~7", "acme~2~7", "acme~x", "acme~"], 1),
        (["acme~0", "acme~" + "9" * 5000], 1),
    ],
)
def test_newest_number_is_the_highest_that_is_not_random(
    names: list[str | None], number: int
) -> None:
    assert newest_number(names, "acme") == number


def test_random_name_is_new_each_time_and_belongs_to_the_customer() -> None:
    names = {unguessed_finch_customer_id("acme") for _ in range(100)}
    assert len(names) == 100
    assert all(issued_to(name, "acme") for name in names)
    # A number of 13 digits is never the next number.
    assert all(10**12 <= int(name.partition("~")[2]) < 2 * 10**12 for name in names)


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


def test_fields_that_finch_does_not_name_are_not_compared() -> None:
    bare = Introspection("token-1", None, None, None, frozenset(), ConnectionStatus.CONNECTED)
    for response in (TokenResponse(), replace(TOKEN_RESPONSE, company_id="company-1")):
        require_same(response, bare, "our-client")
        require_same(response, replace(bare, provider_id="", company_id=""), "our-client")
    named = replace(INTROSPECTION, company_id="company-1")
    for response in (TokenResponse(), TokenResponse(company_id=""), TOKEN_RESPONSE):
        require_same(response, named, "our-client")


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
