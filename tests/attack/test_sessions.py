"""Attacks on sessions, cookies and the callback (RFC 9700, RFC 6819, RFC 6265bis).

Many others are stories of `tests/scenarios.py`, under "Whose browser it is".
"""

import pytest

from tests.deployed import Deployed
from tests.person import Person

# Cookies


@pytest.mark.parametrize("disguise", ["\u2000", "\u00a0", "\u0085", "\u3000", "\x1f", "\v"])
@pytest.mark.parametrize("place", ["{disguise}{name}", "{name}{disguise}"])
def test_a_binding_cookie_that_a_sibling_site_has_planted_binds_nobody(
    deployed: Deployed, disguise: str, place: str
) -> None:
    """A browser takes a name that only looks like `__Host-` from any site of the same domain."""
    attacker, victim = Person(deployed, "acme"), Person(deployed, "globex")
    link = attacker.link()
    [(name, value)] = attacker.browser.cookies.items()
    victim.browser.cookies = {place.format(name=name, disguise=disguise): value}
    landing = victim.go_through(link)
    assert landing.outcome["status"] == "confirm"
    assert attacker.connections() == []
