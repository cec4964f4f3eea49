"""Registry of providers: each is a folder of `infra/` and a line here.

A provider's modules are imported on first use: a cloud's resources and SDK take a second to import, and the
SDK of an unused cloud need not be installed.
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
    """Register a stack's resources and return its outputs; `home` is the program's folder."""

    def __call__(self, config: Config, stack: str, home: str, /) -> dict[str, Any]:
        """Run the program."""
        ...


class Preflight(Protocol):
    """Check what would make a stack fail, before its first resource, and print the findings."""

    def __call__(
        self, config: Config, stack: str, /, *, root: Path, console: Console, env: Mapping[str, str]
    ) -> list[Finding]:
        """Run the checks."""
        ...


class Cost(Protocol):
    """Print the hourly cost of a stack; with `refresh`, at current prices."""

    def __call__(
        self, config: Config, stack: str, /, *, root: Path, console: Console, results: Path, refresh: bool
    ) -> None:
        """Print the estimate."""
        ...


class Sweep(Protocol):
    """Search a cloud for leftover resources and print them. Returns True if there are none."""

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


class Offers(Protocol):
    """Print the regions in which a stack could run."""

    def __call__(self, config: Config, stack: str, /, *, root: Path, console: Console) -> None:
        """Print them; `root` is the project's folder."""
        ...


@dataclass(frozen=True)
class Provider:
    """A provider's package `infra.NAME` and its exports."""

    name: str
    """Value of the `provider` setting, name of the folder, and name of the extra that installs the SDK."""
    title: str
    in_cloud: bool = True
    """True if its stacks cost money and can leave resources behind."""
    lists_regions: bool = False
    """True if the cloud itself can list its regions; it is asked about regions that no table has."""

    @property
    def settings(self) -> type[StackSettings]:
        """Configuration schema of its stacks."""
        schema: type[StackSettings] = self._module("settings").Settings
        return schema

    @property
    def regions(self) -> Collection[str]:
        """Names of the regions in its table; empty without regions."""
        names: Collection[str] = self._module("settings").region_names()
        return names

    @property
    def program(self) -> Program:
        """Pulumi program of its stacks."""
        function: Program = self._module("program").program
        return function

    @property
    def preflight(self) -> Preflight:
        """Checks of `fab preflight`."""
        function: Preflight = self._module("preflight").preflight
        return function

    @property
    def cost(self) -> Cost:
        """Estimate of `fab cost`."""
        function: Cost = self._module("cost").cost
        return function

    @property
    def sweep(self) -> Sweep:
        """Search of `fab sweep`."""
        function: Sweep = self._module("sweep").sweep
        return function

    @property
    def offers(self) -> Offers:
        """Comparison of `fab regions`."""
        function: Offers = self._module("offers").offers
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
"""Name → provider; the first one is the default."""


def clouds() -> list[Provider]:
    """Return the providers whose stacks cost money."""
    return [provider for provider in PROVIDERS.values() if provider.in_cloud]
