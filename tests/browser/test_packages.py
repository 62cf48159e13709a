"""The package of the element as other programs install it: the packed file, in a page and in bundles."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from finch_connections.domain.connection import Connection
from local.fake_finch.seed_world import HARBOR_LANE
from packages.__main__ import NODE, NPM
from tests.browser import seed
from tests.browser.seed import connection
from tests.browser.visitor import Visitor
from tests.packages.conftest import built
from tests.support.deployed import ROOT, Deployed
from tests.support.documents import PAGES, rows, words

CONSUMERS = ROOT / "tests" / "packages"
__all__ = ["built"]

HARBOR = HARBOR_LANE.legal_name
RETURNED = "?finch=return&status=connected&provider_id=gusto&company_id="
FRAMEWORKS = ("react", "vue")


def run(*command: str | Path, folder: Path) -> None:
    """Runs a program of Node.js; shows its output if it fails."""
    done = subprocess.run(
        [NODE, *command], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def consumers(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of the frameworks in a folder of their own, with the packed file installed."""
    folder = tmp_path_factory.mktemp("packages")
    (folder / "node_modules").symlink_to(CONSUMERS / "node_modules")
    consumers = shutil.copytree(CONSUMERS / "consumers", folder / "consumers")
    [packed] = built.glob("*.tgz")
    options = ("--offline", "--ignore-scripts", "--no-package-lock", "--loglevel", "error")
    run(NPM, "install", *options, packed, folder=consumers)
    return consumers


@pytest.fixture(scope="session")
def package(consumers: Path) -> Path:
    """The installed package."""
    return consumers / "node_modules" / "@finch-connections" / "element"


@pytest.fixture
def healthy(deployed: Deployed) -> Connection:
    """A healthy connection that is new."""
    healthy = connection(HARBOR, ("gusto", "Gusto"), "connected", seed.new_login(HARBOR))
    seed.write(deployed, [healthy])
    return healthy


def serve(visitor: Visitor, folder: Path, page: str = "") -> None:
    """Serves these files on the application's site, or this page with these files."""
    home = visitor.world.page_url

    def answer(route: Route) -> None:
        name = route.request.url.removeprefix(home).partition("?")[0]
        if page and not name:
            route.fulfill(body=page, content_type="text/html")
        elif (file := folder / (name or "index.html")).exists():
            route.fulfill(path=file)
        else:
            route.continue_()

    visitor.page.route(re.compile(f"^{re.escape(home)}(?!session/)"), answer)


# Pages


def test_page_of_the_documents_works_with_the_packed_file(
    visitor: Visitor, healthy: Connection, package: Path
) -> None:
    [page] = re.findall(r"```html\n(<!doctype.*?)```", PAGES["embed"], re.DOTALL)
    assert len(page.splitlines()) <= 15
    serve(visitor, package, page.replace("https://api.example.com", visitor.world.api_url))
    token = visitor.world.issuer.token("acme")
    address = f"{visitor.world.page_url}session/token"
    visitor.page.route(address, lambda route: route.fulfill(body=token))
    visitor.open()
    expect(visitor.card(HARBOR)).to_be_visible()
    visitor.button("Connect another").click()
    visitor.page.get_by_role("button", name="Gusto", exact=True).wait_for()
    # A test cannot replace the page after a redirect.
    company_id = healthy.key.company_id
    with visitor.page.expect_console_message(lambda message: company_id in message.text) as said:
        visitor.open(query=RETURNED + company_id)
    assert said.value.text == f"gusto {company_id}"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_bundle_of_a_framework_shows_the_element_and_gets_its_events(
    visitor: Visitor, healthy: Connection, consumers: Path, framework: str
) -> None:
    vite = consumers.parent / "node_modules" / "vite" / "bin" / "vite.js"
    run(vite, "build", framework, "--config", "vite.config.ts", folder=consumers)
    serve(visitor, consumers / framework / "dist")
    session = {"apiUrl": visitor.world.api_url, "token": visitor.world.issuer.token("acme")}
    visitor.page.add_init_script(f"globalThis.session = {json.dumps(session)}")
    company_id = healthy.key.company_id
    visitor.open(query=RETURNED + company_id)
    visitor.sees(f"{HARBOR} at Gusto is connected")
    expect(visitor.card(HARBOR)).to_be_visible()
    expect(visitor.page.locator("output")).to_have_text(company_id)


# Types


def documented(heading: str) -> set[str]:
    """The names in the first column of a table of the document."""
    return {word for cells in rows(PAGES["embed"], heading) for word in words(cells[0])}


def test_types_are_those_of_the_document_and_reject_wrong_uses(consumers: Path) -> None:
    names = {
        "FinchConnectionsAttributes": documented("attribute") - {"dir", "lang"},
        "FinchConnectionsProperties": documented("property") - {"refresh()"},
        "FinchConnectionsEvents": documented("DOM event"),
    }
    source = f"import type {{ {', '.join(names)} }} from '@finch-connections/element';\n"
    for kind, these in names.items():
        every = json.dumps(dict.fromkeys(sorted(these), 0))
        source += f"export const all{kind}: Record<keyof {kind}, number> = {every};\n"
    (consumers / "documented.ts").write_text(source)
    # A directive that expects an error is itself an error where the compiler finds none.
    assert "@ts-expect-error" in (consumers / "react" / "wrong.tsx").read_text()
    assert "@vue-expect-error" in (consumers / "vue" / "Wrong.vue").read_text()
    run("../node_modules/vue-tsc/bin/vue-tsc.js", "--project", ".", folder=consumers)


# The package


def test_manifest_has_what_the_document_has(package: Path) -> None:
    manifest = json.loads((package / "custom-elements.json").read_text())
    [module] = manifest["modules"]
    [element] = module["declarations"]
    assert (package / module["path"]).exists()
    assert element["tagName"] == "finch-connections"
    members = {one["name"] + "()" * (one["kind"] == "method") for one in element["members"]}
    assert members == documented("property")
    assert names(element["attributes"]) == documented("attribute")
    assert names(element["events"]) == documented("DOM event")
    [parts] = re.findall(r"possible with the parts (.*?)\.\n", PAGES["embed"], re.DOTALL)
    assert names(element["cssParts"]) == words(parts)
    styles = {word for word in words(PAGES["embed"]) if word.startswith("--finch-")}
    assert names(element["cssProperties"]) == styles


def names(entries: list[dict[str, Any]]) -> set[str]:
    """The names of entries of the manifest, each of which is unique."""
    found = {one["name"] for one in entries}
    assert len(found) == len(entries)
    return found


def test_package_has_each_file_that_it_names_and_nothing_else(package: Path) -> None:
    stated = json.loads((package / "package.json").read_text())
    exports = json.dumps(stated["exports"])
    named = {*re.findall(r'"\./([^"]+\.\w+)"', exports), stated["customElements"]}
    packed = {str(file.relative_to(package)) for file in package.rglob("*") if file.is_file()}
    assert named <= packed
    assert packed == {*stated["files"], "README.md", "package.json"}
    assert {one.removeprefix("./") for one in stated["sideEffects"]} <= named


def test_import_of_the_package_on_a_server_only_defines_the_exports(consumers: Path) -> None:
    script = """
      import "@finch-connections/element/finch-return.js";
      const names = Object.keys(await import("@finch-connections/element")).join();
      if (names !== "FinchConnections,TEXTS") throw new Error(names);
    """
    run("--input-type=module", "--eval", script, folder=consumers)
