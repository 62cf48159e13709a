"""Rules of Finch's token response and introspection."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from finch_connections.domain.connection import (
    CompanyKey,
    ConnectionStatus,
    Token,
    UnusableIdentifier,
    pair_id,
)
from finch_connections.domain.secret import SecretText
from finch_connections.domain.token_response import (
    MOST_ENTITIES,
    Introspection,
    TokenResponse,
    company_key,
    contradict,
    describes,
    finch_name_of,
    own_token_id,
    require_usable_ids,
    same_token,
    status_of,
    token_of,
    usable_entities,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = CompanyKey("gusto", "company-1")
PAIR = pair_id("gusto", "company-1")
OWN = own_token_id(SecretText("canary"))
CONNECTED, UNKNOWN = ConnectionStatus.CONNECTED, ConnectionStatus.UNKNOWN
RESPONSE = TokenResponse(
    "connection-1",
    "gusto",
    frozenset({"company"}),
    frozenset({"e1"}),
    "company-1",
    "account-1",
    "acme",
)
# All that the introspection says differs from the response, except the ids of the connection.
INTROSPECTION = Introspection(
    "token-1",
    "our-client",
    "connection-1",
    "gusto",
    frozenset({"ssn"}),
    CONNECTED,
    company_id="company-1",
    account_id="account-2",
    customer_id="globex",
    entities={"e2": "connected"},
    methods={"oauth": "connected"},
)
NAMELESS = Introspection("token-1", None, None, None, frozenset(), CONNECTED)


def introspection(**fields: object) -> Introspection:
    return replace(INTROSPECTION, **fields)  # type: ignore[arg-type]


# Ids


def test_token_without_an_id_of_finch_gets_one_from_its_text() -> None:
    secret = SecretText("canary")
    assert own_token_id(secret) == OWN == "own-" + secret.digest()[:32]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("token-1", "token-1", True),
        ("token-1", "token-2", False),
        (OWN, "token-1", True),
        ("token-1", OWN, True),
        (OWN, OWN, True),
        (OWN, own_token_id(SecretText("other")), False),
    ],
)
def test_token_ids_differ_if_finch_named_both_or_neither(one: str, other: str, same: bool) -> None:
    assert same_token(one, other) is same


@pytest.mark.parametrize(
    ("response", "described", "completed"),
    [
        (RESPONSE, INTROSPECTION, RESPONSE),
        (RESPONSE, NAMELESS, RESPONSE),
        (
            TokenResponse(),
            INTROSPECTION,
            TokenResponse("connection-1", "gusto", company_id="company-1"),
        ),
        (TokenResponse(), NAMELESS, TokenResponse()),
        (
            TokenResponse(),
            replace(NAMELESS, provider_id="gusto", company_id="company-1"),
            TokenResponse(PAIR, "gusto", company_id="company-1"),
        ),
        (TokenResponse(provider_id="gusto"), NAMELESS, TokenResponse("", "gusto")),
        (
            TokenResponse(PAIR, "gusto", company_id="company-1"),
            INTROSPECTION,
            TokenResponse("connection-1", "gusto", company_id="company-1"),
        ),
        (
            replace(RESPONSE, company_id="company-2", provider_id="justworks"),
            INTROSPECTION,
            replace(RESPONSE, company_id="company-2", provider_id="justworks"),
        ),
    ],
)
def test_introspection_completes_only_what_the_response_lacks(
    response: TokenResponse, described: Introspection, completed: TokenResponse
) -> None:
    assert response.completed(described) == completed
    named = bool(completed.provider_id and completed.connection_id)
    assert completed.names_connection is named


@pytest.mark.parametrize(
    ("described", "token_id", "connection_id", "expected"),
    [
        # An id decides, also if Finch has renamed the company.
        (introspection(company_id="company-9"), "token-1", "connection-1", True),
        (
            introspection(company_id="company-9", connection_id=None),
            "token-1",
            "connection-1",
            True,
        ),
        (introspection(company_id="company-9", token_id=OWN), "token-1", "connection-1", True),
        (introspection(token_id="token-2"), "token-1", "connection-1", False),
        (introspection(connection_id="connection-2"), "token-1", "connection-1", False),
        # Without an id of Finch, the names decide.
        (introspection(token_id=OWN, connection_id=None), "token-1", "connection-1", True),
        (introspection(token_id=OWN), OWN, PAIR, True),
        (introspection(token_id=OWN, company_id="company-9"), OWN, PAIR, False),
        (introspection(token_id=OWN, provider_id="justworks"), OWN, PAIR, False),
        (introspection(token_id=OWN, company_id="company-7"), OWN, PAIR, True),
        (introspection(token_id=OWN, company_id=None), OWN, PAIR, True),
        (introspection(token_id=OWN, provider_id=None), OWN, PAIR, True),
        (introspection(token_id=OWN, provider_id=None, company_id="company-9"), OWN, PAIR, False),
        (replace(NAMELESS, token_id=OWN), OWN, PAIR, True),
        (introspection(company_id="company-9", connection_id=None), OWN, "connection-1", False),
    ],
)
def test_answer_is_about_a_token_if_its_ids_or_else_its_names_are_equal(
    described: Introspection, token_id: str, connection_id: str, expected: bool
) -> None:
    token = Token(token_id, connection_id, frozenset(), CONNECTED, NOW)
    names = {KEY, CompanyKey("gusto", "company-7")}
    assert describes(described, token, names) is expected


def test_finchs_name_of_a_company_completes_the_known_name() -> None:
    renamed = introspection(provider_id="justworks", company_id="company-9")
    assert finch_name_of(KEY, renamed) == CompanyKey("justworks", "company-9")
    assert finch_name_of(KEY, NAMELESS) == KEY
    assert finch_name_of(KEY, TokenResponse(company_id="")) == KEY


@pytest.mark.parametrize(
    ("response", "described", "expected"),
    [
        (RESPONSE, INTROSPECTION, False),
        (RESPONSE, NAMELESS, False),
        (TokenResponse(), INTROSPECTION, False),
        (RESPONSE, introspection(connection_id="connection-2"), True),
        (RESPONSE, introspection(provider_id="justworks"), True),
        (RESPONSE, introspection(company_id="company-2"), True),
        (replace(RESPONSE, connection_id=PAIR), INTROSPECTION, False),
        (replace(RESPONSE, connection_id=PAIR), introspection(company_id="company-2"), True),
    ],
)
def test_answers_contradict_each_other_in_any_id_that_both_name(
    response: TokenResponse, described: Introspection, expected: bool
) -> None:
    assert contradict(response, described) is expected


def test_company_without_an_id_is_named_after_its_connection() -> None:
    assert company_key(RESPONSE) == KEY
    for company_id in (None, ""):
        unnamed = replace(RESPONSE, company_id=company_id)
        assert company_key(unnamed) == CompanyKey("gusto", "connection-1")


@pytest.mark.parametrize("bad", ["a\n", "", "x" * 256])
def test_unusable_ids_from_finch_are_refused(bad: str) -> None:
    for one in (
        replace(RESPONSE, connection_id=bad),
        replace(RESPONSE, account_id=bad),
        replace(RESPONSE, entity_ids=frozenset({bad})),
    ):
        with pytest.raises(UnusableIdentifier):
            require_usable_ids(one, INTROSPECTION)
    for two in (introspection(token_id=bad), introspection(account_id=bad)):
        with pytest.raises(UnusableIdentifier):
            require_usable_ids(RESPONSE, two)
    require_usable_ids(RESPONSE, INTROSPECTION)


def test_pair_id_must_be_that_of_the_named_company() -> None:
    require_usable_ids(replace(RESPONSE, connection_id=PAIR), INTROSPECTION)
    for wrong in (pair_id("gusto", "company-2"), "pair#"):
        with pytest.raises(UnusableIdentifier):
            require_usable_ids(replace(RESPONSE, connection_id=wrong), INTROSPECTION)


def test_missing_accounts_are_usable() -> None:
    require_usable_ids(replace(RESPONSE, account_id=None), introspection(account_id=None))


def test_entities_are_usable_up_to_a_number_and_with_usable_ids() -> None:
    most = {f"e{n}": "connected" for n in range(MOST_ENTITIES)}
    for entities, usable in (
        ({}, True),
        (most, True),
        ({**most, "more": ""}, False),
        ({"": ""}, False),
    ):
        described = introspection(entities=entities)
        assert usable_entities(described) is usable
        if usable:
            require_usable_ids(RESPONSE, described)
        else:
            with pytest.raises(UnusableIdentifier):
                require_usable_ids(RESPONSE, described)


# Statuses


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"entities": {}, "methods": {}}, (CONNECTED, None)),
        ({"status": ConnectionStatus.REAUTH}, (ConnectionStatus.REAUTH, None)),
        ({"status": UNKNOWN}, (CONNECTED, None)),
        ({"status": UNKNOWN, "entities": {}, "methods": {}}, (UNKNOWN, None)),
        ({"status": UNKNOWN, "status_detail": "a new word"}, (UNKNOWN, "a new word")),
        ({"status": UNKNOWN, "methods": {"oauth": "pending"}}, (ConnectionStatus.PENDING, None)),
        # An entity or method without a status says nothing.
        ({"entities": {"e": "unknown"}, "methods": {"oauth": "unknown"}}, (CONNECTED, None)),
        ({"methods": {"oauth": "a new word"}}, (UNKNOWN, "a new word")),
        ({"entities": {"e": "a new word"}}, (UNKNOWN, "a new word")),
        ({"entities": {"e": "disconnected"}}, (ConnectionStatus.REAUTH, None)),
        ({"entities": {"e": "disconnected", "f": "connected"}}, (CONNECTED, None)),
        (
            {"status": ConnectionStatus.REAUTH, "status_detail": "x"},
            (ConnectionStatus.REAUTH, None),
        ),
    ],
)
def test_status_is_the_most_urgent_and_has_finchs_word_only_if_unknown(
    fields: dict[str, object], expected: tuple[ConnectionStatus, str | None]
) -> None:
    assert status_of(introspection(**fields)) == expected


# Tokens


def test_token_takes_the_granted_products_and_otherwise_the_current_description() -> None:
    made = token_of(RESPONSE, INTROSPECTION, "acme~2", NOW)
    assert made == Token(
        id="token-1",
        connection_id="connection-1",
        products=frozenset({"company"}),
        status=CONNECTED,
        connected_at=NOW,
        entity_ids=frozenset({"e2"}),
        account_id="account-2",
        finch_customer_id="acme",
        entities={"e2": "connected"},
        methods={"oauth": "connected"},
    )
    unknown = introspection(status=UNKNOWN, status_detail="a new word")
    detailed = token_of(RESPONSE, unknown, "acme~2", NOW)
    assert (detailed.status, detailed.status_detail) == (UNKNOWN, "a new word")


def test_token_takes_what_the_other_answer_or_our_request_has() -> None:
    made = token_of(RESPONSE, NAMELESS, "acme~2", NOW)
    assert (made.entity_ids, made.account_id) == (frozenset({"e1"}), "account-1")
    bare = token_of(TokenResponse("connection-1"), INTROSPECTION, "acme~2", NOW)
    assert (bare.products, bare.finch_customer_id) == (frozenset({"ssn"}), "globex")
    assert token_of(TokenResponse(), NAMELESS, "acme~2", NOW).finch_customer_id == "acme~2"
