"""Configuration of a stack: parsed and validated before the first resource is registered.

Each provider has its own schema, selected by `provider`. Values arrive as the strings of `PULUMI_CONFIG`,
which include the defaults of Pulumi.yaml; the schemas repeat these defaults for callers without an engine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from bootstrap import strict_yaml
from bootstrap.errors import ConfigError
from infra.registry import PROVIDERS
from infra.settings.refusal import one_line
from infra.settings.section import ENCRYPTED, StackSettings
from infra.tags import PROJECT


def load(values: Mapping[str, str], stack: str) -> StackSettings:
    """Validate the configuration that the engine passes as `namespace:key` → text.

    Raises:
        ConfigError: an unknown key, an invalid value, or an unknown provider.
    """
    given: dict[str, Any] = {}
    for name, text in values.items():
        namespace, _, key = name.partition(":")
        if namespace == PROJECT:
            given[key] = _parsed(text)
    *others, last = PROVIDERS
    name = given.get("provider", others[0])
    if not isinstance(name, str) or name not in PROVIDERS:
        raise ConfigError(
            f"{PROJECT}:provider = {name!r}",
            f"unknown provider; this version has only the providers {', '.join(others)} and {last}",
            f"Run `pulumi config set provider {others[0]} --stack {stack}`.",
        )
    schema = PROVIDERS[name].settings
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        raise one_line(error, schema, stack) from None


def from_file(path: Path, stack: str) -> StackSettings:
    """Load the configuration from a stack file `Pulumi.<stack>.yaml`, without an engine.

    Raises:
        ConfigError: as for `load`; or the file does not exist or is not valid YAML.
    """
    declared = _config(path.with_name("Pulumi.yaml"))
    values = {f"{PROJECT}:{key}": entry["default"] for key, entry in declared if "default" in entry}
    for key, value in _config(path):
        # The engine takes a key without a namespace for the project's.
        values[key if ":" in key else f"{PROJECT}:{key}"] = value
    return load({key: _engine_text(value) for key, value in values.items()}, stack)


def _config(path: Path) -> list[tuple[str, Any]]:
    """Return the entries of a file's `config` block.

    Raises:
        ConfigError: the file does not exist, or is not a stack file.
    """
    try:
        document = strict_yaml.load(path.read_text())
    except FileNotFoundError:
        there = sorted(file.name for file in path.parent.glob("Pulumi.*.yaml"))
        # Stack files of a cloud begin with its name: Pulumi.azure-west-europe.yaml.
        kind = path.name.partition("-")[0]
        alike = next((name for name in there if name.partition("-")[0] == kind), there[0] if there else "")
        raise ConfigError(
            str(path),
            f"there is no such file (stack files there: {', '.join(there) or 'none'})",
            f"Copy one: `cp {alike} {path.name}`, and edit it." if there else "Go to the project's folder.",
        ) from None
    except yaml.YAMLError as error:
        why = strict_yaml.reason(error)
        raise ConfigError(str(path), why, f"Edit it: `$EDITOR {path}`.") from None
    config = document.get("config") if isinstance(document, dict) else document
    if config is None:
        return []
    if not isinstance(config, dict):
        why = "its `config` is not a mapping of keys to values"
        raise ConfigError(str(path), why, f"Edit it: `$EDITOR {path}`.")
    return list(config.items())


def _engine_text(value: Any) -> str:  # noqa: ANN401 - whatever YAML held
    """Convert a value to the text that the engine passes: JSON, without quotes around strings, and empty for
    null.

    As observed with `pulumi config --json` of pulumi 3.272: `0.80` is passed as `0.8`, and `true` as `true`.
    """
    if isinstance(value, dict) and set(value) == {"secure"}:
        return ENCRYPTED
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _parsed(text: str) -> Any:  # noqa: ANN401 - whatever YAML held
    if text.startswith(("{", "[")):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            pass
    return text
