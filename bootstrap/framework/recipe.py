"""Recipes: sources and build settings as typed data, from `recipes/<name>.yaml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from bootstrap import strict_yaml
from bootstrap.cluster import ClusterDocument
from bootstrap.errors import ConfigError
from bootstrap.framework.cuda import Cuda, in_order
from bootstrap.framework.distribution import Device, Distribution, GitCommit, SourceKind, plain_flags
from bootstrap.model import Model, first_fault

RECIPES = Path(__file__).parent.parent / "recipes"
AUTO = "auto"
"""In place of a recipe's name: the one for the cluster's workers."""
OVERRIDES = ("opencv", "source")
"""Settings that a user may change without writing a recipe."""

_WORD = re.compile(r"[A-Za-z0-9_.+:/=,-]+")
_PROTO_FIELD = re.compile(r"(optional|repeated) [\w.]+ \w+ = \d+( \[default = [\w\".-]+\])?;")


class DebianPackage(Model):
    """A Debian source package; the original tarball is used, without Debian's patches."""

    package: str
    version: str
    suite: str
    components: list[str] = Field(default=["main"])
    orig_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class ProtoExtension(Model):
    """Fields put into existing messages of a .proto file, and text appended to it."""

    file: str
    append: str | None = None
    fields: dict[str, list[str]] = Field(default={})

    @field_validator("fields")
    @classmethod
    def _declarations(cls, fields: dict[str, list[str]]) -> dict[str, list[str]]:
        for line in (line for lines in fields.values() for line in lines):
            if not _PROTO_FIELD.fullmatch(line):
                raise ValueError(
                    f"{line!r} is not a valid field; write e.g. `optional string source = 10001;`"
                )
        return fields


class Recipe(Model):
    """A recipe; relative paths in it are relative to `folder`, its file's."""

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    description: str
    device: Device
    source: SourceKind
    debian: DebianPackage | None = None
    git: GitCommit | None = None
    patches: list[str] = Field(default=[])
    proto: ProtoExtension | None = None
    modules: list[str] = Field(min_length=1)
    """Folders with a CMakeLists.txt and a Python package, which are built as part of Caffe's tree."""
    opencv: bool = True
    cmake: dict[str, str | bool] = Field(default={})
    targets: list[str] = Field(min_length=1)
    tests: list[str] = Field(default=[])
    """Run on the head after the build; the first one also on every node, before it takes work."""
    core_seconds: int = Field(ge=1)
    """Seconds of compilation on one core, for a first estimate."""
    cuda: Cuda | None = None
    distributions: dict[str, Distribution] = Field(min_length=1)
    folder: Path

    @field_validator("targets")
    @classmethod
    def _plain_words(cls, words: list[str]) -> list[str]:
        for word in words:
            if not _WORD.fullmatch(word):
                raise ValueError(f"{word!r} is not a valid target")
        return words

    @field_validator("cmake")
    @classmethod
    def _plain_flags(cls, flags: dict[str, str | bool]) -> dict[str, str | bool]:
        return plain_flags(flags)

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        kinds = {self.source} | {d.source for d in self.distributions.values() if d.source}
        for kind in sorted(kinds):
            if getattr(self, kind) is None:
                raise ValueError(f"source is {kind}, and there is no section `{kind}`")
        if (self.device == "cuda") != (self.cuda is not None):
            raise ValueError("device cuda and a section `cuda` belong together")
        if (self.device == "cuda") == bool(self.cmake.get("CPU_ONLY")):
            raise ValueError(f"device {self.device} contradicts CMake's CPU_ONLY")
        for name, there in self.distributions.items():
            if self.device == "cuda" and there.carries and "cuda" in there.devices:
                raise ValueError(
                    f"distributions.{name}: what is built from source goes with devices [cpu] only"
                )
        for path in {
            *self._files(None),
            *(path for name in self.distributions for path in self._files(name)),
        }:
            if not (self.folder / path).is_file():
                raise ValueError(f"there is no file {self.folder / path}")
        for module in self.modules:
            if not (self.folder / module / "CMakeLists.txt").is_file():
                raise ValueError(f"there is no {self.folder / module}/CMakeLists.txt")
        return self

    @property
    def node_test(self) -> str:
        """Program that every node runs before it takes work: the first test, or an import."""
        return (self.folder / self.tests[0]).read_text() if self.tests else "import caffe\n"

    def on(self, distribution: str) -> Distribution:
        """Return the section of a distribution such as `debian-12`.

        Raises:
            ConfigError: the recipe does not know it, or cannot compile for its device there.
        """
        if distribution not in self.distributions:
            known = ", ".join(sorted(self.distributions))
            raise ConfigError(
                f"recipe {self.name!r} on {distribution}",
                f"it knows the packages of {known}",
                f"Add a section {distribution} to {self.folder / self.name}.yaml.",
            )
        wanted = self.distributions[distribution]
        if self.device not in wanted.devices:
            raise ConfigError(
                f"recipe {self.name!r} on {distribution}",
                f"it compiles for {self.device}, and there it can be {' or '.join(wanted.devices)} only",
                f"Use `fab build-headnode --recipe caffe-{wanted.devices[0]}`, or another distribution.",
            )
        return wanted

    def source_on(self, distribution: str) -> DebianPackage | GitCommit:
        """Return the source on a distribution."""
        kind = self.on(distribution).source or self.source
        source = self.debian if kind == "debian" else self.git
        assert source is not None  # noqa: S101 - _consistent holds
        return source

    def patches_on(self, distribution: str | None) -> list[str]:
        """Return the patches on a distribution, in order; None: the recipe's own."""
        own = self.distributions[distribution].patches if distribution in self.distributions else None
        return self.patches if own is None else own

    def inputs(self, distribution: str | None = None) -> dict[str, Path]:
        """Return every input file of a build on a distribution, besides the source, by its relative path."""
        modules = [
            path.relative_to(self.folder).as_posix()
            for module in self.modules
            for path in (self.folder / module).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        ]
        return {path: self.folder / path for path in sorted([*self._files(distribution), *modules])}

    def _files(self, distribution: str | None) -> list[str]:
        """Return the files that the recipe names one by one."""
        proto = [self.proto.append] if self.proto and self.proto.append else []
        cuda = [self.cuda.wheels] if self.cuda else []
        there = self.distributions.get(distribution or "")
        wheels = [there.wheels] if there and there.wheels else []
        return [*self.patches_on(distribution), *self.tests, *proto, *cuda, *wheels]


def load_recipe(name: str, overrides: Mapping[str, Any] | None = None, recipes: Path = RECIPES) -> Recipe:
    """Read `<recipes>/<name>.yaml`, with `opencv` or `source` overridden.

    Raises:
        ConfigError: no such recipe, or a value in it or in `overrides` is refused; file and field are named.
    """
    file = recipes / f"{name}.yaml"
    for key in overrides or {}:
        if key not in OVERRIDES:
            raise ConfigError(
                f"setting {key!r} of recipe {name!r}",
                f"only {' and '.join(OVERRIDES)} can be set",
                "Write a recipe of your own beside it.",
            )
    document = {**_document(file, recipes, ()), **(overrides or {}), "folder": recipes}
    if "source" in (overrides or {}):
        # The user's setting holds on every distribution.
        for section in document.get("distributions", {}).values():
            section.pop("source", None)
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        field, reason = first_fault(error)
        raise ConfigError(str(file), f"{field}: {reason}" if field else reason, "Fix the file.") from error


def recipe_for(cluster: ClusterDocument) -> str:
    """Return the name of the recipe for a cluster's workers, with GPUs or without."""
    return "caffe-cuda" if cluster.worker.gpus else "caffe-cpu"


def require_devices(recipe: Recipe, cluster: ClusterDocument) -> None:
    """Refuse a recipe for GPUs on a cluster without any, and one for CPUs that would leave GPUs idle.

    Raises:
        ConfigError: the cluster's workers have no GPU; or they have, and the stack does not allow to train on
            their CPUs.
    """
    worker = cluster.worker
    if recipe.device == "cpu" and worker.gpus and not worker.cpu_training:
        raise ConfigError(
            f"recipe {recipe.name!r}",
            f"it compiles for CPUs, and the workers of stack {cluster.stack!r} have GPUs, which would be "
            "billed and stay idle",
            f"Run `fab build-headnode --recipe caffe-cuda`; or allow it: `pulumi config set cpuTraining true "
            f"--stack {cluster.stack}`, then `pulumi up`.",
        )
    if recipe.device == "cuda" and cluster.worker.gpus == 0:
        raise ConfigError(
            f"recipe {recipe.name!r}",
            f"it compiles for GPUs, and the workers of stack {cluster.stack!r} have none",
            "Use `fab build-headnode --recipe caffe-cpu`, or a stack with GPU workers.",
        )


def for_cluster(recipe: Recipe, cluster: ClusterDocument) -> Recipe:
    """Return the recipe for the GPUs that this cluster's workers may have; unchanged where they are unknown.

    Raises:
        ConfigError: the recipe's CUDA cannot compile for one of them.
    """
    wanted = cluster.worker.compute_capabilities
    if recipe.cuda is None or not wanted:
        return recipe
    cuda = recipe.cuda
    if refused := cuda.beyond(wanted):
        raise ConfigError(
            f"stack {cluster.stack!r} with GPUs of compute capability {', '.join(refused)}",
            f"CUDA {cuda.version} of recipe {recipe.name!r} compiles for {cuda.oldest} to {cuda.newest}",
            f"Run `pulumi config set instanceTypes '[\"g4dn.xlarge\"]' --stack {cluster.stack}` (or others), "
            "then `pulumi up`.",
        )
    return recipe.model_copy(update={"cuda": cuda.model_copy(update={"archs": in_order(wanted)})})


def _document(file: Path, recipes: Path, seen: tuple[str, ...]) -> dict[str, Any]:
    """Read a recipe's YAML over that of the one it extends; mappings merge, everything else replaces."""
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in recipes.glob("*.yaml")))
        raise ConfigError(f"recipe {file.stem!r}", f"there are: {known}", "Name one of these.")
    try:
        document = strict_yaml.load(file.read_text())
    except yaml.YAMLError as error:
        raise ConfigError(str(file), strict_yaml.reason(error), "Fix the file.") from error
    if not isinstance(document, dict):
        _refuse(file, "it is not a mapping of settings")
    base = document.pop("extends", None)
    if base is None:
        return document
    if not isinstance(base, str) or base in (file.stem, *seen):
        _refuse(file, f"extends: {base!r} is not the name of another recipe")
    return _merged(_document(recipes / f"{base}.yaml", recipes, (file.stem, *seen)), document)


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def _refuse(file: Path, why: str) -> NoReturn:
    raise ConfigError(str(file), why, "Fix the file.")
