"""Bridge network of the stack, and removal of what interrupted runs have left."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource

from bootstrap.errors import StackError
from infra import tags
from infra.local import nft
from infra.local.engine import Engine, EngineError, typed
from infra.provider import Props, Provider, changed, replace_if


class NetworkProvider(Provider):
    """A bridge network with a fixed subnet."""

    def create(self, props: Props) -> CreateResult:
        """Create the network; one that an interrupted run left behind is replaced."""
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
        """Check that the network exists with its subnet; an empty id if not."""
        there = Engine(props["engine"]).network(props["network"])
        if there is None or props["subnet"] not in map(str, there.subnets):
            return ReadResult(id_="", outs={})
        return ReadResult(id_=id_, outs=props)

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Replace the network for another name, subnet or engine, or if it was removed by hand."""
        replaces = changed(olds, news, ("network", "subnet", "engine"))
        if not replaces and Engine(olds["engine"]).network(olds["network"]) is None:
            replaces = ["network"]
        return replace_if(replaces)

    def delete(self, _id: str, props: Props) -> None:
        """Remove the network, and containers of the stack that an interrupted run left on it."""
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
    """Removes whatever has the stack's labels and is not in its state."""

    def create(self, props: Props) -> CreateResult:
        """Create nothing."""
        return CreateResult(id_=props["network"], outs=dict(props))

    def delete(self, _id: str, props: Props) -> None:
        """Remove what an interrupted command created without recording it."""
        engine = Engine(props["engine"])
        there = engine.network(props["network"])
        if there is None:
            engine.remove_containers(*engine.containers(props["labels"]))
        elif tags.is_ours(dict(there.labels), props["labels"]):
            _remove(engine, props["network"], props["labels"])
        # Where this machine allows no firewall, none is left.
        with suppress(EngineError):
            nft.remove(nft.table_name(props["labels"]))


class Leftovers(Resource, module="embedded", name="Leftovers"):
    """Registered first, hence deleted last: a killed `up` may have created things that are not in the
    state."""

    def __init__(self, name: str, *, engine: str, network: str, labels: dict[str, str]) -> None:
        super().__init__(
            LeftoversProvider(), name, {"engine": engine, "network": network, "labels": labels}, None
        )
