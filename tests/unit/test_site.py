"""The build of the site: the API reference, pictures from other folders, no other hosts."""

import json

import pytest
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs._build import hooks
from tests.support.deployed import ROOT


@pytest.fixture
def config() -> MkDocsConfig:
    config = MkDocsConfig()
    config.load_dict({"site_name": "Test", "docs_dir": str(ROOT / "docs")})
    config.validate()
    # Set by MkDocs while a plugin or hook runs.
    config.plugins._current_plugin = "hooks"
    return config


@pytest.fixture
def page(config: MkDocsConfig) -> Page:
    return Page("Test", File.generated(config, "api.md", content=""), config)


def test_api_reference_has_every_route_and_type() -> None:
    api = json.loads((ROOT / "functions" / "openapi.json").read_text())
    lines = hooks.api_reference().splitlines()
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            start = lines.index(f"### `{method.upper()} {path}`")
            rest = lines[start + 1 :]
            section = rest[: next(i for i, line in enumerate(rest) if line.startswith("##"))]
            for status in operation["responses"]:
                assert any(line.startswith(f"| {status} |") for line in section), (path, status)
            for parameter in operation["parameters"]:
                assert any(line.startswith(f"| `{parameter['name']}` |") for line in section)
    for name, schema in api["components"]["schemas"].items():
        start = lines.index(f"### {name}")
        for field in schema.get("properties", ()):
            assert any(line.startswith(f"| `{field}` |") for line in lines[start:]), (name, field)


def test_api_reference_and_pictures_are_put_into_pages(config: MkDocsConfig, page: Page) -> None:
    files = hooks.on_files(Files([]), config)
    assert files.get_file_from_path("screenshots/list.png")
    assert files.get_file_from_path("figures/figures.svg")
    text = "![Page](../frontend/screenshots/list.png)\n<!-- api-reference: here -->\n"
    made = hooks.on_page_markdown(text, page=page, config=config, files=files)
    assert made.startswith("![Page](screenshots/list.png)\n### `")


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/mermaid.js"></script>',
        "<script src=//cdn.example/a.js></script>",
        '<img alt="" src="http://cdn.example/a.png">',
        '<link rel="stylesheet" href="https://fonts.example/css">',
        '<link href="https://fonts.example" rel="preconnect">',
    ],
)
def test_a_page_that_loads_from_another_host_fails_the_build(
    config: MkDocsConfig, page: Page, html: str
) -> None:
    with pytest.raises(PluginError, match="another host"):
        hooks.on_post_page(html, page=page, config=config)


def test_links_to_other_hosts_are_allowed(config: MkDocsConfig, page: Page) -> None:
    html = '<a href="https://www.tryfinch.com/">Finch</a><img src="screenshots/list.png">'
    assert hooks.on_post_page(html, page=page, config=config) == html
