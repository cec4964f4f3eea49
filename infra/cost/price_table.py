"""Price table of a cloud: the project's dated table, overridden by the operator's file."""

from __future__ import annotations

import datetime
import functools
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Generic, TypeVar

import platformdirs
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bootstrap.aside import replacing
from bootstrap.errors import ConfigError, ServiceDown

OVERRIDE: Final = "override"
"""Source of a figure in the operator's file that names none."""
Usd = Annotated[Decimal, Field(gt=0)]


class Part(BaseModel):
    """A part of a price table; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RegionTable(Part):
    """Prices of a region, and their date."""

    date: datetime.date | None = None


class PriceTable(Part):
    """A whole table; `sources` explains each `source`."""

    sources: dict[str, str]
    regions: Mapping[str, RegionTable]
    overridden: dict[str, str] = Field(default_factory=dict)
    """Region → the operator's file that overrides it."""
    spot_of: dict[str, datetime.date] = Field(default_factory=dict)
    """Region → day on which its cloud was asked for spot prices, which no file has."""

    def origin(self, region: str) -> str:
        """Describe the source and date of a region's prices."""
        day = self.regions[region].date if region in self.regions else None
        of = f" of {day.isoformat()}" if day else ""
        file = self.overridden.get(region)
        table = (
            f"the project's price table{of}"
            if file is None
            else f"{file}{of}, over the project's price table"
        )
        asked = self.spot_of.get(region)
        return f"{table}; on spot as AWS said on {asked.isoformat()}" if asked else table


Table = TypeVar("Table", bound=PriceTable)


@dataclass(frozen=True)
class PriceBook(Generic[Table]):
    """Location and schema of a cloud's price tables."""

    model: type[Table]
    table: Path
    variable: str
    """Environment variable with the path of the operator's file, if it is not in the configuration folder."""
    name: str
    """Name of the operator's file in the configuration folder."""
    keys: Mapping[int, str]
    """Valid keys by depth: regions.REGION.types.TYPE.on_demand is the fifth."""
    check: Callable[[Table, Path], None]
    """Check what the model cannot: that regions, types or sizes exist."""

    @property
    def path(self) -> Path:
        """Path of the operator's file, whether it exists or not."""
        given = os.environ.get(self.variable)
        if given:
            return Path(given).expanduser()
        return platformdirs.user_config_path("caffe-spark") / self.name

    def load(self) -> Table:
        """Load the project's table, overridden by the operator's file if there is one.

        Raises:
            ConfigError: the operator's file is named by the variable and does not exist, cannot be read, or
                has an invalid key or figure.
        """
        ours, path = _read(self.table), self.path
        if not path.exists():
            if os.environ.get(self.variable):
                raise ConfigError(
                    f"{self.variable}: {path}",
                    "there is no such file",
                    f"Run `unset {self.variable}`, or write it with `fab cost --refresh`.",
                )
            return self.model.model_validate(ours)
        theirs = self.read(path)
        try:
            merged = self.model.model_validate(_over(ours, theirs) | {"overridden": _mentioned(theirs, path)})
        except ValidationError as error:
            raise _refused(error, path, self.keys) from None
        self.check(merged, path)
        return merged

    def read(self, path: Path) -> dict[str, Any]:
        """Read an operator's file; an empty file is an empty mapping.

        Raises:
            ConfigError: it is not valid YAML, or not a mapping.
        """
        try:
            document = yaml.safe_load(path.read_text()) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            why = str(error).splitlines()[0]
            raise ConfigError(str(path), f"it is not valid YAML: {why}", FIX) from None
        if not isinstance(document, dict):
            raise ConfigError(str(path), "it is not a mapping with the key `regions`", FIX)
        for ours in ("overridden", "spot_of"):
            if ours in document:
                raise ConfigError(f"{path}: {ours}", f"unknown key; valid keys: {self.keys[1]}", FIX)
        return document

    def current(self) -> dict[str, Any]:
        """Return the operator's file for an update; an invalid file is not overwritten.

        Raises:
            ConfigError: as for `load`.
        """
        if not self.path.exists():
            return {}
        self.load()
        return self.read(self.path)

    def write(
        self, document: dict[str, Any], region: str, found: Mapping[str, Any], answers: Answers
    ) -> Path:
        """Write a region's new prices to the operator's file; its other entries are kept.

        Raises:
            ServiceDown: the cloud returned no price at all.
        """
        if not answers.known:
            raise ServiceDown(
                f"{answers.who}'s price list for {region}",
                "it has none of the requested prices",
                "Run `fab cost` without `--refresh` to use the known prices.",
            )
        there = document.setdefault("regions", {}).setdefault(region, {})
        there["date"] = datetime.datetime.now(datetime.timezone.utc).date()
        for part, figures in found.items():
            there[part] = {**there.get(part, {}), **figures}
        head = [
            f"# Prices in USD that override the project's own ({_shown(self.table)} says what each means)."
        ]
        if answers.unknown:
            without = ", ".join(answers.unknown)
            head.append(f"# {answers.who} did not answer; known prices are used for: {without}")
        text = yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=110)
        with replacing(self.path) as new:
            new.write_text("\n".join(head) + f"\n{text}")
        return self.path


@dataclass(frozen=True)
class Answers:
    """Result of a query for prices: how many are known, and the names of those that are not."""

    who: str
    known: int
    unknown: tuple[str, ...]

    @classmethod
    def of(cls, who: str, *asked: Mapping[str, Decimal | None]) -> Answers:
        """Count answers by name; None is no answer."""
        found = {name: usd for part in asked for name, usd in part.items()}
        unknown = tuple(name for name, usd in found.items() if usd is None)
        return cls(who, len(found) - len(unknown), unknown)


def refuse_unknown(given: str, names: Iterable[str], known: Iterable[str], what: str) -> None:
    """Refuse names of regions or sizes that do not exist, which would otherwise be ignored.

    Raises:
        ConfigError: one of `names` is not in `known`.
    """
    valid = list(known)
    for name in names:
        if name not in valid:
            raise ConfigError(f"{given}.{name}", f"unknown {what}; valid: {', '.join(valid)}", FIX)


FIX: Final = "Fix that line; or delete the file, and `fab cost --refresh` writes a new one."
_FIGURES: Final = 4
"""From this depth on, a mapping without nested mappings holds figures."""


@functools.cache
def _read(table: Path) -> dict[str, Any]:
    """Our own table, read once: a command asks for prices again and again."""
    document: dict[str, Any] = yaml.safe_load(table.read_text())
    return document


def _shown(table: Path) -> str:
    return "/".join(table.parts[-4:])


def _over(ours: Mapping[str, Any], theirs: Mapping[str, Any], depth: int = 1) -> dict[str, Any]:
    """Merge `theirs` over `ours`, key by key; figures without a source of their own are the operator's."""
    merged = dict(ours)
    for key, value in theirs.items():
        if not isinstance(value, Mapping):
            merged[key] = value
            continue
        before = ours.get(key)
        merged[key] = _over(before if isinstance(before, Mapping) else {}, value, depth + 1)
    if depth >= _FIGURES and theirs and not any(isinstance(value, Mapping) for value in theirs.values()):
        merged["source"] = theirs.get("source", OVERRIDE)
    return merged


def _mentioned(theirs: Mapping[str, Any], path: Path) -> dict[str, str]:
    found = theirs.get("regions")
    return dict.fromkeys(found, str(path)) if isinstance(found, Mapping) else {}


def _refused(error: ValidationError, path: Path, keys: Mapping[int, str]) -> ConfigError:
    first = error.errors(include_url=False)[0]
    loc = first["loc"]
    why = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        there = keys[4 if loc[2:3] == ("services",) else len(loc)]
        why = f"unknown key; valid keys: {there}"
    elif first["type"] != "missing":
        why = f"{first['input']!r}: {why}"
    return ConfigError(f"{path}: {'.'.join(map(str, loc))}", why, FIX)
