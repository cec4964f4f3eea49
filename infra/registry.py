"""The providers that a stack can run on: for each a folder of `infra/`, and a line here.

Nothing of a provider is imported before it is used: a cloud's resources and its SDK take a second to import,
and the SDK of a cloud that nobody uses need not be installed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from infra.preflight.finding import Finding
    from infra.settings.section import StackSettings

Config = Any
"""An instance of the provider's own `Settings`."""


class Program(Protocol):
    """Registers a stack's resources and returns its outputs; `home` is the program's folder."""

    def __call__(self, config: Config, stack: str, home: str, /) -> dict[str, Any]:
        """Register them."""
        ...


class Preflight(Protocol):
    """Checks what would stop a stack before its first resource, and prints each finding."""

    def __call__(
        self, config: Config, stack: str, /, *, root: Path, console: Console, env: Mapping[str, str]
    ) -> list[Finding]:
        """Run the checks."""
        ...


class Cost(Protocol):
    """Prints what an hour of a stack costs; with `refresh`, at today's prices."""

    def __call__(
        self, config: Config, stack: str, /, *, root: Path, console: Console, results: Path, refresh: bool
    ) -> None:
        """Print the estimate."""
        ...


class Sweep(Protocol):
    """Searches the cloud for what stacks have left, and prints it. True: nothing is left."""

    def __call__(
        self,
        stack: str | None,
        regions: Sequence[str] | None,
        /,
        *,
        root: Path,
        console: Console,
        alive: Collection[str],
    ) -> bool:
        """Run the search."""
        ...


@dataclass(frozen=True)
class Provider:
    """A provider's package `infra.NAME`, and what it exports."""

    name: str
    """Value of the setting `provider`, name of the folder, and of the extra that installs its SDK."""
    title: str
    in_cloud: bool = True
    """Its stacks cost money, and may leave something behind."""
    lists_regions: bool = False
    """The cloud itself is asked which regions there are: it gets those that no provider's table has."""

    @property
    def settings(self) -> type[StackSettings]:
        """The configuration schema of its stacks."""
        schema: type[StackSettings] = self._module("settings").Settings
        return schema

    @property
    def regions(self) -> Collection[str]:
        """Names of the regions in its table; none without regions."""
        names: Collection[str] = self._module("settings").region_names()
        return names

    @property
    def program(self) -> Program:
        """The Pulumi program."""
        function: Program = self._module("program").program
        return function

    @property
    def preflight(self) -> Preflight:
        """The checks of `fab preflight`."""
        function: Preflight = self._module("preflight").preflight
        return function

    @property
    def cost(self) -> Cost:
        """The estimate of `fab cost`."""
        function: Cost = self._module("cost").cost
        return function

    @property
    def sweep(self) -> Sweep:
        """The search of `fab sweep`."""
        function: Sweep = self._module("sweep").sweep
        return function

    def _module(self, part: str) -> Any:  # noqa: ANN401 - typed by each property
        return import_module(f"infra.{self.name}.{part}")


PROVIDERS: Final = {
    provider.name: provider
    for provider in (
        Provider("local", "this machine", in_cloud=False),
        Provider("aws", "AWS", lists_regions=True),
        Provider("azure", "Azure"),
    )
}
"""By name; the first one is the default."""


def clouds() -> list[Provider]:
    """The providers whose stacks cost money."""
    return [provider for provider in PROVIDERS.values() if provider.in_cloud]
