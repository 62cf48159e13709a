"""The template and the settings with which `sam local` runs the deployed functions."""

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

type Environments = Mapping[str, Mapping[str, str]]


def architecture() -> str:
    """Lambda's name for the architecture of this machine, for which `make build` builds the layer."""
    return "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"


def template(built: Path, parameters: Mapping[str, str], environments: Environments) -> str:
    """The built template with each function's environment and with absolute paths."""
    content: dict[str, Any] = yaml.safe_load(built.read_text())
    for name, value in parameters.items():
        content["Parameters"][name]["Default"] = value
    for name, resource in content["Resources"].items():
        properties = resource.get("Properties", {})
        for folder in properties.keys() & {"CodeUri", "ContentUri"}:
            properties[folder] = str(built.parent / properties[folder])
        if name in environments:
            properties["Environment"] = {"Variables": dict(environments[name])}
    return yaml.safe_dump(content, sort_keys=False)


def write(
    folder: Path, built: Path, parameters: Mapping[str, str], environments: Environments
) -> None:
    """Writes the template and the settings file that SAM looks for in the same folder."""
    folder.mkdir(exist_ok=True)
    (folder / "template.yaml").write_text(template(built, parameters, environments))
    # SAM prefers variables of the shell, such as AWS_REGION, to those of the template. It prefers
    # --env-vars to the shell, but drops names that the template does not have. So both have them.
    variables = folder / "environment.json"
    variables.write_text(json.dumps(environments, indent=2))
    settings = (
        f"version = 0.1\n\n[default.global.parameters]\nenv_vars = {json.dumps(str(variables))}\n"
    )
    (folder / "samconfig.toml").write_text(settings)
