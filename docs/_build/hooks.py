"""Hooks of the MkDocs build: pictures from other folders, and the API reference."""

import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
# Pages link to these pictures where they are, so that the links also work in the repository.
PICTURES = {"../frontend/screenshots/": "screenshots/", "../tests/bench/": "figures/"}
PLACE = re.compile(r"<!-- api-reference.*?-->")
# A request to another host that a browser makes by itself when it opens a page.
_LOADED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^>]*>"
    r"|<link\b(?![^>]*rel=[\"']?(?:canonical|next|prev|alternate))[^>]*href=[\"']?(?:https?:)?//[^>]*>"
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pictures to the site."""
    for source, target in PICTURES.items():
        for path in sorted((ROOT / "docs" / source).resolve().iterdir()):
            if path.suffix in {".png", ".svg"}:
                files.append(File.generated(config, target + path.name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Points links at the added pictures, and writes the API reference into its place."""
    for source, target in PICTURES.items():
        markdown = markdown.replace(f"]({source}", f"]({target}")
    return PLACE.sub(lambda _: api_reference(), markdown)


def on_post_page(output: str, *, page: Page, config: MkDocsConfig) -> str:
    """Fails where a page would load anything from another host."""
    if loaded := _LOADED.search(output):
        raise PluginError(f"{page.file.src_uri} loads from another host: {loaded[0]}")
    return output


def api_reference() -> str:
    """Every route of functions/openapi.json, then every type, as Markdown."""
    api = json.loads((ROOT / "functions" / "openapi.json").read_text())
    parts = []
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            parts += [f"### `{method.upper()} {path}`", *_operation(operation)]
    parts.append("## All types")
    for name, schema in api["components"]["schemas"].items():
        parts += [f"### {name}", *_schema(schema)]
    return "\n\n".join(parts)


def _operation(operation: dict[str, Any]) -> list[str]:
    need = "Needs an" if "security" in operation else "Needs no"
    parts = [f"{need} access token. Function: `{operation['tags'][0]}`."]
    if parameters := operation["parameters"]:
        rows = [
            f"| `{one['name']}` | {one['in']} | {_type(one['schema'])} |" for one in parameters
        ]
        parts.append("\n".join(["| parameter | in | type |", "| --- | --- | --- |", *rows]))
    if body := operation.get("requestBody"):
        [content] = body["content"].values()
        parts.append(f"Body: {_type(content['schema']) or 'any JSON'}")
    rows = [
        f"| {status} | {_body(response)} | {_cell(response['description'])} |"
        for status, response in operation["responses"].items()
    ]
    parts.append("\n".join(["| response | body | meaning |", "| --- | --- | --- |", *rows]))
    return parts


def _body(response: dict[str, Any]) -> str:
    for content in response.get("content", {}).values():
        schema = content["schema"]
        # A failure narrows the one shape of failures by its codes, which the description lists.
        return _type(schema["allOf"][0] if "allOf" in schema else schema)
    return ""


def _schema(schema: dict[str, Any]) -> list[str]:
    parts = [schema["description"]] if "description" in schema else []
    if "enum" in schema:
        parts.append(_type(schema))
    required = schema.get("required", ())
    if properties := schema.get("properties"):
        rows = [
            f"| `{name}` | {_type(one)} | {'yes' if name in required else ''} |"
            for name, one in properties.items()
        ]
        parts.append("\n".join(["| field | type | required |", "| --- | --- | --- |", *rows]))
    return parts


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for many in ("oneOf", "anyOf"):
        if many in schema:
            return " or ".join(_type(one) for one in schema[many])
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    return str(schema.get("type", ""))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
