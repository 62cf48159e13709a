"""The element in pages that differ from the example in scripts, styles, language and address."""

import re

import pytest
from playwright.sync_api import expect

from finch_connections.domain.connection import Connection
from local.fake_finch.seed_world import HARBOR_LANE
from tests.browser import seed
from tests.browser.seed import connection
from tests.browser.visitor import Visitor
from tests.support.deployed import Deployed
from tests.support.person import Person

HARBOR = HARBOR_LANE.legal_name
RETURNED = "?finch=return&status=connected&provider_id=gusto&company_id="
# Adds each event of the element to the title of the page.
LISTENS = """
  for (const name of ["finch-signed-out", "finch-connected", "finch-failed"]) {
    document.addEventListener(name, () => (document.title += ` ${name}`));
  }
"""
PROVIDES = {
    "property": "element.getAccessToken = async () => token;",
    "event": "document.addEventListener('finch-access-token', (event) => event.detail.provide(token));",
}


@pytest.fixture
def healthy(deployed: Deployed) -> Connection:
    """A healthy connection that is new."""
    healthy = connection(HARBOR, ("gusto", "Gusto"), "connected", seed.new_login(HARBOR))
    seed.write(deployed, [healthy])
    return healthy


def markup(visitor: Visitor) -> str:
    """The element as docs/embed.md shows it."""
    api = visitor.world.api_url
    return f'<finch-connections api-url="{api}" products="company directory"></finch-connections>'


def script(visitor: Visitor, provides: str = "property") -> str:
    """A script of the page that runs after the element is defined."""
    token = visitor.world.issuer.token("acme")
    return (
        f"{LISTENS} const token = '{token}';"
        f"const element = document.querySelector('finch-connections'); {PROVIDES[provides]}"
    )


# Scripts


@pytest.mark.parametrize("provides", PROVIDES)
def test_page_script_that_runs_last_still_gets_the_return_event(
    visitor: Visitor, healthy: Connection, provides: str
) -> None:
    query = RETURNED + healthy.key.company_id
    visitor.open_host_page(markup(visitor), script(visitor, provides), query=query)
    visitor.sees(f"{HARBOR} at Gusto is connected")
    expect(visitor.page).to_have_title("Host finch-connected")


def test_page_that_never_returns_a_token_shows_an_error(
    visitor: Visitor, healthy: Connection
) -> None:
    visitor.page.clock.install()
    never = (
        "document.querySelector('finch-connections').getAccessToken = () => new Promise(() => {});"
    )
    visitor.open_host_page(markup(visitor), never)
    expect(visitor.announced).to_have_text("Loading your connections…")
    visitor.page.clock.run_for(41_000)
    visitor.sees("Your connections cannot be shown", "does not answer")


def test_setting_the_same_callback_does_not_start_again(
    visitor: Visitor, healthy: Connection
) -> None:
    visitor.open_host_page(markup(visitor), script(visitor))
    visitor.details(visitor.card(HARBOR))
    with visitor.requests("/connections") as sent:
        visitor.page.evaluate(
            "(() => { const element = document.querySelector('finch-connections');"
            " const same = element.getAccessToken; element.getAccessToken = same; })()"
        )
        expect(visitor.button("Add another login")).to_be_visible()
        assert sent == []
        element = "const element = document.querySelector('finch-connections');"
        # Two calls at once. Each resolves when the page shows what that call has read.
        visitor.page.evaluate(
            f"(async () => {{ {element} element.refresh(); await element.refresh(); }})()"
        )
    assert len(sent) == 4


# Features that a browser may not have

OPTIONAL = """
  const features = [
    [globalThis, ["BroadcastChannel", "IntersectionObserver", "ResizeObserver", "localStorage",
      "sessionStorage", "indexedDB", "caches", "cookieStore", "navigation", "Notification"]],
    [navigator, ["locks", "storage", "serviceWorker", "permissions", "clipboard"]],
    [crypto, ["randomUUID", "subtle"]],
    [Intl, Object.getOwnPropertyNames(Intl)],
  ];
  for (const [place, names] of features) {
    for (const name of names) Object.defineProperty(place, name, { configurable: true, WITHOUT });
  }
  history.replaceState = () => refuse();
"""
WITHOUT = {
    "missing": "const refuse = () => undefined;" + OPTIONAL.replace("WITHOUT", "value: undefined"),
    "refused": "function refuse() { throw new DOMException('Not here', 'SecurityError'); }"
    + OPTIONAL.replace("WITHOUT", "get: refuse"),
    "refused when used": "function refuse() { throw new DOMException('Not here', 'SecurityError'); }"
    + OPTIONAL.replace("WITHOUT", "value: refuse"),
}


@pytest.mark.parametrize("without", WITHOUT)
def test_element_works_without_any_optional_feature_of_the_browser(
    visitor: Visitor, deployed: Deployed, without: str
) -> None:
    seed.write(deployed, [connection(f"Company {n}", (f"p{n}", f"P{n}")) for n in range(30)])
    landing = Person(deployed, "acme", same_site=False).connect()
    visitor.page.add_init_script(WITHOUT[without])
    query = f"?finch=return&status=confirm#completion={landing.completion}"
    visitor.open_host_page(markup(visitor), script(visitor), query=query)
    visitor.button("Yes, connect it").click()
    visitor.sees(f"{HARBOR} at Gusto is connected")
    visitor.button("Show more").click()
    expect(visitor.cards).to_have_count(31)
    card = visitor.card(HARBOR)
    visitor.details(card)
    card.get_by_role("button", name="Disconnect").click()
    visitor.dialog.get_by_role("button", name="Disconnect").click()
    visitor.sees(f"{HARBOR} at Gusto is disconnected")
    visitor.button("Connect another").click()
    visitor.page.get_by_role("button", name="Gusto", exact=True).wait_for()


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


def test_element_keeps_its_size_in_any_layout(visitor: Visitor, healthy: Connection) -> None:
    head = "<style>html { font-size: 62.5% } body { font-size: 16px; margin: 0 }</style>"
    place = f"<main><h1>Host</h1><div>{markup(visitor)}</div></main>"
    visitor.open_host_page(place, script(visitor), head=head, root='lang="en"')
    visitor.card(HARBOR).wait_for()
    for width in (1000, 360):
        visitor.page.set_viewport_size({"width": width, "height": 800})
        for style in PLACES:
            width_of_element = visitor.page.evaluate(
                "(style) => { document.querySelector('main div').style = style;"
                " return document.querySelector('finch-connections').offsetWidth; }",
                style,
            )
            assert width_of_element >= min(width - 80, 640), (width, style)
            assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width, style
    for name in ("Connect another", "Details"):
        box = visitor.button(name).bounding_box()
        assert box
        assert box["height"] >= 39, name
    visitor.snapshot("host-of-ten-pixels")


# Language


@pytest.mark.parametrize(
    ("root", "browser_language", "language"),
    [
        ('lang="DE"', "en-US", "de"),
        ('lang="de-at"', "en-US", "de-AT"),
        ('lang="es-MX"', "en-US", "es-MX"),
        ('lang="fr-CA"', "en-US", "fr-CA"),
        ('lang="it"', "de-DE", "en"),
        ('lang="not a language"', "de-DE", "en"),
        ("", "de-DE", "de-DE"),
        ("", "c_UTF-8", "en"),
    ],
)
def test_language_is_a_supported_one_and_set_on_the_element(
    visitor: Visitor, healthy: Connection, root: str, browser_language: str, language: str
) -> None:
    visitor.page.add_init_script(
        f"Object.defineProperty(navigator, 'language', {{ get: () => '{browser_language}' }})"
    )
    visitor.open_host_page(markup(visitor), script(visitor), root=root)
    visitor.card(HARBOR).wait_for()
    titles = {"de": "Verbindungen", "es": "Conexiones", "fr": "Connexions", "en": "connections"}
    title = titles[language[:2]]
    expect(visitor.element.get_by_role("heading", level=2)).to_contain_text(title)
    expect(visitor.element.locator(".all")).to_have_attribute("lang", language)


# Addresses


@pytest.mark.parametrize(
    ("address", "stays", "text"),
    [
        ("/x/?finch=return&error=access_denied", "/x/", "without giving access"),
        ("?error=access_denied&state=mine", "?error=access_denied&state=mine", None),
    ],
    ids=["a path that looks like a host", "a response to the page's own sign-in"],
)
def test_only_the_return_is_removed_from_an_address(
    visitor: Visitor, healthy: Connection, address: str, stays: str, text: str | None
) -> None:
    visitor.open_host_page(markup(visitor), script(visitor), query=address)
    visitor.card(HARBOR).wait_for()
    if text:
        visitor.sees(text)
    else:
        expect(visitor.notice).to_have_count(0)
    expect(visitor.page).to_have_url(re.compile(re.escape(stays) + "$"))
