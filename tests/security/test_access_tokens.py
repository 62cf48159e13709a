"""Access tokens whose customer claim is not a customer id.

Forged and expired tokens are in `tests/local/test_access_tokens.py`.
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finch_connections.domain.connection import IDENTIFIER
from tests.security.examples import examples
from tests.support.deployed import ROOT
from tests.support.in_process import InProcess, context, handler_of
from tests.support.person import Person

NO_CUSTOMER = [
    "",
    " ",
    "acme ",
    " acme",
    "acme\n",
    "acme\0",
    "acme#gusto",
    "acme/globex",
    "acme~2",
    "acme,globex",
    "аcme",
    "ａｃｍｅ",
    "acmé",
    "x" * 201,
    "x" * 5000,
    True,
    False,
    [],
    ["acme"],
    ["acme", "globex"],
    {},
    {"sub": "acme"},
    "null",
    "true",
    "false",
    "[acme]",
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
@given(st.one_of(st.text(), st.from_regex(IDENTIFIER), st.recursive(st.none(), st.lists)))
def test_only_valid_customer_ids_are_accepted_and_see_their_own_data(
    acme: Person, customer: Any
) -> None:
    answer = listing({"sub": customer})
    valid = (
        isinstance(customer, str)
        and IDENTIFIER.fullmatch(customer) is not None
        and customer not in NO_CUSTOMER
    )
    assert answer["statusCode"] in ((200,) if valid else (403,))
    if valid and customer != acme.customer_id:
        assert json.loads(answer["body"]) == {"connections": [], "next_cursor": None}
