"""A cloud's prices: our dated table, and over it the operator's own file."""

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
    """A part of a table: what is not known of it is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RegionTable(Part):
    """A region's prices, and the day on which they were put together."""

    date: datetime.date | None = None


class PriceTable(Part):
    """A whole table; `sources` says what each `source` means."""

    sources: dict[str, str]
    regions: Mapping[str, RegionTable]
    overridden: dict[str, str] = Field(default_factory=dict)
    """Region → the operator's file that has something to say of it."""

    def origin(self, region: str) -> str:
        """In words, whose prices these are, and of which day."""
        day = self.regions[region].date if region in self.regions else None
        of = f" of {day.isoformat()}" if day else ""
        file = self.overridden.get(region)
        return f"our price table{of}" if file is None else f"{file}{of}, over our own price table"


Table = TypeVar("Table", bound=PriceTable)


@dataclass(frozen=True)
class Book(Generic[Table]):
    """Where a cloud's prices are, and what may stand there."""

    model: type[Table]
    table: Path
    variable: str
    """Environment variable that names the operator's file, where it is not in the configuration folder."""
    name: str
    """Of that file there."""
    keys: Mapping[int, str]
    """Keys that there may be, by how deep they are: regions.REGION.types.TYPE.on_demand is the fifth."""
    check: Callable[[Table, Path], None]
    """Refuses what fits the model and can be nobody's."""

    @property
    def path(self) -> Path:
        """Where the operator's own prices are, or would be."""
        given = os.environ.get(self.variable)
        if given:
            return Path(given).expanduser()
        return platformdirs.user_config_path("caffe-spark") / self.name

    def load(self) -> Table:
        """Our table, with the operator's figures instead of ours where there are any.

        Raises:
            ConfigError: the operator's file is named by the variable and not there, cannot be read, or has a
                key or a figure that is not one.
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
        """An operator's file as it stands; an empty one says nothing.

        Raises:
            ConfigError: it is not YAML, or not a mapping.
        """
        try:
            document = yaml.safe_load(path.read_text()) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            why = str(error).splitlines()[0]
            raise ConfigError(str(path), f"it is not YAML: {why}", MEND) from None
        if not isinstance(document, dict):
            raise ConfigError(str(path), "a mapping with the key `regions` is wanted", MEND)
        if "overridden" in document:
            raise ConfigError(f"{path}: overridden", f"there is no such key; there are: {self.keys[1]}", MEND)
        return document

    def current(self) -> dict[str, Any]:
        """The operator's file, to be added to; one that is not valid is mended first, not written over.

        Raises:
            ConfigError: as `load`.
        """
        if not self.path.exists():
            return {}
        self.load()
        return self.read(self.path)

    def write(
        self, document: dict[str, Any], region: str, found: Mapping[str, Any], answers: Answers
    ) -> Path:
        """Put what was found of a region into the operator's file; what it does not name stays there.

        Raises:
            ServiceDown: nothing was found at all.
        """
        if not answers.known:
            raise ServiceDown(
                f"{answers.who}'s price list for {region}",
                "it has none of the prices that were asked for",
                "`fab cost` without `--refresh` goes on with the prices that there are.",
            )
        there = document.setdefault("regions", {}).setdefault(region, {})
        there["date"] = datetime.datetime.now(datetime.timezone.utc).date()
        for part, figures in found.items():
            there[part] = {**there.get(part, {}), **figures}
        head = [
            f"# Prices in USD that go before the project's own ({_shown(self.table)} says what each means)."
        ]
        if answers.unknown:
            without = ", ".join(answers.unknown)
            head.append(f"# {answers.who} did not answer, so what was known before is used: {without}")
        text = yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=110)
        with replacing(self.path) as new:
            new.write_text("\n".join(head) + f"\n{text}")
        return self.path


@dataclass(frozen=True)
class Answers:
    """What a cloud said of its prices: how many it knew, and the names of what it did not."""

    who: str
    known: int
    unknown: tuple[str, ...]

    @classmethod
    def of(cls, who: str, *asked: Mapping[str, Decimal | None]) -> Answers:
        """By name, None where there was no answer."""
        found = {name: usd for part in asked for name, usd in part.items()}
        unknown = tuple(name for name, usd in found.items() if usd is None)
        return cls(who, len(found) - len(unknown), unknown)


def refuse_unknown(given: str, names: Iterable[str], known: Iterable[str], what: str) -> None:
    """A region or a size that no stack can have is a slip of the pen, which would go unnoticed.

    Raises:
        ConfigError: one of `names` is not among those that are known.
    """
    valid = list(known)
    for name in names:
        if name not in valid:
            raise ConfigError(
                f"{given}.{name}", f"there is no such {what}; there are: {', '.join(valid)}", MEND
            )


MEND: Final = "Mend that line; or remove the file, and `fab cost --refresh` writes another."
_FIGURES: Final = 4
"""From here on a mapping without mappings in it holds figures."""


@functools.cache
def _read(table: Path) -> dict[str, Any]:
    """Our own table, read once: a command asks for prices again and again."""
    document: dict[str, Any] = yaml.safe_load(table.read_text())
    return document


def _shown(table: Path) -> str:
    return "/".join(table.parts[-3:])


def _over(ours: Mapping[str, Any], theirs: Mapping[str, Any], depth: int = 1) -> dict[str, Any]:
    """`theirs` over `ours`, key by key; figures that name no source of their own are the operator's."""
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
        why = f"there is no such key; there are: {there}"
    elif first["type"] != "missing":
        why = f"{first['input']!r}: {why}"
    return ConfigError(f"{path}: {'.'.join(map(str, loc))}", why, MEND)
