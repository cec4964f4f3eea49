"""Firewall of a stack's network: new connections come only from nodes, root and the operator."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from infra.local import nft
from infra.local.engine import Engine, EngineError
from infra.provider import Props, Provider, changed, replace_if, say


class FirewallProvider(Provider):
    """A table of nftables; where this machine allows none, the reason."""

    def create(self, props: Props) -> CreateResult:
        """Put the rules in place, or tell why they are not."""
        return CreateResult(id_=props["table"], outs=_applied(props))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Check that the rules are as they were made; an empty id if not, e.g. after a reboot."""
        if not props["refused"] and not _in_place(props):
            return ReadResult(id_="", outs={})
        return ReadResult(id_=id_, outs=props)

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Apply the rules again if they differ, are gone, or have become possible."""
        updates = changed(olds, news, ("engine", "network", "subnet", "users"))
        if not updates:
            again = _now_possible(olds) if olds["refused"] else not _in_place(olds)
            updates = ["table"] if again else []
        return replace_if(changed(olds, news, ("table",)), updates)

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Put the rules in place, in one step."""
        return UpdateResult(outs=_applied(news))

    def delete(self, _id: str, props: Props) -> None:
        """Remove the table.

        Raises:
            EngineError: it was made, and this machine does not allow its removal.
        """
        try:
            nft.remove(props["table"])
        except EngineError:
            if not props["refused"]:
                raise


def _table(props: Props) -> nft.Table:
    """Return the rules for the bridge that the network has now.

    Raises:
        EngineError: it has none.
    """
    network = Engine(props["engine"]).network(props["network"])
    if network is None or not network.interface:
        raise EngineError(
            f"network {props['network']}", f"{props['engine']} names no bridge of it", "Run `pulumi up`."
        )
    # Pulumi's numbers are floats.
    users = tuple(int(user) for user in props["users"])
    return nft.Table(props["table"], network.interface, props["subnet"], users)


def _applied(props: Props) -> Props:
    made, refused, bridge = "", "", ""
    try:
        table = _table(props)
        made, bridge = table.apply(), table.bridge
    except EngineError as error:
        refused = error.why
    state = describe(props["subnet"], [int(user) for user in props["users"]], refused)
    if refused:
        say(f"Firewall of {state}.")
    return {**props, "bridge": bridge, "made": made, "refused": refused, "state": state}


def describe(subnet: str, users: list[int], refused: str) -> str:
    """Return in one line who may connect to the nodes. Pure."""
    if refused:
        return (
            f"{subnet}: none ({refused}); every user of this machine, and hosts that it routes for, "
            "can connect to the nodes"
        )
    names = ["root", *(f"uid {user}" for user in users if user)]
    return f"{subnet}: new connections come from the nodes and from processes of {' and '.join(names)}"


def _in_place(props: Props) -> bool:
    try:
        return (nft.fingerprint(props["table"]), _table(props).bridge) == (props["made"], props["bridge"])
    except EngineError:
        return False


def _now_possible(props: Props) -> bool:
    try:
        return not _table(props).refusal()
    except EngineError:
        return False


class Firewall(Resource, module="embedded", name="Firewall"):
    """The rules on connections to the stack's network; `state` says in words which are in place."""

    state: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        engine: str,
        network: pulumi.Input[str],
        subnet: str,
        users: list[int],
        table: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props: dict[str, Any] = {
            "engine": engine,
            "network": network,
            "subnet": subnet,
            "users": users,
            "table": table,
            **dict.fromkeys(("bridge", "made", "refused", "state")),
        }
        super().__init__(FirewallProvider(), name, props, opts)
