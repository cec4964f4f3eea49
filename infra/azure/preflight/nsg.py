"""Evaluation of a network security group: whether it admits some traffic. Pure.

https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from infra.azure.arm import Document

Fit = Literal["yes", "no", "maybe"]
Direction = Literal["Inbound", "Outbound"]
EVERYBODY: Final = ("*", "any", "0.0.0.0/0")
WITHIN: Final = "VirtualNetwork"
BALANCER: Final = "AzureLoadBalancer"
INTERNET: Final = "Internet"
PROBES: Final = IPv4Network("168.63.129.16/32")
"""Address of probes of load balancers."""
AROUND: Final = ("hdinsight", "internet", "azurecloud")
"""Service tags that contain every regional one of HDInsight, in lower case."""
FIRST: Final = 300
LOWEST: Final = 100
"""Priorities that a new rule may have; the lower goes first."""


@dataclass(frozen=True)
class Traffic:
    """Traffic that must reach the subnet: `source` is a service tag or a range."""

    words: str
    source: str
    ports: tuple[int, ...]


@dataclass(frozen=True)
class Answer:
    """Answer to a question about traffic: `rule` decides; `unsure` rules name addresses, and may."""

    access: Literal["Allow", "Deny", "unknown"]
    rule: str = ""
    priority: int = 0
    unsure: tuple[str, ...] = ()


def admits(rules: Iterable[Document], traffic: Traffic, subnet: IPv4Network) -> Answer:
    """Return whether a group's rules admit traffic to the subnet; the worst of its ports decides."""
    known = list(rules)
    answers = [_of_port(known, traffic.source, port, subnet) for port in traffic.ports]
    order = ("Deny", "unknown", "Allow")
    return min(answers, key=lambda one: order.index(one.access))


def denied_outbound(rules: Iterable[Document], port: int) -> str:
    """Return the name of the rule that denies the whole internet a port, or an empty text."""
    for name, rule in _sorted(rules, "Outbound"):
        wide = {one.lower() for one in _all(rule, "destinationAddressPrefix")} & {*EVERYBODY, "internet"}
        if wide and _has_port(rule, port):
            return name if rule.get("access") == "Deny" else ""
    return ""


def free_priority(rules: Iterable[Document], before: int) -> int | None:
    """Return a priority for a rule that goes before another one; None if there is no room."""
    taken = {int(rule["priority"]) for _, rule in _sorted(rules, "Inbound")}
    places = [*range(FIRST, before), *range(LOWEST, min(FIRST, before))]
    return next((one for one in places if one not in taken), None)


def _of_port(rules: Sequence[Document], source: str, port: int, subnet: IPv4Network) -> Answer:
    unsure: list[tuple[str, str]] = []
    for name, rule in _sorted(rules, "Inbound"):
        fit = _fit(rule, source, port, subnet)
        access = "Allow" if rule.get("access") == "Allow" else "Deny"
        if fit == "maybe":
            unsure.append((name, access))
        elif fit == "yes":
            others = tuple(other for other, its in unsure if its != access)
            if others:
                return Answer("unknown", name, int(rule["priority"]), others)
            return Answer("Allow" if access == "Allow" else "Deny", name, int(rule["priority"]))
    admitting = tuple(name for name, its in unsure if its == "Allow")
    return Answer("unknown", unsure=admitting) if admitting else Answer("Deny")


def _sorted(rules: Iterable[Document], direction: Direction) -> Iterator[tuple[str, Document]]:
    """Yield name and properties of rules in the order in which Azure applies them."""
    found = [(str(one.get("name", "")), one.get("properties", {})) for one in rules]
    yield from sorted(
        ((name, rule) for name, rule in found if rule.get("direction") == direction and "priority" in rule),
        key=lambda both: int(both[1]["priority"]),
    )


def _fit(rule: Document, source: str, port: int, subnet: IPv4Network) -> Fit:
    if str(rule.get("protocol", "*")).lower() not in ("*", "tcp") or not _has_port(rule, port):
        return "no"
    fits = (
        _any(_source(one, source, subnet) for one in _all(rule, "sourceAddressPrefix")),
        _any(_destination(one, subnet) for one in _all(rule, "destinationAddressPrefix")),
    )
    if "no" in fits:
        return "no"
    return "maybe" if "maybe" in fits else "yes"


def _any(fits: Iterable[Fit]) -> Fit:
    found = set(fits)
    return "yes" if "yes" in found else "maybe" if "maybe" in found else "no"


def _all(rule: Document, key: str) -> list[str]:
    """Return a rule's single value and its list of values."""
    one, more = rule.get(key), rule.get(f"{key}es" if key.endswith("x") else f"{key}s")
    return [str(value) for value in [*([one] if one else []), *(more or [])]]


def _has_port(rule: Document, port: int) -> bool:
    for text in _all(rule, "destinationPortRange"):
        low, _, high = text.partition("-")
        if text == "*" or (low.isdigit() and int(low) <= port <= int(high or low)):
            return True
    return False


def _source(given: str, source: str, subnet: IPv4Network) -> Fit:
    """Return whether a rule's source contains that of some traffic."""
    name, area = given.lower(), _range(given)
    if name in EVERYBODY or name == source.lower():
        return "yes"
    wanted = _range(source)
    if wanted is not None:
        return "yes" if name == INTERNET.lower() else _within(wanted, area)
    if source == WITHIN:
        return _within(subnet, area)
    if source == BALANCER:
        return _within(PROBES, area)
    if name in AROUND:
        return "yes"
    # The addresses behind a service tag change, and are not listed here.
    return "maybe" if name.startswith("azurecloud.") or (area is not None and area.is_global) else "no"


def _destination(given: str, subnet: IPv4Network) -> Fit:
    if given.lower() in (*EVERYBODY, WITHIN.lower()):
        return "yes"
    return _within(subnet, _range(given))


def _within(wanted: IPv4Network, area: IPv4Network | None) -> Fit:
    if area is None:
        return "no"
    return "yes" if wanted.subnet_of(area) else "maybe" if wanted.overlaps(area) else "no"


def _range(text: str) -> IPv4Network | None:
    """Return an IPv4 range; None for a service tag, or another address."""
    try:
        return IPv4Network(text, strict=False)
    except ValueError:
        return None
