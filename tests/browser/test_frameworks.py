"""The element in pages of Vue, Vue Router and React, which may be loaded before it."""

import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import expect

from finch_connections.domain.connection import Connection
from local.fake_finch.seed_world import HARBOR_LANE
from tests.browser import seed
from tests.browser.seed import connection
from tests.browser.visitor import Visitor
from tests.frontend.test_modules import FRONTEND, NODE
from tests.support.deployed import Deployed
from tests.support.person import Person

HARBOR = HARBOR_LANE.legal_name
PACKAGES = FRONTEND / "node_modules"
VUE = '<script src="/vue.js"></script><script src="/vue-router.js"></script>'
FIRST = '<script src="/finch-return.js"></script>'
ANSWERS = """
  document.addEventListener("finch-access-token", (event) => event.detail.provide(token));
"""
ROUTES = """
  const { createRouter, createWebHistory, createWebHashHistory, RouterView } = VueRouter;
  const shows = (...page) => ({ render: () => Vue.h(...page) });
  const element = shows("finch-connections", attributes);
  function start(history, ...routes) {
    globalThis.router = createRouter({ history, routes });
    Vue.createApp({ render: () => Vue.h(RouterView) }).use(router).mount("#app");
  }
"""
BUNDLE = """
  import { build } from "esbuild";
  const contents = `
    export { createElement } from "react";
    export { createRoot } from "react-dom/client";
    export { flushSync } from "react-dom";
  `;
  await build({
    stdin: { contents, resolveDir: "." },
    define: { "process.env.NODE_ENV": '"production"' },
    bundle: true,
    globalName: "React",
    outfile: process.argv[1],
  });
"""


@pytest.fixture
def healthy(deployed: Deployed) -> Connection:
    """A healthy connection."""
    healthy = connection(HARBOR)
    seed.write(deployed, [healthy])
    return healthy


@pytest.fixture(scope="session")
def react(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """React in one script for a page."""
    script = tmp_path_factory.mktemp("react") / "react.js"
    subprocess.run(
        [NODE, "--input-type=module", "--eval", BUNDLE, script],
        cwd=FRONTEND,
        check=True,
        timeout=120,
    )
    return script


def serve(visitor: Visitor, name: str, script: Path) -> None:
    """Serves this script on the application's site."""
    visitor.page.route(
        visitor.world.page_url + name,
        lambda route: route.fulfill(path=script, content_type="text/javascript"),
    )


def app(
    visitor: Visitor, scripts: str, script: str, *, head: str = "", query: str = "", late: str = ""
) -> None:
    """Opens a page whose framework renders before the file of the element is loaded."""
    serve(visitor, "vue.js", PACKAGES / "vue/dist/vue.global.prod.js")
    serve(visitor, "vue-router.js", PACKAGES / "vue-router/dist/vue-router.global.prod.js")
    token = visitor.world.issuer.token("acme")
    attributes = {"api-url": visitor.world.api_url, "lang": "en"}
    data = f"const token = '{token}'; const attributes = {attributes};"
    markup = f'<div id="app"></div>{scripts}<script>{data}{script}</script>'
    visitor.open_host_page(markup, late, head=head, query=query)


def returned(deployed: Deployed, mark: str = "") -> str:
    """The address after a return that must be confirmed."""
    landing = Person(deployed, "acme", same_site=False).connect()
    assert landing.completion
    return f"?finch=return&status=confirm{mark}#completion={landing.completion}"


def visited(visitor: Visitor) -> str:
    """The addresses in the history of the tab, as one text."""
    return str(visitor.page.evaluate("navigation.entries().map(({ url }) => url).join()"))


# Routers


@pytest.mark.parametrize("head", [FIRST, ""], ids=["script first", "element after the router"])
def test_completion_code_does_not_come_back_with_vue_router(
    visitor: Visitor, deployed: Deployed, head: str
) -> None:
    routes = f"""{ANSWERS}{ROUTES}
      start(createWebHistory(), {{ path: "/", component: element }},
        {{ path: "/other", component: shows("p", "Another page") }});
    """
    app(visitor, VUE, routes, head=head, query=returned(deployed))
    question = visitor.element.get_by_role("heading", name="Was this you?")
    expect(question).to_be_visible()
    visitor.page.evaluate("router.push('/other')")
    expect(visitor.page.get_by_text("Another page")).to_be_visible()
    assert "completion" not in visited(visitor)
    assert "finch=return" not in visited(visitor)
    visitor.page.go_back()
    expect(question).to_be_visible()
    assert visitor.page.url == visitor.world.page_url
    visitor.button("Yes, connect it").click()
    visitor.sees(f"{HARBOR} at Gusto is connected")


@pytest.mark.parametrize("head", [FIRST, ""], ids=["script first", "element after the router"])
def test_return_opens_the_route_of_a_hash_router_again(
    visitor: Visitor, deployed: Deployed, head: str
) -> None:
    routes = f"""{ANSWERS}{ROUTES}
      start(createWebHashHistory(), {{ path: "/", component: shows("p", "Home") }},
        {{ path: "/settings/payroll", component: element }},
        {{ path: "/:all(.*)", component: shows("p", "Not found") }});
    """
    app(visitor, VUE, routes, head=head, query="#/settings/payroll")
    visitor.button("Connect payroll").click()
    visitor.page.get_by_role("button", name="Gusto", exact=True).wait_for()
    visitor.open(query=returned(deployed))
    question = visitor.element.get_by_role("heading", name="Was this you?")
    expect(question).to_be_visible()
    assert visitor.page.url == f"{visitor.world.page_url}#/settings/payroll"
    visitor.page.evaluate("router.push('/')")
    expect(visitor.page.get_by_text("Home")).to_be_visible()
    assert "completion" not in visited(visitor)
    visitor.page.go_back()
    visitor.button("Yes, connect it").click()
    visitor.sees(f"{HARBOR} at Gusto is connected")


def test_return_outlives_a_router_that_leaves_the_page(
    visitor: Visitor, deployed: Deployed
) -> None:
    routes = f"""{ANSWERS}{ROUTES}
      start(createWebHistory(), {{ path: "/", redirect: () => ({{ path: "/x/", query: {{}} }}) }},
        {{ path: "/x/", component: element }});
    """
    app(visitor, VUE, routes, head=FIRST, query=returned(deployed))
    expect(visitor.element.get_by_role("heading", name="Was this you?")).to_be_visible()
    assert visitor.page.url == f"{visitor.world.page_url}x/"


# Frameworks that render before the element is defined

GIVES = {
    "property": "Object.assign(document.querySelector('#app').appendChild(made), own);",
    "vue": """
      const given = { ".getAccessToken": own.getAccessToken, ".texts": own.texts };
      Vue.createApp({ render: () => Vue.h("finch-connections", { ...attributes, ...given }) })
        .mount("#app");
    """,
}


@pytest.mark.parametrize("gives", GIVES)
def test_properties_that_were_set_before_the_element_was_loaded_count(
    visitor: Visitor, healthy: Connection, gives: str
) -> None:
    own = """
      const own = { getAccessToken: async () => token, texts: { title: "Payroll" } };
      const made = document.createElement("finch-connections");
      for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    """
    app(visitor, VUE, own + GIVES[gives])
    expect(visitor.card(HARBOR)).to_be_visible()
    expect(visitor.element.get_by_role("heading", name="Payroll", exact=True)).to_be_visible()


RENDERS = """
  const give = (given) => React.flushSync(() => root.render(
    React.createElement("finch-connections", { ...attributes, ...given })));
  const { React: { createRoot } } = globalThis;
  const root = createRoot(document.querySelector("#app"));
  document.addEventListener("finch-signed-out", () => (document.title = "signed out"));
"""


def render(visitor: Visitor, react: Path, script: str, late: str = "") -> None:
    """Opens a page that React renders before the file of the element is loaded."""
    serve(visitor, "react.js", react)
    app(visitor, '<script src="/react.js"></script>', RENDERS + script, late=late)


def test_react_answers_the_event_of_an_element_that_is_loaded_later(
    visitor: Visitor, healthy: Connection, react: Path
) -> None:
    answers = "({ detail }) => detail.provide(token)"
    render(visitor, react, f"give({{ 'onfinch-access-token': {answers} }});")
    expect(visitor.card(HARBOR)).to_be_visible()
    expect(visitor.page).to_have_title("Host")


def test_callback_that_is_set_soon_after_the_element_was_loaded_is_not_a_signed_out_user(
    visitor: Visitor, healthy: Connection, react: Path
) -> None:
    late = "setTimeout(() => give({ getAccessToken: async () => token }), 300);"
    # As a page does that imports the element when a user opens a tab.
    late = f"addEventListener('load', () => setTimeout(() => {{ give({{}}); {late} }}));"
    visitor.page.clock.install()
    render(visitor, react, "", late)
    expect(visitor.card(HARBOR)).to_be_visible()
    visitor.page.clock.run_for(2_000)
    expect(visitor.page).to_have_title("Host")


def test_console_explains_why_react_gave_no_token(
    visitor: Visitor, healthy: Connection, react: Path
) -> None:
    # React sets a function only on an element that is defined.
    render(visitor, react, "give({ getAccessToken: async () => token });")
    visitor.sees("Your sign-in has ended")
    expect(visitor.page).to_have_title("signed out")
    [error] = visitor.errors
    assert re.search("getAccessToken.*load finch-connections.js before", error)
    visitor.errors.clear()
