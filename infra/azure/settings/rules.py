"""Rules that combine settings of a stack on Azure, and their error messages. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bootstrap.cluster import HDINSIGHT
from infra.azure import network_plan
from infra.azure.settings import autoscale, given, name_rules, sizes
from infra.settings.commands import rm_command, set_command
from infra.settings.network import OWN_ADDRESS, Firewall
from infra.settings.refusal import Refusal, listed
from infra.settings.section import ENCRYPTED

if TYPE_CHECKING:
    from infra.azure.settings.config import AzureConfig, Machines

MAX_SOURCES: Final = 50
"""The storage account's firewall allows 200 addresses, and a /31 counts as two."""
MANY_WORKERS: Final = 32
MANY_WORKERS_VCPUS: Final = 8
"""With more than 32 workers the head needs 8 cores:
https://learn.microsoft.com/azure/hdinsight/hdinsight-supported-node-configuration"""
FIREWALL: Final = Firewall(
    cloud="Azure",
    network="the network",
    max_ranges=MAX_SOURCES,
    limit="the storage account's firewall allows no more",
)


def check(config: AzureConfig) -> None:
    """Raise the first `Refusal`, in the order of the stack file."""
    _spark(config)
    _storage(config)
    given.check(config)
    if config.part == "storage":
        FIREWALL.check(config.admin_cidrs, config.cidr)
        return
    _admin_cidrs(config)
    _private_link(config)
    for machines in config.machines:
        _size(machines)
    autoscale.check(config)
    _many_workers(config)
    _capacity(config)
    _users(config)
    _keys(config)


def _spark(config: AzureConfig) -> None:
    if config.spark != HDINSIGHT:
        why = (
            "HDInsight 5.1 brings its own Spark 3 and Hadoop 3.3, the last with WASB; "
            f"valid: {HDINSIGHT}, which stands for both"
        )
        raise Refusal("spark", config.spark, why, rm_command("spark"))


def _storage(config: AzureConfig) -> None:
    if config.storage_stack is None:
        return
    if config.part == "storage":
        why = "this stack is a storage stack itself (part); valid: storageStack where part is cluster"
        raise Refusal("storageStack", config.storage_stack, why, rm_command("storageStack"))
    if "container" in config.model_fields_set:
        why = f"{config.storage_stack} (storageStack) names the container; valid: one of the two keys"
        raise Refusal("container", config.container, why, rm_command("container"))
    if config.force_destroy:
        why = f"the storage is {config.storage_stack}'s (storageStack); valid: forceDestroy there"
        raise Refusal("forceDestroy", "true", why, rm_command("forceDestroy"))


def _admin_cidrs(config: AzureConfig) -> None:
    theirs = config.subnet_id is not None and not config.own_storage
    if not config.admin_cidrs and not config.private_link and not theirs:
        why = (
            "nobody could reach SSH or the gateway; valid: your public address as a /32, "
            "or none with privateLink"
        )
        if config.subnet_id:
            why = (
                "the firewall of the stack's own storage account admits them; valid: your public address as "
                "a /32, or none with storageAccountId or storageStack"
            )
        raise Refusal("adminCidrs", "[]", why, set_command("adminCidrs[0]", OWN_ADDRESS))
    FIREWALL.check(config.admin_cidrs, config.cidr)


def _private_link(config: AzureConfig) -> None:
    if config.private_link and config.resource_provider_connection != "outbound":
        why = "Private Link requires connections that the cluster opens; valid: outbound"
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
    alike, retired = table.find(name), table.retired_as(name)
    if name.startswith("Standard_N"):
        why = "HDInsight has no sizes with GPUs"
    elif retired:
        why = f"HDInsight creates no clusters of {retired.series} sizes since {retired.since}"
    elif name in table.sizes:
        suits = listed(f"{one}s" for one in table.sizes[name].roles)
        why = f"it is for {suits}, not {machines.role}s"
    elif alike:
        why = f"it is spelt {alike.name}"
    else:
        why = (
            f"it is not in our table of sizes of {table.checked}; to add it, write a line in "
            "infra/azure/settings/sizes.yaml"
        )
    choice = alike.name if alike and alike.name in valid else valid[0]
    raise Refusal(machines.key, name, f"{why}; valid: {listed(valid)}", set_command(machines.key, choice))


def _many_workers(config: AzureConfig) -> None:
    table, max_workers = sizes.table(), config.bounds[1]
    if max_workers <= MANY_WORKERS or table.sizes[config.head_size].vcpus >= MANY_WORKERS_VCPUS:
        return
    valid = [name for name in table.sizes_for("head") if table.sizes[name].vcpus >= MANY_WORKERS_VCPUS]
    why = f"it has too few cores for {max_workers} workers; valid: {listed(valid)}"
    raise Refusal("headSize", config.head_size, why, set_command("headSize", valid[0]))


def _capacity(config: AzureConfig) -> None:
    if config.subnet_id:
        return  # `fab preflight` asks for its range
    capacity, max_workers = network_plan.plan(config.cidr).capacity, config.bounds[1]
    if max_workers > capacity:
        why = f"it has room for {capacity} workers, not for {max_workers}; valid: a larger range, up to /16"
        raise Refusal("cidr", config.cidr, why, set_command("cidr", "10.50.0.0/16"))


def _users(config: AzureConfig) -> None:
    if config.ssh_user.lower() == config.gateway_user.lower():
        why = "it is the gateway's user as well (gatewayUser), which HDInsight refuses; valid: two names"
        raise Refusal("sshUser", config.ssh_user, why, set_command("sshUser", "sshuser"))
    if config.gateway_password is not None:
        password = config.gateway_password.get_secret_value()
        if password != ENCRYPTED:
            name_rules.password_beside(password, config.users)


def _keys(config: AzureConfig) -> None:
    public, private = config.public_key_file, config.private_key_file
    if public and not private:
        why = "privateKeyFile is missing; valid: both publicKeyFile and privateKeyFile, or neither"
        raise Refusal(
            "publicKeyFile", public, why, set_command("privateKeyFile", public.removesuffix(".pub"))
        )
    if private and not public:
        why = "publicKeyFile is missing; valid: both publicKeyFile and privateKeyFile, or neither"
        raise Refusal("privateKeyFile", private, why, set_command("publicKeyFile", f"{private}.pub"))
