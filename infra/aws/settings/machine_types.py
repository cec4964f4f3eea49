"""Rules of a stack's instance types, and of the zones that offer them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

from infra.aws.settings import regions
from infra.settings.commands import rm_command, set_command
from infra.settings.refusal import Refusal, listed

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig

ARCH: Final = "x86_64"
"""Architecture of head and workers: the table has images of no other, and workers run what the head
compiles."""


def not_in_table() -> str:
    """Return the refusal of a type that the table lacks: AWS may have it, and the table may be extended."""
    return f"it is not in our table of {regions.table().date}; to add it, see the head of {regions.SHOWN}"


def check(config: AwsConfig) -> None:
    """Raise the first `Refusal` of a worker's type, a zone without any of them, or the head's type."""
    _instance_types(config)
    _same_gpus(config)
    _every_zone_is_of_use(config)
    _head_type(config)


def _instance_types(config: AwsConfig) -> None:
    region = regions.table().regions[config.region]
    valid = _offered(region, config.zones)
    if not config.instance_types:
        why = f"it is empty; valid: {listed(valid)}"
        first = next((name for name in valid if regions.table().types[name].gpus), valid[0])
        raise Refusal("instanceTypes", "[]", why, set_command("instanceTypes[0]", first))
    no_twins("instanceTypes", config.instance_types)
    # For the default list, `--path` creates a list with one entry.
    ours = "instance_types" in config.model_fields_set
    for place, name in enumerate(config.instance_types):
        kind = regions.table().types.get(name)
        key = f"instanceTypes[{place if ours else 0}]"
        if kind is not None and kind.arch != ARCH:
            why = f"it is {kind.arch}, and the images and the head are {ARCH}"
        elif not region.offerings.get(name):
            why = not_in_table() if kind is None else f"{region.name} does not offer it"
        elif not region.offered(name, config.zones):
            why = f"it is offered in {listed(region.offerings[name])}, not in {listed(config.zones)} (zones)"
        else:
            continue
        alike = _alike(name, valid, config.instance_types)
        spare = [other for other in alike if other not in config.instance_types] or alike
        raise Refusal(key, name, f"{why}; valid: {listed(alike)}", set_command(key, nearest(name, spare)))
    gpu = [kind.name for kind in config.types if kind.gpus]
    plain = [kind.name for kind in config.types if not kind.gpus]
    if gpu and plain:
        why = (
            f"{listed(gpu)} have GPUs and {listed(plain)} have none, but all workers run one build of Caffe; "
            "valid: all with GPUs, or all without"
        )
        fewer = min(plain, gpu, key=len)
        place = config.instance_types.index(fewer[0])
        raise Refusal(
            "instanceTypes", listed(config.instance_types), why, rm_command(f"instanceTypes[{place}]")
        )


def _same_gpus(config: AwsConfig) -> None:
    """Refuse machines with different numbers of GPUs: Spark is told one, and the others' GPUs would be billed
    and stay idle."""
    first = config.types[0]
    for place, kind in enumerate(config.types):
        if kind.gpus != first.gpus:
            alike = [other.name for other in config.types if other.gpus == first.gpus]
            why = (
                f"it has {kind.gpus} GPUs and {listed(alike)} {first.gpus}: every worker offers the same "
                f"number, and more would be billed and stay idle; valid: types with {first.gpus}, or a stack "
                "of its own"
            )
            path = f"instanceTypes[{place}]"
            raise Refusal(path, kind.name, why, rm_command(path))


def _every_zone_is_of_use(config: AwsConfig) -> None:
    if config.vpc:
        return  # `fab preflight` asks AWS which types the given subnets' zones offer
    region = regions.table().regions[config.region]
    for place, zone in enumerate(config.zones):
        if not any(region.offered(name, [zone]) for name in config.instance_types):
            useful = [z for z in region.zones if any(region.offered(t, [z]) for t in config.instance_types)]
            why = (
                f"it offers none of {listed(config.instance_types)} (instanceTypes), and launches "
                f"there would fail; valid: {listed(useful)}"
            )
            raise Refusal(f"zones[{place}]", zone, why, rm_command(f"zones[{place}]"))


def _head_type(config: AwsConfig) -> None:
    region = regions.table().regions[config.region]
    types, zone = regions.table().types, config.zones[0]
    zones = config.zones if config.vpc else [zone]
    valid = [name for name in _offered(region, zones) if not types[name].gpus]
    if config.head_type in valid:
        return
    if not valid:
        plain = [name for name, kind in types.items() if not kind.gpus and kind.arch == ARCH]
        useful = [z for z in region.zones if any(region.offered(name, [z]) for name in plain)]
        why = f"the head is in it, and it offers no type without GPUs; valid: {listed(useful)} first"
        raise Refusal("zones[0]", zone, why, set_command("zones[0]", useful[0]))
    kind = types.get(config.head_type)
    if kind is None:
        why = not_in_table()
    elif kind.gpus:
        why = f"it has {kind.gpus} {kind.gpu}, which the head does not use"
    elif kind.arch != ARCH:
        why = f"it is {kind.arch}, and the images and the workers are {ARCH}"
    elif config.vpc:
        why = f"{region.name} does not offer it"
    else:
        why = f"{zone}, where the head is (zones[0]), does not offer it"
    raise Refusal(
        "headType", config.head_type, f"{why}; valid: {listed(valid)}", set_command("headType", valid[0])
    )


def _offered(region: regions.Region, zones: Sequence[str]) -> list[str]:
    """Return the types of the supported architecture that any of these zones offers."""
    types = regions.table().types
    return [name for name in types if types[name].arch == ARCH and region.offered(name, zones)]


def _alike(name: str, choices: Sequence[str], beside: Sequence[str]) -> list[str]:
    """Return the types without GPUs; for a name of AWS's g or p families those with as many as the types
    `beside` it have, or as it has itself."""
    types = regions.table().types
    others = [types[other].gpus for other in (*beside, name) if other in types and other in (*choices, name)]
    number = next((gpus for gpus in others if gpus), 1) if name[:1] in ("g", "p") else 0
    gpus = bool(number)
    return (
        [choice for choice in choices if types[choice].gpus == number]
        or [choice for choice in choices if bool(types[choice].gpus) == gpus]
        or list(choices)
    )


def nearest(name: str, choices: Sequence[str]) -> str:
    """Return a type of the same size, if there is one."""
    size = name.partition(".")[2]
    return next((choice for choice in choices if choice.endswith(f".{size}")), choices[0])


def only(config: AwsConfig, key: Literal["zones", "instanceTypes"], best: str) -> str:
    """Return the command that makes a list shorter by one, or a default list one of `best` alone."""
    field = "zones" if key == "zones" else "instance_types"
    # `--path` creates a list with one entry where the stack's file has none.
    return rm_command(f"{key}[1]") if field in config.model_fields_set else set_command(f"{key}[0]", best)


def no_twins(key: str, values: Sequence[str]) -> None:
    """Refuse a list with duplicates."""
    for place, value in enumerate(values):
        if value in values[:place]:
            path = f"{key}[{place}]"
            why = f"it is {key}[{values.index(value)}] already; valid: no duplicates"
            raise Refusal(path, value, why, rm_command(path))
