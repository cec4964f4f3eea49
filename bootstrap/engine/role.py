"""Roles: `roles/<name>/role.yaml`, its defaults and its templates, as typed data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bootstrap.errors import ConfigError

ROLES = Path(__file__).parents[1] / "roles"

Where = Literal["all", "head", "workers"]


if TYPE_CHECKING:
    from yaml import SafeLoader
else:
    # A program reads each role for each kind of node: libyaml's parser is five times as fast.
    SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(SafeLoader):
    """Only `true` and `false` are booleans: YAML 1.1 reads the key `on` as one."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def _read(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(file.read_text(), _Loader)  # noqa: S506 - a SafeLoader
    return document


class _Step(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Packages(_Step):
    """Distribution packages, without recommended ones."""

    install: list[str]


class File(_Step):
    """A file from a Jinja2 template of the role, or from `content`."""

    path: str
    template: str | None = None
    content: str | None = None
    mode: str = "0644"
    owner: str = "root"
    group: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> File:
        if (self.template is None) == (self.content is None):
            raise ValueError("give exactly one of template, content")
        return self


class Directory(_Step):
    """A folder with owner and mode."""

    path: str
    mode: str = "0755"
    owner: str = "root"
    group: str | None = None


class User(_Step):
    """A system user with a home folder."""

    name: str
    home: str
    groups: list[str] = []


class Git(_Step):
    """A checkout at exactly one commit."""

    repo: str
    rev: str = Field(pattern=r"^[0-9a-f]{40}$")
    dest: str


class DebianSource(_Step):
    """A Debian source package, unpacked; the original tarball must have this sha256."""

    package: str
    version: str
    suite: str
    components: list[str] = ["main"]
    orig_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    dest: str
    debian_patches: bool = False
    """Whether Debian's own patches are applied (needs dpkg-dev)."""


class Build(_Step):
    """Commands run in a folder until `creates` exists."""

    dir: str
    commands: list[str]
    creates: str


class Archive(_Step):
    """A tarball fetched by `fetch` (a command that writes to $out), verified, unpacked, then linked at once.

    `sha256` may be a shell expression in $(…) where the sum is only known on the node.
    """

    fetch: str
    sha256: str
    dest: str
    link: str | None = None


class Service(_Step):
    """A systemd unit: enabled, running, and restarted when the unit or a `watch` file has changed."""

    name: str
    template: str
    watch: list[str] = []
    ready: str | None = None
    """Command polled after a start until it ends with 0."""
    ready_timeout: float = 60.0


class Shell(_Step):
    """A command with a guard: a file it `creates`, or a test `unless`."""

    run: str
    creates: str | None = None
    unless: str | None = None

    @model_validator(mode="after")
    def _one_guard(self) -> Shell:
        if (self.creates is None) == (self.unless is None):
            raise ValueError("give exactly one of creates, unless")
        return self


class After(_Step):
    """Another role's or this role's step on the head that has to be done first."""

    step: str
    role: str | None = None


class Step(_Step):
    """One step: a name, where it runs, and exactly one operation."""

    name: str
    on: Where = "all"
    after: After | None = None
    timeout: float = 900.0
    packages: Packages | list[str] | None = None
    file: File | None = None
    directory: Directory | None = None
    user: User | None = None
    git: Git | None = None
    debian_source: DebianSource | None = None
    build: Build | None = None
    archive: Archive | None = None
    service: Service | None = None
    command: Shell | None = None

    @model_validator(mode="after")
    def _one_operation(self) -> Step:
        given = self.operations()
        if len(given) != 1:
            raise ValueError(f"a step has exactly one operation, this one has {len(given)}")
        return self

    def operations(self) -> list[str]:
        """The names of the operations given."""
        fixed = {"name", "on", "after", "timeout"}
        return [
            name for name in type(self).model_fields if name not in fixed and getattr(self, name) is not None
        ]


class CheckSpec(_Step):
    """A command that proves that the role's service works, and what to type where it does not."""

    name: str
    run: str
    fix: str
    on: Where = "all"


class Role(_Step):
    """A role as its files say it; strings may hold `{{ variables }}`, filled when it is planned."""

    name: str
    description: str
    requires: list[str] = []
    steps: Annotated[list[Step], Field(min_length=1)]
    check: list[CheckSpec] = []
    defaults: dict[str, Any] = {}
    folder: Path


def load_role(name: str, roles: Path = ROLES) -> Role:
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
        raise ConfigError(str(file), f"it is not YAML: {error}", "Mend the file.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(str(file), f"{where}: {first['msg']}", "Mend the file.") from error
