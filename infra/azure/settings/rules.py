"""How the settings of a stack on Azure have to fit together, and the words for what does not. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final

from infra.azure import network_plan
from infra.azure.settings import autoscale, sizes
from infra.settings.commands import rm_command, set_command
from infra.settings.refusal import Refusal

if TYPE_CHECKING:
    from infra.azure.settings.config import AzureConfig, Machines

PRIVATE: Final = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
"""RFC 1918."""
PRIVATE_WORDS: Final = "10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"
WIDEST_SOURCE: Final = 8
"""Prefix length of the widest range that may be let in."""
MAX_SOURCES: Final = 50
"""The storage account's firewall takes 200 addresses, and a /31 counts as two there."""
MANY_WORKERS: Final = 32
MANY_WORKERS_VCPUS: Final = 8
"""With more than 32 workers the head needs 8 cores:
https://learn.microsoft.com/azure/hdinsight/hdinsight-supported-node-configuration"""
EVERYBODY: Final = "that is the whole internet"

SHOW: Final = "curl -s https://checkip.amazonaws.com"
"""Shows one's own address, as the internet sees it."""


def check(config: AzureConfig) -> None:
    """Raise the first `Refusal`, in the order of the stack file."""
    _storage(config)
    if config.part == "storage":
        _ranges(config)
        return
    _admin_cidrs(config)
    _private_link(config)
    for machines in config.machines:
        _size(machines)
    autoscale.check(config)
    _many_workers(config)
    _room(config)
    _users(config)
    _keys(config)


def _storage(config: AzureConfig) -> None:
    if config.storage_stack is None:
        return
    if config.part == "storage":
        why = "this stack is a storage itself (part); valid: storageStack where part is cluster"
        raise Refusal("storageStack", config.storage_stack, why, rm_command("storageStack"))
    if "container" in config.model_fields_set:
        why = f"{config.storage_stack} (storageStack) names the container; valid: one of the two keys"
        raise Refusal("container", config.container, why, rm_command("container"))
    if config.force_destroy:
        why = f"the storage is {config.storage_stack}'s (storageStack), and stays; valid: forceDestroy there"
        raise Refusal("forceDestroy", "true", why, rm_command("forceDestroy"))


def _admin_cidrs(config: AzureConfig) -> None:
    if not config.admin_cidrs and not config.private_link:
        why = (
            "nobody could reach SSH or the gateway; valid: your public address as a /32, "
            "or none with privateLink"
        )
        raise Refusal("adminCidrs", "[]", why, set_command("adminCidrs[0]", f"$({SHOW})/32"))
    _ranges(config)


def _ranges(config: AzureConfig) -> None:
    if len(config.admin_cidrs) > MAX_SOURCES:
        why = f"the storage account's firewall takes no more; valid: {MAX_SOURCES} ranges at most"
        raise Refusal(
            "adminCidrs", f"{len(config.admin_cidrs)} ranges", why, rm_command(f"adminCidrs[{MAX_SOURCES}]")
        )
    for place, source in enumerate(config.admin_cidrs):
        key = f"adminCidrs[{place}]"
        mend = set_command(key, f"$({SHOW})/32")
        if source.prefixlen < WIDEST_SOURCE:
            everybody = EVERYBODY if source.prefixlen == 0 else "that is too much of the internet"
            raise Refusal(key, source, f"{everybody}; valid: /{WIDEST_SOURCE} to /32", mend)
        if source.overlaps(config.cidr):
            why = (
                f"it overlaps {config.cidr}, the network's own range (cidr); valid: public addresses of yours"
            )
            raise Refusal(key, source, why, mend)
        if any(source.overlaps(private) for private in PRIVATE):
            why = "that is a private range, which Azure never sees; valid: your public address as a /32"
            raise Refusal(key, source, why, mend)
        for other in config.admin_cidrs[:place]:
            if source.overlaps(other):
                why = f"it overlaps {other}, which is let in too; valid: ranges that are apart"
                raise Refusal(key, source, why, rm_command(key))


def _private_link(config: AzureConfig) -> None:
    if config.private_link and config.resource_provider_connection != "outbound":
        why = "HDInsight has Private Link only where the cluster opens the connections; valid: outbound"
        raise Refusal(
            "resourceProviderConnection",
            config.resource_provider_connection,
            why,
            set_command("resourceProviderConnection", "outbound"),
        )


def _size(machines: Machines) -> None:
    table, name = sizes.table(), machines.size
    valid = table.sizes_for(machines.role)
    if name in valid:
        return
    alike = table.find(name)
    if name.startswith("Standard_N"):
        why = "HDInsight has no sizes with GPUs"
    elif name in table.sizes:
        suits = _list(f"{one}s" for one in table.sizes[name].roles)
        why = f"it suits {suits}, not {machines.role}s"
    elif alike:
        why = f"it is written {alike.name}"
    else:
        why = f"the table of sizes, of {table.checked}, has none of that name"
    choice = alike.name if alike and alike.name in valid else valid[0]
    raise Refusal(machines.key, name, f"{why}; valid: {_list(valid)}", set_command(machines.key, choice))


def _many_workers(config: AzureConfig) -> None:
    table, most = sizes.table(), config.bounds[1]
    if most <= MANY_WORKERS or table.sizes[config.head_size].vcpus >= MANY_WORKERS_VCPUS:
        return
    valid = [name for name in table.sizes_for("head") if table.sizes[name].vcpus >= MANY_WORKERS_VCPUS]
    why = f"it has too few cores for {most} workers; valid: {_list(valid)}"
    raise Refusal("headSize", config.head_size, why, set_command("headSize", valid[0]))


def _room(config: AzureConfig) -> None:
    room, most = network_plan.plan(config.cidr).room, config.bounds[1]
    if most > room:
        why = f"it has room for {room} workers, not for {most}; valid: a larger range, up to /16"
        raise Refusal("cidr", config.cidr, why, set_command("cidr", "10.50.0.0/16"))


def _users(config: AzureConfig) -> None:
    if config.ssh_user.lower() == config.gateway_user.lower():
        why = "it is the gateway's user too (gatewayUser), which HDInsight refuses; valid: two names"
        raise Refusal("sshUser", config.ssh_user, why, set_command("sshUser", "sshuser"))


def _keys(config: AzureConfig) -> None:
    public, private = config.public_key_file, config.private_key_file
    if public and not private:
        why = "the private half is needed; valid: both publicKeyFile and privateKeyFile, or neither"
        raise Refusal(
            "publicKeyFile", public, why, set_command("privateKeyFile", public.removesuffix(".pub"))
        )
    if private and not public:
        why = "the public half is needed; valid: both publicKeyFile and privateKeyFile, or neither"
        raise Refusal("privateKeyFile", private, why, set_command("publicKeyFile", f"{private}.pub"))


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
