"""Rules for network ranges in every cloud: private ones inside, public ones for operators. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

from infra.settings.commands import rm_command, set_command
from infra.settings.refusal import Refusal
from infra.settings.section import Hint

PRIVATE: Final = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
"""RFC 1918."""
CARRIER: Final = IPv4Network("100.64.0.0/10")
"""RFC 6598, which companies use inside, too."""
WIDEST_SOURCE: Final = 8
"""Prefix length of the widest range that `adminCidrs` may contain."""
EVERYBODY: Final = "that is the whole internet"
OWN_ADDRESS: Final = "$(curl -s https://checkip.amazonaws.com)/32"
"""Shell expression for the operator's own public address."""
SOURCES: Final = Hint(OWN_ADDRESS, f"a list of public IPv4 ranges, /{WIDEST_SOURCE} to /32", at=(0,))


def is_private(source: IPv4Network) -> bool:
    """Return whether a range is none of the internet, and thus comes through a VPN or a line of one's own."""
    return any(source.subnet_of(private) for private in (*PRIVATE, CARRIER))


def range_hint(example: str, largest: int, smallest: int) -> Hint:
    """Return the hint of a network's own range, given the valid prefix lengths."""
    return Hint(
        example, f"a range /{largest} to /{smallest} within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"
    )


def private_range(cidr: IPv4Network, largest: int, smallest: int, what: str) -> IPv4Network:
    """Validate a private range of a size that `what` fits in.

    Raises:
        ValueError: it is public, too large or too small.
    """
    if not any(cidr.subnet_of(private) for private in PRIVATE):
        raise ValueError("it is not a private range")
    if not largest <= cidr.prefixlen <= smallest:
        raise ValueError(f"it is too {'large' if cidr.prefixlen < largest else 'small'} for {what}")
    return cidr


@dataclass(frozen=True)
class Firewall:
    """Limits of a cloud's firewall on `adminCidrs`, in the terms of its error messages."""

    cloud: str
    network: str
    """The network that `cidr` is the range of."""
    max_ranges: int
    """Maximum number of ranges."""
    limit: str
    """Reason for the maximum."""
    otherwise: str = ""
    """Alternative to a range, if there is one."""

    def check(self, sources: Sequence[IPv4Network], cidr: IPv4Network | None) -> None:
        """Validate `adminCidrs` against each other and against the network's own range.

        In a network of the company (`cidr` is None) private ranges are valid: they come through its VPN.

        Raises:
            Refusal: too many ranges, or one that is too wide, private, or overlaps another.
        """
        if len(sources) > self.max_ranges:
            why = f"{self.limit}; valid: {self.max_ranges} ranges at most"
            raise Refusal(
                "adminCidrs", f"{len(sources)} ranges", why, rm_command(f"adminCidrs[{self.max_ranges}]")
            )
        for index, source in enumerate(sources):
            key = f"adminCidrs[{index}]"
            if why := self._fault(source, cidr):
                raise Refusal(key, source, why, set_command(key, OWN_ADDRESS))
            for other in sources[:index]:
                if source.overlaps(other):
                    why = f"it overlaps {other}, which is listed as well; valid: disjoint ranges"
                    raise Refusal(key, source, why, rm_command(key))

    def _fault(self, source: IPv4Network, cidr: IPv4Network | None) -> str:
        if source.prefixlen < WIDEST_SOURCE:
            everybody = EVERYBODY if source.prefixlen == 0 else "that range is too wide"
            return f"{everybody}; valid: /{WIDEST_SOURCE} to /32{self.otherwise}"
        if cidr is None:
            return ""
        if source.overlaps(cidr):
            return f"it overlaps {cidr}, {self.network}'s own range (cidr); valid: public addresses of yours"
        if any(source.overlaps(private) for private in PRIVATE):
            return (
                f"it is a private range, which {self.cloud} never sees; valid: your public address as a /32"
            )
        return ""
