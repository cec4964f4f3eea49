"""Shared storage: an account with a container for the file system, and one for scripts.

It belongs to the cluster's stack, or to a stack of its own that outlives clusters (`part: storage`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

import pulumi
from pulumi_azure_native import storage

from infra.azure import names
from infra.azure.contents import StorageContents
from infra.azure.named import named
from infra.azure.settings.name_rules import ARTIFACTS
from infra.azure.storage.firewall import network_rules

KEPT_DAYS: Final = 14
"""Days for which deleted blobs can be restored."""


@dataclass(frozen=True)
class SharedStorageArgs:
    """Arguments of the storage: `part` is the stack's, `subnet_id` the cluster's.

    `hierarchical`: Data Lake Storage Gen2, with a separate account for scripts.
    """

    stack: str
    part: str
    group: pulumi.Input[str]
    group_id: pulumi.Input[str]
    region: str
    container: str
    tags: Mapping[str, str]
    hierarchical: bool = False
    subnet_id: pulumi.Input[str] | None = None
    admin_cidrs: Sequence[IPv4Network] = ()


class SharedStorage(pulumi.ComponentResource):
    """Storage accounts and their containers. `ready` resources include both containers."""

    account: pulumi.Output[str]
    account_id: pulumi.Output[str]
    scripts_account: pulumi.Output[str]
    """Account of script actions, which HDInsight reads from blob storage only."""
    ready: list[pulumi.Resource]

    def __init__(
        self, name: str, args: SharedStorageArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("caffe-spark:azure:SharedStorage", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        first, self.account, kept = self._account("account", names.account, hierarchical=args.hierarchical)
        self.account_id, soft_deletes = first.id, [kept]
        self.scripts_account = self.account
        if args.hierarchical:
            _, self.scripts_account, kept = self._account(
                "scripts", names.scripts_account, hierarchical=False
            )
            soft_deletes.append(kept)
        files = self._container("files", self.account, args.container)
        artifacts = self._container("artifacts", self.scripts_account, ARTIFACTS)
        contents = StorageContents(
            f"{name}-contents",
            stack=args.stack,
            part=args.part,
            account=self.account,
            container=named(files, args.container),
            key=account_key(self.account, args.group, parent=self),
            # If deletion is refused here, nothing of the storage has been deleted: everything else is deleted
            # later.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[artifacts, *soft_deletes]),
        )
        self.ready = [files, artifacts, contents]
        self.register_outputs({"account": self.account, "scripts_account": self.scripts_account})

    def _account(
        self, part: str, name_of: Callable[[str], str], *, hierarchical: bool
    ) -> tuple[storage.StorageAccount, pulumi.Output[str], pulumi.Resource]:
        """Create an account with soft delete, and return both with the account's name.

        Everything in it can be produced again: locally redundant storage is enough.
        """
        args = self._args
        name = pulumi.Output.from_input(args.group_id).apply(name_of)
        account = storage.StorageAccount(
            f"{self._name}-{part}",
            account_name=name,
            resource_group_name=args.group,
            location=args.region,
            kind=storage.Kind.STORAGE_V2,
            sku=storage.SkuArgs(name=storage.SkuName.STANDARD_LRS),
            is_hns_enabled=hierarchical,
            minimum_tls_version=storage.MinimumTlsVersion.TLS1_2,
            enable_https_traffic_only=True,
            allow_blob_public_access=False,
            allow_cross_tenant_replication=False,
            # HDInsight uses the key in wasbs-key mode, and for script actions, which are also uploaded with
            # it.
            allow_shared_key_access=True,
            is_local_user_enabled=False,
            network_rule_set=network_rules(args.subnet_id, args.admin_cidrs),
            tags=args.tags,
            opts=self._child,
        )
        retention = storage.DeleteRetentionPolicyArgs(enabled=True, days=KEPT_DAYS)
        soft_delete = storage.BlobServiceProperties(
            f"{self._name}-{part}-soft-delete",
            account_name=named(account, name),
            resource_group_name=args.group,
            blob_services_name="default",
            delete_retention_policy=retention,
            container_delete_retention_policy=retention,
            opts=self._child,
        )
        return account, named(account, name), soft_delete

    def _container(self, part: str, account: pulumi.Output[str], name: str) -> storage.BlobContainer:
        return storage.BlobContainer(
            f"{self._name}-{part}",
            account_name=account,
            resource_group_name=self._args.group,
            container_name=name,
            public_access=storage.PublicAccess.NONE,
            opts=self._child,
        )


def account_key(
    account: pulumi.Input[str],
    group: pulumi.Input[str],
    *,
    parent: pulumi.Resource | None = None,
    provider: pulumi.ProviderResource | None = None,
) -> pulumi.Output[str]:
    """Return the account's first key; it must not change while a cluster exists, or script actions fail."""
    found = storage.list_storage_account_keys_output(
        account_name=account,
        resource_group_name=group,
        opts=pulumi.InvokeOutputOptions(parent=parent, provider=provider),
    )
    return pulumi.Output.secret(found.apply(first_key))


def first_key(found: storage.ListStorageAccountKeysResult) -> str:
    """Return the first key of Azure's answer; empty in a preview without one."""
    return found.keys[0].value if found.keys else ""
