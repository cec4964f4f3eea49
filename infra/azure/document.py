"""The `bootstrap.cluster.ClusterDocument` of a stack on Azure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import pulumi

from bootstrap.cluster import VERSION
from infra.azure import names
from infra.azure.settings.config import AzureConfig, StorageMode
from infra.azure.settings.name_rules import ARTIFACTS
from infra.azure.settings.sizes import Size
from infra.settings.budget import limits

Outputs = dict[str, Any]
Text = str | pulumi.Output[str]
"""A name that is known, or one that Azure has yet to give."""

HEAD: Final = "headnode0"
RESOURCE_MANAGER: Final = "http://headnodehost:8088"
"""`headnodehost` is the active head, on every machine of the cluster."""
SSH_PORT: Final = 22
YARN_SHARE: Final = 0.75
"""Of a worker's memory, that YARN may hand out. What HDInsight sets is not documented, and is more: this is
what surely fits beside its agents and Ambari's."""
STEP_MB: Final = 512
"""Containers are multiples of this."""


def container_memory_mb(size: Size) -> int:
    """The largest container on a worker of that size."""
    return int(size.memory_mib * YARN_SHARE) // STEP_MB * STEP_MB


def container_cores(size: Size) -> int:
    """Cores of the largest container: HDInsight lets YARN have them all."""
    return size.vcpus


def artifacts(account: str) -> str:
    """URI of the container that script actions lie in."""
    return f"wasbs://{ARTIFACTS}@{account}.{names.BLOB_HOST}"


def shared_storage(mode: StorageMode, container: str, account: str) -> str:
    """URI of the cluster's file system."""
    if mode == "abfss-msi":
        return f"abfss://{container}@{account}.{names.DFS_HOST}"
    return f"wasbs://{container}@{account}.{names.BLOB_HOST}"


def uri(mode: StorageMode, container: Text, account: Text) -> Text:
    """The same of names that Azure may have yet to give."""
    if isinstance(container, str) and isinstance(account, str):
        return shared_storage(mode, container, account)
    return pulumi.Output.all(container, account).apply(lambda both: shared_storage(mode, both[0], both[1]))


def document(
    config: AzureConfig,
    stack: str,
    *,
    group_id: Text,
    group: Text,
    cluster: Text,
    account: Text,
    scripts_account: Text,
    container: Text,
    spark_secret: Text,
    key: Text | None,
    private_key: Text | None,
    gateway_password: Text,
    signing: Mapping[str, Text] | None = None,
    prices: Outputs | None = None,
) -> Outputs:
    """The document, with outputs at its leaves where they are given: only secrets are secret.

    `key` is the account's where the cluster comes with it, `private_key` the stack's own; None where the
    operator's key pair is used. `prices` is a `bootstrap.cluster.Prices`, None in the document that nodes'
    scripts are rendered from.
    """
    size, mode = config.worker, config.storage_mode
    ssh_key = (
        {"private_key_file": config.private_key_file} if private_key is None else {"private_key": private_key}
    )
    return {
        "version": VERSION,
        "stack": stack,
        "provider": "azure",
        "head": {"name": HEAD, "address": _of(cluster, names.ssh_host)},
        "scheduler": {
            "kind": "yarn",
            "resource_manager": RESOURCE_MANAGER,
            "container_memory_mb": container_memory_mb(size),
            "container_cores": container_cores(size),
            "step_mb": STEP_MB,
        },
        "storage": {"kind": "blob", "uri": uri(mode, container, account), "key": key},
        # No machine lists the others: Azure and their own reports do (`bootstrap.inventory.resolve`).
        "members": {
            "kind": "hdinsight",
            "subscription": _of(group_id, names.subscription),
            "resource_group": group,
            "name": cluster,
            "region": config.region,
            "artifacts": _of(scripts_account, artifacts),
            "worker_count": config.workers,
            "gateway": _of(cluster, names.gateway_url),
            "gateway_user": config.gateway_user,
            "gateway_password": gateway_password,
        },
        "ssh": {"user": config.ssh_user, **ssh_key, "port": SSH_PORT, "jump": True},
        "spark_secret": spark_secret,
        "signing": signing,
        "spark": config.spark,
        "worker": {"cores": container_cores(size), "memory_mb": container_memory_mb(size), "gpus": 0},
        "prices": prices,
        "limits": limits(config),
    }


def _of(value: Text, function: Callable[[str], str]) -> Text:
    return function(value) if isinstance(value, str) else value.apply(function)
