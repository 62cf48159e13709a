"""Isolation of customers: every route and every identifier of another customer.

Globex sends requests to two states that differ only in the data of acme. In the second state, acme has a
connection, a disconnected connection, a connection to confirm and a new connect session. No response to
globex may differ, and no data of acme may change.
"""

import base64
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.fake_finch.seed_world import CEDARLINE, HARBOR_LANE, IRIS, JUNIPER_VALE, LENA, OWEN
from tests.security.examples import examples
from tests.support.deployed import Reply
from tests.support.in_process import RETURN_URLS, InProcess, deploy, routes_of_template
from tests.support.person import Person, connection_path, path_segment

# Values that are new in every response.
_NEW = re.compile(r'"(request_id|connect_url|state|session_id|expires_at|reference)": "[^"]*"')


@dataclass(frozen=True)
class Asked:
    """A request that globex sends."""

    method: str
    path: str
    body: Any = None


@dataclass
class Worlds:
    """The product without acme and with acme, and the values of acme that globex may know."""

    product: InProcess
    words: dict[str, str]
    empty: Callable[[], None]
    inhabited: Callable[[], None]

    def answers(self, asked: Sequence[Asked]) -> list[tuple[Any, Any]]:
        """The two responses to each request: without acme and with acme."""
        without_acme, with_acme = (
            self._ask(enter, asked) for enter in (self.empty, self.inhabited)
        )
        return list(zip(without_acme, with_acme, strict=True))

    def _ask(self, enter: Callable[[], None], asked: Sequence[Asked]) -> list[Any]:
        answers = []
        enter()
        before = self.of_acme()
        globex = Person(self.product, "globex")
        for one in asked:
            reply = globex.call(one.method, one.path, one.body)
            answers.append(_comparable(reply))
            assert self.of_acme() == before, one
            if reply.status < 300 and one.method != "GET":
                enter()
        return answers

    def of_acme(self) -> list[Any]:
        """All items of acme."""
        tables = self.product.tables
        items = [
            tables.items(one) for one in (tables.connections, tables.sessions, tables.ownerships)
        ]
        return [
            item for table in items for item in table if item.get("customer_id") == {"S": "acme"}
        ]


def _comparable(reply: Reply) -> Any:
    cookies = [re.sub(r"-[0-9a-f]{16}=[^;]*", "", cookie) for cookie in reply.set_cookies]
    return reply.status, dict(reply.headers), cookies, _NEW.sub(r'"\1"', reply.text)


def _add_acme(product: InProcess) -> dict[str, str]:
    """Lets acme do everything that a customer can do; returns the resulting values."""
    acme, elsewhere = Person(product, "acme"), Person(product, "acme", same_site=False)
    acme.connect()
    acme.connect(provider_id="adp_run", login=OWEN)
    acme.connect(provider_id="justworks")
    acme.disconnect("justworks")
    waiting = elsewhere.connect(provider_id="rippling", login=IRIS, company_id=JUNIPER_VALE.id)
    assert waiting.completion
    page = acme.click(acme.link())
    embedded = acme.start(mode="embedded").json
    [login] = acme.connection()["logins"]
    [token] = [one for one in product.finch.live_tokens() if one.id == login["id"]]
    return {
        "company": HARBOR_LANE.id,
        "unconfirmed company": JUNIPER_VALE.id,
        "connection_id": login["connection_id"],
        "token id": login["id"],
        "token": token.access_token,
        "account": login["account_id"],
        "entity": login["entity_ids"][0],
        "handle": page.state,
        "finch session": page.session_id,
        "embedded state": embedded["state"],
        "embedded session": embedded["session_id"],
        "completion": waiting.completion,
        "session": waiting.completion.partition(".")[0],
        "cursor": acme.call("GET", "/connections?limit=1").json["next_cursor"],
        "row": f"gusto#{HARBOR_LANE.id}",
        "ownership": f"company#gusto#{HARBOR_LANE.id}",
        "customer": "acme",
        "customer at finch": "acme~2",
        **{f"{name} of a cookie": value for name, value in acme.browser.cookies.items()},
    }


@pytest.fixture(scope="module")
def worlds() -> Iterator[Worlds]:
    """One product that switches between the two states."""
    with deploy(ticks=False) as product:
        # Globex has its own connection, so that its responses are not all empty.
        globex = Person(product, "globex")
        globex.connect(provider_id="rippling", login=LENA, company_id=CEDARLINE.id)
        empty = product.snapshot()
        words = _add_acme(product)
        yield Worlds(product, words, empty, product.snapshot())


def _bodies(word: str) -> list[Any]:
    """Bodies with the text in every field that a route reads, and in some other fields."""
    return [
        {"products": ["company"], "return_to": RETURN_URLS[0], "provider_id": word},
        {"products": ["company"], "return_to": RETURN_URLS[0], "customer_name": word},
        {"products": ["company"], "return_to": RETURN_URLS[0], "customer_id": word},
        {"products": [word], "return_to": RETURN_URLS[0]},
        {"products": ["company"], "return_to": word},
        {"return_to": RETURN_URLS[0], "mode": word},
        {"completion": word},
        {"completion": f"{word}.{'0' * 64}"},
        {"code": word, "state": word},
        {"code": "c", "state": word},
        {word: word},
        word,
    ]


def _with(word: str) -> Iterator[tuple[str, Asked]]:
    """Requests with the text in every position, to every route that requires an access token."""
    at = quote(word, safe="")
    cursor = base64.urlsafe_b64encode(word.encode()).decode().rstrip("=")
    for key in (connection_path(*pair) for pair in (("gusto", word), (word, word), (word, "x"))):
        yield "GET /connections/{provider_id}/{company_id}", Asked("GET", key)
        yield "DELETE /connections/{provider_id}/{company_id}", Asked("DELETE", key)
        entity = "DELETE /connections/{provider_id}/{company_id}/entities/{entity_id}"
        yield entity, Asked("DELETE", f"{key}/entities/{path_segment(word)}")
        repair = "POST /connections/{provider_id}/{company_id}/reauthenticate"
        for body in ({"return_to": RETURN_URLS[0]}, {"mode": "embedded"}, {"return_to": word}):
            yield repair, Asked("POST", f"{key}/reauthenticate", body)
    for query in (
        {"cursor": word},
        {"cursor": cursor},
        {"cursor": cursor, "limit": "1"},
        {"status": word},
        {"limit": word},
        {"customer_id": word, "sub": word, "provider_id": word},
    ):
        yield "GET /connections", Asked("GET", f"/connections?{urlencode(query)}")
    for body in _bodies(word):
        yield "POST /connect-sessions", Asked("POST", "/connect-sessions", body)
        yield "POST /callback", Asked("POST", "/callback", body)
    yield "$default", Asked("GET", f"/connections/{at}")
    yield "$default", Asked("PUT", f"/connections/gusto/{at}")


def test_every_route_that_takes_an_access_token_is_attacked() -> None:
    with_token = {route.key for route in routes_of_template() if route.needs_token}
    assert with_token | {"$default"} == {route for route, _ in _with("x")}


def assert_indistinguishable(worlds: Worlds, word: str) -> None:
    """Fails if a response to a request with this text depends on acme, or is a server error."""
    asked = [asked for _, asked in _with(word)]
    for one, (without_acme, with_acme) in zip(asked, worlds.answers(asked), strict=True):
        assert without_acme == with_acme, one
        assert without_acme[0] < 500, one


def test_identifiers_of_a_customer_give_another_customer_no_access(worlds: Worlds) -> None:
    for word in worlds.words.values():
        assert_indistinguishable(worlds, word)


# Ids that a table, a URL or a parser could split.
_ODD = st.one_of(
    st.sampled_from(
        ["#", "/", "..", "%", "%2f", "%23", "\0", "é", "𝔞", "x" * 2048, "ａｃｍｅ", "~2"]
    ),
    st.text(max_size=20),
)


@st.composite
def _altered(draw: st.DrawFn, words: dict[str, str]) -> str:
    """A value of acme, complete or cut, and joined with an unusual string."""
    word = draw(st.sampled_from(sorted(words.values())))
    altered = draw(
        st.sampled_from([word, word.upper(), word[:-1], word[1:], word * 2, quote(word, safe="")])
    )
    place = draw(st.sampled_from(["{word}", "{word}{odd}", "{odd}{word}", "{odd}"]))
    return place.format(word=altered, odd=draw(_ODD)) or "x"


def test_altered_identifiers_of_a_customer_give_no_access(worlds: Worlds) -> None:
    @examples(25)
    @given(_altered(worlds.words))
    def ask(word: str) -> None:
        assert_indistinguishable(worlds, word)

    ask()


# Cursors of another customer


def test_cursor_of_another_customer_pages_only_through_own_connections(worlds: Worlds) -> None:
    worlds.inhabited()
    acme, globex = Person(worlds.product, "acme"), Person(worlds.product, "globex")
    mine = globex.call("GET", "/connections").json["connections"]
    for _, asked in _with(worlds.words["row"]):
        if asked.path.startswith("/connections?"):
            reply = globex.call("GET", asked.path)
            shown = reply.json.get("connections", [])
            assert all(one in mine for one in shown)
    assert len(acme.connections()) == 3


# Handles of connect sessions


def test_another_customer_cannot_confirm_after_clicking_a_link(worlds: Worlds) -> None:
    """Any user may click a link, but the connection waits for its customer's confirmation."""
    worlds.inhabited()
    product = worlds.product
    choice = {"provider_id": "bamboo_hr", "login": IRIS, "company_id": JUNIPER_VALE.id}
    globex = Person(product, "globex")
    landing = globex.go_through(f"/connect/{worlds.words['handle']}", **choice)
    assert landing.outcome["status"] == "confirm"
    assert landing.completion
    assert globex.confirm(landing.completion).code == "session_not_found"
    assert [one["provider_id"] for one in globex.connections()] == ["rippling"]
