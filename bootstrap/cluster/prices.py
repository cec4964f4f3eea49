"""Prices of a cluster's nodes and of what is billed beside them, as `pulumi up` knew them."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator

from bootstrap.model import Model
from bootstrap.money import Amount, total

Role = Literal["head", "worker", "zookeeper"]
Market = Literal["on-demand", "spot"]
Usd = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]


class _Priced(Model):
    low: Usd | None = None
    high: Usd | None = None
    """USD for an hour, from `low` to `high`, equal for a single price. None: the price is not known."""

    @model_validator(mode="after")
    def _a_range(self) -> _Priced:
        if (self.low is None) != (self.high is None):
            raise ValueError("low and high belong together")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("the lowest price must come first")
        return self

    @property
    def label(self) -> str:
        """Name in a receipt."""
        raise NotImplementedError

    @property
    def hourly(self) -> Amount:
        """Cost of an hour of one of it."""
        if self.low is None or self.high is None:
            return Amount.unknown(self.label)
        return Amount(self.low, self.high)


class NodePrice(_Priced):
    """Price of an hour of a node of a type, in one market."""

    role: Role
    type: str
    """The cloud's name of the type or size of machine."""
    market: Market = "on-demand"
    count: int = Field(ge=0, default=1)
    """Nodes that the stack has, at least; a group of several types counts its workers itself."""
    max_count: int | None = Field(ge=0, default=None)
    """Nodes at most, where that differs."""

    @property
    def label(self) -> str:
        """See `_Priced.label`."""
        return f"{self.type} {'on demand' if self.market == 'on-demand' else 'on spot'}"

    @property
    def all_of_them(self) -> Amount:
        """Cost of an hour of all `count` to `max_count` nodes."""
        one = self.hourly
        return Amount(one.low * self.count, one.high * (self.max_count or self.count), one.missing)


class Part(_Priced):
    """Price of an hour of what is no node: a disk, a NAT gateway, an address."""

    what: str

    @property
    def label(self) -> str:
        """See `_Priced.label`."""
        return self.what


class Prices(Model):
    """Prices of a cluster, with their source.

    `whole`: the cloud bills all nodes from `pulumi up` to `pulumi destroy`, whatever a job uses of them.
    """

    nodes: tuple[NodePrice, ...]
    """In a group of several types, one for each type and market that a worker may be of."""
    per_worker: tuple[Part, ...] = ()
    """What comes with each worker, such as its disk."""
    fixed: tuple[Part, ...] = ()
    """What is billed as long as the stack is up."""
    whole: bool = False
    source: str
    """Where the prices are from, in words."""
    date: datetime.date | None = None
    """Day on which they were right; None where the source does not say."""

    def of(self, role: Role) -> tuple[NodePrice, ...]:
        """Return the prices of nodes of a role."""
        return tuple(node for node in self.nodes if node.role == role)

    def worker(self, kind: str, market: Market) -> NodePrice:
        """Return the price of a worker of that type and market; one that is not known has none."""
        for node in self.of("worker"):
            if (node.type, node.market) == (kind, market):
                return node
        return NodePrice(role="worker", type=kind, market=market)

    @property
    def any_worker(self) -> Amount:
        """Cost of an hour of a worker of unknown type, without what comes with it: the range of all."""
        known = [node.hourly for node in self.of("worker")]
        priced = [amount for amount in known if not amount.missing]
        missing = tuple(name for amount in known for name in amount.missing)
        if not priced:
            return Amount.unknown(missing[0] if missing else "workers")
        return Amount(min(one.low for one in priced), max(one.high for one in priced), missing)

    @property
    def beside_worker(self) -> Amount:
        """Cost of an hour of what comes with a worker."""
        return total([part.hourly for part in self.per_worker])

    @property
    def base(self) -> Amount:
        """Cost of an hour without workers: head, other nodes, and what is fixed."""
        others = [node.all_of_them for node in self.nodes if node.role != "worker"]
        return total([*others, *(part.hourly for part in self.fixed)])

    def hourly(self, workers: int) -> Amount:
        """Cost of an hour with that many workers; of a cluster that is billed whole, with those it has."""
        if self.whole:
            every = total([node.all_of_them for node in self.of("worker")])
            return self.base + every + self.beside_worker * workers
        return self.base + (self.any_worker + self.beside_worker) * workers

    @property
    def free(self) -> bool:
        """True if nothing of the cluster is billed."""
        cost = self.hourly(1)
        return not cost.missing and cost.high == 0
