"""Roles: `roles/<name>/role.yaml`, its defaults and its templates, as typed data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from bootstrap import strict_yaml
from bootstrap.engine.operations import Operations
from bootstrap.errors import ConfigError
from bootstrap.model import Model, first_fault

ROLES_DIR = Path(__file__).parents[1] / "roles"

Where = Literal["all", "head", "workers"]


def _read(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = strict_yaml.load(file.read_text())
    return document


class After(Model):
    """Step of the head, of this role or another one, that must be done first."""

    step: str
    role: str | None = None


class _Options(Model):
    name: str
    on: Where = "all"
    after: After | None = None
    timeout: float = 900.0


class Step(Operations, _Options):
    """One step: a name, where it runs, and exactly one operation."""


class CheckSpec(Model):
    """Command that checks the role's service, and the command to type where it fails."""

    name: str
    run: str
    fix: str
    on: Where = "all"


class Role(Model):
    """A role as its files define it; strings may hold `{{ variables }}`, filled by the plan."""

    name: str
    description: str
    requires: list[str] = Field(default=[])
    steps: Annotated[list[Step], Field(min_length=1)]
    check: list[CheckSpec] = Field(default=[])
    defaults: dict[str, Any] = Field(default={})
    folder: Path


def load_role(name: str, roles: Path = ROLES_DIR) -> Role:
    """Read a role from its folder; relative paths in it are relative to that folder.

    Raises:
        ConfigError: no such role, or its YAML is refused (file and field are named).
    """
    folder = roles / name
    file = folder / "role.yaml"
    if not file.is_file():
        known = ", ".join(sorted(p.parent.name for p in roles.glob("*/role.yaml")))
        raise ConfigError(f"role {name!r}", f"there is no {file}; there are: {known}", "Name one of these.")
    try:
        document = _read(file)
        defaults_file = folder / "defaults.yaml"
        defaults = _read(defaults_file) if defaults_file.is_file() else {}
        return Role.model_validate({**document, "defaults": defaults or {}, "folder": folder})
    except yaml.YAMLError as error:
        raise ConfigError(str(file), strict_yaml.reason(error), "Fix the file.") from error
    except ValidationError as error:
        field, reason = first_fault(error)
        raise ConfigError(str(file), f"{field}: {reason}", "Fix the file.") from error
