"""Refusals before anything is created: the opt-in, the price cap against the estimate, an earlier run."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from bootstrap import strict_yaml
from bootstrap.errors import ConfigError
from bootstrap.money import CENT, usd
from tools.acceptance.plan import MINUTE, TEARDOWN_MINUTES, Cloud, settings

if TYPE_CHECKING:
    from infra.cost.bill import Bill

CAP: Final = "CAFFE_SPARK_ACCEPTANCE_USD"
PREFIX: Final = "caffe-spark:"
ANY: Final = Decimal(1_000_000)
"""A cap for a dry run without one."""
SHORTEST: Final = 30
"""Minutes below which no run ends with a trained net."""


def cap_of(env: Mapping[str, str], cloud: Cloud) -> Decimal:
    """Return the price cap in USD, which is also the opt-in.

    Raises:
        ConfigError: it is not set, or not an amount.
    """
    text = env.get(CAP, "")
    if not text:
        raise ConfigError(
            CAP,
            f"it is not set: an acceptance run on {cloud.title} costs money, up to this cap",
            f"Run `{CAP}=USD make acceptance-{cloud.name}`, with credentials as in {cloud.document}; "
            f"`make acceptance-{cloud.name} ARGS=--dry-run` shows the estimate.",
        )
    try:
        cap = Decimal(text)
    except InvalidOperation:
        cap = Decimal("nan")
    if not cap.is_finite() or cap <= 0:
        raise ConfigError(
            f"{CAP}={text}", "it is not a valid amount: more than 0, in USD", "Set it to one, e.g. 12."
        )
    return cap


def minutes_of(minutes: int) -> int:
    """Return the time limit.

    Raises:
        ConfigError: it is too short for any run.
    """
    if minutes < SHORTEST:
        raise ConfigError(
            f"--minutes {minutes}",
            "no run ends within that time",
            f"Give {SHORTEST} or more; teardown is apart.",
        )
    return minutes


def file_of(root: Path, stack: str) -> Path:
    """Return the path of a stack's file."""
    return root / f"Pulumi.{stack}.yaml"


def require_no_earlier_run(root: Path, cloud: Cloud) -> None:
    """Refuse to start over a run that was killed, whose machines may be up.

    Raises:
        ConfigError: its stack file is there.
    """
    if file_of(root, cloud.stack).exists():
        raise ConfigError(
            file_of(root, cloud.stack).name,
            "an earlier run has left it: what it created may still be there",
            f"Run `make acceptance-{cloud.name} ARGS=--destroy`, which tears it down.",
        )


def write_stack(root: Path, cloud: Cloud, source: str, cap: Decimal, minutes: int) -> Path:
    """Write the file of the run's stack, from that of the source.

    Raises:
        ConfigError: there is no source, it is of another provider, or its settings are not valid.
    """
    origin = file_of(root, source)
    if not origin.is_file():
        raise ConfigError(
            f"--source {source}", f"there is no {origin.name}", f"Give {cloud.source}, or a copy of it."
        )
    document: dict[str, Any] = strict_yaml.load(origin.read_text()) or {}
    config: dict[str, Any] = document.get("config") or {}
    found = config.get(f"{PREFIX}provider", config.get("provider"))
    if found != cloud.name:
        raise ConfigError(
            f"--source {source}",
            f"its provider is {found!r}, not {cloud.name}",
            f"Give {cloud.source}, or a copy.",
        )
    given = {key.removeprefix(PREFIX): value for key, value in config.items() if _is_ours(key)}
    others = {key: value for key, value in config.items() if not _is_ours(key)}
    made = settings(cloud, given, cap, minutes)
    # Neither the salt nor the key of another stack's secrets.
    body = {"config": {**{f"{PREFIX}{key}": value for key, value in made.items()}, **others}}
    target = file_of(root, cloud.stack)
    target.write_text(yaml.safe_dump(body, sort_keys=False))
    return target


def secrets_provider_of(root: Path, source: str) -> str:
    """Return what encrypts the secrets of the source in a shared state; empty for a passphrase."""
    document: dict[str, Any] = strict_yaml.load(file_of(root, source).read_text()) or {}
    return str(document.get("secretsprovider") or "").removeprefix("passphrase")


def _is_ours(key: str) -> bool:
    """Return whether a key is the project's; the engine takes one without a namespace for it."""
    return key.startswith(PREFIX) or ":" not in key


def bill_of(root: Path, cloud: Cloud) -> Bill:
    """Return the hourly bill of the run's stack at its largest, by current prices where they were fetched.

    Raises:
        ConfigError: the stack's file or the price table is not valid.
    """
    from infra.config import from_file

    config = from_file(file_of(root, cloud.stack), cloud.stack)
    prices = import_module(f"infra.{cloud.name}.cost.prices").load()
    module = import_module(f"infra.{cloud.name}.cost.hourly")
    # A group that scales counts at its largest, as for `budget.perHour`; HDInsight's bill has that anyway.
    bill: Bill = getattr(module, "worst", module.hourly)(config, prices)
    return bill


def most(bill: Bill, minutes: int) -> Decimal:
    """Return what a run costs at most, for its time limit and its teardown."""
    return dearest(bill) * Decimal(minutes + TEARDOWN_MINUTES) / MINUTE


def dearest(bill: Bill) -> Decimal:
    """Return the most that an hour costs: at the highest prices, or with every worker on demand."""
    return max(bill.high, *(bill.on_demand or (bill.high,)))


def enough(bill: Bill, minutes: int) -> Decimal:
    """Return the lowest cap in whole cents that a run fits into."""
    return most(bill, minutes).quantize(CENT, ROUND_CEILING)


def require_within(bill: Bill, cloud: Cloud, cap: Decimal, minutes: int) -> Decimal:
    """Return what a run costs at most, by the estimate.

    Raises:
        ConfigError: that is above the cap, or not known since a part has no price.
    """
    if bill.missing:
        raise ConfigError(
            f"{CAP}={cap}",
            f"the cost is not known: there is no price of {', '.join(bill.missing)} (prices: {bill.origin})",
            f"Run `fab cost --refresh --stack {cloud.source}`, or choose types with a price in its file.",
        )
    needed = most(bill, minutes)
    if needed > cap:
        raise ConfigError(
            f"{CAP}={cap}",
            f"{minutes} minutes and {TEARDOWN_MINUTES} for the teardown cost up to {usd(needed)} USD at "
            f"{usd(dearest(bill))} USD an hour, at its highest",
            f"Set it to {enough(bill, minutes)} or more, or lower --minutes or the source's settings.",
        )
    return needed
