"""The element in pages of another make than the example: their scripts, styles, words, addresses."""

import re

import pytest
from playwright.sync_api import expect

from finch_connections.domain.connection import Connection
from local.fake_finch.seed_world import HARBOR_LANE
from tests.browser import seed
from tests.browser.seed import connection
from tests.browser.visitor import Visitor
from tests.support.deployed import Deployed

HARBOR = HARBOR_LANE.legal_name
RETURNED = "?status=connected&provider_id=gusto&company_id="
# Says in the title what the element has told.
LISTENS = """
  for (const name of ["finch-signed-out", "finch-connected", "finch-failed"]) {
    document.addEventListener(name, () => (document.title += ` ${name}`));
  }
"""
GIVES = {
    "property": "element.getAccessToken = async () => token;",
    "event": "document.addEventListener('finch-access-token', (one) => one.detail.provide(token));",
}


@pytest.fixture
def one(deployed: Deployed) -> Connection:
    """A healthy connection."""
    one = connection(HARBOR)
    seed.write(deployed, [one])
    return one


def markup(visitor: Visitor) -> str:
    """The element, as the README has it."""
    api = visitor.world.api_url
    return f'<finch-connections api-url="{api}" products="company directory"></finch-connections>'


def script(visitor: Visitor, gives: str = "property") -> str:
    """A page's script, which runs when the element is there already."""
    token = visitor.world.issuer.token("acme")
    return (
        f"{LISTENS} const token = '{token}';"
        f"const element = document.querySelector('finch-connections'); {GIVES[gives]}"
    )


# Scripts


@pytest.mark.parametrize("gives", GIVES)
def test_a_page_whose_script_comes_last_hears_of_a_return(
    visitor: Visitor, one: Connection, gives: str
) -> None:
    query = RETURNED + one.key.company_id
    visitor.visits_host(markup(visitor), script(visitor, gives), query=query)
    visitor.sees(f"{HARBOR} at Gusto is connected")
    expect(visitor.page).to_have_title("Host finch-connected")


def test_a_page_that_never_gives_a_token_is_not_waited_for_without_end(
    visitor: Visitor, one: Connection
) -> None:
    visitor.page.clock.install()
    never = (
        "document.querySelector('finch-connections').getAccessToken = () => new Promise(() => {});"
    )
    visitor.visits_host(markup(visitor), never)
    expect(visitor.said).to_have_text("Loading your connections…")
    visitor.page.clock.run_for(41_000)
    visitor.sees("Your connections cannot be shown", "does not answer")


def test_the_same_callback_begins_nothing_anew(visitor: Visitor, one: Connection) -> None:
    visitor.visits_host(markup(visitor), script(visitor))
    visitor.details(visitor.card(HARBOR))
    with visitor.requests("/connections") as sent:
        visitor.page.evaluate(
            "(() => { const one = document.querySelector('finch-connections');"
            " const same = one.getAccessToken; one.getAccessToken = same; })()"
        )
        expect(visitor.button("Add another login")).to_be_visible()
        assert sent == []
        refresh = "const one = document.querySelector('finch-connections');"
        # Two at once, and each is over when what it has asked for is shown.
        visitor.page.evaluate(
            f"(async () => {{ {refresh} one.refresh(); await one.refresh(); }})()"
        )
    assert len(sent) == 4


# Styles

PLACES = [
    "display: block; margin: 0 40px",
    "display: flex",
    "display: flex; flex-direction: column; align-items: center",
    "display: grid; place-items: center",
    "display: grid; grid-template-columns: auto auto",
    "display: inline-block",
    "float: left",
]


def test_it_has_its_width_and_its_sizes_wherever_it_is_put(
    visitor: Visitor, one: Connection
) -> None:
    head = "<style>html { font-size: 62.5% } body { font-size: 16px; margin: 0 }</style>"
    place = f"<main><h1>Host</h1><div>{markup(visitor)}</div></main>"
    visitor.visits_host(place, script(visitor), head=head, root='lang="en"')
    visitor.card(HARBOR).wait_for()
    for width in (1000, 360):
        visitor.page.set_viewport_size({"width": width, "height": 800})
        for style in PLACES:
            there = visitor.page.evaluate(
                "(style) => { document.querySelector('main div').style = style;"
                " return document.querySelector('finch-connections').offsetWidth; }",
                style,
            )
            assert there >= min(width - 80, 640), (width, style)
            assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width, style
    for name in ("Connect another", "Details"):
        box = visitor.button(name).bounding_box()
        assert box
        assert box["height"] >= 39, name
    visitor.looks("host-of-ten-pixels")


# Words


@pytest.mark.parametrize(
    ("root", "of_the_browser", "language"),
    [
        ('lang="DE"', "en-US", "de"),
        ('lang="de-at"', "en-US", "de-AT"),
        ('lang="fr"', "de-DE", "en"),
        ('lang="not a language"', "de-DE", "en"),
        ("", "de-DE", "de-DE"),
        ("", "c_UTF-8", "en"),
    ],
)
def test_its_language_is_one_that_it_has_and_is_said(
    visitor: Visitor, one: Connection, root: str, of_the_browser: str, language: str
) -> None:
    visitor.page.add_init_script(
        f"Object.defineProperty(navigator, 'language', {{ get: () => '{of_the_browser}' }})"
    )
    visitor.visits_host(markup(visitor), script(visitor), root=root)
    visitor.card(HARBOR).wait_for()
    title = "Verbindungen" if language.startswith("de") else "connections"
    expect(visitor.element.get_by_role("heading", level=2)).to_contain_text(title)
    expect(visitor.element.locator(".all")).to_have_attribute("lang", language)


# Addresses


@pytest.mark.parametrize(
    ("address", "stays", "words"),
    [
        ("/x/?error=access_denied", "/x/", "without giving access"),
        ("?error=access_denied&state=mine", "?error=access_denied&state=mine", None),
    ],
    ids=["a path that looks like a host", "an answer to the page's own sign-in"],
)
def test_an_address_of_any_form_is_read_and_left_as_it_was(
    visitor: Visitor, one: Connection, address: str, stays: str, words: str | None
) -> None:
    visitor.visits_host(markup(visitor), script(visitor), query=address)
    visitor.card(HARBOR).wait_for()
    if words:
        visitor.sees(words)
    else:
        expect(visitor.notice).to_have_count(0)
    expect(visitor.page).to_have_url(re.compile(re.escape(stays) + "$"))
