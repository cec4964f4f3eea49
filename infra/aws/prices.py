"""What AWS asks for what a stack is made of: our dated table, and over it the operator's own file."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

import platformdirs
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from bootstrap.errors import ConfigError
from infra.aws import regions

TABLE: Final = Path(__file__).with_name("prices.yaml")
VARIABLE: Final = "CAFFE_SPARK_PRICES"
"""Environment variable that names the operator's file, where it is not in the user's configuration folder."""
OVERRIDE: Final = "override"
"""Source of a figure in the operator's file that names none."""
HOURS: Final = Decimal(730)
"""Of a month, as AWS's own calculator counts them."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _in_order(spot: tuple[Decimal, Decimal]) -> tuple[Decimal, Decimal]:
    if spot[0] > spot[1]:
        raise ValueError("the lowest price comes first, the highest second")
    return spot


Usd = Annotated[Decimal, Field(gt=0)]


class TypePrice(_Part):
    """An instance type's price for an hour, in USD; `spot` is the lowest and the highest among the zones."""

    on_demand: Usd
    spot: Annotated[tuple[Usd, Usd], AfterValidator(_in_order)] | None = None
    source: str


class Services(_Part):
    """Everything else, in USD: per GB and month, per hour, per GB that passes. None: not known."""

    gp3_gb_month: Usd | None = None
    snapshot_gb_month: Usd | None = None
    nat_hour: Usd | None = None
    nat_gb: Usd | None = None
    endpoint_hour: Usd | None = None
    """Of an interface endpoint, in each zone that it is in."""
    endpoint_gb: Usd | None = None
    ipv4_hour: Usd | None = None
    """Of a public address, in use or not."""
    s3_gb_month: Usd | None = None
    logs_gb_month: Usd | None = None
    source: str = OVERRIDE


class RegionPrices(_Part):
    """A region's prices, and the day on which they were put together."""

    date: datetime.date | None = None
    services: Services = Services()
    types: dict[str, TypePrice] = {}


class Prices(_Part):
    """The whole table; `sources` says what each `source` means."""

    sources: dict[str, str]
    regions: dict[str, RegionPrices]
    overridden: dict[str, str] = {}
    """Region → the operator's file that has something to say of it."""

    def of(self, region: str) -> RegionPrices:
        """A region's prices; where nobody knows any, an empty table."""
        return self.regions.get(region, RegionPrices())

    def origin(self, region: str) -> str:
        """In words, whose prices these are, and of which day."""
        day = self.of(region).date
        of = f" of {day.isoformat()}" if day else ""
        file = self.overridden.get(region)
        return f"our price table{of}" if file is None else f"{file}{of}, over our own price table"


def override_path() -> Path:
    """Where the operator's own prices are, or would be."""
    given = os.environ.get(VARIABLE)
    return Path(given).expanduser() if given else platformdirs.user_config_path("caffe-spark") / "prices.yaml"


def load() -> Prices:
    """Our table, with the operator's figures instead of ours where there are any.

    Raises:
        ConfigError: the operator's file is named by `CAFFE_SPARK_PRICES` and not there, cannot be read, or
            has a key or a figure that is not one.
    """
    ours = yaml.safe_load(TABLE.read_text())
    path = override_path()
    if not path.exists():
        if os.environ.get(VARIABLE):
            raise ConfigError(
                f"{VARIABLE}: {path}",
                "there is no such file",
                f"Run `unset {VARIABLE}`, or write it with `fab cost --refresh`.",
            )
        return Prices.model_validate(ours)
    theirs = read(path)
    try:
        merged = Prices.model_validate(_over(ours, theirs) | {"overridden": _mentioned(theirs, path)})
    except ValidationError as error:
        raise _refused(error, path) from None
    _check_names(merged, path)
    return merged


def read(path: Path) -> dict[str, Any]:
    """An operator's file as it stands; an empty one says nothing.

    Raises:
        ConfigError: it is not YAML, or not a mapping.
    """
    try:
        document = yaml.safe_load(path.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        why = str(error).splitlines()[0]
        raise ConfigError(str(path), f"it is not YAML: {why}", _MEND) from None
    if not isinstance(document, dict):
        raise ConfigError(str(path), "a mapping with the key `regions` is wanted", _MEND)
    if "overridden" in document:
        raise ConfigError(f"{path}: overridden", f"there is no such key; there are: {_KEYS[1]}", _MEND)
    return document


_MEND: Final = "Mend that line; or remove the file, and `fab cost --refresh` writes another."
_KEYS: Final = {
    1: "regions, sources",
    3: ", ".join(RegionPrices.model_fields),
    4: ", ".join(Services.model_fields),
    5: ", ".join(TypePrice.model_fields),
}
"""Keys that there may be, by how deep they are: regions.REGION.types.TYPE.on_demand is the fifth."""
_FIGURES: Final = 4
"""From here on a mapping without mappings in it holds figures."""


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


def _check_names(prices: Prices, path: Path) -> None:
    """A region or a type that no stack can have is a slip of the pen, which would go unnoticed."""
    known = regions.table()
    for region, entry in prices.regions.items():
        if region not in known.regions:
            raise ConfigError(
                f"{path}: regions.{region}",
                f"there is no such region; there are: {', '.join(known.regions)}",
                _MEND,
            )
        for name in entry.types:
            if name not in known.types:
                raise ConfigError(
                    f"{path}: regions.{region}.types.{name}",
                    f"there is no such type; there are: {', '.join(known.types)}",
                    _MEND,
                )


def _refused(error: ValidationError, path: Path) -> ConfigError:
    first = error.errors(include_url=False)[0]
    loc = first["loc"]
    why = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        keys = _KEYS[4 if loc[2:3] == ("services",) else len(loc)]
        why = f"there is no such key; there are: {keys}"
    elif first["type"] != "missing":
        why = f"{first['input']!r}: {why}"
    return ConfigError(f"{path}: {'.'.join(map(str, loc))}", why, _MEND)
