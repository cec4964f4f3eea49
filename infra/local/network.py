"""The stack's own network."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource

from bootstrap.errors import StackError
from infra import tags
from infra.local.engine import Engine, typed
from infra.provider import Props, Provider, changed, replace_if


class NetworkProvider(Provider):
    """A bridge network with a fixed subnet."""

    def create(self, props: Props) -> CreateResult:
        """Make it; one that an interrupted run left behind is made anew."""
        engine, name = Engine(props["engine"]), props["network"]
        there = engine.network(name)
        if there is not None:
            if not tags.is_ours(dict(there.labels), props["labels"]):
                raise StackError(
                    f"network {name}",
                    f"it exists and belongs to {tags.owner(dict(there.labels))}",
                    f"Run `{typed(engine.kind)} network rm {name}` if nothing needs it.",
                )
            _remove(engine, name, props["labels"])
        labels = [f"--label={key}={value}" for key, value in props["labels"].items()]
        engine.run("network", "create", "--subnet", props["subnet"], *labels, name)
        return CreateResult(id_=name, outs=dict(props))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Gone when it was removed by hand, or stands for another subnet now."""
        there = Engine(props["engine"]).network(props["network"])
        if there is None or props["subnet"] not in map(str, there.subnets):
            return ReadResult(id_="", outs={})
        return ReadResult(id_=id_, outs=props)

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Another name, subnet or engine is another network, and so is one that was removed by hand."""
        replaces = changed(olds, news, ("network", "subnet", "engine"))
        if not replaces and Engine(olds["engine"]).network(olds["network"]) is None:
            replaces = ["network"]
        return replace_if(replaces)

    def delete(self, _id: str, props: Props) -> None:
        """Remove it, and any container of the stack that an interrupted run left on it."""
        _remove(Engine(props["engine"]), props["network"], props["labels"])


def _remove(engine: Engine, name: str, labels: dict[str, str]) -> None:
    engine.remove_containers(*engine.containers(labels))
    if engine.network(name) is not None:
        engine.run("network", "rm", name)


class EmbeddedNetwork(Resource, module="embedded", name="Network"):
    """The stack's bridge network; `network` is its name."""

    network: pulumi.Output[str]
    subnet: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        engine: str,
        network: str,
        subnet: str,
        labels: dict[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props: dict[str, Any] = {"engine": engine, "network": network, "subnet": subnet, "labels": labels}
        super().__init__(NetworkProvider(), name, props, opts)


class LeftoversProvider(Provider):
    """Stands for whatever carries the stack's labels and is not in its state."""

    def create(self, props: Props) -> CreateResult:
        """Nothing to make."""
        return CreateResult(id_=props["network"], outs=dict(props))

    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        """Never."""
        return replace_if([])

    def delete(self, _id: str, props: Props) -> None:
        """Remove what an interrupted command made without recording it."""
        engine = Engine(props["engine"])
        there = engine.network(props["network"])
        if there is None:
            engine.remove_containers(*engine.containers(props["labels"]))
        elif tags.is_ours(dict(there.labels), props["labels"]):
            _remove(engine, props["network"], props["labels"])


class Leftovers(Resource, module="embedded", name="Leftovers"):
    """Registered first, so deleted last: a killed `up` may have made things that the state never heard of."""

    def __init__(self, name: str, *, engine: str, network: str, labels: dict[str, str]) -> None:
        super().__init__(
            LeftoversProvider(), name, {"engine": engine, "network": network, "labels": labels}, None
        )
