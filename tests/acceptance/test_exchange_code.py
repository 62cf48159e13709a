"""The exchange of the authorization code: once for each code, also when Finch fails."""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from finch_connections.domain.budget import PER_LINK
from local.fake_finch.seed_world import MAYA, OWEN
from tests.acceptance.outcomes import connected, current_answers, exchange_count
from tests.support.deployed import Deployed
from tests.support.person import Person, without_state


def test_second_code_for_a_used_session_is_refused(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    page = acme.click(acme.link())
    first, second = acme.log_in(page), acme.log_in(page, login=OWEN)
    assert acme.come_back(first).outcome == connected(deployed)
    assert acme.come_back(second).outcome == {"error": "session_used"}
    assert exchange_count(deployed) == 1
    assert len(acme.connection()["logins"]) == 1


def test_rejected_code_leaves_the_session_open_for_the_right_code(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    page = acme.click(acme.link())
    wrong = f"/callback?{urlencode({'code': 'made-up', 'state': page.state})}"
    assert acme.come_back(wrong).outcome == {"error": "code_rejected"}
    assert acme.come_back(wrong).outcome == {"error": "code_rejected"}
    assert exchange_count(deployed) == 1
    assert acme.come_back(acme.log_in(page)).outcome == connected(deployed)


@pytest.mark.parametrize("state", [True, False], ids=["state", "no state"])
@current_answers
def test_many_wrong_codes_do_not_end_the_session(deployed: Deployed, state: bool) -> None:
    acme = Person(deployed, "auth0|acme")
    page = acme.click(acme.link())
    for n in range(PER_LINK - 1):
        junk = f"/callback?{urlencode({'code': f'made-up-{n}'})}"
        assert acme.come_back(junk).outcome == {"error": "code_rejected"}
        assert acme.come_back(junk).outcome == {"error": "code_rejected"}
    assert exchange_count(deployed) == PER_LINK - 1
    true = acme.log_in(page)
    assert acme.come_back(true if state else without_state(true)).outcome == connected(deployed)


@current_answers
def test_code_is_exchanged_once_even_when_sent_to_other_sessions(deployed: Deployed) -> None:
    acme, globex = Person(deployed, "auth0|acme"), Person(deployed, "ada@globex.example")
    used = acme.log_in(acme.click(acme.link()))
    assert acme.come_back(without_state(used)).outcome == connected(deployed)
    code = dict(parse_qsl(urlsplit(used).query))["code"]
    page = acme.click(acme.link())
    # Without a state, the code identifies its session. The link that was clicked last does not count.
    assert acme.come_back(without_state(used)).outcome == connected(deployed)
    for person, other in ((acme, page), (globex, globex.click(globex.link()))):
        other_session = f"/callback?{urlencode({'code': code, 'state': other.state})}"
        assert person.come_back(other_session).outcome == {"error": "code_rejected"}
        login = person.log_in(
            other,
            provider_id="justworks" if person is acme else "adp_run",
            login=MAYA if person is acme else OWEN,
        )
        assert person.come_back(login).outcome["status"] == "connected"
    assert exchange_count(deployed) == 3


@pytest.mark.parametrize("name", ["invalid_grant", "invalid_grant: code expired"])
def test_variants_of_invalid_grant_are_reported_as_code_rejected(
    deployed: Deployed, name: str
) -> None:
    acme = Person(deployed, "auth0|acme")
    url = acme.log_in(acme.click(acme.link()))
    body = {"statusCode": 400, "status": 400, "code": 400, "name": name, "message": "Invalid grant"}
    deployed.finch.faults.add("POST", "/auth/token", status=400, body=body)
    assert acme.come_back(url).outcome == {"error": "code_rejected"}


@pytest.mark.parametrize(
    "fault",
    [{"error": "rate_limit_exceeded_error"}, {"error": "payment_required"}],
    ids=["limited", "unpaid"],
)
def test_exchange_that_finch_refused_to_run_can_be_repeated(
    deployed: Deployed, fault: dict[str, Any]
) -> None:
    acme = Person(deployed, "auth0|acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.finch.faults.add("POST", "/auth/token", **fault)
    assert acme.come_back(url).outcome["error"].startswith("finch_")
    assert acme.connections() == []
    assert acme.come_back(url).outcome == connected(deployed)


@pytest.mark.parametrize(
    "fault",
    [
        {"drop": "after_effect"},
        {"status": 500, "when": "after"},
        {"nonsense": "not json", "when": "after"},
        {"nonsense": "null", "when": "after"},
        {"nonsense": "truncated json", "when": "after"},
    ],
    ids=str,
)
def test_exchange_with_a_lost_response_is_uncertain_and_not_repeated(
    deployed: Deployed, fault: dict[str, Any]
) -> None:
    acme = Person(deployed, "auth0|acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.finch.faults.add("POST", "/auth/token", **fault)
    assert acme.come_back(url).outcome == {"error": "exchange_uncertain"}
    assert acme.come_back(url).outcome == {"error": "exchange_uncertain"}
    assert exchange_count(deployed) == 1
    assert acme.connections() == []
    [session] = deployed.tables.all_sessions()
    assert session["phase"]["S"] == "uncertain"
    assert "ttl" not in session
    assert "due_at" in session


@pytest.mark.parametrize("token", ["x" * 5000, "é", "", "a b", 7])
def test_invalid_access_token_leaves_the_exchange_uncertain(
    deployed: Deployed, token: object
) -> None:
    acme = Person(deployed, "auth0|acme")
    url = acme.log_in(acme.click(acme.link()))
    edit = {"set": {"access_token": token if isinstance(token, str) else None}}
    deployed.finch.faults.add("POST", "/auth/token", edit=edit)
    assert acme.come_back(url).outcome == {"error": "exchange_uncertain"}
    assert acme.come_back(url).outcome == {"error": "exchange_uncertain"}
    assert exchange_count(deployed) == 1


@pytest.mark.parametrize(
    "edit",
    [
        {"entity_ids": ["é" * 250] * 900},
        {"entity_ids": [str(n) for n in range(2000)]},
        {"products": ["x" * 300]},
        {"company_id": {"a": 1}},
    ],
    ids=["bytes", "many", "long", "object"],
)
@current_answers
def test_other_invalid_fields_are_taken_from_the_introspection(
    deployed: Deployed, edit: dict[str, Any]
) -> None:
    acme = Person(deployed, "auth0|acme")
    url = acme.log_in(acme.click(acme.link()))
    deployed.finch.faults.add("POST", "/auth/token", edit={"set": edit})
    assert acme.come_back(url).outcome == connected(deployed)
    [login] = acme.connection()["logins"]
    assert len(login["entity_ids"]) == 1
    assert login["products"] == ["company", "directory"]


@current_answers
def test_token_whose_other_fields_contradict_is_held(deployed: Deployed) -> None:
    acme = Person(deployed, "auth0|acme")
    url = acme.log_in(acme.click(acme.link()))
    edit = {"set": {"connection_id": "another"}}
    deployed.finch.faults.add("POST", "/auth/token", edit=edit)
    assert acme.come_back(url).outcome == {"error": "cannot_connect"}
    [session] = deployed.tables.all_sessions()
    assert "escrow" in session
    assert session["phase"]["S"] == "held"
    assert acme.browser.cookies.keys() == {"__Host-finch-connect-last"}
