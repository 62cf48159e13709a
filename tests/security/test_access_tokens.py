"""Access tokens whose customer claim is not a customer id.

Forged and expired tokens are in `tests/local/test_access_tokens.py`.
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finch_connections.domain.identifier import customer_id_fault
from tests.security.examples import examples
from tests.support.deployed import ROOT
from tests.support.in_process import InProcess, context, handler_of
from tests.support.person import Person

NO_CUSTOMER = [
    "",
    " ",
    "acme\n",
    "acme\0",
    "acme\u200b",
    "acme\u00a0",
    "\u202eacme",
    "acme\u0301",
    "x" * 257,
    "x" * 5000,
    ".",
    "..",
    True,
    False,
    [],
    ["acme"],
    ["acme", "globex"],
    {},
    {"sub": "acme"},
    "null",
    "None",
    "undefined",
    "NaN",
    "true",
    "false",
    "[acme]",
    "[acme globex]",
    '["acme"]',
    '{"sub": "acme"}',
    "map[sub:acme]",
    "{}",
    "1e+20",
    "1.2345678901234567e+19",
    "1.2345678901234567E19",
    "-1.5e-7",
]

UNUSUAL = [
    "1e20",
    "12345678901234567890",
    "auth0|64ab12",
    "google-oauth2|103547991597142817347",
    "samlp|acme|ada@acme.com",
    "urn:acme:customer:7",
    "https://acme.example.com/users?id=7#me",
    "Ada Lovelace",
    "acme ",
    " acme",
    "acme~2",
    "acme~",
    "~2",
    "acme#gusto",
    "acme%23gusto",
    "acme,globex",
    "-acme",
    "\"acme\\'$(id)<b>",
    "аcme",
    "ａｃｍｅ",
    "acmé",
    "日本語の顧客",
    "{3f2504e0-4f89-11d3-9a0c-0305e82c3301}",
    "𝔞" * 256,
    "x" * 256,
]


def listing(claims: Any) -> Any:
    """The response of `list_connections` to these claims."""
    event = json.loads((ROOT / "events" / "list_connections.json").read_text())
    event["requestContext"]["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
    return handler_of("list_connections")(event, context("list_connections"))


@pytest.mark.parametrize("customer", [*NO_CUSTOMER, 7, 7.5, None, -1], ids=repr)
def test_an_invalid_customer_claim_is_refused(in_process: InProcess, customer: Any) -> None:
    answer = listing({"sub": customer})
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (403, "customer_unknown")


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        ("[admin poweruser]", "list, object or other value that is not a text"),
        ('{"account": "acme-4711"}', "list, object or other value that is not a text"),
        (["acme-4711"], "list, object or other value that is not a text"),
        ("null", "names no customer"),
        (None, "absent"),
    ],
)
def test_the_log_says_why_a_claim_is_refused_but_not_the_claim(
    in_process: InProcess, caplog: pytest.LogCaptureFixture, claim: Any, reason: str
) -> None:
    listing({"sub": claim})
    fields = [vars(one) for one in caplog.records if one.message == "customer claim refused"]
    assert [(one["claim"], one["reason"], one["levelname"]) for one in fields] == [
        ("sub", reason, "INFO")
    ]
    assert "poweruser" not in str([vars(one) for one in caplog.records])
    assert "acme-4711" not in str([vars(one) for one in caplog.records])


@pytest.mark.parametrize("customer", UNUSUAL)
def test_an_unusual_customer_claim_is_accepted(in_process: InProcess, customer: str) -> None:
    answer = listing({"sub": customer})
    assert (answer["statusCode"], json.loads(answer["body"])["connections"]) == (200, [])


@pytest.mark.parametrize("claims", [{}, {"Sub": "acme"}, {"sub ": "acme"}, {"customer_id": "acme"}])
def test_other_claims_do_not_name_the_customer(in_process: InProcess, claims: Any) -> None:
    assert listing(claims)["statusCode"] == 403


@pytest.fixture(scope="module")
def acme(in_process: InProcess) -> Person:
    """A customer with a connection."""
    in_process.reset()
    acme = Person(in_process, "acme")
    acme.connect()
    return acme


@examples(300)
@given(st.one_of(st.text(), st.sampled_from(UNUSUAL), st.recursive(st.none(), st.lists)))
def test_only_valid_customer_ids_are_accepted_and_see_their_own_data(
    acme: Person, customer: Any
) -> None:
    answer = listing({"sub": customer})
    valid = customer_id_fault(customer) is None
    assert answer["statusCode"] in ((200,) if valid else (403,))
    if valid and customer != acme.customer_id:
        assert json.loads(answer["body"]) == {"connections": [], "next_cursor": None}
