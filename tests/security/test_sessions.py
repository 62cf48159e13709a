"""Attacks on sessions, cookies and the callback (RFC 9700, RFC 6819, RFC 6265bis).

More attacks are acceptance tests in `tests/acceptance/test_browser_binding.py`.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from local.fake_finch.seed_world import CEDARLINE, HARBOR_LANE, LENA, MAYA
from tests.security.examples import examples
from tests.support.deployed import Deployed
from tests.support.in_process import InProcess
from tests.support.person import Browser, Person

# Cookies


@pytest.mark.parametrize("disguise", ["\u2000", "\u00a0", "\u0085", "\u3000", "\x1f", "\v"])
@pytest.mark.parametrize("place", ["{disguise}{name}", "{name}{disguise}"])
def test_a_disguised_binding_cookie_of_a_sibling_site_is_ignored(
    deployed: Deployed, disguise: str, place: str
) -> None:
    """Any site of the same domain can set a cookie whose name only looks like `__Host-`."""
    attacker, victim = Person(deployed, "acme"), Person(deployed, "globex")
    link = attacker.link()
    [(name, value)] = attacker.browser.cookies.items()
    victim.browser.cookies = {place.format(name=name, disguise=disguise): value}
    landing = victim.go_through(link)
    assert landing.outcome["status"] == "confirm"
    assert attacker.connections() == []


# An attacker has the states, codes and cookies of two customers, and combines them


@dataclass(frozen=True)
class Part:
    """The values of one connect session whose login at Finch is done and whose callback is not."""

    customer_id: str
    company_id: str
    state: str
    code: str
    binding: tuple[str, str]


def attempt(world: InProcess, customer_id: str, **choices: str) -> Part:
    """Completes Finch Connect as a user; returns all values, as an attacker would steal them."""
    person = Person(world, customer_id)
    link = person.link()
    [binding] = person.browser.cookies.items()
    page = person.click(link)
    url = person.log_in(page, **choices)
    code = parse_qs(urlsplit(url).query)["code"][0]
    return Part(customer_id, choices["company_id"], page.state, code, binding)


FINDING = "__Host-finch-connect-last"
JUNK = "A" * 43


@dataclass(frozen=True)
class Callback:
    """A combined callback: each part comes from session 0, session 1, or neither."""

    state: int | None
    code: int
    bindings: frozenset[int]
    swapped: bool
    finding: int | None

    def url(self, parts: Sequence[Part]) -> str:
        state = (
            {} if self.state is None else {"state": [*(p.state for p in parts), JUNK][self.state]}
        )
        return "/callback?" + urlencode(
            {"code": [*(p.code for p in parts), "junk"][self.code], **state}
        )

    def cookies(self, parts: Sequence[Part]) -> dict[str, str]:
        names = [part.binding[0] for part in parts]
        values = [part.binding[1] for part in parts]
        if self.swapped:
            values.reverse()
        cookies = {names[n]: values[n] for n in self.bindings}
        if self.finding is not None:
            cookies[FINDING] = [*(part.state for part in parts), JUNK][self.finding]
        return cookies


callbacks = st.builds(
    Callback,
    state=st.sampled_from([None, 0, 1, 2]),
    code=st.sampled_from([0, 1, 2]),
    bindings=st.frozensets(st.sampled_from([0, 1])),
    swapped=st.booleans(),
    finding=st.sampled_from([None, 0, 1, 2]),
)


@pytest.fixture(scope="module")
def stolen(in_process: InProcess) -> tuple[list[Part], Callable[[], None]]:
    """The values of two sessions, and a function that restores the state."""
    in_process.reset()
    parts = [
        attempt(in_process, "acme", provider_id="gusto", login=MAYA, company_id=HARBOR_LANE.id),
        attempt(in_process, "globex", provider_id="rippling", login=LENA, company_id=CEDARLINE.id),
    ]
    return parts, in_process.snapshot()


def own(number: int) -> Callback:
    """The callback that Finch sends the customer's own browser to."""
    return Callback(number, number, frozenset({number}), swapped=False, finding=None)


@examples(40)
@given(sent=st.lists(callbacks, min_size=1, max_size=4))
@example(sent=[own(0), own(1)])
def test_combined_callbacks_attach_a_company_only_to_its_own_customer(
    in_process: InProcess,
    stolen: tuple[list[Part], Callable[[], None]],
    sent: list[Callback],
) -> None:
    """The customer's own binding cookie is also necessary."""
    parts, restore = stolen
    restore()
    bound: set[int] = set()
    for callback in sent:
        browser = Browser(in_process, callback.cookies(parts))
        reply = browser.navigate(callback.url(parts))
        assert reply.status == 302
        if not callback.swapped:
            bound |= callback.bindings
    for number, part in enumerate(parts):
        found = Person(in_process, part.customer_id).connections()
        assert {one["company_id"] for one in found} <= {part.company_id}
        assert not found or number in bound
        # The first callback with a customer's state or code is their own: nothing has used it up.
        first = next((one for one in sent if number in (one.state, one.code)), None)
        assert found or first != own(number)
    codes = Counter(one.code_hash for one in in_process.border.exchanges)
    assert all(count == 1 for count in codes.values())


# A user who is lured into an attacker's link


@pytest.mark.parametrize("lured", ["before", "after"])
def test_an_attackers_link_does_not_block_the_customers_own_connection(
    deployed: InProcess, lured: str
) -> None:
    """The attacker's session has a token of the company, but blocks and ends nothing."""
    attacker, acme = Person(deployed, "globex"), Person(deployed, "acme")
    if lured == "after":
        acme.connect()
    landing = acme.go_through(attacker.link())
    assert (landing.completion is None) == (lured == "after")
    if lured == "before":
        assert acme.connect().outcome["status"] == "connected"
    deployed.queue.pass_time(timedelta(days=3))
    assert acme.connection()["status"] == "connected"
    assert attacker.connections() == []
    kept = {login["connection_id"] for login in acme.connection()["logins"]}
    assert kept <= {token.connection_id for token in deployed.finch.live_tokens()}


def test_a_finch_customer_name_with_a_number_is_no_other_customers(
    deployed: InProcess,
) -> None:
    """For a second connection Finch gets the name `acme~2`. The customer `acme~2` has another name."""
    acme = Person(deployed, "acme")
    acme.connect()
    acme.connect(provider_id="justworks")
    names = {one.customer.id for one in deployed.finch.connections() if one.customer}
    assert names == {"acme", "acme~2"}
    deployed.finch.switches.introspect_customer_id_override = "acme~2"
    other = Person(deployed, "acme~2")
    assert other.connections() == []
    landing = other.connect(provider_id="rippling", login=LENA, company_id=CEDARLINE.id)
    assert landing.outcome == {"error": "cannot_connect"}


# A reference, which a user gives to support, and which is in the address of the application's page


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/connect/{reference}", None),
        ("GET", "/callback?code=made-up&state={reference}", None),
        ("GET", "/callback?error=access_denied&state={reference}", None),
        ("POST", "/callback", {"completion": "{reference}"}),
        ("POST", "/callback", {"completion": "{reference}.{reference}", "look": True}),
        ("POST", "/callback", {"code": "made-up", "state": "{reference}"}),
        ("GET", "/connections?cursor={reference}", None),
        ("GET", "/connections/{reference}/{reference}", None),
    ],
)
def test_reference_opens_nothing_in_the_api(
    deployed: InProcess, method: str, path: str, body: dict[str, str | bool] | None
) -> None:
    owner = Person(deployed, "globex", same_site=False)
    reference = owner.connect().reference
    assert reference
    before = deployed.tables.all_sessions()
    path = path.format(reference=reference)
    sent = {
        name: value.format(reference=reference) if isinstance(value, str) else value
        for name, value in (body or {}).items()
    }
    # Not even for the customer of the attempt.
    for person in (Person(deployed, "acme"), owner):
        answer = (
            person.browser.navigate(path)
            if method == "GET" and not path.startswith("/connections")
            else person.call(method, path, sent or None)
        )
        shown = f"{answer.headers.get('location', '')} {answer.text}"
        assert "session_not_found" in shown or answer.status in (400, 404)
        assert reference not in shown
        assert HARBOR_LANE.id not in shown
    assert deployed.tables.all_sessions() == before
